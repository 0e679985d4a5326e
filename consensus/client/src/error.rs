//! Why a client cannot go on.

use paralith_types::Error;

/// Why a client cannot go on. `code` is stable; the text says what, why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ClientError {
    /// The caller's.
    #[error("{what}: {reason}")]
    Usage { what: String, reason: String },
    #[error("cannot reach the node at {node}: {reason}")]
    Unreachable { node: String, reason: String },
    /// The node's refusal, or that of the chain or the ParaTime behind it.
    #[error("the node refused: {0}")]
    Refused(Error),
    /// The node lies or is damaged.
    #[error("the node's answer does not verify: {reason}. Do not trust this node")]
    Unverifiable { reason: String },
    #[error("there is no {what} {name}{hint}")]
    NotFound { what: &'static str, name: String, hint: String },
    #[error("{reason}")]
    NotReady { reason: String },
    #[error("the genesis document cannot be used: {reason}")]
    Genesis { reason: String },
    /// The node is cut off or withholds newer blocks, or this machine's clock is wrong.
    #[error(
        "the newest block that the node shows is {age_seconds} s old, at most {max_seconds} s are accepted: \
         ask another node, and check this machine's clock"
    )]
    Stale { age_seconds: u64, max_seconds: u64 },
    /// This machine's.
    #[error("internal error: {reason}")]
    Internal { reason: String },
}

impl ClientError {
    /// Something that cannot happen unless this program is wrong.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        Self::Internal { reason: error.to_string() }
    }

    /// A mistake in what the caller gave.
    pub fn usage(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Usage { what: what.into(), reason: reason.to_string() }
    }

    /// Stable code within module "client".
    pub fn code(&self) -> u32 {
        match self {
            Self::Usage { .. } => 1,
            Self::Unreachable { .. } => 2,
            Self::Refused(_) => 3,
            Self::Unverifiable { .. } => 4,
            Self::NotFound { .. } => 5,
            Self::NotReady { .. } => 6,
            Self::Genesis { .. } => 7,
            Self::Stale { .. } => 8,
            Self::Internal { .. } => 9,
        }
    }
}

/// What a failed gRPC call means: a refusal with its identity, or a node that cannot be reached.
pub fn refused(status: &tonic::Status) -> ClientError {
    match paralith_proto::status::error_of(status) {
        Some(error) => ClientError::Refused(error),
        // Not one of Paralith's: the connection, or a proxy on the way.
        None => ClientError::Refused(
            Error::new("grpc", status.code() as u32, status.message())
                .with_retry(paralith_types::Retry::OtherPeer),
        ),
    }
}

pub(crate) fn unverifiable(error: &dyn std::fmt::Display) -> ClientError {
    ClientError::Unverifiable { reason: error.to_string() }
}
