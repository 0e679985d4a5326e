//! Refusals of a stakeholder and of its data store.

/// Why a stakeholder refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StakeholderError {
    /// It knows no such contract.
    #[error("this stakeholder has no such contract: install its package first")]
    NoSuchContract,
    /// Neither it nor the caller is a member.
    #[error("not a member of the contract under the definition of that batch")]
    NotAMember,
    /// The package is not the definition's.
    #[error(
        "the package's hash is not that of the definition: get the package from the owner again"
    )]
    PackageDiffers,
    /// The batch is not final here.
    #[error("batch {batch} is not executed here yet: ask again later")]
    NotExecuted {
        /// It.
        batch: u64,
    },
    /// What is asked for is no longer kept.
    #[error("batch {batch} is no longer kept: ask another member")]
    Dropped {
        /// It.
        batch: u64,
    },
    /// Only the sender gets a result.
    #[error("only the sender of transaction {seq} gets its result: sign with its key")]
    NotTheSender {
        /// Its number.
        seq: u64,
    },
    /// The contract or the operator does not allow it.
    #[error("the caller may not ask for this")]
    NotAllowed,
    /// A ticket that is missing, false or expired.
    #[error("no valid ticket: {reason}")]
    Ticket {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The content has another hash than its name.
    #[error("the content's hash is not its name")]
    ContentHash,
    /// The content is longer than the ticket allows.
    #[error("the content has more than {limit} bytes")]
    ContentSize {
        /// The limit.
        limit: u32,
    },
    /// A URI outside of the terms.
    #[error("the URI is none of the contract's origins: nothing else is contacted")]
    Origin,
    /// The own guard against a second vote.
    #[error(
        "a vote of batch {batch} with another verdict is stored: a second one would cost the bond"
    )]
    WouldVoteTwice {
        /// It.
        batch: u64,
    },
}

impl StakeholderError {
    /// The stable number of this error in the module "stakeholder".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::NoSuchContract => 1,
            Self::NotAMember => 2,
            Self::PackageDiffers => 3,
            Self::NotExecuted { .. } => 4,
            Self::Dropped { .. } => 5,
            Self::NotTheSender { .. } => 6,
            Self::NotAllowed => 7,
            Self::Ticket { .. } => 20,
            Self::ContentHash => 21,
            Self::ContentSize { .. } => 22,
            Self::Origin => 23,
            Self::WouldVoteTwice { .. } => 24,
        }
    }
}

impl From<StakeholderError> for paralith_types::Error {
    fn from(error: StakeholderError) -> Self {
        let retry = match &error {
            StakeholderError::NotExecuted { .. } => paralith_types::Retry::Later,
            StakeholderError::Dropped { .. } | StakeholderError::NoSuchContract => {
                paralith_types::Retry::OtherPeer
            }
            StakeholderError::NotAMember
            | StakeholderError::PackageDiffers
            | StakeholderError::NotTheSender { .. }
            | StakeholderError::NotAllowed
            | StakeholderError::Ticket { .. }
            | StakeholderError::ContentHash
            | StakeholderError::ContentSize { .. }
            | StakeholderError::Origin
            | StakeholderError::WouldVoteTwice { .. } => paralith_types::Retry::Never,
        };
        Self::new("stakeholder", error.code(), &error).with_retry(retry)
    }
}
