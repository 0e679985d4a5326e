//! Records the network anew, into the folder that is given, or in place of what is committed.
#![allow(clippy::unwrap_used, reason = "it is run by hand")]

fn main() {
    let folder = std::env::args().nth(1).map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(replay::folder);
    let recording = replay::record::record();
    recording.write(&folder);
    let batches: usize = recording.paratimes.iter().map(|one| one.batches.len()).sum();
    let calls: usize = recording.enclaves.iter().map(|one| one.steps.len()).sum();
    println!("{} blocks, {batches} batches, {calls} calls", recording.blocks.len());
}
