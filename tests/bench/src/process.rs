//! The `paralith` program as a child that does not outlive its measurement.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The program that is measured.
pub(crate) fn paralith() -> Result<PathBuf> {
    let path = match std::env::var_os("PARALITH_BIN") {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("paralith"),
    };
    ensure!(
        path.is_file(),
        "there is no program {}: build it with `cargo build --package paralith` in the same \
         profile, or name it in PARALITH_BIN",
        path.display()
    );
    Ok(path)
}

/// A running program; asked to end when this is dropped, killed if it does not.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let program = paralith()?;
        let child = Command::new(&program)
            .args(arguments)
            .env("RUST_LOG", std::env::var("RUST_LOG").as_deref().unwrap_or("warn"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child })
    }

    /// Its standard output; can be taken once.
    pub(crate) fn output(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().context("standard output was taken before")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn stop(&mut self) {
        let _ = signal(self.child.id(), Signal::INT);
        let began = Instant::now();
        while began.elapsed() < STOP_TIMEOUT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The JSON values of a stream, as they come.
pub(crate) fn values(from: impl Read) -> impl Iterator<Item = Value> {
    serde_json::Deserializer::from_reader(from).into_iter().map_while(Result::ok)
}

/// Sends a signal to a process that a measurement started.
pub(crate) fn signal(id: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw).context("a process id")?;
    Ok(kill_process(pid, signal)?)
}

/// A field of a process' status in KiB: `VmRSS` (resident now), `VmHWM` (most so far).
pub(crate) fn memory_kib(id: u32, field: &str) -> Result<u64> {
    let file = format!("/proc/{id}/status");
    let status = fs::read_to_string(&file).with_context(|| file.clone())?;
    for line in status.lines() {
        if let Some(rest) = line.strip_prefix(field).and_then(|rest| rest.strip_prefix(':')) {
            let number = rest.split_whitespace().next().unwrap_or_default();
            return number.parse().with_context(|| format!("{file}: {line}"));
        }
    }
    bail!("{file} has no {field}")
}
