//! Transactions that wait to be proposed.
//!
//! * **Order.** Each sender's transactions leave in the order of their nonces. Among the senders, the
//!   one whose next transaction pays most for a unit of gas goes first; of equal prices the one that
//!   waits longest. A transaction that does not fit into a batch any more holds up its sender only.
//! * **Bounds.** Number and bytes of all transactions, and the number of each sender's. When the pool
//!   is full, the cheapest transaction goes if the new one pays more. A transaction is worth no more
//!   than those of its sender that have to leave before it.
//! * One transaction for each nonce of a sender: the first one stays.
//!
//! The pool is a promise to try: it is lost with the node.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use paralith_consensus_api::registry::Batching;
use paralith_types::{Amount, Hash, PublicKey};

use crate::machine::PoolView;

/// How much a pool holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most transactions.
    pub count_max: usize,
    /// Most bytes of all of them.
    pub bytes_max: usize,
    /// Most transactions of one sender.
    pub of_sender_max: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        // Some fifty full batches, and less memory than the pages of the state that are cached.
        Self { count_max: 50_000, bytes_max: 64 * 1024 * 1024, of_sender_max: 64 }
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
    /// What it pays, in the ParaTime's own units.
    pub fee: Amount,
    /// Most gas that it may use. The fee is for all of it.
    pub gas_limit: u64,
    /// As it travels.
    pub raw: Vec<u8>,
}

impl PoolTx {
    /// What it pays for a unit of gas, rounded down.
    fn price(&self) -> u128 {
        self.fee.0.checked_div(u128::from(self.gas_limit)).unwrap_or(self.fee.0)
    }
}

/// Why the pool does not take a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The pool has the transaction. Nobody's fault.
    #[error("the transaction is in the pool already")]
    Duplicate,
    /// The pool is full of transactions that pay at least as much. Nobody's fault.
    #[error(
        "the pool is full: try again when rounds have been made, or pay more for a unit of gas"
    )]
    Full,
    /// The sender has another transaction with this nonce in the pool. The sender's fault.
    #[error("another transaction of this sender with nonce {nonce} is in the pool")]
    NonceTaken {
        /// The nonce.
        nonce: u64,
    },
    /// The sender has as many transactions in the pool as it may have. The sender's fault.
    #[error("{limit} transactions of this sender wait already: try again when some are final")]
    SenderFull {
        /// How many it may have.
        limit: usize,
    },
}

#[derive(Debug)]
struct Entry {
    tx: PoolTx,
    /// Of `tx`; a division of 128 bits, so it is made once.
    price: u128,
    since_ms: u64,
    /// When it was last found to be one that would be authenticated.
    checked_ms: u64,
    order: u64,
}

#[derive(Debug, Clone, Copy)]
struct NextNonce {
    nonce: u64,
    /// Whether the runtime's `check` reported it: then it reports it again.
    reported: bool,
}

/// A sender's last transaction: the lowest price among its transactions, and when it came.
type Tail = (u128, Reverse<u64>, PublicKey);

/// The pool.
#[derive(Debug)]
pub struct TxPool {
    limits: PoolLimits,
    by_sender: BTreeMap<PublicKey, BTreeMap<u64, Entry>>,
    by_hash: BTreeMap<Hash, (PublicKey, u64)>,
    /// Every sender's tail: the first of them goes first when the pool is full.
    tails: BTreeSet<Tail>,
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
            tails: BTreeSet::new(),
            next_nonces: BTreeMap::new(),
            bytes: 0,
            arrivals: 0,
            view: None,
        }
    }

    /// Whether a transaction could be added; one that is certain to be refused is not checked.
    pub fn admits(&self, tx: &PoolTx) -> Result<(), PoolError> {
        if self.by_hash.contains_key(&tx.hash) {
            return Err(PoolError::Duplicate);
        }
        if let Some(txs) = self.by_sender.get(&tx.sender) {
            if txs.contains_key(&tx.nonce) {
                return Err(PoolError::NonceTaken { nonce: tx.nonce });
            }
            if txs.len() >= self.limits.of_sender_max {
                return Err(PoolError::SenderFull { limit: self.limits.of_sender_max });
            }
        }
        if self.has_room(tx) || self.makes_room(tx) { Ok(()) } else { Err(PoolError::Full) }
    }

    fn has_room(&self, tx: &PoolTx) -> bool {
        self.by_hash.len() < self.limits.count_max
            && self.bytes.saturating_add(tx.raw.len()) <= self.limits.bytes_max
    }

    /// Whether there is room when those that are worth less are gone.
    fn makes_room(&self, tx: &PoolTx) -> bool {
        let worth = self.worth(tx);
        let (mut count, mut bytes) = (self.by_hash.len(), self.bytes);
        for (_, _, sender) in self.tails.range(..(worth, Reverse(u64::MAX), PublicKey([0; 32]))) {
            let txs = self.by_sender.get(sender).into_iter().flat_map(BTreeMap::values);
            let (cheap, freed) = txs.skip_while(|entry| entry.price >= worth).fold(
                (0_usize, 0_usize),
                |(count, bytes), entry| {
                    (count.saturating_add(1), bytes.saturating_add(entry.tx.raw.len()))
                },
            );
            count = count.saturating_sub(cheap);
            bytes = bytes.saturating_sub(freed);
            if count < self.limits.count_max
                && bytes.saturating_add(tx.raw.len()) <= self.limits.bytes_max
            {
                return true;
            }
        }
        false
    }

    /// What a transaction would be worth here: no more than those that leave before it.
    fn worth(&self, tx: &PoolTx) -> u128 {
        let before =
            self.by_sender.get(&tx.sender).into_iter().flat_map(|txs| txs.range(..tx.nonce));
        before.map(|(_, entry)| entry.price).fold(tx.price(), u128::min)
    }

    /// Adds a transaction. Those that had to go to make room are returned.
    pub fn add(&mut self, now_ms: u64, tx: PoolTx) -> Result<Vec<PoolTx>, PoolError> {
        self.admits(&tx)?;
        let mut gone = Vec::new();
        // RD-21: the last of the sender that is worth least goes, so that no gap arises.
        while !self.has_room(&tx) {
            let Some((_, _, sender)) = self.tails.first().copied() else { break };
            let last = self.by_sender.get(&sender).and_then(|txs| txs.last_key_value());
            let Some(hash) = last.map(|(_, entry)| entry.tx.hash) else { break };
            gone.extend(self.remove(&hash));
        }
        self.bytes = self.bytes.saturating_add(tx.raw.len());
        self.by_hash.insert(tx.hash, (tx.sender, tx.nonce));
        let order = self.arrivals;
        self.arrivals = self.arrivals.saturating_add(1);
        // A batch that is full stays full: the machine decides the same on it.
        if self.view.as_ref().is_some_and(|(_, view)| !view.full) {
            self.view = None;
        }
        let price = tx.price();
        let entry = Entry { since_ms: now_ms, checked_ms: now_ms, order, price, tx };
        let sender = entry.tx.sender;
        self.change(&sender, |txs| {
            txs.insert(entry.tx.nonce, entry);
        });
        Ok(gone)
    }

    /// Removes a transaction.
    pub fn remove(&mut self, hash: &Hash) -> Option<PoolTx> {
        let (sender, nonce) = self.by_hash.remove(hash)?;
        let mut removed = None;
        self.change(&sender, |txs| removed = txs.remove(&nonce));
        let tx = removed?.tx;
        self.bytes = self.bytes.saturating_sub(tx.raw.len());
        self.view = None;
        Some(tx)
    }

    /// Changes a sender's transactions, and its tail with them.
    fn change(&mut self, sender: &PublicKey, change: impl FnOnce(&mut BTreeMap<u64, Entry>)) {
        let txs = self.by_sender.entry(*sender).or_default();
        if let Some(before) = tail(sender, txs) {
            self.tails.remove(&before);
        }
        change(txs);
        match tail(sender, txs) {
            Some(after) => {
                self.tails.insert(after);
            }
            None => {
                self.by_sender.remove(sender);
            }
        }
    }

    /// A transaction is final: it leaves, and the sender's next one may follow.
    pub fn finalised(&mut self, hash: &Hash) {
        let Some(tx) = self.remove(hash) else {
            // It never was here, so this node lost track of somebody's nonces: better a refusal on
            // record than a transaction that waits for ever behind a gap that has closed. Where the
            // runtime reports nonces, the next check of what waits closes the gap.
            self.next_nonces.retain(|_, next| next.reported);
            self.view = None;
            return;
        };
        self.next_is(tx.sender, tx.nonce.saturating_add(1), false);
    }

    /// Takes note of what a runtime's `check` reported of a sender: its next nonce, 8 bytes
    /// big-endian. Any other value reports nothing.
    pub fn expect(&mut self, sender: PublicKey, reported: &[u8]) {
        if let Ok(next) = <[u8; 8]>::try_from(reported) {
            self.next_is(sender, u64::from_be_bytes(next), true);
        }
    }

    fn next_is(&mut self, sender: PublicKey, nonce: u64, reported: bool) {
        if self.next_nonces.len() >= self.limits.count_max {
            self.next_nonces.clear();
        }
        let known = self.next_nonces.get(&sender).copied();
        let next = NextNonce {
            nonce: known.map_or(nonce, |known| known.nonce.max(nonce)),
            reported: reported || known.is_some_and(|known| known.reported),
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
        let view = PoolView { waiting: count, full: batch.full, oldest_ms: batch.oldest_ms() };
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

    /// The next batch: of the senders' next transactions always the one that pays most.
    fn select(&self, batching: &Batching) -> Selection<'_> {
        let mut heads = BinaryHeap::new();
        let mut rest: BTreeMap<&PublicKey, _> = BTreeMap::new();
        for (sender, txs) in &self.by_sender {
            let expected = self.next_nonces.get(sender).map(|next| next.nonce);
            let mut waiting = consecutive(txs, expected);
            if let Some(first) = waiting.next() {
                heads.push(Head { price: first.price, turn: Reverse(first.order), entry: first });
                rest.insert(sender, waiting);
            }
        }
        let mut batch = Selection::default();
        // RD-19: of the senders' next transactions always the one that pays most.
        while let Some(Head { turn, entry, .. }) = heads.pop() {
            // What does not fit is not skipped: that would skip a nonce of its sender.
            // RD-20: filled by gas limits, which are what is paid for.
            if !batch.take(entry, batching) {
                continue;
            }
            if batch.txs.len() >= batching.max_batch_size as usize {
                batch.full = true;
                break;
            }
            if let Some(next) = rest.get_mut(&entry.tx.sender).and_then(Iterator::next) {
                // A later nonce has no earlier turn than the one before it.
                let turn = Reverse(turn.0.max(next.order));
                heads.push(Head { price: next.price, turn, entry: next });
            }
        }
        batch
    }
}

/// A sender's transactions in their order, up to the first gap: one after a gap would be recorded as
/// a refusal, and its sender would have to sign anew.
fn consecutive(
    txs: &BTreeMap<u64, Entry>,
    mut expected: Option<u64>,
) -> impl Iterator<Item = &Entry> {
    txs.iter().map_while(move |(nonce, entry)| {
        if expected.is_some_and(|expected| *nonce > expected) {
            return None;
        }
        expected = Some(nonce.saturating_add(1));
        Some(entry)
    })
}

fn tail(sender: &PublicKey, txs: &BTreeMap<u64, Entry>) -> Option<Tail> {
    let (_, last) = txs.last_key_value()?;
    let worth = txs.values().map(|entry| entry.price).fold(u128::MAX, u128::min);
    Some((worth, Reverse(last.order), *sender))
}

/// A sender's next transaction.
struct Head<'a> {
    price: u128,
    turn: Reverse<u64>,
    entry: &'a Entry,
}

impl Head<'_> {
    fn key(&self) -> (u128, Reverse<u64>, Reverse<PublicKey>) {
        (self.price, self.turn, Reverse(self.entry.tx.sender))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[derive(Default)]
struct Selection<'a> {
    txs: Vec<&'a Entry>,
    bytes: u64,
    gas: u64,
    /// Whether a transaction did not fit.
    full: bool,
}

impl<'a> Selection<'a> {
    /// Adds a transaction if it fits. Gas counts by the limit: that is what the sender pays for, and
    /// what the enclave holds a batch to.
    fn take(&mut self, entry: &'a Entry, batching: &Batching) -> bool {
        let bytes = self.bytes.saturating_add(entry.tx.raw.len().try_into().unwrap_or(u64::MAX));
        let gas = self.gas.saturating_add(entry.tx.gas_limit);
        if bytes > u64::from(batching.max_batch_bytes) || gas > batching.max_batch_gas {
            self.full = true;
            return false;
        }
        (self.bytes, self.gas) = (bytes, gas);
        self.txs.push(entry);
        true
    }

    fn oldest_ms(&self) -> Option<u64> {
        self.txs.iter().map(|entry| entry.since_ms).min()
    }
}

#[cfg(test)]
mod tests;
