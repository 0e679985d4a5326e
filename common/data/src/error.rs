//! Why a content is not taken, not given or not fetched.

use paralith_storage::StorageError;
use paralith_types::{Error, Height, Retry};

/// What is wrong with a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketFault {
    /// The request has no `Authorization: Paralith`.
    #[error("the request has none: send `Authorization: Paralith` with one")]
    Missing,
    /// Not the canonical encoding of a ticket and its signature.
    #[error("it cannot be read: {0}")]
    Form(&'static str),
    /// It is for another action than the request's.
    #[error("it is for another method than this one")]
    Action,
    /// It is for another content than the path names.
    #[error("it is for another content than the path names")]
    Content,
    /// Its height has come.
    #[error("it was valid before height {expires}, this is {now}: sign another")]
    Expired {
        /// The first height at which it is not valid.
        expires: Height,
        /// The height here.
        now: Height,
    },
    /// It is valid for longer than this store allows.
    #[error("it expires at height {expires}, at most {latest} is allowed here")]
    TooLong {
        /// The first height at which it is not valid.
        expires: Height,
        /// The most.
        latest: Height,
    },
    /// No rule decides about its scope.
    #[error("this node serves nobody in its scope: ask a node that does")]
    Scope,
    /// Not its signer's signature of this ticket for this chain.
    #[error("its signature is not valid for its signer and this chain")]
    Signature,
    /// The scope's rule refuses it.
    #[error("its scope refuses it: {0}")]
    Rule(String),
}

/// Which quota has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// That of the whole store.
    Store,
    /// That of the ticket's scope.
    Scope,
    /// That of the ticket's holder.
    Holder,
    /// That of owners of one content.
    Owners,
}

impl std::fmt::Display for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Store => "this store",
            Self::Scope => "the ticket's scope",
            Self::Holder => "the ticket's holder",
            Self::Owners => "the content's owners",
        })
    }
}

/// Why a content is not taken, not given or not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// No valid ticket.
    #[error("no valid ticket: {0}")]
    Ticket(#[from] TicketFault),
    /// Other bytes than the name says.
    #[error("the SHA3-256 of the bytes that came is not the content's name: send that content")]
    Hash,
    /// More bytes than are taken.
    #[error("the content is longer than {limit} bytes, the most that is taken here")]
    TooLarge {
        /// The most.
        limit: u64,
    },
    /// An address that is in no list.
    #[error("{uri} is not at one of the allowed origins: it is not contacted")]
    Origin {
        /// The address.
        uri: String,
    },
    /// No such content.
    #[error("the content is not here: ask another node")]
    NotFound,
    /// No room.
    #[error("the quota of {of} has no room: {used} of {limit} are used")]
    Quota {
        /// Whose.
        of: Quota,
        /// What is used.
        used: u64,
        /// The most.
        limit: u64,
    },
    /// Too many transfers at once.
    #[error("too many transfers at once: try again")]
    Busy,
    /// The other end is too slow.
    #[error("the other end let the transfer wait for too long: try again over a faster connection")]
    TooSlow,
    /// A request that is none of the data store's.
    #[error("cannot serve the request: {0}")]
    Request(&'static str),
    /// The store failed.
    #[error("the store of contents failed: {0}")]
    Store(#[from] StorageError),
    /// No proven state yet.
    #[error("this node knows no height of the chain yet: try again")]
    NotReady,
    /// An origin that cannot be reached.
    #[error("cannot reach {origin}: {reason}")]
    Unreachable {
        /// The origin.
        origin: String,
        /// Why.
        reason: String,
    },
    /// An origin's answer that is not the content. Redirects are such answers.
    #[error("{origin} answered with status {status}; redirects are not followed")]
    Answer {
        /// The origin.
        origin: String,
        /// The status.
        status: u16,
    },
    /// Fewer bytes than were announced.
    #[error("the content ended after {got} of {expected} bytes: send all of it")]
    Truncated {
        /// The bytes that came.
        got: u64,
        /// The bytes that the ticket names.
        expected: u64,
    },
    /// A task of this program ended early.
    #[error("the transfer ended within this program: {0}")]
    Internal(String),
}

impl DataError {
    /// Stable code within module "data". The numbers from 20 on are shared with the stakeholder's
    /// module, which begins at 1.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Ticket(_) => 20,
            Self::Hash => 21,
            Self::TooLarge { .. } => 22,
            Self::Origin { .. } => 23,
            Self::NotFound => 25,
            Self::Quota { .. } => 26,
            Self::Busy => 27,
            Self::TooSlow => 28,
            Self::Request(_) => 29,
            Self::Store(_) => 30,
            Self::NotReady => 31,
            Self::Unreachable { .. } => 32,
            Self::Answer { .. } => 33,
            Self::Truncated { .. } => 34,
            Self::Internal(_) => 35,
        }
    }

    /// The HTTP status that carries it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Ticket(_) | Self::Origin { .. } => 403,
            Self::Hash => 409,
            Self::TooLarge { .. } => 413,
            Self::NotFound => 404,
            Self::Quota { .. } | Self::Store(StorageError::DiskFull { .. }) => 507,
            Self::Busy | Self::NotReady => 503,
            Self::TooSlow => 408,
            Self::Request(_) | Self::Truncated { .. } => 400,
            Self::Store(_) | Self::Internal(_) => 500,
            Self::Unreachable { .. } | Self::Answer { .. } => 502,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Quota { .. } | Self::Busy | Self::TooSlow | Self::NotReady => Retry::Later,
            Self::NotFound
            | Self::Hash
            | Self::Truncated { .. }
            | Self::Store(_)
            | Self::Unreachable { .. }
            | Self::Answer { .. } => Retry::OtherPeer,
            Self::Ticket(_)
            | Self::TooLarge { .. }
            | Self::Origin { .. }
            | Self::Request(_)
            | Self::Internal(_) => Retry::Never,
        }
    }
}

impl From<paralith_rt::JoinError> for DataError {
    fn from(error: paralith_rt::JoinError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<&DataError> for Error {
    fn from(error: &DataError) -> Self {
        Self::new("data", error.code(), error).with_retry(error.retry())
    }
}
