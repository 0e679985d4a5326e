//! Signing what an honest node does not sign.

use paralith_consensus_api::roothash::{Failure, ProposalHeader, SignedProposal, Vote, batch_hash};
use paralith_proto::pb::worker::v1::{Proposal, VoteMessage};
use paralith_proto::{Wire, required};
use paralith_runtime_api::tx;
use paralith_types::{Hash, Signature};

use crate::Me;

/// The hash of no batch that anybody finds.
const NOBODYS_BATCH: Hash = Hash([0xee; 32]);

/// The header of a proposal of this node; none of another's.
fn own_header(me: &Me, signed: &SignedProposal) -> Option<ProposalHeader> {
    (signed.scheduler == me.id()).then(|| signed.open(&me.chain_context).ok()).flatten()
}

/// Another proposal for the same rank: a batch of one is contradicted by the empty one.
pub(crate) fn second(me: &Me, first: &Proposal) -> Option<Proposal> {
    let signed: SignedProposal = required(first.proposal.clone(), "proposal").ok()?;
    let mut header = own_header(me, &signed)?;
    let mut transactions = first.transactions.clone();
    transactions.pop()?;
    let hashes: Vec<Hash> = transactions.iter().map(|raw| tx::hash_of(raw)).collect();
    header.batch_hash = batch_hash(&hashes);
    let signed = header.sign(&me.key, &me.chain_context);
    Some(Proposal { proposal: Some(signed.to_pb()), transactions })
}

/// The same vote, but a failure. A scheduler's failure of its own proposal counts nowhere.
pub(crate) fn contradiction(me: &Me, message: &VoteMessage) -> Option<VoteMessage> {
    let signed: SignedProposal = required(message.proposal.clone(), "proposal").ok()?;
    if signed.scheduler == me.id() {
        return None;
    }
    let vote: Vote = required(message.vote.clone(), "vote").ok()?;
    let vote = Vote {
        results: None,
        failure: Some(Failure::Unknown),
        rak_signature: None,
        signature: Signature([0; 64]),
        ..vote
    };
    let vote = vote.signed(&me.key, &me.chain_context);
    let proposal = message.proposal.clone();
    Some(VoteMessage { proposal, vote: Some(vote.to_pb()), messages: Vec::new() })
}

/// A proposal of this node whose header names a batch that nobody has; none if it does already. It is
/// the same for a place whatever the batch was, so the node does not contradict itself.
pub(crate) fn without_batch(me: &Me, signed: &SignedProposal) -> Option<(SignedProposal, Hash)> {
    let mut header = own_header(me, signed)?;
    if header.batch_hash == NOBODYS_BATCH {
        return None;
    }
    header.batch_hash = NOBODYS_BATCH;
    Some((header.sign(&me.key, &me.chain_context), header.id()))
}

/// A vote of this node that names another proposal.
pub(crate) fn renamed(me: &Me, vote: Vote, proposal_id: Hash) -> Vote {
    Vote { proposal_id, signature: Signature([0; 64]), ..vote }.signed(&me.key, &me.chain_context)
}
