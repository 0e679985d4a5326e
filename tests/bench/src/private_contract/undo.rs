//! What the end of a batch costs a member: a NO, which removes what was prepared, beside a YES, which applies it.

use anyhow::{Context as _, Result};
use paralith_private_contract_core::member::{Prepared, Tip};
use paralith_private_contract_messages::{Actions, ContractId, Verdict};
use paralith_private_contract_stakeholder::{BatchLog, ContractStore, Write};
use paralith_storage::{Changes, Kv, KvOptions};
use paralith_types::Hash;
use serde_json::json;

use crate::report::{Samples, rounded, tell};

const KEYS: u32 = 10_000;
const BATCHES: u64 = 10;

/// A batch that writes so many keys, and the root that it leads to.
fn batch(store: &ContractStore, number: u64) -> Result<(Prepared, BatchLog, Hash)> {
    let write = |key: u32| Write {
        key: key.to_be_bytes().to_vec(),
        held: Some([[number as u8; 32].as_slice(), &[7; 32]].concat()),
    };
    let log = BatchLog {
        batch: number,
        writes: (0..KEYS).map(write).collect(),
        calls: Vec::new(),
        lines: Vec::new(),
    };
    let (_, old_root) = store.tree().latest()?.context("a tree")?;
    let new_root = store.root_after(number, &log.changes())?;
    let actions = Actions { actions: Vec::new() };
    let verdict = Verdict {
        new_root,
        results_root: Hash([1; 32]),
        classes: vec![0],
        taken: true,
        actions_hash: Hash([2; 32]),
    };
    Ok((Prepared { batch: number, old_root, verdict, actions }, log, new_root))
}

pub(super) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kv = Kv::open(folder.path(), KvOptions { compression: true })?;
    let store = ContractStore::new(kv, &ContractId([3; 32]));
    store.begin(&Changes::new())?;
    let (mut no, mut yes) = (Samples::default(), Samples::default());
    for number in 1..=BATCHES {
        // The same batch fails, and succeeds when it is made again.
        let (prepared, log, _) = batch(&store, 2 * number - 1)?;
        store.store(&prepared, &log, None)?;
        no.time(|| store.drop_batch(prepared.batch))?;
        let (prepared, log, root) = batch(&store, 2 * number)?;
        store.store(&prepared, &log, None)?;
        yes.time(|| store.commit(Tip { batch: prepared.batch, root }))?;
    }
    let ratio = yes.median() / no.median();
    tell(
        "private_contract",
        &format!(
            "a NO that undoes {KEYS} keys takes {:.2} ms, 1/{ratio:.0} of its YES ({:.1} ms)",
            no.median() * 1e3,
            yes.median() * 1e3
        ),
        json!({
            "keys": KEYS, "NO ms": rounded(no.median() * 1e3), "YES ms": rounded(yes.median() * 1e3),
            "YES / NO": rounded(ratio),
        }),
    );
    Ok(())
}
