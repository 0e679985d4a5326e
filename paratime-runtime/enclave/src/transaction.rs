//! One transaction of a batch: opened, authenticated, its envelope opened, executed.
//!
//! * What cannot be read, is signed wrongly, or is of a kind that the runtime does not take, is
//!   recorded with its error and has no effect. So is one that fails `authenticate`.
//! * From there on what `authenticate` did stays: fee and nonce are used, whatever comes.
//! * An envelope that does not open, or is too old, gives an error. A key that this enclave should
//!   have and has not gives no result at all.

use paralith_consensus_api::registry::Runtime;
use paralith_keymanager_core::RuntimeKeys;
use paralith_proto::Canonical;
use paralith_runtime_abi as abi;
use paralith_runtime_api::envelope::{self, Info};
use paralith_runtime_api::output::{Error, Event, Output};
use paralith_runtime_api::tx::{
    self, Body, Call, Envelope, SignedTransaction, Transaction, Verified,
};
use paralith_runtime_api::{EnvelopeError, TxError};
use paralith_types::{Amount, ChainContext, Epoch, Hash};

use super::error::EnclaveError;
use super::guest::{Guest, HOST_MODULE};
use super::known::KnownSignatures;
use paralith_runtime_vm::Export;

/// Most bytes of a single transaction.
pub(crate) const MAX_TX_BYTES: usize = 2 * 1024 * 1024;

/// What calls of one round or query are opened with.
pub(crate) struct Opener<'a> {
    pub(crate) chain: &'a ChainContext,
    pub(crate) runtime: &'a Runtime,
    pub(crate) epoch: Epoch,
    pub(crate) keys: Option<&'a RuntimeKeys>,
    pub(crate) known: &'a KnownSignatures,
}

/// What a transaction gave.
pub(crate) struct Receipt {
    pub(crate) tx_hash: Hash,
    pub(crate) gas_used: u64,
    pub(crate) output: Output,
    pub(crate) events: Vec<Event>,
    /// Seals the output for the sender, if the call came in an envelope.
    pub(crate) reply_key: Option<Vec<u8>>,
}

impl Opener<'_> {
    /// Reads a transaction; an error is the sender's fault.
    pub(crate) fn open(&self, raw: &[u8]) -> Result<Verified, TxError> {
        let verified = self.known.open(raw, self.chain, &self.runtime.id, MAX_TX_BYTES)?;
        self.admit(&verified.transaction.body)?;
        self.admit_price(&verified.transaction)?;
        Ok(verified)
    }

    /// Whether the transaction pays for the room that it reserves in a batch: by its limit, since
    /// that is what keeps others out.
    fn admit_price(&self, transaction: &Transaction) -> Result<(), TxError> {
        let Runtime { max_tx_gas, min_gas_price, batching, .. } = self.runtime;
        let (limit, got) = ((*max_tx_gas).min(batching.max_batch_gas), transaction.gas_limit);
        if got > limit {
            return Err(TxError::GasLimit { limit, got });
        }
        // What overflows nobody can pay.
        // EN-11: the limit is charged, since it keeps others out of the batch.
        let least = min_gas_price.0.saturating_mul(u128::from(got));
        if transaction.fee.0 < least {
            return Err(TxError::FeeTooLow { least: Amount(least), got: transaction.fee });
        }
        Ok(())
    }

    /// The gas limit that a transaction counts with in its batch, if it can be read.
    pub(crate) fn gas_limit(&self, raw: &[u8]) -> Option<u64> {
        let signed = SignedTransaction::decode(raw, MAX_TX_BYTES).ok()?;
        let transaction = Transaction::decode(&signed.transaction, MAX_TX_BYTES).ok()?;
        Some(transaction.gas_limit)
    }

    /// Whether the runtime takes calls of this kind.
    pub(crate) fn admit(&self, body: &Body) -> Result<(), TxError> {
        let Runtime { confidential, allow_plain_calls, .. } = *self.runtime;
        match body {
            Body::Call(_) if confidential && !allow_plain_calls => Err(TxError::PlainNotAllowed),
            Body::Envelope(_) if !confidential => Err(TxError::EnvelopeNotAllowed),
            Body::Call(_) | Body::Envelope(_) => Ok(()),
        }
    }

    /// Whether envelopes of this epoch are accepted, by its number alone.
    pub(crate) fn admit_epoch(&self, got: Epoch) -> Result<(), EnvelopeError> {
        // EN-12: the running epoch and the one before.
        let (oldest, newest) = (self.epoch.minus(1), self.epoch);
        if (oldest..=newest).contains(&got) {
            return Ok(());
        }
        if got == newest.next() {
            return Err(EnvelopeError::NotYet { got: got.0 });
        }
        Err(EnvelopeError::WrongEpoch { oldest: oldest.0, newest: newest.0, got: got.0 })
    }

    /// Opens an envelope. The inner error is the sender's fault and a result.
    pub(crate) fn open_envelope(
        &self,
        info: &Info,
        sealed: &Envelope,
    ) -> Result<Result<(Call, Vec<u8>), EnvelopeError>, EnclaveError> {
        if let Err(error) = self.admit_epoch(sealed.epoch) {
            return Ok(Err(error));
        }
        let key = self.keys.and_then(|keys| keys.epoch_key(sealed.epoch));
        let key = key.ok_or_else(|| EnclaveError::NoKeys(format!("of epoch {}", sealed.epoch)))?;
        let plaintext = envelope::open_call(key, info, sealed);
        Ok(plaintext.map(|plaintext| (plaintext.call, plaintext.reply_key)))
    }
}

/// Executes one transaction of a batch.
pub(crate) fn execute(
    guest: &mut Guest<'_>,
    opener: &Opener<'_>,
    raw: &[u8],
) -> Result<Receipt, EnclaveError> {
    let mut receipt = Receipt {
        tx_hash: tx::hash_of(raw),
        gas_used: 0,
        output: Output::Ok(Vec::new()),
        events: Vec::new(),
        reply_key: None,
    };
    let verified = match opener.open(raw) {
        Ok(verified) => verified,
        Err(error) => {
            receipt.output = refused("paratime", error.code(), &error);
            return Ok(receipt);
        }
    };
    let mut request = request(guest.context.clone(), &verified);
    let limit = verified.transaction.gas_limit;
    let authenticated = guest.call(Export::Authenticate, &request, limit)?;
    receipt.gas_used = authenticated.gas_used;
    receipt.events = authenticated.events;
    if let Err(error) = authenticated.outcome {
        receipt.output = Output::Error(error);
        return Ok(receipt);
    }
    let transaction = &verified.transaction;
    let call = match &transaction.body {
        Body::Call(call) => call.clone(),
        Body::Envelope(sealed) => {
            let (chain, id) = (*opener.chain, opener.runtime.id);
            let (sender, nonce) = (&verified.sender, transaction.nonce);
            let info = Info::transaction(chain, id, sealed.epoch, sender, nonce);
            match opener.open_envelope(&info, sealed)? {
                Ok((call, reply_key)) => {
                    receipt.reply_key = Some(reply_key);
                    call
                }
                Err(error) => {
                    receipt.output = refused(EnvelopeError::MODULE, error.code(), error);
                    return Ok(receipt);
                }
            }
        }
    };
    request.call = Some(abi_call(call));
    let left = limit.saturating_sub(receipt.gas_used);
    let executed = guest.call(Export::Execute, &request, left)?;
    receipt.gas_used = receipt.gas_used.saturating_add(executed.gas_used);
    receipt.events.extend(executed.events);
    receipt.output = output(executed.outcome);
    Ok(receipt)
}

/// Whether a transaction would be authenticated: `check`, which may only read.
pub(crate) fn check(
    guest: &mut Guest<'_>,
    opener: &Opener<'_>,
    raw: &[u8],
) -> Result<Output, EnclaveError> {
    let verified = match opener.open(raw) {
        Ok(verified) => verified,
        Err(error) => return Ok(refused("paratime", error.code(), &error)),
    };
    if let Body::Envelope(sealed) = &verified.transaction.body
        && let Err(error) = opener.admit_epoch(sealed.epoch)
    {
        return Ok(refused(EnvelopeError::MODULE, error.code(), error));
    }
    let request = request(guest.context.clone(), &verified);
    let checked = guest.call(Export::Check, &request, verified.transaction.gas_limit)?;
    let output = output(checked.outcome);
    // Many answers share one frame.
    if output.encode().len() > MAX_CHECK_BYTES {
        let message = format!("the answer of `check` has more than {MAX_CHECK_BYTES} bytes");
        return Ok(refused(HOST_MODULE, CHECK_TOO_LONG, message));
    }
    Ok(output)
}

/// Longest answer of the runtime's `check`, encoded.
pub(crate) const MAX_CHECK_BYTES: usize = 4 * 1024;

/// The runtime's `check` answers with more than [`MAX_CHECK_BYTES`].
const CHECK_TOO_LONG: u32 = 4;

pub(crate) fn output(outcome: Result<Vec<u8>, Error>) -> Output {
    match outcome {
        Ok(value) => Output::Ok(value),
        Err(error) => Output::Error(error),
    }
}

/// A refusal by a module of the host's side of the contract.
pub(crate) fn refused(module: &str, code: u32, message: impl ToString) -> Output {
    Output::Error(Error { module: module.to_string(), code, message: message.to_string() })
}

pub(crate) fn abi_call(call: Call) -> abi::Call {
    abi::Call { method: call.method, args: call.args }
}

fn request(context: abi::Context, verified: &Verified) -> abi::TransactionRequest {
    let transaction = &verified.transaction;
    let transaction = abi::Transaction {
        hash: verified.hash.as_bytes().to_vec(),
        sender: verified.sender.as_bytes().to_vec(),
        sender_address: verified.sender_address.as_bytes().to_vec(),
        nonce: transaction.nonce,
        fee: transaction.fee.to_be_bytes_minimal(),
        gas_limit: transaction.gas_limit,
        encrypted: matches!(transaction.body, Body::Envelope(_)),
    };
    abi::TransactionRequest { context, transaction, call: None }
}
