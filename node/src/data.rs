//! The contents that this node keeps for others by their hash: `docs/protocol/data.md`.

use std::path::Path;
use std::sync::Arc;

use paralith_data::{DataError, Quotas, Service, ServiceLimits, Store, TicketBounds, TicketRule};
use paralith_storage::Files;
use paralith_types::{ChainContext, Height};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::chain::ChainAccess;
use crate::config::DataConfig;
use crate::error::NodeError;

/// What a node keeps, and for whom.
#[derive(Debug, Clone)]
pub struct DataHost {
    /// How much.
    pub limits: DataConfig,
    /// Who may put and get, for each kind of scope. Nobody may in other scopes.
    pub rules: Vec<Arc<dyn TicketRule>>,
}

impl DataHost {
    /// Opens the store in `<home>/data`, or in memory without a home, and its service.
    pub(crate) fn open(
        self,
        home: Option<&Path>,
        chain: &Arc<ChainAccess>,
        context: ChainContext,
    ) -> Result<(Arc<Store>, Service), NodeError> {
        let failed = |error: DataError| NodeError::Io {
            what: "the store of contents".to_string(),
            reason: error.to_string(),
        };
        let files = match home {
            None => Files::memory(),
            Some(home) => Files::folder(&home.join("data")).map_err(|e| failed(e.into()))?,
        };
        let DataConfig { total_bytes, scope_bytes, holder_bytes, content_bytes, ticket_blocks } =
            self.limits;
        let quotas = Quotas { total: total_bytes, scope: scope_bytes, holder: holder_bytes };
        let store = Store::open(files, quotas).map_err(failed)?;
        let tickets = TicketBounds { content_bytes, blocks: ticket_blocks };
        let known = Arc::clone(chain);
        let service = Service::new(
            Arc::clone(&store),
            self.rules,
            context,
            Arc::new(move || known.height().ok().map(Height)),
            ServiceLimits::new(tickets),
        );
        Ok((store, service))
    }
}

/// Removes contents that need not be kept any more, with every block until the node stops.
pub(crate) async fn expire(store: Arc<Store>, chain: Arc<ChainAccess>, stop: CancellationToken) {
    use paralith_runtime_worker::Chain as _;
    let mut blocks = chain.subscribe();
    loop {
        if let Ok(height) = chain.height() {
            let store = Arc::clone(&store);
            let expired = paralith_rt::blocking(move || {
                while store.expire(Height(height))? {}
                Ok::<_, DataError>(())
            });
            match expired.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "old contents cannot be removed"),
                Err(error) => tracing::warn!(%error, "old contents cannot be removed"),
            }
        }
        let block = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            block = blocks.recv() => block,
        };
        if matches!(block, Err(RecvError::Closed)) {
            return;
        }
    }
}
