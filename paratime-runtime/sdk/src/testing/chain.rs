//! Rounds, transactions and queries of one runtime.
#![allow(clippy::panic, reason = "a failed round is a failed test, and says why")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use paralith_runtime_abi as abi;
use paralith_runtime_abi::{Call, ConsensusMessageKind, OutcomeResult};
use prost::Message;
use serde::Serialize;

use super::host::{Access, Effects, Event, Imports, State, Trap, World};
use super::{HOST_MODULE, NOT_ASKED, TRAP, address, public_key, sha256};
use crate::host::Host;
use crate::{Address, Amount, Error, Export, Result, Runtime, entry, reply};

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
/// runtime, so it panics here. [`Chain::fail_begin_block`] and [`Chain::fail_round`] show what a
/// failure means for the rest.
pub struct Chain {
    run: Run,
    world: Rc<RefCell<World>>,
    finals: BTreeMap<u64, State>,
    epoch: u64,
    nonces: BTreeMap<Address, u64>,
    incoming: Vec<abi::IncomingMessage>,
    incoming_count: u64,
    results: Vec<abi::MessageResult>,
    /// What the open round's `begin_block` took, and the nonces before the round.
    taken: Taken,
    begin_block_fails: bool,
    failing: BTreeSet<u32>,
    account: u128,
}

/// What comes back if the open round fails.
#[derive(Default)]
struct Taken {
    incoming: Vec<abi::IncomingMessage>,
    results: Vec<abi::MessageResult>,
    nonces: BTreeMap<Address, u64>,
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
        };
        let mut chain = Self {
            run: entry::run::<R>,
            world: Rc::new(RefCell::new(world)),
            finals: BTreeMap::new(),
            epoch: 1,
            nonces: BTreeMap::new(),
            incoming: Vec::new(),
            incoming_count: 0,
            results: Vec::new(),
            taken: Taken::default(),
            begin_block_fails: false,
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
        let encrypted = self.world.borrow().confidential;
        let name = name.to_string();
        Sender {
            chain: self,
            name,
            fee: Amount::ZERO,
            nonce: None,
            gas_limit: 1_000_000,
            encrypted,
        }
    }

    /// Finalises the open round, executes its messages to consensus and opens the next round.
    pub fn next_round(&mut self) {
        self.end_round();
        self.execute_messages();
        self.open_round();
        self.begin_block();
    }

    /// Fails the open round and opens the next: the state, the nonces and what waits are as they were
    /// before the round, and its messages to consensus are not executed.
    pub fn fail_round(&mut self) {
        let Some(state) = self.finals.values().next_back().cloned() else {
            panic!("the first round cannot fail here: its state is that of `init`")
        };
        self.world.borrow_mut().effects = Effects { state, ..Effects::default() };
        self.failing.clear();
        let Taken { incoming, results, nonces } = std::mem::take(&mut self.taken);
        self.nonces = nonces;
        self.incoming.splice(0..0, incoming);
        self.results.splice(0..0, results);
        self.open_round();
        self.begin_block();
    }

    /// Makes the next round's `begin_block` fail: its effects are undone and it takes nothing.
    pub fn fail_begin_block(&mut self) {
        self.begin_block_fails = true;
    }

    /// Like [`Chain::next_round`], but the next round runs new code, after its `migrate`.
    pub fn upgrade<R: Runtime>(&mut self) {
        self.end_round();
        self.execute_messages();
        self.open_round();
        self.run = entry::run::<R>;
        let request = abi::BlockRequest { context: self.context() };
        self.enter(Export::Migrate, &request).unwrap_or_else(|error| panic!("migrate: {error}"));
        self.begin_block();
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
        let round = asked.and_then(|round| round[..].try_into().ok().map(u64::from_be_bytes));
        let Some((round, state)) = round.and_then(|round| self.finals.get_key_value(&round)) else {
            let message = "no final round asked to reveal this".to_string();
            return Err(Error { module: HOST_MODULE.into(), code: NOT_ASKED, message });
        };
        let context = abi::Context { round: *round, ..self.context() };
        let request = abi::RevealRequest { context, handle: handle.to_vec() };
        self.read(Export::Reveal, state.clone(), &request.encode_to_vec())
    }

    /// The open round.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.world.borrow().round
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

    fn begin_block(&mut self) {
        let request = abi::BeginBlockRequest {
            context: self.context(),
            incoming: self.incoming.clone(),
            message_results: self.results.clone(),
        };
        self.taken = Taken { nonces: self.nonces.clone(), ..Taken::default() };
        let before = self.world.borrow().effects.clone();
        self.enter(Export::BeginBlock, &request)
            .unwrap_or_else(|error| panic!("begin_block: {error}"));
        if std::mem::take(&mut self.begin_block_fails) {
            self.world.borrow_mut().effects = before;
            return;
        }
        self.taken.incoming = std::mem::take(&mut self.incoming);
        self.taken.results = std::mem::take(&mut self.results);
    }

    fn end_round(&mut self) {
        let request = abi::BlockRequest { context: self.context() };
        self.enter(Export::EndBlock, &request).unwrap_or_else(|error| panic!("end_block: {error}"));
        let world = self.world.borrow();
        self.finals.insert(world.round, world.effects.state.clone());
    }

    fn open_round(&self) {
        let mut world = self.world.borrow_mut();
        world.round += 1;
        world.drawn = 0;
        world.effects.events.clear();
    }

    /// Executes the round's messages as consensus does: out of the runtime's account.
    fn execute_messages(&mut self) {
        let round = self.round();
        let messages = std::mem::take(&mut self.world.borrow_mut().effects.messages);
        let failing = std::mem::take(&mut self.failing);
        for (index, message) in (0u32..).zip(messages) {
            let Some(ConsensusMessageKind::Transfer(transfer)) = message.kind else { continue };
            let amount = Amount::from_be_bytes_minimal(&transfer.amount).ok();
            let left = amount.and_then(|amount| self.account.checked_sub(amount.0));
            self.results.push(match left {
                Some(left) if !failing.contains(&index) => {
                    self.account = left;
                    abi::MessageResult { index, module: String::new(), code: 0, round }
                }
                _ => abi::MessageResult { index, module: "staking".into(), code: 1, round },
            });
        }
    }

    fn query_as(&self, caller: Vec<u8>, call: Call) -> Result<Vec<u8>> {
        let end = abi::BlockRequest { context: self.context() }.encode_to_vec();
        let copy = Rc::new(RefCell::new(self.world.borrow().clone()));
        let ended = self.call_in(&copy, Access::Write, Export::EndBlock, &end);
        ended.unwrap_or_else(|error| panic!("end_block: {error}"));
        let state = std::mem::take(&mut copy.borrow_mut().effects.state);
        let request = abi::QueryRequest { context: self.context(), call, caller };
        self.read(Export::Query, state, &request.encode_to_vec())
    }

    /// Calls with write access; an error or a trap undoes the call's effects.
    fn enter(&self, export: Export, request: &impl Message) -> Result<Vec<u8>> {
        let before = self.world.borrow().effects.clone();
        let result = self.call_in(&self.world, Access::Write, export, &request.encode_to_vec());
        if result.is_err() {
            self.world.borrow_mut().effects = before;
        }
        result
    }

    /// Calls with read access to some state.
    fn read(&self, export: Export, state: State, request: &[u8]) -> Result<Vec<u8>> {
        let effects = Effects { state, ..Effects::default() };
        let world = World { effects, ..self.world.borrow().clone() };
        self.call_in(&Rc::new(RefCell::new(world)), Access::Read, export, request)
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

    fn context(&self) -> abi::Context {
        let world = self.world.borrow();
        abi::Context {
            runtime_id: sha256(b"runtime").to_vec(),
            chain_context: sha256(b"chain").to_vec(),
            round: world.round,
            epoch: self.epoch,
            consensus_height: world.round.saturating_add(10),
            confidential: world.confidential,
            runtime_address: address("the runtime's account").as_bytes().to_vec(),
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("world", &self.world).finish_non_exhaustive()
    }
}

/// An account about to act. The setters change one act; the next `chain.sender(...)` starts afresh.
#[derive(Debug)]
pub struct Sender<'a> {
    chain: &'a mut Chain,
    name: String,
    fee: Amount,
    nonce: Option<u64>,
    gas_limit: u64,
    encrypted: bool,
}

impl Sender<'_> {
    /// Offers a fee (0 unless told).
    #[must_use]
    pub fn fee(mut self, fee: Amount) -> Self {
        self.fee = fee;
        self
    }

    /// Uses this nonce instead of the account's next.
    #[must_use]
    pub fn nonce(mut self, nonce: u64) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// Sets the gas limit, which is passed on and not enforced.
    #[must_use]
    pub fn gas_limit(mut self, gas_limit: u64) -> Self {
        self.gas_limit = gas_limit;
        self
    }

    /// Sends the call in the clear. Calls of confidential runtimes come in an envelope otherwise.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.encrypted = false;
        self
    }

    /// Sends a transaction: `authenticate`, then `execute`.
    pub fn call(self, method: &str, args: &impl Serialize) -> Result<Vec<u8>> {
        let args = reply(args)?;
        self.call_raw(method, &args)
    }

    /// Sends a transaction whose arguments are not JSON.
    pub fn call_raw(self, method: &str, args: &[u8]) -> Result<Vec<u8>> {
        let mut request = self.request();
        let (sender, nonce) = (address(&self.name), request.transaction.nonce);
        self.chain.enter(Export::Authenticate, &request)?;
        self.chain.nonces.insert(sender, nonce.saturating_add(1));
        request.call = Some(Call { method: method.into(), args: args.to_vec() });
        self.chain.enter(Export::Execute, &request)
    }

    /// Asks whether a transaction may wait in the pool: `check` on the last final state. Gives the
    /// sender's next nonce, if it has one.
    pub fn check(self) -> Result<Option<u64>> {
        let request = self.request().encode_to_vec();
        let state = self.chain.finals.values().next_back().cloned().unwrap_or_default();
        let said = self.chain.read(Export::Check, state, &request)?;
        Ok(said.try_into().ok().map(u64::from_be_bytes))
    }

    /// Asks a signed query, on the state as if the open round ended here.
    pub fn query(self, method: &str, args: &impl Serialize) -> Result<Vec<u8>> {
        let call = Call { method: method.into(), args: reply(args)? };
        self.chain.query_as(address(&self.name).as_bytes().to_vec(), call)
    }

    fn request(&self) -> abi::TransactionRequest {
        let sender = address(&self.name);
        let nonce =
            self.nonce.unwrap_or_else(|| self.chain.nonces.get(&sender).copied().unwrap_or(0));
        let transaction = abi::Transaction {
            hash: sha256(&[sender.as_bytes(), &nonce.to_be_bytes()].concat()).to_vec(),
            sender: public_key(&self.name).0.to_vec(),
            sender_address: sender.as_bytes().to_vec(),
            nonce,
            fee: self.fee.to_be_bytes_minimal(),
            gas_limit: self.gas_limit,
            encrypted: self.encrypted,
        };
        abi::TransactionRequest { context: self.chain.context(), transaction, call: None }
    }
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
