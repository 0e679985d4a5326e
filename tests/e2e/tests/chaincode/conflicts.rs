//! t07: calls that meet. Write skew, and maps that are walked: the tests of `systems/chaincode/ledger`.

use e2e::account_key;
use paralith::systems::chaincode::client::ChaincodeClient;
use paralith_crypto::SigningKey;
use paralith_runtime_api::output::Output;
use serde_json::json;

use crate::net::{call, insist, invoke, ledger_code, put};
use crate::shared::{App, on_application};

async fn count(client: &mut ChaincodeClient) -> u64 {
    let counted = client.evaluate(None, call("get", &json!({}))).await.unwrap();
    let Output::Ok(value) = counted.output else { panic!("{:?}", counted.output) };
    String::from_utf8(value).unwrap().parse().unwrap()
}

#[test]
fn t07_of_conflicting_calls_one_commits_and_retries_count_them_all() {
    on_application(App::Counter, async |net| {
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let add = call("add", &json!({ "amount": 1 }));
        // Others use the application, too.
        let before = count(&mut client).await;
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
        // 100 calls of ten callers count 100 times.
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..10_u8 {
            let mut client = net.client().await;
            let add = add.clone();
            callers.spawn(async move {
                let key = SigningKey::from_seed([number + 1; 32]);
                let mut conflicts = 0;
                for _ in 0..10 {
                    conflicts += insist(&mut client, &key, &add).await;
                }
                conflicts
            });
        }
        let conflicts: usize = callers.join_all().await.into_iter().sum();
        assert_eq!(count(&mut client).await, before + 101);
        println!("100 increments of 10 callers: {conflicts} conflicts");
        assert!(conflicts > 0, "they must have met");
    });
}

#[test]
fn t07_calls_on_entries_of_their_own_do_not_conflict() {
    on_application(App::Secrets, async |net| {
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
