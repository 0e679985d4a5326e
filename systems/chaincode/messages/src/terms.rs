//! What the organisations of an application agree upon, beside its descriptor.

use paralith_policy::{Policy, PolicyError};
use paralith_types::{PublicKey, RuntimeId};

use crate::wire::{DecodeError, Message, message};
use crate::{
    MAX_ANCHOR_BLOCKS, MAX_COMMIT_BLOCKS, MAX_ISSUERS, MAX_RESPONSE_BYTES, MAX_TERMS_BYTES,
};

message! {
    /// `terms` of an application's descriptor.
    Terms, TermsPb, MAX_TERMS_BYTES, {
        /// The ParaTime that orders its calls and holds its state.
        [bytes = "vec", tag = "1"] ledger: RuntimeId,
        /// Keys whose certificates give the right to call, sorted. None: everybody may call.
        [bytes = "vec", repeated, tag = "3"] issuers: Vec<PublicKey>,
        /// How old an anchor may be when an enclave executes on it.
        [uint32, tag = "4"] anchor_blocks: u32,
        /// How long after its anchor a call may be committed.
        [uint32, tag = "5"] commit_blocks: u32,
        /// Gas of a call.
        [uint64, tag = "6"] max_gas: u64,
        /// Longest response.
        [uint32, tag = "7"] max_response_bytes: u32,
        /// Results leave the enclave before the commit.
        [bool, tag = "8"] early_results: bool,
    }
    nested {
        /// Which organisations must endorse a call, over the indices of `approval.organisations`.
        [message, optional, tag = "2"] endorsement: Policy,
    }
}

/// Why terms cannot be used. The fault is of those who approved them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Not the encoding of terms.
    #[error("the terms cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// A policy that makes no sense for these organisations.
    #[error("the endorsement policy: {0}")]
    Policy(#[from] PolicyError),
    /// A value out of its range.
    #[error("{field} is {got}, it must be {range}")]
    Range {
        /// Which value.
        field: &'static str,
        /// The value.
        got: u64,
        /// What is allowed.
        range: &'static str,
    },
}

impl Terms {
    /// Reads terms of an application with so many organisations.
    pub fn read(bytes: &[u8], organisations: usize) -> Result<Self, TermsError> {
        let terms = Self::decode(bytes)?;
        terms.check(organisations)?;
        Ok(terms)
    }

    /// Whether they can be used by an application with so many organisations.
    pub fn check(&self, organisations: usize) -> Result<(), TermsError> {
        self.endorsement.check(organisations)?;
        let range = |field, got: u64, range, holds: bool| {
            if holds { Ok(()) } else { Err(TermsError::Range { field, got, range }) }
        };
        let issuers = self.issuers.len();
        let sorted = self.issuers.is_sorted_by(|a, b| a < b) && issuers <= MAX_ISSUERS;
        range("issuers", issuers as u64, "at most 32, sorted, each once", sorted)?;
        let anchor = self.anchor_blocks;
        let holds = (1..=MAX_ANCHOR_BLOCKS).contains(&anchor);
        range("anchor_blocks", anchor.into(), "1 to 100", holds)?;
        let commit = self.commit_blocks;
        let holds = (anchor..=MAX_COMMIT_BLOCKS).contains(&commit);
        range("commit_blocks", commit.into(), "anchor_blocks to 100000", holds)?;
        range("max_gas", self.max_gas, "at least 1", self.max_gas > 0)?;
        let bytes = self.max_response_bytes as usize;
        let holds = (4096..=MAX_RESPONSE_BYTES).contains(&bytes);
        range("max_response_bytes", bytes as u64, "4096 to 262144", holds)
    }
}
