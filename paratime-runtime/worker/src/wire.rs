//! Messages of peers, read and verified: what the machine gets is signed by whom it names.

use paralith_consensus_api::roothash::{
    Message, ProposalHeader, SignedProposal, Vote, batch_hash, messages_hash,
};
use paralith_proto::pb::worker::v1::{Proposal, VoteMessage};
use paralith_proto::{DecodeError, Wire, required};
use paralith_runtime_api::tx;
use paralith_types::{ChainContext, Hash};

use crate::error::WorkerError;
use crate::round::{BatchSize, CheckedProposal, CheckedVote};

/// Reads a proposal that came with its batch. Whether the batch fits is the second value.
pub(crate) fn open_proposal(
    message: &Proposal,
    chain: &ChainContext,
) -> Result<(CheckedProposal, bool), WorkerError> {
    let signed = required(message.proposal.clone(), "proposal").map_err(malformed)?;
    let proposal = check_proposal(signed, chain)?;
    let fits = batch_hash(&hashes(&message.transactions)) == proposal.header.batch_hash;
    Ok((proposal, fits))
}

/// Reads a vote with the proposal it names.
pub(crate) fn open_vote(
    message: &VoteMessage,
    chain: &ChainContext,
) -> Result<CheckedVote, WorkerError> {
    let signed = required(message.proposal.clone(), "proposal").map_err(malformed)?;
    let proposal = check_proposal(signed, chain)?;
    let vote: Vote = required(message.vote.clone(), "vote").map_err(malformed)?;
    if vote.proposal_id != proposal.id() {
        return Err(invalid("the vote names another proposal"));
    }
    vote.verify(chain).map_err(|e| invalid(&e.to_string()))?;
    let messages: Vec<Message> = Wire::from_pb(message.messages.clone()).map_err(malformed)?;
    let expected = vote.results.as_ref().map(|results| results.messages_hash);
    let messages = (expected == Some(messages_hash(&messages))).then_some(messages);
    Ok(CheckedVote { proposal, vote, messages })
}

/// Verifies a proposal's signature. Whether it is its rank's scheduler that signed is the machine's
/// to say.
pub(crate) fn check_proposal(
    signed: SignedProposal,
    chain: &ChainContext,
) -> Result<CheckedProposal, WorkerError> {
    let header: ProposalHeader = signed.open(chain).map_err(|e| invalid(&e.to_string()))?;
    Ok(CheckedProposal { signed, header })
}

/// Hashes of raw transactions, in their order.
pub(crate) fn hashes(raws: &[Vec<u8>]) -> Vec<Hash> {
    raws.iter().map(|raw| tx::hash_of(raw)).collect()
}

/// How large a batch is.
pub(crate) fn size_of(raws: &[Vec<u8>]) -> BatchSize {
    let bytes = raws.iter().map(Vec::len).fold(0, usize::saturating_add);
    BatchSize { count: raws.len(), bytes }
}

fn malformed(error: DecodeError) -> WorkerError {
    invalid(&error.to_string())
}

pub(crate) fn invalid(reason: &str) -> WorkerError {
    WorkerError::Invalid { reason: reason.to_string() }
}
