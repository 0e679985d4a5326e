//! Whole-system tests: the real program in real processes, seen through its public services only.
//!
//! * [`claim`] runs a test by itself: networks of two tests never share the machine.
//! * [`Dev`] is `paralith dev`, [`Localnet`] is `paralith localnet`; both end with everything that
//!   they started when they are dropped.
//! * [`Client`] is a user, and believes no node.
//!
//! Times here are bounds after which a test has failed. Nothing waits for a time to pass: all
//! waiting is for something to happen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attack;
mod client;
mod dev;
mod localnet;
mod process;
mod python;
mod watch;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use attack::{DEFENCES, Played, attack, withstands};
pub use client::{Client, Refusal, account_key, address, in_step, receipt, refusal};
pub use dev::{Dev, DevOptions};
pub use localnet::{Localnet, Node};
pub use process::{Process, kill, processes_of};
pub use python::Python;
pub use watch::{Seen, Watch};

/// After this a condition that is waited for will not come.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// After this a whole test has failed.
const TEST_BOUND: Duration = Duration::from_secs(900);

static ALONE: Mutex<()> = Mutex::new(());

/// Runs a test while no other one runs.
pub fn claim<T>(test: impl Future<Output = T>) -> T {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(TEST_BOUND, test).await.expect("the test does not come to an end")
    })
}

/// Looks again and again until there is an answer.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = look().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The program under test: it lies beside the tests' folder, and is built if it is not there yet.
pub fn binary() -> PathBuf {
    built("paralith", &["--package", "paralith", "--bin", "paralith"])
}

/// The program whose nodes misbehave. It lies beside the program under test.
pub fn adversary() -> PathBuf {
    built("paralith-adversary", &["--package", "paralith-adversary"])
}

/// Where cargo puts programs: beside the tests' folder.
fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_path_buf()
}

fn built(name: &str, args: &[&str]) -> PathBuf {
    static BUILT: Mutex<()> = Mutex::new(());
    let _one = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let binary = folder().join(name);
    if binary.is_file() { binary } else { build(name, args) }
}

fn build(name: &str, args: &[&str]) -> PathBuf {
    let folder = folder();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    let status = Command::new(cargo)
        .arg("build")
        .args(args)
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(root())
        .status()
        .unwrap();
    assert!(status.success(), "{name} does not build");
    folder.join(name)
}

/// The root of the checkout that is tested, which need not be the one in which this was compiled:
/// checkouts may share their build artefacts.
pub fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    PathBuf::from(own).ancestors().nth(2).unwrap().to_path_buf()
}

/// Whether a test cannot run because there is no CometBFT; if so, says that it is skipped and why.
pub fn skipped_without_cometbft(test: &str) -> bool {
    let skipped = paralith_consensus_engine::find_binary().is_err();
    if skipped {
        println!("SKIPPED {test}: no cometbft binary (make setup builds it where Go is installed)");
    }
    skipped
}

/// A folder that is removed when it is dropped.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("paralith-e2e-").tempdir().unwrap()
}

/// What a command printed.
#[derive(Debug, Clone)]
pub struct Printed {
    /// Whether it succeeded.
    pub success: bool,
    /// Its standard output as JSON, a value a line.
    pub json: Vec<serde_json::Value>,
    /// Its standard error.
    pub error: String,
}

/// Runs `paralith` with these arguments and `--json` against a node.
pub fn cli(node: &str, args: &[&str]) -> Printed {
    let output = Command::new(binary())
        .args(args)
        .arg("--json")
        .env("PARALITH_NODE", node)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let json = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    Printed { success: output.status.success(), json, error }
}
