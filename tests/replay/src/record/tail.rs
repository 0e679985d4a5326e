//! Blocks that no solo validator makes: misbehaviour, and transactions that no pool admits.

use paralith_consensus_app::{BlockInput, Misbehaviour, query};
use paralith_genesis::Document;
use paralith_storage::Kv;
use paralith_types::Height;

use crate::keys::{VALIDATOR, consensus_key};
use crate::{Block, Raw, blocks};

/// Appends them, up to the second block of the next epoch.
pub(super) fn append(document: &Document, recorded: &mut Vec<Block>) {
    let kv = Kv::memory();
    let mut app = blocks::first(&kv, document);
    for block in recorded.iter() {
        blocks::play(&mut app, &blocks::input(block));
    }
    let end = query::epoch(app.latest()).unwrap().next_height.next();
    let first = app.info().height.next();
    while app.info().height < end {
        let last = recorded.last().unwrap();
        let height = app.info().height.next();
        let input = BlockInput {
            height,
            time_seconds: last.time_seconds + 1,
            proposer: last.proposer.0.as_slice().try_into().unwrap(),
            txs: if height == first { refused(recorded) } else { Vec::new() },
            misbehaviour: if height == first { offence(height) } else { Vec::new() },
        };
        let output = blocks::play(&mut app, &input);
        recorded.push(Block {
            height,
            time_seconds: input.time_seconds,
            proposer: Raw(input.proposer.to_vec()),
            txs: input.txs.into_iter().map(Raw).collect(),
            misbehaviour: input
                .misbehaviour
                .into_iter()
                .map(|one| (Raw(one.validator.to_vec()), one.height))
                .collect(),
            outcomes: blocks::outcomes(&output.txs),
            app_hash: output.app_hash,
        });
    }
}

fn offence(now: Height) -> Vec<Misbehaviour> {
    let key = consensus_key(VALIDATOR).public();
    let validator = paralith_consensus_app::registry::comet_address(&key);
    vec![Misbehaviour { validator, height: now.minus(3) }]
}

/// Noise, a transaction that was there before, and one with a bit of its signature flipped.
fn refused(recorded: &[Block]) -> Vec<Vec<u8>> {
    let old = recorded.iter().find_map(|block| block.txs.first()).unwrap().0.clone();
    let mut forged = recorded.iter().rev().find_map(|block| block.txs.last()).unwrap().0.clone();
    *forged.last_mut().unwrap() ^= 1;
    vec![vec![0xff; 40], old, forged]
}
