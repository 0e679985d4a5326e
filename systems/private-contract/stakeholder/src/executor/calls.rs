//! The calls of one batch: each is kept or undone as a whole, with its payments and events.

use paralith_crypto::kdf::prf;
use paralith_private_contract_core::domains;
use paralith_private_contract_core::messages::{
    Action, Emit, MAX_ACTION_BYTES, MAX_ACTIONS, MAX_TEXT_BYTES, Pay,
};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Error;
use paralith_runtime_vm::{CallEnv, CallError, Effects, Export, MessageSink, Module, TrapKind};
use paralith_storage::Overlay;
use paralith_types::{Address, Amount};

use super::MAX_BATCH_BYTES;
use super::state::CallState;
use crate::ServiceError;

/// What the topic of a public event begins with.
const PUBLIC: &[u8] = b"public/";
/// Module of errors that stand for a trap; the code is [`TrapKind`]'s.
const TRAP_MODULE: &str = "wasm";
/// Module of errors that the executor gives in place of the contract's answer.
const CONTRACT_MODULE: &str = "contract";
/// Bytes of an action or a line besides its contents.
const EFFECT_BYTES: usize = 64;
/// Most bytes of log lines of a batch; more are dropped.
const MAX_LINES_BYTES: usize = 1024 * 1024;

/// What the contract can still pay in this batch.
pub(super) struct Budget {
    left: Amount,
    /// Actions of the calls so far that stand.
    actions: usize,
    /// Payments of the running call.
    taken: Vec<Pay>,
}

impl Budget {
    pub(super) const fn new(left: Amount) -> Self {
        Self { left, actions: 0, taken: Vec::new() }
    }
}

fn pay_of(message: &abi::ConsensusMessage) -> Option<Pay> {
    let abi::ConsensusMessageKind::Transfer(transfer) = message.kind.as_ref()?;
    let to = Address::try_from(transfer.to.as_slice()).ok()?;
    let amount = Amount::from_be_bytes_minimal(&transfer.amount).ok()?;
    (amount != Amount::ZERO).then_some(Pay { to, amount })
}

impl MessageSink for Budget {
    fn take(&mut self, message: &abi::ConsensusMessage) -> bool {
        let has_room = self.actions.saturating_add(self.taken.len()) < MAX_ACTIONS;
        let Some(pay) = pay_of(message).filter(|_| has_room) else { return false };
        // The contract learns in the same call that it cannot pay; a payment of a final batch never fails.
        let Ok(left) = self.left.sub(pay.amount) else { return false };
        self.left = left;
        self.taken.push(pay);
        true
    }

    fn take_back(&mut self, count: u32) {
        for _ in 0..count {
            let amount = self.taken.pop().map_or(Amount::ZERO, |pay| pay.amount);
            // It was taken from there.
            self.left = self.left.add(amount).unwrap_or(self.left);
        }
    }
}

/// The guest of one batch.
pub(super) struct Guest<'a> {
    pub(super) module: &'a Module,
    pub(super) overlay: Overlay<'a>,
    pub(super) context: abi::Context,
    pub(super) secret: [u8; 32],
    pub(super) seed: [u8; 32],
    pub(super) gas_limit: u64,
    pub(super) budget: Budget,
    /// Of the calls that stand.
    pub(super) actions: Vec<Action>,
    /// How many of them are payments.
    pub(super) pays: u32,
    pub(super) lines: Vec<String>,
    lines_bytes: usize,
    given: usize,
    calls: u64,
}

impl<'a> Guest<'a> {
    pub(super) fn new(module: &'a Module, overlay: Overlay<'a>, context: abi::Context) -> Self {
        Self {
            module,
            overlay,
            context,
            secret: [0; 32],
            seed: [0; 32],
            gas_limit: 0,
            budget: Budget::new(Amount::ZERO),
            actions: Vec::new(),
            pays: 0,
            lines: Vec::new(),
            lines_bytes: 0,
            given: 0,
            calls: 0,
        }
    }

    /// Makes one call. An error, a trap, or effects beyond the limits undo it; that is a result. A fault of
    /// this machine is none.
    pub(super) fn call(
        &mut self,
        export: Export,
        request: &impl prost::Message,
    ) -> Result<Result<Vec<u8>, Error>, ServiceError> {
        let randomness = self.next_seed(export);
        let checkpoint = self.overlay.checkpoint();
        let mut state = CallState { overlay: &mut self.overlay, written: 0 };
        let env = CallEnv {
            state: &mut state,
            consensus: None,
            pinned_height: Some(self.context.consensus_height),
            timers: false,
            randomness,
            secret: Some(self.secret),
            round: self.context.round,
            log_allowed: true,
            max_messages: MAX_ACTIONS as u32,
            messages_before: self.pays,
            messages: Some(&mut self.budget),
        };
        let called = self.module.call(export, &request.encode_to_vec(), env, self.gas_limit);
        let written = state.written;
        let settled = match called {
            Ok(result) => {
                let outcome = result.outcome.map_err(|refusal| Error {
                    module: refusal.module,
                    code: refusal.code,
                    message: refusal.message,
                });
                self.settle(outcome, result.effects, written)
            }
            Err(CallError::Guest(trap)) => {
                self.keep_lines(trap.logs);
                Err(trapped(trap.kind))
            }
            Err(CallError::Node(fault)) => {
                self.overlay.rollback(checkpoint);
                return Err(fault.into());
            }
        };
        match settled {
            Ok(_) => self.overlay.commit(checkpoint),
            Err(_) => {
                self.overlay.rollback(checkpoint);
                let count = u32::try_from(self.budget.taken.len()).unwrap_or(u32::MAX);
                self.budget.take_back(count);
            }
        }
        Ok(settled)
    }

    fn next_seed(&mut self, export: Export) -> [u8; 32] {
        let number = self.calls.to_be_bytes();
        self.calls = self.calls.saturating_add(1);
        prf(&self.seed, domains::CALL_SEED, &[&number, export.name().as_bytes()])
    }

    /// PC-18: takes the effects of a call that was answered, if they fit.
    fn settle(
        &mut self,
        outcome: Result<Vec<u8>, Error>,
        effects: Effects,
        written: usize,
    ) -> Result<Vec<u8>, Error> {
        self.keep_lines(effects.logs);
        let value = outcome?;
        if !effects.reveals.is_empty() {
            // There is nobody to reveal to: the import traps here, as it does without timers.
            return Err(trapped(TrapKind::Unavailable));
        }
        let pays = std::mem::take(&mut self.budget.taken);
        let emitted: Option<Vec<Emit>> = effects.events.into_iter().filter_map(emit).collect();
        let count = emitted.as_ref().map_or(usize::MAX, Vec::len);
        let all = self.actions.len().saturating_add(pays.len()).saturating_add(count);
        let given = written.saturating_add(value.len()).saturating_add(EFFECT_BYTES);
        let given = self.given.saturating_add(given);
        let Some(emitted) = emitted.filter(|_| all <= MAX_ACTIONS && given <= MAX_BATCH_BYTES)
        else {
            // The caller takes the payments back.
            self.budget.taken = pays;
            return Err(batch_full());
        };
        self.given = given;
        self.pays = self.pays.saturating_add(u32::try_from(pays.len()).unwrap_or(u32::MAX));
        self.actions.extend(pays.into_iter().map(Action::Pay));
        self.actions.extend(emitted.into_iter().map(Action::Emit));
        self.budget.actions = self.actions.len();
        Ok(value)
    }

    /// Lines are no part of a verdict, so what is dropped makes no difference to others.
    fn keep_lines(&mut self, lines: Vec<String>) {
        for line in lines {
            self.lines_bytes =
                self.lines_bytes.saturating_add(line.len()).saturating_add(EFFECT_BYTES);
            if self.lines_bytes <= MAX_LINES_BYTES {
                self.lines.push(line);
            }
        }
    }
}

/// A public event as an action: `Some(None)` if it is beyond the limits, `None` if it is not public.
fn emit((topic, data): (Vec<u8>, Vec<u8>)) -> Option<Option<Emit>> {
    let topic = topic.strip_prefix(PUBLIC)?.to_vec();
    let fits = topic.len() <= MAX_TEXT_BYTES && data.len() <= MAX_ACTION_BYTES;
    let topic = String::from_utf8(topic).ok().filter(|_| fits);
    Some(topic.map(|topic| Emit { topic, data }))
}

pub(super) fn trapped(kind: TrapKind) -> Error {
    Error { module: TRAP_MODULE.into(), code: kind.code(), message: kind.to_string() }
}

/// The output of a call whose batch did not begin.
pub(super) fn not_begun() -> Error {
    let message = "`begin_block` of the batch failed";
    Error { module: CONTRACT_MODULE.into(), code: 1, message: message.into() }
}

fn batch_full() -> Error {
    let message = "what this call writes, pays or emits does not fit into the batch any more";
    Error { module: CONTRACT_MODULE.into(), code: 2, message: message.into() }
}
