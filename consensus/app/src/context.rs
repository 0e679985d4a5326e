//! The one thing that handlers get: state, block, signer, gas and the sink of events.
//!
//! Reads and writes go to an overlay; [`Context::isolated`] undoes all of a failed step, its events
//! included. Missing or damaged state is [`consensus::Error::StateUnavailable`]: the node's fault,
//! never the result of a transaction.

use std::collections::BTreeSet;

use paralith_consensus_api::event::{Event, EventKind};
use paralith_consensus_api::{Error, beacon, consensus};
use paralith_proto::Canonical;
use paralith_storage::{Changes, Overlay, Pair, StateRead};
use paralith_types::{Address, ChainContext, Epoch, Height, PublicKey, RuntimeId};

use crate::query;

/// Who signed the transaction that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key.
    pub key: PublicKey,
    /// The key's account.
    pub address: Address,
    /// The transaction's index in its block.
    pub tx_index: u32,
}

/// Counts the gas of one transaction, or of nothing where gas is not charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GasMeter {
    limit: u64,
    used: u64,
}

impl GasMeter {
    /// A meter that stops at `limit`.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Gas used so far.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Charges, or refuses and leaves the meter at its limit.
    pub fn charge(&mut self, gas: u64) -> Result<(), consensus::Error> {
        let needed = self.used.saturating_add(gas);
        if needed > self.limit {
            self.used = self.limit;
            return Err(consensus::Error::OutOfGas { needed, limit: self.limit });
        }
        self.used = needed;
        Ok(())
    }
}

/// State, block, signer, gas and events of what runs.
#[derive(Debug)]
pub struct Context<'a> {
    state: Overlay<'a>,
    events: Vec<Event>,
    chain_context: ChainContext,
    height: Height,
    time_seconds: u64,
    signer: Option<Signer>,
    gas: GasMeter,
    /// Runtimes whose rounds the end of the block evaluates. Not in state: a key that is written
    /// and removed in every block leaves traces in the store.
    due: Vec<RuntimeId>,
}

impl<'a> Context<'a> {
    /// A context over committed state for the block at `height`.
    pub fn new(
        base: &'a dyn StateRead,
        chain_context: ChainContext,
        height: Height,
        time_seconds: u64,
    ) -> Self {
        Self {
            state: Overlay::new(base),
            events: Vec::new(),
            chain_context,
            height,
            time_seconds,
            signer: None,
            gas: GasMeter::new(u64::MAX),
            due: Vec::new(),
        }
    }

    /// The chain.
    pub fn chain_context(&self) -> &ChainContext {
        &self.chain_context
    }

    /// The block's height.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The block's time, seconds since 1970.
    pub fn time_seconds(&self) -> u64 {
        self.time_seconds
    }

    /// The epoch that runs.
    pub fn epoch(&self) -> Result<Epoch, Error> {
        Ok(self.require::<beacon::EpochState>(&beacon::keys::epoch())?.epoch)
    }

    /// Whether the epoch began in this block.
    pub fn epoch_began(&self) -> Result<bool, Error> {
        let state = self.require::<beacon::EpochState>(&beacon::keys::epoch())?;
        Ok(state.height == self.height)
    }

    /// Who signed the running transaction. A handler that runs has one.
    pub fn signer(&self) -> Result<&Signer, Error> {
        let reason = "a handler ran outside a transaction".to_string();
        self.signer.as_ref().ok_or(consensus::Error::StateUnavailable { reason }.into())
    }

    /// Charges gas to the running transaction.
    pub fn charge(&mut self, gas: u64) -> Result<(), Error> {
        Ok(self.gas.charge(gas)?)
    }

    /// The state that the running step reads.
    pub(crate) fn state(&self) -> &dyn StateRead {
        &self.state
    }

    /// The value under a key.
    pub fn get<T: Canonical>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        query::read(&self.state, key)
    }

    /// The value under a key that genesis or an earlier step has written.
    pub fn require<T: Canonical>(&self, key: &[u8]) -> Result<T, Error> {
        query::require(&self.state, key)
    }

    /// The bytes under a key.
    pub fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.state.get(key).map_err(query::unavailable)
    }

    /// All keys with a prefix and their values, in order.
    pub fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, Error> {
        self.state.scan(prefix, None, query::MAX_SCAN).map_err(query::unavailable)
    }

    /// All values under a prefix, in the order of their keys.
    pub fn list<T: Canonical>(&self, prefix: &[u8]) -> Result<Vec<T>, Error> {
        query::list(&self.state, prefix)
    }

    /// Writes a value.
    pub fn set<T: Canonical>(&mut self, key: Vec<u8>, value: &T) {
        self.state.set(key, value.encode());
    }

    /// Writes bytes.
    pub fn set_raw(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.state.set(key, value);
    }

    /// Removes a key.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.state.remove(key);
    }

    /// Has the end of the block evaluate the round of a runtime.
    pub(crate) fn mark_due(&mut self, runtime: RuntimeId) {
        self.due.push(runtime);
    }

    /// Takes back [`Self::mark_due`]: the round is over.
    pub(crate) fn clear_due(&mut self, runtime: &RuntimeId) {
        self.due.retain(|due| due != runtime);
    }

    /// The marked runtimes, sorted, each once; none is marked afterwards.
    pub(crate) fn take_due(&mut self) -> BTreeSet<RuntimeId> {
        std::mem::take(&mut self.due).into_iter().collect()
    }

    /// Emits an event.
    pub fn emit(&mut self, event: impl Into<EventKind>) {
        let tx_index = self.signer.as_ref().map(|signer| signer.tx_index);
        self.events.push(event.into().to_event(tx_index));
    }

    /// Runs a step of which either all or nothing happens.
    pub fn isolated<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let checkpoint = self.state.checkpoint();
        let (events, due) = (self.events.len(), self.due.len());
        match step(self) {
            Ok(value) => {
                self.state.commit(checkpoint);
                Ok(value)
            }
            Err(error) => {
                self.state.rollback(checkpoint);
                self.events.truncate(events);
                self.due.truncate(due);
                Err(error)
            }
        }
    }

    /// Begins a transaction: from here on events carry its index and gas is counted.
    pub(crate) fn begin_tx(&mut self, signer: Signer, gas_limit: u64) {
        self.signer = Some(signer);
        self.gas = GasMeter::new(gas_limit);
    }

    /// Ends the transaction and gives its gas and events.
    pub(crate) fn end_tx(&mut self) -> (u64, Vec<Event>) {
        self.signer = None;
        let gas = std::mem::replace(&mut self.gas, GasMeter::new(u64::MAX));
        (gas.used(), std::mem::take(&mut self.events))
    }

    /// The events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether anything is now other than it was in the state below.
    pub(crate) fn has_changes(&self) -> Result<bool, Error> {
        self.state.differs().map_err(|error| {
            let reason = error.to_string();
            consensus::Error::StateUnavailable { reason }.into()
        })
    }

    /// All changes, to be committed.
    pub(crate) fn into_changes(self) -> Changes {
        self.state.into_changes()
    }
}
