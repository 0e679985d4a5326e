//! Epoch secrets: in memory only, erased by age.
//!
//! Envelopes are sealed to keys derived from them. Once every enclave has erased an epoch's secret,
//! what was sent in that epoch stays closed even to who later breaks into one.

use std::collections::BTreeMap;

use paralith_consensus_api::keymanager::EpochChecksums;
use paralith_crypto::{Domain, kdf};
use paralith_types::{Epoch, Hash, RuntimeId};

use crate::error::SecretError;
use crate::secret::Secret;

const CHECKSUM: Domain = Domain::new("paralith/km-epoch-checksum/v1");

/// Most epochs whose secrets are held, whatever the policy says.
pub const MAX_EPOCH_SECRETS: u64 = 64;

/// The checksum of an epoch's secret.
#[must_use]
pub fn epoch_checksum(id: &RuntimeId, epoch: Epoch, secret: &Secret) -> Hash {
    let parts: [&[u8]; 2] = [id.as_bytes(), &epoch.0.to_be_bytes()];
    Hash(kdf::prf(secret.as_bytes(), CHECKSUM, &parts))
}

/// The epoch secrets that an enclave holds.
///
/// In epoch `e` those of `e + 1` (made in advance), `e`, `e - 1` and, if the policy wants more, as
/// many older ones are held; all others are erased when the epoch begins.
#[derive(Debug, Clone, Default)]
pub struct EpochSecrets {
    now: Epoch,
    max_age: u64,
    secrets: BTreeMap<Epoch, Secret>,
}

impl EpochSecrets {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { now: Epoch(0), max_age: 1, secrets: BTreeMap::new() }
    }

    /// An epoch begins, or a policy: what is too old is erased. Time does not go back.
    pub fn advance(&mut self, now: Epoch, max_age: u64) {
        self.now = self.now.max(now);
        // Envelopes of the epoch before are accepted, so its secret is always held.
        self.max_age = max_age.clamp(1, MAX_EPOCH_SECRETS);
        let oldest = self.oldest();
        self.secrets.retain(|epoch, _| *epoch >= oldest);
    }

    /// Takes a secret.
    pub fn insert(&mut self, epoch: Epoch, secret: Secret) -> Result<(), SecretError> {
        let (oldest, newest) = (self.oldest(), self.newest());
        if epoch < oldest || epoch > newest {
            let (oldest, newest, got) = (oldest.0, newest.0, epoch.0);
            return Err(SecretError::WrongEpoch { oldest, newest, got });
        }
        match self.secrets.get(&epoch) {
            Some(held) if *held != secret => Err(SecretError::AnotherSecret { epoch: epoch.0 }),
            Some(_) => Ok(()),
            None => {
                self.secrets.insert(epoch, secret);
                Ok(())
            }
        }
    }

    /// Takes a secret that another enclave has sent, if it has the checksum that was published for
    /// its epoch. An enclave that is broken into or that follows another chain cannot plant one.
    pub fn insert_replica(
        &mut self,
        id: &RuntimeId,
        epoch: Epoch,
        secret: Secret,
        published: &EpochChecksums,
    ) -> Result<(), SecretError> {
        let checksum = epoch_checksum(id, epoch, &secret);
        // KM-R2: only the published secret of its epoch.
        let known = published.checksums.iter().find(|one| one.epoch == epoch);
        if known.is_none_or(|known| known.checksum != checksum) {
            return Err(SecretError::WrongChecksum);
        }
        self.insert(epoch, secret)
    }

    /// The secret of an epoch.
    #[must_use]
    pub fn secret(&self, epoch: Epoch) -> Option<&Secret> {
        self.secrets.get(&epoch)
    }

    /// All, by epoch.
    pub fn iter(&self) -> impl Iterator<Item = (Epoch, &Secret)> {
        self.secrets.iter().map(|(epoch, secret)| (*epoch, secret))
    }

    /// Epochs up to the present one whose secrets would be held and are not.
    #[must_use]
    pub fn missing(&self) -> Vec<Epoch> {
        (self.oldest().0..=self.now.0)
            .map(Epoch)
            .filter(|epoch| !self.secrets.contains_key(epoch))
            .collect()
    }

    fn oldest(&self) -> Epoch {
        self.now.minus(self.max_age)
    }

    fn newest(&self) -> Epoch {
        self.now.next()
    }
}

#[cfg(test)]
mod tests {
    use paralith_consensus_api::keymanager::EpochChecksum;

    use super::*;

    fn held(secrets: &EpochSecrets) -> Vec<u64> {
        secrets.iter().map(|(epoch, _)| epoch.0).collect()
    }

    /// Computed with Python's `hmac` over the framing written out by hand.
    #[test]
    fn the_checksum_is_frozen() {
        let checksum = epoch_checksum(&RuntimeId([9; 32]), Epoch(7), &Secret::new([1; 32]));
        assert_eq!(
            hex::encode(checksum.0),
            "ac4e182d6a75a5473e0ce8b7dd725900e14b343d3bc7dd67dc4959441adba36b"
        );
    }

    #[test]
    fn what_is_too_old_is_erased_and_the_epoch_before_never() {
        for (max_age, expected) in
            [(0, vec![9, 10]), (1, vec![9, 10]), (2, vec![8, 9, 10]), (3, vec![7, 8, 9, 10])]
        {
            let mut secrets = EpochSecrets::new();
            for epoch in 0..=10 {
                secrets.advance(Epoch(epoch), max_age);
                secrets.insert(Epoch(epoch), Secret::new([1; 32])).unwrap();
            }
            assert_eq!(held(&secrets), expected, "age {max_age}");
            let oldest = Epoch(expected[0]);
            assert!(secrets.secret(oldest).is_some());
            secrets.advance(Epoch(11), max_age);
            assert_eq!(secrets.secret(oldest), None);
        }
    }

    #[test]
    fn no_policy_makes_it_keep_secrets_for_ever() {
        let mut secrets = EpochSecrets::new();
        for epoch in 0..200 {
            secrets.advance(Epoch(epoch), u64::MAX);
            secrets.insert(Epoch(epoch), Secret::new([1; 32])).unwrap();
        }
        assert_eq!(held(&secrets).len() as u64, MAX_EPOCH_SECRETS + 1);
    }

    #[test]
    fn secrets_are_taken_for_the_kept_epochs_and_the_next_one_only() {
        let mut secrets = EpochSecrets::new();
        secrets.advance(Epoch(10), 2);
        for (epoch, taken) in [(7, false), (8, true), (10, true), (11, true), (12, false)] {
            let result = secrets.insert(Epoch(epoch), Secret::new([1; 32]));
            assert_eq!(result.is_ok(), taken, "epoch {epoch}");
        }
        assert_eq!(secrets.missing(), [Epoch(9)]);
    }

    #[test]
    fn a_secret_is_never_replaced_by_another() {
        let mut secrets = EpochSecrets::new();
        secrets.insert(Epoch(1), Secret::new([1; 32])).unwrap();
        secrets.insert(Epoch(1), Secret::new([1; 32])).unwrap();
        let refused = secrets.insert(Epoch(1), Secret::new([2; 32]));
        assert_eq!(refused, Err(SecretError::AnotherSecret { epoch: 1 }));
    }

    #[test]
    fn a_replica_is_taken_only_with_the_checksum_that_was_published_for_its_epoch() {
        let id = RuntimeId([9; 32]);
        let secret = Secret::new([5; 32]);
        let checksum = epoch_checksum(&id, Epoch(4), &secret);
        let published =
            EpochChecksums { checksums: vec![EpochChecksum { epoch: Epoch(4), checksum }] };
        let mut secrets = EpochSecrets::new();
        secrets.advance(Epoch(4), 2);
        let mut take = |epoch, secret: &Secret, published: &EpochChecksums| {
            secrets.insert_replica(&id, Epoch(epoch), secret.clone(), published)
        };
        let refused = Err(SecretError::WrongChecksum);
        assert_eq!(take(4, &Secret::new([6; 32]), &published), refused);
        assert_eq!(take(3, &secret, &published), refused);
        assert_eq!(take(4, &secret, &EpochChecksums { checksums: vec![] }), refused);
        assert_eq!(take(4, &secret, &published), Ok(()));
        assert_eq!(held(&secrets), [4]);
    }

    #[test]
    fn time_does_not_go_back() {
        let mut secrets = EpochSecrets::new();
        secrets.advance(Epoch(10), 1);
        secrets.advance(Epoch(3), 1);
        assert!(secrets.insert(Epoch(3), Secret::new([1; 32])).is_err());
    }
}
