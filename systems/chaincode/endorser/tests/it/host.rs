//! A node around an enclave: what it shows of the chain and of the ledger's state, and how it lies.

use std::sync::{Arc, Mutex};

use paralith_consensus_api::roothash::{self, RuntimeState};
use paralith_harness::WrittenChain;
use paralith_proto::Canonical;
use paralith_storage::{NodeSource, Tree};
use paralith_tee_channel::{Failure, HostServices};
use paralith_types::Hash;

use crate::world::LEDGER;

/// How a host lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    None,
    /// The ledger's tree has other nodes.
    FlipNode,
    NoNode,
    /// The ledger's tree is that of its first round.
    OldTree,
    /// Consensus state is that of the height before, with its own proofs.
    OldState,
    /// The ledger's state has a root that nobody computed, with the proof of the true one.
    InventedRoot,
    NoProof,
    FlipProof,
    /// No header at all.
    NoBlocks,
    /// The chain ends with the header of this height.
    BlocksUntil(u64),
}

pub struct Host {
    chain: Mutex<Arc<WrittenChain>>,
    state: Tree,
    pub lie: Mutex<Lie>,
}

impl Host {
    pub fn new(chain: Arc<WrittenChain>, state: Tree) -> Self {
        Self { chain: Mutex::new(chain), state, lie: Mutex::new(Lie::None) }
    }

    /// Shows another chain from now on.
    pub fn show(&self, chain: &Arc<WrittenChain>) {
        *self.chain.lock().unwrap() = chain.clone();
    }

    fn lies(&self) -> Lie {
        *self.lie.lock().unwrap()
    }

    fn chain(&self) -> Arc<WrittenChain> {
        self.chain.lock().unwrap().clone()
    }
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes
}

impl HostServices for Host {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        let lie = self.lies();
        let height = if lie == Lie::OldState { height - 1 } else { height };
        let (value, proof) =
            self.chain().prove(height, key).ok_or(Failure::new("test", 1, "no"))?;
        match lie {
            Lie::NoProof => Ok((None, proof)),
            Lie::FlipProof => Ok((value.map(flipped), proof)),
            Lie::InventedRoot if key == roothash::keys::runtime_state(&LEDGER) => {
                let mut state = RuntimeState::decode(&value.unwrap(), 1_000_000).unwrap();
                state.last_block.state_root = Hash([66; 32]);
                Ok((Some(state.encode()), proof))
            }
            _ => Ok((value, proof)),
        }
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        let height = match self.lies() {
            Lie::NoBlocks => return Err(Failure::new("test", 3, "no blocks")),
            Lie::BlocksUntil(last) if height > last => {
                return Err(Failure::new("test", 3, "no more blocks"));
            }
            Lie::BlocksUntil(last) if height == 0 => last,
            _ => height,
        };
        self.chain().block(height).ok_or(Failure::new("test", 2, "no such block"))
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let lie = self.lies();
        let id = if lie == Lie::OldTree && id.len() == 8 { &1_u64.to_be_bytes() } else { id };
        let node = self.state.node_source(round).node(id).unwrap();
        Ok(match lie {
            Lie::FlipNode => node.map(flipped),
            Lie::NoNode => None,
            _ => node,
        })
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.state.get(round, key).unwrap())
    }

    fn log(&self, _text: &str) {}
}
