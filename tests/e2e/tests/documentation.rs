//! What the documentation says works as it is written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::process::{Command, Stdio};

use e2e::{Client, Dev, DevOptions, Python, address, binary, claim, root, scratch};
use serde_json::json;

#[test]
fn every_command_block_of_the_documentation_runs() {
    let name = "every_command_block_of_the_documentation_runs";
    let script = root().join("scripts/run-doc-commands.py");
    if !Python::is_there() {
        println!("SKIPPED {name}: no python3");
        return;
    }
    claim(async {
        let log = scratch();
        let out = std::fs::File::create(log.path().join("out")).unwrap();
        let status = Command::new("python3")
            .arg(&script)
            .env("PARALITH", binary())
            .env_remove("PARALITH_NODE")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .status()
            .unwrap();
        let said = std::fs::read_to_string(log.path().join("out")).unwrap();
        assert!(status.success(), "{said}");
        said.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| println!("{line}"));
    });
}

#[test]
fn a_python_client_sends_one_encrypted_transaction() {
    let name = "a_python_client_sends_one_encrypted_transaction";
    let Some(python) = Python::for_test(name) else { return };
    python.run_unit_tests();
    claim(async {
        let dev = Dev::start(DevOptions::default());
        let mut client = Client::connect(&dev.node).await;
        let mint = json!({ "to": address("alice"), "amount": "10" });
        client.call("tokens", "alice", "mint", &mint).await.unwrap();
        let output = python
            .example("confidential_transfer.py")
            .args(["--node", dev.node.trim_start_matches("http://")])
            .args(["--from", "alice", "--to", "bob"])
            .args(["--amount", "3", "--memo", "from python"])
            .args(["--chain", &client.chain.chain_context().to_string()])
            .env("PARALITH_NODE", &dev.node)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(said["proven_height"].as_u64().unwrap() > 1, "{said}");
        assert_eq!(client.tokens("bob").await, 3);
        let received = client.query("tokens", Some("bob"), "received", &json!({})).await.unwrap();
        assert_eq!(received[0]["memo"], "from python");
    });
}
