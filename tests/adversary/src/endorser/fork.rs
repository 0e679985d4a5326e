//! A chain that parts from the real one: a header that validators did not sign, over a consensus state with a round
//! of the ledger that never was, over a state of the ledger in which a call is committed. All proofs in it are right.

use std::fmt;

use paralith::error::NodeError;
use paralith_chaincode_core::hashes::response_hash;
use paralith_chaincode_messages::state::{Committed, committed_key};
use paralith_chaincode_messages::{Message as _, Response, Version};
use paralith_consensus_api::roothash::{self, RuntimeState};
use paralith_consensus_engine::headers::{ConsensusKey, block_id, sign};
use paralith_consensus_light::{LightBlock, validator_set};
use paralith_proto::Canonical as _;
use paralith_runtime_worker::Chain as _;
use paralith_storage::{
    Changes, Durability, Kv, MAX_VALUE_BYTES, NodeSource as _, StorageError, Tree, WriteBatch,
};
use paralith_tee_channel::Failure;
use paralith_types::{Hash, Height, Round};

use super::Host;

/// By whose word a fork is one: the attacker has no validator's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The validators', by their signatures of the real block of this height.
    Validators,
    /// Validators' that the attacker made, with right signatures.
    Own,
}

/// The power of a validator that the attacker made.
const POWER: u64 = 10;

/// What an enclave is shown in the place of the real chain, from a height on.
pub struct Fork {
    height: u64,
    round: u64,
    light_block: Vec<u8>,
    consensus: Tree,
    ledger: Tree,
}

impl fmt::Debug for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fork(height {}, round {})", self.height, self.round)
    }
}

fn internal(error: impl fmt::Display) -> NodeError {
    NodeError::internal(&error)
}

fn failure(error: StorageError) -> Failure {
    Failure::new("host", 2, error)
}

/// A tree of one version, and its root.
fn tree(name: &[u8], version: u64, entries: &Changes) -> Result<(Tree, Hash), NodeError> {
    let tree = Tree::new(Kv::memory(), name);
    let prepared = tree.prepare(None, version, entries).map_err(internal)?;
    let root = prepared.root();
    tree.commit(prepared, WriteBatch::new(), Durability::Lazy).map_err(internal)?;
    Ok((tree, root))
}

/// This block with the root of another state.
fn forged(real: &LightBlock, root: &Hash, claim: Claim) -> Result<LightBlock, NodeError> {
    let mut signed = real.signed_header().clone();
    signed.header.app_hash = root.as_bytes().to_vec().try_into().map_err(internal)?;
    match claim {
        Claim::Validators => {
            signed.commit.block_id = block_id(&signed.header);
            LightBlock::new(signed, real.validators(), real.next_validators())
        }
        Claim::Own => {
            let key = ConsensusKey::from_seed(paralith_rt::random().map_err(internal)?);
            let own = validator_set(&[(key.public(), POWER)]).map_err(internal)?;
            signed.header.validators_hash = own.hash();
            signed.header.next_validators_hash = own.hash();
            signed.header.proposer_address = key.address();
            let signed = sign(signed.header, &own, &[key]).map_err(internal)?;
            LightBlock::new(signed, &own, &own)
        }
    }
    .map_err(internal)
}

impl Fork {
    /// The first height whose state differs.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The round of the ledger that never was.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    pub(super) fn light_block(&self) -> Vec<u8> {
        self.light_block.clone()
    }

    pub(super) fn consensus_get(&self, key: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        let (value, proof) = self.consensus.prove(self.height, key).map_err(failure)?;
        Ok((value, proof.to_bytes()))
    }

    pub(super) fn state_node(&self, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.ledger.node_source(self.round).node(id).map_err(failure)
    }

    pub(super) fn state_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.ledger.node_source(self.round).value(key).map_err(failure)
    }
}

impl Host {
    /// Forks from the chain at the newest height, which the enclave must not have seen: a round of the ledger in
    /// which this response is committed. Of everything else that the enclave has asked for so far, the fork's state
    /// holds what is true.
    pub async fn fork(&self, response: &[u8], claim: Claim) -> Result<Fork, NodeError> {
        let height = self.chain.height()?;
        let place = roothash::keys::runtime_state(&self.ledger);
        let mut entries = Changes::new();
        for key in self.shown.asked() {
            if let Some(value) = self.chain.get_raw(Some(height), &key).await? {
                entries.insert(key, Some(value));
            }
        }
        let state = self.chain.get_raw(Some(height), &place).await?.unwrap_or_default();
        let mut state = RuntimeState::decode(&state, MAX_VALUE_BYTES).map_err(internal)?;
        let round = state.last_block.round.0.saturating_add(1);
        let decoded = Response::decode(response).map_err(internal)?;
        let committed = Committed {
            version: Version { round, position: 0 },
            application: self.application,
            response: response_hash(response),
        };
        let mut record = Changes::new();
        record.insert(committed_key(&decoded.tx_id), Some(committed.to_bytes()));
        let (ledger, root) = tree(self.ledger.as_bytes(), round, &record)?;
        (state.last_normal_round, state.last_block.round) = (Round(round), Round(round));
        state.last_block.state_root = root;
        entries.insert(place, Some(state.encode()));
        let (consensus, root) = tree(b"consensus", height, &entries)?;
        let real = self.chain.light_block(height.saturating_add(1)).await.map_err(internal)?;
        let real = LightBlock::decode(&real).map_err(internal)?;
        let light_block = forged(&real, &root, claim)?.encode();
        Ok(Fork { height, round, light_block, consensus, ledger })
    }

    /// Waits until it has the state of a block that the enclave has not seen. That one may have got a header of the
    /// chain's node that this host has not verified yet.
    pub async fn ahead(&self) -> Result<(), NodeError> {
        let newest = Height(self.chain.height()?.saturating_add(1));
        super::with_blocks(&self.chain, async || match self.chain.height()? > newest.0 {
            true => Ok(()),
            false => Err(NodeError::NotReady { reason: format!("no block comes after {newest}") }),
        })
        .await
    }
}
