//! t17: one module, as chaincode and as a confidential ParaTime.

use e2e::{Client, account_key, address};
use paralith::network::ORGANISATIONS;
use paralith_runtime_api::output::Output;
use serde_json::{Value, json};

use crate::net::{call, invoke, reply};
use crate::shared::on_chain;

const HOLDERS: [&str; 3] = ["alice", "erin", "dave"];

fn amount(answer: &Value) -> i128 {
    answer["balance"].as_str().unwrap().parse().unwrap()
}

#[test]
fn t17_tokens_as_chaincode_and_as_a_paratime_come_to_the_same_balances() {
    on_chain(async |net| {
        let init = json!({ "minter": address("alice") });
        net.serve(paralith::guests::TOKENS, &ORGANISATIONS[..2], &init).await;
        let mut chaincode = net.client().await;
        let mut user = Client::connect(net.node()).await;
        let to = |who: &str, amount: &str| json!({ "to": address(who), "amount": amount });
        let mut before = Vec::new();
        for who in HOLDERS {
            before.push(amount(
                &user.query_patiently("tokens", Some(who), "balance", &json!({})).await,
            ));
        }
        for (who, method, args) in [
            ("alice", "mint", to("alice", "1000")),
            ("alice", "mint", to("erin", "50")),
            ("alice", "transfer", to("dave", "41")),
            ("erin", "transfer", to("alice", "7")),
            // More than there is; and somebody who is no minter.
            ("dave", "transfer", to("erin", "100000000")),
            ("erin", "mint", to("erin", "1")),
            ("dave", "transfer", to("erin", "40")),
        ] {
            let endorsed = invoke(&mut chaincode, &account_key(who), method, &args).await.output;
            match user.call("tokens", who, method, &args).await {
                Ok((_, value)) => assert_eq!(reply(&endorsed), value, "{who} {method}"),
                Err(refusal) => {
                    let Output::Error(error) = endorsed else { panic!("{who} {method}") };
                    assert_eq!((error.module, error.code), refusal, "{who} {method}");
                }
            }
        }
        let expected = [1000 - 41 + 7, 50 - 7 + 40, 41 - 40];
        for ((who, before), expected) in HOLDERS.into_iter().zip(before).zip(expected) {
            let balance = call("balance", &json!({}));
            let endorsed = chaincode.evaluate(Some(&account_key(who)), balance).await.unwrap();
            let plain = user.query_patiently("tokens", Some(who), "balance", &json!({})).await;
            assert_eq!(amount(&reply(&endorsed.output)), expected, "{who}");
            assert_eq!(amount(&plain) - before, expected, "{who}");
        }
    });
}
