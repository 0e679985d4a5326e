//! t10: what a lying or silent host gets out of a real enclave, and what the ledger makes of it. Forks, other
//! lies, 100 anchors and 1,000 nonces: the tests of `systems/chaincode/endorser`.

use e2e::{account_key, binary};
use paralith::systems::chaincode::client::ChaincodeClient;
use paralith_adversary::endorser::{Host, Show};
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_endorser::calls::{Answered, EvaluateRequest};
use paralith_chaincode_messages::{Endorsement, Message as _, NewCommit, Proposal, Response};
use paralith_crypto::SigningKey;
use paralith_proto::Canonical as _;
use paralith_runtime_api::envelope::{Info, open_reply, seal_call};
use paralith_runtime_api::output::{Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::Body;
use paralith_types::{Hash, Height, Round};
use serde_json::{Value, json};

use crate::net::{Net, call, endorse_code, invoke, ledger_code, reach, refused};
use crate::shared::on_chain;

const REPLY_KEY: [u8; 32] = [44; 32];

/// How often one call is tried with another nonce.
const NONCES: usize = 20;

/// A question for the count, which need not be newer than a height, and what opens the answer.
async fn question(client: &mut ChaincodeClient, at_least: u64) -> (EvaluateRequest, Hash) {
    let (chain_context, runtime_id) = (client.chain.chain_context(), client.runtime.id);
    let epoch = client.chain.epoch_key(&client.runtime).await.unwrap();
    let info = Info::query(chain_context, runtime_id, epoch.epoch, None);
    let get = call("get", &json!({}));
    let envelope = seal_call(&epoch.key, &info, get, REPLY_KEY, [9; 32]).unwrap();
    let body = Body::Envelope(envelope);
    let query = Query { chain_context, runtime_id, body, signed: None };
    (EvaluateRequest { query: query.encode(), at_least, certificate: None }, query.hash())
}

fn answer(answered: &Answered, subject: &Hash) -> Value {
    let root = Hash::try_from(answered.state_root.as_slice()).unwrap();
    let reply = SealedReply::decode(&answered.output, 100_000).unwrap();
    let opened =
        open_reply(&REPLY_KEY, subject, Round(answered.round), &root, &reply.sealed).unwrap();
    match Output::decode(&opened, 100_000).unwrap() {
        Output::Ok(value) => serde_json::from_slice(&value).unwrap(),
        Output::Error(error) => panic!("{error:?}"),
    }
}

async fn add(client: &mut ChaincodeClient, key: &SigningKey) {
    invoke(client, key, "add", &json!({ "amount": 1 })).await;
}

#[test]
fn t10_a_lying_host_gets_no_signature_and_a_silent_one_none_that_ever_commits() {
    on_chain(async |net| {
        net.serve(paralith::guests::COUNTER, &["bob", "carol"], &json!({})).await;
        let config = net.admit("dave").0.join("node.toml");
        let host = Host::start(&config, binary()).await.unwrap();
        let (mut client, alice) = (net.client().await, account_key("alice"));
        add(&mut client, &alice).await;
        for show in [Show::OldState, Show::InventedRoot] {
            // On an anchor of which the enclave has seen nothing yet.
            add(&mut client, &alice).await;
            let asked = client.propose(&alice, call("add", &json!({ "amount": 1 }))).await.unwrap();
            host.reach(anchor(&asked)).await.unwrap();
            host.show(show.clone());
            let refused = refused(host.endorse(&asked).await);
            assert!(["enclave", "view", "endorse"].contains(&refused.0.as_str()), "{refused:?}");
            host.show(Show::Truth);
            // An epoch may have begun.
            host.renew().await.unwrap();
            let honest = net.endorsed_by(0, &asked).await.response;
            assert_eq!(host.endorse(&asked).await.unwrap().response, honest, "{show:?}");
        }
        silent(net, &host, &mut client, &alice).await;
        nonces(&host, &mut client, &alice).await;
    });
}

fn anchor(asked: &Proposed) -> Height {
    Proposal::decode(&asked.signed.proposal).unwrap().anchor
}

/// It shows no more blocks.
async fn silent(net: &Net, host: &Host, client: &mut ChaincodeClient, alice: &SigningKey) {
    client.valid_blocks = Some(10);
    let asked = client.propose(alice, call("add", &json!({ "amount": 1 }))).await.unwrap();
    client.valid_blocks = None;
    let bobs = net.endorsed_by(0, &asked).await;
    let valid_until = Response::decode(&bobs.response).unwrap().valid_until;
    let (old, subject) = question(client, 0).await;
    host.renew().await.unwrap();
    host.reach(anchor(&asked)).await.unwrap();
    host.endorse(&asked).await.unwrap();
    let count = answer(&host.evaluate(old.clone()).await.unwrap(), &subject);
    let stopped = host.height().unwrap();
    host.show(Show::NothingAbove(stopped));
    add(client, alice).await;
    reach(&mut client.chain, Height(valid_until.0 + 2)).await;

    // It signs on the old anchor. With bob's signature, made in time, that would have been enough.
    let late = host.endorse(&asked).await.unwrap();
    assert_eq!(late.response, bobs.response);
    let late = Endorsement::decode(&late.endorsement).unwrap();
    let commit = NewCommit { endorsements: [bobs.endorsements, vec![late]].concat(), ..bobs };
    assert_eq!(ledger_code(client.commit(alice, &commit).await), 6);
    // Nobody learns from it what came later.
    let known = answer(&host.evaluate(old.clone()).await.unwrap(), &subject);
    assert_eq!(known, count, "the state where it stopped");
    let (newer, _) = question(client, valid_until.0).await;
    assert_eq!(endorse_code(host.evaluate(newer).await), 8);
    let truth = client.evaluate(None, call("get", &json!({}))).await.unwrap();
    assert_ne!(truth.output, Output::Ok(count.to_string().into_bytes()));

    // A restart ends it.
    host.restart();
    host.serve().await.unwrap_err();
    assert_eq!(endorse_code(host.endorse(&asked).await), 5);
    assert_eq!(endorse_code(host.evaluate(old).await), 5);
    host.show(Show::Truth);
    host.serve().await.unwrap();
}

/// It runs one call with many nonces: what is not committed stays closed.
async fn nonces(host: &Host, client: &mut ChaincodeClient, alice: &SigningKey) {
    let mut tried = Vec::new();
    for _ in 0..NONCES {
        let asked = client.propose(alice, call("add", &json!({ "amount": 1 }))).await.unwrap();
        tried.push(client.endorse(&asked).await.unwrap());
    }
    let chosen = tried.pop().unwrap();
    client.commit(alice, &chosen).await.unwrap();
    host.reach(client.chain.sync().await.unwrap()).await.unwrap();
    host.release(chosen.response).await.unwrap();
    for one in tried {
        assert_eq!(endorse_code(host.release(one.response).await), 22);
    }
}
