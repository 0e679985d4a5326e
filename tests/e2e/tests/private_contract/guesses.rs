//! What somebody who knows nearly everything confirms of the rest: nothing.

use e2e::account_key;
use paralith_private_contract_core::disclosure::DisclosedEntry;
use paralith_private_contract_core::prf::{SALT_BYTES, salt, salted, unsalted};
use paralith_private_contract_messages::{Package, TransactionStatus, WrapsRecord, keys as places};
use paralith_private_contract_stakeholder::ContractStore;
use paralith_storage::{Changes, Proof};
use paralith_types::Hash;
use serde_json::json;

use crate::net::on_network;
use crate::session::{Parties, call, mint, tokens};

const SUPPLY: &[u8] = b"supply";
/// A slice: a million are tried in `systems/private-contract/core`.
const GUESSES: u128 = 20_000;

/// Guesses that a tree with this root holds under the key, of all amounts up to the bound.
fn confirmed(root: &Hash, proof: &Proof, salt: [u8; SALT_BYTES]) -> Vec<u128> {
    let holds = |amount: &u128| {
        let value = amount.to_be_bytes().to_vec();
        DisclosedEntry { key: SUPPLY.to_vec(), salt, value }.holds(root, proof)
    };
    (0..GUESSES).filter(holds).collect()
}

#[test]
fn test_03_an_auditor_with_a_disclosed_path_confirms_no_guess_of_an_amount() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", tokens(), |_| {}).await;
        assert_eq!(it.run(&contract, &mint("12345")).await, TransactionStatus::Yes);
        let root = it.one_root(&contract.id).await;
        let key = it.net.members[0].keys.account_key().clone();
        let (height, mut member) = (it.height().await, it.member(0).await);
        let mut entry = async |name: &[u8]| {
            let shown = member.prove(&key, &contract.id, height, name.to_vec()).await.unwrap();
            assert_eq!(shown.root, root.0);
            (shown.held.unwrap(), Proof::from_bytes(&shown.proof).unwrap())
        };
        let (minter, path) = entry(b"minter").await;
        let disclosed = DisclosedEntry::new(b"minter", &minter).unwrap();
        assert!(disclosed.holds(&root, &path));
        // He is even given the amount's own path. Salts that he can think of: none, that of what was disclosed
        // to him, and what a public hash gives.
        let (held, path) = entry(SUPPLY).await;
        let public = salt(&contract.definition.package_hash, 1, SUPPLY);
        for salt in [[0; SALT_BYTES], disclosed.salt, public] {
            assert_eq!(confirmed(&root, &path, salt), Vec::<u128>::new());
        }
        // The control: with the salt there is one.
        let (salt, _) = unsalted(&held).unwrap();
        assert_eq!(confirmed(&root, &path, *salt), [12345]);
    });
}

#[test]
fn test_03_a_removed_member_opens_predicts_and_confirms_nothing_of_later_batches() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", tokens(), |_| {}).await;
        let id = contract.id;
        assert_eq!(it.run(&contract, &mint("100")).await, TransactionStatus::Yes);
        let before = it.one_root(&id).await;
        let group_secret = Hash(paralith_rt::random().unwrap());
        let package = Package { group_secret, ..contract.package.clone() };
        let left = Parties { places: &[0, 1], hands: &[], policy: "all(a, b)" };
        let next = it.next_definition(&contract, left, &package).await;
        it.install_at(&[0, 1], &contract, &next, &package).await;
        let change = it.agreed(&contract, &next, false, &[(0, 0), (1, 1)]);
        it.change(&change).await.unwrap();
        it.settled(&contract).await;
        // c guesses the call, and does not even have to guess the amount.
        let alice = account_key("alice");
        let transfer = json!({ "to": e2e::address("bob"), "amount": "7" });
        let tx = it.seal(&contract, &call("transfer", &transfer), &[0]).await;
        assert_eq!(tx.sealed.wraps.len(), 2, "nothing is sealed to c");
        let seq = it.submit(&contract, &tx, 0).await.unwrap();
        let sent: WrapsRecord = it.client.record(places::wraps(&id, seq)).await.unwrap().unwrap();
        assert_eq!(sent.wraps, tx.sealed.wraps);
        let record = it.fini(&id, seq).await;
        assert_eq!(record.status, TransactionStatus::Yes);
        assert_eq!(record.sender, alice.public());
        let root = it.one_root_at(&[0, 1], &id).await;
        // Its node still asks the others for the state, in each round, and gets nothing.
        it.blocks(4).await;
        let (own, _) = it.status_at(2, &id).await.unwrap();
        assert_eq!(own, before);

        it.net.members[0].kill();
        it.net.members[2].kill();
        let (a, c) = (it.net.members[0].store(), it.net.members[2].store());
        let log = ContractStore::new(a, &id).log(record.batch).unwrap().unwrap();
        let tree = ContractStore::new(c, &id).tree().clone();
        let (base, here) = tree.latest().unwrap().unwrap();
        assert_eq!(here, before);
        // Every value that the batch wrote, under the salts that a secret gives.
        let predicted = |secret: &Hash| {
            let again = |(key, held): (Vec<u8>, Option<Vec<u8>>)| {
                let value = held.map(|held| unsalted(&held).unwrap().1.to_vec());
                let held = value.map(|value| salted(secret, record.batch, &key, &value));
                (key, held)
            };
            let changes: Changes = log.changes().into_iter().map(again).collect();
            assert!(changes.len() > 2);
            tree.prepare(Some(base), record.batch, &changes).unwrap().root()
        };
        assert_ne!(predicted(&contract.package.group_secret), root, "c confirms its guess");
        assert_eq!(predicted(&group_secret), root, "the control: with the new secret it does");
    });
}
