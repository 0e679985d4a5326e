//! Blocks as values: what an engine hands to the application and gets back.

use paralith_consensus_api::event::Event;
use paralith_types::{Error, Hash, Height, PublicKey, Retry};

/// A decided block, as the engine hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInput {
    /// Its height.
    pub height: Height,
    /// Its time by the validators' agreement, seconds since 1970.
    pub time_seconds: u64,
    /// CometBFT's address of the proposer.
    pub proposer: [u8; 20],
    /// Raw signed transactions, in order.
    pub txs: Vec<Vec<u8>>,
    /// Validators that CometBFT caught.
    pub misbehaviour: Vec<Misbehaviour>,
}

/// A validator that signed two blocks of one height or attacked light clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misbehaviour {
    /// CometBFT's address of the validator.
    pub validator: [u8; 20],
    /// The height of the offence.
    pub height: Height,
}

/// What a block did. Nothing of it is durable before `App::commit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOutput {
    /// One a transaction, in order.
    pub txs: Vec<TxOutcome>,
    /// Events of the block itself, after those of its transactions.
    pub events: Vec<Event>,
    /// Changes of the validator set, each key at most once.
    pub validator_updates: Vec<ValidatorUpdate>,
    /// Root of the state after the block.
    pub app_hash: Hash,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TxOutcome {
    /// The module that refused; empty on success.
    pub module: String,
    /// Its stable code; 0 on success.
    pub code: u32,
    /// What, why, what to do; empty on success. Not part of the replicated result.
    pub message: String,
    /// What the sender can do about a refusal. Not part of the replicated result.
    pub retry: Retry,
    /// Gas that was charged.
    pub gas_used: u64,
    /// Gas that the sender allowed.
    pub gas_limit: u64,
    /// Empty if it failed, but for the events of its fee.
    pub events: Vec<Event>,
}

impl TxOutcome {
    /// A refusal.
    pub fn refused(error: Error) -> Self {
        let Error { module, code, message, retry } = error;
        Self { module, code, message, retry, ..Self::default() }
    }

    /// The refusal; none on success.
    pub fn error(&self) -> Option<Error> {
        let error = || Error::new(&self.module, self.code, &self.message).with_retry(self.retry);
        (self.code != 0).then(error)
    }
}

/// A change of the validator set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorUpdate {
    /// Ed25519 key in CometBFT.
    pub consensus_key: PublicKey,
    /// New voting power; 0 removes.
    pub power: u64,
}

/// Where the application stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// The last committed height; 0 before the first block.
    pub height: Height,
    /// The state's root at that height.
    pub app_hash: Hash,
}

/// A value of state with the proof that ties it, or its absence, to an app hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The height of the state that was read; header `height + 1` carries its root.
    pub height: Height,
    /// The value, if there is one.
    pub value: Option<Vec<u8>>,
    /// An encoded `paralith_storage::Proof`.
    pub proof: Vec<u8>,
}
