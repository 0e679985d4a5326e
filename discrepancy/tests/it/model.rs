//! An exhaustive check of small committees: every state that any votes, in any order, over any
//! number of blocks lead to, with the laws asserted on each state and step.
//!
//! Time never runs out, because states are compared by what is left of each clock: after each block
//! all heights move back by one. Equivocators are taken out of the state once their step has been
//! checked, since no rule reads them. Proposals are equal until one is known, so the first of a
//! rank is always P.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::{
    Config, FailReason, GRACE, Ignored, Pool, ProposalId, RankPool, Signer, Verdict, Vote,
};

use crate::script::{self, proposal, result};

/// The height of the present block, in every state.
const NOW: u64 = 1000;

#[derive(Default)]
struct Checked {
    states: usize,
    steps: usize,
    ends: BTreeMap<&'static str, usize>,
}

struct Model {
    config: Config,
    nodes: Vec<Signer>,
    schedulers: Vec<Signer>,
    /// States with more votes are not entered.
    votes_max: usize,
    /// Whether each pair of votes is tried in both orders.
    both_orders: bool,
}

impl Model {
    fn new(setup: &str, votes_max: usize, both_orders: bool) -> Self {
        let config = script::config(setup);
        let nodes: BTreeSet<Signer> =
            config.workers.iter().chain(&config.backups).copied().collect();
        Self {
            schedulers: config.scheduler_order(),
            nodes: nodes.into_iter().collect(),
            config,
            votes_max,
            both_orders,
        }
    }

    fn check(&self) -> Checked {
        let mut checked = Checked::default();
        let start = Pool::new(self.config.clone()).unwrap();
        let mut seen = BTreeSet::from([self.key(&start)]);
        let mut open = vec![start];
        while let Some(pool) = open.pop() {
            checked.states += 1;
            let votes = self.votes(&pool);
            for vote in &votes {
                checked.steps += 1;
                if let Some(next) = self.vote(&pool, *vote)
                    && seen.insert(self.key(&next))
                {
                    open.push(next);
                }
            }
            if self.both_orders {
                self.order_does_not_matter(&pool, &votes);
            }
            checked.steps += 1;
            if let Some(next) = self.end_block(&pool, &mut checked)
                && seen.insert(self.key(&next))
            {
                open.push(next);
            }
        }
        checked
    }

    /// Every vote that someone could send now.
    fn votes(&self, pool: &Pool) -> Vec<Vote> {
        let answers = [Some(result('x')), Some(result('y')), None];
        let mut votes = Vec::new();
        for rank in 0..u64::try_from(self.schedulers.len()).unwrap() {
            let known = pool.pools().contains_key(&rank);
            let proposals = if known { "PQ" } else { "P" };
            for proposal in proposals.chars().map(proposal) {
                for signer in self.nodes.iter().copied() {
                    votes.extend(answers.map(|result| Vote { signer, rank, proposal, result }));
                }
            }
        }
        votes
    }

    /// One step; `None` if it leads nowhere new.
    fn vote(&self, pool: &Pool, vote: Vote) -> Option<Pool> {
        let mut next = pool.clone();
        let answer = next.vote(NOW, vote);
        assert_eq!(pool.would_count(&vote), answer, "{vote:?}");
        let before = pool.pools().get(&vote.rank);
        let first = before.is_none_or(|pool| !pool.votes.contains_key(&vote.signer));
        let exposed: Vec<Signer> = next.equivocators().iter().copied().collect();
        match answer {
            // Law 1: who is exposed has signed two different things.
            Err(Ignored::ConflictingProposal { scheduler }) => {
                assert!(before.is_some_and(|pool| pool.proposal != vote.proposal));
                assert_eq!(exposed, [scheduler]);
                assert_eq!(self.config.scheduler(vote.rank), Some(scheduler));
                // Law 5: nothing but this rank is lost.
                assert!(pool.disputed() || next.void_ranks().contains(&vote.rank));
                assert!(pool.lead() == Some(vote.rank) || next.lead() == pool.lead());
                assert!(!pool.disputed() || next.votes_at_lead() == pool.votes_at_lead());
            }
            Err(Ignored::Equivocated) => {
                assert!(before.is_some_and(|pool| pool.votes[&vote.signer] != vote.result));
                assert_eq!(exposed, [vote.signer]);
                assert_eq!(next.votes_at_lead(), pool.votes_at_lead());
            }
            Err(_) => {
                assert_eq!(&next, pool, "an ignored vote has an effect: {vote:?}");
                // Law 2: a first vote for what leads is heard, until only backups are asked.
                let heard =
                    if pool.disputed() { &self.config.backups } else { &self.config.workers };
                let own_fail =
                    Some(vote.signer) == self.config.scheduler(vote.rank) && vote.result.is_none();
                let asked = Some((vote.rank, vote.proposal)) == lead(pool)
                    && first
                    && heard.contains(&vote.signer)
                    && !own_fail;
                assert!(!asked, "not heard: {vote:?}");
                return None;
            }
            Ok(()) => {
                assert!(first && exposed.is_empty());
            }
        }
        let votes: usize = next.pools().values().map(|pool| pool.votes.len()).sum();
        if votes > self.votes_max {
            return None;
        }
        if exposed.is_empty() {
            return Some(next);
        }
        let mut parts = next.to_parts();
        parts.equivocators.clear();
        Some(Pool::from_parts(parts).unwrap())
    }

    /// The end of a block; `None` if it is the end of the round.
    fn end_block(&self, pool: &Pool, checked: &mut Checked) -> Option<Pool> {
        let mut next = pool.clone();
        let verdicts = next.end_block(NOW);
        let touched = pool.touched();
        let woken = pool.next_wakeup().is_some_and(|wakeup| wakeup <= NOW);
        if !touched {
            assert_eq!(woken, !verdicts.is_empty(), "the wakeup was wrong");
        }
        if let Some(verdict) = next.closed() {
            let name = self.closed(&next, *verdict);
            *checked.ends.entry(name).or_default() += 1;
            return None;
        }
        // Law 3
        if let Some(since) = lead_since(&next) {
            assert!(NOW < since + self.longest(), "the round stays open");
        }
        if !touched {
            self.one_honest_proposal_ends_it(&next);
        }
        Some(next_block(&next))
    }

    /// The laws at the end of a round; returns how it ended.
    fn closed(&self, pool: &Pool, verdict: Verdict) -> &'static str {
        let outcome = pool.outcome().unwrap();
        let votes = pool.votes_at_lead();
        let majority = self.config.backups.len() / 2 + 1;

        // Law 1, whatever the truth is: who voted for it, failed or kept silent may be honest.
        for truth in [result('x'), result('y')] {
            let maybe_honest =
                |node: &Signer| votes.get(node).is_none_or(|vote| vote.is_none_or(|v| v == truth));
            let honest = self.config.backups.iter().filter(|node| maybe_honest(node)).count();
            if honest >= majority {
                assert!(outcome.bad.iter().all(|node| !maybe_honest(node)), "{pool:?}");
            }
        }
        match verdict {
            Verdict::Finalise { result, .. } => {
                let for_it = |seats: &[Signer]| {
                    seats.iter().filter(|node| votes.get(node) == Some(&Some(result))).count()
                };
                if pool.disputed() {
                    assert!(for_it(&self.config.backups) >= majority);
                    return "final, disputed";
                }
                // Law 2
                let workers = &self.config.workers;
                let stragglers = usize::try_from(self.config.allowed_stragglers).unwrap();
                let against = |node: &Signer| votes.get(node).is_some_and(|v| *v != Some(result));
                let differs = |node: &Signer| against(node) && votes[node].is_some();
                assert!(!workers.iter().any(differs));
                assert!(for_it(workers) + stragglers >= workers.len());
                let all = workers.iter().all(|node| votes.contains_key(node));
                assert!(all || NOW >= lead_since(pool).unwrap() + GRACE);
                "final, undisputed"
            }
            Verdict::Fail(FailReason::AllVoid) => {
                assert_eq!(pool.void_ranks().len(), self.schedulers.len());
                "all void"
            }
            Verdict::Fail(FailReason::LyingScheduler) => {
                let scheduler = self.config.scheduler(pool.lead().unwrap()).unwrap();
                assert!(outcome.bad.contains(&scheduler), "a lying scheduler pays");
                "lying scheduler"
            }
            Verdict::Fail(FailReason::NoMajority) => {
                assert!(outcome.good.is_empty() && outcome.bad.is_empty());
                "no majority"
            }
            Verdict::Wait | Verdict::Discrepancy { .. } => unreachable!(),
        }
    }

    /// Laws 3 and 5: wherever the round stands, one scheduler that is not void and proposes (or has
    /// proposed) ends it in time, with no other vote to come.
    fn one_honest_proposal_ends_it(&self, pool: &Pool) {
        for (rank, scheduler) in (0..).zip(self.schedulers.iter().copied()) {
            if pool.void_ranks().contains(&rank) {
                continue;
            }
            let mut pool = pool.clone();
            let proposal = pool.pools().get(&rank).map_or(proposal('P'), |known| known.proposal);
            let vote = Vote { signer: scheduler, rank, proposal, result: Some(result('x')) };
            let _ = pool.vote(NOW, vote);
            for height in NOW..=NOW + self.longest() {
                pool.end_block(height);
            }
            assert!(pool.closed().is_some(), "rank {rank} could not end {pool:?}");
        }
    }

    /// Law 4, for every pair of votes that exposes nobody.
    fn order_does_not_matter(&self, pool: &Pool, votes: &[Vote]) {
        for (place, one) in votes.iter().enumerate() {
            let mut first = pool.clone();
            let _ = first.vote(NOW, *one);
            for other in &votes[place + 1..] {
                let (mut this, mut that) = (first.clone(), pool.clone());
                let _ = this.vote(NOW, *other);
                let _ = that.vote(NOW, *other);
                let _ = that.vote(NOW, *one);
                if this.equivocators().is_empty() && that.equivocators().is_empty() {
                    assert_eq!(this, that, "{one:?} and {other:?} in both orders");
                }
            }
        }
    }

    fn longest(&self) -> u64 {
        self.config.round_timeout + self.config.round_timeout * 3 / 2
    }

    /// A state as one number: two states are one if and only if their keys are.
    fn key(&self, pool: &Pool) -> u128 {
        let clock = |height: Option<u64>| height.map_or(0, |h| u128::from(h + 32 - NOW)) % 64;
        let mut key = u128::from(pool.touched()) * 2 + u128::from(pool.disputed());
        key = key * 4 + pool.lead().map_or(3, u128::from);
        // A grace that is waited for is the wakeup, else the timeout is.
        key = key * 64 + clock(pool.timeout());
        key = key * 64 + clock(pool.next_wakeup());
        key = key * 64 + clock(lead_since(pool));
        for rank in 0..u64::try_from(self.schedulers.len()).unwrap() {
            let known: Option<&RankPool> = pool.pools().get(&rank);
            key = key * 3 + u128::from(pool.void_ranks().contains(&rank));
            key = key * 3 + known.map_or(0, |p| if p.proposal == proposal('P') { 1 } else { 2 });
            for node in &self.nodes {
                let vote = known.and_then(|pool| pool.votes.get(node));
                key = key * 4
                    + match vote {
                        None => 0,
                        Some(None) => 1,
                        Some(Some(other)) if *other == result('x') => 2,
                        Some(Some(_)) => 3,
                    };
            }
        }
        key
    }
}

fn lead(pool: &Pool) -> Option<(u64, ProposalId)> {
    pool.lead().zip(pool.lead_proposal())
}

fn lead_since(pool: &Pool) -> Option<u64> {
    pool.pools()[&pool.lead()?].scheduler.map(|vote| vote.height)
}

/// The same state one block later, so that the present block is `NOW` again.
fn next_block(pool: &Pool) -> Pool {
    let mut parts = pool.to_parts();
    let older = |height: &mut u64| *height -= 1;
    parts.timeout.iter_mut().for_each(older);
    parts.grace.iter_mut().for_each(older);
    let votes = parts.pools.values_mut().filter_map(|pool| pool.scheduler.as_mut());
    votes.for_each(|vote| older(&mut vote.height));
    Pool::from_parts(parts).unwrap()
}

fn check(what: &str, model: &Model) {
    let checked = model.check();
    println!(
        "{what}: {} states, {} steps, ends of rounds: {:?}",
        checked.states, checked.steps, checked.ends
    );
    for end in ALL {
        assert!(checked.ends.contains_key(end), "{what} never ends by {end}");
    }
}

const ALL: [&str; 5] =
    ["final, undisputed", "final, disputed", "lying scheduler", "no majority", "all void"];

#[test]
fn three_workers_and_three_backups_with_one_scheduler() {
    check("one scheduler, no votes left out", &Model::new("abc/def/1/3/0/bc", 99, false));
}

#[test]
fn a_worker_that_is_a_backup_too() {
    check("a shared node", &Model::new("abc/cde/1/3/0/bc", 99, false));
}

#[test]
fn three_workers_and_three_backups_with_three_schedulers() {
    check("three schedulers, few votes", &Model::new("abc/def/1/3/0", 3, false));
}

#[test]
fn two_schedulers_in_every_order() {
    check("two schedulers, both orders", &Model::new("ab/c/1/3/0", 99, true));
}
