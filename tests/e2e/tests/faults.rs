//! A table of faults, each row a network of processes in which some run `paralith-adversary`: what
//! the chain reports, who pays, who is paid.
//!
//! What each row expects of money follows from the chain's own events by the rules of SlashEscrow
//! and of its division, recomputed here, and must be in state to the unit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use e2e::{Client, Localnet, Seen, Watch, address, claim, in_step, until};
use paralith::cli::localnet::ROUND_TIMEOUT_BLOCKS;
use paralith::dev::network_spec;
use paralith_consensus_api::address as addresses;
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::roothash::{HeaderType, RoundFinalised};
use paralith_types::{Address, PublicKey, RuntimeId};
use serde_json::json;

/// Stake of every entity at genesis.
const STAKE: u128 = 1_000_000;

/// What a wrong result and a contradiction cost, and the runtime's share of it in percent.
const SLASH_WRONG: u128 = 10_000;
const SLASH_EQUIVOCATION: u128 = 20_000;
/// What may be paid of it as rewards, in percent; the rest goes to the common pool.
const REWARDED: u128 = 10;
const RUNTIME_SHARE: u128 = 20;

/// 2.5 round timeouts.
const LONGEST_ROUND_BLOCKS: u64 = ROUND_TIMEOUT_BLOCKS * 5 / 2;

/// Transfers within which a fault must have shown: the committee's seats and its leads change.
const TRANSFERS_MAX: u128 = 60;

/// One validator leaves two cores to the committee: 3 workers and 3 backups among four.
const SHAPE: [&str; 6] = ["--validators", "1", "--compute", "4", "--keymanagers", "1"];

/// What the chain reported of one round.
#[derive(Debug, Clone)]
struct Round {
    first_vote: Option<u64>,
    disputed: bool,
    late: bool,
    failures: Vec<PublicKey>,
    evidence: Vec<PublicKey>,
    end: u64,
    verdict: RoundFinalised,
}

/// The rounds of a ParaTime, in order. Rounds that an epoch ended without a verdict are left out.
fn rounds(id: &RuntimeId, events: &[Seen]) -> Vec<Round> {
    let (mut rounds, mut first_vote) = (Vec::new(), None);
    let (mut evidence, mut failures) = (Vec::new(), Vec::new());
    let (mut disputed, mut late) = (false, false);
    for Seen { height, event } in events {
        match event {
            EventKind::Voted(vote) if vote.runtime_id == *id => {
                first_vote.get_or_insert(*height);
                failures.extend(vote.result.is_empty().then_some(vote.node));
            }
            EventKind::DiscrepancyDetected(found) if found.runtime_id == *id => {
                disputed = true;
                late |= found.late;
            }
            EventKind::EvidenceAccepted(found) if found.runtime_id == *id => {
                evidence.push(found.node);
            }
            EventKind::RoundFinalised(verdict) if verdict.runtime_id == *id => {
                let evidence = std::mem::take(&mut evidence);
                let (verdict, end) = (verdict.clone(), *height);
                let (first_vote, failures) = (first_vote.take(), std::mem::take(&mut failures));
                rounds.push(Round { first_vote, disputed, late, failures, evidence, end, verdict });
                (disputed, late) = (false, false);
            }
            _ => {}
        }
    }
    rounds.retain(|round| {
        matches!(round.verdict.header_type, HeaderType::Normal | HeaderType::RoundFailed)
    });
    rounds
}

/// A network with liars.
struct Row {
    /// `NODE=HOW`.
    faults: &'static [&'static str],
    /// The ParaTime that shows the fault. A host alone cannot lie about a confidential one: its
    /// enclave's signature does not cover the lie.
    runtime: &'static str,
    /// Whether the rounds until now show the fault.
    shows: fn(&[Round], &[PublicKey]) -> bool,
    /// What a liar loses each time; none if its fault costs nothing.
    slash: Option<u128>,
    /// Whether rounds may fail or take longer than one liar can make them.
    may_fail: bool,
}

/// Names, node ids and entities.
struct Members(Vec<(String, PublicKey, Address)>);

impl Members {
    fn of(client: &Client) -> Self {
        let time = client.chain.genesis().document.genesis_time;
        let shape = paralith::network::NetworkSpec { compute: 4, ..network_spec(1) };
        let members = shape.network(time).unwrap().members;
        let own = |m: &paralith::network::Member| {
            (m.name.clone(), m.node_key.public(), addresses::of_key(&m.entity))
        };
        Self(members.iter().map(own).collect())
    }

    fn ids(&self, faults: &[&str]) -> Vec<PublicKey> {
        let liars = faults.iter().map(|one| one.split_once('=').unwrap().0);
        liars.map(|liar| self.0.iter().find(|(name, ..)| name == liar).unwrap().1).collect()
    }

    fn entity(&self, node: &PublicKey) -> Address {
        self.0.iter().find(|(_, id, _)| id == node).unwrap().2
    }
}

/// What events lead to.
struct Expected {
    /// Stake by entity.
    stakes: BTreeMap<Address, u128>,
    /// What the ParaTime has.
    runtime: u128,
    /// What entities got for reporting.
    rewarded: BTreeMap<Address, u128>,
}

/// What every entity's stake must be after these events, and the account of one of the ParaTimes: a
/// liar lies in all of them.
fn expected(members: &Members, id: &RuntimeId, events: &[Seen]) -> Expected {
    let mut stakes: BTreeMap<Address, u128> =
        members.0.iter().map(|(_, _, entity)| (*entity, STAKE)).collect();
    let mut rewarded = BTreeMap::new();
    let mut runtime = 0;
    let slash = |stakes: &mut BTreeMap<Address, u128>, node: &PublicKey, amount: u128| {
        let stake = stakes.get_mut(&members.entity(node)).unwrap();
        let taken = amount.min(*stake);
        *stake -= taken;
        taken
    };
    for (index, Seen { height, event }) in events.iter().enumerate() {
        match event {
            EventKind::RoundFinalised(verdict) => {
                let reward: u128 = verdict
                    .bad
                    .iter()
                    .map(|node| slash(&mut stakes, node, SLASH_WRONG) * REWARDED / 100)
                    .sum();
                let share = reward * RUNTIME_SHARE / 100;
                runtime += if verdict.runtime_id == *id { share } else { 0 };
                if let Some(each) = (reward - share).checked_div(verdict.good.len() as u128) {
                    for node in &verdict.good {
                        *stakes.get_mut(&members.entity(node)).unwrap() += each;
                    }
                }
            }
            EventKind::EvidenceAccepted(found) => {
                let due = slash(&mut stakes, &found.node, SLASH_EQUIVOCATION) * REWARDED / 100;
                let share = due * RUNTIME_SHARE / 100;
                // The reporter is in the reward that comes just before. There is none if the
                // offender's own transaction shows the equivocation.
                let paid = events[..index].iter().rev().take_while(|seen| seen.height == *height);
                let reporter = paid.into_iter().find_map(|seen| match &seen.event {
                    EventKind::EscrowAdded(added) => Some((added.escrow, added.amount.0)),
                    _ => None,
                });
                let Some((reporter, reward)) = reporter else { continue };
                runtime += if found.runtime_id == *id { share } else { 0 };
                assert_eq!(reward, due - share);
                *stakes.get_mut(&reporter).unwrap() += reward;
                *rewarded.entry(reporter).or_default() += reward;
            }
            _ => {}
        }
    }
    Expected { stakes, runtime, rewarded }
}

/// `NODE=FILE` for localnet: a script that runs the adversary as `NODE=HOW` says.
fn program(folder: &Path, fault: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let (node, how) = fault.split_once('=').unwrap();
    let file = folder.join(how);
    let script = format!("#!/bin/sh\nexec '{}' {how} \"$@\"\n", e2e::adversary().display());
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{node}={}", file.display())
}

/// Runs the row's network until its fault has shown, and checks everything that the table says.
fn run(test: &str, row: &Row) {
    if e2e::skipped_without_cometbft(test) {
        return;
    }
    claim(async {
        let scripts = e2e::scratch();
        let programs: Vec<String> =
            row.faults.iter().map(|one| program(scripts.path(), one)).collect();
        let mut args = SHAPE.to_vec();
        programs.iter().for_each(|one| args.extend(["--program", one]));
        let net = Localnet::start(&args);
        let watch = Watch::begin(&net.node("validator-0").endpoint).await;
        let mut client = Client::connect(&net.gateway()).await;
        let members = Members::of(&client);
        let liars = members.ids(row.faults);
        let id = client.chain.runtime(row.runtime).await.unwrap().id;
        let mut sent = 0;
        if row.runtime == "tokens" {
            let mint = json!({ "to": address("alice"), "amount": "1000" });
            client.call_patiently("tokens", "alice", "mint", &mint).await;
        }
        loop {
            if row.runtime == "tokens" {
                let transfer = json!({ "to": address("bob"), "amount": "1" });
                client.call_patiently("tokens", "alice", "transfer", &transfer).await;
            } else {
                client.call_patiently("counter", "alice", "add", &json!({ "amount": 1 })).await;
            }
            sent += 1;
            if (row.shows)(&rounds(&id, &watch.events()), &liars) {
                break;
            }
            let seen = rounds(&id, &watch.events());
            assert!(sent < TRANSFERS_MAX, "{test}: the fault does not show: {seen:#?}");
        }
        // Each took effect once.
        if row.runtime == "tokens" {
            let balances = (client.tokens("bob").await, client.tokens("alice").await);
            assert_eq!(balances, (sent, 1000 - sent));
        } else {
            let counted = client.query_patiently("counter", None, "get", &json!({})).await;
            assert_eq!(counted, json!(sent));
        }
        money(test, row, &mut client, &watch, &members, &id, &liars).await;
        same_root(&net, &mut client, row).await;
    });
}

async fn money(
    test: &str,
    row: &Row,
    client: &mut Client,
    watch: &Watch,
    members: &Members,
    id: &RuntimeId,
    liars: &[PublicKey],
) {
    let mut stakes = BTreeMap::new();
    let mut runtime = 0;
    // State is read between two blocks that reported nothing new.
    until("events and state are of one height", async || {
        watch.catch_up().await;
        let before = watch.events().len();
        for (_, _, entity) in &members.0 {
            stakes.insert(*entity, client.account(entity).await.active.balance.0);
        }
        runtime = client.account(&addresses::of_runtime(id)).await.balance.0;
        watch.catch_up().await;
        (watch.events().len() == before).then_some(())
    })
    .await;
    let events = watch.events();
    let expected = expected(members, id, &events);
    assert_eq!((&stakes, runtime), (&expected.stakes, expected.runtime), "{test}");

    let seen = rounds(id, &events);
    for (_, node, entity) in &members.0 {
        let (stake, is_liar) = (stakes[entity], liars.contains(node));
        match row.slash {
            Some(slash) if is_liar && liars.len() == 1 => {
                // A liar that submits its own contradiction is paid for reporting it.
                let lost = STAKE + expected.rewarded.get(entity).unwrap_or(&0) - stake;
                assert!(stake < STAKE && lost.is_multiple_of(slash), "{test}: {stake}");
            }
            _ if is_liar && row.may_fail => assert!(stake <= STAKE, "{test}: a liar has {stake}"),
            _ => assert!(stake >= STAKE, "{test}: an honest node has {stake} left"),
        }
    }
    for round in &seen {
        let verdict = &round.verdict;
        assert!(verdict.bad.iter().all(|node| liars.contains(node)), "{test}: {round:?}");
        assert!(verdict.equivocators.iter().all(|node| liars.contains(node)), "{test}: {round:?}");
        assert!(round.evidence.iter().all(|node| liars.contains(node)), "{test}: {round:?}");
        assert!(!verdict.good.iter().any(|node| verdict.bad.contains(node)), "{test}: {round:?}");
        if let (Some(first), false) = (round.first_vote, row.may_fail) {
            assert!(round.end <= first + LONGEST_ROUND_BLOCKS, "{test}: too long: {round:?}");
        }
    }
}

/// All honest compute nodes come to the state that the chain has.
async fn same_root(net: &Localnet, client: &mut Client, row: &Row) {
    let honest = net.nodes().into_iter().filter(|node| {
        let lies = row.faults.iter().any(|one| one.starts_with(&format!("{}=", node.name)));
        node.name.starts_with("compute") && !lies
    });
    for node in honest {
        until(&format!("{} has the chain's state", node.name), async || {
            in_step(client, &node.endpoint, row.runtime).await
        })
        .await;
    }
}

fn normal(round: &Round) -> bool {
    round.verdict.header_type == HeaderType::Normal
}

#[test]
fn a_lie_is_outvoted_as_a_workers_and_as_the_proposers() {
    run(
        "a_lie_is_outvoted_as_a_workers_and_as_the_proposers",
        &Row {
            faults: &["compute-1=wrong-root"],
            runtime: "counter",
            shows: |rounds, liars| {
                let bad = |round: &&Round| round.disputed && round.verdict.bad == liars;
                // 1: the scheduler lied.
                rounds.iter().filter(bad).any(normal)
                    && rounds.iter().filter(bad).any(|round| round.verdict.fail_reason == 1)
            },
            slash: Some(SLASH_WRONG),
            may_fail: false,
        },
    );
}

#[test]
fn a_silent_worker_costs_a_timeout_and_nobody_stake() {
    run(
        "a_silent_worker_costs_a_timeout_and_nobody_stake",
        &Row {
            faults: &["compute-1=silent"],
            runtime: "tokens",
            shows: |rounds, _| rounds.iter().filter(|round| normal(round)).count() >= 6,
            slash: None,
            may_fail: false,
        },
    );
}

#[test]
fn late_votes_cost_nobody_stake() {
    run(
        "late_votes_cost_nobody_stake",
        &Row {
            faults: &["compute-1=late"],
            runtime: "tokens",
            shows: |rounds, _| rounds.iter().filter(|round| normal(round)).count() >= 6,
            slash: None,
            may_fail: false,
        },
    );
}

#[test]
fn a_vote_of_failure_is_outvoted_and_costs_nothing() {
    run(
        "a_vote_of_failure_is_outvoted_and_costs_nothing",
        &Row {
            faults: &["compute-1=failure"],
            runtime: "tokens",
            shows: |rounds, liars| {
                rounds
                    .iter()
                    .any(|round| round.failures.iter().any(|n| liars.contains(n)) && normal(round))
            },
            slash: None,
            may_fail: false,
        },
    );
}

#[test]
fn two_votes_of_one_member_are_slashed() {
    run(
        "two_votes_of_one_member_are_slashed",
        &Row {
            faults: &["compute-1=equivocate"],
            runtime: "tokens",
            shows: |rounds, liars| rounds.iter().any(|round| round.evidence == liars),
            slash: Some(SLASH_EQUIVOCATION),
            may_fail: false,
        },
    );
}

#[test]
fn two_batches_of_one_scheduler_are_slashed() {
    run(
        "two_batches_of_one_scheduler_are_slashed",
        &Row {
            faults: &["compute-1=two-batches"],
            runtime: "tokens",
            shows: |rounds, liars| rounds.iter().any(|round| round.evidence == liars),
            slash: Some(SLASH_EQUIVOCATION),
            may_fail: false,
        },
    );
}

#[test]
fn a_batch_that_nobody_gets_is_replaced_by_the_next_schedulers() {
    run(
        "a_batch_that_nobody_gets_is_replaced_by_the_next_schedulers",
        &Row {
            faults: &["compute-1=withhold-batch"],
            runtime: "counter",
            shows: |rounds, _| rounds.iter().filter(|round| normal(round)).count() >= 8,
            slash: None,
            may_fail: false,
        },
    );
}

#[test]
fn a_vote_that_was_left_out_is_committed_by_its_owner() {
    run(
        "a_vote_that_was_left_out_is_committed_by_its_owner",
        &Row {
            faults: &["compute-1=withhold-vote"],
            runtime: "tokens",
            shows: |rounds, _| {
                rounds.iter().filter(|round| normal(round) && !round.late).count() >= 6
            },
            slash: None,
            may_fail: false,
        },
    );
}

#[test]
fn two_liars_cannot_make_a_wrong_root_final_nor_cost_the_others_anything() {
    run(
        "two_liars_cannot_make_a_wrong_root_final_nor_cost_the_others_anything",
        &Row {
            faults: &["compute-1=wrong-root", "compute-2=wrong-root"],
            runtime: "counter",
            shows: |rounds, _| {
                rounds.iter().any(|round| round.disputed && !round.verdict.bad.is_empty())
            },
            slash: None,
            may_fail: true,
        },
    );
}
