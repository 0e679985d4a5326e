//! `paralith tx …`

use paralith_consensus_api::roothash::SubmitMessage;
use paralith_consensus_api::staking::{AddEscrow, ReclaimEscrow, Transfer};
use paralith_consensus_api::tx::Body;
use paralith_consensus_api::{address, registry};
use paralith_types::{Address, Amount, Hash};
use serde::Serialize;
use serde_json::json;

use super::{EntityArgs, MoveArgs, TxCommand, output};
use crate::client::ChainClient;
use crate::error::NodeError;
use crate::keystore::{Keystore, is_test_address};

#[derive(Debug, Serialize)]
struct Sent {
    tx: Hash,
    method: &'static str,
    from: String,
    to: String,
    amount: String,
    height: u64,
    gas_used: u64,
    gas_limit: u64,
    fee: String,
}

/// An address, or the account of a key's name. Off development chains not a test account, by
/// whatever name: everyone has its key, so whatever is sent there is lost.
pub(crate) fn address_of(
    keystore: &Keystore,
    name: &str,
    development: bool,
) -> Result<Address, NodeError> {
    let address = match name.parse::<Address>() {
        Ok(address) => address,
        Err(invalid) if name.starts_with("paralith1") => {
            return Err(NodeError::usage(name, invalid));
        }
        Err(_) => address::of_key(&keystore.public(name, development)?),
    };
    refuse_test_address(name, &address, development)?;
    Ok(address)
}

/// Refuses the address of a test account off development chains.
pub(crate) fn refuse_test_address(
    name: &str,
    address: &Address,
    development: bool,
) -> Result<(), NodeError> {
    if development || !is_test_address(address) {
        return Ok(());
    }
    let reason = "this is a test account, whose key everyone has, and this is no development chain";
    Err(NodeError::usage(name, reason))
}

/// Sends a transaction to the consensus layer.
pub async fn run(command: TxCommand) -> Result<(), NodeError> {
    let args = match &command {
        TxCommand::Transfer(args)
        | TxCommand::Escrow(args)
        | TxCommand::Reclaim(args)
        | TxCommand::Deposit(args) => args,
        TxCommand::Entity(args) => return entity(args).await,
    };
    let amount: Amount = args.amount.parse().map_err(|e| NodeError::usage(&args.amount, e))?;
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let keystore = Keystore::open(args.signer.keystore.clone())?;
    // Before anything is signed: a wrong name must not cost a fee.
    let to = match &command {
        TxCommand::Deposit(_) => None,
        _ => Some(address_of(&keystore, &args.to, chain.genesis().is_development())?),
    };
    let body = body(&command, args, &mut chain, to, amount).await?;
    let method = body.method();
    let included = chain.submit(&key, body, args.fee.options()).await?;
    let sent = Sent {
        tx: included.hash,
        method,
        from: address::of_key(&key.public()).to_string(),
        to: args.to.clone(),
        amount: amount.to_string(),
        height: included.height.0,
        gas_used: included.gas_used,
        gas_limit: included.gas_limit,
        fee: included.fee.to_string(),
    };
    output::print(&sent, args.node.json)
}

/// Registers the signer as an entity, with the nodes that it lists already and those of the options.
async fn entity(args: &EntityArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let id = key.public();
    let known: Option<registry::Entity> = chain.get(&registry::keys::entity(&id)).await?;
    let mut nodes = known.map(|known| known.nodes).unwrap_or_default();
    nodes.extend(&args.owns);
    nodes.sort();
    nodes.dedup();
    let entity = registry::Entity { id, nodes };
    let body = registry::RegisterEntity { entity: entity.clone() };
    let included = chain.submit(&key, body, args.fee.options()).await?;
    let shown = json!({
        "method": "registry.RegisterEntity", "entity": entity, "height": included.height,
        "gas_used": included.gas_used, "gas_limit": included.gas_limit, "fee": included.fee,
    });
    output::print(&shown, args.node.json)
}

async fn body(
    command: &TxCommand,
    args: &MoveArgs,
    chain: &mut ChainClient,
    to: Option<Address>,
    amount: Amount,
) -> Result<Body, NodeError> {
    let to = || to.ok_or_else(|| NodeError::usage(&args.to, "is no address"));
    Ok(match command {
        TxCommand::Transfer(_) => Transfer { to: to()?, amount }.into(),
        TxCommand::Escrow(_) => AddEscrow { account: to()?, amount }.into(),
        TxCommand::Reclaim(_) => ReclaimEscrow { account: to()?, shares: amount }.into(),
        TxCommand::Deposit(_) | TxCommand::Entity(_) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::test_account;

    #[test]
    fn nothing_is_sent_to_a_test_account_off_development_chains() {
        let folder = tempfile::tempdir().unwrap();
        let keystore = Keystore::open(Some(folder.path().to_path_buf())).unwrap();
        let alice = address::of_key(&test_account("alice").unwrap().public());
        for name in ["alice".to_string(), alice.to_string()] {
            assert_eq!(address_of(&keystore, &name, true).unwrap(), alice);
            let error = address_of(&keystore, &name, false).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
