//! Failures across the boundary.

use paralith_consensus_light::ViewError;
use paralith_runtime_api::boundary::{FrameError, pb};

/// Why a call failed, as it crosses the boundary: a module and its stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{module} {code}: {message}")]
pub struct Failure {
    /// Who refused.
    pub module: String,
    /// Its stable code, not 0.
    pub code: u32,
    /// What, why, what to do.
    pub message: String,
}

impl Failure {
    /// A refusal.
    pub fn new(module: &str, code: u32, message: impl ToString) -> Self {
        Self { module: module.to_string(), code, message: message.to_string() }
    }
}

impl From<pb::Failure> for Failure {
    fn from(pb: pb::Failure) -> Self {
        Self { module: pb.module, code: pb.code, message: pb.message }
    }
}

impl From<Failure> for pb::Failure {
    fn from(failure: Failure) -> Self {
        Self { module: failure.module, code: failure.code, message: failure.message }
    }
}

/// Why the other side gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BoundaryError {
    #[error("the other side of the boundary is gone")]
    Closed,
    #[error("the stream failed: {0}")]
    Frame(String),
    #[error("the other side answered with something else than was asked")]
    WrongReply,
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The message was not sent, the stream goes on.
    #[error("a message of {got} bytes exceeds the frame limit of {limit}: ask for less at once")]
    TooLarge { limit: usize, got: usize },
    /// A defect of the side that answers.
    #[error("the call ended in a panic: report this as a defect")]
    Panicked,
    #[error("the call is empty")]
    EmptyCall,
    /// Inside of [`crate::with_fetched`] only.
    #[error("the answer has not been fetched from the host yet")]
    NotFetched,
}

impl BoundaryError {
    /// Stable code within module "boundary".
    pub fn code(&self) -> u32 {
        match self {
            Self::Closed => 1,
            Self::Frame(_) => 2,
            Self::WrongReply => 3,
            Self::Failure(_) => 4,
            Self::TooLarge { .. } => 5,
            Self::Panicked => 6,
            Self::EmptyCall => 7,
            Self::NotFetched => 8,
        }
    }
}

impl From<FrameError> for BoundaryError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Closed => Self::Closed,
            FrameError::TooLarge { limit, got } => Self::TooLarge { limit, got },
            other => Self::Frame(other.to_string()),
        }
    }
}

impl From<BoundaryError> for Failure {
    fn from(error: BoundaryError) -> Self {
        match error {
            BoundaryError::Failure(failure) => failure,
            other => Self::new("boundary", other.code(), &other),
        }
    }
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        Self::new("view", error.code(), &error)
    }
}

impl From<BoundaryError> for paralith_types::Error {
    fn from(error: BoundaryError) -> Self {
        let Failure { module, code, message } = error.into();
        Self::new(&module, code, message)
    }
}
