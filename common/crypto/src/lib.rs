//! Hashing, signing, sealing and deriving: one algorithm a file, one algorithm for each purpose.
//!
//! | purpose | algorithm | module |
//! |---|---|---|
//! | hash | SHA-256 under a domain | [`mod@hash`] |
//! | commitment to a list | Merkle tree of RFC 6962 | [`merkle`] |
//! | signature | Ed25519, verified by the rules of ZIP-215 | [`ed25519`] |
//! | encryption at rest | AES-256-GCM-SIV (RFC 8452) | [`seal`] |
//! | key derivation, keyed function | HKDF-SHA256 (RFC 5869), HMAC-SHA256 | [`kdf`] |
//! | encryption to a public key | HPKE base mode (RFC 9180) | [`hpke`], [`kem`] |
//! | one content for several recipients | AES-256-GCM-SIV, its key by HPKE | [`wrap`] |
//! | name of content outside the chain | SHA3-256 (FIPS 202) | [`sha3`] |
//! | hash, recovered keys and signatures of other chains | Keccak-256, ECDSA and BIP340 on secp256k1 | [`sha3`], `groups` (a feature) |
//! | sums of public points | secp256k1, Ed25519 | `groups` (a feature) |
//! | password-protected key files | Argon2id over AES-256-GCM-SIV | `keystore` (a feature) |
//!
//! Every function is pure: randomness arrives as bytes, there is no clock and no input or output.
//! The same arguments give the same bytes on every machine, guests included. Secrets are wiped
//! when dropped, compared in constant time, and have no `Debug` that shows them.

mod constant_time;
pub mod ed25519;
#[cfg(feature = "groups")]
pub mod groups;
pub mod hash;
pub mod hpke;
pub mod kdf;
pub mod kem;
#[cfg(feature = "keystore")]
pub mod keystore;
pub mod merkle;
mod rng;
pub mod seal;
pub mod sha3;
pub mod wrap;

pub use crate::hpke::{CannotSeal, HpkeSecret};
pub use constant_time::constant_time_eq;
pub use ed25519::{BadSignature, SigningKey};
pub use hash::{Domain, Hasher, hash, sha256};
pub use seal::{AeadKey, CannotOpen};
pub use zeroize::Zeroizing;
