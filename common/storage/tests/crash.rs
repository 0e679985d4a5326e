//! Kills a process with SIGKILL while it writes, at many moments, and looks at what it leaves.
//!
//! The program starts itself again as the process that writes: `crash write KIND FOLDER`. After each
//! batch that process prints the batch's number. What is found after a kill must be the state after
//! one of the batches, and none of the synced ones that were acknowledged may be missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use paralith_storage::{Column, Durability, Kv, KvOptions, StoreKind, WriteBatch};

const KINDS: &[StoreKind] = &[
    #[cfg(feature = "redb")]
    StoreKind::Redb,
    #[cfg(feature = "rocksdb")]
    StoreKind::Rocksdb,
];

/// After how many acknowledged batches a process is killed; 0: as soon as it runs.
const KILLS: [usize; 20] = [0, 1, 0, 2, 3, 1, 7, 0, 13, 5, 1, 40, 2, 0, 90, 11, 4, 200, 6, 30];

/// Batches that are kept whole; older ones are removed by later batches.
const KEPT: u64 = 100;
const RING: u64 = 50;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, write, kind, folder] = args.as_slice()
        && write == "write"
    {
        let kind = KINDS.iter().find(|known| known.name() == kind).unwrap();
        return write_until_killed(*kind, Path::new(folder));
    }
    let kills = match args.as_slice() {
        [_, soak, kills] if soak == "soak" => kills.parse().unwrap(),
        _ => KILLS.len(),
    };
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let (mut synced, mut lost) = (0, 0);
        for kill_after in KILLS.into_iter().cycle().take(kills) {
            let acknowledged = run_and_kill(*kind, folder.path(), kill_after);
            synced = synced.max(acknowledged - acknowledged % 3);
            let count = check(*kind, folder.path());
            assert!(count >= synced, "{}: {count} of {synced} synced batches", kind.name());
            lost += u64::from(count < acknowledged);
        }
        assert!(synced >= 90, "{}: {synced}", kind.name());
        println!("{}: {synced} synced batches, lazy ones lost {lost} times", kind.name());
    }
    println!("test result: ok. {} passed; 0 failed; 0 ignored", KINDS.len());
}

/// Runs the process that writes and kills it; gives the last batch that it acknowledged.
fn run_and_kill(kind: StoreKind, folder: &Path, kill_after: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["write", kind.name()])
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "running");
    let mut last = 0;
    for _ in 0..kill_after {
        last = lines.next().unwrap().unwrap().trim_end_matches('.').parse().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it acknowledged before the signal came, too; the last line may be cut.
    for line in lines.map_while(Result::ok) {
        if let Some(number) = line.strip_suffix('.').and_then(|number| number.parse().ok()) {
            last = number;
        }
    }
    last
}

fn write_until_killed(kind: StoreKind, folder: &Path) {
    let mut out = std::io::stdout();
    writeln!(out, "running").unwrap();
    let kv = Kv::open_kind(kind, folder, KvOptions::default()).unwrap();
    let mut number = count(&kv);
    loop {
        number += 1;
        let durability =
            if number.is_multiple_of(3) { Durability::Synced } else { Durability::Lazy };
        kv.write(batch(number), durability).unwrap();
        writeln!(out, "{number}.").unwrap();
    }
}

fn batch(number: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(Column::Meta, *b"count", number.to_be_bytes());
    batch.put(Column::Blocks, number.to_be_bytes(), payload(number));
    batch.put(Column::Nodes, (number % RING).to_be_bytes(), payload(number));
    if let Some(old) = number.checked_sub(KEPT) {
        batch.delete(Column::Blocks, old.to_be_bytes());
    }
    batch
}

fn payload(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(usize::try_from(number % 17 * number % 29 * 200).unwrap() + 1)
}

fn count(kv: &Kv) -> u64 {
    let stored = kv.get(Column::Meta, b"count").unwrap();
    stored.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// Whether the state is the one after a batch; gives that batch.
fn check(kind: StoreKind, folder: &Path) -> u64 {
    let kv = Kv::open_kind(kind, folder, KvOptions::default()).unwrap();
    let count = count(&kv);
    let name = kind.name();
    let blocks = kv.range(Column::Blocks, b"", None, usize::MAX).unwrap();
    let first = (count + 1).saturating_sub(KEPT).max(1);
    let want: Vec<_> = (first..=count).map(|n| (n.to_be_bytes().to_vec(), payload(n))).collect();
    assert!(blocks == want, "{name}: blocks differ after batch {count}");
    for slot in 0..RING {
        let last = (0..=count).rev().take(50).find(|n| *n > 0 && n % RING == slot);
        let stored = kv.get(Column::Nodes, &slot.to_be_bytes()).unwrap();
        assert!(stored == last.map(payload), "{name}: slot {slot} differs after batch {count}");
    }
    count
}
