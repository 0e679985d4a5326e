//! Transactions of key managers.

use paralith_crypto::hash::Domain;
use paralith_proto::pb;
use paralith_types::{PublicKey, Signature};

use super::types::Policy;
use crate::message::message;

/// Domain of a RAK's signature over an init response.
pub const INIT_RESPONSE_DOMAIN: Domain = Domain::new("paralith/keymanager/init-response/v1");
/// Domain of a RAK's signature over a master secret's ciphertexts.
pub const PUBLISH_MASTER_DOMAIN: Domain = Domain::new("paralith/keymanager/master-secret/v1");
/// Domain of a RAK's signature over an epoch secret's ciphertexts.
pub const PUBLISH_EPOCH_DOMAIN: Domain = Domain::new("paralith/keymanager/epoch-secret/v1");

message! {
    /// Sets the policy of the next epoch. Signed by the key manager's entity.
    UpdatePolicy = pb::keymanager::v1::UpdatePolicy {
    }
    nested {
        /// The policy.
        policy: Policy,
    }
}

message! {
    /// Proposes a generation of the master secret.
    PublishMasterSecret = pb::keymanager::v1::PublishMasterSecret {
        /// An encoded [`super::EncryptedMasterSecret`].
        #[serde(with = "paralith_types::hex_bytes")]
        secret: Vec<u8>,
        /// The node whose enclave made it.
        node: PublicKey,
        /// The enclave's RAK's.
        signature: Signature,
    }
}

message! {
    /// Publishes an epoch's secret.
    PublishEpochSecret = pb::keymanager::v1::PublishEpochSecret {
        /// An encoded [`super::EncryptedEpochSecret`].
        #[serde(with = "paralith_types::hex_bytes")]
        secret: Vec<u8>,
        /// The node whose enclave made it.
        node: PublicKey,
        /// The enclave's RAK's.
        signature: Signature,
    }
}
