//! Requests and replies between enclaves.
//!
//! A request is signed by the asking enclave's RAK. A reply is HPKE-sealed to the request's own reply
//! key, names the request by its hash, inside and outside of the seal, and is signed by the replying
//! enclave's RAK. The receiver looks both RAKs up in proven state; nothing of a message vouches for
//! itself. Signatures cover the chain and, by their domain, the version.
//!
//! Request and reply name a height and the state root there, as their makers have proven it. A chain
//! context names the genesis only, and a height only a number: validators that have left can sign
//! another chain from the same genesis. The receiver compares the root with its own.

use paralith_consensus_api::keymanager::Policy;
use paralith_crypto::{
    BadSignature, CannotSeal, Domain, HpkeSecret, SigningKey, Zeroizing, ed25519, hash, hpke,
};
use paralith_proto::{Canonical, DecodeError, pb, wire_struct};
use paralith_types::{
    ChainContext, Epoch, Hash, Height, PublicKey, RuntimeId, Signature, X25519PublicKey,
};

use crate::error::SecretError;
use crate::keys::RuntimeKeys;
use crate::secret::Secret;

/// The version of the protocol that requests name.
pub const PROTOCOL_VERSION: u32 = 1;

/// The longest message that is read.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

const KEY_REQUEST: Domain = Domain::new("paralith/km-key-request/v1");
const KEY_REPLY: Domain = Domain::new("paralith/km-key-reply/v1");
const KEY_SECRETS: Domain = Domain::new("paralith/km-key-secrets/v1");
const REPLICATION_REQUEST: Domain = Domain::new("paralith/km-replication-request/v1");
const REPLICATION_REPLY: Domain = Domain::new("paralith/km-replication-reply/v1");
const REPLICATION_SECRETS: Domain = Domain::new("paralith/km-replication-secrets/v1");

/// A compute enclave asks for its runtime's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
    /// The key manager.
    pub id: RuntimeId,
    /// Whose keys.
    pub runtime_id: RuntimeId,
    /// The node that hosts the asking enclave.
    pub node: PublicKey,
    /// The epoch that runs.
    pub epoch: Epoch,
    /// The blob of the asking enclave's last freshness proof.
    pub freshness: Hash,
    /// 32 fresh random bytes.
    pub nonce: Hash,
    /// The newest height that the asking enclave has proven.
    pub height: Height,
    /// The root of the state there.
    pub state_root: Hash,
    /// What the reply is sealed to: made for this request, erased when the reply is opened.
    pub reply_key: X25519PublicKey,
}
wire_struct!(
    KeyRequest,
    pb::keymanager::v1::KeyRequest,
    { version, id, runtime_id, node, epoch, freshness, nonce, height, state_root, reply_key },
    {}
);

/// A key-manager enclave asks another one for what it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationRequest {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
    /// The key manager.
    pub id: RuntimeId,
    /// The node that hosts the asking enclave.
    pub node: PublicKey,
    /// The epoch that runs.
    pub epoch: Epoch,
    /// The blob of the asking enclave's last freshness proof.
    pub freshness: Hash,
    /// 32 fresh random bytes.
    pub nonce: Hash,
    /// The first generation that it lacks; it lacks all later ones too.
    pub first_generation: u64,
    /// Epochs whose secrets it lacks.
    pub epochs: Vec<Epoch>,
    /// The newest height that the asking enclave has proven.
    pub height: Height,
    /// The root of the state there.
    pub state_root: Hash,
    /// What the reply is sealed to: made for this request, erased when the reply is opened.
    pub reply_key: X25519PublicKey,
}
wire_struct!(
    ReplicationRequest,
    pb::keymanager::v1::ReplicationRequest,
    {
        version, id, node, epoch, freshness, nonce, first_generation, epochs, height, state_root,
        reply_key
    },
    {}
);

/// The secret of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochSecret {
    /// The epoch.
    pub epoch: Epoch,
    /// Its secret.
    pub secret: Secret,
}
wire_struct!(EpochSecret, pb::keymanager::v1::EpochSecret, { epoch, secret }, {});

/// What a key reply holds, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReplySecrets {
    /// Of the request that it answers.
    pub request_hash: Hash,
    /// The newest height that the replier has proven: the asker follows the chain so far.
    pub height: Height,
    /// The root of the state there, which the asker compares with its own.
    pub state_root: Hash,
    /// The runtime's, of generations 0, 1, …
    pub generation_secrets: Vec<Secret>,
    /// The runtime's, by epoch.
    pub epoch_secrets: Vec<EpochSecret>,
}
wire_struct!(
    KeyReplySecrets,
    pb::keymanager::v1::KeyReplySecrets,
    { request_hash, height, state_root, generation_secrets, epoch_secrets },
    {}
);

impl KeyReplySecrets {
    /// The keys; none if there is no generation.
    #[must_use]
    pub fn into_keys(self) -> Option<RuntimeKeys> {
        let epochs = self.epoch_secrets.into_iter().map(|one| (one.epoch, one.secret)).collect();
        RuntimeKeys::new(self.generation_secrets, epochs)
    }
}

/// What a replication reply holds, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationSecrets {
    /// Of the request that it answers.
    pub request_hash: Hash,
    /// The newest height that the replier has proven: the asker follows the chain so far.
    pub height: Height,
    /// The root of the state there, which the asker compares with its own.
    pub state_root: Hash,
    /// Of the first master secret.
    pub first_generation: u64,
    /// Of that generation and the next ones.
    pub master_secrets: Vec<Secret>,
    /// By epoch.
    pub epoch_secrets: Vec<EpochSecret>,
}
wire_struct!(
    ReplicationSecrets,
    pb::keymanager::v1::ReplicationSecrets,
    { request_hash, height, state_root, first_generation, master_secrets, epoch_secrets },
    {}
);

/// What a key reply says in the open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReply {
    /// The key manager.
    pub id: RuntimeId,
    /// The node that hosts the replying enclave.
    pub node: PublicKey,
    /// Of the request that it answers.
    pub request_hash: Hash,
    /// [`KeyReplySecrets`].
    pub sealed: Vec<u8>,
}
wire_struct!(KeyReply, pb::keymanager::v1::KeyReply, { id, node, request_hash, sealed }, {});

/// What a replication reply says in the open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationReply {
    /// The key manager.
    pub id: RuntimeId,
    /// The node that hosts the replying enclave.
    pub node: PublicKey,
    /// Of the request that it answers.
    pub request_hash: Hash,
    /// [`ReplicationSecrets`].
    pub sealed: Vec<u8>,
}
wire_struct!(
    ReplicationReply,
    pb::keymanager::v1::ReplicationReply,
    { id, node, request_hash, sealed },
    {}
);

/// A key request with the asking enclave's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedKeyRequest {
    /// A [`KeyRequest`], encoded.
    pub request: Vec<u8>,
    /// The asking RAK's.
    pub signature: Signature,
}
wire_struct!(
    SignedKeyRequest,
    pb::keymanager::v1::SignedKeyRequest,
    { request, signature },
    {}
);

/// A replication request with the asking enclave's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReplicationRequest {
    /// A [`ReplicationRequest`], encoded.
    pub request: Vec<u8>,
    /// The asking RAK's.
    pub signature: Signature,
}
wire_struct!(
    SignedReplicationRequest,
    pb::keymanager::v1::SignedReplicationRequest,
    { request, signature },
    {}
);

/// A key reply with the replying enclave's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedKeyReply {
    /// A [`KeyReply`], encoded.
    pub reply: Vec<u8>,
    /// The replying RAK's.
    pub signature: Signature,
}
wire_struct!(SignedKeyReply, pb::keymanager::v1::SignedKeyReply, { reply, signature }, {});

/// A replication reply with the replying enclave's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReplicationReply {
    /// A [`ReplicationReply`], encoded.
    pub reply: Vec<u8>,
    /// The replying RAK's.
    pub signature: Signature,
}
wire_struct!(
    SignedReplicationReply,
    pb::keymanager::v1::SignedReplicationReply,
    { reply, signature },
    {}
);

/// A generation that is proposed and not accepted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSecret {
    /// Which generation.
    pub generation: u64,
    /// The epoch in which it is to be accepted.
    pub epoch: Epoch,
    /// Its secret.
    pub secret: Secret,
}
wire_struct!(PendingSecret, pb::keymanager::v1::PendingSecret, { generation, epoch, secret }, {});

/// What an enclave keeps between two runs, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Of generations 0, 1, …
    pub master_secrets: Vec<Secret>,
    /// A proposal that the enclave has confirmed to consensus: it must survive a restart.
    pub pending: Option<PendingSecret>,
    /// The newest header that was verified; empty: none.
    pub trusted_header: Vec<u8>,
    /// The newest policy that was followed.
    pub policy: Option<Policy>,
}
wire_struct!(
    Kept,
    pb::keymanager::v1::Kept,
    { master_secrets, pending, trusted_header, policy },
    {}
);

impl KeyRequest {
    /// What a reply names.
    #[must_use]
    pub fn hash(&self) -> Hash {
        hash(KEY_REQUEST, &[&self.encode()])
    }
}

impl ReplicationRequest {
    /// What a reply names.
    #[must_use]
    pub fn hash(&self) -> Hash {
        hash(REPLICATION_REQUEST, &[&self.encode()])
    }
}

impl SignedKeyRequest {
    /// Signs a request.
    #[must_use]
    pub fn sign(request: &KeyRequest, rak: &SigningKey, chain: &ChainContext) -> Self {
        let request = request.encode();
        let signature = rak.sign(KEY_REQUEST, chain, &request);
        Self { request, signature }
    }

    /// The request. Nobody has checked yet who signed it.
    pub fn unverified(&self) -> Result<KeyRequest, DecodeError> {
        KeyRequest::decode(&self.request, MAX_MESSAGE_BYTES)
    }

    /// Whether this RAK signed it.
    pub fn verify(&self, rak: &PublicKey, chain: &ChainContext) -> Result<(), BadSignature> {
        ed25519::verify(rak, KEY_REQUEST, chain, &self.request, &self.signature)
    }
}

impl SignedReplicationRequest {
    /// Signs a request.
    #[must_use]
    pub fn sign(request: &ReplicationRequest, rak: &SigningKey, chain: &ChainContext) -> Self {
        let request = request.encode();
        let signature = rak.sign(REPLICATION_REQUEST, chain, &request);
        Self { request, signature }
    }

    /// The request. Nobody has checked yet who signed it.
    pub fn unverified(&self) -> Result<ReplicationRequest, DecodeError> {
        ReplicationRequest::decode(&self.request, MAX_MESSAGE_BYTES)
    }

    /// Whether this RAK signed it.
    pub fn verify(&self, rak: &PublicKey, chain: &ChainContext) -> Result<(), BadSignature> {
        ed25519::verify(rak, REPLICATION_REQUEST, chain, &self.request, &self.signature)
    }
}

impl SignedKeyReply {
    /// Seals the secrets to the request's reply key and signs. `randomness` must be fresh.
    pub fn seal(
        (id, node): (&RuntimeId, &PublicKey),
        secrets: &KeyReplySecrets,
        reply_key: &X25519PublicKey,
        rak: &SigningKey,
        chain: &ChainContext,
        randomness: [u8; 32],
    ) -> Result<Self, CannotSeal> {
        let request_hash = secrets.request_hash;
        let info = seal_info(KEY_SECRETS, chain, id, &request_hash);
        let plaintext = Zeroizing::new(secrets.encode());
        let sealed = hpke::seal(reply_key, info.as_bytes(), &[], &plaintext, randomness)?;
        let reply = KeyReply { id: *id, node: *node, request_hash, sealed }.encode();
        let signature = rak.sign(KEY_REPLY, chain, &reply);
        Ok(Self { reply, signature })
    }

    /// What it says in the open. Nobody has checked yet who signed it.
    pub fn unverified(&self) -> Result<KeyReply, DecodeError> {
        KeyReply::decode(&self.reply, MAX_MESSAGE_BYTES)
    }

    /// The secrets for this request, if the enclave with this RAK sealed them to its reply key.
    /// [`crate::replier_rak`] gives the RAK of an enclave that may reply.
    pub fn open(
        &self,
        request: &KeyRequest,
        rak: &PublicKey,
        reply_key: &HpkeSecret,
        chain: &ChainContext,
    ) -> Result<KeyReplySecrets, SecretError> {
        ed25519::verify(rak, KEY_REPLY, chain, &self.reply, &self.signature)
            .map_err(|_| SecretError::BadSignature)?;
        let (reply, request_hash) = (self.unverified()?, request.hash());
        if (reply.id, reply.request_hash) != (request.id, request_hash) {
            return Err(SecretError::OtherRequest);
        }
        let info = seal_info(KEY_SECRETS, chain, &request.id, &request_hash);
        let plaintext = hpke::open(reply_key, info.as_bytes(), &[], &reply.sealed)
            .map_err(|_| SecretError::CannotOpen)?;
        let secrets = KeyReplySecrets::decode(&plaintext, MAX_MESSAGE_BYTES)?;
        if secrets.request_hash == request_hash {
            Ok(secrets)
        } else {
            Err(SecretError::OtherRequest)
        }
    }
}

impl SignedReplicationReply {
    /// Seals the secrets to the request's reply key and signs. `randomness` must be fresh.
    pub fn seal(
        (id, node): (&RuntimeId, &PublicKey),
        secrets: &ReplicationSecrets,
        reply_key: &X25519PublicKey,
        rak: &SigningKey,
        chain: &ChainContext,
        randomness: [u8; 32],
    ) -> Result<Self, CannotSeal> {
        let request_hash = secrets.request_hash;
        let info = seal_info(REPLICATION_SECRETS, chain, id, &request_hash);
        let plaintext = Zeroizing::new(secrets.encode());
        let sealed = hpke::seal(reply_key, info.as_bytes(), &[], &plaintext, randomness)?;
        let reply = ReplicationReply { id: *id, node: *node, request_hash, sealed }.encode();
        let signature = rak.sign(REPLICATION_REPLY, chain, &reply);
        Ok(Self { reply, signature })
    }

    /// What it says in the open. Nobody has checked yet who signed it.
    pub fn unverified(&self) -> Result<ReplicationReply, DecodeError> {
        ReplicationReply::decode(&self.reply, MAX_MESSAGE_BYTES)
    }

    /// The secrets for this request, if the enclave with this RAK sealed them to its reply key.
    /// [`crate::replier_rak`] gives the RAK of an enclave that may reply.
    pub fn open(
        &self,
        request: &ReplicationRequest,
        rak: &PublicKey,
        reply_key: &HpkeSecret,
        chain: &ChainContext,
    ) -> Result<ReplicationSecrets, SecretError> {
        ed25519::verify(rak, REPLICATION_REPLY, chain, &self.reply, &self.signature)
            .map_err(|_| SecretError::BadSignature)?;
        let (reply, request_hash) = (self.unverified()?, request.hash());
        if (reply.id, reply.request_hash) != (request.id, request_hash) {
            return Err(SecretError::OtherRequest);
        }
        let info = seal_info(REPLICATION_SECRETS, chain, &request.id, &request_hash);
        let plaintext = hpke::open(reply_key, info.as_bytes(), &[], &reply.sealed)
            .map_err(|_| SecretError::CannotOpen)?;
        let secrets = ReplicationSecrets::decode(&plaintext, MAX_MESSAGE_BYTES)?;
        if secrets.request_hash == request_hash {
            Ok(secrets)
        } else {
            Err(SecretError::OtherRequest)
        }
    }
}

/// What a sealed reply is bound to: HPKE's `info`.
fn seal_info(domain: Domain, chain: &ChainContext, id: &RuntimeId, request_hash: &Hash) -> Hash {
    hash(domain, &[chain.as_bytes(), id.as_bytes(), request_hash.as_bytes()])
}

#[cfg(test)]
mod tests;
