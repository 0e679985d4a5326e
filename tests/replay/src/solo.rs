//! Recorded blocks, made once more by the solo engine.

use std::sync::Arc;
use std::time::Duration;

use paralith_consensus_abci::Application;
use paralith_consensus_engine::Chain;
use paralith_genesis::Document;
use paralith_storage::Kv;
use paralith_types::{Hash, Height};

use crate::blocks::outcome_of;
use crate::{Block, Ledger, keys};

/// Most bytes of a block's transactions.
const MAX_BLOCK_BYTES: i64 = 4 * 1024 * 1024;

/// A chain of the solo engine, block by block. Time is what it is told.
#[derive(Debug)]
pub struct SoloChain {
    tokio: tokio::runtime::Runtime,
    document: Document,
    kv: Kv,
    chain: Option<Chain>,
    /// What the chain has made so far, for enclaves to follow.
    pub ledger: Arc<Ledger>,
}

/// A block that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its height.
    pub height: Height,
    /// CometBFT's address of the proposer.
    pub proposer: Vec<u8>,
    /// What became of its transactions, as it is recorded.
    pub outcomes: Vec<String>,
    /// The state's root after it.
    pub app_hash: Hash,
}

impl SoloChain {
    /// A chain before its first block.
    pub fn new(document: &Document) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let kv = Kv::memory();
        let application = Application::open(kv.clone()).unwrap();
        let ledger = Arc::new(Ledger::new(application));
        let mut solo = Self { tokio, document: document.clone(), kv, chain: None, ledger };
        solo.open();
        solo
    }

    fn open(&mut self) {
        let (application, kv) = (self.ledger.application(), self.kv.clone());
        let keys = vec![keys::validator()];
        let opening = Chain::open(&application, kv, &self.document, keys, MAX_BLOCK_BYTES);
        self.chain = Some(self.tokio.block_on(opening).unwrap());
    }

    /// Drops engine and application, and opens both again on their store.
    pub fn restart(&mut self) {
        self.chain = None;
        self.ledger.replace(Application::open(self.kv.clone()).unwrap());
        self.open();
    }

    /// Hands these transactions in and makes the next block, which must take them all.
    pub fn block(&mut self, time_seconds: u64, txs: &[Vec<u8>]) -> Made {
        let (application, chain) = (self.ledger.application(), self.chain.as_mut().unwrap());
        let mut events = application.subscribe();
        let (committed, light) = self.tokio.block_on(async {
            for raw in txs {
                let outcome = application.submit(raw.clone()).await;
                assert_eq!(outcome.code, 0, "{}: {}", outcome.module, outcome.message);
            }
            let committed = chain.make_block(Duration::from_secs(time_seconds)).await.unwrap();
            (committed, chain.light_block(None).unwrap())
        });
        assert_eq!(committed.txs, txs.len(), "the block takes all of the pool");
        let event = events.try_recv().unwrap();
        let header = &light.signed_header().header;
        assert_eq!(light.time_seconds(), time_seconds, "the block's time is the given one");
        let made = Made {
            height: committed.height,
            proposer: header.proposer_address.as_bytes().to_vec(),
            outcomes: event.txs.iter().map(|(_, tx)| outcome_of(tx)).collect(),
            app_hash: committed.app_hash,
        };
        self.ledger.push(light.encode());
        made
    }

    /// Makes the recorded blocks, and restarts after every `restart_every`; 0 never does.
    pub fn replay(&mut self, blocks: &[Block], restart_every: usize) {
        for (done, block) in (1_usize..).zip(blocks) {
            let txs: Vec<Vec<u8>> = block.txs.iter().map(|raw| raw.0.clone()).collect();
            let made = self.block(block.time_seconds, &txs);
            let recorded = (block.height, &block.proposer.0, block.app_hash);
            assert_eq!((made.height, &made.proposer, made.app_hash), recorded);
            assert_eq!(made.outcomes, block.outcomes, "block {}", block.height);
            if restart_every != 0 && done.is_multiple_of(restart_every) {
                self.restart();
            }
        }
    }
}
