//! Parameters of epochs.

use paralith_crypto::hash::{Domain, hash};
use paralith_proto::pb;
use paralith_types::{Epoch, Hash};

use crate::message::message;

message! {
    /// Parameters of epochs.
    Params = pb::beacon::v1::Params {
        /// Blocks in an epoch.
        epoch_blocks: u64,
        /// Seed of the beacon. With it, every election is known beforehand, so a chain that
        /// gives one is a test chain, and every listing says so.
        insecure_seed: Option<Hash>,
        /// How many epochs, from epoch 0 on, take `first_epoch_blocks` instead. It takes three
        /// epochs until committees are elected and the key manager has its first secrets: a chain
        /// may have them soon.
        first_epochs: u64,
        /// Blocks in each of the first epochs.
        first_epoch_blocks: u64,
    }
}

impl Params {
    /// Blocks in this epoch.
    pub fn blocks_of(&self, epoch: Epoch) -> u64 {
        if epoch.0 < self.first_epochs { self.first_epoch_blocks } else { self.epoch_blocks }
    }

    /// The randomness of an epoch, computed from the insecure seed; none without one.
    pub fn insecure_entropy(&self, epoch: Epoch) -> Option<Hash> {
        let seed = self.insecure_seed?;
        Some(hash(ENTROPY, &[seed.as_bytes(), &epoch.0.to_be_bytes()]))
    }

    /// Blocks in the shortest epoch there is.
    pub fn shortest_epoch_blocks(&self) -> u64 {
        match self.first_epochs {
            0 => self.epoch_blocks,
            _ => self.epoch_blocks.min(self.first_epoch_blocks),
        }
    }
}

const ENTROPY: Domain = Domain::new("paralith/beacon/insecure/v1");
