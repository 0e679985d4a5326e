//! The consensus layer as this node uses it: typed reads, and transactions signed as this node.
//!
//! What is read comes from the node's own application, or through [`crate::remote`], which verifies
//! every value by light client and proof.

use std::sync::Arc;
use std::time::Duration;

use consensus_api::tx::{Body, Fee, Transaction};
use consensus_api::{address, beacon, consensus, registry, staking};
use consensus_engine::{BlockEvent, Engine, EngineError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_crypto::SigningKey;
use paralith_proto::Canonical;
use paralith_types::{Amount, ChainContext, Epoch, Hash, Height};
use paralith_worker::{Chain, ChainBlock, ChainError};
use tokio::sync::{Mutex, broadcast};

use crate::error::NodeError;

/// Longest value of state that is read.
const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// Gas that a node's own transactions allow.
const GAS_LIMIT: u64 = 10_000_000;

/// How often a transaction is signed again when its nonce was taken meanwhile.
const SUBMIT_TRIES: u32 = 5;

/// Blocks that a slow listener may fall behind before it loses some; it reads state anyway.
const BLOCKS_QUEUED: usize = 256;

/// The consensus layer as this node uses it.
pub struct ChainAccess {
    engine: Arc<dyn Engine>,
    chain_context: ChainContext,
    signer: SigningKey,
    /// The nonce after the newest transaction that was handed in, if that is not in state yet.
    next_nonce: Mutex<Option<u64>>,
    blocks: broadcast::Sender<ChainBlock>,
}

impl std::fmt::Debug for ChainAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainAccess")
    }
}

impl ChainAccess {
    /// Over an engine, signing with this node's key.
    pub fn new(
        engine: Arc<dyn Engine>,
        chain_context: ChainContext,
        signer: SigningKey,
    ) -> Arc<Self> {
        let (blocks, _) = broadcast::channel(BLOCKS_QUEUED);
        let mut events = engine.subscribe();
        let sender = blocks.clone();
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(BlockEvent { height, txs, events, .. }) => {
                        let mut all = Vec::new();
                        for (_, outcome) in txs.iter() {
                            all.extend(outcome.events.iter().cloned());
                        }
                        all.extend(events.iter().cloned());
                        // Nobody listening is fine.
                        let _ = sender.send(ChainBlock { height: height.0, events: all });
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Arc::new(Self { engine, chain_context, signer, next_nonce: Mutex::new(None), blocks })
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// The chain.
    pub fn chain_context(&self) -> ChainContext {
        self.chain_context
    }

    /// The newest height whose state can be proven.
    pub async fn height(&self) -> Result<u64, NodeError> {
        let key = consensus::keys::chain_context();
        Ok(self.engine.query(None, &key).await.map_err(engine_error)?.height.0)
    }

    /// The bytes under a key, at a height or the newest.
    pub async fn get_raw(
        &self,
        height: Option<u64>,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let proven = self.engine.query(height.map(Height), key).await.map_err(engine_error)?;
        Ok(proven.value)
    }

    /// The bytes under a key of the newest state, and its height.
    pub async fn get_newest(&self, key: &[u8]) -> Result<(u64, Option<Vec<u8>>), NodeError> {
        let proven = self.engine.query(None, key).await.map_err(engine_error)?;
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
        let found = self.engine.scan(height.map(Height), prefix).await.map_err(engine_error)?;
        found
            .iter()
            .map(|(_, bytes)| T::decode(bytes, MAX_VALUE_BYTES).map_err(|e| NodeError::internal(&e)))
            .collect()
    }

    /// Signs a transaction as this node and hands it in.
    pub async fn submit_body(&self, body: &Body) -> Result<Hash, NodeError> {
        let mut next = self.next_nonce.lock().await;
        let mut tries = 0;
        loop {
            let account = address::of_key(&self.signer.public());
            let key = staking::keys::account(&account);
            let in_state = self.get::<staking::Account>(&key).await?.unwrap_or_default().nonce;
            let nonce = next.map_or(in_state, |next| next.max(in_state));
            let raw = self.sign(nonce, body).await?.encode();
            let outcome = self.engine.submit(raw.clone()).await.map_err(engine_error)?;
            if outcome.code == 0 {
                *next = Some(nonce.saturating_add(1));
                return Ok(consensus_api::tx::hash_of(&raw));
            }
            let bad_nonce = outcome.module == "consensus" && outcome.code == 1;
            tries += 1;
            if !bad_nonce || tries >= SUBMIT_TRIES {
                let (module, code, message) = (outcome.module, outcome.code, outcome.message);
                return Err(NodeError::Refused { module, code, message });
            }
            // What was handed in before is lost or not in a block yet: begin again from state.
            *next = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sign(
        &self,
        nonce: u64,
        body: &Body,
    ) -> Result<consensus_api::tx::SignedTransaction, NodeError> {
        let params: consensus::Params = self.require(&consensus::keys::params()).await?;
        let amount = params
            .min_gas_price
            .mul_div(Amount(u128::from(GAS_LIMIT)), Amount(1))
            .map_err(|e| NodeError::internal(&e))?;
        let fee = Fee { amount, gas_limit: GAS_LIMIT };
        Ok(Transaction::new(self.chain_context, nonce, fee, body).sign(&self.signer))
    }
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
            let proven =
                self.engine.query(height.map(Height), &key).await.map_err(chain_error)?;
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
            let proven =
                self.engine.query(Some(Height(height)), &key).await.map_err(chain_error)?;
            Ok((proven.value, proven.proof))
        }
        .boxed()
    }

    fn light_block(&self, height: u64) -> BoxFuture<'_, Result<Vec<u8>, ChainError>> {
        async move {
            let height = (height != 0).then_some(Height(height));
            Ok(self.engine.light_block(height).await.map_err(chain_error)?.encode())
        }
        .boxed()
    }

    fn submit(&self, body: Body) -> BoxFuture<'_, Result<(), ChainError>> {
        async move {
            match self.submit_body(&body).await {
                Ok(_) => Ok(()),
                Err(NodeError::Refused { module, code, message }) => {
                    Err(ChainError::Refused { module, code, message })
                }
                Err(e) => Err(ChainError::Unavailable(e.to_string())),
            }
        }
        .boxed()
    }
}

/// What an engine's failure means to a node's user.
pub(crate) fn engine_error(error: EngineError) -> NodeError {
    NodeError::NotReady { reason: error.to_string() }
}

fn chain_error(error: EngineError) -> ChainError {
    ChainError::Unavailable(error.to_string())
}
