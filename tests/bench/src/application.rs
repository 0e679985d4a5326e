//! Signed transfers through the consensus application alone, on RocksDB with a synced log.
//!
//! Blocks alternate between two kinds. Of the one, every transaction was admitted before, so its
//! signature is known; the other's the application sees for the first time and verifies in one
//! batch, as a node that is catching up does. The difference is the batch. The root is measured
//! beside it, on the same store, for changes of the same size.

use anyhow::{Context as _, Result, ensure};
use paralith_consensus_api::address;
use paralith_consensus_api::staking::{self, Transfer};
use paralith_consensus_api::tx::{Body, Fee, SignedTransaction, Transaction};
use paralith_consensus_app::{App, BlockInput};
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_storage::{Changes, Kv, KvOptions, Tree, WriteBatch};
use paralith_types::{Amount, ChainContext, Hash, PublicKey};
use serde_json::json;

use crate::report::{Samples, rounded, tell};

const ACCOUNTS: u32 = 100_000;
const BLOCK_TXS: u32 = 1_000;
/// Of each kind; one more of each warms up.
const BLOCKS: u32 = 6;
const GENESIS_SECONDS: u64 = 1_770_000_000;
const KEY: Domain = Domain::new("paralith/bench-key/v1");

#[derive(Default)]
struct Measured {
    admission: Samples,
    decoding: Samples,
    known: Samples,
    unknown: Samples,
    root: Samples,
    commit: Samples,
}

pub(crate) fn run() -> Result<()> {
    let document = document()?;
    let chain = document.hash()?;
    let folder = tempfile::tempdir()?;
    let kv = Kv::open(folder.path(), KvOptions::default())?;
    let mut app = App::open(kv.clone())?;
    app.init_chain(&document.genesis, chain)?;
    drop(document);
    // Writes genesis.
    block(&mut app, Vec::new())?;
    app.commit(WriteBatch::new())?;

    let tree = Tree::new(kv, b"consensus");
    let (mut warm_up, mut measured) = (Measured::default(), Measured::default());
    for number in 0..2 * (BLOCKS + 1) {
        let into = if number < 2 { &mut warm_up } else { &mut measured };
        one(&mut app, &tree, &chain, number, into)?;
    }
    report(&measured);
    Ok(())
}

/// Signs, admits, executes and commits one block.
fn one(
    app: &mut App,
    tree: &Tree,
    chain: &ChainContext,
    number: u32,
    into: &mut Measured,
) -> Result<()> {
    let txs: Vec<Vec<u8>> = (0..BLOCK_TXS).map(|i| transfer(chain, number, i)).collect();
    into.decoding.time(|| txs.iter().try_for_each(|raw| decode(raw, chain)))?;
    let height = app.info().height.0;
    let changes = changes(number);
    into.root.time(|| tree.prepare(Some(height), height.saturating_add(1), &changes))?;
    let admitted = number.is_multiple_of(2);
    if admitted {
        let refused = into.admission.time(|| txs.iter().find(|raw| app.check_tx(raw).code != 0));
        ensure!(refused.is_none(), "a transfer was not admitted");
    }
    let finalise = if admitted { &mut into.known } else { &mut into.unknown };
    finalise.time(|| block(app, txs))?;
    into.commit.time(|| app.commit(WriteBatch::new()))?;
    Ok(())
}

fn block(app: &mut App, txs: Vec<Vec<u8>>) -> Result<()> {
    let height = app.info().height.next();
    let time_seconds = GENESIS_SECONDS.saturating_add(height.0);
    let input = BlockInput { height, time_seconds, proposer: [0; 20], txs, misbehaviour: vec![] };
    let output = app.finalize_block(input)?;
    let failed = output.txs.iter().find(|tx| tx.code != 0);
    ensure!(failed.is_none(), "a transfer failed: {failed:?}");
    Ok(())
}

fn decode(raw: &[u8], chain: &ChainContext) -> Result<()> {
    let tx = SignedTransaction::decode(raw, raw.len())?.read(chain)?;
    Body::decode(&tx.method, &tx.body)?;
    Ok(())
}

/// A key that no other number has.
fn key(number: u32) -> SigningKey {
    SigningKey::from_seed(hash(KEY, &[&number.to_be_bytes()]).0)
}

/// Accounts that only receive need no private key.
fn receiver(number: u32) -> PublicKey {
    PublicKey(hash(KEY, &[b"receiver", &number.to_be_bytes()]).0)
}

/// Each sender sends once, to an account anywhere in the tree.
fn parties(block: u32, index: u32) -> (u32, u32) {
    let sender = block.wrapping_mul(BLOCK_TXS).wrapping_add(index);
    (sender, sender.wrapping_mul(7919) % (ACCOUNTS - senders()))
}

const fn senders() -> u32 {
    2 * (BLOCKS + 1) * BLOCK_TXS
}

fn transfer(chain: &ChainContext, block: u32, index: u32) -> Vec<u8> {
    let (from, to) = parties(block, index);
    let body = Transfer { to: address::of_key(&receiver(to)), amount: Amount(1) };
    let fee = Fee { amount: Amount(10), gas_limit: 100_000 };
    Transaction::new(*chain, 0, fee, &body.into()).sign(&key(from)).encode()
}

/// As many new values under the same keys as the block's transfers write.
fn changes(block: u32) -> Changes {
    let parties = (0..BLOCK_TXS).map(|index| parties(block, index));
    let touched = parties.flat_map(|(from, to)| [key(from).public(), receiver(to)]);
    let account = staking::Account { balance: Amount(999_999), ..staking::Account::default() };
    touched
        .map(|owner| (staking::keys::account(&address::of_key(&owner)), Some(account.encode())))
        .collect()
}

fn document() -> Result<Document> {
    let mut params = development_params(Hash([3; 32]));
    // No epoch ends while we measure.
    params.beacon.epoch_blocks = 1_000;
    let time = GenesisTime::from_seconds(GENESIS_SECONDS).context("the time of genesis")?;
    let entity = key(u32::MAX).public();
    let keys = NodeKeys { node: key(u32::MAX - 1).public(), consensus: key(u32::MAX - 2) };
    let mut builder = Builder::new("bench", time, params)
        .entity(entity, Amount(1_000_000))
        .validator(entity, &keys, &[]);
    for number in 0..senders() {
        builder = builder.fund(&key(number).public(), Amount(1_000_000));
    }
    for number in 0..ACCOUNTS - senders() {
        builder = builder.fund(&receiver(number), Amount(1_000_000));
    }
    Ok(builder.build()?)
}

fn report(measured: &Measured) {
    let block = f64::from(BLOCK_TXS);
    let micros = |samples: &Samples| samples.median() * 1e6 / block;
    let (admission, decoding) = (micros(&measured.admission), micros(&measured.decoding));
    let (known, unknown) = (micros(&measured.known), micros(&measured.unknown));
    let (root, commit) = (micros(&measured.root), micros(&measured.commit));
    let batch = unknown - known;
    let execution = known - decoding - root;
    let rate = |micros: f64| (1e6 / micros).round();
    let (verified, replayed) = (rate(known + commit), rate(unknown + commit));
    let whole = rate(admission + known + commit);
    tell(
        "application",
        &format!(
            "{whole} transfers/s with admission, {verified} in blocks whose signatures are known, \
             {replayed} in blocks seen first; of {:.1} us: decoding {decoding:.1}, batch \
             verification {batch:.1}, execution {execution:.1}, root {root:.1}, durable commit \
             {commit:.1}",
            unknown + commit
        ),
        json!({
            "accounts": ACCOUNTS, "block transfers": BLOCK_TXS, "blocks": 2 * BLOCKS,
            "transfers/s": {
                "admitted and executed": whole, "signatures known": verified, "seen first": replayed,
            },
            "us a transfer": {
                "admission": rounded(admission), "decoding": rounded(decoding),
                "batch verification": rounded(batch), "execution": rounded(execution),
                "root": rounded(root), "durable commit": rounded(commit),
            },
            "admission / batch verification": rounded(admission / batch),
        }),
    );
}
