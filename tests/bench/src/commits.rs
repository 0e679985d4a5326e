//! Consensus transactions that rounds cost.

use anyhow::Result;
use paralith::client::ChainClient;
use paralith_proto::pb::consensus::v1::{Block, TransactionResult};
use serde_json::{Value, json};

use crate::report::rounded;

/// What blocks hold of rounds.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    /// Transactions with votes that were taken or refused.
    transactions: u64,
    rounds: u64,
}

impl Commits {
    /// Counts the blocks after a height up to the newest.
    pub(crate) async fn since(chain: &mut ChainClient, after: u64) -> Result<Self> {
        let (mut commits, last) = (Self::default(), chain.sync().await?.0);
        for height in after.saturating_add(1)..=last {
            commits.add(&chain.block(height).await?);
        }
        Ok(commits)
    }

    fn add(&mut self, block: &Block) {
        let with_votes = |tx: &&TransactionResult| {
            let vote = |kind: &str| matches!(kind, "roothash.Voted" | "roothash.VoteIgnored");
            tx.module == "roothash" || tx.events.iter().any(|event| vote(&event.kind))
        };
        let transactions = block.transactions.iter().filter(with_votes).count();
        let of_txs = block.transactions.iter().flat_map(|tx| &tx.events);
        let finalised = |kind: &str| kind == "roothash.RoundFinalised";
        let rounds = of_txs.chain(&block.events).filter(|event| finalised(&event.kind)).count();
        self.transactions = self.transactions.saturating_add(transactions as u64);
        self.rounds = self.rounds.saturating_add(rounds as u64);
    }

    /// How many a round.
    pub(crate) fn per_round(&self) -> f64 {
        rounded(self.transactions as f64 / self.rounds as f64)
    }

    pub(crate) fn facts(&self) -> Value {
        json!({ "rounds": self.rounds, "transactions": self.transactions, "a round": self.per_round() })
    }
}
