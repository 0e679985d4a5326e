//! Why an enclave does not start or gives nothing.

/// Why an enclave does not start or gives nothing. The fault is the host's, except where noted. Each
/// role answers its host with a code of its own for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TeeError {
    #[error("cannot start: {reason}")]
    BadStart { reason: String },
    /// Sealed by another build, on another machine, for another chain or runtime, or damaged.
    #[error("the sealed state does not open here: remove it to start without it")]
    CannotUnseal,
    /// The machine's.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// The blob is not in state: not included yet, replaced by a newer one, or too old to count.
    #[error("no freshness blob of this enclave is in the state of epoch {epoch}: prove it again")]
    NotFresh { epoch: u64 },
}
