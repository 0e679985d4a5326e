//! The role `endorser`: an organisation's enclave of a chaincode. `systems/chaincode/SPEC.md` is the
//! specification.
//!
//! * [`EndorserRole`] follows the ledger, runs the enclave, and keeps it registered, fresh and in
//!   possession of its keys: `endorser`.
//! * `serve` is the service for users, within the limits of `limits`.
//! * [`client`] is what callers do: propose, collect endorsements, commit, read the result.

pub mod client;
pub mod demo;
mod endorser;
mod limits;
mod serve;

use std::sync::Arc;

use paralith_attest::SoftwarePlatform;
use paralith_crypto::SigningKey;
use paralith_rt::TaskSet;
use paralith_storage::Kv;
use paralith_tee_channel::Recorder;

use crate::assemble::{Node, NodeConfig};
use crate::config::EndorserConfig;
use crate::enclave::Placement;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use endorser::{Endorser, Shared};

/// What an endorser's role is made of.
pub(crate) struct RoleConfig {
    /// What it endorses.
    pub(crate) endorser: EndorserConfig,
    /// The genesis document.
    pub(crate) genesis: GenesisInfo,
    /// The node's key.
    pub(crate) node_key: SigningKey,
    /// Where its enclave runs.
    pub(crate) placement: Placement,
    /// What vouches for it. Test chains only.
    pub(crate) platform: SoftwarePlatform,
    /// The node's store.
    pub(crate) kv: Kv,
    /// Gets every frame of the boundary.
    pub(crate) recorder: Option<Recorder>,
}

/// The role of a node.
#[derive(Debug)]
pub struct EndorserRole {
    config: RoleConfig,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for RoleConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RoleConfig({})", self.endorser.application)
    }
}

impl EndorserRole {
    /// Of a node's configuration. Nothing runs yet.
    pub fn new(endorser: EndorserConfig, node: &NodeConfig) -> Result<Self, NodeError> {
        let platform = node.platform.clone().ok_or_else(|| {
            let reason = "this machine has no TEE that this version knows, and no software platform \
                          is configured";
            NodeError::usage("software_platform_key", reason)
        })?;
        let shared = Arc::new(Shared::new(endorser.calls_per_block));
        let config = RoleConfig {
            endorser,
            genesis: node.genesis.clone(),
            node_key: node.node_key.clone(),
            placement: node.placement.clone(),
            platform: SoftwarePlatform::new(platform),
            kv: node.kv.clone(),
            recorder: None,
        };
        Ok(Self { config, shared })
    }

    /// Adds what the role serves to a node's configuration.
    pub fn add_to(&self, node: &mut NodeConfig) {
        node.public.push(serve::service(&self.shared));
    }

    /// Runs until the node stops or the tasks are dropped.
    #[must_use]
    pub fn start(mut self, node: &Node) -> TaskSet {
        self.config.recorder.clone_from(&node.recorder);
        let (state, registrar) = (Arc::clone(&node.state), Arc::clone(&node.registrar));
        let endorser = Endorser::new(self.config, self.shared, state, registrar);
        let mut tasks = TaskSet::new();
        tasks.spawn(endorser.run());
        tasks
    }
}
