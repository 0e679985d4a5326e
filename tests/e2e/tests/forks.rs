//! A compute node whose host forks: it has its enclave execute different batches on one state.
//! On neither fork does it get a result, a query's answer or a tally; once the network has made one
//! of them final, every node gives the same bytes for it, and nobody ever gets the other's.
//!
//! The host is the test's ([`host`]); everything else, its enclave included, is the program in
//! processes of its own on CometBFT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod host;

use std::collections::BTreeMap;

use e2e::{Client, Localnet, Refusal, address, claim, until};
use paralith::client::Sent;
use paralith_consensus_api::roothash::{Header, ProposalHeader};
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_runtime_api::output::Output;
use paralith_types::Round;
use ppb::para_time_service_client::ParaTimeServiceClient;
use serde_json::{Value, json};

use host::{Fork, Host, SHAPE, Stand};

/// How often another round may become final than the one that was to be one side of a fork: an
/// epoch has ended, say.
const TRIES: u32 = 12;

/// Who calls which method with what.
type UserCall = (&'static str, &'static str, Value);

fn on_a_network(test: &str, run: impl AsyncFnOnce(&Localnet)) {
    if e2e::skipped_without_cometbft(test) {
        return;
    }
    claim(async {
        let net = Localnet::start_prepared(&SHAPE, host::prepare);
        run(&net).await;
    });
}

fn enclave(code: u32) -> Refusal {
    ("enclave".to_string(), code)
}

/// Who holds `tokens` here.
const USERS: [&str; 3] = ["alice", "carol", "dave"];

/// No header proves the round.
const NOT_FINAL: u32 = 16;
/// The round did not ask to reveal this.
const NO_INTENT: u32 = 17;
/// The outputs are not those of the round.
const NOT_ITS_OUTPUTS: u32 = 18;
/// The tree that the host shows is not the final one.
const NOT_ITS_STATE: u32 = 14;

/// Calls that are signed and sealed and handed to nobody yet, and where our host stands to execute
/// them.
async fn calls(host: &Host, client: &mut Client, calls: &[UserCall]) -> (Stand, Vec<Sent>) {
    let runtime = host.runtime.name.as_str();
    loop {
        let before = host.stand().await;
        let mut all = Vec::new();
        for (who, method, args) in calls {
            let sent = until("a call is sealed", async || {
                client.prepare(runtime, who, method, args).await.ok()
            });
            all.push(sent.await);
        }
        let stand = host.stand().await;
        if (stand.epoch, stand.forked()) == (before.epoch, before.forked()) {
            return (stand, all);
        }
    }
}

/// The final round as our own enclave executes it, if it is of the batch that a fork was to be. A
/// fork differs from it by the height that its proposal pins, and shares nothing with it. If another
/// round became final, the forks are lost for ever.
async fn became(
    host: &Host,
    header: &Header,
    fork: &Fork,
    batch: &[&Sent],
    all: &[&Fork],
) -> Option<Fork> {
    for fork in all.iter().filter(|fork| fork.header.id() != header.proposal_id) {
        let refused = host.release(fork.header.round, fork).await.unwrap_err();
        assert!([enclave(NOT_FINAL), enclave(NOT_ITS_OUTPUTS)].contains(&refused), "{refused:?}");
    }
    let Some(proposal) = proposal_of(header, fork) else {
        println!("another round became final: once more");
        return None;
    };
    let executed = host.execute_proposal(proposal, batch).await.unwrap();
    let results = executed.executed.results.as_ref().unwrap();
    assert_eq!(results.io_root, header.io_root.as_bytes());
    assert_eq!(results.state_root, header.state_root.as_bytes());
    Some(executed)
}

/// The proposal behind a final round of this fork's batch. The header names its hash, and all of it
/// but the rank.
fn proposal_of(header: &Header, fork: &Fork) -> Option<ProposalHeader> {
    let proposed = &fork.header;
    let same = (header.round, header.previous_hash, header.batch_hash)
        == (proposed.round, proposed.previous_hash, proposed.batch_hash);
    let with_rank = |rank| ProposalHeader {
        rank,
        consensus_height: header.consensus_height,
        ..proposed.clone()
    };
    (0..64).map(with_rank).find(|proposal| same && proposal.id() == header.proposal_id)
}

/// What somebody has in `tokens`, as the network says.
async fn network_balance(client: &mut Client, who: &str) -> u128 {
    let answer = until("the network answers", async || {
        client.query("tokens", Some(who), "balance", &json!({})).await.ok()
    });
    answer.await["balance"].as_str().unwrap().parse().unwrap()
}

/// What a fork gave its host is ciphertext, and nothing opens it.
async fn gives_no_result(host: &Host, stand: &Stand, forks: &[&Fork]) {
    for fork in forks {
        assert_ne!(fork.state_root(), stand.state.last_block.state_root.as_bytes());
        host.show(fork);
        for shown in ["the fork's tree", "the final tree"] {
            let as_its_own = host.release(stand.forked(), fork).await;
            assert_eq!(as_its_own.unwrap_err(), enclave(NOT_FINAL), "{shown}");
            let as_final = host.release(stand.last_final(), fork).await;
            assert_eq!(as_final.unwrap_err(), enclave(NOT_ITS_OUTPUTS), "{shown}");
            host.show_final();
        }
    }
    for (at, one) in forks.iter().enumerate() {
        for two in &forks[at + 1..] {
            assert_ne!(one.state_root(), two.state_root());
            assert_ne!(one.executed.rak_signature, two.executed.rak_signature);
            nothing_is_alike(one, two);
        }
    }
}

/// The same entry is written by two forks under other nonces, and the same transaction answered
/// under other keys: comparing them shows nothing.
fn nothing_is_alike(one: &Fork, two: &Fork) {
    let written: BTreeMap<_, _> =
        two.executed.changes.iter().map(|change| (&change.key, &change.value)).collect();
    let mut both = 0;
    for change in &one.executed.changes {
        let Some(other) = written.get(&change.key) else { continue };
        let (a, b) = (change.value.as_ref().unwrap(), other.as_ref().unwrap());
        assert_eq!(a[..16], b[..16], "generation and round");
        assert_ne!(a[16..28], b[16..28], "nonce");
        assert_ne!(a[28..], b[28..], "ciphertext");
        both += 1;
    }
    assert!(both > 0, "one sender's two calls write at least its nonce");
    for (a, leaf_a) in one.executed.outputs.iter().zip(&one.executed.leaves) {
        for (b, leaf_b) in two.executed.outputs.iter().zip(&two.executed.leaves) {
            assert_ne!(a.sealed, b.sealed);
            assert_ne!(leaf_a.output_commitment, leaf_b.output_commitment);
        }
    }
}

/// Those that are not the final one.
fn others<'a>(last: &Fork, forks: &[&'a Fork]) -> Vec<&'a Fork> {
    forks.iter().copied().filter(|fork| fork.header.id() != last.header.id()).collect()
}

/// The fork that became final is opened, with the bytes that every node gives. The others are not.
async fn opens_only_what_is_final(net: &Localnet, host: &Host, fork: &Fork, others: &[&Fork]) {
    let round = fork.header.round;
    let opened = host.release(round, fork).await.unwrap();
    assert_eq!(opened.len(), fork.executed.leaves.len());
    for (node, theirs) in host.opened_by_peers(round).await {
        assert_eq!(theirs, opened, "{node}");
    }
    for node in net.nodes() {
        let request = ppb::GetRoundRequest {
            runtime_id: host.runtime.id.as_bytes().to_vec(),
            round: round.0,
            newest: false,
        };
        let theirs = until(&format!("{} gives the round", node.name), async || {
            let mut service = ParaTimeServiceClient::connect(node.endpoint.clone()).await.ok()?;
            Some(service.get_round(request.clone()).await.ok()?.into_inner())
        })
        .await;
        assert_eq!(theirs.outputs, opened, "{}", node.name);
        assert_eq!(theirs.leaves, fork.executed.leaves, "{}", node.name);
        assert_eq!(theirs.header.unwrap().state_root, fork.state_root(), "{}", node.name);
    }
    for other in others {
        let refused = host.release(round, other).await;
        assert_eq!(refused.unwrap_err(), enclave(NOT_ITS_OUTPUTS));
        // Nor under the leaves of the one that is final.
        let mut mixed = fork.clone();
        mixed.executed.outputs = other.executed.outputs.clone();
        let refused = host.release(round, &mixed).await;
        assert_eq!(refused.unwrap_err(), enclave(NOT_ITS_OUTPUTS));
    }
}

/// Until our host sees that a round is final and has the state that it led to.
async fn catch_up(host: &Host, round: Round) {
    until("our host has the final state", async || {
        let state = host.catch_up().await.ok()?;
        (state.last_block.round >= round).then_some(())
    })
    .await;
}

/// What somebody has in `tokens`, as our own enclave says.
async fn balance(net: &Localnet, host: &Host, who: &str) -> Result<u128, Refusal> {
    let answer = host.ask(net, who, "balance", &json!({})).await?;
    Ok(answer["balance"].as_str().unwrap().parse().unwrap())
}

/// What the enclave says while its host shows it a fork's state: it refuses that, or has the final
/// state by proof already and answers from there.
fn is_final_or_refused(answer: &Result<u128, Refusal>, has: u128) {
    let refused = Err(enclave(NOT_ITS_STATE));
    assert!(*answer == refused || *answer == Ok(has), "{answer:?}, final is {has}");
}

#[test]
fn a_fork_of_tokens_gives_no_result_and_no_answer_until_it_is_final() {
    let name = "a_fork_of_tokens_gives_no_result_and_no_answer_until_it_is_final";
    on_a_network(name, async |net| {
        let host = Host::start(net, "tokens").await;
        let mut client = Client::connect(&net.gateway()).await;
        let mint = json!({ "to": address("alice"), "amount": "1000" });
        client.call_patiently("tokens", "alice", "mint", &mint).await;
        for _ in 1..=TRIES {
            let mut before = [0; 3];
            for (has, who) in before.iter_mut().zip(USERS) {
                *has = network_balance(&mut client, who).await;
            }
            // One sender, one nonce, one state: she pays the one or the other.
            let one = json!({ "to": address("carol"), "amount": "41", "memo": "Xq7vRk2LmZt9WcPb" });
            let two = json!({ "to": address("dave"), "amount": "43", "memo": "Tf5jQw3VnBx6KrDz" });
            let both = [("alice", "transfer", one), ("alice", "transfer", two)];
            let (stand, sent) = calls(&host, &mut client, &both).await;
            let [one, two] = sent.as_slice() else { panic!("two calls") };
            let a = host.execute(&stand, &[one]).await.unwrap();
            let b = host.execute(&stand, &[two]).await.unwrap();
            gives_no_result(&host, &stand, &[&a, &b]).await;

            // Neither fork's state answers, and the final one knows neither transfer.
            for fork in [&a, &b] {
                host.show(fork);
                for (who, has) in USERS.into_iter().zip(before) {
                    is_final_or_refused(&balance(net, &host, who).await, has);
                }
                host.show_final();
            }
            for (who, has) in USERS.into_iter().zip(before) {
                assert_eq!(balance(net, &host, who).await, Ok(has), "{who}");
            }

            let confirmed = client.submit_patiently("tokens", one).await.unwrap();
            assert!(matches!(confirmed.output, Output::Ok(_)), "{:?}", confirmed.output);
            let header = &confirmed.header;
            let Some(last) = became(&host, header, &a, &[one], &[&a, &b]).await else { continue };
            catch_up(&host, header.round).await;
            opens_only_what_is_final(net, &host, &last, &others(&last, &[&a, &b])).await;
            host.show(&b);
            is_final_or_refused(&balance(net, &host, "dave").await, before[2]);
            host.show_final();
            let after = [before[0] - 41, before[1] + 41, before[2]];
            for (who, has) in USERS.into_iter().zip(after) {
                assert_eq!(balance(net, &host, who).await, Ok(has), "{who}");
                assert_eq!(network_balance(&mut client, who).await, has, "{who}");
            }
            for memo in ["Xq7vRk2LmZt9WcPb", "Tf5jQw3VnBx6KrDz"] {
                assert!(!host.has_seen(0, memo), "the host has read a memo");
            }
            return;
        }
        panic!("no fork became final in {TRIES} tries");
    });
}

/// What a round revealed, as every node of the network says.
async fn reveals(net: &Localnet, host: &Host, round: Round, handle: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for node in net.nodes() {
        let request = ppb::RevealRequest {
            runtime_id: host.runtime.id.as_bytes().to_vec(),
            round: round.0,
            handle: handle.to_vec(),
        };
        let answer = until(&format!("{} reveals", node.name), async || {
            let mut service = ParaTimeServiceClient::connect(node.endpoint.clone()).await.ok()?;
            Some(service.reveal(request.clone()).await.ok()?.into_inner())
        })
        .await;
        all.push(answer.output);
    }
    all
}

/// A ballot on which Bob has voted: its number.
async fn ballot(client: &mut Client) -> u64 {
    let create = json!({ "question": "tea?", "options": ["yes", "no"] });
    let (_, created) = client.call_patiently("ballot", "alice", "create", &create).await;
    let ballot = created["ballot"].as_u64().unwrap();
    let vote = json!({ "ballot": ballot, "option": 0 });
    client.call_patiently("ballot", "bob", "vote", &vote).await;
    ballot
}

/// Neither tally nor status of a vote that a fork closed can be had.
async fn shows_no_tally(net: &Localnet, host: &Host, stand: &Stand, forks: &[&Fork], number: u64) {
    let handle = number.to_be_bytes();
    let status = json!({ "ballot": number });
    for fork in forks {
        host.show(fork);
        let revealed = host.reveal(stand.forked(), &handle).await;
        assert_eq!(revealed.unwrap_err(), enclave(NOT_FINAL));
        let revealed = host.reveal(stand.last_final(), &handle).await.unwrap_err();
        // The enclave may have the final state by proof already, which has no intent.
        assert!([enclave(NOT_ITS_STATE), enclave(NO_INTENT)].contains(&revealed), "{revealed:?}");
        match host.ask(net, "alice", "status", &status).await {
            Ok(asked) => is_open(&asked),
            Err(refused) => assert_eq!(refused, enclave(NOT_ITS_STATE)),
        }
        host.show_final();
        let revealed = host.reveal(stand.forked(), &handle).await;
        assert_eq!(revealed.unwrap_err(), enclave(NOT_FINAL));
    }
    let revealed = host.reveal(stand.last_final(), &handle).await;
    assert_eq!(revealed.unwrap_err(), enclave(NO_INTENT));
    is_open(&host.ask(net, "alice", "status", &status).await.unwrap());
}

/// A vote that is not closed, and shows no tally.
fn is_open(asked: &Value) {
    assert_eq!((&asked["closed"], &asked["tally"]), (&json!(false), &Value::Null));
}

#[test]
fn a_vote_that_is_closed_on_a_fork_shows_no_tally() {
    let name = "a_vote_that_is_closed_on_a_fork_shows_no_tally";
    on_a_network(name, async |net| {
        let host = Host::start(net, "ballot").await;
        let mut client = Client::connect(&net.gateway()).await;
        for _ in 1..=TRIES {
            let number = ballot(&mut client).await;
            let vote = |option| json!({ "ballot": number, "option": option });
            let all = [
                ("alice", "close", json!({ "ballot": number })),
                ("carol", "vote", vote(0)),
                ("carol", "vote", vote(1)),
            ];
            let (stand, sent) = calls(&host, &mut client, &all).await;
            let [close, yes, no] = sent.as_slice() else { panic!("three calls") };
            // With Carol's vote, with another one of hers, and without: the differences of the
            // three tallies would be her vote and Bob's.
            let began = host.mark();
            let without = host.execute(&stand, &[close]).await.unwrap();
            let with_yes = host.execute(&stand, &[yes, close]).await.unwrap();
            let with_no = host.execute(&stand, &[no, close]).await.unwrap();
            let forks = [&without, &with_yes, &with_no];
            gives_no_result(&host, &stand, &forks).await;
            // Which way she votes changes neither what is written nor how much.
            let written = |fork: &Fork| -> Vec<(Vec<u8>, usize)> {
                let changes = fork.executed.changes.iter();
                changes.map(|one| (one.key.clone(), one.value.as_ref().unwrap().len())).collect()
            };
            assert_eq!(written(&with_yes), written(&with_no));
            shows_no_tally(net, &host, &stand, &forks, number).await;
            assert!(!host.has_seen(began, r#""votes":"#), "the host has read a tally");

            let confirmed = client.submit_patiently("ballot", close).await.unwrap();
            assert!(matches!(confirmed.output, Output::Ok(_)), "{:?}", confirmed.output);
            let header = &confirmed.header;
            let Some(last) = became(&host, header, &without, &[close], &forks).await else {
                continue;
            };
            let (round, handle) = (header.round, number.to_be_bytes());
            catch_up(&host, round).await;
            opens_only_what_is_final(net, &host, &last, &others(&last, &forks)).await;
            // Of the final round the tally is everybody's, and of no other tree: shown another one, the
            // enclave refuses, or reveals what is final, if it has that by proof already.
            let mut shown = Vec::new();
            for fork in &forks[1..] {
                host.show(fork);
                match host.reveal(round, &handle).await {
                    Ok(revealed) => shown.push(revealed.output),
                    Err(refused) => assert_eq!(refused, enclave(NOT_ITS_STATE)),
                }
                host.show_final();
            }
            let revealed = host.reveal(round, &handle).await.unwrap().output;
            assert!(shown.iter().all(|other| *other == revealed));
            for theirs in reveals(net, &host, round, &handle).await {
                assert_eq!(theirs, revealed);
            }
            let tally = json!([{ "option": "yes", "votes": 1 }, { "option": "no", "votes": 0 }]);
            let Output::Ok(shown) = paralith_proto::Canonical::decode(&revealed, 10_000).unwrap()
            else {
                panic!("the tally of the final round is refused");
            };
            assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), tally);
            assert!(host.has_seen(began, r#""votes":"#), "what is revealed is read by the host");
            return;
        }
        panic!("no fork became final in {TRIES} tries");
    });
}
