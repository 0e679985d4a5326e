//! What can be known of a transaction before it runs, and what the pool remembers of its senders.
//!
//! In this order: its length (before anything is decoded), its one form, its chain, method and body,
//! its signature, whether its sender may send, its nonce, its gas floor, its price, the least balance,
//! its fee. The same functions serve admission, proposals and blocks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use paralith_consensus_api::consensus::{Error, Params};
use paralith_consensus_api::tx::{self, Body, SIGNATURE_DOMAIN, SignedTransaction, Transaction};
use paralith_consensus_api::{Error as AnyError, address};
use paralith_crypto::ed25519;
use paralith_proto::Canonical;
use paralith_storage::StateRead;
use paralith_types::{Address, Amount, ChainContext, Hash};

use crate::block::TxOutcome;
use crate::{gas, query};

/// A transaction that can be read. Its signature is another matter.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) hash: Hash,
    pub(crate) size: usize,
    pub(crate) signed: SignedTransaction,
    pub(crate) tx: Transaction,
    pub(crate) body: Body,
}

impl Candidate {
    /// Reads a transaction: everything but its signature.
    pub(crate) fn read(raw: &[u8], params: &Params, chain: &ChainContext) -> Result<Self, Error> {
        let limit = usize::try_from(params.max_tx_bytes).unwrap_or(usize::MAX);
        if raw.len() > limit {
            return Err(Error::Oversized { limit, got: raw.len() });
        }
        // SK-8: one encoding, this chain's context, a known method. The signature comes later.
        let signed = SignedTransaction::decode(raw, limit).map_err(Error::Malformed)?;
        let tx = signed.read(chain)?;
        let body = Body::decode(&tx.method, &tx.body)?;
        Ok(Self { hash: tx::hash_of(raw), size: raw.len(), signed, tx, body })
    }

    /// The sender's account.
    pub(crate) fn sender(&self) -> Address {
        address::of_key(&self.signed.public_key)
    }

    fn verify(&self, chain: &ChainContext) -> Result<(), Error> {
        let Self { signed, .. } = self;
        let key = &signed.public_key;
        ed25519::verify(key, SIGNATURE_DOMAIN, chain, &signed.transaction, &signed.signature)
            .map_err(|_| Error::InvalidSignature)
    }

    /// Refuses what would not get past the sender's account with this nonce and balance. `floor`: the
    /// least gas limit, from [`crate::gas::floor`].
    pub(crate) fn authorise(
        &self,
        params: &Params,
        floor: u64,
        nonce: u64,
        balance: Amount,
    ) -> Result<(), Error> {
        let sender = self.sender();
        if address::is_reserved(&sender) {
            return Err(Error::ReservedAddress { address: sender.to_string() });
        }
        // SK-9: each transaction runs once, in its sender's order.
        if self.tx.nonce != nonce || nonce == u64::MAX {
            return Err(Error::InvalidNonce { expected: nonce, got: self.tx.nonce });
        }
        let fee = &self.tx.fee;
        // SK-10: a limit below this would make the fee less than what the transaction costs.
        if fee.gas_limit < floor {
            return Err(Error::OutOfGas { needed: floor, limit: fee.gas_limit });
        }
        // SK-11: the price is due for the limit, which is what the block reserves.
        let least = params.min_gas_price.0.checked_mul(u128::from(fee.gas_limit));
        if least.is_none_or(|least| fee.amount.0 < least) {
            return Err(Error::GasPriceTooLow { minimum: params.min_gas_price.to_string() });
        }
        // SK-12: an account that cannot pay gets no entry in the state.
        let minimum = params.min_transact_balance;
        if balance < minimum {
            let (balance, minimum) = (balance.to_string(), minimum.to_string());
            return Err(Error::BalanceTooLow { balance, minimum });
        }
        if balance < fee.amount {
            let (balance, fee) = (balance.to_string(), fee.amount.to_string());
            return Err(Error::InsufficientFeeBalance { balance, fee });
        }
        Ok(())
    }
}

/// What the pool's transactions of one sender add up to.
#[derive(Debug, Clone, Copy)]
struct Pending {
    next_nonce: u64,
    fees: Amount,
}

/// What is remembered between blocks. It saves work and orders the pool, and never changes what a
/// block does.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    pending: BTreeMap<Address, Pending>,
    admitted: BTreeSet<Hash>,
    verified: BTreeSet<Hash>,
    /// The verified, oldest first.
    order: VecDeque<Hash>,
}

impl Admission {
    /// The pool is checked anew: [`recheck`] follows for each transaction that is still in it.
    pub(crate) fn block_committed(&mut self) {
        self.pending.clear();
        self.admitted.clear();
    }

    /// Whether the signature was found valid before; if not, whether it is now.
    pub(crate) fn verify(&self, chain: &ChainContext, tx: &Candidate) -> Result<(), Error> {
        if self.verified.contains(&tx.hash) { Ok(()) } else { tx.verify(chain) }
    }

    /// Turns the transactions whose signature does not fit into their refusal. Signatures that were
    /// verified at admission are not verified again, all others together.
    pub(crate) fn verify_all(&self, chain: &ChainContext, txs: &mut [Result<Candidate, Error>]) {
        let mut batch = ed25519::Batch::new();
        let unknown = |tx: &Candidate| !self.verified.contains(&tx.hash);
        for tx in txs.iter().flatten().filter(|tx| unknown(tx)) {
            let signed = &tx.signed;
            let (key, signature) = (&signed.public_key, &signed.signature);
            batch.push(key, SIGNATURE_DOMAIN, chain, &signed.transaction, signature);
        }
        // The weights come from a hash of the whole batch: every node draws the same.
        if batch.verify(chain.0).is_ok() {
            return;
        }
        for slot in txs.iter_mut() {
            if let Ok(tx) = slot
                && unknown(tx)
                && let Err(refusal) = tx.verify(chain)
            {
                *slot = Err(refusal);
            }
        }
    }

    fn remember_verified(&mut self, hash: Hash) {
        if self.verified.insert(hash) {
            self.order.push_back(hash);
        }
        while self.order.len() > MAX_VERIFIED {
            if let Some(oldest) = self.order.pop_front() {
                self.verified.remove(&oldest);
            }
        }
    }
}

/// Admits a transaction, or says why not.
pub(crate) fn check(
    state: &dyn StateRead,
    chain: &ChainContext,
    admission: &mut Admission,
    raw: &[u8],
) -> TxOutcome {
    outcome(admit(state, chain, admission, raw, Signature::Verify))
}

/// Admits a transaction that was admitted before.
pub(crate) fn recheck(
    state: &dyn StateRead,
    chain: &ChainContext,
    admission: &mut Admission,
    raw: &[u8],
) -> TxOutcome {
    outcome(admit(state, chain, admission, raw, Signature::Known))
}

/// Nothing is admitted before genesis is known.
pub(crate) fn not_ready() -> TxOutcome {
    let reason = "this node does not know genesis yet".to_string();
    refusal(&Error::StateUnavailable { reason }.into(), 0)
}

/// The outcome of a refused transaction.
pub(crate) fn refusal(error: &AnyError, gas_limit: u64) -> TxOutcome {
    TxOutcome { gas_limit, ..TxOutcome::refused(error.to_wire()) }
}

#[derive(PartialEq, Eq)]
enum Signature {
    Verify,
    Known,
}

fn outcome(result: Result<u64, (AnyError, u64)>) -> TxOutcome {
    match result {
        Ok(gas_limit) => TxOutcome { gas_limit, ..TxOutcome::default() },
        Err((error, gas_limit)) => refusal(&error, gas_limit),
    }
}

/// Gives the gas limit either way, if it could be read.
fn admit(
    state: &dyn StateRead,
    chain: &ChainContext,
    admission: &mut Admission,
    raw: &[u8],
    signature: Signature,
) -> Result<u64, (AnyError, u64)> {
    let params = query::consensus_params(state).map_err(|e| (e, 0))?;
    let tx = Candidate::read(raw, &params, chain).map_err(|e| (e.into(), 0))?;
    let gas_limit = tx.tx.fee.gas_limit;
    let refuse = |error: Error| (AnyError::from(error), gas_limit);

    if admission.admitted.contains(&tx.hash) {
        return Err(refuse(Error::Duplicate));
    }
    if params.max_block_gas != 0 && gas_limit > params.max_block_gas {
        let (needed, limit) = (gas_limit, params.max_block_gas);
        return Err(refuse(Error::OutOfGas { needed, limit }));
    }
    let sender = tx.sender();
    let floor = gas::floor(state, &params, &tx).map_err(|e| (e, gas_limit))?;
    let account = query::account(state, &sender).map_err(|e| (e, gas_limit))?;
    let pending = admission.pending.get(&sender).copied();
    let pending = pending.unwrap_or(Pending { next_nonce: account.nonce, fees: Amount::ZERO });
    let free = account.balance.sub(pending.fees).unwrap_or(Amount::ZERO);
    // A lookup is cheaper than a signature, so what a lookup refuses costs no more than that.
    tx.authorise(&params, floor, pending.next_nonce, free).map_err(refuse)?;
    if signature == Signature::Verify {
        admission.verify(chain, &tx).map_err(refuse)?;
        admission.remember_verified(tx.hash);
    }
    // The fee is at most `free`: the sum is at most the balance.
    let fees = Amount(pending.fees.0.saturating_add(tx.tx.fee.amount.0));
    let next_nonce = pending.next_nonce.saturating_add(1);
    admission.pending.insert(sender, Pending { next_nonce, fees });
    admission.admitted.insert(tx.hash);
    Ok(gas_limit)
}

/// How many verified signatures are remembered.
const MAX_VERIFIED: usize = 10_000;
