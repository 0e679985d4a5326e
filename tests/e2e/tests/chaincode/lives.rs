//! t08, t12, t16: endorsers that end, are upgraded, and are replaced.

use e2e::{account_key, kill, processes_of, until};
use serde_json::{Value, json};

use crate::net::{Net, SECRETS, call, endorse_code, invoke, ledger_code, put, tweaked};
use crate::shared::on_own_application;

#[test]
fn t08_an_endorser_comes_back_as_itself_and_an_old_identity_does_not() {
    on_own_application(SECRETS, async |net| {
        net.invoke(&["put", &put("door", "1").to_string()], "alice");
        let rak = net.rak(0);
        let record = |net: &Net| net.record(&rak);
        let before = record(net);
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
        assert_eq!((net.rak(0), record(net)), (rak.clone(), before), "nothing was registered");
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
        net.as_blocks_come("the old identity is found out", async || {
            let now = net.try_rak(0)?;
            (now != rak && now != new).then_some(())
        })
        .await;
        net.serving(0).await;
        assert!(net.log(0).contains("enclave 25"), "{}", net.log(0));
    });
}

#[test]
fn t12_an_upgrade_refuses_old_endorsements_and_keeps_the_state() {
    on_own_application(SECRETS, async |net| {
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
fn t16_a_new_endorser_serves_all_data_after_all_others_are_lost() {
    on_own_application(SECRETS, async |net| {
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
