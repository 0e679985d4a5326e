//! t14: what only a ledger that everybody can trust gives: answers that are no responses, and no way back.

use paralith_chaincode_messages::state::entry_key;
use paralith_chaincode_messages::{Message as _, NewCommit, Response};
use paralith_runtime_api::output::Output;
use paralith_storage::Changes;

use crate::world::{APPLICATION, EPOCH, Endorser, World};

#[test]
fn no_answer_of_evaluate_is_a_response() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let answered = endorser.evaluate(&world.query("k0g", EPOCH)).unwrap();
    for bytes in [answered.output, answered.state_root] {
        assert!(Response::decode(&bytes).is_err());
        // Some bytes can be read as a commit, whose response then cannot.
        let commit = NewCommit::decode(&bytes);
        assert!(
            commit.is_err() || commit.is_ok_and(|one| Response::decode(&one.response).is_err())
        );
    }
}

/// Reads one byte of the state: 1 stands for an auction that is open, 2 for a closed one.
fn stage(world: &World, endorser: &Endorser) -> Output {
    endorser.sync(world.chain.height()).unwrap();
    let request = world.query("k0g", EPOCH);
    world.open_answer(&request, &endorser.evaluate(&request).unwrap())
}

/// Why a ledger needs an approval: the enclaves believe its committee. This is the control of the tests
/// in which one liar among plain workers is outvoted, and the owner alone cannot choose the committee.
#[test]
fn a_committee_of_liars_reopens_what_was_closed() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let open = endorser.endorse(&world.propose("k1p")).unwrap().response;
    world.commit(&[&open]);
    let key = entry_key(&APPLICATION, &Response::decode(&open).unwrap().writes[0].index);
    let stored =
        |world: &World| world.ledger.get(world.last.last_block.round.0, &key).unwrap().unwrap();
    let opened = stored(&world);
    let is_open = stage(&world, &endorser);
    let close = endorser.endorse(&world.propose("k2p")).unwrap().response;
    world.commit(&[&close]);
    let closed = stage(&world, &endorser);
    assert_ne!((&is_open, &opened), (&closed, &stored(&world)));
    // Every signature of the round is the committee's own. No enclave has signed this write.
    world.round(Changes::from([(key.clone(), Some(opened))]));
    assert_eq!(stage(&world, &endorser), is_open, "it is open again");
    // A call on it is endorsed, too.
    endorser.endorse(&world.propose("k3c")).unwrap();
}
