//! Chaincode as its organisations and callers know it: an endorser process for each of three
//! organisations, a ledger, a key manager. The numbers are those of the specification's list of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod network;

use e2e::{DevOptions, account_key, address, claim, cli, kill, processes_of, until};
use network::{Net, SECRETS, call, done, endorse_code, ledger_code, refused, text, tweaked};
use paralith::systems::chaincode::client::{CallFile, ChaincodeClient};
use paralith_chaincode_core::hashes::endorse;
use paralith_chaincode_messages::{Endorsement, Message as _, NewCommit, Response};
use paralith_crypto::SigningKey;
use paralith_runtime_api::output::Output;
use paralith_types::Height;
use serde_json::{Value, json};

fn reply(output: &Output) -> Value {
    match output {
        Output::Ok(reply) => serde_json::from_slice(reply).unwrap(),
        Output::Error(error) => panic!("{error:?}"),
    }
}

fn put(name: &str, secret: &str) -> Value {
    json!({ "name": name, "password": "p", "secret": secret })
}

#[test]
fn t01_two_of_three_organisations_approve_and_nobody_alone() {
    claim(async {
        let net = Net::chain(DevOptions::default());
        let node = net.node();
        let proposed = net.propose(SECRETS, "secrets", "bob");
        let (id, descriptor) = (text(&proposed["runtime"]), text(&proposed["descriptor"]));
        let active = || cli(node, &["chaincode", "status", &id]).success;
        let approve =
            |who: &str, what: &str| done(node, &["runtime", "approve", &id, what, "--from", who]);
        assert!(!active(), "it is only proposed");
        // The owner is an organisation, too: alone it changes nothing.
        approve("bob", &descriptor);
        assert!(!active(), "approved by its owner alone");
        done(node, &["runtime", "approve", &id, "--withdraw", "--from", "bob"]);
        approve("carol", &descriptor);
        assert!(!active(), "the owner's approval was withdrawn");
        // Another descriptor in the place of the first: who approved that one has not approved this.
        let other = net.propose_id(&tweaked(SECRETS), "secrets", "bob", &id);
        approve("bob", &other);
        assert!(!active(), "carol has approved another descriptor");
        let stranger = cli(node, &["runtime", "approve", &id, &other, "--from", "erin"]);
        assert!(!stranger.success && stranger.error.contains("registry 27"), "{}", stranger.error);
        approve("dave", &other);
        assert!(active(), "approved by bob and dave");
        let code = paralith::network::code_of(&tweaked(SECRETS)).id;
        assert_eq!(done(node, &["chaincode", "status", &id])["code"], json!(code));
    });
}

#[test]
fn t02_a_secret_is_put_committed_and_read_and_no_host_sees_it() {
    claim(async {
        const SECRET: &str = "forty-two-and-a-very-long-tail-42424242";
        let net = Net::start(SECRETS, true).await;
        let file = net.file("put.call");
        let args = put("door", SECRET).to_string();
        let put = net.invoke(&["put", &args, "--save", &file], "alice");
        assert_eq!(put["result"], json!({ "stored": true }));
        assert_eq!(put["endorsers"].as_array().unwrap().len(), 2, "two of three are enough");
        let got = net.invoke(&["reveal", r#"{"name":"door","password":"p"}"#], "erin");
        assert_eq!(got["result"], json!({ "secret": SECRET }));
        let wrong = net.invoke(&["reveal", r#"{"name":"door","password":"q"}"#], "erin");
        assert_eq!(wrong["result"], json!({}));
        // Guesses that are never committed tell nothing, also by the length of what they would give.
        let mut client = net.client().await;
        let mut shapes = Vec::new();
        for password in ["p", "q"] {
            let guess = json!({ "name": "door", "password": password });
            let guess = client.propose(&account_key("erin"), call("reveal", &guess)).await.unwrap();
            let guess = client.endorse(&guess).await.unwrap();
            let response = Response::decode(&guess.response).unwrap();
            let sizes = response.writes.iter().map(|one| one.value.as_ref().map(Vec::len));
            shapes.push((sizes.collect::<Vec<_>>(), response.sealed_output.len()));
        }
        assert_eq!(shapes[0], shapes[1]);
        // What every endorser's host has seen and kept, and the ledger's transaction.
        let saved = CallFile::read(file.as_ref()).unwrap();
        let ledger = saved.response.clone().unwrap();
        let mut places = net.everything_at_hosts();
        places.push(("the ledger's transaction".to_string(), ledger));
        let forms = network::forms(SECRET.as_bytes());
        for (name, bytes) in &places {
            for form in &forms {
                assert!(memchr::memmem::find(bytes, form).is_none(), "{name} holds the secret");
            }
            let key = memchr::memmem::find(bytes, &saved.reply_key);
            assert!(key.is_none(), "{name} holds the key of the reply");
        }
        // The search finds what is there: the call's own id crosses every boundary.
        let id = saved.tx_id;
        let seen =
            places.iter().filter(|(_, bytes)| memchr::memmem::find(bytes, id.as_bytes()).is_some());
        assert!(seen.count() >= 2, "the search looks in the wrong places");
    });
}

#[test]
fn t03_results_and_envelopes_are_one_callers_alone() {
    claim(async {
        let net = Net::start(SECRETS, false).await;
        let mut client = net.client().await;
        let (alice, erin) = (account_key("alice"), account_key("erin"));
        let one = client.propose(&alice, call("put", &put("a", "1"))).await.unwrap();
        let two = client.propose(&alice, call("put", &put("a", "1"))).await.unwrap();
        assert_ne!(one.signed.proposal, two.signed.proposal, "two envelopes of one call");
        // The envelope, in another caller's proposal: it is bound to its sender.
        let moved = paralith_chaincode_core::hashes::sign_proposal(
            &erin,
            &client.chain.chain_context(),
            one.signed.proposal.clone(),
        );
        let moved = paralith_chaincode_core::propose::Proposed {
            tx_id: paralith_chaincode_core::hashes::tx_id(&moved),
            signed: moved,
            reply_key: one.reply_key.clone(),
        };
        assert_eq!(endorse_code(client.endorse(&moved).await), 19);
        let first = invoke(&mut client, &alice, "put", &put("a", "1")).await;
        let second = invoke(&mut client, &alice, "put", &put("b", "2")).await;
        let mut mixed = CallFile { reply_key: second.file.reply_key, ..first.file.clone() };
        assert_eq!(refused(client.result(&mut mixed).await), ("chaincode".to_string(), 7));
        let mut own = first.file.clone();
        assert_eq!(client.result(&mut own).await.unwrap(), first.output);
    });
}

async fn invoke(
    client: &mut ChaincodeClient,
    key: &SigningKey,
    method: &str,
    args: &Value,
) -> paralith::systems::chaincode::client::Invoked {
    client.invoke(key, &call(method, args), |_, _| Ok(())).await.unwrap()
}

#[test]
fn t04_endorsements_that_do_not_count_are_refused_by_the_ledger() {
    claim(async {
        let net = Net::start(SECRETS, false).await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let proposed = client.propose(&alice, call("put", &put("a", "1"))).await.unwrap();
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
        // An enclave that is revoked after it signed. Its own entity does it.
        let org = net.organisation_of(&mut client, &b.rak).await;
        let rak = b.rak.to_string();
        done(net.node(), &["runtime", "revoke-enclave", &net.id, &rak, "--from", &org]);
        assert_eq!(ledger_code(client.commit(&alice, &commit).await), 10, "revoked");
        // The two others go on.
        let invoked = invoke(&mut client, &alice, "put", &put("a", "1")).await;
        assert!(invoked.file.endorsements.iter().all(|one| one.rak != b.rak));
    });
}

#[test]
fn t05_a_commit_with_any_byte_changed_is_refused_and_changes_nothing() {
    claim(async {
        let net = Net::start(SECRETS, false).await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let proposed = client.propose(&alice, call("put", &put("a", "1"))).await.unwrap();
        let commit = client.endorse(&proposed).await.unwrap();
        let other = client.propose(&alice, call("put", &put("b", "1"))).await.unwrap();
        let other = client.endorse(&other).await.unwrap();
        let swapped = NewCommit { endorsements: other.endorsements, ..commit.clone() };
        assert_eq!(
            ledger_code(client.commit(&alice, &swapped).await),
            12,
            "another's endorsements"
        );
        let encoded = commit.encode();
        // Each is a transaction of its own: every 23rd byte, each with another bit.
        for at in (0..encoded.len()).step_by(23) {
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
    claim(async {
        let net = Net::start(SECRETS, false).await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let first = invoke(&mut client, &alice, "put", &put("a", "1")).await;
        let commit = first.file.commit().unwrap();
        assert_eq!(ledger_code(client.commit(&alice, &commit).await), 9, "at once");
        invoke(&mut client, &alice, "put", &put("a", "2")).await;
        assert_eq!(ledger_code(client.commit(&alice, &commit).await), 9, "after the entry changed");
        assert_eq!(
            ledger_code(client.commit(&account_key("erin"), &commit).await),
            9,
            "by another"
        );
        // A call whose heights are over is refused for ever.
        client.valid_blocks = Some(3);
        let short = client.propose(&alice, call("put", &put("b", "1"))).await.unwrap();
        let short = client.endorse(&short).await.unwrap();
        let until = Response::decode(&short.response).unwrap().valid_until;
        client.chain.sync_to(Height(until.0 + 2)).await.unwrap();
        // The ledger's rounds pin a height a little later.
        assert_eq!(ledger_code(client.commit(&alice, &short).await), 6);
    });
}

#[test]
fn t07_of_conflicting_calls_one_commits_and_retries_count_them_all() {
    claim(async {
        let net = Net::start(paralith::guests::COUNTER, false).await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let add = call("add", &json!({ "amount": 1 }));
        let mut commits = Vec::new();
        for _ in 0..2 {
            let proposed = client.propose(&alice, add.clone()).await.unwrap();
            commits.push(client.endorse(&proposed).await.unwrap());
        }
        let (mut other, erin) = (net.client().await, account_key("erin"));
        let (a, b) =
            tokio::join!(client.commit(&alice, &commits[0]), other.commit(&erin, &commits[1]));
        let conflicts: Vec<u32> =
            [a, b].into_iter().filter(Result::is_err).map(ledger_code).collect();
        assert_eq!(conflicts, [15], "the first wins, the other conflicts");
        // 100 calls of ten callers end at 101.
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..10_u8 {
            let mut client = net.client().await;
            let add = add.clone();
            callers.spawn(async move {
                let key = SigningKey::from_seed([number + 1; 32]);
                let mut conflicts = 0;
                for _ in 0..10 {
                    conflicts += network::insist(&mut client, &key, &add).await;
                }
                conflicts
            });
        }
        let conflicts: usize = callers.join_all().await.into_iter().sum();
        let count = client.evaluate(None, call("get", &json!({}))).await.unwrap();
        assert_eq!(count.output, Output::Ok(b"101".to_vec()));
        println!("100 increments of 10 callers: {conflicts} conflicts");
        assert!(conflicts > 0, "they must have met");
    });
}

#[test]
fn t07_calls_on_entries_of_their_own_do_not_conflict() {
    claim(async {
        let net = Net::start(SECRETS, false).await;
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..10_u8 {
            let mut client = net.client().await;
            callers.spawn(async move {
                let key = SigningKey::from_seed([number + 1; 32]);
                let mut conflicts = 0;
                for entry in 0..10 {
                    let args = put(&format!("{number}/{entry}"), "1");
                    conflicts += invoke(&mut client, &key, "put", &args).await.conflicts;
                }
                conflicts
            });
        }
        assert_eq!(callers.join_all().await, [0; 10]);
    });
}

#[test]
fn t08_an_endorser_comes_back_as_itself_and_an_old_identity_does_not() {
    claim(async {
        let mut net = Net::start(SECRETS, false).await;
        net.invoke(&["put", &put("door", "1").to_string()], "alice");
        let rak = net.rak(0);
        let record = |net: &Net| net.record(&rak);
        let before = record(&net);
        // The enclave's process alone.
        let enclaves = processes_of(net.endorsers[0].process.id(), "endorser-enclave");
        assert_eq!(enclaves.len(), 1);
        kill(enclaves[0]);
        until("the enclave is started anew", async || {
            let now = processes_of(net.endorsers[0].process.id(), "endorser-enclave");
            (now.len() == 1 && now != enclaves).then_some(())
        })
        .await;
        net.serving(0).await;
        assert_eq!(net.rak(0), rak, "the same identity");
        // The whole node.
        net.endorsers[0].process.kill();
        let old = net.identity(0);
        net.endorsers[0].launch();
        net.serving(0).await;
        assert_eq!((net.rak(0), record(&net)), (rak.clone(), before), "nothing was registered");
        let reads = ["reveal", r#"{"name":"door","password":"p"}"#];
        let only = net.invoke_by(&[0, 1], &reads, "alice");
        assert_eq!(only["result"], json!({ "secret": "1" }), "it decrypts old state");
        // Without the blob it is another enclave, which the node registers.
        net.endorsers[0].process.kill();
        net.set_identity(0, None);
        net.endorsers[0].launch();
        net.serving(0).await;
        let new = net.rak(0);
        assert_ne!(new, rak);
        assert_eq!(net.record(&rak), Value::Null, "the registry names the new one alone");
        // The older blob, put back: the enclave refuses to be the one before, and a third one comes.
        net.endorsers[0].process.kill();
        net.set_identity(0, old);
        net.endorsers[0].launch();
        until("the old identity is found out", async || {
            let now = net.try_rak(0)?;
            (now != rak && now != new).then_some(())
        })
        .await;
        net.serving(0).await;
        assert!(net.log(0).contains("enclave 25"), "{}", net.log(0));
    });
}

#[test]
fn t11_until_an_auction_closes_nobody_learns_a_bid_and_a_late_bid_is_refused() {
    claim(async {
        let net = Net::start(paralith::guests::AUCTION, false).await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let until = client.chain.sync().await.unwrap().0 + 30;
        let lot = json!({ "name": "lot" });
        let opened =
            invoke(&mut client, &alice, "open", &json!({"name": "lot", "until": until})).await;
        assert_eq!(reply(&opened.output), json!({ "opened": true }));
        let bid = |amount: u64| json!({ "name": "lot", "amount": amount.to_string() });
        invoke(&mut client, &account_key("erin"), "bid", &bid(70)).await;
        // Probes: calls that are endorsed and never committed. One would win, one would lose.
        let mut seen = Vec::new();
        for amount in [60, 80] {
            let probe = client.propose(&alice, call("bid", &bid(amount))).await.unwrap();
            let commit = client.endorse(&probe).await.unwrap();
            let response = Response::decode(&commit.response).unwrap();
            let places = |r: &Response| {
                let writes = r.writes.iter().map(|w| (w.index, w.value.as_ref().map(Vec::len)));
                (r.reads.clone(), writes.collect::<Vec<_>>(), r.events.clone(), r.commit_before)
            };
            seen.push((places(&response), response.sealed_output.len(), commit));
        }
        assert_eq!(seen[0].0, seen[1].0, "same places, sizes and events, whoever would win");
        assert_eq!(seen[0].1, seen[1].1, "and results of one length");
        let result = client.evaluate(None, call("result", &lot)).await.unwrap();
        assert_eq!(reply(&result.output), json!({ "closed": false }));
        // What was only endorsed is not released.
        let (_, _, late) = seen.pop().unwrap();
        client.chain.sync_to(Height(until + 1)).await.unwrap();
        // Its own `valid_until` is later: the chaincode's deadline refuses it.
        assert_eq!(ledger_code(client.commit(&alice, &late).await), 7);
        let closed = invoke(&mut client, &alice, "close", &lot).await;
        let winner = address("erin").to_string();
        let expected = json!({ "closed": true, "winner": winner, "amount": "70" });
        assert_eq!(reply(&closed.output), expected);
    });
}

#[test]
fn t12_an_upgrade_refuses_old_endorsements_and_keeps_the_state() {
    claim(async {
        let net = Net::start(SECRETS, false).await;
        net.invoke(&["put", &put("door", "1").to_string()], "alice");
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let old = client.propose(&alice, call("put", &put("b", "1"))).await.unwrap();
        let old = client.endorse(&old).await.unwrap();
        net.upgrade(&tweaked(SECRETS)).await;
        assert_eq!(ledger_code(client.commit(&alice, &old).await), 4, "signed for sequence 1");
        let mut client = net.client().await;
        let early = client.propose(&alice, call("put", &put("c", "1"))).await.unwrap();
        assert_eq!(endorse_code(client.endorse(&early).await), 20, "app.migrate is due");
        invoke(&mut client, &account_key("carol"), "app.migrate", &json!({})).await;
        let got = net.invoke(&["reveal", r#"{"name":"door","password":"p"}"#], "erin");
        assert_eq!(got["result"], json!({ "secret": "1" }));
    });
}

#[test]
fn t13_a_failing_call_writes_nothing_and_its_text_is_the_callers() {
    claim(async {
        let net = Net::start(SECRETS, false).await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let long = put("a", &"x".repeat(300));
        let invoked = invoke(&mut client, &alice, "put", &long).await;
        let Output::Error(error) = &invoked.output else { panic!("{:?}", invoked.output) };
        assert!(error.message.contains("255"), "{error:?}");
        let response = Response::decode(invoked.file.response.as_ref().unwrap()).unwrap();
        assert_eq!((response.writes.len(), response.events.len()), (0, 0));
        let public = invoked.file.response.as_ref().unwrap();
        assert!(memchr::memmem::find(public, error.message.as_bytes()).is_none());
        // What is only endorsed has no result.
        let proposed = client.propose(&alice, call("put", &put("b", "1"))).await.unwrap();
        let commit = client.endorse(&proposed).await.unwrap();
        assert_eq!(network::release_code(&net, &commit.response).await, 22);
    });
}

#[test]
fn t15_a_receipt_verifies_offline_and_not_with_a_byte_changed() {
    claim(async {
        let net = Net::start(SECRETS, false).await;
        let (saved, receipt) = (net.file("put.call"), net.file("put.receipt"));
        let args = put("door", "1").to_string();
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

#[test]
fn t16_a_new_endorser_serves_all_data_after_all_others_are_lost() {
    claim(async {
        let mut net = Net::start(SECRETS, false).await;
        net.invoke(&["put", &put("door", "1").to_string()], "alice");
        for endorser in &mut net.endorsers {
            endorser.process.kill();
            std::fs::remove_dir_all(&endorser.folder).unwrap();
        }
        net.endorsers.clear();
        for organisation in ["carol", "dave"] {
            net.add_endorser(organisation);
        }
        for endorser in 0..2 {
            net.serving(endorser).await;
        }
        let got = net.invoke(&["reveal", r#"{"name":"door","password":"p"}"#], "erin");
        assert_eq!(got["result"], json!({ "secret": "1" }));
    });
}

#[test]
fn the_demonstration_shows_every_step() {
    claim(async {
        let shown = cli("http://127.0.0.1:1", &["demo", "chaincode"]);
        assert!(shown.success, "{}", shown.error);
        let steps: Vec<&str> =
            shown.json.iter().map(|line| line["step"].as_str().unwrap()).collect();
        let expected = [
            "chain",
            "approve",
            "endorsers",
            "open",
            "bid",
            "host",
            "probe",
            "conflict",
            "close",
            "receipt",
        ];
        assert_eq!(steps, expected);
        let facts = |step: &str| {
            shown.json.iter().find(|line| line["step"] == step).unwrap()["facts"].clone()
        };
        assert_eq!(facts("approve")["active after one approval"], json!(false));
        assert_eq!(facts("approve")["active after two"], json!(true));
        assert_eq!(facts("bid")["signatures"], json!(2));
        assert_eq!(facts("host")["the bid in them"], json!(false));
        assert_eq!(facts("probe")["a losing and a winning probe look the same"], json!(true));
        assert_eq!(facts("probe")["results released"], json!(false));
        let refused = facts("conflict")["dave is refused"].as_str().unwrap().to_string();
        assert!(refused.contains("ledger 15"), "{refused}");
        assert_eq!(facts("close")["carol wins"], json!(true));
        assert_eq!(facts("receipt")["with a byte changed it is refused"], json!(true));
    });
}
