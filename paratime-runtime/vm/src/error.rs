//! What goes wrong with an engine, a module or a call. Codes are stable; texts are not.

/// The engine could not be set up. The fault is this node's.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine cannot run WebAssembly, or has no address space left for it.
    #[error("cannot set up the WebAssembly engine: {reason}")]
    Setup {
        /// What the engine says.
        reason: String,
    },
    /// Frames of compiled code can be read on x86-64 only. Without that, nothing bounds the stack
    /// that a guest takes on this machine.
    #[error(
        "ParaTimes run on x86-64 only, and this machine is {architecture}: run compute nodes on \
         x86-64, other nodes anywhere"
    )]
    Machine {
        /// This machine's architecture.
        architecture: String,
    },
}

impl EngineError {
    /// Stable number of the kind.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Setup { .. } => 1,
            Self::Machine { .. } => 2,
        }
    }
}

/// Why code is not a guest. The fault is the uploader's, unless the kind says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// More bytes than a module may have.
    #[error("the code has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not a valid core WebAssembly module.
    #[error("not a WebAssembly module: {reason}")]
    NotWasm {
        /// What the validator says.
        reason: String,
    },
    /// Valid, but with a feature that guests must not use, such as threads, SIMD or reference
    /// types.
    #[error("uses a WebAssembly feature that guests must not: {reason}")]
    ForbiddenFeature {
        /// What the validator says.
        reason: String,
    },
    /// An export of the contract is not there.
    #[error("does not export `{name}`")]
    MissingExport {
        /// Its name.
        name: String,
    },
    /// An export has another type than the contract says.
    #[error("exports `{name}` with a wrong type")]
    WrongExportType {
        /// Its name.
        name: String,
    },
    /// An import that the host does not have.
    #[error("imports `{module}.{name}`, which the host does not have")]
    UnknownImport {
        /// The module it names.
        module: String,
        /// The import's name.
        name: String,
    },
    /// An import with another type than the contract says.
    #[error("imports `{module}.{name}` with a wrong type")]
    WrongImportType {
        /// The module it names.
        module: String,
        /// The import's name.
        name: String,
    },
    /// The memory starts with more pages than an instance may have.
    #[error("its memory starts with {pages} pages, at most {max} are allowed")]
    MemoryTooLarge {
        /// Pages of 64 KiB that it asks for.
        pages: u64,
        /// The limit.
        max: u64,
    },
    /// A start function, which would run outside a call.
    #[error("has a start function")]
    StartFunction,
    /// Too many of something.
    #[error("has {count} {what}, at most {max} are allowed")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many.
        count: u64,
        /// The limit.
        max: u64,
    },
    /// One function that needs more call depth than a call has.
    #[error("function {index} is too large to be called: split it")]
    FunctionTooLarge {
        /// Its index among the module's own functions.
        index: u32,
    },
    /// A data or element segment that does not fit what it initialises.
    #[error("{what} segment {index} lies outside what it initialises")]
    SegmentOutOfBounds {
        /// `data` or `element`.
        what: &'static str,
        /// Its index.
        index: u32,
    },
    /// Blocks, loops and branches that lie in each other too deeply.
    #[error("function {index} nests blocks {depth} deep, at most {max} are allowed: split it")]
    NestedTooDeeply {
        /// Its index among the module's own functions.
        index: u32,
        /// How deep.
        depth: u32,
        /// The limit.
        max: u32,
    },
    /// Functions with so many locals and branches that compiling them could take long.
    #[error(
        "its functions have too many locals and branches to be compiled in time ({work} of at \
         most {max}): split the largest"
    )]
    TooMuchWork {
        /// Values times edges, see [`crate::limits::MAX_COMPILE_WORK`].
        work: u64,
        /// The limit.
        max: u64,
    },
    /// A compiled frame that needs more native stack than its cost in call depth stands for.
    #[error(
        "function {index} needs {bytes} bytes of stack where its size allows {max}: split it, or \
         keep fewer values over calls"
    )]
    FrameTooLarge {
        /// Its index among the module's own functions.
        index: u32,
        /// Bytes of its frame.
        bytes: u32,
        /// What its cost stands for.
        max: u32,
    },
    /// A compiled function whose frame cannot be read, so that nothing bounds it.
    #[error("the frame of compiled function {index} cannot be read: {reason}; report this")]
    FrameUnread {
        /// Its index among the module's own functions.
        index: u32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The compiler refused valid code.
    #[error("the compiler refused it: {reason}")]
    NotCompiled {
        /// What the compiler says.
        reason: String,
    },
}

impl UploadError {
    /// Stable number of the kind.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::TooLarge { .. } => 1,
            Self::NotWasm { .. } => 2,
            Self::ForbiddenFeature { .. } => 3,
            Self::MissingExport { .. } => 4,
            Self::WrongExportType { .. } => 5,
            Self::UnknownImport { .. } => 6,
            Self::WrongImportType { .. } => 7,
            Self::MemoryTooLarge { .. } => 8,
            Self::StartFunction => 9,
            Self::TooMany { .. } => 10,
            Self::FunctionTooLarge { .. } => 11,
            Self::SegmentOutOfBounds { .. } => 12,
            Self::NotCompiled { .. } => 13,
            Self::NestedTooDeeply { .. } => 14,
            Self::TooMuchWork { .. } => 15,
            Self::FrameTooLarge { .. } => 16,
            Self::FrameUnread { .. } => 17,
        }
    }
}

/// A node of the state that is missing or does not verify. The fault is the host's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state could not be read or written: {reason}")]
pub struct StateError {
    /// What is missing or wrong.
    pub reason: String,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The guest trapped: the transaction's failure, the same on every node.
    #[error(transparent)]
    Guest(#[from] Trap),
    /// This node failed: the attempt ends, and there is no result.
    #[error(transparent)]
    Node(#[from] NodeFault),
}

/// A guest's trap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (after {gas_used} gas)")]
pub struct Trap {
    /// What it ran into.
    pub kind: TrapKind,
    /// Gas used, at most the limit.
    pub gas_used: u64,
    /// What the guest logged before. Not part of any result.
    pub logs: Vec<String>,
}

/// What a guest can run into. The number is the stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[repr(u32)]
pub enum TrapKind {
    /// The gas limit.
    #[error("out of gas")]
    OutOfGas = 1,
    /// An `unreachable` instruction: how a Rust guest panics.
    #[error("the runtime panicked")]
    Unreachable = 2,
    /// Calls nested too deeply.
    #[error("calls are nested too deeply")]
    CallDepth = 3,
    /// A load, store or bulk operation outside the memory.
    #[error("memory access out of bounds")]
    MemoryOutOfBounds = 4,
    /// A table access out of bounds.
    #[error("table access out of bounds")]
    TableOutOfBounds = 5,
    /// An indirect call to an empty table entry.
    #[error("indirect call to nothing")]
    IndirectCallToNull = 6,
    /// An indirect call to a function of another type.
    #[error("indirect call to a function of another type")]
    BadSignature = 7,
    /// Integer division by zero.
    #[error("integer division by zero")]
    DivisionByZero = 8,
    /// Integer division that overflows.
    #[error("integer overflow")]
    IntegerOverflow = 9,
    /// A float that does not fit the integer it is converted to.
    #[error("float does not fit the integer")]
    BadConversion = 10,
    /// An import got a place outside the memory.
    #[error("a place given to the host is outside the memory")]
    BadPointer = 20,
    /// An import got a key, value or other byte string that is too long.
    #[error("a byte string given to the host is too long")]
    TooLong = 21,
    /// An import got a key that belongs to the host.
    #[error("the key belongs to the host")]
    ReservedKey = 22,
    /// A write, message, event or request to reveal in a call that may only read.
    #[error("a call that may only read tried to write")]
    ReadOnly = 23,
    /// `derive_key` in a runtime without secrets.
    #[error("a public runtime has no keys")]
    PublicRuntime = 24,
    /// `emit_message` with bytes that are no message.
    #[error("not a message to consensus")]
    BadMessage = 25,
    /// More effects than one call may have.
    #[error("too many events, messages and reveals in one call")]
    TooManyEffects = 26,
    /// The allocator called an import that needs the allocator.
    #[error("the allocator calls itself through the host")]
    Reentrancy = 27,
    /// The allocator returned a place outside the memory.
    #[error("the allocator returned a place outside the memory")]
    BadAllocation = 28,
    /// What an export returned is too long, outside the memory or no outcome.
    #[error("the runtime returned no valid outcome")]
    BadOutcome = 30,
    /// An import that has no meaning in this kind of call.
    #[error("the import cannot be used in this kind of call")]
    Unavailable = 31,
    /// `commit_before` with a height that the round has reached.
    #[error("the transaction was ordered too late for its deadline")]
    TooLate = 32,
    /// `crypto` with a number that this version of the contract gives no function.
    #[error("`crypto` has no function of this number")]
    UnknownFunction = 33,
}

impl TrapKind {
    /// The stable number.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }
}

/// What a node can run into. Never a result, and no statement about the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeFault {
    /// A state node is missing or does not verify.
    #[error(transparent)]
    State(#[from] StateError),
    /// The native stack ended before metered call depth did.
    #[error("the native stack ended before the metered call depth did")]
    NativeStack,
    /// The machine could not give memory that the guest may have.
    #[error("no memory left for the runtime: {reason}")]
    OutOfMemory {
        /// What the system says.
        reason: String,
    },
    /// As many calls as the engine takes are running.
    #[error("too many calls at once")]
    Busy,
    /// The engine did something that this host does not know.
    #[error("the engine failed: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
}

impl NodeFault {
    /// Stable number of the kind.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::State(_) => 1,
            Self::NativeStack => 2,
            Self::OutOfMemory { .. } => 3,
            Self::Busy => 4,
            Self::Engine { .. } => 5,
        }
    }
}

/// What stops a running guest from the host's side, carried through the engine as its error.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    /// The guest's doing.
    #[error(transparent)]
    Guest(#[from] TrapKind),
    /// The node's.
    #[error(transparent)]
    Node(#[from] NodeFault),
}
