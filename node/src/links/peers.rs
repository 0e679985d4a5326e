//! Who a caller is: the key of its handshake, looked up in the registry. It is the [`Directory`] of the
//! links of workers and key managers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{BoxStream, StreamExt as _};
use paralith_consensus_api::registry;
use paralith_runtime_worker::Chain as _;
use paralith_types::{PublicKey, RuntimeId};
use tokio_stream::wrappers::BroadcastStream;

use super::directory::{Directory, Role};
use super::rules::WORKER_SERVICE;
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
    /// Whether keys that are not registered may call what is for anyone.
    strangers: bool,
    /// Each with the height at which it was read.
    known: Mutex<BTreeMap<PublicKey, (u64, Caller)>>,
}

impl Peers {
    pub(crate) fn new(chain: Arc<ChainAccess>, strangers: bool) -> Arc<Self> {
        Arc::new(Self { chain, strangers, known: Mutex::default() })
    }

    /// Whether keys that are not registered may call what is for anyone.
    pub(crate) fn serves_strangers(&self) -> bool {
        self.strangers
    }

    /// What the newest proven state says of a key.
    async fn caller(&self, key: &PublicKey) -> Result<Caller, NodeError> {
        let node: Option<registry::Node> = self.chain.get(&registry::keys::node(key)).await?;
        // WI-2: registered, or a stranger.
        Ok(Caller::of(node.as_ref(), self.chain.epoch().await?))
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
        let caller = self.caller(key).await?;
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

impl Directory for Peers {
    fn allows(
        &self,
        key: PublicKey,
        service: &'static str,
    ) -> BoxFuture<'_, Result<Option<Role>, NodeError>> {
        async move {
            if service != WORKER_SERVICE {
                return Ok(None);
            }
            if self.is(&key, Caller::is_registered).await? {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                let roles = known.get(&key).map(|(_, caller)| caller.roles);
                return Ok(Some(Role::Listed(roles.unwrap_or_default())));
            }
            Ok(self.strangers.then_some(Role::Stranger))
        }
        .boxed()
    }

    fn addresses(&self, key: PublicKey) -> BoxFuture<'_, Result<Option<Vec<String>>, NodeError>> {
        async move {
            // An expired entry still says where the node is: it may be renewing itself.
            let node: Option<registry::Node> = self.chain.get(&registry::keys::node(&key)).await?;
            Ok(node.map(|node| node.addresses))
        }
        .boxed()
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        if self.strangers {
            // Every key may keep its link: a registration that ends makes its key a stranger's.
            return futures::stream::pending().boxed();
        }
        // Blocks that were missed changed something, too.
        BroadcastStream::new(self.chain.subscribe()).map(|_| ()).boxed()
    }
}
