//! A whole node that misbehaves: `paralith-adversary HOW start --config node.toml`. An attack on a network from
//! outside: `paralith-adversary attack NAME …`. Without either it is `paralith`, as which it serves its own enclaves.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use paralith::cli::Cli;
use paralith::error::NodeError;
use paralith_adversary::attack::Attack;
use paralith_adversary::{Misbehaviour, misbehave};
use paralith_runtime_worker::WorkerConfig;

/// Attacks on networks that run, for whoever wants to see them fail.
#[derive(Debug, clap::Parser)]
#[command(name = "paralith-adversary attack", bin_name = "paralith-adversary attack")]
struct AttackCli {
    #[command(subcommand)]
    attack: Attack,
}

/// Plays an attack; 0 if it failed.
fn attack(args: Vec<String>) -> Result<u8, NodeError> {
    let AttackCli { attack } = AttackCli::parse_from(args);
    let runtime = tokio::runtime::Runtime::new().map_err(|e| NodeError::io("starting", &e))?;
    let outcome = runtime.block_on(attack.run())?;
    // What waits for standard input would wait for ever.
    runtime.shutdown_background();
    Ok(outcome.tell(attack.name()))
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|first| first == "attack") {
        args.remove(1);
        return match attack(args) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("paralith-adversary: {error}");
                ExitCode::from(error.exit_code())
            }
        };
    }
    let how = args.get(1).and_then(|first| first.parse::<Misbehaviour>().ok());
    if how.is_some() {
        args.remove(1);
    }
    let cli = Cli::parse_from(args);
    let result = match how {
        Some(how) => paralith::run_with(
            cli,
            Arc::new(move |config: &WorkerConfig, connections| misbehave(how, config, connections)),
        ),
        None => paralith::run(cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paralith-adversary: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
