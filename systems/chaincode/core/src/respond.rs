//! An endorser's response: the same bytes at every honest enclave.

use std::collections::BTreeMap;

use paralith_chaincode_messages::{
    Event, MAX_ACCESSES, Read, Response, VERSION, Version, Write, Written,
};
use paralith_runtime_api::output::{Error as OutputError, Output};
use paralith_types::{Hash, Height};

use crate::EndorseError;
use crate::endorse::Admitted;

/// What an execution read and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accesses {
    /// Entries of the snapshot that were read, the code marker among them; not those that the call
    /// itself had written before.
    pub reads: BTreeMap<Hash, Option<Version>>,
    /// Entries that were written last as this, sealed; unchanged ones too.
    pub writes: BTreeMap<Hash, Option<Vec<u8>>>,
    /// Events in their order.
    pub events: Vec<Event>,
    /// The smallest height of all `commit_before`.
    pub commit_before: Option<Height>,
}

impl Accesses {
    /// The same without effects.
    fn only_reads(self) -> Self {
        Self { reads: self.reads, ..Self::default() }
    }
}

/// An output, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedResult {
    /// Until the commit.
    pub sealed_output: Vec<u8>,
    /// Commitment to it.
    pub commitment: Hash,
}

/// A response and the output that is sealed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responded {
    /// What is signed.
    pub response: Written<Response>,
    /// What the caller will read.
    pub output: Output,
}

impl Admitted {
    /// The response to a call that had this output and did this. `seal` seals an output for this
    /// execution; it is called for each output that is tried, and always gives the same for one.
    ///
    /// An error has reads only. What is longer than the terms allow becomes the error
    /// `ResponseTooLarge`, with reads if they fit: without effects there is nothing to conflict.
    pub fn respond<E>(
        &self,
        accesses: Accesses,
        output: Output,
        mut seal: impl FnMut(&Output) -> Result<SealedResult, E>,
    ) -> Result<Responded, E> {
        let limit = self.definition().terms.max_response_bytes;
        let accesses = match &output {
            Output::Ok(_) => accesses,
            Output::Error(_) => accesses.only_reads(),
        };
        let too_large = self.too_large(limit);
        let reads = accesses.clone().only_reads();
        for (accesses, output) in [(accesses, output), (reads, too_large.clone())] {
            let response = self.response(accesses, seal(&output)?);
            if response.check().is_ok() && response.bytes().len() <= limit as usize {
                return Ok(Responded { response, output });
            }
        }
        let response = self.response(Accesses::default(), seal(&too_large)?);
        Ok(Responded { response, output: too_large })
    }

    fn too_large(&self, limit: u32) -> Output {
        let error = EndorseError::ResponseTooLarge { limit };
        let (module, message) = ("endorse".to_string(), error.to_string());
        Output::Error(OutputError { module, code: error.code(), message })
    }

    fn response(&self, accesses: Accesses, sealed: SealedResult) -> Written<Response> {
        let proposal = self.proposal();
        let Accesses { reads, writes, events, commit_before } = accesses;
        Written::new(Response {
            version: VERSION,
            tx_id: self.tx_id(),
            ledger: proposal.ledger,
            application: proposal.application,
            sequence: proposal.sequence,
            code_id: self.definition().code,
            anchor: proposal.anchor,
            snapshot_round: self.snapshot().round,
            snapshot_root: self.snapshot().root,
            valid_until: proposal.valid_until,
            commit_before: commit_before.unwrap_or(Height(0)),
            reads: reads.into_iter().map(|(index, version)| Read { index, version }).collect(),
            writes: writes.into_iter().map(|(index, value)| Write { index, value }).collect(),
            events,
            sealed_output: sealed.sealed_output,
            output_commitment: sealed.commitment,
        })
    }
}

/// Most entries that an enclave lets a call read, and write: one more traps.
pub const MAX_ENTRIES: usize = MAX_ACCESSES;
