//! One call of the module.

use paralith_runtime_api::output::Error as OutputError;
use paralith_runtime_enclave::{EnclaveError, PinnedState};
use paralith_runtime_vm::{CallEnv, CallError, ConsensusRead, Effects, Export, Module, NodeFault};

use crate::state::CallState;

/// Module of errors that stand for a trap; the code is the trap's.
const TRAP_MODULE: &str = "wasm";

/// What a call runs with.
pub(crate) struct Run<'a> {
    pub(crate) module: &'a Module,
    pub(crate) export: Export,
    pub(crate) request: Vec<u8>,
    pub(crate) gas: u64,
    /// Of `random`.
    pub(crate) seed: [u8; 32],
    /// Of `derive_key`.
    pub(crate) secret: [u8; 32],
    pub(crate) round: u64,
    pub(crate) consensus: Option<PinnedState<'a>>,
}

/// What a call gave. Effects are none if it failed.
pub(crate) struct Ran {
    pub(crate) outcome: Result<Vec<u8>, OutputError>,
    pub(crate) effects: Effects,
    /// It read or wrote more than a response takes; then `outcome` means nothing.
    pub(crate) exceeded: bool,
}

/// Runs it. An error is a fault of the node, and no result.
pub(crate) fn run(run: Run<'_>, state: &mut CallState<'_, '_>) -> Result<Ran, EnclaveError> {
    let mut consensus = run.consensus;
    let env = CallEnv {
        state: &mut *state,
        consensus: consensus.as_mut().map(|one| one as &mut dyn ConsensusRead),
        // Ordering comes later: deadlines are recorded, and the ledger judges them.
        pinned_height: None,
        timers: false,
        randomness: run.seed,
        secret: Some(run.secret),
        round: run.round,
        log_allowed: false,
        // Chaincode moves no public tokens: `emit_message` answers -1.
        max_messages: 0,
        messages_before: 0,
        messages: None,
    };
    let result = run.module.call(run.export, &run.request, env, run.gas);
    let failed =
        |outcome| Ran { outcome: Err(outcome), effects: Effects::default(), exceeded: false };
    match result {
        Ok(result) => Ok(match result.outcome {
            Ok(value) => Ran { outcome: Ok(value), effects: result.effects, exceeded: false },
            Err(error) => failed(OutputError {
                module: error.module,
                code: error.code,
                message: error.message,
            }),
        }),
        Err(CallError::Guest(trap)) => Ok(failed(OutputError {
            module: TRAP_MODULE.to_string(),
            code: trap.kind.code(),
            message: trap.kind.to_string(),
        })),
        // The same at every enclave: a limit, not a fault.
        Err(CallError::Node(NodeFault::State(_))) if state.exceeded() => {
            let effects = Effects::default();
            Ok(Ran { outcome: Ok(Vec::new()), effects, exceeded: true })
        }
        Err(CallError::Node(fault)) => Err(state.take_fault().unwrap_or_else(|| fault.into())),
    }
}
