use paralith_attest::{Claims, SoftwarePlatform};
use paralith_consensus_api::keymanager::RuntimePolicy;
use paralith_consensus_api::registry::{
    Approval, Batching, Code, Executor, NodeRuntime, RuntimeStaking,
};
use paralith_crypto::{HpkeSecret, SigningKey};
use paralith_types::{Amount, CodeId};

use super::*;

const KM: RuntimeId = RuntimeId([9; 32]);
const RT: RuntimeId = RuntimeId([5; 32]);
/// An application.
const APP: RuntimeId = RuntimeId([6; 32]);
const CHAIN: ChainContext = ChainContext([7; 32]);
const CODE: CodeId = CodeId([3; 32]);
/// The height at which is asked; the epoch began at 90, attestation counts 50 blocks.
const NOW: u64 = 100;

fn rak() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn platform() -> SoftwarePlatform {
    SoftwarePlatform::new(SigningKey::from_seed([2; 32]))
}

fn measurement(n: u8) -> Measurement {
    Measurement(Hash([n; 32]))
}

fn runtime(id: RuntimeId) -> Runtime {
    let (compute, application) = (id == RT, id == APP);
    let asks = compute || application;
    Runtime {
        id,
        entity_id: PublicKey([1; 32]),
        kind: match id {
            RT => RuntimeKind::Compute,
            APP => RuntimeKind::Application,
            _ => RuntimeKind::KeyManager,
        },
        name: String::new(),
        code: asks.then_some(Code {
            id: CODE,
            size_bytes: 1,
            abi_version: 1,
            gas_schedule_version: 1,
        }),
        confidential: true,
        allow_plain_calls: false,
        key_manager: asks.then_some(KM),
        tee: Some(TeePolicy { measurements: vec![Hash([1; 32])], max_age_blocks: 50 }),
        init_argument: vec![],
        min_gas_price: Amount(0),
        max_tx_gas: 1,
        sequence: 1,
        approval: application.then(|| Approval {
            organisations: vec![PublicKey([1; 32]), PublicKey([2; 32])],
            policy: vec![],
        }),
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 1,
            backups: 1,
            allowed_stragglers: 0,
            round_timeout_blocks: 5,
            max_messages: 0,
            max_in_messages: 0,
            max_failed_rounds: 1,
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 1,
            max_batch_bytes: 1,
            flush_timeout_ms: 1,
            propose_timeout_ms: 1,
            max_batch_gas: 1,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(0),
            slash_equivocation: Amount(0),
            reward_incorrect_results_percent: 0,
            reward_equivocation_percent: 0,
            min_in_message_fee: Amount(0),
        },
    }
}

fn claims(id: RuntimeId) -> Claims {
    Claims {
        measurement: measurement(1),
        rak: rak().public(),
        rek: HpkeSecret::from_ikm(&[3; 32]).public(),
        node: PublicKey([4; 32]),
        runtime: id,
        code: (id != KM).then_some(CODE),
        height: Height(80),
        state_root: Hash([13; 32]),
    }
}

/// Everything that state, the asker and this enclave bring together.
struct Case {
    facts: Facts,
    asker: Asker,
    request: KeyRequest,
    rak: SigningKey,
}

fn good(id: RuntimeId) -> Case {
    let claims = claims(id);
    let tee = CapabilityTee {
        rak: claims.rak,
        rek: claims.rek,
        evidence: platform().quote(&claims, &CHAIN),
    };
    let node = Node {
        id: claims.node,
        entity_id: PublicKey([1; 32]),
        expiration: Epoch(10),
        roles: match id {
            RT => ROLE_COMPUTE,
            APP => ROLE_APPLICATION,
            _ => ROLE_KEYMANAGER,
        },
        consensus_key: PublicKey([6; 32]),
        addresses: vec![],
        runtimes: vec![NodeRuntime { runtime_id: id, tee: Some(tee), extra_info: vec![] }],
        software_version: String::new(),
    };
    let policy = Policy {
        serial: 1,
        id: KM,
        measurements: vec![Hash([1; 32])],
        runtimes: [RT, APP]
            .map(|runtime_id| RuntimePolicy { runtime_id, measurements: vec![Hash([1; 32])] })
            .to_vec(),
        max_epoch_secret_age: 1,
        rotation_epochs: 0,
        nodes: Vec::new(),
    };
    let status = Status {
        id: KM,
        initialised: true,
        generation: 0,
        rotation_epoch: Epoch(1),
        checksum: Some(Hash([1; 32])),
        nodes: vec![claims.node],
        policy: Some(policy),
        next_policy: None,
        signing_key: None,
        recipients: Vec::new(),
        rotation_required: Epoch(0),
    };
    let epoch = EpochState {
        epoch: Epoch(10),
        height: Height(90),
        next_height: Height(120),
        entropy: Hash([0; 32]),
    };
    let committee =
        Committee { runtime_id: RT, epoch: Epoch(10), workers: vec![claims.node], backups: vec![] };
    Case {
        facts: Facts {
            chain: CHAIN,
            id: KM,
            height: Height(NOW),
            epoch,
            fresh: Some(Epoch(10)),
            platforms: vec![platform().public()],
            status: Some(status),
        },
        asker: Asker {
            runtime: Some(runtime(id)),
            enclave: (id == APP).then(|| Enclave {
                node: node.id,
                entity_id: node.entity_id,
                rek: claims.rek,
                measurement: claims.measurement.0,
                code: claims.code,
                attested_height: claims.height,
                expires_height: Height(claims.height.0 + 51),
                node_expiration: node.expiration,
                software: true,
            }),
            node: Some(node),
            revoked: false,
            committee: (id == RT).then_some(committee),
            freshness: Some(Freshness { blob: Hash([8; 32]), height: Height(95) }),
            state_root: Some(Hash([10; 32])),
        },
        request: KeyRequest {
            version: 1,
            id: KM,
            runtime_id: if id == APP { APP } else { RT },
            node: claims.node,
            epoch: Epoch(10),
            freshness: Hash([8; 32]),
            nonce: Hash([1; 32]),
            height: Height(98),
            state_root: Hash([10; 32]),
            reply_key: HpkeSecret::from_ikm(&[11; 32]).public(),
        },
        rak: rak(),
    }
}

impl Case {
    fn keys(&self) -> Result<Granted<KeyRequest>, Refusal> {
        let signed = SignedKeyRequest::sign(&self.request, &self.rak, &self.facts.chain);
        authorise_keys(&signed, &self.facts, &self.asker)
    }

    fn replication(&self) -> Result<Granted<ReplicationRequest>, Refusal> {
        let KeyRequest { version, id, node, epoch, freshness, nonce, .. } = self.request;
        let KeyRequest { height, state_root, reply_key, .. } = self.request;
        let (first_generation, epochs) = (0, vec![]);
        let request = ReplicationRequest {
            version,
            id,
            node,
            epoch,
            freshness,
            nonce,
            first_generation,
            epochs,
            height,
            state_root,
            reply_key,
        };
        let signed = SignedReplicationRequest::sign(&request, &self.rak, &self.facts.chain);
        authorise_replication(&signed, &self.facts, &self.asker)
    }

    fn node(&mut self) -> &mut Node {
        self.asker.node.as_mut().unwrap()
    }

    fn status(&mut self) -> &mut Status {
        self.facts.status.as_mut().unwrap()
    }

    fn runtime(&mut self) -> &mut Runtime {
        self.asker.runtime.as_mut().unwrap()
    }

    fn organisations(&mut self) -> &mut Vec<PublicKey> {
        &mut self.runtime().approval.as_mut().unwrap().organisations
    }

    fn enclave(&mut self) -> &mut Enclave {
        self.asker.enclave.as_mut().unwrap()
    }

    fn committee(&mut self) -> &mut Committee {
        self.asker.committee.as_mut().unwrap()
    }

    /// The same registration with evidence of other claims.
    fn quote(&mut self, change: impl Fn(&mut Claims)) {
        let mut claims = claims(self.asker.runtime.as_ref().unwrap().id);
        change(&mut claims);
        self.node().runtimes[0].tee.as_mut().unwrap().evidence = platform().quote(&claims, &CHAIN);
    }
}

type Change = fn(&mut Case);

/// What compute and replication requests have in common: description, change, code (0: granted).
const COMMON: &[(&str, Change, u32)] = &[
    ("as it is", |_| {}, 0),
    ("another version", |c| c.request.version = 2, 2),
    ("another key manager", |c| c.request.id = RuntimeId([8; 32]), 15),
    ("the epoch before", |c| c.request.epoch = Epoch(9), 9),
    ("the epoch after", |c| c.request.epoch = Epoch(11), 9),
    ("this enclave never proved freshness", |c| c.facts.fresh = None, 12),
    ("this enclave proved it an epoch ago", |c| c.facts.fresh = Some(Epoch(9)), 12),
    ("no status", |c| c.facts.status = None, 10),
    ("no generation", |c| c.status().initialised = false, 10),
    ("no policy", |c| c.status().policy = None, 10),
    ("no runtime", |c| c.asker.runtime = None, 11),
    ("no node", |c| c.asker.node = None, 4),
    ("the node lacks the role", |c| c.node().roles = 8, 4),
    ("the node lacks the runtime", |c| c.node().runtimes.clear(), 4),
    ("the node has no enclave", |c| c.node().runtimes[0].tee = None, 4),
    ("state of another node", |c| c.node().id = PublicKey([5; 32]), 4),
    ("registered until the epoch before", |c| c.node().expiration = Epoch(9), 5),
    ("registered until this epoch", |c| c.node().expiration = Epoch(10), 0),
    ("registered until the next epoch", |c| c.node().expiration = Epoch(11), 0),
    ("signed by another RAK", |c| c.rak = SigningKey::from_seed([9; 32]), 3),
    ("runtime without a TEE policy", |c| c.asker.runtime.as_mut().unwrap().tee = None, 8),
    ("no software platforms", |c| c.facts.platforms.clear(), 8),
    ("evidence 49 blocks old", |c| c.quote(|q| q.height = Height(NOW - 49)), 0),
    ("evidence 50 blocks old", |c| c.quote(|q| q.height = Height(NOW - 50)), 0),
    ("evidence 51 blocks old", |c| c.quote(|q| q.height = Height(NOW - 51)), 8),
    ("evidence of now", |c| c.quote(|q| q.height = Height(NOW)), 0),
    ("evidence of the future", |c| c.quote(|q| q.height = Height(NOW + 1)), 8),
    ("evidence of another RAK", |c| c.quote(|q| q.rak = PublicKey([1; 32])), 8),
    ("evidence of another REK", |c| c.quote(|q| q.rek = X25519PublicKey([1; 32])), 8),
    ("evidence of another node", |c| c.quote(|q| q.node = PublicKey([1; 32])), 8),
    ("evidence of another runtime", |c| c.quote(|q| q.runtime = RuntimeId([1; 32])), 8),
    ("evidence of other code", |c| c.quote(|q| q.code = Some(CodeId([1; 32]))), 8),
    ("a measurement that nobody allows", |c| c.quote(|q| q.measurement = measurement(2)), 8),
    ("no freshness proof", |c| c.asker.freshness = None, 7),
    ("another blob", |c| c.request.freshness = Hash([9; 32]), 7),
    ("proof before the epoch", |c| c.asker.freshness.as_mut().unwrap().height = Height(89), 7),
    ("proof as the epoch began", |c| c.asker.freshness.as_mut().unwrap().height = Height(90), 0),
    ("its root at a height that is not proven here", |c| c.asker.state_root = None, 17),
    ("another chain from here", |c| c.asker.state_root = Some(Hash([11; 32])), 18),
    ("another chain from there", |c| c.request.state_root = Hash([11; 32]), 18),
    ("revoked", |c| c.asker.revoked = true, 20),
    ("proof just after", |c| c.asker.freshness.as_mut().unwrap().height = Height(91), 0),
];

/// What only compute requests have.
const COMPUTE: &[(&str, Change, u32)] = &[
    ("another runtime than named", |c| c.request.runtime_id = RuntimeId([8; 32]), 11),
    ("an application's node", |c| c.node().roles = ROLE_APPLICATION, 4),
    ("a key manager", |c| c.asker.runtime.as_mut().unwrap().kind = RuntimeKind::KeyManager, 11),
    ("another key manager's runtime", |c| c.asker.runtime.as_mut().unwrap().key_manager = None, 11),
    ("a runtime without policy", |c| c.status().policy.as_mut().unwrap().runtimes.clear(), 11),
    ("no committee", |c| c.asker.committee = None, 6),
    ("elected by nobody", |c| c.committee().workers.clear(), 6),
    ("elected an epoch ago", |c| c.committee().epoch = Epoch(9), 6),
    ("elected for the next epoch", |c| c.committee().epoch = Epoch(11), 6),
    ("elected for another runtime", |c| c.committee().runtime_id = KM, 6),
    (
        "elected as backup",
        |c| {
            let workers = std::mem::take(&mut c.committee().workers);
            c.committee().backups = workers;
        },
        0,
    ),
    (
        "the policy names another enclave",
        |c| {
            c.status().policy.as_mut().unwrap().runtimes[0].measurements = vec![Hash([2; 32])];
        },
        8,
    ),
    (
        "the policy lets it replicate, not ask",
        |c| {
            c.status().policy.as_mut().unwrap().runtimes[0].measurements.clear();
        },
        8,
    ),
];

#[test]
fn a_compute_request_is_refused_for_exactly_one_reason() {
    for (what, change, code) in COMMON.iter().chain(COMPUTE) {
        let mut case = good(RT);
        change(&mut case);
        let got = case.keys().map_or_else(|refusal| refusal.code(), |_| 0);
        assert_eq!(got, *code, "{what}");
    }
}

/// What only requests of applications have.
const APPLICATION: &[(&str, Change, u32)] = &[
    ("another runtime than named", |c| c.request.runtime_id = RT, 11),
    ("a compute node", |c| c.node().roles = ROLE_COMPUTE, 4),
    ("of the other organisation", |c| c.node().entity_id = PublicKey([2; 32]), 0),
    ("of no organisation", |c| c.node().entity_id = PublicKey([3; 32]), 19),
    ("an application that nobody approves", |c| c.runtime().approval = None, 19),
    ("an organisation that left", |c| c.organisations().retain(|id| *id != PublicKey([1; 32])), 19),
    ("not in the index", |c| c.asker.enclave = None, 21),
    ("in the index of another node", |c| c.enclave().node = PublicKey([5; 32]), 21),
    ("in the index with another REK", |c| c.enclave().rek = X25519PublicKey([5; 32]), 21),
    (
        "the policy names another enclave",
        |c| c.status().policy.as_mut().unwrap().runtimes[1].measurements = vec![Hash([2; 32])],
        8,
    ),
];

#[test]
fn an_application_is_served_if_an_organisation_runs_it() {
    for (what, change, code) in COMMON.iter().chain(APPLICATION) {
        let mut case = good(APP);
        change(&mut case);
        let got = case.keys().map_or_else(|refusal| refusal.code(), |_| 0);
        assert_eq!(got, *code, "{what}");
    }
}

#[test]
fn a_replication_request_is_refused_for_exactly_one_reason() {
    let own: &[(&str, Change, u32)] = &[
        ("another runtime's descriptor", |c| c.asker.runtime = Some(runtime(RT)), 11),
        (
            "the policy names another enclave",
            |c| {
                c.status().policy.as_mut().unwrap().measurements = vec![Hash([2; 32])];
            },
            8,
        ),
        ("not in the committee yet", |c| c.status().nodes.clear(), 0),
    ];
    for (what, change, code) in COMMON.iter().chain(own) {
        let mut case = good(KM);
        change(&mut case);
        let got = case.replication().map_or_else(|refusal| refusal.code(), |_| 0);
        assert_eq!(got, *code, "{what}");
    }
}

#[test]
fn a_grant_names_the_request_and_its_one_time_key() {
    let case = good(RT);
    let granted = case.keys().unwrap();
    assert_eq!(granted.request_hash, case.request.hash());
    assert_eq!(granted.reply_key, case.request.reply_key);
    assert_ne!(granted.reply_key, claims(RT).rek);
    assert_eq!(granted.request, case.request);
}

#[test]
fn replies_are_believed_from_attested_members_of_the_committee_only() {
    let km = runtime(KM);
    let cases: &[(&str, Change, u32)] = &[
        ("as it is", |_| {}, 0),
        ("freshness of this enclave does not matter", |c| c.facts.fresh = None, 0),
        ("no status", |c| c.facts.status = None, 10),
        ("not in the committee", |c| c.status().nodes.clear(), 6),
        ("expired", |c| c.node().expiration = Epoch(9), 5),
        ("not registered", |c| c.asker.node = None, 4),
        ("only a compute node", |c| c.node().roles = ROLE_COMPUTE, 4),
        ("evidence too old", |c| c.quote(|q| q.height = Height(NOW - 51)), 8),
        ("revoked", |c| c.asker.revoked = true, 20),
        (
            "policy does not name it",
            |c| {
                c.status().policy.as_mut().unwrap().measurements.clear();
            },
            8,
        ),
    ];
    for (what, change, code) in cases {
        let mut case = good(KM);
        change(&mut case);
        let node = PublicKey([4; 32]);
        let Asker { node: registered, revoked, .. } = &case.asker;
        let result = replier_rak(&case.facts, &km, &node, registered.as_ref(), *revoked);
        match result {
            Ok(key) => assert_eq!((key, *code), (rak().public(), 0), "{what}"),
            Err(refusal) => assert_eq!(refusal.code(), *code, "{what}"),
        }
    }
}

#[test]
fn bytes_that_mean_nothing_are_refused() {
    let case = good(RT);
    let mut signed = SignedKeyRequest::sign(&case.request, &case.rak, &CHAIN);
    signed.request.push(0);
    let refused = authorise_keys(&signed, &case.facts, &case.asker).unwrap_err();
    assert_eq!(refused.code(), 1);
}
