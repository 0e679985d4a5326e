//! Every limit of a guest, in one place. All are part of the protocol: a node with other numbers
//! gives other results.

/// Longest module.
pub const MAX_CODE_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of a WebAssembly page.
pub const PAGE_BYTES: usize = 64 * 1024;

/// Most pages that an instance's memory may have: 64 MiB. `memory.grow` beyond it returns -1.
pub const MAX_MEMORY_PAGES: u64 = 1024;

/// Most types of a module.
pub const MAX_TYPES: u64 = 2_000;

/// Most functions of a module.
pub const MAX_FUNCTIONS: u64 = 20_000;

/// Most globals of a module.
pub const MAX_GLOBALS: u64 = 1_000;

/// Most tables of a module.
pub const MAX_TABLES: u64 = 1;

/// Most elements of a table.
pub const MAX_TABLE_ELEMENTS: u64 = 20_000;

/// Most data segments, and most element segments, of a module.
pub const MAX_SEGMENTS: u64 = 10_000;

/// Call depth that a call has, in units that stand for bytes of native stack: see
/// [`frame_cost`].
pub const MAX_CALL_DEPTH_COST: u32 = 256 * 1024;

/// Bytes of native stack that stand behind one unit of call depth. A module of which a compiled
/// frame needs more than this much for its cost is refused.
pub const NATIVE_BYTES_PER_COST: u32 = 4;

/// Native stack that a guest may use: what the metered depth allows, and the frames that are not
/// metered on top. A guest never gets to its end; if it does, the fault is the node's.
pub const NATIVE_STACK_BYTES: usize = NATIVE_BYTES_PER_COST as usize
    * (MAX_CALL_DEPTH_COST as usize + 2 * FREE_LEAF_COST as usize)
    + 16 * 1024;

/// Stack that a thread needs to make a call: the guest's and the host functions' above it. The
/// usual 2 MiB of a thread suffice.
pub const MIN_THREAD_STACK_BYTES: usize = NATIVE_STACK_BYTES + 512 * 1024;

/// Longest outcome of an export.
pub const MAX_OUTCOME_BYTES: usize = 1024 * 1024;

/// Longest request to an export.
pub const MAX_REQUEST_BYTES: usize = paralith_runtime_abi::MAX_REQUEST_BYTES;

/// Longest message to consensus.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// Longest topic of an event.
pub const MAX_TOPIC_BYTES: usize = 256;

/// Longest data of an event.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Longest handle of `request_reveal`.
pub const MAX_HANDLE_BYTES: usize = 128;

/// Longest purpose of `derive_key`.
pub const MAX_PURPOSE_BYTES: usize = 1024;

/// Longest output of one `random`.
pub const MAX_RANDOM_BYTES: usize = 64 * 1024;

/// Most messages, events and reveals of one call, together.
pub const MAX_EFFECTS: usize = 4096;

/// Most bytes in the effects of one call.
pub const MAX_EFFECT_BYTES: usize = 1024 * 1024;

/// Most bytes kept of one line of `log`.
pub const MAX_LOG_LINE_BYTES: usize = 4 * 1024;

/// Most bytes of lines kept of one call; more are dropped.
pub const MAX_LOG_BYTES: usize = 64 * 1024;

/// Calls that one engine runs at the same time.
pub const MAX_CONCURRENT_CALLS: u32 = 64;

/// Most blocks, loops and branches of `if` that are open at once in a function.
pub const MAX_NESTING: u32 = 1_000;

/// Most work for the compiler that a module may make: over all functions, its values (locals and
/// the highest operand stack) times its edges (starts of blocks, branches and their targets), where
/// an edge in `n` loops counts `n + 1` times. A compiler carries each value over each edge, and
/// over those of a loop once for each loop around it.
pub const MAX_COMPILE_WORK: u64 = 64_000_000;

/// What a frame costs at least.
pub const FRAME_BASE_COST: u32 = 128;

/// What one frame of a function takes from [`MAX_CALL_DEPTH_COST`].
///
/// `locals` counts parameters too, `operators` is the length of the body and `height` the most
/// values on its operand stack. A native frame holds spilled values of at most 16 bytes each and
/// the arguments of calls, of at most 8: each value on the operand stack may need both, each local
/// is at most a few values, and a value that the compiler hoists takes three operators. What spills
/// more than that all the same is refused after compilation: see [`NATIVE_BYTES_PER_COST`].
#[must_use]
pub fn frame_cost(locals: u32, operators: u32, height: u32) -> u32 {
    locals
        .saturating_mul(16)
        .saturating_add(operators.saturating_mul(2))
        .saturating_add(height.saturating_mul(6))
        .saturating_add(FRAME_BASE_COST)
}

/// Frames of functions that call nothing, and that are cheaper than this, are not metered: there is
/// at most one of them at the top of each of the two stacks of a call (the export and, above a host
/// function, the allocator).
pub const FREE_LEAF_COST: u32 = 2 * 1024;
