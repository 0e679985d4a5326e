//! The decision at the end of a block: rules DD-E1 to DD-E3 of docs/protocol/discrepancy.md.

use std::collections::BTreeMap;

use crate::committee::{Committee, Signer};
use crate::pool::{RankPool, SchedulerVote};
use crate::vote::{ProposalId, ResultHash};

/// G: with votes missing, a round is not final until this many blocks after its scheduler's vote,
/// so that a vote that the scheduler omitted still counts.
pub const GRACE: u64 = 2;

/// What the end of a block decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough is known.
    Wait,
    /// The workers differ, or too few of them answered: the backups decide.
    Discrepancy {
        /// The rank that is in dispute from now on.
        rank: u64,
        /// Whether the timeout, not only a difference, led to it.
        late: bool,
    },
    /// The round is final, with the result of the scheduler of `rank`.
    Finalise {
        /// The rank of the proposal.
        rank: u64,
        /// The proposal.
        proposal: ProposalId,
        /// What it led to.
        result: ResultHash,
    },
    /// The round has no result.
    Fail(FailReason),
}

/// Why a round has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailReason {
    /// The majority of the backups contradicts the scheduler.
    LyingScheduler,
    /// The backups cannot reach a majority, or did not in time.
    NoMajority,
    /// Every scheduler equivocated.
    AllVoid,
}

impl FailReason {
    /// A number that never changes, for events and storage.
    pub const fn code(&self) -> u32 {
        match self {
            Self::LyingScheduler => 1,
            Self::NoMajority => 2,
            Self::AllVoid => 3,
        }
    }

    /// The name in events, logs and replays.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LyingScheduler => "lying_scheduler",
            Self::NoMajority => "no_majority",
            Self::AllVoid => "all_void",
        }
    }
}

/// A decision before it is applied to the pool.
pub(crate) enum Decision {
    Wait,
    /// Wait, and look again at this height even if no vote comes.
    WaitFor(u64),
    Discrepancy {
        rank: u64,
    },
    Finalise {
        rank: u64,
        proposal: ProposalId,
        result: ResultHash,
    },
    Fail(FailReason),
}

impl Decision {
    /// DD-E1: no lead. The round waits for nobody who could not still propose.
    pub(crate) const fn without_lead(all_void: bool) -> Self {
        if all_void { Self::Fail(FailReason::AllVoid) } else { Self::Wait }
    }
}

/// The votes at the lead, of which the scheduler's is one.
pub(crate) struct Ballot<'a> {
    pub(crate) committee: &'a Committee,
    pub(crate) rank: u64,
    pub(crate) pool: &'a RankPool,
    pub(crate) scheduler: SchedulerVote,
}

impl Ballot<'_> {
    /// DD-E2: not disputed, over workers at the lead.
    pub(crate) fn detect(&self, height: u64, late: bool) -> Decision {
        let n = self.committee.worker_count();
        let s = self.committee.stragglers();
        let workers = self.tally(|signer| self.committee.is_worker(signer));
        let grace_end = self.scheduler.height.saturating_add(GRACE);

        // The scheduler's own result is among them: if there is only one, it is the scheduler's.
        let d = workers.results.len();
        let v = workers.votes_for(&self.scheduler.result);
        let (f, c) = (workers.fails, workers.cast());

        if d > 1 || f > s {
            // Better schedulers keep their time to propose: a bad backup scheduler must not be
            // able to take the round away from them.
            return if self.rank > 0 && !late { Decision::Wait } else { self.discrepancy() };
        }
        if v < n.saturating_sub(s) {
            // Silence must not be cheaper for a faulty worker than a wrong result.
            return if late { self.discrepancy() } else { Decision::Wait };
        }
        if c < n && height < grace_end && !late {
            return Decision::WaitFor(grace_end);
        }
        self.finalise()
    }

    /// DD-E3: disputed, over backups at the lead.
    pub(crate) fn resolve(&self, late: bool) -> Decision {
        if let Some(result) = self.backups_majority() {
            return if result == self.scheduler.result {
                self.finalise()
            } else {
                Decision::Fail(FailReason::LyingScheduler)
            };
        }
        if !self.majority_is_open() || late {
            return Decision::Fail(FailReason::NoMajority);
        }
        Decision::Wait
    }

    /// Whether the backups that have not voted could still make a majority: b + left >= m/2 + 1.
    pub(crate) fn majority_is_open(&self) -> bool {
        let backups = self.backups();
        let b = backups.best().map_or(0, |(_, votes)| votes);
        let left = self.committee.backup_count().saturating_sub(backups.cast());
        b.saturating_add(left) >= self.majority()
    }

    /// The result that more than half of the backups voted for.
    pub(crate) fn backups_majority(&self) -> Option<ResultHash> {
        self.backups().at_least(self.majority())
    }

    /// m/2 + 1.
    fn majority(&self) -> u64 {
        (self.committee.backup_count() / 2).saturating_add(1)
    }

    fn backups(&self) -> Tally {
        self.tally(|signer| self.committee.is_backup(signer))
    }

    fn tally(&self, counted: impl Fn(&Signer) -> bool) -> Tally {
        let mut tally = Tally::default();
        for (_, vote) in self.pool.votes.iter().filter(|(signer, _)| counted(signer)) {
            let votes = match vote {
                Some(result) => tally.results.entry(*result).or_insert(0),
                None => &mut tally.fails,
            };
            *votes = votes.saturating_add(1);
        }
        tally
    }

    fn discrepancy(&self) -> Decision {
        Decision::Discrepancy { rank: self.rank }
    }

    /// Only the scheduler's result is ever final: others confirm it or the round has none.
    fn finalise(&self) -> Decision {
        Decision::Finalise {
            rank: self.rank,
            proposal: self.pool.proposal,
            result: self.scheduler.result,
        }
    }
}

#[derive(Default)]
struct Tally {
    results: BTreeMap<ResultHash, u64>,
    fails: u64,
}

impl Tally {
    fn votes_for(&self, result: &ResultHash) -> u64 {
        self.results.get(result).copied().unwrap_or(0)
    }

    /// All votes, fails too.
    fn cast(&self) -> u64 {
        self.results.values().fold(self.fails, |sum, votes| sum.saturating_add(*votes))
    }

    /// The most voted result. Which of two equals does not matter: neither is a majority.
    fn best(&self) -> Option<(ResultHash, u64)> {
        let best = self.results.iter().max_by_key(|(_, votes)| **votes);
        best.map(|(result, votes)| (*result, *votes))
    }

    fn at_least(&self, votes_min: u64) -> Option<ResultHash> {
        self.best().filter(|(_, votes)| *votes >= votes_min).map(|(result, _)| result)
    }
}
