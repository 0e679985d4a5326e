//! The reference runtimes and modules of systems, built from their sources by this crate's build script.

/// Secret votes; the tally is revealed once the closing round is final.
pub const BALLOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ballot.wasm"));

/// The hello-world.
pub const COUNTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/counter.wasm"));

/// Balances: mint, transfer with memo, deposit, withdraw.
pub const TOKENS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tokens.wasm"));

/// The mediator of private contracts.
pub const MEDIATOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mediator.wasm"));
