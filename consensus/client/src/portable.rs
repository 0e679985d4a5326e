//! Entries of a ParaTime's state, proven to somebody who has the genesis document and no node.
//!
//! The proof holds what a client asks a node for: headers from genesis to one height, the ParaTime's
//! descriptor and a round's header in the consensus state of that height, and the entries under the
//! header's state root.

use paralith_consensus_api::registry::{self, Runtime};
use paralith_consensus_api::roothash::{self, Header};
use paralith_consensus_light::{Follow, LightBlock, LightClient, MAX_VALUE_BYTES};
use paralith_proto::Canonical;
use paralith_runtime_api::state::provable_place;
use paralith_storage::Proof;
use paralith_types::{Height, RuntimeId};

use crate::chain::{ChainClient, decode};
use crate::error::{ClientError, unverifiable};
use crate::genesis::GenesisInfo;
use crate::paratime::ParaTimeClient;

/// A value with the proof of it, or of its absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// The key as the runtime's code names it.
    pub key: Vec<u8>,
    /// The value; none: there is no such entry.
    pub value: Option<Vec<u8>>,
    /// Under the state root.
    pub proof: Vec<u8>,
}

/// Entries with everything that leads to them from the genesis document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortableProof {
    /// The ParaTime.
    pub runtime_id: RuntimeId,
    /// Encoded light blocks, each verified by the one before. The last one's root is that of the
    /// consensus state that proves the rest.
    pub blocks: Vec<Vec<u8>>,
    /// The ParaTime's canonical descriptor, with its proof.
    pub runtime: (Vec<u8>, Vec<u8>),
    /// The round's canonical header, with its proof.
    pub header: (Vec<u8>, Vec<u8>),
    /// The entries.
    pub entries: Vec<ProvenEntry>,
}

/// Where a [`PortableProof`] was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenRound {
    /// The ParaTime's descriptor.
    pub runtime: Runtime,
    /// The round's header.
    pub header: Header,
    /// The height of the consensus state.
    pub height: Height,
    /// The time of the last header, in seconds of Unix time. What happened later, the proof does not
    /// say.
    pub time_seconds: u64,
}

impl ChainClient {
    /// Encoded headers that lead from genesis to the root of the state at a height.
    async fn trail(&self, height: Height) -> Result<Vec<Vec<u8>>, ClientError> {
        let document = &self.genesis().document;
        let mut light = LightClient::from_document(document).map_err(|e| unverifiable(&e))?;
        let mut follow = Follow::new(height.next(), 0);
        let mut trail = Vec::new();
        while let Some(next) = follow.next(&light) {
            let block = self.light_block(next).await?;
            follow.take(&mut light, &block).map_err(|e| unverifiable(&e))?;
            // One that was too far away is fetched again after those in between.
            if light.height() == next {
                trail.push(block.encode());
            }
        }
        Ok(trail)
    }
}

impl ParaTimeClient {
    /// Entries of the state after the newest final round, as [`ParaTimeClient::prove`] gives them, with
    /// what proves them without a node.
    pub async fn prove_portably(
        &mut self,
        chain: &mut ChainClient,
        keys: &[Vec<u8>],
    ) -> Result<PortableProof, ClientError> {
        let (header, entries) = self.prove_entries(chain, None, keys).await?;
        let proven = self.prove_header(chain, &header).await?;
        let descriptor = registry::keys::runtime(&self.runtime.id);
        let descriptor = chain.proven(Some(proven.height), &descriptor).await?;
        let value = descriptor.value.ok_or_else(|| unverifiable(&"the ParaTime is not there"))?;
        Ok(PortableProof {
            runtime_id: self.runtime.id,
            blocks: chain.trail(proven.height).await?,
            runtime: (value, descriptor.proof),
            header: (header.encode(), proven.proof),
            entries,
        })
    }
}

impl PortableProof {
    /// LC-20: verifies all of it against a genesis document. The caller checks that `runtime_id` is the ParaTime
    /// that it means.
    pub fn verify(&self, genesis: &GenesisInfo) -> Result<ProvenRound, ClientError> {
        let document = &genesis.document;
        let mut light = LightClient::from_document(document).map_err(|e| unverifiable(&e))?;
        for block in &self.blocks {
            let block = LightBlock::decode(block).map_err(|e| unverifiable(&e))?;
            // LC-6: no step is longer than stake that left stays slashable.
            if block.height().0.saturating_sub(light.height().0) > light.max_step() {
                return Err(unverifiable(&"two headers are too far apart"));
            }
            light.update(&block).map_err(|e| unverifiable(&e))?;
        }
        let known = light.app_hash_at();
        let (height, _) = known.ok_or_else(|| unverifiable(&"it holds no header"))?;
        let check = |key: &[u8], (value, proof): &(Vec<u8>, Vec<u8>)| {
            light.verify_state(height, key, Some(value), proof).map_err(|e| unverifiable(&e))
        };
        let id = self.runtime_id;
        check(&registry::keys::runtime(&id), &self.runtime)?;
        let runtime: Runtime = decode(&self.runtime.0)?;
        let header = Header::decode(&self.header.0, MAX_VALUE_BYTES);
        let header = header.map_err(|e| unverifiable(&e))?;
        check(&roothash::keys::header(&id, header.round), &self.header)?;
        for entry in &self.entries {
            let place = provable_place(&runtime, &entry.key)
                .ok_or_else(|| unverifiable(&"an entry that cannot be proven"))?;
            Proof::from_bytes(&entry.proof)
                .and_then(|proof| proof.verify(&header.state_root, &place, entry.value.as_deref()))
                .map_err(|e| unverifiable(&format!("an entry: {e}")))?;
        }
        let time_seconds = light.trusted().time_seconds();
        Ok(ProvenRound { runtime, header, height, time_seconds })
    }

    /// The entry under a key; none if the proof says nothing of it. [`PortableProof::verify`] first.
    pub fn entry(&self, key: &[u8]) -> Option<&ProvenEntry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}
