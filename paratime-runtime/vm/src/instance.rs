//! One call: a fresh instance, one request in, one outcome out.

use paralith_runtime_abi::{ConsensusMessage, Outcome, OutcomeResult, unpack};
use prost::Message as _;
use scoped_tls_hkt::scoped_thread_local;
use wasmtime::{
    AsContext, AsContextMut, Instance, InstancePre, Memory, PoolConcurrencyLimitError,
    ResourceLimiter, Store, TypedFunc,
};

use super::engine::Exports;
use super::error::{CallError, NodeFault, Stop, Trap, TrapKind};
use super::limits::{
    MAX_CALL_DEPTH_COST, MAX_MEMORY_PAGES, MAX_OUTCOME_BYTES, MAX_REQUEST_BYTES,
    MAX_TABLE_ELEMENTS, PAGE_BYTES,
};
use super::{CallEnv, CallResult, ConsensusRead, Effects, Export, MessageSink, State, gas};

scoped_thread_local!(
    // The engine wants host data that it may own, and these are borrowed: they are lent to host
    // functions for the time of a call.
    static mut STATE: for<'a> &'a mut (dyn State + 'a)
);

scoped_thread_local!(
    static mut CONSENSUS: for<'a> &'a mut (dyn ConsensusRead + 'a)
);

scoped_thread_local!(
    static mut MESSAGES: for<'a> &'a mut (dyn MessageSink + 'a)
);

/// Runs `use_state` on the state of the call that this thread is in.
pub(crate) fn with_state<R>(use_state: impl FnOnce(&mut dyn State) -> R) -> R {
    STATE.with(|state| use_state(state))
}

/// Runs `read` on the consensus state of the call that this thread is in; none if the call has none.
pub(crate) fn with_consensus<R>(read: impl FnOnce(&mut dyn ConsensusRead) -> R) -> Option<R> {
    CONSENSUS.is_set().then(|| CONSENSUS.with(|state| read(state)))
}

/// Whether the sink of the call that this thread is in takes a message; without a sink it is taken.
pub(crate) fn sink_takes(message: &ConsensusMessage) -> bool {
    !MESSAGES.is_set() || MESSAGES.with(|sink| sink.take(message))
}

/// What host functions know of the call that they serve.
pub(crate) struct HostData {
    pub(crate) read_only: bool,
    pub(crate) randomness: [u8; 32],
    pub(crate) secret: Option<[u8; 32]>,
    pub(crate) round: u64,
    pub(crate) log_allowed: bool,
    pub(crate) max_messages: u32,
    pub(crate) messages_before: u32,
    pub(crate) pinned_height: Option<u64>,
    pub(crate) timers: bool,
    pub(crate) effects: Effects,
    /// Messages that the sink took.
    pub(crate) sunk: u32,
    /// Bytes in the effects, and in the logs.
    pub(crate) effect_bytes: usize,
    pub(crate) log_bytes: usize,
    /// Number of the next block of `random`.
    pub(crate) random_block: u64,
    /// Whether the guest's allocator runs on the host's behalf.
    pub(crate) allocating: bool,
    /// The guest's memory and allocator, once there is an instance.
    pub(crate) guest: Option<Guest>,
    /// Pages that the guest got and did not pay for yet.
    unpaid_pages: u64,
}

/// What of the guest host functions use.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) memory: Memory,
    pub(crate) alloc: TypedFunc<i32, i32>,
}

impl HostData {
    fn new(export: Export, env: &CallEnv<'_>) -> Self {
        Self {
            read_only: export.read_only(),
            randomness: env.randomness,
            secret: env.secret,
            round: env.round,
            log_allowed: env.log_allowed,
            max_messages: env.max_messages,
            messages_before: env.messages_before,
            pinned_height: env.pinned_height,
            timers: env.timers,
            effects: Effects::default(),
            sunk: 0,
            effect_bytes: 0,
            log_bytes: 0,
            random_block: 0,
            allocating: false,
            guest: None,
            unpaid_pages: 0,
        }
    }
}

/// Decides on growth by the limits of the protocol alone.
impl ResourceLimiter for HostData {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = MAX_MEMORY_PAGES as usize * PAGE_BYTES;
        if desired > limit.min(maximum.unwrap_or(limit)) {
            return Ok(false);
        }
        // The initial memory is part of the price of the instance.
        if self.guest.is_some() {
            let pages = desired.saturating_sub(current).div_ceil(PAGE_BYTES) as u64;
            self.unpaid_pages = self.unpaid_pages.saturating_add(pages);
        }
        Ok(true)
    }

    /// Growth that is allowed and fails is this machine's doing: the guest must not see it.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::from(NodeFault::OutOfMemory { reason: format!("{error:#}") }).into())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= MAX_TABLE_ELEMENTS)
    }
}

/// Takes gas from a running call, and what it owes for memory.
pub(crate) fn charge(
    mut store: impl AsContextMut<Data = HostData>,
    amount: u64,
) -> wasmtime::Result<()> {
    let mut store = store.as_context_mut();
    let pages = std::mem::take(&mut store.data_mut().unpaid_pages);
    let amount = amount.saturating_add(pages.saturating_mul(gas::MEMORY_PAGE));
    let left = store.get_fuel()?;
    // One unit of fuel must stay, because the engine cannot tell "none left" from "overdrawn".
    if left <= amount {
        store.set_fuel(0)?;
        return Err(Stop::from(TrapKind::OutOfGas).into());
    }
    store.set_fuel(left - amount)
}

/// Bytes at a place in guest memory; `trap` if it is not inside.
pub(crate) fn slice(
    memory: &[u8],
    ptr: u32,
    len: usize,
    trap: TrapKind,
) -> wasmtime::Result<&[u8]> {
    let start = ptr as usize;
    let place = start.checked_add(len).and_then(|end| memory.get(start..end));
    place.ok_or_else(|| Stop::from(trap).into())
}

/// Copies bytes into memory that the guest's allocator gives, and returns the place.
pub(crate) fn give(
    mut store: impl AsContextMut<Data = HostData>,
    guest: &Guest,
    bytes: &[u8],
) -> wasmtime::Result<u32> {
    if std::mem::replace(&mut store.as_context_mut().data_mut().allocating, true) {
        return Err(Stop::from(TrapKind::Reentrancy).into());
    }
    let len = i32::try_from(bytes.len()).map_err(|_| Stop::from(TrapKind::TooLong))?;
    let ptr = guest.alloc.call(&mut store, len)? as u32;
    store.as_context_mut().data_mut().allocating = false;
    let memory = guest.memory.data_mut(&mut store);
    let start = ptr as usize;
    let place = start.checked_add(bytes.len()).and_then(|end| memory.get_mut(start..end));
    place.ok_or_else(|| Stop::from(TrapKind::BadAllocation))?.copy_from_slice(bytes);
    Ok(ptr)
}

/// Runs one call. See [`super::Module::call`].
pub(crate) fn call(
    pre: &InstancePre<HostData>,
    exports: &Exports,
    base_gas: u64,
    export: Export,
    request: &[u8],
    mut env: CallEnv<'_>,
    gas_limit: u64,
) -> Result<CallResult, CallError> {
    let mut sink = env.messages.take();
    let limit = gas_limit.min(gas::MAX_GAS_LIMIT);
    let mut store = Store::new(pre.module().engine(), HostData::new(export, &env));
    store.limiter(|data| data);
    let mut instance = None;
    let serve = || {
        // See `charge` for the one more.
        store.set_fuel(limit + 1)?;
        charge(&mut store, base_gas)?;
        let made = *instance.insert(pre.instantiate(&mut store)?);
        run(&mut store, made, exports, export, request)
    };
    let on_state = || STATE.set(env.state, serve);
    let on_consensus = || match env.consensus {
        Some(consensus) => CONSENSUS.set(consensus, on_state),
        None => on_state(),
    };
    let answer = match &mut sink {
        Some(sink) => MESSAGES.set(&mut **sink, on_consensus),
        None => on_consensus(),
    };
    let left = store.get_fuel().unwrap_or(0);
    let data = store.data_mut();
    let mut effects = std::mem::take(&mut data.effects);
    let unpaid = data.unpaid_pages.saturating_mul(gas::MEMORY_PAGE);
    let used = (limit + 1).saturating_sub(left).saturating_add(unpaid).min(limit);
    let sunk = data.sunk;
    let trap = |kind, gas_used, logs| Err(Trap { kind, gas_used, logs }.into());
    let result = match answer.map_err(|error| failure(&mut store, instance, exports, &error)) {
        // What is overdrawn shows as no fuel at all.
        Ok(_) if left == 0 => trap(TrapKind::OutOfGas, limit, effects.logs),
        Ok(outcome) => {
            if outcome.is_err() {
                effects = Effects { logs: effects.logs, ..Effects::default() };
            }
            Ok(CallResult { outcome, gas_used: used, effects })
        }
        Err(Failure::Exact(kind)) => trap(kind, used, effects.logs),
        Err(Failure::Whole(kind)) => trap(kind, limit, effects.logs),
        Err(Failure::Node(fault)) => Err(fault.into()),
    };
    if let Some(sink) = sink
        && !result.as_ref().is_ok_and(|result| result.outcome.is_ok())
    {
        sink.take_back(sunk);
    }
    result
}

/// Why a call ended without an outcome.
enum Failure {
    /// The guest's doing; the counter of fuel is exact.
    Exact(TrapKind),
    /// The guest's doing; the counter of fuel is old, or used up, and the call costs its limit.
    Whole(TrapKind),
    /// The node's doing.
    Node(NodeFault),
}

/// Hands the request over, calls, and takes the outcome.
fn run(
    store: &mut Store<HostData>,
    instance: Instance,
    exports: &Exports,
    export: Export,
    request: &[u8],
) -> wasmtime::Result<Result<Vec<u8>, paralith_runtime_abi::GuestError>> {
    let unknown = || NodeFault::Engine { reason: "an export is gone".into() };
    let mut find = |index| instance.get_module_export(&mut *store, index);
    let memory = find(&exports.memory).and_then(wasmtime::Extern::into_memory);
    let alloc = find(&exports.alloc).and_then(wasmtime::Extern::into_func);
    let entry = exports.entries.get(export as usize).and_then(find);
    let entry = entry.and_then(wasmtime::Extern::into_func).ok_or_else(unknown)?;
    let entry = entry.typed::<(i32, i32), i64>(&*store)?;
    let alloc = alloc.ok_or_else(unknown)?.typed::<i32, i32>(&*store)?;
    let guest = Guest { memory: memory.ok_or_else(unknown)?, alloc };
    store.data_mut().guest = Some(guest.clone());

    if request.len() > MAX_REQUEST_BYTES {
        return Err(Stop::from(TrapKind::TooLong).into());
    }
    charge(&mut *store, (request.len() as u64).saturating_mul(gas::COPIED_BYTE))?;
    let ptr = give(&mut *store, &guest, request)?;
    let packed = entry.call(&mut *store, (ptr as i32, request.len() as i32))?;
    let (ptr, len) = unpack(packed);
    let len = len as usize;
    if len > MAX_OUTCOME_BYTES {
        return Err(Stop::from(TrapKind::BadOutcome).into());
    }
    charge(&mut *store, (len as u64).saturating_mul(gas::COPIED_BYTE))?;
    let bytes = slice(guest.memory.data(store.as_context()), ptr, len, TrapKind::BadOutcome)?;
    match Outcome::decode(bytes).ok().and_then(|outcome| outcome.result) {
        Some(OutcomeResult::Ok(value)) => Ok(Ok(value)),
        Some(OutcomeResult::Error(error)) => Ok(Err(error)),
        None => Err(Stop::from(TrapKind::BadOutcome).into()),
    }
}

/// What an error of the engine means.
fn failure(
    store: &mut Store<HostData>,
    instance: Option<Instance>,
    exports: &Exports,
    error: &wasmtime::Error,
) -> Failure {
    use wasmtime::Trap as Native;
    match error.downcast_ref::<Stop>() {
        Some(Stop::Guest(TrapKind::OutOfGas)) => return Failure::Whole(TrapKind::OutOfGas),
        Some(Stop::Guest(kind)) => return Failure::Exact(*kind),
        Some(Stop::Node(fault)) => return Failure::Node(fault.clone()),
        None => {}
    }
    if let Some(fault) = error.downcast_ref::<NodeFault>() {
        return Failure::Node(fault.clone());
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::Node(NodeFault::Busy);
    }
    Failure::Whole(match error.downcast_ref::<Native>() {
        Some(Native::UnreachableCodeReached) => {
            let deep = too_deep(store, instance, exports);
            return Failure::Exact(if deep { TrapKind::CallDepth } else { TrapKind::Unreachable });
        }
        Some(Native::OutOfFuel) => TrapKind::OutOfGas,
        Some(Native::MemoryOutOfBounds) => TrapKind::MemoryOutOfBounds,
        Some(Native::TableOutOfBounds) => TrapKind::TableOutOfBounds,
        Some(Native::IndirectCallToNull) => TrapKind::IndirectCallToNull,
        Some(Native::BadSignature) => TrapKind::BadSignature,
        Some(Native::IntegerDivisionByZero) => TrapKind::DivisionByZero,
        Some(Native::IntegerOverflow) => TrapKind::IntegerOverflow,
        Some(Native::BadConversionToInteger) => TrapKind::BadConversion,
        Some(Native::StackOverflow) => return Failure::Node(NodeFault::NativeStack),
        _ => return Failure::Node(NodeFault::Engine { reason: format!("{error:#}") }),
    })
}

/// Whether the counter of call depth stands where only its own check leaves it.
fn too_deep(store: &mut Store<HostData>, instance: Option<Instance>, exports: &Exports) -> bool {
    let depth = instance.and_then(|it| it.get_module_export(&mut *store, &exports.depth));
    let depth = depth.and_then(wasmtime::Extern::into_global);
    let depth = depth.and_then(|global| global.get(&mut *store).i32());
    depth.unwrap_or(0) as u32 > MAX_CALL_DEPTH_COST
}
