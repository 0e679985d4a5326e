//! What a federation of cosigners, an owner and verifiers do together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod encodings;
mod federation;
mod frost;
mod keygen;
mod lab;
mod nonces;
mod openings;
mod owners;
mod signing;
mod updates;
mod vectors;
