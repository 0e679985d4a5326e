//! Inputs, results, verdicts and votes of a batch.

use paralith_crypto::kdf::derive;
use paralith_crypto::merkle::{MerkleProof, MerkleTree};
use paralith_crypto::wrap::ContentKey;
use paralith_crypto::{hash, hash::Hasher};
use paralith_private_contract_messages::{
    Action, Actions, Batch, Canonical, ContractVote, MAX_ACTION_BYTES, MAX_ACTIONS,
    MAX_EMIT_TOPIC_BYTES, Verdict,
};
use paralith_types::{Amount, Hash};

use crate::class::Class;
use crate::domains;
use crate::ids::Place;

/// The hash of a batch's inputs: the batch and its TX1 hashes in order, or for `migrate` the hash of the
/// next definition.
#[must_use]
pub fn inputs_hash<'a>(batch: &Batch, inputs: impl IntoIterator<Item = &'a Hash>) -> Hash {
    let mut hasher = Hasher::new(domains::INPUTS);
    hasher.part(&batch.encode());
    for input in inputs {
        hasher.part(&input.0);
    }
    hasher.finish()
}

/// A transaction's output with what hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxResult {
    /// Its number.
    pub seq: u64,
    /// Its class.
    pub class: Class,
    /// Zero for a malformed or missing one.
    pub blinding: Hash,
    /// What the call gave; empty for a malformed or missing one.
    pub output: Vec<u8>,
}

impl TxResult {
    /// The result of a transaction whose call ran.
    #[must_use]
    pub fn of_call(seq: u64, class: Class, sk: &ContentKey, output: Vec<u8>) -> Self {
        Self { seq, class, blinding: blinding(sk, seq), output }
    }

    /// The result of a transaction without a call.
    #[must_use]
    pub const fn without_call(seq: u64, class: Class) -> Self {
        Self { seq, class, blinding: Hash::ZERO, output: Vec::new() }
    }

    /// Its leaf.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        let committed = hash(domains::OUTPUT, &[&self.blinding.0, &self.output]);
        let parts: [&[u8]; 3] =
            [&self.seq.to_be_bytes(), &(self.class as u64).to_be_bytes(), &committed.0];
        hash(domains::RESULT, &parts)
    }
}

/// What hides a transaction's output in its leaf.
#[must_use]
pub fn blinding(sk: &ContentKey, seq: u64) -> Hash {
    Hash(*derive(sk.as_bytes(), b"", domains::BLINDING, &[&seq.to_be_bytes()]))
}

/// The results of a batch, in order.
#[derive(Debug, Clone)]
pub struct Results(MerkleTree);

impl Results {
    /// The tree over their leaves.
    #[must_use]
    pub fn new(results: &[TxResult]) -> Self {
        let leaves: Vec<[u8; 32]> = results.iter().map(|result| result.leaf().0).collect();
        Self(MerkleTree::new(&leaves))
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.0.root()
    }

    /// The path of a result, by its place in the batch.
    #[must_use]
    pub fn path(&self, place: usize) -> Option<MerkleProof> {
        self.0.proof(place)
    }
}

/// The hash of a batch's public actions.
#[must_use]
pub fn actions_hash(actions: &Actions) -> Hash {
    hash(domains::ACTIONS, &[&actions.encode()])
}

/// Whether a batch may have these actions: their number, lengths, and amounts that are not zero.
#[must_use]
pub fn actions_allowed(actions: &Actions) -> bool {
    let allowed = |action: &Action| match action {
        Action::Pay(pay) => pay.amount != Amount::ZERO,
        Action::Emit(emit) => {
            emit.topic.len() <= MAX_EMIT_TOPIC_BYTES && emit.data.len() <= MAX_ACTION_BYTES
        }
    };
    actions.actions.len() <= MAX_ACTIONS && actions.actions.iter().all(allowed)
}

/// What the actions pay out; `None` above the range of amounts.
#[must_use]
pub fn paid(actions: &Actions) -> Option<Amount> {
    actions.actions.iter().try_fold(Amount::ZERO, |sum, action| match action {
        Action::Pay(pay) => sum.add(pay.amount).ok(),
        Action::Emit(_) => Some(sum),
    })
}

/// What a member signs.
#[must_use]
pub fn vote_hash(
    place: &Place,
    version: u64,
    batch: u64,
    inputs_hash: &Hash,
    verdict: &Verdict,
) -> Hash {
    let parts: [&[u8]; 7] = [
        &place.chain_context.0,
        &place.mediator.0,
        &place.contract_id.0,
        &version.to_be_bytes(),
        &batch.to_be_bytes(),
        &inputs_hash.0,
        &verdict.encode(),
    ];
    hash(domains::VOTE, &parts)
}

/// The guard of a member's key (PC-4): what it may do for a batch, given the vote that it has stored.
///
/// A stored vote is the only one that ever leaves. Signing another verdict of the same batch would cost the
/// bond, so that is refused, whatever the reason for which it was tried.
pub fn may_sign(
    stored: Option<&ContractVote>,
    batch: u64,
    verdict: &Verdict,
) -> Result<MaySign, crate::StakeholderError> {
    match stored.filter(|vote| vote.batch == batch) {
        None => Ok(MaySign::New),
        Some(vote) if vote.verdict == *verdict => Ok(MaySign::Stored),
        Some(_) => Err(crate::StakeholderError::WouldVoteTwice { batch }),
    }
}

/// The answer of [`may_sign`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaySign {
    /// There is no vote of this batch: sign, and store before it leaves.
    New,
    /// The stored bytes say this: send them.
    Stored,
}
