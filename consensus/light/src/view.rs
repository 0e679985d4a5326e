//! Consensus state through a source that is not trusted: a host, or a full node.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use paralith_genesis::Document;
use paralith_proto::Canonical;
use paralith_storage::MAX_VALUE_BYTES;
use paralith_types::{ChainContext, Error, Hash, Height};

use crate::follow::{Follow, KEPT_STEPS};
use crate::{LightBlock, LightClient, Trusted, ViewError};

/// How many proven values are kept, and how many bytes of them.
const PROVEN_MAX: usize = 1024;
const PROVEN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where light blocks and values come from. Nothing that it gives is trusted: it can withhold, not
/// lie.
pub trait StateSource {
    /// An encoded light block; of height 0 the newest.
    fn light_block(&self, height: u64) -> Result<Vec<u8>, Error>;

    /// A value of consensus state at a height, and the encoded proof of it or of its absence.
    fn state_value(&self, height: u64, key: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Error>;
}

/// Follows the chain by light client and reads its state by proof. What does not verify is an error,
/// never an answer.
pub struct ChainView {
    light: LightClient,
    chain_context: ChainContext,
    /// How many of the newest headers are verified one by one.
    kept_steps: u64,
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
        // The oldest heights go first: nearly every read is at the newest.
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
    /// Over a light client of this chain.
    pub fn new(light: LightClient, chain_context: ChainContext) -> Self {
        Self { light, chain_context, kept_steps: KEPT_STEPS, proven: RefCell::default() }
    }

    /// The same view, with the states of so many of the newest headers readable after a long step, too.
    #[must_use]
    pub fn with_kept_steps(self, kept_steps: u64) -> Self {
        Self { kept_steps, ..self }
    }

    /// Starts from a genesis document. Its hash is the chain's context, which attestation binds.
    pub fn from_genesis(document: &Document) -> Result<Self, ViewError> {
        Ok(Self::new(LightClient::from_document(document)?, context(document)?))
    }

    /// Continues from the header that an earlier view of this chain has sealed.
    pub fn from_sealed(document: &Document, sealed: &[u8]) -> Result<Self, ViewError> {
        let trusted = Trusted::decode(sealed).map_err(|e| ViewError::Sealed(e.to_string()))?;
        // A header of another chain is of no use: no block of this one follows it.
        let light = LightClient::from_trusted(trusted).with_max_step(document.longest_light_step());
        Ok(Self::new(light, context(document)?))
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
    /// Far ahead it goes in long steps; the last headers, [`KEPT_STEPS`] of them without
    /// [`Self::with_kept_steps`], are verified one by one, so that the states of all of them can be read.
    pub fn sync(&mut self, source: &dyn StateSource, height: Height) -> Result<(), ViewError> {
        let mut follow = Follow::new(height.next(), self.kept_steps);
        while let Some(next) = follow.next(&self.light) {
            let block = source.light_block(next.0).map_err(ViewError::Source)?;
            follow.take(&mut self.light, &LightBlock::decode(&block)?)?;
        }
        Ok(())
    }

    /// Follows the chain to the newest header that the source offers, and gives the newest height
    /// whose state is proven.
    pub fn sync_to_newest(&mut self, source: &dyn StateSource) -> Result<Height, ViewError> {
        let newest = source.light_block(0).map_err(ViewError::Source)?;
        self.sync(source, LightBlock::decode(&newest)?.height().minus(1))?;
        Ok(self.proven_height())
    }

    /// A value of the state at a proven height, or its proven absence.
    pub fn get<T: Canonical>(
        &self,
        source: &dyn StateSource,
        height: Height,
        key: &[u8],
    ) -> Result<Option<T>, ViewError> {
        match self.get_raw(source, height, key)? {
            None => Ok(None),
            Some(bytes) => T::decode(&bytes, MAX_VALUE_BYTES)
                .map(Some)
                .map_err(|e| ViewError::Malformed(e.to_string())),
        }
    }

    /// The bytes under a key of the state at a proven height, or their proven absence.
    pub fn get_raw(
        &self,
        source: &dyn StateSource,
        height: Height,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, ViewError> {
        let place = (height, key.to_vec());
        // By the root, too: a height that is not proven any more gives no answer.
        let known = self.app_hash(height).is_some();
        if let Some(value) = self.proven.borrow().values.get(&place).filter(|_| known) {
            return Ok(value.clone());
        }
        let (value, proof) = source.state_value(height.0, key).map_err(ViewError::Source)?;
        // LC-9: against a root of a verified header, or not at all.
        self.light.verify_state(height, key, value.as_deref(), &proof)?;
        self.proven.borrow_mut().add(place, value.clone());
        Ok(value)
    }

    /// Makes sure that the state at a height can be read: follows the chain to it, if need be.
    pub fn ensure(&mut self, source: &dyn StateSource, height: Height) -> Result<(), ViewError> {
        if height > self.proven_height() {
            self.sync(source, height)?;
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

fn context(document: &Document) -> Result<ChainContext, ViewError> {
    document.hash().map_err(|e| ViewError::Genesis(e.to_string()))
}
