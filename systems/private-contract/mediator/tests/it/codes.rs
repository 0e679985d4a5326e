//! Each refusal of `create`, `join`, `submit` and `set_keys` by its own code, without an effect.

use paralith_private_contract_core::Height;
use paralith_private_contract_core::messages::{
    Canonical, ContractId, Create, Definition, Fund, Join, Revoke, SetKeys, Submit, VoteKey,
    VoteSignature,
};
use paralith_sdk::testing::public_key;
use paralith_sdk::{Amount, Hash, Signature};

use crate::fixture::{
    World, bls, code, definition, place, root, set_keys, signed_certificate, terms,
};

/// A change of a good submission is refused by this code: no INIT, no `sender_seq` used, no money taken.
fn refused(world: &mut World, change: impl FnOnce(&mut Submit)) -> u32 {
    let before = world.contract();
    let mut submit = world.submission("alice", 10);
    change(&mut submit);
    let code = code(world.hand_in("alice", &submit));
    assert_eq!(world.contract(), before);
    world.holds();
    code
}

#[test]
fn each_fault_of_a_submission_has_its_own_code() {
    let mut world = World::new();
    let w = &mut world;
    assert_eq!(refused(w, |s| s.contract_id = ContractId([9; 32])), 1);
    assert_eq!(refused(w, |s| s.keys_version = 0), 3);
    assert_eq!(refused(w, |s| s.keys_version = 2), 3);
    assert_eq!(refused(w, |s| s.certificate.issuer = public_key("bob")), 4);
    assert_eq!(refused(w, |s| s.certificate.scope = [9; 32]), 5);
    assert_eq!(refused(w, |s| s.certificate.subject = public_key("bob")), 6);
    assert_eq!(refused(w, |s| s.certificate.not_before = Height(1000)), 7);
    assert_eq!(refused(w, |s| s.certificate.not_after = Height(1)), 7);
    assert_eq!(refused(w, |s| s.certificate.signature = Signature([1; 64])), 9);
    assert_eq!(refused(w, |s| s.certificate.serial = 8), 9);
    assert_eq!(refused(w, |s| s.certificate.version = 2), 9);
    assert_eq!(refused(w, |s| s.sender_seq = 1), 11);
    assert_eq!(refused(w, |s| drop(s.wraps.pop())), 12);
    assert_eq!(refused(w, |s| s.wraps[1].push(0)), 12);
    assert_eq!(refused(w, |s| s.wraps[1].clear()), 12);
    assert_eq!(refused(w, |s| s.content_bytes = 65_537), 13);
    assert_eq!(refused(w, |s| s.content_bytes = 0), 13);
    assert_eq!(refused(w, |s| s.payment = Amount(u128::MAX)), 15);
    // Nothing was used up: the good one goes through, and not twice.
    let good = world.submission("alice", 10);
    assert_eq!(world.hand_in("alice", &good), Ok(1));
    assert_eq!(code(world.hand_in("alice", &good)), 10, "a replay");
    assert_eq!(code(world.call("bob", "submit", &good)), 6, "another's");
}

#[test]
fn the_deposit_the_fee_and_the_payment_are_each_covered() {
    let mut world = World::new();
    let left = world.of("alice");
    let withdraw = paralith_private_contract_core::messages::Withdraw {
        to: paralith_sdk::testing::address("alice"),
        amount: Amount(left - 300),
    };
    world.call("alice", "withdraw", &withdraw).unwrap();
    // 200 are left, of which this call's fee takes 100: 90 for the deposit, 10 for a payment.
    let dear = world.submission("alice", 11);
    assert_eq!(
        code(world.chain.sender("alice").fee(Amount(100)).call_raw("submit", &dear.encode())),
        15
    );
    let error = world.chain.sender("alice").fee(Amount(0)).call_raw("submit", &dear.encode());
    assert_eq!(code(error), 15);
    // A pool asks on the last final state.
    world.next();
    assert_eq!(code(world.chain.sender("alice").fee(Amount(1000)).check()), 15);
}

#[test]
fn a_revoked_certificate_is_refused_and_only_issuer_and_owner_revoke() {
    let mut world = World::new();
    let revoke = Revoke { contract_id: world.id, issuer: public_key("issuer"), serial: 7 };
    assert_eq!(code(world.call("bob", "revoke", &revoke)), 4);
    assert_eq!(code(world.call("m0", "revoke", &revoke)), 4);
    let own = Revoke { issuer: public_key("bob"), ..revoke.clone() };
    assert_eq!(code(world.call("bob", "revoke", &own)), 4);
    world.call("owner", "revoke", &revoke).unwrap();
    assert_eq!(refused(&mut world, |_| ()), 8);
    // Another serial of the same issuer is not revoked.
    let mut submit = world.submission("alice", 0);
    submit.certificate.serial = 8;
    submit.certificate = signed_certificate(submit.certificate);
    world.hand_in("alice", &submit).unwrap();
    let other = Revoke { serial: 8, ..revoke };
    world.call("issuer", "revoke", &other).unwrap();
    assert_eq!(
        refused(&mut world, |s| {
            s.certificate.serial = 8;
            s.certificate = signed_certificate(s.certificate.clone());
        }),
        8
    );
}

#[test]
fn a_sender_has_sixteen_transactions_in_the_queue_and_the_contract_a_thousand() {
    let mut world = World::new();
    for _ in 0..16 {
        world.submit("alice", 0).unwrap();
    }
    assert_eq!(refused(&mut world, |_| ()), 14);
    world.submit("bob", 0).unwrap();
}

#[test]
fn receipts_are_of_members_for_this_content_until_their_height() {
    let members = ["m0", "m1", "m2"];
    let mut definition = definition(&members, "2 of (m0, m1, m2)");
    definition.terms.min_receipts = 2;
    let mut world = World::with(definition, &members);
    let now = world.chain.height();
    let with = |world: &mut World, receipts: &[(&str, u32, u64)]| {
        let mut submit = world.submission("alice", 0);
        let receipt =
            |(who, index, until): &(&str, u32, u64)| world.receipt(&submit, who, *index, *until);
        submit.receipts = receipts.iter().map(receipt).collect();
        world.hand_in("alice", &submit)
    };
    assert_eq!(code(with(&mut world, &[])), 29);
    assert_eq!(code(with(&mut world, &[("m0", 0, now)])), 29);
    assert_eq!(code(with(&mut world, &[("m0", 0, now), ("m0", 0, now)])), 30);
    assert_eq!(code(with(&mut world, &[("m1", 1, now), ("m0", 0, now)])), 30);
    assert_eq!(code(with(&mut world, &[("m0", 0, now), ("m0", 1, now)])), 30);
    assert_eq!(code(with(&mut world, &[("m0", 0, now), ("m1", 1, now - 1)])), 30);
    assert_eq!(code(with(&mut world, &[("m0", 0, now), ("m3", 3, now)])), 30);
    // For another number of the sender's, another content, another height.
    let mut submit = world.submission("alice", 0);
    for change in 0..3 {
        let mut other = submit.clone();
        match change {
            0 => other.sender_seq = 1,
            1 => other.content_hash.0[0] ^= 1,
            _ => other.certificate.subject = public_key("bob"),
        }
        submit.receipts =
            vec![world.receipt(&other, "m0", 0, now), world.receipt(&other, "m1", 1, now)];
        assert_eq!(code(world.hand_in("alice", &submit)), 30, "{change}");
    }
    let mut later =
        vec![world.receipt(&submit, "m0", 0, now), world.receipt(&submit, "m1", 1, now)];
    later[1].until += 1;
    submit.receipts = later;
    assert_eq!(code(world.hand_in("alice", &submit)), 30);
    assert_eq!(with(&mut world, &[("m0", 0, now), ("m2", 2, now + 5)]), Ok(1));
}

#[test]
fn keys_that_nobody_can_use_or_did_not_prove_are_refused() {
    let mut world = World::new();
    let good = set_keys("m3");
    let set = |world: &mut World, change: fn(&mut SetKeys)| {
        let mut keys = set_keys("m3");
        change(&mut keys);
        code(world.call("m3", "set_keys", &keys))
    };
    assert_eq!(set(&mut world, |k| k.kem_key = vec![0; 32]), 22, "small order");
    let mut one = vec![0; 32];
    one[0] = 1;
    let small = SetKeys { kem_key: one, ..good.clone() };
    assert_eq!(code(world.call("m3", "set_keys", &small)), 22);
    assert_eq!(set(&mut world, |k| k.kem_key[31] |= 0x80), 22, "not canonical");
    assert_eq!(set(&mut world, |k| k.kem_id = 0x21), 22);
    assert_eq!(set(&mut world, |k| k.kem_key.truncate(31)), 22);
    assert_eq!(set(&mut world, |k| k.possession.0[5] ^= 1), 22);
    assert_eq!(set(&mut world, |k| k.vote_key = VoteKey([0; 96])), 22);
    assert_eq!(set(&mut world, |k| k.link_address = "x".repeat(256)), 22);
    let mut identity = [0; 96];
    identity[0] = 0xc0;
    let mut infinite = [0; 48];
    infinite[0] = 0xc0;
    let nobody = SetKeys {
        vote_key: VoteKey(identity),
        possession: VoteSignature(infinite),
        ..good.clone()
    };
    assert_eq!(code(world.call("m3", "set_keys", &nobody)), 22, "the identity");
    // The proof of another account's key, copied.
    let copied = set_keys("m0");
    assert_eq!(code(world.call("m3", "set_keys", &copied)), 22);
    // An own proof of a key that another account has: only its owner could make it.
    let secret = bls("m0");
    let place = place(world.id);
    let message = paralith_private_contract_core::ids::possession_message(
        &place.chain_context,
        &place.mediator,
        &public_key("m3"),
        &VoteKey(secret.public()),
    );
    let shared = SetKeys {
        vote_key: VoteKey(secret.public()),
        possession: VoteSignature(secret.prove_possession(&message.0)),
        ..good.clone()
    };
    assert_eq!(code(world.call("m3", "set_keys", &shared)), 23);
    world.call("m3", "set_keys", &good).unwrap();
}

#[test]
fn a_definition_or_a_join_that_is_none_is_refused() {
    let members = ["m0", "m1", "m2"];
    let good = definition(&members, "2 of (m0, m1, m2)");
    let mut world = World::proposed(good.clone(), &members);
    let create = |world: &mut World, definition: Definition| {
        world.call("owner", "create", &Create { definition, genesis_root: root(1) })
    };
    let doubled = Definition { members: vec![good.members[0]; 3], ..good.clone() };
    assert_eq!(code(create(&mut world, doubled)), 26);
    assert_eq!(code(create(&mut world, Definition { version: 2, ..good.clone() })), 27);
    let join = Join {
        contract_id: world.id,
        definition: paralith_private_contract_core::ids::definition_hash(&good),
        batch: 0,
        root: root(1),
        bond: Amount(1000),
    };
    let joins = |world: &mut World, who: &str, join: &Join| code(world.call(who, "join", join));
    assert_eq!(
        joins(&mut world, "m0", &Join { contract_id: ContractId([0; 32]), ..join.clone() }),
        1
    );
    assert_eq!(joins(&mut world, "alice", &join), 22, "no keys");
    assert_eq!(joins(&mut world, "m3", &join), 28, "not listed");
    assert_eq!(joins(&mut world, "m0", &Join { root: root(2), ..join.clone() }), 28);
    assert_eq!(joins(&mut world, "m0", &Join { batch: 1, ..join.clone() }), 28);
    assert_eq!(joins(&mut world, "m0", &Join { definition: Hash::ZERO, ..join.clone() }), 28);
    assert_eq!(joins(&mut world, "m0", &Join { bond: Amount(999), ..join.clone() }), 28);
    world.call("m0", "join", &join).unwrap();
    assert_eq!(joins(&mut world, "m0", &join), 28, "twice");
    assert_eq!(refused_while_proposed(&mut world), 2);
    let fund = Fund { contract_id: world.id, tag: 0, amount: Amount(1) };
    assert_eq!(code(world.call("bob", "fund", &fund)), 2);
    assert_eq!(terms().bond, Amount(1000));
}

fn refused_while_proposed(world: &mut World) -> u32 {
    let submit = Submit {
        contract_id: world.id,
        keys_version: 1,
        certificate: world.certificate("alice"),
        content_hash: paralith_private_contract_core::messages::ContentHash([1; 32]),
        content_bytes: 1,
        key_commitment: Hash::ZERO,
        sender_seq: 0,
        wraps: vec![],
        receipts: vec![],
        payment: Amount::ZERO,
    };
    code(world.call("alice", "submit", &submit))
}

#[test]
fn deposits_are_something_and_the_contract_is_there() {
    let mut world = World::new();
    assert_eq!(code(world.fund("bob", 0)), 15);
    assert_eq!(code(world.fund("bob", 10_000_000)), 15);
    world.id = ContractId([9; 32]);
    assert_eq!(code(world.fund("bob", 1)), 1);
    assert_eq!(code(world.of_contract("bob", "probe")), 1);
}

#[test]
fn arguments_that_are_not_canonical_are_refused() {
    let mut world = World::new();
    let submit = world.submission("alice", 10);
    let bytes = [submit.encode(), vec![0x58, 1]].concat();
    let error = world.chain.sender("alice").fee(Amount(100)).call_raw("submit", &bytes);
    let error = error.unwrap_err();
    assert_eq!((error.module.as_str(), error.code), ("sdk", 4));
    let error = world.chain.sender("alice").fee(Amount(100)).call_raw("nothing", &[]);
    assert_eq!(error.unwrap_err().code, 3);
}
