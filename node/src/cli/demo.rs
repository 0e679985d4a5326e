//! `paralith demo …`

use clap::{Args, Subcommand};

use crate::error::NodeError;
use crate::systems::{chaincode, private_contract};

/// `paralith demo …`
#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// A private contract of three members, each a process: a call, votes, a verified receipt, a killed
    /// member, a content that is withheld, an auditor.
    #[command(after_help = "Example:\n  paralith demo private-contract")]
    PrivateContract(DemoArgs),
    /// Chaincode of three organisations, each with an endorser's process: approval, sealed bids, probes, a
    /// conflict, a verified receipt.
    #[command(after_help = "Example:\n  paralith demo chaincode")]
    Chaincode(DemoArgs),
}

/// Options of a demonstration.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Print JSON, a line an object.
    #[arg(long)]
    pub json: bool,
}

/// Runs a demonstration.
pub async fn run(command: DemoCommand) -> Result<(), NodeError> {
    match command {
        DemoCommand::PrivateContract(args) => private_contract::demo::run(args.json).await,
        DemoCommand::Chaincode(args) => chaincode::demo::run(args.json).await,
    }
}
