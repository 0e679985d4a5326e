//! What is wrong with a policy or a certificate.

use paralith_types::{Error, Height, Invalid, PublicKey, Retry};

/// A policy that is not valid, or bytes or text that are not the form of one. The fault is the
/// sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Longer than any valid form; nothing was read.
    #[error("a policy takes at most {limit} bytes, this has {got}")]
    TooLarge {
        /// The most.
        limit: usize,
        /// The length.
        got: usize,
    },
    /// Not the message of a policy.
    #[error("not the encoding of a policy: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// A policy that is written in another way than the one canonical way.
    #[error("not the canonical encoding of its policy: encode it again")]
    NotCanonical,
    /// Nested too deeply.
    #[error("a policy nests at most {limit} deep, a member counted")]
    TooDeep {
        /// The most.
        limit: usize,
    },
    /// Too many nodes.
    #[error("a policy has at most {limit} nodes, members counted")]
    TooManyNodes {
        /// The most.
        limit: usize,
    },
    /// An index that the list of members does not have.
    #[error("there is no member {member}: there are {members}, counted from 0")]
    NoSuchMember {
        /// The index.
        member: u32,
        /// How many members there are.
        members: usize,
    },
    /// A child that counts for nothing.
    #[error("a weight is 0: leave out what does not count")]
    ZeroWeight,
    /// One member twice directly under one threshold.
    #[error("member {member} stands twice under one threshold: give it a weight instead")]
    Repeated {
        /// Its index.
        member: u32,
    },
    /// A threshold that all children together do not reach.
    #[error("a threshold asks for weight {weight}, all its members together have {sum}")]
    Unsatisfiable {
        /// What is asked for.
        weight: u64,
        /// What there is.
        sum: u64,
    },
    /// A threshold of weight 0.
    #[error("a threshold of weight 0 is satisfied by nobody's consent: ask for 1 at least")]
    ZeroThreshold,
    /// Text that is not a policy.
    #[error("cannot read the policy at character {at}: {reason}")]
    Text {
        /// Where, in characters from 1.
        at: usize,
        /// What was expected.
        reason: &'static str,
    },
    /// A name that is not in the list.
    #[error("there is no member named {name:?}")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// A list of names that the text form cannot use.
    #[error("cannot use the name {name:?} in a policy: {reason}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A set of members that is not in its one form.
    #[error("not a set of members: {reason}")]
    Members {
        /// What is wrong.
        reason: &'static str,
    },
}

impl PolicyError {
    /// The stable number of this error in the module "policy".
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::TooLarge { .. } => 1,
            Self::Malformed { .. } => 2,
            Self::NotCanonical => 3,
            Self::TooDeep { .. } => 4,
            Self::TooManyNodes { .. } => 5,
            Self::NoSuchMember { .. } => 6,
            Self::ZeroWeight => 7,
            Self::Repeated { .. } => 8,
            Self::Unsatisfiable { .. } => 9,
            Self::ZeroThreshold => 10,
            Self::Text { .. } => 11,
            Self::UnknownName { .. } => 12,
            Self::BadName { .. } => 13,
            Self::Members { .. } => 14,
        }
    }

    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Self::new("policy", error.code(), error)
    }
}

/// A certificate that does not say what it is shown for. The fault is its holder's or its issuer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not the canonical encoding of a certificate.
    #[error("cannot read the certificate: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// A version that this build does not know.
    #[error("unknown certificate version {got}, this is version 1")]
    Version {
        /// The version.
        got: u32,
    },
    /// Too much text.
    #[error("a certificate's attributes take at most 255 bytes, these have {got}")]
    Attributes {
        /// Their length.
        got: usize,
    },
    /// It is valid elsewhere.
    #[error("the certificate is for another scope: ask the issuer for one of this scope")]
    Scope,
    /// It is about another key.
    #[error("the certificate is for the key {subject}: sign with that key")]
    Subject {
        /// The key that it is about.
        subject: PublicKey,
    },
    /// Its first height has not come.
    #[error("the certificate is valid from height {not_before} on, this is {now}")]
    NotYetValid {
        /// Its first height.
        not_before: Height,
        /// The height at which it was shown.
        now: Height,
    },
    /// Its last height is over.
    #[error(
        "the certificate was valid before height {not_after}, this is {now}: ask the issuer for another"
    )]
    Expired {
        /// The first height at which it is no longer valid.
        not_after: Height,
        /// The height at which it was shown.
        now: Height,
    },
    /// Not signed by its issuer for this chain.
    #[error("the certificate's signature is not valid for issuer {issuer} and this chain")]
    Signature {
        /// Who is said to have signed.
        issuer: PublicKey,
    },
}

impl CertificateError {
    /// The stable number of this error in the module "certificate".
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Malformed { .. } => 1,
            Self::Version { .. } => 2,
            Self::Attributes { .. } => 3,
            Self::Scope => 4,
            Self::Subject { .. } => 5,
            Self::NotYetValid { .. } => 6,
            Self::Expired { .. } => 7,
            Self::Signature { .. } => 8,
        }
    }

    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }
}

impl From<Invalid> for CertificateError {
    fn from(invalid: Invalid) -> Self {
        Self::malformed(invalid.to_string())
    }
}

impl From<CertificateError> for Error {
    fn from(error: CertificateError) -> Self {
        let retry = match error {
            CertificateError::NotYetValid { .. } => Retry::Later,
            CertificateError::Malformed { .. }
            | CertificateError::Version { .. }
            | CertificateError::Attributes { .. }
            | CertificateError::Scope
            | CertificateError::Subject { .. }
            | CertificateError::Expired { .. }
            | CertificateError::Signature { .. } => Retry::Never,
        };
        Self::new("certificate", error.code(), error).with_retry(retry)
    }
}
