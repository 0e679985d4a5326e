//! Public money that goes into a private contract and out of it.

use e2e::{account_key, address};
use paralith_private_contract_messages::{Canonical as _, Fund, TransactionStatus};
use paralith_types::Amount;
use serde_json::json;

use crate::net::on_network;
use crate::session::{call, mint, tokens};

#[test]
fn test_14_payments_move_with_their_call_and_withdrawals_are_paid_once() {
    on_network(async |it| {
        let alice = account_key("alice");
        it.deposit(&alice, 1_000).await;
        let terms = |terms: &mut paralith_private_contract_messages::Terms| {
            terms.fetch_blocks = 4;
        };
        let contract = it.contract("2 of (a, b, c)", tokens(), terms).await;
        let before = it.balance(&address("alice")).await;
        // With YES it is the contract's, and inside it is alice's.
        let tx = it.seal(&contract, &mint("5"), &[0]).await;
        let seq = it.submit(&contract, &tx, 300).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Yes);
        assert_eq!(it.balance(&address("alice")).await, before - 300);
        assert_eq!(it.client.contract(&contract.id).await.unwrap().balance, Amount(300));
        it.one_root(&contract.id).await;
        let supply = it.query(0, &contract.id, "total_supply", &json!({})).await;
        assert_eq!(supply["total_supply"], "305");
        // A call that fails: the payment is the sender's inside all the same.
        let too_much = call("withdraw", &json!({ "to": address("alice"), "amount": "999" }));
        let tx = it.seal(&contract, &too_much, &[0]).await;
        let seq = it.submit(&contract, &tx, 100).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Failed);
        assert_eq!(it.client.contract(&contract.id).await.unwrap().balance, Amount(400));
        // A withheld one: it comes back.
        let tx = it.seal(&contract, &mint("1"), &[]).await;
        let seq = it.submit(&contract, &tx, 200).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Expired);
        assert_eq!(it.balance(&address("alice")).await, before - 400);
        // Two withdrawals and a deposit: each is paid once, in the step of FINI.
        let fund = Fund { contract_id: contract.id, tag: 7, amount: Amount(50) };
        it.client.call(&alice, "fund", fund.encode()).await.unwrap();
        let out = call("withdraw", &json!({ "to": address("carol"), "amount": "150" }));
        let carol = it.balance(&address("carol")).await;
        let first = it.send(&contract, &out, &[0]).await;
        let second = it.send(&contract, &out, &[0]).await;
        for seq in [first, second] {
            assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Yes);
        }
        assert_eq!(it.balance(&address("carol")).await, carol + 300);
        assert_eq!(it.client.contract(&contract.id).await.unwrap().balance, Amount(150));
        // What was minted inside is not covered by public money: the contract learns so in the call.
        let rest = call("withdraw", &json!({ "to": address("carol"), "amount": "155" }));
        assert_eq!(it.run(&contract, &rest).await, TransactionStatus::Failed);
        assert_eq!(it.balance(&address("carol")).await, carol + 300);
        it.one_root(&contract.id).await;
        for place in 0..3 {
            let supply = it.query(place, &contract.id, "total_supply", &json!({})).await;
            assert_eq!(supply["total_supply"], "155", "member {place}");
        }
    });
}
