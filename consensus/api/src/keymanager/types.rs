//! What state holds of key managers.

use paralith_crypto::hash::{Domain, hash};
use paralith_proto::{Canonical, DecodeError, Wire, pb};
use paralith_types::{Epoch, Hash, PublicKey, RuntimeId, Signature, X25519PublicKey};

use crate::message::message;

/// Domain of the key manager's signature over a runtime's public key.
pub const PUBLIC_KEY_DOMAIN: Domain = Domain::new("paralith/keymanager/public-key/v1");

const POLICY_DOMAIN: Domain = Domain::new("paralith/keymanager/policy/v1");

message! {
    /// Which enclaves may ask for one runtime's keys.
    RuntimePolicy = pb::keymanager::v1::RuntimePolicy {
        /// The runtime.
        runtime_id: RuntimeId,
        /// Enclave identities, sorted.
        measurements: Vec<Hash>,
    }
}

message! {
    /// Who may replicate secrets and who may ask for keys.
    Policy = pb::keymanager::v1::Policy {
        /// Grows with every change.
        serial: u32,
        /// The key manager.
        id: RuntimeId,
        /// Key-manager enclaves that may replicate, sorted.
        measurements: Vec<Hash>,
        /// Who may ask, sorted by runtime.
        runtimes: Vec<RuntimePolicy>,
        /// After how many epochs epoch secrets are erased.
        max_epoch_secret_age: u64,
        /// Epochs between generations; 0: no rotation.
        rotation_epochs: u64,
        /// The only nodes that may be members, sorted: each counts the same. If there are none, any
        /// node may be a member and counts by its entity's stake.
        nodes: Vec<PublicKey>,
    }
}

impl Policy {
    /// What enclaves attest that they follow.
    pub fn checksum(&self) -> Hash {
        hash(POLICY_DOMAIN, &[&self.encode()])
    }
}

message! {
    /// Where a key manager stands.
    Status = pb::keymanager::v1::Status {
        /// The key manager.
        id: RuntimeId,
        /// It has a first generation.
        initialised: bool,
        /// The newest generation.
        generation: u64,
        /// The epoch in which it was accepted.
        rotation_epoch: Epoch,
        /// Of the newest generation, chained over all; none before the first.
        checksum: Option<Hash>,
        /// Nodes that hold every generation, sorted: the committee.
        nodes: Vec<PublicKey>,
        /// The policy in force; none before the first.
        policy: Option<Policy>,
        /// The policy of the next epoch, if it changes.
        next_policy: Option<Policy>,
        /// Signs the runtimes' public keys for clients; none before the first generation.
        signing_key: Option<PublicKey>,
        /// The members' keys for this epoch, in the order of `nodes`.
        recipients: Vec<Recipient>,
        /// A generation of this epoch or a later one is due, whatever the policy's interval: an
        /// enclave was revoked that has the earlier ones. 0: none was.
        rotation_required: Epoch,
    }
}

message! {
    /// The keys of a member's enclave as they were registered when the epoch began. They stay in
    /// force until the next epoch begins, whatever the node registers meanwhile.
    Recipient = pb::keymanager::v1::Recipient {
        /// The member.
        node: PublicKey,
        /// Its enclave's attestation key.
        rak: PublicKey,
        /// The key to which this epoch's publications are sealed.
        rek: X25519PublicKey,
    }
}

/// What a key manager's enclave says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InitResponse {
    /// The key manager.
    pub id: RuntimeId,
    /// The node that runs the enclave.
    pub node: PublicKey,
    /// Of the newest generation that it holds; none before the first.
    pub checksum: Option<Hash>,
    /// Of the proposal that it could open.
    pub next_checksum: Option<Hash>,
    /// The policy that it follows.
    pub policy_checksum: Hash,
    /// The key it signs the runtimes' public keys with.
    pub signing_key: Option<PublicKey>,
    /// The one it will have with the proposal.
    pub next_signing_key: Option<PublicKey>,
}

impl Wire for InitResponse {
    type Pb = pb::keymanager::v1::InitResponse;

    fn to_pb(&self) -> Self::Pb {
        Self::Pb {
            id: self.id.to_pb(),
            node: self.node.to_pb(),
            checksum: bytes_of(self.checksum.as_ref()),
            next_checksum: bytes_of(self.next_checksum.as_ref()),
            policy_checksum: self.policy_checksum.to_pb(),
            signing_key: bytes_of(self.signing_key.as_ref()),
            next_signing_key: bytes_of(self.next_signing_key.as_ref()),
        }
    }

    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::from_pb(pb.id)?,
            node: Wire::from_pb(pb.node)?,
            checksum: optional(pb.checksum)?,
            next_checksum: optional(pb.next_checksum)?,
            policy_checksum: Wire::from_pb(pb.policy_checksum)?,
            signing_key: optional(pb.signing_key)?,
            next_signing_key: optional(pb.next_signing_key)?,
        })
    }
}

/// Empty bytes stand for none.
fn bytes_of<T: Wire<Pb = Vec<u8>>>(value: Option<&T>) -> Vec<u8> {
    value.map(Wire::to_pb).unwrap_or_default()
}

fn optional<T: Wire<Pb = Vec<u8>>>(bytes: Vec<u8>) -> Result<Option<T>, DecodeError> {
    if bytes.is_empty() { Ok(None) } else { T::from_pb(bytes).map(Some) }
}

message! {
    /// An init response with its RAK's signature, as a node's `extra_info`.
    SignedInitResponse = pb::keymanager::v1::SignedInitResponse {
        /// An [`InitResponse`], encoded.
        #[serde(with = "paralith_types::hex_bytes")]
        response: Vec<u8>,
        /// The RAK's.
        signature: Signature,
    }
}

message! {
    /// A secret for one enclave.
    Ciphertext = pb::keymanager::v1::Ciphertext {
        /// Whom it is for.
        rek: X25519PublicKey,
        /// HPKE.
        #[serde(with = "paralith_types::hex_bytes")]
        sealed: Vec<u8>,
    }
}

message! {
    /// A proposed generation of the master secret, for every enclave of the committee.
    EncryptedMasterSecret = pb::keymanager::v1::EncryptedMasterSecret {
        /// The key manager.
        id: RuntimeId,
        /// Which generation.
        generation: u64,
        /// The epoch in which it is to be accepted.
        epoch: Epoch,
        /// Chained over all generations.
        checksum: Hash,
        /// Sorted by recipient.
        ciphertexts: Vec<Ciphertext>,
    }
}

message! {
    /// An epoch's secret, for every enclave of the committee.
    EncryptedEpochSecret = pb::keymanager::v1::EncryptedEpochSecret {
        /// The key manager.
        id: RuntimeId,
        /// Which epoch.
        epoch: Epoch,
        /// Binds the secret.
        checksum: Hash,
        /// Sorted by recipient.
        ciphertexts: Vec<Ciphertext>,
    }
}

message! {
    /// The checksum of a published epoch secret.
    EpochChecksum = pb::keymanager::v1::EpochChecksum {
        /// Which epoch.
        epoch: Epoch,
        /// Binds the secret.
        checksum: Hash,
    }
}

message! {
    /// The checksums of the newest [`MAX_EPOCH_CHECKSUMS`] published epoch secrets: an enclave takes a
    /// secret from another one only if it has the checksum here.
    EpochChecksums = pb::keymanager::v1::EpochChecksums {
        /// Sorted by epoch.
        checksums: Vec<EpochChecksum>,
    }
}

/// As many as the epochs whose secrets an enclave holds at most, and the next epoch.
pub const MAX_EPOCH_CHECKSUMS: usize = 66;

message! {
    /// A runtime's public key of one epoch: what clients seal their calls to.
    RuntimePublicKey = pb::keymanager::v1::RuntimePublicKey {
        /// The key manager.
        id: RuntimeId,
        /// The runtime.
        runtime_id: RuntimeId,
        /// The epoch.
        epoch: Epoch,
        /// HPKE recipient key.
        key: X25519PublicKey,
        /// Of the generation whose signing key signs.
        checksum: Hash,
    }
}

message! {
    /// A runtime's public key with the key manager's signature.
    SignedRuntimePublicKey = pb::keymanager::v1::SignedRuntimePublicKey {
        /// A [`RuntimePublicKey`], encoded.
        #[serde(with = "paralith_types::hex_bytes")]
        public_key: Vec<u8>,
        /// By [`Status::signing_key`], under [`PUBLIC_KEY_DOMAIN`].
        signature: Signature,
    }
}
