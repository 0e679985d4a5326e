//! Accounts that act on the chain.

use paralith_runtime_abi as abi;
use paralith_runtime_abi::Call;
use serde::Serialize;

use super::chain::Chain;
use super::{address, public_key, sha256};
use crate::{Amount, Export, Result, reply};

/// An account about to act. The setters change one act; the next `chain.sender(...)` starts afresh.
#[derive(Debug)]
pub struct Sender<'a> {
    chain: &'a mut Chain,
    name: String,
    fee: Amount,
    nonce: Option<u64>,
    gas_limit: u64,
    encrypted: bool,
}

impl<'a> Sender<'a> {
    pub(super) fn new(chain: &'a mut Chain, name: &str) -> Self {
        let encrypted = chain.context().confidential;
        let name = name.to_string();
        Self { chain, name, fee: Amount::ZERO, nonce: None, gas_limit: 1_000_000, encrypted }
    }

    /// Offers a fee (0 unless told).
    #[must_use]
    pub fn fee(mut self, fee: Amount) -> Self {
        self.fee = fee;
        self
    }

    /// Uses this nonce instead of the account's next.
    #[must_use]
    pub fn nonce(mut self, nonce: u64) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// Sets the gas limit, which is passed on and not enforced.
    #[must_use]
    pub fn gas_limit(mut self, gas_limit: u64) -> Self {
        self.gas_limit = gas_limit;
        self
    }

    /// Sends the call in the clear. Calls of confidential runtimes come in an envelope otherwise.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.encrypted = false;
        self
    }

    /// Sends a transaction: `authenticate`, then `execute`.
    pub fn call(self, method: &str, args: &impl Serialize) -> Result<Vec<u8>> {
        let args = reply(args)?;
        self.call_raw(method, &args)
    }

    /// Sends a transaction whose arguments are not JSON.
    pub fn call_raw(self, method: &str, args: &[u8]) -> Result<Vec<u8>> {
        let mut request = self.request();
        let (sender, nonce) = (address(&self.name), request.transaction.nonce);
        self.chain.transact(Export::Authenticate, &request)?;
        self.chain.nonces.insert(sender, nonce.saturating_add(1));
        request.call = Some(Call { method: method.into(), args: args.to_vec() });
        self.chain.transact(Export::Execute, &request)
    }

    /// Asks whether a transaction may wait in the pool: `check` on the last final state. Gives the
    /// sender's next nonce, if it has one.
    pub fn check(self) -> Result<Option<u64>> {
        let said = self.chain.check(&self.request())?;
        Ok(said.try_into().ok().map(u64::from_be_bytes))
    }

    /// Asks a signed query, on the state as if the open round ended here.
    pub fn query(self, method: &str, args: &impl Serialize) -> Result<Vec<u8>> {
        let call = Call { method: method.into(), args: reply(args)? };
        self.chain.query_as(address(&self.name).as_bytes().to_vec(), call)
    }

    fn request(&self) -> abi::TransactionRequest {
        let sender = address(&self.name);
        let nonce =
            self.nonce.unwrap_or_else(|| self.chain.nonces.get(&sender).copied().unwrap_or(0));
        let transaction = abi::Transaction {
            hash: sha256(&[sender.as_bytes(), &nonce.to_be_bytes()].concat()).to_vec(),
            sender: public_key(&self.name).0.to_vec(),
            sender_address: sender.as_bytes().to_vec(),
            nonce,
            fee: self.fee.to_be_bytes_minimal(),
            gas_limit: self.gas_limit,
            encrypted: self.encrypted,
        };
        abi::TransactionRequest { context: self.chain.context(), transaction, call: None }
    }
}
