//! `paralith`: the node and its command line.

use std::process::ExitCode;

use clap::Parser;
use paralith::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match paralith::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paralith: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
