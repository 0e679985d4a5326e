//! How an enclave learns that the chain it sees is alive.
//!
//! It makes a random blob, its node has it included in a block, and the enclave finds it in proven
//! state. So the state that it sees is no older than the blob.
//!
//! * A blob counts in the epoch in which it was made and in the next one. A host could keep an older
//!   one, to show it on another chain much later.
//! * It must have been included in the epoch of the state in which it is found.
//! * It counts once.

use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::registry;
use paralith_types::{Epoch, Hash};

use crate::TeeError;

/// Blobs that may wait at once; a host that asks for more loses the oldest.
const MAX_WAITING: usize = 8;

/// The blobs of an enclave.
#[derive(Debug, Clone, Default)]
pub struct Freshness {
    /// Made in an epoch and not found in state yet.
    waiting: Vec<(Epoch, Hash)>,
    proven: Option<(Epoch, Hash)>,
}

impl Freshness {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a blob that was made in this epoch.
    pub fn add(&mut self, epoch: Epoch, blob: Hash) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push((epoch, blob));
    }

    /// The node's newest proof as the state of an epoch has it: is it one of these blobs?
    pub fn confirm(
        &mut self,
        state: &EpochState,
        found: Option<&registry::Freshness>,
    ) -> Result<(), TeeError> {
        let epoch = state.epoch;
        let counts = |(made, blob): &(Epoch, Hash), found: &registry::Freshness| {
            *blob == found.blob && (*made == epoch || made.next() == epoch)
        };
        let found = found.filter(|found| {
            found.height >= state.height && self.waiting.iter().any(|one| counts(one, found))
        });
        let found = found.ok_or(TeeError::NotFresh { epoch: epoch.0 })?;
        self.waiting.retain(|(_, blob)| *blob != found.blob);
        // A host that shows an older state does not take a newer proof back.
        if self.proven.is_none_or(|(newest, _)| newest <= epoch) {
            self.proven = Some((epoch, found.blob));
        }
        Ok(())
    }

    /// An epoch runs: drops what does not count any more.
    pub fn enter(&mut self, epoch: Epoch) {
        self.waiting.retain(|(made, _)| *made >= epoch.minus(1));
    }

    /// The newest epoch in which freshness was proven, and the blob.
    #[must_use]
    pub const fn proven(&self) -> Option<(Epoch, Hash)> {
        self.proven
    }
}

#[cfg(test)]
mod tests {
    use paralith_types::Height;

    use super::*;

    const BLOB: Hash = Hash([1; 32]);

    fn state(epoch: u64) -> EpochState {
        EpochState {
            epoch: Epoch(epoch),
            height: Height(epoch * 10),
            next_height: Height(epoch * 10 + 10),
            entropy: Hash::ZERO,
        }
    }

    fn proof(height: u64) -> registry::Freshness {
        registry::Freshness { blob: BLOB, height: Height(height) }
    }

    #[test]
    fn a_blob_counts_in_its_epoch_and_the_next_if_it_was_included_there() {
        for (epoch, height, counts) in [
            (5, 50, true),
            (5, 49, false),
            (6, 60, true),
            (6, 59, false),
            (7, 70, false),
            (4, 45, false),
        ] {
            let mut freshness = Freshness::new();
            freshness.add(Epoch(5), BLOB);
            let confirmed = freshness.confirm(&state(epoch), Some(&proof(height)));
            assert_eq!(confirmed.is_ok(), counts, "epoch {epoch}, height {height}");
            assert_eq!(freshness.proven().is_some(), counts);
        }
    }

    #[test]
    fn it_counts_once_and_only_if_it_was_made_here() {
        let mut freshness = Freshness::new();
        let refused = Err(TeeError::NotFresh { epoch: 5 });
        assert_eq!(freshness.confirm(&state(5), Some(&proof(50))), refused);
        assert_eq!(freshness.confirm(&state(5), None), refused);
        freshness.add(Epoch(5), BLOB);
        assert_eq!(freshness.confirm(&state(5), Some(&proof(50))), Ok(()));
        assert_eq!(freshness.confirm(&state(5), Some(&proof(50))), refused);
        assert_eq!(freshness.proven(), Some((Epoch(5), BLOB)));
    }

    #[test]
    fn an_older_state_takes_nothing_back_and_waiting_blobs_are_bounded() {
        let mut freshness = Freshness::new();
        freshness.add(Epoch(5), BLOB);
        freshness.add(Epoch(6), Hash([2; 32]));
        let newer = registry::Freshness { blob: Hash([2; 32]), height: Height(60) };
        freshness.confirm(&state(6), Some(&newer)).unwrap();
        freshness.confirm(&state(5), Some(&proof(50))).unwrap();
        assert_eq!(freshness.proven(), Some((Epoch(6), Hash([2; 32]))));
        for n in 0..100 {
            freshness.add(Epoch(6), Hash([n; 32]));
        }
        assert_eq!(freshness.waiting.len(), MAX_WAITING);
        freshness.enter(Epoch(8));
        assert!(freshness.waiting.is_empty());
    }
}
