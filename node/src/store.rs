//! A node's store: opened in one place, with what an operator has to know when it cannot be.

use std::path::Path;

use paralith_storage::{Kv, KvOptions, StorageError, StoreKind};

use crate::config::{Config, EngineConfig, Role};
use crate::error::NodeError;

/// Opens the store in `folder`, or makes one there, of the kind that this program was built with.
pub(crate) fn open(folder: &Path, compression: bool) -> Result<Kv, NodeError> {
    let what = folder.display().to_string();
    Kv::open(folder, KvOptions { compression }).map_err(|error| match error {
        StorageError::OtherStore { .. }
        | StorageError::NotBuilt { .. }
        | StorageError::Locked { .. } => NodeError::usage(what, error),
        error => NodeError::Io { what, reason: error.to_string() },
    })
}

/// Refuses what this build is not made for: a validator's store takes every block of the chain under
/// load and has to be copied, restored and inspected with known tools, so it is RocksDB's.
pub(crate) fn check_build(config: &Config) -> Result<(), NodeError> {
    let on_comet = matches!(config.engine, EngineConfig::Cometbft { .. });
    check_kind(on_comet && config.has(Role::Validator), StoreKind::DEFAULT)
}

/// The same for a command that starts validators on CometBFT.
pub(crate) fn check_validators() -> Result<(), NodeError> {
    check_kind(true, StoreKind::DEFAULT)
}

fn check_kind(is_validator: bool, kind: Option<StoreKind>) -> Result<(), NodeError> {
    if !is_validator || kind == Some(StoreKind::Rocksdb) {
        return Ok(());
    }
    Err(NodeError::usage(
        "validator",
        "validators keep their state in RocksDB, and this program was built without it: use a \
         release, or build with `cargo build --release --package paralith --features rocksdb`. \
         `paralith dev` and nodes with other roles do not need it",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_on_cometbft_needs_rocksdb() {
        for kind in [None, Some(StoreKind::Redb)] {
            let refused = check_kind(true, kind).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(refused.to_string().contains("--features rocksdb"), "{refused}");
            check_kind(false, kind).unwrap();
        }
        check_kind(true, Some(StoreKind::Rocksdb)).unwrap();
    }

    #[test]
    fn a_home_of_another_store_is_a_mistake_that_names_both() {
        let home = tempfile::tempdir().unwrap();
        drop(open(home.path(), true).unwrap());
        let other = if StoreKind::DEFAULT == Some(StoreKind::Redb) { "rocksdb" } else { "redb" };
        let mark = home.path().join(paralith_storage::MARK);
        std::fs::write(mark, format!("paralith-store/1 {other}\n")).unwrap();
        let refused = open(home.path(), true).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        let kind = StoreKind::DEFAULT.unwrap().name();
        assert!(refused.to_string().contains(&format!("made by {other}")), "{refused}");
        assert!(refused.to_string().contains(kind), "{refused}");
    }
}
