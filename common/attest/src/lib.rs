//! From attestation evidence to a verified enclave identity.
//!
//! An enclave shows who it is with [`Evidence`]: a statement, by something that the chain trusts to
//! tell, which code runs ([`Measurement`]) and which keys were made inside it. [`verify`] checks
//! evidence against a [`Policy`] and gives back [`Claims`], or an [`AttestError`] that says which
//! demand was not met. It is a pure function of its arguments; every replica comes to the same answer.
//!
//! * **One path.** Software evidence is verified by the same function, in the same order, as hardware
//!   evidence: bytes, kind, platform, chain, signature, measurement, age.
//! * **Everything is bound.** What the platform vouches for is [`Claims::report_data`]: a hash of all
//!   claims and of the chain context. Evidence cannot be moved to another node, runtime, code or
//!   chain, and none of its fields can be changed.
//! * **One encoding.** Evidence, claims and policies are protobuf in the one form that encoding them
//!   again gives. No bit of a piece of evidence can be changed such that it still passes.
//! * **Software evidence is for development.** A platform key is a file that somebody holds, and its
//!   holder can vouch for anything. It counts only when genesis lists the key.
//!
//! Evidence of SGX DCAP, TDX and SEV-SNP has its place in the encoding. This build does not
//! verify it and therefore refuses it by name.
//!
//! Attestation is necessary for admission, never sufficient: stake or governance decide with it.

mod claims;
mod error;
mod evidence;
mod policy;
mod software;
mod verify;
mod wire;

pub use claims::{Claims, Measurement};
pub use error::{AttestError, Kind};
pub use evidence::{Evidence, MAX_EVIDENCE_LEN};
pub use policy::{MAX_POLICY_LEN, Policy};
pub use software::{SoftwarePlatform, SoftwareQuote};
pub use verify::verify;
