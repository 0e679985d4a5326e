//! Epochs and elections.

use std::collections::BTreeSet;

use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::staking::{AddEscrow, ReclaimEscrow};
use paralith_consensus_app::{App, query};
use paralith_storage::Kv;
use paralith_types::{Amount, ChainContext, Epoch, Height};

use crate::support::*;

#[test]
fn an_epoch_begins_at_the_height_that_its_predecessor_named() {
    let mut net = Net::new();
    let mut seen = Vec::new();
    let mut entropies = BTreeSet::new();
    for _ in 0..17 {
        net.block(vec![]);
        let epoch = query::epoch(&net.state()).unwrap();
        entropies.insert(epoch.entropy);
        seen.push((net.app.info().height.0, epoch.epoch.0, epoch.height.0, epoch.next_height.0));
    }
    assert_eq!(seen[0], (1, 0, 1, 6));
    assert_eq!(seen[4], (5, 0, 1, 6));
    assert_eq!(seen[5], (6, 1, 6, 11));
    assert_eq!(seen[15], (16, 3, 16, 21));
    assert_eq!(entropies.len(), 4, "each epoch has its own");
}

#[test]
fn the_first_epochs_take_as_many_blocks_as_genesis_gives_them() {
    let mut net = Net::with(|params| {
        (params.beacon.first_epochs, params.beacon.first_epoch_blocks) = (2, 3);
    });
    let began: BTreeSet<u64> = (0..20)
        .map(|_| {
            net.block(vec![]);
            query::epoch(&net.state()).unwrap().height.0
        })
        .collect();
    assert_eq!(began, BTreeSet::from([1, 4, 7, 12, 17]), "3, 3, then {EPOCH_BLOCKS}");
}

#[test]
fn a_genesis_that_cannot_run_is_refused() {
    let refused = |change: fn(&mut Genesis)| {
        let mut genesis = builder().build().unwrap().genesis;
        change(&mut genesis);
        let mut app = App::open(Kv::memory()).unwrap();
        app.init_chain(&genesis, ChainContext([1; 32])).unwrap_err().to_string()
    };
    for (text, change) in [
        ("insecure_seed", (|g| g.params.beacon.insecure_seed = None) as fn(&mut Genesis)),
        ("at least 2 blocks", |g| g.params.beacon.epoch_blocks = 1),
        ("electable validators", |g| g.params.scheduler.min_validators = 4),
        ("does not cover", |g| g.escrows.clear()),
        ("signature", |g| g.nodes[0].node.software_version.push('x')),
        ("no entity", |g| g.entities.clear()),
        ("second or reserved", |g| g.accounts[1] = g.accounts[0].clone()),
    ] {
        let error = refused(change);
        assert!(error.contains(text), "{text}: {error}");
    }
}

#[test]
fn genesis_elects_validators_and_committees_at_once() {
    let document = builder().build().unwrap();
    let mut app = App::open(Kv::memory()).unwrap();
    let (updates, _) = app.init_chain(&document.genesis, document.hash().unwrap()).unwrap();
    let mut powers: Vec<u64> = updates.iter().map(|update| update.power).collect();
    powers.sort();
    assert_eq!(powers, [500, 500, 1000], "a sixteenth of the stake");
    let committee = query::committee(app.latest(), &RUNTIME).unwrap().unwrap();
    assert_eq!(
        (committee.epoch, committee.workers.len(), committee.backups.len()),
        (Epoch(0), 2, 1)
    );
}

#[test]
fn validators_follow_stake_and_only_at_epochs() {
    let mut net = Net::with(|params| params.scheduler.max_validators = 2);
    net.block(vec![]);
    let nodes = |net: &Net| -> Vec<_> {
        let validators = query::validators(&net.state()).unwrap().validators;
        validators.iter().map(|validator| validator.node_id).collect()
    };
    let before = nodes(&net);
    assert_eq!(before.len(), 2);
    assert!(before.contains(&public(ENTITIES[0] + 1)), "most stake");
    let loser = ENTITIES.into_iter().find(|e| !before.contains(&public(e + 1))).unwrap();

    net.ok(ALICE, AddEscrow { account: account(loser), amount: Amount(100_000) });
    assert_eq!(nodes(&net), before);
    let mut updates = Vec::new();
    while nodes(&net) == before {
        updates = net.block(vec![]).validator_updates;
    }
    assert_eq!(query::epoch(&net.state()).unwrap().height, net.app.info().height);
    assert!(nodes(&net).contains(&public(loser + 1)));
    let removed: Vec<_> = updates.iter().filter(|update| update.power == 0).collect();
    assert_eq!(removed.len(), 1);
    let added = updates.iter().find(|update| update.consensus_key == public(loser + 2)).unwrap();
    assert_eq!(added.power, 108_000 / 16);
    assert_eq!(updates.len(), 2, "a validator with the same power is no update");
}

#[test]
fn with_too_few_candidates_the_old_validators_stay() {
    let mut net = Net::with(|params| params.scheduler.min_validators = 3);
    let entity = ENTITIES[1];
    net.ok(entity, ReclaimEscrow { account: account(entity), shares: Amount(7950) });
    net.next_epoch();
    let validators = query::validators(&net.state()).unwrap().validators;
    assert_eq!(validators.len(), 3);
    let alarm = query::validator_alarm(&net.state()).unwrap().unwrap();
    assert_eq!((alarm.electable, alarm.minimum, alarm.epoch), (2, 3, Epoch(1)));
    net.ok(entity, AddEscrow { account: account(entity), amount: Amount(7950) });
    net.next_epoch();
    assert_eq!(query::validator_alarm(&net.state()).unwrap(), None);
}

#[test]
fn stake_that_does_not_cover_claims_counts_in_no_election() {
    let mut net = Net::new();
    let entity = ENTITIES[1];
    net.ok(entity, ReclaimEscrow { account: account(entity), shares: Amount(7750) });
    net.next_epoch();
    let state = net.state();
    let validators = query::validators(&state).unwrap().validators;
    assert!(validators.iter().all(|validator| validator.entity_id != public(entity)));
    let committee = query::committee(&state, &RUNTIME).unwrap().unwrap();
    let members: BTreeSet<_> = committee.workers.iter().chain(&committee.backups).collect();
    assert!(!members.contains(&public(entity + 1)));

    // A second one leaves too few for two workers.
    net.ok(ENTITIES[2], ReclaimEscrow { account: account(ENTITIES[2]), shares: Amount(7750) });
    net.next_epoch();
    assert_eq!(query::committee(&net.state(), &RUNTIME).unwrap(), None);
}

#[test]
fn committees_change_with_the_epoch_and_are_the_same_everywhere() {
    let run = || {
        let mut net = Net::new();
        (1..12)
            .map(|epoch| {
                net.run_until_epoch(epoch);
                query::committee(&net.state(), &RUNTIME).unwrap().unwrap()
            })
            .collect::<Vec<_>>()
    };
    let committees = run();
    assert_eq!(committees, run());
    let workers: BTreeSet<_> = committees.iter().map(|c| c.workers.clone()).collect();
    assert!(workers.len() > 2, "the lot moves on: {workers:?}");
    assert_eq!(committees[3].epoch, Epoch(4));
}

#[test]
fn a_chain_may_begin_at_any_height() {
    let mut document = builder().build().unwrap();
    document.genesis.initial_height = Height(1000);
    let mut app = App::open(Kv::memory()).unwrap();
    app.init_chain(&document.genesis, document.hash().unwrap()).unwrap();
    let epoch = query::epoch(app.latest()).unwrap();
    assert_eq!((epoch.height, epoch.next_height), (Height(1000), Height(1005)));
    let block = |height| paralith_consensus_app::BlockInput {
        height,
        time_seconds: 1,
        proposer: [0; 20],
        txs: vec![],
        misbehaviour: vec![],
    };
    assert_eq!(app.finalize_block(block(Height(1))).unwrap_err().code(), 6);
    app.finalize_block(block(Height(1000))).unwrap();
    assert_eq!(app.commit(Default::default()).unwrap().height, Height(1000));
}
