//! The WebAssembly engine: the same code, request, state and gas limit give the same result,
//! effects and gas on every node, or no result at all.
//!
//! * [`Engine::compile`] refuses what is not a guest of the ABI, or what could tell two nodes apart,
//!   with an [`UploadError`]; it meters call depth inside the module, then compiles it.
//! * [`Module::call`] makes a fresh instance, hands it one request and takes one outcome. A guest
//!   can fail in three ways. It answers with an error: [`CallResult::outcome`]. It traps:
//!   [`CallError::Guest`], as deterministic as an answer. The node fails it:
//!   [`CallError::Node`], which is never a result and says nothing about the guest.
//! * Writes go to the caller's [`State`] while the call runs: give it an overlay and drop that if
//!   the call fails. Effects of a failed call do not exist.
//! * Gas is fuel, priced by a table of our own ([`gas`]). `gas_used` never exceeds the limit, and a
//!   call that used `n` succeeds with any limit of at least `n`.
//!
//! Calls run on the caller's thread, which needs [`limits::MIN_THREAD_STACK_BYTES`] of stack.

mod body;
mod engine;
mod error;
mod frame;
pub mod gas;
mod imports;
mod instance;
mod instrument;
pub mod limits;
mod validate;

use paralith_runtime_abi::{ConsensusMessage, GuestError};
use paralith_types::CodeId;
use sha2::{Digest as _, Sha256};

pub use engine::{Engine, Module, Optimization};
pub use error::{CallError, EngineError, NodeFault, StateError, Trap, TrapKind, UploadError};
pub use frame::check_machine;
pub use gas::GAS_SCHEDULE_VERSION;
pub use limits::MAX_CODE_BYTES;

/// Separates the hash of code from all other hashes.
const CODE_DOMAIN: &str = "paralith/code";

/// Names a module: SHA-256 over the domain `paralith/code` with its length in one byte, then the
/// code with its length in eight bytes, big-endian.
#[must_use]
pub fn code_id(code: &[u8]) -> CodeId {
    let mut hasher = Sha256::new();
    hasher.update([CODE_DOMAIN.len() as u8]);
    hasher.update(CODE_DOMAIN);
    hasher.update((code.len() as u64).to_be_bytes());
    hasher.update(code);
    CodeId(hasher.finalize().into())
}

/// Checks code as [`Engine::compile`] does, but for what only compiling it shows, and gives the
/// oldest ABI version under which it runs. Takes time in proportion to the code's length.
pub fn check(code: &[u8]) -> Result<u32, UploadError> {
    let shape = validate::validate(code)?;
    instrument::instrument(code, &shape)?;
    Ok(shape.abi_version())
}

/// An entry point of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Export {
    /// Once, in the first normal round.
    Init,
    /// Each round, first.
    BeginBlock,
    /// Before each `execute`.
    Authenticate,
    /// Each transaction.
    Execute,
    /// Each round, last.
    EndBlock,
    /// Admission to the pool.
    Check,
    /// A question on a final root.
    Query,
    /// The bytes that an earlier round asked to reveal.
    Reveal,
    /// Once, in the first round under new code.
    Migrate,
}

impl Export {
    /// All entry points, in the order of [`paralith_runtime_abi::EXPORTS`].
    pub const ALL: [Self; 9] = [
        Self::Init,
        Self::BeginBlock,
        Self::Authenticate,
        Self::Execute,
        Self::EndBlock,
        Self::Check,
        Self::Query,
        Self::Reveal,
        Self::Migrate,
    ];

    /// The name under which a guest exports it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        paralith_runtime_abi::EXPORTS[self as usize]
    }

    /// Whether it may only read: a write, a message, an event or a request to reveal traps.
    #[must_use]
    pub const fn read_only(self) -> bool {
        matches!(self, Self::Check | Self::Query | Self::Reveal)
    }
}

/// The state that a call reads and writes: a plain or an encrypted overlay.
pub trait State {
    /// The value under `key`, or `None`.
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Writes a value, or removes it with `None`.
    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StateError>;
}

/// Consensus state at the height that a call's inputs are pinned to.
pub trait ConsensusRead {
    /// The value under `key`, or its proven absence. What a host withholds or forges is an error.
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;
}

/// Decides on a call's messages to consensus while the call runs.
pub trait MessageSink {
    /// Takes a message. `false` refuses it: `emit_message` answers -1, and the message does not exist.
    fn take(&mut self, message: &ConsensusMessage) -> bool;

    /// Takes back the last `count` messages that it took: the call that emitted them is undone.
    fn take_back(&mut self, count: u32);
}

/// What a call runs in.
pub struct CallEnv<'a> {
    /// What it reads and writes.
    pub state: &'a mut dyn State,
    /// What `consensus_get` reads; without it the import traps.
    pub consensus: Option<&'a mut dyn ConsensusRead>,
    /// The height that `commit_before` is judged by; without it the import only records its
    /// deadline, for an embedder that orders the call later.
    pub pinned_height: Option<u64>,
    /// Whether `wake_at` has a meaning here; where not, the import traps.
    pub timers: bool,
    /// The seed of the import `random`: must differ between the calls of a round.
    pub randomness: [u8; 32],
    /// The key of the import `derive_key`; without one the runtime is public and the import traps.
    pub secret: Option<[u8; 32]>,
    /// The round that `request_reveal` records.
    pub round: u64,
    /// Whether lines of the import `log` are kept. They cost the same gas if not.
    pub log_allowed: bool,
    /// How many more messages to consensus the round takes.
    pub max_messages: u32,
    /// Messages that earlier calls of the round emitted: indices go on from there.
    pub messages_before: u32,
    /// Asked for each message; without it every message that `max_messages` allows is taken.
    pub messages: Option<&'a mut dyn MessageSink>,
}

impl std::fmt::Debug for CallEnv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallEnv").field("round", &self.round).finish_non_exhaustive()
    }
}

/// What a call did beside writing state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Messages to consensus, in order.
    pub messages: Vec<ConsensusMessage>,
    /// Public events: topic and data, in order.
    pub events: Vec<(Vec<u8>, Vec<u8>)>,
    /// Handles to reveal once the round is final, in order. Their intents are in the state.
    pub reveals: Vec<Vec<u8>>,
    /// The lowest height that the call gave to `wake_at`.
    pub wake_height: Option<u64>,
    /// The lowest height that the call gave to `commit_before`.
    pub commit_before: Option<u64>,
    /// Lines for a developer. Not part of any result.
    pub logs: Vec<String>,
}

/// A call that the guest answered.
#[derive(Debug, Clone, PartialEq)]
pub struct CallResult {
    /// The guest's answer: a value, or its refusal.
    pub outcome: Result<Vec<u8>, GuestError>,
    /// Gas used, at most the limit.
    pub gas_used: u64,
    /// What it did beside writing state; only logs if the outcome is an error.
    pub effects: Effects,
}
