//! Key managers on a small chain, with real attestation evidence.

mod birth;
mod fixture;
mod members;
mod publish;
