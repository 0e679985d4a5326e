//! The consensus layer, verified.

use paralith_consensus_api::event::Event;
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_api::{address, beacon, consensus, registry, staking};
use paralith_consensus_app::App;
use paralith_consensus_light::{LightBlock, LightClient, LightError};
use paralith_crypto::SigningKey;
use paralith_proto::{Canonical, pb};
use paralith_storage::Kv;
use paralith_types::{Amount, ChainContext, Epoch, Height, RuntimeId};
use pb::consensus::v1::consensus_service_client::ConsensusServiceClient;
use tonic::transport::Channel;

use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;

/// Longest value of state that is read.
const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// Gas that a client's transactions allow; every method of the chain needs less.
const GAS_LIMIT: u64 = 10_000_000;

/// Largest message of a node's answer.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// What a transaction gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// The block.
    pub height: Height,
    /// Gas charged.
    pub gas_used: u64,
    /// What it told.
    pub events: Vec<Event>,
}

/// The consensus layer as a node shows it and as it was verified.
#[derive(Debug)]
pub struct ChainClient {
    node: String,
    channel: Channel,
    genesis: GenesisInfo,
    light: LightClient,
}

impl ChainClient {
    /// Connects to a node and starts from the genesis document that it gives.
    pub async fn connect(node: &str) -> Result<Self, NodeError> {
        let unreachable =
            |reason: String| NodeError::Unreachable { node: node.to_string(), reason };
        let endpoint = Channel::from_shared(node.to_string())
            .map_err(|e| NodeError::usage("--node", format!("{e}: write http://host:port")))?;
        let channel = endpoint.connect().await.map_err(|e| unreachable(root_cause(&e)))?;
        let mut service = service(&channel);
        let answer = service
            .get_genesis(pb::consensus::v1::GetGenesisRequest {})
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        let genesis = std::str::from_utf8(&answer.document)
            .map_err(|e| unverifiable(&e))
            .and_then(GenesisInfo::parse)?;
        let light = light_client(&genesis)?;
        Ok(Self { node: node.to_string(), channel, genesis, light })
    }

    /// The node's address.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The connection, for other services of the node.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The genesis document.
    pub fn genesis(&self) -> &GenesisInfo {
        &self.genesis
    }

    /// The chain.
    pub fn chain_context(&self) -> ChainContext {
        self.genesis.context
    }

    /// Verifies the newest header that the node offers and gives the newest proven height.
    pub async fn sync(&mut self) -> Result<Height, NodeError> {
        let newest = self.light_block(Height(0)).await?;
        self.reach(newest).await?;
        self.proven_height()
    }

    /// Waits until the state at a height is proven.
    pub async fn sync_to(&mut self, height: Height) -> Result<(), NodeError> {
        let mut blocks = service(&self.channel)
            .watch_blocks(pb::consensus::v1::WatchBlocksRequest {})
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        while self.sync().await? < height {
            // Wakes when there is a new block; what counts is verified above.
            blocks.message().await.map_err(|status| refused(&status))?;
        }
        Ok(())
    }

    fn proven_height(&self) -> Result<Height, NodeError> {
        match self.light.app_hash_at() {
            Some((height, _)) => Ok(height),
            None => Err(NodeError::NotReady { reason: "the chain has no block yet".to_string() }),
        }
    }

    async fn light_block(&self, height: Height) -> Result<LightBlock, NodeError> {
        let request = pb::consensus::v1::GetLightBlockRequest { height: height.0 };
        let answer = service(&self.channel)
            .get_light_block(request)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        LightBlock::decode(&answer.light_block).map_err(|e| unverifiable(&e))
    }

    async fn reach(&mut self, target: LightBlock) -> Result<(), NodeError> {
        let mut targets = vec![target];
        while let Some(next) = targets.last() {
            if next.height() <= self.light.height() && targets.len() == 1 {
                return Ok(());
            }
            match self.light.update(next) {
                Ok(()) => {
                    targets.pop();
                }
                Err(e @ LightError::NotEnoughTrust { .. }) => {
                    let half = next.height().0.saturating_sub(self.light.height().0) / 2;
                    if half == 0 {
                        return Err(unverifiable(&e));
                    }
                    let between = self.light_block(self.light.height().plus(half)).await?;
                    targets.push(between);
                }
                Err(e) => return Err(unverifiable(&e)),
            }
        }
        Ok(())
    }

    /// The bytes under a key of the newest proven state, or their proven absence, with the proof.
    pub async fn proven(
        &mut self,
        height: Option<Height>,
        key: &[u8],
    ) -> Result<Proven, NodeError> {
        let newest = self.sync().await?;
        let height = height.unwrap_or(newest);
        let request = pb::consensus::v1::GetStateRequest { height: height.0, key: key.to_vec() };
        let answer = service(&self.channel)
            .get_state(request)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        if self.light.root_of(height).is_none() {
            // An older height: its header is verified from genesis by a light client of its own.
            let mut light = light_client(&self.genesis)?;
            let block = self.light_block(height.next()).await?;
            light.update(&block).map_err(|e| unverifiable(&e))?;
            light
                .verify_state(height, key, answer.value.as_deref(), &answer.proof)
                .map_err(|e| unverifiable(&e))?;
        } else {
            self.light
                .verify_state(height, key, answer.value.as_deref(), &answer.proof)
                .map_err(|e| unverifiable(&e))?;
        }
        Ok(Proven { height, value: answer.value, proof: answer.proof })
    }

    /// A value of the newest proven state.
    pub async fn get<T: Canonical>(&mut self, key: &[u8]) -> Result<Option<T>, NodeError> {
        match self.proven(None, key).await?.value {
            None => Ok(None),
            Some(bytes) => {
                T::decode(&bytes, MAX_VALUE_BYTES).map(Some).map_err(|e| unverifiable(&e))
            }
        }
    }

    /// A value that every chain has.
    pub async fn require<T: Canonical>(&mut self, key: &[u8]) -> Result<T, NodeError> {
        self.get(key).await?.ok_or_else(|| unverifiable(&"a value that every chain has is missing"))
    }

    /// The epoch that runs.
    pub async fn epoch(&mut self) -> Result<Epoch, NodeError> {
        Ok(self.require::<beacon::EpochState>(&beacon::keys::epoch()).await?.epoch)
    }

    /// A runtime by its id or its name.
    pub async fn runtime(&mut self, name: &str) -> Result<registry::Runtime, NodeError> {
        let id = match name.parse::<RuntimeId>() {
            Ok(id) => id,
            Err(_) => self.runtime_id(name).await?,
        };
        self.get(&registry::keys::runtime(&id)).await?.ok_or_else(|| NodeError::NotFound {
            what: "ParaTime",
            name: name.to_string(),
            hint: ". List them with `paralith query runtime`".to_string(),
        })
    }

    /// Names are for people: the node is asked which id it means, and the descriptor that the
    /// proven state holds under that id must bear the name.
    async fn runtime_id(&mut self, name: &str) -> Result<RuntimeId, NodeError> {
        let found: Vec<_> =
            self.runtimes().await?.into_iter().filter(|runtime| runtime.name == name).collect();
        match found.as_slice() {
            [one] => Ok(one.id),
            [] => Err(NodeError::NotFound {
                what: "ParaTime",
                name: name.to_string(),
                hint: ". List them with `paralith query runtime`".to_string(),
            }),
            _ => Err(NodeError::usage(name, "more than one ParaTime has this name: use its id")),
        }
    }

    /// All runtimes as the node lists them.
    pub async fn runtimes(&mut self) -> Result<Vec<registry::Runtime>, NodeError> {
        use pb::registry::v1::registry_service_client::RegistryServiceClient;
        let answer = RegistryServiceClient::new(self.channel.clone())
            .list_runtimes(pb::registry::v1::ListRuntimesRequest { height: 0 })
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        answer
            .runtimes
            .into_iter()
            .map(|pb| paralith_proto::Wire::from_pb(pb).map_err(|e| unverifiable(&e)))
            .collect()
    }

    /// Signs a transaction with the signer's next nonce, sends it and waits for its block.
    pub async fn submit(
        &mut self,
        key: &SigningKey,
        body: impl Into<Body>,
    ) -> Result<Included, NodeError> {
        let account = address::of_key(&key.public());
        let account: staking::Account =
            self.get(&staking::keys::account(&account)).await?.unwrap_or_default();
        let params: consensus::Params = self.require(&consensus::keys::params()).await?;
        let price = Amount(u128::from(GAS_LIMIT));
        let amount =
            params.min_gas_price.mul_div(price, Amount(1)).map_err(|e| NodeError::internal(&e))?;
        let fee = Fee { amount, gas_limit: GAS_LIMIT };
        let body = body.into();
        let mut nonce = account.nonce;
        let result = loop {
            let tx = Transaction::new(self.chain_context(), nonce, fee.clone(), &body);
            let request = pb::consensus::v1::SubmitRequest { transaction: tx.sign(key).encode() };
            let error = match service(&self.channel).submit_and_wait(request).await {
                Ok(result) => break result.into_inner(),
                Err(status) => refused(&status),
            };
            // The signer's last transaction is in a block whose state no header proves yet, or
            // waits in the pool: this one comes after it.
            match later_nonce(&error) {
                Some(later) if later > nonce => nonce = later,
                _ => return Err(error),
            }
        };
        if result.code != 0 {
            let (module, code, message) = (result.module, result.code, result.message);
            return Err(NodeError::Refused { module, code, message });
        }
        let events: Result<Vec<Event>, _> =
            result.events.into_iter().map(paralith_proto::Wire::from_pb).collect();
        let events = events.map_err(|e| unverifiable(&e))?;
        Ok(Included { height: Height(result.height), gas_used: result.gas_used, events })
    }

    /// A block as the node shows it.
    pub async fn block(&self, height: u64) -> Result<pb::consensus::v1::Block, NodeError> {
        let request = pb::consensus::v1::GetBlockRequest { height };
        let answer =
            service(&self.channel).get_block(request).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner())
    }
}

/// A value of state that was verified, with its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The height of the state.
    pub height: Height,
    /// The value, if there is one.
    pub value: Option<Vec<u8>>,
    /// The encoded proof.
    pub proof: Vec<u8>,
}

/// The nonce that a refusal names as the account's next.
fn later_nonce(error: &NodeError) -> Option<u64> {
    match error {
        NodeError::Refused { module, code: 1, message } if module == "consensus" => {
            crate::chain::expected_nonce(message)
        }
        _ => None,
    }
}

fn service(channel: &Channel) -> ConsensusServiceClient<Channel> {
    ConsensusServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

/// A light client that trusts the validators of a genesis document.
pub(crate) fn light_client(genesis: &GenesisInfo) -> Result<LightClient, NodeError> {
    // The application itself tells who the first validators are: one rule in one place.
    let mut app = App::open(Kv::memory()).map_err(|e| NodeError::internal(&e))?;
    let (validators, _) =
        app.init_chain(&genesis.document.genesis, genesis.context).map_err(|e| unverifiable(&e))?;
    let validators: Vec<_> = validators.iter().map(|v| (v.consensus_key, v.power)).collect();
    let first = genesis.document.genesis.initial_height;
    LightClient::from_genesis(&genesis.chain_id, first, &validators).map_err(|e| unverifiable(&e))
}

pub(super) fn unverifiable(error: &dyn std::fmt::Display) -> NodeError {
    NodeError::Unverifiable { reason: error.to_string() }
}

/// A refusal as gRPC carries it.
pub(crate) fn refused(status: &tonic::Status) -> NodeError {
    match paralith_proto::status::error_of(status) {
        Some(error) => {
            NodeError::Refused { module: error.module, code: error.code, message: error.message }
        }
        None => NodeError::Refused {
            module: "grpc".to_string(),
            code: status.code() as u32,
            message: status.message().to_string(),
        },
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}
