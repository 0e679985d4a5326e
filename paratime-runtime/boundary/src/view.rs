//! Consensus as a trusted side sees it.

use std::fmt;

use consensus_app::App;
use consensus_light::{LightBlock, LightClient, Trusted};
use paralith_genesis::Document;
use paralith_proto::Canonical;
use paralith_storage::Kv;
use paralith_types::{ChainContext, Hash, Height};

use crate::{Callbacks, ViewError};

/// Longest value of consensus state that is read.
const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// Longest step between two verified headers: far shorter than half the debonding time, so that
/// validators who left cannot lead a trusted side astray with impunity.
const MAX_STEP: u64 = 1000;

/// Follows the chain by light client and reads its state by proof. Whatever does not verify is an
/// error, never an answer; a host can withhold, not lie.
pub struct ChainView {
    light: LightClient,
    chain_context: ChainContext,
}

impl fmt::Debug for ChainView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainView(height {})", self.light.height())
    }
}

impl ChainView {
    /// Begins with a genesis document. Its hash is the chain's context, which attestation binds.
    pub fn from_genesis(document: &Document) -> Result<Self, ViewError> {
        let chain_context = document.hash();
        // The application itself tells who the first validators are: one rule in one place.
        let genesis = |e: &dyn fmt::Display| ViewError::Genesis(e.to_string());
        let mut app = App::open(Kv::memory()).map_err(|e| genesis(&e))?;
        let (validators, _) =
            app.init_chain(&document.genesis, chain_context).map_err(|e| genesis(&e))?;
        let validators: Vec<_> = validators.iter().map(|v| (v.consensus_key, v.power)).collect();
        let light = LightClient::from_genesis(&document.chain_id(), &validators)?;
        Ok(Self { light, chain_context })
    }

    /// Begins with the header that an earlier view of this chain has sealed.
    pub fn from_sealed(document: &Document, sealed: &[u8]) -> Result<Self, ViewError> {
        let trusted = Trusted::decode(sealed).map_err(|e| ViewError::Sealed(e.to_string()))?;
        let light = LightClient::from_trusted(&document.chain_id(), trusted)?;
        Ok(Self { light, chain_context: document.hash() })
    }

    /// The newest verified header, to be sealed.
    pub fn to_sealed(&self) -> Option<Vec<u8>> {
        self.light.trusted().map(Trusted::encode)
    }

    /// The chain.
    pub fn chain_context(&self) -> &ChainContext {
        &self.chain_context
    }

    /// The newest height whose state is proven; 0 before any.
    pub fn proven_height(&self) -> Height {
        self.light.height().minus(1)
    }

    /// Follows the chain until the state at `height` is proven, by the header after it.
    pub fn sync(&mut self, callbacks: &Callbacks, height: Height) -> Result<(), ViewError> {
        while self.proven_height() < height {
            let next = height.next().min(self.light.height().plus(MAX_STEP));
            self.step(callbacks, next)?;
        }
        Ok(())
    }

    /// Verifies the header of a height; if it is too far ahead of what is trusted, first one half way.
    fn step(&mut self, callbacks: &Callbacks, target: Height) -> Result<(), ViewError> {
        let mut targets = vec![target];
        while let Some(next) = targets.last().copied() {
            let block = LightBlock::decode(&callbacks.light_block(next.0)?)?;
            if block.height() != next {
                return Err(consensus_light::LightError::WrongHeight {
                    expected: next.0,
                    got: block.height().0,
                }
                .into());
            }
            match self.light.update(&block) {
                Ok(()) => {
                    targets.pop();
                }
                Err(e) if e.is_not_enough_trust() && next.0 > self.light.height().0 + 1 => {
                    let half = (next.0 - self.light.height().0) / 2;
                    targets.push(self.light.height().plus(half.max(1)));
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// A value of the state at a proven height, or its proven absence.
    pub fn get<T: Canonical>(
        &self,
        callbacks: &Callbacks,
        height: Height,
        key: &[u8],
    ) -> Result<Option<T>, ViewError> {
        match self.get_raw(callbacks, height, key)? {
            None => Ok(None),
            Some(bytes) => T::decode(&bytes, MAX_VALUE_BYTES)
                .map(Some)
                .map_err(|e| ViewError::Malformed(e.to_string())),
        }
    }

    /// The bytes under a key of the state at a proven height, or their proven absence.
    pub fn get_raw(
        &self,
        callbacks: &Callbacks,
        height: Height,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, ViewError> {
        let (value, proof) = callbacks.consensus_get(height.0, key)?;
        self.light.verify_state(height, key, value.as_deref(), &proof)?;
        Ok(value)
    }

    /// Makes sure that the state at an earlier height can be read: its header is verified too, or
    /// the chain is followed to it.
    pub fn ensure(&mut self, callbacks: &Callbacks, height: Height) -> Result<(), ViewError> {
        if self.light.app_hash_of(height).is_some() {
            return Ok(());
        }
        if height > self.proven_height() {
            return self.sync(callbacks, height);
        }
        Err(ViewError::NotProven {
            wanted: height.0,
            oldest: self.light.oldest_proven().0,
            newest: self.proven_height().0,
        })
    }

    /// The app hash of a proven height.
    pub fn app_hash(&self, height: Height) -> Option<Hash> {
        self.light.app_hash_of(height)
    }
}
