//! Why a worker refuses or cannot go on, with stable codes.

use paralith_storage::StorageError;

use crate::links::LinkError;

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
    /// The pool has the transaction. Nobody's fault: hand it in once.
    #[error("the transaction is in the pool already")]
    Duplicate,
    /// The pool takes no more. Nobody's fault: try again later.
    #[error("the pool is full: try again when rounds have been made")]
    Full,
    /// A peer sent what no honest peer sends.
    #[error("a peer's message is refused: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// A peer does not answer or has not what was asked for.
    #[error("peer: {0}")]
    Link(#[from] LinkError),
    /// The sender has another transaction with this nonce in the pool. The sender's fault.
    #[error("another transaction of this sender with nonce {nonce} is in the pool")]
    NonceTaken {
        /// The nonce.
        nonce: u64,
    },
    /// This node has not what was asked for.
    #[error("this node does not have it")]
    NotFound,
    /// This node still catches up, or its trusted side has no keys yet. Nobody's fault: try again.
    #[error("this node is not ready yet: try again, or ask another")]
    NotReady,
    /// The store failed. Ours.
    #[error("store: {0}")]
    Storage(#[from] StorageError),
    /// The trusted side refused or is gone.
    #[error("trusted side: {0}")]
    Trusted(#[from] TrustedError),
    /// The worker has stopped. Ours.
    #[error("the worker has stopped")]
    Stopped,
}

impl WorkerError {
    /// The codes that say that a worker cannot tell now: its pool is full, it is not ready, its
    /// trusted side has no keys or not the newest state, it stops.
    pub const NOT_YET: [u32; 4] = [1, 5, 11, 12];

    /// The code of [`WorkerError::Duplicate`].
    pub const DUPLICATE: u32 = 2;

    /// The round of an [`WorkerError::AlreadyFinal`] that another node's refusal is, by its code and
    /// message.
    pub fn final_round(code: u32, message: &str) -> Option<u64> {
        let (_, rest) = message.split_once("in round ")?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        (code == 3).then(|| digits.parse().ok())?
    }

    /// Stable code within module "worker".
    pub fn code(&self) -> u32 {
        match self {
            Self::Full => 1,
            Self::Duplicate => Self::DUPLICATE,
            Self::AlreadyFinal { .. } => 3,
            Self::NonceTaken { .. } => 4,
            Self::NotReady => 5,
            Self::NotFound => 6,
            Self::Invalid { .. } => 7,
            Self::Chain(_) => 8,
            Self::Link(_) => 9,
            Self::Storage(_) => 10,
            Self::Trusted(_) => 11,
            Self::Stopped => 12,
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
}

/// Why the trusted side did not do what it was asked: its module and stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{module} {code}: {message}")]
pub struct TrustedError {
    /// Who refused.
    pub module: String,
    /// Its stable code, not 0.
    pub code: u32,
    /// What, why, what to do.
    pub message: String,
}

impl TrustedError {
    /// A reply of another kind than was asked for.
    pub(crate) fn wrong_reply() -> Self {
        let message = "the trusted side answered with something else than was asked".to_string();
        Self { module: "boundary".to_string(), code: 3, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_round_is_read_from_the_refusal_itself() {
        let error = WorkerError::AlreadyFinal { round: 52 };
        assert_eq!(WorkerError::final_round(error.code(), &error.to_string()), Some(52));
        let other = WorkerError::NonceTaken { nonce: 52 };
        assert_eq!(WorkerError::final_round(other.code(), &other.to_string()), None);
        assert_eq!(WorkerError::final_round(3, "in round "), None);
    }
}
