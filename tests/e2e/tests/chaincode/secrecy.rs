//! t02: what hosts see of a call, and what they would see of the same call in a public deployment.

use e2e::{Client, account_key, until};
use memchr::memmem::find;
use paralith::systems::chaincode::client::CallFile;
use paralith_chaincode_messages::{Message as _, Response};
use serde_json::json;

use crate::net::{SECRETS, call, done, forms, next_epoch};
use crate::shared::{App, on_application};

#[test]
fn t02_a_secret_is_put_committed_and_read_and_no_host_sees_it() {
    on_application(App::Secrets, async |net| {
        const SECRET: &str = "forty-two-and-a-very-long-tail-42424242";
        const PASSWORD: &str = "Xq7vRk2LmZt9WcPb4NsYd8Hg";
        let file = net.file("put.call");
        let args = json!({ "name": "door", "password": PASSWORD, "secret": SECRET }).to_string();
        let put = net.invoke(&["put", &args, "--save", &file], "alice");
        assert_eq!(put["result"], json!({ "stored": true }));
        assert_eq!(put["endorsers"].as_array().unwrap().len(), 2, "two of three are enough");
        let right = json!({ "name": "door", "password": PASSWORD }).to_string();
        let got = net.invoke(&["reveal", &right], "erin");
        assert_eq!(got["result"], json!({ "secret": SECRET }));
        let wrong = net.invoke(&["reveal", r#"{"name":"door","password":"q"}"#], "erin");
        assert_eq!(wrong["result"], json!({}));
        // Guesses that are never committed tell nothing, also by the length of what they would give.
        let mut client = net.client().await;
        let mut shapes = Vec::new();
        for password in [PASSWORD, "q"] {
            let guess = json!({ "name": "door", "password": password });
            let guess = client.propose(&account_key("erin"), call("reveal", &guess)).await.unwrap();
            let guess = client.endorse(&guess).await.unwrap();
            let response = Response::decode(&guess.response).unwrap();
            let sizes = response.writes.iter().map(|one| one.value.as_ref().map(Vec::len));
            shapes.push((sizes.collect::<Vec<_>>(), response.sealed_output.len()));
        }
        assert_eq!(shapes[0], shapes[1]);
        // What every endorser's host has seen and kept, the chain's nodes, and the ledger's transaction.
        let saved = CallFile::read(file.as_ref()).unwrap();
        let ledger = saved.response.clone().unwrap();
        let mut searched = net.everything_at_hosts();
        searched.extend(net.everything_on_the_chain());
        searched.push(("the ledger's transaction".to_string(), ledger));
        let secrets = [SECRET, PASSWORD].map(|secret| forms(secret.as_bytes())).concat();
        for (name, bytes) in &searched {
            for form in &secrets {
                assert!(find(bytes, form).is_none(), "{name} holds the secret or its password");
            }
            assert!(find(bytes, &saved.reply_key).is_none(), "{name} holds the key of the reply");
        }
        // The search finds what is there: the call's own id crosses every boundary, and the ledger keeps it.
        let id = saved.tx_id;
        let seen = searched.iter().filter(|(_, bytes)| find(bytes, id.as_bytes()).is_some());
        let seen: Vec<&String> = seen.map(|(name, _)| name).collect();
        for place in ["boundary-", "store"] {
            assert!(seen.iter().any(|name| name.contains(place)), "{place} in {seen:?}");
        }

        // Control: the same module and call in a public deployment. The same search finds both.
        let module = net.file("keeper.wasm");
        std::fs::write(&module, SECRETS).unwrap();
        let deploy = ["runtime", "deploy", &module, "--name", "open-secrets", "--from", "alice"];
        done(net.node(), &deploy);
        let mut user = Client::connect(net.node()).await;
        next_epoch(&mut user.chain).await;
        let open = json!({ "name": "door", "password": PASSWORD, "secret": SECRET });
        net.as_blocks_come("its nodes are elected and have executed the call", async || {
            user.call("open-secrets", "alice", "put", &open).await.ok()
        })
        .await;
        until("the chain's disk has it", async || {
            let disk = net.everything_on_the_chain();
            let found = |secret: &str| {
                disk.iter().any(|(_, bytes)| find(bytes, secret.as_bytes()).is_some())
            };
            (found(SECRET) && found(PASSWORD)).then_some(())
        })
        .await;
    });
}
