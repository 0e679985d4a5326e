//! What a transaction would cost.

use paralith_consensus_api::tx::SignedTransaction;
use paralith_consensus_api::{Error, consensus};
use paralith_proto::Canonical;
use paralith_storage::StateRead;
use paralith_types::{ChainContext, Height, PublicKey, Signature};

use crate::check::Candidate;
use crate::context::{Context, Signer};
use crate::dispatch::dispatch;
use crate::{gas, query};

/// The gas that an unsigned transaction would use in the block at `height` on this state, or its
/// refusal. Signature, nonce and fee are not looked at; nothing of it stays.
pub fn estimate_gas(
    state: &dyn StateRead,
    chain: &ChainContext,
    (height, time_seconds): (Height, u64),
    sender: PublicKey,
    transaction: &[u8],
) -> Result<u64, Error> {
    let params: consensus::Params = query::consensus_params(state)?;
    let signature = Signature([0; 64]);
    let signed =
        SignedTransaction { transaction: transaction.to_vec(), public_key: sender, signature };
    let tx = Candidate::read(&signed.encode(), &params, chain)?;
    let limit = match params.max_block_gas {
        0 => MAX_GAS,
        block => block.min(MAX_GAS),
    };
    let mut ctx = Context::new(state, *chain, height, time_seconds);
    let signer = Signer { key: sender, address: tx.sender(), tx_index: 0 };
    ctx.begin_tx(signer, tx.tx.fee.gas_limit.min(limit));
    let size = u64::try_from(tx.size).unwrap_or(u64::MAX);
    ctx.charge(params.gas_per_byte.saturating_mul(size))?;
    ctx.isolated(|ctx| dispatch(ctx, &tx.body))?;
    // The limit of a transaction must reach the floor, whatever it uses.
    Ok(ctx.end_tx().0.max(gas::floor(state, &params, &tx)?))
}

/// An estimate costs its caller nothing, so it may not cost the node more than this.
const MAX_GAS: u64 = 10_000_000;
