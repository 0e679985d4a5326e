//! Why the socket cannot be served.

/// Why the socket cannot be served. The operator's fault, or this machine's.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The folder or the socket cannot be made.
    #[error("cannot listen on {path}: {reason}")]
    Listen {
        /// The socket.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// A Unix socket's path has an upper limit.
    #[error("the path {path} is longer than the {limit} bytes that a socket may have")]
    PathTooLong {
        /// The socket.
        path: String,
        /// The limit in bytes.
        limit: usize,
    },
}

impl ServeError {
    /// The error's number, which never changes.
    pub fn code(&self) -> u32 {
        match self {
            Self::Listen { .. } => 1,
            Self::PathTooLong { .. } => 2,
        }
    }
}
