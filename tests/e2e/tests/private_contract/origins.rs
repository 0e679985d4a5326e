//! Data stores that lie, and addresses that lead elsewhere.

use e2e::account_key;
use paralith_private_contract_messages::{OpenBatch, Terms, TransactionStatus, keys as places};
use serde_json::json;

use crate::hostile::{Answer, Bait, Hostile};
use crate::net::on_network;
use crate::session::{Contract, Session, call, counter};

/// Most bytes that a member may take of an answer without end: its windows, and what the kernel holds on the way.
const TAKEN_MAX: u64 = 16 * 1024 * 1024;
/// By so much a member's memory may grow meanwhile.
const GROWTH_MAX_KIB: u64 = 128 * 1024;

/// Submits a call whose content is said to be there, and is nowhere.
async fn send_from(it: &mut Session, contract: &Contract, origin: &str) -> u64 {
    let alice = account_key("alice");
    let add = call("add", &json!({ "amount": 1 }));
    let tx = it.client.seal(contract.id, &alice.public(), &add, Some(origin)).await.unwrap();
    it.submit(contract, &tx, 0).await.unwrap()
}

/// The most memory that a process ever had, in KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn test_17_a_hostile_origin_costs_its_own_transaction_only_and_nothing_else_is_contacted() {
    on_network(async |it| {
        let bait = Bait::start();
        let elsewhere = format!("http://{}", bait.address);
        let answers = [
            Answer::Other,
            Answer::Endless,
            Answer::Drip,
            Answer::Redirect(format!("{elsewhere}/data/00")),
            Answer::Silence,
        ];
        let hostile = answers.map(Hostile::start);
        let terms = |terms: &mut Terms| {
            (terms.fetch_blocks, terms.vote_blocks) = (6, 60);
            terms.origins = hostile.iter().map(|one| one.origin.clone()).collect();
        };
        let contract = it.contract("2 of (a, b, c)", counter(), terms).await;
        let id = contract.id;
        let before = [0, 1, 2].map(|place| peak(it.net.members[place].pid()));
        let mut lied = Vec::new();
        for one in &hostile {
            lied.push(send_from(it, &contract, &one.origin).await);
        }
        // Addresses that the terms do not name: an open port, one of another service, and a prefix.
        for origin in [&elsewhere, "http://127.0.0.1:22", &format!("{}0", hostile[0].origin)] {
            lied.push(send_from(it, &contract, origin).await);
        }
        let honest = it.send(&contract, &call("add", &json!({ "amount": 5 })), &[0]).await;
        every_batch_ends_on_time(it, &contract, honest).await;
        assert_eq!(it.fini(&id, honest).await.status, TransactionStatus::Yes);
        for seq in &lied {
            let record = it.fini(&id, *seq).await;
            assert_eq!(record.status, TransactionStatus::Expired, "transaction {seq}");
        }
        it.one_root(&id).await;
        for (number, one) in hostile.iter().enumerate() {
            assert!(one.requests() > 0, "origin {number} was not asked");
        }
        assert_eq!(bait.connections(), 0, "an address outside of the origins was contacted");
        assert!(hostile[1].most_taken() <= TAKEN_MAX, "{}", hostile[1].most_taken());
        for (place, before) in before.into_iter().enumerate() {
            let grown = peak(it.net.members[place].pid()) - before;
            assert!(grown <= GROWTH_MAX_KIB, "member {place} has taken {grown} KiB more");
        }
        for place in 0..3 {
            assert_eq!(it.query(place, &id, "get", &json!({})).await, json!(5));
        }
    });
}

/// Until a transaction is final, no batch is open after its deadline.
async fn every_batch_ends_on_time(it: &mut Session, contract: &Contract, until_final: u64) {
    e2e::until("every batch has ended", async || {
        // The state that is read next is not older than this height.
        let height = it.height().await;
        let key = places::open_batch(&contract.id);
        if let Some(open) = it.client.record::<OpenBatch>(key).await.unwrap() {
            assert!(height <= open.deadline, "{height} is after {}", open.deadline);
        }
        let record = it.client.contract(&contract.id).await.unwrap();
        (record.head > until_final).then_some(())
    })
    .await;
}
