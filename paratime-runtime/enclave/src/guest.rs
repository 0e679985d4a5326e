//! The guest of one round, query or reveal: makes its calls, keeps or undoes what they do.
//!
//! A call that is answered with an error or traps leaves nothing behind; that is a result. A fault
//! of the node ends everything and is none.

use paralith_consensus_api::roothash::{Message, TransferMessage};
use paralith_crypto::hash::{Domain, hash};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{Error, Event};
use paralith_types::{Address, Amount};

use super::error::TrustedError;
use super::state::RoundState;
use paralith_runtime_vm::{CallEnv, CallError, Effects, Export, Module, TrapKind};

const CALL_SEED: Domain = Domain::new("paralith/host-call-seed/v1");

/// Module of errors that stand for a trap; the code is [`TrapKind`]'s.
pub(crate) const TRAP_MODULE: &str = "wasm";

/// Where guests run.
pub(crate) struct Guest<'a> {
    pub(crate) module: &'a Module,
    pub(crate) state: RoundState<'a>,
    pub(crate) context: abi::Context,
    /// Seed of the whole round.
    pub(crate) seed: [u8; 32],
    /// Of a confidential runtime.
    pub(crate) secret: Option<[u8; 32]>,
    /// Most messages to consensus of the round.
    pub(crate) max_messages: u32,
    /// Messages of the calls so far that stand.
    pub(crate) messages: Vec<Message>,
    /// Lines of a public runtime's calls.
    pub(crate) logs: Vec<String>,
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
        seed: [u8; 32],
        secret: Option<[u8; 32]>,
        max_messages: u32,
    ) -> Self {
        let (messages, logs) = (Vec::new(), Vec::new());
        Self { module, state, context, seed, secret, max_messages, messages, logs, calls: 0 }
    }

    /// Makes one call.
    pub(crate) fn call(
        &mut self,
        export: Export,
        request: &impl prost::Message,
        gas_limit: u64,
    ) -> Result<Called, TrustedError> {
        let number = self.calls.to_be_bytes();
        self.calls = self.calls.saturating_add(1);
        let seed = hash(CALL_SEED, &[&self.seed, &number, export.name().as_bytes()]);
        let sent = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let env = CallEnv {
            state: &mut self.state,
            randomness: seed.0,
            secret: self.secret,
            round: self.context.round,
            log_allowed: !self.context.confidential,
            max_messages: self.max_messages.saturating_sub(sent),
            messages_before: sent,
        };
        match self.module.call(export, &request.encode_to_vec(), env, gas_limit) {
            Ok(result) => {
                let outcome = result.outcome.map_err(|refusal| Error {
                    module: refusal.module,
                    code: refusal.code,
                    message: refusal.message,
                });
                Ok(self.settle(outcome, result.gas_used, result.effects))
            }
            Err(CallError::Guest(trap)) => {
                let effects = Effects { logs: trap.logs, ..Effects::default() };
                Ok(self.settle(Err(trapped(trap.kind)), trap.gas_used, effects))
            }
            Err(CallError::Node(fault)) => {
                self.state.undo();
                Err(fault.into())
            }
        }
    }

    fn settle(
        &mut self,
        outcome: Result<Vec<u8>, Error>,
        gas_used: u64,
        effects: Effects,
    ) -> Called {
        self.logs.extend(effects.logs);
        // Only here are messages read whole: one that no chain could execute is a trap, too.
        let messages = effects.messages.into_iter().map(message).collect::<Option<Vec<_>>>();
        let settled = outcome.and_then(|value| match messages {
            Some(messages) => Ok((value, messages)),
            None => Err(trapped(TrapKind::BadMessage)),
        });
        match settled {
            Ok((value, messages)) => {
                self.state.keep();
                self.messages.extend(messages);
                let event = |(topic, data)| Event { topic, data };
                let events = effects.events.into_iter().map(event).collect();
                Called { outcome: Ok(value), gas_used, events }
            }
            Err(error) => {
                self.state.undo();
                Called { outcome: Err(error), gas_used, events: Vec::new() }
            }
        }
    }
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
