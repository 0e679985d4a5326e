//! What a command or a node reports to its user when it cannot go on.

use paralith_consensus_client::ClientError;
use paralith_tee_channel::BoundaryError;
use paralith_types::{Error, Retry};

/// Why a command or a node stopped. `code` is stable; the message says what, why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NodeError {
    #[error("{what}: {reason}")]
    Usage { what: String, reason: String },
    #[error("{what}: {reason}")]
    Io { what: String, reason: String },
    #[error(
        "cannot reach the node at {node}: {reason}. Is it running? Start one with `paralith dev`"
    )]
    Unreachable { node: String, reason: String },
    #[error("the node refused: {0}")]
    Refused(Error),
    #[error("the node's answer does not verify: {reason}. Do not trust this node")]
    Unverifiable { reason: String },
    #[error("there is no {what} {name}{hint}")]
    NotFound { what: &'static str, name: String, hint: String },
    #[error("the configuration {file} cannot be used: {reason}")]
    Config { file: String, reason: String },
    #[error("the enclave failed: {0}")]
    Enclave(#[from] BoundaryError),
    #[error("{reason}")]
    NotReady { reason: String },
    #[error("internal error: {reason}")]
    Internal { reason: String },
    #[error(
        "the certificate of {node} is not accepted: {reason}. If it is the right node, give its certificate or \
         authority with `--tls-ca`, or its key with `--tls-pin`"
    )]
    Untrusted { node: String, reason: String },
    /// A receipt or a disclosure that is false, or of something else.
    #[error("{what} does not verify: {reason}. Do not rely on it")]
    NotProven { what: String, reason: String },
}

impl NodeError {
    /// Something that cannot happen unless this program is wrong.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        Self::Internal { reason: error.to_string() }
    }

    /// A file or socket that failed.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        let reason = match error.kind() {
            std::io::ErrorKind::StorageFull => format!("{error}: free some space and try again"),
            std::io::ErrorKind::AddrInUse => {
                format!("{error}: another program listens there; choose another port")
            }
            std::io::ErrorKind::PermissionDenied => format!("{error}: check who owns it"),
            _ => error.to_string(),
        };
        Self::Io { what: what.into(), reason }
    }

    /// A mistake in what was typed.
    pub fn usage(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Usage { what: what.into(), reason: reason.to_string() }
    }

    /// Stable code within module "node".
    pub fn code(&self) -> u32 {
        match self {
            Self::Usage { .. } => 1,
            Self::Io { .. } => 2,
            Self::Unreachable { .. } => 3,
            Self::Refused(_) => 4,
            Self::Unverifiable { .. } => 5,
            Self::NotFound { .. } => 6,
            Self::Config { .. } => 7,
            Self::Enclave(_) => 8,
            Self::NotReady { .. } => 9,
            Self::Internal { .. } => 10,
            Self::Untrusted { .. } => 11,
            Self::NotProven { .. } => 12,
        }
    }

    /// The refusal as it travels to a user of this node.
    pub fn to_wire(&self) -> Error {
        let retry = match self {
            Self::Refused(error) => return error.clone(),
            Self::NotReady { .. } => Retry::Later,
            Self::Unreachable { .. } | Self::Unverifiable { .. } | Self::Untrusted { .. } => {
                Retry::OtherPeer
            }
            _ => Retry::Never,
        };
        Error::new("node", self.code(), self).with_retry(retry)
    }

    /// The program's exit code: 2 for a mistake in what was typed, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Usage { .. } | Self::Config { .. }) { 2 } else { 1 }
    }
}

impl From<ClientError> for NodeError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Usage { what, reason } => Self::Usage { what, reason },
            ClientError::Unreachable { node, reason } => Self::Unreachable { node, reason },
            ClientError::Refused(error) => Self::Refused(error),
            ClientError::Unverifiable { reason } => Self::Unverifiable { reason },
            ClientError::NotFound { what, name, hint } => Self::NotFound { what, name, hint },
            ClientError::NotReady { reason } => Self::NotReady { reason },
            ClientError::Genesis { reason } => {
                Self::Config { file: "the genesis document".to_string(), reason }
            }
            stale @ ClientError::Stale { .. } => Self::NotReady { reason: stale.to_string() },
            ClientError::Internal { reason } => Self::Internal { reason },
        }
    }
}
