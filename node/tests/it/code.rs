//! Which modules a node accepts, and how it checks them.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use paralith::code::{CodeError, SUBCOMMAND};
use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::guests;
use paralith_consensus_api::registry::RegisterRuntime;
use paralith_consensus_api::tx::Body;
use paralith_types::Retry;

use crate::chain::{Chain, Rules, program, runtime, until};

#[tokio::test(flavor = "multi_thread")]
async fn only_code_that_a_descriptor_names_is_compiled_and_kept() {
    let chain = Chain::start(Rules::default()).await;
    let node = chain.node(vec![Role::Client], program());
    chain.ready(&node).await;
    let code = &node.state.services.code;

    // Valid, but nobody has registered it.
    let refused = code.upload(guests::TOKENS.to_vec()).await.unwrap_err();
    assert!(matches!(refused, CodeError::NotNamed(_)), "{refused}");
    assert_eq!(refused.to_error().retry, Retry::Later);
    // Random bytes give new ids for ever; none of them is kept.
    let junk = vec![7; 1000];
    assert!(matches!(code.upload(junk.clone()).await, Err(CodeError::NotNamed(_))));
    assert_eq!(code.get(&paralith_runtime_vm::code_id(&junk)).unwrap(), None);

    let id = code.upload(guests::COUNTER.to_vec()).await.unwrap();
    assert_eq!(code.get(&id).unwrap().as_deref(), Some(guests::COUNTER));
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_accepted_once_its_descriptor_is_in_state_and_refused_for_its_own_faults() {
    let chain = Chain::start(Rules::default()).await;
    let node = chain.node(vec![Role::Client], program());
    chain.ready(&node).await;
    let code = &node.state.services.code;
    let broken = b"\0asm\x01\0\0\0".to_vec();
    let owner = paralith::chain::ChainAccess::new(
        chain.source(),
        chain.genesis.context,
        chain.owner.clone(),
    );
    for (name, module) in [("tokens", guests::TOKENS), ("broken", broken.as_slice())] {
        let runtime = runtime(name, &chain.owner, module);
        owner.submit_body(&Body::from(RegisterRuntime { runtime })).await.unwrap();
    }
    until(&node, async |_| {
        !matches!(code.upload(guests::TOKENS.to_vec()).await, Err(CodeError::NotNamed(_)))
    })
    .await;
    assert!(code.get(&paralith_runtime_vm::code_id(guests::TOKENS)).unwrap().is_some());

    for _ in 0..2 {
        until(&node, async |_| {
            !matches!(code.upload(broken.clone()).await, Err(CodeError::NotNamed(_)))
        })
        .await;
        let refused = code.upload(broken.clone()).await.unwrap_err().to_error();
        // The same text and code as from the vm itself, by way of the child.
        let own = paralith_runtime_vm::check(&broken).unwrap_err();
        assert!(refused.is("upload", own.code()), "{refused}");
        assert_eq!(refused.message, own.to_string());
    }
    assert_eq!(code.get(&paralith_runtime_vm::code_id(&broken)).unwrap(), None);
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_runs_into_its_limits_is_a_verdict_on_the_module() {
    let chain = Chain::start(Rules::default()).await;
    // As the kernel ends a process at its limit of processor time.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("killed");
    std::fs::write(&script, "#!/bin/sh\nkill -s XCPU $$\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let node = chain.node(vec![Role::Client], Placement::Process { program: script.clone() });
    chain.ready(&node).await;
    let code = &node.state.services.code;
    let module = guests::COUNTER.to_vec();
    assert_eq!(code.upload(module.clone()).await, Err(CodeError::TooExpensive));
    // The verdict is kept: no process is started for the same module again.
    std::fs::remove_file(&script).unwrap();
    assert_eq!(code.upload(module).await, Err(CodeError::TooExpensive));
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_cannot_be_started_is_no_verdict() {
    let chain = Chain::start(Rules::default()).await;
    let missing = Placement::Process { program: "/nowhere/paralith".into() };
    let node = chain.node(vec![Role::Client], missing);
    chain.ready(&node).await;
    let refused = node.state.services.code.upload(guests::COUNTER.to_vec()).await.unwrap_err();
    assert!(matches!(refused, CodeError::Node(_)), "{refused}");
    chain.end().await;
}

#[test]
fn the_compilers_process_has_limits_before_it_reads_a_byte() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_paralith"))
        .arg(SUBCOMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let limits = || {
        let text = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let of = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap().to_string();
            line.strip_prefix(name).unwrap().split_whitespace().next().unwrap().to_string()
        };
        [of("Max cpu time"), of("Max data size"), of("Max file size"), of("Max core file size")]
    };
    while limits() != ["20", "2147483648", "0", "0"] {
        std::thread::yield_now();
    }
    input.write_all(guests::COUNTER).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"ok".as_slice()));
}

#[test]
fn the_modules_of_this_repository_stay_far_below_the_limits() {
    for module in [guests::TOKENS, guests::BALLOT, guests::COUNTER] {
        paralith_runtime_vm::check(module).unwrap();
    }
}
