//! Rounds and queries of one runtime.
#![allow(clippy::panic, reason = "a failed round is a failed test, and says why")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use paralith_runtime_abi as abi;
use paralith_runtime_abi::{Call, OutcomeResult};
use prost::Message;
use serde::Serialize;

use super::effects::{Effects, State};
use super::host::{Access, Event, Imports, Trap, World};
use super::sender::Sender;
use super::{HOST_MODULE, NOT_ASKED, NOT_MIGRATED, TRAP, address, sha256};
use crate::host::Host;
use crate::{
    Address, Amount, ChainContext, Error, Export, Result, Runtime, RuntimeId, entry, reply,
};

/// A runtime's [`entry::run`].
type Run = fn(Export, Box<dyn Host>, &[u8]) -> Vec<u8>;

/// Whether a runtime's state is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// It is: calls come in envelopes.
    Confidential,
    /// It is not.
    Public,
}

/// A chain with one runtime, in memory.
///
/// An error in a round's own handlers (`begin_block`, `end_block`, `migrate`) is a fault of the
/// runtime, so it panics here. [`Chain::fail_begin_block`], [`Chain::fail_end_block`],
/// [`Chain::fail_migrate`] and [`Chain::fail_round`] show what a failure means for the rest.
pub struct Chain {
    pub(super) run: Run,
    pub(super) world: Rc<RefCell<World>>,
    /// The newest final state, and those of rounds that asked for a reveal.
    pub(super) finals: BTreeMap<u64, State>,
    pub(super) epoch: u64,
    /// The consensus height that the open round pins.
    pub(super) height: u64,
    pub(super) nonces: BTreeMap<Address, u64>,
    pub(super) incoming: Vec<abi::IncomingMessage>,
    pub(super) incoming_count: u64,
    pub(super) results: Vec<abi::MessageResult>,
    /// What the open round's `begin_block` took, and the nonces before the round.
    pub(super) taken: Taken,
    pub(super) fails: Fails,
    /// New code has not brought the state to its form yet.
    pub(super) migrate_due: bool,
    /// `begin_block` or `migrate` of the open round failed.
    pub(super) failed: bool,
    pub(super) failing: BTreeSet<u32>,
    pub(super) account: u128,
}

/// What comes back if the open round fails.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) incoming: Vec<abi::IncomingMessage>,
    pub(super) results: Vec<abi::MessageResult>,
    pub(super) nonces: BTreeMap<Address, u64>,
    pub(super) migrate_due: bool,
}

/// What the first round pins.
const FIRST_HEIGHT: u64 = 11;

/// Handlers that fail the next time they run.
#[derive(Default)]
pub(super) struct Fails {
    pub(super) begin_block: bool,
    pub(super) end_block: bool,
    pub(super) migrate: bool,
}

impl Chain {
    /// A public runtime without an argument to `init`.
    #[must_use]
    pub fn new<R: Runtime>() -> Self {
        Self::start::<R>(Privacy::Public, &[]).unwrap_or_else(|error| panic!("init: {error}"))
    }

    /// A confidential runtime without an argument to `init`.
    #[must_use]
    pub fn confidential<R: Runtime>() -> Self {
        Self::start::<R>(Privacy::Confidential, &[]).unwrap_or_else(|error| panic!("init: {error}"))
    }

    /// A runtime with an argument to `init`; an error if `init` refuses it.
    pub fn start<R: Runtime>(privacy: Privacy, argument: &[u8]) -> Result<Self> {
        let world = World {
            effects: Effects::default(),
            logs: Vec::new(),
            round: 1,
            confidential: privacy == Privacy::Confidential,
            messages_max: 32,
            drawn: 0,
            operations: 0,
            consensus: BTreeMap::new(),
            pinned: FIRST_HEIGHT,
        };
        let mut chain = Self {
            run: entry::run::<R>,
            world: Rc::new(RefCell::new(world)),
            finals: BTreeMap::new(),
            epoch: 1,
            height: FIRST_HEIGHT,
            nonces: BTreeMap::new(),
            incoming: Vec::new(),
            incoming_count: 0,
            results: Vec::new(),
            taken: Taken::default(),
            fails: Fails::default(),
            migrate_due: false,
            failed: false,
            failing: BTreeSet::new(),
            account: 0,
        };
        let request = abi::InitRequest { context: chain.context(), argument: argument.to_vec() };
        chain.enter(Export::Init, &request)?;
        chain.begin_block();
        Ok(chain)
    }

    /// Acts as the account of this name, which needs no registration.
    pub fn sender(&mut self, name: &str) -> Sender<'_> {
        Sender::new(self, name)
    }

    /// Finalises the open round, executes its messages to consensus and opens the next round, which
    /// pins the next consensus height.
    pub fn next_round(&mut self) {
        self.finalise();
        self.open_round(self.height.saturating_add(1));
    }

    /// Lets consensus blocks pass up to this height, while nobody sends anything: finalises the open
    /// round, runs a round at each height for which the runtime is to be woken, and none besides, and
    /// opens one that pins `height`. The same as [`Chain::next_round`] if the next height is not
    /// lower.
    pub fn advance_to(&mut self, height: u64) {
        let next = |chain: &Self| chain.height.saturating_add(1);
        self.finalise();
        while let Some(wake) = self.wake_height().map(|wake| wake.max(next(self)))
            && wake < height
        {
            self.open_round(wake);
            self.finalise();
        }
        self.open_round(height.max(next(self)));
    }

    /// Fails the open round and opens the next: the state, the nonces and what waits are as they were
    /// before the round, and its messages to consensus are not executed.
    pub fn fail_round(&mut self) {
        let Some(state) = self.finals.values().next_back().cloned() else {
            panic!("the first round cannot fail here: its state is that of `init`")
        };
        self.world.borrow_mut().effects = Effects::of(state);
        self.failing.clear();
        let Taken { incoming, results, nonces, migrate_due } = std::mem::take(&mut self.taken);
        self.nonces = nonces;
        self.migrate_due = migrate_due;
        self.incoming.splice(0..0, incoming);
        self.results.splice(0..0, results);
        self.open_round(self.height.saturating_add(1));
    }

    /// Makes the next round's `begin_block` fail: its effects are undone and it takes nothing.
    pub fn fail_begin_block(&mut self) {
        self.fails.begin_block = true;
    }

    /// Makes the open round's `end_block` fail: its effects are undone.
    pub fn fail_end_block(&mut self) {
        self.fails.end_block = true;
    }

    /// Makes the next `migrate` fail: its effects are undone, the round calls no other handler and
    /// refuses all transactions, and the next round tries again.
    pub fn fail_migrate(&mut self) {
        self.fails.migrate = true;
    }

    /// Like [`Chain::next_round`], but the next round runs new code, after its `migrate`.
    pub fn upgrade<R: Runtime>(&mut self) {
        self.finalise();
        self.run = entry::run::<R>;
        self.migrate_due = true;
        self.open_round(self.height.saturating_add(1));
    }

    /// Deposits tokens of a consensus account; the runtime learns of it in the next round.
    pub fn deposit(&mut self, caller: Address, tokens: Amount) {
        self.send_in(caller, tokens, &[]);
    }

    /// Sends a message with tokens and data from a consensus account; the runtime learns of it in
    /// the next round.
    pub fn send_in(&mut self, caller: Address, tokens: Amount, data: &[u8]) {
        self.account = self.account.saturating_add(tokens.0);
        self.incoming.push(abi::IncomingMessage {
            id: self.incoming_count,
            caller: caller.as_bytes().to_vec(),
            tag: 0,
            fee: Vec::new(),
            tokens: tokens.to_be_bytes_minimal(),
            data: data.to_vec(),
        });
        self.incoming_count += 1;
    }

    /// Makes the open round's message of this index fail at consensus.
    pub fn fail_message(&mut self, index: u32) {
        self.failing.insert(index);
    }

    /// Lets a round send at most so many messages to consensus (32 unless told).
    pub fn set_messages_max(&mut self, count: usize) {
        self.world.borrow_mut().messages_max = count;
    }

    /// From now on it is this epoch (1 unless told).
    pub fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// Asks unsigned, on the state as if the open round ended here.
    pub fn query(&self, method: &str, args: &impl Serialize) -> Result<Vec<u8>> {
        self.query_as(Vec::new(), Call { method: method.into(), args: reply(args)? })
    }

    /// What `reveal` gives to everybody, from the final state of the round that asked for it last.
    pub fn reveal(&self, handle: &[u8]) -> Result<Vec<u8>> {
        let key = [abi::REVEAL_INTENT_PREFIX, handle].concat();
        let asked = self.finals.values().next_back().and_then(|state| state.get(&key));
        let round = asked.and_then(|round| round_of(round));
        let Some((round, state)) = round.and_then(|round| self.finals.get_key_value(&round)) else {
            let message = "no final round asked to reveal this".to_string();
            return Err(Error { module: HOST_MODULE.into(), code: NOT_ASKED, message });
        };
        let context = abi::Context { round: *round, ..self.context() };
        let request = abi::RevealRequest { context, handle: handle.to_vec() };
        self.read(Export::Reveal, state.clone(), &request.encode_to_vec())
    }

    /// Puts a value into consensus state, or removes it: `consensus_get` gives it from now on. There
    /// is nothing unless told.
    pub fn set_consensus(&mut self, key: &[u8], value: Option<&[u8]>) {
        let consensus = &mut self.world.borrow_mut().consensus;
        match value {
            Some(value) => consensus.insert(key.to_vec(), value.to_vec()),
            None => consensus.remove(key),
        };
    }

    /// The chain's context.
    #[must_use]
    pub fn chain_context(&self) -> ChainContext {
        ChainContext(sha256(b"chain"))
    }

    /// The runtime's id.
    #[must_use]
    pub fn runtime_id(&self) -> RuntimeId {
        RuntimeId(sha256(b"runtime"))
    }

    /// The whole state, as stored, the host's entries too.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.world.borrow().effects.state.all().clone()
    }

    /// The open round.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.world.borrow().round
    }

    /// The consensus height that the open round pins: 11 in the first round.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The height at which the runtime is to be woken, as of the last final round.
    #[must_use]
    pub fn wake_height(&self) -> Option<u64> {
        Some(self.wake()?.height)
    }

    /// How many reads and writes of the state, and wake-ups asked for, the rounds' calls have made so
    /// far. A call's part is the difference: what a host charges for grows with it.
    #[must_use]
    pub fn state_operations(&self) -> u64 {
        self.world.borrow().operations
    }

    /// The events of the open round.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.world.borrow().effects.events.clone()
    }

    /// The messages to consensus of the open round, by index.
    #[must_use]
    pub fn messages(&self) -> Vec<abi::ConsensusMessage> {
        self.world.borrow().effects.messages.clone()
    }

    /// The messages from consensus that no `begin_block` has taken yet.
    #[must_use]
    pub fn incoming(&self) -> &[abi::IncomingMessage] {
        &self.incoming
    }

    /// The results of messages to consensus that no `begin_block` has taken yet.
    #[must_use]
    pub fn results(&self) -> &[abi::MessageResult] {
        &self.results
    }

    /// The log lines of all rounds. Confidential runtimes log nothing.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.world.borrow().logs.clone()
    }

    /// What the runtime's consensus account holds.
    #[must_use]
    pub fn account(&self) -> Amount {
        Amount(self.account)
    }

    /// A value of the state, as stored.
    #[must_use]
    pub fn stored(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.world.borrow().effects.state.get(key).cloned()
    }

    pub(super) fn query_as(&self, caller: Vec<u8>, call: Call) -> Result<Vec<u8>> {
        let copy = Rc::new(RefCell::new(self.world.borrow().clone()));
        if !self.migrate_due {
            let end = abi::BlockRequest { context: self.context() }.encode_to_vec();
            let ended = self.call_in(&copy, Access::Write, Export::EndBlock, &end);
            ended.unwrap_or_else(|error| panic!("EndBlock: {error}"));
        }
        let state = std::mem::take(&mut copy.borrow_mut().effects.state).into_all();
        let request = abi::QueryRequest { context: self.context(), call, caller };
        self.read(Export::Query, state, &request.encode_to_vec())
    }

    /// Calls as a transaction does: not while the state is not that of the code.
    pub(super) fn transact(&self, export: Export, request: &impl Message) -> Result<Vec<u8>> {
        if self.migrate_due {
            let message = "the runtime's `migrate` failed, so it does nothing yet".to_string();
            return Err(Error { module: HOST_MODULE.into(), code: NOT_MIGRATED, message });
        }
        self.enter(export, request)
    }

    /// Checks a transaction on the newest final state.
    pub(super) fn check(&self, request: &impl Message) -> Result<Vec<u8>> {
        let state = self.finals.values().next_back().cloned().unwrap_or_default();
        self.read(Export::Check, state, &request.encode_to_vec())
    }

    /// Calls with write access; an error or a trap undoes the call's effects.
    pub(super) fn enter(&self, export: Export, request: &impl Message) -> Result<Vec<u8>> {
        let before = self.world.borrow().effects.moment();
        let result = self.call_in(&self.world, Access::Write, export, &request.encode_to_vec());
        if result.is_err() {
            self.world.borrow_mut().effects.undo_to(before);
        }
        result
    }

    /// Calls with read access to some state.
    fn read(&self, export: Export, state: State, request: &[u8]) -> Result<Vec<u8>> {
        let world = self.world.borrow().with(Effects::of(state));
        let access = if export == Export::Reveal { Access::Reveal } else { Access::Read };
        self.call_in(&Rc::new(RefCell::new(world)), access, export, request)
    }

    fn call_in(
        &self,
        world: &Rc<RefCell<World>>,
        access: Access,
        export: Export,
        request: &[u8],
    ) -> Result<Vec<u8>> {
        let imports = Box::new(Imports { world: Rc::clone(world), access });
        // The world is consistent after an unwinding: every import is one step, and an error
        // restores the effects.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(export, imports, request)))
            .map_err(|payload| trapped(&*payload))?;
        match abi::Outcome::decode(&outcome[..]).map(|outcome| outcome.result) {
            Ok(Some(OutcomeResult::Ok(value))) => Ok(value),
            Ok(Some(OutcomeResult::Error(error))) => {
                Err(Error { module: error.module, code: error.code, message: error.message })
            }
            Ok(None) | Err(_) => Err(trapped(&"the outcome is malformed")),
        }
    }

    pub(super) fn context(&self) -> abi::Context {
        let world = self.world.borrow();
        abi::Context {
            runtime_id: self.runtime_id().0.to_vec(),
            chain_context: self.chain_context().0.to_vec(),
            round: world.round,
            epoch: self.epoch,
            consensus_height: self.height,
            confidential: world.confidential,
            runtime_address: address("the runtime's account").as_bytes().to_vec(),
            time: 0,
            // Another one for each round, as on a chain.
            previous_hash: sha256(&world.round.to_be_bytes()).to_vec(),
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("world", &self.world).finish_non_exhaustive()
    }
}

pub(super) fn round_of(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn trapped(payload: &(dyn std::any::Any + Send)) -> Error {
    let message = match payload.downcast_ref::<Trap>() {
        Some(Trap(reason)) => reason.clone(),
        None => match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_string(),
            (None, Some(text)) => text.clone(),
            (None, None) => "the runtime panicked".to_string(),
        },
    };
    Error { module: HOST_MODULE.into(), code: TRAP, message }
}
