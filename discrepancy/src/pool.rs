//! The state of a round, and how a vote and the end of a block change it.
//!
//! Rules are cited by their ids in docs/protocol/discrepancy.md: DD-V0 to DD-V4 for "a vote
//! arrives", DD-E1 to DD-E3 for "a block ends". Heights saturate: a chain that reaches 2^64 blocks may
//! close its rounds early.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::committee::{Committee, Config, Signer, count};
use crate::error::ConfigError;
use crate::evaluate::{Ballot, Decision, Verdict};
use crate::vote::{Ignored, ProposalId, ResultHash, Vote};

static NO_VOTES: BTreeMap<Signer, Option<ResultHash>> = BTreeMap::new();

/// Collects the votes of one round until it has a verdict.
///
/// At every time at most one rank has the vote of its scheduler, and it is the lead: worse ranks
/// are dropped when it takes the lead, and a better one would take the lead from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Shared between copies, since it never changes.
    pub(crate) committee: Arc<Committee>,
    pub(crate) pools: BTreeMap<u64, RankPool>,
    pub(crate) void: BTreeSet<u64>,
    pub(crate) lead: Option<u64>,
    pub(crate) disputed: bool,
    pub(crate) timeout: Option<u64>,
    /// The height of a grace that was waited for.
    pub(crate) grace: Option<u64>,
    pub(crate) equivocators: BTreeSet<Signer>,
    /// The block has kept a vote or found an equivocator.
    pub(crate) touched: bool,
    pub(crate) closed: Option<Verdict>,
}

/// The votes for the proposal of one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankPool {
    /// The one proposal of this rank that is known.
    pub proposal: ProposalId,
    /// One vote a signer; `None` is a `fail`.
    pub votes: BTreeMap<Signer, Option<ResultHash>>,
    /// Votes that come before the scheduler's are kept and decide nothing.
    pub scheduler: Option<SchedulerVote>,
}

/// The vote of a rank's own scheduler, which starts the clock and is what backups judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerVote {
    /// The block it came in.
    pub height: u64,
    /// What the scheduler says that its proposal leads to.
    pub result: ResultHash,
}

/// What a vote means to the pool; each is one clause of the rules, in their order.
enum Arrival {
    RankVoid,
    ConflictingProposal,
    WorseRank,
    OtherRankInDispute,
    NotBackupInDispute,
    Duplicate,
    Equivocated,
    SchedulersOwn(ResultHash),
    Fresh,
}

impl Arrival {
    /// Whether the vote counts, at a rank with this scheduler.
    const fn outcome(&self, scheduler: Signer) -> Result<(), Ignored> {
        Err(match self {
            Self::RankVoid => Ignored::RankVoid,
            Self::ConflictingProposal => Ignored::ConflictingProposal { scheduler },
            Self::WorseRank => Ignored::WorseRank,
            Self::OtherRankInDispute => Ignored::OtherRankInDispute,
            Self::NotBackupInDispute => Ignored::NotBackupInDispute,
            Self::Duplicate => Ignored::Duplicate,
            Self::Equivocated => Ignored::Equivocated,
            Self::SchedulersOwn(_) | Self::Fresh => return Ok(()),
        })
    }
}

impl Pool {
    /// A round without votes: no lead, timeout never.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            committee: Arc::new(Committee::new(config)?),
            pools: BTreeMap::new(),
            void: BTreeSet::new(),
            lead: None,
            disputed: false,
            timeout: None,
            grace: None,
            equivocators: BTreeSet::new(),
            touched: false,
            closed: None,
        })
    }

    /// A vote arrives in the block at `height`.
    ///
    /// An `Err` says why the vote does not count; it may still have exposed an equivocator.
    pub fn vote(&mut self, height: u64, vote: Vote) -> Result<(), Ignored> {
        let scheduler = self.admit(&vote)?;
        let arrival = self.arrival(&vote, scheduler);
        match arrival {
            // DD-V1
            Arrival::ConflictingProposal => {
                self.expose(scheduler);
                // A dispute is judged on the proposal that opened it: a second one must not save
                // its scheduler from the verdict.
                if !self.disputed {
                    self.void_rank(height, vote.rank);
                }
            }
            // DD-V3
            Arrival::Equivocated => self.expose(vote.signer),
            // DD-V4
            Arrival::SchedulersOwn(result) => {
                self.keep(vote).scheduler = Some(SchedulerVote { height, result });
                self.take_lead(height, vote.rank);
            }
            Arrival::Fresh => {
                self.keep(vote);
            }
            Arrival::RankVoid
            | Arrival::WorseRank
            | Arrival::OtherRankInDispute
            | Arrival::NotBackupInDispute
            | Arrival::Duplicate => {}
        }
        arrival.outcome(scheduler)
    }

    /// What [`vote`](Self::vote) would say of this vote now. Changes nothing, so that a node can
    /// choose which votes to take to the chain by the very rules that will count them.
    pub fn would_count(&self, vote: &Vote) -> Result<(), Ignored> {
        let scheduler = self.admit(vote)?;
        self.arrival(vote, scheduler).outcome(scheduler)
    }

    /// The block at `height` ends.
    ///
    /// Empty if nothing happened that could change the decision. A discrepancy is followed by the
    /// verdict of the backups' part, since their votes may be there.
    pub fn end_block(&mut self, height: u64) -> Vec<Verdict> {
        let grace_over = self.grace.is_some_and(|end| height >= end);
        let due = self.touched || self.late(height) || grace_over;
        if !due || self.closed.is_some() {
            return Vec::new();
        }
        self.touched = false;
        self.grace = None;

        let first = self.conclude(height);
        match first {
            Verdict::Discrepancy { .. } => vec![first, self.conclude(height)],
            Verdict::Wait | Verdict::Finalise { .. } | Verdict::Fail(_) => vec![first],
        }
    }

    /// The next height whose end will be evaluated even if no further vote comes.
    pub fn next_wakeup(&self) -> Option<u64> {
        match self.closed {
            Some(_) => None,
            // The grace ends before the timeout, which exceeds it.
            None => self.grace.or(self.timeout),
        }
    }

    /// What the round was given.
    pub fn config(&self) -> &Config {
        &self.committee.config
    }

    /// The height from which the round is late; `None` is never.
    pub fn timeout(&self) -> Option<u64> {
        self.timeout
    }

    /// The best rank whose scheduler has voted.
    pub fn lead(&self) -> Option<u64> {
        self.lead
    }

    /// Whether the backups decide.
    pub fn disputed(&self) -> bool {
        self.disputed
    }

    /// The proposal that the round is about at present.
    pub fn lead_proposal(&self) -> Option<ProposalId> {
        self.lead_pool().map(|(_, pool)| pool.proposal)
    }

    /// The votes for that proposal; none while there is no lead.
    pub fn votes_at_lead(&self) -> &BTreeMap<Signer, Option<ResultHash>> {
        self.lead_pool().map_or(&NO_VOTES, |(_, pool)| &pool.votes)
    }

    /// All votes that were kept, by rank.
    pub fn pools(&self) -> &BTreeMap<u64, RankPool> {
        &self.pools
    }

    /// Whether the present block has kept a vote or found an equivocator: its end is evaluated.
    pub fn touched(&self) -> bool {
        self.touched
    }

    /// The ranks whose schedulers equivocated.
    pub fn void_ranks(&self) -> &BTreeSet<u64> {
        &self.void
    }

    /// Who signed two different proposals of one rank, or two different votes at one rank.
    pub fn equivocators(&self) -> &BTreeSet<Signer> {
        &self.equivocators
    }

    /// The verdict that ended the round.
    pub fn closed(&self) -> Option<&Verdict> {
        self.closed.as_ref()
    }

    /// DD-V0: what any vote must satisfy; nothing changes if it does not. Returns the rank's scheduler.
    fn admit(&self, vote: &Vote) -> Result<Signer, Ignored> {
        if self.closed.is_some() {
            return Err(Ignored::RoundClosed);
        }
        if !self.committee.contains(&vote.signer) {
            return Err(Ignored::NotInCommittee);
        }
        let scheduler = self.committee.scheduler(vote.rank).ok_or(Ignored::RankUnknown)?;
        if scheduler == vote.signer && vote.result.is_none() {
            return Err(Ignored::SchedulersOwnFail);
        }
        Ok(scheduler)
    }

    /// The first clause of DD-V1 to DD-V4 that applies.
    fn arrival(&self, vote: &Vote, scheduler: Signer) -> Arrival {
        let known = self.pools.get(&vote.rank);
        // DD-V1
        if self.void.contains(&vote.rank) {
            return Arrival::RankVoid;
        }
        if known.is_some_and(|pool| pool.proposal != vote.proposal) {
            return Arrival::ConflictingProposal;
        }
        // DD-V2
        if self.lead.is_some_and(|lead| vote.rank > lead) {
            return Arrival::WorseRank;
        }
        if self.disputed && self.lead != Some(vote.rank) {
            return Arrival::OtherRankInDispute;
        }
        if self.disputed && !self.committee.is_backup(&vote.signer) {
            return Arrival::NotBackupInDispute;
        }
        // DD-V3
        match known.and_then(|pool| pool.votes.get(&vote.signer)) {
            Some(first) if *first == vote.result => return Arrival::Duplicate,
            Some(_) => return Arrival::Equivocated,
            None => {}
        }
        // DD-V4. In dispute the scheduler of the lead has voted, so what is left is never its own.
        match vote.result {
            Some(result) if vote.signer == scheduler => Arrival::SchedulersOwn(result),
            Some(_) | None => Arrival::Fresh,
        }
    }

    fn expose(&mut self, equivocator: Signer) {
        self.equivocators.insert(equivocator);
        self.touched = true;
    }

    /// DD-V1: only this rank is lost; the others go on.
    fn void_rank(&mut self, height: u64, rank: u64) {
        self.pools.remove(&rank);
        self.void.insert(rank);
        // The clock of another lead keeps running: else each equivocator of a better rank could
        // put off the end of the round.
        if self.lead == Some(rank) {
            let mut voted = self.pools.iter().filter(|(_, pool)| pool.scheduler.is_some());
            self.lead = voted.next().map(|(rank, _)| *rank);
            self.timeout = self.lead.map(|_| self.timeout_after(height));
            self.grace = None;
        }
    }

    fn keep(&mut self, vote: Vote) -> &mut RankPool {
        self.touched = true;
        let pool = self.pools.entry(vote.rank).or_insert_with(|| RankPool {
            proposal: vote.proposal,
            votes: BTreeMap::new(),
            scheduler: None,
        });
        pool.votes.insert(vote.signer, vote.result);
        pool
    }

    /// DD-V4: the scheduler of a better rank has voted.
    fn take_lead(&mut self, height: u64, rank: u64) {
        self.pools.retain(|other, _| *other <= rank);
        self.lead = Some(rank);
        self.timeout = Some(self.timeout_after(height));
        self.grace = None;
    }

    /// DD-E1 to DD-E3: takes the decision and applies it.
    fn conclude(&mut self, height: u64) -> Verdict {
        let late = self.late(height);
        match self.decide(height, late) {
            Decision::Wait => Verdict::Wait,
            Decision::WaitFor(grace) => {
                self.grace = Some(grace);
                Verdict::Wait
            }
            Decision::Discrepancy { rank } => {
                self.disputed = true;
                self.pools.retain(|other, _| *other == rank);
                self.timeout = Some(height.saturating_add(self.committee.config.dispute_timeout()));
                Verdict::Discrepancy { rank, late }
            }
            Decision::Finalise { rank, proposal, result } => {
                self.close(Verdict::Finalise { rank, proposal, result })
            }
            Decision::Fail(reason) => self.close(Verdict::Fail(reason)),
        }
    }

    /// The decision on the votes as they are; `evaluate` has its rules.
    fn decide(&self, height: u64, late: bool) -> Decision {
        let all_void = self.void.len() == self.committee.schedulers().len();
        match self.ballot() {
            None => Decision::without_lead(all_void),
            Some(ballot) if self.disputed => ballot.resolve(late),
            Some(ballot) => ballot.detect(height, late),
        }
    }

    /// The votes that the round is decided on, once a scheduler has voted.
    pub(crate) fn ballot(&self) -> Option<Ballot<'_>> {
        let (rank, pool) = self.lead_pool()?;
        let scheduler = pool.scheduler?;
        Some(Ballot { committee: &self.committee, rank, pool, scheduler })
    }

    fn lead_pool(&self) -> Option<(u64, &RankPool)> {
        let rank = self.lead?;
        self.pools.get(&rank).map(|pool| (rank, pool))
    }

    fn late(&self, height: u64) -> bool {
        self.timeout.is_some_and(|timeout| height >= timeout)
    }

    fn timeout_after(&self, height: u64) -> u64 {
        height.saturating_add(self.committee.config.round_timeout)
    }

    fn close(&mut self, verdict: Verdict) -> Verdict {
        self.closed = Some(verdict);
        verdict
    }

    /// How many ranks the round has.
    pub(crate) fn rank_count(&self) -> u64 {
        count(self.committee.schedulers().len())
    }
}
