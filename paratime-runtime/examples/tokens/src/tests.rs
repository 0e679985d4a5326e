#![allow(clippy::arithmetic_side_effects, reason = "an overflow is a failed test")]

use std::collections::BTreeMap;

use paralith_sdk::testing::{Chain, Privacy, address};
use paralith_sdk::{Address, Amount, JsonValue, Result, json};
use proptest::prelude::*;

use crate::Tokens;

const NAMES: [&str; 4] = ["alice", "bob", "carol", "minter"];

fn start(privacy: Privacy) -> Chain {
    let argument = json!({
        "minter": address("minter"),
        "balances": [{"address": address("alice"), "amount": "100"}],
    });
    Chain::start::<Tokens>(privacy, argument.to_string().as_bytes()).unwrap()
}

fn value(result: Result<Vec<u8>>) -> JsonValue {
    let bytes = result.unwrap();
    // The text form is what `reply` gave; a JSON string of it would parse to the same value.
    std::str::from_utf8(&bytes).unwrap().parse().unwrap()
}

fn balance(chain: &mut Chain, name: &str) -> u128 {
    let answer = value(chain.sender(name).query("balance", &json!({})));
    answer["balance"].as_str().unwrap().parse().unwrap()
}

fn supply(chain: &Chain) -> u128 {
    let answer = value(chain.query("total_supply", &json!({})));
    answer["total_supply"].as_str().unwrap().parse().unwrap()
}

/// Balances, the pot and the withdrawals under way make up the supply, and what consensus holds is
/// what users can withdraw, what is being withdrawn, and deposits that wait.
fn assert_supply_adds_up(chain: &mut Chain) {
    let balances: u128 = NAMES.iter().map(|name| balance(chain, name)).sum();
    let stored = |key: &[u8]| chain.stored(key).map_or(0, |bytes| be(&bytes));
    let (pot, backing) = (stored(b"fee_pot"), stored(b"backing"));
    let pending = pending(chain);
    let under_way: u128 = pending.values().sum();
    assert_eq!(balances + pot + under_way, supply(chain));
    let paid = chain.results().iter().filter(|result| result.code == 0);
    let paid: u128 = paid.map(|result| pending[&(result.round, result.index)]).sum();
    let waiting: u128 = chain.incoming().iter().map(|message| be(&message.tokens)).sum();
    assert_eq!(backing + under_way + waiting, chain.account().0 + paid);
}

/// The withdrawals under way, by round and message.
fn pending(chain: &Chain) -> BTreeMap<(u64, u32), u128> {
    let key = |tag: u8, rest: &[u8]| [b"\0\x07pending\0\0".as_slice(), &[tag], rest].concat();
    let len = chain.stored(&key(0, &[])).map_or(0, |bytes| be(&bytes) as u64);
    let entry = |position: u64| {
        let name = chain.stored(&key(1, &position.to_be_bytes())).unwrap();
        let entry = chain.stored(&key(2, &name)).unwrap();
        let (round, index) = name.split_at(8);
        let amount = &entry[8 + Address::LEN..];
        ((be(round) as u64, be(index) as u32), be(amount))
    };
    (0..len).map(entry).collect()
}

fn be(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |value, byte| value << 8 | u128::from(*byte))
}

fn refusal(result: Result<Vec<u8>>) -> (String, u32) {
    let error = result.unwrap_err();
    (error.module, error.code)
}

fn tokens(code: u32) -> (String, u32) {
    ("tokens".to_string(), code)
}

fn pay(chain: &mut Chain, from: &str, to: &str, amount: u128) -> Result<Vec<u8>> {
    let args = json!({"to": address(to), "amount": Amount(amount), "memo": "for tea"});
    chain.sender(from).call("transfer", &args)
}

#[test]
fn a_transfer_moves_and_its_recipient_reads_the_memo() {
    let mut chain = start(Privacy::Confidential);
    assert_eq!(pay(&mut chain, "alice", "bob", 30), Ok(b"{}".to_vec()));
    assert_eq!((balance(&mut chain, "alice"), balance(&mut chain, "bob")), (70, 30));
    let received = value(chain.sender("bob").query("received", &json!({})));
    assert_eq!(received, json!([{"from": address("alice"), "amount": "30", "memo": "for tea"}]));
    assert_supply_adds_up(&mut chain);
}

#[test]
fn a_transfer_to_oneself_changes_nothing() {
    let mut chain = start(Privacy::Public);
    pay(&mut chain, "alice", "alice", 100).unwrap();
    assert_eq!(balance(&mut chain, "alice"), 100);
    assert_supply_adds_up(&mut chain);
}

#[test]
fn refused_calls_change_no_balance() {
    let mut chain = start(Privacy::Public);
    let bob = address("bob");
    let refused = [
        ("transfer", json!({"to": bob, "amount": "101"}), tokens(1)),
        ("transfer", json!({"to": bob, "amount": "0"}), tokens(10)),
        ("transfer", json!({"to": bob, "amount": "1", "memo": "x".repeat(257)}), tokens(5)),
        ("transfer", json!({"to": bob, "amount": 1}), ("sdk".into(), 4)),
        ("transfer", json!({"to": "bob", "amount": "1"}), ("sdk".into(), 4)),
        ("transfer", json!({"to": bob, "amount": "1", "fee": "1"}), ("sdk".into(), 4)),
        ("withdraw", json!({"amount": "1"}), tokens(2)),
        ("withdraw", json!({"amount": "0"}), tokens(10)),
        ("withdraw", json!({"amount": "101"}), tokens(1)),
        ("mint", json!({"to": bob, "amount": "1"}), tokens(6)),
        ("collect_fees", json!({"to": bob}), tokens(6)),
        ("burn", json!({}), ("sdk".into(), 3)),
    ];
    for (method, args, expected) in refused {
        let result = chain.sender("alice").call(method, &args);
        assert_eq!(refusal(result), expected, "{method} {args}");
        assert_eq!((balance(&mut chain, "alice"), balance(&mut chain, "bob")), (100, 0));
    }
    assert_supply_adds_up(&mut chain);
}

#[test]
fn only_the_minter_mints_and_never_past_the_limit() {
    let mut chain = start(Privacy::Public);
    let mut mint = |amount: u128| {
        let args = json!({"to": address("bob"), "amount": Amount(amount)});
        chain.sender("minter").call("mint", &args)
    };
    mint(5).unwrap();
    assert_eq!(refusal(mint(u128::MAX)), tokens(8));
    assert_eq!(refusal(mint(u128::MAX / 2)), tokens(8));
    mint(u128::MAX / 2 - 105).unwrap();
    assert_eq!(supply(&chain), u128::MAX / 2);
    // Deposits still fit.
    chain.deposit(address("carol"), Amount(1_000));
    chain.next_round();
    assert_eq!(balance(&mut chain, "carol"), 1_000);
    assert_supply_adds_up(&mut chain);
}

#[test]
fn without_a_minter_nobody_mints() {
    let mut chain = Chain::new::<Tokens>();
    let args = json!({"to": address("bob"), "amount": "1"});
    assert_eq!(refusal(chain.sender("minter").call("mint", &args)), tokens(6));
}

#[test]
fn a_deposit_is_credited_and_a_withdrawal_paid() {
    let mut chain = start(Privacy::Confidential);
    chain.deposit(address("bob"), Amount(50));
    assert_eq!(balance(&mut chain, "bob"), 0, "not before the next round");
    chain.next_round();
    assert_eq!(balance(&mut chain, "bob"), 50);
    let args = json!({"amount": "20", "to": address("carol")});
    assert_eq!(chain.sender("bob").call("withdraw", &args), Ok(br#"{"message":0}"#.to_vec()));
    assert_eq!((balance(&mut chain, "bob"), supply(&chain)), (30, 150));
    assert_supply_adds_up(&mut chain);
    chain.next_round();
    assert_eq!((balance(&mut chain, "bob"), supply(&chain)), (30, 130));
    assert_eq!(chain.account(), Amount(30));
    assert_supply_adds_up(&mut chain);
}

#[test]
fn a_failed_withdrawal_is_given_back_once() {
    let mut chain = start(Privacy::Confidential);
    chain.deposit(address("bob"), Amount(50));
    chain.next_round();
    for _ in 0..2 {
        chain.sender("bob").call("withdraw", &json!({"amount": "20"})).unwrap();
    }
    chain.fail_message(1);
    assert_eq!(balance(&mut chain, "bob"), 10);
    for _ in 0..2 {
        chain.next_round();
        assert_eq!((balance(&mut chain, "bob"), chain.account()), (30, Amount(30)));
        assert_supply_adds_up(&mut chain);
    }
}

#[test]
fn a_paid_withdrawal_is_never_given_back_however_late_its_result_comes() {
    let mut chain = start(Privacy::Confidential);
    chain.deposit(address("bob"), Amount(50));
    chain.next_round();
    chain.sender("bob").call("withdraw", &json!({"amount": "20"})).unwrap();
    chain.deposit(address("carol"), Amount(5));
    for _ in 0..2 {
        chain.fail_begin_block();
        chain.next_round();
        assert_eq!((balance(&mut chain, "bob"), balance(&mut chain, "carol")), (30, 0));
        assert_eq!(chain.account(), Amount(35), "the withdrawal is paid");
        assert_supply_adds_up(&mut chain);
    }
    chain.next_round();
    assert_eq!((balance(&mut chain, "bob"), balance(&mut chain, "carol")), (30, 5));
    assert_eq!(supply(&chain), 135);
    assert_supply_adds_up(&mut chain);
}

#[test]
fn a_failed_round_pays_nothing_and_loses_nothing() {
    let mut chain = start(Privacy::Public);
    chain.next_round();
    chain.deposit(address("bob"), Amount(50));
    chain.next_round();
    chain.sender("bob").call("withdraw", &json!({"amount": "20"})).unwrap();
    chain.fail_round();
    assert_eq!((balance(&mut chain, "bob"), chain.account()), (50, Amount(50)));
    assert_supply_adds_up(&mut chain);
}

#[test]
fn a_withdrawal_that_finds_the_queue_full_costs_nothing() {
    let mut chain = start(Privacy::Public);
    chain.set_messages_max(1);
    chain.deposit(address("bob"), Amount(50));
    chain.next_round();
    chain.sender("bob").call("withdraw", &json!({"amount": "20"})).unwrap();
    let full = chain.sender("bob").call("withdraw", &json!({"amount": "20"}));
    assert_eq!(refusal(full), ("sdk".into(), 7));
    assert_eq!(balance(&mut chain, "bob"), 30);
    assert_supply_adds_up(&mut chain);
}

#[test]
fn the_fee_is_charged_even_if_the_call_fails() {
    let mut chain = start(Privacy::Public);
    let fail = json!({"to": address("bob"), "amount": "1000"});
    assert_eq!(refusal(chain.sender("alice").fee(Amount(7)).call("transfer", &fail)), tokens(1));
    assert_eq!(balance(&mut chain, "alice"), 93);
    assert_supply_adds_up(&mut chain);
    let collected = chain.sender("minter").call("collect_fees", &json!({"to": address("bob")}));
    assert_eq!(collected, Ok(br#"{"amount":"7"}"#.to_vec()));
    assert_eq!(balance(&mut chain, "bob"), 7);
    assert_supply_adds_up(&mut chain);
}

#[test]
fn a_fee_that_the_balance_does_not_cover_is_refused_before_and_in_the_round() {
    let mut chain = start(Privacy::Public);
    chain.next_round();
    assert_eq!(chain.sender("bob").fee(Amount(1)).check().unwrap_err().code, 3);
    assert!(chain.sender("alice").fee(Amount(100)).check().is_ok());
    let args = json!({"to": address("alice"), "amount": "1"});
    assert_eq!(refusal(chain.sender("bob").fee(Amount(1)).call("transfer", &args)), tokens(3));
    // The nonce was not used either.
    assert_eq!(chain.sender("bob").nonce(0).check(), Ok(None));
}

#[test]
fn the_inbox_keeps_the_latest_sixteen() {
    let mut chain = start(Privacy::Public);
    for amount in 1..=12u128 {
        pay(&mut chain, "alice", "bob", amount).unwrap();
    }
    for amount in 1..=12u128 {
        pay(&mut chain, "bob", "alice", amount).unwrap();
        pay(&mut chain, "alice", "bob", amount).unwrap();
    }
    let received = value(chain.query("received", &json!({"address": address("bob")})));
    let amounts: Vec<u128> = received
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["amount"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(amounts, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 12, 11, 10, 9]);
}

#[test]
fn a_confidential_deployment_shows_an_account_only_to_itself() {
    let mut chain = start(Privacy::Confidential);
    pay(&mut chain, "alice", "bob", 30).unwrap();
    let alice = json!({"address": address("alice")});
    for method in ["balance", "received"] {
        assert_eq!(refusal(chain.query(method, &alice)), tokens(4), "{method}");
        assert_eq!(refusal(chain.sender("bob").query(method, &alice)), tokens(4), "{method}");
        assert_eq!(refusal(chain.query(method, &json!({}))), tokens(9), "{method}");
        assert!(chain.sender("alice").query(method, &alice).is_ok(), "{method}");
    }
    assert_eq!(chain.events(), []);
    let mut public = start(Privacy::Public);
    pay(&mut public, "alice", "bob", 30).unwrap();
    assert_eq!(value(public.query("balance", &alice)), json!({"balance": "70"}));
    assert_eq!(public.events().len(), 1);
    assert_eq!(public.events()[0].topic, "transfer");
}

#[test]
fn a_confidential_deployment_takes_plain_calls_only_if_told() {
    let args = json!({"to": address("bob"), "amount": "1"});
    let mut strict = start(Privacy::Confidential);
    assert_eq!(refusal(strict.sender("alice").plain().call("transfer", &args)), tokens(7));
    let argument = json!({
        "allow_plain": true,
        "balances": [{"address": address("alice"), "amount": "1"}],
    });
    let mut open =
        Chain::start::<Tokens>(Privacy::Confidential, argument.to_string().as_bytes()).unwrap();
    assert!(open.sender("alice").plain().call("transfer", &args).is_ok());
}

#[test]
fn a_sealed_record_has_one_length() {
    let lengths = |amount: u128, memo: &str| {
        let mut chain = start(Privacy::Confidential);
        let args = json!({"to": address("bob"), "amount": Amount(amount), "memo": memo});
        chain.sender("alice").call("transfer", &args).unwrap();
        let mut key = b"\0\x05inbox\0\x15".to_vec();
        key.extend(address("bob").as_bytes());
        key.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
        chain.stored(&key).unwrap().len()
    };
    assert_eq!(lengths(1, ""), lengths(100, &"x".repeat(256)));
}

#[test]
fn a_wrong_argument_stops_init() {
    for bad in ["[]", r#"{"mintr": null}"#, r#"{"minter": "alice"}"#] {
        assert!(Chain::start::<Tokens>(Privacy::Public, bad.as_bytes()).is_err(), "{bad}");
    }
}

#[derive(Debug, Clone)]
enum Act {
    Pay(usize, usize, u128),
    Withdraw(usize, u128),
    Deposit(usize, u128),
    Mint(usize, u128),
    Collect(usize),
    Fail(u32),
    Round,
    FailedRound,
    FailedBeginBlock,
}

fn act() -> impl Strategy<Value = Act> {
    let (who, amount) = (0..NAMES.len(), 0..120u128);
    prop_oneof![
        (who.clone(), who.clone(), amount.clone()).prop_map(|(a, b, n)| Act::Pay(a, b, n)),
        (who.clone(), amount.clone()).prop_map(|(a, n)| Act::Withdraw(a, n)),
        (who.clone(), amount.clone()).prop_map(|(a, n)| Act::Deposit(a, n)),
        (who.clone(), amount).prop_map(|(a, n)| Act::Mint(a, n)),
        who.prop_map(Act::Collect),
        (0..3u32).prop_map(Act::Fail),
        Just(Act::Round),
        Just(Act::FailedRound),
        Just(Act::FailedBeginBlock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..Default::default() })]
    #[test]
    fn the_supply_adds_up_whatever_happens(acts in prop::collection::vec((act(), 0..4u128), 1..40)) {
        let mut chain = start(Privacy::Public);
        chain.next_round();
        for (act, fee) in acts {
            let to = |who: usize| -> Address { address(NAMES[who]) };
            // Refusals are part of the game.
            let _ = match act {
                Act::Pay(a, b, n) => chain
                    .sender(NAMES[a])
                    .fee(Amount(fee))
                    .call("transfer", &json!({"to": to(b), "amount": Amount(n)})),
                Act::Withdraw(a, n) => chain
                    .sender(NAMES[a])
                    .fee(Amount(fee))
                    .call("withdraw", &json!({"amount": Amount(n)})),
                Act::Mint(a, n) => {
                    chain.sender("minter").call("mint", &json!({"to": to(a), "amount": Amount(n)}))
                }
                Act::Collect(a) => {
                    chain.sender("minter").call("collect_fees", &json!({"to": to(a)}))
                }
                Act::Deposit(a, n) => {
                    chain.deposit(to(a), Amount(n));
                    Ok(Vec::new())
                }
                Act::FailedRound => {
                    chain.fail_round();
                    Ok(Vec::new())
                }
                Act::FailedBeginBlock => {
                    chain.fail_begin_block();
                    chain.next_round();
                    Ok(Vec::new())
                }
                Act::Fail(index) => {
                    chain.fail_message(index);
                    Ok(Vec::new())
                }
                Act::Round => {
                    chain.next_round();
                    Ok(Vec::new())
                }
            };
            assert_supply_adds_up(&mut chain);
        }
    }
}
