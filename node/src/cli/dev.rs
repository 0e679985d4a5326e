//! `paralith dev`

use paralith_consensus_api::address;
use paralith_rt::Instant;
use serde_json::json;

use super::signals::EndSignals;
use super::{DevArgs, EngineKind, output};
use crate::demo;
use crate::dev::DevChain;
use crate::error::NodeError;
use crate::keystore::{TEST_ACCOUNTS, test_account};

/// Runs a chain until it is interrupted; with `--once`, for one transaction.
pub async fn run(mut args: DevArgs) -> Result<(), NodeError> {
    let began = paralith_rt::Instant::now();
    let mut signals = EndSignals::listen()?;
    let fresh = || {
        tempfile::Builder::new()
            .prefix("paralith-dev-")
            .tempdir()
            .map_err(|e| NodeError::io("a temporary folder", &e))
    };
    if args.once {
        // A port of its own: another chain may run on this machine.
        args.listen = "127.0.0.1:0".to_string();
    }
    // Removed when this function ends, however it does.
    let temporary = match &args.home {
        None if args.once || args.engine == EngineKind::Cometbft => Some(fresh()?),
        _ => None,
    };
    let home = args.home.clone().or_else(|| temporary.as_ref().map(|t| t.path().to_path_buf()));
    if let Some(home) = &home {
        std::fs::create_dir_all(home).map_err(|e| NodeError::io(home.display().to_string(), &e))?;
    }
    if !args.json {
        eprintln!("starting a chain of your own: validator, key manager, three compute nodes …");
    }
    let chain = DevChain::start(&args, home.as_deref()).await?;
    let started = run_until_ready(&chain, &args, began, &mut signals).await;
    let finished = match started {
        Ok(()) if args.once => Ok(()),
        Ok(()) => wait(&chain, &args, &mut signals).await,
        Err(error) => Err(error),
    };
    chain.stop().await?;
    if let Some(temporary) = temporary {
        temporary.close().map_err(|e| NodeError::io("removing the temporary folder", &e))?;
    }
    finished
}

async fn run_until_ready(
    chain: &DevChain,
    args: &DevArgs,
    began: Instant,
    signals: &mut EndSignals,
) -> Result<(), NodeError> {
    tokio::select! {
        biased;
        ready = chain.ready() => ready?,
        reason = chain.failed() => return Err(NodeError::NotReady { reason }),
        () = signals.received() => {
            return Err(NodeError::NotReady { reason: "interrupted".to_string() });
        }
    }
    if !args.once {
        banner(chain, args, began)?;
    }
    if args.once || args.demo {
        let node = format!("http://{}", chain.endpoint);
        tokio::select! {
            biased;
            done = demo::run(&node, args.json, began) => done?,
            () = signals.received() => {}
        }
    }
    Ok(())
}

async fn wait(chain: &DevChain, args: &DevArgs, signals: &mut EndSignals) -> Result<(), NodeError> {
    if !args.json {
        eprintln!("running; press Ctrl-C to stop");
    }
    tokio::select! {
        biased;
        () = signals.received() => Ok(()),
        reason = chain.failed() => Err(NodeError::NotReady { reason }),
    }
}

fn banner(chain: &DevChain, args: &DevArgs, began: Instant) -> Result<(), NodeError> {
    let accounts: Vec<_> = TEST_ACCOUNTS
        .iter()
        .filter_map(|name| Some((name, test_account(name)?)))
        .map(|(name, key)| json!({ "name": name, "address": address::of_key(&key.public()) }))
        .collect();
    let runtimes: Vec<_> = chain
        .network
        .genesis
        .document
        .genesis
        .runtimes
        .iter()
        .map(|runtime| {
            json!({ "name": runtime.name, "id": runtime.id, "confidential": runtime.confidential })
        })
        .collect();
    let node = format!("http://{}", chain.endpoint);
    let at = if node == super::DEFAULT_NODE { String::new() } else { format!(" --node {node}") };
    let seconds = format!("{:.2}", began.elapsed().as_secs_f64());
    let next = [
        format!("paralith runtime call counter add '{{\"amount\":1}}'{at}"),
        format!("paralith runtime query tokens total_supply{at}"),
        format!("paralith tx transfer bob 1000 --from alice{at}"),
    ];
    let shown = json!({
        "chain": chain.network.genesis.chain_id, "node": node, "ready_after_seconds": seconds,
        "INSECURE": "test keys, a known beacon seed and software enclaves: for development only",
        "accounts": accounts, "runtimes": runtimes, "try_next": next,
    });
    output::print(&shown, args.json)
}
