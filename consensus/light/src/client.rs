//! Follows the chain from what is trusted, and checks proofs against what was followed.

use std::collections::BTreeMap;
use std::time::Duration;

use paralith_consensus_api::consensus::{EventsRoot, keys};
use paralith_consensus_api::event::Event;
use paralith_consensus_api::light::MAX_STEP;
use paralith_crypto::merkle::MerkleProof;
use paralith_genesis::Document;
use paralith_proto::Canonical;
use paralith_storage::Proof;
use paralith_types::{Hash, Height, PublicKey};
use tendermint_light_client_verifier::errors::VerificationErrorDetail as Detail;
use tendermint_light_client_verifier::options::Options;
use tendermint_light_client_verifier::types::{
    TrustThreshold, TrustedBlockState, UntrustedBlockState,
};
use tendermint_light_client_verifier::{ProdVerifier, Verdict, Verifier};

use crate::block::hash_of;
use crate::{LightBlock, LightError, Trusted, ViewError};

/// Follows one chain.
#[derive(Debug, Clone)]
pub struct LightClient {
    trusted: Trusted,
    /// The longest step between two headers, in blocks.
    max_step: u64,
    /// Roots by the height of their state, of the newest [`Self::KEPT_ROOTS`] verified headers.
    roots: BTreeMap<Height, Hash>,
}

impl LightClient {
    /// How many headers' state roots are kept: of more blocks than the oldest anchor of a chaincode's
    /// call lies behind.
    pub const KEPT_ROOTS: usize = 256;

    /// Starts before the first block with the validators (key and power) of the genesis document.
    /// The chain id ends in the document's hash, so votes of its validators bind all of it.
    pub fn from_genesis(
        chain_id: &str,
        initial_height: Height,
        validators: &[(PublicKey, u64)],
    ) -> Result<Self, LightError> {
        let trusted = Trusted::genesis(chain_id, initial_height, validators)?;
        Ok(Self { trusted, max_step: MAX_STEP, roots: BTreeMap::new() })
    }

    /// Starts before the first block of this genesis document.
    pub fn from_document(document: &Document) -> Result<Self, ViewError> {
        let genesis = |e: &dyn std::fmt::Display| ViewError::Genesis(e.to_string());
        let chain_id = document.chain_id().map_err(|e| genesis(&e))?;
        let validators = document.first_validators().map_err(|e| genesis(&e))?.validators;
        let validators: Vec<_> = validators.iter().map(|v| (v.consensus_key, v.power)).collect();
        let light = Self::from_genesis(&chain_id, document.genesis.initial_height, &validators)?;
        Ok(light.with_max_step(document.longest_light_step()))
    }

    /// The same client with shorter steps: a chain whose debonding period is short needs them.
    #[must_use]
    pub fn with_max_step(mut self, blocks: u64) -> Self {
        self.max_step = blocks.clamp(1, MAX_STEP);
        self
    }

    /// The longest step between two headers, in blocks.
    pub fn max_step(&self) -> u64 {
        self.max_step
    }

    /// Goes on from a header that was verified before.
    pub fn from_trusted(trusted: Trusted) -> Self {
        let mut client = Self { trusted, max_step: MAX_STEP, roots: BTreeMap::new() };
        if client.trusted.header_hash != Hash::ZERO {
            client.keep_root();
        }
        client
    }

    /// The newest verified header, to be stored.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The height of the newest verified header; the one before the first block at the start.
    pub fn height(&self) -> Height {
        self.trusted.height
    }

    /// The newest state whose root is known, and the root. None before the first block.
    pub fn app_hash_at(&self) -> Option<(Height, Hash)> {
        self.roots.last_key_value().map(|(height, root)| (*height, *root))
    }

    /// The root of a state, if a kept header carries it.
    pub fn root_of(&self, state_height: Height) -> Option<Hash> {
        self.roots.get(&state_height).copied()
    }

    /// Verifies a later block and trusts it. The block that is trusted already changes nothing.
    ///
    /// Signed by more than two thirds of the block's own validators; and, unless it is the very
    /// next block, by more than two thirds of the validators that are trusted so far.
    pub fn update(&mut self, block: &LightBlock) -> Result<(), LightError> {
        let header = &block.signed_header.header;
        // LC-1: this chain, and a height above the trusted one.
        if header.chain_id != self.trusted.chain_id {
            return Err(LightError::WrongChain {
                expected: self.trusted.chain_id.to_string(),
                got: header.chain_id.to_string(),
            });
        }
        let height = block.height();
        if height < self.trusted.height {
            return Err(LightError::TooFarBack { trusted: self.trusted.height, got: height });
        }
        if height == self.trusted.height {
            let same = block.header_hash() == self.trusted.header_hash;
            return if same { Ok(()) } else { Err(LightError::Fork { height }) };
        }
        let app_hash = block.app_hash()?;
        self.verify(block)?;
        self.trusted = Trusted {
            chain_id: header.chain_id.clone(),
            height,
            header_hash: hash_of(header.hash()),
            app_hash,
            time: header.time,
            next_validators: block.next_validators.clone(),
        };
        self.keep_root();
        Ok(())
    }

    /// Checks that under the state after block `state_height` a key has this value, or (with none)
    /// no value.
    pub fn verify_state(
        &self,
        state_height: Height,
        key: &[u8],
        value: Option<&[u8]>,
        proof: &[u8],
    ) -> Result<(), LightError> {
        let root =
            self.root_of(state_height).ok_or(LightError::StateUnknown { height: state_height })?;
        Proof::from_bytes(proof)
            .and_then(|proof| proof.verify(&root, key, value))
            .map_err(|e| bad_proof(e.to_string()))
    }

    /// Checks that an event happened, and gives the height of its block.
    ///
    /// The state after `state_height` names the newest block with events (`events_root`, encoded,
    /// proven by `root_proof`); `event_proof` shows that the event is among that block's.
    pub fn verify_event(
        &self,
        state_height: Height,
        events_root: &[u8],
        root_proof: &[u8],
        event: &Event,
        event_proof: &MerkleProof,
    ) -> Result<Height, LightError> {
        let key = keys::events_root();
        self.verify_state(state_height, &key, Some(events_root), root_proof)?;
        let root = EventsRoot::decode(events_root, MAX_EVENTS_ROOT_BYTES)
            .map_err(|e| bad_proof(e.to_string()))?;
        if event_proof.total != u64::from(root.count)
            || !event_proof.verify(&root.root, &event.encode())
        {
            return Err(bad_proof(format!("not an event of block {}", root.height)));
        }
        Ok(root.height)
    }

    fn verify(&self, block: &LightBlock) -> Result<(), LightError> {
        let time = block.signed_header.header.time;
        // The trusting period is a rule about the reader's clock, and there is none: the block's
        // own time is taken as now and the period as just long enough. What remains of the check
        // is that time moves forward.
        // LC-5
        let age = time.duration_since(self.trusted.time).map_err(|_| LightError::BadCommit {
            reason: format!("its time {time} lies before the trusted {}", self.trusted.time),
        })?;
        let options = Options {
            // LC-4: not CometBFT's third, which half of the honest validators could sign away.
            trust_threshold: TrustThreshold::TWO_THIRDS,
            trusting_period: age.saturating_add(Duration::from_secs(1)),
            clock_drift: Duration::from_secs(1),
        };
        let trusted_height = self.trusted.height.0.try_into().map_err(|_| {
            LightError::TooFarBack { trusted: self.trusted.height, got: block.height() }
        })?;
        let trusted = TrustedBlockState {
            chain_id: &self.trusted.chain_id,
            header_time: self.trusted.time,
            height: trusted_height,
            next_validators: &self.trusted.next_validators,
            next_validators_hash: self.trusted.next_validators.hash(),
        };
        let untrusted = UntrustedBlockState {
            signed_header: &block.signed_header,
            validators: &block.validators,
            next_validators: Some(&block.next_validators),
        };
        // LC-2 and LC-3: both sets hash to what the header says, and more than 2/3 of its own
        // signed.
        match ProdVerifier::default().verify_update_header(untrusted, trusted, &options, time) {
            Verdict::Success => Ok(()),
            Verdict::NotEnoughTrust(tally) => {
                Err(LightError::NotEnoughTrust { signed: tally.tallied, total: tally.total })
            }
            Verdict::Invalid(detail) => Err(LightError::BadCommit { reason: reason_of(&detail) }),
        }
    }

    fn keep_root(&mut self) {
        self.roots.insert(self.trusted.height.minus(1), self.trusted.app_hash);
        while self.roots.len() > Self::KEPT_ROOTS {
            self.roots.pop_first();
        }
    }
}

/// Some details print whole validator sets.
fn reason_of(detail: &Detail) -> String {
    detail.to_string().chars().take(300).collect()
}

fn bad_proof(reason: String) -> LightError {
    LightError::BadProof { reason }
}

const MAX_EVENTS_ROOT_BYTES: usize = 128;
