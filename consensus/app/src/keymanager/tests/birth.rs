//! From the first registration to an accepted generation, and who belongs to the committee.

use paralith_consensus_api::event::EventKind;
use paralith_crypto::ed25519::SigningKey;
use paralith_types::{Epoch, Hash, RuntimeId};

use super::fixture::{
    FIRST_SECRET, KM, Net, OLD_ENCLAVE, Registration, code, ids, km_key, node_key, owner, policy,
    rak,
};

#[test]
fn a_key_manager_is_born_in_two_epochs() {
    let mut net = Net::new();
    assert!(net.status().nodes.is_empty() && !net.status().initialised);
    for node in 0..3 {
        let registration = net.registration(node);
        net.register(&registration);
    }
    let events = net.begin_epoch();
    let status = net.status();
    assert!(matches!(&events[..], [EventKind::StatusUpdated(event)] if event.status == status));
    assert_eq!((&status.nodes, status.initialised), (&ids(&[0, 1, 2]), false));
    assert_eq!((status.checksum, status.signing_key), (None, None));

    let secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
    let events = net.publish(0, &secret).unwrap();
    assert!(matches!(&events[..], [EventKind::MasterSecretPublished(event)]
        if (event.id, event.generation, event.epoch) == (KM, 0, Epoch(3))));
    for node in 0..3 {
        net.replicate(node, FIRST_SECRET);
    }
    net.begin_epoch();
    let status = net.status();
    assert!(status.initialised);
    assert_eq!((status.generation, status.rotation_epoch), (0, Epoch(3)));
    assert_eq!((status.checksum, status.signing_key), (Some(FIRST_SECRET), Some(km_key())));
    assert_eq!(status.nodes, ids(&[0, 1, 2]));
}

#[test]
fn nodes_that_register_nothing_new_leave_the_committee_with_the_next_generation() {
    let mut net = Net::initialised(3);
    // What they said before the generation was accepted names no accepted checksum.
    net.begin_epoch();
    assert!(net.status().nodes.is_empty());
    for node in 0..2 {
        let registration = net.registration(node);
        net.register(&registration);
    }
    net.begin_epoch();
    assert_eq!(net.status().nodes, ids(&[0, 1]));
    let before = net.status();
    assert!(net.begin_epoch().is_empty(), "nothing changed, so there is no event");
    assert_eq!(net.status(), before);
}

#[test]
fn who_does_not_belong_to_the_committee() {
    type Case = (&'static str, fn(&mut Registration));
    let cases: Vec<Case> = vec![
        ("expired", |r| r.expiration = 3),
        ("another role", |r| r.roles = paralith_consensus_api::registry::ROLE_COMPUTE),
        ("an enclave outside the policy", |r| r.measurement = OLD_ENCLAVE),
        ("an enclave outside the descriptor", |r| r.measurement = Hash([99; 32])),
        ("attests another key", |r| r.attested_rak = SigningKey::from_seed([9; 32]).public()),
        ("another enclave's response", |r| r.response_signer = rak(1)),
        ("another key manager's", |r| r.response.id = RuntimeId([9; 32])),
        ("another node's", |r| r.response.node = node_key(1).public()),
        ("holds nothing", |r| r.response.checksum = None),
        ("another checksum", |r| r.response.checksum = Some(Hash([9; 32]))),
        ("another policy", |r| r.response.policy_checksum = policy(9).checksum()),
        ("no policy", |r| r.response.policy_checksum = Hash::ZERO),
        ("another signing key", |r| r.response.signing_key = Some(node_key(9).public())),
        ("no signing key", |r| r.response.signing_key = None),
    ];
    for (what, spoil) in cases {
        let mut net = Net::initialised(2);
        let good = net.registration(1);
        net.register(&good);
        let mut bad = net.registration(0);
        net.register(&bad);
        net.begin_epoch();
        assert_eq!(net.status().nodes, ids(&[0, 1]), "{what}: before");
        bad = net.registration(0);
        spoil(&mut bad);
        net.register(&bad);
        net.begin_epoch();
        assert_eq!(net.status().nodes, ids(&[1]), "{what}");
    }
}

#[test]
fn a_generation_is_accepted_when_enough_of_the_committee_holds_it() {
    // 66 percent, and of nobody nothing.
    for (committee, replicas, accepted) in
        [(3, 1, false), (3, 2, true), (4, 2, false), (4, 3, true), (1, 0, false), (1, 1, true)]
    {
        let mut net = Net::with_committee(committee);
        let all: Vec<u8> = (0..committee).collect();
        let secret = net.master(0, FIRST_SECRET, &all);
        net.publish(0, &secret).unwrap();
        for node in 0..replicas {
            net.replicate(node, FIRST_SECRET);
        }
        net.begin_epoch();
        let status = net.status();
        let case = format!("{replicas} of {committee}");
        assert_eq!(status.initialised, accepted, "{case}");
        let held: Vec<u8> = (0..if accepted { replicas } else { committee }).collect();
        assert_eq!(status.nodes, ids(&held), "{case}");
        assert_eq!(status.checksum.is_some(), accepted, "{case}");
    }
}

#[test]
fn one_liar_cannot_keep_a_generation_from_being_accepted() {
    for liar in 0..4 {
        let mut net = Net::with_committee(4);
        let secret = net.master(0, FIRST_SECRET, &[0, 1, 2, 3]);
        net.publish(0, &secret).unwrap();
        for node in 0..4 {
            net.replicate(node, FIRST_SECRET);
        }
        let mut lie = net.registration(liar);
        lie.response.next_checksum = Some(FIRST_SECRET);
        lie.response.next_signing_key = Some(node_key(77).public());
        net.register(&lie);
        net.begin_epoch();
        let status = net.status();
        let honest: Vec<u8> = (0..4).filter(|node| *node != liar).collect();
        assert_eq!((status.signing_key, status.nodes), (Some(km_key()), ids(&honest)));
    }
}

#[test]
fn a_proposal_that_was_not_accepted_in_its_epoch_is_dropped_and_another_may_come() {
    let mut net = Net::with_committee(3);
    let secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
    net.publish(0, &secret).unwrap();
    net.begin_epoch();
    for node in 0..3 {
        net.replicate(node, FIRST_SECRET);
    }
    net.begin_epoch();
    assert!(!net.status().initialised, "it came an epoch late");
    let secret = net.master(0, Hash([32; 32]), &[0, 1, 2]);
    net.publish(1, &secret).unwrap();
    for node in 0..3 {
        net.replicate(node, Hash([32; 32]));
    }
    net.begin_epoch();
    assert_eq!(net.status().checksum, Some(Hash([32; 32])));
}

#[test]
fn a_rotation_adds_a_generation_when_it_is_due() {
    // Accepted in epoch 3 with an interval of 2: due for epoch 5.
    let mut net = Net::initialised(3);
    for node in 0..3 {
        let registration = net.registration(node);
        net.register(&registration);
    }
    let next = net.master(1, Hash([32; 32]), &[0, 1, 2]);
    assert_eq!(code(&net.publish(0, &next)), 13);
    net.begin_epoch();
    let next = net.master(1, Hash([32; 32]), &[0, 1, 2]);
    net.publish(0, &next).unwrap();
    for node in 0..2 {
        net.replicate(node, Hash([32; 32]));
    }
    net.begin_epoch();
    let status = net.status();
    assert_eq!((status.generation, status.rotation_epoch), (1, Epoch(5)));
    assert_eq!((status.checksum, status.nodes), (Some(Hash([32; 32])), ids(&[0, 1])));
}

#[test]
fn a_policy_takes_effect_with_the_epoch_and_only_enclaves_that_follow_it_stay() {
    let mut net = Net::with_committee(2);
    let events = net.update_policy(&owner(), policy(2)).unwrap();
    assert!(matches!(&events[..], [EventKind::StatusUpdated(event)]
        if event.status.policy == Some(policy(1)) && event.status.next_policy == Some(policy(2))));
    let registration = net.registration(0);
    net.register(&registration);
    net.begin_epoch();
    let status = net.status();
    assert_eq!((status.policy, status.next_policy), (Some(policy(2)), None));
    assert_eq!(status.nodes, ids(&[0]));
}

#[test]
fn policies_are_the_owners_grow_in_serial_and_have_one_form() {
    let mut net = Net::with_committee(1);
    let mut foreign = policy(5);
    foreign.id = RuntimeId([8; 32]);
    let mut unsorted = policy(5);
    unsorted.measurements = vec![Hash([2; 32]), Hash([1; 32])];
    let mut twice = policy(5);
    twice.measurements = vec![Hash([2; 32]), Hash([2; 32])];
    let cases = [
        (6, node_key(0), policy(5)),
        (2, owner(), foreign),
        (1, owner(), unsorted),
        (1, owner(), twice),
        (14, owner(), policy(1)),
        (0, owner(), policy(3)),
        (14, owner(), policy(2)),
        (14, owner(), policy(3)),
        (0, owner(), policy(4)),
    ];
    for (index, (expected, signer, policy)) in cases.into_iter().enumerate() {
        assert_eq!(code(&net.update_policy(&signer, policy)), expected, "case {index}");
    }
    assert_eq!(net.status().next_policy, Some(policy(4)));
}
