//! Heights, hashes, crashes, events.

use paralith_consensus_api::consensus;
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::staking::{AddEscrow, ReclaimEscrow, Transfer};
use paralith_consensus_app::{App, query};
use paralith_crypto::merkle::merkle_proof;
use paralith_crypto::sha256;
use paralith_proto::Canonical;
use paralith_storage::{Column, Kv, Proof, WriteBatch};
use paralith_types::{Amount, Hash, Height};

use crate::support::*;

fn transfer(amount: u128) -> Transfer {
    Transfer { to: account(BOB), amount: Amount(amount) }
}

#[test]
fn init_chain_writes_nothing_and_may_be_repeated() {
    let document = builder().build().unwrap();
    let chain = document.hash().unwrap();
    let kv = Kv::memory();
    let mut app = App::open(kv.clone()).unwrap();
    let first = app.init_chain(&document.genesis, chain).unwrap();
    assert_eq!(app.init_chain(&document.genesis, chain).unwrap(), first);
    for column in Column::ALL {
        assert!(kv.range(column, b"", None, 1).unwrap().is_empty());
    }
    let mut again = App::open(kv).unwrap();
    assert_eq!(again.info().height, Height(0));
    assert_eq!(again.init_chain(&document.genesis, chain).unwrap(), first);

    let mut net = Net::new();
    net.block(vec![]);
    assert_eq!(net.app.init_chain(&document.genesis, chain).unwrap_err().code(), 7);
}

#[test]
fn a_crash_before_the_commit_leaves_the_height_before() {
    let mut net = Net::new();
    net.block(vec![]);
    let before = net.app.info();
    let tx = net.tx(ALICE, transfer(7));
    let block = net.input(vec![tx]);
    let output = net.app.finalize_block(block.clone()).unwrap();
    assert_ne!(output.app_hash, before.app_hash);
    net.reopen();
    assert_eq!(net.app.info(), before);
    assert_eq!(net.app.commit(WriteBatch::new()).unwrap_err().code(), 2);
    assert_eq!(net.balance(BOB), 1_000_000);

    assert_eq!(net.app.finalize_block(block.clone()).unwrap(), output, "replayed");
    assert_eq!(net.app.finalize_block(block).unwrap(), output, "and again");
    let mut extra = WriteBatch::new();
    extra.put(Column::Meta, b"engine", b"state");
    let info = net.app.commit(extra).unwrap();
    net.reopen();
    assert_eq!(net.app.info(), info);
    assert_eq!(net.kv.get(Column::Meta, b"engine").unwrap().as_deref(), Some(&b"state"[..]));
    assert_eq!(net.balance(BOB), 1_000_007);
}

#[test]
fn blocks_come_in_order() {
    let mut net = Net::new();
    net.block(vec![]);
    for height in [0, 1, 3] {
        let mut block = net.input(vec![]);
        block.height = Height(height);
        assert_eq!(net.app.finalize_block(block).unwrap_err().code(), 6);
    }
}

#[test]
fn an_empty_block_keeps_the_app_hash_unless_an_epoch_begins() {
    let mut net = Net::new();
    net.block(vec![]);
    let mut hashes = vec![net.app.info().app_hash];
    for _ in 2..=12 {
        let output = net.block(vec![]);
        assert_eq!(output.events.is_empty(), output.app_hash == *hashes.last().unwrap());
        hashes.push(output.app_hash);
    }
    let changes: Vec<usize> =
        (1..hashes.len()).filter(|n| hashes[*n] != hashes[n - 1]).map(|n| n + 1).collect();
    assert_eq!(changes, [6, 11]);
}

#[test]
fn the_genesis_root_is_that_of_an_empty_first_block() {
    let document = builder().build().unwrap();
    let mut app = App::open(Kv::memory()).unwrap();
    let (_, root) = app.init_chain(&document.genesis, document.hash().unwrap()).unwrap();
    let mut net = Net::new();
    assert_eq!(net.block(vec![]).app_hash, root);
}

#[test]
fn every_event_is_proven_from_the_app_hash() {
    let mut net = Net::new();
    net.block(vec![]);
    let txs = vec![net.tx(ALICE, transfer(7)), net.tx(BOB, transfer(2_000_000))];
    let output = net.block(txs);
    let height = net.app.info().height;
    let in_block: Vec<_> =
        output.txs.iter().flat_map(|tx| tx.events.clone()).chain(output.events.clone()).collect();
    net.block(vec![]);
    net.reopen();

    let key = consensus::keys::events_root();
    let proven = net.app.query(Some(height), &key).unwrap();
    let proof = Proof::from_bytes(&proven.proof).unwrap();
    proof.verify(&output.app_hash, &key, proven.value.as_deref()).unwrap();
    let root = consensus::EventsRoot::decode(&proven.value.unwrap(), 1000).unwrap();
    assert_eq!(root.height, height);

    let events = net.app.event_block(height).unwrap().unwrap();
    assert_eq!(events, in_block);
    assert_eq!(root.count as usize, events.len());
    // The fees of both, one transfer, the payment of the fees.
    assert_eq!(events.len(), 4);
    let leaves: Vec<Vec<u8>> = events.iter().map(Canonical::encode).collect();
    for (index, event) in events.iter().enumerate() {
        let proof = merkle_proof(&leaves, index).unwrap();
        assert!(proof.verify(&root.root, &event.encode()));
        assert!(matches!(EventKind::from_event(event).unwrap(), EventKind::Transferred(_)));
    }
    assert_eq!(events[1].tx_index, Some(0));
    assert_eq!(events[2].tx_index, Some(1));
    assert_eq!(events[3].tx_index, None);
    assert_eq!(net.app.event_block(height.next()).unwrap(), Some(vec![]));
    assert_eq!(net.app.event_block(Height(99)).unwrap(), None);
}

#[test]
fn every_kept_height_can_be_read_and_absence_is_proven() {
    let mut net = Net::new();
    let mut heights = Vec::new();
    for _ in 0..4 {
        net.ok(ALICE, transfer(1));
        heights.push(net.app.info());
    }
    for (n, info) in (1..).zip(&heights) {
        let state = net.app.state(Some(info.height)).unwrap();
        assert_eq!(query::account(&state, &account(BOB)).unwrap().balance.0, 1_000_000 + n);
        let proven = net.app.query(Some(info.height), b"nothing").unwrap();
        assert_eq!(proven.value, None);
        let proof = Proof::from_bytes(&proven.proof).unwrap();
        proof.verify(&info.app_hash, b"nothing", None).unwrap();
    }
    let error = net.app.state(Some(Height(77))).unwrap_err();
    assert_eq!(error.to_string(), "there is no state of height 77: this node keeps 1 to 4");
}

/// Blocks that depend on nothing but the number.
fn random_block(net: &mut Net, number: u64) -> Vec<Vec<u8>> {
    let draw = |salt: u64| {
        let bytes = sha256(&[number.to_be_bytes(), salt.to_be_bytes()].concat());
        u64::from_be_bytes(*bytes.first_chunk().unwrap())
    };
    let people = [ALICE, BOB, ENTITIES[0], ENTITIES[1], ENTITIES[2]];
    let person = |salt| people[(draw(salt) % 5) as usize];
    (0..draw(0) % 5)
        .map(|n| {
            let (signer, other) = (person(10 * n + 1), account(person(10 * n + 2)));
            let amount = Amount(u128::from(draw(10 * n + 3) % 3000));
            match draw(10 * n + 4) % 4 {
                0 => net.tx(signer, AddEscrow { account: other, amount }),
                1 => net.tx(signer, ReclaimEscrow { account: other, shares: amount }),
                _ => net.tx(signer, Transfer { to: other, amount }),
            }
        })
        .collect()
}

#[test]
fn the_same_blocks_give_the_same_hashes_with_restarts_and_without() {
    let run = |reopen_every: u64, admit: bool| -> Vec<Hash> {
        let mut net = Net::new();
        (1..=300)
            .map(|number| {
                if number % reopen_every == 0 && number > 1 {
                    net.reopen();
                }
                let txs = random_block(&mut net, number);
                if admit {
                    txs.iter().for_each(|tx| drop(net.app.check_tx(tx)));
                }
                if number % 50 == 0 { net.nonce_free_slash(txs) } else { net.block(txs).app_hash }
            })
            .collect()
    };
    let hashes = run(u64::MAX, false);
    assert_eq!(hashes, run(7, false));
    assert_eq!(hashes, run(5, true));
}

impl Net {
    fn nonce_free_slash(&mut self, txs: Vec<Vec<u8>>) -> Hash {
        let validator = paralith_consensus_app::registry::comet_address(&public(ENTITIES[2] + 2));
        let mut block = self.input(txs);
        block.misbehaviour =
            vec![paralith_consensus_app::Misbehaviour { validator, height: block.height }];
        self.finalize(block).app_hash
    }
}

/// Changes of these hashes are changes of the chain: never by accident.
#[test]
fn the_hashes_of_a_known_chain_are_frozen() {
    let mut net = Net::new();
    let txs = vec![
        net.tx(ALICE, transfer(7)),
        net.tx(BOB, AddEscrow { account: account(ENTITIES[0]), amount: Amount(500) }),
    ];
    let first = net.block(txs).app_hash;
    let reclaim = ReclaimEscrow { account: account(ENTITIES[0]), shares: Amount(100) };
    let txs = vec![net.tx(BOB, reclaim)];
    let second = net.block(txs).app_hash;
    let third = net.slash(ENTITIES[1] + 2).app_hash;
    assert_eq!(net.document.chain_id().unwrap(), "test-7dc1d168802f7bd163cc124ba2ea43fc1809bf4c");
    let frozen = [
        "4f72fd83e8c6ecfc9ce03cbd2bc4d40ac8e3cd5fd6e8f7b340bdf97619efd43c",
        "9eb7d9a5f67409fc24635bf9fba06e59e6c991b0308899949aba6a83a8b71826",
        "63c5fe5f344a89555f3cf1d7f49ebfa034ccf6f6998a06443859013d03995745",
    ];
    assert_eq!([first, second, third].map(|hash| hash.to_string()), frozen);
}
