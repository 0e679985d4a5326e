//! The consensus layer as this node uses it: typed reads, and transactions signed as this node.
//!
//! The chain is known from this node's own engine, or from full nodes of which nothing is believed
//! ([`crate::remote`]). Reads are of the newest state that a header proves: the one before the last
//! block.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_consensus_abci::BlockEvent;
use paralith_consensus_api::tx::{Body, Fee, SignedTransaction, Transaction};
use paralith_consensus_api::{address, beacon, consensus, registry, staking};
use paralith_consensus_app::{Proven, TxOutcome};
use paralith_consensus_engine::{Engine, EngineError};
use paralith_consensus_light::LightBlock;
use paralith_crypto::SigningKey;
use paralith_proto::Canonical;
use paralith_runtime_worker::{Chain, ChainBlock, ChainError};
use paralith_storage::{MAX_VALUE_BYTES, StateRead as _};
use paralith_types::{Amount, ChainContext, Epoch, Error, Hash, Height, PublicKey, Retry};
use tokio::sync::{Mutex, broadcast};

use crate::error::NodeError;
use crate::remote::RemoteChain;

/// Gas that a node's own transactions allow.
const GAS_LIMIT: u64 = 10_000_000;

/// How often a transaction is signed again when its nonce was taken meanwhile.
const SUBMIT_TRIES: u32 = 5;

/// How long to wait before a transaction is signed again.
const RESUBMIT_PAUSE: Duration = Duration::from_millis(10);

/// Blocks that a slow listener may fall behind before it loses some; it reads state anyway.
const BLOCKS_QUEUED: usize = 256;

/// Entries of one listing.
const MAX_LISTED: usize = 100_000;

/// Where the chain is known from.
#[derive(Debug, Clone)]
pub enum Source {
    /// This node's own engine.
    Engine(Arc<dyn Engine>),
    /// Full nodes, verified.
    Remote(Arc<RemoteChain>),
}

impl Source {
    fn subscribe(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        match self {
            Self::Engine(engine) => engine.subscribe(),
            Self::Remote(remote) => remote.subscribe(),
        }
    }

    fn committed(&self) -> u64 {
        match self {
            Self::Engine(engine) => engine.status().committed.height.0,
            Self::Remote(remote) => remote.height(),
        }
    }

    async fn submit(&self, raw: Vec<u8>) -> Result<TxOutcome, NodeError> {
        match self {
            Self::Engine(engine) => engine.submit(raw).await.map_err(|e| engine_error(&e)),
            Self::Remote(remote) => remote.submit(raw).await,
        }
    }

    async fn query(&self, height: Option<Height>, key: &[u8]) -> Result<Proven, NodeError> {
        match self {
            Self::Engine(engine) => engine.query(height, key).map_err(|e| engine_error(&e)),
            Self::Remote(remote) => remote.query(height, key).await,
        }
    }

    async fn light_block(&self, height: Option<Height>) -> Result<LightBlock, NodeError> {
        match self {
            Self::Engine(engine) => engine.light_block(height).await.map_err(|e| engine_error(&e)),
            Self::Remote(remote) => remote.light_block(height).await,
        }
    }

    async fn scan(&self, height: Height, prefix: &[u8]) -> Result<Vec<Vec<u8>>, NodeError> {
        match self {
            Self::Engine(engine) => {
                let state = engine.state(Some(height)).map_err(|e| engine_error(&e))?;
                let found =
                    state.scan(prefix, None, MAX_LISTED).map_err(|e| NodeError::internal(&e))?;
                Ok(found.into_iter().map(|(_, value)| value).collect())
            }
            Self::Remote(remote) => remote.list(height, prefix).await,
        }
    }
}

/// The consensus layer as this node uses it.
pub struct ChainAccess {
    source: Source,
    chain_context: ChainContext,
    signer: SigningKey,
    /// The nonce after the newest transaction that was submitted, if that is not in state yet.
    next_nonce: Mutex<Option<u64>>,
    blocks: broadcast::Sender<ChainBlock>,
}

impl std::fmt::Debug for ChainAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainAccess")
    }
}

impl ChainAccess {
    /// Over a source, signing with this node's key.
    pub fn new(source: Source, chain_context: ChainContext, signer: SigningKey) -> Arc<Self> {
        let (blocks, _) = broadcast::channel(BLOCKS_QUEUED);
        let access = Arc::new(Self {
            blocks: blocks.clone(),
            next_nonce: Mutex::new(None),
            chain_context,
            signer,
            source,
        });
        let mut events = access.source.subscribe();
        paralith_rt::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(block) => {
                        for (hash, outcome) in block.txs.iter().filter(|(_, o)| o.code != 0) {
                            let TxOutcome { module, code, message, .. } = outcome;
                            tracing::debug!(%hash, module, code, message, "a transaction failed");
                        }
                        // Nobody listening is fine.
                        let _ = blocks.send(woken(&block));
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        access
    }

    /// Where the chain is known from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The chain.
    pub fn chain_context(&self) -> ChainContext {
        self.chain_context
    }

    /// Committed blocks with their results, from now on.
    pub fn subscribe_results(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.source.subscribe()
    }

    /// The newest committed height.
    pub fn committed(&self) -> u64 {
        self.source.committed()
    }

    /// What a block gave; none if this node, or the full node that it asked, does not have it. Of a
    /// full node it is its word.
    pub async fn results(&self, height: u64) -> Result<Option<BlockEvent>, NodeError> {
        match &self.source {
            Source::Engine(engine) => engine.results(Height(height)).map_err(|e| engine_error(&e)),
            Source::Remote(remote) => remote.results(height).await,
        }
    }

    /// The lowest height whose results this node keeps.
    pub fn results_from(&self) -> Result<Option<Height>, NodeError> {
        match &self.source {
            Source::Engine(engine) => engine.results_from().map_err(|e| engine_error(&e)),
            Source::Remote(_) => Ok(None),
        }
    }

    /// What a transaction in a block gave, and the block's height; none as for [`Self::results`].
    pub async fn transaction(&self, hash: &Hash) -> Result<Option<(Height, TxOutcome)>, NodeError> {
        match &self.source {
            Source::Engine(engine) => engine.transaction(hash).map_err(|e| engine_error(&e)),
            Source::Remote(remote) => remote.transaction(hash).await,
        }
    }

    /// Admits a transaction of anybody's.
    pub async fn submit_raw(&self, raw: Vec<u8>) -> Result<TxOutcome, NodeError> {
        self.source.submit(raw).await
    }

    /// The gas that an unsigned transaction would use on the newest state.
    pub async fn estimate_gas(
        &self,
        sender: PublicKey,
        transaction: Vec<u8>,
    ) -> Result<u64, NodeError> {
        let engine = match &self.source {
            Source::Engine(engine) => engine,
            Source::Remote(remote) => return remote.estimate_gas(sender, transaction).await,
        };
        let newest = self.light(None).await?;
        let next = (newest.height().next(), newest.time_seconds());
        let state = engine.state(None).map_err(|e| engine_error(&e))?;
        let chain = self.chain_context;
        let estimate = paralith_rt::blocking(move || {
            paralith_consensus_app::estimate_gas(&state, &chain, next, sender, &transaction)
        });
        let estimated = estimate.await.map_err(|e| NodeError::internal(&e))?;
        estimated.map_err(|error| NodeError::Refused(error.to_wire()))
    }

    /// The newest height whose state a header proves.
    pub fn height(&self) -> Result<u64, NodeError> {
        match self.source.committed() {
            0 | 1 => {
                Err(NodeError::NotReady { reason: "the chain has no proven state yet".to_string() })
            }
            height => Ok(height - 1),
        }
    }

    /// A value with its proof, at a height or the newest.
    pub async fn proven_at(&self, height: Option<u64>, key: &[u8]) -> Result<Proven, NodeError> {
        let height = match height {
            Some(height) => height,
            None => self.height()?,
        };
        self.source.query(Some(Height(height)), key).await
    }

    /// The light block of a height, or the newest.
    pub async fn light(&self, height: Option<u64>) -> Result<LightBlock, NodeError> {
        let height = height.unwrap_or_else(|| self.source.committed());
        self.source.light_block(Some(Height(height))).await
    }

    /// The bytes under a key, at a height or the newest.
    pub async fn get_raw(
        &self,
        height: Option<u64>,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, NodeError> {
        Ok(self.proven_at(height, key).await?.value)
    }

    /// The bytes under a key of the newest state, and its height.
    pub async fn get_newest(&self, key: &[u8]) -> Result<(u64, Option<Vec<u8>>), NodeError> {
        let proven = self.proven_at(None, key).await?;
        Ok((proven.height.0, proven.value))
    }

    /// A value, at a height or the newest.
    pub async fn get_at<T: Canonical>(
        &self,
        height: Option<u64>,
        key: &[u8],
    ) -> Result<Option<T>, NodeError> {
        match self.get_raw(height, key).await? {
            None => Ok(None),
            Some(bytes) => {
                T::decode(&bytes, MAX_VALUE_BYTES).map(Some).map_err(|e| NodeError::internal(&e))
            }
        }
    }

    /// The newest value.
    pub async fn get<T: Canonical>(&self, key: &[u8]) -> Result<Option<T>, NodeError> {
        self.get_at(None, key).await
    }

    /// A value that every chain has.
    pub async fn require<T: Canonical>(&self, key: &[u8]) -> Result<T, NodeError> {
        let reason = || NodeError::NotReady { reason: "the chain has no state yet".to_string() };
        self.get(key).await?.ok_or_else(reason)
    }

    /// The epoch that runs.
    pub async fn epoch(&self) -> Result<Epoch, NodeError> {
        Ok(self.require::<beacon::EpochState>(&beacon::keys::epoch()).await?.epoch)
    }

    /// All nodes.
    pub async fn nodes(&self, height: Option<u64>) -> Result<Vec<registry::Node>, NodeError> {
        self.list(height, &registry::keys::nodes()).await
    }

    /// All runtimes.
    pub async fn runtimes(&self, height: Option<u64>) -> Result<Vec<registry::Runtime>, NodeError> {
        self.list(height, &registry::keys::runtimes()).await
    }

    async fn list<T: Canonical>(
        &self,
        height: Option<u64>,
        prefix: &[u8],
    ) -> Result<Vec<T>, NodeError> {
        let height = match height {
            Some(height) => height,
            None => self.height()?,
        };
        let found = self.source.scan(Height(height), prefix).await?;
        found
            .iter()
            .map(|bytes| T::decode(bytes, MAX_VALUE_BYTES).map_err(|e| NodeError::internal(&e)))
            .collect()
    }

    /// Signs a transaction as this node and submits it.
    pub async fn submit_body(&self, body: &Body) -> Result<Hash, NodeError> {
        let mut next = self.next_nonce.lock().await;
        let mut tries = 0;
        loop {
            let account = address::of_key(&self.signer.public());
            let key = staking::keys::account(&account);
            let in_state = self.get::<staking::Account>(&key).await?.unwrap_or_default().nonce;
            let nonce = next.map_or(in_state, |next| next.max(in_state));
            let raw = self.sign(nonce, body).await?.encode();
            let outcome = self.source.submit(raw.clone()).await?;
            tries += 1;
            match outcome.error() {
                None => {
                    *next = Some(nonce.saturating_add(1));
                    return Ok(paralith_consensus_api::tx::hash_of(&raw));
                }
                // What was submitted before is lost, or is in a block whose state no header proves
                // yet.
                Some(Error { retry: Retry::NonceIs { nonce }, .. }) if tries < SUBMIT_TRIES => {
                    *next = Some(nonce);
                }
                Some(error) => return Err(NodeError::Refused(error)),
            }
            paralith_rt::sleep(RESUBMIT_PAUSE).await;
        }
    }

    async fn sign(&self, nonce: u64, body: &Body) -> Result<SignedTransaction, NodeError> {
        let params: consensus::Params = self.require(&consensus::keys::params()).await?;
        let amount = params
            .min_gas_price
            .mul_div(Amount(u128::from(GAS_LIMIT)), Amount(1))
            .map_err(|e| NodeError::internal(&e))?;
        let fee = Fee { amount, gas_limit: GAS_LIMIT };
        Ok(Transaction::new(self.chain_context, nonce, fee, body).sign(&self.signer))
    }
}

/// What a block wakes its listeners with: all of its events.
fn woken(block: &BlockEvent) -> ChainBlock {
    let of_txs = block.txs.iter().flat_map(|(_, outcome)| outcome.events.iter());
    let events = of_txs.chain(&block.events).cloned().collect();
    ChainBlock { height: block.height.0, events }
}

impl Chain for ChainAccess {
    fn subscribe(&self) -> broadcast::Receiver<ChainBlock> {
        self.blocks.subscribe()
    }

    fn get_raw(
        &self,
        height: Option<u64>,
        key: Vec<u8>,
    ) -> BoxFuture<'_, Result<(u64, Option<Vec<u8>>), ChainError>> {
        async move {
            let proven = self.proven_at(height, &key).await.map_err(chain_error)?;
            Ok((proven.height.0, proven.value))
        }
        .boxed()
    }

    fn proven(
        &self,
        height: u64,
        key: Vec<u8>,
    ) -> BoxFuture<'_, Result<(Option<Vec<u8>>, Vec<u8>), ChainError>> {
        async move {
            let proven = self.proven_at(Some(height), &key).await.map_err(chain_error)?;
            Ok((proven.value, proven.proof))
        }
        .boxed()
    }

    fn light_block(&self, height: u64) -> BoxFuture<'_, Result<Vec<u8>, ChainError>> {
        async move {
            let height = (height != 0).then_some(height);
            Ok(self.light(height).await.map_err(chain_error)?.encode())
        }
        .boxed()
    }

    fn submit(&self, body: Body) -> BoxFuture<'_, Result<(), ChainError>> {
        async move { self.submit_body(&body).await.map(|_| ()).map_err(chain_error) }.boxed()
    }
}

/// What an engine's failure means to a node's user.
pub(crate) fn engine_error(error: &EngineError) -> NodeError {
    NodeError::NotReady { reason: error.to_string() }
}

fn chain_error(error: NodeError) -> ChainError {
    match error {
        NodeError::Refused(Error { module, code, message, .. }) => {
            ChainError::Refused { module, code, message }
        }
        NodeError::Unverifiable { reason } => ChainError::Invalid(reason),
        other => ChainError::Unavailable(other.to_string()),
    }
}
