//! What can go wrong in a stakeholder, and whose fault it is.

use paralith_private_contract_core::StakeholderError;
use paralith_runtime_vm::{NodeFault, UploadError};
use paralith_storage::StorageError;

/// Why a stakeholder cannot go on with a step. It gives no class and no vote then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// This machine failed while it executed.
    #[error("this machine could not execute the batch: {0}")]
    Node(NodeFault),
    /// The package's module is none.
    #[error("the package's module cannot run: {0}")]
    Module(UploadError),
    /// The module's `init` refused or trapped.
    #[error("`init` of the package failed: {reason}")]
    Init {
        /// What it says.
        reason: String,
    },
    /// The store failed.
    #[error("the store failed: {0}")]
    Storage(StorageError),
    /// Stored bytes, or proven state of the mediator, that this software does not understand.
    #[error("{what} cannot be read: {reason}")]
    Damaged {
        /// What.
        what: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// The tree is not at the batch's old root.
    #[error("the tree is at another root than batch {batch} begins with")]
    OtherRoot {
        /// The batch.
        batch: u64,
    },
    /// The mediator's proven state does not have what the batch needs.
    #[error("the mediator's state lacks {what}")]
    Lacks {
        /// What.
        what: &'static str,
    },
    /// The wraps are sealed to a key that this member does not have.
    #[error("transaction {seq} is sealed to a key that is not here: restore the KEM key file")]
    ForeignKey {
        /// The transaction.
        seq: u64,
    },
    /// A refusal with a code of its own.
    #[error(transparent)]
    Refused(StakeholderError),
    /// No thread for the execution could be started, or it ended without an answer.
    #[error("no thread could execute the batch: {reason}")]
    Thread {
        /// The system's words.
        reason: String,
    },
}

impl ServiceError {
    /// The stable number of this error in the module "stakeholder-service".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Node(_) => 1,
            Self::Module(_) => 2,
            Self::Init { .. } => 3,
            Self::Storage(_) => 4,
            Self::Damaged { .. } => 5,
            Self::OtherRoot { .. } => 6,
            Self::Lacks { .. } => 7,
            Self::ForeignKey { .. } => 8,
            Self::Refused(_) => 9,
            Self::Thread { .. } => 10,
        }
    }

    pub(crate) fn damaged(what: &'static str, reason: impl ToString) -> Self {
        Self::Damaged { what, reason: reason.to_string() }
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<NodeFault> for ServiceError {
    fn from(fault: NodeFault) -> Self {
        Self::Node(fault)
    }
}

impl From<StakeholderError> for ServiceError {
    fn from(error: StakeholderError) -> Self {
        Self::Refused(error)
    }
}

impl From<ServiceError> for paralith_types::Error {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(refused) => refused.into(),
            other => Self::new("stakeholder-service", other.code(), &other)
                .with_retry(paralith_types::Retry::OtherPeer),
        }
    }
}
