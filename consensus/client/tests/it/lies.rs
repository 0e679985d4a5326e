use std::time::Duration;

use paralith_consensus_api::tx::Body;
use paralith_consensus_api::{consensus, registry, staking};
use paralith_consensus_client::{
    ChainClient, ClientError, ClientOptions, ParaTimeClient, PortableProof, RegisteredEnclave,
    TxOptions,
};
use paralith_harness::{key, set};
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_storage::Changes;
use paralith_types::{
    Amount, ChainContext, Epoch, Hash, Height, PublicKey, Round, X25519PublicKey,
};

use crate::gateway::{Gateway, KEPT, Lie, PUBLIC_KEY, RUNTIME, descriptor};

async fn connect(gateway: &Gateway) -> ChainClient {
    let channel = gateway.serve().await;
    ChainClient::connect("test", channel, ClientOptions::default()).await.unwrap()
}

fn balance() -> Call {
    Call { method: "balance".to_string(), args: b"{}".to_vec() }
}

#[tokio::test]
async fn an_honest_gateway_is_believed() {
    let gateway = Gateway::new();
    let mut chain = connect(&gateway).await;
    let mut paratime = ParaTimeClient::new(&mut chain, "secret").await.unwrap();
    let answer = paratime.query(&mut chain, Some(&key(1)), balance()).await.unwrap();
    assert_eq!(answer.output, Output::Ok(b"42".to_vec()));
    assert_eq!(answer.round, Round(1));
    // The next epoch begins while the client runs: its key is asked for.
    gateway.begin_epoch(8);
    gateway.finish_round();
    let answer = paratime.query(&mut chain, None, balance()).await.unwrap();
    assert_eq!(answer.round, Round(2));
}

#[tokio::test]
async fn a_call_pays_no_more_than_its_sender_said_and_no_less_than_the_paratime_takes() {
    let gateway = Gateway::new();
    let mut chain = connect(&gateway).await;
    let mut paratime = ParaTimeClient::new(&mut chain, "secret").await.unwrap();
    let (most, far) = (1_000_000, u128::MAX);
    for (price, gas, fee, expected) in [
        // Gas costs nothing: the highest limit.
        (0, None, None, Some((most, 0))),
        (0, Some(70), None, Some((70, 0))),
        (0, None, Some(9), Some((most, 9))),
        // Gas has a price: the fee follows from the limit, or the limit from the fee.
        (3, None, None, None),
        (3, Some(70), None, Some((70, 210))),
        (3, Some(70), Some(500), Some((70, 500))),
        (3, None, Some(500), Some((166, 500))),
        (3, None, Some(far), Some((most, far))),
        (far, None, Some(far), Some((1, far))),
        (3, Some(most + 1), None, None),
        (far, Some(2), None, None),
    ] {
        paratime.runtime.min_gas_price = Amount(price);
        let got = paratime.price(TxOptions { gas_limit: gas, fee: fee.map(Amount) });
        let got = got.map(|gas| (gas.limit, gas.fee.0));
        match (got, expected) {
            (Ok(got), Some(expected)) => assert_eq!(got, expected, "{price} {gas:?} {fee:?}"),
            (Err(ClientError::Usage { .. } | ClientError::Internal { .. }), None) => {}
            (got, expected) => panic!("{price} {gas:?} {fee:?}: {got:?}, not {expected:?}"),
        }
    }
    // No transaction fits into a batch that takes less.
    paratime.runtime.min_gas_price = Amount::ZERO;
    paratime.runtime.batching.max_batch_gas = 40;
    assert_eq!(paratime.price(TxOptions::default()).unwrap().limit, 40);
    // The text says what it would cost.
    paratime.runtime.min_gas_price = Amount(3);
    let error = paratime.price(TxOptions::default()).unwrap_err().to_string();
    assert!(error.contains("--gas") && error.contains("40, for 120"), "{error}");
}

#[tokio::test]
async fn a_key_of_another_epoch_generation_or_signer_is_refused() {
    let gateway = Gateway::new();
    let mut chain = connect(&gateway).await;
    let mut paratime = ParaTimeClient::new(&mut chain, "secret").await.unwrap();
    for lie in [Lie::OldKey, Lie::FutureKey, Lie::OldGeneration, Lie::OwnKey] {
        gateway.tell(lie);
        let error = paratime.query(&mut chain, None, balance()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unverifiable { .. }), "{lie:?}: {error}");
    }
    gateway.tell(Lie::None);
    paratime.query(&mut chain, None, balance()).await.unwrap();
}

#[tokio::test]
async fn an_answer_on_an_older_or_invented_state_is_refused() {
    let gateway = Gateway::new();
    gateway.finish_round();
    let mut chain = connect(&gateway).await;
    let mut paratime = ParaTimeClient::new(&mut chain, "secret").await.unwrap();
    for lie in [Lie::StaleAnswer, Lie::InventedRoot, Lie::InventedRound] {
        gateway.tell(lie);
        let error = paratime.query(&mut chain, None, balance()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unverifiable { .. }), "{lie:?}: {error}");
    }
}

#[tokio::test]
async fn a_false_value_of_state_is_refused() {
    let gateway = Gateway::new();
    let mut chain = connect(&gateway).await;
    gateway.tell(Lie::FalseValue);
    let error = chain.epoch().await.unwrap_err();
    assert!(matches!(error, ClientError::Unverifiable { .. }), "{error}");
}

#[tokio::test]
async fn a_runtime_that_the_state_does_not_have_is_not_listed() {
    let gateway = Gateway::new();
    let mut chain = connect(&gateway).await;
    let listed = chain.runtimes().await.unwrap();
    assert_eq!(listed.len(), 1, "the gateway invented a second one: {listed:?}");
}

#[tokio::test]
async fn an_enclave_that_the_index_does_not_have_is_not_listed() {
    let gateway = Gateway::new();
    let mut changes = Changes::new();
    let enclave = registry::Enclave {
        node: PublicKey([3; 32]),
        entity_id: PublicKey([4; 32]),
        rek: X25519PublicKey([5; 32]),
        measurement: Hash([6; 32]),
        code: None,
        attested_height: Height(1),
        expires_height: Height(9),
        node_expiration: Epoch(9),
        software: true,
    };
    let rak = PublicKey([1; 32]);
    set(&mut changes, registry::keys::enclave(&RUNTIME, &rak), &enclave);
    gateway.chain.commit(&changes);
    let mut chain = connect(&gateway).await;
    let listed = chain.enclaves(&RUNTIME).await.unwrap();
    assert_eq!(listed, [RegisteredEnclave { rak, enclave }]);
}

#[tokio::test]
async fn what_is_proposed_is_proven_and_complete() {
    let gateway = Gateway::new();
    let mut chain = connect(&gateway).await;
    let nothing = chain.proposals(&RUNTIME).await.unwrap();
    assert_eq!(nothing.in_force, Some(descriptor()));
    assert_eq!((nothing.decisions, nothing.descriptors), (None, Vec::new()));

    let proposed = |terms: &str| registry::Runtime { terms: terms.into(), ..descriptor() };
    let mut changes = Changes::new();
    let mut proposals = Vec::new();
    for (proposer, terms) in [(1, "a"), (2, "b"), (3, "a")] {
        let (proposer, runtime) = (PublicKey([proposer; 32]), proposed(terms));
        let descriptor = runtime.descriptor_hash();
        set(&mut changes, registry::keys::proposal(&RUNTIME, &descriptor), &runtime);
        proposals.push(registry::Proposed { proposer, descriptor, epoch: Epoch(7) });
    }
    let decisions = registry::Decisions {
        runtime_id: RUNTIME,
        proposals,
        approvals: Vec::new(),
        revocations: Vec::new(),
    };
    set(&mut changes, registry::keys::decisions(&RUNTIME), &decisions);
    gateway.chain.commit(&changes);
    let open = chain.proposals(&RUNTIME).await.unwrap();
    let mut wanted = vec![proposed("a"), proposed("b")];
    wanted.sort_by_key(registry::Runtime::descriptor_hash);
    assert_eq!((open.decisions, open.descriptors), (Some(decisions), wanted));

    gateway.tell(Lie::FalseValue);
    let error = chain.proposals(&RUNTIME).await.unwrap_err();
    assert!(matches!(error, ClientError::Unverifiable { .. }), "{error}");
}

#[tokio::test]
async fn an_old_height_is_proven_across_changes_of_all_validators() {
    let gateway = Gateway::new();
    let mut old = Changes::new();
    set(&mut old, b"k".to_vec(), &staking::Account::default());
    gateway.chain.commit(&old);
    for seed in 110..114 {
        for _ in 0..100 {
            gateway.chain.commit(&Changes::new());
        }
        gateway.chain.replace_validator(seed);
    }
    let mut chain = connect(&gateway).await;
    let newest = chain.sync().await.unwrap();
    assert!(newest > Height(400));
    // Not kept any more, and not signed by any validator of genesis.
    for height in [5, 150, 250, 330] {
        let proven = chain.proven(Some(Height(height)), b"k").await.unwrap();
        assert_eq!(proven.height, Height(height));
        assert!(proven.value.is_some());
    }
    let error = chain.proven(Some(newest.plus(5)), b"k").await.unwrap_err();
    assert!(matches!(error, ClientError::NotReady { .. }), "{error}");
}

#[tokio::test]
async fn a_gateway_of_another_chain_or_with_old_blocks_is_refused() {
    let gateway = Gateway::new();
    let other = ClientOptions { chain: Some(ChainContext([1; 32])), max_age: None };
    let error = ChainClient::connect("test", gateway.serve().await, other).await.unwrap_err();
    assert!(matches!(error, ClientError::Unverifiable { .. }), "{error}");

    // Its newest header is years old.
    let chain = Some(gateway.chain.document.hash().unwrap());
    let fresh = ClientOptions { chain, max_age: Some(Duration::from_secs(600)) };
    let mut client = ChainClient::connect("test", gateway.serve().await, fresh).await.unwrap();
    let error = client.epoch().await.unwrap_err();
    assert!(matches!(error, ClientError::Stale { max_seconds: 600, .. }), "{error}");
}

#[tokio::test]
async fn a_gateway_cannot_make_a_client_sign_for_ever_or_pay_any_fee() {
    let gateway = Gateway::new();
    let mut changes = Changes::new();
    let params = consensus::Params { min_gas_price: Amount(3), ..gateway.consensus_params() };
    set(&mut changes, consensus::keys::params(), &params);
    gateway.chain.commit(&changes);
    let mut chain = connect(&gateway).await;
    let to = paralith_consensus_api::address::of_key(&key(2).public());
    let body = Body::from(staking::Transfer { to, amount: Amount(1) });
    let fee = chain.price(&key(1), 0, &body, TxOptions::default()).await.unwrap();
    assert_eq!((fee.gas_limit, fee.amount), (10_000_000, Amount(30_000_000)), "a bounded estimate");
    let error = chain.submit(&key(1), body, TxOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)), "{error}");
    assert!(*gateway.submissions.lock().unwrap() < 100);
}

#[tokio::test]
async fn a_transaction_is_given_the_gas_that_it_needs_and_a_quarter_more() {
    let gateway = Gateway::new();
    let mut changes = Changes::new();
    let params = consensus::Params { min_gas_price: Amount(3), ..gateway.consensus_params() };
    set(&mut changes, consensus::keys::params(), &params);
    gateway.chain.commit(&changes);
    let mut chain = connect(&gateway).await;
    let to = paralith_consensus_api::address::of_key(&key(2).public());
    let body = Body::from(staking::Transfer { to, amount: Amount(1) });
    for (estimate, limit) in [(0, 1), (1_000, 1_251), (80_000, 100_001)] {
        *gateway.estimate.lock().unwrap() = estimate;
        let fee = chain.price(&key(1), 0, &body, TxOptions::default()).await.unwrap();
        assert_eq!((fee.gas_limit, fee.amount), (limit, Amount(3 * u128::from(limit))));
    }
    // What the sender says is not estimated.
    let given = TxOptions { gas_limit: Some(70), fee: None };
    assert_eq!(chain.price(&key(1), 0, &body, given).await.unwrap().gas_limit, 70);
}

fn keys() -> Vec<Vec<u8>> {
    [PUBLIC_KEY, b"\xfenothing"].map(<[u8]>::to_vec).into()
}

/// A gateway after ten rounds, of whose headers consensus has the last ones.
async fn ten_rounds() -> (Gateway, ChainClient, ParaTimeClient) {
    let gateway = Gateway::new();
    for _ in 1..10 {
        gateway.finish_round();
    }
    let mut chain = connect(&gateway).await;
    let paratime = ParaTimeClient::new(&mut chain, "secret").await.unwrap();
    (gateway, chain, paratime)
}

#[tokio::test]
async fn entries_and_absences_are_proven_after_the_newest_and_after_every_earlier_round() {
    let (gateway, mut chain, mut paratime) = ten_rounds().await;
    let newest = paratime.prove(&mut chain, None, &keys()).await.unwrap();
    assert_eq!(newest.header.round, Round(10));
    assert_eq!(newest.values, [Some(vec![10]), None]);
    for round in 1..=10 {
        *gateway.pages.lock().unwrap() = 0;
        let proven = paratime.prove(&mut chain, Some(Round(round)), &keys()).await.unwrap();
        assert_eq!(proven.header.round, Round(round));
        assert_eq!(proven.values, [Some(vec![round as u8]), None]);
        // The chain of headers is followed where consensus has not the header itself, to the oldest
        // that it has.
        let links = (10 - KEPT + 1).saturating_sub(round);
        assert_eq!(u64::from(*gateway.pages.lock().unwrap()), links.div_ceil(3), "{round}");
    }
}

#[tokio::test]
async fn a_false_proof_of_an_entry_is_refused() {
    let (gateway, mut chain, mut paratime) = ten_rounds().await;
    for lie in [
        Lie::WrongEntry,
        Lie::AbsentEntry,
        Lie::InventedEntry,
        Lie::OtherRoundsProof,
        Lie::OtherRound,
        Lie::WrongHeader,
        Lie::FewerEntries,
    ] {
        // A recent round, an old one, the newest.
        for round in [Some(9), Some(3), None] {
            gateway.tell(lie);
            let proven = paratime.prove(&mut chain, round.map(Round), &keys()).await;
            let error = proven.unwrap_err();
            assert!(
                matches!(error, ClientError::Unverifiable { .. }),
                "{lie:?} {round:?}: {error}"
            );
            gateway.tell(Lie::None);
            paratime.prove(&mut chain, round.map(Round), &keys()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn entries_are_proven_without_a_node_and_no_changed_byte_verifies() {
    let (_gateway, mut chain, mut paratime) = ten_rounds().await;
    let genesis = chain.genesis().clone();
    let proof = paratime.prove_portably(&mut chain, &keys()).await.unwrap();
    drop(chain);
    let proven = proof.verify(&genesis).unwrap();
    assert_eq!((proven.header.round, proven.runtime.id), (Round(10), RUNTIME));
    let values: Vec<_> = keys().iter().map(|key| proof.entry(key).unwrap().value.clone()).collect();
    assert_eq!(values, [Some(vec![10]), None]);
    let refuse = |what: &str, changed: PortableProof| {
        let error = changed.verify(&genesis).unwrap_err();
        assert!(matches!(error, ClientError::Unverifiable { .. }), "{what}: {error}");
    };
    let flip = |bytes: &mut Vec<u8>, at: usize| bytes[at] ^= 1;
    let changed = |change: &dyn Fn(&mut PortableProof)| {
        let mut changed = proof.clone();
        change(&mut changed);
        changed
    };
    for at in 0..proof.header.0.len() {
        refuse("header", changed(&|it| flip(&mut it.header.0, at)));
    }
    for at in 0..proof.header.1.len() {
        refuse("the header's proof", changed(&|it| flip(&mut it.header.1, at)));
    }
    for at in 0..proof.runtime.0.len() {
        refuse("descriptor", changed(&|it| flip(&mut it.runtime.0, at)));
    }
    for at in 0..proof.entries[0].proof.len() {
        refuse("the entry's proof", changed(&|it| flip(&mut it.entries[0].proof, at)));
    }
    refuse("value", changed(&|it| it.entries[0].value = Some(vec![11])));
    refuse("absence", changed(&|it| it.entries[0].value = None));
    refuse("invention", changed(&|it| it.entries[1].value = Some(vec![1])));
    refuse("key", changed(&|it| it.entries[0].key.push(1)));
    refuse("another ParaTime", changed(&|it| it.runtime_id.0[0] ^= 1));
    refuse("no header", changed(&|it| it.blocks.clear()));
    refuse("an older state", changed(&|it| drop(it.blocks.pop())));
    for block in 0..proof.blocks.len() {
        let mut it = proof.clone();
        let middle = it.blocks[block].len() / 2;
        flip(&mut it.blocks[block], middle);
        it.verify(&genesis).unwrap_err();
    }
}

#[tokio::test]
async fn a_chain_of_headers_that_breaks_or_leads_elsewhere_proves_nothing() {
    let (gateway, mut chain, mut paratime) = ten_rounds().await;
    for lie in [Lie::GapInHeaders, Lie::ShortHeaders, Lie::WrongLink, Lie::OwnChain] {
        gateway.tell(lie);
        let error = paratime.prove(&mut chain, Some(Round(1)), &keys()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unverifiable { .. }), "{lie:?}: {error}");
    }
    gateway.tell(Lie::OwnChain);
    let error = paratime.prove(&mut chain, Some(Round(1)), &keys()).await.unwrap_err();
    assert!(error.to_string().contains("another header"), "its own chain is whole: {error}");
}

#[tokio::test]
async fn of_a_confidential_paratime_a_client_asks_for_public_entries_only() {
    let (_gateway, mut chain, mut paratime) = ten_rounds().await;
    let error = paratime.prove(&mut chain, None, &[b"balance".to_vec()]).await.unwrap_err();
    assert!(matches!(error, ClientError::Usage { .. }), "{error}");
}
