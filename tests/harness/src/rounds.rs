//! ParaTime blocks: those to begin with, and how rounds ended.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::{Config, FailReason, Signer};
use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::{
    Header, HeaderType, RoundFinalised, RuntimeState, Voted, empty_hash,
};
use paralith_consensus_api::scheduler::Committee;
use paralith_consensus_app::BlockOutput;
use paralith_storage::EMPTY_ROOT;
use paralith_types::{Epoch, Hash, Height, PublicKey, Round, RuntimeId};

/// A header of this round without a past, whose state is this.
#[must_use]
pub fn header(
    runtime_id: RuntimeId,
    round: u64,
    header_type: HeaderType,
    state_root: Hash,
) -> Header {
    Header {
        version: 1,
        runtime_id,
        round: Round(round),
        timestamp: 0,
        header_type,
        previous_hash: Hash::ZERO,
        io_root: empty_hash(),
        state_root,
        messages_hash: empty_hash(),
        in_messages_hash: empty_hash(),
        consensus_height: Height(0),
        batch_hash: Hash::ZERO,
        proposal_id: Hash::ZERO,
    }
}

/// The first block of a ParaTime, with an empty state.
#[must_use]
pub fn first_header(runtime_id: RuntimeId) -> Header {
    header(runtime_id, 0, HeaderType::EpochTransition, EMPTY_ROOT)
}

/// A ParaTime whose last block is this one, made at a height. No round runs.
#[must_use]
pub fn runtime_state(last_block: Header, height: u64) -> RuntimeState {
    let normal = last_block.header_type == HeaderType::Normal;
    RuntimeState {
        runtime_id: last_block.runtime_id,
        suspended: false,
        last_block_height: Height(height),
        last_normal_round: if normal { last_block.round } else { Round(0) },
        last_normal_height: if normal { Height(height) } else { Height(0) },
        pool: None,
        skipped: Vec::new(),
        failed: Vec::new(),
        io_root: empty_hash(),
        wakeup: None,
        slashed: Vec::new(),
        records: Vec::new(),
        last_block,
    }
}

/// An epoch of a hundred blocks that begins at a height.
#[must_use]
pub fn epoch_state(epoch: u64, height: u64) -> EpochState {
    EpochState {
        epoch: Epoch(epoch),
        height: Height(height),
        next_height: Height(height + 100),
        entropy: Hash([1; 32]),
    }
}

/// The rules of the round that runs on this state.
#[must_use]
pub fn running(state: &RuntimeState, committee: &Committee, runtime: &Runtime) -> Config {
    let signers = |keys: &[PublicKey]| keys.iter().map(|key| Signer(key.0)).collect();
    Config {
        workers: signers(&committee.workers),
        backups: signers(&committee.backups),
        allowed_stragglers: runtime.executor.allowed_stragglers,
        round_timeout: runtime.executor.round_timeout_blocks,
        round: state.last_block.round.next().0,
        skipped: state.skipped.iter().map(|key| Signer(key.0)).collect(),
    }
}

/// How a round ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What the chain says of it.
    pub said: RoundFinalised,
    /// The rank whose results are final.
    pub rank: Option<u64>,
    /// Whether the backups decided.
    pub disputed: bool,
    /// The schedulers that were charged with a missed proposal.
    pub missed: Vec<PublicKey>,
    /// Transactions of which a vote was counted.
    pub commits: usize,
}

impl Ended {
    /// Whether the round has results.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.said.header_type == HeaderType::Normal
    }

    /// Whether the round failed for this reason.
    #[must_use]
    pub fn failed_for(&self, reason: FailReason) -> bool {
        !self.is_final() && self.said.fail_reason == reason.code()
    }
}

/// How the rounds of one ParaTime ended, as the events of an [`crate::AppChain`] say.
#[derive(Debug)]
pub struct RoundLog {
    runtime_id: RuntimeId,
    voted: Vec<Voted>,
    commits: usize,
    disputed: bool,
    /// What the schedulers had missed in the epoch, before the newest block.
    missed: BTreeMap<PublicKey, u32>,
    ended: Vec<Ended>,
    accused: BTreeSet<PublicKey>,
    lines: Vec<String>,
}

impl RoundLog {
    /// Of a ParaTime, from its first block on.
    #[must_use]
    pub fn new(runtime_id: RuntimeId) -> Self {
        Self {
            runtime_id,
            voted: Vec::new(),
            commits: 0,
            disputed: false,
            missed: BTreeMap::new(),
            ended: Vec::new(),
            accused: BTreeSet::new(),
            lines: Vec::new(),
        }
    }

    /// Takes a block and the ParaTime's state after it.
    pub fn block(&mut self, height: u64, output: &BlockOutput, after: &RuntimeState) {
        for tx in &output.txs {
            let voted = self.voted.len();
            for event in &tx.events {
                self.event(height, EventKind::from_event(event).unwrap(), after);
            }
            self.commits += usize::from(self.voted.len() > voted);
            if tx.code != 0 {
                self.lines.push(format!("{height} {} {}: {}", tx.module, tx.code, tx.message));
            }
        }
        for event in &output.events {
            self.event(height, EventKind::from_event(event).unwrap(), after);
        }
        self.missed = after.records.iter().map(|record| (record.node, record.missed)).collect();
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "other events are no news of rounds")]
    fn event(&mut self, height: u64, event: EventKind, after: &RuntimeState) {
        match event {
            EventKind::Voted(voted) if voted.runtime_id == self.runtime_id => {
                self.lines.push(format!("{height} {voted:?}"));
                self.voted.push(voted);
            }
            EventKind::DiscrepancyDetected(found) if found.runtime_id == self.runtime_id => {
                self.lines.push(format!("{height} {found:?}"));
                self.disputed = true;
            }
            EventKind::EvidenceAccepted(accepted) if accepted.runtime_id == self.runtime_id => {
                self.lines.push(format!("{height} {accepted:?}"));
                self.accused.insert(accepted.node);
            }
            EventKind::RoundFinalised(said) if said.runtime_id == self.runtime_id => {
                self.lines.push(format!("{height} {said:?}"));
                self.end(said, after);
            }
            _ => {}
        }
    }

    fn end(&mut self, said: RoundFinalised, after: &RuntimeState) {
        let (voted, commits) = (std::mem::take(&mut self.voted), std::mem::take(&mut self.commits));
        let disputed = std::mem::take(&mut self.disputed);
        self.accused.extend(&said.equivocators);
        if said.header_type == HeaderType::EpochTransition {
            return;
        }
        let right = |voted: &&Voted| said.good.contains(&voted.node) && !voted.result.is_empty();
        let rank = voted.iter().rev().find(right).map(|voted| voted.rank);
        let is_final = said.header_type == HeaderType::Normal;
        let had = |node| self.missed.get(node).copied().unwrap_or(0);
        let missed = after.records.iter().filter(|record| record.missed > had(&record.node));
        self.ended.push(Ended {
            rank: rank.filter(|_| is_final),
            disputed,
            missed: missed.map(|record| record.node).collect(),
            commits,
            said,
        });
    }

    /// The rounds that ended, but for those that an epoch cut off.
    #[must_use]
    pub fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// Who contradicted itself, by evidence or by votes.
    #[must_use]
    pub fn accused(&self) -> &BTreeSet<PublicKey> {
        &self.accused
    }

    /// The newest lines of what happened, for the message of a test that fails.
    #[must_use]
    pub fn tail(&self) -> String {
        let from = self.lines.len().saturating_sub(40);
        self.lines[from..].join("\n")
    }
}
