//! A client matches what several endorsers answered.

use std::collections::BTreeMap;

use paralith_chaincode_messages::order::Quorum;
use paralith_chaincode_messages::{
    Definition, Endorsement, MAX_ENDORSEMENTS, Message, NewCommit, Proposal, Response,
};
use paralith_types::{ChainContext, Hash, Height, PublicKey};

use crate::{ClientError, hashes};

/// What a client expects of each answer.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The chain.
    pub chain: &'a ChainContext,
    /// What was proposed.
    pub proposal: &'a Proposal,
    /// The transaction.
    pub tx_id: Hash,
    /// The application as the client has proven it.
    pub definition: &'a Definition,
    /// The height at which it has proven the records of the enclaves.
    pub now: Height,
}

/// An endorser's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The encoded response.
    pub response: Vec<u8>,
    /// Its signature.
    pub endorsement: Endorsement,
    /// The enclave's record in the index, proven by the client.
    pub record: Option<Vec<u8>>,
}

/// The commit of those answers that are equal and satisfy the policy, with as few endorsements as can
/// be without looking for the smallest number.
pub fn collect(expected: &Expected<'_>, answers: &[Answer]) -> Result<NewCommit, ClientError> {
    let mut groups: BTreeMap<&[u8], Vec<&Answer>> = BTreeMap::new();
    let mut refused = Vec::new();
    for answer in answers {
        match check(expected, answer) {
            Ok(()) => groups.entry(&answer.response).or_default().push(answer),
            Err(reason) => refused.push(format!("{}: {reason}", answer.endorsement.rak)),
        }
    }
    let mut lacks = String::from("all");
    for (response, answers) in &groups {
        match smallest(expected, answers) {
            Ok(endorsements) => return Ok(NewCommit { response: response.to_vec(), endorsements }),
            Err(missing) => lacks = missing,
        }
    }
    let refused = if refused.is_empty() { "none".into() } else { refused.join("; ") };
    Err(match groups.len() {
        0 | 1 => ClientError::Lacks { lacks, refused },
        groups => ClientError::Disagree { groups, refused },
    })
}

/// Whether an answer is about this proposal and signed by an enclave that counts.
fn check(expected: &Expected<'_>, answer: &Answer) -> Result<(), String> {
    let response = Response::decode(&answer.response).map_err(|e| e.to_string())?;
    response.check().map_err(|e| e.to_string())?;
    let Expected { proposal, tx_id, definition, .. } = expected;
    let same = response.tx_id == *tx_id
        && response.ledger == proposal.ledger
        && response.application == proposal.application
        && response.sequence == proposal.sequence
        && response.code_id == definition.code
        && response.anchor == proposal.anchor
        && response.valid_until == proposal.valid_until;
    if !same {
        return Err("the response is not about this proposal".into());
    }
    let mut one = Quorum::new(definition, expected.now);
    add(expected, &mut one, answer).map_err(|e| e.to_string())
}

fn add(
    expected: &Expected<'_>,
    quorum: &mut Quorum<'_>,
    answer: &Answer,
) -> Result<(), paralith_chaincode_messages::order::Refusal> {
    let Answer { response, endorsement, record } = answer;
    quorum.add(endorsement.rak, record.as_deref(), || {
        hashes::endorsement_is_signed(endorsement, expected.chain, response)
    })
}

/// Leaves out one endorsement after another as long as the rest satisfies the policy.
fn smallest(expected: &Expected<'_>, answers: &[&Answer]) -> Result<Vec<Endorsement>, String> {
    let mut kept: BTreeMap<PublicKey, &Answer> = BTreeMap::new();
    for answer in answers {
        kept.insert(answer.endorsement.rak, answer);
    }
    let quorum = |kept: &BTreeMap<PublicKey, &Answer>| {
        let mut quorum = Quorum::new(expected.definition, expected.now);
        for answer in kept.values() {
            // Checked before.
            let _ = quorum.add(answer.endorsement.rak, answer.record.as_deref(), || true);
        }
        quorum.satisfied().map_err(|e| e.to_string())
    };
    quorum(&kept)?;
    for rak in kept.keys().copied().collect::<Vec<_>>() {
        let mut fewer = kept.clone();
        fewer.remove(&rak);
        if quorum(&fewer).is_ok() {
            kept = fewer;
        }
    }
    if kept.len() > MAX_ENDORSEMENTS {
        return Err(format!("a commit takes at most {MAX_ENDORSEMENTS} endorsements"));
    }
    Ok(kept.values().map(|answer| answer.endorsement.clone()).collect())
}
