//! A node's host, honest or not, and the enclaves it runs.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use paralith_attest::{Claims, Measurement};
use paralith_consensus_api::registry::{
    CONSENSUS_KEY_DOMAIN, CapabilityTee, Node, NodeRuntime, ProveFreshness, ROLE_COMPUTE,
    ROLE_KEYMANAGER, RegisterNode,
};
use paralith_consensus_api::tx::Body;
use paralith_crypto::{HpkeSecret, SigningKey};
use paralith_harness::{consensus_key, key};
use paralith_keymanager_core::{KeyRequest, SignedKeyRequest};
use paralith_keymanager_service::Service;
use paralith_proto::Canonical;
use paralith_tee_channel::pb::key_manager_call::Kind as Call;
use paralith_tee_channel::pb::key_manager_reply::Kind as Reply;
use paralith_tee_channel::{BoundaryError, Client, Failure, HostServices, pb, serve};
use paralith_types::{Hash, Height, PublicKey};

use crate::chain::{CODE, COMPUTE, Chain, KM, RT, platform};

/// How a host lies to its enclave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    Nothing,
    /// Another value than the proof is about.
    Values,
    /// That there is no value.
    Absence,
    /// The value and proof of an earlier state.
    OldState(Height),
    /// Headers signed by somebody who is no validator.
    Headers,
    /// There is nothing after this height.
    Frozen(Height),
}

struct Host {
    chain: Mutex<Arc<Chain>>,
    lie: Mutex<Lie>,
    log: Mutex<Vec<String>>,
}

impl Host {
    fn chain(&self) -> Arc<Chain> {
        Arc::clone(&self.chain.lock().unwrap())
    }
}

impl HostServices for Host {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        let unknown = || Failure::new("host", 1, "unknown height");
        let lie = *self.lie.lock().unwrap();
        let height = if let Lie::OldState(old) = lie { old } else { Height(height) };
        let (mut value, proof) = self.chain().prove(height, key).ok_or_else(unknown)?;
        match lie {
            Lie::Values => value.iter_mut().for_each(|value| value[0] ^= 1),
            Lie::Absence => value = None,
            _ => {}
        }
        Ok((value, proof))
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        let lie = *self.lie.lock().unwrap();
        let unknown = || Failure::new("host", 1, "no such block");
        if matches!(lie, Lie::Frozen(last) if height > last.0) {
            return Err(unknown());
        }
        let signer = (lie == Lie::Headers).then(|| key(77));
        self.chain()
            .light_block(Height(height), signer.as_ref())
            .map(|b| b.encode())
            .ok_or_else(unknown)
    }

    fn state_node(&self, _: u64, _: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn state_value(&self, _: u64, _: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn log(&self, text: &str) {
        self.log.lock().unwrap().push(text.to_string());
    }
}

/// A key-manager node: number, host and enclave.
pub(crate) struct KeyManager {
    pub(crate) n: u8,
    pub(crate) chain: Arc<Chain>,
    host: Arc<Host>,
    client: Client,
    pub(crate) sealed: Vec<u8>,
}

impl KeyManager {
    pub(crate) fn start(n: u8, chain: &Arc<Chain>, sealed: Vec<u8>) -> Self {
        let mut node = Self::start_with(n, chain, sealed, Lie::Nothing);
        node.sync();
        node
    }

    /// Started, not synced.
    pub(crate) fn start_with(n: u8, chain: &Arc<Chain>, sealed: Vec<u8>, lie: Lie) -> Self {
        let host = Arc::new(Host {
            chain: Mutex::new(Arc::clone(chain)),
            lie: Mutex::new(lie),
            log: Mutex::default(),
        });
        let (ours, theirs) = UnixStream::pair().unwrap();
        let writer = theirs.try_clone().unwrap();
        std::thread::spawn(move || serve(theirs, writer, Arc::new(Service::new())));
        let services = Arc::clone(&host) as Arc<dyn HostServices>;
        let client = Client::connect(ours.try_clone().unwrap(), ours, services, None);
        let node = Self { n, chain: Arc::clone(chain), host, client, sealed };
        node.claims();
        node
    }

    pub(crate) fn start_call(&self) -> pb::Start {
        pb::Start {
            chain_id: self.chain.document.chain_id().unwrap(),
            chain_context: self.chain.context().as_bytes().to_vec(),
            genesis: self.chain.document.to_json().unwrap().into_bytes(),
            node: key(self.n).public().as_bytes().to_vec(),
            runtime_id: KM.as_bytes().to_vec(),
            code: vec![],
            sealed: self.sealed.clone(),
            sealing_key: vec![self.n; 32],
            entropy: vec![],
        }
    }

    pub(crate) fn call(&self, call: Call) -> Result<Reply, Failure> {
        self.client.call_key_manager(call).map_err(|error| match error {
            BoundaryError::Failure(failure) => failure,
            other => panic!("{other}"),
        })
    }

    /// The module and code with which a call is refused.
    pub(crate) fn refusal(&self, call: Call) -> (String, u32) {
        match self.call(call) {
            Ok(reply) => panic!("not refused: {reply:?}"),
            Err(failure) => (failure.module, failure.code),
        }
    }

    pub(crate) fn bytes(&self, call: Call) -> Vec<u8> {
        match self.call(call) {
            Ok(Reply::Bytes(bytes)) => bytes,
            other => panic!("{other:?}"),
        }
    }

    /// The refusal of a call that only compute runtimes' enclaves answer.
    pub(crate) fn runtime_refusal(&self, call: pb::runtime_call::Kind) -> (String, u32) {
        match self.client.call(call).unwrap_err() {
            BoundaryError::Failure(failure) => (failure.module, failure.code),
            other => panic!("{other}"),
        }
    }

    pub(crate) fn initialised(&mut self, call: Call) -> pb::Initialised {
        let Ok(Reply::Initialised(done)) = self.call(call) else { panic!("not initialised") };
        if !done.sealed.is_empty() {
            self.sealed.clone_from(&done.sealed);
        }
        done
    }

    pub(crate) fn lie(&self, lie: Lie) {
        *self.host.lie.lock().unwrap() = lie;
    }

    /// From now on the host shows its enclave another chain.
    pub(crate) fn switch(&mut self, chain: &Arc<Chain>) {
        *self.host.chain.lock().unwrap() = Arc::clone(chain);
        self.chain = Arc::clone(chain);
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.host.log.lock().unwrap().clone()
    }

    pub(crate) fn claims(&self) -> Claims {
        let Reply::Started(started) = self.call(Call::Start(self.start_call())).unwrap() else {
            panic!("not started")
        };
        Claims::decode(&started.claims).unwrap()
    }

    pub(crate) fn sync(&mut self) -> pb::Synced {
        let height = self.chain.height().0;
        let Reply::Synced(synced) = self.call(Call::Sync(pb::Sync { height })).unwrap() else {
            panic!("not synced")
        };
        if !synced.sealed.is_empty() {
            self.sealed.clone_from(&synced.sealed);
        }
        synced
    }

    /// The transaction that registers the node with what its enclave said.
    pub(crate) fn registration(&self, response: Vec<u8>) -> (SigningKey, Body) {
        let runtime = NodeRuntime {
            runtime_id: KM,
            tee: Some(tee(&self.claims(), &self.chain)),
            extra_info: response,
        };
        registration(self.n, ROLE_KEYMANAGER, runtime, &self.chain)
    }

    /// What `init` says, on chain.
    pub(crate) fn init(&mut self) -> (SigningKey, Body) {
        self.sync();
        let done = self.initialised(Call::Init(pb::Init {}));
        self.registration(done.response)
    }

    /// What is published, opened, on chain.
    pub(crate) fn load(&mut self) -> (SigningKey, Body) {
        self.sync();
        let done = self.initialised(Call::LoadProposals(pb::LoadProposals {}));
        self.registration(done.response)
    }

    pub(crate) fn blob(&self) -> (SigningKey, Body) {
        let blob = self.bytes(Call::FreshnessBlob(pb::FreshnessBlob {}));
        let blob = Hash::try_from(blob.as_slice()).unwrap();
        (key(self.n), ProveFreshness { runtime_id: KM, blob }.into())
    }

    pub(crate) fn confirm(&self) -> Result<Reply, Failure> {
        let height = self.chain.height().0;
        self.call(Call::ConfirmFreshness(pb::ConfirmFreshness { height }))
    }

    /// Proves freshness in the epoch that runs.
    pub(crate) fn prove_freshness(&mut self) {
        self.chain.block(vec![self.blob()]);
        self.confirm().unwrap();
        self.sync();
    }
}

/// A compute node whose enclave is played by the test.
pub(crate) struct Compute {
    pub(crate) n: u8,
    pub(crate) rak: SigningKey,
    pub(crate) rek: HpkeSecret,
    pub(crate) reply_key: HpkeSecret,
    pub(crate) chain: Arc<Chain>,
}

impl Compute {
    pub(crate) fn new(n: u8, chain: &Arc<Chain>) -> Self {
        let (rak, rek) = (key(n + 20), HpkeSecret::from_ikm(&[n + 40; 32]));
        let reply_key = HpkeSecret::from_ikm(&[n + 60; 32]);
        Self { n, rak, rek, reply_key, chain: Arc::clone(chain) }
    }

    pub(crate) fn registration(&self) -> (SigningKey, Body) {
        let claims = Claims {
            measurement: Measurement(COMPUTE),
            rak: self.rak.public(),
            rek: self.rek.public(),
            node: self.id(),
            runtime: RT,
            code: Some(CODE),
            height: self.chain.height(),
            state_root: self.chain.root(self.chain.height()),
        };
        let tee = Some(tee(&claims, &self.chain));
        let runtime = NodeRuntime { runtime_id: RT, tee, extra_info: vec![] };
        registration(self.n, ROLE_COMPUTE, runtime, &self.chain)
    }

    pub(crate) fn id(&self) -> PublicKey {
        key(self.n).public()
    }

    pub(crate) fn prove_freshness(&self, blob: Hash) {
        self.chain.block(vec![(key(self.n), ProveFreshness { runtime_id: RT, blob }.into())]);
    }

    pub(crate) fn request(&self, freshness: Hash) -> KeyRequest {
        KeyRequest {
            version: 1,
            id: KM,
            runtime_id: RT,
            node: self.id(),
            epoch: self.chain.epoch(),
            freshness,
            nonce: Hash([1; 32]),
            height: self.chain.height(),
            state_root: self.chain.root(self.chain.height()),
            reply_key: self.reply_key.public(),
        }
    }

    pub(crate) fn ask(&self, request: &KeyRequest) -> Call {
        let signed = SignedKeyRequest::sign(request, &self.rak, &self.chain.context());
        Call::AnswerKeys(pb::AnswerKeys { request: signed.encode() })
    }
}

fn tee(claims: &Claims, chain: &Chain) -> CapabilityTee {
    let evidence = platform().quote(claims, &chain.context());
    CapabilityTee { rak: claims.rak, rek: claims.rek, evidence }
}

fn registration(n: u8, roles: u32, runtime: NodeRuntime, chain: &Chain) -> (SigningKey, Body) {
    let node = Node {
        id: key(n).public(),
        entity_id: key(100).public(),
        expiration: chain.epoch().plus(20),
        roles,
        consensus_key: consensus_key(n).public(),
        addresses: vec![],
        runtimes: vec![runtime],
        software_version: String::new(),
    };
    let consensus_signature =
        consensus_key(n).sign(CONSENSUS_KEY_DOMAIN, &chain.context(), &node.encode());
    (key(n), RegisterNode { consensus_signature, node }.into())
}

/// Publishes what an enclave made.
pub(crate) fn publish_master(maker: &KeyManager) -> (SigningKey, Body) {
    let epoch = maker.chain.epoch().next().0;
    let bytes = maker.bytes(Call::GenerateMaster(pb::GenerateMaster { epoch }));
    let body = paralith_consensus_api::keymanager::PublishMasterSecret::decode(&bytes, bytes.len());
    (key(maker.n), body.unwrap().into())
}

pub(crate) fn publish_epoch_secret(maker: &KeyManager) -> (SigningKey, Body) {
    let epoch = maker.chain.epoch().next().0;
    let bytes = maker.bytes(Call::GenerateEpochSecret(pb::GenerateEpochSecret { epoch }));
    let body = paralith_consensus_api::keymanager::PublishEpochSecret::decode(&bytes, bytes.len());
    (key(maker.n), body.unwrap().into())
}

/// Two key managers from nothing to their first generation, with the secrets of the epoch that
/// runs then; `registrations` go into the first block.
pub(crate) fn born(chain: &Arc<Chain>, registrations: Vec<(SigningKey, Body)>) -> [KeyManager; 2] {
    chain.block(registrations);
    let mut all = [1, 2].map(|n| KeyManager::start(n, chain, vec![]));
    let txs = all.iter_mut().map(KeyManager::init).collect();
    chain.block(txs);
    chain.next_epoch();
    pass_epoch(&mut all, true);
    all
}

/// One epoch's work: secrets for the next are published and loaded, and the next epoch begins.
pub(crate) fn pass_epoch(all: &mut [KeyManager], rotate: bool) {
    let chain = Arc::clone(&all[0].chain);
    for node in all.iter_mut() {
        node.sync();
    }
    let mut txs = vec![publish_epoch_secret(&all[0])];
    if rotate {
        txs.push(publish_master(&all[0]));
    }
    chain.block(txs);
    let txs = all.iter_mut().map(KeyManager::load).collect();
    chain.block(txs);
    chain.next_epoch();
    let txs = all.iter_mut().map(KeyManager::init).collect();
    chain.block(txs);
    for node in all.iter_mut() {
        node.sync();
    }
}
