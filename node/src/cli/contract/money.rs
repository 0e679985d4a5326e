//! Money at the mediator: into contracts, and out to accounts of the consensus layer.

use clap::Args;
use paralith_consensus_api::address;
use paralith_private_contract_messages::{Canonical as _, ContractId, Fund, Withdraw};
use paralith_types::Amount;
use serde_json::json;

use super::super::SignerArgs;
use super::{MediatorArgs, contract};
use crate::cli::output;
use crate::cli::tx::address_of;
use crate::error::NodeError;
use crate::keystore::Keystore;

/// Options of `contract fund`.
#[derive(Debug, Clone, Args)]
pub struct FundArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// Base units.
    pub amount: Amount,
    /// A number for the contract's code.
    #[arg(long, default_value_t = 0)]
    pub tag: u64,
    /// The signer.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract withdraw`.
#[derive(Debug, Clone, Args)]
pub struct WithdrawArgs {
    /// Base units.
    pub amount: Amount,
    /// The account of the consensus layer that gets them, or the name of its key; by default the signer's.
    #[arg(long)]
    pub to: Option<String>,
    /// The signer.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract collect-fees`.
#[derive(Debug, Clone, Args)]
pub struct CollectFeesArgs {
    /// The signer: the mediator's `collector`.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Deposits into a contract.
pub(super) async fn fund(args: FundArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let fund = Fund { contract_id: args.contract, tag: args.tag, amount: args.amount };
    let (confirmed, _) = client.call(&key, "fund", fund.encode()).await?;
    let shown = json!({
        "contract": args.contract.to_hex(), "amount": args.amount, "tag": args.tag,
        "round": confirmed.header.round,
    });
    output::print(&shown, args.mediator.node.json)
}

/// Takes money out of the mediator.
pub(super) async fn withdraw(args: WithdrawArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let keystore = Keystore::open(args.signer.keystore.clone())?;
    let development = client.chain.genesis().is_development();
    let to = args.to.as_deref().map(|name| address_of(&keystore, name, development)).transpose()?;
    let to = to.unwrap_or_else(|| address::of_key(&key.public()));
    let call = Withdraw { to, amount: args.amount };
    let (confirmed, _) = client.call(&key, "withdraw", call.encode()).await?;
    let shown = json!({
        "amount": args.amount, "to": to, "round": confirmed.header.round,
        "next": format!("the next blocks pay it out: see `paralith query account {to}`"),
    });
    output::print(&shown, args.mediator.node.json)
}

/// Takes the fees that the mediator holds into the collector's balance there.
pub(super) async fn collect_fees(args: CollectFeesArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let (confirmed, reply) = client.call(&key, "collect_fees", Vec::new()).await?;
    let collected: Amount = serde_json::from_slice(&reply)
        .map_err(|e| NodeError::Unverifiable { reason: format!("the mediator's answer: {e}") })?;
    let shown = json!({ "collected": collected, "round": confirmed.header.round });
    output::print(&shown, args.mediator.node.json)
}
