//! Why a worker refuses or cannot go on, with stable codes.

use paralith_runtime_round::{IntakeError, PoolError};
use paralith_storage::StorageError;
use paralith_types::{Error, Retry};

use crate::links::LinkError;

/// The module of a worker's refusals.
pub const MODULE: &str = "worker";

/// A refusal or a fault of a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The transaction is in a final round already: it has had its effect. The sender's fault.
    #[error("the transaction is final already, in round {round}; ask for its receipt")]
    AlreadyFinal {
        /// That round.
        round: u64,
    },
    /// The chain cannot be read or does not take a transaction. Ours, or the full node's.
    #[error("consensus: {0}")]
    Chain(#[from] ChainError),
    /// The pool does not take the transaction.
    #[error("{0}")]
    Pool(#[from] PoolError),
    /// A peer sent what no honest peer sends.
    #[error("a peer's message is refused: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// A peer does not answer or has not what was asked for.
    #[error("peer: {0}")]
    Link(#[from] LinkError),
    /// This node has not what was asked for.
    #[error("this node does not have it")]
    NotFound,
    /// This node still catches up, or its enclave has no keys yet. Nobody's fault: try again.
    #[error("this node is not ready yet: try again, or ask another")]
    NotReady,
    /// The store failed. Ours.
    #[error("store: {0}")]
    Storage(#[from] StorageError),
    /// The enclave refused or is gone.
    #[error("enclave: {0}")]
    Enclave(#[from] EnclaveError),
    /// Only enclaves can read the entry. The asker's fault.
    #[error(
        "this ParaTime is confidential: only entries whose keys begin with 0xfe are public and can be proven"
    )]
    NotPublic,
    /// The answer would be too large. The asker's fault.
    #[error("ask for less: an answer has at most {most}")]
    AskedTooMuch {
        /// What one answer holds.
        most: &'static str,
    },
    /// The worker has stopped. Ours.
    #[error("the worker has stopped")]
    Stopped,
}

impl WorkerError {
    /// The code of [`PoolError::Duplicate`]: the transaction waits here already.
    pub const DUPLICATE: u32 = 2;

    /// Stable code within module "worker".
    pub fn code(&self) -> u32 {
        match self {
            Self::Pool(PoolError::Full) => 1,
            Self::Pool(PoolError::Duplicate) => Self::DUPLICATE,
            Self::AlreadyFinal { .. } => 3,
            Self::Pool(PoolError::NonceTaken { .. }) => 4,
            Self::NotReady => 5,
            Self::NotFound => 6,
            Self::Invalid { .. } => 7,
            Self::Chain(_) => 8,
            Self::Link(_) => 9,
            Self::Storage(_) => 10,
            Self::Enclave(_) => 11,
            Self::Stopped => 12,
            Self::Pool(PoolError::SenderFull { .. }) => 13,
            Self::NotPublic => 14,
            Self::AskedTooMuch { .. } => 15,
        }
    }

    /// What the caller can do.
    pub fn retry(&self) -> Retry {
        match self {
            Self::AlreadyFinal { round } => Retry::AlreadyFinal { round: *round },
            Self::Pool(PoolError::Full | PoolError::SenderFull { .. }) | Self::Chain(_) => {
                Retry::Later
            }
            Self::Pool(PoolError::Duplicate | PoolError::NonceTaken { .. })
            | Self::Invalid { .. }
            | Self::NotPublic
            | Self::AskedTooMuch { .. } => Retry::Never,
            // These are about this node, not about the request.
            Self::Link(_)
            | Self::NotFound
            | Self::NotReady
            | Self::Storage(_)
            | Self::Enclave(_)
            | Self::Stopped => Retry::OtherPeer,
        }
    }

    /// As it travels.
    pub fn refusal(&self) -> Error {
        Error::new(MODULE, self.code(), self).with_retry(self.retry())
    }
}

impl From<IntakeError> for WorkerError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::NotYet => Self::NotReady,
            other => Self::Invalid { reason: other.to_string() },
        }
    }
}

/// Why consensus gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// What it said does not verify. The full node's fault.
    #[error("the answer does not verify: {0}")]
    Invalid(String),
    /// The transaction was refused, finally.
    #[error("{module} {code}: {message}")]
    Refused {
        /// Which module refused.
        module: String,
        /// Its stable code.
        code: u32,
        /// Its words.
        message: String,
    },
    /// No answer. Try again.
    #[error("no answer: {0}")]
    Unavailable(String),
}

impl ChainError {
    /// Stable code within module "worker-chain".
    pub fn code(&self) -> u32 {
        match self {
            Self::Invalid(_) => 1,
            Self::Refused { .. } => 2,
            Self::Unavailable(_) => 3,
        }
    }

    /// As it travels.
    pub fn refusal(&self) -> Error {
        let retry = match self {
            Self::Invalid(_) => Retry::OtherPeer,
            Self::Refused { .. } => Retry::Never,
            Self::Unavailable(_) => Retry::Later,
        };
        Error::new("worker-chain", self.code(), self).with_retry(retry)
    }
}

/// Why the enclave did not do what it was asked: its module and stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{module} {code}: {message}")]
pub struct EnclaveError {
    /// Which module refused.
    pub module: String,
    /// Its stable code, not 0.
    pub code: u32,
    /// What, why, what to do.
    pub message: String,
}

impl EnclaveError {
    /// A reply of another kind than was asked for.
    pub(crate) fn wrong_reply() -> Self {
        let message = "the enclave answered another question than was asked".to_string();
        Self { module: "boundary".to_string(), code: 3, message }
    }
}

#[cfg(test)]
mod tests {
    use paralith_proto::status::{error_of, status_of};
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        "[ -~äß]{0,40}"
    }

    fn wire_error() -> impl Strategy<Value = Error> {
        let retry = prop_oneof![
            Just(Retry::Never),
            Just(Retry::Later),
            Just(Retry::OtherPeer),
            any::<u64>().prop_map(|round| Retry::AlreadyFinal { round }),
            any::<u64>().prop_map(|nonce| Retry::NonceIs { nonce }),
        ];
        ("[a-z-]{1,12}", 1..u32::MAX, text(), retry)
            .prop_map(|(module, code, message, retry)| Error { module, code, message, retry })
    }

    fn link_error() -> impl Strategy<Value = LinkError> {
        prop_oneof![
            Just(LinkError::NotFound),
            wire_error().prop_map(LinkError::Refused),
            text().prop_map(LinkError::Unreachable),
        ]
    }

    fn chain_error() -> impl Strategy<Value = ChainError> {
        prop_oneof![
            text().prop_map(ChainError::Invalid),
            ("[a-z]{1,9}", 1..u32::MAX, text())
                .prop_map(|(module, code, message)| ChainError::Refused { module, code, message }),
            text().prop_map(ChainError::Unavailable),
        ]
    }

    fn worker_error() -> impl Strategy<Value = WorkerError> {
        prop_oneof![
            any::<u64>().prop_map(|round| WorkerError::AlreadyFinal { round }),
            chain_error().prop_map(WorkerError::Chain),
            Just(WorkerError::Pool(PoolError::Duplicate)),
            Just(WorkerError::Pool(PoolError::Full)),
            any::<u64>().prop_map(|nonce| WorkerError::Pool(PoolError::NonceTaken { nonce })),
            any::<usize>().prop_map(|limit| WorkerError::Pool(PoolError::SenderFull { limit })),
            text().prop_map(|reason| WorkerError::Invalid { reason }),
            link_error().prop_map(WorkerError::Link),
            Just(WorkerError::NotFound),
            Just(WorkerError::NotReady),
            text().prop_map(|what| WorkerError::Storage(StorageError::Corrupt { what })),
            ("[a-z]{1,9}", 1..u32::MAX, text()).prop_map(|(module, code, message)| {
                WorkerError::Enclave(EnclaveError { module, code, message })
            }),
            Just(WorkerError::Stopped),
        ]
    }

    proptest! {
        #[test]
        fn every_refusal_keeps_module_code_and_retry_over_grpc(
            worker in worker_error(), chain in chain_error(), link in link_error()
        ) {
            for refusal in [worker.refusal(), chain.refusal(), link.refusal()] {
                let status = status_of(Code::Unavailable, &refusal);
                prop_assert_eq!(error_of(&status), Some(refusal));
            }
        }
    }

    #[test]
    fn a_refusal_says_whether_it_is_about_the_transaction_or_about_this_node() {
        for (error, retryable) in [
            (WorkerError::Pool(PoolError::Full), true),
            (WorkerError::Pool(PoolError::NonceTaken { nonce: 1 }), false),
            (WorkerError::NotReady, true),
            (WorkerError::Stopped, true),
            (WorkerError::Invalid { reason: String::new() }, false),
            (WorkerError::AlreadyFinal { round: 5 }, false),
        ] {
            assert_eq!(error.retry().is_retryable(), retryable, "{error}");
        }
        let round = 52;
        assert_eq!(WorkerError::AlreadyFinal { round }.retry(), Retry::AlreadyFinal { round });
    }
}
