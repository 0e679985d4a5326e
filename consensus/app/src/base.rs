//! The state that the next block builds on: the last committed one, or genesis before it.

use paralith_storage::{Changes, Pair, Snapshot, StateRead, StorageError};

/// What the next block reads.
#[derive(Debug)]
pub(crate) enum Base {
    /// The state after the last committed block; the empty one if there is none.
    Committed(Snapshot),
    /// The genesis state. It is written together with the first block, and not before: the engine
    /// gives genesis again to a node that crashed before that.
    Genesis(Changes),
}

impl Base {
    /// The version that changes are made on.
    pub(crate) fn version(&self) -> Option<u64> {
        match self {
            Self::Committed(snapshot) => snapshot.version(),
            Self::Genesis(_) => None,
        }
    }

    /// All that has to be written to come from the stored state to the one after `changes`.
    pub(crate) fn with(&self, changes: Changes) -> Changes {
        match self {
            Self::Committed(_) => changes,
            Self::Genesis(genesis) => {
                let mut all = genesis.clone();
                all.extend(changes);
                all
            }
        }
    }
}

impl StateRead for Base {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match self {
            Self::Committed(snapshot) => snapshot.get(key),
            Self::Genesis(genesis) => Ok(genesis.get(key).cloned().flatten()),
        }
    }

    fn scan(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        match self {
            Self::Committed(snapshot) => snapshot.scan(prefix, start_after, limit),
            Self::Genesis(genesis) => Ok(genesis
                .range(prefix.to_vec()..)
                .take_while(|(key, _)| key.starts_with(prefix))
                .filter(|(key, _)| start_after.is_none_or(|after| key.as_slice() > after))
                .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
                .take(limit)
                .collect()),
        }
    }
}
