//! The five laws of "What must hold", against honest and faulty nodes.
//!
//! A script is a list of blocks with the wishes of an adversary that also rules the network: any
//! vote may be late, repeated, reordered or never sent. A wish becomes a vote by the nature of its
//! node. An honest one says the truth or `fail`, once per rank, whatever is wished (its host may
//! lose power: then it repeats the same bytes or is silent); a faulty one does as it is told, but
//! cannot sign for others.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::{Config, FailReason, GRACE, Pool, ProposalId, ResultHash, Signer, Verdict, Vote};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

#[derive(Clone, Debug)]
struct World {
    config: Config,
    nodes: Vec<Signer>,
    faulty: BTreeSet<Signer>,
}

#[derive(Clone, Debug)]
struct Block {
    /// Blocks since the last one of the script.
    gap: u64,
    wishes: Vec<Wish>,
}

#[derive(Clone, Debug)]
struct Wish {
    node: prop::sample::Index,
    rank: u64,
    second_proposal: bool,
    answer: Answer,
    /// Where the vote goes when the block is shuffled.
    place: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Truth,
    Lie,
    OtherLie,
    Fail,
}

fn worlds() -> impl Strategy<Value = World> {
    (1..=5_usize, 0..=5_usize, 0..=5_usize)
        .prop_flat_map(|(n, m, shared)| {
            let shared = shared.min(n).min(m);
            (Just((n, m, shared)), 0..n, 3..=6_u64, 0..7_u64, 0..40_u8, any::<u16>(), any::<u16>())
        })
        .prop_map(|((n, m, shared), stragglers, timeout, round, skip, faults, more_faults)| {
            let nodes: Vec<Signer> = (0..n + m - shared).map(signer).collect();
            let chosen = |mask: u16| {
                let bit = move |i: &usize| mask >> i & 1 == 1;
                (0..nodes.len()).filter(bit).map(|i| nodes[i]).collect::<BTreeSet<_>>()
            };
            let config = Config {
                workers: nodes[..n].to_vec(),
                backups: nodes[n - shared..].to_vec(),
                allowed_stragglers: u32::try_from(stragglers).unwrap(),
                round_timeout: timeout,
                round,
                skipped: chosen(if skip < 32 { 0 } else { u16::from(skip) }),
            };
            // In the mean a quarter of the nodes is faulty, sometimes none, sometimes all.
            let faulty = chosen(if skip % 4 == 0 { faults } else { faults & more_faults });
            World { config, faulty, nodes }
        })
}

fn scripts() -> impl Strategy<Value = Vec<Block>> {
    let answer = prop_oneof![
        8 => Just(Answer::Truth),
        4 => Just(Answer::Lie),
        1 => Just(Answer::OtherLie),
        1 => Just(Answer::Fail),
    ];
    let rank = prop_oneof![4 => Just(0), 2 => Just(1), 1 => 2..5_u64];
    let wish =
        (any::<prop::sample::Index>(), rank, prop::bool::weighted(0.1), answer, any::<u16>())
            .prop_map(|(node, rank, second_proposal, answer, place)| Wish {
                node,
                rank,
                second_proposal,
                answer,
                place,
            });
    let block = (1..=3_u64, prop::collection::vec(wish, 0..8))
        .prop_map(|(gap, wishes)| Block { gap, wishes });
    prop::collection::vec(block, 1..8)
}

fn signer(place: usize) -> Signer {
    Signer([u8::try_from(place).unwrap() + 1; 32])
}

fn proposal(rank: u64, second: bool) -> ProposalId {
    ProposalId([u8::try_from(rank).unwrap() * 2 + u8::from(second); 32])
}

fn answer(proposal: ProposalId, answer: Answer) -> Option<ResultHash> {
    let result = |kind: u8| Some(ResultHash([proposal.0[0] * 4 + kind; 32]));
    match answer {
        Answer::Truth => result(0),
        Answer::Lie => result(1),
        Answer::OtherLie => result(2),
        Answer::Fail => None,
    }
}

fn truth(of: ProposalId) -> ResultHash {
    answer(of, Answer::Truth).unwrap()
}

impl World {
    fn honest(&self, signer: &Signer) -> bool {
        !self.faulty.contains(signer)
    }

    fn honest_backups(&self) -> usize {
        self.config.backups.iter().filter(|backup| self.honest(backup)).count()
    }

    fn majority(&self) -> usize {
        self.config.backups.len() / 2 + 1
    }

    /// The longest way from the vote of a lead's scheduler to the end.
    fn longest(&self) -> u64 {
        self.config.round_timeout + self.config.round_timeout * 3 / 2
    }
}

/// What the nodes have signed so far.
struct Nodes<'a> {
    world: &'a World,
    /// Every node keeps to its first vote, the faulty ones too.
    nobody_equivocates: bool,
    signed: BTreeMap<(Signer, u64), Vote>,
    proposed: BTreeMap<u64, ProposalId>,
}

impl<'a> Nodes<'a> {
    fn new(world: &'a World) -> Self {
        let (signed, proposed) = (BTreeMap::new(), BTreeMap::new());
        Self { world, nobody_equivocates: false, signed, proposed }
    }

    fn vote(&mut self, wish: &Wish) -> Vote {
        let ranks = self.world.config.scheduler_order();
        let rank = wish.rank % u64::try_from(ranks.len()).unwrap();
        let scheduler = self.world.config.scheduler(rank).unwrap();
        let signer = *wish.node.get(&self.world.nodes);

        let mut named = proposal(rank, wish.second_proposal);
        if self.world.honest(&scheduler) || self.nobody_equivocates {
            named = *self.proposed.entry(rank).or_insert(named);
        }
        let honest = self.world.honest(&signer);
        let says = match wish.answer {
            Answer::Lie | Answer::OtherLie if honest => Answer::Truth,
            // A scheduler executes its batch before it proposes it.
            Answer::Fail if honest && signer == scheduler => Answer::Truth,
            says => says,
        };
        let vote = Vote { signer, rank, proposal: named, result: answer(named, says) };
        if honest || self.nobody_equivocates {
            return *self.signed.entry((signer, rank)).or_insert(vote);
        }
        vote
    }
}

/// A played script, with what the laws ask about.
struct Run {
    pool: Pool,
    verdicts: Vec<(u64, Verdict)>,
    /// All votes that reached the chain, with their heights.
    sent: Vec<(u64, Vote)>,
    /// When the lead took the lead, and how many votes had been sent before.
    lead_since: Option<(u64, usize)>,
    /// A height at which a round was open longer than law 3 says.
    overstayed: Option<u64>,
}

impl Run {
    fn new(config: &Config) -> Self {
        Self {
            pool: Pool::new(config.clone()).unwrap(),
            verdicts: Vec::new(),
            sent: Vec::new(),
            lead_since: None,
            overstayed: None,
        }
    }

    fn play(world: &World, script: &[Block]) -> Self {
        let mut run = Self::new(&world.config);
        let mut nodes = Nodes::new(world);
        let mut height = 10;
        for block in script {
            for empty in height + 1..height + block.gap {
                run.end(world, empty);
            }
            height += block.gap;
            for wish in &block.wishes {
                run.send(height, nodes.vote(wish));
            }
            run.end(world, height);
        }
        for empty in height + 1..=height + world.longest() {
            run.end(world, empty);
        }
        run
    }

    fn send(&mut self, height: u64, vote: Vote) {
        let before = self.pool.lead();
        let _ = self.pool.vote(height, vote);
        if self.pool.lead() != before {
            self.lead_since = self.pool.lead().map(|_| (height, self.sent.len()));
        }
        if self.pool.closed().is_none() {
            self.sent.push((height, vote));
        }
    }

    fn end(&mut self, world: &World, height: u64) {
        let verdicts = self.pool.end_block(height);
        self.verdicts.extend(verdicts.into_iter().map(|verdict| (height, verdict)));
        let due = self.lead_since.is_some_and(|(since, _)| height >= since + world.longest());
        if due && self.pool.closed().is_none() {
            self.overstayed = Some(height);
        }
    }

    fn last(&self) -> Option<(u64, Verdict)> {
        self.pool.closed().and(self.verdicts.last().copied())
    }

    fn wrong(&self) -> bool {
        matches!(self.pool.closed(), Some(Verdict::Finalise { proposal, result, .. })
            if *result != truth(*proposal))
    }
}

fn no_honest_node_is_slashed(world: &World, run: &Run) {
    let equivocators: Vec<_> = run.pool.equivocators().iter().collect();
    assert!(equivocators.iter().all(|node| !world.honest(node)), "{equivocators:?}");
    let outcome = run.pool.outcome().unwrap_or_default();
    if world.honest_backups() >= world.majority() {
        assert!(outcome.bad.iter().all(|node| !world.honest(node)), "{:?}", outcome.bad);
    }
    assert!(outcome.good.iter().all(|node| !outcome.bad.contains(node)), "paid and slashed");
}

fn a_wrong_result_had_no_honest_witness(world: &World, run: &Run) {
    let Some((height, Verdict::Finalise { rank, proposal, result })) = run.last() else { return };
    if result == truth(proposal) {
        return;
    }
    if run.pool.disputed() {
        let liars = world.config.backups.len() - world.honest_backups();
        assert!(liars >= world.majority(), "a dispute went wrong with {liars} liars");
        return;
    }
    let (since, first) = run.lead_since.unwrap();
    let witness = |signer: &Signer, vote: &Option<ResultHash>| {
        world.honest(signer) && world.config.workers.contains(signer) && vote.is_some()
    };
    let ignored = run.sent[first..].iter().find(|(height, vote)| {
        *height <= since + GRACE
            && (vote.rank, vote.proposal) == (rank, proposal)
            && witness(&vote.signer, &vote.result)
    });
    assert_eq!(ignored, None, "an honest worker's vote within the grace did not count");
    let votes = run.pool.votes_at_lead();
    assert!(
        !votes.iter().any(|(signer, vote)| witness(signer, vote)),
        "final in spite of {votes:?}"
    );
    let all_voted = world.config.workers.iter().all(|worker| votes.contains_key(worker));
    assert!(all_voted || height >= since + GRACE, "no time was left for an honest worker");
}

/// An honest worker that votes within the grace, and an honest backup that votes before the dispute
/// times out, never count as silent; only a `fail` makes a node failed.
fn who_answers_in_time_is_not_silent(world: &World, run: &Run) {
    let Some(outcome) = run.pool.outcome() else { return };
    let votes = run.pool.votes_at_lead();
    assert!(outcome.failed.iter().all(|node| votes.get(node) == Some(&None)));
    assert!(outcome.silent.iter().all(|node| !votes.contains_key(node)));
    let Some((since, first)) = run.lead_since else { return };
    let lead = run.pool.lead().zip(run.pool.lead_proposal());
    for (height, vote) in &run.sent[first..] {
        let in_time = *height <= since + GRACE && world.config.workers.contains(&vote.signer);
        let asked = run.pool.disputed() && world.config.backups.contains(&vote.signer);
        if Some((vote.rank, vote.proposal)) == lead && (in_time || asked) {
            assert!(!outcome.silent.contains(&vote.signer), "{vote:?} at {height} was heard");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn law_1_no_honest_node_is_slashed(world in worlds(), script in scripts()) {
        no_honest_node_is_slashed(&world, &Run::play(&world, &script));
    }

    #[test]
    fn law_2_a_wrong_result_is_final_only_if_nobody_honest_was_heard(
        world in worlds(),
        script in scripts(),
    ) {
        a_wrong_result_had_no_honest_witness(&world, &Run::play(&world, &script));
    }

    #[test]
    fn law_3_a_round_ends_in_time(world in worlds(), script in scripts()) {
        prop_assert_eq!(Run::play(&world, &script).overstayed, None);
    }

    #[test]
    fn law_6_who_answers_in_time_is_not_silent(world in worlds(), script in scripts()) {
        who_answers_in_time_is_not_silent(&world, &Run::play(&world, &script));
    }

    #[test]
    fn law_4_the_order_inside_a_block_does_not_matter(world in worlds(), script in scripts()) {
        let mut nodes = Nodes { nobody_equivocates: true, ..Nodes::new(&world) };
        let mut one = Pool::new(world.config.clone()).unwrap();
        let mut other = one.clone();
        let mut height = 10;
        for block in &script {
            height += block.gap;
            let mut votes: Vec<_> = block
                .wishes
                .iter()
                .map(|wish| (wish.place, nodes.vote(wish)))
                .collect();
            for (_, vote) in &votes {
                let _ = one.vote(height, *vote);
            }
            votes.sort_by_key(|(place, _)| *place);
            for (_, vote) in &votes {
                let _ = other.vote(height, *vote);
            }
            prop_assert!(one.equivocators().is_empty());
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(one.end_block(height), other.end_block(height));
        }
    }

    #[test]
    fn law_5_one_equivocator_cannot_stop_a_round(
        world in worlds(),
        script in scripts(),
        equivocator in any::<prop::sample::Index>(),
        proposer in any::<prop::sample::Index>(),
        equivocator_first in any::<bool>(),
    ) {
        let faulty = *equivocator.get(&world.nodes);
        let schedulers: Vec<Signer> =
            world.config.scheduler_order().into_iter().filter(|node| *node != faulty).collect();
        prop_assume!(!schedulers.is_empty());
        let proposer = *proposer.get(&schedulers);
        let world = World { faulty: [faulty].into(), ..world };
        one_equivocator_cannot_stop(&world, &script, faulty, proposer, equivocator_first);
    }

    #[test]
    fn a_chain_that_evaluates_only_on_votes_and_wakeups_misses_nothing(
        world in worlds(),
        script in scripts(),
    ) {
        let mut nodes = Nodes::new(&world);
        let mut pool = Pool::new(world.config.clone()).unwrap();
        let mut height = 10;
        for block in &script {
            for empty in height + 1..height + block.gap {
                let due = pool.next_wakeup().is_some_and(|wakeup| wakeup <= empty);
                prop_assert_eq!(due, !pool.end_block(empty).is_empty());
            }
            height += block.gap;
            for wish in &block.wishes {
                let _ = pool.vote(height, nodes.vote(wish));
            }
            pool.end_block(height);
            prop_assert!(pool.next_wakeup().is_none_or(|wakeup| wakeup > height));
        }
    }

    /// What a node predicts of a vote is what the chain does with it, wherever the round stands.
    #[test]
    fn would_count_says_what_vote_does(world in worlds(), script in scripts()) {
        let mut nodes = Nodes::new(&world);
        let mut pool = Pool::new(world.config.clone()).unwrap();
        let stranger = signer(100);
        for (height, block) in (10..).zip(&script) {
            for wish in &block.wishes {
                let vote = nodes.vote(wish);
                let rank = vote.rank + 7;
                for other in [Vote { signer: stranger, ..vote }, Vote { rank, ..vote }] {
                    prop_assert_eq!(pool.would_count(&other), pool.clone().vote(height, other));
                }
                let expected = pool.would_count(&vote);
                prop_assert_eq!(pool.vote(height, vote), expected);
                prop_assert!(pool.would_count(&vote).is_err(), "a vote counts once");
            }
            pool.end_block(height);
        }
    }

    #[test]
    fn a_pool_may_be_stored_at_any_point(world in worlds(), script in scripts()) {
        let mut nodes = Nodes::new(&world);
        let mut pool = Pool::new(world.config.clone()).unwrap();
        for (height, block) in (10..).zip(&script) {
            for wish in &block.wishes {
                let _ = pool.vote(height, nodes.vote(wish));
                prop_assert_eq!(Pool::from_parts(pool.to_parts()), Ok(pool.clone()));
            }
            pool.end_block(height);
            prop_assert_eq!(Pool::from_parts(pool.to_parts()), Ok(pool.clone()));
        }
    }
}

/// Everybody honest sends what it has signed in every block, as the aggregate is sent again when
/// its votes have left the pool; the one faulty node does what the script wishes.
fn one_equivocator_cannot_stop(
    world: &World,
    script: &[Block],
    faulty: Signer,
    proposer: Signer,
    faulty_first: bool,
) {
    let honest_rank = world.config.rank_of(&proposer).unwrap();
    let mut run = Run::new(&world.config);
    let mut honest = Nodes::new(world);
    let mut adversary = Nodes::new(world);
    adversary.proposed = (0..5).map(|rank| (rank, proposal(rank, false))).collect();
    let limit = 10 + 3 * world.config.round_timeout + world.config.round_timeout * 3 / 2 + 2;

    for (block, height) in (10..=limit).enumerate() {
        let wishes = script.get(block).map(|block| block.wishes.as_slice()).unwrap_or_default();
        let evil: Vec<Vote> = wishes
            .iter()
            .map(|wish| adversary.vote(wish))
            .filter(|vote| vote.signer == faulty)
            .filter(|vote| Some(vote.signer) == world.config.scheduler(vote.rank) || block % 2 == 0)
            .collect();
        if faulty_first {
            evil.iter().for_each(|vote| run.send(height, *vote));
        }
        // The honest vote for what leads, if that is not theirs, and for their own proposal.
        let lead = run.pool.lead().zip(run.pool.lead_proposal());
        let own = (honest_rank, proposal(honest_rank, false));
        for (rank, proposal) in lead.into_iter().chain([own]) {
            for signer in world.nodes.iter().filter(|node| **node != faulty) {
                let result = Some(truth(proposal));
                let vote = Vote { signer: *signer, rank, proposal, result };
                // One that lost another proposal of this rank keeps to it.
                let vote = *honest.signed.entry((*signer, rank)).or_insert(vote);
                run.send(height, vote);
            }
        }
        if !faulty_first {
            evil.iter().for_each(|vote| run.send(height, *vote));
        }
        run.end(world, height);
    }
    let (_, verdict) = run.last().expect("the round has ended");
    assert_ne!(verdict, Verdict::Fail(FailReason::AllVoid));
    no_honest_node_is_slashed(world, &run);
    if run.pool.lead() == Some(honest_rank) && world.honest_backups() >= world.majority() {
        assert!(matches!(verdict, Verdict::Finalise { .. }) && !run.wrong(), "{verdict:?}");
    }
}

/// A law that is never put to the test proves nothing.
#[test]
fn the_worlds_reach_every_verdict() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..3000 {
        let (world, script) = (worlds(), scripts()).new_tree(&mut runner).unwrap().current();
        let run = Run::play(&world, &script);
        let void = !run.pool.void_ranks().is_empty();
        let disputed = run.pool.disputed();
        let name = match (run.pool.closed(), disputed, run.wrong()) {
            (None, ..) => "open",
            (Some(Verdict::Finalise { .. }), false, false) => "final, undisputed",
            (Some(Verdict::Finalise { .. }), false, true) => "final, undisputed, wrong",
            (Some(Verdict::Finalise { .. }), true, false) => "final, disputed",
            (Some(Verdict::Finalise { .. }), true, true) => "final, disputed, wrong",
            (Some(Verdict::Fail(reason)), ..) => reason.as_str(),
            (Some(Verdict::Wait | Verdict::Discrepancy { .. }), ..) => unreachable!(),
        };
        *seen.entry(name).or_default() += 1;
        if void && run.pool.closed().is_some() && run.pool.lead().is_some() {
            *seen.entry("ended beside a void rank").or_default() += 1;
        }
        if disputed && !run.pool.equivocators().is_empty() {
            *seen.entry("disputed with an equivocator").or_default() += 1;
        }
    }
    println!("{seen:#?}");
    assert_eq!(seen.len(), 10, "{seen:?}");
    assert!(seen.values().all(|times| *times >= 10), "{seen:?}");
}
