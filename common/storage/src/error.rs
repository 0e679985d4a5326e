//! What can go wrong with stored state, and whose fault it is.

/// A store that could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// A file's name that [`crate::Files`] does not take. The caller's fault.
    #[error(
        "`{name}` is no file name here: use 1 to 200 letters, digits, `.`, `-` and `_`, and begin with another than `.`"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Changes were committed onto another state than they were prepared on. The caller's fault:
    /// two writers, or a stale preparation.
    #[error("prepared on version {base:?}, but the latest is {latest:?}")]
    BaseMoved {
        /// The version that the changes were prepared on.
        base: Option<u64>,
        /// The latest version now.
        latest: Option<u64>,
    },
    /// Stored bytes that this program never writes. The disk's fault, or another program's.
    #[error("stored state is damaged: {what}")]
    Corrupt {
        /// What was found damaged.
        what: String,
    },
    /// No space left where the store lives. The operator's to solve.
    #[error("no space left on the disk of the store: {detail}")]
    DiskFull {
        /// The store's own words.
        detail: String,
    },
    /// The operating system refused to read or write.
    #[error("the store cannot be read or written: {detail}")]
    Io {
        /// The store's own words.
        detail: String,
    },
    /// Another process has the store open. The operator's to solve.
    #[error("the store at {path} is open in another process; stop that one first")]
    Locked {
        /// Where the store is.
        path: String,
    },
    /// The source of nodes does not have one that the root says exists. The host's fault.
    #[error("the source withholds {what}")]
    Missing {
        /// What was asked for.
        what: &'static str,
    },
    /// A version that is not after the latest, or a tree that grew beyond its counters. The
    /// caller's fault.
    #[error("version {version} does not come after {latest}")]
    NotAfter {
        /// The version that was asked for.
        version: u64,
        /// The version that it has to come after.
        latest: u64,
    },
    /// This program was built without the store that is asked for. The operator's to solve.
    #[error("this program was built without the store {kind}: build it with the feature `{kind}`")]
    NotBuilt {
        /// The store.
        kind: &'static str,
    },
    /// The folder belongs to a store of another kind. The operator's to solve.
    #[error(
        "the store at {path} was made by {found}, and this program keeps its stores in {wanted}: run a program that was built with {found}, or choose another home"
    )]
    OtherStore {
        /// Where the store is.
        path: String,
        /// What made it.
        found: String,
        /// What this program uses.
        wanted: &'static str,
    },
    /// More than the format can hold. The caller's fault.
    #[error("{what} is larger than the store allows")]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
    /// The source answered with bytes that do not belong under the root. The host's fault.
    #[error("the source answered with a false {what}")]
    Unverifiable {
        /// What was asked for.
        what: &'static str,
    },
    /// The version was never committed, or is pruned.
    #[error("version {version} is not in the store")]
    VersionMissing {
        /// The version that was asked for.
        version: u64,
    },
}

impl StorageError {
    /// The error's number, which never changes.
    pub fn code(&self) -> u32 {
        match self {
            Self::Io { .. } => 1,
            Self::Corrupt { .. } => 2,
            Self::Locked { .. } => 3,
            Self::DiskFull { .. } => 4,
            Self::VersionMissing { .. } => 5,
            Self::Unverifiable { .. } => 6,
            Self::Missing { .. } => 7,
            Self::TooLarge { .. } => 8,
            Self::BaseMoved { .. } => 9,
            Self::NotAfter { .. } => 10,
            Self::OtherStore { .. } => 11,
            Self::BadName { .. } => 12,
            Self::NotBuilt { .. } => 13,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}
