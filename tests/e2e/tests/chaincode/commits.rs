//! t04, t05, t06: commits that the ledger refuses. Every byte, every code, and records that were pruned: the
//! tests of `systems/chaincode/ledger`.

use e2e::account_key;
use paralith_chaincode_core::hashes::endorse;
use paralith_chaincode_messages::{Endorsement, Message as _, NewCommit, Response};
use paralith_crypto::SigningKey;
use paralith_runtime_api::output::Output;
use paralith_types::Height;

use crate::net::{call, invoke, ledger_code, put, reach};
use crate::shared::{App, on_application};

#[test]
fn t04_endorsements_that_do_not_count_are_refused_by_the_ledger() {
    on_application(App::Secrets, async |net| {
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let proposed = client.propose(&alice, call("put", &put("fourth/a", "1"))).await.unwrap();
        let commit = client.endorse(&proposed).await.unwrap();
        let chain = client.chain.chain_context();
        let [a, b] = [0, 1].map(|at| commit.endorsements[at].clone());
        let foreign = endorse(&SigningKey::from_seed([9; 32]), &chain, &commit.response);
        let unsigned = Endorsement { signature: a.signature, ..b.clone() };
        let with = |list: &[&Endorsement]| NewCommit {
            response: commit.response.clone(),
            endorsements: list.iter().map(|one| (*one).clone()).collect(),
        };
        for (list, code, what) in [
            (with(&[]), 14, "none"),
            (with(&[&a]), 14, "one"),
            (with(&[&a, &a]), 13, "two of one enclave"),
            (with(&[&a, &foreign]), 10, "an enclave in no index"),
            (with(&[&a, &unsigned]), 12, "another's signature"),
        ] {
            assert_eq!(ledger_code(client.commit(&alice, &list).await), code, "{what}");
        }
    });
}

#[test]
fn t05_a_commit_with_any_byte_changed_is_refused_and_changes_nothing() {
    on_application(App::Secrets, async |net| {
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let proposed = client.propose(&alice, call("put", &put("fifth/a", "1"))).await.unwrap();
        let commit = client.endorse(&proposed).await.unwrap();
        let other = client.propose(&alice, call("put", &put("fifth/b", "1"))).await.unwrap();
        let other = client.endorse(&other).await.unwrap();
        let swapped = NewCommit { endorsements: other.endorsements, ..commit.clone() };
        assert_eq!(
            ledger_code(client.commit(&alice, &swapped).await),
            12,
            "another's endorsements"
        );
        let encoded = commit.encode();
        // Each is a transaction of its own: every 61st byte, each with another bit.
        for at in (0..encoded.len()).step_by(61) {
            let mut bytes = encoded.clone();
            bytes[at] ^= 1 << (at % 8);
            let call = paralith_runtime_api::tx::Call { method: "commit".into(), args: bytes };
            let confirmed = client.submit(&alice, call).await.unwrap();
            assert!(matches!(confirmed.output, Output::Error(_)), "byte {at}");
        }
        assert_eq!(net.ledger_entries(&mut client, &commit).await, [None, None]);
        client.commit(&alice, &commit).await.unwrap();
    });
}

#[test]
fn t06_a_call_counts_once() {
    on_application(App::Secrets, async |net| {
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let first = invoke(&mut client, &alice, "put", &put("sixth/a", "1")).await;
        let commit = first.file.commit().unwrap();
        assert_eq!(ledger_code(client.commit(&alice, &commit).await), 9, "at once");
        invoke(&mut client, &alice, "put", &put("sixth/a", "2")).await;
        assert_eq!(ledger_code(client.commit(&alice, &commit).await), 9, "after the entry changed");
        assert_eq!(
            ledger_code(client.commit(&account_key("erin"), &commit).await),
            9,
            "by another"
        );
        // A call whose heights are over is refused for ever.
        client.valid_blocks = Some(3);
        let short = client.propose(&alice, call("put", &put("sixth/b", "1"))).await.unwrap();
        let short = client.endorse(&short).await.unwrap();
        let until = Response::decode(&short.response).unwrap().valid_until;
        reach(&mut client.chain, Height(until.0 + 2)).await;
        // The ledger's rounds pin a height a little later.
        assert_eq!(ledger_code(client.commit(&alice, &short).await), 6);
    });
}
