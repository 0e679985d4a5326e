//! What a node decides for the users of a ParaTime, whether it runs the ParaTime or not.
//!
//! ```text
//! submit   -> a member of the committee takes it -> soft confirmation -> final round -> receipt
//!             no member can yet: again with every block, within a budget
//!             not final after some blocks: submitted again, to another member first
//! query    -> the members in turn, until one answers that has the newest state known here
//! proof    -> the same; what does not verify is passed over
//! receipt  -> this node's worker, or the members; a round counts only with its final header
//! ```
//!
//! Every decision follows from a refusal's [`Retry`](paralith_types::Retry), which its producer set,
//! and from consensus state; none from a text. The rules are specified in `docs/protocol/rounds.md`.

mod error;
mod members;
mod prove;
mod query;
mod relay;
mod retry;
mod rounds;
mod submit;

use std::sync::Arc;

use paralith_consensus_api::{registry, roothash, scheduler};
use paralith_proto::Canonical;
use paralith_runtime_worker::{Chain, ChainError};
use paralith_types::{PublicKey, Round, RuntimeId};

pub use error::GatewayError;
pub use members::{Asked, Members};

use relay::Relay;
use rounds::FinalRounds;

/// Largest transaction or query.
pub const MAX_TX_BYTES: usize = 1024 * 1024;

/// Longest value of consensus state that is read.
const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// Serves the users of all ParaTimes; clones share it.
#[derive(Clone)]
pub struct Gateway {
    me: PublicKey,
    chain: Arc<dyn Chain>,
    members: Arc<dyn Members>,
    relay: Arc<Relay>,
    rounds: Arc<FinalRounds>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Gateway {
    /// The gateway of this node.
    pub fn new(me: PublicKey, chain: Arc<dyn Chain>, members: Arc<dyn Members>) -> Self {
        Self { me, chain, members, relay: Arc::default(), rounds: Arc::default() }
    }

    /// A value of the newest consensus state.
    async fn read<T: Canonical>(&self, key: Vec<u8>) -> Result<Option<T>, GatewayError> {
        let (_, value) = self.chain.get_raw(None, key).await?;
        let decode = |bytes: Vec<u8>| T::decode(&bytes, MAX_VALUE_BYTES);
        let decoded = value.map(decode).transpose();
        Ok(decoded.map_err(|e| ChainError::Invalid(e.to_string()))?)
    }

    /// The members of a ParaTime's committee, each once, this node first if it is one.
    pub async fn members(&self, id: &RuntimeId) -> Result<Vec<PublicKey>, GatewayError> {
        let runtime: Option<registry::Runtime> = self.read(registry::keys::runtime(id)).await?;
        if runtime.is_none_or(|runtime| runtime.kind != registry::RuntimeKind::Compute) {
            return Err(GatewayError::NoParaTime { id: *id });
        }
        let committee: Option<scheduler::Committee> =
            self.read(scheduler::keys::committee(id)).await?;
        let committee = committee.ok_or(GatewayError::NoCommittee { id: *id })?;
        let mut members: Vec<PublicKey> = Vec::new();
        for member in committee.workers.into_iter().chain(committee.backups) {
            if !members.contains(&member) {
                members.push(member);
            }
        }
        members.sort_by_key(|member| *member != self.me);
        Ok(members)
    }

    async fn runtime_state(&self, id: &RuntimeId) -> Result<roothash::RuntimeState, GatewayError> {
        let state = self.read(roothash::keys::runtime_state(id)).await?;
        state.ok_or(GatewayError::NoParaTime { id: *id })
    }

    /// The newest round.
    pub async fn newest_round(&self, id: &RuntimeId) -> Result<Round, GatewayError> {
        Ok(self.runtime_state(id).await?.last_block.round)
    }

    /// The round that led to the newest state.
    async fn newest_state(&self, id: &RuntimeId) -> Result<Round, GatewayError> {
        Ok(self.runtime_state(id).await?.last_normal_round)
    }
}
