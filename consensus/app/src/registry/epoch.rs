//! What an epoch changes in the registry, before its elections.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{ConsensusKeyOwner, Node, NodeExpired};
use paralith_consensus_api::scheduler::Validators;
use paralith_types::Epoch;

use super::{account_of, comet_address, decisions, enclaves, is_frozen, node_claim, state};
use crate::context::Context;
use crate::{beacon, staking};

/// Changes of runtimes take effect, new nodes become electable, old ones expire. `validators`: the set
/// of the epoch that ends.
pub(crate) fn begin(ctx: &mut Context<'_>, validators: &Validators) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    for change in state::runtime_changes(ctx)? {
        if change.epoch <= epoch {
            state::set_runtime(ctx, &change.runtime);
            state::remove_runtime_change(ctx, &change.runtime.id);
            decisions::on_changed(ctx, &change.runtime)?;
        }
    }
    decisions::lapse(ctx, epoch)?;
    // SK-14: a validator that did not renew answers for what it signs as well.
    let evidence_until = epoch.plus(staking::params(ctx)?.debonding_epochs);
    for validator in &validators.validators {
        answer_until(ctx, &comet_address(&validator.consensus_key), evidence_until)?;
    }
    for node in state::nodes(ctx)? {
        if is_over(ctx, &node, epoch)? {
            forget(ctx, &node)?;
        } else {
            note_epoch(ctx, &node, epoch)?;
            // It may have expired, or its freeze may be over, or a descriptor may have changed.
            enclaves::refresh(ctx, &node)?;
        }
    }
    forget_owners(ctx, epoch)?;
    // An enclave accepts a proof of the epoch that it is in; its view may be an epoch behind.
    let earliest = beacon::previous_epoch_height(ctx)?;
    state::forget_freshness(ctx, earliest)
}

/// A validator answers for its key at least this long, even after its registration expired.
fn answer_until(ctx: &mut Context<'_>, address: &[u8; 20], until: Epoch) -> Result<(), Error> {
    if let Some(owner) = state::consensus_key_owner(ctx, address)?
        && owner.until < until
    {
        let owner = ConsensusKeyOwner { until, ..owner };
        state::set_consensus_key_owner(ctx, address, &owner);
    }
    Ok(())
}

/// Whether nothing that the node did can be punished any more.
fn is_over(ctx: &Context<'_>, node: &Node, epoch: Epoch) -> Result<bool, Error> {
    let owner = state::consensus_key_owner(ctx, &comet_address(&node.consensus_key))?;
    let until = owner.map_or(node.expiration, |owner| owner.until).max(node.expiration);
    // SK-16: its claim keeps the stake that evidence would take.
    Ok(until < epoch && !is_frozen(ctx, node)?)
}

fn forget(ctx: &mut Context<'_>, node: &Node) -> Result<(), Error> {
    staking::remove_claim(ctx, &account_of(&node.entity_id), &node_claim(&node.id))?;
    state::remove_node(ctx, node)?;
    state::remove_node_status(ctx, &node.id);
    Ok(())
}

/// Removes the owners of keys that no node has and against which no evidence counts any more.
fn forget_owners(ctx: &mut Context<'_>, epoch: Epoch) -> Result<(), Error> {
    for (address, owner) in state::consensus_key_owners(ctx)? {
        let node = state::node(ctx, &owner.node_id)?;
        let in_use = node.is_some_and(|node| comet_address(&node.consensus_key) == address);
        if owner.until < epoch && !in_use {
            state::remove_consensus_key_owner(ctx, &address);
        }
    }
    Ok(())
}

/// A node that registered in the epoch that ends is electable in the one that begins.
fn note_epoch(ctx: &mut Context<'_>, node: &Node, epoch: Epoch) -> Result<(), Error> {
    let mut status = state::node_status(ctx, &node.id)?;
    let before = status.clone();
    if status.election_eligible_after.is_none() {
        status.election_eligible_after = Some(epoch.minus(1).0);
    }
    if node.expiration < epoch && !status.expiration_processed {
        status.expiration_processed = true;
        ctx.emit(NodeExpired { node_id: node.id });
    }
    if status != before {
        state::set_node_status(ctx, &node.id, &status);
    }
    Ok(())
}
