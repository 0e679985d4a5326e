//! Epochs and their randomness.
//!
//! An epoch begins in the block whose height its predecessor has named, before anything else of that
//! block. Its randomness is `hash(seed, epoch)`: everybody who has genesis can compute every
//! election beforehand. Such a chain is a test chain, and a genesis without a seed is refused, since
//! this version has no other beacon. Epoch 0 begins with genesis.

mod state;
#[cfg(test)]
mod tests;

use paralith_consensus_api::Error;
use paralith_consensus_api::beacon::{self, EpochStarted, EpochState};
use paralith_consensus_api::genesis::Genesis;
use paralith_types::{Epoch, Hash, Height};

use crate::context::Context;

/// Epoch 0.
pub(crate) fn init_genesis(ctx: &mut Context<'_>, genesis: &Genesis) -> Result<(), Error> {
    let params = &genesis.params.beacon;
    let shortest = params.shortest_epoch_blocks();
    if shortest < MIN_EPOCH_BLOCKS {
        return Err(beacon::Error::EpochTooShort { got: shortest }.into());
    }
    state::set_params(ctx, params);
    // The genesis state itself belongs to no block: the first block is the first of epoch 0.
    let first = ctx.height().next();
    begin(ctx, params, Epoch(0), first)
}

/// Whether an epoch begins with this block; if so, it has begun.
pub(crate) fn begin_block(ctx: &mut Context<'_>) -> Result<bool, Error> {
    let now = state::epoch(ctx)?;
    if ctx.height() < now.next_height {
        return Ok(false);
    }
    let params = state::params(ctx)?;
    begin(ctx, &params, now.epoch.next(), ctx.height())?;
    Ok(true)
}

/// The randomness of the epoch that runs.
pub(crate) fn entropy(ctx: &Context<'_>) -> Result<Hash, Error> {
    Ok(state::epoch(ctx)?.entropy)
}

/// The block in which the epoch before the one that runs began; in epoch 0, its own first block.
pub(crate) fn previous_epoch_height(ctx: &Context<'_>) -> Result<Height, Error> {
    let now = state::epoch(ctx)?;
    match now.epoch.0.checked_sub(1) {
        Some(previous) => Ok(now.height.minus(state::params(ctx)?.blocks_of(Epoch(previous)))),
        None => Ok(now.height),
    }
}

fn begin(
    ctx: &mut Context<'_>,
    params: &beacon::Params,
    epoch: Epoch,
    height: Height,
) -> Result<(), Error> {
    let entropy = params.insecure_entropy(epoch).ok_or(beacon::Error::NoBeacon)?;
    let next_height = height.plus(params.blocks_of(epoch));
    state::set_epoch(ctx, &EpochState { epoch, height, next_height, entropy });
    ctx.emit(EpochStarted { epoch, height });
    Ok(())
}

/// In an epoch of one block nothing that takes effect in the next block could ever happen.
const MIN_EPOCH_BLOCKS: u64 = 2;
