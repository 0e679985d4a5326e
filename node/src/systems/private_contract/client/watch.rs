//! Transactions of a contract as they come and end.

use std::collections::BTreeMap;

use paralith_private_contract_core::messages::keys as places;
use paralith_private_contract_messages::{ContentHash, ContractId, TransactionRecord};
use paralith_types::Hash;

use super::ContractClient;
use crate::error::NodeError;

/// What a watcher has seen of a contract's transactions.
#[derive(Debug, Default)]
pub struct Watched {
    next: u64,
    open: BTreeMap<u64, ContentHash>,
}

/// What a watcher reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A transaction was taken.
    Init {
        /// Its number.
        seq: u64,
        /// Of its content.
        content_hash: ContentHash,
    },
    /// It is final.
    Fini {
        /// It.
        seq: u64,
        /// What became of it.
        record: Box<TransactionRecord>,
        /// The contract's last final root.
        root: Hash,
    },
}

impl Watched {
    /// Begins with a transaction; 1 is the first.
    #[must_use]
    pub fn from(next: u64) -> Self {
        Self { next, open: BTreeMap::new() }
    }

    /// What is new in the newest proven state.
    pub async fn look(
        &mut self,
        client: &mut ContractClient,
        id: &ContractId,
    ) -> Result<Vec<Seen>, NodeError> {
        let contract = client.contract(id).await?;
        let mut seen = Vec::new();
        while self.next < contract.next_seq {
            let seq = self.next;
            self.next = self.next.saturating_add(1);
            // Gone if it was final long ago.
            let record: Option<TransactionRecord> =
                client.record(places::transaction(id, seq)).await?;
            if let Some(record) = record {
                seen.push(Seen::Init { seq, content_hash: record.content_hash });
                self.open.insert(seq, record.content_hash);
            }
        }
        for seq in self.open.keys().copied().filter(|seq| *seq < contract.head).collect::<Vec<_>>()
        {
            self.open.remove(&seq);
            let record = client.transaction(id, seq).await?;
            let root = match record.batch {
                0 => contract.last_root,
                batch => match client.final_batch(id, batch).await {
                    Ok(done) => done.root,
                    Err(NodeError::NotFound { .. }) => contract.last_root,
                    Err(error) => return Err(error),
                },
            };
            seen.push(Seen::Fini { seq, record: Box::new(record), root });
        }
        Ok(seen)
    }
}
