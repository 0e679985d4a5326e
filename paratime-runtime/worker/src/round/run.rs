//! One round: what is known of it.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::Config;
use paralith_consensus_api::roothash::{
    EquivocatedProposals, EquivocatedVotes, Evidence, EvidenceKind, Failure, Message, Pool,
    PoolRank, SignedProposal, Vote,
};
use paralith_types::{Hash, PublicKey, RuntimeId};

use super::{
    Ballot, CheckedProposal, CheckedVote, Execution, Input, Output, Situation, Votes, config_of,
};

/// One round and this node's part in it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) me: PublicKey,
    pub(super) runtime: RuntimeId,
    pub(super) previous: Hash,
    pub(super) config: Config,
    /// The schedulers from the best rank to the worst.
    pub(super) order: Vec<PublicKey>,
    pub(super) situation: Situation,
    /// Since when the round has a reason to be: ranks count from here.
    pub(super) base_ms: Option<u64>,
    pub(super) disputed_ms: Option<u64>,
    /// Proposals by id, and the first that came of each rank.
    pub(super) proposals: BTreeMap<Hash, Known>,
    pub(super) first: BTreeMap<u64, Hash>,
    pub(super) proposed: bool,
    pub(super) votes: BTreeMap<u64, Votes>,
    pub(super) fetching: BTreeSet<Hash>,
    pub(super) accused: BTreeSet<PublicKey>,
    pub(super) sent: BTreeMap<u64, super::commit::Sent>,
    pub(super) soft: bool,
}

/// A proposal of this round.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) proposal: CheckedProposal,
    pub(super) seen_ms: u64,
    /// Since when this node wants to execute it.
    pub(super) wanted_ms: Option<u64>,
    pub(super) batch: Batch,
    pub(super) work: Work,
}

/// Where a proposal's batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    Here,
    Unknown,
    /// Nobody had it at this time.
    Missing {
        at_ms: u64,
    },
}

/// How far this node is with a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    None,
    Executing,
    Ready(Ballot),
    Voting,
}

/// A vote that this node holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) vote: Vote,
    pub(super) messages: Option<Vec<Message>>,
    pub(super) since_ms: u64,
    /// The chain's height when it came.
    pub(super) since_height: u64,
    /// How often it went to the chain: a vote that the chain never counts must not cost for ever.
    pub(super) commits: u32,
}

impl Held {
    /// What the pool compares: the hash of the results, or none for a failure.
    pub(super) fn result(&self) -> Option<Hash> {
        self.vote.results.as_ref().map(|results| results.hash())
    }
}

impl Run {
    /// The round after this situation's last block; none without a committee.
    pub(super) fn begin(
        me: PublicKey,
        runtime: RuntimeId,
        now_ms: u64,
        situation: Situation,
    ) -> Option<Self> {
        situation.state.pool.as_ref()?;
        let config = config_of(&situation)?;
        let order = config.scheduler_order().into_iter().map(|s| PublicKey(s.0)).collect();
        let previous = situation.state.last_block.hash();
        let mut run = Self {
            me,
            runtime,
            previous,
            config,
            order,
            situation: situation.clone(),
            base_ms: None,
            disputed_ms: None,
            proposals: BTreeMap::new(),
            first: BTreeMap::new(),
            proposed: false,
            votes: BTreeMap::new(),
            fetching: BTreeSet::new(),
            accused: BTreeSet::new(),
            sent: BTreeMap::new(),
            soft: false,
        };
        run.update(now_ms, situation);
        Some(run)
    }

    /// Whether this is the round that a situation is about.
    pub(super) fn continues(&self, situation: &Situation) -> bool {
        situation.state.pool.is_some() && situation.state.last_block.hash() == self.previous
    }

    pub(super) fn update(&mut self, now_ms: u64, situation: Situation) {
        // An answer that was late must not take us back.
        if situation.height >= self.situation.height {
            self.situation = situation;
        }
        if self.chain_pool().is_some_and(|pool| pool.disputed) {
            self.disputed_ms.get_or_insert(now_ms);
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.config.round
    }

    pub(super) fn take(&mut self, now_ms: u64, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::Proposal { proposal, batch } => {
                if self.learn(now_ms, *proposal.clone(), outputs) && batch {
                    self.batch_is_here(&proposal.id());
                }
                self.fetching.remove(&proposal.id());
            }
            Input::BatchMissing { id } => {
                self.fetching.remove(&id);
                if let Some(known) = self.proposals.get_mut(&id)
                    && known.batch != Batch::Here
                {
                    known.batch = Batch::Missing { at_ms: now_ms };
                }
            }
            Input::Vote(vote) => self.take_vote(now_ms, *vote, outputs),
            Input::Executed { id, results } => self.executed(&id, Ballot::Results(results)),
            Input::ExecutionFailed { id, failure } => {
                self.executed(&id, Ballot::Failure(failure));
            }
            Input::Chain(_) | Input::Pool(_) | Input::Tick => {}
        }
    }

    /// Takes note of a proposal; whether it is one of this round.
    fn learn(&mut self, now_ms: u64, proposal: CheckedProposal, outputs: &mut Vec<Output>) -> bool {
        let (header, id) = (&proposal.header, proposal.id());
        if header.runtime_id != self.runtime
            || header.round.0 != self.number()
            || header.previous_hash != self.previous
            || self.scheduler(header.rank) != Some(proposal.signed.scheduler)
        {
            return false;
        }
        let rank = header.rank;
        if proposal.signed.scheduler == self.me {
            self.proposed = true;
        }
        if self.proposals.contains_key(&id) {
            return true;
        }
        match self.first.get(&rank) {
            None => {
                self.first.insert(rank, id);
            }
            Some(first) => {
                let first = self.proposals.get(first).map(|known| known.proposal.signed.clone());
                self.accuse_of_proposals(first, &proposal.signed, outputs);
                // Two convict: a flood of more must not fill the memory.
                let of_rank = self.proposals.values().filter(|k| k.proposal.header.rank == rank);
                if of_rank.count() >= PROPOSALS_OF_RANK_MAX {
                    return false;
                }
            }
        }
        let (batch, work) = (Batch::Unknown, Work::None);
        let known = Known { proposal, seen_ms: now_ms, wanted_ms: None, batch, work };
        self.proposals.insert(id, known);
        true
    }

    fn batch_is_here(&mut self, id: &Hash) {
        if let Some(known) = self.proposals.get_mut(id) {
            known.batch = Batch::Here;
        }
    }

    fn executed(&mut self, id: &Hash, ballot: Ballot) {
        if let Some(known) = self.proposals.get_mut(id)
            && known.work == Work::Executing
        {
            known.work = Work::Ready(ballot);
        }
    }

    fn take_vote(&mut self, now_ms: u64, checked: CheckedVote, outputs: &mut Vec<Output>) {
        let CheckedVote { proposal, vote, messages } = checked;
        let (id, rank) = (proposal.id(), proposal.header.rank);
        let scheduler = proposal.signed.scheduler;
        let scheduler_fails = vote.node == scheduler && vote.results.is_none();
        let named = vote.proposal_id == id && self.is_member(&vote.node) && !scheduler_fails;
        if !named || !self.learn(now_ms, proposal, outputs) {
            return;
        }
        let since_height = self.situation.height;
        let held = Held { vote, messages, since_ms: now_ms, since_height, commits: 0 };
        let votes = self.votes.entry(rank).or_default();
        match votes.get_mut(&held.vote.node) {
            None => {
                if held.vote.node == self.me
                    && let Some(known) = self.proposals.get_mut(&id)
                {
                    known.work = Work::Voting;
                }
                votes.insert(held.vote.node, held);
            }
            Some(first) if first.vote.proposal_id == id && first.result() == held.result() => {
                if first.messages.is_none() {
                    first.messages = held.messages;
                }
            }
            Some(first) => {
                let first = first.vote.clone();
                self.accuse_of_votes(first, held.vote, outputs);
            }
        }
    }

    fn accuse_of_proposals(
        &mut self,
        a: Option<SignedProposal>,
        b: &SignedProposal,
        outputs: &mut Vec<Output>,
    ) {
        let Some(a) = a else { return };
        let kind = EvidenceKind::Proposals(EquivocatedProposals { a, b: b.clone() });
        self.accuse(b.scheduler, kind, outputs);
    }

    fn accuse_of_votes(&mut self, vote_a: Vote, vote_b: Vote, outputs: &mut Vec<Output>) {
        let signed = |id| self.proposals.get(id).map(|known: &Known| known.proposal.signed.clone());
        let (Some(proposal_a), Some(proposal_b)) =
            (signed(&vote_a.proposal_id), signed(&vote_b.proposal_id))
        else {
            return;
        };
        let node = vote_a.node;
        let votes = EquivocatedVotes { proposal_a, vote_a, proposal_b, vote_b };
        self.accuse(node, EvidenceKind::Votes(votes), outputs);
    }

    /// A node is accused once a round: it is slashed once a round.
    fn accuse(&mut self, node: PublicKey, kind: EvidenceKind, outputs: &mut Vec<Output>) {
        if node != self.me && self.accused.insert(node) {
            let evidence = Evidence { runtime_id: self.runtime, kind };
            outputs.push(Output::Accuse(Box::new(evidence)));
        }
    }

    pub(super) fn scheduler(&self, rank: u64) -> Option<PublicKey> {
        self.order.get(usize::try_from(rank).ok()?).copied()
    }

    pub(super) fn my_rank(&self) -> Option<u64> {
        self.order.iter().position(|key| *key == self.me).and_then(|rank| rank.try_into().ok())
    }

    /// This node's place among the workers.
    pub(super) fn worker_index(&self) -> Option<u64> {
        index_in(&self.config.workers, &self.me)
    }

    /// This node's place among the backups.
    pub(super) fn backup_index(&self) -> Option<u64> {
        index_in(&self.config.backups, &self.me)
    }

    pub(super) fn is_backup(&self, node: &PublicKey) -> bool {
        index_in(&self.config.backups, node).is_some()
    }

    pub(super) fn is_worker(&self, node: &PublicKey) -> bool {
        index_in(&self.config.workers, node).is_some()
    }

    fn is_member(&self, node: &PublicKey) -> bool {
        self.is_worker(node) || self.is_backup(node)
    }

    /// The pool in the chain's state.
    pub(super) fn chain_pool(&self) -> Option<&Pool> {
        self.situation.state.pool.as_ref()
    }

    /// What the chain's pool has of a rank.
    pub(super) fn on_chain(&self, rank: u64) -> Option<&PoolRank> {
        self.chain_pool()?.ranks.iter().find(|pool| pool.rank == rank)
    }

    pub(super) fn is_void(&self, rank: u64) -> bool {
        self.chain_pool().is_some_and(|pool| pool.void_ranks.contains(&rank))
    }

    /// Whether this node has seen the rank's scheduler contradict itself.
    pub(super) fn has_two_proposals(&self, rank: u64) -> bool {
        self.proposals.values().filter(|known| known.proposal.header.rank == rank).count() > 1
    }

    pub(super) fn propose_timeout_ms(&self) -> u64 {
        u64::from(self.situation.batching.propose_timeout_ms)
    }

    /// How long votes are waited for before those that are there are committed.
    pub(super) fn collect_ms(&self) -> u64 {
        self.propose_timeout_ms() / 2
    }

    pub(super) fn my_vote(&self, rank: u64) -> Option<&Held> {
        self.votes.get(&rank)?.get(&self.me)
    }
}

impl Ballot {
    /// A failure for want of something.
    pub(super) fn unavailable() -> Self {
        Self::Failure(Failure::Unavailable)
    }

    /// What was executed, if it was.
    pub(super) fn execution(&self) -> Option<&Execution> {
        match self {
            Self::Results(execution) => Some(execution),
            Self::Failure(_) => None,
        }
    }
}

fn index_in(keys: &[discrepancy::Signer], key: &PublicKey) -> Option<u64> {
    keys.iter().position(|signer| signer.0 == key.0).and_then(|index| index.try_into().ok())
}

/// One may be in dispute on the chain that came third here; more is flooding.
const PROPOSALS_OF_RANK_MAX: usize = 4;
