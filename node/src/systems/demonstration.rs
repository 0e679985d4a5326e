//! What the demonstrations of systems stand on: a development chain of their own, and nodes beside it, each
//! a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use paralith_rt::Instant;
use tokio::process::{Child, Command};

use crate::cli::{DevArgs, EngineKind};
use crate::demo::Reporter;
use crate::dev::DevChain;
use crate::error::NodeError;
use crate::links::bind;

/// The seed of the chain.
pub(super) const SEED: u64 = 1;
/// A step that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A chain that is gone at the end, without any system.
pub(super) fn chain_args(json: bool) -> DevArgs {
    DevArgs {
        home: None,
        seed: SEED,
        engine: EngineKind::Solo,
        once: false,
        demo: false,
        private_contracts: false,
        chaincode: false,
        listen: "127.0.0.1:0".to_string(),
        json,
    }
}

/// Shows something on a chain of its own: `show` gets the chain's address and a folder. Chain and folder are
/// gone afterwards, however it ended.
pub(super) async fn on_a_chain(
    args: DevArgs,
    show: impl AsyncFnOnce(&Reporter, &str, &Path) -> Result<(), NodeError>,
) -> Result<(), NodeError> {
    let reporter = Reporter { json: args.json, began: Instant::now() };
    let folder = tempfile::Builder::new()
        .prefix("paralith-demo-")
        .tempdir()
        .map_err(|e| NodeError::io("a temporary folder", &e))?;
    let chain = DevChain::start(&args, None).await?;
    let shown = async {
        chain.ready().await?;
        show(&reporter, &format!("http://{}", chain.endpoint), folder.path()).await
    };
    let shown = shown.await;
    chain.stop().await?;
    folder.close().map_err(|e| NodeError::io("removing the temporary folder", &e))?;
    shown
}

/// An address of this machine at which nobody listens. `who` is to listen there.
pub(super) async fn free(who: &str) -> Result<SocketAddr, NodeError> {
    let (_released, address) = bind(SocketAddr::from(([127, 0, 0, 1], 0)), who).await?;
    Ok(address)
}

/// Starts the node whose configuration is in a folder, as a process that ends with its handle. `who` it is
/// stands in the error.
pub(super) fn launch(
    folder: &Path,
    who: &str,
    environment: &[(&str, &str)],
) -> Result<Child, NodeError> {
    let program = std::env::current_exe().map_err(|e| NodeError::io("this program's file", &e))?;
    Command::new(program)
        .arg("start")
        .arg("--config")
        .arg(folder.join("node.toml"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| NodeError::io(format!("{who}'s process"), &e))
}

/// Looks until there is an answer.
pub(super) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, NodeError>,
) -> Result<T, NodeError> {
    let began = Instant::now();
    loop {
        let last = match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => String::new(),
            Err(error) => format!(": {error}"),
        };
        if began.elapsed() > PATIENCE {
            return Err(NodeError::NotReady { reason: format!("waited in vain for {what}{last}") });
        }
        paralith_rt::sleep(PAUSE).await;
    }
}
