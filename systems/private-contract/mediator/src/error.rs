//! Refusals.

use paralith_sdk::{AccountsError, Error};

/// Why the mediator refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediatorError {
    /// No such contract.
    #[error("there is no such contract")]
    NoContract,
    /// Its state does not allow it.
    #[error("the contract's state does not allow this: {0}")]
    NotActive(&'static str),
    /// The key set.
    #[error("the newest keys_version is {newest}: {reason}")]
    KeysVersion {
        /// It.
        newest: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The certificate's issuer.
    #[error("the certificate's issuer is not one of the contract's")]
    Issuer,
    /// The certificate's scope.
    #[error("the certificate is for another contract")]
    Scope,
    /// The certificate's subject.
    #[error("the certificate's subject is not the sender of this transaction")]
    Subject,
    /// The certificate's heights.
    #[error("the certificate is not valid at this height")]
    Window,
    /// Revoked.
    #[error("the certificate is revoked")]
    Revoked,
    /// The certificate's signature or form.
    #[error("the certificate's signature, version or attributes are not valid")]
    Signature,
    /// A number that was used.
    #[error("sender_seq {got} is used; the next is {next}")]
    SeqUsed {
        /// The one that came.
        got: u64,
        /// The one that comes next.
        next: u64,
    },
    /// A number that lies ahead.
    #[error("sender_seq {got} leaves a gap; the next is {next}")]
    SeqGap {
        /// The one that came.
        got: u64,
        /// The one that comes next.
        next: u64,
    },
    /// The wraps.
    #[error(
        "there must be one wrap for each member, all for one plaintext, none for members that are gone"
    )]
    Wraps,
    /// The content.
    #[error("the content has 1 to {limit} bytes")]
    ContentSize {
        /// The limit.
        limit: u32,
    },
    /// The queue.
    #[error("the queue is full: try again when some of it is final")]
    QueueFull,
    /// Money.
    #[error("{0} is not covered")]
    Money(&'static str),
    /// A batch that does not exist.
    #[error("there is no such batch")]
    NoBatch,
    /// A batch that has ended.
    #[error("this batch has ended")]
    Decided,
    /// A verdict that cannot be.
    #[error("the verdict cannot be: {0}")]
    Verdict(&'static str),
    /// Actions that are not the verdict's.
    #[error("the actions are not those of the verdict, or exceed a limit")]
    Actions,
    /// Signers.
    #[error("the signers cannot be: {0}")]
    Signers(&'static str),
    /// An aggregate signature.
    #[error("the signature is not that of these signers for this contract, batch and verdict")]
    Aggregate,
    /// Keys.
    #[error("the keys cannot be used: {0}")]
    Keys(&'static str),
    /// A vote key of another account.
    #[error("another account has this vote key")]
    KeyInUse,
    /// A complaint.
    #[error("the complaint is unfounded: {0}")]
    Complaint(&'static str),
    /// Evidence.
    #[error("the evidence is unfounded: {0}")]
    Evidence(&'static str),
    /// A definition or its policy.
    #[error("the definition or its signers cannot be: {0}")]
    Policy(&'static str),
    /// A version.
    #[error("the definition's version must be {expected}, with no other change under way")]
    Version {
        /// It.
        expected: u64,
    },
    /// What a member joins.
    #[error("this cannot be joined: {0}")]
    Joined(&'static str),
    /// Receipts.
    #[error("the contract wants receipts of {wanted} members")]
    Receipts {
        /// How many.
        wanted: u32,
    },
    /// A receipt.
    #[error("a receipt is late, out of order, or not signed by its member for this content")]
    Receipt,
    /// A package.
    #[error("the package cannot be: {0}")]
    Package(&'static str),
    /// Joins of a change.
    #[error("a new member has not joined this definition with its bond, on a root that is kept")]
    Joins,
    /// Dormant.
    #[error("the contract is not dormant, and its queue is not empty")]
    NotDormant,
}

impl MediatorError {
    /// The stable number of this error in the module "mediator".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::NoContract => 1,
            Self::NotActive(_) => 2,
            Self::KeysVersion { .. } => 3,
            Self::Issuer => 4,
            Self::Scope => 5,
            Self::Subject => 6,
            Self::Window => 7,
            Self::Revoked => 8,
            Self::Signature => 9,
            Self::SeqUsed { .. } => 10,
            Self::SeqGap { .. } => 11,
            Self::Wraps => 12,
            Self::ContentSize { .. } => 13,
            Self::QueueFull => 14,
            Self::Money(_) => 15,
            Self::NoBatch => 16,
            Self::Decided => 17,
            Self::Verdict(_) => 18,
            Self::Actions => 19,
            Self::Signers(_) => 20,
            Self::Aggregate => 21,
            Self::Keys(_) => 22,
            Self::KeyInUse => 23,
            Self::Complaint(_) => 24,
            Self::Evidence(_) => 25,
            Self::Policy(_) => 26,
            Self::Version { .. } => 27,
            Self::Joined(_) => 28,
            Self::Receipts { .. } => 29,
            Self::Receipt => 30,
            Self::Package(_) => 31,
            Self::Joins => 32,
            Self::NotDormant => 33,
        }
    }

    /// A refusal of the accounts, as one of the mediator if it is about money that is missing.
    pub(crate) fn of_accounts(error: AccountsError, what: &'static str) -> Error {
        match error {
            AccountsError::Balance | AccountsError::Fee => Self::Money(what).into(),
            other => other.into(),
        }
    }
}

impl From<MediatorError> for Error {
    fn from(error: MediatorError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
