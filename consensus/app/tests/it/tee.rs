//! Nodes of confidential runtimes.

use paralith_attest::{Claims, Measurement, SoftwarePlatform};
use paralith_consensus_api::consensus::STATE_ROOTS_KEPT;
use paralith_consensus_api::keymanager;
use paralith_consensus_api::registry::{
    CapabilityTee, Node, NodeRuntime, RegisterEntity, Runtime, RuntimeKind, TeePolicy,
};
use paralith_consensus_app::query;
use paralith_types::{Amount, CodeId, Epoch, Hash, Height, PublicKey, RuntimeId, X25519PublicKey};

use crate::support::*;

const KEY_MANAGER: RuntimeId = RuntimeId([5; 32]);
const SECRET: RuntimeId = RuntimeId([6; 32]);
const OWNER: u8 = ENTITIES[0];
/// A compute node of the owner's, its consensus key is the next number.
const NODE: u8 = 40;
const PLATFORM: u8 = 50;
const MEASUREMENT: Hash = Hash([4; 32]);

fn net() -> Net {
    net_with(vec![public(PLATFORM)], 12)
}

/// With these software platforms in genesis; evidence counts for so many blocks.
fn net_with(platforms: Vec<PublicKey>, max_age_blocks: u64) -> Net {
    let tee = Some(TeePolicy { measurements: vec![MEASUREMENT], max_age_blocks });
    let mut secret = Runtime {
        id: SECRET,
        confidential: true,
        key_manager: Some(KEY_MANAGER),
        tee: tee.clone(),
        ..runtime(OWNER)
    };
    (secret.executor.workers, secret.executor.backups) = (1, 1);
    let key_manager = Runtime {
        id: KEY_MANAGER,
        kind: RuntimeKind::KeyManager,
        code: None,
        tee,
        ..runtime(OWNER)
    };
    let policy = keymanager::Policy {
        serial: 1,
        id: KEY_MANAGER,
        measurements: vec![MEASUREMENT],
        runtimes: vec![],
        max_epoch_secret_age: 10,
        rotation_epochs: 0,
        nodes: Vec::new(),
    };
    Net::of(
        builder()
            .runtime(key_manager)
            .runtime(secret)
            .policy(policy)
            .fund(&public(NODE), Amount(1000))
            .entity_node(public(OWNER), public(NODE))
            .params(|params| params.registry.software_platforms = platforms),
    )
}

fn claims(net: &Net) -> Claims {
    Claims {
        measurement: Measurement(MEASUREMENT),
        rak: public(60),
        rek: X25519PublicKey([61; 32]),
        node: public(NODE),
        runtime: SECRET,
        code: Some(CodeId([8; 32])),
        height: net.app.info().height,
        state_root: net.app.info().app_hash,
    }
}

fn node(tee: Option<CapabilityTee>) -> Node {
    Node {
        id: public(NODE),
        entity_id: public(OWNER),
        expiration: Epoch(20),
        roles: 1,
        consensus_key: public(NODE + 1),
        addresses: vec![],
        runtimes: vec![NodeRuntime { runtime_id: SECRET, tee, extra_info: vec![] }],
        software_version: String::new(),
    }
}

fn capability(net: &Net, claims: &Claims) -> Option<CapabilityTee> {
    let platform = SoftwarePlatform::new(key(PLATFORM));
    let (rak, rek) = (public(60), X25519PublicKey([61; 32]));
    Some(CapabilityTee { rak, rek, evidence: platform.quote(claims, &net.chain) })
}

#[test]
fn an_attested_node_is_elected_while_its_evidence_is_fresh() {
    let mut net = net();
    net.block(vec![]);
    let tee = capability(&net, &claims(&net));
    let registration = net.registration(node(tee), NODE + 1);
    net.ok(NODE, registration);
    assert_eq!(query::committee(&net.state(), &SECRET).unwrap(), None, "from the next epoch on");
    net.run_until_epoch(1);
    let committee = query::committee(&net.state(), &SECRET).unwrap().unwrap();
    assert_eq!((committee.epoch, committee.workers), (Epoch(1), vec![public(NODE)]));
    net.run_until_epoch(2);
    assert!(query::committee(&net.state(), &SECRET).unwrap().is_some(), "ten blocks old");
    net.run_until_epoch(3);
    assert_eq!(query::committee(&net.state(), &SECRET).unwrap(), None, "fifteen blocks old");
}

#[test]
fn evidence_must_be_there_and_fit() {
    let mut net = net();
    net.block(vec![]);
    let good = claims(&net);
    let wrong_platform = SoftwarePlatform::new(key(51)).quote(&good, &net.chain);
    let cases = [
        ("none", None, "registry/8"),
        (
            "platform",
            capability(&net, &good).map(|tee| CapabilityTee { evidence: wrong_platform, ..tee }),
            "registry/6",
        ),
        (
            "measurement",
            capability(&net, &Claims { measurement: Measurement(Hash([1; 32])), ..good.clone() }),
            "registry/6",
        ),
        ("node", capability(&net, &Claims { node: public(1), ..good.clone() }), "registry/1"),
        ("runtime", capability(&net, &Claims { runtime: RUNTIME, ..good.clone() }), "registry/1"),
        ("rak", capability(&net, &Claims { rak: public(1), ..good.clone() }), "registry/1"),
        ("code", capability(&net, &Claims { code: None, ..good.clone() }), "registry/1"),
    ];
    for (what, tee, code) in cases {
        let registration = net.registration(node(tee), NODE + 1);
        assert_eq!(net.refused(NODE, registration), code, "{what}");
    }
    // The error names both ids: of a module that differs in one byte, too.
    let other = Claims { code: Some(CodeId([9; 32])), ..good };
    let registration = net.registration(node(capability(&net, &other)), NODE + 1);
    let message = net.run(NODE, registration).message;
    for id in [CodeId([8; 32]), CodeId([9; 32])] {
        assert!(message.contains(&id.to_string()), "{message}");
    }
    // An enclave where none belongs.
    let mut public_node = node(capability(&net, &Claims { runtime: RUNTIME, ..good }));
    public_node.runtimes[0].runtime_id = RUNTIME;
    let registration = net.registration(public_node, NODE + 1);
    assert_eq!(net.refused(NODE, registration), "registry/1");
}

#[test]
fn expired_evidence_and_that_of_a_platform_that_genesis_does_not_list_do_not_register() {
    let mut unlisted = net_with(vec![], 12);
    let mut net = net();
    for net in [&mut unlisted, &mut net] {
        net.block(vec![]);
    }
    let good = claims(&unlisted);
    let registration = unlisted.registration(node(capability(&unlisted, &good)), NODE + 1);
    assert_eq!(unlisted.refused(NODE, registration), "registry/6");
    // Where it is listed, the same evidence counts for twelve blocks.
    let good = claims(&net);
    let tee = capability(&net, &good);
    while net.app.info().height.0 < good.height.0 + 12 {
        net.block(vec![]);
    }
    let registration = net.registration(node(tee), NODE + 1);
    assert_eq!(net.refused(NODE, registration), "registry/6");
    let fresh = capability(&net, &claims(&net));
    let registration = net.registration(node(fresh), NODE + 1);
    net.ok(NODE, registration);
}

#[test]
fn a_key_manager_registers_with_its_role() {
    let mut net = net();
    net.block(vec![]);
    let claims = Claims { runtime: KEY_MANAGER, code: None, ..claims(&net) };
    let mut node = node(capability(&net, &claims));
    node.runtimes[0].runtime_id = KEY_MANAGER;
    let as_compute = net.registration(node.clone(), NODE + 1);
    assert_eq!(net.refused(NODE, as_compute), "registry/1");
    node.roles = 4;
    let registration = net.registration(node, NODE + 1);
    net.ok(NODE, registration);
    let entity = query::entity(&net.state(), &public(OWNER)).unwrap().unwrap();
    net.ok(OWNER, RegisterEntity { entity });
}

#[test]
fn evidence_must_name_this_chains_state_root_of_its_height() {
    let mut net = net();
    net.block(vec![]);
    let good = claims(&net);
    let cases = [
        ("another chain", Claims { state_root: Hash([1; 32]), ..good.clone() }),
        ("nothing proven", Claims { state_root: Hash::ZERO, ..good.clone() }),
        ("a later height's root", Claims { height: good.height.next(), ..good }),
    ];
    for (what, claims) in cases {
        // Every refused registration is a block, so the named height lies further back each time.
        let registration = net.registration(node(capability(&net, &claims)), NODE + 1);
        let refused = net.refused(NODE, registration);
        assert!(refused == "registry/1" || refused == "registry/6", "{what}: {refused}");
    }
    let registration = net.registration(node(capability(&net, &good)), NODE + 1);
    net.ok(NODE, registration);
    // The same evidence renews the registration also when its root is not kept any more.
    for _ in 0..5 {
        net.block(vec![]);
    }
    let mut renewed = node(capability(&net, &good));
    renewed.expiration = Epoch(19);
    let registration = net.registration(renewed, NODE + 1);
    net.ok(NODE, registration);
}

#[test]
fn the_root_of_quiet_heights_is_the_one_recorded_next() {
    let mut net = net();
    net.block(vec![]);
    let before = claims(&net);
    let hash = net.app.info().app_hash;
    // Quiet blocks change nothing, not even to record roots.
    net.block(vec![]);
    net.block(vec![]);
    assert_eq!(net.app.info().app_hash, hash);
    let registration = net.registration(node(capability(&net, &before)), NODE + 1);
    net.ok(NODE, registration);
}

#[test]
fn an_enclave_that_has_proven_nothing_registers_in_a_young_chain_only() {
    for blocks in [1, STATE_ROOTS_KEPT] {
        let mut net = net_with(vec![public(PLATFORM)], 2 * STATE_ROOTS_KEPT);
        while net.app.info().height < Height(blocks) {
            net.block(vec![]);
        }
        let nothing = Claims { height: Height(0), state_root: Hash::ZERO, ..claims(&net) };
        let expiration = query::epoch(&net.state()).unwrap().epoch.plus(5);
        let node = Node { expiration, ..node(capability(&net, &nothing)) };
        let registration = net.registration(node, NODE + 1);
        if blocks == 1 {
            net.ok(NODE, registration);
        } else {
            assert_eq!(net.refused(NODE, registration), "registry/1");
        }
    }
}
