use paralith_consensus_api::keymanager::Policy;
use paralith_types::{Hash, RuntimeId};

use super::*;

const KM: RuntimeId = RuntimeId([9; 32]);
const NOTHING: Lacks = Lacks { generations: false, epochs: false };

fn node(n: u8) -> PublicKey {
    PublicKey([n; 32])
}

/// Epoch 5 of a key manager with nodes 1 to 3 and a generation, which rotates each second epoch.
fn observed(height: u64) -> Observed {
    let policy = Policy {
        serial: 1,
        id: KM,
        measurements: vec![],
        nodes: vec![],
        runtimes: vec![],
        max_epoch_secret_age: 1,
        rotation_epochs: 2,
    };
    let status = Status {
        id: KM,
        initialised: true,
        generation: 0,
        rotation_epoch: Epoch(5),
        checksum: Some(Hash([1; 32])),
        nodes: vec![node(1), node(2), node(3)],
        recipients: vec![],
        rotation_required: Epoch(0),
        policy: Some(policy),
        next_policy: None,
        signing_key: None,
    };
    let epoch = EpochState {
        epoch: Epoch(5),
        height: Height(50),
        next_height: Height(100),
        entropy: Hash::ZERO,
    };
    let (proposed, published) = (None, Some(Epoch(5)));
    Observed { height: Height(height), epoch, status: Some(status), proposed, published }
}

fn publishes(actions: &[Action]) -> Vec<(Secret, u64)> {
    let one = |action: &Action| match action {
        Action::Publish(secret, epoch) => Some((*secret, epoch.0)),
        _ => None,
    };
    actions.iter().filter_map(one).collect()
}

#[test]
fn freshness_and_attestation_come_once_an_epoch_and_again_after_a_failure() {
    let mut host = KeyManagerHost::new(node(1));
    let now = observed(50);
    let all = [Action::ProveFreshness, Action::Attest, Action::Initialise];
    assert_eq!(host.begin(&now), all);
    // Nothing was reported as done: all of it comes again.
    assert_eq!(host.begin(&now), all);
    host.done(&Action::Attest, &now);
    assert_eq!(host.begin(&now), [Action::ProveFreshness, Action::Initialise]);
    host.done(&Action::ProveFreshness, &now);
    assert_eq!(host.begin(&now), [Action::Initialise]);
    let mut next = observed(100);
    next.epoch.epoch = Epoch(6);
    assert_eq!(host.begin(&next), all);
    next.status = None;
    assert_eq!(host.begin(&next), [Action::ProveFreshness, Action::Attest]);
    assert_eq!(host.rest(&next, NOTHING), []);
}

#[test]
fn members_publish_in_turn_and_others_never() {
    for (n, first) in [(1, 50), (2, 53), (3, 56)] {
        let host = KeyManagerHost::new(node(n));
        assert_eq!(publishes(&host.rest(&observed(first - 1), NOTHING)), []);
        assert_eq!(publishes(&host.rest(&observed(first), NOTHING)), [(Secret::Epoch, 6)]);
    }
    let stranger = KeyManagerHost::new(node(4));
    assert_eq!(stranger.rest(&observed(99), NOTHING), [Action::LoadProposals, Action::Register]);
}

#[test]
fn what_is_published_or_on_its_way_is_not_made_again_until_it_is_lost() {
    let mut host = KeyManagerHost::new(node(1));
    let epoch = [(Secret::Epoch, 6)];
    let now = observed(60);
    assert_eq!(publishes(&host.rest(&now, NOTHING)), epoch);
    host.done(&Action::Publish(Secret::Epoch, Epoch(6)), &now);
    assert_eq!(publishes(&host.rest(&observed(60 + RESUBMIT_BLOCKS - 1), NOTHING)), []);
    assert_eq!(publishes(&host.rest(&observed(60 + RESUBMIT_BLOCKS), NOTHING)), epoch);
    let mut included = observed(90);
    included.published = Some(Epoch(6));
    assert_eq!(publishes(&host.rest(&included, NOTHING)), []);
}

#[test]
fn a_generation_is_made_when_it_is_due_and_the_enclave_has_all_before_it() {
    let host = KeyManagerHost::new(node(1));
    let both = [(Secret::Master, 7), (Secret::Epoch, 7)];
    let mut now = observed(60);
    now.epoch.epoch = Epoch(6);
    assert_eq!(publishes(&host.rest(&now, NOTHING)), both);
    let lacks = Lacks { generations: true, epochs: false };
    assert_eq!(publishes(&host.rest(&now, lacks)), [(Secret::Epoch, 7)]);
    now.proposed = Some(Epoch(7));
    assert_eq!(publishes(&host.rest(&now, NOTHING)), [(Secret::Epoch, 7)]);
    // The first generation is due at once; there is no epoch secret before it.
    let mut first = observed(60);
    let status = first.status.as_mut().unwrap();
    (status.initialised, status.checksum) = (false, None);
    assert_eq!(publishes(&host.rest(&first, NOTHING)), [(Secret::Master, 6)]);
}

#[test]
fn what_is_missing_is_asked_of_the_other_members_once_freshness_is_proven() {
    let mut host = KeyManagerHost::new(node(2));
    let now = observed(50);
    let ask = Action::Replicate { from: vec![node(1), node(3)] };
    for lacks in
        [Lacks { generations: true, epochs: false }, Lacks { generations: false, epochs: true }]
    {
        assert!(!host.rest(&now, lacks).contains(&ask));
        host.done(&Action::ProveFreshness, &now);
        assert_eq!(host.rest(&now, lacks)[0], ask);
        host.fresh = None;
    }
    host.done(&Action::ProveFreshness, &now);
    assert!(!host.rest(&now, NOTHING).contains(&ask));
    let mut alone = observed(50);
    alone.status.as_mut().unwrap().nodes = vec![node(2)];
    let lacks = Lacks { generations: true, epochs: true };
    assert_eq!(host.rest(&alone, lacks).last(), Some(&Action::Register));
    assert!(!host.rest(&alone, lacks).iter().any(|one| matches!(one, Action::Replicate { .. })));
}
