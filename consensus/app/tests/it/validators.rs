//! Validators that misbehave, expire, or are too few.

use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::registry::{Entity, Node, RegisterEntity};
use paralith_consensus_api::staking::AddEscrow;
use paralith_consensus_app::registry::comet_address;
use paralith_consensus_app::{BlockInput, BlockOutput, Misbehaviour, query};
use paralith_types::{Amount, Epoch, Height, PublicKey};

use crate::support::*;

/// The nodes of the set, sorted by their consensus keys.
fn set(net: &Net) -> Vec<PublicKey> {
    let validators = query::validators(&net.state()).unwrap().validators;
    validators.into_iter().map(|validator| validator.node_id).collect()
}

fn report(net: &mut Net, offences: &[(u8, Height)]) -> BlockOutput {
    let misbehaviour = offences
        .iter()
        .map(|(consensus_key, height)| Misbehaviour {
            validator: comet_address(&public(*consensus_key)),
            height: *height,
        })
        .collect();
    let block = BlockInput { misbehaviour, ..net.input(vec![]) };
    net.finalize(block)
}

fn stake(net: &Net, entity: u8) -> u128 {
    net.account(&account(entity)).active.balance.0
}

/// Another entity with a validator, whose node is `id + 1` and whose consensus key is `id + 2`.
fn stranger(net: &mut Net, id: u8, stake: u128, expiration: u64) {
    let transfer = |to| paralith_consensus_api::staking::Transfer { to, amount: Amount(300_000) };
    for to in [account(id), account(id + 1)] {
        net.ok(ALICE, transfer(to));
    }
    net.ok(id, AddEscrow { account: account(id), amount: Amount(stake) });
    net.ok(id, RegisterEntity { entity: Entity { id: public(id), nodes: vec![public(id + 1)] } });
    let node = Node {
        id: public(id + 1),
        entity_id: public(id),
        expiration: Epoch(expiration),
        roles: 8,
        consensus_key: public(id + 2),
        addresses: vec![],
        runtimes: vec![],
        software_version: String::new(),
    };
    let registration = net.registration(node, id + 2);
    net.ok(id + 1, registration);
}

#[test]
fn an_equivocator_is_slashed_once_a_height_leaves_the_set_and_is_frozen() {
    let mut net = Net::with(|params| params.staking.freeze_epochs = 2);
    net.block(vec![]);
    let (entity, height) = (ENTITIES[1], Height(1));
    // Prevotes and precommits of one height are two pieces of evidence, in one block or in two.
    let output = report(&mut net, &[(entity + 2, height), (entity + 2, height)]);
    assert_eq!(stake(&net, entity), 8000 - 100);
    let removed: Vec<_> = output.validator_updates.iter().filter(|u| u.power == 0).collect();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].consensus_key, public(entity + 2));
    assert_eq!(set(&net).len(), 2);
    let frozen = output.events.iter().any(|event| event.kind == "registry.NodeFrozen");
    assert!(frozen);

    let output = report(&mut net, &[(entity + 2, height)]);
    assert_eq!(stake(&net, entity), 8000 - 100);
    assert!(output.events.is_empty() && output.validator_updates.is_empty());
    // CometBFT counts its votes for two more heights: another height is another offence.
    report(&mut net, &[(entity + 2, Height(2))]);
    assert_eq!(stake(&net, entity), 8000 - 200);

    let node = public(entity + 1);
    for epoch in 1..=2 {
        net.run_until_epoch(epoch);
        assert!(!set(&net).contains(&node), "epoch {epoch}");
        let committee = query::committee(&net.state(), &RUNTIME).unwrap().unwrap();
        assert!(!committee.workers.contains(&node) && !committee.backups.contains(&node));
    }
    net.run_until_epoch(3);
    assert!(set(&net).contains(&node), "it has served its time");
    report(&mut net, &[(entity + 2, height)]);
    assert_eq!(stake(&net, entity), 8000 - 200, "the old offence stays punished");
}

#[test]
fn the_last_validator_stays_whatever_it_did() {
    let mut net = Net::new();
    net.block(vec![]);
    for entity in ENTITIES {
        report(&mut net, &[(entity + 2, Height(1))]);
        assert_eq!(stake(&net, entity) % 1000, 900, "slashed all the same");
    }
    assert_eq!(set(&net), [public(ENTITIES[2] + 1)]);
    let alarm = query::validator_alarm(&net.state()).unwrap().unwrap();
    assert_eq!((alarm.electable, alarm.minimum), (0, 1));
    net.run_until_epoch(2);
    assert_eq!(set(&net), [public(ENTITIES[2] + 1)], "nobody else is there");
    // Who comes takes over from it.
    stranger(&mut net, 60, 1000, 40);
    net.next_epoch();
    assert_eq!(set(&net), [public(61)]);
}

/// All validators fail to renew, and the chain goes on: they run. A stranger gets what its stake is
/// worth, and no more.
#[test]
fn a_stranger_does_not_become_the_only_validator_when_registrations_expire() {
    let mut net = Net::new();
    stranger(&mut net, 60, 1000, 50);
    net.run_until_epoch(50);
    assert_eq!((set(&net).len(), query::validator_alarm(&net.state()).unwrap()), (4, None));
    let renewal = query::node(&net.state(), &public(61)).unwrap().unwrap();
    let renewal = net.registration(Node { expiration: Epoch(90), ..renewal }, 62);
    net.ok(61, renewal);

    let mut blocks = Vec::new();
    while query::epoch(&net.state()).unwrap().epoch < Epoch(51) {
        blocks.push(net.block(vec![]));
    }
    let validators = query::validators(&net.state()).unwrap().validators;
    assert_eq!(validators.len(), 4);
    let total: u64 = validators.iter().map(|validator| validator.power).sum();
    let stranger = validators.iter().find(|v| v.node_id == public(61)).unwrap().power;
    assert_eq!((stranger, total), (1000 / 16, 33_000 / 16));

    let alarm = query::validator_alarm(&net.state()).unwrap().unwrap();
    let mut lapsed = ENTITIES.map(|entity| public(entity + 1));
    lapsed.sort();
    assert_eq!((alarm.epoch, alarm.electable, alarm.lapsed), (Epoch(51), 1, lapsed.to_vec()));
    let raised =
        blocks.last().unwrap().events.iter().any(|event| {
            matches!(EventKind::from_event(event).unwrap(), EventKind::ValidatorAlarm(_))
        });
    assert!(raised);

    // Long after they would be forgotten, they are known and answer for what they sign.
    net.run_until_epoch(60);
    let before = stake(&net, ENTITIES[0]);
    let height = net.next_height();
    report(&mut net, &[(ENTITIES[0] + 2, height)]);
    assert_eq!(stake(&net, ENTITIES[0]), before - 100);
    assert_eq!(set(&net).len(), 3);

    // They renew, and the alarm ends.
    for entity in [ENTITIES[1], ENTITIES[2]] {
        let node = query::node(&net.state(), &public(entity + 1)).unwrap().unwrap();
        let registration = net.registration(Node { expiration: Epoch(95), ..node }, entity + 2);
        net.ok(entity + 1, registration);
    }
    net.next_epoch();
    assert_eq!(query::validator_alarm(&net.state()).unwrap(), None);
    assert_eq!(set(&net).len(), 3);
}

#[test]
fn a_single_validator_that_expires_leaves() {
    let mut net = Net::new();
    stranger(&mut net, 60, 1000, 1);
    net.run_until_epoch(1);
    assert!(set(&net).contains(&public(61)));
    net.run_until_epoch(2);
    assert!(!set(&net).contains(&public(61)));
    assert_eq!(query::validator_alarm(&net.state()).unwrap(), None);
}
