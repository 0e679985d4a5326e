//! What a handler knows and may do.

use std::fmt;

use paralith_runtime_abi as abi;
use prost::Message;

use crate::host::Host;
use crate::{
    Address, Amount, ChainContext, Error, Hash, PublicKey, Result, RuntimeId, SdkError, Signature,
    Value,
};

/// A call's surroundings: who asks, where and when, the state, and what the host offers.
///
/// Keys of the state are at most 1024 bytes and values at most 256 KiB; a longer one traps, like a
/// write to a key that starts with 0xff, which is the host's. Keys that start with 0 belong to the
/// SDK (collections, nonces); any other first byte is the runtime's own.
pub struct Context {
    pub(crate) host: Box<dyn Host>,
    place: Place,
    transaction: Option<Transaction>,
    caller: Option<Address>,
}

/// A transaction whose signature the host has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Hash of the signed transaction.
    pub hash: Hash,
    /// The signer's key.
    pub sender: PublicKey,
    /// The signer's consensus address.
    pub sender_address: Address,
    /// The signer's nonce in this runtime.
    pub nonce: u64,
    /// The offered fee in the runtime's own units.
    pub fee: Amount,
    /// Gas limit.
    pub gas_limit: u64,
    /// Whether the call came in an envelope, which only the runtime can open.
    pub encrypted: bool,
}

/// A message from a consensus account to the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// Its number in the runtime's queue.
    pub id: u64,
    /// The account that sent it.
    pub caller: Address,
    /// The sender's own tag.
    pub tag: u64,
    /// Base units paid as fee.
    pub fee: Amount,
    /// Base units deposited; they are in the runtime's consensus account already.
    pub tokens: Amount,
    /// Free data.
    pub data: Vec<u8>,
}

impl Context {
    pub(crate) fn new(host: Box<dyn Host>, place: abi::Context) -> Result<Self> {
        Ok(Self { host, place: Place::try_from(place)?, transaction: None, caller: None })
    }

    pub(crate) fn with_transaction(mut self, transaction: abi::Transaction) -> Result<Self> {
        self.transaction = Some(Transaction::try_from(transaction)?);
        Ok(self)
    }

    pub(crate) fn with_caller(mut self, caller: &[u8]) -> Result<Self> {
        if !caller.is_empty() {
            self.caller = Some(Address::try_from(caller).map_err(malformed)?);
        }
        Ok(self)
    }

    /// Writes a value.
    pub fn set<V: Value>(&mut self, key: &[u8], value: &V) {
        self.host.state_set(key, &value.to_bytes());
    }

    /// Removes a value, if it is there.
    pub fn remove(&mut self, key: &[u8]) {
        self.host.state_remove(key);
    }

    /// Fills `out` with random bytes that are the same on every replica.
    ///
    /// In `init`, `migrate` and `begin_block` they depend on the round and the block before alone. In
    /// a transaction and in `end_block` they depend on the proposal, too, which a scheduler can
    /// choose: draw what is worth something in `begin_block`, for what an earlier round has fixed. In
    /// a public runtime everybody can compute them once the block before is known.
    pub fn random(&mut self, out: &mut [u8]) {
        self.host.random(out);
    }

    /// Emits an event, **which everybody sees**, also when the runtime is confidential.
    pub fn emit_event(&mut self, topic: &str, data: &[u8]) {
        self.host.emit_event(topic.as_bytes(), data);
    }

    /// Pays out of the runtime's consensus account once the round is final. Everybody sees it.
    /// A later round's `begin_block` gets the result under this round and the returned index.
    pub fn transfer_out(&mut self, to: &Address, amount: Amount) -> Result<u32> {
        let transfer = abi::TransferMessage {
            to: to.as_bytes().to_vec(),
            amount: amount.to_be_bytes_minimal(),
        };
        let kind = Some(abi::ConsensusMessageKind::Transfer(transfer));
        let message = abi::ConsensusMessage { kind }.encode_to_vec();
        self.host.emit_message(&message).ok_or_else(|| SdkError::MessagesFull.into())
    }

    /// Asks that [`Runtime::reveal`](crate::Runtime::reveal) of `handle` be answered to everybody
    /// once this round is final. The handle itself is public.
    pub fn request_reveal(&mut self, handle: &[u8]) {
        self.host.request_reveal(handle);
    }

    /// Asks for a round that pins this consensus height or a later one, also if nobody sends
    /// anything. [`Timers`](crate::Timers) do it for you.
    ///
    /// Of all heights that are asked for, the host keeps the smallest; one that this round has
    /// reached counts as the next height. A round that reaches the kept height uses it up: ask again
    /// in that round for what is still to come. If its `begin_block` or `end_block` fails, the round
    /// is repeated 1, 2, 4 and at last every 1,024 heights later, until both succeed. What a call
    /// that is undone asked for is not kept. Traps in calls that only read.
    ///
    /// In a WebAssembly module it takes the crate's feature `abi-2`, which makes the module one of
    /// version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    pub fn wake_at(&mut self, height: u64) {
        self.host.wake_at(height);
    }

    /// Has this transaction an effect only if it is ordered before this consensus height. In a round
    /// that pins the height or a later one the call traps, so all that it did is undone; an application
    /// records the smallest of these heights, and who orders the call asks for it.
    ///
    /// In a WebAssembly module it takes the crate's feature `abi-2`.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    pub fn commit_before(&mut self, height: u64) {
        self.host.commit_before(height);
    }

    /// A value of consensus state at the pinned height, proven; while reading, at the newest proven
    /// height. Nothing if it is proven absent. **Hosts see the key.** Traps in `reveal`.
    ///
    /// In a WebAssembly module it takes the crate's feature `abi-2`.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    #[must_use]
    pub fn consensus_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.host.consensus_get(key)
    }

    /// Reads a value.
    pub fn get<V: Value>(&self, key: &[u8]) -> Result<Option<V>> {
        let Some(bytes) = self.host.state_get(key) else { return Ok(None) };
        match V::from_bytes(&bytes) {
            Some(value) => Ok(Some(value)),
            None => Err(SdkError::CorruptState { what: std::any::type_name::<V>() }.into()),
        }
    }

    /// Whether a value is there.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.host.state_get(key).is_some()
    }

    /// The transaction. An error outside of `authenticate`, `check` and `execute`.
    pub fn transaction(&self) -> Result<&Transaction> {
        self.transaction.as_ref().ok_or_else(|| SdkError::NoTransaction.into())
    }

    /// The signer's key.
    pub fn sender(&self) -> Result<PublicKey> {
        Ok(self.transaction()?.sender)
    }

    /// The signer's consensus address.
    pub fn sender_address(&self) -> Result<Address> {
        Ok(self.transaction()?.sender_address)
    }

    /// The transaction's nonce.
    pub fn nonce(&self) -> Result<u64> {
        Ok(self.transaction()?.nonce)
    }

    /// The offered fee in the runtime's own units.
    pub fn fee(&self) -> Result<Amount> {
        Ok(self.transaction()?.fee)
    }

    /// The transaction's gas limit.
    pub fn gas_limit(&self) -> Result<u64> {
        Ok(self.transaction()?.gas_limit)
    }

    /// The transaction's hash.
    pub fn tx_hash(&self) -> Result<Hash> {
        Ok(self.transaction()?.hash)
    }

    /// Whether the call came in an envelope.
    pub fn encrypted(&self) -> Result<bool> {
        Ok(self.transaction()?.encrypted)
    }

    /// Who asks a query, if it was signed.
    #[must_use]
    pub fn caller(&self) -> Option<Address> {
        self.caller
    }

    /// The round being executed; while reading, the round of the state read.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.place.round
    }

    /// The epoch at [`Context::consensus_height`].
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.place.epoch
    }

    /// The consensus height which this round builds on.
    #[must_use]
    pub fn consensus_height(&self) -> u64 {
        self.place.consensus_height
    }

    /// Whether the state is encrypted.
    #[must_use]
    pub fn confidential(&self) -> bool {
        self.place.confidential
    }

    /// The runtime's id.
    #[must_use]
    pub fn runtime_id(&self) -> RuntimeId {
        self.place.runtime_id
    }

    /// The runtime's own consensus account.
    #[must_use]
    pub fn runtime_address(&self) -> Address {
        self.place.runtime_address
    }

    /// Which chain this is: the hash of its genesis document.
    #[must_use]
    pub fn chain_context(&self) -> ChainContext {
        self.place.chain_context
    }

    /// A secret of this runtime, a different one for each purpose, the same on every replica.
    /// Traps in a public runtime, which has no secrets.
    #[must_use]
    pub fn derive_key(&self, purpose: &[u8]) -> [u8; 32] {
        self.host.derive_key(purpose)
    }

    /// A line for the developer, in the node's log. Confidential runtimes log nothing.
    pub fn log(&self, text: &str) {
        self.host.log(text.as_bytes());
    }

    /// SHA-256, by the host, which is faster than in WebAssembly.
    #[must_use]
    pub fn sha256(&self, data: &[u8]) -> Hash {
        Hash(self.host.sha256(data))
    }

    /// Whether an Ed25519 signature is valid by the rules of ZIP-215.
    #[must_use]
    pub fn ed25519_verify(&self, key: &PublicKey, signature: &Signature, message: &[u8]) -> bool {
        self.host.ed25519_verify(&key.0, &signature.0, message)
    }

    /// Whether the proof shows that the owner of this BLS key has its secret. The message names the key
    /// or its owner. Takes the feature `abi-2`, like the following.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    #[must_use]
    pub fn bls_possession(&self, key: &[u8; 96], message: &[u8], proof: &[u8; 48]) -> bool {
        self.host.bls_possession(key, message, proof)
    }

    /// Whether all of these BLS keys signed the message, by one aggregate signature: false for no keys.
    /// Traps for more than [`MAX_BLS_KEYS`](paralith_runtime_abi::MAX_BLS_KEYS).
    ///
    /// Take the keys from your own state, where [`Context::bls_possession`] was asked for each of them,
    /// never from the caller: an owner who may choose its key can else sign for all.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    #[must_use]
    pub fn bls_verify(&self, keys: &[[u8; 96]], message: &[u8], signature: &[u8; 48]) -> bool {
        self.host.bls_verify(keys.as_flattened(), message, signature)
    }

    /// Seals by HPKE in base mode with the given randomness: the encapsulated key, then the ciphertext.
    /// Nothing if the key is not usable. Kems: [`KEM_X25519`](paralith_runtime_abi::KEM_X25519) and
    /// [`KEM_X_WING`](paralith_runtime_abi::KEM_X_WING).
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    #[must_use]
    pub fn hpke_seal(
        &self,
        kem: u32,
        key: &[u8],
        info: &[u8],
        plaintext: &[u8],
        ikm: &[u8; 32],
    ) -> Option<Vec<u8>> {
        self.host.hpke_seal(kem, key, info, plaintext, ikm)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("place", &self.place)
            .field("transaction", &self.transaction)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

/// Where and when, parsed.
#[derive(Debug)]
struct Place {
    runtime_id: RuntimeId,
    chain_context: ChainContext,
    round: u64,
    epoch: u64,
    consensus_height: u64,
    confidential: bool,
    runtime_address: Address,
}

impl TryFrom<abi::Context> for Place {
    type Error = Error;
    fn try_from(context: abi::Context) -> Result<Self> {
        Ok(Self {
            runtime_id: RuntimeId::try_from(&context.runtime_id[..]).map_err(malformed)?,
            chain_context: ChainContext::try_from(&context.chain_context[..]).map_err(malformed)?,
            round: context.round,
            epoch: context.epoch,
            consensus_height: context.consensus_height,
            confidential: context.confidential,
            runtime_address: Address::try_from(&context.runtime_address[..]).map_err(malformed)?,
        })
    }
}

impl TryFrom<abi::Transaction> for Transaction {
    type Error = Error;
    fn try_from(transaction: abi::Transaction) -> Result<Self> {
        Ok(Self {
            hash: Hash::try_from(&transaction.hash[..]).map_err(malformed)?,
            sender: PublicKey::try_from(&transaction.sender[..]).map_err(malformed)?,
            sender_address: Address::try_from(&transaction.sender_address[..])
                .map_err(malformed)?,
            nonce: transaction.nonce,
            fee: Amount::from_be_bytes_minimal(&transaction.fee).map_err(malformed)?,
            gas_limit: transaction.gas_limit,
            encrypted: transaction.encrypted,
        })
    }
}

impl TryFrom<abi::IncomingMessage> for IncomingMessage {
    type Error = Error;
    fn try_from(message: abi::IncomingMessage) -> Result<Self> {
        Ok(Self {
            id: message.id,
            caller: Address::try_from(&message.caller[..]).map_err(malformed)?,
            tag: message.tag,
            fee: Amount::from_be_bytes_minimal(&message.fee).map_err(malformed)?,
            tokens: Amount::from_be_bytes_minimal(&message.tokens).map_err(malformed)?,
            data: message.data,
        })
    }
}

pub(crate) fn malformed(reason: impl ToString) -> Error {
    SdkError::MalformedRequest { reason: reason.to_string() }.into()
}
