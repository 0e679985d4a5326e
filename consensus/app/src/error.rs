//! Why the application itself cannot go on, as opposed to a transaction that it refuses.

use paralith_consensus_api::Error;
use paralith_storage::StorageError;
use paralith_types::Height;

/// Why a call to the application fails. None of these is the result of a transaction: a node that
/// meets one in [`crate::App::finalize_block`] or [`crate::App::commit`] must stop, not vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// A rule of the chain failed outside any transaction. At genesis the document's fault,
    /// otherwise this program's.
    #[error("the chain cannot go on: {0}")]
    Module(#[from] Error),
    /// The engine's fault: `commit` without `finalize_block`.
    #[error("there is no finalised block to commit")]
    NothingToCommit,
    /// The engine's fault: a block before `init_chain`.
    #[error("the chain has no state yet: init_chain comes first")]
    NotInitialised,
    /// This node's: the store, or what it holds.
    #[error("the store: {0}")]
    Storage(#[from] StorageError),
    /// The caller's: the height was not reached yet, or is not kept.
    #[error("there is no state of height {height}: this node keeps {oldest} to {latest}")]
    UnknownHeight {
        /// What was asked for.
        height: Height,
        /// The oldest that is kept.
        oldest: Height,
        /// The newest.
        latest: Height,
    },
    /// The engine's fault.
    #[error("the next block has height {expected}, not {got}")]
    WrongHeight {
        /// The next.
        expected: Height,
        /// What came.
        got: Height,
    },
    /// The operator's: `init_chain` on a store that holds a chain already.
    #[error("the store holds a chain already, at height {height}")]
    AlreadyInitialised {
        /// Its last block.
        height: Height,
    },
}

impl AppError {
    /// Stable code.
    pub fn code(&self) -> u32 {
        match self {
            Self::Module(_) => 1,
            Self::NothingToCommit => 2,
            Self::NotInitialised => 3,
            Self::Storage(_) => 4,
            Self::UnknownHeight { .. } => 5,
            Self::WrongHeight { .. } => 6,
            Self::AlreadyInitialised { .. } => 7,
        }
    }
}
