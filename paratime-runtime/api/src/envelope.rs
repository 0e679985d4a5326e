//! Encrypted calls and replies.
//!
//! **To seal a call.** Take the runtime's X25519 key of the running epoch, verified against the key
//! manager's signing key in consensus state. HPKE base mode, DHKEM(X25519, HKDF-SHA256) /
//! HKDF-SHA256 / ChaCha20-Poly1305 (RFC 9180), single shot: `info` = the encoded [`Info`], empty
//! AAD, plaintext = the encoded [`Plaintext`]: the call and 32 fresh random bytes, the reply key.
//! `sealed` = encapsulated key (32 bytes) || ciphertext. `info` binds the envelope to its chain,
//! runtime, epoch, sender and nonce: copied under another sender it does not open.
//!
//! **To open a reply.** Key = HKDF-SHA256 as `reply_key` says; AES-256-GCM-SIV with a nonce of
//! twelve zero bytes and empty AAD: the key is used once, as it binds the transaction, its round and
//! the whole proposal header.

use paralith_crypto::hash::Domain;
use paralith_crypto::hpke::{self, HpkeSecret};
use paralith_crypto::seal::{self, AeadKey};
use paralith_crypto::{CannotOpen, Zeroizing, kdf};
use paralith_proto::{Canonical, pb, wire_struct};
use paralith_types::{ChainContext, Epoch, Hash, PublicKey, Round, RuntimeId, X25519PublicKey};

use crate::EnvelopeError;
use crate::tx::{Call, Envelope, VERSION};

const REPLY_DOMAIN: Domain = Domain::new("paralith/paratime/reply/v1");

/// Most bytes of a decrypted envelope.
const MAX_PLAINTEXT_BYTES: usize = 4 * 1024 * 1024;

/// What is inside.
#[derive(Clone, PartialEq, Eq)]
pub struct Plaintext {
    /// 32 random bytes, fresh for each envelope.
    pub reply_key: Vec<u8>,
    /// What is called.
    pub call: Call,
}
wire_struct!(Plaintext, pb::paratime::v1::EnvelopePlaintext, { reply_key }, { call });

impl std::fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plaintext(secret)")
    }
}

/// What an envelope is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// [`VERSION`].
    pub version: u32,
    /// The chain.
    pub chain_context: ChainContext,
    /// The runtime.
    pub runtime_id: RuntimeId,
    /// The epoch of the key.
    pub epoch: Epoch,
    /// The sender's public key; empty for an unsigned query.
    pub sender: Vec<u8>,
    /// The sender's nonce; 0 for a query and for a call to endorse.
    pub nonce: u64,
    /// "transaction", "query" or "endorse".
    pub purpose: String,
}
wire_struct!(
    Info,
    pb::paratime::v1::EnvelopeInfo,
    { version, chain_context, runtime_id, epoch, sender, nonce, purpose },
    {}
);

impl Info {
    /// Of a transaction.
    pub fn transaction(
        chain_context: ChainContext,
        runtime_id: RuntimeId,
        epoch: Epoch,
        sender: &PublicKey,
        nonce: u64,
    ) -> Self {
        let sender = sender.as_bytes().to_vec();
        let purpose = "transaction".to_string();
        Self { version: VERSION, chain_context, runtime_id, epoch, sender, nonce, purpose }
    }

    /// Of a query.
    pub fn query(
        chain_context: ChainContext,
        runtime_id: RuntimeId,
        epoch: Epoch,
        sender: Option<&PublicKey>,
    ) -> Self {
        let sender = sender.map(|key| key.as_bytes().to_vec()).unwrap_or_default();
        let purpose = "query".to_string();
        Self { version: VERSION, chain_context, runtime_id, epoch, sender, nonce: 0, purpose }
    }

    /// Of a call that enclaves of an application execute and endorse. It has no nonce: who seals it
    /// binds it to one transaction by signing what it is part of.
    pub fn endorse(
        chain_context: ChainContext,
        application: RuntimeId,
        epoch: Epoch,
        sender: &PublicKey,
    ) -> Self {
        let (runtime_id, sender) = (application, sender.as_bytes().to_vec());
        let purpose = "endorse".to_string();
        Self { version: VERSION, chain_context, runtime_id, epoch, sender, nonce: 0, purpose }
    }
}

/// Seals a call to the runtime's epoch key. `randomness` must be fresh.
pub fn seal_call(
    runtime_key: &X25519PublicKey,
    info: &Info,
    call: Call,
    reply_key: [u8; 32],
    randomness: [u8; 32],
) -> Result<Envelope, EnvelopeError> {
    let plaintext = Zeroizing::new(Plaintext { call, reply_key: reply_key.to_vec() }.encode());
    let sealed = hpke::seal(runtime_key, &info.encode(), &[], &plaintext, randomness)
        .map_err(|_| EnvelopeError::BadRecipient)?;
    Ok(Envelope { epoch: info.epoch, sealed })
}

/// Opens an envelope with the runtime's epoch key.
pub fn open_call(
    secret: &HpkeSecret,
    info: &Info,
    envelope: &Envelope,
) -> Result<Plaintext, EnvelopeError> {
    let bytes = hpke::open(secret, &info.encode(), &[], &envelope.sealed)
        .map_err(|_| EnvelopeError::CannotOpen)?;
    let plaintext =
        Plaintext::decode(&bytes, MAX_PLAINTEXT_BYTES).map_err(|_| EnvelopeError::Malformed)?;
    if plaintext.reply_key.len() == 32 { Ok(plaintext) } else { Err(EnvelopeError::Malformed) }
}

/// The key of one reply: HKDF-SHA256 with the reply key as input, the transaction's hash (of a
/// query: of the query) as salt, and in `info` the round and the hash of the proposal header, which the
/// round's final header names (of a query: the round and the state root).
fn reply_key(reply_key: &[u8], subject: &Hash, round: Round, place: &Hash) -> AeadKey {
    let round = round.0.to_be_bytes();
    let info: [&[u8]; 2] = [&round, place.as_bytes()];
    AeadKey::from(kdf::derive(reply_key, subject.as_bytes(), REPLY_DOMAIN, &info))
}

/// Seals a reply.
pub fn seal_reply(
    key: &[u8],
    subject: &Hash,
    round: Round,
    place: &Hash,
    output: &[u8],
) -> Vec<u8> {
    seal::seal(&reply_key(key, subject, round, place), &[0; 12], &[], output)
}

/// Opens a reply.
pub fn open_reply(
    key: &[u8],
    subject: &Hash,
    round: Round,
    place: &Hash,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    seal::open(&reply_key(key, subject, round, place), &[0; 12], &[], sealed)
}
