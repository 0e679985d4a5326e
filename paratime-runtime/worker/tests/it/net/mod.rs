//! Workers in one process: real workers, stores and signatures, and the real application; links in
//! memory; an enclave that computes real roots.

mod chain;
mod enclave;
mod links;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paralith_adversary::{Misbehaviour, misbehave};
use paralith_crypto::ed25519::SigningKey;
use paralith_proto::Canonical;
use paralith_proto::pb::paratime::v1::Receipt;
use paralith_rt::JoinHandle;
use paralith_runtime_api::tx::{self, Body, Call, Transaction};
use paralith_runtime_worker::{
    Admitted, Connections, PoolLimits, Worker, WorkerConfig, WorkerHandle,
};
use paralith_storage::Kv;
use paralith_types::{Amount, Hash, PublicKey};

pub(crate) use chain::{NodeChain, RUNTIME, TestChain};
pub(crate) use enclave::FakeEnclave;
pub(crate) use links::{Net, Sent};

pub(crate) struct Node {
    pub(crate) key: SigningKey,
    pub(crate) kv: Kv,
    pub(crate) handle: WorkerHandle,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) struct Cluster {
    pub(crate) chain: Arc<TestChain>,
    pub(crate) net: Arc<Net>,
    pub(crate) nodes: BTreeMap<usize, Node>,
    ticker: Option<JoinHandle<()>>,
    state_kept_blocks: Option<u64>,
}

pub(crate) fn key(index: usize) -> SigningKey {
    SigningKey::from_seed([index as u8 + 1; 32])
}

pub(crate) fn id(index: usize) -> PublicKey {
    key(index).public()
}

/// The rules, and who misbehaves. The nodes 0, 1 and 2 are the workers of the first epoch, 3, 4 and 5
/// the backups.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) epoch_blocks: u64,
    pub(crate) stragglers: u32,
    pub(crate) faults: Vec<(usize, Misbehaviour)>,
    pub(crate) propose_timeout_ms: u32,
    pub(crate) state_kept_blocks: Option<u64>,
}

impl Setup {
    /// One long epoch.
    pub(crate) fn three() -> Self {
        Self { epoch_blocks: 1_000_000, propose_timeout_ms: 400, ..Self::default() }
    }

    pub(crate) fn with(mut self, node: usize, fault: Misbehaviour) -> Self {
        self.faults.push((node, fault));
        self
    }

    pub(crate) fn stragglers(mut self, stragglers: u32) -> Self {
        self.stragglers = stragglers;
        self
    }
}

impl Cluster {
    /// Starts every member and the chain's blocks.
    pub(crate) fn start(setup: &Setup) -> Self {
        let mut cluster = Self::stopped(setup);
        for index in 0..6 {
            let fault = setup.faults.iter().find(|(node, _)| *node == index);
            cluster.start_node(index, fault.map(|(_, fault)| *fault));
        }
        cluster.run();
        cluster
    }

    /// Nobody runs, and the chain stands still.
    pub(crate) fn stopped(setup: &Setup) -> Self {
        let chain = Arc::new(TestChain::new(setup));
        let state_kept_blocks = setup.state_kept_blocks;
        Self { chain, net: Arc::default(), nodes: BTreeMap::new(), ticker: None, state_kept_blocks }
    }

    /// Lets the chain make blocks.
    pub(crate) fn run(&mut self) {
        let chain = Arc::clone(&self.chain);
        self.ticker = Some(paralith_rt::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(25)).await;
                chain.advance();
            }
        }));
    }

    /// Stops the chain's blocks.
    pub(crate) fn pause(&mut self) {
        if let Some(ticker) = self.ticker.take() {
            ticker.abort();
        }
    }

    pub(crate) fn start_node(&mut self, index: usize, how: Option<Misbehaviour>) {
        self.start_with(index, how, Kv::memory(), 0);
    }

    /// Starts a node on a store; `salt` changes what its enclave computes.
    pub(crate) fn start_with(&mut self, index: usize, how: Option<Misbehaviour>, kv: Kv, salt: u8) {
        let key = key(index);
        let config = WorkerConfig {
            runtime_id: RUNTIME,
            node_key: key.clone(),
            chain_context: self.chain.context(),
            kv: kv.clone(),
            pool: PoolLimits::default(),
            peers: Vec::new(),
            state_kept_blocks: self.state_kept_blocks,
        };
        let honest = Connections {
            chain: NodeChain::of(&self.chain, index),
            links: self.net.links_of(key.public()),
            enclave: Arc::new(FakeEnclave::new(Arc::clone(&self.chain), kv.clone(), salt)),
        };
        let connections = match how {
            Some(how) => misbehave(how, &config, honest),
            None => honest,
        };
        let (handle, task) = Worker::start(config, connections);
        self.net.join(key.public(), handle.clone());
        self.nodes.insert(index, Node { key, kv, handle, task });
    }

    /// Ends a node as a power cut would, and gives its disk.
    pub(crate) async fn kill(&mut self, index: usize) -> Kv {
        let node = self.nodes.remove(&index).unwrap();
        self.net.leave(&node.key.public());
        node.task.abort();
        let _ = node.task.await;
        node.kv
    }

    /// A signed transaction of a user.
    pub(crate) fn transfer(&self, user: u8, nonce: u64) -> Vec<u8> {
        let call = Call { method: "transfer".into(), args: vec![user] };
        let transaction = Transaction {
            version: tx::VERSION,
            chain_context: self.chain.context(),
            runtime_id: RUNTIME,
            nonce,
            fee: Amount(0),
            gas_limit: 10,
            body: Body::Call(call),
        };
        transaction.sign(&SigningKey::from_seed([100 + user; 32])).encode()
    }

    pub(crate) fn handle(&self, index: usize) -> &WorkerHandle {
        &self.nodes[&index].handle
    }

    /// Submits a transaction to a node, until it takes it.
    pub(crate) async fn submit(&self, index: usize, raw: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let outputs = self.handle(index).submit_transactions(None, vec![raw.to_vec()]).await;
            match code_of(&outputs[0]) {
                None | Some(2 | 3) => return,
                Some(_) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Some(code) => panic!("refused with {code}"),
            }
        }
    }

    /// Waits for a final receipt at a node.
    pub(crate) async fn receipt(&self, index: usize, raw: &[u8]) -> Receipt {
        let hash = tx::hash_of(raw);
        let handle = self.handle(index).clone();
        let chain = Arc::clone(&self.chain);
        until(
            || format!("a receipt at {index}: {:?}\n{}", handle.status(), chain.describe()),
            || handle.receipt(&hash).unwrap(),
        )
        .await
    }

    /// Submits one transaction after the other, each final before the next, until `done`.
    pub(crate) async fn rounds_until(&self, at: usize, done: impl Fn(&TestChain) -> bool) {
        for nonce in 0..30 {
            if done(&self.chain) {
                return;
            }
            let raw = self.transfer(9, nonce);
            self.submit(at, &raw).await;
            self.receipt(at, &raw).await;
        }
        panic!("thirty rounds were not enough\n{}", self.chain.describe());
    }
}

/// Polls until there is a value. The deadline is only there to fail instead of hanging.
pub(crate) async fn until<T>(what: impl Fn() -> String, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {}", what());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The code of a refusal.
pub(crate) fn code_of(result: &Admitted) -> Option<u32> {
    result.as_ref().err().map(|error| error.code)
}

pub(crate) fn hash_of(raw: &[u8]) -> Hash {
    tx::hash_of(raw)
}

const PATIENCE: Duration = Duration::from_secs(60);
