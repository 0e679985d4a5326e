//! Transactions whose signatures this enclave has verified.
//!
//! A transaction is checked when it comes and executed when it is in a batch; its signature needs
//! to be verified once. Which are remembered decides how long a round takes, never what it gives.

use std::collections::BTreeSet;
use std::sync::Mutex;

use paralith_runtime_api::TxError;
use paralith_runtime_api::tx::{self, Verified};
use paralith_types::{ChainContext, Hash, RuntimeId};

use super::session::lock;

/// The newest of them, by hash: those of the last [`REMEMBERED`] at least.
#[derive(Debug, Default)]
pub(crate) struct KnownSignatures {
    sets: Mutex<Sets>,
}

#[derive(Debug, Default)]
struct Sets {
    newer: BTreeSet<Hash>,
    older: BTreeSet<Hash>,
}

/// As many as a pool holds, or twice that.
const REMEMBERED: usize = 50_000;

impl KnownSignatures {
    /// Reads a transaction and verifies its signature, if that was not done before.
    pub(crate) fn open(
        &self,
        raw: &[u8],
        chain: &ChainContext,
        runtime: &RuntimeId,
        bytes_max: usize,
    ) -> Result<Verified, TxError> {
        let read = tx::read(raw, chain, runtime, bytes_max)?;
        if lock(&self.sets).has(read.hash()) {
            return Ok(read.verified_before());
        }
        let verified = read.verify()?;
        lock(&self.sets).add(verified.hash);
        Ok(verified)
    }
}

impl Sets {
    fn has(&self, hash: &Hash) -> bool {
        self.newer.contains(hash) || self.older.contains(hash)
    }

    fn add(&mut self, hash: Hash) {
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(hash);
    }
}

#[cfg(test)]
mod tests {
    use paralith_crypto::SigningKey;
    use paralith_proto::Canonical;
    use paralith_runtime_api::tx::{Body, Call, SignedTransaction, Transaction, VERSION};
    use paralith_types::Amount;

    use super::*;

    const CHAIN: ChainContext = ChainContext([1; 32]);
    const RUNTIME: RuntimeId = RuntimeId([2; 32]);

    fn signed() -> SignedTransaction {
        let transaction = Transaction {
            version: VERSION,
            chain_context: CHAIN,
            runtime_id: RUNTIME,
            nonce: 0,
            fee: Amount::ZERO,
            gas_limit: 1,
            body: Body::Call(Call { method: "add".into(), args: Vec::new() }),
        };
        transaction.sign(&SigningKey::from_seed([3; 32]))
    }

    #[test]
    fn a_signature_that_is_known_gives_what_verifying_it_gave() {
        let known = KnownSignatures::default();
        let raw = signed().encode();
        let first = known.open(&raw, &CHAIN, &RUNTIME, 1_000).unwrap();
        let read = tx::read(&raw, &CHAIN, &RUNTIME, 1_000).unwrap();
        assert_eq!(first, read.verify().unwrap());
        assert_eq!(known.open(&raw, &CHAIN, &RUNTIME, 1_000).unwrap(), first);
    }

    #[test]
    fn a_wrong_signature_is_never_known_and_lends_nothing_of_a_right_one() {
        let known = KnownSignatures::default();
        known.open(&signed().encode(), &CHAIN, &RUNTIME, 1_000).unwrap();
        let mut forged = signed();
        forged.signature.0[0] ^= 1;
        for _ in 0..2 {
            let refused = known.open(&forged.encode(), &CHAIN, &RUNTIME, 1_000);
            assert_eq!(refused.unwrap_err(), TxError::InvalidSignature);
        }
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let mut sets = Sets::default();
        let number = |number: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&(number as u64).to_be_bytes());
            Hash(hash)
        };
        for one in 0..3 * REMEMBERED {
            sets.add(number(one));
        }
        assert!(sets.newer.len() + sets.older.len() <= 2 * REMEMBERED);
        assert!((2 * REMEMBERED..3 * REMEMBERED).all(|one| sets.has(&number(one))));
        assert!(!sets.has(&number(0)));
    }
}
