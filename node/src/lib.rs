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

use std::io::IsTerminal as _;

use cli::{Cli, Command};
use error::NodeError;

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
        Command::CheckModule => return code::check_standard_input(),
        _ => {}
    }
    log_to_stderr();
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

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,paralith=info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
