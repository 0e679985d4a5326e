//! `paralith chaincode …`: chaincode for organisations, their endorsers, and callers.

mod args;
mod call;
mod deploy;
mod init;

pub(crate) use args::*;
use clap::Subcommand;
pub(crate) use deploy::application;
pub(crate) use init::{NewEndorser, admit};

use crate::error::NodeError;

/// `paralith chaincode …`
#[derive(Debug, Subcommand)]
pub enum ChaincodeCommand {
    /// Write the module of a sample, or of the ledger.
    #[command(
        after_help = "Example:\n  paralith chaincode sample secret-keeper --out secret_keeper.wasm"
    )]
    Sample(SampleArgs),
    /// Propose a chaincode, or the next version of one. Its organisations approve it with `paralith
    /// runtime approve`.
    #[command(
        after_help = "Example:\n  paralith chaincode deploy ./secret_keeper.wasm --name secrets --organisation bob --organisation carol --organisation dave --policy '2 of (bob, carol, dave)' --from bob\n  paralith runtime approve RUNTIME DESCRIPTOR-HASH --from carol"
    )]
    Deploy(DeployArgs),
    /// Give the module of an approved chaincode to a compute node, from which endorsers fetch it.
    #[command(after_help = "Example:\n  paralith chaincode upload ./secret_keeper.wasm")]
    Upload(UploadArgs),
    /// Let the enclaves of a chaincode ask for its keys, as the owner of its key manager.
    #[command(after_help = "Example:\n  paralith chaincode allow secrets --from alice")]
    Allow(AllowArgs),
    /// Make the folder of an organisation's endorser: its keys, configuration and genesis document.
    #[command(
        after_help = "Example:\n  paralith chaincode init ./bob secrets --listen 127.0.0.1:27000 --from bob\n  paralith start --config ./bob/node.toml"
    )]
    Init(InitArgs),
    /// Show a chaincode's definition and its endorsers.
    #[command(
        after_help = "Example:\n  paralith chaincode status secrets --endorser http://127.0.0.1:27000"
    )]
    Status(StatusArgs),
    /// Call a chaincode: have it endorsed, committed, and show its result.
    #[command(
        after_help = "Example:\n  paralith chaincode invoke secrets put '{\"name\":\"door\",\"password\":\"p\",\"secret\":\"42\"}' --endorser http://127.0.0.1:27000 --endorser http://127.0.0.1:27001 --save put.call --from alice"
    )]
    Invoke(InvokeArgs),
    /// Ask a chaincode about its newest final state. Nothing is committed.
    #[command(
        visible_alias = "get",
        after_help = "Example:\n  paralith chaincode evaluate auction result '{\"name\":\"lot\"}' --endorser http://127.0.0.1:27000"
    )]
    Evaluate(EvaluateArgs),
    /// Go on with a call that was saved: commit it if it is not, and show its result.
    #[command(
        after_help = "Example:\n  paralith chaincode result put.call --endorser http://127.0.0.1:27000 --from alice"
    )]
    Result(ResultArgs),
    /// Show what a committed call asked to reveal.
    #[command(
        after_help = "Example:\n  paralith chaincode reveal auction TX-ID 6c6f74 --endorser http://127.0.0.1:27000"
    )]
    Reveal(RevealArgs),
    /// Make and verify receipts of committed calls.
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Revoke a certificate for calling a chaincode, as its issuer.
    #[command(
        after_help = "Example:\n  paralith chaincode revoke secrets 7 --endorser http://127.0.0.1:27000 --from bob"
    )]
    Revoke(RevokeArgs),
}

/// `paralith chaincode receipt …`
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Make the receipt of a call that was saved and read.
    #[command(
        after_help = "Example:\n  paralith chaincode receipt make put.call --out put.receipt --show-result --endorser http://127.0.0.1:27000"
    )]
    Make(MakeReceiptArgs),
    /// Verify a receipt offline, with the genesis document alone.
    #[command(
        after_help = "Example:\n  paralith chaincode receipt verify put.receipt --genesis ./genesis.json --chain HASH"
    )]
    Verify(VerifyReceiptArgs),
}

/// Runs a command on chaincode.
pub async fn run(command: ChaincodeCommand) -> Result<(), NodeError> {
    match command {
        ChaincodeCommand::Sample(args) => deploy::sample(&args),
        ChaincodeCommand::Deploy(args) => deploy::deploy(args).await,
        ChaincodeCommand::Upload(args) => deploy::upload(args).await,
        ChaincodeCommand::Allow(args) => deploy::allow(args).await,
        ChaincodeCommand::Init(args) => init::run(args).await,
        ChaincodeCommand::Status(args) => call::status(args).await,
        ChaincodeCommand::Invoke(args) => call::invoke(args).await,
        ChaincodeCommand::Evaluate(args) => call::evaluate(args).await,
        ChaincodeCommand::Result(args) => call::result(args).await,
        ChaincodeCommand::Reveal(args) => call::reveal(args).await,
        ChaincodeCommand::Revoke(args) => call::revoke(args).await,
        ChaincodeCommand::Receipt(ReceiptCommand::Make(args)) => call::receipt(args).await,
        ChaincodeCommand::Receipt(ReceiptCommand::Verify(args)) => call::verify(&args),
    }
}
