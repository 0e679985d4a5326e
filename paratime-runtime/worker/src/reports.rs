//! What the rest of the node sees of a worker: where it stands, and what becomes of rounds.

use std::sync::Arc;

use paralith_proto::pb::paratime::v1::Round;
use paralith_proto::pb::roothash::v1 as roothash_pb;
use paralith_types::Hash;
use tokio::sync::{broadcast, watch};

/// What becomes of a round.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmation {
    /// All workers have signed it.
    Soft {
        /// The round.
        round: u64,
        /// What they signed for.
        proposal: roothash_pb::SignedProposal,
        /// Their votes.
        votes: Vec<roothash_pb::Vote>,
        /// Its transactions.
        tx_hashes: Vec<Hash>,
    },
    /// The chain has it, and its outputs are open: receipts can be had.
    Final {
        /// The round.
        round: u64,
        /// Its transactions.
        tx_hashes: Vec<Hash>,
    },
}

/// Where a worker stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The consensus height that it acts on.
    pub height: u64,
    /// The newest round on the chain.
    pub last_round: u64,
    /// The newest round whose state this node has.
    pub applied_round: u64,
    /// The newest round whose outputs this node has open.
    pub released_round: u64,
    /// Whether it is in the committee as worker.
    pub is_worker: bool,
    /// Whether it is in the committee as backup.
    pub is_backup: bool,
    /// Whether it can execute.
    pub is_ready: bool,
    /// Whether the enclave has this epoch's keys.
    pub has_keys: bool,
    /// The height that the enclave has proven.
    pub synced_height: u64,
    /// What keeps it from going on, if anything does.
    pub trouble: String,
}

impl Status {
    /// Whether this node has applied all rounds that it knows of.
    pub fn has_newest_state(&self) -> bool {
        self.height > 0 && self.applied_round >= self.last_round
    }
}

/// Where a worker's tasks report, and its handles subscribe.
#[derive(Debug)]
pub(crate) struct Reports {
    status: watch::Sender<Status>,
    confirmations: broadcast::Sender<Confirmation>,
    rounds: broadcast::Sender<Arc<Round>>,
}

impl Reports {
    pub(crate) fn new() -> Self {
        Self {
            status: watch::Sender::new(Status::default()),
            confirmations: broadcast::Sender::new(BROADCAST_MAX),
            rounds: broadcast::Sender::new(BROADCAST_MAX),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// See [`Status::has_newest_state`].
    pub(crate) fn has_newest_state(&self) -> bool {
        self.status.borrow().has_newest_state()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }

    /// Notes what keeps the worker from going on.
    pub(crate) fn trouble(&self, error: &dyn std::fmt::Display) {
        self.update(|status| status.trouble = error.to_string());
    }

    /// Without subscribers it goes nowhere, which is no fault.
    pub(crate) fn confirm(&self, confirmation: Confirmation) {
        let _ = self.confirmations.send(confirmation);
    }

    /// As [`Reports::confirm`], with the round itself.
    pub(crate) fn publish(&self, round: Round) {
        let _ = self.rounds.send(Arc::new(round));
    }

    pub(crate) fn subscribe_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn subscribe_confirmations(&self) -> broadcast::Receiver<Confirmation> {
        self.confirmations.subscribe()
    }

    pub(crate) fn subscribe_rounds(&self) -> broadcast::Receiver<Arc<Round>> {
        self.rounds.subscribe()
    }
}

/// Receivers that are further behind than this ask for receipts and rounds one by one.
const BROADCAST_MAX: usize = 256;
