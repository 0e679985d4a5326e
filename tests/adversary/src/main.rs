//! A whole node that misbehaves: `paralith-adversary HOW start --config node.toml`. Without a
//! misbehaviour in front it is `paralith`, as which it serves its own enclaves.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use paralith::cli::Cli;
use paralith_adversary::{Misbehaviour, misbehave};
use paralith_runtime_worker::WorkerConfig;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().collect();
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
