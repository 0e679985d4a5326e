//! t14: what the ledger rests on. That no answer of `Evaluate` is a response, that enclaves give nothing on a
//! ledger without approval, and what a committee of liars could do: the tests of
//! `systems/chaincode/endorser`.

use std::os::unix::fs::PermissionsExt as _;

use e2e::{Localnet, Watch, cli, until};
use paralith::network::{LEDGER, ORGANISATIONS};
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::roothash::HeaderType;
use paralith_types::RuntimeId;
use serde_json::json;

use crate::net::{Net, SECRETS, done, next_epoch, put};
use crate::shared::on_chain;

#[test]
fn t14_the_owner_of_the_ledger_alone_cannot_change_its_committee() {
    on_chain(async |net| {
        let mut chain = paralith::client::connect(net.node()).await.unwrap();
        let before = chain.runtime(LEDGER).await.unwrap();
        let mut smaller = before.clone();
        smaller.sequence += 1;
        (smaller.executor.workers, smaller.executor.backups) = (1, 1);
        let proposal = net.propose_descriptor(&serde_json::to_value(&smaller).unwrap(), "alice");
        let approve =
            |who: &str| cli(net.node(), &["runtime", "approve", LEDGER, &proposal, "--from", who]);
        let alone = approve("alice");
        assert!(!alone.success && alone.error.contains("registry 27"), "{}", alone.error);
        // One organisation is not enough either.
        assert!(approve("bob").success);
        // What is approved takes effect with the next epoch.
        next_epoch(&mut chain).await;
        assert_eq!(chain.runtime(LEDGER).await.unwrap(), before);
        done(net.node(), &["runtime", "approve", LEDGER, "--withdraw", "--from", "bob"]);
    });
}

/// What the ledger's rounds until now show: how many were disputed and final all the same, and that no liar
/// was found right.
fn outvoted(id: &RuntimeId, watch: &Watch) -> usize {
    let (mut disputed, mut count) = (false, 0);
    for seen in watch.events() {
        match seen.event {
            EventKind::DiscrepancyDetected(found) if found.runtime_id == *id => disputed = true,
            EventKind::RoundFinalised(verdict) if verdict.runtime_id == *id => {
                let is_final = verdict.header_type == HeaderType::Normal;
                count += usize::from(disputed && is_final && verdict.bad.len() == 1);
                disputed = false;
            }
            _ => {}
        }
    }
    count
}

#[test]
fn t14_a_lying_worker_of_the_ledger_is_outvoted_and_calls_are_committed_as_endorsed() {
    let name = "t14_a_lying_worker_of_the_ledger_is_outvoted_and_calls_are_committed_as_endorsed";
    if e2e::skipped_without_cometbft(name) {
        return;
    }
    e2e::claim(async {
        let scripts = e2e::scratch();
        let liar = scripts.path().join("liar");
        let script =
            format!("#!/bin/sh\nexec '{}' wrong-root \"$@\"\n", e2e::adversary().display());
        std::fs::write(&liar, script).unwrap();
        std::fs::set_permissions(&liar, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = format!("compute-1={}", liar.display());
        let shape = ["--validators", "1", "--compute", "4", "--keymanagers", "1"];
        let chain =
            Localnet::start(&[&shape[..], &["--chaincode", "--program", &program]].concat());
        let watch = Watch::begin(&chain.node("validator-0").endpoint).await;
        let folder = e2e::scratch();
        let mut net = Net::on(&chain.gateway(), folder.path(), chain.home());
        net.platform = Some(chain.home().join("platform.key").display().to_string());
        net.serve(SECRETS, &ORGANISATIONS[..2], &json!({})).await;
        let ledger = net.client().await.definition.terms.ledger;
        let mut sent = 0;
        until("a lie was outvoted", async || {
            sent += 1;
            let put = put("door", &sent.to_string()).to_string();
            // Between two committees, and after a round that failed, callers try again.
            net.try_invoke(&["put", &put], "alice")?;
            let read = net.try_invoke(&["reveal", r#"{"name":"door","password":"p"}"#], "erin")?;
            assert_eq!(read["result"], json!({ "secret": sent.to_string() }));
            (outvoted(&ledger, &watch) > 0).then_some(())
        })
        .await;
        println!("outvoted after {sent} calls");
    });
}
