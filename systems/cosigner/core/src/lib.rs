//! What cosigners, owners and verifiers compute alike: threshold blind Schnorr signatures on secp256k1
//! (BIP340, with or without the taproot tweak) and Ed25519.
//!
//! N members hold shares of a server key S = sG, and T of them sign; an owner holds o, and the coin's
//! or chunk's key is P = S + oG. Members sign blindly: they learn neither message nor signature.
//!
//! | step | module |
//! |---|---|
//! | curves, points, scalars | [`mod@curve`], [`point`], [`scalar`] |
//! | members, sets, coefficients | [`federation`] |
//! | shares of a polynomial, and the key that they make | [`sharing`], [`key`] |
//! | generation by several dealers | [`keygen`] |
//! | a member's nonces and partial signatures | [`nonce`], [`sign`] |
//! | blinding, unblinding, what a record stands for | [`owner`], [`opening`] |
//! | passing a key on, handing it out | [`update`], [`release`] |
//! | owners' authorisations, digests that members sign, seals | [`auth`], [`digest`], [`seal`] |
//!
//! Pure: no clock, files or sockets, and randomness comes as an argument. Arithmetic on secrets takes
//! constant time; secrets are wiped when dropped, and `Debug` does not show them. The crate keeps no
//! count of sessions. Signing is safe only while at most one is open for a key; callers see to that.
//!
//! Specification: docs/protocol/cosigner.md. What is guaranteed: systems/cosigner/SPEC.md.

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

pub mod auth;
pub mod curve;
pub mod digest;
pub mod domains;
mod error;
pub mod federation;
mod hashing;
pub mod key;
pub mod keygen;
pub mod nonce;
pub mod opening;
pub mod owner;
pub mod point;
pub mod release;
pub mod scalar;
pub mod seal;
pub mod sharing;
pub mod sign;
pub mod update;

pub use curve::{Curve, CurveId, Ed25519, Secp256k1};
pub use error::CosignerError;
pub use federation::{Federation, Member, Set};
pub use key::{Share, SharedKey};
pub use point::Point;
pub use scalar::{Scalar, Secret};
