//! What a refusal is on its way from where it is decided to the caller.
//!
//! Programs decide on [`Error::module`], [`Error::code`] and [`Error::retry`], never on the text. The
//! producer of an error knows what the caller can do about it and says so in [`Retry`]; nobody on the
//! way guesses.

use core::fmt;

/// What a caller can do about a refusal. Set where the refusal is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// The same request will be refused again, everywhere.
    #[default]
    Never,
    /// The same request to the same node may succeed later.
    Later,
    /// This node cannot serve the request; another may.
    OtherPeer,
    /// The transaction has had its effect in this ParaTime round: ask for its receipt.
    AlreadyFinal {
        /// That round.
        round: u64,
    },
    /// Sign again with this nonce.
    NonceIs {
        /// The sender's next nonce.
        nonce: u64,
    },
}

impl Retry {
    /// Whether the same bytes may succeed, at this node or at another.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Later | Self::OtherPeer)
    }
}

/// A refusal with its stable identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The module that refused: the first half of the identity.
    pub module: String,
    /// The code within the module, never 0: the second half.
    pub code: u32,
    /// What happened, why, and what to do. For people.
    pub message: String,
    /// What the caller can do.
    pub retry: Retry,
}

impl Error {
    /// A refusal that will be repeated for the same request.
    pub fn new(module: &str, code: u32, message: impl fmt::Display) -> Self {
        Self { module: module.to_string(), code, message: message.to_string(), retry: Retry::Never }
    }

    /// The same refusal with what the caller can do.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Whether it has this identity.
    #[must_use]
    pub fn is(&self, module: &str, code: u32) -> bool {
        self.module == module && self.code == code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.module, self.code, self.message)
    }
}

impl core::error::Error for Error {}
