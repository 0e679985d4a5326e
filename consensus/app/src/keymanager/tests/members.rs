//! What a member counts, which of its keys counts when, and that no member can stop the others.

use paralith_consensus_api::keymanager::{Policy, Recipient};
use paralith_crypto::ed25519::SigningKey;
use paralith_types::{Epoch, Hash, PublicKey, X25519PublicKey};

use super::fixture::{
    FIRST_SECRET, KM, Net, code, ids, km_key, node_key, owner, policy, rak, rek, signed_epoch,
};

fn entity(number: u8) -> SigningKey {
    SigningKey::from_seed([number + 220; 32])
}

fn key(number: u8) -> X25519PublicKey {
    X25519PublicKey([number; 32])
}

/// Registers a node with another encryption key, of the same enclave.
fn renew(net: &mut Net, node: u8, rek: X25519PublicKey) {
    let mut registration = net.registration(node);
    registration.rek = rek;
    net.register(&registration);
}

/// Registers a node whose enclave was started anew: it has other keys.
fn restart(net: &mut Net, node: u8, rek: X25519PublicKey) {
    let mut registration = net.registration(node);
    let new = rak(node + 40);
    registration.rek = rek;
    (registration.rak, registration.attested_rak) = (new.public(), new.public());
    registration.response_signer = new;
    net.register(&registration);
}

/// Publishes an epoch secret of node 0, sealed to some keys; its code.
fn publish(net: &mut Net, keys: &[X25519PublicKey]) -> u32 {
    let mut secret = net.epoch_secret(&[]);
    secret.ciphertexts = keys
        .iter()
        .map(|rek| paralith_consensus_api::keymanager::Ciphertext { rek: *rek, sealed: vec![1] })
        .collect();
    secret.ciphertexts.sort_by_key(|one| one.rek);
    code(&net.deliver(&node_key(99), &signed_epoch(0, &rak(0), &secret)))
}

#[test]
fn a_member_that_changes_its_key_in_every_block_stops_nobody() {
    let mut net = Net::with_committee(3);
    // The secret is sealed, then the malicious member changes its key, and again.
    for changed in 1..4 {
        restart(&mut net, 2, key(changed));
    }
    assert_eq!(publish(&mut net, &[rek(0), rek(1), rek(2)]), 0);
}

#[test]
fn a_key_of_the_epoch_counts_until_it_ends_and_the_next_one_from_its_registration_on() {
    let mut net = Net::with_committee(3);
    for node in 0..3 {
        renew(&mut net, node, key(node + 1));
    }
    let recipients = |net: &Net| -> Vec<X25519PublicKey> {
        let mut reks: Vec<_> = net.status().recipients.iter().map(|one| one.rek).collect();
        reks.sort();
        reks
    };
    assert_eq!(recipients(&net), [rek(0), rek(1), rek(2)]);
    assert_eq!(publish(&mut net, &[rek(0), rek(1), rek(2)]), 0);
    net.begin_epoch();
    assert_eq!(recipients(&net), [key(1), key(2), key(3)]);
    // The enclaves have erased the old ones.
    assert_eq!(publish(&mut net, &[rek(0), rek(1), rek(2)]), 11);
    assert_eq!(publish(&mut net, &[key(1), key(2), key(3)]), 0);

    net.begin_epoch();
    for node in 0..3 {
        renew(&mut net, node, key(node + 11));
    }
    assert_eq!(publish(&mut net, &[key(11), key(12), key(13)]), 0);
}

#[test]
fn an_enclave_that_was_restarted_counts_with_its_new_key_only() {
    let mut net = Net::with_committee(3);
    restart(&mut net, 1, key(1));
    restart(&mut net, 2, key(2));
    // Nobody has the private keys of the enclaves that are gone.
    assert_eq!(publish(&mut net, &[rek(0), rek(1), rek(2)]), 11);
    assert_eq!(publish(&mut net, &[rek(0), key(1), rek(2)]), 0);
}

#[test]
fn the_status_names_the_keys_of_every_member_in_the_order_of_nodes() {
    let net = Net::with_committee(3);
    let status = net.status();
    let nodes: Vec<PublicKey> = status.recipients.iter().map(|one| one.node).collect();
    assert_eq!((&nodes, &nodes), (&status.nodes, &ids(&[0, 1, 2])));
    for node in 0..3 {
        let (id, rak) = (node_key(node).public(), rak(node).public());
        assert!(status.recipients.contains(&Recipient { node: id, rak, rek: rek(node) }));
    }
}

/// Three nodes of an entity with all the stake, and four free registrations.
fn crowded() -> Net {
    let mut net = Net::new();
    net.stake(&owner(), 3_000_000, 100);
    for node in 0..3 {
        let registration = net.registration(node);
        net.register(&registration);
    }
    for node in 3..7 {
        let mut registration = net.registration(node);
        registration.entity = entity(node);
        net.register(&registration);
    }
    net.begin_epoch();
    assert_eq!(net.status().nodes, ids(&[0, 1, 2, 3, 4, 5, 6]));
    net
}

#[test]
fn free_registrations_neither_stop_a_generation_nor_publish_to_themselves() {
    let mut net = crowded();
    // Sealed to the crowd alone: a majority of registrations, next to no stake.
    assert_eq!(publish(&mut net, &[rek(3), rek(4), rek(5), rek(6), rek(0)]), 11);
    assert_eq!(publish(&mut net, &[rek(0), rek(1)]), 0);

    let secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
    net.publish(0, &secret).unwrap();
    for node in 0..2 {
        net.replicate(node, FIRST_SECRET);
    }
    net.begin_epoch();
    assert!(net.status().initialised, "two thirds of the stake hold it");
    assert_eq!(net.status().nodes, ids(&[0, 1]));
}

#[test]
fn a_crowd_cannot_choose_the_signing_key() {
    let mut net = crowded();
    let secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
    net.publish(0, &secret).unwrap();
    for node in 0..3 {
        net.replicate(node, FIRST_SECRET);
    }
    for node in 3..7 {
        let mut lie = net.registration(node);
        lie.entity = entity(node);
        lie.response.next_checksum = Some(FIRST_SECRET);
        lie.response.next_signing_key = Some(node_key(77).public());
        net.register(&lie);
    }
    net.begin_epoch();
    let status = net.status();
    assert_eq!(status.signing_key, Some(super::fixture::km_key()));
    assert_eq!(status.nodes, ids(&[0, 1, 2]));
}

#[test]
fn a_policy_that_names_the_members_admits_nobody_else_and_each_counts_one() {
    let mut net = crowded();
    let mut nodes: Vec<PublicKey> = [0, 1, 3].map(|node| node_key(node).public()).to_vec();
    nodes.sort();
    let named = Policy { nodes: nodes.clone(), ..policy(2) };
    net.update_policy(&owner(), named).unwrap();
    for node in [0, 1, 2, 3, 4] {
        let mut registration = net.registration(node);
        if node > 2 {
            registration.entity = entity(node);
        }
        net.register(&registration);
    }
    net.begin_epoch();
    assert_eq!(net.status().nodes, nodes);
    // One each: the stake of the first entity does not help it.
    assert_eq!(publish(&mut net, &[rek(0)]), 11);
    assert_eq!(publish(&mut net, &[rek(0), rek(3)]), 0);

    let unsorted = Policy { nodes: nodes.iter().rev().copied().collect(), ..policy(3) };
    assert_eq!(code(&net.update_policy(&owner(), unsorted)), 1);
}

#[test]
fn a_node_whose_entitys_stake_does_not_cover_its_claims_is_no_member() {
    let mut net = Net::new();
    for node in 0..2 {
        let mut registration = net.registration(node);
        registration.entity = entity(node);
        net.register(&registration);
    }
    net.stake(&entity(0), 100, 100);
    net.stake(&entity(1), 99, 100);
    net.begin_epoch();
    assert_eq!(net.status().nodes, ids(&[0]));
}

#[test]
fn recipients_have_one_frozen_form() {
    use paralith_proto::Canonical;
    let (node, rak) = (PublicKey([1; 32]), PublicKey([2; 32]));
    let recipient = Recipient { node, rak, rek: key(3) };
    let field = |tag: u8, byte: u8| [&[tag, 32][..], &[byte; 32]].concat();
    assert_eq!(recipient.encode(), [field(0x0a, 1), field(0x12, 2), field(0x1a, 3)].concat());
}

/// The enclave with this RAK is revoked.
fn revoke(net: &mut Net, rak: &PublicKey) {
    let runtime = crate::query::runtime(&net.snapshot(), &KM).unwrap().unwrap();
    let key = paralith_consensus_api::registry::keys::revoked(&KM, rak);
    net.run(|ctx| {
        let height = ctx.height();
        ctx.set(key, &paralith_consensus_api::registry::Revoked { height });
        crate::keymanager::on_enclave_revoked(ctx, &runtime).unwrap();
    });
}

#[test]
fn a_revoked_member_publishes_nothing_receives_nothing_and_stops_nobody() {
    let mut net = Net::initialised(2);
    revoke(&mut net, &rak(1).public());
    for (publisher, recipient, expected) in [(1, 0, 16), (0, 1, 11), (0, 0, 0)] {
        let secret = net.epoch_secret(&[recipient]);
        let body = signed_epoch(publisher, &rak(publisher), &secret);
        let got = code(&net.deliver(&node_key(publisher), &body));
        assert_eq!(got, expected, "by {publisher} to {recipient}");
    }
    for node in 0..2 {
        let registration = net.registration(node);
        net.register(&registration);
    }
    net.begin_epoch();
    assert_eq!(net.status().nodes, ids(&[0]));
}

#[test]
fn a_revocation_makes_a_generation_due_that_the_enclave_has_not_seen() {
    let never = Policy { rotation_epochs: 0, ..policy(2) };
    let mut net = Net::initialised(3);
    net.update_policy(&owner(), never).unwrap();
    let renew = |net: &mut Net, nodes: &[u8]| {
        for node in nodes {
            let registration = net.registration(*node);
            net.register(&registration);
        }
        net.begin_epoch();
    };
    renew(&mut net, &[0, 1, 2]);
    let proposal = |net: &Net, generation| net.master(generation, Hash([50; 32]), &[0, 1]);
    assert_eq!(code(&net.publish(0, &proposal(&net, 1))), 13, "the policy wants none");
    let now = net.status().rotation_epoch;
    assert!(net.status().rotation_required <= now);

    revoke(&mut net, &rak(2).public());
    assert_eq!(net.status().rotation_required, Epoch(net.epoch + 1));
    assert_eq!(code(&net.publish(0, &proposal(&net, 1))), 0);
    // Another one is revoked that may have opened this proposal: it takes one more.
    revoke(&mut net, &rak(1).public());
    assert_eq!(net.status().rotation_required, Epoch(net.epoch + 2));
    net.replicate(0, Hash([50; 32]));
    net.begin_epoch();
    assert_eq!((net.status().generation, net.status().nodes.len()), (1, 1));
    let next = net.master(2, Hash([51; 32]), &[0]);
    assert_eq!(code(&net.publish(0, &next)), 0, "it is due still");
    let mut registration = net.registration(0);
    registration.response.next_checksum = Some(Hash([51; 32]));
    registration.response.next_signing_key = Some(km_key());
    net.register(&registration);
    net.begin_epoch();
    assert_eq!(net.status().generation, 2);
    renew(&mut net, &[0]);
    let third = net.master(3, Hash([52; 32]), &[0]);
    assert_eq!(code(&net.publish(0, &third)), 13, "and now it is not");
}
