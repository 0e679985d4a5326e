//! The chain as a node without an engine knows it: from full nodes over gRPC, of which nothing is
//! believed. Headers are verified by light client, values by proof. A node that lies or is gone is
//! left for the next one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use paralith_consensus_abci::BlockEvent;
use paralith_consensus_api::event::Event;
use paralith_consensus_api::registry;
use paralith_consensus_app::{Proven, TxOutcome};
use paralith_consensus_light::{Follow, KEPT_STEPS, LightBlock, LightClient};
use paralith_proto::{Wire, pb};
use paralith_runtime_worker::ProvenValue;
use paralith_types::{Hash, Height, PublicKey, Retry, RuntimeId};
use pb::consensus::v1::consensus_service_client::ConsensusServiceClient;
use pb::registry::v1::registry_service_client::RegistryServiceClient;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::client::refused;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::links::endpoint::{self, Trust};

/// Blocks that a slow listener may fall behind.
const BLOCKS_QUEUED: usize = 256;

/// How long a full node is given before the next one is tried.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait after every full node has failed.
const RETRY: Duration = Duration::from_millis(200);

/// How long a full node may show no new block before the next one is followed: it may be cut off
/// from the others, or hang.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// How long a header that others know already is waited for.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// States of which something is kept.
const KEPT_STATES: usize = 16;

/// Values that are kept of one state.
const MAX_CACHED_VALUES: usize = 4096;

/// Light blocks that are kept.
const KEPT_BLOCKS: usize = 256;

/// The chain by way of full nodes.
#[derive(Debug)]
pub struct RemoteChain {
    channels: Vec<Channel>,
    /// Which of them is asked first.
    preferred: AtomicU64,
    light: Mutex<LightClient>,
    /// The newest verified header's height.
    verified: watch::Sender<u64>,
    blocks: broadcast::Sender<Arc<BlockEvent>>,
    /// The newest verified light blocks: this node's enclaves ask for each of them, too.
    kept: Mutex<BTreeMap<u64, LightBlock>>,
    cache: Mutex<Cache>,
}

/// What was read and verified, by the root that it was proven against. Blocks that change nothing
/// have the root of the one before, so in quiet times nothing is asked for twice.
#[derive(Debug, Default)]
struct Cache {
    /// The newest last.
    roots: VecDeque<(Hash, CachedState)>,
}

#[derive(Debug, Default)]
struct CachedState {
    /// Values with their proofs, by key.
    values: BTreeMap<Vec<u8>, ProvenValue>,
    /// Keys of listings, by prefix.
    lists: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

impl Cache {
    fn at(&self, root: &Hash) -> Option<&CachedState> {
        self.roots.iter().rev().find(|(of, _)| of == root).map(|(_, state)| state)
    }

    fn at_mut(&mut self, root: Hash) -> Option<&mut CachedState> {
        if self.at(&root).is_none() {
            self.roots.push_back((root, CachedState::default()));
            if self.roots.len() > KEPT_STATES {
                self.roots.pop_front();
            }
        }
        self.roots.iter_mut().find(|(of, _)| *of == root).map(|(_, state)| state)
    }
}

impl RemoteChain {
    /// Follows the chain of this genesis document by way of these nodes until stopped. Those at
    /// `https` addresses must show certificates that satisfy `trust`.
    pub fn start(
        genesis: &GenesisInfo,
        nodes: &[String],
        trust: &Trust,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, NodeError> {
        let channels: Result<Vec<Channel>, NodeError> =
            nodes.iter().map(|node| endpoint::channel(node, trust)).collect();
        let (blocks, _) = broadcast::channel(BLOCKS_QUEUED);
        let remote = Arc::new(Self {
            channels: channels?,
            preferred: AtomicU64::new(0),
            light: Mutex::new(
                LightClient::from_document(&genesis.document).map_err(|e| unverifiable(&e))?,
            ),
            verified: watch::Sender::new(0),
            blocks,
            kept: Mutex::default(),
            cache: Mutex::default(),
        });
        let following = Arc::clone(&remote);
        paralith_rt::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = following.follow() => {}
            }
        });
        Ok(remote)
    }

    /// The newest verified header's height.
    pub fn height(&self) -> u64 {
        *self.verified.borrow()
    }

    /// Blocks whose headers were verified. Their events are as the full node reports them: they only wake.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.blocks.subscribe()
    }

    fn channel(&self) -> Result<Channel, NodeError> {
        let count = self.channels.len().max(1);
        let index = self.preferred.load(Ordering::Relaxed) as usize % count;
        self.channels.get(index).cloned().ok_or_else(|| NodeError::Unreachable {
            node: "any full node".to_string(),
            reason: "none is configured".to_string(),
        })
    }

    fn next_node(&self) {
        self.preferred.fetch_add(1, Ordering::Relaxed);
    }

    async fn follow(&self) {
        loop {
            if let Err(error) = self.follow_one().await {
                tracing::debug!(%error, "a full node failed: trying the next");
            }
            self.next_node();
            paralith_rt::sleep(RETRY).await;
        }
    }

    async fn follow_one(&self) -> Result<(), NodeError> {
        let mut service = consensus(self.channel()?);
        let request = pb::consensus::v1::WatchBlocksRequest {};
        let watching = service.watch_blocks(request).map_err(|s| refused(&s));
        let mut blocks = within(CALL_TIMEOUT, watching).await?.into_inner();
        let newest = self.fetch(&mut service, 0).await?;
        self.reach(&mut service, newest.height()).await?;
        loop {
            let next = within(BLOCK_TIMEOUT, blocks.message().map_err(|s| refused(&s))).await?;
            let block = next.ok_or_else(|| unreachable("it ended the stream of blocks"))?;
            if block.height <= self.height() {
                continue;
            }
            self.reach(&mut service, Height(block.height)).await?;
            let _ = self.blocks.send(Arc::new(event(block)));
        }
    }

    async fn fetch(
        &self,
        service: &mut ConsensusServiceClient<Channel>,
        height: u64,
    ) -> Result<LightBlock, NodeError> {
        let request = pb::consensus::v1::GetLightBlockRequest { height };
        let asked = service.get_light_block(request).map_err(|s| refused(&s));
        let answer = within(CALL_TIMEOUT, asked).await?.into_inner();
        LightBlock::decode(&answer.light_block).map_err(|e| unverifiable(&e))
    }

    async fn reach(
        &self,
        service: &mut ConsensusServiceClient<Channel>,
        target: Height,
    ) -> Result<(), NodeError> {
        let mut follow = Follow::new(target, KEPT_STEPS);
        // Never locked while a block is on its way: readers need the roots meanwhile.
        loop {
            let Some(next) = follow.next(&self.light()) else { break };
            let block = self.fetch(service, next.0).await?;
            let trusted = {
                let mut light = self.light();
                follow.take(&mut light, &block).map_err(|e| unverifiable(&e))?;
                light.height()
            };
            if trusted == block.height() {
                self.keep(block);
            }
        }
        let height = self.light().height().0;
        self.verified.send_replace(height);
        Ok(())
    }

    fn light(&self) -> MutexGuard<'_, LightClient> {
        self.light.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The root of a state, which the next header carries. An enclave may have a header
    /// from a peer before it came here: that one is waited for.
    async fn root_of(&self, height: Height) -> Option<Hash> {
        let mut verified = self.verified.subscribe();
        let came = verified.wait_for(|newest| *newest > height.0);
        // Too far ahead, or the follower has ended: there is no root.
        let _ = paralith_rt::timeout(HEADER_TIMEOUT, came).await;
        self.light().root_of(height)
    }

    fn keep(&self, block: LightBlock) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(block.height().0, block);
        if kept.len() > KEPT_BLOCKS {
            kept.pop_first();
        }
    }

    /// Tries one full node after the other until one gives an answer that verifies.
    async fn ask<'a, T>(
        &'a self,
        question: impl Fn(Channel) -> BoxFuture<'a, Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        let mut last = None;
        for _ in 0..self.channels.len() {
            match within(CALL_TIMEOUT, question(self.channel()?)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
            self.next_node();
        }
        Err(last.unwrap_or_else(|| NodeError::NotReady { reason: "no full node".to_string() }))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A verified value; of the newest proven state without a height.
    pub async fn query(&self, height: Option<Height>, key: &[u8]) -> Result<Proven, NodeError> {
        let height = height.unwrap_or(Height(self.height()).minus(1));
        let root = self.root_of(height).await;
        let cached = root.and_then(|root| self.cache().at(&root)?.values.get(key).cloned());
        if let Some((value, proof)) = cached {
            return Ok(Proven { height, value, proof });
        }
        let proven = self.fetch_value(height, key).await?;
        if let Some(root) = root
            && let Some(state) = self.cache().at_mut(root)
            && state.values.len() < MAX_CACHED_VALUES
        {
            state.values.insert(key.to_vec(), (proven.value.clone(), proven.proof.clone()));
        }
        Ok(proven)
    }

    async fn fetch_value(&self, height: Height, key: &[u8]) -> Result<Proven, NodeError> {
        self.ask(|channel| {
            let key = key.to_vec();
            async move {
                let request =
                    pb::consensus::v1::GetStateRequest { height: height.0, key: key.clone() };
                let answer = consensus(channel)
                    .get_state(request)
                    .await
                    .map_err(|s| refused(&s))?
                    .into_inner();
                self.light()
                    .verify_state(height, &key, answer.value.as_deref(), &answer.proof)
                    .map_err(|e| unverifiable(&e))?;
                Ok(Proven { height, value: answer.value, proof: answer.proof })
            }
            .boxed()
        })
        .await
    }

    /// A light block that was verified lately, or one as a full node gives it; the caller
    /// verifies it.
    pub async fn light_block(&self, height: Option<Height>) -> Result<LightBlock, NodeError> {
        let height = height.map_or(0, |height| height.0);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&height).cloned();
        if let Some(block) = kept {
            return Ok(block);
        }
        self.ask(|channel| async move { self.fetch(&mut consensus(channel), height).await }.boxed())
            .await
    }

    /// Hands a transaction to a full node.
    pub async fn submit(&self, raw: Vec<u8>) -> Result<TxOutcome, NodeError> {
        let submitted = self
            .ask(|channel| {
                let request = pb::consensus::v1::SubmitRequest { transaction: raw.clone() };
                async move {
                    match consensus(channel).submit(request).await {
                        Ok(_) => Ok(TxOutcome::default()),
                        Err(status) => match refused(&status) {
                            NodeError::Refused(error) if error.module != "grpc" => {
                                Ok(TxOutcome::refused(error))
                            }
                            error => Err(error),
                        },
                    }
                }
                .boxed()
            })
            .await?;
        Ok(submitted)
    }

    /// The gas that an unsigned transaction would use, as a full node says.
    pub async fn estimate_gas(
        &self,
        sender: PublicKey,
        transaction: Vec<u8>,
    ) -> Result<u64, NodeError> {
        self.ask(|channel| {
            let request = pb::consensus::v1::EstimateGasRequest {
                public_key: sender.as_bytes().to_vec(),
                transaction: transaction.clone(),
            };
            async move {
                let answer = consensus(channel).estimate_gas(request).await;
                Ok(answer.map_err(|s| refused(&s))?.into_inner().gas)
            }
            .boxed()
        })
        .await
    }

    /// What a block gave, as a full node says; none if it does not have it.
    pub async fn results(&self, height: u64) -> Result<Option<BlockEvent>, NodeError> {
        self.ask(|channel| {
            async move {
                let request = pb::consensus::v1::GetBlockRequest { height };
                Ok(found(consensus(channel).get_block(request).await)?.map(event))
            }
            .boxed()
        })
        .await
    }

    /// What a transaction gave and its block's height, as a full node says; none if it does not have it.
    pub async fn transaction(&self, hash: &Hash) -> Result<Option<(Height, TxOutcome)>, NodeError> {
        self.ask(|channel| {
            let request =
                pb::consensus::v1::GetTransactionRequest { hash: hash.as_bytes().to_vec() };
            async move {
                let answer = found(consensus(channel).get_transaction(request).await)?;
                Ok(answer.map(|result| (Height(result.height), outcome(result))))
            }
            .boxed()
        })
        .await
    }

    /// All values of a listing, each verified. Which there are is the full node's word: it can
    /// hide one, not invent one.
    pub async fn list(&self, height: Height, prefix: &[u8]) -> Result<Vec<Vec<u8>>, NodeError> {
        let root = self.root_of(height).await;
        let cached = root.and_then(|root| self.cache().at(&root)?.lists.get(prefix).cloned());
        let keys = match cached {
            Some(keys) => keys,
            None => {
                let keys = self.fetch_list(height, prefix).await?;
                if let Some(root) = root
                    && let Some(state) = self.cache().at_mut(root)
                {
                    state.lists.insert(prefix.to_vec(), keys.clone());
                }
                keys
            }
        };
        let queries = keys.iter().map(|key| self.query(Some(height), key));
        let values = futures::future::try_join_all(queries).await?;
        Ok(values.into_iter().filter_map(|proven| proven.value).collect())
    }

    async fn fetch_list(&self, height: Height, prefix: &[u8]) -> Result<Vec<Vec<u8>>, NodeError> {
        let of_nodes = prefix == registry::keys::nodes();
        self.ask(|channel| {
            if of_nodes {
                node_keys(channel, height).boxed()
            } else {
                runtime_keys(channel, height).boxed()
            }
        })
        .await
    }
}

async fn node_keys(channel: Channel, height: Height) -> Result<Vec<Vec<u8>>, NodeError> {
    let request = pb::registry::v1::ListNodesRequest { height: height.0 };
    let listed = lists(channel).list_nodes(request).await.map_err(|s| refused(&s))?.into_inner();
    let ids = listed
        .nodes
        .into_iter()
        .filter_map(|node| PublicKey::try_from(node.node?.id.as_slice()).ok());
    Ok(ids.map(|id| registry::keys::node(&id)).collect())
}

async fn runtime_keys(channel: Channel, height: Height) -> Result<Vec<Vec<u8>>, NodeError> {
    let request = pb::registry::v1::ListRuntimesRequest { height: height.0 };
    let listed = lists(channel).list_runtimes(request).await.map_err(|s| refused(&s))?.into_inner();
    let ids = listed
        .runtimes
        .into_iter()
        .filter_map(|runtime| RuntimeId::try_from(runtime.id.as_slice()).ok());
    Ok(ids.map(|id| registry::keys::runtime(&id)).collect())
}

fn consensus(channel: Channel) -> ConsensusServiceClient<Channel> {
    ConsensusServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

fn lists(channel: Channel) -> RegistryServiceClient<Channel> {
    RegistryServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

/// What a full node answers, if it does in time.
async fn within<T>(
    timeout: Duration,
    asked: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, NodeError> {
    let late = |_| Err(unreachable("it did not answer in time"));
    paralith_rt::timeout(timeout, asked).await.unwrap_or_else(late)
}

fn unreachable(reason: &str) -> NodeError {
    NodeError::Unreachable { node: "a full node".to_string(), reason: reason.to_string() }
}

/// An answer, or that there is none.
fn found<T>(answered: Result<tonic::Response<T>, tonic::Status>) -> Result<Option<T>, NodeError> {
    match answered {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(refused(&status)),
    }
}

fn events(list: Vec<pb::consensus::v1::Event>) -> Vec<Event> {
    list.into_iter().filter_map(|event| Event::from_pb(event).ok()).collect()
}

fn outcome(tx: pb::consensus::v1::TransactionResult) -> TxOutcome {
    TxOutcome {
        module: tx.module,
        code: tx.code,
        message: tx.message,
        retry: Retry::Never,
        gas_used: tx.gas_used,
        gas_limit: 0,
        events: events(tx.events),
    }
}

fn event(block: pb::consensus::v1::Block) -> BlockEvent {
    let txs = block
        .transactions
        .into_iter()
        .filter_map(|tx| Some((Hash::try_from(tx.hash.as_slice()).ok()?, outcome(tx))))
        .collect();
    BlockEvent {
        height: Height(block.height),
        time_seconds: block.time_seconds,
        app_hash: Hash::ZERO,
        txs,
        events: events(block.events),
    }
}

fn unverifiable(error: &dyn std::fmt::Display) -> NodeError {
    NodeError::Unverifiable { reason: error.to_string() }
}
