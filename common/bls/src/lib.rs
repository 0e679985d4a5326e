//! BLS signatures that add up: many signers of one message, one signature of 48 bytes, one pairing
//! check.
//!
//! Curve BLS12-381; signatures in G1 (48 bytes), keys in G2 (96 bytes), both in the compressed form
//! of the ZCash specification. The scheme is that of draft-irtf-cfrg-bls-signature-05 with proofs of
//! possession: [`SIGNATURE_SUITE`], [`POSSESSION_SUITE`]. Specification: docs/protocol/bls.md.
//!
//! **Rogue keys.** Whoever may choose a key after seeing others' can choose one that cancels them, and
//! sign for all alone. So [`verify`] is safe only for keys whose possession was checked by
//! [`verify_possession`], over a message that names the key or its owner. Take the keys from a
//! directory that checked this, never from whoever presents the signature.
//!
//! Keys and signatures that are not canonical, not in the group of prime order, or the identity are
//! never valid, and neither is a signature for keys that add up to the identity. Everything is pure:
//! the same arguments give the same answer on every machine.
//!
//! ```
//! use paralith_bls::{BlsSecret, aggregate, verify, verify_possession};
//!
//! let secrets = [[1; 32], [2; 32]].map(|ikm| BlsSecret::from_ikm(&ikm));
//! let keys = secrets.each_ref().map(BlsSecret::public);
//! for (secret, key) in secrets.iter().zip(&keys) {
//!     assert!(verify_possession(key, key, &secret.prove_possession(key)));
//! }
//! let signatures = secrets.each_ref().map(|secret| secret.sign(b"yes"));
//! let both = aggregate(&signatures).ok_or("no signature")?;
//! assert!(verify(&keys, b"yes", &both));
//! # Ok::<(), &str>(())
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

mod keys;
mod secret;

use blst::BLST_ERROR;
use blst::min_sig::{AggregatePublicKey, AggregateSignature, PublicKey, Signature};

pub use keys::CheckedKeys;
pub use secret::BlsSecret;

/// Length of a key.
pub const KEY_LEN: usize = 96;

/// Length of a signature and of a proof of possession.
pub const SIGNATURE_LEN: usize = 48;

/// The ciphersuite, and domain separation tag, of signatures.
pub const SIGNATURE_SUITE: &str = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// The domain separation tag of proofs of possession.
pub const POSSESSION_SUITE: &str = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// Whether the owner of this key proves, by a signature over the message, that it has the secret.
///
/// The message must name the key or its owner: a proof over anything else can be copied by an owner
/// of another key that contains this one.
#[must_use]
pub fn verify_possession(key: &[u8; KEY_LEN], message: &[u8], proof: &[u8; SIGNATURE_LEN]) -> bool {
    // BL-2
    let Some(proof) = read_signature(proof) else { return false };
    read_key(key).is_some_and(|key| check(&key, POSSESSION_SUITE, message, &proof))
}

/// Whether all of these keys signed the message. A key that stands here twice must have signed
/// twice. No keys: `false`.
///
/// Checks each key's group (the greater part of the cost for many keys), then one pairing equation.
/// [`CheckedKeys`] remembers keys. The number of keys is for the caller to bound.
#[must_use]
pub fn verify(keys: &[[u8; KEY_LEN]], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
    CheckedKeys::new(0).verify(keys, message, signature)
}

/// The signatures in one. `None` if there are none, one of them is not a signature, or they add up to
/// the identity.
#[must_use]
pub fn aggregate(signatures: &[[u8; SIGNATURE_LEN]]) -> Option<[u8; SIGNATURE_LEN]> {
    let read: Option<Vec<Signature>> = signatures.iter().map(read_signature).collect();
    let read = read?;
    let borrowed: Vec<&Signature> = read.iter().collect();
    // They are in the group: it was checked when they were read.
    let sum = AggregateSignature::aggregate(&borrowed, false).ok()?.to_signature();
    let is_signature = sum.validate(true).is_ok();
    is_signature.then(|| sum.compress())
}

/// Whether this is a key: canonical, in its group, not the identity.
fn read_key(bytes: &[u8; KEY_LEN]) -> Option<PublicKey> {
    let key = PublicKey::uncompress(bytes).ok()?;
    key.validate().ok()?;
    // BL-1: the library refuses other encodings of the point already; the chain must not depend on that.
    (key.compress() == *bytes).then_some(key)
}

/// The same for a signature.
fn read_signature(bytes: &[u8; SIGNATURE_LEN]) -> Option<Signature> {
    let signature = Signature::uncompress(bytes).ok()?;
    signature.validate(true).ok()?;
    (signature.compress() == *bytes).then_some(signature)
}

/// The sum of keys that were read. `None` if there are none, or the sum is the identity.
fn sum(keys: &[&PublicKey]) -> Option<PublicKey> {
    let sum = AggregatePublicKey::aggregate(keys, false).ok()?.to_public_key();
    sum.validate().is_ok().then_some(sum)
}

/// The pairing equation, for a key and a signature that were read: their groups were checked then.
fn check(key: &PublicKey, suite: &str, message: &[u8], signature: &Signature) -> bool {
    let result = signature.verify(false, message, suite.as_bytes(), &[], key, false);
    result == BLST_ERROR::BLST_SUCCESS
}
