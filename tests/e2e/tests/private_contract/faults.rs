//! Members that die, disagree, come back old, or never.

use e2e::{account_key, address, until};
use paralith::systems::private_contract::client::ContractClient;
use paralith_consensus_api::address as addresses;
use paralith_consensus_api::roothash::{self, RuntimeState};
use paralith_private_contract_messages::{
    BatchEvent, Canonical as _, Close, ContractId, ContractStatus, ContractVote, TOPIC_ENDED,
    Terms, TransactionStatus, Vote,
};
use paralith_private_contract_stakeholder::ContractStore;
use paralith_proto::Wire;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_runtime_api::output::IoLeaf;
use paralith_types::Amount;
use ppb::para_time_service_client::ParaTimeServiceClient;
use serde_json::json;

use crate::net::{done, on_network, text};
use crate::session::{Session, call, code_of, counter, mint, tokens};

const SUPPLY: &[u8] = b"supply";

/// The mediator's newest round with results.
async fn newest(client: &mut ContractClient) -> u64 {
    let key = roothash::keys::runtime_state(&client.mediator.runtime.id);
    let state: RuntimeState = client.chain.require(&key).await.unwrap();
    state.last_normal_round.0
}

/// How batches ended in the mediator's rounds from this one on.
async fn ended(client: &mut ContractClient, from: u64, id: &ContractId) -> Vec<BatchEvent> {
    let newest = newest(client).await;
    let mut service = ParaTimeServiceClient::new(client.chain.channel());
    let mut found = Vec::new();
    for round in from..=newest {
        let runtime_id = client.mediator.runtime.id.as_bytes().to_vec();
        let request = ppb::GetRoundRequest { runtime_id, round, newest: false };
        let Ok(round) = service.get_round(request).await else { continue };
        let leaves: Vec<IoLeaf> = Wire::from_pb(round.into_inner().leaves).unwrap();
        let events = leaves.into_iter().flat_map(|leaf| leaf.events);
        let ended = events.filter(|event| event.topic == TOPIC_ENDED.as_bytes());
        found.extend(ended.map(|event| BatchEvent::decode(&event.data, 4096).unwrap()));
    }
    found.retain(|event| event.contract_id == *id);
    found
}

/// Submits a member's vote as it stands on its disk; the member's node starts again.
async fn hand_in(it: &mut Session, place: usize, id: &ContractId) -> ContractVote {
    it.net.members[place].kill();
    let own = ContractStore::new(it.net.members[place].store(), id).newest_vote();
    let own = own.unwrap().unwrap();
    it.net.members[place].run();
    let vote = Vote {
        contract_id: *id,
        batch: own.batch,
        verdict: own.verdict.clone(),
        actions: own.actions.clone(),
        signers: vec![1 << place],
        signature: own.signature,
    };
    let key = it.net.members[place].keys.account_key().clone();
    it.client.call(&key, "vote", vote.encode()).await.unwrap();
    own
}

#[test]
fn test_04_a_member_with_a_wrong_root_is_outvoted_named_and_healed() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", tokens(), |_| {}).await;
        assert_eq!(it.run(&contract, &mint("100")).await, TransactionStatus::Yes);
        it.one_root(&contract.id).await;
        let from = newest(&mut it.client).await;
        // c's state is false; b is away, so that c's vote comes before a quorum has decided.
        let tx = it.seal(&contract, &mint("5"), &[0, 2]).await;
        it.net.members[1].kill();
        it.net.members[2].kill();
        it.net.members[2].falsify(&contract.id, SUPPLY);
        it.net.members[2].run();
        let args = json!({});
        assert_eq!(it.query(2, &contract.id, "total_supply", &args).await["total_supply"], "101");
        let seq = it.submit(&contract, &tx, 0).await.unwrap();
        let batch = it.open(&contract.id).await;
        it.voted(0, &contract.id, batch).await;
        it.voted(2, &contract.id, batch).await;
        let own = hand_in(it, 2, &contract.id).await;
        assert_eq!((own.batch, own.index), (batch, 2));
        it.net.members[1].run();
        let record = it.fini(&contract.id, seq).await;
        assert_eq!((record.status, record.batch), (TransactionStatus::Yes, batch));
        let root = it.one_root(&contract.id).await;
        assert_ne!(
            root, own.verdict.new_root,
            "c has the majority's root, and had voted for another"
        );
        assert_eq!(it.query(2, &contract.id, "total_supply", &args).await["total_supply"], "105");
        let event = ended(&mut it.client, from, &contract.id).await.pop().unwrap();
        assert_eq!((event.batch, event.dissenters), (batch, vec![0b100]), "the event names c");
    });
}

#[test]
fn test_05_a_dissenter_of_three_of_three_makes_a_no_and_the_next_one_succeeds() {
    on_network(async |it| {
        let contract = it.contract("all(a, b, c)", tokens(), |_| {}).await;
        assert_eq!(it.run(&contract, &mint("100")).await, TransactionStatus::Yes);
        let before = it.one_root(&contract.id).await;
        it.net.members[2].kill();
        it.net.members[2].falsify(&contract.id, SUPPLY);
        it.net.members[2].run();
        let seq = it.send(&contract, &mint("5"), &[0]).await;
        let batch = it.open(&contract.id).await;
        it.voted(0, &contract.id, batch).await;
        it.voted(2, &contract.id, batch).await;
        // Members submit votes that make no quorum shortly before the deadline. With two that differ on the
        // chain, all three can agree no more: NO at once.
        let (first, other) =
            (hand_in(it, 0, &contract.id).await, hand_in(it, 2, &contract.id).await);
        assert_ne!(first.verdict, other.verdict);
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::No);
        assert_eq!(it.one_root(&contract.id).await, before);
        it.net.members[2].kill();
        it.net.members[2].falsify(&contract.id, SUPPLY);
        it.net.members[2].run();
        assert_eq!(it.run(&contract, &mint("7")).await, TransactionStatus::Yes);
        assert_ne!(it.one_root(&contract.id).await, before);
        for place in 0..3 {
            let supply = it.query(place, &contract.id, "total_supply", &json!({})).await;
            assert_eq!(supply["total_supply"], "107", "member {place}");
        }
    });
}

#[test]
fn test_05_a_contract_that_lost_a_member_for_good_closes_and_pays_everything_back() {
    on_network(async |it| {
        let (alice, dave) = (account_key("alice"), address("dave"));
        it.deposit(&alice, 1_000).await;
        let mut held = Vec::new();
        for place in 0..3 {
            let key = it.net.members[place].keys.account_key().clone();
            it.deposit(&key, 50).await;
            held.push(it.balance(&addresses::of_key(&key.public())).await);
        }
        let bond = |terms: &mut Terms| {
            (terms.bond, terms.residual) = (Amount(50), dave);
            (terms.fetch_blocks, terms.vote_blocks, terms.dormant_blocks) = (2, 8, 40);
            terms.retention_blocks = 10;
        };
        let contract = it.contract("all(a, b, c)", tokens(), bond).await;
        // c is gone for good.
        let tx = it.seal(&contract, &mint("1"), &[0]).await;
        it.net.members[2].kill();
        let before = it.balance(&address("alice")).await;
        let seq = it.submit(&contract, &tx, 300).await.unwrap();
        let fund = paralith_private_contract_messages::Fund {
            contract_id: contract.id,
            tag: 1,
            amount: Amount(70),
        };
        it.client.call(&alice, "fund", fund.encode()).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Expired);
        assert_eq!(it.balance(&address("alice")).await, before - 70, "the payment came back");
        // Too early; then anybody may.
        let close = Close { contract_id: contract.id, signers: vec![], signature: None }.encode();
        let early = it.client.call(&account_key("carol"), "close", close.clone()).await;
        assert_eq!(code_of(early), ("mediator".to_string(), 33));
        until("the contract is dormant", async || {
            it.client.call(&account_key("carol"), "close", close.clone()).await.ok()
        })
        .await;
        let closed = it.client.contract(&contract.id).await.unwrap();
        assert_eq!((closed.status, closed.balance), (ContractStatus::Closed, Amount::ZERO));
        for (place, held) in held.into_iter().enumerate() {
            let member = addresses::of_key(&it.key(place));
            until("the bond is back", async || (it.balance(&member).await == held).then_some(()))
                .await;
        }
        until("the deposit is back", async || {
            (it.balance(&address("alice")).await == before).then_some(())
        })
        .await;
    });
}

#[test]
fn test_06_kills_at_every_stage_leave_one_increment_each() {
    on_network(async |it| {
        // No batch ends without c, and two verdicts of c would end one with NO.
        let contract = it.contract("all(a, b, c)", counter(), |_| {}).await;
        let add = call("add", &json!({ "amount": 1 }));
        let mut sum = 0;
        for stage in 0..6 {
            let tx = it.seal(&contract, &add, &[0]).await;
            if stage == 0 {
                it.net.members[2].kill();
            }
            let seq = it.submit(&contract, &tx, 0).await.unwrap();
            match stage {
                0 | 1 => {}
                2 => {
                    it.open(&contract.id).await;
                }
                // Each batch has one of them.
                3 => it.voted(2, &contract.id, seq).await,
                4 => {
                    it.fini(&contract.id, seq).await;
                }
                _ => {
                    it.fini(&contract.id, seq).await;
                    it.one_root(&contract.id).await;
                }
            }
            it.net.members[2].restart();
            assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Yes, "{stage}");
            sum += 1;
            it.one_root(&contract.id).await;
            for place in 0..3 {
                let count = it.query(place, &contract.id, "get", &json!({})).await;
                assert_eq!(count, json!(sum), "stage {stage}, member {place}");
            }
        }
    });
}

#[test]
fn test_06_a_copy_of_the_store_from_before_the_vote_gives_no_other_vote() {
    on_network(async |it| {
        let contract = it.contract("all(a, b, c)", counter(), |_| {}).await;
        let add = call("add", &json!({ "amount": 1 }));
        assert_eq!(it.run(&contract, &add).await, TransactionStatus::Yes);
        it.one_root(&contract.id).await;
        // A backup of c, from before.
        let (data, backup) = {
            let member = &it.net.members[2].folder;
            (member.join("data"), member.join("backup"))
        };
        it.net.members[2].kill();
        copy(&data, &backup);
        it.net.members[2].run();
        // c votes in a batch that b keeps open.
        let tx = it.seal(&contract, &add, &[0]).await;
        it.net.members[1].kill();
        let seq = it.submit(&contract, &tx, 0).await.unwrap();
        let batch = it.open(&contract.id).await;
        it.voted(2, &contract.id, batch).await;
        // a asks for votes that did not come.
        it.blocks(4).await;
        it.net.members[2].kill();
        let vote = ContractStore::new(it.net.members[2].store(), &contract.id).newest_vote();
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(&backup, &data).unwrap();
        let config = text(&it.net.members[2].folder.join("node.toml"));
        let restored = done(&it.net.node, &["contract", "restore", "--config", &config]);
        assert!(restored["restored"].as_array().unwrap().contains(&json!(contract.id.to_hex())));
        it.net.members[2].run();
        it.net.members[1].run();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Yes);
        it.one_root(&contract.id).await;
        assert_eq!(it.query(2, &contract.id, "get", &json!({})).await, json!(2));
        it.net.members[2].kill();
        let again = ContractStore::new(it.net.members[2].store(), &contract.id).newest_vote();
        let same = |vote: &ContractVote| (vote.batch, vote.verdict.clone(), vote.signature.0);
        assert_eq!(same(&again.unwrap().unwrap()), same(&vote.unwrap().unwrap()));
    });
}

#[test]
fn test_13_a_member_that_was_away_catches_up_and_votes() {
    on_network(async |it| {
        let alone = |terms: &mut Terms| terms.max_batch = 1;
        let contract = it.contract("2 of (a, b, c)", counter(), alone).await;
        let add = call("add", &json!({ "amount": 1 }));
        it.net.members[2].kill();
        let mut senders = Vec::new();
        for name in ["alice", "bob", "carol", "dave", "erin"] {
            senders.push(it.sender(name, &contract, Some(0)).await);
        }
        let sent = futures::future::join_all(senders.iter_mut().map(async |sender| {
            let mut last = 0;
            for _ in 0..10 {
                last = sender.send(&add).await.unwrap().seq;
            }
            last
        }));
        let last = sent.await.into_iter().max().unwrap();
        assert_eq!(it.fini(&contract.id, last).await.status, TransactionStatus::Yes);
        assert_eq!(it.client.contract(&contract.id).await.unwrap().last_batch, 50, "one each");
        it.net.members[2].run();
        it.one_root(&contract.id).await;
        // Now it is needed.
        it.net.members[1].kill();
        assert_eq!(it.run(&contract, &add).await, TransactionStatus::Yes);
        it.net.members[1].run();
        it.one_root(&contract.id).await;
        for place in 0..3 {
            assert_eq!(it.query(place, &contract.id, "get", &json!({})).await, json!(51));
        }
    });
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), &to).unwrap()),
        }
    }
}
