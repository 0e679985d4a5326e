//! How many calls of one client an endorser answers while one block lasts, and of all clients at once.
//!
//! A client is the key that signed. Keys cost nothing, so the bound of all calls at once keeps the
//! enclave's memory; that of one key only keeps one client from taking all places.

use std::collections::BTreeMap;

use paralith_types::PublicKey;

/// Calls at once.
pub(super) const CALLS_AT_ONCE: usize = 32;

/// Clients whose calls are counted in one block. Further ones wait for the next.
const MAX_CLIENTS: usize = 4096;

/// Counts calls by client while a block is the newest.
#[derive(Debug)]
pub(super) struct Quota {
    calls_per_block: u32,
    height: u64,
    calls: BTreeMap<PublicKey, u32>,
}

impl Quota {
    pub(super) fn new(calls_per_block: u32) -> Self {
        Self { calls_per_block, height: 0, calls: BTreeMap::new() }
    }

    /// Whether one more call of this client is answered at this height. It is counted then.
    pub(super) fn take(&mut self, height: u64, client: &PublicKey) -> bool {
        if height != self.height {
            self.height = height;
            self.calls.clear();
        }
        if !self.calls.contains_key(client) && self.calls.len() >= MAX_CLIENTS {
            return false;
        }
        let calls = self.calls.entry(*client).or_default();
        let admitted = *calls < self.calls_per_block;
        *calls = calls.saturating_add(u32::from(admitted));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_calls_in_each_block_and_no_more() {
        let mut quota = Quota::new(2);
        let [a, b] = [1, 2].map(|byte| PublicKey([byte; 32]));
        assert_eq!([(); 3].map(|()| quota.take(5, &a)), [true, true, false]);
        assert!(quota.take(5, &b), "another client has its own");
        assert!(quota.take(6, &a), "a new block, new calls");
    }

    #[test]
    fn fresh_keys_find_a_bounded_memory() {
        let mut quota = Quota::new(1);
        let key = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            PublicKey(bytes)
        };
        let admitted = (0..MAX_CLIENTS + 10).filter(|number| quota.take(1, &key(*number))).count();
        assert_eq!((admitted, quota.calls.len()), (MAX_CLIENTS, MAX_CLIENTS));
    }
}
