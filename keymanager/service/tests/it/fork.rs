//! Two chains with one genesis and the same past, both signed by the same validators: they may have
//! left long ago and have nothing to lose. Keys stay on the chain that they belong to.

use std::sync::Arc;

use paralith_consensus_api::registry::ProveFreshness;
use paralith_harness::key;
use paralith_tee_channel::pb;
use paralith_tee_channel::pb::key_manager_call::Kind as Call;
use paralith_types::Hash;

use crate::answers::{BLOB, ready};
use crate::chain::{Chain, KM};
use crate::node::KeyManager;

/// The chains have the same registrations, freshness proofs and epoch, and differ in one block.
fn part(chain: &Arc<Chain>) -> Arc<Chain> {
    let fork = Arc::new(chain.fork());
    for (one, blob) in [(chain, 1), (&fork, 2)] {
        one.block(vec![(key(6), ProveFreshness { runtime_id: KM, blob: Hash([blob; 32]) }.into())]);
    }
    assert_eq!(chain.height(), fork.height());
    assert_ne!(chain.root(chain.height()), fork.root(fork.height()));
    fork
}

fn keys(code: u32) -> (String, u32) {
    ("keys".to_string(), code)
}

#[test]
fn an_enclave_on_a_fork_gets_no_keys_from_a_key_manager_on_the_real_chain() {
    let (chain, mut all, mut compute) = ready();
    let fork = part(&chain);
    all[0].sync();
    let honest = compute.request(BLOB);
    compute.chain = Arc::clone(&fork);
    let forked = compute.request(BLOB);
    assert_eq!((forked.height, forked.epoch), (honest.height, honest.epoch));
    assert_eq!(all[0].refusal(compute.ask(&forked)), keys(18));
    all[0].bytes(compute.ask(&honest));
    // Nor does one on the real chain from a key manager on the fork.
    let mut second = KeyManager::start(1, &chain, all[0].bytes(Call::Stop(pb::Stop {})));
    second.switch(&fork);
    fork.block(vec![second.blob()]);
    chain.block(vec![]);
    second.sync();
    second.confirm().unwrap();
    compute.chain = Arc::clone(&chain);
    assert_eq!(second.refusal(compute.ask(&compute.request(BLOB))), keys(18));
}

#[test]
fn secrets_are_not_replicated_between_two_chains() {
    let chain = Arc::new(Chain::new(0));
    let [mut first, second] = crate::node::born(&chain, vec![]);
    // The second one has restarted: it lacks the secrets of epochs.
    let mut second = KeyManager::start(2, &chain, second.bytes(Call::Stop(pb::Stop {})));
    let registration = second.init();
    chain.block(vec![registration]);
    first.sync();
    second.sync();
    first.prove_freshness();
    second.prove_freshness();
    first.sync();
    let fork = part(&chain);
    second.switch(&fork);
    first.sync();
    second.sync();
    let ask = || Call::ReplicationRequest(pb::ReplicationRequest {});
    let request = second.bytes(ask());
    let answer = |request: &[u8]| {
        Call::AnswerReplication(pb::AnswerReplication { request: request.to_vec() })
    };
    assert_eq!(first.refusal(answer(&request)), keys(18));

    // A replier on the fork, were it to answer, is refused by the root in its reply: the request
    // is of a height that both chains have in common, the answer is not.
    let common = Arc::new(chain.fork());
    let mut third = KeyManager::start(2, &common, vec![]);
    assert!(!third.sync().has_keys);
    let done = third.initialised(Call::Init(pb::Init {}));
    let registration = third.registration(done.response);
    let blob = third.blob();
    for one in [&common, &chain] {
        one.block(vec![registration.clone(), blob.clone()]);
    }
    third.confirm().unwrap();
    third.sync();
    let request = third.bytes(ask());
    first.sync();
    chain.block(vec![(key(6), ProveFreshness { runtime_id: KM, blob: Hash([3; 32]) }.into())]);
    common.block(vec![]);
    first.sync();
    let reply = first.bytes(answer(&request));
    let provided = Call::ProvideReplica(pb::ProvideReplica { reply });
    assert_eq!(third.refusal(provided), ("secrets".to_string(), 12));
    assert!(!third.sync().has_keys);
}
