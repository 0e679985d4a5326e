//! Keeps the node registered: renews the registration well before it expires, and whenever what the
//! node offers has changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::registry::{
    self, CONSENSUS_KEY_DOMAIN, Node, NodeRuntime, ROLE_APPLICATION, ROLE_COMPUTE, ROLE_KEYMANAGER,
    ROLE_VALIDATOR, RegisterNode, Runtime, RuntimeKind,
};
use paralith_consensus_api::tx::Body;
use paralith_crypto::SigningKey;
use paralith_proto::Canonical;
use paralith_types::{Epoch, PublicKey, RuntimeId};

use crate::chain::ChainAccess;
use crate::error::NodeError;

/// The node's identity; never changes while it runs.
#[derive(Debug)]
pub struct Identity {
    /// Its node key.
    pub node: SigningKey,
    /// Its key in CometBFT.
    pub consensus: SigningKey,
    /// The entity that answers for it.
    pub entity: PublicKey,
    /// Bits of `registry::ROLE_*`.
    pub roles: u32,
    /// "host:port" of its links.
    pub addresses: Vec<String>,
}

/// What the node offers for a runtime.
#[derive(Debug, Clone)]
struct Offer {
    runtime: NodeRuntime,
    /// Unknown until state has been asked; never changes.
    kind: Option<RuntimeKind>,
}

/// Keeps a node registered.
#[derive(Debug)]
pub struct Registrar {
    chain: Arc<ChainAccess>,
    identity: Identity,
    offers: Mutex<BTreeMap<RuntimeId, Offer>>,
    /// One registration at a time, each with the newest of what the roles offer.
    renewing: tokio::sync::Mutex<Option<Submitted>>,
}

/// A registration that was submitted and may be on its way.
#[derive(Debug)]
struct Submitted {
    node: Node,
    at_height: u64,
}

/// How many blocks a registration is given before it is submitted again.
const RETRY_BLOCKS: u64 = 8;

/// What there is to do for a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    /// State holds what the node offers, for long enough.
    Nothing,
    /// Register this.
    Register(Node),
}

/// Decides by what state holds, what the node offers (its expiration does not matter), the epoch
/// and the most epochs that a registration may last. A registration is renewed when less than half
/// of its time is left, so that a node that is down for a while or is refused once stays
/// registered.
fn due(registered: Option<&Node>, offered: Node, epoch: Epoch, max_epochs: u64) -> Due {
    let latest = epoch.plus(max_epochs);
    let current = registered.is_some_and(|node| {
        let left = node.expiration.0.saturating_sub(epoch.0);
        let same = Node { expiration: offered.expiration, ..node.clone() } == offered;
        let long_enough = left > max_epochs / 2 || node.expiration >= latest;
        same && long_enough
    });
    if current { Due::Nothing } else { Due::Register(Node { expiration: latest, ..offered }) }
}

impl Registrar {
    /// For this node.
    pub fn new(chain: Arc<ChainAccess>, identity: Identity) -> Arc<Self> {
        let (offers, renewing) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { chain, identity, offers, renewing })
    }

    /// The node's id.
    pub fn node_id(&self) -> PublicKey {
        self.identity.node.public()
    }

    /// What the node offers for a runtime from now on; registered with the next pass.
    pub fn offer(&self, runtime: NodeRuntime) {
        let mut offers = self.lock();
        let kind = offers.get(&runtime.runtime_id).and_then(|known| known.kind);
        offers.insert(runtime.runtime_id, Offer { runtime, kind });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<RuntimeId, Offer>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What state holds of this node.
    pub async fn registered(&self) -> Result<Option<Node>, NodeError> {
        self.chain.get(&registry::keys::node(&self.node_id())).await
    }

    /// Registers the node if state holds something else than it offers, or holds it for too short.
    /// Returns whether state holds what it offers.
    pub async fn pass(&self) -> Result<bool, NodeError> {
        let mut submitted = self.renewing.lock().await;
        if self.identity.roles == 0 {
            return Ok(true);
        }
        self.learn_kinds().await?;
        let epoch = self.chain.epoch().await?;
        let registered = self.registered().await?;
        let live = registered.as_ref().filter(|node| node.expiration >= epoch);
        let offered = self.descriptor(live);
        if offered.roles == 0 {
            // A compute node or key manager that runs nothing yet: the registry takes no such node.
            return Ok(false);
        }
        let params: registry::Params = self.chain.require(&registry::keys::params()).await?;
        let node = match due(live, offered, epoch, params.max_node_expiration_epochs) {
            Due::Nothing => return Ok(true),
            Due::Register(node) => node,
        };
        let height = self.chain.height()?;
        let on_its_way = submitted.as_ref().is_some_and(|submitted| {
            submitted.node == node && height < submitted.at_height.saturating_add(RETRY_BLOCKS)
        });
        if on_its_way {
            return Ok(false);
        }
        let consensus_signature = self.identity.consensus.sign(
            CONSENSUS_KEY_DOMAIN,
            &self.chain.chain_context(),
            &node.encode(),
        );
        let body = Body::from(RegisterNode { node: node.clone(), consensus_signature });
        self.chain.submit_body(&body).await?;
        *submitted = Some(Submitted { node, at_height: height });
        Ok(false)
    }

    /// Reads the kinds of the runtimes on offer that are not known yet.
    async fn learn_kinds(&self) -> Result<(), NodeError> {
        let unknown: Vec<RuntimeId> = {
            let offers = self.lock();
            offers.iter().filter(|(_, offer)| offer.kind.is_none()).map(|(id, _)| *id).collect()
        };
        for id in unknown {
            let runtime: Option<Runtime> = self.chain.get(&registry::keys::runtime(&id)).await?;
            if let (Some(runtime), Some(offer)) = (runtime, self.lock().get_mut(&id)) {
                offer.kind = Some(runtime.kind);
            }
        }
        Ok(())
    }

    /// The node as it offers itself. Roles and runtimes of a live registration stay, since a live
    /// node cannot drop one; what this process offers now replaces what an earlier one did. A role
    /// for runtimes comes with the first of its kind.
    fn descriptor(&self, live: Option<&Node>) -> Node {
        let mut runtimes: BTreeMap<RuntimeId, NodeRuntime> = live
            .map(|node| node.runtimes.iter().map(|r| (r.runtime_id, r.clone())).collect())
            .unwrap_or_default();
        let mut roles = live.map_or(0, |node| node.roles) | (self.identity.roles & ROLE_VALIDATOR);
        for (id, offer) in &*self.lock() {
            let Some(kind) = offer.kind else { continue };
            runtimes.insert(*id, offer.runtime.clone());
            roles |= match kind {
                RuntimeKind::Compute => ROLE_COMPUTE,
                RuntimeKind::KeyManager => ROLE_KEYMANAGER,
                RuntimeKind::Application => ROLE_APPLICATION,
            };
        }
        Node {
            id: self.node_id(),
            entity_id: self.identity.entity,
            expiration: Epoch(0),
            roles,
            consensus_key: self.identity.consensus.public(),
            addresses: self.identity.addresses.clone(),
            runtimes: runtimes.into_values().collect(),
            software_version: env!("CARGO_PKG_VERSION").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(expiration: u64) -> Node {
        let key = SigningKey::from_seed([1; 32]);
        Node {
            id: key.public(),
            entity_id: key.public(),
            expiration: Epoch(expiration),
            roles: ROLE_VALIDATOR,
            consensus_key: key.public(),
            addresses: Vec::new(),
            runtimes: Vec::new(),
            software_version: "1".to_string(),
        }
    }

    #[test]
    fn a_registration_is_renewed_before_it_expires_and_not_more_often_than_needed() {
        for max in 1..12 {
            // Every epoch begins with what the epoch before left behind.
            let mut registered: Option<Node> = None;
            let mut renewals = 0;
            for epoch in 0..120 {
                match due(registered.as_ref(), node(0), Epoch(epoch), max) {
                    Due::Nothing => {}
                    Due::Register(node) => {
                        assert_eq!(node.expiration, Epoch(epoch + max));
                        registered = Some(node);
                        renewals += 1;
                        // At once again there is nothing to do.
                        let again =
                            due(registered.as_ref(), super::tests::node(0), Epoch(epoch), max);
                        assert_eq!(again, Due::Nothing);
                    }
                }
                let left = registered.as_ref().unwrap().expiration.0 - epoch;
                assert!(left > 0, "max {max}, epoch {epoch}: about to expire");
            }
            assert!(renewals <= 120 / (max - max / 2).max(1) + 1, "max {max}: {renewals}");
        }
    }

    #[test]
    fn a_change_is_registered_at_once() {
        let mut changed = node(0);
        changed.addresses = vec!["host:1".to_string()];
        let due = due(Some(&node(100)), changed.clone(), Epoch(1), 100);
        assert_eq!(due, Due::Register(Node { expiration: Epoch(101), ..changed }));
    }
}
