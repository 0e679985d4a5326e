//! A sender that shares no code with the program.

use e2e::Python;
use paralith_consensus_api::address as addresses;
use serde_json::{Value, json};

use crate::net::on_network;
use crate::session::{mint, tokens};

#[test]
fn a_python_client_sends_a_private_call_and_verifies_its_result() {
    let name = "a_python_client_sends_a_private_call_and_verifies_its_result";
    let Some(python) = Python::for_test(name) else { return };
    on_network(async |it| {
        let contract =
            it.contract("2 of (a, b, c)", tokens(), |terms| terms.min_receipts = 2).await;
        let tx = it.seal(&contract, &mint("100"), &[0, 1]).await;
        let seq = it.submit(&contract, &tx, 0).await.unwrap();
        it.fini(&contract.id, seq).await;
        let certificate = it.certificate_file(&contract);
        let to = addresses::of_key(&it.key(2));
        let transfer = json!({ "to": to, "amount": "40" }).to_string();
        let run = |method: &str, args: &str| {
            let done = python
                .example("private_call.py")
                .args([&contract.id.to_hex(), method, args, "--certificate", &certificate])
                .args(["--member", &it.net.members[0].url, "--member", &it.net.members[1].url])
                .args(["--chain", &it.client.chain.chain_context().to_string()])
                .env("PARALITH_NODE", &it.net.node)
                .output()
                .unwrap();
            (done.status.success(), String::from_utf8(done.stdout).unwrap(), done.stderr)
        };
        let (done, said, error) = run("transfer", &transfer);
        assert!(done, "{}", String::from_utf8_lossy(&error));
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&said["seq"], &said["status"]), (&json!(2), &json!("yes")));
        // What the contract refuses, its sender alone reads.
        let (done, _, error) = run("transfer", &transfer.replace("40", "4000"));
        let error = String::from_utf8(error).unwrap();
        assert!(!done && error.contains("tokens "), "{error}");
        it.one_root(&contract.id).await;
        let own = it.query(2, &contract.id, "balance", &json!({})).await;
        assert_eq!(own["balance"], "40");
    });
}
