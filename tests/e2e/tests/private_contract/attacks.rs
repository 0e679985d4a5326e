//! Senders that lie, and what the mediator and members make of it.

use std::collections::BTreeSet;

use e2e::{account_key, until};
use paralith::systems::private_contract::client::PrivateTx;
use paralith_consensus_api::address as addresses;
use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::sealing::{CallOf, KeySetRef, seal_call};
use paralith_private_contract_messages::{
    Canonical as _, Complain, KeySet, Revealed, Revoke, Submit, TransactionStatus, WrapsRecord,
    keys as places,
};
use paralith_types::{Amount, Height};
use prost::Message as _;
use serde_json::json;

use crate::net::on_network;
use crate::session::{Parties, call, code_of, counter, mediator};

#[test]
fn test_07_false_wraps_are_malformed_everywhere_and_the_complaint_pays() {
    on_network(async |it| {
        let alice = account_key("alice");
        it.deposit(&alice, 1_000).await;
        let deposit = |terms: &mut paralith_private_contract_messages::Terms| {
            terms.deposit = Amount(90);
        };
        let contract = it.contract("2 of (a, b, c)", counter(), deposit).await;
        let add = call("add", &json!({ "amount": 1 }));
        // Missing or longer ones are not taken.
        let tx = it.seal(&contract, &add, &[0]).await;
        let mut missing = tx.clone();
        missing.sealed.wraps.pop();
        assert_eq!(code_of(it.submit(&contract, &missing, 0).await), mediator(12));
        let mut longer = tx.clone();
        longer.sealed.wraps[1].push(0);
        assert_eq!(code_of(it.submit(&contract, &longer, 0).await), mediator(12));
        // One byte of b's is changed: a and c can show it.
        let members: Vec<_> = (0..3).map(|place| addresses::of_key(&it.key(place))).collect();
        let mut before = Vec::new();
        for member in &members {
            before.push(it.balance(member).await);
        }
        let mut changed = tx.clone();
        let last = changed.sealed.wraps[1].len() - 1;
        changed.sealed.wraps[1][last] ^= 1;
        let seq = it.submit(&contract, &changed, 0).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Malformed);
        for (member, before) in members.iter().zip(before) {
            until("the deposit goes to the members", async || {
                (it.balance(member).await == before + 30).then_some(())
            })
            .await;
        }
        // Swapped ones, and those of another transaction.
        let other = it.seal(&contract, &add, &[0]).await;
        let mut swapped = other.clone();
        swapped.sealed.wraps.swap(0, 1);
        let seq = it.submit(&contract, &swapped, 0).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Malformed);
        let mut foreign = it.seal(&contract, &add, &[0]).await;
        foreign.sealed.wraps[2] = other.sealed.wraps[2].clone();
        let seq = it.submit(&contract, &foreign, 0).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Malformed);
        // Nobody frames an honest sender.
        let honest = it.seal(&contract, &add, &[0]).await;
        let seq = it.submit(&contract, &honest, 0).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Yes);
        for (index, sk) in [(0, honest.sk), (1, honest.sk), (2, honest.sk), (0, [7; 32])] {
            let complaint = Complain {
                contract_id: contract.id,
                seq,
                sk: Revealed(sk),
                uri: String::new(),
                index,
            };
            let key = it.net.members[0].keys.account_key().clone();
            let framed = it.client.call(&key, "complain", complaint.encode()).await;
            assert_eq!(code_of(framed), mediator(24), "{index}");
        }
        // A malformed call was not executed anywhere.
        it.one_root(&contract.id).await;
        for place in 0..3 {
            assert_eq!(it.query(place, &contract.id, "get", &json!({})).await, json!(1));
        }
    });
}

#[test]
fn test_10_each_fault_of_a_submission_has_its_code_and_uses_up_no_number() {
    on_network(async |it| {
        let receipts = |terms: &mut paralith_private_contract_messages::Terms| {
            terms.min_receipts = 1;
        };
        let contract = it.contract("2 of (a, b, c)", counter(), receipts).await;
        let (alice, bob) = (account_key("alice"), account_key("bob"));
        let add = call("add", &json!({ "amount": 1 }));
        let tx = it.seal(&contract, &add, &[0]).await;
        let submit = Submit {
            contract_id: contract.id,
            keys_version: tx.keys_version,
            certificate: contract.certificate.clone(),
            content_hash: tx.sealed.content_hash,
            content_bytes: tx.sealed.content.len().try_into().unwrap(),
            key_commitment: tx.sealed.key_commitment,
            sender_seq: tx.sender_seq,
            wraps: tx.sealed.wraps.clone(),
            receipts: tx.receipts.clone(),
            payment: Amount::ZERO,
        };
        let height = it.height().await;
        let mut faults = vec![
            (11, Submit { sender_seq: 1, ..submit.clone() }),
            (3, Submit { keys_version: 9, ..submit.clone() }),
            (29, Submit { receipts: vec![], ..submit.clone() }),
            (15, Submit { payment: Amount(u128::MAX / 2), ..submit.clone() }),
            (13, Submit { content_bytes: 64 * 1024 + 1, ..submit.clone() }),
        ];
        let other = it.contract("2 of (a, b, c)", counter(), receipts).await;
        let mut unsigned = contract.certificate.clone();
        unsigned.serial += 1;
        for (code, certificate) in [
            (4, it.certificate(&contract.id, alice.public(), |it| it.issuer = bob.public()).await),
            (5, other.certificate.clone()),
            (6, it.certificate(&contract.id, bob.public(), |_| {}).await),
            (
                7,
                it.certificate(&contract.id, alice.public(), |it| {
                    it.not_after = Height(height - 1)
                })
                .await,
            ),
            (9, unsigned),
        ] {
            faults.push((code, Submit { certificate, ..submit.clone() }));
        }
        // A receipt for another number.
        let mut receipt = submit.receipts.clone();
        receipt[0].until += 1;
        faults.push((30, Submit { receipts: receipt, ..submit.clone() }));
        for (code, fault) in faults {
            let refused = it.client.call(&alice, "submit", fault.encode()).await;
            assert_eq!(code_of(refused), mediator(code));
        }
        assert_eq!(it.client.contract(&contract.id).await.unwrap().next_seq, 1, "no INIT");
        // None of them has used up the number; the same call takes effect once.
        it.client.call(&alice, "submit", submit.encode()).await.unwrap();
        assert_eq!(it.fini(&contract.id, 1).await.status, TransactionStatus::Yes);
        let replayed = it.client.call(&alice, "submit", submit.encode()).await;
        assert_eq!(code_of(replayed), mediator(10));
        // A certificate that is revoked.
        let revoke =
            Revoke { contract_id: contract.id, issuer: alice.public(), serial: 1 }.encode();
        it.client.call(&alice, "revoke", revoke).await.unwrap();
        let next = Submit { sender_seq: 1, ..submit.clone() };
        let refused = it.client.call(&alice, "submit", next.encode()).await;
        assert_eq!(code_of(refused), mediator(8));
        assert_eq!(it.client.contract(&contract.id).await.unwrap().next_seq, 2);
    });
}

#[test]
fn test_08_no_two_wraps_of_one_content_key_share_an_encapsulated_key() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", counter(), |_| {}).await;
        let (alice, bob) = (account_key("alice").public(), account_key("bob").public());
        let encode = |amount: u64| call("add", &json!({ "amount": amount })).encode_to_vec();
        let sk = [0x5a; 32];
        let (mut seen, mut sealings) = (BTreeSet::new(), 0);
        let mut first: Option<PrivateTx> = None;
        // The same members under two key sets: after a change, all of them have a new one.
        for keys_version in [1, 2] {
            let key_set: KeySet = it
                .client
                .record(places::key_set(&contract.id, keys_version))
                .await
                .unwrap()
                .unwrap();
            let uris = ["", "http://127.0.0.1:1/data/00", "http://127.0.0.1:2/data/00"];
            for (sender, sender_seq, amount, uri) in [
                (alice, 0, 1, uris[0]),
                (alice, 0, 1, uris[1]),
                (alice, 0, 1, uris[2]),
                (alice, 0, 2, uris[0]),
                (alice, 1, 1, uris[0]),
                (bob, 0, 1, uris[0]),
            ] {
                let of = CallOf { place: it.client.place(contract.id), sender, sender_seq };
                let keys = KeySetRef { version: keys_version, set: &key_set };
                let sealed =
                    seal_call(&of, keys, &ContentKey::new(sk), uri, &encode(amount)).unwrap();
                seen.extend(sealed.wraps.iter().map(|wrap| wrap[..32].to_vec()));
                sealings += sealed.wraps.len();
                let contract_id = contract.id;
                let receipts = Vec::new();
                let tx = PrivateTx { contract_id, sender_seq, keys_version, sk, sealed, receipts };
                first.get_or_insert(tx);
            }
            if keys_version == 1 {
                // One of them takes its way; the later one finds none of its keys again.
                let height = it.height().await;
                let mut tx = first.clone().unwrap();
                let mut member = it.member(0).await;
                let key = account_key("alice");
                tx.store_at(&mut member, &key, &contract.certificate, height).await.unwrap();
                let seq = it.submit(&contract, &tx, 0).await.unwrap();
                assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Yes);
                let sent: WrapsRecord =
                    it.client.record(places::wraps(&contract.id, seq)).await.unwrap().unwrap();
                assert!(sent.wraps.iter().all(|wrap| seen.contains(&wrap[..32])));
                let everybody =
                    Parties { places: &[0, 1, 2], hands: &[], policy: "2 of (a, b, c)" };
                let next = it.next_definition(&contract, everybody, &contract.package).await;
                let change = it.agreed(&contract, &next, false, &[(0, 0), (1, 1)]);
                it.change(&change).await.unwrap();
                assert_eq!(it.settled(&contract).await, (2, 2));
            }
        }
        assert_eq!((sealings, seen.len()), (36, 36), "two wraps share an encapsulated key");
        // The same key to the same members for the same call, sealed again, is the same: nothing is random in it.
        let of = CallOf { place: it.client.place(contract.id), sender: alice, sender_seq: 0 };
        let key_set: KeySet =
            it.client.record(places::key_set(&contract.id, 2)).await.unwrap().unwrap();
        let keys = KeySetRef { version: 2, set: &key_set };
        let again = seal_call(&of, keys, &ContentKey::new(sk), "", &encode(1)).unwrap();
        assert!(again.wraps.iter().all(|wrap| seen.contains(&wrap[..32])), "the control");
    });
}
