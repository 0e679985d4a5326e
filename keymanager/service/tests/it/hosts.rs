//! Hosts that lie, and starts that are refused.

use std::sync::Arc;

use paralith_tee_channel::pb;
use paralith_tee_channel::pb::key_manager_call::Kind as Call;
use paralith_types::{Hash, Height};

use crate::answers::ready;
use crate::chain::Chain;
use crate::node::{KeyManager, Lie};

const BLOB: Hash = Hash([0xb1; 32]);

#[test]
fn nothing_that_a_host_makes_up_is_believed() {
    let (chain, all, compute) = ready();
    let request = compute.request(BLOB);
    let ask = || compute.ask(&request);
    let earlier = Height(chain.height().0 - 1);
    for lie in [Lie::Values, Lie::Absence, Lie::OldState(earlier)] {
        all[0].lie(lie);
        assert_eq!(all[0].refusal(ask()), ("view".to_string(), 2));
        let proposals = Call::LoadProposals(pb::LoadProposals {});
        assert_eq!(all[0].refusal(proposals), ("view".to_string(), 2));
    }
    all[0].lie(Lie::Headers);
    let height = chain.block(vec![]).0;
    assert_eq!(all[0].refusal(Call::Sync(pb::Sync { height })), ("view".to_string(), 2));
    // And nothing of it has changed anything.
    all[0].lie(Lie::Nothing);
    all[0].bytes(ask());
}

#[test]
fn an_enclave_on_an_old_chain_serves_nobody_new() {
    let (chain, all, compute) = ready();
    let [mut first, _second] = all;
    let (frozen, old) = (chain.height(), compute.request(BLOB));
    first.lie(Lie::Frozen(frozen.next()));
    chain.next_epoch();
    let newer = Hash([0xb2; 32]);
    compute.prove_freshness(newer);
    let height = chain.height().0;
    let refused = first.refusal(Call::Sync(pb::Sync { height }));
    assert_eq!(refused, ("view".to_string(), 1), "the host withholds it");
    // It sees an epoch that is over, in which nobody has this blob.
    let keys = |code| ("keys".to_string(), code);
    assert_eq!(first.refusal(compute.ask(&compute.request(newer))), keys(9));
    let mut backdated = old.clone();
    backdated.freshness = newer;
    assert_eq!(first.refusal(compute.ask(&backdated)), keys(7));

    // Restarted it cannot prove freshness there, and answers not even what it answered before.
    let sealed = first.bytes(Call::Stop(pb::Stop {}));
    first = KeyManager::start_with(1, &chain, sealed, Lie::Frozen(frozen.next()));
    let Ok(_) = first.call(Call::Sync(pb::Sync { height: frozen.0 })) else { panic!() };
    first.blob();
    let confirm = pb::ConfirmFreshness { height: frozen.0 };
    let refused = first.refusal(Call::ConfirmFreshness(confirm));
    assert_eq!(refused, ("keymanager-service".to_string(), 13));
    assert_eq!(first.refusal(compute.ask(&old)), keys(12));
}

#[test]
fn a_start_is_refused_where_it_would_not_be_safe() {
    type Change = fn(&mut pb::Start);
    let chain = Arc::new(Chain::new(0));
    chain.block(vec![]);
    chain.block(vec![]);
    let node = KeyManager::start(1, &chain, vec![]);
    let sealed = node.bytes(Call::Stop(pb::Stop {}));
    let cases: [(&str, Change, u32); 7] = [
        ("another genesis", |s| s.genesis = b"{}".to_vec(), 3),
        ("another context", |s| s.chain_context = vec![1; 32], 3),
        ("another chain id", |s| s.chain_id.push('x'), 3),
        ("a short node key", |s| s.node = vec![1], 3),
        ("no sealing key", |s| s.sealing_key.clear(), 3),
        ("another platform", |s| s.sealing_key = vec![7; 32], 4),
        ("a damaged seal", |s| s.sealed[20] ^= 1, 4),
    ];
    for (what, change, code) in cases {
        let mut start = node.start_call();
        start.sealed.clone_from(&sealed);
        change(&mut start);
        let refused = node.refusal(Call::Start(start));
        assert_eq!(refused, ("keymanager-service".to_string(), code), "{what}");
    }
}

#[test]
fn a_second_start_renews_the_claims_and_keeps_the_keys() {
    let chain = Arc::new(Chain::new(0));
    chain.block(vec![]);
    let mut node = KeyManager::start(1, &chain, vec![]);
    let first = node.claims();
    chain.block(vec![]);
    chain.block(vec![]);
    node.sync();
    let second = node.claims();
    assert_eq!((first.rak, first.rek), (second.rak, second.rek));
    assert_eq!(second.height, chain.height());
    let mut other = node.start_call();
    other.node = vec![7; 32];
    assert_eq!(node.refusal(Call::Start(other)), ("keymanager-service".to_string(), 2));
}

#[test]
fn calls_for_compute_runtimes_are_refused() {
    let chain = Arc::new(Chain::new(0));
    chain.block(vec![]);
    let node = KeyManager::start(1, &chain, vec![]);
    let call = pb::runtime_call::Kind::KeyRequestFor(pb::KeyRequestFor { epoch: 0 });
    assert_eq!(node.runtime_refusal(call), ("keymanager-service".to_string(), 6));
}
