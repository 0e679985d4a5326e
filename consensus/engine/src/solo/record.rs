//! What a solo chain keeps on the disk, and under which keys.
//!
//! * `solo/block/<height>` (column `Blocks`): header, commit, validator sets, transactions.
//! * `solo/result/<height>` (column `Blocks`): what executing the block gave.
//! * `solo/signed` (column `Meta`): the newest height that was signed, and the header's hash.

use paralith_consensus_light::LightBlock;
use paralith_storage::{Column, Durability, Kv, WriteBatch};
use paralith_types::{Hash, Height, PublicKey};
use prost::Message;

use crate::EngineError;

/// A block as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockRecord {
    pub(crate) light: LightBlock,
    pub(crate) txs: Vec<Vec<u8>>,
}

/// What a block gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultRecord {
    /// The root of the state after it.
    pub(crate) app_hash: Hash,
    /// The deterministic part of each transaction's result.
    pub(crate) results: Vec<Vec<u8>>,
    /// Who signs two heights later, by key.
    pub(crate) validators: Vec<(PublicKey, u64)>,
}

#[derive(Clone, PartialEq, Message)]
struct BlockPb {
    #[prost(bytes = "vec", tag = "1")]
    light: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    txs: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ResultPb {
    #[prost(bytes = "vec", tag = "1")]
    app_hash: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    results: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "3")]
    validators: Vec<ValidatorPb>,
}

#[derive(Clone, PartialEq, Message)]
struct ValidatorPb {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(uint64, tag = "2")]
    power: u64,
}

impl BlockRecord {
    /// Writes the block and the fact of having signed it, or neither.
    pub(crate) fn write(&self, kv: &Kv) -> Result<(), EngineError> {
        let height = self.light.height();
        let record = BlockPb { light: self.light.encode(), txs: self.txs.clone() };
        let mut batch = WriteBatch::new();
        batch.put(Column::Blocks, key(BLOCK, height), record.encode_to_vec());
        let signed = [&height.0.to_be_bytes()[..], self.light.header_hash().as_bytes()].concat();
        batch.put(Column::Meta, SIGNED, signed);
        Ok(kv.write(batch, Durability::Synced)?)
    }

    pub(crate) fn read(kv: &Kv, height: Height) -> Result<Option<Self>, EngineError> {
        let Some(bytes) = kv.get(Column::Blocks, &key(BLOCK, height))? else { return Ok(None) };
        let damaged =
            |what: String| EngineError::Corrupt { what: format!("block {height}: {what}") };
        let record = BlockPb::decode(bytes.as_slice()).map_err(|e| damaged(e.to_string()))?;
        let light = LightBlock::decode(&record.light).map_err(|e| damaged(e.to_string()))?;
        if light.height() != height {
            return Err(damaged(format!("it holds block {}", light.height())));
        }
        Ok(Some(Self { light, txs: record.txs }))
    }
}

impl ResultRecord {
    pub(crate) fn write(&self, kv: &Kv, height: Height) -> Result<(), EngineError> {
        let validators = self.validators.iter();
        let record = ResultPb {
            app_hash: self.app_hash.as_bytes().to_vec(),
            results: self.results.clone(),
            validators: validators
                .map(|(key, power)| ValidatorPb { key: key.as_bytes().to_vec(), power: *power })
                .collect(),
        };
        let mut batch = WriteBatch::new();
        batch.put(Column::Blocks, key(RESULT, height), record.encode_to_vec());
        Ok(kv.write(batch, Durability::Synced)?)
    }

    pub(crate) fn read(kv: &Kv, height: Height) -> Result<Option<Self>, EngineError> {
        let Some(bytes) = kv.get(Column::Blocks, &key(RESULT, height))? else { return Ok(None) };
        let damaged =
            |what: String| EngineError::Corrupt { what: format!("result {height}: {what}") };
        let record = ResultPb::decode(bytes.as_slice()).map_err(|e| damaged(e.to_string()))?;
        let app_hash = Hash::try_from(record.app_hash.as_slice());
        let validators: Result<Vec<_>, _> = record
            .validators
            .iter()
            .map(|v| PublicKey::try_from(v.key.as_slice()).map(|key| (key, v.power)))
            .collect();
        Ok(Some(Self {
            app_hash: app_hash.map_err(|e| damaged(e.to_string()))?,
            results: record.results,
            validators: validators.map_err(|e| damaged(e.to_string()))?,
        }))
    }
}

/// The newest stored block's height.
pub(crate) fn newest(kv: &Kv) -> Result<Option<Height>, EngineError> {
    let Some((found, _)) = kv.last(Column::Blocks, BLOCK, &key(BLOCK, Height(u64::MAX)))? else {
        return Ok(None);
    };
    let height = found.get(BLOCK.len()..).and_then(|rest| rest.try_into().ok());
    let height = height.map(u64::from_be_bytes).map(Height);
    height.map(Some).ok_or_else(|| EngineError::Corrupt { what: "a block's key".to_string() })
}

/// The newest height that was signed.
pub(crate) fn signed(kv: &Kv) -> Result<Option<Height>, EngineError> {
    let Some(bytes) = kv.get(Column::Meta, SIGNED)? else { return Ok(None) };
    match bytes.first_chunk::<8>() {
        Some(height) if bytes.len() == 40 => Ok(Some(Height(u64::from_be_bytes(*height)))),
        _ => Err(EngineError::Corrupt { what: "the signing state".to_string() }),
    }
}

fn key(prefix: &[u8], height: Height) -> Vec<u8> {
    [prefix, &height.0.to_be_bytes()].concat()
}

const BLOCK: &[u8] = b"solo/block/";
const RESULT: &[u8] = b"solo/result/";
const SIGNED: &[u8] = b"solo/signed";
