//! t11: sealed bids.

use e2e::{account_key, address};
use paralith_chaincode_messages::{Message as _, Response};
use paralith_types::Height;
use serde_json::json;

use crate::net::{call, invoke, ledger_code, reach, reply};
use crate::shared::{App, on_application};

#[test]
fn t11_until_an_auction_closes_nobody_learns_a_bid_and_a_late_bid_is_refused() {
    on_application(App::Auction, async |net| {
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
        reach(&mut client.chain, Height(until + 1)).await;
        // Its own `valid_until` is later: the chaincode's deadline refuses it.
        assert_eq!(ledger_code(client.commit(&alice, &late).await), 7);
        let closed = invoke(&mut client, &alice, "close", &lot).await;
        let winner = address("erin").to_string();
        let expected = json!({ "closed": true, "winner": winner, "amount": "70" });
        assert_eq!(reply(&closed.output), expected);
    });
}
