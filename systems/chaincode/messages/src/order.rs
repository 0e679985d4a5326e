//! What the ledger decides about a commit, as functions of what it reads.
//!
//! The ledger calls them in this order, see SPEC.md, section 5: [`application`], [`in_time`],
//! [`committed`](crate::state::committed_key) is absent, [`Quorum`], [`conflict`].

use paralith_policy::Members;
use paralith_types::{Hash, Height, PublicKey, RuntimeId};

use crate::{Definition, Enclave, Response, Unfit, Version};

/// Why a commit is refused. Codes of module `ledger`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read, or its form is not valid.
    #[error("the commit cannot be read: {0}")]
    Form(String),
    /// It is for another ledger.
    #[error("the response is for the ledger {0}: submit it there")]
    OtherLedger(RuntimeId),
    /// There is no such chaincode on this ledger at the pinned height.
    #[error("{application} is no chaincode of this ledger at the pinned height: {reason}")]
    NoApplication {
        /// The application.
        application: RuntimeId,
        /// Why not.
        reason: String,
    },
    /// The descriptor was changed.
    #[error(
        "the descriptor's sequence is {current}, the response's {got}: have the call endorsed anew"
    )]
    Sequence {
        /// The sequence in force.
        current: u64,
        /// The response's.
        got: u64,
    },
    /// Other code was executed.
    #[error("the application's code is {expected}, the response is of {got}")]
    Code {
        /// The descriptor's code.
        expected: paralith_types::CodeId,
        /// The response's.
        got: paralith_types::CodeId,
    },
    /// `valid_until` has come.
    #[error(
        "the call was valid below height {limit}, the round pins {pinned}: have it endorsed anew"
    )]
    ValidUntil {
        /// The response's height.
        limit: Height,
        /// The pinned height.
        pinned: Height,
    },
    /// `commit_before` has come.
    #[error(
        "the chaincode asked for a commit below height {limit}, the round pins {pinned}: it is too late"
    )]
    CommitBefore {
        /// The response's height.
        limit: Height,
        /// The pinned height.
        pinned: Height,
    },
    /// The anchor is too old, or lies ahead.
    #[error(
        "the anchor {anchor} is not within {blocks} blocks below the pinned height {pinned}: have the call endorsed anew"
    )]
    Anchor {
        /// The response's anchor.
        anchor: Height,
        /// `commit_blocks` of the application.
        blocks: u32,
        /// The pinned height.
        pinned: Height,
    },
    /// The call had its effect already.
    #[error("the call was committed in round {round}: ask for its result")]
    Committed {
        /// In which round.
        round: u64,
    },
    /// The index has no such enclave: never registered, expired with its node, frozen, or revoked.
    #[error("the enclave {rak} is not in the application's index: leave its endorsement out")]
    Unknown {
        /// The enclave.
        rak: PublicKey,
    },
    /// The evidence of an enclave is too old.
    #[error("the evidence of the enclave {rak} expired at height {expires}: ask another endorser")]
    Expired {
        /// The enclave.
        rak: PublicKey,
        /// Since when.
        expires: Height,
    },
    /// A signature is not valid.
    #[error("the signature of the enclave {rak} is not valid for this response")]
    Signature {
        /// The enclave.
        rak: PublicKey,
    },
    /// An enclave is named twice.
    #[error("the enclave {rak} endorses twice: name each once")]
    Repeated {
        /// The enclave.
        rak: PublicKey,
    },
    /// The organisations do not satisfy the policy.
    #[error(
        "the endorsement policy is not satisfied by the organisations {have}; {lacks} did not endorse"
    )]
    Policy {
        /// Indices of those that endorsed.
        have: String,
        /// Indices of the others.
        lacks: String,
    },
    /// An entry has changed since it was read.
    #[error(
        "conflict: entry {index} was read as {read} and is {present}: have the call endorsed anew"
    )]
    Conflict {
        /// The entry.
        index: Hash,
        /// The version that was read.
        read: Shown,
        /// The version that is there.
        present: Shown,
    },
    /// Something is longer than its limit.
    #[error("too large: {0}")]
    TooLarge(String),
    /// Lists are not sorted.
    #[error("{0}")]
    Unsorted(String),
    /// The fee or the balance is too low.
    #[error("{0}")]
    Money(String),
    /// The descriptor does not allow an enclave any more.
    #[error("the enclave {rak} does not endorse this application: {reason}")]
    NotAllowed {
        /// The enclave.
        rak: PublicKey,
        /// Why.
        reason: &'static str,
    },
    /// `valid_until` lies further ahead than the terms allow.
    #[error("valid_until is {got}, at most {last} is allowed on this anchor")]
    Window {
        /// The response's height.
        got: Height,
        /// The last height allowed.
        last: Height,
    },
    /// Only the collector may take the fees.
    #[error("only the ledger's collector may take the fees")]
    NotCollector,
}

impl Refusal {
    /// The stable number of this error in the module "ledger".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Form(_) => 1,
            Self::OtherLedger(_) => 2,
            Self::NoApplication { .. } => 3,
            Self::Sequence { .. } => 4,
            Self::Code { .. } => 5,
            Self::ValidUntil { .. } => 6,
            Self::CommitBefore { .. } => 7,
            Self::Anchor { .. } => 8,
            Self::Committed { .. } => 9,
            Self::Unknown { .. } => 10,
            Self::Expired { .. } => 11,
            Self::Signature { .. } => 12,
            Self::Repeated { .. } => 13,
            Self::Policy { .. } => 14,
            Self::Conflict { .. } => 15,
            Self::TooLarge(_) => 16,
            Self::Unsorted(_) => 17,
            Self::Money(_) => 18,
            Self::NotAllowed { .. } => 19,
            Self::NotCollector => 20,
            Self::Window { .. } => 21,
        }
    }
}

/// The code of a conflict, after which a client proposes again.
pub const CODE_CONFLICT: u32 = 15;
/// The code of another sequence, after which a client proposes again on the new descriptor.
pub const CODE_SEQUENCE: u32 = 4;
/// The code of a call that was committed before.
pub const CODE_COMMITTED: u32 = 9;

/// A version in an error's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown(pub Option<Version>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(Version { round, position }) => write!(f, "version {round}.{position}"),
            None => f.write_str("absent"),
        }
    }
}

/// Whether the response is of the application as it is defined, on this ledger.
pub fn application(response: &Response, descriptor: Option<&[u8]>) -> Result<Definition, Refusal> {
    let id = response.application;
    let none = |reason: String| Refusal::NoApplication { application: id, reason };
    let descriptor = descriptor.ok_or_else(|| none("it is not registered".into()))?;
    let definition = Definition::read(&id, descriptor).map_err(|e| none(e.to_string()))?;
    if definition.terms.ledger != response.ledger {
        return Err(none(format!("its ledger is {}", definition.terms.ledger)));
    }
    if definition.sequence != response.sequence {
        return Err(Refusal::Sequence { current: definition.sequence, got: response.sequence });
    }
    if definition.code != response.code_id {
        return Err(Refusal::Code { expected: definition.code, got: response.code_id });
    }
    Ok(definition)
}

/// Whether a round that pins this height may commit the response.
pub fn in_time(
    response: &Response,
    definition: &Definition,
    pinned: Height,
) -> Result<(), Refusal> {
    let Response { valid_until, commit_before, anchor, .. } = *response;
    if pinned >= valid_until {
        return Err(Refusal::ValidUntil { limit: valid_until, pinned });
    }
    if commit_before != Height(0) && pinned >= commit_before {
        return Err(Refusal::CommitBefore { limit: commit_before, pinned });
    }
    let blocks = definition.terms.commit_blocks;
    match pinned.0.checked_sub(anchor.0) {
        Some(age) if age <= u64::from(blocks) => {}
        _ => return Err(Refusal::Anchor { anchor, blocks, pinned }),
    }
    // Honest enclaves refuse it. An application's own organisations must not make the ledger keep
    // records for ever.
    let last = Height(anchor.0.saturating_add(blocks.into()));
    if valid_until > last {
        return Err(Refusal::Window { got: valid_until, last });
    }
    Ok(())
}

/// The endorsements of one response, one after another.
#[derive(Debug)]
pub struct Quorum<'a> {
    definition: &'a Definition,
    pinned: Height,
    raks: Vec<PublicKey>,
    organisations: Members,
}

impl<'a> Quorum<'a> {
    /// No endorsement yet.
    #[must_use]
    pub fn new(definition: &'a Definition, pinned: Height) -> Self {
        Self { definition, pinned, raks: Vec::new(), organisations: Members::new() }
    }

    /// Adds the endorsement of an enclave with this record; `valid` verifies its signature.
    pub fn add(
        &mut self,
        rak: PublicKey,
        record: Option<&[u8]>,
        valid: impl FnOnce() -> bool,
    ) -> Result<(), Refusal> {
        let record = record.ok_or(Refusal::Unknown { rak })?;
        let enclave = Enclave::read(record).map_err(|_| Refusal::Unknown { rak })?;
        let organisation =
            self.definition.endorser(&enclave, self.pinned).map_err(|unfit| match unfit {
                Unfit::Expired { expires } => Refusal::Expired { rak, expires },
                Unfit::NotAllowed(reason) => Refusal::NotAllowed { rak, reason },
            })?;
        if !valid() {
            return Err(Refusal::Signature { rak });
        }
        if self.raks.contains(&rak) {
            return Err(Refusal::Repeated { rak });
        }
        self.raks.push(rak);
        // Two enclaves of one organisation count once.
        self.organisations.insert(organisation);
        Ok(())
    }

    /// The organisations that endorsed.
    #[must_use]
    pub fn organisations(&self) -> &Members {
        &self.organisations
    }

    /// Whether they satisfy the policy.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.definition.terms.endorsement.satisfied(&self.organisations)
    }

    /// The refusal if they do not.
    pub fn satisfied(&self) -> Result<(), Refusal> {
        if self.is_satisfied() {
            return Ok(());
        }
        let all = u32::try_from(self.definition.organisations.len()).unwrap_or(u32::MAX);
        let lacks: Members =
            (0..all).filter(|member| !self.organisations.contains(*member)).collect();
        let (have, lacks) = (format!("{:?}", self.organisations), format!("{lacks:?}"));
        Err(Refusal::Policy { have, lacks })
    }
}

/// Refuses if an entry that the call read has another version now. `present` gives the version of an
/// entry.
pub fn conflict<E: From<Refusal>>(
    response: &Response,
    mut present: impl FnMut(&Hash) -> Result<Option<Version>, E>,
) -> Result<(), E> {
    for read in &response.reads {
        let found = present(&read.index)?;
        if found != read.version {
            let (read_as, present) = (Shown(read.version), Shown(found));
            return Err(Refusal::Conflict { index: read.index, read: read_as, present }.into());
        }
    }
    Ok(())
}
