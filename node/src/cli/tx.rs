//! `paralith tx …`

use paralith_consensus_api::address;
use paralith_consensus_api::roothash::SubmitMessage;
use paralith_consensus_api::staking::{AddEscrow, ReclaimEscrow, Transfer};
use paralith_consensus_api::tx::Body;
use paralith_types::{Address, Amount};
use serde::Serialize;

use super::{MoveArgs, TxCommand, output};
use crate::client::ChainClient;
use crate::error::NodeError;
use crate::keystore::Keystore;

#[derive(Debug, Serialize)]
struct Sent {
    method: &'static str,
    from: String,
    to: String,
    amount: String,
    height: u64,
    gas_used: u64,
}

/// An address, or the account of a key's name.
pub(crate) fn address_of(keystore: &Keystore, name: &str) -> Result<Address, NodeError> {
    match name.parse::<Address>() {
        Ok(address) => Ok(address),
        Err(invalid) if name.starts_with("paralith1") => Err(NodeError::usage(name, invalid)),
        Err(_) => Ok(address::of_key(&keystore.public(name)?)),
    }
}

/// Sends a transaction to the consensus layer.
pub async fn run(command: TxCommand) -> Result<(), NodeError> {
    let (TxCommand::Transfer(args)
    | TxCommand::Escrow(args)
    | TxCommand::Reclaim(args)
    | TxCommand::Deposit(args)) = &command;
    let amount: Amount = args.amount.parse().map_err(|e| NodeError::usage(&args.amount, e))?;
    let keystore = Keystore::open(args.signer.keystore.clone())?;
    let key = keystore.signing_key(&args.signer.from)?;
    // Before anything is signed: a wrong name must not cost a fee.
    let to = match &command {
        TxCommand::Deposit(_) => None,
        _ => Some(address_of(&keystore, &args.to)?),
    };
    let mut chain = ChainClient::connect(&args.node.node).await?;
    let body = body(&command, &mut chain, to, amount).await?;
    let method = body.method();
    let included = chain.submit(&key, body).await?;
    let sent = Sent {
        method,
        from: address::of_key(&key.public()).to_string(),
        to: args.to.clone(),
        amount: amount.to_string(),
        height: included.height.0,
        gas_used: included.gas_used,
    };
    output::print(&sent, args.node.json)
}

async fn body(
    command: &TxCommand,
    chain: &mut ChainClient,
    to: Option<Address>,
    amount: Amount,
) -> Result<Body, NodeError> {
    let to = |args: &MoveArgs| to.ok_or_else(|| NodeError::usage(&args.to, "is no address"));
    Ok(match command {
        TxCommand::Transfer(args) => Transfer { to: to(args)?, amount }.into(),
        TxCommand::Escrow(args) => AddEscrow { account: to(args)?, amount }.into(),
        TxCommand::Reclaim(args) => ReclaimEscrow { account: to(args)?, shares: amount }.into(),
        TxCommand::Deposit(args) => {
            let runtime = chain.runtime(&args.to).await?;
            SubmitMessage {
                runtime_id: runtime.id,
                tag: 0,
                fee: runtime.staking.min_in_message_fee,
                tokens: amount,
                data: Vec::new(),
            }
            .into()
        }
    })
}
