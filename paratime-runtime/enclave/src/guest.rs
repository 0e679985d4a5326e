//! The guest of one round, query or reveal: makes its calls, keeps or undoes what they do.
//!
//! A call that is answered with an error, traps, or gives more than the round has room for leaves
//! nothing behind; that is a result. A fault of the node ends everything and is none.

use paralith_consensus_api::roothash::{Message, TransferMessage};
use paralith_crypto::hash::{Domain, hash};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{Error, Event};
use paralith_types::{Address, Amount};

use super::error::EnclaveError;
use super::proven_state::PinnedState;
use super::sealer::Seeds;
use super::state::RoundState;
use paralith_runtime_vm::{CallEnv, CallError, ConsensusRead, Effects, Export, Module, TrapKind};

const CALL_SEED: Domain = Domain::new("paralith/host-call-seed/v1");

/// Module of errors that stand for a trap; the code is [`TrapKind`]'s.
pub(crate) const TRAP_MODULE: &str = "wasm";

/// Module of errors that the enclave gives in place of the guest's answer.
pub(crate) const HOST_MODULE: &str = "host";

/// What the call gives does not fit into the round any more.
pub(crate) const ROUND_FULL: u32 = 3;

/// Most bytes that the calls of a round give: entries of the write log, events, messages, answers.
/// With [`RECEIPT_BYTES`] a transaction and [`MAX_ROUND_LOG_BYTES`] it stays below the longest frame
/// of the channel to the host, or a round could never leave the enclave.
pub const MAX_ROUND_BYTES: usize = 32 * 1024 * 1024;

/// What transactions leave of it to `end_block`.
pub const END_BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// Most bytes of a leaf and an output without events and the guest's answer.
pub const RECEIPT_BYTES: usize = 1024;

/// Most bytes of the round's log lines; more are dropped.
pub const MAX_ROUND_LOG_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of an event, a message or an answer besides its contents.
const EFFECT_BYTES: usize = 32;

/// Bytes of a message to consensus.
const MESSAGE_BYTES: usize = 96;

/// Where guests run.
pub(crate) struct Guest<'a> {
    pub(crate) module: &'a Module,
    pub(crate) state: RoundState<'a>,
    pub(crate) context: abi::Context,
    pub(crate) seeds: Seeds,
    /// Of a confidential runtime.
    pub(crate) secret: Option<[u8; 32]>,
    /// Most messages to consensus of the round.
    pub(crate) max_messages: u32,
    /// Consensus state as the calls see it; none in `reveal`.
    pub(crate) consensus: Option<PinnedState<'a>>,
    /// Messages of the calls so far that stand.
    pub(crate) messages: Vec<Message>,
    /// The lowest height that the calls so far asked to be woken at.
    pub(crate) wake_height: Option<u64>,
    /// Lines of a public runtime's calls.
    pub(crate) logs: Vec<String>,
    log_bytes: usize,
    /// Bytes that the calls so far gave besides what they wrote.
    given_bytes: usize,
    /// How many calls were made, so that each has randomness of its own.
    calls: u64,
}

/// What a call gave.
pub(crate) struct Called {
    /// The value, or the refusal or trap that undid the call.
    pub(crate) outcome: Result<Vec<u8>, Error>,
    pub(crate) gas_used: u64,
    /// Public events; none of a call that failed.
    pub(crate) events: Vec<Event>,
}

impl<'a> Guest<'a> {
    pub(crate) fn new(
        module: &'a Module,
        state: RoundState<'a>,
        context: abi::Context,
        seeds: Seeds,
        secret: Option<[u8; 32]>,
        max_messages: u32,
    ) -> Self {
        Self {
            module,
            state,
            context,
            seeds,
            secret,
            max_messages,
            consensus: None,
            messages: Vec::new(),
            wake_height: None,
            logs: Vec::new(),
            log_bytes: 0,
            given_bytes: 0,
            calls: 0,
        }
    }

    /// Makes one call.
    pub(crate) fn call(
        &mut self,
        export: Export,
        request: &impl prost::Message,
        gas_limit: u64,
    ) -> Result<Called, EnclaveError> {
        let sent = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let randomness = self.next_seed(export);
        let consensus = self.consensus.as_mut();
        let env = CallEnv {
            state: &mut self.state,
            consensus: consensus.map(|state| state as &mut dyn ConsensusRead),
            pinned_height: Some(self.context.consensus_height),
            timers: true,
            randomness,
            secret: self.secret,
            round: self.context.round,
            log_allowed: !self.context.confidential,
            max_messages: self.max_messages.saturating_sub(sent),
            messages_before: sent,
            messages: None,
        };
        match self.module.call(export, &request.encode_to_vec(), env, gas_limit) {
            Ok(result) => {
                let outcome = result.outcome.map_err(|refusal| Error {
                    module: refusal.module,
                    code: refusal.code,
                    message: refusal.message,
                });
                Ok(self.settle(export, outcome, result.gas_used, result.effects))
            }
            Err(CallError::Guest(trap)) => {
                let effects = Effects { logs: trap.logs, ..Effects::default() };
                Ok(self.settle(export, Err(trapped(trap.kind)), trap.gas_used, effects))
            }
            Err(CallError::Node(fault)) => {
                self.state.undo();
                Err(fault.into())
            }
        }
    }

    /// Whether the round may send one more message to consensus.
    pub(crate) fn has_message_slot(&self) -> bool {
        self.messages.len() < usize::try_from(self.max_messages).unwrap_or(usize::MAX)
    }

    fn next_seed(&mut self, export: Export) -> [u8; 32] {
        let seed = match export {
            Export::Init | Export::Migrate | Export::BeginBlock => &self.seeds.block,
            Export::Authenticate
            | Export::Execute
            | Export::EndBlock
            | Export::Check
            | Export::Query
            | Export::Reveal => &self.seeds.transactions,
        };
        let number = self.calls.to_be_bytes();
        self.calls = self.calls.saturating_add(1);
        hash(CALL_SEED, &[seed, &number, export.name().as_bytes()]).0
    }

    fn settle(
        &mut self,
        export: Export,
        outcome: Result<Vec<u8>, Error>,
        gas_used: u64,
        effects: Effects,
    ) -> Called {
        self.keep_logs(effects.logs);
        let wake_height = effects.wake_height;
        // Only here are messages read whole: one that no chain could execute is a trap, too.
        let messages = effects.messages.into_iter().map(message).collect::<Option<Vec<_>>>();
        let settled = outcome.and_then(|value| match messages {
            Some(messages) => Ok((value, messages)),
            None => Err(trapped(TrapKind::BadMessage)),
        });
        let event = |(topic, data)| Event { topic, data };
        let events: Vec<Event> = effects.events.into_iter().map(event).collect();
        let given = match &settled {
            Ok((value, messages)) => bytes_of(value, messages, &events),
            Err(error) => error_bytes(error),
        };
        // EN-5: a call that fails leaves nothing behind but the gas that it used.
        if settled.is_err() {
            self.state.undo();
        }
        if !self.has_room(export, given) {
            self.state.undo();
            // Its bytes are part of RECEIPT_BYTES.
            return Called { outcome: Err(round_full()), gas_used, events: Vec::new() };
        }
        self.given_bytes = self.given_bytes.saturating_add(given);
        match settled {
            Ok((value, messages)) => {
                self.state.keep();
                self.messages.extend(messages);
                self.wake_height = [self.wake_height, wake_height].into_iter().flatten().min();
                Called { outcome: Ok(value), gas_used, events }
            }
            Err(error) => Called { outcome: Err(error), gas_used, events: Vec::new() },
        }
    }

    /// Whether the round has room for what is written and given so far and this.
    fn has_room(&self, export: Export, given: usize) -> bool {
        let reserved = if export == Export::EndBlock { 0 } else { END_BLOCK_BYTES };
        // EN-13: a round fits into one frame, whatever the guest does.
        let used = self.state.written_bytes().saturating_add(self.given_bytes);
        used.saturating_add(given) <= MAX_ROUND_BYTES.saturating_sub(reserved)
    }

    /// Log lines are no part of a result, so what is dropped makes no difference to others.
    fn keep_logs(&mut self, lines: Vec<String>) {
        for line in lines {
            let bytes = self.log_bytes.saturating_add(line.len()).saturating_add(EFFECT_BYTES);
            if bytes > MAX_ROUND_LOG_BYTES {
                return;
            }
            self.log_bytes = bytes;
            self.logs.push(line);
        }
    }
}

fn bytes_of(value: &[u8], messages: &[Message], events: &[Event]) -> usize {
    let of_event = |event: &Event| {
        event.topic.len().saturating_add(event.data.len()).saturating_add(EFFECT_BYTES)
    };
    let events = events.iter().map(of_event).fold(0, usize::saturating_add);
    let messages = messages.len().saturating_mul(MESSAGE_BYTES);
    value.len().saturating_add(events).saturating_add(messages)
}

fn error_bytes(error: &Error) -> usize {
    error.module.len().saturating_add(error.message.len()).saturating_add(EFFECT_BYTES)
}

fn round_full() -> Error {
    let message = "what this call gives does not fit into the round any more; write and emit less";
    Error { module: HOST_MODULE.to_string(), code: ROUND_FULL, message: message.to_string() }
}

fn trapped(kind: TrapKind) -> Error {
    Error { module: TRAP_MODULE.to_string(), code: kind.code(), message: kind.to_string() }
}

fn message(message: abi::ConsensusMessage) -> Option<Message> {
    let abi::ConsensusMessageKind::Transfer(transfer) = message.kind?;
    Some(Message::Transfer(TransferMessage {
        to: Address::try_from(transfer.to.as_slice()).ok()?,
        amount: Amount::from_be_bytes_minimal(&transfer.amount).ok()?,
    }))
}
