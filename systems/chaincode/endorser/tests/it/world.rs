//! An application on a ledger, its organisations, and their nodes with hosts that can lie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use paralith_attest::{Claims, Measurement, SoftwarePlatform};
use paralith_chaincode_core::hashes;
use paralith_chaincode_core::propose::{Proposed, Randomness, Target, propose};
use paralith_chaincode_endorser::calls::{Answered, EvaluateRequest};
use paralith_chaincode_endorser::{EndorserEnclave, EndorserHost, HostError};
use paralith_chaincode_messages::state::{Committed, committed_key, entry, entry_key, revoked_key};
use paralith_chaincode_messages::{
    Definition, Message as _, OpenedOutput, Response, Terms, Version,
};
use paralith_consensus_api::keymanager::{Policy as KeyPolicy, Status};
use paralith_consensus_api::registry::{
    self, Approval, CapabilityTee, Code, Enclave as Record, Freshness, Node, NodeRuntime,
    ROLE_APPLICATION, ROLE_KEYMANAGER, Revoked, Runtime, RuntimeKind,
};
use paralith_consensus_api::roothash::{self, Header, HeaderType, RuntimeState};
use paralith_consensus_api::{beacon, keymanager};
use paralith_crypto::{HpkeSecret, SigningKey, Zeroizing};
use paralith_harness::rounds::{epoch_state, first_header, header, runtime_state};
use paralith_harness::{ENTITY, PLATFORM, WrittenChain, key, runtimes, set};
use paralith_keymanager_core::{
    EpochSecret, KeyReplySecrets, KeyRequest, Secret, SignedKeyReply, SignedKeyRequest,
};
use paralith_policy::{Certificate, Policy};
use paralith_proto::Canonical;
use paralith_runtime_api::envelope::{Info, open_reply, seal_call};
use paralith_runtime_api::output::{Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{Body, Call as TxCall};
use paralith_runtime_enclave::process::in_process;
use paralith_runtime_vm::{GAS_SCHEDULE_VERSION, code_id};
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_tee_channel::{Failure, pb};
use paralith_types::{
    ChainContext, Epoch, Hash, Height, PublicKey, Round, RuntimeId, Signature, X25519PublicKey,
};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;

pub use crate::endorser::{Endorser, call, endorse_code, failure, refusal};
pub use crate::host::{Host, Lie};

pub const APPLICATION: RuntimeId = RuntimeId([5; 32]);
pub const LEDGER: RuntimeId = RuntimeId([6; 32]);
pub const OTHER_LEDGER: RuntimeId = RuntimeId([7; 32]);
pub const KEY_MANAGER: RuntimeId = RuntimeId([9; 32]);
pub const EPOCH: u64 = 3;
pub const REPLY_KEY: [u8; 32] = [44; 32];
pub const ISSUER: u8 = 80;
pub const KM_NODE: u8 = 50;
pub const KM_RAK: u8 = 51;
/// Organisation `n` of the nodes 1, 2, 3 is entity `60 + n`.
const ORGANISATION: u8 = 60;

pub struct World {
    pub chain: Arc<WrittenChain>,
    pub ledger: Tree,
    pub code: Vec<u8>,
    pub application: Runtime,
    pub ledger_runtime: Runtime,
    pub last: RuntimeState,
    /// The key manager's newest generation.
    pub generation: u64,
    nonce: Mutex<u64>,
}

pub fn epoch_key(epoch: u64) -> HpkeSecret {
    HpkeSecret::from_ikm(&[epoch as u8 + 1; 32])
}

/// A generation's secret of the application.
pub fn generation_secret(generation: u64) -> Secret {
    Secret::new([33 + generation as u8; 32])
}

/// An enclave's request for keys, which its RAK has signed.
pub fn requested(request: &[u8], claims: &Claims, chain: &ChainContext) -> KeyRequest {
    let signed = SignedKeyRequest::decode(request, 10_000).unwrap();
    signed.verify(&claims.rak, chain).unwrap();
    signed.unverified().unwrap()
}

pub fn organisation(node: u8) -> SigningKey {
    key(ORGANISATION + node)
}

fn organisations() -> Vec<PublicKey> {
    let mut all: Vec<PublicKey> = (1..=3).map(|node| organisation(node).public()).collect();
    all.sort_unstable();
    all
}

pub fn terms() -> Terms {
    let of = (0..3).map(|member| (1, Policy::Member(member))).collect();
    Terms {
        ledger: LEDGER,
        issuers: vec![],
        anchor_blocks: 20,
        commit_blocks: 100,
        max_gas: 2_000_000_000,
        max_response_bytes: 65_536,
        early_results: false,
        endorsement: Policy::AtLeast { weight: 2, of },
    }
}

fn approval() -> Approval {
    let of = (0..3).map(|member| (1, Policy::Member(member))).collect();
    let policy = Policy::AtLeast { weight: 2, of }.encode();
    Approval { organisations: organisations(), policy }
}

fn application(code: &[u8]) -> Runtime {
    let (owner, measurement) = (key(ENTITY).public(), paralith_runtime_enclave::measurement().0);
    Runtime {
        kind: RuntimeKind::Application,
        code: Some(Code {
            id: code_id(code),
            size_bytes: code.len() as u32,
            abi_version: paralith_runtime_abi::ABI_VERSION,
            gas_schedule_version: GAS_SCHEDULE_VERSION,
        }),
        approval: Some(approval()),
        terms: terms().encode(),
        ..runtimes::confidential(APPLICATION, owner, KEY_MANAGER, measurement)
    }
}

impl World {
    /// With the application's descriptor as this makes it.
    pub fn with(change: impl FnOnce(&mut Runtime)) -> Self {
        let chain = Arc::new(WrittenChain::new("endorser", |_| {}));
        let code = crate::chaincode::code();
        let mut application = application(&code);
        change(&mut application);
        let ledger_runtime = Runtime {
            approval: Some(approval()),
            ..runtimes::public(LEDGER, key(ENTITY).public())
        };
        let last = runtime_state(first_header(LEDGER), 0);
        let ledger = Tree::new(Kv::memory(), b"ledger");
        let nonce = Mutex::new(0);
        let generation = 0;
        let world =
            Self { chain, ledger, code, application, ledger_runtime, last, generation, nonce };
        world.chain.commit(&world.first_state());
        world
    }

    /// With these terms.
    pub fn with_terms(change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = terms();
        change(&mut terms);
        Self::with(|application| application.terms = terms.encode())
    }

    /// With a state that is of the code already.
    pub fn initialised() -> Self {
        let mut world = Self::with(|_| {});
        world.init();
        world
    }

    fn first_state(&self) -> Changes {
        let mut changes = Changes::new();
        let genesis = &self.chain.document.genesis.params;
        set(&mut changes, registry::keys::params(), &genesis.registry);
        set(&mut changes, roothash::keys::params(), &genesis.roothash);
        set(&mut changes, registry::keys::runtime(&APPLICATION), &self.application);
        set(&mut changes, registry::keys::runtime(&LEDGER), &self.ledger_runtime);
        set(&mut changes, roothash::keys::runtime_state(&LEDGER), &self.last);
        set(&mut changes, beacon::keys::epoch(), &epoch_state(EPOCH, 1));
        self.key_manager(&mut changes);
        changes
    }

    fn key_manager(&self, changes: &mut Changes) {
        let measurement = Hash([77; 32]);
        let owner = key(ENTITY).public();
        let key_manager = runtimes::key_manager(KEY_MANAGER, owner, measurement);
        set(changes, registry::keys::runtime(&KEY_MANAGER), &key_manager);
        let claims = Claims {
            measurement: Measurement(measurement),
            rak: key(KM_RAK).public(),
            rek: HpkeSecret::from_ikm(&[4; 32]).public(),
            node: key(KM_NODE).public(),
            runtime: KEY_MANAGER,
            code: None,
            height: Height(0),
            state_root: Hash::ZERO,
        };
        let node = self.node(&claims, owner, ROLE_KEYMANAGER);
        set(changes, registry::keys::node(&node.id), &node);
        let policy = KeyPolicy {
            serial: 1,
            id: KEY_MANAGER,
            measurements: vec![measurement],
            runtimes: vec![],
            max_epoch_secret_age: 1,
            rotation_epochs: 0,
            nodes: Vec::new(),
        };
        let status = Status {
            id: KEY_MANAGER,
            initialised: true,
            generation: self.generation,
            rotation_epoch: Epoch(0),
            checksum: Some(Hash([1; 32])),
            nodes: vec![node.id],
            policy: Some(policy),
            next_policy: None,
            signing_key: None,
            recipients: Vec::new(),
            rotation_required: Epoch(0),
        };
        set(changes, keymanager::keys::status(&KEY_MANAGER), &status);
    }

    fn node(&self, claims: &Claims, entity_id: PublicKey, roles: u32) -> Node {
        let evidence = SoftwarePlatform::new(key(PLATFORM)).quote(claims, &self.chain.context);
        let tee = Some(CapabilityTee { rak: claims.rak, rek: claims.rek, evidence });
        let runtime_id = claims.runtime;
        Node {
            id: claims.node,
            entity_id,
            expiration: Epoch(1000),
            roles,
            consensus_key: key(55).public(),
            addresses: vec![],
            runtimes: vec![NodeRuntime { runtime_id, tee, extra_info: vec![] }],
            software_version: String::new(),
        }
    }

    /// Registers a node's enclave, as the registry does.
    pub fn register(&self, node: u8, claims: &Claims) {
        self.register_until(node, claims, Height(100_000));
    }

    /// The same, with evidence that counts below this height.
    pub fn register_until(&self, node: u8, claims: &Claims, expires_height: Height) {
        let entity_id = organisation(node).public();
        let mut changes = Changes::new();
        let record = Record {
            node: claims.node,
            entity_id,
            rek: claims.rek,
            measurement: claims.measurement.0,
            code: claims.code,
            attested_height: Height(1),
            expires_height,
            node_expiration: Epoch(1000),
            software: true,
        };
        set(&mut changes, registry::keys::enclave(&APPLICATION, &claims.rak), &record);
        let registered = self.node(claims, entity_id, ROLE_APPLICATION);
        set(&mut changes, registry::keys::node(&claims.node), &registered);
        self.chain.commit(&changes);
    }

    /// Revokes an enclave, as the registry does.
    pub fn revoke(&self, rak: &PublicKey) -> u64 {
        let mut changes = Changes::new();
        changes.insert(registry::keys::enclave(&APPLICATION, rak), None);
        let revoked = Revoked { height: Height(self.chain.height()) };
        set(&mut changes, registry::keys::revoked(&APPLICATION, rak), &revoked);
        self.chain.commit(&changes)
    }

    /// The key manager begins a new generation.
    pub fn rotate(&mut self) -> u64 {
        self.generation += 1;
        let mut changes = Changes::new();
        self.key_manager(&mut changes);
        self.chain.commit(&changes)
    }

    /// Another epoch begins.
    pub fn begin_epoch(&self, epoch: u64) -> u64 {
        let mut changes = Changes::new();
        let height = self.chain.height() + 1;
        set(&mut changes, beacon::keys::epoch(), &epoch_state(epoch, height));
        self.chain.commit(&changes)
    }

    pub fn update(&self, application: &Runtime) -> u64 {
        let mut changes = Changes::new();
        set(&mut changes, registry::keys::runtime(&APPLICATION), application);
        self.chain.commit(&changes)
    }

    pub fn start_call(&self, node: u8, sealed: Vec<u8>) -> pb::Start {
        pb::Start {
            chain_id: self.chain.document.chain_id().unwrap(),
            chain_context: self.chain.context.as_bytes().to_vec(),
            genesis: self.chain.document.to_json().unwrap().into_bytes(),
            node: key(node).public().as_bytes().to_vec(),
            runtime_id: APPLICATION.as_bytes().to_vec(),
            code: self.code.clone(),
            sealed,
            sealing_key: vec![8; 32],
            entropy: vec![],
        }
    }

    pub fn host(&self) -> Arc<Host> {
        Arc::new(Host::new(self.chain.clone(), self.ledger.clone()))
    }

    /// Starts an enclave; what it refuses is the error.
    pub fn start(&self, start: pb::Start) -> Result<Endorser, Failure> {
        self.start_before(start, Lie::None, self.chain.height())
    }

    /// The same, before a host that lies from the beginning and shows the chain up to a height.
    pub fn start_before(
        &self,
        start: pb::Start,
        lie: Lie,
        height: u64,
    ) -> Result<Endorser, Failure> {
        let host = self.host();
        *host.lie.lock().unwrap() = lie;
        let enclave = Arc::new(EndorserEnclave::new());
        let client = in_process(enclave, host.clone(), None).unwrap();
        let Reply::Started(started) = failure(client.call(Call::Start(start)))? else { panic!() };
        let claims = Claims::decode(&started.claims).unwrap();
        let endorser = Endorser { client, host, claims };
        endorser.sync(height)?;
        Ok(endorser)
    }

    /// A new enclave that is registered, fresh, and has the keys.
    pub fn endorser(&self, node: u8) -> Endorser {
        let endorser = self.start(self.start_call(node, vec![])).unwrap();
        self.register(node, &endorser.claims);
        self.serve(&endorser).unwrap();
        endorser
    }

    /// Proves freshness and fetches keys.
    pub fn serve(&self, endorser: &Endorser) -> Result<(), Failure> {
        self.serve_by(&endorser.claims, |call| endorser.call(call))
    }

    /// The same, by calls of any kind.
    pub fn serve_by<E: std::fmt::Debug>(
        &self,
        claims: &Claims,
        ask: impl Fn(Call) -> Result<Reply, E>,
    ) -> Result<(), E> {
        self.prove_freshness_by(claims, &ask)?;
        self.provide_keys_by(claims, &ask)
    }

    pub fn prove_freshness(&self, endorser: &Endorser) -> Result<(), Failure> {
        self.prove_freshness_by(&endorser.claims, &|call| endorser.call(call))
    }

    fn prove_freshness_by<E>(
        &self,
        claims: &Claims,
        ask: &impl Fn(Call) -> Result<Reply, E>,
    ) -> Result<(), E> {
        let Reply::Bytes(blob) = ask(Call::FreshnessBlob(pb::FreshnessBlob {}))? else { panic!() };
        let blob = Hash::try_from(blob.as_slice()).unwrap();
        let freshness = Freshness { blob, height: Height(self.chain.height() + 1) };
        let mut changes = Changes::new();
        set(&mut changes, registry::keys::freshness(&claims.node, &APPLICATION), &freshness);
        let height = self.chain.commit(&changes);
        ask(Call::ConfirmFreshness(pb::ConfirmFreshness { height })).map(|_| ())
    }

    fn provide_keys_by<E>(
        &self,
        claims: &Claims,
        ask: &impl Fn(Call) -> Result<Reply, E>,
    ) -> Result<(), E> {
        let request = ask(Call::KeyRequestFor(pb::KeyRequestFor { epoch: EPOCH }))?;
        let Reply::Bytes(request) = request else { panic!() };
        let request = requested(&request, claims, &self.chain.context);
        let reply = self.key_reply(&request, &request.reply_key).encode();
        ask(Call::ProvideKeys(pb::ProvideKeys { reply })).map(|_| ())
    }

    /// The key manager's reply to a request, sealed to this key.
    pub fn key_reply(&self, request: &KeyRequest, to: &X25519PublicKey) -> SignedKeyReply {
        let height = self.chain.height();
        let secret = |epoch: u64| EpochSecret {
            epoch: Epoch(epoch),
            secret: Secret::new([epoch as u8 + 1; 32]),
        };
        let secrets = KeyReplySecrets {
            request_hash: request.hash(),
            height: Height(height),
            state_root: self.chain.root(height),
            generation_secrets: (0..=self.generation).map(generation_secret).collect(),
            epoch_secrets: vec![secret(EPOCH - 1), secret(EPOCH)],
        };
        let who = (&KEY_MANAGER, &key(KM_NODE).public());
        SignedKeyReply::seal(who, &secrets, to, &key(KM_RAK), &self.chain.context, [6; 32]).unwrap()
    }

    pub fn definition(&self) -> Definition {
        Definition::read(&APPLICATION, &self.application.encode()).unwrap()
    }

    /// What a client proposes on the newest height.
    pub fn target(&self) -> Target {
        let anchor = Height(self.chain.height());
        Target {
            chain: self.chain.context,
            application: APPLICATION,
            definition: self.definition(),
            anchor,
            valid_until: Height(anchor.0 + 50),
            epoch: Epoch(EPOCH),
            epoch_key: epoch_key(EPOCH).public(),
            certificate: None,
        }
    }

    pub fn propose_as(&self, client: &SigningKey, target: Target, call: TxCall) -> Proposed {
        let mut nonce = self.nonce.lock().unwrap();
        *nonce += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&nonce.to_be_bytes());
        let random = Randomness {
            nonce: bytes,
            reply_key: Zeroizing::new(REPLY_KEY),
            envelope: Zeroizing::new(bytes),
        };
        propose(client, target, call, random).unwrap()
    }

    pub fn propose(&self, args: &str) -> Proposed {
        self.propose_as(&key(10), self.target(), call("do", args))
    }

    /// The state becomes that of the code.
    pub fn init(&mut self) {
        let endorser = self.endorser(1);
        let init = self.propose_as(&organisation(1), self.target(), call("app.init", ""));
        let endorsed = endorser.endorse(&init).unwrap();
        self.commit(&[&endorsed.response]);
    }

    /// The ledger commits these responses in one round.
    pub fn commit(&mut self, responses: &[&[u8]]) -> Round {
        let round = self.last.last_block.round.next();
        let mut changes = Changes::new();
        for (position, bytes) in (0..).zip(responses) {
            let version = Version { round: round.0, position };
            let response = Response::decode(bytes).unwrap();
            for write in &response.writes {
                let value = write.value.as_ref().map(|value| entry(version, value));
                changes.insert(entry_key(&APPLICATION, &write.index), value);
            }
            let response_hash = hashes::response_hash(bytes);
            let record = Committed { version, application: APPLICATION, response: response_hash };
            changes.insert(committed_key(&response.tx_id), Some(record.to_bytes()));
        }
        self.round(changes);
        round
    }

    /// The issuer revokes a certificate.
    pub fn revoke_certificate(&mut self, serial: u64) {
        let place = revoked_key(&APPLICATION, &key(ISSUER).public(), serial);
        self.round(BTreeMap::from([(place, Some(vec![1]))]));
    }

    /// Whatever the ledger's committee writes in one round.
    pub fn round(&mut self, changes: Changes) {
        let round = self.last.last_block.round.next();
        let base = self.ledger.latest().unwrap().map(|(version, _)| version);
        let prepared = self.ledger.prepare(base, round.0, &changes).unwrap();
        let root = prepared.root();
        self.ledger.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        let header = Header {
            consensus_height: Height(self.chain.height()),
            previous_hash: self.last.last_block.hash(),
            ..header(LEDGER, round.0, HeaderType::Normal, root)
        };
        self.last.last_normal_round = round;
        self.last.last_block = header.clone();
        let mut changes = Changes::new();
        set(&mut changes, roothash::keys::runtime_state(&LEDGER), &self.last);
        set(&mut changes, roothash::keys::header(&LEDGER, round), &header);
        self.chain.commit(&changes);
    }

    /// What the caller reads in an opened output.
    pub fn read(&self, response: &[u8], opened: &[u8], reply_key: &[u8; 32]) -> Option<Output> {
        let response = Response::decode(response).unwrap();
        let opened = OpenedOutput::decode(opened).unwrap();
        paralith_chaincode_core::release::open(&response, &opened, reply_key).ok()
    }

    pub fn query(&self, args: &str, epoch: u64) -> EvaluateRequest {
        let (chain_context, runtime_id) = (self.chain.context, APPLICATION);
        let info = Info::query(chain_context, runtime_id, Epoch(epoch), None);
        let runtime_key = epoch_key(epoch).public();
        let sealed = seal_call(&runtime_key, &info, call("ask", args), REPLY_KEY, [3; 32]).unwrap();
        let query = Query { chain_context, runtime_id, body: Body::Envelope(sealed), signed: None };
        EvaluateRequest { query: query.encode(), at_least: 0, certificate: None }
    }

    pub fn open_answer(&self, request: &EvaluateRequest, answered: &Answered) -> Output {
        let query = Query::decode(&request.query, 100_000).unwrap();
        let reply = SealedReply::decode(&answered.output, 100_000).unwrap();
        let root = Hash::try_from(answered.state_root.as_slice()).unwrap();
        let round = Round(answered.round);
        let plain = open_reply(&REPLY_KEY, &query.hash(), round, &root, &reply.sealed).unwrap();
        Output::decode(&plain, 100_000).unwrap()
    }

    pub fn certificate(&self, change: impl FnOnce(&mut Certificate)) -> Certificate {
        let mut certificate = Certificate {
            version: paralith_policy::CERTIFICATE_VERSION,
            issuer: key(ISSUER).public(),
            subject: key(10).public(),
            scope: APPLICATION.0,
            attributes: String::new(),
            serial: 7,
            not_before: Height(1),
            not_after: Height(1000),
            signature: Signature([0; 64]),
        };
        change(&mut certificate);
        let domain = paralith_crypto::Domain::new("paralith/certificate/v1");
        let message = certificate.message();
        certificate.signature = key(ISSUER).sign(domain, &self.chain.context, &message);
        certificate
    }

    /// The untrusted side over this store, and the newest of the enclaves that it starts.
    pub fn endorser_host(&self, node: u8, kv: &Kv) -> EndorserHost {
        let host = self.host();
        let launch = move || {
            let enclave = Arc::new(EndorserEnclave::new());
            in_process(enclave, host.clone(), None).map_err(|e| HostError::Launch(e.to_string()))
        };
        let start = self.start_call(node, vec![]);
        EndorserHost::new(APPLICATION, kv.clone(), start, Box::new(launch))
    }
}
