//! Any interleaving of submissions, votes, expiry, retries, departures, traps and failed rounds.

use std::collections::BTreeMap;

use paralith_private_contract_core::messages::{
    Actions, Canonical, Close, Complain, Revealed, SenderRecord, TransactionRecord,
    TransactionStatus, keys,
};
use paralith_private_contract_core::{Class, Classes};
use paralith_sdk::Hash;
use paralith_sdk::testing::public_key;
use proptest::prelude::*;

use crate::fixture::{World, no_actions, pay, root};

#[derive(Debug, Clone)]
enum Op {
    Submit { bob: bool, payment: u128, bad: bool },
    Fund(u128),
    Next,
    Advance(u64),
    Vote { members: u8, root: u8, class: u8, taken: bool, pay: u128 },
    Leave(u32),
    Probe,
    Complain { seq: u64, index: u32 },
    TrapEndBlock,
    FailRound,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<bool>(), 0..60_u128, 0..5_u8)
            .prop_map(|(bob, payment, bad)| Op::Submit { bob, payment, bad: bad == 0 }),
        2 => (1..80_u128).prop_map(Op::Fund),
        8 => Just(Op::Next),
        3 => (1..16_u64).prop_map(Op::Advance),
        10 => (1..8_u8, 2..5_u8, 0..5_u8, 0..6_u8, 0..90_u128).prop_map(
            |(members, root, class, taken, pay)| Op::Vote {
                members,
                root,
                class,
                taken: taken > 0,
                pay,
            }
        ),
        1 => (0..3_u32).prop_map(Op::Leave),
        1 => Just(Op::Probe),
        1 => (1..5_u64, 0..3_u32).prop_map(|(seq, index)| Op::Complain { seq, index }),
        1 => Just(Op::TrapEndBlock),
        1 => Just(Op::FailRound),
    ]
}

struct Model {
    world: World,
    /// Of rounds that are final.
    settled: BTreeMap<u64, TransactionStatus>,
    roots: Vec<Hash>,
}

impl Model {
    fn submit(&mut self, who: &str, payment: u128, bad: bool) {
        let world = &mut self.world;
        let key = keys::sender(&world.id, &public_key(who));
        let next = world.get::<SenderRecord>(&key).map_or(0, |sender| sender.next);
        world.seqs.insert(who.into(), next);
        let mut submit = world.submission(who, payment);
        if bad {
            submit.wraps.last_mut().unwrap().iter_mut().for_each(|byte| *byte ^= 1);
        }
        let _ = world.hand_in(who, &submit);
    }

    fn vote(&mut self, members: u8, new_root: u8, class: u8, taken: bool, amount: u128) {
        let world = &mut self.world;
        let before = world.contract();
        if before.open_batch == 0 {
            return;
        }
        let open = world.open();
        assert_eq!(open.batch.old_root, before.last_root, "roots form one chain");
        let actions = match amount {
            0..30 => no_actions(),
            _ => Actions { actions: vec![pay("bob", amount)] },
        };
        let mixed = [Class::Malformed, Class::Missing, Class::Failed, Class::Executed];
        let classes = (0..open.batch.classes()).map(|at| match class {
            4 => mixed[(at % 4) as usize],
            class => mixed[class as usize],
        });
        let mut verdict = world.verdict(root(new_root), Class::Executed, &actions);
        verdict.classes = Classes(classes.collect()).to_bytes();
        verdict.taken = taken;
        if !taken {
            verdict.new_root = open.batch.old_root;
        }
        let members: Vec<u32> = (0..3).filter(|member| members & (1 << member) != 0).collect();
        let _ = world.vote_with(&members, &verdict, &actions);
        let after = world.contract();
        if after.last_batch != before.last_batch {
            assert_eq!((after.last_batch, after.last_root), (before.open_batch, verdict.new_root));
        } else {
            assert_eq!(after.last_root, before.last_root);
        }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Submit { bob, payment, bad } => {
                self.submit(if *bob { "bob" } else { "alice" }, *payment, *bad);
            }
            Op::Fund(amount) => drop(self.world.fund("bob", *amount)),
            Op::Next => self.world.chain.next_round(),
            Op::Advance(blocks) => {
                let to = self.world.chain.height() + blocks;
                self.world.chain.advance_to(to);
            }
            Op::Vote { members, root, class, taken, pay } => {
                self.vote(*members, *root, *class, *taken, *pay);
            }
            Op::Leave(member) => {
                let name = self.world.members[*member as usize];
                drop(self.world.of_contract(name, "leave"));
            }
            Op::Probe => drop(self.world.of_contract("bob", "probe")),
            Op::Complain { seq, index } => {
                if let Some((sk, uri)) = self.world.sks.get(seq) {
                    let complain = Complain {
                        contract_id: self.world.id,
                        seq: *seq,
                        sk: Revealed(*sk.as_bytes()),
                        uri: uri.clone(),
                        index: *index,
                    };
                    drop(self.world.call("m0", "complain", &complain));
                }
            }
            Op::TrapEndBlock => {
                self.world.chain.fail_end_block();
                self.world.chain.next_round();
            }
            Op::FailRound => self.world.chain.fail_round(),
        }
        self.check(matches!(op, Op::Next | Op::Advance(_) | Op::TrapEndBlock));
    }

    fn check(&mut self, is_final: bool) {
        let world = &self.world;
        world.holds();
        let contract = world.contract();
        for seq in 1..contract.next_seq {
            let Some(tx) = world.get::<TransactionRecord>(&keys::transaction(&world.id, seq))
            else {
                assert!(seq < contract.head, "what is not final is not forgotten");
                continue;
            };
            let ended = tx.status != TransactionStatus::Pending;
            assert_eq!(ended, seq < contract.head, "final in INIT order");
            if let Some(settled) = self.settled.get(&seq) {
                assert_eq!(*settled, tx.status, "final once");
            }
            if ended && is_final {
                self.settled.insert(seq, tx.status);
            }
        }
        if is_final && self.roots.last() != Some(&contract.last_root) {
            self.roots.push(contract.last_root);
        }
    }

    /// Everybody has gone. Everything ends by timers, and by one call of anybody.
    fn wind_up(&mut self) {
        for _ in 0..40 {
            self.world.advance(14);
            if self.world.contract().head == self.world.contract().next_seq {
                break;
            }
        }
        let contract = self.world.contract();
        assert_eq!(contract.head, contract.next_seq, "every transaction is final");
        self.submit("alice", 1, false);
        self.world.advance(14);
        self.world.advance(120);
        let close = Close { contract_id: self.world.id, signers: vec![], signature: None };
        self.world.call("issuer", "close", &close).unwrap();
        self.world.advance(80);
        assert_eq!(self.world.balance(&mediator::custody()), 0, "nothing stays");
        self.check(true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn money_is_conserved_roots_form_a_chain_and_everything_ends(
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let world = World::new();
        let mut model = Model { world, settled: BTreeMap::new(), roots: vec![root(1)] };
        for op in &ops {
            model.run(op);
        }
        model.wind_up();
    }
}

#[test]
fn a_close_has_one_encoding() {
    let close = Close {
        contract_id: paralith_private_contract_core::messages::ContractId([1; 32]),
        signers: vec![],
        signature: None,
    };
    assert_eq!(Close::decode(&close.encode(), 64), Ok(close));
}
