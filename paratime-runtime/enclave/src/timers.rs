//! When a runtime is woken: the rule of the entry under [`WAKE_KEY`].
//!
//! The entry is part of the state, so no replica can forget a timer or invent one. It is written at
//! the end of each round, outside of every call's overlay, so no trap loses a timer: a round that was
//! due and in which the block's own calls failed is due again later.

use paralith_runtime_abi::WAKE_KEY;

use super::error::EnclaveError;
use super::guest::Guest;
use super::state::RoundState;

/// After so many failures in sequence the pause does not grow any more: 1,024 blocks.
const PAUSE_POWER_MAX: u8 = 10;

/// A wish to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wake {
    /// A round that pins this height or a later one is due.
    height: u64,
    /// How many due rounds in sequence failed.
    failures: u8,
}

impl Wake {
    fn encode(self) -> Vec<u8> {
        let mut bytes = self.height.to_be_bytes().to_vec();
        bytes.push(self.failures);
        bytes
    }

    /// Anything else than nine bytes is no entry: only the enclave writes it.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 9] = bytes.try_into().ok()?;
        let [height @ .., failures] = bytes;
        Some(Self { height: u64::from_be_bytes(height), failures })
    }
}

/// The entry after a round.
///
/// `asked` is the lowest height that calls of the round asked for and that were not undone, `pinned`
/// the height that the round pins. `ended_well`: `begin_block` and `end_block` succeeded, and `init`
/// or `migrate` if they were due.
fn after_round(
    old: Option<Wake>,
    asked: Option<u64>,
    pinned: u64,
    ended_well: bool,
) -> Option<Wake> {
    // AB-2: no round before the next block can serve an earlier wish.
    let asked = asked.map(|height| height.max(pinned.saturating_add(1)));
    let earliest = |height: u64| asked.map_or(height, |asked| asked.min(height));
    match old {
        Some(Wake { height, failures }) if height > pinned => {
            Some(Wake { height: earliest(height), failures })
        }
        Some(Wake { failures, .. }) if !ended_well => {
            let pause = 1_u64 << failures.min(PAUSE_POWER_MAX);
            let height = earliest(pinned.saturating_add(pause));
            Some(Wake { height, failures: failures.saturating_add(1) })
        }
        _ => asked.map(|height| Wake { height, failures: 0 }),
    }
}

/// Writes the entry anew at the end of a round.
pub(crate) fn settle(guest: &mut Guest<'_>, ended_well: bool) -> Result<(), EnclaveError> {
    let stored = guest.state.read(WAKE_KEY)?;
    let old = stored.as_deref().and_then(Wake::decode);
    let new = after_round(old, guest.wake_height, guest.context.consensus_height, ended_well);
    guest.state.write(WAKE_KEY.to_vec(), new.map(Wake::encode));
    guest.state.keep();
    Ok(())
}

/// The height at which the runtime wants its next round, if it wants one.
pub(crate) fn wake_height(state: &mut RoundState<'_>) -> Result<Option<u64>, EnclaveError> {
    let stored = state.read(WAKE_KEY)?;
    Ok(stored.as_deref().and_then(Wake::decode).map(|wake| wake.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_after_a_round_follows_from_the_one_before() {
        let wake = |height, failures| Some(Wake { height, failures });
        for (what, old, asked, ended_well, new) in [
            ("nothing asked for", None, None, true, None),
            ("asked for", None, Some(70), true, wake(70, 0)),
            ("asked for in a round that fails", None, Some(70), false, wake(70, 0)),
            ("what is past comes with the next block", None, Some(3), true, wake(51, 0)),
            ("so does the pinned height", None, Some(50), true, wake(51, 0)),
            ("not due: stays", wake(60, 3), None, true, wake(60, 3)),
            ("not due: stays in a round that fails", wake(60, 3), None, false, wake(60, 3)),
            ("not due: an earlier wish counts", wake(60, 3), Some(55), true, wake(55, 3)),
            ("not due: a later wish does not", wake(60, 3), Some(65), true, wake(60, 3)),
            ("due: done", wake(50, 3), None, true, None),
            ("due since long: done", wake(2, 0), None, true, None),
            ("due: the next wish", wake(50, 3), Some(80), true, wake(80, 0)),
            ("due and failed: after a block", wake(50, 0), None, false, wake(51, 1)),
            ("then after two", wake(50, 1), None, false, wake(52, 2)),
            ("at last after 1,024", wake(50, 10), None, false, wake(50 + 1024, 11)),
            ("and so on", wake(50, 255), None, false, wake(50 + 1024, 255)),
            ("an earlier wish comes first", wake(50, 9), Some(60), false, wake(60, 10)),
            ("a later one does not", wake(50, 1), Some(60), false, wake(52, 2)),
        ] {
            assert_eq!(after_round(old, asked, 50, ended_well), new, "{what}");
        }
    }

    #[test]
    fn heights_at_the_end_of_time_do_not_overflow() {
        let last = Some(Wake { height: u64::MAX, failures: 255 });
        assert_eq!(after_round(last, None, u64::MAX, false), last);
        let asked = after_round(None, Some(0), u64::MAX, true);
        assert_eq!(asked, Some(Wake { height: u64::MAX, failures: 0 }));
    }

    #[test]
    fn the_entry_has_nine_bytes() {
        let wake = Wake { height: 0x0102_0304_0506_0708, failures: 9 };
        assert_eq!(wake.encode(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(Wake::decode(&wake.encode()), Some(wake));
        assert_eq!(Wake::decode(&[0; 8]), None);
        assert_eq!(Wake::decode(&[0; 10]), None);
    }
}
