//! A member's new key: published, adopted, and the old one gone.

use e2e::{account_key, address};
use paralith::client::TxOptions;
use paralith_consensus_api::staking::Transfer;
use paralith_private_contract_messages::{KeySet, TransactionStatus, keys as places};
use paralith_types::Amount;
use serde_json::json;

use crate::net::{done, on_network};
use crate::session::{Contract, Session, call, counter};

/// Makes blocks, and a round of the mediator.
async fn go_on(it: &mut Session) {
    for _ in 0..12 {
        let transfer = Transfer { to: address("bob"), amount: Amount(1) };
        let options = TxOptions::default();
        it.client.chain.submit(&account_key("alice"), transfer, options).await.unwrap();
    }
    it.deposit(&account_key("alice"), 1).await;
}

/// Goes on until it is so.
async fn as_blocks_come(what: &str, it: &mut Session, is_so: impl AsyncFn(&mut Session) -> bool) {
    let until = it.height().await + 2_000;
    while !is_so(it).await {
        assert!(it.height().await < until, "{what}");
        go_on(it).await;
    }
}

/// To which key of c the contract's calls are sealed.
async fn sealed_to(it: &mut Session, contract: &Contract) -> Vec<u8> {
    let version = it.client.contract(&contract.id).await.unwrap().keys_version;
    let place = places::key_set(&contract.id, version);
    let set: KeySet = it.client.record(place).await.unwrap().unwrap();
    set.keys[2].key.clone()
}

#[test]
fn a_new_key_of_a_member_is_adopted_and_the_old_one_is_erased() {
    on_network(async |it| {
        let contract = it.contract("all(a, b, c)", counter(), |_| {}).await;
        let add = call("add", &json!({ "amount": 1 }));
        assert_eq!(it.run(&contract, &add).await, TransactionStatus::Yes);
        let old = sealed_to(it, &contract).await;
        let keys = it.net.members[2].folder.join("keys");
        let has = |number: u32| keys.join(format!("kem-{number}.json")).exists();
        let newest = (1..).find(|number| has(*number)).unwrap();

        let options = it.net.members[2].key_options();
        let mut args = vec!["contract", "new-key"];
        args.extend(options.iter().map(String::as_str));
        let made = done(&it.net.node, &args);
        assert!(has(newest) && has(newest + 1));
        let new = hex::decode(made["key"].as_str().unwrap()).unwrap();
        it.net.members[2].restart();
        as_blocks_come("the contract adopts it", it, async |it| {
            sealed_to(it, &contract).await == new
        })
        .await;
        assert_ne!(old, new);
        // The consent of all is needed: c opens what is sealed to its new key.
        assert_eq!(it.run(&contract, &add).await, TransactionStatus::Yes);
        as_blocks_come("the old key is erased", it, async |_| !has(newest)).await;
        assert!(has(newest + 1));
        assert_eq!(it.run(&contract, &add).await, TransactionStatus::Yes);
        // It starts with what is left.
        it.net.members[2].restart();
        assert_eq!(it.run(&contract, &add).await, TransactionStatus::Yes);
    });
}
