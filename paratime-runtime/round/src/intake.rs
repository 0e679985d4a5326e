//! What is taken of peers' messages, before anything is queued or written.
//!
//! A header is accepted first: its round, its place and its scheduler. Only then its batch may go to
//! disk, and of one rank two batches at most, since two convict their scheduler. So a member can make
//! the others write at most two batches for each rank that is its own.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::{Config, Signer};
use paralith_consensus_api::registry::Batching;
use paralith_types::{Hash, RuntimeId};

use crate::machine::{ChainSnapshot, CheckedProposal, CheckedVote, EARLY_ROUNDS, config_of};

/// How large a batch is that came with a proposal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchSize {
    /// Transactions.
    pub count: usize,
    /// Bytes of all of them.
    pub bytes: usize,
}

impl BatchSize {
    /// Whether a batch is within the ParaTime's limits.
    pub fn fits(self, limits: &Batching) -> bool {
        let within = |got: usize, most: u32| u32::try_from(got).is_ok_and(|got| got <= most);
        within(self.count, limits.max_batch_size) && within(self.bytes, limits.max_batch_bytes)
    }
}

/// Why a peer's message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// Its round is over, or it is for another ParaTime or another block. The sender's fault, or it
    /// is late.
    #[error("it is not for the round that runs")]
    AnotherRound,
    /// This node's view of the chain has not reached the message's round, and the message is not of a
    /// member that this node knows. Nobody's fault: send it again.
    #[error(
        "it is for a round that this node does not know yet: send it again after the next block"
    )]
    NotYet,
    /// Its scheduler is not the one of its rank. The sender's fault.
    #[error("its proposal is not signed by the scheduler of its rank")]
    NotScheduler,
    /// Its signer is not in the committee. The sender's fault.
    #[error("its signer is not in the committee")]
    NotMember,
    /// Its batch is larger than the ParaTime allows. The sender's fault.
    #[error("its batch is larger than the ParaTime allows")]
    TooLarge,
}

impl IntakeError {
    /// Whether the same message may be taken later.
    pub fn is_retryable(self) -> bool {
        self == Self::NotYet
    }
}

/// Accepts peers' messages and counts the batches that they lead to.
#[derive(Debug, Default)]
pub struct Intake {
    kept: BTreeMap<(u64, u64), BTreeSet<Hash>>,
}

impl Intake {
    /// Whether a proposal is taken; if so, whether the batch that came with it is to be kept. A header
    /// whose batch is not kept still counts: it may be evidence. `batch` is none if what came is not
    /// the header's batch.
    pub fn proposal(
        &mut self,
        snapshot: &ChainSnapshot,
        runtime: &RuntimeId,
        proposal: &CheckedProposal,
        batch: Option<BatchSize>,
    ) -> Result<bool, IntakeError> {
        header(snapshot, runtime, proposal)?;
        let Some(batch) = batch else { return Ok(false) };
        // RD-9: the batch of a header that counts, within limits, two of a rank.
        if !batch.fits(&snapshot.batching) {
            return Err(IntakeError::TooLarge);
        }
        let last = snapshot.state.last_block.round.0;
        self.kept.retain(|(round, _), _| *round > last);
        let place = (proposal.header.round.0, proposal.header.rank);
        let kept = self.kept.entry(place).or_default();
        let room = kept.len() < BATCHES_OF_RANK_MAX;
        Ok(room && kept.insert(proposal.id()))
    }

    /// Whether a vote is taken.
    pub fn vote(
        snapshot: &ChainSnapshot,
        runtime: &RuntimeId,
        vote: &CheckedVote,
    ) -> Result<(), IntakeError> {
        let config = header(snapshot, runtime, &vote.proposal)?;
        let node = Signer(vote.vote.node.0);
        // RD-10
        let member = config.workers.contains(&node) || config.backups.contains(&node);
        if member { Ok(()) } else { Err(unknown(snapshot, &vote.proposal, IntakeError::NotMember)) }
    }
}

/// Accepts a header, and gives the committee of its round. A later round is judged by what is known
/// of the committee now: it changes when an epoch begins, or when a scheduler is barred.
fn header(
    snapshot: &ChainSnapshot,
    runtime: &RuntimeId,
    proposal: &CheckedProposal,
) -> Result<Config, IntakeError> {
    let header = &proposal.header;
    let last = &snapshot.state.last_block;
    let (round, last_round) = (header.round.0, last.round.0);
    if header.runtime_id != *runtime || round <= last_round {
        return Err(IntakeError::AnotherRound);
    }
    if round > last_round.saturating_add(EARLY_ROUNDS).saturating_add(1) {
        return Err(IntakeError::NotYet);
    }
    if round == last_round.saturating_add(1) && header.previous_hash != last.hash() {
        return Err(IntakeError::AnotherRound);
    }
    let mut config = config_of(snapshot).ok_or(IntakeError::NotYet)?;
    config.round = round;
    // RD-8: round, block, place and scheduler, before anything of it is kept.
    if config.scheduler(header.rank) != Some(Signer(proposal.signed.scheduler.0)) {
        return Err(unknown(snapshot, proposal, IntakeError::NotScheduler));
    }
    Ok(config)
}

/// What is wrong by this round's committee may be right by the next one's.
fn unknown(
    snapshot: &ChainSnapshot,
    proposal: &CheckedProposal,
    error: IntakeError,
) -> IntakeError {
    let next = snapshot.state.last_block.round.next();
    // RD-11: the committee of a later round is not known yet.
    if proposal.header.round > next { IntakeError::NotYet } else { error }
}

/// Two batches of one rank are evidence; a third adds nothing.
const BATCHES_OF_RANK_MAX: usize = 2;
