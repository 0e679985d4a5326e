//! A development chain: from its start to its first final confidential transaction, and its memory.

use anyhow::{Context as _, Result};
use paralith::client::{ParaTimeClient, connect};
use serde_json::{Value, json};

use crate::load;
use crate::process::{Running, memory_kib, values};
use crate::report::{Samples, rounded, tell};

const STARTS: usize = 3;
const TRANSACTIONS: usize = 20;

pub(crate) async fn run() -> Result<()> {
    starts()?;
    memory().await
}

/// `paralith dev --once` tells its own seconds.
fn starts() -> Result<()> {
    let (mut ready, mut last) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let mut chain = Running::start(&["dev", "--once", "--json"])?;
        let steps: Vec<Value> = values(chain.output()?).collect();
        ready.push(seconds_of(&steps, "chain")?);
        last.push(seconds_of(&steps, "final")?);
    }
    let median = |numbers: &mut Vec<f64>| {
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied().unwrap_or_default()
    };
    let (ready, last) = (median(&mut ready), median(&mut last));
    tell(
        "dev",
        &format!(
            "{ready:.2} s from the start to a chain with keys, {last:.2} s to the first final \
             confidential transfer (median of {STARTS})"
        ),
        json!({
            "starts": STARTS, "ready s": rounded(ready),
            "first final confidential transfer s": rounded(last),
        }),
    );
    Ok(())
}

fn seconds_of(steps: &[Value], name: &str) -> Result<f64> {
    let step = steps.iter().find(|step| step.get("step").is_some_and(|step| step == name));
    let seconds = step.and_then(|step| step.get("seconds")).and_then(Value::as_f64);
    seconds.with_context(|| format!("`paralith dev --once --json` has not told the step `{name}`"))
}

async fn memory() -> Result<()> {
    let mut chain = Running::start(&["dev", "--json", "--listen", "127.0.0.1:0"])?;
    let banner =
        values(chain.output()?).next().context("`paralith dev` has not said where it is")?;
    let node = banner.get("node").and_then(Value::as_str).context("the banner names no node")?;
    let started = memory_kib(chain.id(), "VmRSS")?;

    let mut client = connect(node).await?;
    let mut tokens = ParaTimeClient::new(&mut client, "tokens").await?;
    let mut latency = Samples::default();
    load::mint(&mut client, &mut tokens, TRANSACTIONS, &mut latency, &mut Samples::default())
        .await?;
    let used = memory_kib(chain.id(), "VmRSS")?;
    let most = memory_kib(chain.id(), "VmHWM")?;
    let mib = |kib: u64| (kib as f64 / 1024.0).round();
    tell(
        "dev",
        &format!(
            "a whole chain in one process: {} MiB resident when ready, {} MiB after \
             {TRANSACTIONS} confidential transactions, {} MiB at most; {:.0} ms a transaction",
            mib(started),
            mib(used),
            mib(most),
            latency.median() * 1e3
        ),
        json!({
            "resident MiB": { "ready": mib(started), "used": mib(used), "most": mib(most) },
            "transactions": TRANSACTIONS, "submit to final p50 ms": rounded(latency.median() * 1e3),
        }),
    );
    Ok(())
}
