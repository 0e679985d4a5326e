//! An enclave behind its boundary, with an honest host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use paralith_consensus_abci::Application;
use paralith_consensus_api::roothash::SignedProposal;
use paralith_genesis::Document;
use paralith_keymanager_service::Service;
use paralith_proto::{Canonical, Message, Wire};
use paralith_runtime_enclave::RuntimeEnclave;
use paralith_runtime_enclave::process::in_process;
use paralith_storage::{Durability, Kv, NodeSource, Tree, WriteBatch};
use paralith_tee_channel::pb::key_manager_call::Kind as KeyManagerCall;
use paralith_tee_channel::pb::key_manager_reply::Kind as KeyManagerReply;
use paralith_tee_channel::pb::runtime_call::Kind as RuntimeCall;
use paralith_tee_channel::pb::runtime_reply::Kind as Reply;
use paralith_tee_channel::{Client, Failure, Handler, HostServices, pb};
use paralith_types::{Height, RuntimeId};

use crate::keys::{KEY_MANAGER, key};
use crate::{Batch, Call, Enclave, ParaTime, Raw, Recording, module};

/// The chain as hosts have it: committed state, and the header of every block.
#[derive(Debug)]
pub struct Ledger {
    application: Mutex<Application>,
    headers: Mutex<Vec<Vec<u8>>>,
}

impl Ledger {
    pub(crate) fn new(application: Application) -> Self {
        Self { application: Mutex::new(application), headers: Mutex::default() }
    }

    /// The application.
    pub fn application(&self) -> Application {
        self.application.lock().unwrap().clone()
    }

    pub(crate) fn replace(&self, application: Application) {
        *self.application.lock().unwrap() = application;
    }

    pub(crate) fn push(&self, header: Vec<u8>) {
        self.headers.lock().unwrap().push(header);
    }

    fn header(&self, height: u64) -> Option<Vec<u8>> {
        let place = usize::try_from(height.checked_sub(1)?).ok()?;
        self.headers.lock().unwrap().get(place).cloned()
    }
}

#[derive(Debug)]
struct Host {
    ledger: Arc<Ledger>,
    state: Tree,
    /// The newest header as far as this host is concerned. A replay has the whole chain from the
    /// beginning, and must not show what was not there yet.
    newest: AtomicU64,
}

impl HostServices for Host {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        let proven = self.ledger.application().query(Some(Height(height)), key);
        let proven = proven.map_err(|error| Failure::new("host", 1, error))?;
        Ok((proven.value, proven.proof))
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        let height = if height == 0 { self.newest.load(Ordering::SeqCst) } else { height };
        let unknown = || Failure::new("host", 2, format!("no header {height}"));
        self.ledger.header(height).ok_or_else(unknown)
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let node = self.state.node_source(round).node(id);
        node.map_err(|error| Failure::new("host", 3, error))
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.state.get(round, key).map_err(|error| Failure::new("host", 4, error))
    }

    fn log(&self, text: &str) {
        println!("enclave: {text}");
    }
}

/// An enclave with its host.
#[derive(Debug)]
pub struct HostedEnclave {
    document: Document,
    node: u8,
    /// Name and id of the ParaTime; none of the key manager.
    paratime: Option<(String, RuntimeId)>,
    host: Arc<Host>,
    client: Option<Client>,
    sealed: Vec<u8>,
    executed: Option<pb::Executed>,
}

impl HostedEnclave {
    /// One that is not started.
    pub fn new(
        document: &Document,
        ledger: &Arc<Ledger>,
        node: u8,
        paratime: Option<&ParaTime>,
    ) -> Self {
        let state = Tree::new(Kv::memory(), b"paratime");
        let host = Host { ledger: Arc::clone(ledger), state, newest: AtomicU64::new(0) };
        Self {
            document: document.clone(),
            node,
            paratime: paratime.map(|one| (one.name.clone(), one.id)),
            host: Arc::new(host),
            client: None,
            sealed: Vec::new(),
            executed: None,
        }
    }

    /// What the batch that was executed last gave.
    pub fn executed(&self) -> Option<&pb::Executed> {
        self.executed.as_ref()
    }

    /// Makes a call. `batches` are those of its ParaTime.
    pub fn call(&mut self, call: &Call, batches: &[Batch]) -> Reply {
        match call {
            Call::Apply(place) => {
                self.apply();
                return Reply::Bytes(batches[*place].state_root.as_bytes().to_vec());
            }
            // A key manager that runs gives its claims once more.
            Call::Start(_) if self.client.is_none() => self.start(),
            Call::Sync(height) => self.host.newest.store(height + 1, Ordering::SeqCst),
            _ => {}
        }
        let client = self.client.clone().expect("a started enclave");
        let reply = match self.paratime {
            Some(_) => client.call(self.runtime_call(call, batches)),
            None => client.call_key_manager(self.key_manager_call(call)).map(|reply| match reply {
                KeyManagerReply::Empty(empty) => Reply::Empty(empty),
                KeyManagerReply::Started(started) => Reply::Started(started),
                KeyManagerReply::Synced(synced) => Reply::Synced(synced),
                KeyManagerReply::Bytes(bytes) => Reply::Bytes(bytes),
                KeyManagerReply::Initialised(done) => Reply::Bytes(done.response),
            }),
        };
        let reply = reply.unwrap_or_else(|e| panic!("node {}: {call:?}: {e}", self.node));
        match (call, &reply) {
            (Call::Stop, Reply::Bytes(sealed)) => {
                self.sealed.clone_from(sealed);
                client.close();
                self.client = None;
            }
            (Call::Execute(_), Reply::Executed(executed)) => {
                self.executed = Some(executed.clone());
            }
            _ => {}
        }
        reply
    }

    fn start(&mut self) {
        let handler: Arc<dyn Handler> = match self.paratime {
            Some(_) => Arc::new(RuntimeEnclave::new()),
            None => Arc::new(Service::new()),
        };
        let host = Arc::clone(&self.host) as Arc<dyn HostServices>;
        self.client = Some(in_process(handler, host, None).unwrap());
    }

    fn start_call(&self, seed: u8) -> pb::Start {
        let (runtime_id, code) = match &self.paratime {
            Some((name, id)) => (*id, module(name)),
            None => (KEY_MANAGER, Vec::new()),
        };
        pb::Start {
            chain_id: self.document.chain_id().unwrap(),
            chain_context: self.document.hash().unwrap().as_bytes().to_vec(),
            genesis: self.document.to_json().unwrap().into_bytes(),
            node: key(self.node).public().as_bytes().to_vec(),
            runtime_id: runtime_id.as_bytes().to_vec(),
            code,
            sealed: self.sealed.clone(),
            sealing_key: vec![self.node; 32],
            entropy: vec![seed],
        }
    }

    fn runtime_call(&self, call: &Call, batches: &[Batch]) -> RuntimeCall {
        let raw = |place: usize| batches[place].transactions.iter().map(|raw| raw.0.clone());
        match call {
            Call::Start(seed) => RuntimeCall::Start(self.start_call(*seed)),
            Call::Stop => RuntimeCall::Stop(pb::Stop {}),
            Call::Sync(height) => RuntimeCall::Sync(pb::Sync { height: *height }),
            Call::Blob => RuntimeCall::FreshnessBlob(pb::FreshnessBlob {}),
            Call::Confirm(height) => {
                RuntimeCall::ConfirmFreshness(pb::ConfirmFreshness { height: *height })
            }
            Call::KeyRequest(epoch) => {
                RuntimeCall::KeyRequestFor(pb::KeyRequestFor { epoch: *epoch })
            }
            Call::Keys(reply) => {
                RuntimeCall::ProvideKeys(pb::ProvideKeys { reply: reply.0.clone() })
            }
            Call::Execute(place) => {
                let proposal = &batches[*place].proposal.0;
                let proposal = SignedProposal::decode(proposal, proposal.len()).unwrap();
                RuntimeCall::Execute(pb::Execute {
                    proposal: Some(proposal.to_pb()),
                    transactions: raw(*place).collect(),
                })
            }
            Call::Check(place) => {
                RuntimeCall::Check(pb::Check { transactions: raw(*place).collect() })
            }
            Call::Apply(_) => unreachable!("the host's own"),
            Call::Release(place) => self.release(&batches[*place]),
            Call::Query(query) => {
                let query = Message::decode(query.0.as_slice()).unwrap();
                RuntimeCall::RunQuery(pb::RunQuery { query: Some(query) })
            }
            Call::Reveal(round, handle) => {
                RuntimeCall::Reveal(pb::Reveal { round: round.0, handle: handle.0.clone() })
            }
            other => unreachable!("{other:?} is a key manager's"),
        }
    }

    fn key_manager_call(&self, call: &Call) -> KeyManagerCall {
        match call {
            Call::Start(seed) => KeyManagerCall::Start(self.start_call(*seed)),
            Call::Stop => KeyManagerCall::Stop(pb::Stop {}),
            Call::Sync(height) => KeyManagerCall::Sync(pb::Sync { height: *height }),
            Call::Blob => KeyManagerCall::FreshnessBlob(pb::FreshnessBlob {}),
            Call::Confirm(height) => {
                KeyManagerCall::ConfirmFreshness(pb::ConfirmFreshness { height: *height })
            }
            Call::Init => KeyManagerCall::Init(pb::Init {}),
            Call::GenerateMaster(epoch) => {
                KeyManagerCall::GenerateMaster(pb::GenerateMaster { epoch: *epoch })
            }
            Call::GenerateEpochSecret(epoch) => {
                KeyManagerCall::GenerateEpochSecret(pb::GenerateEpochSecret { epoch: *epoch })
            }
            Call::Load => KeyManagerCall::LoadProposals(pb::LoadProposals {}),
            Call::AnswerKeys(request) => {
                KeyManagerCall::AnswerKeys(pb::AnswerKeys { request: request.0.clone() })
            }
            Call::PublicKey(id, epoch) => KeyManagerCall::PublicKeyGet(pb::PublicKeyGet {
                runtime_id: id.as_bytes().to_vec(),
                epoch: *epoch,
            }),
            other => unreachable!("{other:?} is a compute runtime's"),
        }
    }

    fn release(&self, batch: &Batch) -> RuntimeCall {
        let executed = self.executed.as_ref().expect("an executed batch");
        RuntimeCall::Release(pb::Release {
            round: batch.round.0,
            leaves: executed.leaves.clone(),
            outputs: executed.outputs.clone(),
        })
    }

    /// The write log of the last executed batch leads to the root that the enclave has signed.
    fn apply(&self) {
        let executed = self.executed.as_ref().expect("an executed batch");
        let results = executed.results.clone().unwrap();
        let changes: BTreeMap<_, _> =
            executed.changes.iter().map(|one| (one.key.clone(), one.value.clone())).collect();
        let base = self.host.state.latest().unwrap().map(|(version, _)| version);
        let prepared = self.host.state.prepare(base, results.round, &changes).unwrap();
        assert_eq!(prepared.root().as_bytes(), results.state_root);
        self.host.state.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
    }
}

impl Drop for HostedEnclave {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            client.close();
        }
    }
}

/// The hash of a reply, as it is recorded: the first bytes are enough to tell replies
/// apart.
pub(crate) fn reply_hash(reply: Reply) -> Raw {
    let reply = pb::RuntimeReply { failure: None, kind: Some(reply) };
    let hash = paralith_crypto::sha256(&reply.encode_to_vec());
    Raw(hash.iter().copied().take(8).collect())
}

/// Makes the recorded calls to a new enclave, on a chain that has been made, and compares every
/// reply. Gives how many calls there were.
pub fn replay_enclave(recording: &Recording, ledger: &Arc<Ledger>, enclave: &Enclave) -> usize {
    let paratime = recording.paratime_of(enclave);
    let batches = paratime.map(|one| one.batches.as_slice()).unwrap_or_default();
    let mut hosted = HostedEnclave::new(&recording.document, ledger, enclave.node, paratime);
    for step in &enclave.steps {
        let reply = hosted.call(&step.call, batches);
        if let Call::Execute(place) = step.call {
            compare(&batches[place], hosted.executed().unwrap());
        }
        let (name, node) = (paratime.map_or("key manager", |one| &one.name), enclave.node);
        assert_eq!(reply_hash(reply), step.reply, "{name}, node {node}: {:?}", step.call);
    }
    enclave.steps.len()
}

/// The roots by themselves, so that a failure says which one differs.
fn compare(batch: &Batch, executed: &pb::Executed) {
    let results = executed.results.clone().unwrap();
    for (what, got, recorded) in [
        ("state root", &results.state_root, batch.state_root),
        ("I/O root", &results.io_root, batch.io_root),
        ("messages", &results.messages_hash, batch.messages_hash),
        ("messages from consensus", &results.in_messages_hash, batch.in_messages_hash),
    ] {
        assert_eq!(got.as_slice(), recorded.as_bytes(), "{what} of round {}", batch.round);
    }
}
