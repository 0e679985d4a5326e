//! Runtimes whose changes organisations approve.

use paralith_consensus_api::registry::{
    Approval, ApproveRuntime, Batching, Executor, RegisterRuntime, Runtime, RuntimeKind,
    RuntimeStaking, TeePolicy,
};
use paralith_consensus_app::{TxOutcome, query};
use paralith_genesis::Builder;
use paralith_policy::Policy;
use paralith_storage::StateRead;
use paralith_types::{Amount, Epoch, Hash, RuntimeId};

use crate::support::*;

const KEY_MANAGER: RuntimeId = RuntimeId([5; 32]);
const APP: RuntimeId = RuntimeId([6; 32]);
/// The owner is no organisation.
const OWNER: u8 = ALICE;

/// The entity with this place among the organisations.
fn org(place: usize) -> u8 {
    let mut all = ENTITIES.to_vec();
    all.sort_by_key(|number| public(*number));
    all[place]
}

fn approval(policy: &str) -> Option<Approval> {
    let organisations = (0..3).map(|place| public(org(place))).collect();
    let policy = Policy::parse(policy, &["a", "b", "c"]).unwrap().encode();
    Some(Approval { organisations, policy })
}

fn two_of_three() -> Option<Approval> {
    approval("2 of (a, b, c)")
}

fn tee() -> Option<TeePolicy> {
    Some(TeePolicy { measurements: vec![Hash([4; 32])], max_age_blocks: 1000 })
}

fn key_manager() -> Runtime {
    let kind = RuntimeKind::KeyManager;
    Runtime { id: KEY_MANAGER, kind, code: None, tee: tee(), ..runtime(OWNER) }
}

fn application() -> Runtime {
    Runtime {
        id: APP,
        kind: RuntimeKind::Application,
        name: "application".into(),
        confidential: true,
        allow_plain_calls: false,
        key_manager: Some(KEY_MANAGER),
        tee: tee(),
        max_tx_gas: 0,
        approval: two_of_three(),
        terms: b"terms".to_vec(),
        executor: Executor::default(),
        batching: Batching::default(),
        staking: RuntimeStaking::default(),
        ..runtime(OWNER)
    }
}

/// The next descriptor, with other terms.
fn next(known: &Runtime, terms: &str) -> Runtime {
    Runtime { sequence: known.sequence + 1, terms: terms.into(), ..known.clone() }
}

fn of(builder: Builder) -> Net {
    let builder = builder.entity(public(OWNER), Amount(5000)).runtime(key_manager());
    let mut net = Net::of(builder.params(|params| params.beacon.epoch_blocks = 40));
    net.block(vec![]);
    net
}

fn net() -> Net {
    of(builder())
}

/// [`application`] is registered.
fn with_application() -> Net {
    of(builder().runtime(application()))
}

fn propose(net: &mut Net, signer: u8, runtime: &Runtime) -> TxOutcome {
    net.ok(signer, RegisterRuntime { runtime: runtime.clone() })
}

fn of_descriptor(runtime: &Runtime) -> ApproveRuntime {
    let (runtime_id, sequence) = (runtime.id, runtime.sequence);
    ApproveRuntime { runtime_id, sequence, descriptor: runtime.descriptor_hash() }
}

fn approve(net: &mut Net, place: usize, runtime: &Runtime) -> TxOutcome {
    net.ok(org(place), of_descriptor(runtime))
}

fn withdraw(net: &mut Net, place: usize, runtime: &Runtime) {
    net.ok(org(place), ApproveRuntime { descriptor: Hash::ZERO, ..of_descriptor(runtime) });
}

fn in_force(net: &Net, id: &RuntimeId) -> Option<Runtime> {
    query::runtime(&net.state(), id).unwrap()
}

fn scheduled(net: &Net, id: &RuntimeId) -> Option<Runtime> {
    query::runtime_change(&net.state(), id).unwrap().map(|change| change.runtime)
}

/// How many proposals, approvals and stored descriptors there are.
fn open(net: &Net, id: &RuntimeId) -> (usize, usize, usize) {
    let state = net.state();
    let decisions = query::decisions(&state, id).unwrap();
    let prefix = [&b"registry/proposal/"[..], id.as_bytes()].concat();
    let stored = state.scan(&prefix, None, 1000).unwrap().len();
    decisions.map_or((0, 0, stored), |one| (one.proposals.len(), one.approvals.len(), stored))
}

fn kinds(outcome: &TxOutcome) -> Vec<&str> {
    let kinds = outcome.events.iter().map(|event| event.kind.as_str());
    kinds.filter(|kind| kind.starts_with("registry")).collect()
}

fn claims(net: &Net) -> usize {
    net.account(&account(OWNER)).claims.len()
}

#[test]
fn an_application_begins_at_once_when_enough_organisations_approve_it() {
    let mut net = net();
    let app = application();
    let before = claims(&net);
    assert_eq!(kinds(&propose(&mut net, OWNER, &app)), ["registry.RuntimeProposed"]);
    assert_eq!((in_force(&net, &APP), open(&net, &APP)), (None, (1, 0, 1)));
    assert_eq!(claims(&net), before + 1, "what is stored claims stake");
    assert_eq!(kinds(&approve(&mut net, 0, &app)), ["registry.RuntimeApproved"]);
    approve(&mut net, 0, &app);
    assert_eq!((in_force(&net, &APP), open(&net, &APP)), (None, (1, 1, 1)), "twice is once");
    let outcome = approve(&mut net, 2, &app);
    assert_eq!(kinds(&outcome), ["registry.RuntimeApproved", "registry.RuntimeRegistered"]);
    assert_eq!((in_force(&net, &APP), open(&net, &APP)), (Some(app), (0, 0, 0)));
    assert_eq!(claims(&net), before + 1);
    // It has no rounds and no committee.
    net.next_epoch();
    assert_eq!(query::runtime_state(&net.state(), &APP).unwrap(), None);
    assert_eq!(query::committee(&net.state(), &APP).unwrap(), None);
}

#[test]
fn a_compute_runtime_with_an_approval_begins_its_chain_when_it_is_approved() {
    let mut net = net();
    let id = RuntimeId([9; 32]);
    let shared = Runtime { id, approval: two_of_three(), ..runtime(OWNER) };
    propose(&mut net, OWNER, &shared);
    approve(&mut net, 0, &shared);
    assert_eq!(query::runtime_state(&net.state(), &id).unwrap(), None);
    approve(&mut net, 1, &shared);
    assert!(query::runtime_state(&net.state(), &id).unwrap().is_some());
}

#[test]
fn a_stranger_proposes_nothing_and_approves_nothing() {
    let mut net = net();
    let app = application();
    let register = |runtime: &Runtime| RegisterRuntime { runtime: runtime.clone() };
    // An organisation of a new application would claim its owner's stake.
    assert_eq!(net.refused(org(0), register(&app)), "registry/12");
    let unknown = ApproveRuntime { runtime_id: APP, ..of_descriptor(&app) };
    assert_eq!(net.refused(org(0), unknown), "registry/11", "nothing is proposed");
    propose(&mut net, OWNER, &app);
    for stranger in [BOB, OWNER] {
        assert_eq!(net.refused(stranger, of_descriptor(&app)), "registry/27");
    }
    // The id is reserved, for a runtime without an approval too.
    let other = Runtime { entity_id: public(org(0)), ..app.clone() };
    assert_eq!(net.refused(org(0), register(&other)), "registry/29");
    let plain = Runtime { id: APP, ..runtime(org(0)) };
    assert_eq!(net.refused(org(0), register(&plain)), "registry/29");

    approve(&mut net, 0, &app);
    approve(&mut net, 1, &app);
    let change = next(&app, "changed");
    assert_eq!(net.refused(BOB, register(&change)), "registry/27");
    assert_eq!(net.refused(BOB, register(&app)), "registry/27");
    assert_eq!(open(&net, &APP), (0, 0, 0));
    // A runtime of its owner alone has nothing to approve.
    let plain = runtime(ENTITIES[0]);
    let approval = ApproveRuntime { sequence: 2, ..of_descriptor(&plain) };
    assert_eq!(net.refused(ENTITIES[0], approval), "registry/1");
}

#[test]
fn the_owner_alone_changes_nothing() {
    let shared = Runtime { approval: two_of_three(), ..runtime(OWNER) };
    let mut net = of(builder_without_runtime().runtime(shared.clone()));
    let mut change = next(&shared, "");
    change.executor.workers = 1;
    change.executor.allowed_stragglers = 0;
    propose(&mut net, OWNER, &change);
    net.next_epoch();
    assert_eq!((in_force(&net, &RUNTIME), scheduled(&net, &RUNTIME)), (Some(shared.clone()), None));
    approve(&mut net, 0, &change);
    net.next_epoch();
    assert_eq!(in_force(&net, &RUNTIME), Some(shared.clone()), "one of two");
    let outcome = approve(&mut net, 1, &change);
    assert_eq!(kinds(&outcome), ["registry.RuntimeApproved", "registry.RuntimeRegistered"]);
    assert_eq!(in_force(&net, &RUNTIME), Some(shared), "the epoch goes on by its rules");
    net.next_epoch();
    assert_eq!(in_force(&net, &RUNTIME), Some(change.clone()));
    let committee = query::committee(&net.state(), &RUNTIME).unwrap().unwrap();
    assert_eq!(committee.workers.len(), 1);
    // Neither does it get rid of the approval, and the code of rounds stays as it is.
    let alone = Runtime { approval: None, ..next(&change, "") };
    propose(&mut net, OWNER, &alone);
    net.next_epoch();
    assert_eq!(in_force(&net, &RUNTIME), Some(change.clone()));
    let mut code = next(&change, "");
    code.code.as_mut().unwrap().id.0[0] ^= 1;
    assert_eq!(net.refused(OWNER, RegisterRuntime { runtime: code }), "registry/18");
}

#[test]
fn an_owner_gives_the_decision_away_alone_and_does_not_get_it_back_alone() {
    let mut net = net();
    let plain = runtime(ENTITIES[0]);
    let shared = Runtime { approval: two_of_three(), ..next(&plain, "") };
    propose(&mut net, ENTITIES[0], &shared);
    net.next_epoch();
    assert_eq!(in_force(&net, &RUNTIME), Some(shared.clone()));
    propose(&mut net, ENTITIES[0], &Runtime { approval: None, ..next(&shared, "") });
    net.next_epoch();
    assert_eq!(in_force(&net, &RUNTIME), Some(shared));
}

#[test]
fn the_code_of_an_application_changes_and_what_keys_depend_on_does_not() {
    let mut net = with_application();
    let mut upgrade = next(&application(), "2");
    upgrade.code.as_mut().unwrap().id.0[0] ^= 1;
    upgrade.tee.as_mut().unwrap().measurements = vec![Hash([9; 32])];
    propose(&mut net, org(0), &upgrade);
    approve(&mut net, 0, &upgrade);
    approve(&mut net, 1, &upgrade);
    net.next_epoch();
    assert_eq!(in_force(&net, &APP), Some(upgrade.clone()));
    type Case = (&'static str, fn(&mut Runtime));
    let cases: [Case; 3] = [
        ("owner", |r| r.entity_id = public(ENTITIES[0])),
        ("kind", |r| r.kind = RuntimeKind::Compute),
        ("key manager", |r| (r.key_manager, r.confidential) = (None, false)),
    ];
    for (what, change) in cases {
        let mut runtime = next(&upgrade, "3");
        change(&mut runtime);
        assert_eq!(net.refused(org(0), RegisterRuntime { runtime }), "registry/18", "{what}");
    }
}

#[test]
fn an_approval_is_of_one_descriptor_of_one_sequence() {
    let mut net = with_application();
    let (app, change) = (application(), next(&application(), "2"));
    propose(&mut net, OWNER, &change);
    let good = of_descriptor(&change);
    let cases = [
        ("of the past", ApproveRuntime { sequence: 1, ..good.clone() }, "registry/25"),
        ("of the future", ApproveRuntime { sequence: 3, ..good.clone() }, "registry/25"),
        ("of what is in force", of_descriptor(&app), "registry/25"),
        ("of another", ApproveRuntime { descriptor: Hash([1; 32]), ..good.clone() }, "registry/26"),
        ("of no runtime", ApproveRuntime { runtime_id: RuntimeId([1; 32]), ..good }, "registry/11"),
    ];
    for (what, body, code) in cases {
        assert_eq!(net.refused(org(0), body), code, "{what}");
    }
    // The very bytes again are no second approval.
    let tx = net.tx(org(0), of_descriptor(&change));
    let outcomes = net.block(vec![tx.clone(), tx]).txs;
    assert_eq!((outcomes[0].code, identity(&outcomes[1])), (0, "consensus/1".to_string()));
    assert_eq!(scheduled(&net, &APP), None);
    approve(&mut net, 1, &change);
    net.next_epoch();
    assert_eq!(in_force(&net, &APP), Some(change.clone()));
    // Approvals of the old sequence count for nothing any more.
    for place in 0..3 {
        assert_eq!(net.refused(org(place), of_descriptor(&change)), "registry/25");
    }
    // The first descriptor comes back as a new sequence only, with approvals of its own.
    let runtime = app;
    assert_eq!(net.refused(OWNER, RegisterRuntime { runtime }), "registry/25");
    let again = next(&change, "terms");
    propose(&mut net, OWNER, &again);
    approve(&mut net, 2, &again);
    assert_eq!(scheduled(&net, &APP), None);
}

#[test]
fn the_newest_approval_of_an_organisation_counts() {
    let mut net = with_application();
    let (one, two) = (next(&application(), "one"), next(&application(), "two"));
    propose(&mut net, OWNER, &one);
    propose(&mut net, org(0), &two);
    assert_eq!(open(&net, &APP), (2, 0, 2));
    approve(&mut net, 0, &one);
    approve(&mut net, 0, &two);
    approve(&mut net, 1, &one);
    assert_eq!(scheduled(&net, &APP), None, "one and one");
    approve(&mut net, 2, &two);
    assert_eq!(scheduled(&net, &APP), Some(two.clone()));
    // It moves on: the scheduled change lacks an approval now, the other one has two.
    approve(&mut net, 0, &one);
    assert_eq!(scheduled(&net, &APP), Some(one.clone()));
    approve(&mut net, 1, &two);
    assert_eq!(scheduled(&net, &APP), Some(two.clone()));
    net.next_epoch();
    assert_eq!(in_force(&net, &APP), Some(two));
}

#[test]
fn an_approval_that_is_withdrawn_in_time_cancels_the_change() {
    let mut net = with_application();
    let change = next(&application(), "2");
    propose(&mut net, OWNER, &change);
    approve(&mut net, 0, &change);
    withdraw(&mut net, 0, &change);
    withdraw(&mut net, 0, &change);
    approve(&mut net, 1, &change);
    assert_eq!(scheduled(&net, &APP), None);
    approve(&mut net, 2, &change);
    approve(&mut net, 0, &change);
    withdraw(&mut net, 0, &change);
    assert_eq!(scheduled(&net, &APP), Some(change.clone()), "two are left");
    withdraw(&mut net, 1, &change);
    assert_eq!(scheduled(&net, &APP), None);
    net.next_epoch();
    assert_eq!(in_force(&net, &APP), Some(application()));
    approve(&mut net, 1, &change);
    net.next_epoch();
    assert_eq!(in_force(&net, &APP), Some(change), "the proposal was still there");
}

#[test]
fn approvals_of_a_descriptor_that_is_taken_back_do_not_come_back_with_it() {
    let mut net = with_application();
    let (one, two) = (next(&application(), "one"), next(&application(), "two"));
    propose(&mut net, OWNER, &one);
    approve(&mut net, 0, &one);
    propose(&mut net, OWNER, &two);
    assert_eq!(open(&net, &APP), (1, 0, 1));
    propose(&mut net, OWNER, &one);
    approve(&mut net, 1, &one);
    assert_eq!(scheduled(&net, &APP), None);
    // While somebody else proposes it too, they stay.
    propose(&mut net, org(2), &one);
    propose(&mut net, OWNER, &two);
    assert_eq!(open(&net, &APP), (2, 1, 2));
    approve(&mut net, 0, &one);
    assert_eq!(scheduled(&net, &APP), Some(one.clone()));
    // Its proposers take it back, by proposing what is in force; it is approved all the same.
    propose(&mut net, org(2), &application());
    propose(&mut net, OWNER, &application());
    assert_eq!(open(&net, &APP), (0, 2, 0));
    net.next_epoch();
    assert_eq!((in_force(&net, &APP), open(&net, &APP)), (Some(one), (0, 0, 0)));
}

#[test]
fn proposals_and_approvals_lapse_after_ten_epochs() {
    let mut net = with_application();
    let before = claims(&net);
    let (change, fresh) = (next(&application(), "2"), next(&application(), "3"));
    let new = Runtime { id: RuntimeId([8; 32]), ..application() };
    propose(&mut net, OWNER, &new);
    propose(&mut net, OWNER, &change);
    approve(&mut net, 0, &change);
    net.run_until_epoch(9);
    // The proposal is made again: the approval does not get younger by that.
    propose(&mut net, OWNER, &change);
    assert_eq!((open(&net, &APP), open(&net, &new.id)), ((1, 1, 1), (1, 0, 1)));
    net.run_until_epoch(10);
    assert_eq!((open(&net, &APP), open(&net, &new.id)), ((1, 0, 1), (0, 0, 0)));
    assert_eq!(claims(&net), before, "the stake is free again");
    approve(&mut net, 1, &change);
    assert_eq!(scheduled(&net, &APP), None);
    net.run_until_epoch(19);
    assert_eq!(open(&net, &APP), (0, 0, 0));
    assert_eq!(net.refused(org(0), of_descriptor(&change)), "registry/26");
    // The id is free for another owner.
    let taken = Runtime { id: new.id, ..runtime(ENTITIES[0]) };
    propose(&mut net, ENTITIES[0], &taken);
    assert_eq!(in_force(&net, &new.id), Some(taken));
    propose(&mut net, OWNER, &fresh);
    assert_eq!(open(&net, &APP), (1, 0, 1));
}

#[test]
fn a_scheduled_change_does_not_lapse_and_can_be_withdrawn_until_it_takes_effect() {
    let shared = Runtime { approval: two_of_three(), ..runtime(OWNER) };
    let mut net = of(builder_without_runtime().runtime(shared.clone()));
    let mut change = next(&shared, "");
    change.staking.slash_equivocation = Amount(200);
    propose(&mut net, OWNER, &change);
    approve(&mut net, 0, &change);
    approve(&mut net, 1, &change);
    let waits = query::runtime_change(&net.state(), &RUNTIME).unwrap().unwrap();
    assert_eq!(waits.epoch, Epoch(51), "the nodes that accepted less are registered until 50");
    net.run_until_epoch(12);
    assert_eq!(open(&net, &RUNTIME), (1, 2, 1));
    assert_eq!(scheduled(&net, &RUNTIME), Some(change.clone()));
    withdraw(&mut net, 1, &change);
    assert_eq!(scheduled(&net, &RUNTIME), None);
    net.next_epoch();
    assert_eq!(open(&net, &RUNTIME), (0, 0, 0), "now it has lapsed");
}

#[test]
fn a_change_of_the_organisations_is_decided_by_those_in_force() {
    let mut net = with_application();
    let mut change = next(&application(), "2");
    // The last one leaves, and the owner comes in its place.
    let approval = change.approval.as_mut().unwrap();
    let (gone, comes) = (org(2), OWNER);
    approval.organisations.retain(|id| *id != public(gone));
    approval.organisations.push(public(comes));
    approval.organisations.sort();
    propose(&mut net, OWNER, &change);
    assert_eq!(net.refused(comes, of_descriptor(&change)), "registry/27", "not yet");
    net.ok(gone, of_descriptor(&change));
    approve(&mut net, 0, &change);
    assert_eq!(scheduled(&net, &APP), Some(change.clone()));
    assert_eq!(net.refused(comes, of_descriptor(&change)), "registry/27", "still not");
    // One that leaves decides until it has left.
    net.ok(gone, ApproveRuntime { descriptor: Hash::ZERO, ..of_descriptor(&change) });
    assert_eq!(scheduled(&net, &APP), None);
    net.ok(gone, of_descriptor(&change));
    net.next_epoch();
    assert_eq!(in_force(&net, &APP), Some(change.clone()));

    let further = next(&change, "3");
    let runtime = further.clone();
    assert_eq!(net.refused(gone, RegisterRuntime { runtime }), "registry/27");
    propose(&mut net, OWNER, &further);
    assert_eq!(net.refused(gone, of_descriptor(&further)), "registry/27");
    approve(&mut net, 0, &further);
    net.ok(comes, of_descriptor(&further));
    assert_eq!(scheduled(&net, &APP), Some(further));
}

#[test]
fn a_change_that_takes_effect_clears_what_was_proposed_and_approved_for_its_sequence() {
    let mut net = with_application();
    let proposals: Vec<Runtime> = (0..4).map(|n| next(&application(), &n.to_string())).collect();
    for (signer, change) in [OWNER, org(0), org(1), org(2)].into_iter().zip(&proposals) {
        propose(&mut net, signer, change);
    }
    approve(&mut net, 2, &proposals[3]);
    approve(&mut net, 0, &proposals[1]);
    approve(&mut net, 1, &proposals[1]);
    assert_eq!(open(&net, &APP), (4, 3, 4));
    net.next_epoch();
    assert_eq!((in_force(&net, &APP), open(&net, &APP)), (Some(proposals[1].clone()), (0, 0, 0)));
}

#[test]
fn each_proposer_has_one_proposal() {
    let mut net = with_application();
    for round in 0..3 {
        for signer in [OWNER, org(0), org(1), org(2)] {
            let terms = format!("{signer} {round}");
            propose(&mut net, signer, &next(&application(), &terms));
        }
    }
    assert_eq!(open(&net, &APP), (4, 0, 4));
    let most = next(&application(), &"x".repeat(64 * 1024));
    let runtime = next(&application(), &"x".repeat(64 * 1024 + 1));
    propose(&mut net, OWNER, &most);
    assert_eq!(net.refused(OWNER, RegisterRuntime { runtime }), "registry/1");
}

#[test]
fn each_wrong_approval_and_application_is_refused_with_its_code() {
    let mut net = net();
    type Case = (&'static str, &'static str, fn(&mut Runtime));
    let cases: &[Case] = &[
        ("nobody", "registry/1", |r| r.approval = None),
        ("no organisation", "registry/1", |r| organisations(r).clear()),
        ("unsorted", "registry/1", |r| organisations(r).reverse()),
        ("one twice", "registry/1", |r| organisations(r)[1] = public(org(0))),
        ("no entity", "registry/9", |r| {
            organisations(r)[0] = public(BOB);
            organisations(r).sort();
        }),
        ("too many", "registry/1", |r| {
            *organisations(r) = (0..33).map(public).collect();
            organisations(r).sort();
        }),
        ("one of four", "registry/1", |r| organisations(r).truncate(2)),
        ("no policy", "registry/1", |r| r.approval.as_mut().unwrap().policy.clear()),
        ("bytes", "registry/1", |r| r.approval.as_mut().unwrap().policy = vec![255; 8]),
        ("no enclaves", "registry/1", |r| r.tee = None),
        ("no keys", "registry/1", |r| r.key_manager = None),
        ("keys of a ParaTime", "registry/1", |r| r.key_manager = Some(RUNTIME)),
        ("public with keys", "registry/1", |r| r.confidential = false),
        ("workers", "registry/1", |r| r.executor.workers = 1),
        ("batches", "registry/1", |r| r.batching.max_batch_gas = 1),
        ("penalties", "registry/1", |r| r.staking.slash_equivocation = Amount(1)),
        ("gas", "registry/1", |r| r.max_tx_gas = 1),
        ("price", "registry/1", |r| r.min_gas_price = Amount(1)),
        ("plain calls", "registry/1", |r| r.allow_plain_calls = true),
        ("init", "registry/1", |r| r.init_argument = vec![1]),
        ("code", "registry/21", |r| r.code.as_mut().unwrap().abi_version = 9),
        ("sequence", "registry/25", |r| r.sequence = 2),
        ("key manager", "registry/1", |r| {
            let approval = r.approval.take();
            *r = Runtime { id: APP, approval, ..key_manager() };
        }),
    ];
    for (what, code, change) in cases {
        let mut runtime = application();
        change(&mut runtime);
        assert_eq!(net.refused(OWNER, RegisterRuntime { runtime }), *code, "{what}");
    }
    // A native application, and one without keys.
    let native = Runtime { code: None, ..application() };
    propose(&mut net, OWNER, &native);
    propose(&mut net, OWNER, &Runtime { confidential: false, key_manager: None, ..native });
}

fn organisations(runtime: &mut Runtime) -> &mut Vec<paralith_types::PublicKey> {
    &mut runtime.approval.as_mut().unwrap().organisations
}
