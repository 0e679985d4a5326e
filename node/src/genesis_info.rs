//! The genesis document with what follows from it.

pub use paralith_consensus_client::GenesisInfo;
