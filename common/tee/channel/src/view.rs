//! Consensus as a trusted side sees it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use paralith_consensus_app::App;
use paralith_consensus_light::{LightBlock, LightClient, LightError, Trusted};
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

/// How many proven values are kept, and how many bytes of them.
const PROVEN_MAX: usize = 1024;
const PROVEN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many of the newest headers are verified one by one: a proposal may pin a height that lies a
/// little behind the newest.
const KEPT_STEPS: u64 = 32;

/// Follows the chain by light client and reads its state by proof. Whatever does not verify is an
/// error, never an answer; a host can withhold, not lie.
pub struct ChainView {
    light: LightClient,
    chain_context: ChainContext,
    proven: RefCell<Proven>,
}

/// Values that were proven before: state at a height does not change.
#[derive(Default)]
struct Proven {
    values: BTreeMap<(Height, Vec<u8>), Option<Vec<u8>>>,
    bytes: usize,
}

impl Proven {
    /// Adds a value that is not there yet.
    fn add(&mut self, place: (Height, Vec<u8>), value: Option<Vec<u8>>) {
        let size = |key: &[u8], value: &Option<Vec<u8>>| {
            key.len().saturating_add(value.as_ref().map_or(0, Vec::len))
        };
        self.bytes = self.bytes.saturating_add(size(&place.1, &value));
        self.values.insert(place, value);
        // The oldest heights leave first: nearly everything is asked at the newest.
        while self.bytes > PROVEN_BYTES_MAX || self.values.len() > PROVEN_MAX {
            let Some(((_, key), value)) = self.values.pop_first() else { break };
            self.bytes = self.bytes.saturating_sub(size(&key, &value));
        }
    }
}

impl fmt::Debug for ChainView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainView(height {})", self.light.height())
    }
}

impl ChainView {
    /// Begins with a genesis document. Its hash is the chain's context, which attestation binds.
    pub fn from_genesis(document: &Document) -> Result<Self, ViewError> {
        let genesis = |e: &dyn fmt::Display| ViewError::Genesis(e.to_string());
        let chain_context = document.hash().map_err(|e| genesis(&e))?;
        let chain_id = document.chain_id().map_err(|e| genesis(&e))?;
        // The application itself tells who the first validators are: one rule in one place.
        let mut app = App::open(Kv::memory()).map_err(|e| genesis(&e))?;
        let (validators, _) =
            app.init_chain(&document.genesis, chain_context).map_err(|e| genesis(&e))?;
        let validators: Vec<_> = validators.iter().map(|v| (v.consensus_key, v.power)).collect();
        let first = document.genesis.initial_height;
        let light = LightClient::from_genesis(&chain_id, first, &validators)?;
        Ok(Self { light, chain_context, proven: RefCell::default() })
    }

    /// Begins with the header that an earlier view of this chain has sealed.
    pub fn from_sealed(document: &Document, sealed: &[u8]) -> Result<Self, ViewError> {
        let trusted = Trusted::decode(sealed).map_err(|e| ViewError::Sealed(e.to_string()))?;
        // A header of another chain is of no use: no block of this one follows it.
        let light = LightClient::from_trusted(trusted);
        let chain_context = document.hash().map_err(|e| ViewError::Genesis(e.to_string()))?;
        Ok(Self { light, chain_context, proven: RefCell::default() })
    }

    /// The newest verified header, to be sealed.
    pub fn to_sealed(&self) -> Vec<u8> {
        self.light.trusted().encode()
    }

    /// The chain.
    pub fn chain_context(&self) -> &ChainContext {
        &self.chain_context
    }

    /// The newest height whose state is proven; 0 before any.
    pub fn proven_height(&self) -> Height {
        self.light.app_hash_at().map_or(Height(0), |(height, _)| height)
    }

    /// Follows the chain until the state at `height` is proven, by the header after it.
    ///
    /// Far ahead it goes in long steps; the last [`KEPT_STEPS`] headers are verified one by one, so
    /// that the states of all of them can be read.
    pub fn sync(&mut self, callbacks: &Callbacks, height: Height) -> Result<(), ViewError> {
        let last = height.next();
        while self.light.height() < last {
            let near = last.minus(KEPT_STEPS);
            let next = if self.light.height() < near {
                near.min(self.light.height().plus(MAX_STEP))
            } else {
                self.light.height().next()
            };
            self.reach(callbacks, next)?;
        }
        Ok(())
    }

    /// Follows the chain to the newest header that the host offers, and gives the newest height
    /// whose state is proven.
    pub fn sync_to_newest(&mut self, callbacks: &Callbacks) -> Result<Height, ViewError> {
        let newest = LightBlock::decode(&callbacks.light_block(0)?)?.height();
        self.sync(callbacks, newest.minus(1))?;
        Ok(self.proven_height())
    }

    /// Verifies the header of a height; where too few of the trusted validators have signed it,
    /// first one half way.
    fn reach(&mut self, callbacks: &Callbacks, target: Height) -> Result<(), ViewError> {
        let mut targets = vec![target];
        while let Some(next) = targets.last().copied() {
            let block = LightBlock::decode(&callbacks.light_block(next.0)?)?;
            if block.height() != next {
                return Err(ViewError::WrongHeight { wanted: next.0, got: block.height().0 });
            }
            match self.light.update(&block) {
                Ok(()) => {
                    targets.pop();
                }
                Err(e @ LightError::NotEnoughTrust { .. }) => {
                    let half = next.0.saturating_sub(self.light.height().0) / 2;
                    if half == 0 {
                        return Err(e.into());
                    }
                    targets.push(self.light.height().plus(half));
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
        let place = (height, key.to_vec());
        // By the root, too: a height that is not proven any more gives no answer.
        let known = self.app_hash(height).is_some();
        if let Some(value) = self.proven.borrow().values.get(&place).filter(|_| known) {
            return Ok(value.clone());
        }
        let (value, proof) = callbacks.consensus_get(height.0, key)?;
        self.light.verify_state(height, key, value.as_deref(), &proof)?;
        self.proven.borrow_mut().add(place, value.clone());
        Ok(value)
    }

    /// Makes sure that the state at a height can be read: follows the chain to it, if need be.
    pub fn ensure(&mut self, callbacks: &Callbacks, height: Height) -> Result<(), ViewError> {
        if height > self.proven_height() {
            self.sync(callbacks, height)?;
        }
        match self.light.root_of(height) {
            Some(_) => Ok(()),
            None => Err(ViewError::NotProven { wanted: height.0, newest: self.proven_height().0 }),
        }
    }

    /// The root of the state at a proven height.
    pub fn app_hash(&self, height: Height) -> Option<Hash> {
        self.light.root_of(height)
    }
}
