//! What is due now: proposing and working.

use paralith_consensus_api::roothash::ProposalHeader;
use paralith_types::{Hash, Height, Round};

use crate::machine::{Ballot, Output, PoolView};
use crate::run::{Batch, Known, Run, Work};

impl Run {
    /// Gives out everything that is due and was not given out before.
    pub(crate) fn decide(&mut self, now_ms: u64, pool: &PoolView, outputs: &mut Vec<Output>) {
        if self.base_ms.is_none() && (self.wanted(now_ms, pool) || !self.proposals.is_empty()) {
            self.base_ms = Some(now_ms);
        }
        self.propose(now_ms, pool, outputs);
        self.prefetch(outputs);
        self.work(now_ms, outputs);
        self.commit(now_ms, outputs);
        self.confirm(outputs);
    }

    /// Whether there is a reason for a round.
    fn wanted(&self, now_ms: u64, pool: &PoolView) -> bool {
        let flush_ms = u64::from(self.snapshot.batching.flush_timeout_ms);
        let waited = |since: u64| now_ms >= since.saturating_add(flush_ms);
        // RD-1: messages, results, or transactions that fill a batch or have waited.
        self.snapshot.forced
            || (pool.waiting > 0 && (pool.full || pool.oldest_ms.is_some_and(waited)))
    }

    fn propose(&mut self, now_ms: u64, pool: &PoolView, outputs: &mut Vec<Output>) {
        let Some(rank) = self.my_rank() else { return };
        if self.proposed || !self.snapshot.ready || !self.wanted(now_ms, pool) {
            return;
        }
        let Some(height) = self.pinned_height() else { return };
        if !self.may_propose(rank, now_ms) {
            return;
        }
        self.proposed = true;
        outputs.push(Output::Propose(ProposalHeader {
            runtime_id: self.runtime,
            round: Round(self.number()),
            previous_hash: self.previous,
            rank,
            consensus_height: height,
            batch_hash: Hash::ZERO,
        }));
    }

    /// The newest proven height, if it lies in this epoch and not below the last block's, and the
    /// next block is not the one that ends the epoch and the round with it.
    fn pinned_height(&self) -> Option<Height> {
        let Situated { height, epoch_began, epoch_ends, last } = self.situated();
        let fits = height >= epoch_began && height >= last && height.saturating_add(1) < epoch_ends;
        fits.then_some(Height(height))
    }

    fn situated(&self) -> Situated {
        Situated {
            height: self.snapshot.height,
            epoch_began: self.snapshot.epoch.height.0,
            epoch_ends: self.snapshot.epoch.next_height.0,
            last: self.snapshot.state.last_block.consensus_height.0,
        }
    }

    fn may_propose(&self, rank: u64, now_ms: u64) -> bool {
        let (Some(chain), Some(base)) = (self.chain_pool(), self.base_ms) else { return false };
        if chain.disputed || chain.lead.is_some_and(|lead| lead <= rank) || self.is_void(rank) {
            return false;
        }
        let turn = self.turn_ms(rank, base);
        // RD-2: ranks follow one another; who has a better rank gets the time that it could use.
        // A better proposal is on its way. Its scheduler may still keep its own vote back, so it
        // is not waited for without end.
        now_ms >= turn && self.has_given_up_better(rank, now_ms)
    }

    /// Whether the proposals of better ranks had all the time that they could use.
    fn has_given_up_better(&self, rank: u64, now_ms: u64) -> bool {
        let patience = rank.saturating_mul(self.propose_timeout_ms()).saturating_mul(2);
        let had_time = |known: &Known| match self.my_vote(known.proposal.header.rank) {
            Some(held) if held.vote.results.is_none() => true,
            // What kept this node busy keeps its scheduler busy as well.
            Some(held) => {
                let worked_ms = held.since_ms.saturating_sub(known.seen_ms);
                now_ms >= held.since_ms.saturating_add(worked_ms).saturating_add(patience)
            }
            None => {
                let busy = matches!(known.work, Work::Executing | Work::Ready(_));
                !busy && now_ms >= known.seen_ms.saturating_add(patience)
            }
        };
        self.first
            .range(..rank)
            .filter(|(rank, _)| !self.is_void(**rank) && !self.has_two_proposals(**rank))
            .filter_map(|(_, id)| self.proposals.get(id))
            .all(had_time)
    }

    /// When a scheduler's turn begins. A rank that the chain has voided is waited for no more.
    fn turn_ms(&self, rank: u64, base_ms: u64) -> u64 {
        let waited_for = (0..rank).filter(|better| !self.is_void(*better)).count() as u64;
        base_ms.saturating_add(waited_for.saturating_mul(self.propose_timeout_ms()))
    }

    /// Two different votes will need the backups: they get the batch before the chain says so.
    fn prefetch(&mut self, outputs: &mut Vec<Output>) {
        if self.backup_index().is_none() {
            return;
        }
        let ranks: Vec<u64> =
            self.votes.keys().copied().filter(|rank| self.differs(*rank)).collect();
        for rank in ranks {
            if let Some(id) = self.first.get(&rank).copied() {
                let unknown = |known: &Known| known.batch == Batch::Unknown;
                if self.proposals.get(&id).is_some_and(unknown) {
                    self.fetch(id, outputs);
                }
            }
        }
    }

    fn work(&mut self, now_ms: u64, outputs: &mut Vec<Output>) {
        let Some(id) = self.target(now_ms) else { return };
        let patience_ms = self.propose_timeout_ms();
        let since_ms = self.disputed_ms.unwrap_or(0);
        let Some(known) = self.proposals.get_mut(&id) else {
            // The chain knows a proposal that never came here.
            return self.fetch(id, outputs);
        };
        let wanted_ms = *known.wanted_ms.get_or_insert(now_ms);
        match (&known.work, known.batch) {
            (Work::Voting | Work::Executing, _) => {}
            (Work::Ready(ballot), _) => {
                let ballot = ballot.clone();
                self.vote(&id, ballot, outputs);
            }
            (Work::None, Batch::Here) if self.snapshot.ready => {
                known.work = Work::Executing;
                outputs.push(Output::Execute(Box::new(known.proposal.clone())));
            }
            (Work::None, batch) => {
                // What is missing is not a result, and waiting has its end.
                // RD-3: a failure is voted for only after the time that execution has.
                if now_ms >= wanted_ms.max(since_ms).saturating_add(patience_ms) {
                    return self.vote(&id, Ballot::unavailable(), outputs);
                }
                let again = match batch {
                    Batch::Here => false,
                    Batch::Unknown => true,
                    Batch::Missing { at_ms } => now_ms >= at_ms.saturating_add(patience_ms / 8),
                };
                if again {
                    self.fetch(id, outputs);
                }
            }
        }
    }

    fn vote(&mut self, id: &Hash, ballot: Ballot, outputs: &mut Vec<Output>) {
        let me = self.me;
        let Some(known) = self.proposals.get_mut(id) else { return };
        known.work = Work::Voting;
        // A scheduler that fails its own proposal says nothing: the chain would not hear it.
        if known.proposal.signed.scheduler == me && ballot.execution().is_none() {
            return;
        }
        outputs.push(Output::Vote { proposal: Box::new(known.proposal.clone()), ballot });
    }

    fn fetch(&mut self, id: Hash, outputs: &mut Vec<Output>) {
        if self.fetching.insert(id) {
            let scheduler = self.proposals.get(&id).map(|known| known.proposal.signed.scheduler);
            outputs.push(Output::FetchBatch { id, scheduler });
        }
    }

    /// The proposal that this node should vote for next.
    fn target(&self, now_ms: u64) -> Option<Hash> {
        let chain = self.chain_pool()?;
        if chain.disputed {
            let lead = chain.lead?;
            let open = self.backup_index().is_some() && self.may_vote(lead);
            return open.then(|| self.on_chain(lead).map(|pool| pool.proposal_id)).flatten();
        }
        self.worker_index()?;
        let ranks = 0..=chain.lead.unwrap_or(u64::MAX).min(self.order.len() as u64);
        for rank in ranks.filter(|rank| self.may_vote(*rank) && self.is_due(*rank, now_ms)) {
            let on_chain = self.on_chain(rank).map(|pool| pool.proposal_id);
            let Some(id) = self.first.get(&rank).copied().or(on_chain) else { continue };
            return Some(id);
        }
        None
    }

    /// Whether this node has nothing to say on a rank any more, or the chain would not hear it. One
    /// proposal of a rank at a time: two votes for one rank would be equivocation.
    fn may_vote(&self, rank: u64) -> bool {
        let busy = |known: &Known| known.proposal.header.rank == rank && known.work == Work::Voting;
        !self.is_void(rank) && self.my_vote(rank).is_none() && !self.proposals.values().any(busy)
    }

    /// Worse schedulers wait for their turn, and workers wait with them: a bad backup scheduler
    /// must not take the round away from the primary.
    fn is_due(&self, rank: u64, now_ms: u64) -> bool {
        let on_chain_a_while = || {
            let voted_at = self.on_chain(rank).and_then(|pool| pool.scheduler_voted_at);
            voted_at.is_some_and(|height| self.snapshot.height > height)
        };
        let mine = self.my_rank() == Some(rank);
        let turn_came = || self.base_ms.is_some_and(|base| now_ms >= self.turn_ms(rank, base));
        rank == 0
            || mine
            || (turn_came() && self.has_given_up_better(rank, now_ms))
            || on_chain_a_while()
    }
}

/// The heights that bound the one a proposal pins.
struct Situated {
    height: u64,
    epoch_began: u64,
    epoch_ends: u64,
    last: u64,
}
