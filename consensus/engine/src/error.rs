//! Why an engine fails.

use paralith_consensus_app::AppError;
use paralith_consensus_light::LightError;
use paralith_storage::StorageError;
use paralith_types::Height;

/// Why an engine cannot do what was asked. Never the fault of a transaction: those have outcomes.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The application cannot answer.
    #[error("the application: {0}")]
    App(#[from] AppError),
    /// The application has committed a block that the engine does not have. The operator's: the
    /// two stores are not of the same chain, or one was replaced by an older copy.
    #[error("the application stands at {app}, the engine's last block is {store}")]
    AppAhead {
        /// The application's last block.
        app: Height,
        /// The engine's.
        store: Height,
    },
    /// The same block gave another app hash. This program's or this machine's fault; the node stops.
    #[error("block {height} gave the app hash {got}, and {expected} before")]
    AppHashMismatch {
        /// The block.
        height: Height,
        /// What was signed or stored.
        expected: String,
        /// What came out now.
        got: String,
    },
    /// CometBFT's program. The operator's to solve.
    #[error("{reason}")]
    Binary {
        /// What is wrong and what to do.
        reason: String,
    },
    /// The genesis document cannot be used.
    #[error("genesis: {reason}")]
    Genesis {
        /// What is wrong.
        reason: String,
    },
    /// The home cannot be read or written. The operator's to solve.
    #[error("{path}: {reason}")]
    Home {
        /// The file or folder.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// Another process runs with this home. The operator's to solve.
    #[error("another process runs in {path}: stop it first")]
    Locked {
        /// The home.
        path: String,
    },
    /// A header that cannot be built or read.
    #[error("headers: {0}")]
    Light(#[from] LightError),
    /// The engine's answer is not what it should be, or there is none.
    #[error("the engine does not answer: {reason}")]
    NoAnswer {
        /// What happened.
        reason: String,
    },
    /// The keys of a solo engine are not more than two thirds of the voting power any more.
    #[error("this engine's keys have {own} of the voting power {total} at height {height}")]
    NotEnoughPower {
        /// The height.
        height: Height,
        /// The power of its keys.
        own: u64,
        /// All power.
        total: u64,
    },
    /// A second block would be signed at one height. This program's fault, or somebody replaced the
    /// store by an older copy; the node stops.
    #[error("a block of height {signed} was signed already: refusing to sign at {height}")]
    SignedAlready {
        /// The last signed height.
        signed: Height,
        /// The height that was to be signed.
        height: Height,
    },
    /// The store.
    #[error("the store: {0}")]
    Storage(#[from] StorageError),
    /// The engine has ended.
    #[error("the engine has stopped")]
    Stopped,
    /// There is no such block.
    #[error("there is no block {height}: the newest is {newest}")]
    UnknownHeight {
        /// What was asked for.
        height: Height,
        /// The newest.
        newest: Height,
    },
    /// A record that the engine stored cannot be read. The disk's fault.
    #[error("a stored record is damaged: {what}")]
    Corrupt {
        /// Which.
        what: String,
    },
}

impl EngineError {
    /// The error's number, which never changes.
    pub fn code(&self) -> u32 {
        match self {
            Self::App(_) => 1,
            Self::AppAhead { .. } => 2,
            Self::AppHashMismatch { .. } => 3,
            Self::Binary { .. } => 4,
            Self::Genesis { .. } => 5,
            Self::Home { .. } => 6,
            Self::Locked { .. } => 7,
            Self::Light(_) => 8,
            Self::NoAnswer { .. } => 9,
            Self::NotEnoughPower { .. } => 10,
            Self::SignedAlready { .. } => 11,
            Self::Storage(_) => 12,
            Self::Stopped => 13,
            Self::UnknownHeight { .. } => 14,
            Self::Corrupt { .. } => 15,
        }
    }
}
