//! Roots of past states, which consensus keeps in its own state: who claims to have followed this
//! chain to some height names the root there.
//!
//! Each block that changes anything records the root of the state that it builds on. A quiet block
//! records nothing, so that it leaves the app hash as it is; the root of its height is the one that
//! the next record has.

use paralith_consensus_api::Error;
use paralith_consensus_api::consensus::{STATE_ROOTS_KEPT, StateRoot, keys};
use paralith_types::{Hash, Height};

use crate::context::Context;

/// Records the root of the state that this block builds on.
pub(crate) fn record(ctx: &mut Context<'_>, root: Hash) {
    let height = ctx.height().minus(1);
    // AT-5: by height modulo what is kept, so that state does not grow.
    ctx.set(keys::state_root(height), &StateRoot { height, root });
}

/// The root of the state after the block at `height`; none if that is this block or a later one, or
/// lies [`STATE_ROOTS_KEPT`] blocks back.
pub(crate) fn root_of(ctx: &Context<'_>, height: Height) -> Result<Option<Hash>, Error> {
    let now = ctx.height().0;
    if now.saturating_sub(height.0) > STATE_ROOTS_KEPT {
        return Ok(None);
    }
    for later in (height.0..now).map(Height) {
        let recorded: Option<StateRoot> = ctx.get(&keys::state_root(later))?;
        if let Some(recorded) = recorded.filter(|recorded| recorded.height == later) {
            return Ok(Some(recorded.root));
        }
    }
    Ok(None)
}
