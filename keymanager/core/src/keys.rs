//! What a runtime's enclave derives from what the key manager gave it.

use std::fmt;

use paralith_crypto::{Domain, HpkeSecret, Zeroizing, kdf};
use paralith_types::Epoch;

use crate::secret::Secret;

const INDEX_KEY: Domain = Domain::new("paralith/km-index-key/v1");
const VALUE_KEY: Domain = Domain::new("paralith/km-value-key/v1");
const OUTPUT_KEY: Domain = Domain::new("paralith/km-output-key/v1");
const SEED_KEY: Domain = Domain::new("paralith/km-seed-key/v1");

/// A runtime's secrets: of generations 0 to the newest, and of the epochs whose calls it opens.
#[derive(Clone)]
pub struct RuntimeKeys {
    first: Secret,
    later: Vec<Secret>,
    /// Derived once: each call that comes is opened with one of them.
    epochs: Vec<(Epoch, HpkeSecret)>,
}

impl RuntimeKeys {
    /// Of the secrets of generations 0, 1, … and of some epochs; none without a generation.
    #[must_use]
    pub fn new(generations: Vec<Secret>, epochs: Vec<(Epoch, Secret)>) -> Option<Self> {
        let mut later = generations.into_iter();
        let first = later.next()?;
        let epochs = epochs
            .into_iter()
            .map(|(epoch, secret)| (epoch, HpkeSecret::from_ikm(secret.as_bytes())))
            .collect();
        Some(Self { first, later: later.collect(), epochs })
    }

    /// The newest generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.later.len() as u64
    }

    /// Turns a state key into the place where its value is stored. Fixed with generation 0: places
    /// never move.
    #[must_use]
    pub fn index_key(&self) -> Zeroizing<[u8; 32]> {
        derived(&self.first, INDEX_KEY)
    }

    /// Seals the values that were written under a generation.
    #[must_use]
    pub fn value_key(&self, generation: u64) -> Option<Zeroizing<[u8; 32]>> {
        self.secret(generation).map(|secret| derived(secret, VALUE_KEY))
    }

    /// Seals and blinds the outputs of rounds under a generation.
    #[must_use]
    pub fn output_key(&self, generation: u64) -> Option<Zeroizing<[u8; 32]>> {
        self.secret(generation).map(|secret| derived(secret, OUTPUT_KEY))
    }

    /// Seeds the randomness that transactions of a generation's rounds see.
    #[must_use]
    pub fn seed_key(&self, generation: u64) -> Option<Zeroizing<[u8; 32]>> {
        self.secret(generation).map(|secret| derived(secret, SEED_KEY))
    }

    /// Opens the calls that were sealed to an epoch's public key.
    #[must_use]
    pub fn epoch_key(&self, epoch: Epoch) -> Option<&HpkeSecret> {
        self.epochs.iter().find(|(of, _)| *of == epoch).map(|(_, key)| key)
    }

    /// The epochs that have a key here.
    pub fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.epochs.iter().map(|(epoch, _)| *epoch)
    }

    /// Takes over a newer reply's secrets; epoch keys that only the older one had stay.
    pub fn update(&mut self, newer: Self) {
        let mut epochs = newer.epochs;
        let (first, later) = if newer.later.len() >= self.later.len() {
            (newer.first, newer.later)
        } else {
            (self.first.clone(), std::mem::take(&mut self.later))
        };
        for (epoch, key) in std::mem::take(&mut self.epochs) {
            if !epochs.iter().any(|(of, _)| *of == epoch) {
                epochs.push((epoch, key));
            }
        }
        *self = Self { first, later, epochs };
    }

    /// Erases the keys of all epochs before this one.
    pub fn erase_before(&mut self, oldest: Epoch) {
        self.epochs.retain(|(epoch, _)| *epoch >= oldest);
    }

    fn secret(&self, generation: u64) -> Option<&Secret> {
        match generation.checked_sub(1) {
            None => Some(&self.first),
            Some(later) => self.later.get(usize::try_from(later).ok()?),
        }
    }
}

impl fmt::Debug for RuntimeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epochs: Vec<u64> = self.epochs().map(|epoch| epoch.0).collect();
        write!(f, "RuntimeKeys(generation {}, epochs {epochs:?})", self.generation())
    }
}

fn derived(secret: &Secret, domain: Domain) -> Zeroizing<[u8; 32]> {
    kdf::derive(secret.as_bytes(), &[], domain, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(generations: u8, epochs: &[u64]) -> RuntimeKeys {
        let generations = (1..=generations).map(|n| Secret::new([n; 32])).collect();
        let epochs = epochs.iter().map(|e| (Epoch(*e), Secret::new([*e as u8; 32]))).collect();
        RuntimeKeys::new(generations, epochs).unwrap()
    }

    /// Computed with Python's `hmac` (HKDF by hand) over the framing written out by hand.
    #[test]
    fn the_derivations_are_frozen() {
        let keys = keys(2, &[]);
        let shown = [
            hex::encode(*keys.index_key()),
            hex::encode(*keys.value_key(0).unwrap()),
            hex::encode(*keys.output_key(0).unwrap()),
            hex::encode(*keys.seed_key(0).unwrap()),
            hex::encode(*keys.value_key(1).unwrap()),
        ];
        assert_eq!(
            shown,
            [
                "cc9a0ce60add8a9f3a5bc22a69d3666d4e1a003786f84b0f5e984dfe8557db2c",
                "6958a061227bc8c6bcea54671c64bb0a7a9ffcb46dcca7dc2ff70d197edfdded",
                "e23b13b22156d98860ffcd22f8a5f86bb10926b557d4272021a3c392018f454b",
                "f4795e53203240ef7b9a1dc3589f665a667dbfa2d6ba005c61fcb98790365c3e",
                "ea162aa08c2664c9053dbc8c1bb6efd491303fabf4a4e354bad44f257588ecee",
            ]
        );
    }

    #[test]
    fn purposes_and_generations_have_nothing_in_common() {
        let keys = keys(3, &[]);
        let mut all = vec![*keys.index_key()];
        for generation in 0..=2 {
            all.push(*keys.value_key(generation).unwrap());
            all.push(*keys.output_key(generation).unwrap());
            all.push(*keys.seed_key(generation).unwrap());
        }
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "case {index}");
        }
        assert_eq!(keys.value_key(3), None);
        assert_eq!(keys.generation(), 2);
    }

    #[test]
    fn state_stays_where_it_is_when_generations_come() {
        assert_eq!(keys(1, &[]).index_key(), keys(3, &[]).index_key());
    }

    #[test]
    fn without_a_generation_there_are_no_keys() {
        assert!(RuntimeKeys::new(vec![], vec![(Epoch(1), Secret::new([1; 32]))]).is_none());
    }

    #[test]
    fn an_update_keeps_what_is_newer_and_erasing_removes() {
        let mut held = keys(2, &[4, 5]);
        held.update(keys(3, &[5, 6]));
        assert_eq!(held.generation(), 2);
        held.update(keys(1, &[]));
        assert_eq!(held.generation(), 2);
        held.erase_before(Epoch(5));
        assert_eq!(held.epochs().collect::<Vec<_>>(), [Epoch(5), Epoch(6)]);
        assert!(held.epoch_key(Epoch(4)).is_none());
        assert!(held.epoch_key(Epoch(6)).is_some());
        assert_eq!(format!("{held:?}"), "RuntimeKeys(generation 2, epochs [5, 6])");
    }
}
