//! A vote binds everything that it is about.

use std::collections::BTreeSet;

use paralith_bls::{BlsSecret, aggregate, verify};
use paralith_private_contract_core::messages::{
    Action, Actions, Batch, ContractVote, Emit, MAX_EMIT_TOPIC_BYTES, Pay, TOPIC_PREFIX, Verdict,
    VoteSignature,
};
use paralith_private_contract_core::vote::{
    MaySign, TxResult, actions_allowed, actions_hash, inputs_hash, may_sign, paid, vote_hash,
};
use paralith_private_contract_core::{Class, Place, StakeholderError};
use paralith_types::{Address, Amount, Hash, RuntimeId};

use crate::fixture::{PLACE, batch, verdict};
use crate::golden::actions;

#[test]
fn every_part_of_a_vote_changes_its_hash() {
    let inputs = inputs_hash(&batch(), &[Hash([1; 32])]);
    let hash = |place: &Place, version, number, inputs: &Hash, verdict: &Verdict| {
        vote_hash(place, version, number, inputs, verdict)
    };
    let v = verdict();
    let mut all = vec![
        hash(&PLACE, 1, 9, &inputs, &v),
        hash(&Place { mediator: RuntimeId([9; 32]), ..PLACE }, 1, 9, &inputs, &v),
        hash(&PLACE, 2, 9, &inputs, &v),
        hash(&PLACE, 1, 10, &inputs, &v),
        hash(&PLACE, 1, 9, &Hash([9; 32]), &v),
        hash(&PLACE, 1, 9, &inputs, &Verdict { new_root: Hash([9; 32]), ..v.clone() }),
        hash(&PLACE, 1, 9, &inputs, &Verdict { results_root: Hash([9; 32]), ..v.clone() }),
        hash(&PLACE, 1, 9, &inputs, &Verdict { classes: vec![0], ..v.clone() }),
        hash(&PLACE, 1, 9, &inputs, &Verdict { taken: false, ..v.clone() }),
        hash(&PLACE, 1, 9, &inputs, &Verdict { actions_hash: Hash([9; 32]), ..v.clone() }),
    ];
    // Every field of the batch, and each TX1, is in the inputs.
    let b = batch();
    let kind = paralith_private_contract_core::messages::BatchKind::Migrate;
    for changed in [
        Batch { number: 8, ..batch() },
        Batch { version: 2, ..batch() },
        Batch { first_seq: 5, ..batch() },
        Batch { last_seq: 7, ..batch() },
        Batch { open_height: 101, ..batch() },
        Batch { epoch: 3, ..batch() },
        Batch { old_root: Hash([9; 32]), ..batch() },
        Batch { balance: Amount(301), ..batch() },
        Batch { first_deposit: 1, ..batch() },
        Batch { last_deposit: 1, ..batch() },
        Batch { kind, ..batch() },
    ] {
        all.push(hash(&PLACE, 1, 9, &inputs_hash(&changed, &[Hash([1; 32])]), &v));
    }
    all.push(hash(&PLACE, 1, 9, &inputs_hash(&b, &[Hash([2; 32])]), &v));
    all.push(hash(&PLACE, 1, 9, &inputs_hash(&b, &[Hash([1; 32]), Hash([1; 32])]), &v));
    let count = all.len();
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), count);
}

#[test]
fn signatures_of_one_verdict_add_up() {
    let secrets = [[1; 32], [2; 32], [3; 32]].map(|ikm| BlsSecret::from_ikm(&ikm));
    let keys = secrets.each_ref().map(BlsSecret::public);
    let hash = vote_hash(&PLACE, 1, 9, &Hash([1; 32]), &verdict());
    let votes = secrets.each_ref().map(|secret| secret.sign(&hash.0));
    let both = aggregate(&votes[..2]).unwrap();
    assert!(verify(&keys[..2], &hash.0, &both));
    assert!(!verify(&keys[1..], &hash.0, &both));
}

#[test]
fn the_guard_refuses_a_second_verdict_and_repeats_the_first() {
    let vote = ContractVote {
        contract_id: PLACE.contract_id,
        batch: 9,
        verdict: verdict(),
        actions: Actions { actions: vec![] },
        index: 0,
        signature: VoteSignature([1; 48]),
    };
    let other = Verdict { taken: false, ..verdict() };
    assert_eq!(may_sign(None, 9, &other), Ok(MaySign::New));
    assert_eq!(may_sign(Some(&vote), 9, &verdict()), Ok(MaySign::Stored));
    let refused = may_sign(Some(&vote), 9, &other).unwrap_err();
    assert_eq!((refused.code(), refused), (24, StakeholderError::WouldVoteTwice { batch: 9 }));
    assert_eq!(may_sign(Some(&vote), 10, &other), Ok(MaySign::New));
}

#[test]
fn the_commitment_of_a_leaf_is_that_of_paratimes() {
    let blinding = Hash([7; 32]);
    let result = TxResult { seq: 4, class: Class::Failed, blinding, output: b"out".to_vec() };
    let committed = paralith_runtime_api::output::commitment(&blinding, b"out");
    let domain = paralith_private_contract_core::domains::RESULT;
    let parts: [&[u8]; 3] = [&4_u64.to_be_bytes(), &3_u64.to_be_bytes(), &committed.0];
    assert_eq!(result.leaf(), paralith_crypto::hash(domain, &parts));
}

#[test]
fn actions_are_bounded_and_add_up() {
    assert!(actions_allowed(&actions()) && paid(&actions()) == Some(Amount(258)));
    let pay = |amount| Action::Pay(Pay { to: Address([0; 21]), amount: Amount(amount) });
    let emit = |topic: usize, data: usize| {
        Action::Emit(Emit { topic: "t".repeat(topic), data: vec![0; data] })
    };
    let allowed = |actions: Vec<Action>| actions_allowed(&Actions { actions });
    let longest = MAX_EMIT_TOPIC_BYTES;
    assert!(allowed(vec![emit(longest, 4096); 32]));
    assert!(!allowed(vec![emit(longest, 4096); 33]));
    // A host takes topics of 256 bytes: a longer one would stop the vote that decides.
    assert_eq!(format!("{TOPIC_PREFIX}{}/", "0".repeat(64)).len() + longest, 256);
    assert!(!allowed(vec![emit(longest + 1, 0)]));
    assert!(!allowed(vec![emit(0, 4097)]));
    assert!(!allowed(vec![pay(0)]));
    assert_eq!(paid(&Actions { actions: vec![pay(u128::MAX), pay(1)] }), None);
    assert_ne!(actions_hash(&actions()), actions_hash(&Actions { actions: vec![] }));
}
