//! Entities, nodes, runtimes.

use paralith_consensus_api::registry::{
    Entity, Liveness, Node, NodeRuntime, ProveFreshness, RegisterEntity, RegisterRuntime, Runtime,
    RuntimeKind,
};
use paralith_consensus_api::staking::{AddEscrow, ReclaimEscrow, Transfer};
use paralith_consensus_app::query;
use paralith_genesis::Builder;
use paralith_types::{Amount, Epoch, Hash, RuntimeId};

use crate::support::*;

/// Alice as an entity with stake; her node is key 3, its consensus key 4.
fn alice_with_stake() -> Net {
    let mut net = Net::of(alice_builder());
    alice_stakes(&mut net);
    net
}

fn alice_builder() -> Builder {
    builder().fund(&public(3), Amount(1000))
}

fn alice_stakes(net: &mut Net) {
    net.ok(ALICE, AddEscrow { account: account(ALICE), amount: Amount(1000) });
    net.ok(ALICE, RegisterEntity { entity: entity(ALICE, &[3]) });
}

fn entity(id: u8, nodes: &[u8]) -> Entity {
    let mut nodes: Vec<_> = nodes.iter().map(|node| public(*node)).collect();
    nodes.sort();
    Entity { id: public(id), nodes }
}

fn node() -> Node {
    Node {
        id: public(3),
        entity_id: public(ALICE),
        expiration: Epoch(3),
        roles: 8 | 1,
        consensus_key: public(4),
        addresses: vec!["node.example:80".into(), "[::1]:9000".into()],
        runtimes: vec![NodeRuntime { runtime_id: RUNTIME, tee: None, extra_info: vec![] }],
        software_version: "1".into(),
    }
}

fn validator_only() -> Node {
    Node { roles: 8, runtimes: vec![], ..node() }
}

#[test]
fn a_node_registers_counts_and_claims_stake() {
    let mut net = alice_with_stake();
    let registration = net.registration(node(), 4);
    let outcome = net.ok(3, registration);
    assert!(outcome.gas_used >= 3000, "three epochs of one runtime");
    assert_eq!(query::node(&net.state(), &public(3)).unwrap(), Some(node()));
    let claims = net.account(&account(ALICE)).claims;
    let amounts: Vec<_> = claims.iter().map(|claim| (claim.id.as_str(), claim.amount.0)).collect();
    let node_claim = format!("registry.RegisterNode.{}", public(3));
    assert_eq!(amounts, [("registry.RegisterEntity", 100), (node_claim.as_str(), 200)]);
}

#[test]
fn each_wrong_node_is_refused_with_its_code() {
    let mut net = alice_with_stake();
    // Each refusal takes a block.
    let far = || Node { expiration: Epoch(40), ..node() };
    let wrong_runtime = NodeRuntime { runtime_id: RuntimeId([1; 32]), ..node().runtimes.remove(0) };
    let extra = NodeRuntime { extra_info: vec![1], ..node().runtimes.remove(0) };
    let cases = [
        ("no roles", Node { roles: 0, ..far() }, 4, "registry/1"),
        ("unknown role", Node { roles: 9 | 16, ..far() }, 4, "registry/1"),
        ("compute without runtime", Node { runtimes: vec![], ..far() }, 4, "registry/1"),
        ("runtime without role", Node { roles: 8, ..far() }, 4, "registry/1"),
        ("application of compute", Node { roles: 9 | 2, ..far() }, 4, "registry/1"),
        ("key manager of compute", Node { roles: 4, ..far() }, 4, "registry/1"),
        ("no port", Node { addresses: vec!["here".into()], ..far() }, 4, "registry/1"),
        ("port 0", Node { addresses: vec!["here:0".into()], ..far() }, 4, "registry/1"),
        ("long version", Node { software_version: "x".repeat(129), ..far() }, 4, "registry/1"),
        ("extra info", Node { runtimes: vec![extra], ..far() }, 4, "registry/1"),
        ("own key twice", Node { consensus_key: public(3), ..far() }, 3, "registry/1"),
        ("another's signature", far(), 5, "registry/2"),
        ("not listed", Node { entity_id: public(ENTITIES[0]), ..far() }, 4, "registry/3"),
        ("no entity", Node { entity_id: public(BOB), ..far() }, 4, "registry/9"),
        ("no runtime", Node { runtimes: vec![wrong_runtime], ..far() }, 4, "registry/11"),
        ("another's id", Node { id: public(5), ..far() }, 4, "registry/12"),
        ("expired", Node { expiration: Epoch(0), ..far() }, 4, "registry/13"),
        ("too long", Node { expiration: Epoch(200), ..far() }, 4, "registry/13"),
        (
            "used key",
            Node { consensus_key: public(ENTITIES[0] + 2), ..far() },
            ENTITIES[0] + 2,
            "registry/20",
        ),
    ];
    for (what, node, consensus, code) in cases {
        let registration = net.registration(node, consensus);
        assert_eq!(net.refused(3, registration), code, "{what}");
    }
    net.ok(ALICE, ReclaimEscrow { account: account(ALICE), shares: Amount(800) });
    let registration = net.registration(far(), 4);
    assert_eq!(net.refused(3, registration), "staking/4", "200 do not cover 300");
}

#[test]
fn a_live_node_adds_and_takes_nothing_back() {
    let mut net = alice_with_stake();
    let first = net.registration(validator_only(), 4);
    net.ok(3, first);
    let more = net.registration(node(), 4);
    net.ok(3, more);
    net.ok(ALICE, RegisterEntity { entity: entity(ALICE, &[3]) });
    net.ok(BOB, AddEscrow { account: account(BOB), amount: Amount(1000) });
    net.ok(BOB, RegisterEntity { entity: entity(BOB, &[3]) });
    for (what, node, consensus) in [
        ("role", validator_only(), 4),
        ("consensus key", Node { consensus_key: public(5), ..node() }, 5),
        ("entity", Node { entity_id: public(BOB), ..node() }, 4),
    ] {
        let registration = net.registration(node, consensus);
        assert_eq!(net.refused(3, registration), "registry/17", "{what}");
    }
}

#[test]
fn an_expired_node_is_forgotten_after_its_stake_could_be_debonding() {
    let mut net = alice_with_stake();
    let registration = net.registration(Node { expiration: Epoch(1), ..validator_only() }, 4);
    net.ok(3, registration);
    net.run_until_epoch(1);
    let elected = |net: &Net| {
        let validators = query::validators(&net.state()).unwrap().validators;
        validators.iter().any(|validator| validator.node_id == public(3))
    };
    assert!(elected(&net));
    net.run_until_epoch(2);
    assert!(!elected(&net), "expired");
    assert!(query::node_status(&net.state(), &public(3)).unwrap().unwrap().expiration_processed);
    // It was a validator until epoch 2 began: evidence counts for two more.
    net.run_until_epoch(4);
    assert!(query::node(&net.state(), &public(3)).unwrap().is_some(), "it can still be slashed");
    net.run_until_epoch(5);
    assert_eq!(query::node(&net.state(), &public(3)).unwrap(), None);
    assert_eq!(query::node_status(&net.state(), &public(3)).unwrap(), None);
    assert_eq!(net.account(&account(ALICE)).claims.len(), 1, "the entity's alone");
    // Its consensus key is free again.
    net.ok(ALICE, RegisterEntity { entity: entity(ALICE, &[6]) });
    net.ok(ALICE, Transfer { to: account(6), amount: Amount(1000) });
    let node = Node { id: public(6), expiration: Epoch(9), ..validator_only() };
    let registration = net.registration(node, 4);
    net.ok(6, registration);
}

/// CometBFT keeps the old key for two more heights, and evidence comes later still.
#[test]
fn an_expired_node_may_come_back_as_another_and_answers_for_its_old_key() {
    let mut net = alice_with_stake();
    let registration = net.registration(Node { expiration: Epoch(1), ..node() }, 4);
    net.ok(3, registration);
    net.ok(BOB, AddEscrow { account: account(BOB), amount: Amount(1000) });
    net.ok(BOB, RegisterEntity { entity: entity(BOB, &[3, 6]) });
    net.run_until_epoch(2);
    // Another entity, another key.
    let back = Node {
        entity_id: public(BOB),
        consensus_key: public(5),
        expiration: Epoch(9),
        ..validator_only()
    };
    let registration = net.registration(back.clone(), 5);
    net.ok(3, registration);
    assert_eq!(query::node(&net.state(), &public(3)).unwrap(), Some(back));
    assert_eq!(net.account(&account(ALICE)).claims.len(), 1);
    let status = query::node_status(&net.state(), &public(3)).unwrap().unwrap();
    assert_eq!(status, Default::default());

    // Nobody else gets the old key while evidence against it counts.
    net.ok(BOB, Transfer { to: account(6), amount: Amount(1000) });
    let other =
        || Node { id: public(6), entity_id: public(BOB), expiration: Epoch(9), ..validator_only() };
    let registration = net.registration(other(), 4);
    assert_eq!(net.refused(6, registration), "registry/20");
    net.slash(4);
    assert_eq!(net.account(&account(ALICE)).active.balance.0, 900);
    assert_eq!(net.account(&account(BOB)).active.balance.0, 1000);
    let status = query::node_status(&net.state(), &public(3)).unwrap().unwrap();
    assert!(status.frozen_until.is_some(), "the node that did it is frozen, whatever it is now");

    // Four epochs later nothing counts any more.
    net.run_until_epoch(5);
    net.slash(4);
    assert_eq!(net.account(&account(ALICE)).active.balance.0, 900);
    let registration = net.registration(other(), 4);
    net.ok(6, registration);
}

#[test]
fn entities_answer_with_stake_and_sign_for_themselves() {
    let mut net = Net::new();
    assert_eq!(net.refused(BOB, RegisterEntity { entity: entity(BOB, &[]) }), "staking/4");
    assert_eq!(net.refused(BOB, RegisterEntity { entity: entity(ALICE, &[]) }), "registry/12");
    net.ok(BOB, AddEscrow { account: account(BOB), amount: Amount(100) });
    let twice = Entity { id: public(BOB), nodes: vec![public(3), public(3)] };
    assert_eq!(net.refused(BOB, RegisterEntity { entity: twice }), "registry/1");
    net.ok(BOB, RegisterEntity { entity: entity(BOB, &[]) });
}

#[test]
fn a_runtime_changes_at_the_next_epoch_and_only_what_may_change() {
    let mut net = Net::new();
    let owner = ENTITIES[0];
    let mut changed = runtime(owner);
    changed.executor.workers = 3;
    for sequence in [0, 1, 3] {
        let runtime = Runtime { sequence, ..changed.clone() };
        assert_eq!(net.refused(owner, RegisterRuntime { runtime }), "registry/25", "{sequence}");
    }
    changed.sequence = 2;
    net.ok(owner, RegisterRuntime { runtime: changed.clone() });
    assert_eq!(query::runtime(&net.state(), &RUNTIME).unwrap(), Some(runtime(owner)));
    net.next_epoch();
    assert_eq!(query::runtime(&net.state(), &RUNTIME).unwrap(), Some(changed.clone()));
    let committee = query::committee(&net.state(), &RUNTIME).unwrap().unwrap();
    assert_eq!(committee.workers.len(), 3, "this very election goes by it");

    let stranger = RegisterRuntime { runtime: changed.clone() };
    assert_eq!(net.refused(ALICE, stranger), "registry/4");
    let old = RegisterRuntime { runtime: runtime(owner) };
    assert_eq!(net.refused(owner, old), "registry/25", "the first one does not come back");
    let mut other_code = Runtime { sequence: 3, ..changed };
    other_code.code.as_mut().unwrap().id.0[0] ^= 1;
    assert_eq!(net.refused(owner, RegisterRuntime { runtime: other_code }), "registry/18");
}

#[test]
fn a_raised_penalty_waits_until_everybody_who_accepted_the_old_one_could_leave() {
    let mut net = alice_with_stake();
    let registration = net.registration(Node { expiration: Epoch(4), ..node() }, 4);
    // The nodes of genesis are registered until epoch 50.
    net.ok(3, registration);
    let owner = ENTITIES[0];
    let mut raised = runtime(owner);
    raised.staking.slash_equivocation = Amount(101);
    raised.sequence = 2;
    net.ok(owner, RegisterRuntime { runtime: raised.clone() });
    let change = query::runtime_change(&net.state(), &RUNTIME).unwrap().unwrap();
    assert_eq!((change.epoch, &change.runtime), (Epoch(51), &raised));
    net.run_until_epoch(50);
    assert_eq!(query::runtime(&net.state(), &RUNTIME).unwrap(), Some(runtime(owner)));
    net.run_until_epoch(51);
    assert_eq!(query::runtime(&net.state(), &RUNTIME).unwrap(), Some(raised.clone()));
    assert_eq!(query::runtime_change(&net.state(), &RUNTIME).unwrap(), None);

    // Nobody is registered any more: delegators still need the debonding time. Lower is at once.
    raised.staking.slash_incorrect_results = Amount(101);
    raised.sequence = 3;
    net.ok(owner, RegisterRuntime { runtime: raised.clone() });
    let change = query::runtime_change(&net.state(), &RUNTIME).unwrap().unwrap();
    assert_eq!(change.epoch, Epoch(51 + 2 + 1));
    raised.staking.slash_equivocation = Amount(1);
    raised.staking.slash_incorrect_results = Amount(100);
    net.ok(owner, RegisterRuntime { runtime: raised });
    let change = query::runtime_change(&net.state(), &RUNTIME).unwrap().unwrap();
    assert_eq!(change.epoch, Epoch(52));
}

#[test]
fn each_wrong_runtime_is_refused_with_its_code() {
    let mut net = Net::new();
    let owner = ENTITIES[1];
    let good = || {
        let mut good = runtime(owner);
        good.id = RuntimeId([9; 32]);
        good
    };
    let mut cases: Vec<(&str, &str, Runtime)> = Vec::new();
    let mut case = |what, code, change: fn(&mut Runtime)| {
        let mut runtime = good();
        change(&mut runtime);
        cases.push((what, code, runtime));
    };
    case("name", "registry/1", |r| r.name.clear());
    case("zero id", "registry/1", |r| r.id = RuntimeId([0; 32]));
    case("no code", "registry/1", |r| r.code = None);
    case("empty code", "registry/1", |r| r.code.as_mut().unwrap().size_bytes = 0);
    case("abi 0", "registry/21", |r| r.code.as_mut().unwrap().abi_version = 0);
    case("abi", "registry/21", |r| r.code.as_mut().unwrap().abi_version = 3);
    case("gas", "registry/21", |r| r.code.as_mut().unwrap().gas_schedule_version = 0);
    case("gas of another version", "registry/21", |r| {
        r.code.as_mut().unwrap().gas_schedule_version = 2;
    });
    case("keys in public", "registry/1", |r| r.key_manager = Some(RUNTIME));
    case("no keys", "registry/1", |r| r.confidential = true);
    case("no workers", "registry/1", |r| r.executor.workers = 0);
    case("stragglers", "registry/1", |r| r.executor.allowed_stragglers = 2);
    case("timeout", "registry/1", |r| r.executor.round_timeout_blocks = 2);
    case("messages", "registry/1", |r| r.executor.max_messages = 129);
    case("in messages", "registry/1", |r| r.executor.max_in_messages = 129);
    case("batch", "registry/1", |r| r.batching.max_batch_size = 0);
    case("a larger batch", "registry/1", |r| r.batching.max_batch_size = 16 * 1024 + 1);
    case("live", "registry/1", |r| r.executor.liveness.min_live_percent = 101);
    case("missed", "registry/1", |r| r.executor.liveness.max_missed_percent = 101);
    case("batch bytes", "registry/1", |r| r.batching.max_batch_bytes = 1023);
    case("no gas for a transaction", "registry/1", |r| r.max_tx_gas = 0);
    case("more gas than a batch", "registry/1", |r| r.max_tx_gas = r.batching.max_batch_gas + 1);
    case("penalty of equivocation", "registry/1", |r| {
        r.staking.slash_equivocation = Amount(100_001);
    });
    case("penalty of wrong results", "registry/1", |r| {
        r.staking.slash_incorrect_results = Amount(u128::MAX);
    });
    case("sequence", "registry/25", |r| r.sequence = 2);
    case("terms", "registry/1", |r| r.terms = vec![0; 64 * 1024 + 1]);
    case("raw transactions", "registry/24", |r| r.raw_transactions = true);
    case("empty rounds", "registry/24", |r| r.batching.empty_round_blocks = 1);
    case("two key managers", "registry/24", |r| r.second_key_manager = Some(RUNTIME));
    case("application without approval", "registry/1", |r| r.kind = RuntimeKind::Application);
    case("percent", "registry/1", |r| r.staking.reward_equivocation_percent = 101);
    case("owner", "registry/12", |r| r.entity_id = public(ENTITIES[2]));
    for (what, code, runtime) in cases {
        assert_eq!(net.refused(owner, RegisterRuntime { runtime }), code, "{what}");
    }
    let mut nobody = good();
    nobody.entity_id = public(ALICE);
    assert_eq!(net.refused(ALICE, RegisterRuntime { runtime: nobody }), "registry/9");
    let mut extreme = good();
    extreme.batching.max_batch_size = 16 * 1024;
    extreme.executor.liveness =
        Liveness { min_rounds: u32::MAX, min_live_percent: 100, max_missed_percent: 100 };
    net.ok(owner, RegisterRuntime { runtime: extreme });
}

#[test]
fn a_freshness_proof_lies_under_its_signer() {
    let mut net = Net::new();
    net.ok(ALICE, ProveFreshness { runtime_id: RUNTIME, blob: Hash([5; 32]) });
    let fresh = query::freshness(&net.state(), &public(ALICE), &RUNTIME).unwrap().unwrap();
    assert_eq!((fresh.blob, fresh.height), (Hash([5; 32]), net.app.info().height));
    assert_eq!(query::freshness(&net.state(), &public(BOB), &RUNTIME).unwrap(), None);
    let unknown = ProveFreshness { runtime_id: RuntimeId([1; 32]), blob: Hash([5; 32]) };
    assert_eq!(net.refused(ALICE, unknown), "registry/11");
}

#[test]
fn two_runtimes_of_a_node_prove_freshness_independently_and_renewal_keeps_both() {
    let mut net = Net::of(alice_builder().runtime(Runtime { id: OTHER, ..runtime(ENTITIES[0]) }));
    alice_stakes(&mut net);
    let first = net.registration(node(), 4);
    net.ok(3, first);
    for (runtime_id, blob) in [(RUNTIME, Hash([5; 32])), (OTHER, Hash([6; 32]))] {
        net.ok(3, ProveFreshness { runtime_id, blob });
    }
    let blobs = |net: &Net| {
        let state = net.state();
        [RUNTIME, OTHER].map(|runtime| {
            query::freshness(&state, &public(3), &runtime).unwrap().map(|fresh| fresh.blob)
        })
    };
    let both = [Some(Hash([5; 32])), Some(Hash([6; 32]))];
    assert_eq!(blobs(&net), both);
    let renewal = net.registration(Node { expiration: Epoch(9), ..node() }, 4);
    net.ok(3, renewal);
    assert_eq!(blobs(&net), both);
}

#[test]
fn a_freshness_proof_is_forgotten_when_no_enclave_accepts_it_any_more() {
    let mut net = Net::new();
    net.next_epoch();
    net.ok(ALICE, ProveFreshness { runtime_id: RUNTIME, blob: Hash([5; 32]) });
    net.next_epoch();
    assert!(query::freshness(&net.state(), &public(ALICE), &RUNTIME).unwrap().is_some());
    net.next_epoch();
    assert_eq!(query::freshness(&net.state(), &public(ALICE), &RUNTIME).unwrap(), None);
}

const OTHER: RuntimeId = RuntimeId([9; 32]);
