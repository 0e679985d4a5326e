//! The key managers' public side: policy, status, published encrypted secrets.

mod error;
mod event;
pub mod keys;
mod params;
mod rotation;
mod tx;
mod types;

pub use error::Error;
pub use event::{EpochSecretPublished, MasterSecretPublished, StatusUpdated};
pub use params::Params;
pub use rotation::{NotDue, rotation_due};
pub use tx::{
    INIT_RESPONSE_DOMAIN, PUBLISH_EPOCH_DOMAIN, PUBLISH_MASTER_DOMAIN, PublishEpochSecret,
    PublishMasterSecret, UpdatePolicy,
};
pub use types::{
    Ciphertext, EncryptedEpochSecret, EncryptedMasterSecret, EpochChecksum, EpochChecksums,
    InitResponse, MAX_EPOCH_CHECKSUMS, PUBLIC_KEY_DOMAIN, Policy, Recipient, RuntimePolicy,
    RuntimePublicKey, SignedInitResponse, SignedRuntimePublicKey, Status,
};
