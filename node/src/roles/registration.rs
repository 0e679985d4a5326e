//! Keeps the node registered: renews it before it expires and whenever what it offers has changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::registry::{
    self, CONSENSUS_KEY_DOMAIN, Node, NodeRuntime, RegisterNode,
};
use paralith_consensus_api::tx::Body;
use paralith_crypto::SigningKey;
use paralith_proto::Canonical;
use paralith_types::{Epoch, PublicKey, RuntimeId};

use crate::chain::ChainAccess;
use crate::error::NodeError;

/// Who the node is; never changes while it runs.
#[derive(Debug)]
pub struct Identity {
    /// Its node key.
    pub node: SigningKey,
    /// Its key in CometBFT.
    pub consensus: SigningKey,
    /// Who answers for it.
    pub entity: PublicKey,
    /// Bits of `registry::ROLE_*`.
    pub roles: u32,
    /// "host:port" of its links.
    pub addresses: Vec<String>,
}

/// Keeps a node registered.
#[derive(Debug)]
pub struct Registrar {
    chain: Arc<ChainAccess>,
    identity: Identity,
    runtimes: Mutex<BTreeMap<RuntimeId, NodeRuntime>>,
    /// One registration at a time, each with the newest of what the roles offer.
    renewing: tokio::sync::Mutex<Option<Submitted>>,
}

/// A registration that was handed in and may be on its way.
#[derive(Debug)]
struct Submitted {
    node: Node,
    at_height: u64,
}

/// How many blocks a registration is given before it is handed in again.
const PATIENCE_BLOCKS: u64 = 8;

impl Registrar {
    /// For this node.
    pub fn new(chain: Arc<ChainAccess>, identity: Identity) -> Arc<Self> {
        let (runtimes, renewing) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { chain, identity, runtimes, renewing })
    }

    /// The node's id.
    pub fn node_id(&self) -> PublicKey {
        self.identity.node.public()
    }

    /// What the node offers for a runtime from now on; registered with the next pass.
    pub fn offer(&self, runtime: NodeRuntime) {
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        runtimes.insert(runtime.runtime_id, runtime);
    }

    /// What state holds of this node.
    pub async fn registered(&self) -> Result<Option<Node>, NodeError> {
        self.chain.get(&registry::keys::node(&self.node_id())).await
    }

    /// Registers the node if state holds something else than it offers, or it would expire with
    /// the next epoch. Returns whether state holds what it offers.
    pub async fn pass(&self) -> Result<bool, NodeError> {
        let mut submitted = self.renewing.lock().await;
        if self.identity.roles == 0 {
            return Ok(true);
        }
        let epoch = self.chain.epoch().await?;
        let registered = self.registered().await?;
        let offered = self.descriptor(registered.as_ref(), Epoch(0));
        let current = registered.as_ref().is_some_and(|node| {
            Node { expiration: Epoch(0), ..node.clone() } == offered && node.expiration > epoch
        });
        if current {
            return Ok(true);
        }
        let height = self.chain.height()?;
        let on_its_way = submitted.as_ref().is_some_and(|submitted| {
            submitted.node == offered
                && height < submitted.at_height.saturating_add(PATIENCE_BLOCKS)
        });
        if on_its_way {
            return Ok(false);
        }
        let params: registry::Params = self.chain.require(&registry::keys::params()).await?;
        let node_offered = offered.clone();
        let node = Node { expiration: epoch.plus(params.max_node_expiration_epochs), ..offered };
        let consensus_signature = self.identity.consensus.sign(
            CONSENSUS_KEY_DOMAIN,
            &self.chain.chain_context(),
            &node.encode(),
        );
        let body = Body::from(RegisterNode { node, consensus_signature });
        self.chain.submit_body(&body).await?;
        *submitted = Some(Submitted { node: node_offered, at_height: height });
        Ok(false)
    }

    /// The node as it offers itself. A runtime that is registered stays, since a live node cannot
    /// drop one; what this process offers now replaces what an earlier one did.
    fn descriptor(&self, registered: Option<&Node>, expiration: Epoch) -> Node {
        let mut runtimes: BTreeMap<RuntimeId, NodeRuntime> = registered
            .map(|node| node.runtimes.iter().map(|r| (r.runtime_id, r.clone())).collect())
            .unwrap_or_default();
        let offered = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        runtimes.extend(offered.iter().map(|(id, runtime)| (*id, runtime.clone())));
        Node {
            id: self.node_id(),
            entity_id: self.identity.entity,
            expiration,
            roles: self.identity.roles,
            consensus_key: self.identity.consensus.public(),
            addresses: self.identity.addresses.clone(),
            runtimes: runtimes.into_values().collect(),
            software_version: env!("CARGO_PKG_VERSION").to_string(),
        }
    }
}
