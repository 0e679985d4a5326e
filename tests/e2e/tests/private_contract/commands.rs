//! The commands, from a member's folder to a receipt that verifies without a node.

use std::path::Path;

use e2e::{address, cli, until};
use serde_json::{Value, json};

use crate::net::{NAMES, done, on_network, text};
use crate::session::Session;

fn named(it: &Session, place: usize) -> String {
    format!("{}={}", NAMES[place], it.key(place))
}

/// A contract of `tokens` that is made by commands, and alice's certificate.
async fn contract(it: &Session, folder: &Path, places: &[usize], policy: &str) -> (String, String) {
    std::fs::create_dir(folder).unwrap();
    let node = it.net.node.clone();
    let node = node.as_str();
    let file = |name: &str| text(&folder.join(name));
    std::fs::write(file("tokens.wasm"), paralith::guests::TOKENS).unwrap();
    let init = json!({ "minter": address("alice") }).to_string();
    let (module, package) = (file("tokens.wasm"), file("trade.package"));
    done(node, &["contract", "package", &module, "--init", &init, "--out", &package]);
    let named: Vec<String> = places.iter().map(|place| named(it, *place)).collect();
    let sealed = file("sealed");
    let mut create = vec!["contract", "create", &package, "--policy", policy];
    named.iter().for_each(|member| create.extend(["--member", member]));
    create.extend(["--out", &sealed, "--fetch-blocks", "10", "--vote-blocks", "60"]);
    // The members' nodes publish their keys by themselves.
    let created = until("the members' keys", async || {
        let created = cli(node, &create);
        created.success.then(|| created.json[0].clone())
    })
    .await;
    let id = created["contract"].as_str().unwrap().to_string();
    for (index, place) in places.iter().enumerate() {
        let member = &it.net.members[*place];
        let package = format!("{sealed}/package-{index}");
        let joined = until("the member sees the contract", async || {
            let keys = member.key_options();
            let mut args = vec!["contract", "join", &id, &package, "--member", &member.url];
            args.extend(keys.iter().map(String::as_str));
            let joined = cli(node, &args);
            joined.success.then(|| joined.json[0].clone())
        })
        .await;
        assert_eq!(joined["root"], created["genesis_root"]);
    }
    assert_eq!(done(node, &["contract", "show", &id])["status"], "Active");
    let certificate = file("alice.certificate");
    done(node, &["contract", "certify", &id, "alice", "--serial", "1", "--out", &certificate]);
    (id, certificate)
}

#[test]
fn test_01_a_call_is_decided_by_two_of_three_and_its_receipt_verifies() {
    on_network(async |it| {
        let (node, folder) = (it.net.node.clone(), it.net.folder.join("decided"));
        let (id, certificate) = contract(it, &folder, &[0, 1, 2], "2 of (a, b, c)").await;
        let node = node.as_str();
        let file = |name: &str| text(&folder.join(name));
        let (saved, receipt) = (file("mint.tx"), file("mint.receipt"));
        let mint = json!({ "to": address("bob"), "amount": "77" }).to_string();
        let members: Vec<String> = it.net.members.iter().map(|one| one.url.clone()).collect();
        let mut submit = vec!["contract", "submit", &id, "mint", &mint];
        submit.extend(["--certificate", &certificate, "--member", &members[0], "--save", &saved]);
        let sent = done(node, &submit);
        assert_eq!((&sent["seq"], &sent["receipts"]), (&json!(1), &json!(1)));
        // INIT, then FINI=YES for one hash.
        let watched = cli(node, &["contract", "watch", &id, "--count", "2"]);
        assert!(watched.success, "{}", watched.error);
        let (init, fini) = (&watched.json[0], &watched.json[1]);
        assert_eq!(init["event"], "PrivateTX_INIT");
        assert_eq!((&fini["event"], &fini["status"]), (&json!("PrivateTX_FINI"), &json!("YES")));
        assert_eq!(init["content_hash"], sent["content_hash"]);
        assert_eq!(fini["content_hash"], sent["content_hash"]);
        // All three have FINI's root, also those that were not asked to keep the content.
        assert_eq!(done(node, &["contract", "root", &id])["root"], fini["root"]);
        for member in &it.net.members {
            let keys = member.key_options();
            let mut args = vec!["contract", "root", &id, "--member", &member.url];
            args.extend(keys.iter().map(String::as_str));
            until("the member has the root", async || {
                (done(node, &args)["member"]["root"] == fini["root"]).then_some(())
            })
            .await;
        }
        // The result is the sender's alone.
        let result = ["contract", "result", &saved, "--member", &members[1]];
        let own = done(node, &[&result[..], &["--receipt", &receipt]].concat());
        assert_eq!((&own["class"], &own["verified"]), (&json!("executed"), &json!(true)));
        let other = cli(node, &[&result[..], &["--from", "bob"]].concat());
        assert!(!other.success && other.error.contains("stakeholder 6"), "{}", other.error);
        // What is public of it, from the committee and from a member.
        let fate = file("mint.fini");
        let public = done(node, &["contract", "receipt", &id, "1", "--out", &fate]);
        assert_eq!((&public["status"], &public["root"]), (&json!("YES"), &fini["root"]));
        let at_member = ["contract", "receipt", &id, "1", "--member", &members[2]];
        assert_eq!(done(node, &at_member)["root"], fini["root"]);
        let none = cli(node, &["contract", "receipt", &id, "2"]);
        assert!(
            !none.success && none.error.contains("there is no transaction 2"),
            "{}",
            none.error
        );
        // A disclosed entry.
        let entry = file("minter.disclosure");
        let keys = it.net.members[0].key_options();
        let mut prove = vec!["contract", "prove", &id, "minter", "--member", &members[0]];
        prove.extend(keys.iter().map(String::as_str));
        prove.extend(["--out", &entry]);
        done(node, &prove);
        // All three verify by a node, and by the genesis document alone; not with a byte changed.
        let genesis = text(&it.net.members[0].folder.join("genesis.json"));
        let nowhere = "http://127.0.0.1:1";
        for proof in [&receipt, &fate, &entry] {
            let verify = ["contract", "verify", proof];
            assert_eq!(done(node, &verify)["verified"], json!(true));
            let offline = done(nowhere, &[&verify[..], &["--genesis", &genesis]].concat());
            assert_eq!(offline["verified"], json!(true), "{proof}");
            assert_eq!(offline["contract"], json!(id));
            changed_ones_are_refused(proof, &genesis);
        }
        let other = cli(
            nowhere,
            &["contract", "verify", &receipt, "--genesis", &genesis, "--mediator", "tokens"],
        );
        assert!(!other.success && other.error.contains("of the mediator"), "{}", other.error);
    });
}

#[test]
fn test_16_a_member_is_exchanged_by_commands() {
    on_network(async |it| {
        let (node, folder) = (it.net.node.clone(), it.net.folder.join("exchanged"));
        let (id, certificate) = contract(it, &folder, &[0, 1], "all(a, b)").await;
        let node = node.as_str();
        let file = |name: &str| text(&folder.join(name));
        let mint = |amount: &str| {
            let args = json!({ "to": address("bob"), "amount": amount }).to_string();
            let mut submit = vec!["contract", "submit", &id, "mint", &args];
            let saved = file(&format!("{amount}.tx"));
            submit.extend(["--certificate", &certificate, "--member", &it.net.members[0].url]);
            submit.extend(["--save", &saved]);
            done(node, &submit)
        };
        let is_yes = |seq: &str| {
            let receipt = done(node, &["contract", "receipt", &id, seq]);
            (receipt["status"] == "YES").then_some(())
        };
        mint("70");
        until("the first call is final", async || is_yes("1")).await;
        // b goes and c comes, with other secrets: c could not make the contract's first state again.
        let (next, definition) = (file("next.package"), file("next.definition"));
        let (module, before, sealed) = (file("tokens.wasm"), file("trade.package"), file("next"));
        done(node, &["contract", "package", &module, "--after", &before, "--out", &next]);
        let (a, c) = (named(it, 0), named(it, 2));
        let mut propose = vec!["contract", "change", "propose", &id, "--member", &a];
        propose.extend(["--member", &c, "--policy", "all(a, c)", "--package", &next]);
        propose.extend(["--sealed", &sealed, "--out", &definition]);
        done(node, &propose);
        let at = |place: usize, command: &str, index: &str| {
            let member = &it.net.members[place];
            let package = format!("{sealed}/package-{index}");
            let mut args = vec!["contract", command, &id, &package, "--definition", &definition];
            args.extend(["--member", &member.url]);
            let keys = member.key_options();
            args.extend(keys.iter().map(String::as_str));
            cli(node, &args)
        };
        // Nobody gives c the state before it has installed the package.
        let early = at(2, "join", "1");
        assert!(!early.success && early.error.contains("fetching the state"), "{}", early.error);
        let installed = at(0, "install", "0");
        assert!(installed.success, "{}", installed.error);
        until("c has the state and joins", async || at(2, "join", "1").success.then_some(())).await;
        let mut agreements = Vec::new();
        for place in [0, 1] {
            let (member, out) = (&it.net.members[place], file(&format!("{place}.agreement")));
            let mut sign = vec!["contract", "change", "sign", &id, &definition, "--out", &out];
            let keys = member.key_options();
            sign.extend(keys.iter().map(String::as_str));
            done(node, &sign);
            agreements.push(out);
        }
        let mut submit = vec!["contract", "change", "submit", &id, &definition];
        agreements.iter().for_each(|one| submit.extend(["--agreement", one]));
        done(node, &submit);
        until("the change is in force", async || {
            (done(node, &["contract", "show", &id])["version"] == json!(2)).then_some(())
        })
        .await;
        // Both decide, so c has the state.
        mint("7");
        until("c votes", async || is_yes("2")).await;
    });
}

/// Changes each text of a file in turn.
fn changed_ones_are_refused(file: &str, genesis: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let honest: Value = serde_json::from_str(&text).unwrap();
    let paths = ["/output", "/blinding", "/held", "/proof", "/contract", "/chain/header/0"];
    let more = ["/chain/header/1", "/chain/runtime/0", "/chain/entries/0/value", "/chain/mediator"];
    for path in paths.iter().chain(&more) {
        let mut changed = honest.clone();
        let Some(place) = changed.pointer_mut(path) else { continue };
        let text = place.as_str().unwrap().to_string();
        let at = text.len() / 2;
        let digit = if &text[at..=at] == "0" { "1" } else { "0" };
        *place = json!(format!("{}{digit}{}", &text[..at], &text[at + 1..]));
        std::fs::write(file, changed.to_string()).unwrap();
        let refused =
            cli("http://127.0.0.1:1", &["contract", "verify", file, "--genesis", genesis]);
        assert!(!refused.success, "{path} of {file}");
    }
    std::fs::write(file, text).unwrap();
}

#[test]
fn test_12_two_decide_while_one_is_killed_and_a_withheld_content_expires() {
    on_network(async |it| {
        let terms = |terms: &mut paralith_private_contract_messages::Terms| terms.fetch_blocks = 8;
        let contract = it.contract("2 of (a, b, c)", crate::session::tokens(), terms).await;
        let mint = crate::session::mint("1");
        it.net.members[2].kill();
        let yes = paralith_private_contract_messages::TransactionStatus::Yes;
        assert_eq!(it.run(&contract, &mint).await, yes);
        // It has missed the batch, and takes it from the others.
        it.net.members[2].run();
        it.one_root(&contract.id).await;
        let withheld = it.send(&contract, &mint, &[]).await;
        let record = it.fini(&contract.id, withheld).await;
        assert_eq!(record.status, paralith_private_contract_messages::TransactionStatus::Expired);
        // All three are where the batch ended, and the contract goes on.
        it.one_root(&contract.id).await;
        assert_eq!(it.run(&contract, &mint).await, yes);
        it.one_root(&contract.id).await;
    });
}

#[test]
fn test_the_demonstration_shows_every_step() {
    e2e::claim(async {
        let shown = cli("http://127.0.0.1:1", &["demo", "private-contract"]);
        assert!(shown.success, "{}", shown.error);
        let steps: Vec<&str> =
            shown.json.iter().map(|line| line["step"].as_str().unwrap()).collect();
        let expected = [
            "chain", "keys", "create", "join", "submit", "fini", "receipt", "falsify", "kill",
            "heal", "withhold", "audit",
        ];
        assert_eq!(steps, expected);
        let facts = |step: &str| {
            shown.json.iter().find(|line| line["step"] == step).unwrap()["facts"].clone()
        };
        assert_eq!(facts("submit")["amount visible in them"], json!(false));
        assert_eq!(facts("fini")["status"], "Yes");
        assert_eq!(facts("receipt")["with one more byte it is refused"], json!(true));
        let (before, after) = (facts("falsify"), facts("heal"));
        assert_ne!(before["supply at the bank"], before["supply at the seller"]);
        assert_eq!(
            (&after["status"], &after["supply at the seller"]),
            (&json!("Yes"), &json!("1234572"))
        );
        assert_eq!(facts("withhold")["status"], "Expired");
        assert_eq!(facts("audit")["verified"], json!(true));
    });
}
