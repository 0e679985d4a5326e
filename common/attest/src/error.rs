//! Why evidence is refused.

use std::fmt;

use paralith_types::{ChainContext, Height, PublicKey};

use crate::Measurement;

/// Kinds of evidence, with their tags in the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Signed by a platform key that genesis lists.
    Software,
    /// Intel SGX, DCAP quotes.
    SgxDcap,
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
    /// A tag that this build has no name for.
    Unknown(u32),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Software => f.write_str("software (development only)"),
            Self::SgxDcap => f.write_str("Intel SGX (DCAP)"),
            Self::Tdx => f.write_str("Intel TDX"),
            Self::SevSnp => f.write_str("AMD SEV-SNP"),
            Self::Unknown(tag) => write!(f, "unknown (tag {tag})"),
        }
    }
}

/// Why evidence is refused. The fault is that of the presenter, except where noted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestError {
    /// The bytes are not the one encoding of anything, or are too long.
    #[error("not in canonical form: {reason}")]
    NotCanonical {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Genesis lists no software platform: this chain wants hardware.
    #[error("this chain accepts no software evidence")]
    SoftwareNotAllowed,
    /// Genesis lists software platforms, but not this one.
    #[error("genesis does not list the software platform {platform}")]
    UnknownPlatform {
        /// Its key.
        platform: PublicKey,
    },
    /// The platform did not sign these claims.
    #[error("the platform's signature is not valid for these claims")]
    BadSignature,
    /// The code is not one that the policy allows: perhaps the policy is out of date.
    #[error("the policy does not allow the measurement {measurement}")]
    WrongMeasurement {
        /// What runs there.
        measurement: Measurement,
    },
    /// The evidence has expired: attest again.
    #[error("evidence of height {height} is too old at height {now}: at most {max_age} blocks")]
    TooOld {
        /// When it was made.
        height: Height,
        /// The height at which it was checked.
        now: Height,
        /// How old it may be.
        max_age: u64,
    },
    /// The evidence names a height that the checker has not reached: one of the two has a wrong view
    /// of the chain.
    #[error("evidence of height {height} is from the future at height {now}")]
    FromTheFuture {
        /// When it says that it was made.
        height: Height,
        /// The height at which it was checked.
        now: Height,
    },
    /// Evidence of a kind that this build has no verifier for. Nobody's fault.
    #[error("this build cannot verify evidence of kind {kind}")]
    UnsupportedKind {
        /// The kind.
        kind: Kind,
    },
    /// The evidence was made for another chain.
    #[error("made for the chain {chain}, not for this one")]
    WrongChain {
        /// The chain it was made for.
        chain: ChainContext,
    },
}

impl AttestError {
    /// The stable number of this error.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::NotCanonical { .. } => 1,
            Self::SoftwareNotAllowed => 2,
            Self::UnknownPlatform { .. } => 3,
            Self::BadSignature => 4,
            Self::WrongMeasurement { .. } => 5,
            Self::TooOld { .. } => 6,
            Self::FromTheFuture { .. } => 7,
            Self::UnsupportedKind { .. } => 8,
            Self::WrongChain { .. } => 9,
        }
    }

    /// Bytes that mean nothing.
    pub(crate) const fn malformed() -> Self {
        Self::NotCanonical { reason: "malformed" }
    }

    /// Bytes that mean something which is written differently.
    pub(crate) const fn another_form() -> Self {
        Self::NotCanonical { reason: "not the one encoding of its value" }
    }

    /// More bytes than are looked at.
    pub(crate) const fn too_long() -> Self {
        Self::NotCanonical { reason: "too long" }
    }
}
