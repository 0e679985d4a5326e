//! What follows from the verdict: "what follows" in the protocol.
//!
//! A `fail` and a missing vote are neither good nor bad. Only votes for the lead's proposal count:
//! what was dropped or never kept cannot harm its signer.

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
}

impl Pool {
    /// What follows from the verdict, once there is one.
    pub fn outcome(&self) -> Option<Outcome> {
        let outcome = match self.closed? {
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
                }
            }
            Verdict::Fail(FailReason::LyingScheduler) => {
                let truth = self.ballot().and_then(|ballot| ballot.backups_majority());
                let (good, bad) = truth.map(|truth| self.judge(truth)).unwrap_or_default();
                Outcome { good, bad, ..self.nobody_judged(self.schedulers_of(self.lead)) }
            }
            Verdict::Fail(FailReason::NoMajority) => {
                self.nobody_judged(self.schedulers_of(self.lead))
            }
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

    fn schedulers_of(&self, rank: Option<u64>) -> Vec<Signer> {
        rank.and_then(|rank| self.committee.scheduler(rank)).into_iter().collect()
    }

    fn sorted_equivocators(&self) -> Vec<Signer> {
        self.equivocators.iter().copied().collect()
    }
}
