//! A compute node's host in the hands of a test.
//!
//! The network's last compute node is started by `localnet` as a node that computes nothing
//! ([`prepare`]). Its key, and with it everything that the owner of such a machine has, is the
//! test's: [`Host`] follows the chain over the validators' public services, starts the real enclave
//! in a process of its own, has it attested and registered, fetches its keys from the key
//! managers and final rounds from the other compute nodes, all by the node's own code. Then it does
//! what it likes: it has any batch executed, and shows its enclave any tree.

mod fork;
mod node;
mod shown;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use e2e::{Localnet, Refusal, account_key, binary, until};
use paralith::chain::{ChainAccess, Source};
use paralith::client::Sent;
use paralith::code::CodeStore;
use paralith::enclave::{Kind, Placement, RunningEnclave};
use paralith::error::NodeError;
use paralith::genesis_info::GenesisInfo;
use paralith::keystore::read_key;
use paralith::links::endpoint::Trust;
use paralith::links::{NodeLinks, TlsNetwork};
use paralith::remote::RemoteChain;
use paralith::roles::registration::Identity;
use paralith::roles::{KeySource, Registrar, StartInput, attest_and_start, prove_freshness};
use paralith::state::Services;
use paralith_attest::SoftwarePlatform;
use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::keymanager::{RuntimePublicKey, SignedRuntimePublicKey};
use paralith_consensus_api::registry::{NodeRuntime, ROLE_COMPUTE, Runtime};
use paralith_consensus_api::roothash::{
    self, Header, HeaderType, ProposalHeader, RuntimeState, batch_hash,
};
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_crypto::SigningKey;
use paralith_proto::pb::keymanager::v1 as kpb;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::{Canonical, Wire};
use paralith_rt::Handle;
use paralith_runtime_api::envelope::{Info, open_reply, seal_call};
use paralith_runtime_api::output::{Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{Body, Call as UserCall};
use paralith_runtime_worker::round::{ChainSnapshot, config_of};
use paralith_runtime_worker::{HostStore, Links as _};
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_tee_channel::{BoundaryError, Recorder, Role, pb};
use paralith_types::{Epoch, Hash, Height, PublicKey, Round};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use fork::{Fork, Stand};
pub(crate) use node::{OURS, SHAPE, prepare};
use node::{PORTS_A_NODE, address, ours, peers};
use shown::Shown;

/// Blocks that an epoch must have left when a test begins to fork: the next one ends the round.
const ROOM_BLOCKS: u64 = 20;

const REPLY_KEY: [u8; 32] = [44; 32];

/// Our node's host, for one ParaTime.
pub(crate) struct Host {
    /// The ParaTime.
    pub(crate) runtime: Runtime,
    node_key: SigningKey,
    chain: Arc<ChainAccess>,
    links: Arc<NodeLinks>,
    registrar: Arc<Registrar>,
    services: Arc<Services>,
    enclave: RunningEnclave,
    shown: Arc<Shown>,
    /// Every byte that passed between us and our enclave.
    seen: Arc<Mutex<Vec<u8>>>,
    keyed: Mutex<Option<Epoch>>,
    tree: Tree,
    /// Write logs of the final rounds.
    applied: Mutex<BTreeMap<u64, Changes>>,
    next_round: Mutex<u64>,
    stop: CancellationToken,
}

impl Host {
    /// Takes the node over and starts its enclave for a ParaTime.
    pub(crate) async fn start(net: &Localnet, name: &str) -> Self {
        let (home, (index, member)) = (net.home(), ours());
        let text = std::fs::read_to_string(home.join("genesis.json")).unwrap();
        let genesis = GenesisInfo::parse(&text).unwrap();
        let node_key = read_key(&home.join(OURS).join("node.key")).unwrap();
        let platform = SoftwarePlatform::new(read_key(&home.join("platform.key")).unwrap());
        let stop = CancellationToken::new();
        let nodes = net.nodes();
        let validators = nodes.iter().filter(|node| node.name.starts_with("validator"));
        let validators: Vec<String> = validators.map(|node| node.endpoint.clone()).collect();
        let remote =
            RemoteChain::start(&genesis, &validators, &Trust::System, stop.clone()).unwrap();
        let chain = ChainAccess::new(Source::Remote(remote), genesis.context, node_key.clone());
        let links = NodeLinks::new(TlsNetwork::new(node_key.clone(), None), chain.clone());
        let runtime = until("the ParaTime is known", async || {
            let all = chain.runtimes(None).await.ok()?;
            all.into_iter().find(|runtime| runtime.name == name)
        })
        .await;

        // The network's modules lie in the folder of every compute node.
        let module = format!("data/modules/{}.wasm", runtime.code.as_ref().unwrap().id);
        let module = std::fs::read(home.join(OURS).join(module)).unwrap();
        let kv = Kv::memory();
        let own = HostStore::new(chain.clone(), kv.clone(), &runtime.id, Handle::current());
        let shown = Arc::new(Shown { own, instead: Mutex::default() });
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let recorder: Recorder = seen.clone();
        let placement = Placement::Process { program: binary() };
        let enclave =
            RunningEnclave::start(Kind::Runtime, &placement, shown.clone(), Some(recorder));
        let enclave = enclave.unwrap();
        let input = StartInput {
            genesis: &genesis,
            node: &node_key,
            runtime_id: runtime.id,
            code: module,
            sealed: None,
            platform: Some(&platform),
        };
        let height = chain.height().unwrap();
        let start = || attest_and_start(enclave.client(), Role::Runtime, height, input);
        let attested = tokio::task::block_in_place(start);
        // At its address nobody answers: this member says nothing to the others.
        let base = nodes.iter().find(|node| node.name == OURS).unwrap();
        let port: u16 = base.endpoint.rsplit(':').next().unwrap().parse().unwrap();
        let links_at = SocketAddr::from(([127, 0, 0, 1], port + 1));
        assert_eq!(links_at, address(port - (index + 1) * PORTS_A_NODE, index, 1));
        let identity = Identity {
            node: node_key.clone(),
            consensus: member.consensus_key.clone(),
            entity: member.entity,
            roles: ROLE_COMPUTE,
            addresses: vec![links_at.to_string()],
        };
        let registrar = Registrar::new(chain.clone(), identity);
        registrar.offer(NodeRuntime {
            runtime_id: runtime.id,
            tee: attested.unwrap().capability,
            extra_info: Vec::new(),
        });
        // Without it there is no committee, and nobody's calls are taken.
        let mut last = String::new();
        until("our node is registered", async || {
            let passed = registrar.pass().await;
            let text = format!("{passed:?}");
            if text != last {
                println!("registering our node: {text}");
                last = text;
            }
            passed.ok()?.then_some(())
        })
        .await;
        Self {
            tree: Tree::new(kv.clone(), runtime.id.as_bytes()),
            services: Services::new(CodeStore::new(
                kv,
                chain.clone(),
                Placement::Process { program: binary() },
            )),
            keyed: Mutex::default(),
            applied: Mutex::default(),
            next_round: Mutex::new(1),
            runtime,
            node_key,
            chain,
            links,
            registrar,
            enclave,
            shown,
            seen,
            stop,
        }
    }

    fn node_id(&self) -> PublicKey {
        self.node_key.public()
    }

    /// Waits for an epoch in which our node is a worker, and brings its enclave and its tree
    /// to where the chain is.
    pub(crate) async fn stand(&self) -> Stand {
        let mut why = String::new();
        until("our node is a worker that has keys and state", async || {
            let stand = self.try_to_stand().await;
            let reason = match stand {
                Ok(stand) => return Some(stand),
                Err(reason) => reason,
            };
            if reason != why {
                println!("not yet: {reason}");
                why = reason;
            }
            None
        })
        .await
    }

    async fn try_to_stand(&self) -> Result<Stand, String> {
        let text = |error: NodeError| error.to_string();
        let id = self.runtime.id;
        if !self.registrar.pass().await.map_err(text)? {
            return Err("it is not registered".to_string());
        }
        let epoch: EpochState = self.chain.require(&beacon::keys::epoch()).await.map_err(text)?;
        let committee: Option<Committee> =
            self.chain.get(&scheduler::keys::committee(&id)).await.map_err(text)?;
        let committee = committee.filter(|one| one.epoch == epoch.epoch);
        let committee = committee.ok_or("there is no committee")?;
        if !committee.workers.contains(&self.node_id()) {
            return Err(format!("it is no worker in epoch {}", epoch.epoch));
        }
        let height = self.chain.height().map_err(text)?;
        if height + ROOM_BLOCKS > epoch.next_height.0 {
            return Err("the epoch is about to end".to_string());
        }
        self.get_keys(epoch.epoch).await?;
        let state = self.catch_up().await?;
        let height = self.chain.height().map_err(text)?;
        let synced = self.call(Call::Sync(pb::Sync { height })).await;
        let Ok(Reply::Synced(synced)) = synced else { return Err(format!("{synced:?}")) };
        if !synced.has_keys {
            *lock(&self.keyed) = None;
            return Err("its enclave has no keys".to_string());
        }
        let (rank, epoch) = (self.rank(height, epoch.clone(), committee, &state)?, epoch.epoch);
        let header = ProposalHeader {
            runtime_id: id,
            round: state.last_block.round.next(),
            previous_hash: state.last_block.hash(),
            rank,
            consensus_height: Height(height),
            batch_hash: Hash::ZERO,
        };
        Ok(Stand { state, epoch, header })
    }

    /// Our rank among the round's schedulers.
    fn rank(
        &self,
        height: u64,
        epoch: EpochState,
        committee: Committee,
        state: &RuntimeState,
    ) -> Result<u64, String> {
        let snapshot = ChainSnapshot {
            height,
            epoch,
            state: state.clone(),
            skipped: state.skipped.clone(),
            committee: Some(committee),
            executor: self.runtime.executor.clone(),
            batching: self.runtime.batching.clone(),
            max_tx_gas: self.runtime.max_tx_gas,
            forced: false,
            ready: true,
        };
        let order = config_of(&snapshot).ok_or("the committee is not complete")?;
        let order = order.scheduler_order();
        let rank = order.iter().position(|signer| signer.0 == self.node_id().0);
        Ok(u64::try_from(rank.ok_or("it is barred from proposing")?).unwrap())
    }

    /// As any compute node does in each epoch: freshness first, then keys.
    async fn get_keys(&self, epoch: Epoch) -> Result<(), String> {
        if *lock(&self.keyed) == Some(epoch) {
            return Ok(());
        }
        let (text, client) = (|error: NodeError| error.to_string(), self.enclave.client());
        let height = self.chain.height().map_err(text)?;
        self.call(Call::Sync(pb::Sync { height })).await.map_err(|e| format!("{e:?}"))?;
        let role = Role::Runtime;
        prove_freshness(&self.chain, &self.node_id(), role, &self.runtime.id, client, height)
            .await
            .map_err(text)?;
        let (chain, links, services) = (&*self.chain, &*self.links, &*self.services);
        let source = KeySource { node: self.node_id(), chain, links, services };
        source.fetch(&self.runtime.id, client, epoch).await.map_err(text)?;
        *lock(&self.keyed) = Some(epoch);
        Ok(())
    }

    /// Applies every final round, as other compute nodes give it, if it leads to the root that the
    /// chain has.
    pub(crate) async fn catch_up(&self) -> Result<RuntimeState, String> {
        let id = self.runtime.id;
        let state: RuntimeState = self
            .chain
            .require(&roothash::keys::runtime_state(&id))
            .await
            .map_err(|e| e.to_string())?;
        let next = *lock(&self.next_round);
        for round in next..=state.last_block.round.0 {
            let header: Option<Header> = if round == state.last_block.round.0 {
                Some(state.last_block.clone())
            } else {
                let header = self.chain.get(&roothash::keys::header(&id, Round(round))).await;
                header.map_err(|e| e.to_string())?
            };
            if let Some(header) = header.filter(|one| one.header_type == HeaderType::Normal) {
                let data = self.round(&header).await?;
                let changes: Changes =
                    data.changes.into_iter().map(|one| (one.key, one.value)).collect();
                let root = commit(&self.tree, round, &changes);
                assert_eq!(root, header.state_root, "round {round}");
                lock(&self.applied).insert(round, changes);
            }
            *lock(&self.next_round) = round + 1;
        }
        Ok(state)
    }

    /// A final round of another compute node, whichever has it.
    async fn round(
        &self,
        header: &Header,
    ) -> Result<paralith_proto::pb::worker::v1::RoundData, String> {
        let mut last = "nobody computes".to_string();
        for (name, peer) in peers() {
            match self.links.fetch_round(peer, self.runtime.id, header.round).await {
                Ok(data) => return Ok(data),
                Err(error) => last = format!("{name}: {error}"),
            }
        }
        Err(last)
    }

    /// Has a batch executed, proposed as the next round by our node.
    pub(crate) async fn execute(&self, stand: &Stand, batch: &[&Sent]) -> Result<Fork, Refusal> {
        let hashes: Vec<Hash> = batch.iter().map(|sent| sent.hash).collect();
        let header = ProposalHeader { batch_hash: batch_hash(&hashes), ..stand.header.clone() };
        self.execute_proposal(header, batch).await
    }

    /// Has a batch executed as this proposal. Our node signs it: which worker does is no part of it.
    pub(crate) async fn execute_proposal(
        &self,
        header: ProposalHeader,
        batch: &[&Sent],
    ) -> Result<Fork, Refusal> {
        let proposal = header.sign(&self.node_key, &self.chain.chain_context());
        let call = Call::Execute(pb::Execute {
            proposal: Some(proposal.to_pb()),
            transactions: batch.iter().map(|sent| sent.raw.clone()).collect(),
        });
        match self.call(call).await? {
            Reply::Executed(executed) => Ok(Fork { header, executed }),
            other => panic!("{other:?}"),
        }
    }

    /// Asks to open a fork's outputs as those of a round.
    pub(crate) async fn release(
        &self,
        round: Round,
        fork: &Fork,
    ) -> Result<Vec<ppb::OpenedOutput>, Refusal> {
        let (leaves, outputs) = (fork.executed.leaves.clone(), fork.executed.outputs.clone());
        match self.call(Call::Release(pb::Release { round: round.0, leaves, outputs })).await? {
            Reply::Released(released) => Ok(released.outputs),
            other => panic!("{other:?}"),
        }
    }

    /// Asks to reveal what a round asked for.
    pub(crate) async fn reveal(&self, round: Round, handle: &[u8]) -> Result<pb::Answer, Refusal> {
        let reveal = pb::Reveal { round: round.0, handle: handle.to_vec() };
        match self.call(Call::Reveal(reveal)).await? {
            Reply::Answer(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    /// Shows the enclave the tree that a fork leads to, until [`Host::show_final`].
    pub(crate) fn show(&self, fork: &Fork) {
        let (round, kv) = (fork.header.round.0, Kv::memory());
        let tree = Tree::new(kv.clone(), self.runtime.id.as_bytes());
        for (before, changes) in lock(&self.applied).range(..round) {
            commit(&tree, *before, changes);
        }
        let root = commit(&tree, round, &fork.changes());
        assert_eq!(root.as_bytes(), fork.state_root(), "the write log leads to the signed root");
        let store = HostStore::new(self.chain.clone(), kv, &self.runtime.id, Handle::current());
        *lock(&self.shown.instead) = Some((round, store));
    }

    /// Shows the enclave the final state again.
    pub(crate) fn show_final(&self) {
        *lock(&self.shown.instead) = None;
    }

    /// Asks our own enclave, as a user who is in league with its host.
    pub(crate) async fn ask(
        &self,
        net: &Localnet,
        who: &str,
        method: &str,
        args: &Value,
    ) -> Result<Value, Refusal> {
        until("our enclave has the epoch's keys", async || {
            self.get_keys(self.chain.epoch().await.ok()?).await.ok()
        })
        .await;
        let height = self.chain.height().unwrap();
        self.call(Call::Sync(pb::Sync { height })).await?;
        let (epoch, key) = self.epoch_key(net).await;
        let (chain_context, runtime_id) = (self.chain.chain_context(), self.runtime.id);
        let user = account_key(who);
        let info = Info::query(chain_context, runtime_id, epoch, Some(&user.public()));
        let call = UserCall { method: method.to_string(), args: args.to_string().into_bytes() };
        let envelope = seal_call(&key, &info, call, REPLY_KEY, [9; 32]).unwrap();
        let body = Body::Envelope(envelope);
        let query = Query { chain_context, runtime_id, body, signed: None }.sign(&user);
        let run = pb::RunQuery { query: Some(query.to_pb()) };
        let answer = match self.call(Call::RunQuery(run)).await? {
            Reply::Answer(answer) => answer,
            other => panic!("{other:?}"),
        };
        let root = Hash::try_from(answer.state_root.as_slice()).unwrap();
        let reply = SealedReply::decode(&answer.output, 100_000).unwrap();
        let place = (&query.hash(), Round(answer.round));
        let opened = open_reply(&REPLY_KEY, place.0, place.1, &root, &reply.sealed).unwrap();
        match Output::decode(&opened, 100_000).unwrap() {
            Output::Ok(value) => Ok(serde_json::from_slice(&value).unwrap()),
            Output::Error(error) => Err((error.module, error.code)),
        }
    }

    async fn epoch_key(&self, net: &Localnet) -> (Epoch, paralith_types::X25519PublicKey) {
        use kpb::key_manager_service_client::KeyManagerServiceClient;
        let mut service = KeyManagerServiceClient::connect(net.gateway()).await.unwrap();
        let request = kpb::GetRuntimePublicKeyRequest {
            runtime_id: self.runtime.id.as_bytes().to_vec(),
            epoch: 0,
            newest: true,
        };
        let signed = service.get_runtime_public_key(request).await.unwrap().into_inner();
        let signed = SignedRuntimePublicKey::from_pb(signed).unwrap();
        let key = RuntimePublicKey::decode(&signed.public_key, 1024).unwrap();
        (key.epoch, key.key)
    }

    /// A final round's opened outputs as each other compute node has them.
    pub(crate) async fn opened_by_peers(
        &self,
        round: Round,
    ) -> Vec<(String, Vec<ppb::OpenedOutput>)> {
        let mut all = Vec::new();
        for (name, peer) in peers() {
            let outputs = until(&format!("{name} has round {round} open"), async || {
                let data = self.links.fetch_round(peer, self.runtime.id, round).await.ok()?;
                (data.outputs.len() == data.leaves.len()).then_some(data.outputs)
            })
            .await;
            all.push((name, outputs));
        }
        all
    }

    /// How much has passed between us and our enclave until now.
    pub(crate) fn mark(&self) -> usize {
        lock(&self.seen).len()
    }

    /// Whether these bytes have passed between us and our enclave since then.
    pub(crate) fn has_seen(&self, since: usize, needle: &str) -> bool {
        lock(&self.seen)[since..].windows(needle.len()).any(|bytes| bytes == needle.as_bytes())
    }

    async fn call(&self, call: Call) -> Result<Reply, Refusal> {
        let client = self.enclave.client().clone();
        let called = tokio::task::spawn_blocking(move || client.call(call)).await.unwrap();
        called.map_err(|error| match error {
            BoundaryError::Failure(failure) => (failure.module, failure.code),
            other => panic!("{other}"),
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn commit(tree: &Tree, round: u64, changes: &Changes) -> Hash {
    let base = tree.latest().unwrap().map(|(version, _)| version);
    let prepared = tree.prepare(base, round, changes).unwrap();
    let root = prepared.root();
    tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
    root
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
