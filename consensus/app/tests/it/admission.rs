//! What gets in, what it pays, and what fails how.

use paralith_consensus_api::address;
use paralith_consensus_api::consensus::Error;
use paralith_consensus_api::staking::Transfer;
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_app::{App, BlockInput, query};
use paralith_proto::Canonical;
use paralith_storage::{Kv, StateRead};
use paralith_types::{Amount, ChainContext, Signature};

use crate::support::*;

fn transfer(amount: u128) -> Transfer {
    Transfer { to: account(BOB), amount: Amount(amount) }
}

#[test]
fn a_failing_transaction_pays_and_uses_its_nonce_and_does_nothing_else() {
    let mut net = Net::new();
    let pool = net.account(&address::common_pool()).balance.0;
    let outcome = net.run(ALICE, transfer(5_000_000));
    assert_eq!(identity(&outcome), "staking/3");
    let alice = net.account(&account(ALICE));
    assert_eq!((alice.balance.0, alice.nonce), (1_000_000 - 10, 1));
    assert_eq!(net.balance(BOB), 1_000_000);
    assert_eq!(outcome.events.len(), 1, "only the fee's");
    assert_eq!(net.account(&address::common_pool()).balance.0, pool + 10);
}

#[test]
fn fees_go_to_the_entity_of_the_proposer() {
    let mut net = Net::new();
    let tx = net.tx(ALICE, transfer(5));
    let proposer = paralith_consensus_app::registry::comet_address(&public(ENTITIES[1] + 2));
    let block = BlockInput { proposer, ..net.input(vec![tx]) };
    net.finalize(block);
    assert_eq!(net.balance(ENTITIES[1]), 1_000_000 + 10);
}

#[test]
fn a_transaction_that_its_account_does_not_cover_has_no_effect() {
    let mut net = Net::new();
    let fee = Fee { amount: Amount(2_000_000), gas_limit: 1_000_000 };
    let tx = net.paying(ALICE, transfer(1), fee);
    assert_eq!(identity(&net.app.check_tx(&tx)), "consensus/2");
    let output = net.block(vec![tx]);
    assert_eq!(identity(&output.txs[0]), "consensus/2");
    assert_eq!((output.txs[0].gas_used, output.txs[0].events.len()), (0, 0));
    assert_eq!(net.account(&account(ALICE)).nonce, 0);
    assert!(output.events.is_empty());
}

/// Every refusal before a method runs, at admission and in a block alike.
#[test]
fn each_refusal_has_its_code_at_admission_and_in_a_block() {
    let mut net = Net::with(|params| {
        params.consensus.max_tx_bytes = 2000;
        params.consensus.min_gas_price = Amount(2);
        params.consensus.max_block_gas = 10_000;
    });
    let chain = net.chain;
    let fee = |gas_limit: u64| Fee { amount: Amount(u128::from(gas_limit) * 2), gas_limit };
    let body = Body::from(transfer(1));
    let good = Transaction::new(chain, 0, fee(5000), &body);
    let sign = |tx: &Transaction| tx.sign(&key(ALICE));

    let mut forged = sign(&good);
    forged.signature = Signature([1; 64]);
    let mut malformed = sign(&good).encode();
    malformed.extend([0x22, 0]);
    let bad_body = Transaction { body: vec![1, 2, 3], ..good.clone() };
    let cheap = Fee { amount: Amount(9999), gas_limit: 5000 };
    let rich = Fee { amount: Amount(2_000_000), gas_limit: 5000 };
    let cases: [(Vec<u8>, Error, &str); 10] = [
        (
            sign(&Transaction { nonce: 1, ..good.clone() }).encode(),
            Error::InvalidNonce { expected: 0, got: 1 },
            "consensus/1",
        ),
        (
            sign(&Transaction { fee: rich, ..good.clone() }).encode(),
            Error::InsufficientFeeBalance { balance: "1000000".into(), fee: "2000000".into() },
            "consensus/2",
        ),
        (
            sign(&Transaction { fee: cheap, ..good.clone() }).encode(),
            Error::GasPriceTooLow { minimum: "2".into() },
            "consensus/3",
        ),
        (
            sign(&Transaction { method: "staking.Mint".into(), ..good.clone() }).encode(),
            Error::UnknownMethod { method: "staking.Mint".into() },
            "consensus/5",
        ),
        (vec![0; 2001], Error::Oversized { limit: 2000, got: 2001 }, "consensus/6"),
        (malformed, Error::Malformed(paralith_proto::DecodeError::NotCanonical), "consensus/7"),
        (
            sign(&bad_body).encode(),
            Error::Malformed(paralith_proto::DecodeError::NotCanonical),
            "consensus/7",
        ),
        (forged.encode(), Error::InvalidSignature, "consensus/8"),
        (
            sign(&Transaction { chain_context: ChainContext([9; 32]), ..good }).encode(),
            Error::WrongChain {
                expected: chain.to_string(),
                got: ChainContext([9; 32]).to_string(),
            },
            "consensus/9",
        ),
        (vec![], Error::Malformed(paralith_proto::DecodeError::NotCanonical), "consensus/7"),
    ];
    for (raw, error, code) in &cases {
        assert_eq!(format!("consensus/{}", error.code()), *code);
        let outcome = net.app.check_tx(raw);
        assert_eq!(identity(&outcome), *code, "{}", outcome.message);
    }
    let raws = cases.iter().map(|(raw, ..)| raw.clone()).collect();
    let output = net.block(raws);
    for (outcome, (.., code)) in output.txs.iter().zip(&cases) {
        assert_eq!(identity(outcome), *code, "{}", outcome.message);
        assert_eq!((outcome.gas_used, outcome.events.len()), (0, 0));
    }
    assert_eq!(net.account(&account(ALICE)).nonce, 0);
    assert!(output.events.is_empty(), "nothing happened");
}

#[test]
fn gas_runs_out_in_the_transaction_and_in_the_block() {
    let mut net = Net::with(|params| params.consensus.max_block_gas = 20_000);
    let too_much = net.paying(ALICE, transfer(1), Fee { amount: Amount(1), gas_limit: 20_001 });
    assert_eq!(identity(&net.app.check_tx(&too_much)), "consensus/4");
    net.unuse(ALICE);

    // A thousand for each epoch, of which the floor counts one.
    let mut node = query::node(net.app.latest(), &public(ENTITIES[0] + 1)).unwrap().unwrap();
    (node.id, node.consensus_key) = (public(ALICE), public(4));
    let small = net.registration(node, 4);
    let small = net.paying(ALICE, small, Fee { amount: Amount(1), gas_limit: 5_000 });
    let fits = net.paying(ALICE, transfer(1), Fee { amount: Amount(1), gas_limit: 14_000 });
    let no_more = net.paying(ALICE, transfer(1), Fee { amount: Amount(1), gas_limit: 14_000 });
    let output = net.block(vec![small, fits, no_more]);
    let codes: Vec<String> = output.txs.iter().map(identity).collect();
    assert_eq!(codes, ["consensus/4", "/0", "consensus/11"]);
    assert_eq!(output.txs[0].gas_used, 5_000, "all that was allowed");
    // Its length at one unit a byte, and a transfer.
    assert!(output.txs[1].gas_used > 1100 && output.txs[1].gas_used < 1400);
    assert_eq!(net.account(&account(ALICE)).nonce, 2);
}

/// A gas limit below the floor makes the fee as small as one likes.
#[test]
fn a_transaction_below_its_gas_floor_or_of_an_empty_account_is_in_no_block() {
    const NOBODY: u8 = 99;
    let params = |params: &mut paralith_consensus_api::genesis::Params| {
        params.consensus.min_gas_price = Amount(1);
        params.consensus.min_transact_balance = Amount(10_000);
    };
    let mut net = Net::of(builder().params(params).fund(&public(90), Amount(9_999)));
    let free = Fee { amount: Amount(0), gas_limit: 0 };
    // Its length is more than a hundred bytes, its method 1000.
    let almost = Fee { amount: Amount(1100), gas_limit: 1100 };
    let enough = || Fee { amount: Amount(2000), gas_limit: 2000 };
    let cases = [
        (net.paying(NOBODY, transfer(0), free.clone()), "consensus/4"),
        (net.paying(ALICE, transfer(1), free), "consensus/4"),
        (net.paying(BOB, transfer(1), almost), "consensus/4"),
        (net.paying(90, transfer(1), enough()), "consensus/14"),
    ];
    let raws: Vec<Vec<u8>> = cases.iter().map(|(raw, _)| raw.clone()).collect();
    assert!(net.app.prepare_proposal(raws.clone(), usize::MAX).is_empty());
    for (raw, code) in &cases {
        assert_eq!(identity(&net.app.check_tx(raw)), *code);
        assert!(!net.app.process_proposal(&net.input(vec![raw.clone()])), "{code}");
    }
    let before = net.account(&account(ALICE));
    let output = net.block(raws);
    for (outcome, (_, code)) in output.txs.iter().zip(&cases) {
        assert_eq!(identity(outcome), *code);
        assert_eq!((outcome.gas_used, outcome.events.len()), (0, 0));
    }
    assert_eq!(net.account(&account(ALICE)), before);
    let key = paralith_consensus_api::staking::keys::account(&account(NOBODY));
    assert_eq!(net.state().get(&key).unwrap(), None, "no entry for an account without anything");

    net.unuse(ALICE);
    let paid = net.paying(ALICE, transfer(1), enough());
    assert!(net.app.process_proposal(&net.input(vec![paid.clone()])));
    assert_eq!(net.block(vec![paid]).txs[0].code, 0);
}

/// An honest validator does not vote for a block with a transaction that an honest proposer leaves out.
#[test]
fn a_proposed_block_with_a_transaction_that_pays_nothing_is_rejected() {
    let mut net = Net::new();
    let fee = Fee { amount: Amount(1), gas_limit: 10_000 };
    let good = [net.paying(ALICE, transfer(1), fee.clone()), net.paying(ALICE, transfer(1), fee)];
    assert!(net.app.process_proposal(&net.input(good.to_vec())));
    let turned = vec![good[1].clone(), good[0].clone()];
    let twice = vec![good[0].clone(), good[0].clone()];
    let mut forged = good[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    let poor = net.paying(BOB, transfer(1), Fee { amount: Amount(1_000_001), gas_limit: 10_000 });
    for txs in [turned, twice, vec![forged], vec![good[0].clone(), poor]] {
        assert!(!net.app.process_proposal(&net.input(txs)));
    }
}

#[test]
fn the_pool_takes_nonces_in_order_and_fees_that_add_up() {
    let mut net = Net::new();
    let fee = |amount| Fee { amount: Amount(amount), gas_limit: 1_000_000 };
    let first = net.paying(ALICE, transfer(1), fee(400_000));
    let second = net.paying(ALICE, transfer(1), fee(400_000));
    let third = net.paying(ALICE, transfer(1), fee(400_000));
    assert_eq!(identity(&net.app.check_tx(&second)), "consensus/1", "a gap");
    assert_eq!(net.app.check_tx(&first).code, 0);
    assert_eq!(identity(&net.app.check_tx(&first)), "consensus/13", "known already");
    assert_eq!(net.app.check_tx(&second).code, 0);
    assert_eq!(identity(&net.app.check_tx(&third)), "consensus/2", "not on top of the others");

    let output = net.block(vec![first.clone()]);
    assert_eq!(output.txs[0].code, 0);
    assert_eq!(identity(&net.app.recheck_tx(&first)), "consensus/1", "it was in the block");
    assert_eq!(net.app.recheck_tx(&second).code, 0, "its turn");
    assert_eq!(identity(&net.app.check_tx(&third)), "consensus/2");
}

#[test]
fn before_genesis_nothing_is_admitted_and_nothing_runs() {
    let mut net = Net::new();
    let tx = net.tx(ALICE, transfer(1));
    let mut app = App::open(Kv::memory()).unwrap();
    assert_eq!(identity(&app.check_tx(&tx)), "consensus/12");
    assert_eq!(app.finalize_block(net.input(vec![])).unwrap_err().code(), 3);
    assert!(app.prepare_proposal(vec![tx], 1000).is_empty());
    assert_eq!(app.query(None, b"x").unwrap_err().code(), 5);
}

#[test]
fn a_proposal_keeps_the_order_and_leaves_out_what_does_not_fit() {
    let mut net = Net::with(|params| params.consensus.max_block_gas = 25_000);
    let fee = Fee { amount: Amount(1), gas_limit: 10_000 };
    let a: Vec<_> = (0..3).map(|_| net.paying(ALICE, transfer(1), fee.clone())).collect();
    let b = net.paying(BOB, transfer(1), fee);
    let junk = vec![1, 2, 3];
    let pool = vec![a[1].clone(), junk, a[0].clone(), b.clone(), a[2].clone()];

    let chosen = net.app.prepare_proposal(pool, usize::MAX);
    assert_eq!(chosen, [a[0].clone(), b], "a gap, junk, then no gas left");
    let block = net.input(chosen);
    assert!(net.app.process_proposal(&block));
    assert!(net.finalize(block).txs.iter().all(|outcome| outcome.code == 0));

    let size = 1 + 2 + a[1].len();
    assert_eq!(net.app.prepare_proposal(a[1..2].to_vec(), size), a[1..2].to_vec());
    assert!(net.app.prepare_proposal(a[1..2].to_vec(), size - 1).is_empty());
    assert!(!net.app.process_proposal(&net.input(vec![vec![]])));
    assert!(!net.app.process_proposal(&net.input(vec![vec![0; 2_000_000]])));
}

#[test]
fn what_was_verified_at_admission_gives_the_same_block() {
    let run = |admit: bool| {
        let mut net = Net::new();
        let mut txs: Vec<_> = (0..3).map(|_| net.tx(ALICE, transfer(1))).collect();
        let mut forged = net.tx(BOB, transfer(1));
        *forged.last_mut().unwrap() ^= 1;
        if admit {
            txs.iter().for_each(|tx| assert_eq!(net.app.check_tx(tx).code, 0));
        }
        txs.push(forged);
        net.block(txs)
    };
    let output = run(true);
    assert_eq!(output, run(false));
    assert_eq!(identity(&output.txs[3]), "consensus/8");
}
