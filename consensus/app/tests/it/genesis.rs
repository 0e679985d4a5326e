//! The document alone gives the validators that the application begins with.

use paralith_consensus_app::App;
use paralith_genesis::{Builder, NodeKeys};
use paralith_storage::Kv;
use paralith_types::Amount;
use proptest::prelude::*;

use crate::support::*;

/// The first validators, sorted by key, by the application and by the document.
fn both(builder: Builder) -> [Vec<([u8; 32], u64)>; 2] {
    let document = builder.build().unwrap();
    let mut app = App::open(Kv::memory()).unwrap();
    let (updates, _) = app.init_chain(&document.genesis, document.hash().unwrap()).unwrap();
    let by_document = document.first_validators().unwrap().validators;
    [
        updates.into_iter().map(|update| (update.consensus_key.0, update.power)).collect(),
        by_document.into_iter().map(|one| (one.consensus_key.0, one.power)).collect(),
    ]
}

proptest! {
    #[test]
    fn the_document_gives_the_same_first_validators_as_the_application(
        entities in prop::collection::vec((1_000_u128..1_010, 0_u128..200_000, 1_u8..4), 1..6),
        max_validators in 1_u32..8,
        max_validators_per_entity in 1_u32..4,
    ) {
        let mut all = builder().params(|params| {
            params.scheduler.max_validators = max_validators;
            params.scheduler.max_validators_per_entity = max_validators_per_entity;
        });
        for (index, (stake, delegated, nodes)) in (0_u8..).zip(entities) {
            let entity = 100 + 10 * index;
            // Equal stakes are likely; delegations of others count as much as the own stake.
            all = all.entity(public(entity), Amount(stake / 2 * 2));
            if delegated > 100_000 {
                all = all.delegation(&public(ALICE), &public(entity), Amount(delegated));
            }
            for node in 0..nodes {
                let (node, consensus) = (entity + 1 + node, entity + 5 + node);
                let keys = NodeKeys { node: public(node), consensus: key(consensus) };
                all = all.validator(public(entity), &keys, &[]);
            }
        }
        let [by_app, by_document] = both(all);
        prop_assert!(!by_app.is_empty());
        prop_assert_eq!(by_app, by_document);
    }
}

#[test]
fn too_few_validators_are_refused_by_both() {
    let document = builder().params(|params| params.scheduler.min_validators = 4).build().unwrap();
    let mut app = App::open(Kv::memory()).unwrap();
    assert!(app.init_chain(&document.genesis, document.hash().unwrap()).is_err());
    assert!(document.first_validators().unwrap_err().to_string().contains("4 are needed"));
}
