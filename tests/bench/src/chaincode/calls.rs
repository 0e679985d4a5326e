//! Users of chaincode and of a confidential ParaTime, by the same rules: each waits for the result of a call before
//! the next one.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use paralith::client::{ParaTimeClient, connect};
use paralith::error::NodeError;
use paralith::systems::chaincode::client::ChaincodeClient;
use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_runtime_api::output::Output;
use paralith_storage::{Column, Durability, Kv, KvOptions, WriteBatch};
use paralith_types::{Address, RuntimeId};
use serde_json::{Value, json};

use super::network::{Blocks, Network, call, start};
use crate::load::{self, account, sender};
use crate::report::{Samples, rounded, tell};

const ONE_BY_ONE: usize = 20;
const USERS: usize = 20;
const WINDOW: Duration = Duration::from_secs(15);
/// Entries that all users change, and calls of each user.
const HOT: usize = 10;
const CALLS: usize = 5;
/// Calls one after another.
const SEQUENTIAL: usize = 40;
const RESTARTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

fn own(key: &SigningKey) -> Address {
    address::of_key(&key.public())
}

fn to(address: Address, amount: &str) -> Value {
    json!({ "to": address, "amount": amount })
}

/// An account that nobody else pays.
fn receiver(number: usize) -> Address {
    own(&sender(1_000 + number))
}

/// Invokes until it is committed; gives how often it met another call.
async fn insist(
    client: &mut ChaincodeClient,
    key: &SigningKey,
    method: &str,
    args: &Value,
) -> Result<usize> {
    let (began, mut conflicts) = (Instant::now(), 0);
    while began.elapsed() < PATIENCE {
        match client.invoke(key, &call(method, args), |_, _| Ok(())).await {
            Ok(invoked) => {
                ensure!(matches!(invoked.output, Output::Ok(_)), "{:?}", invoked.output);
                return Ok(conflicts + invoked.conflicts);
            }
            // The client gives up after five tries; a hot entry takes more.
            Err(NodeError::Refused(error)) if error.is("ledger", 15) => conflicts += 6,
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the call met others for {PATIENCE:?}")
}

/// From a call to its result, beside a confidential transaction to its final result.
pub(super) async fn one_user(network: &Network) -> Result<()> {
    let alice = account("alice")?;
    let mut client = network.client().await?;
    let mint = to(own(&alice), "1000000");
    let mut endorsed = Samples::default();
    for _ in 0..ONE_BY_ONE {
        let began = Instant::now();
        insist(&mut client, &alice, "mint", &mint).await?;
        endorsed.add(began.elapsed());
    }
    let mut chain = connect(&network.node).await?;
    let mut tokens = ParaTimeClient::new(&mut chain, "tokens").await?;
    let (mut confidential, mut soft) = (Samples::default(), Samples::default());
    load::mint(&mut chain, &mut tokens, ONE_BY_ONE, &mut confidential, &mut soft).await?;
    let ratio = endorsed.median() / confidential.median();
    tell(
        "chaincode",
        &format!(
            "invoke to result {:.0} ms, {ratio:.1} times a confidential transaction ({:.0} ms), medians of {ONE_BY_ONE}",
            endorsed.median() * 1e3,
            confidential.median() * 1e3
        ),
        json!({
            "calls": ONE_BY_ONE, "invoke to result p50 ms": rounded(endorsed.median() * 1e3),
            "confidential submit to final p50 ms": rounded(confidential.median() * 1e3),
            "ratio": rounded(ratio),
        }),
    );
    Ok(())
}

/// Transfers a second by users with accounts of their own.
pub(super) async fn many_users(network: &Network) -> Result<()> {
    let alice = account("alice")?;
    let mut client = network.client().await?;
    for number in 0..USERS {
        let args = to(own(&sender(number)), "1000000");
        insist(&mut client, &alice, "mint", &args).await?;
    }
    let mut clients = Vec::new();
    for _ in 0..USERS {
        clients.push(network.client().await?);
    }
    let until = Instant::now() + WINDOW;
    let mut users = tokio::task::JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        users.spawn(async move {
            let mut done = 0_u32;
            while Instant::now() < until {
                let args = to(receiver(number), "1");
                insist(&mut client, &sender(number), "transfer", &args).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let endorsed = load::rate(users, WINDOW).await?;
    let confidential = load::waiting_users(&network.node, USERS, WINDOW).await?;
    let ratio = endorsed / confidential;
    tell(
        "chaincode",
        &format!(
            "{endorsed:.1} endorsed transfers/s of {USERS} users who wait, {ratio:.2} times the confidential ones \
             ({confidential:.1}/s)"
        ),
        json!({
            "users": USERS, "seconds": WINDOW.as_secs(), "endorsed transfers/s": rounded(endorsed),
            "confidential transfers/s": rounded(confidential), "ratio": rounded(ratio),
        }),
    );
    Ok(())
}

/// Many users pay few accounts: their calls meet, and are made again.
pub(super) async fn hot_entries(network: &Network) -> Result<()> {
    let mut client = network.client().await?;
    let began = Instant::now();
    for number in 0..SEQUENTIAL {
        let args = to(receiver(2_000 + number % HOT), "1");
        insist(&mut client, &sender(0), "transfer", &args).await?;
    }
    let alone = SEQUENTIAL as f64 / began.elapsed().as_secs_f64();
    let mut users = tokio::task::JoinSet::new();
    let began = Instant::now();
    for number in 0..USERS {
        let mut client = network.client().await?;
        users.spawn(async move {
            let mut conflicts = 0;
            for turn in 0..CALLS {
                let args = to(receiver(2_000 + (number + turn) % HOT), "1");
                conflicts += insist(&mut client, &sender(number), "transfer", &args).await?;
            }
            anyhow::Ok(conflicts)
        });
    }
    let mut conflicts = 0;
    while let Some(met) = users.join_next().await {
        conflicts += met??;
    }
    let all = (USERS * CALLS) as f64 / began.elapsed().as_secs_f64();
    let ratio = all / alone;
    tell(
        "chaincode",
        &format!(
            "{USERS} users on {HOT} entries: all {} calls committed after {conflicts} conflicts, {all:.1}/s, \
             {ratio:.2} times the rate one after another ({alone:.1}/s)",
            USERS * CALLS
        ),
        json!({
            "users": USERS, "entries": HOT, "calls": USERS * CALLS, "committed": USERS * CALLS,
            "conflicts": conflicts, "calls/s": rounded(all), "one after another calls/s": rounded(alone),
            "ratio": rounded(ratio),
        }),
    );
    Ok(())
}

/// From the start of an endorser's process to its first endorsement: with its sealed identity, and without.
pub(super) async fn restarts(network: &mut Network) -> Result<()> {
    let _blocks = Blocks::of(&network.node);
    let (mut same, mut fresh) = (Samples::default(), Samples::default());
    for _ in 0..RESTARTS {
        same.add(restart(network, false).await?);
        fresh.add(restart(network, true).await?);
    }
    let ratio = same.median() / fresh.median();
    tell(
        "chaincode",
        &format!(
            "an endorser endorses {:.2} s after its start, {ratio:.2} times as long as with a new identity ({:.2} s), \
             medians of {RESTARTS}",
            same.median(),
            fresh.median()
        ),
        json!({
            "restarts": RESTARTS, "sealed identity s": rounded(same.median()),
            "new identity s": rounded(fresh.median()), "ratio": rounded(ratio),
        }),
    );
    Ok(())
}

async fn restart(network: &mut Network, forgets: bool) -> Result<Duration> {
    drop(network.endorsers.remove(0));
    let folder = network.folders.first().context("an endorser")?.clone();
    if forgets {
        let id: RuntimeId = network.id.parse()?;
        let store = folder.join("data").join("store");
        let store = Kv::open(&store, KvOptions { compression: true })?;
        let mut batch = WriteBatch::new();
        let identity = [b"endorser/identity/".as_slice(), id.as_bytes()].concat();
        batch.delete(Column::Meta, identity);
        store.write(batch, Durability::Synced)?;
    }
    let began = Instant::now();
    network.endorsers.insert(0, start(&folder)?);
    // Two of three: the call has the endorsement of this one.
    let two: Vec<String> = network.urls.iter().take(2).cloned().collect();
    while began.elapsed() < PATIENCE {
        if endorsed(network, &two).await.is_ok() {
            return Ok(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the endorser does not endorse {PATIENCE:?} after its start")
}

async fn endorsed(network: &Network, urls: &[String]) -> Result<()> {
    let mut client = network.client_of(urls).await?;
    let alice = account("alice")?;
    let proposed = client.propose(&alice, call("mint", &to(own(&alice), "1"))).await?;
    client.endorse(&proposed).await?;
    Ok(())
}
