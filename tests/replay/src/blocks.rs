//! Recorded blocks on the application itself.

use paralith_consensus_app::{App, BlockInput, BlockOutput, Misbehaviour, TxOutcome};
use paralith_genesis::Document;
use paralith_storage::{Kv, WriteBatch};

use crate::Block;

/// The block as an engine hands it over.
pub fn input(block: &Block) -> BlockInput {
    let offence = |(validator, height): &(crate::Raw, _)| Misbehaviour {
        validator: validator.0.as_slice().try_into().unwrap(),
        height: *height,
    };
    BlockInput {
        height: block.height,
        time_seconds: block.time_seconds,
        proposer: block.proposer.0.as_slice().try_into().unwrap(),
        txs: block.txs.iter().map(|raw| raw.0.clone()).collect(),
        misbehaviour: block.misbehaviour.iter().map(offence).collect(),
    }
}

/// What became of a transaction, as it is recorded.
pub fn outcome(module: &str, code: u32, gas_used: u64) -> String {
    format!("{module}/{code}/{gas_used}")
}

/// [`outcome`] of each.
pub fn outcomes(txs: &[TxOutcome]) -> Vec<String> {
    txs.iter().map(outcome_of).collect()
}

pub(crate) fn outcome_of(tx: &TxOutcome) -> String {
    outcome(&tx.module, tx.code, tx.gas_used)
}

/// An application that knows its genesis.
pub fn first(kv: &Kv, document: &Document) -> App {
    let mut app = App::open(kv.clone()).unwrap();
    app.init_chain(&document.genesis, document.hash().unwrap()).unwrap();
    app
}

/// Executes and commits a block.
pub fn play(app: &mut App, block: &BlockInput) -> BlockOutput {
    let output = app.finalize_block(block.clone()).unwrap();
    let info = app.commit(WriteBatch::new()).unwrap();
    assert_eq!((info.height, info.app_hash), (block.height, output.app_hash));
    output
}

/// Plays the blocks, and opens the application anew on its store after every `restart_every`
/// blocks; 0 never does. What a block gives must be what is recorded.
pub fn replay(document: &Document, blocks: &[Block], restart_every: usize) {
    let kv = Kv::memory();
    let mut app = first(&kv, document);
    for (done, block) in (1_usize..).zip(blocks) {
        let output = play(&mut app, &input(block));
        assert_eq!(outcomes(&output.txs), block.outcomes, "block {}", block.height);
        assert_eq!(output.app_hash, block.app_hash, "block {}", block.height);
        if restart_every != 0 && done.is_multiple_of(restart_every) {
            drop(app);
            app = App::open(kv.clone()).unwrap();
            assert_eq!(app.info().app_hash, block.app_hash);
        }
    }
    assert_eq!(app.info().height, blocks.last().unwrap().height);
}
