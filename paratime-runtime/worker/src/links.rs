//! The links to other nodes. Nothing that comes over them is believed without signature or proof.

use futures::future::BoxFuture;
use paralith_proto::pb::worker::v1::{Proposal, RoundData, StatePage, VoteMessage};
use paralith_types::{CodeId, Error, Hash, PublicKey, Retry, Round, RuntimeId};

/// Why a peer gave no answer. Never a reason to stop: another peer may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It has not what was asked for.
    #[error("the peer does not have it")]
    NotFound,
    /// It refused; the refusal says what can be done.
    #[error("the peer refused: {0}")]
    Refused(Error),
    /// It cannot be reached or does not answer in time.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
}

impl LinkError {
    /// Stable code within module "worker-link".
    pub fn code(&self) -> u32 {
        match self {
            Self::NotFound => 1,
            Self::Refused(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }

    /// As it travels: a peer's refusal as the peer made it.
    pub fn refusal(&self) -> Error {
        match self {
            Self::Refused(error) => error.clone(),
            other => Error::new("worker-link", other.code(), other).with_retry(Retry::OtherPeer),
        }
    }
}

/// Whether a member has taken a transaction into its pool.
pub type Admitted = Result<(), Error>;

/// What a call over a link gives.
pub type LinkFuture<'a, T> = BoxFuture<'a, Result<T, LinkError>>;

/// Calls to other nodes by their ids, which are the keys of their ends of the links.
pub trait Links: Send + Sync {
    /// Transactions for a member's pool; one result each.
    fn submit_transactions(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        raws: Vec<Vec<u8>>,
    ) -> LinkFuture<'_, Vec<Admitted>>;

    /// A scheduler's proposal with its batch.
    fn propose(&self, peer: PublicKey, proposal: Proposal) -> LinkFuture<'_, ()>;

    /// A member's vote.
    fn send_vote(&self, peer: PublicKey, vote: VoteMessage) -> LinkFuture<'_, ()>;

    /// The batch of a proposal.
    fn fetch_proposal(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        proposal_id: Hash,
    ) -> LinkFuture<'_, Proposal>;

    /// A final round.
    fn fetch_round(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
    ) -> LinkFuture<'_, RoundData>;

    /// A part of the state after a final round: entries whose keys come after one.
    fn fetch_state(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, StatePage>;

    /// A module by its hash.
    fn fetch_code(&self, peer: PublicKey, code: CodeId) -> LinkFuture<'_, Vec<u8>>;
}
