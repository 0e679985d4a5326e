//! Measures Paralith. `bench WHAT`, where `WHAT` is one of those that `bench` alone lists; `scripts/bench.sh` runs them all, with the examples that measure single crates.
//!
//! Results go to standard output, one JSON object a line; what they mean goes to standard error.
//! Every run is bounded in time. What is compared is measured in one run, so that ratios carry over
//! to other machines; absolute numbers do not.

mod application;
mod chaincode;
mod commands;
mod commits;
mod consensus;
mod dev;
mod load;
mod localnet;
mod private_contract;
mod process;
mod report;
mod runtime;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: bench WHAT
  application  signed transfers through the consensus application, durably stored
  consensus    the same through CometBFT, beside its own key-value store
  runtime      calls of the reference runtimes in fresh, metered instances
  dev          start of a development chain to its first final confidential transaction; memory
  localnet     the same on a network of processes; latency, throughput, stall after a kill -9
  private_contract  a vote of 100 members; a private contract's calls beside those of ParaTimes; a NO beside its YES
  chaincode    endorsed calls beside confidential ones; a commit; an endorser's restart; many users on few entries
`dev`, `localnet`, `private_contract` and `chaincode` run the `paralith` beside this program, or the one that PARALITH_BIN names;
`consensus` and `localnet` need CometBFT.";

fn main() -> ExitCode {
    let what = std::env::args().nth(1);
    let result = match what.as_deref() {
        Some("application") => application::run(),
        Some("consensus") => with_tokio(consensus::run()),
        Some("runtime") => runtime::run(),
        Some("dev") => with_tokio(dev::run()),
        Some("localnet") => with_tokio(localnet::run()),
        Some("chaincode") => with_tokio(chaincode::run()),
        Some("private_contract") => with_tokio(private_contract::run()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ends what it started also when it is interrupted.
fn with_tokio(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            result = work => result,
        }
    })
}
