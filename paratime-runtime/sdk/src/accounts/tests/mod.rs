//! Money is conserved, every lock has a way out, and the stored forms are frozen.

mod escrow;
mod model;

use proptest::prelude::*;

use self::escrow::{ACCOUNTS, After, Escrow, LEAVE, NAMES, Op, PURPOSES, Script, who};
use self::model::Pair;
use super::{AccountsError, Ends, Lock, Purpose};
use crate::testing::Chain;
use crate::{Amount, Call, Context, Error, MINT_MAX, Result, Runtime, SdkError, Value, json};

#[derive(Debug, Clone)]
enum Act {
    Call { sender: u8, fee: u128, leave: bool, script: Script },
    Deposit(u8, u128),
    FailMessage(u32),
    Pass(u64),
    FailBeginBlock,
    FailRound,
}

fn amount() -> impl Strategy<Value = Amount> {
    let edge = prop_oneof![Just(u128::MAX), Just(MINT_MAX.0), Just(MINT_MAX.0 - 50)];
    prop_oneof![8 => 0..60u128, 1 => edge].prop_map(Amount)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![op_on_balances(), op_on_locks()]
}

fn party() -> impl Strategy<Value = u8> {
    0..NAMES.len() as u8
}

fn op_on_balances() -> impl Strategy<Value = Op> {
    prop_oneof![
        (party(), party(), amount()).prop_map(|(from, to, amount)| Op::Pay { from, to, amount }),
        (party(), amount()).prop_map(|(from, amount)| Op::Withdraw { from, amount }),
        (party(), amount()).prop_map(|(from, amount)| Op::Charge { from, amount }),
        (party(), amount()).prop_map(|(to, amount)| Op::PayFromPot { to, amount }),
        party().prop_map(|to| Op::Collect { to }),
        (party(), amount()).prop_map(|(to, amount)| Op::Mint { to, amount }),
    ]
}

fn op_on_locks() -> impl Strategy<Value = Op> {
    let lock = || (party(), 0..PURPOSES);
    let until = prop_oneof![Just(None), (0..60u64).prop_map(Some)];
    prop_oneof![
        3 => (lock(), amount(), until).prop_map(|((owner, purpose), amount, until)| Op::Lock {
            owner,
            purpose,
            amount,
            until
        }),
        1 => (lock(), amount())
            .prop_map(|((owner, purpose), amount)| Op::Unlock { owner, purpose, amount }),
        1 => (lock(), amount(), party())
            .prop_map(|((owner, purpose), amount, to)| Op::Take { owner, purpose, amount, to }),
        1 => (lock(), 0..60u64)
            .prop_map(|((owner, purpose), height)| Op::EndAt { owner, purpose, height }),
        1 => lock().prop_map(|(owner, purpose)| Op::ReleaseDue { owner, purpose }),
        1 => lock().prop_map(|(owner, purpose)| Op::ReleaseBy { owner, purpose }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let after =
        prop_oneof![6 => Just(After::Succeed), 1 => Just(After::Refuse), 1 => Just(After::Trap)];
    let script = (prop::collection::vec(op(), 1..6), any::<bool>(), after)
        .prop_map(|(ops, careless, after)| Script { ops, careless, after });
    prop_oneof![
        8 => (party(), 0..4u128, any::<bool>(), script)
            .prop_map(|(sender, fee, leave, script)| Act::Call { sender, fee, leave, script }),
        3 => (party(), 0..120u128).prop_map(|(owner, amount)| Act::Deposit(owner, amount)),
        1 => (0..3u32).prop_map(Act::FailMessage),
        4 => (0..12u64).prop_map(Act::Pass),
        1 => Just(Act::FailBeginBlock),
        1 => Just(Act::FailRound),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..Default::default() })]
    #[test]
    fn money_is_conserved_and_every_lock_ends_whatever_happens(
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut pair = Pair::new();
        for owner in 0..NAMES.len() as u8 {
            pair.deposit(owner, 100);
        }
        for act in acts {
            match act {
                Act::Call { sender, fee, leave, script } => {
                    pair.call(sender, fee, if leave { LEAVE } else { "do" }, &script);
                }
                Act::Deposit(owner, amount) => pair.deposit(owner, amount),
                Act::FailMessage(index) => pair.fail_message(index),
                Act::Pass(blocks) => pair.advance_to(pair.height() + blocks),
                Act::FailBeginBlock => pair.fail_begin_block(),
                Act::FailRound => pair.fail_round(),
            }
            pair.agrees();
        }
        every_lock_ends_without_another_party(&mut pair);
    }
}

/// At its height a stranger ends a lock, and before that or instead its owner does, by its call.
fn every_lock_ends_without_another_party(pair: &mut Pair) {
    let last = pair.books().locks.iter().filter_map(|lock| lock.3).max();
    pair.advance_to(last.unwrap_or(0));
    for (owner, purpose, amount, until) in pair.books().locks {
        let (sender, method, op) = match until {
            Some(_) => ((owner + 1) % 4, "do", Op::ReleaseDue { owner, purpose }),
            None => (owner, LEAVE, Op::ReleaseBy { owner, purpose }),
        };
        let before = pair.books().balances[usize::from(owner)];
        pair.call(sender, 0, method, &script(&[op]));
        let after = pair.books().balances[usize::from(owner)];
        assert_eq!(before.add(amount), Ok(after));
        pair.agrees();
    }
    assert!(pair.books().locks.is_empty());
}

fn script(ops: &[Op]) -> Script {
    Script { ops: ops.to_vec(), careless: false, after: After::Succeed }
}

/// A chain on which alice has 100.
fn chain() -> Chain {
    let mut chain = Chain::new::<Escrow>();
    chain.deposit(who(0), Amount(100));
    chain.next_round();
    chain
}

fn run(chain: &mut Chain, method: &str, op: Op) -> u32 {
    match chain.sender("bob").call(method, &script(&[op])) {
        Ok(_) => 0,
        Err(error) => error.code,
    }
}

#[test]
fn a_lock_ends_at_its_height_and_not_before() {
    let mut chain = chain();
    let release = || Op::ReleaseDue { owner: 0, purpose: 1 };
    let lock = |until| Op::Lock { owner: 0, purpose: 1, amount: Amount(30), until };
    assert_eq!(run(&mut chain, "do", lock(Some(20))), 0);
    assert_eq!(run(&mut chain, "do", lock(Some(21))), 25, "what is locked is not held longer");
    assert_eq!(run(&mut chain, "do", lock(None)), 25);
    assert_eq!(run(&mut chain, "do", lock(Some(20))), 0);
    chain.advance_to(19);
    assert_eq!(run(&mut chain, "do", release()), 24);
    assert_eq!(run(&mut chain, LEAVE, Op::ReleaseBy { owner: 0, purpose: 1 }), 24);
    chain.advance_to(20);
    assert_eq!(run(&mut chain, "do", release()), 0);
    assert_eq!(run(&mut chain, "do", release()), 0, "nothing is locked: nothing to give back");
    assert_eq!(chain.stored(&ACCOUNTS.balance_key(&who(0))).unwrap()[8..], 100u128.to_be_bytes());
    assert_eq!(chain.stored(&ACCOUNTS.lock_key(&who(0), &[1])), None);
}

#[test]
fn a_lock_that_ends_by_a_call_ends_by_no_other_and_may_get_a_height() {
    let mut chain = chain();
    let release = || Op::ReleaseBy { owner: 0, purpose: 1 };
    let end_at = |height| Op::EndAt { owner: 0, purpose: 1, height };
    run(&mut chain, "do", Op::Lock { owner: 0, purpose: 1, amount: Amount(30), until: None });
    chain.advance_to(40);
    assert_eq!(run(&mut chain, "do", release()), 24);
    assert_eq!(run(&mut chain, "do", Op::ReleaseDue { owner: 0, purpose: 1 }), 24);
    assert_eq!(run(&mut chain, LEAVE, end_at(50)), 0);
    assert_eq!(run(&mut chain, LEAVE, end_at(51)), 25, "an end never moves away");
    assert_eq!(run(&mut chain, LEAVE, end_at(45)), 0);
    assert_eq!(run(&mut chain, LEAVE, release()), 24);
    chain.advance_to(45);
    assert_eq!(run(&mut chain, "do", Op::ReleaseDue { owner: 0, purpose: 1 }), 0);
}

#[test]
fn a_deposit_beyond_the_range_of_amounts_is_sent_back() {
    let mut chain = Chain::new::<Escrow>();
    chain.deposit(who(0), Amount(u128::MAX - 5));
    chain.next_round();
    chain.deposit(who(1), Amount(6));
    chain.deposit(who(2), Amount(5));
    chain.next_round();
    assert_eq!(chain.messages().len(), 1);
    let balance = |chain: &Chain, owner| chain.stored(&ACCOUNTS.balance_key(&who(owner)));
    assert_eq!(balance(&chain, 1), None);
    assert_eq!(balance(&chain, 2).unwrap()[8..], 5u128.to_be_bytes());
    assert_eq!(chain.stored(b"money/supply"), Some(vec![0xff; 16]));
    // The result of the refund is no withdrawal's.
    chain.next_round();
    assert_eq!(chain.stored(b"money/supply"), Some(vec![0xff; 16]));
}

#[test]
fn a_refused_operation_writes_nothing_also_if_the_caller_goes_on() {
    let mut chain = chain();
    run(&mut chain, "do", Op::Lock { owner: 0, purpose: 1, amount: Amount(30), until: Some(40) });
    run(&mut chain, "do", Op::Mint { to: 1, amount: Amount(50) });
    run(&mut chain, "do", Op::Withdraw { from: 0, amount: Amount(60) });
    chain.set_messages_max(1);
    let lock = |amount, until| Op::Lock { owner: 0, purpose: 1, amount: Amount(amount), until };
    let refused = [
        (Op::Pay { from: 0, to: 1, amount: Amount(11) }, 20),
        (Op::Charge { from: 0, amount: Amount(11) }, 20),
        (lock(11, Some(40)), 20),
        (lock(u128::MAX, Some(40)), 20),
        (Op::Withdraw { from: 0, amount: Amount(11) }, 20),
        (Op::Withdraw { from: 1, amount: Amount(41) }, 21),
        (Op::Withdraw { from: 1, amount: Amount(40) }, 7),
        (Op::Unlock { owner: 0, purpose: 1, amount: Amount(31) }, 23),
        (Op::Take { owner: 0, purpose: 2, amount: Amount(1), to: 1 }, 23),
        (Op::ReleaseDue { owner: 0, purpose: 1 }, 24),
        (Op::ReleaseBy { owner: 0, purpose: 1 }, 24),
        (lock(1, None), 25),
        (Op::EndAt { owner: 0, purpose: 1, height: 41 }, 25),
        (Op::PayFromPot { to: 0, amount: Amount(1) }, 26),
        (Op::Mint { to: 0, amount: MINT_MAX }, 27),
        (Op::Mint { to: 0, amount: Amount(u128::MAX) }, 27),
    ];
    let books = chain.query("books", &json!({}));
    for (op, code) in refused {
        let careless = Script { careless: true, ..script(std::slice::from_ref(&op)) };
        let said = chain.sender("bob").call("do", &careless);
        assert_eq!(said, Ok(format!("[{code}]").into_bytes()), "{op:?}");
        assert_eq!(chain.query("books", &json!({})), books, "{op:?}");
    }
}

#[test]
fn the_fee_is_checked_before_and_in_the_round() {
    let mut chain = chain();
    chain.next_round();
    let pay = script(&[Op::Pay { from: 0, to: 1, amount: Amount(1000) }]);
    assert_eq!(chain.sender("alice").fee(Amount(101)).check().unwrap_err().code, 22);
    assert!(chain.sender("alice").fee(Amount(100)).check().is_ok());
    assert_eq!(chain.sender("alice").fee(Amount(101)).call("do", &pay).unwrap_err().code, 22);
    assert_eq!(chain.sender("alice").fee(Amount(7)).call("do", &pay).unwrap_err().code, 20);
    assert_eq!(chain.stored(b"money/fee_pot"), Some(7u128.to_be_bytes().to_vec()));
}

#[test]
fn stored_forms_are_frozen() {
    let mut chain = chain();
    let alice = who(0);
    let lock = |purpose, until| Op::Lock { owner: 0, purpose, amount: Amount(0x0203), until };
    run(&mut chain, "do", Op::Mint { to: 0, amount: Amount(2000) });
    run(&mut chain, "do", lock(1, Some(0x0405)));
    run(&mut chain, "do", lock(2, None));
    run(&mut chain, "do", Op::Withdraw { from: 0, amount: Amount(9) });
    let amount = |amount: u128| amount.to_be_bytes().to_vec();
    let of_alice = |name: &[u8], rest: &[u8]| [name, alice.as_bytes(), rest].concat();
    let stored = |key: &[u8]| chain.stored(key).unwrap();
    assert_eq!(stored(b"money/supply"), amount(2100));
    assert_eq!(stored(b"money/backing"), amount(91));
    let balance = [vec![0; 8], amount(2091 - 2 * 0x0203)].concat();
    assert_eq!(stored(&of_alice(b"\0\x0emoney/balances\0\0\x02", &[])), balance);
    let ends = [&[0; 14][..], &[2, 3], &[1], &[0, 0, 0, 0, 0, 0, 4, 5]].concat();
    assert_eq!(stored(&of_alice(b"\0\x0bmoney/locks\0\0\x03", &[1])), ends);
    let ends = [&[0; 14][..], &[2, 3], &[2], b"leave"].concat();
    assert_eq!(stored(&of_alice(b"\0\x0bmoney/locks\0\0\x03", &[2])), ends);
    let key = [&b"\0\x0dmoney/pending\0\0\x02"[..], &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]].concat();
    assert_eq!(stored(&key), [vec![0; 8], alice.to_bytes(), amount(9)].concat());
    for owner in 0..2 {
        let key = of_alice(b"\0\x0bmoney/locks\0\0\x03", &[owner]);
        assert_eq!(ACCOUNTS.lock_key(&alice, &[owner]), key);
    }
}

#[test]
fn a_lock_has_one_byte_form() {
    for ends in [Ends::Height(u64::MAX), Ends::call("leave")] {
        let lock = Lock { amount: Amount(u128::MAX), ends };
        let bytes = lock.to_bytes();
        assert_eq!(Lock::from_bytes(&bytes), Some(lock));
        for len in 0..17 {
            assert_eq!(Lock::from_bytes(&bytes[..len]), None, "{len}");
        }
    }
    let with = |end: &[u8]| Lock::from_bytes(&[&[0; 16], end].concat());
    for bad in [&[0][..], &[3, 1], &[1, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[2, 0xff]] {
        assert_eq!(with(bad), None, "{bad:?}");
    }
}

#[test]
fn a_purpose_says_what_it_is_for_and_how_it_ends() {
    let purpose = Purpose::new(*b"bond", Ends::call("leave"));
    assert_eq!((purpose.id(), purpose.ends()), (&b"bond"[..], &Ends::Call("leave".into())));
}

#[test]
fn codes_are_frozen_and_differ_from_those_of_the_sdk() {
    let all = [
        AccountsError::Balance,
        AccountsError::Backing,
        AccountsError::Fee,
        AccountsError::Locked,
        AccountsError::NotEnded,
        AccountsError::OtherEnd,
        AccountsError::Pot,
        AccountsError::Supply,
    ];
    for (code, refusal) in (20..).zip(all) {
        let error = Error::from(refusal.clone());
        assert_eq!((error.module.as_str(), error.code), ("sdk", code), "{refusal}");
        assert_eq!((refusal.code(), refusal.to_string()), (code, error.message));
    }
    let error = AccountsError::from(SdkError::MessagesFull);
    assert_eq!((error.code(), Error::from(error)), (7, SdkError::MessagesFull.into()));
}

#[test]
fn state_that_does_not_add_up_is_an_error_and_no_panic() {
    struct Broken;
    impl Runtime for Broken {
        fn init(ctx: &mut Context, _: &[u8]) -> Result<()> {
            ctx.set(&ACCOUNTS.balance_key(&who(0)), &[vec![0; 8], vec![0xff; 16]].concat());
            ctx.set(b"money/fee_pot", &Amount(1));
            Ok(())
        }
        fn execute(ctx: &mut Context, _: &Call) -> Result<Vec<u8>> {
            Ok(ACCOUNTS.collect_fees(ctx, &who(0)).map(|_| Vec::new())?)
        }
    }
    let error = Chain::new::<Broken>().sender("bob").call("collect", &json!({})).unwrap_err();
    assert_eq!((error.module.as_str(), error.code), ("sdk", 9));
}
