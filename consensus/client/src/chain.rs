//! The consensus layer, verified.

use std::time::Duration;

use paralith_consensus_api::{beacon, registry};
use paralith_consensus_light::{Follow, LightBlock, LightClient, MAX_VALUE_BYTES};
use paralith_proto::{Canonical, Wire, pb};
use paralith_types::{ChainContext, Epoch, Hash, Height, RuntimeId};
use pb::consensus::v1::consensus_service_client::ConsensusServiceClient;
use tonic::transport::Channel;

use crate::error::{ClientError, refused, unverifiable};
use crate::genesis::GenesisInfo;

/// Largest answer of a node that is read.
pub const RESPONSE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a client requires of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientOptions {
    /// The chain that the node must be of: the hash of the genesis document. Without it the client
    /// trusts the first node that it asks for the document.
    pub chain: Option<ChainContext>,
    /// How old the newest header may be by this machine's clock. None: any age, for chains that
    /// stand still.
    pub max_age: Option<Duration>,
}

/// The consensus layer as a node shows it and as it was verified.
#[derive(Debug)]
pub struct ChainClient {
    node: String,
    channel: Channel,
    genesis: GenesisInfo,
    options: ClientOptions,
    light: LightClient,
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

impl ChainClient {
    /// Asks a node for the genesis document and starts from it. `node` names it in errors.
    pub async fn connect(
        node: &str,
        channel: Channel,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let answer = service(&channel)
            .get_genesis(pb::consensus::v1::GetGenesisRequest {})
            .await
            .map_err(|status| unreachable(node, &status))?
            .into_inner();
        let genesis = std::str::from_utf8(&answer.document)
            .map_err(|e| unverifiable(&e))
            .and_then(GenesisInfo::parse)?;
        if let Some(expected) = options.chain
            && expected != genesis.context
        {
            let got = genesis.context;
            return Err(unverifiable(&format!("it is of the chain {got}, not of {expected}")));
        }
        let light = LightClient::from_document(&genesis.document).map_err(|e| unverifiable(&e))?;
        Ok(Self { node: node.to_string(), channel, genesis, options, light })
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
    pub async fn sync(&mut self) -> Result<Height, ClientError> {
        let newest = self.light_block(Height(0)).await?;
        let mut follow = Follow::new(newest.height(), 0);
        while let Some(next) = follow.next(&self.light) {
            let block = if next == newest.height() {
                newest.clone()
            } else {
                self.light_block(next).await?
            };
            follow.take(&mut self.light, &block).map_err(|e| unverifiable(&e))?;
        }
        self.check_age()?;
        match self.light.app_hash_at() {
            Some((height, _)) => Ok(height),
            None => Err(ClientError::NotReady { reason: "the chain has no block yet".to_string() }),
        }
    }

    fn check_age(&self) -> Result<(), ClientError> {
        let Some(max_age) = self.options.max_age else { return Ok(()) };
        let now = paralith_rt::unix_time_ms() / 1000;
        let age_seconds = now.saturating_sub(self.light.trusted().time_seconds());
        let max_seconds = max_age.as_secs();
        // LC-16: a gateway that stands still shows a true but old state.
        if age_seconds > max_seconds {
            return Err(ClientError::Stale { age_seconds, max_seconds });
        }
        Ok(())
    }

    /// Waits until the state at a height is proven.
    pub async fn sync_to(&mut self, height: Height) -> Result<(), ClientError> {
        let mut blocks = service(&self.channel)
            .watch_blocks(pb::consensus::v1::WatchBlocksRequest {})
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        while self.sync().await? < height {
            // Wakes when there is a new block; only what is verified above counts.
            blocks.message().await.map_err(|status| refused(&status))?;
        }
        Ok(())
    }

    pub(crate) async fn light_block(&self, height: Height) -> Result<LightBlock, ClientError> {
        let request = pb::consensus::v1::GetLightBlockRequest { height: height.0 };
        let answer = service(&self.channel)
            .get_light_block(request)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        LightBlock::decode(&answer.light_block).map_err(|e| unverifiable(&e))
    }

    /// A light client for an old height, verified from genesis like any other: the roots of old
    /// states are not kept.
    async fn light_at(&self, height: Height) -> Result<LightClient, ClientError> {
        let document = &self.genesis.document;
        let mut light = LightClient::from_document(document).map_err(|e| unverifiable(&e))?;
        let mut follow = Follow::new(height.next(), 0);
        while let Some(next) = follow.next(&light) {
            let block = self.light_block(next).await?;
            follow.take(&mut light, &block).map_err(|e| unverifiable(&e))?;
        }
        Ok(light)
    }

    /// The encoded light blocks by which a light client comes from the genesis document to the states
    /// of these heights, which ascend: each one a step that it takes.
    pub async fn steps_to(&self, states: &[Height]) -> Result<Vec<Vec<u8>>, ClientError> {
        let document = &self.genesis.document;
        let mut light = LightClient::from_document(document).map_err(|e| unverifiable(&e))?;
        let mut steps = Vec::new();
        for state in states {
            // The header of the next height carries a state's root.
            let mut follow = Follow::new(state.next(), 0);
            while let Some(next) = follow.next(&light) {
                let (before, block) = (light.height(), self.light_block(next).await?);
                follow.take(&mut light, &block).map_err(|e| unverifiable(&e))?;
                if light.height() > before {
                    steps.push(block.encode());
                }
            }
        }
        Ok(steps)
    }

    /// The bytes under a key at a height, or of the newest proven state, or their proven absence,
    /// with the proof.
    pub async fn proven(
        &mut self,
        height: Option<Height>,
        key: &[u8],
    ) -> Result<Proven, ClientError> {
        let newest = self.sync().await?;
        let height = height.unwrap_or(newest);
        if height > newest {
            let reason = format!("state {height} is not proven yet: the newest is {newest}");
            return Err(ClientError::NotReady { reason });
        }
        let request = pb::consensus::v1::GetStateRequest { height: height.0, key: key.to_vec() };
        let answer = service(&self.channel)
            .get_state(request)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        let old = match self.light.root_of(height) {
            Some(_) => None,
            None => Some(self.light_at(height).await?),
        };
        old.as_ref()
            .unwrap_or(&self.light)
            .verify_state(height, key, answer.value.as_deref(), &answer.proof)
            .map_err(|e| unverifiable(&e))?;
        Ok(Proven { height, value: answer.value, proof: answer.proof })
    }

    /// A value of the newest proven state.
    pub async fn get<T: Canonical>(&mut self, key: &[u8]) -> Result<Option<T>, ClientError> {
        let proven = self.proven(None, key).await?;
        proven.value.map(|bytes| decode(&bytes)).transpose()
    }

    /// A value that every chain has.
    pub async fn require<T: Canonical>(&mut self, key: &[u8]) -> Result<T, ClientError> {
        self.get(key).await?.ok_or_else(|| unverifiable(&"a value that every chain has is missing"))
    }

    /// The epoch of the newest proven state.
    pub async fn epoch(&mut self) -> Result<Epoch, ClientError> {
        Ok(self.require::<beacon::EpochState>(&beacon::keys::epoch()).await?.epoch)
    }

    /// A runtime by its id or its name.
    pub async fn runtime(&mut self, name: &str) -> Result<registry::Runtime, ClientError> {
        let id = match name.parse::<RuntimeId>() {
            Ok(id) => id,
            Err(_) => self.runtime_id(name).await?,
        };
        self.get(&registry::keys::runtime(&id)).await?.ok_or_else(|| no_runtime(name))
    }

    /// Names are for people: the node is asked which id it means, and the descriptor that the proven
    /// state holds under that id must bear the name.
    async fn runtime_id(&mut self, name: &str) -> Result<RuntimeId, ClientError> {
        let runtimes = self.runtimes().await?;
        let found: Vec<_> = runtimes.iter().filter(|runtime| runtime.name == name).collect();
        match found.as_slice() {
            [one] => Ok(one.id),
            [] => Err(no_runtime(name)),
            _ => Err(ClientError::usage(name, "more than one ParaTime has this name: use its id")),
        }
    }

    /// All runtimes that the node lists, each proven. The node can leave one out, not invent one.
    pub async fn runtimes(&mut self) -> Result<Vec<registry::Runtime>, ClientError> {
        use pb::registry::v1::registry_service_client::RegistryServiceClient;
        let answer = RegistryServiceClient::new(self.channel.clone())
            .max_decoding_message_size(RESPONSE_MAX_BYTES)
            .list_runtimes(pb::registry::v1::ListRuntimesRequest { height: 0 })
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        let mut proven = Vec::new();
        for listed in answer.runtimes {
            let id = RuntimeId::from_pb(listed.id).map_err(|e| unverifiable(&e))?;
            proven.extend(self.get::<registry::Runtime>(&registry::keys::runtime(&id)).await?);
        }
        Ok(proven)
    }

    /// A block as the node shows it. Not proven.
    pub async fn block(&self, height: u64) -> Result<pb::consensus::v1::Block, ClientError> {
        let request = pb::consensus::v1::GetBlockRequest { height };
        let answer =
            service(&self.channel).get_block(request).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner())
    }

    /// What a transaction in a block gave, as the node says. Not proven.
    pub async fn transaction(
        &self,
        hash: &Hash,
    ) -> Result<pb::consensus::v1::TransactionResult, ClientError> {
        let request = pb::consensus::v1::GetTransactionRequest { hash: hash.as_bytes().to_vec() };
        let answer = service(&self.channel).get_transaction(request).await;
        Ok(answer.map_err(|status| refused(&status))?.into_inner())
    }
}

pub(crate) fn decode<T: Canonical>(bytes: &[u8]) -> Result<T, ClientError> {
    T::decode(bytes, MAX_VALUE_BYTES).map_err(|e| unverifiable(&e))
}

fn no_runtime(name: &str) -> ClientError {
    ClientError::NotFound {
        what: "ParaTime",
        name: name.to_string(),
        hint: ". List them with `paralith query runtime`".to_string(),
    }
}

fn unreachable(node: &str, status: &tonic::Status) -> ClientError {
    match refused(status) {
        ClientError::Refused(error) if error.module == "grpc" => {
            ClientError::Unreachable { node: node.to_string(), reason: error.message }
        }
        other => other,
    }
}

pub(crate) fn service(channel: &Channel) -> ConsensusServiceClient<Channel> {
    ConsensusServiceClient::new(channel.clone()).max_decoding_message_size(RESPONSE_MAX_BYTES)
}
