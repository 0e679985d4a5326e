//! t08 and t09: what the keys of an enclave open that was opened itself, or revoked.

use paralith_chaincode_messages::state::read_entry;
use paralith_chaincode_messages::{Message as _, Proposal, Response};
use paralith_crypto::Zeroizing;
use paralith_harness::key;
use paralith_keymanager_core::{RuntimeKeys, SecretError, SignedKeyReply};
use paralith_proto::Canonical;
use paralith_runtime_api::envelope::{Info, open_call};
use paralith_runtime_api::tx::Envelope;
use paralith_runtime_enclave::{RoundContext, Sealer, measurement};
use paralith_runtime_vm::code_id;
use paralith_tee_channel::pb;
use paralith_tee_enclave::{Identity, IdentityOf, SealingKey};
use paralith_types::{Epoch, Hash};
use pb::runtime_call::Kind as Call;

use crate::world::{
    APPLICATION, EPOCH, World, call, endorse_code, generation_secret, refusal, requested,
};

/// Whoever recorded everything that crossed an endorser's boundary, and later opens its sealed identity,
/// has all keys that the enclave ever kept.
#[test]
fn recorded_traffic_and_an_opened_identity_open_no_envelope_of_an_erased_epoch() {
    let world = World::initialised();
    let endorser = world.start(world.start_call(1, vec![])).unwrap();
    world.register(1, &endorser.claims);
    world.prove_freshness(&endorser).unwrap();
    let asked = Call::KeyRequestFor(pb::KeyRequestFor { epoch: EPOCH });
    let request =
        requested(&endorser.bytes(asked).unwrap(), &endorser.claims, &world.chain.context);
    let reply = world.key_reply(&request, &request.reply_key);
    endorser.call(Call::ProvideKeys(pb::ProvideKeys { reply: reply.encode() })).unwrap();
    let proposed = world.propose("k1p");
    endorser.endorse(&proposed).unwrap();

    // The epoch is over, and the one after it: the enclave itself opens nothing of it any more.
    endorser.sync(world.begin_epoch(EPOCH + 2)).unwrap();
    world.prove_freshness(&endorser).unwrap();
    assert_eq!(endorse_code(endorser.endorse(&proposed)), 19);

    let id = IdentityOf {
        chain: world.chain.context,
        application: APPLICATION,
        measurement: measurement(),
        code: Some(code_id(&world.code)),
    };
    let sealing_key = SealingKey::new(Zeroizing::new([8; 32]));
    let identity = Identity::open(&sealing_key, &id, &endorser.stop()).unwrap();
    assert_eq!(identity.rek.public(), endorser.claims.rek);
    let rak = key(crate::world::KM_RAK).public();
    let open =
        |reply: &SignedKeyReply| reply.open(&request, &rak, &identity.rek, &world.chain.context);
    assert!(matches!(open(&reply), Err(SecretError::CannotOpen)));
    let proposal = Proposal::decode(&proposed.signed.proposal).unwrap();
    let epoch = proposal.envelope.epoch;
    let envelope = Envelope { epoch, sealed: proposal.envelope.sealed };
    let sender = proposed.signed.public_key;
    let info = Info::endorse(world.chain.context, APPLICATION, epoch, &sender);
    assert!(open_call(&identity.rek, &info, &envelope).is_err());

    // Control: had the key manager sealed its reply to the key that the enclave keeps, all would be open.
    let to_rek = world.key_reply(&request, &identity.rek.public());
    let keys = open(&to_rek).unwrap().into_keys().unwrap();
    let opened = open_call(keys.epoch_key(Epoch(EPOCH)).unwrap(), &info, &envelope).unwrap();
    assert_eq!(opened.call, call("do", "k1p"));
}

#[test]
fn a_revoked_enclaves_keys_open_nothing_of_the_next_generation() {
    let mut world = World::initialised();
    let (revoked, other) = (world.endorser(1), world.endorser(2));
    let before = revoked.endorse(&world.propose("k1p")).unwrap().response;
    world.commit(&[&before]);
    world.revoke(&revoked.claims.rak);
    let height = world.rotate();
    // One that has not fetched the new generation writes nothing under the old one.
    other.sync(height).unwrap();
    assert_eq!(refusal(other.endorse(&world.propose("k2p"))).0, "enclave");
    world.serve(&other).unwrap();
    let after = other.endorse(&world.propose("k2p")).unwrap().response;
    world.commit(&[&after]);
    revoked.sync(world.chain.height()).unwrap();
    assert_eq!(endorse_code(revoked.evaluate(&world.query("k0g", EPOCH))), 6);

    // Somebody has got everything out of it.
    let old = RuntimeKeys::new(vec![generation_secret(0)], vec![]).unwrap();
    let old = Sealer::new(world.chain.context, APPLICATION, &old);
    let opens = |bytes: &[u8]| {
        let response = Response::decode(bytes).unwrap();
        let write = response.writes.first().unwrap();
        let key = paralith_chaincode_messages::state::entry_key(&APPLICATION, &write.index);
        assert!(world.ledger.get(world.last.last_block.round.0, &key).unwrap().is_some());
        let place =
            paralith_chaincode_core::hashes::place(&response.tx_id, &response.snapshot_root);
        let context = RoundContext {
            round: response.snapshot_round,
            previous_hash: Hash::ZERO,
            proposal_id: place,
        };
        let value = write.value.as_ref().unwrap();
        let value = old.open_value(write.index.as_bytes(), value);
        let output = old.open_output(&context, &response.tx_id, &response.sealed_output);
        (value.is_ok(), output.is_ok())
    };
    assert_eq!(opens(&after), (false, false));
    assert_eq!(opens(&before), (true, true), "it keeps what it had");
    // What lies in the ledger now is of the new generation.
    let index = Response::decode(&after).unwrap().writes[0].index;
    let key = paralith_chaincode_messages::state::entry_key(&APPLICATION, &index);
    let stored = world.ledger.get(world.last.last_block.round.0, &key).unwrap().unwrap();
    assert!(old.open_value(index.as_bytes(), read_entry(&stored).unwrap().1).is_err());
}
