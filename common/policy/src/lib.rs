//! Who together may decide: threshold policies over a list of members, and certificates.
//!
//! A [`Policy`] is a tree of weighted thresholds over the indices of a list that its user keeps:
//! organisations, stakeholders, cosigners. It answers two questions about a set of [`Members`]: do
//! these satisfy it, and can it still be satisfied if only these are left. Both answers are
//! monotone: more members never turn a yes into a no. A [`Certificate`] says that an issuer vouches
//! for a key, in one scope and between two heights.
//!
//! Everything is pure and bounded, and builds for WebAssembly. Specification: docs/protocol/policy.md.
//!
//! ```
//! use paralith_policy::{Members, Policy};
//!
//! let names = ["org-a", "org-b", "org-c", "org-d"];
//! let policy = Policy::parse("2 of (org-a, org-b, any(org-c, org-d))", &names)?;
//! assert!(policy.satisfied(&Members::from_iter([0, 3])));
//! assert!(!policy.satisfied(&Members::from_iter([2, 3])));
//! assert_eq!(Policy::decode(&policy.encode())?, policy);
//! # Ok::<(), paralith_policy::PolicyError>(())
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

mod certificate;
mod disjoint;
mod error;
mod members;
pub mod pb;
mod text;
mod tree;

pub use certificate::{CERTIFICATE_DOMAIN, CERTIFICATE_VERSION, Certificate, MAX_ATTRIBUTES_BYTES};
pub use disjoint::{DISJOINT_STEPS, Disjoint};
pub use error::{CertificateError, PolicyError};
pub use members::{MAX_MEMBERS, Members};
pub use text::MAX_TEXT_BYTES;
pub use tree::{MAX_DEPTH, MAX_ENCODED_BYTES, MAX_NODES, Policy};
