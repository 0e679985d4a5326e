//! An endorser's host in the hands of a test: everything that the owner of such a machine has. It follows the
//! chain and the ledger as a node does, by the node's own code, and runs the real enclave in a process of its
//! own. Then it shows that one what it likes.

use std::sync::{Arc, Mutex, PoisonError};

use e2e::{Refusal, account_key, binary, until};
use paralith::chain::{ChainAccess, Source};
use paralith::code::CodeStore;
use paralith::enclave::{Kind, Placement, RunningEnclave};
use paralith::genesis_info::GenesisInfo;
use paralith::keystore::read_key;
use paralith::links::endpoint::Trust;
use paralith::links::{NodeLinks, TlsNetwork};
use paralith::remote::RemoteChain;
use paralith::roles::registration::Identity;
use paralith::roles::{KeySource, Registrar, prove_freshness, start_call};
use paralith::state::Services;
use paralith_attest::{Claims, SoftwarePlatform};
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_endorser::calls::{Answered, Endorsed, EvaluateRequest};
use paralith_chaincode_endorser::{EndorserHost, HostError};
use paralith_chaincode_messages::Message as _;
use paralith_consensus_api::registry::{
    self, CapabilityTee, NodeRuntime, ROLE_APPLICATION, Runtime,
};
use paralith_consensus_api::roothash::{self, RuntimeState};
use paralith_crypto::SigningKey;
use paralith_proto::Canonical;
use paralith_rt::Handle;
use paralith_runtime_worker::{EnclaveError, Follower, FollowerHandle, HostStore};
use paralith_storage::Kv;
use paralith_tee_channel::{Failure, HostServices, Role};
use paralith_types::{Error, Hash, Height, RuntimeId};
use tokio_util::sync::CancellationToken;

use crate::net::Net;

/// What it shows its enclave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// The chain as it is.
    Truth,
    /// Consensus state of the height before the one that is asked for, with its proofs.
    OldState,
    /// A root of the ledger that nobody computed, with the proof of the true one.
    InventedRoot,
    /// No block above this height.
    NothingAbove(u64),
}

struct Shown {
    own: HostStore,
    ledger: RuntimeId,
    show: Mutex<Show>,
}

impl Shown {
    fn show(&self) -> Show {
        *self.show.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(error: EnclaveError) -> Failure {
    Failure { module: error.module, code: error.code, message: error.message }
}

impl HostServices for Shown {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        let show = self.show();
        let height = if show == Show::OldState { height - 1 } else { height };
        let (value, proof) = self.own.consensus_get(height, key).map_err(failure)?;
        if show != Show::InventedRoot || key != roothash::keys::runtime_state(&self.ledger) {
            return Ok((value, proof));
        }
        let mut state = RuntimeState::decode(&value.unwrap(), 1_000_000).unwrap();
        state.last_block.state_root = Hash([66; 32]);
        Ok((Some(state.encode()), proof))
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        let height = match self.show() {
            Show::NothingAbove(last) if height == 0 => last,
            Show::NothingAbove(last) if height > last => {
                return Err(Failure::new("host", 1, "there are no more blocks"));
            }
            _ => height,
        };
        self.own.light_block(height).map_err(failure)
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.own.state_node(round, id).map_err(failure)
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.own.state_value(round, key).map_err(failure)
    }

    fn log(&self, _text: &str) {}
}

/// The host of one application's enclave.
pub(crate) struct Host {
    application: RuntimeId,
    node: SigningKey,
    chain: Arc<ChainAccess>,
    links: Arc<NodeLinks>,
    services: Arc<Services>,
    registrar: Arc<Registrar>,
    enclave: Arc<EndorserHost>,
    shown: Arc<Shown>,
    follower: FollowerHandle,
    stop: CancellationToken,
}

impl Host {
    /// On a node of this organisation, registered and with its keys.
    pub(crate) async fn start(net: &Net, module: &[u8], organisation: &str) -> Self {
        let (folder, _) = net.admit(organisation);
        let text = std::fs::read_to_string(folder.join("genesis.json")).unwrap();
        let genesis = GenesisInfo::parse(&text).unwrap();
        let node = read_key(&folder.join("node.key")).unwrap();
        let stop = CancellationToken::new();
        let nodes = [net.node().to_string()];
        let remote = RemoteChain::start(&genesis, &nodes, &Trust::System, stop.clone()).unwrap();
        let chain = ChainAccess::new(Source::Remote(remote), genesis.context, node.clone());
        let links = NodeLinks::new(TlsNetwork::new(node.clone(), None), chain.clone());
        let application: RuntimeId = net.id.parse().unwrap();
        let runtime = until("the application is known", async || {
            chain.get::<Runtime>(&registry::keys::runtime(&application)).await.ok()?
        })
        .await;
        let ledger = net.client().await.definition.terms.ledger;
        let kv = Kv::memory();
        let (follower, _) =
            Follower::start(ledger, kv.clone(), chain.clone() as _, links.clone() as _);
        let own = HostStore::new(chain.clone(), kv.clone(), &ledger, Handle::current());
        let shown = Arc::new(Shown { own, ledger, show: Mutex::new(Show::Truth) });
        let start = start_call(&genesis, &node, &application, module.to_vec());
        let placement = Placement::Process { program: binary() };
        let (services, process) = (shown.clone(), Mutex::new(None::<RunningEnclave>));
        let launch = move || {
            let started = RunningEnclave::start(Kind::Endorser, &placement, services.clone(), None)
                .map_err(|e| HostError::Launch(e.to_string()))?;
            let client = started.client().clone();
            *process.lock().unwrap() = Some(started);
            Ok(client)
        };
        let code =
            CodeStore::new(kv.clone(), chain.clone(), Placement::Process { program: binary() });
        let identity = Identity {
            node: node.clone(),
            consensus: SigningKey::from_seed([95; 32]),
            entity: account_key(organisation).public(),
            roles: ROLE_APPLICATION,
            addresses: Vec::new(),
        };
        let host = Self {
            application,
            node,
            registrar: Registrar::new(chain.clone(), identity),
            services: Services::new(code),
            enclave: Arc::new(EndorserHost::new(application, kv, start, Box::new(launch))),
            chain,
            links,
            shown,
            follower,
            stop,
        };
        let platform = SoftwarePlatform::new(read_key(&folder.join("platform.key")).unwrap());
        host.register(net, &runtime, &platform).await;
        host.serve().await.unwrap();
        host
    }

    async fn register(&self, net: &Net, runtime: &Runtime, platform: &SoftwarePlatform) {
        let height = self.chain.height().unwrap();
        let claims = self.ask(move |enclave| enclave.attest(height)).await.unwrap();
        let claims = Claims::decode(&claims).unwrap();
        let evidence = platform.quote(&claims, &self.chain.chain_context());
        let tee = Some(CapabilityTee { rak: claims.rak, rek: claims.rek, evidence });
        let runtime_id = runtime.id;
        self.registrar.offer(NodeRuntime { runtime_id, tee, extra_info: Vec::new() });
        net.as_blocks_come("our node is registered", async || {
            self.registrar.pass().await.ok()?.then_some(())
        })
        .await;
    }

    /// Proves that the enclave sees the living chain, and fetches keys, if the chain is shown to it.
    pub(crate) async fn serve(&self) -> Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let (epoch, height) = (self.chain.epoch().await.unwrap(), self.chain.height().unwrap());
        self.ask(move |enclave| enclave.sync(height)).await.map_err(|e| format!("{e:?}"))?;
        let client = self.enclave.client().map_err(|e| text(&e))?;
        let (node, id) = (self.node.public(), self.application);
        prove_freshness(&self.chain, &node, Role::Runtime, &id, &client, height)
            .await
            .map_err(|e| text(&e))?;
        let (chain, links, services) = (&*self.chain, &*self.links, &*self.services);
        let source = KeySource { node, chain, links, services };
        source.fetch(&id, &client, epoch).await.map_err(|e| text(&e))
    }

    pub(crate) fn show(&self, show: Show) {
        *self.shown.show.lock().unwrap_or_else(PoisonError::into_inner) = show;
    }

    /// The newest block that it has.
    pub(crate) fn height(&self) -> u64 {
        self.chain.height().unwrap()
    }

    /// Waits until it has the ledger's state of a height.
    pub(crate) async fn reach(&self, height: Height) {
        let mut applied = self.follower.applied();
        until("our host has the ledger's state", async || {
            (applied.borrow_and_update().height >= height).then_some(())
        })
        .await;
    }

    /// Ends the enclave; the next call starts it again, with its identity.
    pub(crate) fn restart(&self) {
        self.enclave.close();
    }

    pub(crate) async fn endorse(&self, proposed: &Proposed) -> Result<Endorsed, Refusal> {
        let signed = proposed.signed.encode();
        self.ask(move |enclave| enclave.endorse(signed)).await
    }

    pub(crate) async fn evaluate(&self, request: EvaluateRequest) -> Result<Answered, Refusal> {
        self.ask(move |enclave| enclave.evaluate(request)).await
    }

    pub(crate) async fn release(&self, response: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        self.ask(move |enclave| enclave.release(response)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&EndorserHost) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let enclave = Arc::clone(&self.enclave);
        let asked = tokio::task::spawn_blocking(move || ask(&enclave)).await.unwrap();
        asked.map_err(|error| {
            let error = Error::from(error);
            (error.module, error.code)
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
        self.follower.stop();
        self.enclave.close();
    }
}
