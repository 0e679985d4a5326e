//! The index of enclaves, and their revocation.

use std::collections::BTreeMap;

use paralith_attest::{Claims, Evidence, Measurement, SoftwarePlatform};
use paralith_consensus_api::keymanager;
use paralith_consensus_api::registry::{
    Approval, ApproveRuntime, Batching, CapabilityTee, Enclave, Executor, Node, NodeRuntime,
    RegisterRuntime, RevokeEnclave, Runtime, RuntimeKind, RuntimeStaking, TeePolicy,
};
use paralith_consensus_app::{TxOutcome, query};
use paralith_policy::Policy;
use paralith_proto::Canonical;
use paralith_storage::StateRead;
use paralith_types::{Amount, CodeId, Epoch, Hash, Height, PublicKey, RuntimeId, X25519PublicKey};
use proptest::prelude::*;

use crate::support::*;

const KEY_MANAGER: RuntimeId = RuntimeId([4; 32]);
const SECRET: RuntimeId = RuntimeId([5; 32]);
const APP: RuntimeId = RuntimeId([6; 32]);
/// Owns all runtimes and is no organisation.
const OWNER: u8 = ALICE;
/// Nodes, one for each entity; a node's consensus key is the next number.
const NODES: [u8; 3] = [40, 42, 44];
const PLATFORM: u8 = 50;
const MEASUREMENT: Hash = Hash([4; 32]);
const AGE: u64 = 1000;

fn tee() -> Option<TeePolicy> {
    Some(TeePolicy { measurements: vec![MEASUREMENT], max_age_blocks: AGE })
}

fn key_manager() -> Runtime {
    let kind = RuntimeKind::KeyManager;
    Runtime { id: KEY_MANAGER, kind, code: None, tee: tee(), ..runtime(OWNER) }
}

fn secret() -> Runtime {
    let key_manager = Some(KEY_MANAGER);
    let mut secret =
        Runtime { id: SECRET, confidential: true, key_manager, tee: tee(), ..runtime(OWNER) };
    (secret.executor.workers, secret.executor.backups) = (1, 0);
    secret
}

fn application() -> Runtime {
    let mut organisations: Vec<PublicKey> = ENTITIES.map(public).to_vec();
    organisations.sort();
    let policy = Policy::parse("2 of (a, b, c)", &["a", "b", "c"]).unwrap().encode();
    Runtime {
        id: APP,
        kind: RuntimeKind::Application,
        confidential: true,
        allow_plain_calls: false,
        key_manager: Some(KEY_MANAGER),
        tee: tee(),
        max_tx_gas: 0,
        approval: Some(Approval { organisations, policy }),
        executor: Executor::default(),
        batching: Batching::default(),
        staking: RuntimeStaking::default(),
        ..runtime(OWNER)
    }
}

fn net() -> Net {
    let policy = keymanager::Policy {
        serial: 1,
        id: KEY_MANAGER,
        measurements: vec![MEASUREMENT],
        runtimes: vec![],
        max_epoch_secret_age: 10,
        rotation_epochs: 0,
        nodes: Vec::new(),
    };
    let mut builder = builder()
        .entity(public(OWNER), Amount(5000))
        .runtime(key_manager())
        .runtime(secret())
        .runtime(application())
        .policy(policy)
        .params(|params| {
            params.registry.software_platforms = vec![public(PLATFORM)];
            params.beacon.epoch_blocks = 20;
            params.staking.freeze_epochs = 2;
        });
    for (entity, node) in ENTITIES.into_iter().zip(NODES) {
        builder = builder.entity_node(public(entity), public(node));
        builder = builder.fund(&public(node), Amount(1_000_000));
    }
    let mut net = Net::of(builder);
    net.block(vec![]);
    net
}

fn entity_of(node: u8) -> u8 {
    let place = NODES.iter().position(|one| *one == node).unwrap();
    ENTITIES[place]
}

fn rak(number: u8) -> PublicKey {
    public(100 + number)
}

/// A node that runs an enclave for each of these runtimes, all with the RAK of this number.
fn node(net: &Net, node: u8, runtimes: &[RuntimeId], number: u8, epochs: u64) -> Node {
    let platform = SoftwarePlatform::new(key(PLATFORM));
    let rek = X25519PublicKey([number; 32]);
    let offered = |runtime_id: &RuntimeId| {
        let claims = Claims {
            measurement: Measurement(MEASUREMENT),
            rak: rak(number),
            rek,
            node: public(node),
            runtime: *runtime_id,
            code: (*runtime_id != KEY_MANAGER).then_some(CodeId([8; 32])),
            height: net.app.info().height,
            state_root: net.app.info().app_hash,
        };
        let evidence = platform.quote(&claims, &net.chain);
        let tee = Some(CapabilityTee { rak: rak(number), rek, evidence });
        NodeRuntime { runtime_id: *runtime_id, tee, extra_info: vec![] }
    };
    let roles = runtimes.iter().fold(0, |roles, id| match *id {
        SECRET => roles | 1,
        APP => roles | 2,
        _ => roles | 4,
    });
    let now = query::epoch(&net.state()).unwrap().epoch;
    Node {
        id: public(node),
        entity_id: public(entity_of(node)),
        expiration: now.plus(epochs),
        roles,
        consensus_key: public(node + 1),
        addresses: vec![],
        runtimes: runtimes.iter().map(offered).collect(),
        software_version: String::new(),
    }
}

fn register(net: &mut Net, id: u8, runtimes: &[RuntimeId], number: u8, epochs: u64) -> TxOutcome {
    let node = node(net, id, runtimes, number, epochs);
    let registration = net.registration(node, id + 1);
    net.run(id, registration)
}

fn registered(net: &mut Net, id: u8, runtimes: &[RuntimeId], number: u8, epochs: u64) -> TxOutcome {
    let outcome = register(net, id, runtimes, number, epochs);
    assert_eq!(outcome.code, 0, "{}", outcome.message);
    outcome
}

fn enclave(net: &Net, runtime: &RuntimeId, number: u8) -> Option<Enclave> {
    query::enclave(&net.state(), runtime, &rak(number)).unwrap()
}

fn revoke(runtime_id: RuntimeId, number: u8) -> RevokeEnclave {
    RevokeEnclave { runtime_id, rak: rak(number) }
}

fn count(outcome: &TxOutcome, kind: &str) -> usize {
    outcome.events.iter().filter(|event| event.kind == kind).count()
}

/// The index, and who has which RAK, as state has them.
type Index = BTreeMap<(RuntimeId, PublicKey), (Option<Enclave>, PublicKey)>;

fn index(state: &dyn StateRead) -> Index {
    let mut index = Index::new();
    let place = |key: &[u8], prefix: &[u8]| {
        let (runtime, rak) = key[prefix.len()..].split_at(32);
        (RuntimeId::try_from(runtime).unwrap(), PublicKey::try_from(rak).unwrap())
    };
    let prefix = b"registry/rak-node/";
    for (key, value) in state.scan(prefix, None, 10_000).unwrap() {
        let node = PublicKey::try_from(value.as_slice()).unwrap();
        index.insert(place(&key, prefix), (None, node));
    }
    let prefix = b"registry/enclave/";
    for (key, value) in state.scan(prefix, None, 10_000).unwrap() {
        let enclave = Enclave::decode(&value, value.len()).unwrap();
        index.get_mut(&place(&key, prefix)).expect("it has a node").0 = Some(enclave);
    }
    index
}

/// The same, made anew from all nodes.
fn made_anew(state: &dyn StateRead) -> Index {
    let epoch = query::epoch(state).unwrap().epoch;
    let mut index = Index::new();
    for node in query::nodes(state).unwrap() {
        let status = query::node_status(state, &node.id).unwrap().unwrap_or_default();
        let frozen = status.frozen_until.is_some_and(|until| until >= epoch.0);
        for offered in &node.runtimes {
            let Some(tee) = &offered.tee else { continue };
            let id = offered.runtime_id;
            let runtime = query::runtime(state, &id).unwrap().unwrap();
            let revoked = query::revoked(state, &id, &tee.rak).unwrap().is_some();
            let counts = node.expiration >= epoch && !frozen && !revoked;
            let Evidence::Software(quote) = Evidence::decode(&tee.evidence).unwrap();
            let enclave = counts.then(|| Enclave {
                node: node.id,
                entity_id: node.entity_id,
                rek: tee.rek,
                measurement: quote.claims.measurement.0,
                code: quote.claims.code,
                attested_height: quote.claims.height,
                expires_height: quote.claims.height.plus(runtime.tee.unwrap().max_age_blocks + 1),
                node_expiration: node.expiration,
                software: true,
            });
            assert_eq!(index.insert((id, tee.rak), (enclave, node.id)), None, "a RAK of two");
        }
    }
    index
}

#[test]
fn a_registered_enclave_is_in_the_index_with_what_was_attested() {
    let mut net = net();
    let (height, id) = (net.app.info().height, NODES[0]);
    let outcome = registered(&mut net, id, &[SECRET, APP], 1, 5);
    assert_eq!(count(&outcome, "registry.EnclaveRegistered"), 2);
    let wanted = Enclave {
        node: public(id),
        entity_id: public(ENTITIES[0]),
        rek: X25519PublicKey([1; 32]),
        measurement: MEASUREMENT,
        code: Some(CodeId([8; 32])),
        attested_height: height,
        expires_height: Height(height.0 + AGE + 1),
        node_expiration: Epoch(5),
        software: true,
    };
    assert_eq!(enclave(&net, &SECRET, 1), Some(wanted.clone()));
    assert_eq!(enclave(&net, &APP, 1), Some(wanted.clone()));
    // Renewed, it says the newer; nothing new is announced.
    let outcome = registered(&mut net, id, &[SECRET, APP], 1, 6);
    assert_eq!(count(&outcome, "registry.EnclaveRegistered"), 0);
    let renewed = enclave(&net, &APP, 1).unwrap();
    assert_eq!(renewed.node_expiration, Epoch(6));
    assert!(renewed.attested_height > wanted.attested_height);
    // Another RAK takes its place. A key manager's enclave is in the index, too.
    registered(&mut net, id, &[KEY_MANAGER, SECRET, APP], 2, 6);
    assert_eq!((enclave(&net, &APP, 1), enclave(&net, &SECRET, 1)), (None, None));
    assert!(enclave(&net, &KEY_MANAGER, 2).is_some_and(|one| one.code.is_none()));
    assert_eq!(index(&net.state()), made_anew(&net.state()));
}

#[test]
fn the_record_has_one_frozen_form() {
    let record = Enclave {
        node: PublicKey([1; 32]),
        entity_id: PublicKey([2; 32]),
        rek: X25519PublicKey([3; 32]),
        measurement: Hash([4; 32]),
        code: Some(CodeId([5; 32])),
        attested_height: Height(300),
        expires_height: Height(1301),
        node_expiration: Epoch(7),
        software: true,
    };
    let field = |number: u8, byte: u8| [vec![number << 3 | 2, 32], vec![byte; 32]].concat();
    let mut wanted: Vec<u8> = (1..=5).flat_map(|number| field(number, number)).collect();
    wanted.extend([0x30, 0xac, 0x02, 0x38, 0x95, 0x0a, 0x40, 7, 0x48, 1]);
    assert_eq!(record.encode(), wanted);
    assert_eq!(Enclave::decode(&wanted, wanted.len()).unwrap(), record);
}

#[test]
fn an_expired_node_has_no_enclaves_and_a_forgotten_one_no_raks() {
    let mut net = net();
    registered(&mut net, NODES[0], &[APP], 1, 1);
    net.run_until_epoch(1);
    assert!(enclave(&net, &APP, 1).is_some(), "its last epoch");
    net.run_until_epoch(2);
    assert_eq!(enclave(&net, &APP, 1), None);
    assert_eq!(index(&net.state()).len(), 1, "the RAK is its own still");
    let stolen = register(&mut net, NODES[1], &[APP], 1, 1);
    assert_eq!(identity(&stolen), "registry/22");
    // It comes back.
    registered(&mut net, NODES[0], &[APP], 1, 1);
    assert!(enclave(&net, &APP, 1).is_some());
    net.run_until_epoch(10);
    assert_eq!(query::node(&net.state(), &public(NODES[0])).unwrap(), None);
    assert_eq!(index(&net.state()).len(), 0);
    registered(&mut net, NODES[1], &[APP], 1, 1);
}

#[test]
fn a_frozen_node_has_no_enclaves_until_its_time_is_over() {
    let mut net = net();
    registered(&mut net, NODES[0], &[SECRET, APP], 1, 9);
    net.slash(NODES[0] + 1);
    assert_eq!((enclave(&net, &APP, 1), enclave(&net, &SECRET, 1)), (None, None));
    // Neither does it get one by registering anew, nor does somebody else get its RAK.
    registered(&mut net, NODES[0], &[SECRET, APP], 1, 9);
    assert_eq!(enclave(&net, &APP, 1), None);
    assert_eq!(identity(&register(&mut net, NODES[1], &[APP], 1, 9)), "registry/22");
    net.run_until_epoch(2);
    assert_eq!(enclave(&net, &APP, 1), None);
    net.run_until_epoch(3);
    assert!(enclave(&net, &APP, 1).is_some());
    assert_eq!(index(&net.state()), made_anew(&net.state()));
}

#[test]
fn an_application_is_run_by_its_organisations_only_and_left_by_whom_it_does_not_name() {
    let mut net = net();
    registered(&mut net, NODES[0], &[SECRET, APP], 1, 9);
    let mut change = Runtime { sequence: 2, ..application() };
    let approval = change.approval.as_mut().unwrap();
    approval.organisations.retain(|id| *id != public(ENTITIES[0]));
    approval.policy = Policy::parse("all(a, b)", &["a", "b"]).unwrap().encode();
    net.ok(OWNER, RegisterRuntime { runtime: change.clone() });
    let descriptor = change.descriptor_hash();
    for entity in [ENTITIES[1], ENTITIES[2]] {
        net.ok(entity, ApproveRuntime { runtime_id: APP, sequence: 2, descriptor });
    }
    net.next_epoch();
    assert!(enclave(&net, &APP, 1).is_some(), "the record says what was attested");
    assert_eq!(identity(&register(&mut net, NODES[0], &[SECRET, APP], 1, 9)), "registry/27");
    // It leaves the application and stays what it was elected for.
    assert_eq!(identity(&register(&mut net, NODES[0], &[APP], 1, 9)), "registry/27");
    registered(&mut net, NODES[0], &[SECRET], 1, 9);
    assert_eq!(enclave(&net, &APP, 1), None);
    assert!(enclave(&net, &SECRET, 1).is_some());
    registered(&mut net, NODES[1], &[SECRET, APP], 2, 9);
    assert_eq!(identity(&register(&mut net, NODES[1], &[APP], 2, 9)), "registry/17");
}

#[test]
fn a_revoked_enclave_never_comes_back_and_its_node_does_with_another_one() {
    let mut net = net();
    registered(&mut net, NODES[0], &[SECRET, APP], 1, 20);
    net.next_epoch();
    assert!(query::committee(&net.state(), &SECRET).unwrap().is_some());
    let outcome = net.ok(ENTITIES[0], revoke(SECRET, 1));
    assert_eq!(count(&outcome, "registry.EnclaveRevoked"), 1);
    assert_eq!(enclave(&net, &SECRET, 1), None);
    assert!(enclave(&net, &APP, 1).is_some(), "it is another runtime's");
    assert_eq!(net.refused(ENTITIES[0], revoke(SECRET, 1)), "registry/28");
    // Fresh evidence does not help, from no node.
    for id in [NODES[0], NODES[1]] {
        let refused = identity(&register(&mut net, id, &[SECRET, APP], 1, 21));
        assert!(["registry/28", "registry/22"].contains(&refused.as_str()), "{refused}");
    }
    net.next_epoch();
    assert_eq!(query::committee(&net.state(), &SECRET).unwrap(), None, "it is not elected");
    registered(&mut net, NODES[0], &[SECRET, APP], 2, 21);
    net.next_epoch();
    assert!(query::committee(&net.state(), &SECRET).unwrap().is_some());
    assert_eq!(identity(&register(&mut net, NODES[0], &[SECRET, APP], 1, 22)), "registry/28");
    net.run_until_epoch(30);
    assert_eq!(query::node(&net.state(), &public(NODES[0])).unwrap(), None);
    assert_eq!(identity(&register(&mut net, NODES[0], &[SECRET], 1, 5)), "registry/28");
    assert_eq!(index(&net.state()), made_anew(&net.state()));
}

#[test]
fn a_revocation_makes_a_rotation_due() {
    let mut net = net();
    let required = |net: &Net| {
        let state = net.state();
        query::keymanager_status(&state, &KEY_MANAGER).unwrap().unwrap().rotation_required
    };
    registered(&mut net, NODES[0], &[SECRET], 1, 20);
    net.run_until_epoch(3);
    assert_eq!(required(&net), Epoch(0));
    net.ok(ENTITIES[0], revoke(SECRET, 1));
    assert_eq!(required(&net), Epoch(4));
    net.run_until_epoch(5);
    registered(&mut net, NODES[1], &[KEY_MANAGER], 2, 20);
    net.ok(OWNER, revoke(KEY_MANAGER, 2));
    assert_eq!(required(&net), Epoch(6));
    // A single organisation's vote changes nothing.
    registered(&mut net, NODES[2], &[APP], 3, 20);
    net.next_epoch();
    net.ok(ENTITIES[0], revoke(APP, 3));
    assert_eq!(required(&net), Epoch(6));
    net.ok(ENTITIES[1], revoke(APP, 3));
    assert_eq!(required(&net), Epoch(7));
}

#[test]
fn strangers_revoke_nothing() {
    let mut net = net();
    registered(&mut net, NODES[0], &[SECRET, APP], 1, 20);
    // The owner of an application decides no more about its enclaves than about its code.
    for stranger in [BOB, OWNER] {
        assert_eq!(net.refused(stranger, revoke(APP, 1)), "registry/27");
    }
    for stranger in [BOB, ENTITIES[1]] {
        assert_eq!(net.refused(stranger, revoke(SECRET, 1)), "registry/4");
    }
    assert_eq!(net.refused(ENTITIES[0], revoke(RUNTIME, 1)), "registry/1", "it has no enclaves");
    assert_eq!(net.refused(ENTITIES[0], revoke(RuntimeId([9; 32]), 1)), "registry/11");
    assert!(enclave(&net, &APP, 1).is_some() && enclave(&net, &SECRET, 1).is_some());
    net.ok(OWNER, revoke(SECRET, 1));
    net.ok(ENTITIES[0], revoke(APP, 1));
    assert!(enclave(&net, &APP, 1).is_none() && enclave(&net, &SECRET, 1).is_none());
}

#[test]
fn organisations_revoke_together_also_what_hides() {
    let mut net = net();
    registered(&mut net, NODES[2], &[APP], 1, 20);
    net.ok(ENTITIES[0], revoke(APP, 1));
    net.ok(ENTITIES[0], revoke(APP, 1));
    assert!(enclave(&net, &APP, 1).is_some(), "twice is once");
    // The node goes out of the way with another RAK.
    registered(&mut net, NODES[2], &[APP], 2, 20);
    net.ok(ENTITIES[1], revoke(APP, 1));
    assert_eq!(identity(&register(&mut net, NODES[2], &[APP], 1, 20)), "registry/28");
    assert_eq!(query::decisions(&net.state(), &APP).unwrap(), None, "nothing is left to decide");

    // Votes lapse, and an organisation has room for sixteen.
    let epoch = query::epoch(&net.state()).unwrap().epoch;
    net.ok(ENTITIES[0], revoke(APP, 2));
    net.run_until_epoch(epoch.0 + 10);
    net.ok(ENTITIES[1], revoke(APP, 2));
    assert!(query::revoked(&net.state(), &APP, &rak(2)).unwrap().is_none());
    net.next_epoch();
    for number in 0..20 {
        net.ok(ENTITIES[1], revoke(APP, 10 + number));
    }
    let votes = query::decisions(&net.state(), &APP).unwrap().unwrap().revocations;
    assert_eq!(votes.len(), 16);
    assert!(votes.iter().all(|vote| vote.rak != rak(2)), "the oldest gave way");
}

#[test]
fn the_index_is_bounded_by_the_runtimes_of_registered_nodes() {
    let mut net = net();
    for number in 0..30 {
        for id in NODES {
            register(&mut net, id, &[SECRET, APP], number + id, 30);
        }
    }
    let index = index(&net.state());
    assert_eq!(index.len(), NODES.len() * 2, "one for each node and runtime");
}

#[derive(Debug, Clone)]
enum Op {
    /// A node registers its enclaves: bits of the runtimes, RAK, epochs.
    Register { node: usize, runtimes: u8, rak: u8, epochs: u64 },
    /// A node misbehaves and is frozen.
    Freeze { node: usize },
    /// An entity asks for a revocation, alone or as an organisation.
    Revoke { entity: usize, runtime: usize, rak: u8 },
    /// The owner changes how old evidence may be.
    Age { blocks: u64 },
    /// Epochs pass.
    Epochs(u64),
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..3_usize, 1..8_u8, 0..4_u8, 1..4_u64)
            .prop_map(|(node, runtimes, rak, epochs)| Op::Register { node, runtimes, rak, epochs }),
        1 => (0..3_usize).prop_map(|node| Op::Freeze { node }),
        2 => (0..3_usize, 0..3_usize, 0..4_u8)
            .prop_map(|(entity, runtime, rak)| Op::Revoke { entity, runtime, rak }),
        1 => (100..2000_u64).prop_map(|blocks| Op::Age { blocks }),
        2 => (1..4_u64).prop_map(Op::Epochs),
    ]
}

fn apply(net: &mut Net, op: &Op) {
    const RUNTIMES: [RuntimeId; 3] = [KEY_MANAGER, SECRET, APP];
    match *op {
        Op::Register { node, runtimes, rak, epochs } => {
            let all = RUNTIMES.iter().enumerate();
            let chosen: Vec<RuntimeId> =
                all.filter(|(bit, _)| runtimes >> bit & 1 == 1).map(|(_, id)| *id).collect();
            register(net, NODES[node], &chosen, rak, epochs);
        }
        Op::Freeze { node } => drop(net.slash(NODES[node] + 1)),
        Op::Revoke { entity, runtime, rak } => {
            net.run(ENTITIES[entity], revoke(RUNTIMES[runtime], rak));
        }
        Op::Age { blocks } => {
            let change = |net: &mut Net| {
                let mut runtime = query::runtime(&net.state(), &SECRET).unwrap().unwrap();
                runtime.sequence += 1;
                runtime.tee.as_mut().unwrap().max_age_blocks = blocks;
                net.run(OWNER, RegisterRuntime { runtime }).code
            };
            // An earlier change may take effect in the very block of this one.
            assert!(change(net) == 0 || change(net) == 0);
        }
        Op::Epochs(epochs) => (0..epochs).for_each(|_| net.next_epoch()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_index_follows_from_the_nodes_after_any_operations(
        ops in prop::collection::vec(ops(), 1..40),
    ) {
        let mut net = net();
        for op in &ops {
            apply(&mut net, op);
            let state = net.state();
            prop_assert_eq!(index(&state), made_anew(&state), "after {:?}", op);
        }
    }
}
