//! What a worker is started with.

use paralith_crypto::ed25519::SigningKey;
use paralith_storage::Kv;
use paralith_types::{ChainContext, PublicKey, RuntimeId};

use crate::round::PoolLimits;

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The ParaTime.
    pub runtime_id: RuntimeId,
    /// Signs proposals and votes.
    pub node_key: SigningKey,
    /// The chain.
    pub chain_context: ChainContext,
    /// The node's store; the worker keeps to its own part of it.
    pub kv: Kv,
    /// How much the pool holds.
    pub pool: PoolLimits,
    /// Nodes that may have final rounds, beside the committee.
    pub peers: Vec<PublicKey>,
    /// For how many consensus blocks the state after each round is kept; none: for ever.
    pub state_kept_blocks: Option<u64>,
}
