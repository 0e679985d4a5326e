//! A member through every interleaving of crashes, restarts, decisions and healing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use paralith_crypto::sha256;
use paralith_policy::{Members, Policy};
use paralith_private_contract_core::member::{
    Effect, Found, Given, Input, Member, OnDisk, Open, Prepared, Stage, Tip, View, VoteOf,
};
use paralith_private_contract_core::messages::{
    Actions, Batch, BatchKind, Canonical, ContractVote, Verdict, VoteSignature,
};
use paralith_private_contract_core::vote::{MaySign, actions_hash, may_sign};
use paralith_types::{Amount, Hash};
use proptest::prelude::*;

use crate::fixture::PLACE;

const ME: u32 = 1;

fn policy() -> Policy {
    Policy::parse("2 of (a, b, c)", &["a", "b", "c"]).unwrap()
}

fn empty() -> Actions {
    Actions { actions: vec![] }
}

fn genesis() -> Tip {
    Tip { batch: 0, root: Hash([1; 32]) }
}

fn verdict_of(old_root: &Hash, batch: u64, how: &str) -> Verdict {
    let root = [&old_root.0[..], &batch.to_be_bytes(), how.as_bytes()].concat();
    Verdict {
        new_root: Hash(sha256(&root)),
        results_root: Hash::ZERO,
        classes: vec![],
        taken: true,
        actions_hash: actions_hash(&empty()),
    }
}

fn signed(index: u32, batch: u64, verdict: &Verdict) -> ContractVote {
    // Tells signatures of different verdicts apart.
    let digest = sha256(&verdict.encode());
    let mut signature = [0; 48];
    signature[..32].copy_from_slice(&digest);
    let signature = VoteSignature(signature);
    let verdict = verdict.clone();
    ContractVote {
        contract_id: PLACE.contract_id,
        batch,
        verdict,
        actions: empty(),
        index,
        signature,
    }
}

/// The mediator, the member's disk, and what left it.
struct World {
    disk: OnDisk,
    member: Member,
    queue: VecDeque<Effect>,
    view: View,
    opened: u64,
    /// Votes that left, by batch: what the others can tell the member later.
    left: BTreeMap<u64, BTreeSet<Vec<u8>>>,
    /// Whether executing gives the same again: content may appear, the engine may differ.
    how: &'static str,
    /// Whether nobody has the contents.
    withheld: bool,
    finals: BTreeSet<Hash>,
}

impl World {
    fn new() -> Self {
        let disk = OnDisk { tip: genesis(), prepared: None, vote: None, restored: false };
        let view = View { height: 1, last: genesis(), next_batch: 1, open: None };
        let member = Member::start(disk.clone());
        let queue = VecDeque::new();
        let (left, finals) = (BTreeMap::new(), BTreeSet::new());
        World { disk, member, queue, view, opened: 0, left, how: "found", withheld: false, finals }
    }

    fn give(&mut self, input: Input) {
        let effects = self.member.step(input);
        self.queue.extend(effects);
    }

    fn show(&mut self) {
        let view = self.view.clone();
        self.give(Input::View(Box::new(view)));
    }

    fn crash(&mut self) {
        self.queue.clear();
        self.member = Member::start(self.disk.clone());
        self.show();
    }

    fn open(&mut self) {
        if self.view.open.is_some() {
            return;
        }
        self.opened += 1;
        self.view.height += 1;
        let height = self.view.height;
        let batch = Batch {
            number: self.view.next_batch,
            version: 1,
            first_seq: self.opened,
            last_seq: self.opened,
            open_height: height,
            epoch: 1,
            old_root: self.view.last.root,
            balance: Amount::ZERO,
            first_deposit: 0,
            last_deposit: 0,
            kind: BatchKind::Transactions,
        };
        self.view.next_batch += 1;
        self.view.open = Some(Open {
            batch,
            fetch_until: height + 4,
            deadline: height + 12,
            members: 3,
            policy: policy(),
            gone: Members::new(),
            me: Some(ME),
            voted: Members::new(),
        });
        self.show();
    }

    /// The batch ends: YES with what this member would find now, YES with another root, or not at all.
    fn end(&mut self, yes: Option<&str>) {
        let Some(open) = self.view.open.take() else { return };
        self.view.height += 1;
        if let Some(how) = yes {
            let root = verdict_of(&open.batch.old_root, open.batch.number, how).new_root;
            self.view.last = Tip { batch: open.batch.number, root };
            self.finals.insert(root);
        }
        self.show();
    }

    /// Carries out the next effect.
    fn one(&mut self) {
        let Some(effect) = self.queue.pop_front() else { return };
        match effect {
            Effect::AskOwnVote { batch } => {
                let found = self.left.get(&batch).and_then(|votes| votes.first().cloned());
                let found = found.map(|vote| Box::new(ContractVote::decode(&vote, 4096).unwrap()));
                self.give(Input::OwnVote { batch, found });
            }
            Effect::Fetch { batch, seqs } => {
                for seq in seqs {
                    if !self.withheld {
                        self.give(Input::Content { batch, seq, found: Found::Call });
                    }
                }
            }
            Effect::Execute { batch, given } => {
                let is_missing = given.iter().any(|(_, given)| *given == Given::Missing);
                let how = if is_missing { "missing" } else { self.how };
                let verdict = verdict_of(&batch.old_root, batch.number, how);
                let (batch, old_root) = (batch.number, batch.old_root);
                let prepared = Prepared { batch, old_root, verdict, actions: empty() };
                self.give(Input::Executed(Box::new(prepared)));
            }
            Effect::Store { prepared, vote } => {
                let vote = match vote {
                    VoteOf::Sign { index } => {
                        let may =
                            may_sign(self.disk.vote.as_ref(), prepared.batch, &prepared.verdict);
                        assert_eq!(may, Ok(MaySign::New));
                        Some(signed(index, prepared.batch, &prepared.verdict))
                    }
                    VoteOf::Left(vote) => Some(*vote),
                    VoteOf::Silent => None,
                };
                self.disk.prepared = Some(*prepared);
                if vote.is_some() {
                    self.disk.vote = vote.clone();
                }
                self.give(Input::Synced(vote.map(Box::new)));
            }
            Effect::SendVote(vote) => {
                assert_eq!(Some(&*vote), self.disk.vote.as_ref(), "only stored votes leave");
                self.left.entry(vote.batch).or_default().insert(vote.encode());
            }
            Effect::Submit { batch, verdict, votes, .. } => {
                if let Some(signature) = votes.get(&ME) {
                    let vote = signed(ME, batch, &verdict);
                    assert_eq!(vote.signature, *signature);
                    self.left.entry(batch).or_default().insert(vote.encode());
                }
            }
            Effect::Commit(tip) => {
                let prepared = self.disk.prepared.take().unwrap();
                assert_eq!(prepared.old_root, self.disk.tip.root);
                assert_eq!((prepared.batch, prepared.verdict.new_root), (tip.batch, tip.root));
                self.disk.tip = tip;
                self.give(Input::Moved(tip));
            }
            Effect::Drop { batch } => {
                if self.disk.prepared.as_ref().is_some_and(|prepared| prepared.batch == batch) {
                    self.disk.prepared = None;
                }
                self.give(Input::Dropped);
            }
            Effect::Heal { from, to } => {
                assert_eq!(from, self.disk.tip);
                assert!(self.finals.contains(&to.root), "only final roots are healed to");
                self.disk.tip = to;
                self.give(Input::Moved(to));
            }
            Effect::Complain { .. } => {}
        }
        self.disk.restored = self.disk.restored && self.member.is_restored();
    }

    /// Contents that were withheld are there now, or those of the next batches are nowhere.
    fn withhold(&mut self, withheld: bool) {
        self.withheld = withheld;
        if let Some(Open { batch, .. }) = self.view.open.clone()
            && !withheld
        {
            for seq in batch.seqs() {
                self.give(Input::Content { batch: batch.number, seq, found: Found::Call });
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            self.view.height += 1;
            self.show();
            while !self.queue.is_empty() {
                self.one();
            }
            if self.member.tip() == self.view.last {
                break;
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Move {
    Open,
    Yes(bool),
    No,
    One,
    Crash,
    Height,
    Old,
    OtherVote(u32, bool),
    Differ(bool),
    Save,
    Restore(bool),
    Withhold(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => Just(Move::Open),
        2 => any::<bool>().prop_map(Move::Yes),
        1 => Just(Move::No),
        9 => Just(Move::One),
        3 => Just(Move::Crash),
        4 => Just(Move::Height),
        1 => Just(Move::Old),
        2 => (0..3_u32, any::<bool>()).prop_map(|(index, same)| Move::OtherVote(index, same)),
        2 => any::<bool>().prop_map(Move::Differ),
        1 => Just(Move::Save),
        1 => any::<bool>().prop_map(Move::Restore),
        2 => any::<bool>().prop_map(Move::Withhold),
    ];
    proptest::collection::vec(one, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_interleaving_ends_at_the_last_root_with_one_vote_a_batch(moves in moves()) {
        let mut world = World::new();
        let mut old = world.view.clone();
        let mut saved = world.disk.clone();
        let mut is_copy = false;
        for step in moves {
            match step {
                Move::Open => world.open(),
                Move::Yes(mine) => world.end(Some(if mine { "found" } else { "other" })),
                Move::No => world.end(None),
                Move::One => world.one(),
                Move::Crash => world.crash(),
                Move::Height => {
                    world.view.height += 1;
                    world.show();
                }
                // Of an old copy of a store, views must be current: see PC-4.
                Move::Old if is_copy => world.crash(),
                Move::Old => {
                    // A follower that begins anew shows older rounds first.
                    world.queue.clear();
                    world.member = Member::start(world.disk.clone());
                    let before = old.clone();
                    world.give(Input::View(Box::new(before)));
                    old = world.view.clone();
                }
                Move::OtherVote(index, same) => {
                    if let Some(open) = &world.view.open {
                        let how = if same { "found" } else { "other" };
                        let verdict = verdict_of(&open.batch.old_root, open.batch.number, how);
                        let vote = signed(index, open.batch.number, &verdict);
                        // Nobody else can sign with the own key.
                        if index != ME {
                            world.give(Input::Vote(Box::new(vote)));
                        }
                    }
                }
                Move::Differ(other) => world.how = if other { "late" } else { "found" },
                Move::Withhold(withheld) => world.withhold(withheld),
                Move::Save => saved = world.disk.clone(),
                Move::Restore(said) => {
                    // A copy of the store from before, with or without the operator saying so.
                    world.disk = OnDisk { restored: said, ..saved.clone() };
                    is_copy = true;
                    world.crash();
                }
            }
        }
        world.settle();
        prop_assert_eq!(world.disk.tip, world.view.last);
        prop_assert_eq!(world.member.tip(), world.view.last);
        // One that signs one verdict a batch is never slashed, whatever died and whatever was withheld.
        for (batch, votes) in &world.left {
            prop_assert_eq!(votes.len(), 1, "batch {}", batch);
        }
    }
}

#[test]
fn a_batch_goes_from_waiting_to_committed() {
    let mut world = World::new();
    world.show();
    assert_eq!(world.member.stage(), Stage::Committed);
    world.open();
    assert_eq!(world.member.stage(), Stage::Fetching);
    while !world.queue.is_empty() {
        world.one();
    }
    assert_eq!(world.member.stage(), Stage::Prepared);
    assert_eq!(world.left[&1].len(), 1);
    world.end(Some("found"));
    assert_eq!(world.queue.front(), Some(&Effect::Commit(world.view.last)));
    world.one();
    assert_eq!((world.member.stage(), world.disk.tip), (Stage::Committed, world.view.last));
}

#[test]
fn a_batch_that_fails_leaves_the_old_root() {
    let mut world = World::new();
    world.show();
    world.open();
    while !world.queue.is_empty() {
        world.one();
    }
    world.end(None);
    assert_eq!(world.queue.front(), Some(&Effect::Drop { batch: 1 }));
    world.one();
    assert_eq!((world.disk.tip, world.disk.prepared.clone()), (genesis(), None));
}

#[test]
fn content_that_does_not_come_is_missing_at_the_deadline_and_not_before() {
    let mut world = World::new();
    world.show();
    world.open();
    let fetch = Effect::Fetch { batch: 1, seqs: vec![1] };
    assert_eq!(world.queue.pop_front(), Some(fetch));
    let until = world.view.open.as_ref().unwrap().fetch_until;
    while world.view.height + 1 < until {
        world.view.height += 1;
        world.show();
        assert!(world.queue.is_empty());
    }
    world.view.height = until;
    world.show();
    let Some(Effect::Execute { given, .. }) = world.queue.pop_front() else { panic!() };
    assert_eq!(given, [(1, Given::Missing)]);
}

#[test]
fn a_member_that_sees_a_batch_late_looks_for_contents_before_they_are_missing() {
    let mut world = World::new();
    world.show();
    world.open();
    // Only now does this member see the batch: it begins anew.
    world.view.height = world.view.open.as_ref().unwrap().fetch_until + 1;
    world.queue.clear();
    world.member = Member::start(world.disk.clone());
    world.show();
    assert_eq!(world.queue.pop_front(), Some(Effect::AskOwnVote { batch: 1 }));
    world.give(Input::OwnVote { batch: 1, found: None });
    let fetch = Effect::Fetch { batch: 1, seqs: vec![1] };
    assert_eq!(world.queue.drain(..).collect::<Vec<_>>(), [fetch]);
    // Nobody has it, and another block has come.
    world.view.height += 1;
    world.show();
    let Some(Effect::Execute { given, .. }) = world.queue.pop_front() else { panic!() };
    assert_eq!(given, [(1, Given::Missing)]);
}

#[test]
fn a_false_wrap_is_complained_of_and_executed_as_malformed() {
    let mut world = World::new();
    world.show();
    world.open();
    world.queue.clear();
    world.give(Input::Content { batch: 1, seq: 1, found: Found::Malformed { complain: Some(2) } });
    assert_eq!(world.queue.pop_front(), Some(Effect::Complain { seq: 1, index: 2 }));
    let Some(Effect::Execute { given, .. }) = world.queue.pop_front() else { panic!() };
    assert_eq!(given, [(1, Given::Malformed)]);
}

#[test]
fn a_fault_of_the_engine_is_silence_and_healing() {
    let mut world = World::new();
    world.show();
    world.open();
    world.queue.clear();
    world.give(Input::Fault { batch: 1 });
    assert!(world.queue.is_empty());
    world.end(Some("other"));
    let heal = Effect::Heal { from: genesis(), to: world.view.last };
    assert_eq!(world.queue.front(), Some(&heal));
    world.settle();
    assert!(world.left.is_empty());
}

#[test]
fn a_backup_gives_no_vote_in_a_batch_in_which_it_may_have_voted() {
    let mut world = World::new();
    world.show();
    world.open();
    // Nobody can be asked: the vote left, and all who had it are gone.
    world.disk.restored = true;
    world.crash();
    while !world.queue.is_empty() {
        world.one();
    }
    assert!(world.left.is_empty() && world.disk.vote.is_none());
    world.end(Some("found"));
    world.settle();
    // In the next one it votes.
    world.open();
    while !world.queue.is_empty() {
        world.one();
    }
    assert_eq!(world.left[&2].len(), 1);
}

#[test]
fn a_backup_that_sees_older_rounds_first_gives_no_vote_either() {
    let mut world = World::new();
    let (disk, old) = (world.disk.clone(), world.view.clone());
    world.show();
    world.open();
    while !world.queue.is_empty() {
        world.one();
    }
    // It has voted. All who had the vote are gone, and its follower begins before the batch was opened.
    let before = std::mem::take(&mut world.left);
    assert_eq!(before[&1].len(), 1);
    world.disk = OnDisk { restored: true, ..disk };
    world.how = "late";
    world.member = Member::start(world.disk.clone());
    world.give(Input::View(Box::new(old)));
    world.show();
    while !world.queue.is_empty() {
        world.one();
    }
    assert!(world.left.is_empty(), "a second vote");
    // In the next batch it votes.
    world.end(None);
    while !world.queue.is_empty() {
        world.one();
    }
    world.open();
    while !world.queue.is_empty() {
        world.one();
    }
    assert_eq!(world.left[&2].len(), 1);
}

#[test]
fn a_restart_that_shows_an_ended_batch_as_open_gives_no_second_vote_of_it() {
    for failed in 1..3 {
        let mut world = World::new();
        let mut old = None;
        world.show();
        for _ in 0..failed {
            world.open();
            old = old.or_else(|| Some(world.view.clone()));
            while !world.queue.is_empty() {
                world.one();
            }
            world.end(None);
            while !world.queue.is_empty() {
                world.one();
            }
        }
        // The others have dropped that batch, too: nobody can be asked. Its content has since appeared.
        let before = std::mem::take(&mut world.left);
        world.how = "late";
        world.member = Member::start(world.disk.clone());
        world.give(Input::View(Box::new(old.unwrap())));
        while !world.queue.is_empty() {
            world.one();
        }
        for (batch, votes) in std::mem::take(&mut world.left) {
            assert_eq!(votes, before[&batch], "a second vote of {batch}");
        }
        world.settle();
        world.open();
        while !world.queue.is_empty() {
            world.one();
        }
        assert_eq!(world.left[&(failed + 1)].len(), 1);
    }
}

#[test]
fn the_turn_to_submit_goes_round() {
    let mut world = World::new();
    world.show();
    world.open();
    let open = world.view.open.clone().unwrap();
    let verdict = verdict_of(&open.batch.old_root, 1, "found");
    while !world.queue.is_empty() {
        world.one();
    }
    world.give(Input::Vote(Box::new(signed(0, 1, &verdict))));
    // Member 1 of batch 1 has rank 0.
    let Some(Effect::Submit { votes, .. }) = world.queue.pop_front() else { panic!() };
    assert_eq!(votes.keys().copied().collect::<Vec<_>>(), [0, 1]);
    // Not again at once, but after a while: the round may have failed.
    world.show();
    assert!(world.queue.is_empty());
    // Another verdict of a member that voted, or a vote of a foreign index, changes nothing.
    let other = verdict_of(&open.batch.old_root, 1, "other");
    world.give(Input::Vote(Box::new(signed(0, 1, &other))));
    world.give(Input::Vote(Box::new(signed(3, 1, &other))));
    world.give(Input::Vote(Box::new(signed(2, 1, &other))));
    assert!(world.queue.is_empty());
    // Three blocks before the deadline it sends its own alone, in each block, until it is counted.
    for height in [open.deadline - 3, open.deadline - 2] {
        world.view.height = height;
        world.show();
        let alone = world
            .queue
            .drain(..)
            .filter(|effect| matches!(effect, Effect::Submit { votes, .. } if votes.len() == 1));
        assert_eq!(alone.count(), 1);
    }
    world.view.open.as_mut().unwrap().voted.insert(ME);
    world.view.height += 1;
    world.show();
    let alone =
        |effect: &Effect| matches!(effect, Effect::Submit { votes, .. } if votes.len() == 1);
    assert!(!world.queue.iter().any(alone));
}
