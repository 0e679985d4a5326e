//! The adversaries of `tests/adversary` against the network. Each fails; each succeeds where its defence is
//! taken out, by `scripts/controls.sh`.

use e2e::{DEFENCES, attack, until, withstands};
use paralith_private_contract_messages::{Canonical as _, Terms, TransactionStatus};
use paralith_private_contract_stakeholder::Agreement;
use paralith_types::Amount;
use serde_json::json;

use crate::net::{on_network, text};
use crate::session::{Contract, Parties, Session, call, counter, mint, tokens};

impl Session {
    /// Writes a file for an attacker, and gives its path.
    fn file(&self, name: &str, content: &[u8]) -> String {
        let file = self.net.folder.join(name);
        std::fs::write(&file, content).unwrap();
        text(&file)
    }

    pub(crate) fn certificate_file(&self, contract: &Contract) -> String {
        let content = hex::encode(contract.certificate.encode());
        self.file(&format!("{}.cert", contract.id.to_hex()), content.as_bytes())
    }
}

#[test]
fn adversary_split_key() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", counter(), |_| {}).await;
        let (id, certificate) = (contract.id.to_hex(), it.certificate_file(&contract));
        let (node, a) = (it.net.node.clone(), it.net.members[0].url.clone());
        let who = ["--certificate", &certificate, "--from", "alice", "--node", &node];
        let how = ["--member", &a, "--victim", "2"];
        withstands(&[&["split-key", &id][..], &who, &how].concat());
    });
}

#[test]
fn adversary_withhold() {
    on_network(async |it| {
        let short = |terms: &mut Terms| (terms.fetch_blocks, terms.vote_blocks) = (4, 10);
        let contract = it.contract("2 of (a, b, c)", counter(), short).await;
        let (id, certificate) = (contract.id.to_hex(), it.certificate_file(&contract));
        let node = it.net.node.clone();
        let who = ["--certificate", &certificate, "--from", "alice", "--node", &node];
        withstands(&[&["withhold", &id][..], &who].concat());
        if DEFENCES {
            let add = call("add", &json!({ "amount": 1 }));
            assert_eq!(it.run(&contract, &add).await, TransactionStatus::Yes, "it goes on");
        }
    });
}

#[test]
fn adversary_bls_rogue() {
    on_network(async |it| {
        for place in 1..3 {
            let (key, client) = (it.key(place), &mut it.client);
            until("a member's keys", async || client.account_keys(&key).await.ok()).await;
        }
        // The account of a member, without its node: that would publish its own keys again.
        it.net.members[2].kill();
        let (victim, node) = (it.key(1).to_string(), it.net.node.clone());
        let keys = it.net.members[2].key_options();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let args = ["bls-rogue", "--victim", &victim, "--node", &node];
        withstands(&[&args[..], &keys].concat());
        it.net.members[2].run();
        let (key, own) = (it.key(2), it.net.members[2].keys.vote_key());
        until("the member has its own keys again", async || {
            (it.client.account_keys(&key).await.ok()?.vote_key == own).then_some(())
        })
        .await;
    });
}

#[test]
fn adversary_equivocate() {
    on_network(async |it| {
        for place in 0..3 {
            let key = it.net.members[place].keys.account_key().clone();
            it.deposit(&key, 50).await;
        }
        let bond = |terms: &mut Terms| (terms.bond, terms.slash) = (Amount(50), Amount(20));
        let contract = it.contract("all(a, b, c)", counter(), bond).await;
        let tx = it.seal(&contract, &call("add", &json!({ "amount": 1 })), &[0]).await;
        // Without its honest node no batch ends.
        it.net.members[2].kill();
        it.submit(&contract, &tx, 0).await.unwrap();
        let (id, node) = (contract.id.to_hex(), it.net.node.clone());
        let keys = it.net.members[2].key_options();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        withstands(&[&["equivocate", &id, "--node", &node][..], &keys].concat());
    });
}

/// A change to which a and b agree, in force. Gives the files of what they signed, and of the definition.
async fn change(it: &mut Session, contract: &Contract) -> [String; 3] {
    let everybody = Parties { places: &[0, 1, 2], hands: &[], policy: "2 of (a, b, c)" };
    let next = it.next_definition(contract, everybody, &contract.package).await;
    let change = it.agreed(contract, &next, false, &[(0, 0), (1, 1)]);
    it.change(&change).await.unwrap();
    it.settled(contract).await;
    let agreement = Agreement::change(&it.client.place(contract.id), &next, false);
    let signed = [0, 1].map(|index: usize| {
        let signature = hex::encode(it.net.members[index].keys.sign_agreement(&agreement).0);
        let shown = json!({ "index": index, "signature": signature }).to_string();
        it.file(&format!("agreement-{}-{index}", next.version), shown.as_bytes())
    });
    let [a, b] = signed;
    [a, b, it.file(&format!("definition-{}", next.version), &next.encode())]
}

#[test]
fn adversary_replay_change() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", counter(), |_| {}).await;
        let [a, b, definition] = change(it, &contract).await;
        change(it, &contract).await;
        let (id, node) = (contract.id.to_hex(), it.net.node.clone());
        let files = ["--definition", &definition, "--agreement", &a, "--agreement", &b];
        let who = ["--from", "bob", "--node", &node];
        withstands(&[&["replay-change", &id][..], &files, &who].concat());
    });
}

#[test]
fn adversary_guess_root() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", tokens(), |_| {}).await;
        let transfer = |amount: &str| json!({ "to": e2e::address("bob"), "amount": amount });
        let mint_args = json!({ "to": e2e::address("alice"), "amount": "100000" });
        for known in [mint("100000"), call("transfer", &transfer("417"))] {
            assert_eq!(it.run(&contract, &known).await, TransactionStatus::Yes);
        }
        let calls = json!([
            { "method": "mint", "args": mint_args },
            { "method": "transfer", "args": transfer("?") },
        ]);
        let calls = it.file("calls", calls.to_string().as_bytes());
        let (id, node) = (contract.id.to_hex(), it.net.node.clone());
        let init = tokens().1.to_string();
        let known = ["--init", &init, "--calls", &calls, "--guesses", "1000", "--node", &node];
        withstands(&[&["guess-root", &id][..], &known].concat());
    });
}

#[test]
fn adversary_liar_executor() {
    on_network(async |it| {
        let contract = it.contract("2 of (a, b, c)", tokens(), |_| {}).await;
        assert_eq!(it.run(&contract, &mint("100")).await, TransactionStatus::Yes);
        it.one_root(&contract.id).await;
        it.net.members[2].kill();
        let config = text(&it.net.members[2].folder.join("node.toml"));
        let played = attack(&["liar-executor", &contract.id.to_hex(), "--config", &config]);
        assert_eq!(played.outcome, "prepared");
        it.net.members[2].run();
        assert_eq!(it.run(&contract, &mint("5")).await, TransactionStatus::Yes);
        if DEFENCES {
            it.one_root(&contract.id).await;
            return;
        }
        // As long as it takes others to heal, and longer.
        it.blocks(20).await;
        let root = it.client.contract(&contract.id).await.unwrap().last_root;
        let (own, _) = it.status_at(2, &contract.id).await.unwrap();
        assert_ne!(own, root, "it keeps what it has");
    });
}
