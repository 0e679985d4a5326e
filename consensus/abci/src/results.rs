//! What committed blocks gave, on the disk, for as long as their state is kept.
//!
//! * `app/results/<height>` (column `Blocks`): [`StoredResults`].
//! * `app/tx/<hash>` (column `Blocks`): the height and the place of a transaction, 8 and 4 bytes.
//!
//! Both are written in the batch of the block's commit, so a block that is committed has its results,
//! whatever crash comes, and a replayed block writes them. Events are the application's, beside its tree.

use paralith_consensus_api::event::Event;
use paralith_consensus_app::{App, TxOutcome};
use paralith_proto::{Canonical, pb, wire_struct};
use paralith_storage::{Column, Kv, StorageError, WriteBatch};
use paralith_types::{Hash, Height, Retry};

use crate::BlockEvent;

#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredResults {
    time_seconds: u64,
    app_hash: Hash,
    transactions: Vec<StoredResult>,
}

wire_struct!(
    StoredResults,
    pb::consensus::v1::StoredResults,
    { time_seconds, app_hash, transactions },
    {}
);

#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredResult {
    hash: Hash,
    module: String,
    code: u32,
    message: String,
    gas_used: u64,
    gas_limit: u64,
    events: u32,
}

wire_struct!(
    StoredResult,
    pb::consensus::v1::StoredResult,
    { hash, module, code, message, gas_used, gas_limit, events },
    {}
);

/// Adds a block's results to the batch of its commit.
pub(crate) fn put(batch: &mut WriteBatch, block: &BlockEvent) {
    let transactions = block.txs.iter().map(|(hash, outcome)| StoredResult {
        hash: *hash,
        module: outcome.module.clone(),
        code: outcome.code,
        message: outcome.message.clone(),
        gas_used: outcome.gas_used,
        gas_limit: outcome.gas_limit,
        events: u32::try_from(outcome.events.len()).unwrap_or(u32::MAX),
    });
    let stored = StoredResults {
        time_seconds: block.time_seconds,
        app_hash: block.app_hash,
        transactions: transactions.collect(),
    };
    batch.put(Column::Blocks, results_key(block.height), stored.encode());
    for (place, (hash, _)) in (0_u32..).zip(&block.txs) {
        let at = [&block.height.0.to_be_bytes()[..], &place.to_be_bytes()].concat();
        batch.put(Column::Blocks, tx_key(hash), at);
    }
}

/// Adds the removal of some blocks whose state is not kept any more: as many as keep up with pruning,
/// and not so many that a commit takes long.
pub(crate) fn forget(kv: &Kv, batch: &mut WriteBatch, oldest: Height) -> Result<(), StorageError> {
    let old = kv.range(Column::Blocks, RESULTS, Some(&results_key(oldest)), FORGOTTEN_AT_ONCE)?;
    for (key, bytes) in old {
        let height = height_in(&key)?;
        for result in decode(&bytes)?.transactions {
            batch.delete(Column::Blocks, tx_key(&result.hash));
        }
        App::forget_events(batch, height);
        batch.delete(Column::Blocks, key);
    }
    Ok(())
}

/// The results of a block, given all of its events; none if they are not stored.
pub(crate) fn read(
    kv: &Kv,
    height: Height,
    events: Vec<Event>,
) -> Result<Option<BlockEvent>, StorageError> {
    let Some(bytes) = kv.get(Column::Blocks, &results_key(height))? else { return Ok(None) };
    let StoredResults { time_seconds, app_hash, transactions } = decode(&bytes)?;
    let mut events = events.into_iter();
    let mut txs = Vec::with_capacity(transactions.len());
    for stored in transactions {
        let count = usize::try_from(stored.events).unwrap_or(usize::MAX);
        let own: Vec<Event> = events.by_ref().take(count).collect();
        if own.len() != count {
            return Err(damaged());
        }
        let outcome = TxOutcome {
            module: stored.module,
            code: stored.code,
            message: stored.message,
            // The sender can do nothing about a transaction that is in a block.
            retry: Retry::Never,
            gas_used: stored.gas_used,
            gas_limit: stored.gas_limit,
            events: own,
        };
        txs.push((stored.hash, outcome));
    }
    Ok(Some(BlockEvent { height, time_seconds, app_hash, txs, events: events.collect() }))
}

/// The block of a transaction, and its place in it.
pub(crate) fn find(kv: &Kv, hash: &Hash) -> Result<Option<(Height, usize)>, StorageError> {
    let Some(bytes) = kv.get(Column::Blocks, &tx_key(hash))? else { return Ok(None) };
    let (height, place) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    let place: [u8; 4] = place.try_into().map_err(|_| damaged())?;
    let place = usize::try_from(u32::from_be_bytes(place)).map_err(|_| damaged())?;
    Ok(Some((Height(u64::from_be_bytes(*height)), place)))
}

/// The lowest height from `oldest` on whose results are stored.
pub(crate) fn first(kv: &Kv, oldest: Height) -> Result<Option<Height>, StorageError> {
    let end = results_key(Height(u64::MAX));
    let found = kv.range(Column::Blocks, &results_key(oldest), Some(&end), 1)?;
    found.first().map(|(key, _)| height_in(key)).transpose()
}

fn decode(bytes: &[u8]) -> Result<StoredResults, StorageError> {
    StoredResults::decode(bytes, paralith_storage::MAX_VALUE_BYTES).map_err(|_| damaged())
}

fn height_in(key: &[u8]) -> Result<Height, StorageError> {
    let height = key.get(RESULTS.len()..).and_then(|rest| rest.try_into().ok());
    height.map(u64::from_be_bytes).map(Height).ok_or_else(damaged)
}

fn damaged() -> StorageError {
    StorageError::Corrupt { what: "the results of a block".to_string() }
}

fn results_key(height: Height) -> Vec<u8> {
    [RESULTS, &height.0.to_be_bytes()].concat()
}

fn tx_key(hash: &Hash) -> Vec<u8> {
    [b"app/tx/".as_slice(), hash.as_bytes()].concat()
}

const RESULTS: &[u8] = b"app/results/";

/// Blocks whose results one commit removes.
const FORGOTTEN_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u8) -> Event {
        Event { kind: "test.Event".to_string(), body: vec![n], tx_index: None }
    }

    fn block(height: u64) -> BlockEvent {
        let refused = TxOutcome {
            module: "staking".to_string(),
            code: 7,
            message: "no".to_string(),
            gas_used: 5,
            gas_limit: 9,
            events: vec![event(3)],
            ..TxOutcome::default()
        };
        let done = TxOutcome { gas_used: 300, events: vec![event(1), event(2)], ..refused.clone() };
        let done = TxOutcome { module: String::new(), code: 0, message: String::new(), ..done };
        let hash = |n: u8| Hash([n + u8::try_from(height).unwrap(); 32]);
        BlockEvent {
            height: Height(height),
            time_seconds: 1000 + height,
            app_hash: Hash([9; 32]),
            txs: vec![(hash(100), done), (hash(150), refused)],
            events: vec![event(4)],
        }
    }

    fn all_events(block: &BlockEvent) -> Vec<Event> {
        let of_txs = block.txs.iter().flat_map(|(_, outcome)| outcome.events.clone());
        of_txs.chain(block.events.clone()).collect()
    }

    fn store(blocks: impl IntoIterator<Item = u64>) -> Kv {
        let kv = Kv::memory();
        for height in blocks {
            let mut batch = WriteBatch::new();
            put(&mut batch, &block(height));
            kv.write(batch, paralith_storage::Durability::Lazy).unwrap();
        }
        kv
    }

    #[test]
    fn what_is_stored_reads_back_with_each_event_in_its_place() {
        let kv = store([7]);
        let read = |events| read(&kv, Height(7), events);
        assert_eq!(read(all_events(&block(7))).unwrap(), Some(block(7)));
        assert!(matches!(read(vec![event(1)]), Err(StorageError::Corrupt { .. })));
        assert_eq!(find(&kv, &Hash([157; 32])).unwrap(), Some((Height(7), 1)));
        assert_eq!(find(&kv, &Hash([0; 32])).unwrap(), None);
    }

    #[test]
    fn the_stored_bytes_are_frozen() {
        let kv = store([7]);
        let dump = kv.range(Column::Blocks, b"", None, usize::MAX).unwrap();
        let dump: Vec<String> = dump
            .into_iter()
            .map(|(key, value)| format!("{} = {}", hex::encode(key), hex::encode(value)))
            .collect();
        assert_eq!(dump, STORED);
    }

    const STORED: [&str; 3] = [
        // app/results/, height = time, app hash, transactions
        "6170702f726573756c74732f0000000000000007 = 08ef07\
         12200909090909090909090909090909090909090909090909090909090909090909\
         1a290a206b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b\
         28ac0230093802\
         1a370a209d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d\
         12077374616b696e67180722026e6f280530093801",
        // app/tx/, hash = height, place
        "6170702f74782f6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b = \
         000000000000000700000000",
        "6170702f74782f9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d9d = \
         000000000000000700000001",
    ];

    #[test]
    fn a_commit_forgets_some_blocks_before_the_oldest_kept_and_never_a_kept_one() {
        let kv = store(1..=40);
        let mut rounds = 0;
        while first(&kv, Height(0)).unwrap() != Some(Height(38)) {
            let mut batch = WriteBatch::new();
            forget(&kv, &mut batch, Height(38)).unwrap();
            kv.write(batch, paralith_storage::Durability::Lazy).unwrap();
            rounds += 1;
            assert!(rounds < 10);
        }
        assert_eq!(rounds, 37_usize.div_ceil(FORGOTTEN_AT_ONCE));
        assert_eq!(find(&kv, &Hash([137; 32])).unwrap(), None);
        assert_eq!(find(&kv, &Hash([138; 32])).unwrap(), Some((Height(38), 0)));
        let mut batch = WriteBatch::new();
        forget(&kv, &mut batch, Height(38)).unwrap();
        assert!(batch.is_empty());
    }
}
