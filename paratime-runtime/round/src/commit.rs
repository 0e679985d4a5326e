//! What is due now: taking votes to the chain, and confirming to users.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::Ignored;
use paralith_consensus_api::roothash::{
    ExecutorCommit, Message, SignedProposal, Vote, empty_hash, messages_hash,
};
use paralith_types::{Hash, PublicKey};

use crate::machine::Output;
use crate::run::{Held, Run};

/// What this node has submitted for a rank, and when.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    height: u64,
    signers: BTreeSet<PublicKey>,
}

impl Run {
    pub(crate) fn commit(&mut self, now_ms: u64, outputs: &mut Vec<Output>) {
        let ranks: Vec<u64> = self.votes.keys().copied().collect();
        for rank in ranks {
            let missing = self.useful(rank);
            if missing.is_empty()
                || self.is_on_its_way(rank, &missing)
                || !self.is_due_to_commit(rank, &missing, now_ms)
            {
                continue;
            }
            let Some(commit) = self.build(rank, &missing) else { continue };
            for vote in &commit.votes {
                if let Some(held) = self.votes.get_mut(&rank).and_then(|v| v.get_mut(&vote.node)) {
                    held.commits = held.commits.saturating_add(1);
                }
            }
            let signers = commit.votes.iter().map(|vote| vote.node).collect();
            self.sent.insert(rank, Sent { height: self.snapshot.height, signers });
            outputs.push(Output::Commit(Box::new(commit)));
        }
    }

    /// The members whose votes the chain's pool lacks and would use, by the very rules that count
    /// them.
    fn useful(&self, rank: u64) -> Vec<PublicKey> {
        let (Some(votes), Some(pool)) = (self.votes.get(&rank), self.rules()) else {
            return Vec::new();
        };
        // Without its scheduler's vote a rank decides nothing.
        let opened = self.on_chain(rank).is_some_and(|pool| pool.scheduler_voted_at.is_some())
            || self.scheduler(rank).is_some_and(|scheduler| votes.contains_key(&scheduler));
        if !opened {
            return Vec::new();
        }
        let disputed = pool.disputed();
        let useful = |(node, held): (&PublicKey, &Held)| {
            let counts = match pool.would_count(&held.as_cast(rank)) {
                Ok(()) => true,
                // It voids the rank, which then no longer holds up the others. In dispute it does not.
                Err(Ignored::ConflictingProposal { .. }) => !disputed,
                Err(_) => false,
            };
            (counts && held.commits < COMMITS_MAX).then_some(*node)
        };
        votes.iter().filter_map(useful).collect()
    }

    /// The chain's pool as its rules see it.
    fn rules(&self) -> Option<discrepancy::Pool> {
        let parts = self.chain_pool()?.to_parts(self.config.clone())?;
        discrepancy::Pool::from_parts(parts).ok()
    }

    /// What was submitted needs a block or two to show.
    fn is_on_its_way(&self, rank: u64, missing: &[PublicKey]) -> bool {
        self.sent.get(&rank).is_some_and(|sent| {
            self.snapshot.height < sent.height.saturating_add(BLOCKS_ON_THE_WAY)
                && missing.iter().all(|node| sent.signers.contains(node))
        })
    }

    fn is_due_to_commit(&self, rank: u64, missing: &[PublicKey], now_ms: u64) -> bool {
        if self.chain_pool().is_some_and(|pool| pool.disputed) {
            return self.backups_turn(rank, now_ms);
        }
        let Some(votes) = self.votes.get(&rank) else { return false };
        let opened = self.on_chain(rank).is_some_and(|pool| pool.scheduler_voted_at.is_some());
        // RD-4: by the scheduler when it has all votes, at the first difference, or after a while.
        if !opened && self.scheduler(rank) == Some(self.me) {
            return self.workers_votes(votes).count() == self.config.workers.len()
                || self.differs(rank)
                || self.waited_ms(votes, now_ms) >= self.patience_ms(rank, votes);
        }
        // The scheduler's transaction came without our vote: an omitted vote still counts, for a
        // while. Others see to it only if we do not.
        (opened && missing.contains(&self.me)) || self.is_my_turn(rank, votes, missing, now_ms)
    }

    /// Whether another node should have submitted these votes by now: after the scheduler come the
    /// workers, then the backups. What is submitted needs blocks, not time, to show.
    fn is_my_turn(
        &self,
        rank: u64,
        votes: &BTreeMap<PublicKey, Held>,
        missing: &[PublicKey],
        now_ms: u64,
    ) -> bool {
        let after_workers =
            |place: u64| place.saturating_add(self.config.workers.len().try_into().unwrap_or(0));
        let place = self.worker_index().or(self.backup_index().map(after_workers)).unwrap_or(0);
        let turn = if self.scheduler(rank) == Some(self.me) { 0 } else { place.saturating_add(1) };
        let held: Vec<&Held> = missing.iter().filter_map(|node| votes.get(node)).collect();
        let (Some(since_ms), Some(since_height)) = (
            held.iter().map(|held| held.since_ms).min(),
            held.iter().map(|held| held.since_height).min(),
        ) else {
            return false;
        };
        let turn_ms = turn.saturating_mul(self.collect_ms());
        let patience_ms = self.patience_ms(rank, votes).saturating_add(turn_ms);
        now_ms >= since_ms.saturating_add(patience_ms)
            && self.snapshot.height >= since_height.saturating_add(BLOCKS_ON_THE_WAY)
    }

    /// How long votes are waited for: the collect timeout, or as long as the scheduler needed from
    /// its proposal to its vote, as seen from here. The others may need as long again, and a vote
    /// that is left out costs a transaction of its own.
    fn patience_ms(&self, rank: u64, votes: &BTreeMap<PublicKey, Held>) -> u64 {
        let vote = self.scheduler(rank).and_then(|scheduler| votes.get(&scheduler));
        let known = vote.and_then(|held| self.proposals.get(&held.vote.proposal_id));
        let worked_ms =
            vote.zip(known).map_or(0, |(held, known)| held.since_ms.saturating_sub(known.seen_ms));
        self.collect_ms().max(worked_ms)
    }

    fn backups_turn(&self, rank: u64, now_ms: u64) -> bool {
        let (Some(votes), Some(index)) = (self.votes.get(&rank), self.backup_index()) else {
            return false;
        };
        let of_backups: Vec<&Held> =
            votes.iter().filter(|(node, _)| self.is_backup(node)).map(|(_, held)| held).collect();
        let m = self.config.backups.len();
        let decided = tally(of_backups.iter().copied()).0.values().any(|count| *count > m / 2);
        let complete = of_backups.len() == m;
        (index == 0 && (complete || decided)) || self.waited(votes, index.saturating_add(1), now_ms)
    }

    /// Whether the collect timeout has passed this often since the first vote that could be sent
    /// came, or since the dispute began.
    fn waited(&self, votes: &BTreeMap<PublicKey, Held>, turns: u64, now_ms: u64) -> bool {
        self.waited_ms(votes, now_ms) >= turns.saturating_mul(self.collect_ms())
    }

    fn waited_ms(&self, votes: &BTreeMap<PublicKey, Held>, now_ms: u64) -> u64 {
        let mine = votes.get(&self.me).map(|held| held.since_ms);
        let first = mine.or_else(|| votes.values().map(|held| held.since_ms).min());
        let since = first.unwrap_or(now_ms).max(self.disputed_ms.unwrap_or(0));
        now_ms.saturating_sub(since)
    }

    /// Whether the workers' votes that are here make a discrepancy.
    pub(crate) fn differs(&self, rank: u64) -> bool {
        let Some(votes) = self.votes.get(&rank) else { return false };
        let (results, failures) = tally(self.workers_votes(votes));
        results.len() > 1 || failures > self.config.allowed_stragglers as usize
    }

    fn workers_votes<'a>(
        &'a self,
        votes: &'a BTreeMap<PublicKey, Held>,
    ) -> impl Iterator<Item = &'a Held> {
        votes.iter().filter(|(node, _)| self.is_worker(node)).map(|(_, held)| held)
    }

    fn build(&self, rank: u64, missing: &[PublicKey]) -> Option<ExecutorCommit> {
        let held = self.votes.get(&rank)?;
        let scheduler = self.scheduler(rank)?;
        let mut votes: Vec<Vote> = Vec::with_capacity(missing.len());
        let mut messages = Vec::new();
        for node in missing {
            let vote = held.get(node)?;
            if *node == scheduler {
                // The scheduler's vote counts only with the messages of its results.
                match messages_of(held, vote) {
                    Some(found) => messages = found,
                    None => continue,
                }
            }
            votes.push(vote.vote.clone());
        }
        let named: BTreeSet<Hash> = votes.iter().map(|vote| vote.proposal_id).collect();
        let proposals: Vec<SignedProposal> = named
            .iter()
            .filter_map(|id| self.proposals.get(id).map(|known| known.proposal.signed.clone()))
            .collect();
        let runtime_id = self.runtime;
        (!votes.is_empty()).then_some(ExecutorCommit { runtime_id, proposals, votes, messages })
    }

    /// Confirms to users when all workers agree.
    // RD-6: before the chain has the votes, and no promise of finality.
    pub(crate) fn confirm(&mut self, outputs: &mut Vec<Output>) {
        if self.soft || self.chain_pool().is_some_and(|pool| pool.disputed) {
            return;
        }
        for votes in self.votes.values() {
            let workers: Vec<&Held> = self.workers_votes(votes).collect();
            let (results, failures) = tally(workers.iter().copied());
            let proposal =
                workers.first().and_then(|held| self.proposals.get(&held.vote.proposal_id));
            let Some(known) = proposal else { continue };
            let all = workers.len() == self.config.workers.len();
            if all && failures == 0 && results.len() == 1 {
                let votes = workers.iter().map(|held| held.vote.clone()).collect();
                let proposal = Box::new(known.proposal.clone());
                outputs.push(Output::SoftConfirmed { proposal, votes });
                self.soft = true;
                return;
            }
        }
    }
}

/// How many votes each result has (with its proposal, which binds it), and how many failures.
fn tally<'a>(votes: impl Iterator<Item = &'a Held>) -> (BTreeMap<(Hash, Hash), usize>, usize) {
    let (mut results, mut failures) = (BTreeMap::new(), 0_usize);
    for held in votes {
        match held.result() {
            Some(result) => {
                let count: &mut usize = results.entry((held.vote.proposal_id, result)).or_default();
                *count = count.saturating_add(1);
            }
            None => failures = failures.saturating_add(1),
        }
    }
    (results, failures)
}

/// The messages of a vote's results, from the vote itself or from any that agrees with it.
fn messages_of(held: &BTreeMap<PublicKey, Held>, vote: &Held) -> Option<Vec<Message>> {
    let expected = vote.vote.results.as_ref()?.messages_hash;
    if expected == empty_hash() {
        return Some(Vec::new());
    }
    let lists = held.values().filter_map(|other| other.messages.as_ref());
    lists.into_iter().find(|messages| messages_hash(messages) == expected).cloned()
}

/// Votes that the chain ignores for a reason of its own are not sent for ever.
const COMMITS_MAX: u32 = 6;
/// Into the engine's pool, into a block, and back to us.
const BLOCKS_ON_THE_WAY: u64 = 3;
