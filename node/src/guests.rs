//! The reference runtimes and modules of systems, built from their sources by this crate's build script.

/// Secret votes; the tally is revealed once the closing round is final.
pub const BALLOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ballot.wasm"));

/// The hello-world.
pub const COUNTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/counter.wasm"));

/// Balances: mint, transfer with memo, deposit, withdraw.
pub const TOKENS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tokens.wasm"));

/// The mediator of private contracts.
pub const MEDIATOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mediator.wasm"));

/// The ledger of chaincode.
pub const CHAINCODE_LEDGER: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/chaincode_ledger.wasm"));

/// Chaincode: sealed bids.
pub const AUCTION: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/auction.wasm"));

/// Chaincode: secrets under passwords.
pub const SECRET_KEEPER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/secret_keeper.wasm"));
