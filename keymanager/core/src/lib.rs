//! What a key manager decides, without any input or output.
//!
//! | file | holds |
//! |---|---|
//! | `secret` | 32 secret bytes |
//! | `generation` | master secrets, generation after generation, chained by checksum |
//! | `epoch` | epoch secrets: in memory only, erased by age |
//! | `derive` | what a key manager derives for a runtime |
//! | `keys` | what a runtime derives from that |
//! | `policy` | which enclaves may ask and which may replicate |
//! | `message` | requests and replies: one encoding, signed by the RAK, sealed to a one-time key |
//! | `authorise` | whether a request is answered, from values that the enclave has proven |
//! | `publish` | a new secret for the committee's enclaves, through consensus |
//! | `rek` | the keys that published secrets are sealed to, one for each epoch |
//!
//! Pure: randomness arrives as bytes, consensus state as values that the caller has proven.
//!
//! # The derivations
//!
//! `derive` is HKDF-SHA256 and `prf` HMAC-SHA256 of [`paralith_crypto::kdf`], each under its own
//! domain `paralith/km-…/v1`; numbers are 8 bytes, big-endian; `km` is the key manager's id.
//!
//! ```text
//! checksum(g)        = prf(master(g), checksum: km, g, checksum(g-1))     checksum(-1) = km
//! epoch checksum     = prf(epoch secret, epoch-checksum: km, epoch)
//! signing key        = derive(master(newest), signing-key: km)            an Ed25519 seed
//! runtime secret(g)  = derive(master(g), runtime-secret: km, runtime, g)
//! runtime epoch(e)   = derive(epoch secret(e), runtime-epoch: km, runtime, e)
//!
//! index key          = derive(runtime secret(0), index-key)
//! value key(g)       = derive(runtime secret(g), value-key)
//! output key(g)      = derive(runtime secret(g), output-key)
//! seed key(g)        = derive(runtime secret(g), seed-key)
//! HPKE key pair(e)   = DeriveKeyPair of RFC 9180 of runtime epoch(e)
//! ```

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
    )
)]

mod authorise;
mod derive;
mod epoch;
mod error;
mod generation;
mod keys;
mod message;
mod policy;
mod publish;
mod rek;
mod secret;

pub use authorise::{Asker, Facts, Granted, authorise_keys, authorise_replication, replier_rak};
pub use derive::{runtime_epoch_secret, runtime_secret, signing_key};
pub use epoch::{EpochSecrets, MAX_EPOCH_SECRETS, epoch_checksum};
pub use error::{Refusal, SecretError};
pub use generation::{MasterSecrets, next_checksum};
pub use keys::RuntimeKeys;
pub use message::{
    EpochSecret, Kept, KeyReply, KeyReplySecrets, KeyRequest, MAX_MESSAGE_BYTES, PROTOCOL_VERSION,
    PendingSecret, ReplicationReply, ReplicationRequest, ReplicationSecrets, SignedKeyReply,
    SignedKeyRequest, SignedReplicationReply, SignedReplicationRequest,
};
pub use policy::{NO_POLICY, adopt, check_policy, may_ask, may_replicate};
pub use publish::{open_epoch_secret, open_master_secret, seal_epoch_secret, seal_master_secret};
pub use rek::RecipientKeys;
pub use secret::Secret;
