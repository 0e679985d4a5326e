//! One round: what is known of it.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::Config;
use paralith_consensus_api::roothash::{
    EquivocatedProposals, EquivocatedVotes, Evidence, EvidenceKind, Failure, Message, Pool,
    PoolRank, SignedProposal, Vote,
};
use paralith_types::{Hash, PublicKey, RuntimeId};

use crate::machine::{
    Ballot, ChainSnapshot, CheckedProposal, CheckedVote, Execution, Input, Output, config_of,
};

/// Votes of one rank by member.
pub(crate) type Votes = BTreeMap<PublicKey, Held>;

/// One round and this node's part in it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) me: PublicKey,
    pub(crate) runtime: RuntimeId,
    pub(crate) previous: Hash,
    pub(crate) config: Config,
    /// The schedulers from the best rank to the worst.
    pub(crate) order: Vec<PublicKey>,
    pub(crate) snapshot: ChainSnapshot,
    /// Since when the round has a reason to be: ranks count from here.
    pub(crate) base_ms: Option<u64>,
    pub(crate) disputed_ms: Option<u64>,
    /// Proposals by id, and the first that came of each rank.
    pub(crate) proposals: BTreeMap<Hash, Known>,
    pub(crate) first: BTreeMap<u64, Hash>,
    pub(crate) proposed: bool,
    pub(crate) votes: BTreeMap<u64, Votes>,
    pub(crate) fetching: BTreeSet<Hash>,
    pub(crate) accused: BTreeSet<PublicKey>,
    pub(crate) sent: BTreeMap<u64, crate::commit::Sent>,
    pub(crate) soft: bool,
}

/// A proposal of this round.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) proposal: CheckedProposal,
    pub(crate) seen_ms: u64,
    /// Since when this node wants to execute it.
    pub(crate) wanted_ms: Option<u64>,
    pub(crate) batch: Batch,
    pub(crate) work: Work,
}

/// Where a proposal's batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    Here,
    Unknown,
    /// Nobody had it at this time.
    Missing {
        at_ms: u64,
    },
}

/// How far this node is with a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    None,
    Executing,
    Ready(Ballot),
    Voting,
}

/// A vote that this node holds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) vote: Vote,
    pub(crate) messages: Option<Vec<Message>>,
    pub(crate) since_ms: u64,
    /// The chain's height when it came.
    pub(crate) since_height: u64,
    /// How often it went to the chain: a vote that the chain never counts must not cost for ever.
    pub(crate) commits: u32,
}

impl Held {
    /// What the pool compares: the hash of the results, or none for a failure.
    pub(crate) fn result(&self) -> Option<Hash> {
        self.vote.results.as_ref().map(|results| results.hash())
    }

    /// As the discrepancy rules take it.
    pub(crate) fn as_cast(&self, rank: u64) -> discrepancy::Vote {
        discrepancy::Vote {
            signer: discrepancy::Signer(self.vote.node.0),
            rank,
            proposal: discrepancy::ProposalId(self.vote.proposal_id.0),
            result: self.result().map(|hash| discrepancy::ResultHash(hash.0)),
        }
    }
}

impl Run {
    /// The round after this snapshot's last block; none without a committee.
    pub(crate) fn begin(
        me: PublicKey,
        runtime: RuntimeId,
        now_ms: u64,
        snapshot: ChainSnapshot,
    ) -> Option<Self> {
        snapshot.state.pool.as_ref()?;
        let config = config_of(&snapshot)?;
        let order = config.scheduler_order().into_iter().map(|s| PublicKey(s.0)).collect();
        let previous = snapshot.state.last_block.hash();
        let mut run = Self {
            me,
            runtime,
            previous,
            config,
            order,
            snapshot: snapshot.clone(),
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
        run.update(now_ms, snapshot);
        Some(run)
    }

    /// Whether this is the round that a snapshot is about.
    pub(crate) fn continues(&self, snapshot: &ChainSnapshot) -> bool {
        snapshot.state.pool.is_some() && snapshot.state.last_block.hash() == self.previous
    }

    pub(crate) fn update(&mut self, now_ms: u64, snapshot: ChainSnapshot) {
        // An answer that was late must not take us back.
        if snapshot.height >= self.snapshot.height {
            self.snapshot = snapshot;
        }
        if self.chain_pool().is_some_and(|pool| pool.disputed) {
            self.disputed_ms.get_or_insert(now_ms);
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.config.round
    }

    pub(crate) fn take(&mut self, now_ms: u64, input: Input, outputs: &mut Vec<Output>) {
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
                // Two convict: a flood of more must not fill the memory. The one that the chain names
                // may be in dispute, and is needed whenever it comes.
                let of_rank = self.proposals.values().filter(|k| k.proposal.header.rank == rank);
                let named = self.on_chain(rank).is_some_and(|pool| pool.proposal_id == id);
                if of_rank.count() >= PROPOSALS_OF_RANK_MAX && !named {
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
        let since_height = self.snapshot.height;
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
        // RD-5: once a round, as it is punished.
        if node != self.me && self.accused.insert(node) {
            let evidence = Evidence { runtime_id: self.runtime, kind };
            outputs.push(Output::Accuse(Box::new(evidence)));
        }
    }

    pub(crate) fn scheduler(&self, rank: u64) -> Option<PublicKey> {
        self.order.get(usize::try_from(rank).ok()?).copied()
    }

    pub(crate) fn my_rank(&self) -> Option<u64> {
        self.order.iter().position(|key| *key == self.me).and_then(|rank| rank.try_into().ok())
    }

    /// This node's place among the workers.
    pub(crate) fn worker_index(&self) -> Option<u64> {
        index_in(&self.config.workers, &self.me)
    }

    /// This node's place among the backups.
    pub(crate) fn backup_index(&self) -> Option<u64> {
        index_in(&self.config.backups, &self.me)
    }

    pub(crate) fn is_backup(&self, node: &PublicKey) -> bool {
        index_in(&self.config.backups, node).is_some()
    }

    pub(crate) fn is_worker(&self, node: &PublicKey) -> bool {
        index_in(&self.config.workers, node).is_some()
    }

    pub(crate) fn is_member(&self, node: &PublicKey) -> bool {
        self.is_worker(node) || self.is_backup(node)
    }

    /// The pool in the chain's state.
    pub(crate) fn chain_pool(&self) -> Option<&Pool> {
        self.snapshot.state.pool.as_ref()
    }

    /// What the chain's pool has of a rank.
    pub(crate) fn on_chain(&self, rank: u64) -> Option<&PoolRank> {
        self.chain_pool()?.ranks.iter().find(|pool| pool.rank == rank)
    }

    pub(crate) fn is_void(&self, rank: u64) -> bool {
        self.chain_pool().is_some_and(|pool| pool.void_ranks.contains(&rank))
    }

    /// Whether this node has seen the rank's scheduler contradict itself.
    pub(crate) fn has_two_proposals(&self, rank: u64) -> bool {
        self.proposals.values().filter(|known| known.proposal.header.rank == rank).count() > 1
    }

    pub(crate) fn propose_timeout_ms(&self) -> u64 {
        u64::from(self.snapshot.batching.propose_timeout_ms)
    }

    /// How long votes are waited for before those that are there are committed.
    pub(crate) fn collect_ms(&self) -> u64 {
        self.propose_timeout_ms() / 2
    }

    pub(crate) fn my_vote(&self, rank: u64) -> Option<&Held> {
        self.votes.get(&rank)?.get(&self.me)
    }
}

impl Ballot {
    /// A failure for want of something.
    pub(crate) fn unavailable() -> Self {
        Self::Failure(Failure::Unavailable)
    }

    /// What was executed, if it was.
    pub(crate) fn execution(&self) -> Option<&Execution> {
        match self {
            Self::Results(execution) => Some(execution),
            Self::Failure(_) => None,
        }
    }
}

fn index_in(keys: &[discrepancy::Signer], key: &PublicKey) -> Option<u64> {
    keys.iter().position(|signer| signer.0 == key.0).and_then(|index| index.try_into().ok())
}

/// The first, and the one that contradicts it.
const PROPOSALS_OF_RANK_MAX: usize = 2;
