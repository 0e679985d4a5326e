//! A gateway over a real chain: honest, or lying in one way.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt as _};
use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::keymanager::{self, RuntimePublicKey, SignedRuntimePublicKey, Status};
use paralith_consensus_api::registry::{self, Code, Runtime};
use paralith_consensus_api::roothash::{self, Header, HeaderType};
use paralith_crypto::HpkeSecret;
use paralith_harness::rounds::{epoch_state, header, runtime_state};
use paralith_harness::{ENTITY, WrittenChain, key, runtimes, set};
use paralith_proto::{Canonical, Wire, pb};
use paralith_runtime_api::envelope::{Info, open_call, seal_reply};
use paralith_runtime_api::output::{Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::state::provable_place;
use paralith_runtime_api::tx::Body;
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::{Epoch, Hash, Round, RuntimeId};
use pb::consensus::v1 as cpb;
use pb::keymanager::v1 as kpb;
use pb::paratime::v1 as ppb;
use pb::registry::v1 as rpb;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status as Refusal};

/// Consensus keeps the headers of so many rounds.
pub(crate) const KEPT: u64 = 4;
/// A public entry, which each round sets to its own number.
pub(crate) const PUBLIC_KEY: &[u8] = b"\xferound";
pub(crate) const RUNTIME: RuntimeId = RuntimeId([5; 32]);
const KEY_MANAGER: RuntimeId = RuntimeId([9; 32]);
/// Signs the runtimes' keys.
const SIGNING: u8 = 60;
const GENERATION: Hash = Hash([0x11; 32]);

/// What the gateway does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// A key of the epoch before, signed by the real key manager.
    OldKey,
    /// A key of the epoch after, as an attacker who learned a future key would like.
    FutureKey,
    /// A key of an earlier generation.
    OldGeneration,
    /// A key of its own, with a signature of its own.
    OwnKey,
    /// An answer of an enclave on an older final state.
    StaleAnswer,
    /// An answer on a state that never was.
    InventedRoot,
    /// An answer of a round that the chain does not have.
    InventedRound,
    /// A false value of state.
    FalseValue,
    /// Of a ParaTime's state: another value than the one that is proven.
    WrongEntry,
    /// An entry that is there is said not to be.
    AbsentEntry,
    /// An entry that is not there has a value.
    InventedEntry,
    /// The proofs of another round than the one of the header.
    OtherRoundsProof,
    /// The header and the proofs of another round than was asked for.
    OtherRound,
    /// A header that never was, with proofs that fit it.
    WrongHeader,
    /// No entry at all.
    FewerEntries,
    /// A header is left out of the chain.
    GapInHeaders,
    /// The chain of headers ends early.
    ShortHeaders,
    /// The chain has a header that never was.
    WrongLink,
    /// A chain of its own that fits the wrong header.
    OwnChain,
}

#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) chain: Arc<WrittenChain>,
    pub(crate) lie: Arc<Mutex<Lie>>,
    /// Roots of the final rounds, by their number from 1.
    roots: Arc<Mutex<Vec<Hash>>>,
    headers: Arc<Mutex<Vec<Header>>>,
    /// The ParaTime's state after each round.
    tree: Tree,
    /// How many pages of headers it gave.
    pub(crate) pages: Arc<Mutex<u32>>,
    /// The nonce that it says is next, and how many submissions it saw.
    pub(crate) submissions: Arc<Mutex<u32>>,
    /// The gas that it says a transaction would use.
    pub(crate) estimate: Arc<Mutex<u64>>,
}

fn secret(epoch: Epoch) -> HpkeSecret {
    HpkeSecret::from_ikm(&[epoch.0 as u8; 32])
}

pub(crate) fn descriptor() -> Runtime {
    let owner = key(ENTITY).public();
    let base = runtimes::confidential(RUNTIME, owner, KEY_MANAGER, Hash([1; 32]));
    let code = base.code.clone().map(|code| Code { abi_version: 2, ..code });
    Runtime { name: "secret".into(), code, ..base }
}

impl Gateway {
    /// A chain in epoch 7 with one confidential ParaTime that has had one round.
    pub(crate) fn new() -> Self {
        let gateway = Self {
            chain: Arc::new(WrittenChain::new("client", |_| {})),
            lie: Arc::new(Mutex::new(Lie::None)),
            roots: Arc::default(),
            headers: Arc::default(),
            tree: Tree::new(Kv::memory(), RUNTIME.as_bytes()),
            pages: Arc::default(),
            submissions: Arc::default(),
            estimate: Arc::new(Mutex::new(u64::MAX)),
        };
        let mut changes = Changes::new();
        set(&mut changes, registry::keys::runtime(&RUNTIME), &descriptor());
        let status = Status {
            id: KEY_MANAGER,
            initialised: true,
            generation: 0,
            rotation_epoch: Epoch(1),
            checksum: Some(GENERATION),
            nodes: Vec::new(),
            policy: None,
            next_policy: None,
            signing_key: Some(key(SIGNING).public()),
            recipients: Vec::new(),
            rotation_required: Epoch(0),
        };
        set(&mut changes, keymanager::keys::status(&KEY_MANAGER), &status);
        let roothash_params = gateway.chain.document.genesis.params.roothash.clone();
        let params = roothash::Params { max_past_roots: KEPT, ..roothash_params };
        set(&mut changes, roothash::keys::params(), &params);
        gateway.chain.commit(&changes);
        gateway.begin_epoch(7);
        gateway.finish_round();
        gateway
    }

    pub(crate) fn begin_epoch(&self, epoch: u64) {
        let height = self.chain.height() + 1;
        let state = epoch_state(epoch, height);
        let mut changes = Changes::new();
        set(&mut changes, beacon::keys::epoch(), &state);
        self.chain.commit(&changes);
    }

    /// A final round with a new state root. Consensus keeps the headers of [`KEPT`] rounds.
    pub(crate) fn finish_round(&self) {
        let mut roots = self.roots.lock().unwrap();
        let round = roots.len() as u64 + 1;
        let written = [(PUBLIC_KEY, vec![round as u8]), (b"\xfefirst".as_slice(), vec![1])];
        let place = |key: &[u8]| provable_place(&descriptor(), key).unwrap();
        let written = written.map(|(key, value)| (place(key), Some(value)));
        let base = self.tree.latest().unwrap().map(|(version, _)| version);
        let prepared = self.tree.prepare(base, round, &written.into()).unwrap();
        let root = prepared.root();
        self.tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        roots.push(root);
        let mut headers = self.headers.lock().unwrap();
        let mut last_block = header(RUNTIME, round, HeaderType::Normal, root);
        last_block.previous_hash = headers.last().map_or(Hash::ZERO, Header::hash);
        headers.push(last_block.clone());
        let mut changes = Changes::new();
        set(&mut changes, roothash::keys::header(&RUNTIME, Round(round)), &last_block);
        if round > KEPT {
            changes.insert(roothash::keys::header(&RUNTIME, Round(round - KEPT)), None);
        }
        let state = runtime_state(last_block, self.chain.height() + 1);
        set(&mut changes, roothash::keys::runtime_state(&RUNTIME), &state);
        self.chain.commit(&changes);
    }

    /// What the gateway says of the state after a round.
    fn prove(&self, asked: &ppb::ProveStateRequest) -> ppb::ProveStateResponse {
        let headers = self.headers.lock().unwrap();
        let lie = self.lie();
        let mut round = if asked.newest { headers.len() as u64 } else { asked.round };
        if lie == Lie::OtherRound {
            round -= 1;
        }
        let mut header = headers[round as usize - 1].clone();
        let version = if lie == Lie::OtherRoundsProof { round - 1 } else { round };
        let prove = |key: &Vec<u8>| {
            let place = provable_place(&descriptor(), key).unwrap();
            let (value, proof) = self.tree.prove(version, &place).unwrap();
            let value = match lie {
                Lie::WrongEntry => value.map(|_| vec![99]),
                Lie::AbsentEntry => None,
                Lie::InventedEntry => value.or(Some(vec![99])),
                _ => value,
            };
            ppb::ProvenEntry { value, proof: proof.to_bytes() }
        };
        let mut entries: Vec<_> = asked.keys.iter().map(prove).collect();
        match lie {
            Lie::WrongHeader | Lie::OwnChain => header.timestamp += 1,
            Lie::FewerEntries => entries.clear(),
            _ => {}
        }
        ppb::ProveStateResponse { header: Some(header.to_pb()), entries }
    }

    /// What the gateway says of headers, three at a time.
    fn chain_of_headers(&self, from: u64, to: u64) -> Vec<Header> {
        *self.pages.lock().unwrap() += 1;
        let headers = self.headers.lock().unwrap();
        let lie = self.lie();
        let from = from as usize;
        let to = (to as usize).min(headers.len()).min(from + 2);
        let mut page = headers[from - 1..to].to_vec();
        match lie {
            Lie::GapInHeaders => drop(page.remove(0)),
            Lie::ShortHeaders if from > 2 => page.clear(),
            Lie::WrongLink => page[0].state_root = Hash([0xee; 32]),
            Lie::OwnChain => {
                // It remembers nothing, so it makes its chain anew from the first false header.
                let mut last = headers[0].clone();
                last.timestamp += 1;
                for number in 1..to {
                    let mut next = headers[number].clone();
                    next.previous_hash = last.hash();
                    if number + 1 >= from {
                        page[number + 1 - from] = next.clone();
                    }
                    last = next;
                }
            }
            _ => {}
        }
        page
    }

    pub(crate) fn consensus_params(&self) -> paralith_consensus_api::consensus::Params {
        self.chain.document.genesis.params.consensus.clone()
    }

    pub(crate) fn tell(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    fn lie(&self) -> Lie {
        *self.lie.lock().unwrap()
    }

    /// Serves, and gives a connection.
    pub(crate) async fn serve(&self) -> Channel {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = Server::builder()
            .add_service(cpb::consensus_service_server::ConsensusServiceServer::new(self.clone()))
            .add_service(rpb::registry_service_server::RegistryServiceServer::new(self.clone()))
            .add_service(kpb::key_manager_service_server::KeyManagerServiceServer::new(
                self.clone(),
            ))
            .add_service(ppb::para_time_service_server::ParaTimeServiceServer::new(self.clone()));
        tokio::spawn(async move { server.serve_with_incoming(incoming).await });
        Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
    }

    fn epoch(&self) -> Epoch {
        let (value, _) = self.chain.prove(self.chain.height(), &beacon::keys::epoch()).unwrap();
        EpochState::decode(&value.unwrap(), 1000).unwrap().epoch
    }
}

type Blocks = Pin<Box<dyn Stream<Item = Result<cpb::Block, Refusal>> + Send>>;

fn not_here<T>() -> Result<Response<T>, Refusal> {
    Err(Refusal::unimplemented("not in this test"))
}

#[tonic::async_trait]
impl cpb::consensus_service_server::ConsensusService for Gateway {
    type WatchBlocksStream = Blocks;

    async fn submit(
        &self,
        _: Request<cpb::SubmitRequest>,
    ) -> Result<Response<cpb::SubmitResponse>, Refusal> {
        not_here()
    }

    async fn submit_and_wait(
        &self,
        request: Request<cpb::SubmitRequest>,
    ) -> Result<Response<cpb::TransactionResult>, Refusal> {
        use paralith_consensus_api::tx::SignedTransaction;
        *self.submissions.lock().unwrap() += 1;
        let signed = SignedTransaction::decode(&request.into_inner().transaction, 10_000).unwrap();
        let context = self.chain.document.hash().unwrap();
        let nonce = signed.open(&context).unwrap().nonce;
        // Always names one more: a client must not go on for ever.
        let error = paralith_types::Error::new("consensus", 1, "another nonce")
            .with_retry(paralith_types::Retry::NonceIs { nonce: nonce + 1 });
        Err(paralith_proto::status::status_of(tonic::Code::Aborted, &error))
    }

    async fn estimate_gas(
        &self,
        _: Request<cpb::EstimateGasRequest>,
    ) -> Result<Response<cpb::EstimateGasResponse>, Refusal> {
        Ok(Response::new(cpb::EstimateGasResponse { gas: *self.estimate.lock().unwrap() }))
    }

    async fn get_chain(
        &self,
        _: Request<cpb::GetChainRequest>,
    ) -> Result<Response<cpb::GetChainResponse>, Refusal> {
        not_here()
    }

    async fn get_block(
        &self,
        _: Request<cpb::GetBlockRequest>,
    ) -> Result<Response<cpb::Block>, Refusal> {
        not_here()
    }

    async fn get_transaction(
        &self,
        _: Request<cpb::GetTransactionRequest>,
    ) -> Result<Response<cpb::TransactionResult>, Refusal> {
        not_here()
    }

    async fn watch_blocks(
        &self,
        _: Request<cpb::WatchBlocksRequest>,
    ) -> Result<Response<Blocks>, Refusal> {
        // A block whenever the client waits for one.
        let chain = Arc::clone(&self.chain);
        let blocks = futures::stream::iter(0..100).map(move |_| {
            let height = chain.commit(&Changes::new());
            Ok(cpb::Block { height, ..cpb::Block::default() })
        });
        Ok(Response::new(Box::pin(blocks)))
    }

    async fn get_state(
        &self,
        request: Request<cpb::GetStateRequest>,
    ) -> Result<Response<cpb::GetStateResponse>, Refusal> {
        let request = request.into_inner();
        let found = self.chain.prove(request.height, &request.key);
        let (mut value, proof) = found.ok_or_else(|| Refusal::not_found("no such height"))?;
        if self.lie() == Lie::FalseValue {
            value = value.map(|mut value| {
                value[0] ^= 1;
                value
            });
        }
        Ok(Response::new(cpb::GetStateResponse { height: request.height, value, proof }))
    }

    async fn get_light_block(
        &self,
        request: Request<cpb::GetLightBlockRequest>,
    ) -> Result<Response<cpb::GetLightBlockResponse>, Refusal> {
        let height = request.into_inner().height;
        let block = self.chain.block(height).ok_or_else(|| Refusal::not_found("no block"))?;
        Ok(Response::new(cpb::GetLightBlockResponse { height, light_block: block }))
    }

    async fn get_genesis(
        &self,
        _: Request<cpb::GetGenesisRequest>,
    ) -> Result<Response<cpb::GetGenesisResponse>, Refusal> {
        let document = self.chain.document.to_json().unwrap().into_bytes();
        Ok(Response::new(cpb::GetGenesisResponse { document }))
    }
}

#[tonic::async_trait]
impl rpb::registry_service_server::RegistryService for Gateway {
    async fn get_node(
        &self,
        _: Request<rpb::GetNodeRequest>,
    ) -> Result<Response<rpb::GetNodeResponse>, Refusal> {
        not_here()
    }

    async fn list_nodes(
        &self,
        _: Request<rpb::ListNodesRequest>,
    ) -> Result<Response<rpb::ListNodesResponse>, Refusal> {
        not_here()
    }

    async fn get_runtime(
        &self,
        _: Request<rpb::GetRuntimeRequest>,
    ) -> Result<Response<rpb::Runtime>, Refusal> {
        not_here()
    }

    async fn list_runtimes(
        &self,
        _: Request<rpb::ListRuntimesRequest>,
    ) -> Result<Response<rpb::ListRuntimesResponse>, Refusal> {
        let invented = Runtime { id: RuntimeId([66; 32]), ..descriptor() };
        let runtimes = vec![descriptor().to_pb(), invented.to_pb()];
        Ok(Response::new(rpb::ListRuntimesResponse { runtimes }))
    }

    async fn list_enclaves(
        &self,
        _: Request<rpb::ListEnclavesRequest>,
    ) -> Result<Response<rpb::ListEnclavesResponse>, Refusal> {
        // The second one is invented.
        let raks = [1_u8, 2].map(|n| vec![n; 32]);
        let enclaves = raks.map(|rak| rpb::RegisteredEnclave { rak, enclave: None }).to_vec();
        Ok(Response::new(rpb::ListEnclavesResponse { enclaves }))
    }

    async fn get_proposals(
        &self,
        _: Request<rpb::GetProposalsRequest>,
    ) -> Result<Response<rpb::GetProposalsResponse>, Refusal> {
        not_here()
    }
}

#[tonic::async_trait]
impl kpb::key_manager_service_server::KeyManagerService for Gateway {
    async fn get_status(
        &self,
        _: Request<kpb::GetStatusRequest>,
    ) -> Result<Response<kpb::Status>, Refusal> {
        not_here()
    }

    async fn get_runtime_public_key(
        &self,
        request: Request<kpb::GetRuntimePublicKeyRequest>,
    ) -> Result<Response<kpb::SignedRuntimePublicKey>, Refusal> {
        let asked = Epoch(request.into_inner().epoch);
        let lie = self.lie();
        let epoch = match lie {
            Lie::OldKey => Epoch(asked.0 - 1),
            Lie::FutureKey => asked.next(),
            _ => asked,
        };
        let checksum = if lie == Lie::OldGeneration { Hash([0x10; 32]) } else { GENERATION };
        let public_key = RuntimePublicKey {
            id: KEY_MANAGER,
            runtime_id: RUNTIME,
            epoch,
            key: secret(epoch).public(),
            checksum,
        }
        .encode();
        let signer = key(if lie == Lie::OwnKey { 61 } else { SIGNING });
        let context = self.chain.document.hash().unwrap();
        let signature = signer.sign(keymanager::PUBLIC_KEY_DOMAIN, &context, &public_key);
        Ok(Response::new(SignedRuntimePublicKey { public_key, signature }.to_pb()))
    }
}

type Receipts = Pin<Box<dyn Stream<Item = Result<ppb::Receipt, Refusal>> + Send>>;
type Rounds = Pin<Box<dyn Stream<Item = Result<ppb::Round, Refusal>> + Send>>;

#[tonic::async_trait]
impl ppb::para_time_service_server::ParaTimeService for Gateway {
    type SubmitStream = Receipts;
    type WatchRoundsStream = Rounds;

    async fn submit(&self, _: Request<ppb::SubmitRequest>) -> Result<Response<Receipts>, Refusal> {
        not_here()
    }

    async fn get_receipt(
        &self,
        _: Request<ppb::GetReceiptRequest>,
    ) -> Result<Response<ppb::Receipt>, Refusal> {
        not_here()
    }

    /// Answers as the enclave does, on the state that the gateway chooses for it.
    async fn query(
        &self,
        request: Request<ppb::QueryRequest>,
    ) -> Result<Response<ppb::QueryResponse>, Refusal> {
        let query = Query::decode(&request.into_inner().query, 100_000).unwrap();
        let Body::Envelope(envelope) = &query.body else { panic!("a plain query") };
        let epoch = self.epoch();
        let sender = query.signed.map(|(key, _)| key);
        let info = Info::query(query.chain_context, RUNTIME, epoch, sender.as_ref());
        let opened = open_call(&secret(epoch), &info, envelope).expect("sealed to the epoch's key");
        let roots = self.roots.lock().unwrap().clone();
        let (round, root) = match self.lie() {
            Lie::StaleAnswer => (roots.len() - 1, roots[roots.len() - 2]),
            Lie::InventedRoot => (roots.len(), Hash([0xee; 32])),
            Lie::InventedRound => (roots.len() + 1, Hash([0xee; 32])),
            _ => (roots.len(), roots[roots.len() - 1]),
        };
        let round = Round(round as u64);
        let output = Output::Ok(b"42".to_vec()).encode();
        let sealed = seal_reply(&opened.reply_key, &query.hash(), round, &root, &output);
        Ok(Response::new(ppb::QueryResponse {
            round: round.0,
            state_root: root.as_bytes().to_vec(),
            output: SealedReply { sealed }.encode(),
            height: 0,
        }))
    }

    async fn reveal(
        &self,
        _: Request<ppb::RevealRequest>,
    ) -> Result<Response<ppb::QueryResponse>, Refusal> {
        not_here()
    }

    async fn watch_rounds(
        &self,
        _: Request<ppb::WatchRoundsRequest>,
    ) -> Result<Response<Rounds>, Refusal> {
        not_here()
    }

    async fn get_round(
        &self,
        _: Request<ppb::GetRoundRequest>,
    ) -> Result<Response<ppb::Round>, Refusal> {
        not_here()
    }

    async fn prove_state(
        &self,
        request: Request<ppb::ProveStateRequest>,
    ) -> Result<Response<ppb::ProveStateResponse>, Refusal> {
        Ok(Response::new(self.prove(&request.into_inner())))
    }

    async fn get_headers(
        &self,
        request: Request<ppb::GetHeadersRequest>,
    ) -> Result<Response<ppb::GetHeadersResponse>, Refusal> {
        let ppb::GetHeadersRequest { from, to, .. } = request.into_inner();
        let headers = self.chain_of_headers(from, to).to_pb();
        Ok(Response::new(ppb::GetHeadersResponse { headers }))
    }

    async fn upload_code(
        &self,
        _: Request<ppb::UploadCodeRequest>,
    ) -> Result<Response<ppb::UploadCodeResponse>, Refusal> {
        not_here()
    }

    async fn get_code(
        &self,
        _: Request<ppb::GetCodeRequest>,
    ) -> Result<Response<ppb::GetCodeResponse>, Refusal> {
        not_here()
    }
}
