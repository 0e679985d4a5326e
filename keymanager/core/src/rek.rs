//! The keys that published secrets are sealed to, one for each epoch.
//!
//! Ciphertexts stay on chain for ever. An enclave that kept one REK as long as it runs would open,
//! when it is broken into, every secret that was ever published to it. So it takes a new REK in each
//! epoch. The one before stays for that epoch: until the node has registered the new one, members
//! seal to the old one. Both are gone two epochs after they were made.

use std::fmt;

use paralith_crypto::HpkeSecret;
use paralith_types::{Epoch, X25519PublicKey};

use crate::secret::Secret;

/// The REK of the epoch that runs, and the one of the epoch before.
pub struct RecipientKeys {
    /// None until the enclave has seen an epoch.
    epoch: Option<Epoch>,
    current: HpkeSecret,
    previous: Option<HpkeSecret>,
}

impl fmt::Debug for RecipientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientKeys({:?}, {})", self.epoch, self.current.public())
    }
}

impl RecipientKeys {
    /// The first REK of an enclave that starts.
    #[must_use]
    pub fn new(fresh: &Secret) -> Self {
        let current = HpkeSecret::from_ikm(fresh.as_bytes());
        Self { epoch: None, current, previous: None }
    }

    /// Whether an epoch has begun since the current REK was made, or its epoch is not known yet.
    #[must_use]
    pub fn is_due(&self, now: Epoch) -> bool {
        self.epoch.is_none_or(|epoch| epoch < now)
    }

    /// An epoch has begun: `fresh` gives its REK, and the older ones are erased. Time does not go
    /// back. The first epoch that an enclave sees keeps the REK with which it started.
    pub fn advance(&mut self, now: Epoch, fresh: &Secret) {
        match self.epoch {
            Some(epoch) if epoch >= now => return,
            // KM-P1: the older key goes; what was published to it opens no more.
            Some(epoch) => {
                let current = HpkeSecret::from_ikm(fresh.as_bytes());
                let replaced = std::mem::replace(&mut self.current, current);
                self.previous = (epoch.next() == now).then_some(replaced);
            }
            None => {}
        }
        self.epoch = Some(now);
    }

    /// The REK to register.
    #[must_use]
    pub fn public(&self) -> X25519PublicKey {
        self.current.public()
    }

    /// Both, the newer one first.
    pub fn all(&self) -> impl Iterator<Item = &HpkeSecret> {
        std::iter::once(&self.current).chain(self.previous.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(n: u8) -> Secret {
        Secret::new([n; 32])
    }

    fn rek(n: u8) -> X25519PublicKey {
        HpkeSecret::from_ikm(&[n; 32]).public()
    }

    fn held(keys: &RecipientKeys) -> Vec<X25519PublicKey> {
        keys.all().map(HpkeSecret::public).collect()
    }

    #[test]
    fn each_epoch_has_its_key_and_the_one_before_stays_for_an_epoch() {
        let mut keys = RecipientKeys::new(&fresh(1));
        assert!(keys.is_due(Epoch(5)));
        keys.advance(Epoch(5), &fresh(2));
        assert_eq!(held(&keys), [rek(1)]);
        assert!(!keys.is_due(Epoch(5)));
        keys.advance(Epoch(6), &fresh(3));
        assert_eq!(held(&keys), [rek(3), rek(1)]);
        keys.advance(Epoch(6), &fresh(4));
        keys.advance(Epoch(5), &fresh(4));
        assert_eq!(held(&keys), [rek(3), rek(1)]);
        keys.advance(Epoch(7), &fresh(5));
        assert_eq!(held(&keys), [rek(5), rek(3)]);
        assert_eq!(keys.public(), rek(5));
    }

    #[test]
    fn a_key_is_erased_after_two_epochs_also_if_one_was_not_seen() {
        let mut keys = RecipientKeys::new(&fresh(1));
        keys.advance(Epoch(5), &fresh(2));
        keys.advance(Epoch(7), &fresh(3));
        assert_eq!(held(&keys), [rek(3)]);
    }
}
