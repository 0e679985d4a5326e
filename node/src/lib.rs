//! The `paralith` node and its command line. It wires; it never decides.
//!
//! * [`assemble`] puts a node together from its parts: the chain ([`chain`], [`remote`]), the links
//!   to other nodes ([`links`]), the loops of its roles ([`roles`]) with their enclaves
//!   ([`enclave`]), and the public services ([`rpc`]).
//! * [`dev`] and [`network`] make whole chains for development.
//! * [`client`] is a client that believes no node; the commands in [`cli`] use nothing else.

pub mod assemble;
pub mod chain;
pub mod cli;
pub mod client;
pub mod code;
pub mod config;
pub mod data;
pub mod demo;
pub mod dev;
pub mod enclave;
pub mod error;
pub mod genesis_info;
pub mod guests;
pub mod keystore;
pub mod links;
pub mod network;
pub mod password;
pub mod remote;
pub mod roles;
pub mod rpc;
pub mod state;
pub(crate) mod store;
pub mod systems;

use std::io::IsTerminal as _;

use cli::{Cli, Command};
use error::NodeError;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<(), NodeError> {
    run_with(cli, roles::compute::as_made())
}

/// As [`run`], with the connections of workers wrapped: for programs that test nodes.
pub fn run_with(cli: Cli, connect: roles::compute::Connect) -> Result<(), NodeError> {
    match cli.command {
        // Enclaves have no async runtime and write no logs of their own.
        Command::RuntimeEnclave => return enclave::serve_standard_input(enclave::Kind::Runtime),
        Command::KeymanagerEnclave => {
            return enclave::serve_standard_input(enclave::Kind::KeyManager);
        }
        Command::EndorserEnclave => {
            return enclave::serve_standard_input(enclave::Kind::Endorser);
        }
        Command::CheckModule => return code::check_standard_input(),
        _ => {}
    }
    log_to_stderr(matches!(cli.command, Command::Demo(_)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| NodeError::io("starting", &e))?;
    let result = runtime.block_on(cli::run(cli.command, connect));
    // The store closes before the program ends, or its own clean-up finds it in use. Whatever waits
    // on a blocking thread for longer has nothing left to wait for.
    runtime.shutdown_timeout(CLOSING);
    result
}

/// How long what still runs at the end is given.
const CLOSING: std::time::Duration = std::time::Duration::from_millis(500);

/// `shows`: the program says itself what happens, and a log between its lines would hide it.
fn log_to_stderr(shows: bool) {
    // By target and level alone: `EnvFilter` would bring an engine for regular expressions.
    let chosen = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let chosen: Option<Targets> = chosen.and_then(|text| text.parse().ok());
    let usual = || match shows {
        true => Targets::new().with_default(LevelFilter::ERROR),
        false => Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("paralith", LevelFilter::INFO),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let filter = chosen.unwrap_or_else(usual);
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}
