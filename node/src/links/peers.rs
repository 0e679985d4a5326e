//! Who a caller is: the key of its handshake, looked up in the registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::registry;
use paralith_types::{PublicKey, RuntimeId};

use crate::chain::ChainAccess;
use crate::error::NodeError;

/// Callers that are remembered. Looking one up again costs a read of state, nothing more.
const MAX_KNOWN: usize = 4096;

/// Blocks for which a registration that suffices is not read again. A registered node cannot give
/// anything back before it expires.
const TRUSTED_BLOCKS: u64 = 30;

/// What the registry says of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Caller {
    /// Bits of `registry::ROLE_*`; none for a key that is not registered, or no longer.
    roles: u32,
    /// What it runs.
    runtimes: Vec<RuntimeId>,
}

impl Caller {
    /// What a registration says in an epoch.
    fn of(node: Option<&registry::Node>, epoch: paralith_types::Epoch) -> Self {
        match node.filter(|node| node.expiration >= epoch) {
            None => Self::default(),
            Some(node) => Self {
                roles: node.roles,
                runtimes: node.runtimes.iter().map(|runtime| runtime.runtime_id).collect(),
            },
        }
    }

    /// Whether it is registered at all.
    pub(crate) fn is_registered(&self) -> bool {
        self.roles != 0
    }

    /// Whether it has a role.
    pub(crate) fn has_role(&self, role: u32) -> bool {
        self.roles & role != 0
    }

    /// Whether it runs a ParaTime or belongs to a key manager.
    pub(crate) fn runs(&self, id: &RuntimeId) -> bool {
        self.runtimes.contains(id)
    }
}

/// The callers of this node's links.
#[derive(Debug)]
pub(crate) struct Peers {
    chain: Arc<ChainAccess>,
    /// Each with the height at which it was read.
    known: Mutex<BTreeMap<PublicKey, (u64, Caller)>>,
}

impl Peers {
    pub(crate) fn new(chain: Arc<ChainAccess>) -> Arc<Self> {
        Arc::new(Self { chain, known: Mutex::default() })
    }

    /// Whether the registry says of a key what `suffices`. What it said lately counts if it did
    /// suffice; else the newest proven state is read, once a block.
    pub(crate) async fn is(
        &self,
        key: &PublicKey,
        suffices: impl Fn(&Caller) -> bool,
    ) -> Result<bool, NodeError> {
        let height = self.chain.height()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some((at, caller)) = known {
            let fits = suffices(&caller);
            // WI-3: what suffices cannot be given back within these blocks.
            if at == height || (fits && height < at.saturating_add(TRUSTED_BLOCKS)) {
                return Ok(fits);
            }
        }
        let node: Option<registry::Node> = self.chain.get(&registry::keys::node(key)).await?;
        // WI-2: registered, or a stranger.
        let caller = Caller::of(node.as_ref(), self.chain.epoch().await?);
        let fits = suffices(&caller);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.retain(|_, (_, caller)| caller.is_registered());
        }
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(*key, (height, caller));
        Ok(fits)
    }
}
