//! What the owner of a disk does to a node that does not run.

use std::path::{Path, PathBuf};

use clap::Args;
use paralith::config::Config;
use paralith::error::NodeError;
use paralith_private_contract_messages::ContractId;
use paralith_storage::{Column, Durability, Kv, KvOptions, WriteBatch};
use paralith_types::RuntimeId;

use super::{Outcome, read};

/// Most entries of a store that are looked at.
const MAX_ENTRIES: usize = 1_000_000;

fn open(config: &Path) -> Result<Kv, NodeError> {
    let config = Config::load(config)?;
    let options = KvOptions { compression: config.compression };
    Kv::open(&config.home.join("store"), options).map_err(|e| NodeError::internal(&e))
}

fn write(kv: &Kv, batch: WriteBatch) -> Result<(), NodeError> {
    kv.write(batch, Durability::Synced).map_err(|e| NodeError::internal(&e))
}

/// Options of `liar-executor`.
#[derive(Debug, Args)]
pub struct LiarArgs {
    /// The contract.
    #[arg(value_parser = super::contract)]
    contract: ContractId,
    /// The configuration of the member's node, which does not run.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The end of the key whose newest value is changed.
    #[arg(long, default_value = "supply")]
    key: String,
}

impl LiarArgs {
    /// From the false value on the member computes other roots, and votes for them.
    pub(super) fn run(&self) -> Result<Outcome, NodeError> {
        let kv = open(&self.config)?;
        // Stores escape zeros in keys.
        let escape = |byte: &u8| if *byte == 0 { vec![0, 0xff] } else { vec![*byte] };
        let id: Vec<u8> = self.contract.0.iter().flat_map(escape).collect();
        let mut batch = WriteBatch::new();
        let all = kv
            .prefix(Column::Latest, b"private/", None, MAX_ENTRIES)
            .map_err(|e| NodeError::internal(&e))?;
        for (key, mut value) in all {
            let is_of_contract = key.windows(id.len()).any(|part| part == id);
            if is_of_contract && key.ends_with(self.key.as_bytes()) {
                if let Some(last) = value.last_mut() {
                    *last ^= 1;
                }
                batch.put(Column::Latest, key, value);
            }
        }
        if batch.is_empty() {
            return Err(NodeError::usage("--key", "the contract has no such entry here"));
        }
        let changed = batch.len();
        write(&kv, batch)?;
        Ok(Outcome::Prepared(format!(
            "{changed} entries are changed. Start the member: what it votes for, and its root after the next \
             batch, show what came of it"
        )))
    }
}

/// Options of `rollback-seal`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The chaincode's id.
    chaincode: RuntimeId,
    /// The configuration of the endorser's node, which does not run.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where the sealed identity is kept.
    #[arg(long, value_name = "FILE", conflicts_with = "restore")]
    keep: Option<PathBuf>,
    /// A kept one, which takes the place of the present one.
    #[arg(long, value_name = "FILE", required_unless_present = "keep")]
    restore: Option<PathBuf>,
}

impl RollbackArgs {
    pub(super) fn run(&self) -> Result<Outcome, NodeError> {
        let kv = open(&self.config)?;
        let key = [b"endorser/identity/".as_slice(), self.chaincode.as_bytes()].concat();
        if let Some(file) = &self.keep {
            let sealed = kv.get(Column::Meta, &key).map_err(|e| NodeError::internal(&e))?;
            let sealed = sealed
                .ok_or_else(|| NodeError::usage("--config", "the endorser has no identity yet"))?;
            std::fs::write(file, sealed)
                .map_err(|e| NodeError::io(file.display().to_string(), &e))?;
            return Ok(Outcome::Prepared("the identity is kept".to_string()));
        }
        let file = self.restore.as_deref().unwrap_or_else(|| Path::new(""));
        let mut batch = WriteBatch::new();
        batch.put(Column::Meta, key, read(file)?);
        write(&kv, batch)?;
        Ok(Outcome::Prepared(
            "the old identity is in place. Start the endorser: whether it serves with it shows what came of it"
                .to_string(),
        ))
    }
}
