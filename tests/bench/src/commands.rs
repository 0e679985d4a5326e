//! Commands of the program, as a user runs them.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::process::paralith;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command, and gives what it prints.
pub(crate) fn command(node: &str, args: &[&str]) -> Result<Value> {
    let output = Command::new(paralith()?)
        .args(args)
        .arg("--json")
        .env("PARALITH_NODE", node)
        .stdin(Stdio::null())
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {error}");
    let printed = String::from_utf8(output.stdout)?;
    Ok(printed.lines().next().map(serde_json::from_str).transpose()?.unwrap_or_default())
}

/// The same again, until it succeeds.
pub(crate) async fn patiently(node: &str, args: &[&str]) -> Result<Value> {
    let began = Instant::now();
    loop {
        match command(node, args) {
            Ok(printed) => return Ok(printed),
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// An address where nothing listens now.
pub(crate) fn free() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
