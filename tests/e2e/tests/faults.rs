//! One compute node of three misbehaves: users notice nothing, and who lies pays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use consensus_api::address as addresses;
use e2e::{Client, Dev, DevOptions, address, claim};
use paralith::dev::shape;
use serde_json::json;

/// Stake of every entity at genesis.
const STAKE: u128 = 1_000_000;

/// Transfers after which a fault that is not punished has had its chance.
const TRANSFERS: u128 = 4;

/// Transfers within which one that is punished must have been found out: all members have led
/// several rounds.
const TRANSFERS_MAX: u128 = 30;

/// Entities and what they hold in stake now.
async fn stakes(client: &mut Client) -> Vec<(String, u128)> {
    let time = client.chain.genesis().document.genesis_time;
    let members = shape(1).network(time).unwrap().members;
    let mut stakes = Vec::new();
    for member in members {
        let account = client.account(&addresses::of_key(&member.entity)).await;
        stakes.push((member.name, account.active.balance.0));
    }
    stakes
}

/// Runs a chain on which `compute-1` misbehaves. `slash`: what each time costs it.
fn misbehave(how: &str, slash: Option<u128>) {
    claim(async {
        let liar = format!("compute-1={how}");
        let dev = Dev::start(DevOptions { byzantine: &[&liar], ..DevOptions::default() });
        let mut client = Client::connect(&dev.node).await;
        let mint = json!({ "to": address("alice"), "amount": "1000" });
        client.call_patiently("tokens", "alice", "mint", &mint).await;
        let mut sent = 0;
        loop {
            let transfer = json!({ "to": address("bob"), "amount": "1" });
            client.call_patiently("tokens", "alice", "transfer", &transfer).await;
            sent += 1;
            let stakes = stakes(&mut client).await;
            let held = |name: &str| stakes.iter().find(|(member, _)| member == name).unwrap().1;
            let found_out = held("compute-1") < STAKE;
            if slash.is_none() && sent == TRANSFERS || found_out {
                break;
            }
            assert!(sent < TRANSFERS_MAX, "{how} was never found out: {stakes:?}");
        }
        assert_eq!(client.tokens("bob").await, sent);
        assert_eq!(client.tokens("alice").await, 1000 - sent);
        for (name, stake) in stakes(&mut client).await {
            match slash {
                Some(slash) if name == "compute-1" => {
                    let lost = STAKE.checked_sub(stake).unwrap();
                    assert!(lost > 0 && lost % slash == 0, "{how} cost it {lost}");
                }
                _ => assert!(stake >= STAKE, "{how}: {name} has {stake} left"),
            }
        }
    });
}

#[test]
fn a_wrong_state_root_is_outvoted_and_slashed() {
    misbehave("wrong-root", Some(10_000));
}

#[test]
fn a_silent_member_delays_nobody_for_ever_and_loses_nothing() {
    misbehave("silent", None);
}

#[test]
fn a_member_that_votes_failure_is_outvoted_and_loses_nothing() {
    misbehave("failure", None);
}

#[test]
fn late_votes_cost_nothing() {
    misbehave("late", None);
}

#[test]
fn two_votes_for_one_round_are_slashed() {
    misbehave("equivocate", Some(20_000));
}

#[test]
fn two_batches_for_one_rank_are_slashed() {
    misbehave("two-batches", Some(20_000));
}

#[test]
fn a_withheld_batch_is_replaced_by_the_next_scheduler() {
    misbehave("withhold-batch", None);
}
