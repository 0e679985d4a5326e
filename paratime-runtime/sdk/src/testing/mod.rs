//! Runs a runtime in memory, under the rules of the real host, for a runtime's own tests.
//!
//! ```
//! use paralith_sdk::{Call, Context, Result, Runtime, args, json, reply, testing::Chain};
//!
//! struct Echo;
//! impl Runtime for Echo {
//!     fn execute(_: &mut Context, call: &Call) -> Result<Vec<u8>> {
//!         reply(&args::<String>(call)?)
//!     }
//! }
//!
//! let mut chain = Chain::new::<Echo>();
//! let answer = chain.sender("alice").call("echo", &json!("hello"));
//! assert_eq!(answer, Ok(br#""hello""#.to_vec()));
//! ```
//!
//! A [`Chain`] starts in round 1, which is open; [`Chain::next_round`] finalises it and opens the
//! next, and [`Chain::advance_to`] lets time pass, with rounds where the runtime asked to be woken.
//! Requests and outcomes pass through their encoded forms and the same entry points as in
//! WebAssembly. What differs: there is no gas, addresses are not derived as on a real chain, and
//! one instance of the program serves all calls, so that a `static` would survive.

mod chain;
mod effects;
mod host;
mod round;
mod sender;

pub use chain::{Chain, Privacy};
pub use host::Event;
pub use sender::Sender;

use ed25519_zebra::{SigningKey, VerificationKey};
use sha2::{Digest, Sha256};

use crate::{Address, PublicKey, Signature};

/// Module of the errors which the host makes.
pub const HOST_MODULE: &str = "host";

/// Code of module [`HOST_MODULE`]: the call panicked or broke the host's rules.
pub const TRAP: u32 = 1;

/// Code of module [`HOST_MODULE`]: no final round asked to reveal this handle.
pub const NOT_ASKED: u32 = 2;

/// Code of module [`HOST_MODULE`]: `migrate` failed, so the runtime does nothing yet.
pub const NOT_MIGRATED: u32 = 3;

/// The address of a test account.
#[must_use]
pub fn address(name: &str) -> Address {
    let digest = sha256(&public_key(name).0);
    let mut bytes = [0; 21];
    bytes[1..].copy_from_slice(&digest[..20]);
    Address(bytes)
}

/// The public key of a test account.
#[must_use]
pub fn public_key(name: &str) -> PublicKey {
    PublicKey(VerificationKey::from(&signing_key(name)).into())
}

/// A test account's signature over a message.
#[must_use]
pub fn sign(name: &str, message: &[u8]) -> Signature {
    Signature(signing_key(name).sign(message).into())
}

fn signing_key(name: &str) -> SigningKey {
    SigningKey::from(sha256(name.as_bytes()))
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}
