//! Everything that a chain reports, from its first block on.

use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::event::{Event, EventKind};
use paralith_proto::{Wire as _, pb};
use pb::consensus::v1::consensus_service_client::ConsensusServiceClient;
use pb::consensus::v1::{Block, GetBlockRequest, GetChainRequest, WatchBlocksRequest};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::until;

/// An event and the height of its block.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The block.
    pub height: u64,
    /// What happened in it.
    pub event: EventKind,
}

#[derive(Debug, Default)]
struct History {
    height: u64,
    events: Vec<Seen>,
}

/// Follows a node's blocks, none left out.
#[derive(Debug)]
pub struct Watch {
    history: Arc<Mutex<History>>,
    task: JoinHandle<()>,
    node: String,
}

impl Watch {
    /// Begins with the first block, which the node must still have the events of.
    pub async fn begin(node: &str) -> Self {
        let history = Arc::<Mutex<History>>::default();
        let service = ConsensusServiceClient::connect(node.to_string()).await.unwrap();
        let into = Arc::clone(&history);
        let task = tokio::spawn(async move { follow(service, &into).await });
        Self { history, task, node: node.to_string() }
    }

    /// The newest block that was seen.
    pub fn height(&self) -> u64 {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).height
    }

    /// Waits until everything is seen that had happened when this was called.
    pub async fn catch_up(&self) {
        let mut service = ConsensusServiceClient::connect(self.node.clone()).await.unwrap();
        let newest = service.get_chain(GetChainRequest {}).await.unwrap().into_inner().height;
        until("the newest block is seen", async || (self.height() > newest).then_some(())).await;
    }

    /// All events until now.
    pub fn events(&self) -> Vec<Seen> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).events.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until the node ends the stream.
async fn follow(mut service: ConsensusServiceClient<Channel>, history: &Mutex<History>) {
    let Ok(blocks) = service.watch_blocks(WatchBlocksRequest {}).await else { return };
    let mut blocks = blocks.into_inner();
    while let Ok(Some(block)) = blocks.message().await {
        let seen = history.lock().unwrap_or_else(PoisonError::into_inner).height;
        // Those before the stream, and those that it left out.
        for height in seen + 1..block.height {
            let request = GetBlockRequest { height };
            let Ok(missed) = service.get_block(request).await else { return };
            note(history, missed.into_inner());
        }
        note(history, block);
    }
}

fn note(history: &Mutex<History>, block: Block) {
    let of_txs = block.transactions.into_iter().flat_map(|tx| tx.events);
    let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
    for event in of_txs.chain(block.events) {
        let event = Event::from_pb(event).unwrap();
        let event = EventKind::from_event(&event).unwrap();
        history.events.push(Seen { height: block.height, event });
    }
    history.height = block.height;
}
