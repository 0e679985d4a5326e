//! Proofs of a ParaTime's state and headers of past rounds.

use std::time::Duration;

use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::{Header, HeaderType};
use paralith_harness::runtimes;
use paralith_proto::pb::paratime::v1::{ProveStateRequest, ProveStateResponse};
use paralith_proto::{Wire, required};
use paralith_runtime_worker::{WorkerError, WorkerHandle, places_asked_for};
use paralith_storage::Proof;
use paralith_types::Hash;

use crate::net::{Cluster, RUNTIME, Setup, hash_of, until};

fn ask(round: Option<u64>, keys: &[&[u8]]) -> ProveStateRequest {
    ProveStateRequest {
        runtime_id: RUNTIME.as_bytes().to_vec(),
        round: round.unwrap_or_default(),
        newest: round.is_none(),
        keys: keys.iter().map(|key| key.to_vec()).collect(),
    }
}

/// The header and the values, if every proof holds under the header's root.
fn verified(keys: &[&[u8]], answer: ProveStateResponse) -> (Header, Vec<Option<Vec<u8>>>) {
    let header: Header = required(answer.header, "header").unwrap();
    assert_eq!(answer.entries.len(), keys.len());
    for (key, entry) in keys.iter().zip(&answer.entries) {
        let proof = Proof::from_bytes(&entry.proof).unwrap();
        proof.verify(&header.state_root, key, entry.value.as_deref()).unwrap();
    }
    (header, answer.entries.into_iter().map(|entry| entry.value).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_and_absences_are_proven_after_every_round_also_those_without_results() {
    // Epochs of nine blocks: rounds without results lie in between.
    let cluster = Cluster::start(&Setup { epoch_blocks: 9, ..Setup::three() });
    let handle = cluster.handle(0).clone();
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    let of_tx = cluster.receipt(0, &raw).await.round;
    let enough = || {
        let headers = handle.headers(1, u64::MAX).unwrap().headers;
        let without = headers.iter().filter(|header| {
            header.round > of_tx && header.header_type != HeaderType::Normal.to_pb()
        });
        (without.count() >= 2).then_some(headers)
    };
    let headers = until(|| cluster.chain.describe(), enough).await;
    let tx = hash_of(&raw);
    let keys: [&[u8]; 3] = [b"rounds", tx.as_bytes(), b"nothing"];
    let mut before: Option<Header> = None;
    for header in headers {
        let header = Header::from_pb(header).unwrap();
        assert!(before.is_none_or(|before| before.hash() == header.previous_hash));
        let answer = handle.prove_state(&ask(Some(header.round.0), &keys)).unwrap();
        let (proven, values) = verified(&keys, answer);
        assert_eq!(proven, header);
        assert_eq!(values[1].is_some(), header.round.0 >= of_tx, "{header:?}");
        assert_eq!(values[2], None);
        before = Some(header);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_state_is_proven_and_a_round_that_is_not_there_is_not() {
    let cluster = Cluster::start(&Setup::three());
    cluster.rounds_until(0, |chain| chain.ended().len() >= 3).await;
    let handle = cluster.handle(0);
    let keys: [&[u8]; 1] = [b"rounds"];
    let newest = until(|| cluster.chain.describe(), || handle.prove_state(&ask(None, &keys)).ok());
    let (header, values) = verified(&keys, newest.await);
    assert_eq!(values, [Some(header.round.0.to_be_bytes().to_vec())]);
    let absent = handle.prove_state(&ask(Some(header.round.0 + 100), &keys));
    assert_eq!(absent, Err(WorkerError::NotFound));
    assert_eq!(handle.headers(header.round.0 + 100, u64::MAX), Err(WorkerError::NotFound));
    assert_eq!(handle.headers(2, 3).unwrap().headers.len(), 2);
}

#[test]
fn a_request_is_bounded_and_of_a_confidential_paratime_only_public_entries_are_provable() {
    let owner = paralith_harness::key(1).public();
    let public = runtimes::public(RUNTIME, owner);
    let place = |runtime: &Runtime, key: &[u8]| places_asked_for(runtime, &ask(None, &[key]));
    assert_eq!(place(&public, b"any"), Ok(vec![b"any".to_vec()]));

    let mut secret = runtimes::confidential(RUNTIME, owner, RUNTIME, Hash([1; 32]));
    if let Some(code) = &mut secret.code {
        code.abi_version = 2;
    }
    let places = place(&secret, b"\xfea").unwrap();
    assert_eq!((places[0].len(), &places[0][32..]), (34, b"\xfea".as_slice()));
    for key in [b"a".as_slice(), b"", b"\xff", &[7; 32]] {
        let refused = place(&secret, key).unwrap_err();
        assert_eq!((refused.code(), refused.retry().is_retryable()), (14, false), "{key:?}");
    }
    // Version 1 encrypts these like any other.
    if let Some(code) = &mut secret.code {
        code.abi_version = 1;
    }
    assert_eq!(place(&secret, b"\xfea"), Err(WorkerError::NotPublic));

    let many = [b"k".as_slice(); 65];
    assert!(places_asked_for(&public, &ask(None, &many[..64])).is_ok());
    let long = vec![0; (64 << 10) + 1];
    for keys in [many.as_slice(), &[long.as_slice()]] {
        assert_eq!(places_asked_for(&public, &ask(None, keys)).unwrap_err().code(), 15);
    }
}

/// The first round whose state a worker still proves. The empty state, which it needs no tree for,
/// does not count.
fn oldest_proven(handle: &WorkerHandle, newest: u64) -> u64 {
    let proven = |round: &u64| {
        let answer = handle.prove_state(&ask(Some(*round), &[b"rounds"]));
        answer.is_ok_and(|answer| answer.entries[0].value.is_some())
    };
    (1..=newest).find(proven).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_states_go_with_time_and_headers_stay_also_over_a_restart() {
    let setup = Setup { state_kept_blocks: Some(20), ..Setup::three() };
    let mut cluster = Cluster::start(&setup);
    let mut raws = (0..).map(|nonce| cluster.transfer(1, nonce)).take(60).collect::<Vec<_>>();
    raws.reverse();
    let mut first = 0;
    loop {
        let raw = raws.pop().expect("versions are pruned");
        cluster.submit(0, &raw).await;
        let newest = cluster.receipt(0, &raw).await.round;
        let handle = cluster.handle(0);
        let oldest = oldest_proven(handle, newest);
        first = if first == 0 { oldest } else { first };
        let pinned = |round| cluster.chain.header(round).unwrap().consensus_height.0;
        // What is younger is there.
        let young = (1..=newest).find(|round| pinned(*round) + 20 >= pinned(newest)).unwrap();
        assert!(oldest <= young.max(first), "{oldest} {young}");
        if oldest > 5 {
            assert_eq!(handle.headers(1, newest).unwrap().headers.len() as u64, newest);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let last = cluster.chain.last_round();
    let kv = cluster.kill(0).await;
    cluster.start_with(0, None, kv, 0);
    let handle = cluster.handle(0);
    until(|| cluster.chain.describe(), || handle.prove_state(&ask(Some(last), &[b"rounds"])).ok())
        .await;
    assert_eq!(handle.headers(1, last).unwrap().headers.len() as u64, last);
}
