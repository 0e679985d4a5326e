use paralith_runtime_api::output::Output;

use crate::world::{EPOCH, World};
use crate::{code, code_of, read, secret};

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
        assert_eq!(code_of(&enclave.release(1, fork).unwrap_err()), ("trusted", 16));
    }
    world.finalise(&a, &one);
    // The enclave has not followed yet and does so by itself.
    let released = enclave.release(1, &a).unwrap();
    assert!(matches!(read(&world, &released.outputs[0]), Output::Ok(_)));
    assert_eq!(code_of(&enclave.release(1, &b).unwrap_err()), ("trusted", 18));
    let mut mixed = a.clone();
    mixed.outputs = b.outputs;
    assert_eq!(code_of(&enclave.release(1, &mixed).unwrap_err()), ("trusted", 18));
}

#[test]
fn a_reveal_waits_for_its_round_and_is_the_same_everywhere() {
    let mut world = World::new(code(), true);
    let (a, b) = (world.enclave(1, &[EPOCH]), world.enclave(2, &[]));
    let batch = [secret(&world, 10, 0, "r")];
    let executed = world.execute(&a, &batch).unwrap();
    assert_eq!(code_of(&a.reveal(1, b"h").unwrap_err()), ("trusted", 16));
    world.finalise(&executed, &batch);
    let revealed = a.reveal(1, b"h").unwrap();
    assert_eq!(code_of(&a.reveal(1, b"other").unwrap_err()), ("trusted", 17));
    a.sync(world.chain.height());
    world.round(&a, &[secret(&world, 10, 1, "a")]);
    // Of the round that asked, not of a later one that still holds the intent.
    assert_eq!(code_of(&a.reveal(2, b"h").unwrap_err()), ("trusted", 17));
    assert_eq!(b.reveal(1, b"h").unwrap(), revealed);
    assert_eq!(a.reveal(1, b"h").unwrap(), revealed);
}
