//! A confidential (or public) runtime on that chain, a key manager, and nodes with their hosts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use paralith_attest::{Claims, Measurement, SoftwarePlatform};
use paralith_consensus_api::keymanager::{Policy, Status};
use paralith_consensus_api::registry::{
    Batching, CapabilityTee, Code, Executor, Freshness, Node, NodeRuntime, ROLE_KEYMANAGER, Runtime,
};
use paralith_consensus_api::roothash::{
    Header, HeaderType, IncomingMessage, IncomingQueue, Message, MessageResult, ProposalHeader,
    QueuedResult, ResultQueue, ResultsHeader, RuntimeState, batch_hash, in_messages_hash,
};
use paralith_consensus_api::scheduler::Committee;
use paralith_consensus_api::{beacon, keymanager, registry, roothash, scheduler};
use paralith_crypto::{HpkeSecret, SigningKey};
use paralith_harness::rounds::{epoch_state, first_header, runtime_state};
use paralith_harness::{ENTITY, PLATFORM, WrittenChain, key, runtimes, set};
use paralith_keymanager_core::{
    EpochSecret, KeyReplySecrets, Secret, SignedKeyReply, SignedKeyRequest,
};
use paralith_proto::{Canonical, Wire};
use paralith_runtime_enclave::RuntimeEnclave;
use paralith_runtime_enclave::process::in_process;
use paralith_runtime_vm::{GAS_SCHEDULE_VERSION, code_id};
use paralith_storage::{Changes, Durability, Kv, NodeSource, Tree, WriteBatch};
use paralith_tee_channel::{BoundaryError, Client, Failure, HostServices, pb};
use paralith_types::{Address, Amount, Epoch, Hash, Height, RuntimeId};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;

pub const RUNTIME: RuntimeId = RuntimeId([5; 32]);
pub const KEY_MANAGER: RuntimeId = RuntimeId([9; 32]);
pub const EPOCH: u64 = 3;
/// Sends all messages to the runtime.
pub const SENDER: Address = Address(*b"\0sender of everything");
const KM_NODE: u8 = 50;
const KM_RAK: u8 = 51;

/// How a host lies about the runtime's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    None,
    FlipNode,
    NoNode,
    StaleRoot,
    FlipValue,
    NoValue,
    NoProof,
    FlipProof,
}

/// What a node's host serves.
pub struct Host {
    chain: Arc<WrittenChain>,
    state: Tree,
    pub lie: Mutex<Lie>,
}

impl Host {
    pub fn new(chain: Arc<WrittenChain>, state: Tree, lie: Mutex<Lie>) -> Self {
        Self { chain, state, lie }
    }
}

fn flipped(bytes: Vec<u8>) -> Vec<u8> {
    let mut bytes = bytes;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes
}

impl HostServices for Host {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        let (value, proof) = self.chain.prove(height, key).ok_or(Failure::new("test", 1, "no"))?;
        match *self.lie.lock().unwrap() {
            Lie::NoProof => Ok((None, proof)),
            Lie::FlipProof => Ok((value.map(flipped), proof)),
            _ => Ok((value, proof)),
        }
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        self.chain.block(height).ok_or(Failure::new("test", 2, "no such block"))
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let lie = *self.lie.lock().unwrap();
        let id = if lie == Lie::StaleRoot && id.len() == 8 { &1_u64.to_be_bytes() } else { id };
        let node = self.state.node_source(round).node(id).unwrap();
        Ok(match lie {
            Lie::FlipNode => node.map(flipped),
            Lie::NoNode => None,
            _ => node,
        })
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let value = self.state.get(round, key).unwrap();
        Ok(match *self.lie.lock().unwrap() {
            Lie::FlipValue => value.map(flipped),
            Lie::NoValue => None,
            _ => value,
        })
    }

    fn log(&self, _text: &str) {}
}

/// The chain, the runtime's state as every honest host has it, and what the tests remember.
pub struct World {
    pub chain: Arc<WrittenChain>,
    pub state: Tree,
    pub code: Vec<u8>,
    pub runtime: Runtime,
    pub last: RuntimeState,
    pub queues: Queues,
}

/// What waits between consensus and the runtime, and the runtime's consensus account.
#[derive(Default)]
pub struct Queues {
    pub incoming: Vec<IncomingMessage>,
    pub results: Vec<QueuedResult>,
    pub account: u128,
    /// What the messages behind the results paid.
    pub paid: BTreeMap<(u64, u32), u128>,
    /// Whether consensus refuses the next round's messages, but for those to [`SENDER`].
    pub refuses: bool,
    next_id: u64,
}

/// A node's enclave, seen from its host.
pub struct Enclave {
    /// The enclave itself, for calls that another host answers.
    pub handler: Arc<RuntimeEnclave>,
    pub client: Client,
    pub host: Arc<Host>,
    pub node: SigningKey,
    pub claims: Claims,
}

pub fn enclave_key(epoch: u64) -> HpkeSecret {
    HpkeSecret::from_ikm(&[epoch as u8 + 1; 32])
}

fn descriptor(code: &[u8], confidential: bool) -> Runtime {
    let (owner, measurement) = (key(ENTITY).public(), paralith_runtime_enclave::measurement().0);
    let base = if confidential {
        runtimes::confidential(RUNTIME, owner, KEY_MANAGER, measurement)
    } else {
        runtimes::public(RUNTIME, owner)
    };
    Runtime {
        code: Some(Code {
            id: code_id(code),
            size_bytes: code.len() as u32,
            abi_version: paralith_runtime_abi::ABI_VERSION,
            gas_schedule_version: GAS_SCHEDULE_VERSION,
        }),
        init_argument: b"argument".to_vec(),
        max_tx_gas: 1_000_000_000,
        executor: Executor { workers: 2, max_messages: 4, max_in_messages: 2, ..base.executor },
        batching: Batching { max_batch_size: 4, ..base.batching },
        ..base
    }
}

impl World {
    pub fn new(code: Vec<u8>, confidential: bool) -> Self {
        let chain = Arc::new(WrittenChain::new("host", |_| {}));
        let state = Tree::new(Kv::memory(), b"runtime");
        let runtime = descriptor(&code, confidential);
        let last = runtime_state(first_header(RUNTIME), 0);
        let world = Self { chain, state, code, runtime, last, queues: Queues::default() };
        world.chain.commit(&world.first_state());
        world
    }

    fn first_state(&self) -> Changes {
        let mut changes = Changes::new();
        set(&mut changes, registry::keys::runtime(&RUNTIME), &self.runtime);
        set(&mut changes, roothash::keys::runtime_state(&RUNTIME), &self.last);
        let params = &self.chain.document.genesis.params.registry;
        set(&mut changes, registry::keys::params(), params);
        let params = &self.chain.document.genesis.params.roothash;
        set(&mut changes, roothash::keys::params(), params);
        self.epoch(&mut changes, EPOCH, 1);
        let measurement = Hash([77; 32]);
        let key_manager = runtimes::key_manager(KEY_MANAGER, key(ENTITY).public(), measurement);
        set(&mut changes, registry::keys::runtime(&KEY_MANAGER), &key_manager);
        let node = key(KM_NODE).public();
        let rek = HpkeSecret::from_ikm(&[4; 32]).public();
        let claims = Claims {
            measurement: Measurement(measurement),
            rak: key(KM_RAK).public(),
            rek,
            node,
            runtime: KEY_MANAGER,
            code: None,
            height: Height(0),
            state_root: Hash::ZERO,
        };
        let evidence = SoftwarePlatform::new(key(PLATFORM)).quote(&claims, &self.chain.context);
        let tee = Some(CapabilityTee { rak: claims.rak, rek, evidence });
        let registered = Node {
            id: node,
            entity_id: key(ENTITY).public(),
            expiration: Epoch(1000),
            roles: ROLE_KEYMANAGER,
            consensus_key: key(55).public(),
            addresses: vec![],
            runtimes: vec![NodeRuntime { runtime_id: KEY_MANAGER, tee, extra_info: vec![] }],
            software_version: String::new(),
        };
        set(&mut changes, registry::keys::node(&node), &registered);
        let policy = Policy {
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
            generation: 0,
            rotation_epoch: Epoch(0),
            checksum: Some(Hash([1; 32])),
            nodes: vec![node],
            policy: Some(policy),
            next_policy: None,
            signing_key: None,
            recipients: Vec::new(),
            rotation_required: Epoch(0),
        };
        set(&mut changes, keymanager::keys::status(&KEY_MANAGER), &status);
        changes
    }

    /// An epoch with both nodes as workers.
    pub fn epoch(&self, changes: &mut Changes, epoch: u64, height: u64) {
        let state = epoch_state(epoch, height);
        set(changes, beacon::keys::epoch(), &state);
        let mut workers = vec![key(1).public(), key(2).public()];
        workers.sort_unstable();
        let committee =
            Committee { runtime_id: RUNTIME, epoch: Epoch(epoch), workers, backups: vec![] };
        set(changes, scheduler::keys::committee(&RUNTIME), &committee);
    }

    pub fn start_call(&self, node: &SigningKey) -> pb::Start {
        pb::Start {
            chain_id: self.chain.document.chain_id().unwrap(),
            chain_context: self.chain.context.as_bytes().to_vec(),
            genesis: self.chain.document.to_json().unwrap().into_bytes(),
            node: node.public().as_bytes().to_vec(),
            runtime_id: RUNTIME.as_bytes().to_vec(),
            code: self.code.clone(),
            sealed: vec![],
            sealing_key: vec![8; 32],
            entropy: vec![1],
        }
    }

    /// An enclave that has followed the chain, and nothing more.
    pub fn enclave_with(&self, seed: u8, change: impl FnOnce(&mut pb::Start)) -> Enclave {
        let node = key(seed);
        let lie = Mutex::new(Lie::None);
        let (chain, state) = (self.chain.clone(), self.state.clone());
        let host = Arc::new(Host { chain, state, lie });
        let handler = Arc::new(RuntimeEnclave::new());
        let client = in_process(handler.clone(), host.clone(), None).unwrap();
        let mut start = self.start_call(&node);
        change(&mut start);
        let Reply::Started(started) = client.call(Call::Start(start)).unwrap() else { panic!() };
        let claims = Claims::decode(&started.claims).unwrap();
        let enclave = Enclave { handler, client, host, node, claims };
        enclave.sync(self.chain.height());
        enclave
    }

    /// One that is fresh and has the keys of these epochs.
    pub fn enclave(&self, seed: u8, epochs: &[u64]) -> Enclave {
        let enclave = self.enclave_with(seed, |_| {});
        self.prove_freshness(&enclave).unwrap();
        self.provide_keys(&enclave, epochs).unwrap();
        enclave
    }

    pub fn prove_freshness(&self, enclave: &Enclave) -> Result<(), Failure> {
        let blob = enclave.bytes(Call::FreshnessBlob(pb::FreshnessBlob {}));
        let mut changes = Changes::new();
        let blob = Hash::try_from(blob.as_slice()).unwrap();
        let freshness = Freshness { blob, height: Height(self.chain.height() + 1) };
        set(&mut changes, registry::keys::freshness(&enclave.node.public(), &RUNTIME), &freshness);
        let height = self.chain.commit(&changes);
        enclave.call(Call::ConfirmFreshness(pb::ConfirmFreshness { height })).map(|_| ())
    }

    /// What a key manager's enclave replies.
    pub fn key_reply(&self, enclave: &Enclave, epochs: &[u64], rak: &SigningKey) -> Vec<u8> {
        self.key_reply_with(enclave, epochs, rak, |_| {})
    }

    pub fn key_reply_with(
        &self,
        enclave: &Enclave,
        epochs: &[u64],
        rak: &SigningKey,
        change: impl FnOnce(&mut KeyReplySecrets),
    ) -> Vec<u8> {
        let request = enclave.bytes(Call::KeyRequestFor(pb::KeyRequestFor { epoch: EPOCH }));
        let signed = SignedKeyRequest::decode(&request, 10_000).unwrap();
        signed.verify(&enclave.claims.rak, &self.chain.context).unwrap();
        let secret = |epoch: &u64| EpochSecret {
            epoch: Epoch(*epoch),
            secret: Secret::new([*epoch as u8 + 1; 32]),
        };
        let request = signed.unverified().unwrap();
        assert_eq!(request.state_root, self.chain.root(request.height.0));
        let height = self.chain.height();
        let mut secrets = KeyReplySecrets {
            request_hash: request.hash(),
            height: Height(height),
            state_root: self.chain.root(height),
            generation_secrets: vec![Secret::new([33; 32])],
            epoch_secrets: epochs.iter().map(secret).collect(),
        };
        let who = (&KEY_MANAGER, &key(KM_NODE).public());
        change(&mut secrets);
        let context = &self.chain.context;
        SignedKeyReply::seal(who, &secrets, &request.reply_key, rak, context, [6; 32])
            .unwrap()
            .encode()
    }

    pub fn provide_keys(&self, enclave: &Enclave, epochs: &[u64]) -> Result<(), Failure> {
        let reply = self.key_reply(enclave, epochs, &key(KM_RAK));
        enclave.call(Call::ProvideKeys(pb::ProvideKeys { reply })).map(|_| ())
    }

    /// A proposal of node 1 for the next round at the newest height.
    pub fn proposal(&self, transactions: &[Vec<u8>]) -> ProposalHeader {
        let hashes: Vec<Hash> =
            transactions.iter().map(|raw| paralith_runtime_api::tx::hash_of(raw)).collect();
        ProposalHeader {
            runtime_id: RUNTIME,
            round: self.last.last_block.round.next(),
            previous_hash: self.last.last_block.hash(),
            rank: 0,
            consensus_height: Height(self.chain.height()),
            batch_hash: batch_hash(&hashes),
        }
    }

    pub fn execute_call(&self, proposal: &ProposalHeader, transactions: &[Vec<u8>]) -> Call {
        let signed = proposal.sign(&key(1), &self.chain.context);
        Call::Execute(pb::Execute {
            proposal: Some(signed.to_pb()),
            transactions: transactions.to_vec(),
        })
    }

    pub fn execute(
        &self,
        enclave: &Enclave,
        transactions: &[Vec<u8>],
    ) -> Result<pb::Executed, Failure> {
        let proposal = self.proposal(transactions);
        match enclave.call(self.execute_call(&proposal, transactions))? {
            Reply::Executed(executed) => Ok(executed),
            other => panic!("{other:?}"),
        }
    }

    /// Brings the runtime's descriptor to the chain as it is now.
    pub fn register(&self) {
        let mut changes = Changes::new();
        set(&mut changes, registry::keys::runtime(&RUNTIME), &self.runtime);
        self.chain.commit(&changes);
    }

    /// A message with tokens for the runtime.
    pub fn send_in(&mut self, tokens: u128, data: Vec<u8>) {
        self.queues.incoming.push(IncomingMessage {
            id: self.queues.next_id,
            caller: SENDER,
            tag: 7,
            fee: Amount(1),
            tokens: Amount(tokens),
            data,
        });
        self.queues.next_id += 1;
        self.queues.account += tokens;
        let mut changes = Changes::new();
        self.set_queues(&mut changes);
        self.chain.commit(&changes);
    }

    fn set_queues(&self, changes: &mut Changes) {
        let incoming = &self.queues.incoming;
        let queue = IncomingQueue {
            size: incoming.len() as u32,
            next_id: self.queues.next_id,
            bytes: incoming.iter().map(IncomingMessage::size).sum(),
        };
        set(changes, roothash::keys::incoming_queue(&RUNTIME), &queue);
        for message in incoming {
            set(changes, roothash::keys::incoming(&RUNTIME, message.id), message);
        }
        let results = ResultQueue { results: self.queues.results.clone() };
        set(changes, roothash::keys::result_queue(&RUNTIME), &results);
    }

    /// What consensus does with the queues when these results are final.
    fn exchange(&mut self, results: &ResultsHeader, messages: Vec<Message>) {
        let queues = &mut self.queues;
        let taken = results.in_messages_count as usize;
        let taken: Vec<_> = queues.incoming.drain(..taken).collect();
        assert_eq!(in_messages_hash(&taken), results.in_messages_hash);
        let params = &self.chain.document.genesis.params.roothash;
        let (most, taken) = (self.runtime.executor.max_messages, results.results_taken);
        let queue = ResultQueue { results: queues.results.clone() };
        let allowed = queue.messages_allowed(most, params.max_queued_results, taken);
        assert!(messages.len() <= allowed as usize);
        queues.results.drain(..taken as usize);
        for (index, message) in (0..).zip(messages) {
            let Message::Transfer(transfer) = message;
            let refused = queues.refuses && transfer.to != SENDER;
            let left = queues.account.checked_sub(transfer.amount.0).filter(|_| !refused);
            let code = u32::from(left.is_none());
            if let Some(left) = left {
                queues.account = left;
                queues.paid.insert((results.round.0, index), transfer.amount.0);
            }
            let result = MessageResult { index, module: String::new(), code };
            queues.results.push(QueuedResult { round: results.round, result });
        }
        queues.refuses = false;
    }

    /// The round fails: the next block has no results and the same state.
    pub fn fail(&mut self) {
        let header = Header {
            round: self.last.last_block.round.next(),
            header_type: HeaderType::RoundFailed,
            previous_hash: self.last.last_block.hash(),
            batch_hash: Hash::ZERO,
            proposal_id: Hash::ZERO,
            ..self.last.last_block.clone()
        };
        self.append(header);
    }

    fn append(&mut self, header: Header) {
        let mut changes = Changes::new();
        self.last.last_block = header.clone();
        self.set_queues(&mut changes);
        set(&mut changes, roothash::keys::runtime_state(&RUNTIME), &self.last);
        set(&mut changes, roothash::keys::header(&RUNTIME, header.round), &header);
        self.chain.commit(&changes);
    }

    /// The eight bytes under a key of a public runtime, as a number.
    pub fn stored(&self, key: &[u8]) -> u64 {
        let Some((version, _)) = self.state.latest().unwrap() else { return 0 };
        let bytes = self.state.get(version, key).unwrap();
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    }

    /// Consensus takes these results: the hosts apply the write log.
    pub fn finalise(&mut self, executed: &pb::Executed, transactions: &[Vec<u8>]) -> Header {
        let proposal = self.proposal(transactions);
        self.finalise_as(executed, &proposal)
    }

    /// The same, of a proposal that differs from [`World::proposal`].
    pub fn finalise_as(&mut self, executed: &pb::Executed, proposal: &ProposalHeader) -> Header {
        assert_eq!(executed.leaves.len(), executed.outputs.len(), "one output for each leaf");
        let results: ResultsHeader = Wire::from_pb(executed.results.clone().unwrap()).unwrap();
        let changes: BTreeMap<_, _> =
            executed.changes.iter().map(|c| (c.key.clone(), c.value.clone())).collect();
        let base = self.state.latest().unwrap().map(|(version, _)| version);
        let prepared = self.state.prepare(base, results.round.0, &changes).unwrap();
        assert_eq!(prepared.root(), results.state_root, "the write log leads to the signed root");
        self.state.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        let header = Header {
            round: results.round,
            header_type: HeaderType::Normal,
            previous_hash: results.previous_hash,
            io_root: results.io_root,
            state_root: results.state_root,
            messages_hash: results.messages_hash,
            in_messages_hash: results.in_messages_hash,
            consensus_height: proposal.consensus_height,
            batch_hash: proposal.batch_hash,
            proposal_id: proposal.id(),
            ..self.last.last_block.clone()
        };
        self.exchange(&results, Wire::from_pb(executed.messages.clone()).unwrap());
        self.last.last_normal_round = results.round;
        self.append(header.clone());
        header
    }

    /// Executes, finalises, and lets the enclave follow.
    pub fn round(&mut self, enclave: &Enclave, transactions: &[Vec<u8>]) -> pb::Executed {
        let executed = self.execute(enclave, transactions).unwrap();
        self.finalise(&executed, transactions);
        enclave.sync(self.chain.height());
        executed
    }
}

impl Enclave {
    pub fn call(&self, call: Call) -> Result<Reply, Failure> {
        self.client.call(call).map_err(|error| match error {
            BoundaryError::Failure(failure) => failure,
            other => panic!("{other}"),
        })
    }

    pub fn sync(&self, height: u64) -> pb::Synced {
        match self.call(Call::Sync(pb::Sync { height })).unwrap() {
            Reply::Synced(synced) => synced,
            other => panic!("{other:?}"),
        }
    }

    pub fn bytes(&self, call: Call) -> Vec<u8> {
        match self.call(call).unwrap() {
            Reply::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    pub fn release(&self, round: u64, executed: &pb::Executed) -> Result<pb::Released, Failure> {
        let (leaves, outputs) = (executed.leaves.clone(), executed.outputs.clone());
        match self.call(Call::Release(pb::Release { round, leaves, outputs }))? {
            Reply::Released(released) => Ok(released),
            other => panic!("{other:?}"),
        }
    }

    pub fn reveal(&self, round: u64, handle: &[u8]) -> Result<pb::Answer, Failure> {
        match self.call(Call::Reveal(pb::Reveal { round, handle: handle.to_vec() }))? {
            Reply::Answer(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    pub fn lie(&self, lie: Lie) {
        *self.host.lie.lock().unwrap() = lie;
    }
}
