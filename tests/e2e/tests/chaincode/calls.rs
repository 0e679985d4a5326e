//! t03, t13, t15: a call, its result, and its receipt.

use e2e::account_key;
use paralith::systems::chaincode::client::CallFile;
use paralith_chaincode_core::hashes::{sign_proposal, tx_id};
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_messages::{Message as _, Response};
use paralith_runtime_api::output::Output;
use serde_json::json;

use crate::net::{call, done, endorse_code, invoke, put, refused};
use crate::shared::{App, on_application};

#[test]
fn t03_results_and_envelopes_are_one_callers_alone() {
    on_application(App::Secrets, async |net| {
        let mut client = net.client().await;
        let (alice, erin) = (account_key("alice"), account_key("erin"));
        let one = client.propose(&alice, call("put", &put("third/a", "1"))).await.unwrap();
        let two = client.propose(&alice, call("put", &put("third/a", "1"))).await.unwrap();
        assert_ne!(one.signed.proposal, two.signed.proposal, "two envelopes of one call");
        // The envelope, in another caller's proposal: it is bound to its sender.
        let moved =
            sign_proposal(&erin, &client.chain.chain_context(), one.signed.proposal.clone());
        let moved =
            Proposed { tx_id: tx_id(&moved), signed: moved, reply_key: one.reply_key.clone() };
        assert_eq!(endorse_code(client.endorse(&moved).await), 19);
        let first = invoke(&mut client, &alice, "put", &put("third/a", "1")).await;
        let second = invoke(&mut client, &alice, "put", &put("third/b", "2")).await;
        let mut mixed = CallFile { reply_key: second.file.reply_key, ..first.file.clone() };
        assert_eq!(refused(client.result(&mut mixed).await), ("chaincode".to_string(), 7));
        let mut own = first.file.clone();
        assert_eq!(client.result(&mut own).await.unwrap(), first.output);
    });
}

#[test]
fn t13_a_failing_call_writes_nothing_and_its_text_is_the_callers() {
    on_application(App::Secrets, async |net| {
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let long = put("thirteenth/a", &"x".repeat(300));
        let invoked = invoke(&mut client, &alice, "put", &long).await;
        let Output::Error(error) = &invoked.output else { panic!("{:?}", invoked.output) };
        assert!(error.message.contains("255"), "{error:?}");
        let response = Response::decode(invoked.file.response.as_ref().unwrap()).unwrap();
        assert_eq!((response.writes.len(), response.events.len()), (0, 0));
        let public = invoked.file.response.as_ref().unwrap();
        assert!(memchr::memmem::find(public, error.message.as_bytes()).is_none());
        // What is only endorsed has no result.
        let proposed =
            client.propose(&alice, call("put", &put("thirteenth/b", "1"))).await.unwrap();
        let commit = client.endorse(&proposed).await.unwrap();
        let refused = net.release_refusal(0, &commit.response).await;
        assert!(refused.is("endorse", 22), "{refused:?}");
    });
}

#[test]
fn t15_a_receipt_verifies_offline_and_not_with_a_byte_changed() {
    on_application(App::Secrets, async |net| {
        let (saved, receipt) = (net.file("gate.call"), net.file("gate.receipt"));
        let args = put("gate", "1").to_string();
        let put = net.invoke(&["put", &args, "--save", &saved], "alice");
        let make = ["chaincode", "receipt", "make", &saved, "--out", &receipt];
        done(net.node(), &[&make[..], &["--show-result", "--show-caller"]].concat());
        let genesis = net.endorsers[0].folder.join("genesis.json").display().to_string();
        // No node is there to be asked.
        let verify = ["chaincode", "receipt", "verify", &receipt, "--genesis", &genesis];
        let shown = done("http://127.0.0.1:1", &verify);
        assert_eq!((&shown["verified"], &shown["tx"]), (&json!(true), &put["tx"]));
        assert_eq!(shown["result"], json!({ "stored": true }));
        assert_eq!(shown["organisations"].as_array().unwrap().len(), 2);
        let document = std::fs::read_to_string(&genesis).unwrap();
        let document = paralith::genesis_info::GenesisInfo::parse(&document).unwrap().document;
        let bytes = std::fs::read(&receipt).unwrap();
        paralith_chaincode_core::receipt::verify(&document, &bytes).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let verified = paralith_chaincode_core::receipt::verify(&document, &changed);
            assert!(verified.is_err(), "byte {at} of {}", bytes.len());
        }
    });
}
