//! The same transactions through a real CometBFT and through the solo engine.
//!
//! CometBFT cannot be given blocks: it makes its own, with its own times. So what is compared does
//! not depend on where blocks begin. (Given blocks go through its socket in `abci`.)

use std::time::Duration;

use paralith_consensus_abci::Application;
use paralith_consensus_api::staking::{Account, AddEscrow, Delegation, Transfer};
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_app::query;
use paralith_consensus_engine::{
    CometEngine, CometOptions, Engine, SoloEngine, SoloOptions, find_binary, system_clock,
};
use paralith_genesis::Document;
use paralith_proto::Canonical;
use paralith_storage::Kv;
use paralith_types::Amount;
use replay::Recording;
use replay::keys::{ENTITY, USERS, VALIDATOR, account, consensus_key, key, validator};

/// More than any step takes, on any machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Transfers and stake, some of which fail.
fn transactions(document: &Document) -> Vec<Vec<u8>> {
    let (chain, [alice, bob, carol]) = (document.hash().unwrap(), USERS);
    let mut nonces = [0_u64; 3];
    let mut sign = |user: usize, body: Body| {
        let fee = Fee { amount: Amount(10), gas_limit: 100_000 };
        let tx = Transaction::new(chain, nonces[user], fee, &body).sign(&key(USERS[user]));
        nonces[user] += 1;
        tx.encode()
    };
    let pay = |to: u8, amount: u128| Transfer { to: account(to), amount: Amount(amount) }.into();
    let mut all = Vec::new();
    for number in 0..20_u128 {
        all.push(sign(0, pay(bob, 100 + number)));
        all.push(sign(1, pay(carol, 7 * number + 1)));
        all.push(sign(2, pay(alice, 1_000_000_000)));
        let (account, amount) = (account(ENTITY), Amount(160 + number));
        all.push(sign(1, AddEscrow { account, amount }.into()));
    }
    all
}

/// Everything that these transactions change for users, and how many of them failed.
#[derive(Debug, PartialEq, Eq)]
struct Result {
    failed: usize,
    accounts: Vec<Account>,
    delegations: Vec<Delegation>,
    /// Stake on the entity.
    stake: (Amount, Amount),
}

/// Hands everything in, waits until all of it is in blocks, and reads the state.
async fn run(engine: &dyn Engine, transactions: &[Vec<u8>]) -> Result {
    let mut blocks = engine.subscribe();
    for raw in transactions {
        let outcome = engine.submit(raw.clone()).await.unwrap();
        assert_eq!(outcome.code, 0, "{}", outcome.message);
    }
    let (mut done, mut failed) = (0, 0);
    while done < transactions.len() {
        let block = tokio::time::timeout(LIMIT, blocks.recv()).await.expect("in time").unwrap();
        done += block.txs.len();
        failed += block.txs.iter().filter(|(_, outcome)| outcome.code != 0).count();
    }
    let state = engine.state(None).unwrap();
    let read = |user: u8| query::account(&state, &account(user)).unwrap();
    let delegation =
        |user: u8| query::delegation(&state, &account(ENTITY), &account(user)).unwrap();
    let entity = read(ENTITY);
    Result {
        failed,
        accounts: USERS.map(read).to_vec(),
        delegations: USERS.map(delegation).to_vec(),
        stake: (entity.active.balance, entity.active.total_shares),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cometbft_and_solo_lead_the_same_transactions_to_the_same_state() {
    if find_binary().is_err() {
        let test = "cometbft_and_solo_lead_the_same_transactions_to_the_same_state";
        println!("SKIPPED {test}: no cometbft binary (set COMETBFT or run make setup)");
        return;
    }
    let document = Recording::load().document;
    let transactions = transactions(&document);

    let kv = Kv::memory();
    let application = Application::open(kv.clone()).unwrap();
    let options = SoloOptions {
        document: document.clone(),
        kv,
        home: None,
        keys: vec![validator()],
        empty_block_interval: Duration::from_secs(100_000),
        max_block_bytes: 1 << 20,
        clock: system_clock(),
    };
    let engine = SoloEngine::start(&application, options).await.unwrap();
    let solo = run(&engine, &transactions).await;
    engine.shutdown().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let application = Application::open(Kv::memory()).unwrap();
    let home = folder.path().join("c");
    let options = CometOptions::local(document, home, consensus_key(VALIDATOR));
    let engine = CometEngine::start(&application, options).await.unwrap();
    let comet = run(&engine, &transactions).await;
    engine.shutdown().await.unwrap();

    assert_eq!(solo, comet);
    assert_eq!(solo.failed, 20);
    assert!(solo.accounts.iter().all(|account| account.nonce >= 20));
    assert!(solo.delegations[1].shares >= Amount(20 * 160), "{solo:?}");
}
