//! Transactions that wait to be proposed.
//!
//! Bounded in number and bytes; one transaction for each nonce of a sender; each sender's in the
//! order of their nonces, senders in the order in which they came. The pool is a promise to try:
//! it is lost with the node.

use std::collections::BTreeMap;

use paralith_consensus_api::registry::Batching;
use paralith_types::{Hash, PublicKey};

use crate::error::WorkerError;
use crate::round::PoolView;

/// How much a pool holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most transactions.
    pub count_max: usize,
    /// Most bytes of all of them.
    pub bytes_max: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        // Some fifty full batches, and less memory than the pages of the state that are cached.
        Self { count_max: 50_000, bytes_max: 64 * 1024 * 1024 }
    }
}

/// A transaction in the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolTx {
    /// Its hash.
    pub hash: Hash,
    /// Who signed it.
    pub sender: PublicKey,
    /// Its nonce.
    pub nonce: u64,
    /// Most gas that it may use.
    pub gas_limit: u64,
    /// As it travels.
    pub raw: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    tx: PoolTx,
    since_ms: u64,
    /// When it was last found to be one that would be authenticated.
    checked_ms: u64,
    order: u64,
}

#[derive(Debug, Clone, Copy)]
struct NextNonce {
    nonce: u64,
    /// Whether the runtime's `check` said so: then it will say again.
    told: bool,
}

/// The pool.
#[derive(Debug)]
pub struct TxPool {
    limits: PoolLimits,
    by_sender: BTreeMap<PublicKey, BTreeMap<u64, Entry>>,
    by_hash: BTreeMap<Hash, (PublicKey, u64)>,
    /// The nonce after the last final one that this node knows of a sender.
    next_nonces: BTreeMap<PublicKey, NextNonce>,
    bytes: usize,
    arrivals: u64,
    /// The last view, as long as it holds.
    view: Option<(Batching, PoolView)>,
}

impl TxPool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            by_sender: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            next_nonces: BTreeMap::new(),
            bytes: 0,
            arrivals: 0,
            view: None,
        }
    }

    /// Whether a transaction could be added; what is certain to be refused is not checked.
    pub fn admits(&self, tx: &PoolTx) -> Result<(), WorkerError> {
        if self.by_hash.contains_key(&tx.hash) {
            return Err(WorkerError::Duplicate);
        }
        if self.by_sender.get(&tx.sender).is_some_and(|txs| txs.contains_key(&tx.nonce)) {
            return Err(WorkerError::NonceTaken { nonce: tx.nonce });
        }
        let bytes = self.bytes.saturating_add(tx.raw.len());
        if self.by_hash.len() >= self.limits.count_max || bytes > self.limits.bytes_max {
            return Err(WorkerError::Full);
        }
        Ok(())
    }

    /// Adds a transaction.
    pub fn add(&mut self, now_ms: u64, tx: PoolTx) -> Result<(), WorkerError> {
        self.admits(&tx)?;
        self.bytes = self.bytes.saturating_add(tx.raw.len());
        self.by_hash.insert(tx.hash, (tx.sender, tx.nonce));
        let order = self.arrivals;
        self.arrivals = self.arrivals.saturating_add(1);
        // A batch that is full stays full, of the same transactions but for gaps that close: what a
        // machine decides on it is the same.
        if self.view.as_ref().is_some_and(|(_, view)| !view.full) {
            self.view = None;
        }
        let entry = Entry { since_ms: now_ms, checked_ms: now_ms, order, tx };
        self.by_sender.entry(entry.tx.sender).or_default().insert(entry.tx.nonce, entry);
        Ok(())
    }

    /// Removes a transaction.
    pub fn remove(&mut self, hash: &Hash) -> Option<PoolTx> {
        let (sender, nonce) = self.by_hash.remove(hash)?;
        let txs = self.by_sender.get_mut(&sender)?;
        let entry = txs.remove(&nonce)?;
        if txs.is_empty() {
            self.by_sender.remove(&sender);
        }
        self.bytes = self.bytes.saturating_sub(entry.tx.raw.len());
        self.view = None;
        Some(entry.tx)
    }

    /// A transaction is final: it leaves, and the sender's next one may follow.
    pub fn finalised(&mut self, hash: &Hash) {
        let Some(tx) = self.remove(hash) else {
            // It never was here, so we lost track of somebody's nonces: better a refusal on record
            // than a transaction that waits for ever behind a gap that has closed. Where the runtime
            // tells, the next check of what waits closes the gap.
            self.next_nonces.retain(|_, next| next.told);
            self.view = None;
            return;
        };
        self.next_is(tx.sender, tx.nonce.saturating_add(1), false);
    }

    /// Takes note of what a runtime's `check` said of a sender: its next nonce, 8 bytes big-endian.
    /// Whatever else it said says nothing.
    pub fn expect(&mut self, sender: PublicKey, said: &[u8]) {
        if let Ok(next) = <[u8; 8]>::try_from(said) {
            self.next_is(sender, u64::from_be_bytes(next), true);
        }
    }

    fn next_is(&mut self, sender: PublicKey, nonce: u64, told: bool) {
        if self.next_nonces.len() >= self.limits.count_max {
            self.next_nonces.clear();
        }
        let known = self.next_nonces.get(&sender).copied();
        let next = NextNonce {
            nonce: known.map_or(nonce, |known| known.nonce.max(nonce)),
            told: told || known.is_some_and(|known| known.told),
        };
        if known.is_none_or(|known| known.nonce != next.nonce) {
            self.view = None;
        }
        self.next_nonces.insert(sender, next);
    }

    /// What the machine needs to know.
    pub fn view(&mut self, batching: &Batching) -> PoolView {
        if let Some((of, view)) = &self.view
            && of == batching
        {
            return *view;
        }
        let batch = self.select(batching);
        let count = batch.txs.len().try_into().unwrap_or(u32::MAX);
        let view = PoolView { waiting: count, full: batch.full, oldest_ms: batch.oldest_ms };
        self.view = Some((batching.clone(), view));
        view
    }

    /// The transactions of the next batch, in order. They stay in the pool until they are final.
    pub fn batch(&self, batching: &Batching) -> Vec<PoolTx> {
        self.select(batching).txs.into_iter().map(|entry| entry.tx.clone()).collect()
    }

    /// Up to `limit` transactions that were last checked before `before_ms`, the oldest first. They
    /// count as checked now.
    pub fn to_recheck(&mut self, now_ms: u64, before_ms: u64, limit: usize) -> Vec<PoolTx> {
        let all = self.by_sender.values_mut().flat_map(BTreeMap::values_mut);
        let mut due: Vec<&mut Entry> = all.filter(|entry| entry.checked_ms < before_ms).collect();
        due.sort_by_key(|entry| entry.order);
        let mark = |entry: &mut Entry| {
            entry.checked_ms = now_ms;
            entry.tx.clone()
        };
        due.into_iter().take(limit).map(mark).collect()
    }

    /// All transactions, each sender's in their order.
    pub fn all(&self) -> Vec<PoolTx> {
        let all = self.by_sender.values().flat_map(BTreeMap::values);
        all.map(|entry| entry.tx.clone()).collect()
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    fn select(&self, batching: &Batching) -> Selection<'_> {
        let mut ready: Vec<&Entry> = Vec::new();
        for (sender, txs) in &self.by_sender {
            // A gap would be recorded as a refusal, and its sender would have to sign anew.
            let mut expected = self.next_nonces.get(sender).map(|next| next.nonce);
            for (nonce, entry) in txs {
                if expected.is_some_and(|expected| *nonce > expected) {
                    break;
                }
                expected = Some(nonce.saturating_add(1));
                ready.push(entry);
            }
        }
        // By the arrival of each sender's turn: later nonces never come before earlier ones.
        let mut turns: BTreeMap<PublicKey, u64> = BTreeMap::new();
        ready.sort_by_key(|entry| (entry.tx.sender, entry.tx.nonce));
        let mut ordered: Vec<(u64, &Entry)> = Vec::with_capacity(ready.len());
        for entry in ready {
            let turn = turns.entry(entry.tx.sender).or_default();
            *turn = entry.order.max(*turn);
            ordered.push((*turn, entry));
        }
        ordered.sort_by_key(|(turn, entry)| (*turn, entry.tx.nonce));
        fill(ordered.into_iter().map(|(_, entry)| entry), batching)
    }
}

struct Selection<'a> {
    txs: Vec<&'a Entry>,
    full: bool,
    oldest_ms: Option<u64>,
}

/// Takes transactions until the first that does not fit: skipping one could skip a nonce.
fn fill<'a>(entries: impl Iterator<Item = &'a Entry>, batching: &Batching) -> Selection<'a> {
    let (mut txs, mut full) = (Vec::new(), false);
    let (mut bytes, mut gas) = (0_u64, 0_u64);
    for entry in entries {
        bytes = bytes.saturating_add(entry.tx.raw.len().try_into().unwrap_or(u64::MAX));
        gas = gas.saturating_add(entry.tx.gas_limit);
        if bytes > u64::from(batching.max_batch_bytes) || gas > batching.max_batch_gas {
            full = true;
            break;
        }
        txs.push(entry);
        if txs.len() >= batching.max_batch_size as usize {
            full = true;
            break;
        }
    }
    let oldest_ms = txs.iter().map(|entry: &&Entry| entry.since_ms).min();
    Selection { txs, full, oldest_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batching(size: u32, bytes: u32, gas: u64) -> Batching {
        Batching {
            max_batch_size: size,
            max_batch_bytes: bytes,
            flush_timeout_ms: 10,
            propose_timeout_ms: 100,
            max_batch_gas: gas,
        }
    }

    fn tx(sender: u8, nonce: u64) -> PoolTx {
        let mut hash = [sender; 32];
        hash[0] = nonce as u8;
        PoolTx {
            hash: Hash(hash),
            sender: PublicKey([sender; 32]),
            nonce,
            gas_limit: 10,
            raw: vec![0; 100],
        }
    }

    fn order(pool: &TxPool, batching: &Batching) -> Vec<(u8, u64)> {
        pool.batch(batching).iter().map(|tx| (tx.sender.0[1], tx.nonce)).collect()
    }

    #[test]
    fn each_senders_transactions_leave_in_the_order_of_their_nonces() {
        let mut pool = TxPool::new(PoolLimits::default());
        for (sender, nonce) in [(1, 1), (2, 5), (1, 0), (2, 6)] {
            pool.add(0, tx(sender, nonce)).unwrap();
        }
        let all = batching(10, 10_000, 1_000);
        assert_eq!(order(&pool, &all), [(2, 5), (1, 0), (1, 1), (2, 6)]);
    }

    #[test]
    fn a_gap_is_not_proposed_until_it_closes() {
        let mut pool = TxPool::new(PoolLimits::default());
        for nonce in [0, 2] {
            pool.add(0, tx(1, nonce)).unwrap();
        }
        let all = batching(10, 10_000, 1_000);
        assert_eq!(order(&pool, &all), [(1, 0)]);
        pool.finalised(&tx(1, 0).hash);
        assert_eq!(order(&pool, &all), []);
        pool.add(0, tx(1, 1)).unwrap();
        assert_eq!(order(&pool, &all), [(1, 1), (1, 2)]);
    }

    #[test]
    fn a_gap_that_the_runtime_tells_of_is_waited_for() {
        let mut pool = TxPool::new(PoolLimits::default());
        let (all, sender) = (batching(10, 10_000, 1_000), tx(1, 0).sender);
        pool.expect(sender, b"not a nonce");
        pool.add(0, tx(1, 7)).unwrap();
        assert_eq!(order(&pool, &all), [(1, 7)], "nothing is known");
        pool.expect(sender, &5_u64.to_be_bytes());
        assert_eq!(order(&pool, &all), []);
        assert_eq!(pool.view(&all).waiting, 0);
        pool.add(0, tx(1, 6)).unwrap();
        pool.add(0, tx(1, 5)).unwrap();
        pool.expect(sender, &3_u64.to_be_bytes());
        assert_eq!(order(&pool, &all), [(1, 5), (1, 6), (1, 7)], "an older word changes nothing");
        assert_eq!(pool.view(&all).waiting, 3);
        pool.finalised(&tx(1, 5).hash);
        pool.remove(&tx(1, 6).hash);
        pool.finalised(&tx(1, 6).hash);
        assert_eq!(order(&pool, &all), [], "what closed elsewhere, the runtime tells");
        pool.expect(sender, &7_u64.to_be_bytes());
        assert_eq!(order(&pool, &all), [(1, 7)]);
    }

    #[test]
    fn a_gap_that_closed_elsewhere_holds_nobody_up() {
        let mut pool = TxPool::new(PoolLimits::default());
        pool.add(0, tx(1, 0)).unwrap();
        pool.finalised(&tx(1, 0).hash);
        pool.add(0, tx(1, 2)).unwrap();
        pool.finalised(&tx(1, 1).hash);
        assert_eq!(order(&pool, &batching(10, 10_000, 1_000)), [(1, 2)]);
    }

    #[test]
    fn a_batch_closes_by_number_bytes_and_gas() {
        let mut pool = TxPool::new(PoolLimits::default());
        for nonce in 0..4 {
            pool.add(7 + nonce, tx(1, nonce)).unwrap();
        }
        for (desc, limits, waiting, full) in [
            ("everything fits", batching(5, 400, 40), 4, false),
            ("as many as a batch takes", batching(4, 400, 40), 4, true),
            ("too many bytes", batching(5, 399, 40), 3, true),
            ("too much gas", batching(5, 400, 25), 2, true),
        ] {
            let view = PoolView { waiting, full, oldest_ms: Some(7) };
            assert_eq!(pool.view(&limits), view, "{desc}");
        }
    }

    #[test]
    fn what_is_known_of_the_pool_follows_its_changes() {
        let mut pool = TxPool::new(PoolLimits::default());
        let limits = batching(2, 1_000, 1_000);
        let seen = |pool: &mut TxPool| {
            let PoolView { waiting, full, oldest_ms } = pool.view(&limits);
            (waiting, full, oldest_ms)
        };
        assert_eq!(seen(&mut pool), (0, false, None));
        pool.add(3, tx(1, 0)).unwrap();
        assert_eq!(seen(&mut pool), (1, false, Some(3)));
        pool.add(4, tx(1, 1)).unwrap();
        pool.add(5, tx(1, 2)).unwrap();
        assert_eq!(seen(&mut pool), (2, true, Some(3)));
        pool.finalised(&tx(1, 0).hash);
        assert_eq!(seen(&mut pool), (2, true, Some(4)));
        pool.remove(&tx(1, 1).hash);
        assert_eq!(seen(&mut pool), (0, false, None), "behind a gap");
        let one = batching(1, 1_000, 1_000);
        pool.add(6, tx(1, 1)).unwrap();
        assert_eq!((seen(&mut pool).0, pool.view(&one).waiting), (2, 1), "other limits");
    }

    #[test]
    fn what_waits_long_is_checked_again_each_time_after_a_while() {
        let mut pool = TxPool::new(PoolLimits::default());
        pool.add(0, tx(2, 0)).unwrap();
        pool.add(1, tx(1, 0)).unwrap();
        pool.add(9, tx(3, 0)).unwrap();
        let mut due = |now_ms, limit| {
            let due = pool.to_recheck(now_ms, now_ms - 5, limit);
            due.iter().map(|tx| tx.sender.0[1]).collect::<Vec<_>>()
        };
        assert_eq!(due(10, 1), [2]);
        assert_eq!(due(10, 9), [1]);
        assert_eq!(due(15, 9), [3]);
        assert_eq!(due(16, 9), [2, 1]);
    }

    #[test]
    fn what_the_pool_cannot_take_is_refused_with_its_own_code() {
        let mut pool = TxPool::new(PoolLimits { count_max: 2, bytes_max: 250 });
        pool.add(0, tx(1, 0)).unwrap();
        let mut other = tx(1, 0);
        other.hash = Hash([9; 32]);
        let mut long = tx(3, 0);
        long.raw = vec![0; 151];
        for (desc, tx, code) in [("twice", tx(1, 0), 2), ("nonce", other, 4), ("bytes", long, 1)] {
            assert_eq!(pool.add(0, tx).unwrap_err().code(), code, "{desc}");
        }
        pool.add(0, tx(2, 0)).unwrap();
        assert_eq!(pool.add(0, tx(3, 0)).unwrap_err(), WorkerError::Full);
        pool.remove(&tx(1, 0).hash);
        pool.add(0, tx(3, 0)).unwrap();
        assert_eq!(pool.len(), 2);
    }
}
