//! Transactions that were admitted and are in no block yet, in the order of their admission.

use std::collections::BTreeMap;

use paralith_consensus_app::TxOutcome;
use paralith_types::Hash;

/// Admitted transactions.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    next: u64,
    bytes: usize,
    waiting: BTreeMap<u64, Waiting>,
    places: BTreeMap<Hash, u64>,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) hash: Hash,
    pub(crate) raw: Vec<u8>,
    pub(crate) outcome: TxOutcome,
}

impl Pool {
    /// Whether one more of this size fits.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.waiting.len() < MAX_TXS && self.bytes.saturating_add(len) <= MAX_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What admission said of a transaction that waits.
    pub(crate) fn outcome(&self, hash: &Hash) -> Option<&TxOutcome> {
        Some(&self.waiting.get(self.places.get(hash)?)?.outcome)
    }

    pub(crate) fn push(&mut self, hash: Hash, raw: Vec<u8>, outcome: TxOutcome) {
        if self.places.contains_key(&hash) {
            return;
        }
        let place = self.next;
        self.next = self.next.saturating_add(1);
        self.bytes = self.bytes.saturating_add(raw.len());
        self.places.insert(hash, place);
        self.waiting.insert(place, Waiting { hash, raw, outcome });
    }

    pub(crate) fn remove(&mut self, hash: &Hash) {
        if let Some(gone) = self.places.remove(hash).and_then(|place| self.waiting.remove(&place)) {
            self.bytes = self.bytes.saturating_sub(gone.raw.len());
        }
    }

    /// Asks of each that waits, in order, whether it is still fine, and drops the others.
    pub(crate) fn recheck(&mut self, mut check: impl FnMut(&[u8]) -> TxOutcome) {
        let mut refused = Vec::new();
        for waiting in self.waiting.values_mut() {
            let outcome = check(&waiting.raw);
            if outcome.code == 0 {
                waiting.outcome = outcome;
            } else {
                refused.push(waiting.hash);
            }
        }
        for hash in refused {
            self.remove(&hash);
        }
    }

    /// The oldest, up to this many bytes.
    pub(crate) fn oldest(&self, max_bytes: usize) -> Vec<Vec<u8>> {
        let mut bytes = 0_usize;
        let fits = |waiting: &&Waiting| {
            bytes = bytes.saturating_add(waiting.raw.len());
            bytes <= max_bytes
        };
        self.waiting.values().take_while(fits).map(|waiting| waiting.raw.clone()).collect()
    }
}

/// As many as CometBFT's own pool takes (see the engine's configuration of it): a larger one would
/// admit what that refuses.
const MAX_TXS: usize = 20_000;
const MAX_BYTES: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn pool_of(count: u8) -> Pool {
        let mut pool = Pool::default();
        for n in 0..count {
            pool.push(Hash([n; 32]), vec![n; 10], TxOutcome::default());
        }
        pool
    }

    #[test]
    fn order_is_kept_and_bytes_are_counted() {
        let mut pool = pool_of(4);
        pool.push(Hash([2; 32]), vec![9; 99], TxOutcome::default());
        pool.remove(&Hash([1; 32]));
        pool.remove(&Hash([1; 32]));
        assert_eq!(pool.bytes, 30);
        assert_eq!(pool.oldest(20), vec![vec![0; 10], vec![2; 10]]);
        assert_eq!(pool.oldest(29).len(), 2);
        assert_eq!(pool.oldest(30).len(), 3);
    }

    #[test]
    fn what_is_refused_at_a_recheck_goes() {
        let mut pool = pool_of(4);
        let mut seen = Vec::new();
        pool.recheck(|raw| {
            seen.push(raw[0]);
            TxOutcome { code: u32::from(raw[0] == 2), ..TxOutcome::default() }
        });
        assert_eq!(seen, [0, 1, 2, 3]);
        assert_eq!(pool.len(), 3);
        assert!(pool.outcome(&Hash([2; 32])).is_none());
    }
}
