//! Which of the pool's transactions go into a proposed block.

use std::collections::BTreeMap;

use paralith_consensus_api::consensus::Params;
use paralith_storage::StateRead;
use paralith_types::{Address, Amount, ChainContext};

use crate::check::{Admission, Candidate};
use crate::{gas, query};

/// Those transactions that fit and would be paid for, in their order.
///
/// A sender whose transaction is left out has all later ones left out too, since their nonces
/// follow on it.
pub(crate) fn select(
    state: &dyn StateRead,
    chain: &ChainContext,
    admission: &Admission,
    txs: Vec<Vec<u8>>,
    max_bytes: usize,
) -> Vec<Vec<u8>> {
    let Some(mut block) = Block::new(state, chain, admission, max_bytes) else { return Vec::new() };
    txs.into_iter().filter(|raw| block.takes(raw)).collect()
}

/// Whether each transaction of a proposed block fits and is paid for: an honest proposer leaves the
/// others out. It depends on the block and the committed state alone, so all honest validators agree.
pub(crate) fn accepts(
    state: &dyn StateRead,
    chain: &ChainContext,
    admission: &Admission,
    txs: &[Vec<u8>],
) -> bool {
    // SK-13: by the very function that honest proposers use.
    match Block::new(state, chain, admission, usize::MAX) {
        Some(mut block) => txs.iter().all(|raw| block.takes(raw)),
        None => txs.is_empty(),
    }
}

/// A block, transaction by transaction.
struct Block<'a> {
    state: &'a dyn StateRead,
    chain: &'a ChainContext,
    admission: &'a Admission,
    params: Params,
    max_bytes: usize,
    bytes: usize,
    gas: u64,
    /// Nonces and balances of the senders so far.
    accounts: BTreeMap<Address, (u64, Amount)>,
}

impl<'a> Block<'a> {
    /// An empty one; none if the state has no parameters.
    fn new(
        state: &'a dyn StateRead,
        chain: &'a ChainContext,
        admission: &'a Admission,
        max_bytes: usize,
    ) -> Option<Self> {
        let params = query::consensus_params(state).ok()?;
        let accounts = BTreeMap::new();
        Some(Self { state, chain, admission, params, max_bytes, bytes: 0, gas: 0, accounts })
    }

    /// Adds a transaction if it fits and is paid for.
    fn takes(&mut self, raw: &[u8]) -> bool {
        let Ok(tx) = Candidate::read(raw, &self.params, self.chain) else { return false };
        let sender = tx.sender();
        let (nonce, balance) = match self.accounts.get(&sender) {
            Some(known) => *known,
            None => match query::account(self.state, &sender) {
                Ok(account) => (account.nonce, account.balance),
                Err(_) => return false,
            },
        };
        let bytes = self.bytes.saturating_add(size_in_block(raw.len()));
        let gas = self.gas.saturating_add(tx.tx.fee.gas_limit);
        let max_gas = self.params.max_block_gas;
        if bytes > self.max_bytes || (max_gas != 0 && gas > max_gas) {
            return false;
        }
        let Ok(floor) = gas::floor(self.state, &self.params, &tx) else { return false };
        let fine = tx.authorise(&self.params, floor, nonce, balance).is_ok()
            && self.admission.verify(self.chain, &tx).is_ok();
        if fine {
            (self.bytes, self.gas) = (bytes, gas);
            let balance = balance.sub(tx.tx.fee.amount).unwrap_or(Amount::ZERO);
            self.accounts.insert(sender, (nonce.saturating_add(1), balance));
        }
        fine
    }
}

/// CometBFT counts a transaction as a field of its block's protobuf message: tag, length, bytes.
fn size_in_block(len: usize) -> usize {
    let bits = usize::BITS.saturating_sub(len.leading_zeros()).max(1);
    let varint = usize::try_from(bits.div_ceil(7)).unwrap_or(10);
    len.saturating_add(varint).saturating_add(1)
}
