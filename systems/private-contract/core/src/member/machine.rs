//! The transitions.

use std::collections::BTreeMap;

use paralith_private_contract_messages::ContractVote;

use super::votes::Votes;
use super::{Effect, Found, Given, Input, OnDisk, Open, Prepared, Stage, Tip, View, VoteOf};

/// A member of one contract.
#[derive(Debug, Clone)]
pub struct Member {
    tip: Tip,
    prepared: Option<Prepared>,
    own: Option<ContractVote>,
    restored: bool,
    /// Whether no batch was begun since the start.
    fresh: bool,
    view: Option<View>,
    work: Option<Work>,
    /// A write that has not been answered yet: nothing else is begun meanwhile.
    writing: Option<Writing>,
}

#[derive(Debug, Clone)]
struct Work {
    open: Open,
    step: Step,
    found: BTreeMap<u64, Found>,
    /// The height of the view in which contents were first looked for.
    since: u64,
    /// No vote is given in this batch.
    silent: bool,
    votes: Votes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Asking,
    Fetching,
    Executing,
    Done,
}

#[derive(Debug, Clone)]
enum Writing {
    Store(Box<Prepared>),
    Commit,
    Drop,
    Heal,
}

impl Member {
    /// Begins with what is on the disk.
    #[must_use]
    pub fn start(disk: OnDisk) -> Self {
        let OnDisk { tip, prepared, vote, restored } = disk;
        Self {
            tip,
            prepared,
            own: vote,
            restored,
            fresh: true,
            view: None,
            work: None,
            writing: None,
        }
    }

    /// The tree's newest version.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// The stored vote of the batch at hand: what [`crate::vote::may_sign`] is asked with.
    #[must_use]
    pub const fn own_vote(&self) -> Option<&ContractVote> {
        self.own.as_ref()
    }

    /// Whether the store is still a backup whose first batch has not ended: to be kept on the disk.
    #[must_use]
    pub const fn is_restored(&self) -> bool {
        self.restored
    }

    /// Where it is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match (&self.writing, &self.work) {
            (Some(Writing::Heal), _) => Stage::Healing,
            (Some(Writing::Drop), _) => Stage::Dropped,
            (Some(Writing::Commit), _) => Stage::Prepared,
            (_, Some(Work { step: Step::Asking, .. })) => Stage::Waiting,
            (_, Some(Work { step: Step::Done, .. })) => Stage::Prepared,
            (_, Some(_)) => Stage::Fetching,
            (_, None) if self.prepared.is_some() => Stage::Prepared,
            (_, None) if self.view.is_some() => Stage::Committed,
            (_, None) => Stage::Waiting,
        }
    }

    /// Takes in what happened; gives what to do.
    #[must_use]
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::View(view) => {
                if self.view.as_ref().is_none_or(|known| view.height >= known.height) {
                    self.view = Some(*view);
                }
            }
            Input::OwnVote { batch, found } => {
                self.asked(batch, found.map(|vote| *vote), &mut effects)
            }
            Input::Content { batch, seq, found } => self.content(batch, seq, found, &mut effects),
            Input::Executed(prepared) => self.executed(*prepared, &mut effects),
            Input::Fault { batch } => {
                if let Some(work) = self.work.as_mut().filter(|work| is_of(work, batch)) {
                    work.silent = true;
                    work.step = Step::Done;
                }
            }
            Input::Synced(vote) => self.synced(vote.map(|vote| *vote), &mut effects),
            Input::Vote(vote) => {
                if let Some(work) = self.work.as_mut().filter(|work| is_of(work, vote.batch)) {
                    work.votes.add(&vote, &work.open);
                }
            }
            Input::Moved(tip) => {
                if matches!(self.writing, Some(Writing::Commit | Writing::Heal)) {
                    self.writing = None;
                    self.tip = tip;
                    self.prepared = None;
                }
            }
            Input::Dropped => {
                if matches!(self.writing, Some(Writing::Drop)) {
                    self.writing = None;
                    self.prepared = None;
                }
            }
        }
        self.react(&mut effects);
        effects
    }

    /// Does what the newest view asks for.
    fn react(&mut self, effects: &mut Vec<Effect>) {
        let Some(view) = self.view.clone() else { return };
        self.follow(&view);
        if self.writing.is_some() || view.last.batch < self.tip.batch {
            return;
        }
        if view.last != self.tip {
            return self.move_to(view.last, effects);
        }
        if let Some(prepared) = &self.prepared {
            let is_open =
                view.open.as_ref().is_some_and(|open| open.batch.number == prepared.batch);
            if prepared.batch >= view.next_batch {
                // The view is older than that batch, which this member has seen: it says nothing of it.
                return;
            }
            if !is_open {
                effects.push(Effect::Drop { batch: prepared.batch });
                self.writing = Some(Writing::Drop);
                return;
            }
        }
        let Some(open) = view.open else {
            // The next batch opens before this member's eyes: it cannot have voted in it. A backup's eyes may
            // see rounds from before its last vote, so it asks about the next one nevertheless.
            self.fresh = false;
            return;
        };
        if self.own.as_ref().is_some_and(|own| own.batch > open.batch.number) {
            // The view is older than a vote of this member, which may have voted in that batch, too.
            return;
        }
        if open.batch.old_root == self.tip.root {
            self.begin(open, view.height, effects);
        }
        self.work_on(view.height, effects);
    }

    /// Forgets the work on a batch that is no longer open.
    fn follow(&mut self, view: &View) {
        let open = view.open.as_ref().map(|open| open.batch.number);
        let ended = |batch: u64| batch < view.next_batch && open != Some(batch);
        if self.work.as_ref().is_some_and(|work| ended(work.open.batch.number)) {
            self.work = None;
            self.restored = false;
        }
    }

    /// PC-5: another version is final: the prepared one, or one that members have.
    fn move_to(&mut self, last: Tip, effects: &mut Vec<Effect>) {
        let is_mine = self.prepared.as_ref().map(|prepared| {
            let Prepared { batch, old_root, verdict, .. } = prepared;
            *batch == last.batch && verdict.new_root == last.root && *old_root == self.tip.root
        });
        match is_mine {
            Some(true) => {
                effects.push(Effect::Commit(last));
                self.writing = Some(Writing::Commit);
            }
            Some(false) => {
                let batch = self.prepared.as_ref().map_or(0, |prepared| prepared.batch);
                effects.push(Effect::Drop { batch });
                self.writing = Some(Writing::Drop);
            }
            None => {
                effects.push(Effect::Heal { from: self.tip, to: last });
                self.writing = Some(Writing::Heal);
            }
        }
    }

    /// Begins the open batch, or takes its newest state.
    fn begin(&mut self, open: Open, since: u64, effects: &mut Vec<Effect>) {
        let batch = open.batch.number;
        if let Some(work) = self.work.as_mut().filter(|work| is_of(work, batch)) {
            work.open = open;
            return;
        }
        if self.own.as_ref().is_some_and(|own| own.batch != batch) {
            self.own = None;
        }
        let knows = self.own.is_some() || self.prepared.is_some();
        let step = if self.prepared.is_some() {
            Step::Done
        } else if (self.fresh || self.restored) && !knows {
            Step::Asking
        } else {
            Step::Fetching
        };
        self.fresh = false;
        let seqs = open.batch.seqs().collect();
        let silent = self.prepared.is_some() && self.own.is_none();
        let (found, votes) = (BTreeMap::new(), Votes::default());
        let mut work = Work { open, step, found, since, silent, votes };
        match step {
            Step::Asking => effects.push(Effect::AskOwnVote { batch }),
            Step::Fetching | Step::Executing => effects.push(Effect::Fetch { batch, seqs }),
            Step::Done => {
                if let Some(own) = &self.own {
                    work.votes.add(own, &work.open);
                    effects.push(Effect::SendVote(Box::new(own.clone())));
                }
            }
        }
        self.work = Some(work);
    }

    fn asked(&mut self, batch: u64, found: Option<ContractVote>, effects: &mut Vec<Effect>) {
        let (restored, now) = (self.restored, self.view.as_ref().map_or(0, |view| view.height));
        let Some(work) = self.work.as_mut().filter(|work| is_of(work, batch)) else { return };
        if work.step != Step::Asking {
            return;
        }
        // A backup that nobody can tell the own vote gives none: it may have voted already.
        work.silent = found.is_none() && restored;
        work.step = Step::Fetching;
        work.since = now;
        self.own = found.filter(|vote| vote.batch == batch);
        effects.push(Effect::Fetch { batch, seqs: work.open.batch.seqs().collect() });
    }

    fn content(&mut self, batch: u64, seq: u64, found: Found, effects: &mut Vec<Effect>) {
        let Some(work) = self.work.as_mut().filter(|work| is_of(work, batch)) else { return };
        if work.found.contains_key(&seq) || !work.open.batch.seqs().any(|one| one == seq) {
            return;
        }
        work.found.insert(seq, found);
        if let Found::Malformed { complain: Some(index) } = found {
            effects.push(Effect::Complain { seq, index });
        }
    }

    /// Executes once everything is fetched, or the time for it is over; submits what is due.
    fn work_on(&mut self, height: u64, effects: &mut Vec<Effect>) {
        let Some(work) = self.work.as_mut() else { return };
        if work.step == Step::Fetching {
            let given = work.open.batch.seqs().map(|seq| match work.found.get(&seq) {
                Some(Found::Call) => (seq, Some(Given::Call)),
                Some(Found::Malformed { .. }) => (seq, Some(Given::Malformed)),
                // Not before it was looked for: a member may see the batch late.
                None if height >= work.open.fetch_until && height > work.since => {
                    (seq, Some(Given::Missing))
                }
                None => (seq, None),
            });
            let given: Option<Vec<(u64, Given)>> =
                given.map(|(seq, given)| Some((seq, given?))).collect();
            if let Some(given) = given {
                work.step = Step::Executing;
                effects.push(Effect::Execute { batch: Box::new(work.open.batch.clone()), given });
            }
        }
        effects.extend(work.votes.due(&work.open, self.own.as_ref(), height));
    }

    fn executed(&mut self, prepared: Prepared, effects: &mut Vec<Effect>) {
        let Some(work) = self.work.as_ref().filter(|work| is_of(work, prepared.batch)) else {
            return;
        };
        let is_mine = work.step == Step::Executing && self.writing.is_none();
        if !is_mine || prepared.old_root != self.tip.root {
            return;
        }
        let vote = match (&self.own, work.open.me) {
            (Some(own), _) => VoteOf::Left(Box::new(own.clone())),
            (None, Some(index)) if !work.silent => VoteOf::Sign { index },
            (None, _) => VoteOf::Silent,
        };
        self.writing = Some(Writing::Store(Box::new(prepared.clone())));
        effects.push(Effect::Store { prepared: Box::new(prepared), vote });
    }

    fn synced(&mut self, vote: Option<ContractVote>, effects: &mut Vec<Effect>) {
        let Some(Writing::Store(prepared)) = self.writing.take() else { return };
        let batch = prepared.batch;
        self.prepared = Some(*prepared);
        self.own = vote;
        let Some(work) = self.work.as_mut().filter(|work| is_of(work, batch)) else { return };
        work.step = Step::Done;
        if let Some(own) = &self.own {
            work.votes.add(own, &work.open);
            effects.push(Effect::SendVote(Box::new(own.clone())));
        }
    }
}

fn is_of(work: &Work, batch: u64) -> bool {
    work.open.batch.number == batch
}
