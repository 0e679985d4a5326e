//! The entry by which a runtime is woken: written at the end of each round, outside of every call's
//! overlay, by the contract's rule ([`Wake::after`]).

use paralith_runtime_abi::WAKE_KEY;
use paralith_runtime_abi::wake::{Ended, Wake};

use super::error::EnclaveError;
use super::guest::Guest;
use super::state::RoundState;

/// Writes the entry anew at the end of a round.
pub(crate) fn settle(guest: &mut Guest<'_>, ended_well: bool) -> Result<(), EnclaveError> {
    let stored = guest.state.read(WAKE_KEY)?;
    let old = stored.as_deref().and_then(Wake::decode);
    let round = Ended {
        pinned: guest.context.consensus_height,
        asked: guest.wake_height,
        succeeded: ended_well,
    };
    let new = Wake::after(old, round);
    guest.state.write(WAKE_KEY.to_vec(), new.map(Wake::encode));
    guest.state.keep();
    Ok(())
}

/// The height at which the runtime wants its next round, if it wants one.
pub(crate) fn wake_height(state: &mut RoundState<'_>) -> Result<Option<u64>, EnclaveError> {
    let stored = state.read(WAKE_KEY)?;
    Ok(stored.as_deref().and_then(Wake::decode).map(|wake| wake.height))
}
