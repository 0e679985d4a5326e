//! Master secrets, generation after generation.
//!
//! The checksum of a generation is a keyed hash of the checksum before it under the generation's
//! secret: who holds the secrets can check all of them against the newest checksum, which is in
//! consensus state, and a checksum reveals nothing about a secret. The chain begins with the key
//! manager's id.

use paralith_crypto::{Domain, kdf};
use paralith_types::{Hash, RuntimeId};

use crate::error::SecretError;
use crate::secret::Secret;

const CHECKSUM: Domain = Domain::new("paralith/km-checksum/v1");

/// The checksum of a generation, from its secret and the checksum before it (none: it is the first).
#[must_use]
pub fn next_checksum(
    id: &RuntimeId,
    generation: u64,
    secret: &Secret,
    previous: Option<&Hash>,
) -> Hash {
    let previous = previous.map_or(id.as_bytes(), Hash::as_bytes);
    let parts: [&[u8]; 3] = [id.as_bytes(), &generation.to_be_bytes(), previous];
    Hash(kdf::prf(secret.as_bytes(), CHECKSUM, &parts))
}

/// The master secrets of generations 0, 1, … that an enclave holds, without a gap.
#[derive(Debug, Clone)]
pub struct MasterSecrets {
    id: RuntimeId,
    secrets: Vec<Secret>,
    checksum: Option<Hash>,
}

impl MasterSecrets {
    /// None yet.
    #[must_use]
    pub const fn new(id: RuntimeId) -> Self {
        Self { id, secrets: Vec::new(), checksum: None }
    }

    /// What the enclave itself had sealed: these were checked when they were added.
    #[must_use]
    pub fn from_kept(id: RuntimeId, secrets: Vec<Secret>) -> Self {
        let mut kept = Self::new(id);
        for secret in secrets {
            kept.push(secret);
        }
        kept
    }

    /// Adds the generations that follow, if they lead to the checksum `accepted` that consensus
    /// state has for the last of them. All or none.
    pub fn extend(&mut self, secrets: Vec<Secret>, accepted: &Hash) -> Result<(), SecretError> {
        let mut longer = self.clone();
        for secret in secrets {
            longer.push(secret);
        }
        // KM-R1: all or none.
        if longer.checksum != Some(*accepted) {
            return Err(SecretError::WrongChecksum);
        }
        *self = longer;
        Ok(())
    }

    /// The checksum that this secret would have as the next generation.
    #[must_use]
    pub fn checksum_with(&self, secret: &Secret) -> Hash {
        next_checksum(&self.id, self.count(), secret, self.checksum.as_ref())
    }

    /// How many are held: the number of the next generation.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.secrets.len() as u64
    }

    /// The checksum of the newest; none before the first.
    #[must_use]
    pub const fn checksum(&self) -> Option<Hash> {
        self.checksum
    }

    /// The newest secret.
    #[must_use]
    pub fn newest(&self) -> Option<&Secret> {
        self.secrets.last()
    }

    /// All, from generation 0.
    #[must_use]
    pub fn all(&self) -> &[Secret] {
        &self.secrets
    }

    /// From this generation on; none if there is none of them.
    #[must_use]
    pub fn from_generation(&self, first: u64) -> &[Secret] {
        usize::try_from(first).ok().and_then(|first| self.secrets.get(first..)).unwrap_or(&[])
    }

    fn push(&mut self, secret: Secret) {
        self.checksum = Some(self.checksum_with(&secret));
        self.secrets.push(secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KM: RuntimeId = RuntimeId([9; 32]);

    fn chain(count: u8) -> MasterSecrets {
        MasterSecrets::from_kept(KM, (1..=count).map(|n| Secret::new([n; 32])).collect())
    }

    /// Computed with Python's `hmac` over the framing written out by hand.
    #[test]
    fn the_checksum_chain_is_frozen() {
        let frozen = [
            "f7bd0ae0c1a2019bf263d0cc17b8648bca13ecbe59bc119b48e68917b7ca549d",
            "319249b03bef53e319105c1443637bab536038fb04fa598bd7b6f1ec88c50ab5",
            "c1c4a8a5fc5ddf71646a74d6ab7f419fe1cd5d0585a69fd78c6e82cc32d12264",
        ];
        for (count, checksum) in (1..).zip(frozen) {
            assert_eq!(hex::encode(chain(count).checksum().unwrap().0), checksum);
        }
        assert_eq!(chain(0).checksum(), None);
    }

    #[test]
    fn generations_are_added_only_if_they_lead_to_the_accepted_checksum() {
        let accepted = chain(3).checksum().unwrap();
        let secrets = |numbers: &[u8]| numbers.iter().map(|n| Secret::new([*n; 32])).collect();
        for wrong in [&[2u8][..], &[2, 4], &[3, 2], &[2, 3, 4], &[1, 2, 3], &[]] {
            let mut held = chain(1);
            let result = held.extend(secrets(wrong), &accepted);
            assert_eq!(result, Err(SecretError::WrongChecksum), "{wrong:?}");
            assert_eq!((held.count(), held.checksum()), (1, chain(1).checksum()), "{wrong:?}");
        }
        let mut held = chain(1);
        held.extend(secrets(&[2, 3]), &accepted).unwrap();
        assert_eq!((held.count(), held.checksum()), (3, Some(accepted)));
    }

    #[test]
    fn a_checksum_depends_on_the_key_manager_the_generation_and_the_past() {
        let secret = Secret::new([1; 32]);
        let all = [
            next_checksum(&KM, 0, &secret, None),
            next_checksum(&KM, 1, &secret, None),
            next_checksum(&RuntimeId([8; 32]), 0, &secret, None),
            next_checksum(&KM, 0, &secret, Some(&Hash([1; 32]))),
            next_checksum(&KM, 0, &Secret::new([2; 32]), None),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "case {index}");
        }
    }

    #[test]
    fn generations_are_counted_from_zero() {
        let held = chain(3);
        assert_eq!(held.from_generation(1), [Secret::new([2; 32]), Secret::new([3; 32])]);
        assert!(held.from_generation(3).is_empty());
        assert!(held.from_generation(u64::MAX).is_empty());
        assert_eq!(held.newest(), Some(&Secret::new([3; 32])));
    }
}
