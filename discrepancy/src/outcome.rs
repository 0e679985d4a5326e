//! What follows from the verdict: rules DD-F1 to DD-F4, DD-L1 and DD-L2 of
//! docs/protocol/discrepancy.md.
//!
//! A `fail` and a missing vote are neither good nor bad; [`Outcome::failed`] and
//! [`Outcome::silent`] name them, so that a chain can count who takes no part in rounds that others
//! could complete. Only votes for the lead's proposal count: what was dropped or never kept cannot
//! harm its signer.

use std::collections::BTreeSet;

use crate::committee::Signer;
use crate::evaluate::{FailReason, Verdict};
use crate::pool::Pool;
use crate::vote::ResultHash;

/// Who is paid, who is slashed and whose proposals count; every list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Alive, and paid.
    pub good: Vec<Signer>,
    /// Slashed for an incorrect result.
    pub bad: Vec<Signer>,
    /// Slashed for equivocation, once per round whatever the verdict, and skipped.
    pub equivocators: Vec<Signer>,
    /// Whose proposal is counted as finalised.
    pub finalised: Vec<Signer>,
    /// Whose proposal is counted as missed.
    pub missed: Vec<Signer>,
    /// Voted `fail` in a round that others could execute (DD-L1).
    pub failed: Vec<Signer>,
    /// Did not vote although the round waited for them (DD-L2).
    pub silent: Vec<Signer>,
}

impl Pool {
    /// What follows from the verdict, once there is one.
    pub fn outcome(&self) -> Option<Outcome> {
        let outcome = match self.closed? {
            // DD-F1
            Verdict::Finalise { rank, result, .. } => {
                let (good, bad) = self.judge(result);
                Outcome {
                    good,
                    // Undisputed, all workers agree; a backup that spoke unasked was not proven
                    // wrong by other backups.
                    bad: if self.disputed { bad } else { Vec::new() },
                    finalised: self.schedulers_of(Some(rank)),
                    missed: self.schedulers_of((rank > 0).then_some(0)),
                    equivocators: self.sorted_equivocators(),
                    failed: self.failed(),
                    silent: self.silent_workers(),
                }
            }
            // DD-F2
            Verdict::Fail(FailReason::LyingScheduler) => {
                let truth = self.ballot().and_then(|ballot| ballot.backups_majority());
                let (good, bad) = truth.map(|truth| self.judge(truth)).unwrap_or_default();
                let silent = self.silent_workers();
                Outcome { good, bad, silent, ..self.nobody_judged(self.schedulers_of(self.lead)) }
            }
            // DD-F3
            Verdict::Fail(FailReason::NoMajority) => {
                let silent: BTreeSet<Signer> =
                    self.silent_workers().into_iter().chain(self.silent_backups()).collect();
                let silent = silent.into_iter().collect();
                Outcome { silent, ..self.nobody_judged(self.schedulers_of(self.lead)) }
            }
            // DD-F4
            Verdict::Fail(FailReason::AllVoid) => {
                let all: BTreeSet<Signer> = self.committee.schedulers().iter().copied().collect();
                self.nobody_judged(all.into_iter().collect())
            }
            Verdict::Wait | Verdict::Discrepancy { .. } => return None,
        };
        Some(outcome)
    }

    fn nobody_judged(&self, missed: Vec<Signer>) -> Outcome {
        Outcome { missed, equivocators: self.sorted_equivocators(), ..Outcome::default() }
    }

    /// Splits those who voted for a result by whether it is `truth`.
    fn judge(&self, truth: ResultHash) -> (Vec<Signer>, Vec<Signer>) {
        let voted = |(signer, vote): (&Signer, &Option<ResultHash>)| {
            vote.as_ref().map(|result| (*signer, *result == truth))
        };
        let (good, bad): (Vec<_>, Vec<_>) =
            self.votes_at_lead().iter().filter_map(voted).partition(|(_, right)| *right);
        let signers = |votes: Vec<(Signer, bool)>| votes.into_iter().map(|(signer, _)| signer);
        (signers(good).collect(), signers(bad).collect())
    }

    /// DD-L1: a `fail` counts only if the scheduler's result is final. In a round without result the
    /// scheduler may have withheld the batch from everybody.
    fn failed(&self) -> Vec<Signer> {
        let fails = self.votes_at_lead().iter().filter(|(_, vote)| vote.is_none());
        fails.map(|(signer, _)| *signer).collect()
    }

    /// DD-L2: the workers that did not vote. A dispute shuts workers out, so that there only those
    /// count as silent that had had the whole round timeout before it began.
    fn silent_workers(&self) -> Vec<Signer> {
        let Some(ballot) = self.ballot() else { return Vec::new() };
        let config = &self.committee.config;
        let had_time = match (self.disputed, self.timeout) {
            (false, _) => true,
            (true, Some(timeout)) => {
                // The dispute set the timeout to its own height + T * 3/2.
                let dispute = timeout.saturating_sub(config.dispute_timeout());
                dispute >= ballot.scheduler.height.saturating_add(config.round_timeout)
            }
            (true, None) => false,
        };
        if had_time { self.without_vote(&config.workers) } else { Vec::new() }
    }

    /// DD-L2: the backups that did not vote until the dispute timed out. A round without majority in
    /// which the missing votes could still have made one ended for that reason alone.
    fn silent_backups(&self) -> Vec<Signer> {
        let timed_out = self.ballot().is_some_and(|ballot| ballot.majority_is_open());
        if timed_out { self.without_vote(&self.committee.config.backups) } else { Vec::new() }
    }

    /// Those that have no vote for the lead's proposal, sorted.
    fn without_vote(&self, seats: &[Signer]) -> Vec<Signer> {
        let votes = self.votes_at_lead();
        let silent = seats.iter().filter(|signer| !votes.contains_key(*signer));
        silent.copied().collect::<BTreeSet<Signer>>().into_iter().collect()
    }

    fn schedulers_of(&self, rank: Option<u64>) -> Vec<Signer> {
        rank.and_then(|rank| self.committee.scheduler(rank)).into_iter().collect()
    }

    fn sorted_equivocators(&self) -> Vec<Signer> {
        self.equivocators.iter().copied().collect()
    }
}
