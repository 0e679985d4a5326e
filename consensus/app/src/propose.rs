//! Which of the pool's transactions go into a proposed block.

use std::collections::BTreeMap;

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
    let Ok(params) = query::consensus_params(state) else { return Vec::new() };
    let mut accounts: BTreeMap<Address, (u64, Amount)> = BTreeMap::new();
    let (mut bytes, mut gas) = (0_usize, 0_u64);
    let mut chosen = Vec::new();
    for raw in txs {
        let Ok(tx) = Candidate::read(&raw, &params, chain) else { continue };
        let sender = tx.sender();
        let (nonce, balance) = match accounts.get(&sender) {
            Some(known) => *known,
            None => match query::account(state, &sender) {
                Ok(account) => (account.nonce, account.balance),
                Err(_) => continue,
            },
        };
        let bytes_after = bytes.saturating_add(size_in_block(raw.len()));
        let gas_after = gas.saturating_add(tx.tx.fee.gas_limit);
        let fits = bytes_after <= max_bytes
            && (params.max_block_gas == 0 || gas_after <= params.max_block_gas);
        let Ok(floor) = gas::floor(state, &params, &tx) else { continue };
        let fine = tx.authorise(&params, floor, nonce, balance).is_ok()
            && admission.verify(chain, &tx).is_ok();
        if fits && fine {
            (bytes, gas) = (bytes_after, gas_after);
            let balance = balance.sub(tx.tx.fee.amount).unwrap_or(Amount::ZERO);
            accounts.insert(sender, (nonce.saturating_add(1), balance));
            chosen.push(raw);
        }
    }
    chosen
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
    select(state, chain, admission, txs.to_vec(), usize::MAX).len() == txs.len()
}

/// CometBFT counts a transaction as a field of its block's protobuf message: tag, length, bytes.
fn size_in_block(len: usize) -> usize {
    let bits = usize::BITS.saturating_sub(len.leading_zeros()).max(1);
    let varint = usize::try_from(bits.div_ceil(7)).unwrap_or(10);
    len.saturating_add(varint).saturating_add(1)
}
