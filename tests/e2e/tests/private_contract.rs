//! Private contracts as their owners, members and senders know them: by commands, over processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use e2e::{Dev, DevOptions, Process, address, claim, cli, until};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// A member's node, as a process of its own.
struct Member {
    key: String,
    url: String,
    folder: PathBuf,
    password: PathBuf,
    process: Process,
}

/// Ports that are free now: a node's configuration names them before it listens.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command that must succeed, and gives what it prints.
fn done(node: &str, args: &[&str]) -> Value {
    let printed = cli(node, args);
    assert!(printed.success, "{args:?}: {}", printed.error);
    printed.json.into_iter().next().unwrap_or(Value::Null)
}

impl Member {
    fn start(dev: &Dev, name: &str) -> Self {
        let folder = dev.folder().join(name);
        let password = dev.folder().join(format!("{name}.password"));
        std::fs::write(&password, PASSWORD).unwrap();
        let (links, listen) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
        let args = ["contract", "init", &text(&folder), "--links", &links, "--listen", &listen];
        let made = done(&dev.node, &[&args[..], &["--password-file", &text(&password)]].concat());
        let process = Self::launch(&folder);
        Self {
            key: made["member"].as_str().unwrap().to_string(),
            url: format!("http://{listen}"),
            folder,
            password,
            process,
        }
    }

    fn launch(folder: &Path) -> Process {
        let config = text(&folder.join("node.toml"));
        let args = ["start".into(), "--config".into(), config];
        Process::start(&args, &folder.join("log"), None)
    }

    /// Waits until the member's tree has this root.
    async fn has_root(&self, node: &str, id: &str, root: &Value) {
        let keys = self.keys();
        let mut args = vec!["contract", "root", id, "--member", &self.url];
        args.extend(keys.iter().map(String::as_str));
        until("the member has the root", async || {
            // Not reached while its process starts.
            let shown = cli(node, &args);
            let here = shown.json.first().map(|shown| shown["member"]["root"].clone());
            (here.as_ref() == Some(root)).then_some(())
        })
        .await;
    }

    fn keys(&self) -> [String; 4] {
        let keys = text(&self.folder.join("keys"));
        ["--keys".into(), keys, "--password-file".into(), text(&self.password)]
    }
}

/// A 2-of-3 contract of `tokens` whose members have joined, and alice's certificate.
struct Contract {
    members: [Member; 3],
    id: String,
    certificate: String,
}

async fn contract(dev: &Dev, terms: &[&str]) -> Contract {
    let node = dev.node.as_str();
    let members = ["a", "b", "c"].map(|name| Member::start(dev, name));
    let file = |name: &str| text(&dev.folder().join(name));
    std::fs::write(file("tokens.wasm"), paralith::guests::TOKENS).unwrap();
    let init = json!({ "minter": address("alice") }).to_string();
    let (module, package) = (file("tokens.wasm"), file("trade.package"));
    done(node, &["contract", "package", &module, "--init", &init, "--out", &package]);
    let named: Vec<String> =
        ["a", "b", "c"].iter().zip(&members).map(|(name, m)| format!("{name}={}", m.key)).collect();
    let sealed = file("sealed");
    let mut create = vec!["contract", "create", &package, "--policy", "2 of (a, b, c)"];
    named.iter().for_each(|member| create.extend(["--member", member]));
    create.extend(["--out", &sealed]);
    create.extend(terms);
    // The members' nodes publish their keys by themselves.
    let created = until("the members' keys", async || {
        let created = cli(node, &create);
        created.success.then(|| created.json[0].clone())
    })
    .await;
    let id = created["contract"].as_str().unwrap().to_string();
    for (index, member) in members.iter().enumerate() {
        let package = format!("{sealed}/package-{index}");
        let joined = until("the member sees the contract", async || {
            let keys = member.keys();
            let mut args = vec!["contract", "join", &id, &package, "--member", &member.url];
            args.extend(keys.iter().map(String::as_str));
            let joined = cli(node, &args);
            joined.success.then(|| joined.json[0].clone())
        })
        .await;
        assert_eq!(joined["root"], created["genesis_root"]);
    }
    assert_eq!(done(node, &["contract", "show", &id])["status"], "Active");
    let alice = done(node, &["keys", "show", "alice"])["public_key"].as_str().unwrap().to_string();
    let certificate = file("alice.certificate");
    done(node, &["contract", "certify", &id, &alice, "--serial", "1", "--out", &certificate]);
    Contract { members, id, certificate }
}

#[test]
fn a_call_is_decided_by_two_of_three_and_its_receipt_verifies() {
    claim(async {
        let dev = Dev::start(DevOptions { more: &["--private-contracts"], ..Default::default() });
        let node = dev.node.as_str();
        let terms = ["--fetch-blocks", "10", "--vote-blocks", "20"];
        let Contract { members, id, certificate } = contract(&dev, &terms).await;
        let file = |name: &str| text(&dev.folder().join(name));
        let (saved, receipt) = (file("mint.tx"), file("mint.receipt"));
        let mint = json!({ "to": address("bob"), "amount": "77" }).to_string();
        let sent = done(
            node,
            &[
                "contract",
                "submit",
                &id,
                "mint",
                &mint,
                "--certificate",
                &certificate,
                "--member",
                &members[0].url,
                "--save",
                &saved,
            ],
        );
        assert_eq!((&sent["seq"], &sent["receipts"]), (&json!(1), &json!(1)));
        // INIT, then FINI=YES for one hash.
        let watched = cli(node, &["contract", "watch", &id, "--count", "2"]);
        assert!(watched.success, "{}", watched.error);
        let (init, fini) = (&watched.json[0], &watched.json[1]);
        assert_eq!(init["event"], "PrivateTX_INIT");
        assert_eq!((&fini["event"], &fini["status"]), (&json!("PrivateTX_FINI"), &json!("YES")));
        assert_eq!(init["content_hash"], sent["content_hash"]);
        assert_eq!(fini["content_hash"], sent["content_hash"]);
        // All three have FINI's root, also the one that was not asked to keep the content.
        assert_eq!(done(node, &["contract", "root", &id])["root"], fini["root"]);
        for member in &members {
            member.has_root(node, &id, &fini["root"]).await;
        }
        // The result is the sender's alone; its receipt verifies, and not with a byte changed.
        let result = ["contract", "result", &saved, "--member", &members[1].url];
        let own = done(node, &[&result[..], &["--receipt", &receipt]].concat());
        assert_eq!((&own["class"], &own["verified"]), (&json!("executed"), &json!(true)));
        let other = cli(node, &[&result[..], &["--from", "bob"]].concat());
        assert!(!other.success && other.error.contains("stakeholder 6"), "{}", other.error);
        assert_eq!(done(node, &["contract", "verify", &receipt])["seq"], json!(1));
        let text = std::fs::read_to_string(&receipt).unwrap();
        let honest: Value = serde_json::from_str(&text).unwrap();
        for field in ["output", "blinding"] {
            let mut changed = honest.clone();
            let first = changed[field].as_str().unwrap().as_bytes()[0];
            let digit = if first == b'0' { "1" } else { "0" };
            let rest = changed[field].as_str().unwrap()[1..].to_string();
            changed[field] = json!(format!("{digit}{rest}"));
            std::fs::write(&receipt, changed.to_string()).unwrap();
            let refused = cli(node, &["contract", "verify", &receipt]);
            assert!(!refused.success, "{field}: {}", refused.error);
        }
    });
}

#[test]
fn two_decide_while_one_is_killed_and_a_withheld_content_expires() {
    claim(async {
        let dev = Dev::start(DevOptions { more: &["--private-contracts"], ..Default::default() });
        let node = dev.node.as_str();
        let terms = ["--fetch-blocks", "8", "--vote-blocks", "30", "--min-receipts", "0"];
        let Contract { mut members, id, certificate } = contract(&dev, &terms).await;
        let file = |name: &str| text(&dev.folder().join(name));
        let mint = json!({ "to": address("bob"), "amount": "1" }).to_string();
        let submit = |save: &str| -> Vec<String> {
            let args = ["contract", "submit", &id, "mint", &mint, "--certificate", &certificate];
            let saved = ["--save".to_string(), file(save)];
            args.map(String::from).into_iter().chain(saved).collect()
        };
        members[2].process.kill();
        let mut kept = submit("kept.tx");
        kept.extend(["--member".to_string(), members[0].url.clone()]);
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        assert_eq!(done(node, &kept)["seq"], json!(1));
        let watched = cli(node, &["contract", "watch", &id, "--count", "2"]);
        assert_eq!(watched.json[1]["status"], "YES", "{}", watched.error);
        let root = watched.json[1]["root"].clone();
        // It has missed the batch, and takes it from the others.
        members[2].process = Member::launch(&members[2].folder);
        members[2].has_root(node, &id, &root).await;
        let withheld = submit("withheld.tx");
        let withheld: Vec<&str> = withheld.iter().map(String::as_str).collect();
        assert_eq!((&done(node, &withheld)["seq"]), &json!(2));
        let watched = cli(node, &["contract", "watch", &id, "--from-seq", "2", "--count", "2"]);
        assert_eq!(watched.json[1]["status"], "EXPIRED", "{}", watched.error);
        // All three are where the batch ended, and the contract goes on.
        let root = done(node, &["contract", "root", &id])["root"].clone();
        for member in &members {
            member.has_root(node, &id, &root).await;
        }
    });
}

#[test]
fn the_demonstration_shows_every_step() {
    claim(async {
        let shown = cli("http://127.0.0.1:1", &["demo", "private-contract"]);
        assert!(shown.success, "{}", shown.error);
        let steps: Vec<&str> =
            shown.json.iter().map(|line| line["step"].as_str().unwrap()).collect();
        let expected = [
            "chain", "keys", "create", "join", "submit", "fini", "receipt", "kill", "withhold",
            "audit",
        ];
        assert_eq!(steps, expected);
        let facts = |step: &str| {
            shown.json.iter().find(|line| line["step"] == step).unwrap()["facts"].clone()
        };
        assert_eq!(facts("submit")["amount visible in them"], json!(false));
        assert_eq!(facts("fini")["status"], "Yes");
        assert_eq!(facts("receipt")["with one more byte it is refused"], json!(true));
        assert_eq!(facts("kill")["status with two of three"], "Yes");
        assert_eq!(facts("withhold")["status"], "Expired");
        assert_eq!(facts("audit")["verified"], json!(true));
    });
}
