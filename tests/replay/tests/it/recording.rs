//! The recording itself.

use std::collections::BTreeSet;

use replay::Recording;

/// The recorder, which has the whole network live, gives what is committed. So it gives the same in
/// every run and in every profile.
#[test]
fn the_recorder_gives_the_committed_recording_again() {
    let (recorded, committed) = (replay::record::record(), Recording::load());
    // Piece by piece, so that a failure says where.
    assert_eq!(recorded.document, committed.document);
    for (got, wanted) in recorded.blocks.iter().zip(&committed.blocks) {
        assert_eq!(got, wanted);
    }
    assert_eq!(recorded.paratimes, committed.paratimes);
    assert!(recorded == committed);
    let folder = tempfile::tempdir().unwrap();
    recorded.write(folder.path());
    assert!(Recording::read(folder.path()) == committed);
}

#[test]
fn the_recording_is_worth_playing() {
    let recording = Recording::load();
    assert!(recording.blocks.len() >= 60, "{}", recording.blocks.len());
    let methods = |name: &str| {
        let raw = recording.blocks.iter().flat_map(|block| &block.txs);
        raw.filter(|raw| raw.0.windows(name.len()).any(|one| one == name.as_bytes())).count()
    };
    for method in [
        "staking.Transfer",
        "staking.AddEscrow",
        "staking.ReclaimEscrow",
        "registry.RegisterNode",
        "registry.ProveFreshness",
        "keymanager.PublishMasterSecret",
        "keymanager.PublishEpochSecret",
        "roothash.Evidence",
        "roothash.ExecutorCommit",
        "roothash.SubmitMessage",
    ] {
        assert!(methods(method) > 0, "no {method}");
    }
    let outcomes: BTreeSet<&str> = recording
        .blocks
        .iter()
        .flat_map(|block| &block.outcomes)
        .filter_map(|outcome| outcome.rsplit_once('/').map(|(identity, _)| identity))
        .collect();
    assert!(outcomes.len() > 3, "{outcomes:?}");
    assert!(recording.blocks.iter().any(|block| !block.misbehaviour.is_empty()));
    let empty = paralith_consensus_api::roothash::empty_hash();
    let tokens = &recording.paratimes[0].batches;
    assert!(tokens.iter().any(|batch| batch.messages_hash != empty), "a withdrawal");
    assert!(tokens.iter().any(|batch| batch.in_messages_hash != empty), "a deposit");
}
