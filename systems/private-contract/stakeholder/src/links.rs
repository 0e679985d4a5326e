//! What a stakeholder asks of the outside. Nothing that comes back is believed without signature or proof.

use std::sync::Arc;

use futures::future::BoxFuture;
use paralith_private_contract_core::messages::{ContentHash, ContractId, ContractVote};
use paralith_types::{Error, PublicKey};

use crate::record::{BatchLog, Page};

/// Why nobody answered. Never a reason to stop: another member may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not have what was asked for.
    #[error("the other side does not have it")]
    NotFound,
    /// It refused; the refusal says what can be done.
    #[error("the other side refused: {0}")]
    Refused(Error),
    /// It cannot be reached or does not answer in time.
    #[error("the other side cannot be reached: {0}")]
    Unreachable(String),
}

impl LinkError {
    /// Stable code within module "stakeholder-link".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::NotFound => 1,
            Self::Refused(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }
}

/// What a call gives.
pub type LinkFuture<'a, T> = BoxFuture<'a, Result<T, LinkError>>;

/// Calls to other members, by their account keys, which are the keys of their ends of the links.
pub trait Links: Send + Sync {
    /// A vote for a member.
    fn send_vote(&self, peer: PublicKey, vote: ContractVote) -> LinkFuture<'_, ()>;

    /// The vote of a member of a batch, as the peer has it.
    fn fetch_vote(
        &self,
        peer: PublicKey,
        contract: ContractId,
        batch: u64,
        index: u32,
    ) -> LinkFuture<'_, ContractVote>;

    /// The log of a batch.
    fn fetch_batch(
        &self,
        peer: PublicKey,
        contract: ContractId,
        batch: u64,
    ) -> LinkFuture<'_, BatchLog>;

    /// A part of the tree after a batch: keys after `after`.
    fn fetch_page(
        &self,
        peer: PublicKey,
        contract: ContractId,
        batch: u64,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, Page>;

    /// A sealed content.
    fn fetch_content(
        &self,
        peer: PublicKey,
        contract: ContractId,
        content: ContentHash,
    ) -> LinkFuture<'_, Vec<u8>>;
}

/// Data stores. Implementations follow no redirect and read at most `limit` bytes.
pub trait Origins: Send + Sync {
    /// What is under a URI. `ticket` goes into `Authorization: Paralith`, in base64url.
    fn get(&self, uri: String, ticket: Vec<u8>, limit: u32) -> LinkFuture<'_, Vec<u8>>;
}

/// The mediator, to which calls are submitted as this member's account.
pub trait Mediator: Send + Sync {
    /// Submits a call. Returns when it is in a pool or refused; whether it counts, the state says.
    fn submit(&self, method: &'static str, arguments: Vec<u8>) -> BoxFuture<'_, Result<(), Error>>;
}

/// The outside of a stakeholder.
#[derive(Clone)]
pub struct Outside {
    /// The other members.
    pub links: Arc<dyn Links>,
    /// Data stores.
    pub origins: Arc<dyn Origins>,
    /// The mediator.
    pub mediator: Arc<dyn Mediator>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}
