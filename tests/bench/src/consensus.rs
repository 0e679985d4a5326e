//! Signed transfers through CometBFT, beside CometBFT's own key-value store in the same run.
//!
//! Both get the same number of transactions of the same length, by the same requests: batches of
//! `broadcast_tx_async` to all validators in turn. Both run with the configuration that the node
//! writes, one Go thread a process. What counts is the time from the first request until CometBFT
//! has the last transaction in a block.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use paralith_consensus_abci::Application;
use paralith_consensus_api::address;
use paralith_consensus_api::staking::Transfer;
use paralith_consensus_api::tx::{Fee, Transaction};
use paralith_consensus_engine::{
    CometEngine, CometOptions, Engine as _, find_binary, node_id, write_home,
};
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash, sha256};
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_storage::{Kv, KvOptions};
use paralith_types::{Amount, Hash};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::report::{rounded, tell};

/// As many as wait in a pool at once.
const TRANSACTIONS: u32 = 16_000;
const BATCH: usize = 500;
const FIRST_PORT: u16 = 28_730;
const PATIENCE: Duration = Duration::from_secs(180);
/// Heights that CometBFT tells of at once.
const HEIGHTS: u64 = 20;
const KEY: Domain = Domain::new("paralith/bench-consensus-key/v1");

pub(crate) async fn run() -> Result<()> {
    for validators in [1_u16, 4] {
        let document = document(validators)?;
        let transfers = transfers(&document)?;
        let length = transfers.first().map_or(0, Vec::len);
        let stored = kvstore(validators, &document, &pairs(length)).await?;
        let committed = paralith(validators, &document, &transfers).await?;
        tell(
            "consensus",
            &format!(
                "{committed:.0} signed transfers/s of {length} bytes through {validators} \
                 validators, {stored:.0}/s in CometBFT's own key-value store: {:.2} times",
                committed / stored
            ),
            json!({
                "validators": validators, "transactions": TRANSACTIONS, "bytes each": length,
                "transfers/s": committed.round(), "key-value store/s": stored.round(),
                "transfers / key-value store": rounded(committed / stored),
            }),
        );
    }
    Ok(())
}

fn key(purpose: &str, number: u32) -> SigningKey {
    SigningKey::from_seed(hash(KEY, &[purpose.as_bytes(), &number.to_be_bytes()]).0)
}

fn document(validators: u16) -> Result<Document> {
    let mut params = development_params(Hash([3; 32]));
    params.beacon.epoch_blocks = 100_000;
    let seconds = paralith_consensus_engine::system_clock()().as_secs();
    let time = GenesisTime::from_seconds(seconds).context("the time of genesis")?;
    let mut builder = Builder::new("bench", time, params);
    for number in 0..u32::from(validators) {
        let entity = key("entity", number).public();
        let keys = NodeKeys { node: key("node", number).public(), consensus: key("vote", number) };
        builder = builder.entity(entity, Amount(1_000_000)).validator(entity, &keys, &[]);
    }
    for number in 0..TRANSACTIONS {
        builder = builder.fund(&key("sender", number).public(), Amount(1_000_000));
    }
    Ok(builder.build()?)
}

fn transfers(document: &Document) -> Result<Vec<Vec<u8>>> {
    let context = document.hash()?;
    let sign = |number| {
        let to = address::of_key(&key("sender", (number + 7) % TRANSACTIONS).public());
        let fee = Fee { amount: Amount(10), gas_limit: 100_000 };
        let body = Transfer { to, amount: Amount(1) };
        Transaction::new(context, 0, fee, &body.into()).sign(&key("sender", number)).encode()
    };
    Ok((0..TRANSACTIONS).map(sign).collect())
}

/// Keys and values of the same length as the transfers.
fn pairs(length: usize) -> Vec<Vec<u8>> {
    let pair = |number: u32| format!("key{number:08}={:x<width$}", "", width = length.max(13) - 12);
    (0..TRANSACTIONS).map(|number| pair(number).into_bytes()).collect()
}

fn options(validators: u16, document: &Document, folder: &Path) -> Vec<CometOptions> {
    let port = |number: u16| FIRST_PORT.saturating_add(number);
    (0..validators)
        .map(|number| {
            let home = folder.join(format!("v{number}"));
            let vote = key("vote", u32::from(number));
            let mut options = CometOptions::local(document.clone(), home, vote);
            options.node_key = key("node", u32::from(number));
            options.p2p_listen = format!("127.0.0.1:{}", port(number));
            options.max_procs = Some(1);
            let peers = (0..validators).filter(|peer| *peer != number);
            options.persistent_peers = peers
                .map(|peer| {
                    let id = node_id(&key("node", u32::from(peer)).public());
                    format!("{id}@127.0.0.1:{}", port(peer))
                })
                .collect();
            options
        })
        .collect()
}

async fn paralith(validators: u16, document: &Document, txs: &[Vec<u8>]) -> Result<f64> {
    let folder = tempfile::Builder::new().prefix("paralith-bench-").tempdir()?;
    let all = options(validators, document, folder.path());
    let sockets = sockets(&all);
    let start = |options: CometOptions| async move {
        std::fs::create_dir_all(&options.home)?;
        let kv = Kv::open(&options.home.join("store"), KvOptions::default())?;
        let application = Application::open(kv)?;
        anyhow::Ok(CometEngine::start(&application, options).await?)
    };
    // Together: one alone never makes a block of four.
    let mut starting = Vec::new();
    for options in all {
        starting.push(tokio::spawn(start(options)));
    }
    let mut engines = Vec::new();
    for engine in starting {
        engines.push(engine.await??);
    }
    let rate = rate(&sockets, txs).await;
    for engine in &engines {
        engine.shutdown().await?;
    }
    rate
}

async fn kvstore(validators: u16, document: &Document, txs: &[Vec<u8>]) -> Result<f64> {
    let folder = tempfile::Builder::new().prefix("paralith-bench-").tempdir()?;
    let all = options(validators, document, folder.path());
    let mut running = Ended(Vec::new());
    for options in &all {
        write_home(options)?;
        name_validators(&options.home, validators)?;
        let child = Command::new(find_binary()?)
            .args(["start", "--proxy_app", "kvstore", "--home"])
            .arg(&options.home)
            .env("GOMAXPROCS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        running.0.push(child);
    }
    rate(&sockets(&all), txs).await
}

/// Processes that end with the measurement.
struct Ended(Vec<Child>);

impl Drop for Ended {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Paralith names its validators at the start of the chain; the key-value store has them in genesis.
fn name_validators(home: &Path, validators: u16) -> Result<()> {
    let file = home.join("config/genesis.json");
    let mut genesis: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let named = (0..u32::from(validators)).map(|number| {
        let key = key("vote", number).public();
        let address: String =
            sha256(key.as_bytes()).iter().take(20).map(|byte| format!("{byte:02X}")).collect();
        let value = BASE64.encode(key.as_bytes());
        json!({
            "address": address, "power": "10", "name": "",
            "pub_key": { "type": "tendermint/PubKeyEd25519", "value": value },
        })
    });
    let named: Vec<Value> = named.collect();
    let fields = genesis.as_object_mut().context("genesis is an object")?;
    fields.insert("validators".to_string(), Value::Array(named));
    fields.insert("app_state".to_string(), json!({}));
    Ok(std::fs::write(&file, serde_json::to_vec(&genesis)?)?)
}

fn sockets(all: &[CometOptions]) -> Vec<PathBuf> {
    all.iter().map(|options| options.home.join("rpc.sock")).collect()
}

/// Transactions a second from the first request until the last is in a block.
async fn rate(sockets: &[PathBuf], txs: &[Vec<u8>]) -> Result<f64> {
    let first = sockets.first().context("a validator")?;
    let mut seen = Blocks::default();
    let began = Instant::now();
    while seen.height < 2 {
        ensure!(began.elapsed() < PATIENCE, "the network makes no blocks");
        // It may not answer yet.
        let _ = seen.follow(first).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = seen.txs;
    let began = Instant::now();
    let mut sending = tokio::task::JoinSet::new();
    for (lane, socket) in sockets.iter().enumerate() {
        let batches: Vec<Value> =
            txs.chunks(BATCH).skip(lane).step_by(sockets.len()).map(request).collect();
        let socket = socket.clone();
        sending.spawn(async move {
            for batch in batches {
                call(&socket, &batch).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    let all = txs.len() as u64;
    while seen.txs < before.saturating_add(all) {
        if began.elapsed() > PATIENCE {
            bail!("{} of {all} transactions are in blocks", seen.txs.saturating_sub(before));
        }
        seen.follow(first).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(all as f64 / began.elapsed().as_secs_f64())
}

fn request(txs: &[Vec<u8>]) -> Value {
    let one = |(id, tx): (usize, &Vec<u8>)| {
        json!({
            "jsonrpc": "2.0", "id": id, "method": "broadcast_tx_async",
            "params": { "tx": BASE64.encode(tx) },
        })
    };
    Value::Array(txs.iter().enumerate().map(one).collect())
}

/// The blocks of a chain until now.
#[derive(Default)]
struct Blocks {
    height: u64,
    txs: u64,
}

impl Blocks {
    async fn follow(&mut self, socket: &Path) -> Result<()> {
        loop {
            let (from, to) = (self.height.saturating_add(1), self.height.saturating_add(HEIGHTS));
            let params = json!({ "minHeight": from.to_string(), "maxHeight": to.to_string() });
            let asked =
                json!({ "jsonrpc": "2.0", "id": 0, "method": "blockchain", "params": params });
            // An error says that there is no block of these heights yet.
            let answer = call(socket, &asked).await?;
            let metas = answer["result"]["block_metas"].as_array().cloned().unwrap_or_default();
            for meta in &metas {
                let txs = meta["num_txs"].as_str().and_then(|n| n.parse::<u64>().ok());
                self.txs = self.txs.saturating_add(txs.context("a block's num_txs")?);
            }
            self.height = self.height.saturating_add(metas.len() as u64);
            if (metas.len() as u64) < HEIGHTS {
                return Ok(());
            }
        }
    }
}

/// One request on one connection.
async fn call(socket: &Path, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let mut stream = UnixStream::connect(socket).await?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: cometbft\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8(answer)?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without a body")?;
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return Ok(serde_json::from_str(&joined(body)?)?);
    }
    Ok(serde_json::from_str(body)?)
}

/// The chunks of a body, joined.
fn joined(mut body: &str) -> Result<String> {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16)?;
        if length == 0 {
            break;
        }
        whole.push_str(rest.get(..length).context("a chunk that is cut off")?);
        body = rest.get(length..).unwrap_or_default().trim_start_matches("\r\n");
    }
    Ok(whole)
}
