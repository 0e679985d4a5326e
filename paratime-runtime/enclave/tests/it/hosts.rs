use crate::world::{EPOCH, Lie, World};
use crate::{code, code_of, secret};

#[test]
fn a_host_that_lies_or_withholds_gets_no_result() {
    let mut world = World::new(code(), true);
    let first = world.enclave(1, &[EPOCH]);
    for nonce in 0..2 {
        world.round(&first, &[secret(&world, 10, nonce, "a")]);
    }
    let batch = [secret(&world, 10, 2, "a")];
    for (lie, module, code) in [
        (Lie::FlipNode, "enclave", 14),
        (Lie::NoNode, "enclave", 14),
        (Lie::StaleRoot, "enclave", 14),
        (Lie::FlipValue, "enclave", 14),
        (Lie::NoValue, "enclave", 14),
        (Lie::NoProof, "view", 2),
        (Lie::FlipProof, "view", 2),
    ] {
        // Fresh, so that nothing is verified and kept already.
        let enclave = world.enclave(1, &[EPOCH]);
        // The proposal pins the newest height, and everything derives from the proposal.
        first.sync(world.chain.height());
        let truth = world.execute(&first, &batch).unwrap().results.unwrap().state_root;
        enclave.lie(lie);
        let failure = world.execute(&enclave, &batch).unwrap_err();
        assert_eq!(code_of(&failure), (module, code), "{lie:?}: {failure}");
        enclave.lie(Lie::None);
        // What it said before has left nothing behind.
        let state_root = world.execute(&enclave, &batch).unwrap().results.unwrap().state_root;
        assert_eq!(state_root, truth, "{lie:?}");
    }
}

#[test]
fn an_enclave_that_was_fooled_into_a_round_that_failed_goes_on() {
    let mut world = World::new(code(), true);
    let enclave = world.enclave(1, &[EPOCH]);
    world.round(&enclave, &[secret(&world, 10, 0, "a")]);
    let dropped = [secret(&world, 10, 1, "a"), secret(&world, 11, 0, "r")];
    world.execute(&enclave, &dropped).unwrap();
    for nonce in 1..4 {
        world.round(&enclave, &[secret(&world, 10, nonce, "a")]);
    }
}
