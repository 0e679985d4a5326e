//! Recorded blocks on the application, and made again by the solo engine.

use paralith_storage::Kv;
use replay::{Recording, SoloChain, blocks};

/// Blocks, or batches, after which everything is opened anew.
const RESTART_EVERY: usize = 7;

#[test]
fn the_application_gives_every_recorded_app_hash() {
    let recording = Recording::load();
    blocks::replay(&recording.document, &recording.blocks, 0);
}

#[test]
fn restarts_of_the_application_every_7_blocks_change_no_app_hash() {
    let recording = Recording::load();
    for every in [RESTART_EVERY, 1] {
        blocks::replay(&recording.document, &recording.blocks, every);
    }
}

#[test]
fn the_solo_engine_makes_the_recorded_blocks() {
    let recording = Recording::load();
    let blocks = &recording.blocks[..recording.solo_blocks];
    for every in [0, RESTART_EVERY] {
        SoloChain::new(&recording.document).replay(blocks, every);
    }
}

#[test]
fn eight_threads_at_once_give_every_recorded_app_hash() {
    let recording = Recording::load();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let recording = &recording;
            scope.spawn(move || blocks::replay(&recording.document, &recording.blocks, thread));
        }
    });
}

/// So the comparisons above can fail.
#[test]
fn a_block_without_one_of_its_transactions_gives_another_app_hash() {
    let recording = Recording::load();
    let mut app = blocks::first(&Kv::memory(), &recording.document);
    let mut compared = 0;
    for block in &recording.blocks[..recording.solo_blocks] {
        let whole = blocks::input(block);
        if !whole.txs.is_empty() {
            let mut less = whole.clone();
            less.txs.remove(0);
            assert_ne!(app.finalize_block(less).unwrap().app_hash, block.app_hash);
            compared += 1;
        }
        assert_eq!(blocks::play(&mut app, &whole).app_hash, block.app_hash);
    }
    assert!(compared > 50, "{compared}");
}
