use paralith_consensus_api::roothash::ProposalHeader;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Body;
use paralith_storage::Changes;
use paralith_tee_channel::pb;
use pb::runtime_reply::Kind as Reply;

use crate::block::with;
use crate::world::{EPOCH, World};
use crate::{call, code, code_of, read, secret, transaction};

#[test]
fn of_two_forks_only_the_final_one_is_ever_opened() {
    let mut world = World::new(code(), true);
    let enclave = world.enclave(1, &[EPOCH]);
    let shared = secret(&world, 10, 0, "a");
    let one = [shared.clone()];
    let two = [shared, secret(&world, 11, 0, "a")];
    let a = world.execute(&enclave, &one).unwrap();
    let b = world.execute(&enclave, &two).unwrap();
    // The same key is written by both, with another nonce and ciphertext; the same output too.
    let x = |executed: &paralith_tee_channel::pb::Executed| executed.changes.clone();
    let common: Vec<_> = x(&a)
        .into_iter()
        .filter_map(|one| x(&b).into_iter().find(|two| two.key == one.key).map(|two| (one, two)))
        .collect();
    assert_eq!(common.len(), 3);
    for (one, two) in common {
        let (one, two) = (one.value.unwrap(), two.value.unwrap());
        assert_eq!(one[..16], two[..16], "generation and round");
        assert_ne!(one[16..28], two[16..28], "nonce");
        assert_ne!(one[28..], two[28..], "ciphertext");
    }
    assert_ne!(a.outputs[0].sealed, b.outputs[0].sealed);
    assert_ne!(a.leaves[0].output_commitment, b.leaves[0].output_commitment);

    for fork in [&a, &b] {
        assert_eq!(code_of(&enclave.release(1, fork).unwrap_err()), ("enclave", 16));
    }
    world.finalise(&a, &one);
    // The enclave has not followed yet and does so by itself.
    let released = enclave.release(1, &a).unwrap();
    assert!(matches!(read(&world, &released.outputs[0]), Output::Ok(_)));
    assert_eq!(code_of(&enclave.release(1, &b).unwrap_err()), ("enclave", 18));
    let mut mixed = a.clone();
    mixed.outputs = b.outputs;
    assert_eq!(code_of(&enclave.release(1, &mixed).unwrap_err()), ("enclave", 18));
}

/// One batch, one state, two pinned heights: a host that has both executed can compare nothing, and
/// opens only the one that became final.
#[test]
fn of_one_batch_at_two_heights_nothing_is_alike() {
    let mut world = World::new(code(), true);
    let enclave = world.enclave(1, &[EPOCH]);
    let batch = [secret(&world, 10, 0, "a"), secret(&world, 11, 0, "t")];
    let low = world.proposal(&batch);
    world.chain.commit(Changes::new());
    enclave.sync(world.chain.height());
    let high = world.proposal(&batch);
    assert_ne!(low.consensus_height, high.consensus_height);
    let other_rank = ProposalHeader { rank: 1, ..high.clone() };
    let run = |proposal| match enclave.call(world.execute_call(proposal, &batch)).unwrap() {
        Reply::Executed(executed) => executed,
        other => panic!("{other:?}"),
    };
    let all = [run(&low), run(&high), run(&other_rank)];
    for (at, one) in all.iter().enumerate() {
        for two in &all[at + 1..] {
            nothing_is_alike(one, two);
        }
    }
    world.finalise_as(&all[1], &high);
    assert_eq!(enclave.release(1, &all[1]).unwrap().outputs.len(), 2);
    for other in [&all[0], &all[2]] {
        assert_eq!(code_of(&enclave.release(1, other).unwrap_err()), ("enclave", 18));
        let mut mixed = all[1].clone();
        mixed.outputs = other.outputs.clone();
        assert_eq!(code_of(&enclave.release(1, &mixed).unwrap_err()), ("enclave", 18));
    }
}

fn nothing_is_alike(one: &pb::Executed, two: &pb::Executed) {
    for (one, two) in one.changes.iter().zip(&two.changes) {
        assert_eq!(one.key, two.key, "the same entries are written");
        let (one, two) = (one.value.as_ref().unwrap(), two.value.as_ref().unwrap());
        assert_ne!(one[16..28], two[16..28], "nonce");
        assert_ne!(one[28..], two[28..], "ciphertext");
    }
    assert_eq!((one.outputs.len(), two.outputs.len()), (2, 2));
    for (a, leaf_a) in one.outputs.iter().zip(&one.leaves) {
        for (b, leaf_b) in two.outputs.iter().zip(&two.leaves) {
            assert_ne!(a.sealed, b.sealed);
            assert_ne!(leaf_a.output_commitment, leaf_b.output_commitment);
        }
    }
}

/// The draws of `begin_block` are the same whatever the scheduler proposes; those of a transaction
/// are not.
#[test]
fn a_scheduler_cannot_choose_what_begin_block_draws() {
    const DRAW: &str = "(call $random (i32.const 256) (i32.const 32))
        (call $emit_event (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 32))
        (i64.const 2)";
    for confidential in [false, true] {
        let mut world = World::new(with(&[("begin_block", DRAW), ("execute", DRAW)]), confidential);
        let enclave = match confidential {
            true => world.enclave(1, &[EPOCH]),
            false => world.enclave_with(1, |_| {}),
        };
        // `init` is over, and its call has a number of its own.
        world.round(&enclave, &[]);
        let raw = |sender| match confidential {
            true => secret(&world, sender, 0, "a"),
            false => transaction(&world, sender, 0, Body::Call(call("a"))),
        };
        let (one, two) = ([raw(10)], [raw(10), raw(11)]);
        let first = draws(&world.execute(&enclave, &one).unwrap());
        let other_batch = draws(&world.execute(&enclave, &two).unwrap());
        world.chain.commit(Changes::new());
        enclave.sync(world.chain.height());
        let other_height = draws(&world.execute(&enclave, &one).unwrap());
        for other in [&other_batch, &other_height] {
            assert_eq!(first.1, other.1, "begin_block");
            assert_ne!(first.0, other.0, "a transaction");
        }
        world.fail();
        enclave.sync(world.chain.height());
        let next_round = draws(&world.execute(&enclave, &one).unwrap());
        assert_ne!(first.1, next_round.1, "another round, another block before");
    }
}

/// The draw of the first transaction, and that of `begin_block`.
fn draws(executed: &pb::Executed) -> (Vec<u8>, Vec<u8>) {
    let of = |leaf: Option<&paralith_proto::pb::paratime::v1::IoLeaf>| {
        leaf.unwrap().events[0].data.clone()
    };
    (of(executed.leaves.first()), of(executed.leaves.last()))
}

#[test]
fn a_reveal_waits_for_its_round_and_is_the_same_everywhere() {
    let mut world = World::new(code(), true);
    let (a, b) = (world.enclave(1, &[EPOCH]), world.enclave(2, &[]));
    let batch = [secret(&world, 10, 0, "r")];
    let executed = world.execute(&a, &batch).unwrap();
    assert_eq!(code_of(&a.reveal(1, b"h").unwrap_err()), ("enclave", 16));
    world.finalise(&executed, &batch);
    let revealed = a.reveal(1, b"h").unwrap();
    assert_eq!(code_of(&a.reveal(1, b"other").unwrap_err()), ("enclave", 17));
    a.sync(world.chain.height());
    world.round(&a, &[secret(&world, 10, 1, "a")]);
    // Of the round that asked, not of a later one that still holds the intent.
    assert_eq!(code_of(&a.reveal(2, b"h").unwrap_err()), ("enclave", 17));
    for node in [&a, &b] {
        let again = node.reveal(1, b"h").unwrap();
        assert!(again.height >= revealed.height, "the newest height that the enclave has proven");
        assert_eq!(pb::Answer { height: revealed.height, ..again }, revealed);
    }
}
