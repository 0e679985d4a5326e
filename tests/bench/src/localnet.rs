//! A network of processes on this machine: start, latency, throughput, a killed worker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use paralith::client::{ChainClient, ParaTimeClient, connect};
use paralith_consensus_api::address;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::commits::Commits;
use crate::load::{self, Load, account, sender, transfers};
use crate::process::{Running, signal, values};
use crate::report::{Samples, rounded, tell};

const BASE_PORT: u16 = 28_600;
const START_TIMEOUT: Duration = Duration::from_secs(240);
const ONE_BY_ONE: usize = 30;
const SENDERS: usize = 100;
const WARM_UP: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(20);
const AFTER_KILL: Duration = Duration::from_secs(20);
/// Longest that a transaction may take after the kill.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the network told last.
type Told = Arc<Mutex<Value>>;

pub(crate) async fn run() -> Result<()> {
    let began = Instant::now();
    let home = tempfile::Builder::new().prefix("paralith-bench-").tempdir()?;
    let folder = home.path().to_str().context("the name of the temporary folder")?;
    let port = BASE_PORT.to_string();
    let arguments = ["localnet", "--json", "--home", folder, "--base-port", &port];
    let mut network = Running::start(&arguments)?;
    let told = listen(&mut network)?;
    let node = format!("http://127.0.0.1:{BASE_PORT}");

    let (mut chain, mut tokens) = first_transaction(&node, began, &told).await?;
    let p50 = latency(&mut chain, &mut tokens).await?;
    throughput(&node, &mut chain, &mut tokens).await?;
    stall(&mut chain, &mut tokens, &told, p50).await
}

/// Keeps the newest line of the network.
fn listen(network: &mut Running) -> Result<Told> {
    let told = Told::default();
    let (output, into) = (network.output()?, Arc::clone(&told));
    std::thread::spawn(move || {
        for value in values(output) {
            *into.lock().unwrap_or_else(PoisonError::into_inner) = value;
        }
    });
    Ok(told)
}

fn newest(told: &Told) -> Value {
    told.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn first_transaction(
    node: &str,
    began: Instant,
    told: &Told,
) -> Result<(ChainClient, ParaTimeClient)> {
    let mut last = String::new();
    while began.elapsed() < START_TIMEOUT {
        match try_first(node).await {
            Ok(clients) => {
                let seconds = began.elapsed().as_secs_f64();
                let told = newest(told);
                let ready = told.get("ready_after_seconds").and_then(Value::as_f64);
                let nodes = told.get("nodes").and_then(Value::as_array).map_or(0, Vec::len);
                tell(
                    "localnet",
                    &format!(
                        "{seconds:.1} s from the start of {nodes} nodes to the first final \
                         confidential transaction; all nodes up after {:.1} s",
                        ready.unwrap_or_default()
                    ),
                    json!({
                        "nodes": nodes, "all nodes up s": ready.map(rounded),
                        "first final confidential transaction s": rounded(seconds),
                    }),
                );
                return Ok(clients);
            }
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("no transaction became final: {last}")
}

async fn try_first(node: &str) -> Result<(ChainClient, ParaTimeClient)> {
    let mut chain = connect(node).await?;
    let mut tokens = ParaTimeClient::new(&mut chain, "tokens").await?;
    let (mut latency, mut soft) = Default::default();
    let first = load::mint(&mut chain, &mut tokens, 1, &mut latency, &mut soft);
    tokio::time::timeout(PATIENCE, first).await.context("it is not final")??;
    Ok((chain, tokens))
}

/// One user, one transaction after the other; gives the median in seconds.
async fn latency(chain: &mut ChainClient, tokens: &mut ParaTimeClient) -> Result<f64> {
    let (mut latency, mut soft) = (Samples::default(), Samples::default());
    let began = chain.sync().await?.0;
    load::mint(chain, tokens, ONE_BY_ONE, &mut latency, &mut soft).await?;
    let commits = Commits::since(chain, began).await?;
    let millis = |seconds: f64| (seconds * 1e3).round();
    let (p50, p99) = (latency.median(), latency.quantile(0.99));
    tell(
        "localnet",
        &format!(
            "{} ms from handing in to final and verified at the median, {} ms at the 99th percentile \
             of {ONE_BY_ONE}; {} consensus transactions a round",
            millis(p50),
            millis(p99),
            commits.per_round()
        ),
        json!({
            "transactions": ONE_BY_ONE, "submit to final ms": { "p50": millis(p50), "p99": millis(p99) },
            "submit to soft ms": (soft.len() > 0).then(|| millis(soft.median())),
            "commits": commits.facts(),
        }),
    );
    Ok(p50)
}

/// Many users who do not wait. All pay one account: its balance tells how many transfers succeeded.
async fn throughput(
    node: &str,
    chain: &mut ChainClient,
    tokens: &mut ParaTimeClient,
) -> Result<()> {
    let load = Arc::new(Load::new(node, tokens.runtime.id).await?);
    fund(&load, chain, tokens).await?;
    let bob = account("bob")?;
    let before = load::balance(chain, tokens, &bob).await?;

    let began_at = chain.sync().await?.0;
    let began = Instant::now();
    let until = began + WARM_UP + WINDOW;
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..SENDERS {
        let to = address::of_key(&bob.public());
        sending.spawn(Arc::clone(&load).send(sender(number), 0, transfers(to), until));
    }
    let refreshing = tokio::spawn(async move {
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_secs(2)).await;
            // Should it fail, the old key is good for some time.
            let _ = load.refresh().await;
        }
    });
    let (mut rounds, mut txs, mut largest) = (0_u64, 0_usize, 0_usize);
    let mut watch = tokens.watch().await?;
    while let Ok(round) = tokio::time::timeout_at(until.into(), watch.message()).await {
        let round = round?.context("the node has ended the stream of rounds")?;
        largest = largest.max(round.leaves.len());
        if began.elapsed() >= WARM_UP {
            rounds = rounds.saturating_add(1);
            txs = txs.saturating_add(round.leaves.len());
        }
    }
    let mut accepted = 0_u64;
    while let Some(sent) = sending.join_next().await {
        accepted = accepted.saturating_add(sent??);
    }
    refreshing.await?;
    let succeeded = settled(chain, tokens, before.saturating_add(accepted)).await?;
    let succeeded = succeeded.saturating_sub(before);
    let commits = Commits::since(chain, began_at).await?;
    let rate = txs as f64 / WINDOW.as_secs_f64();
    tell(
        "localnet",
        &format!(
            "{rate:.0} confidential transfers/s final with {SENDERS} senders, in {rounds} rounds of \
             up to {largest}; of {accepted} that were taken {succeeded} succeeded; {} consensus \
             transactions a round",
            commits.per_round()
        ),
        json!({
            "senders": SENDERS, "seconds": WINDOW.as_secs(), "final transfers/s": rounded(rate),
            "rounds": rounds, "largest batch": largest, "taken": accepted, "succeeded": succeeded,
            "commits": commits.facts(),
        }),
    );
    Ok(())
}

/// Alice mints for every sender.
async fn fund(
    load: &Arc<Load>,
    chain: &mut ChainClient,
    tokens: &mut ParaTimeClient,
) -> Result<()> {
    let alice = account("alice")?;
    let own = address::of_key(&alice.public());
    let first = tokens.nonce(chain, &own).await?;
    let owners = (0..SENDERS).map(|number| address::of_key(&sender(number).public())).collect();
    let until = Instant::now() + PATIENCE;
    let minted = Arc::clone(load).send(alice, first, load::mints(owners), until).await?;
    while tokens.nonce(chain, &own).await? < first.saturating_add(minted) {
        if Instant::now() >= until {
            bail!("the senders' funds are not final");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Bob's balance once it is what it should be, or grows no more.
async fn settled(
    chain: &mut ChainClient,
    tokens: &mut ParaTimeClient,
    expected: u64,
) -> Result<u64> {
    let bob = account("bob")?;
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let now = load::balance(chain, tokens, &bob).await?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if now >= expected || since.elapsed() > Duration::from_secs(10) {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Kills a worker the hard way while one user goes on.
async fn stall(
    chain: &mut ChainClient,
    tokens: &mut ParaTimeClient,
    told: &Told,
    p50: f64,
) -> Result<()> {
    let late = |_| Err(anyhow::anyhow!("it did not become final in time"));
    let (name, id) = worker(&newest(told))?;
    let (mut latency, mut failed) = (Samples::default(), 0_u32);
    let began = Instant::now();
    signal(id, Signal::KILL)?;
    while began.elapsed() < AFTER_KILL {
        let mut soft = Samples::default();
        let next = load::mint(chain, tokens, 1, &mut latency, &mut soft);
        if let Err(error) = tokio::time::timeout(PATIENCE, next).await.unwrap_or_else(late) {
            eprintln!("after {:.1} s: {error:#}", began.elapsed().as_secs_f64());
            failed = failed.saturating_add(1);
        }
    }
    let (longest, after) = (latency.max(), latency.median());
    tell(
        "localnet",
        &format!(
            "{longest:.2} s for the slowest of {} transactions in the {} s after a kill -9 of {name}, \
             {:.1} times the median before; {:.2} s at the median; {failed} failed",
            latency.len(),
            AFTER_KILL.as_secs(),
            longest / p50,
            after
        ),
        json!({
            "killed": name, "transactions": latency.len(), "failed": failed,
            "slowest s": rounded(longest), "median s": rounded(after),
            "slowest / median before": rounded(longest / p50),
        }),
    );
    Ok(())
}

/// A worker of `tokens`, with its process.
fn worker(told: &Value) -> Result<(String, u32)> {
    let nodes =
        told.get("nodes").and_then(Value::as_array).context("the network tells no nodes")?;
    for node in nodes {
        let runtimes = node.get("runtimes").and_then(Value::as_array);
        let works = runtimes
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|line| line.starts_with("tokens ") && line.contains("worker"));
        let id = node.get("pid").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        if let (true, Some(id), Some(name)) = (works, id, node.get("name").and_then(Value::as_str))
        {
            return Ok((name.to_string(), id));
        }
    }
    bail!("the network has no worker of `tokens`")
}
