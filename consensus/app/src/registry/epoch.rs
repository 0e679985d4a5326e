//! What an epoch changes in the registry, before its elections.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{Node, NodeExpired};
use paralith_types::Epoch;

use super::{account_of, node_claim, state};
use crate::context::Context;
use crate::{beacon, staking};

/// Changes of runtimes take effect, new nodes become electable, old ones expire.
pub(crate) fn begin(ctx: &mut Context<'_>) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    for runtime in state::next_runtimes(ctx)? {
        state::set_runtime(ctx, &runtime);
        state::remove_next_runtime(ctx, &runtime.id);
    }
    let debonding_epochs = staking::params(ctx)?.debonding_epochs;
    for node in state::nodes(ctx)? {
        if node.expiration.plus(debonding_epochs) < epoch {
            staking::remove_claim(ctx, &account_of(&node.entity_id), &node_claim(&node.id))?;
            state::remove_node(ctx, &node);
            state::remove_node_status(ctx, &node.id);
        } else {
            note_epoch(ctx, &node, epoch)?;
        }
    }
    // An enclave accepts a proof of the epoch that it is in; its view may be an epoch behind.
    let earliest = beacon::previous_epoch_height(ctx)?;
    state::forget_freshness(ctx, earliest)
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
