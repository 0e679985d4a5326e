//! The child process: found, checked, started, listened to, ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use paralith_rt::JoinHandle;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::home::failed;
use super::{CometOptions, RpcAddress};
use crate::EngineError;

/// Finds CometBFT: `$COMETBFT`, then the tools folder, then `PATH`.
pub fn find_binary() -> Result<PathBuf, EngineError> {
    if let Some(given) = std::env::var_os("COMETBFT").filter(|given| !given.is_empty()) {
        return Ok(PathBuf::from(given));
    }
    // The folder that the set-up fills, by the same rules.
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("paralith/tools"));
    let tools = folder("PARALITH_TOOLS").or(data).map(|tools| tools.join("cometbft"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("cometbft"));
    tools.into_iter().chain(on_path).find(|file| file.is_file()).ok_or_else(|| {
        EngineError::Binary {
            reason: "no cometbft binary: set COMETBFT, or run make setup".to_string(),
        }
    })
}

/// Refuses every version but 0.38 from patch 25 on: others speak another ABCI or lack fixes.
pub(crate) async fn check_version(binary: &Path) -> Result<String, EngineError> {
    let cannot = |reason: String| EngineError::Binary {
        reason: format!("cannot run {}: {reason}", binary.display()),
    };
    let output = Command::new(binary).arg("version").stdin(Stdio::null()).output();
    let output = paralith_rt::timeout(VERSION_TIMEOUT, output)
        .await
        .map_err(|_| cannot("it does not answer".to_string()))?
        .map_err(|e| cannot(e.to_string()))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_string();
    if is_supported(&version) {
        return Ok(version);
    }
    Err(EngineError::Binary {
        reason: format!(
            "{} has the version {version:?}; 0.38.25 or a later 0.38 is needed",
            binary.display()
        ),
    })
}

fn is_supported(version: &str) -> bool {
    let version = version.strip_prefix('v').unwrap_or(version);
    let Some(patch) = version.strip_prefix("0.38.") else { return false };
    let digits: String = patch.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u32>().is_ok_and(|patch| patch >= 25)
}

/// A CometBFT that was started by us.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: i32,
    /// Ends with the last words that were no log entry.
    errors: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts it. The application listens already: CometBFT waits 3 seconds for a second try.
    pub(crate) fn start(options: &CometOptions, binary: &Path) -> Result<Self, EngineError> {
        // It does not replace a socket that a killed run has left.
        if let RpcAddress::Unix(path) = &options.rpc {
            let _ = std::fs::remove_file(path);
        }
        let mut command = Command::new(binary);
        command.arg("start").arg("--home").arg(&options.home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        if let Some(procs) = options.max_procs {
            command.env("GOMAXPROCS", procs.to_string());
        }
        command.envs(options.environment.iter().cloned());
        let mut child = command.spawn().map_err(|e| EngineError::Binary {
            reason: format!("cannot start {}: {e}", binary.display()),
        })?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .ok_or_else(|| EngineError::Binary { reason: "cometbft ended at once".to_string() })?;
        let file = pid_file(&options.home);
        std::fs::write(&file, pid.to_string()).map_err(|e| failed(&file, &e))?;
        if let Some(out) = child.stdout.take() {
            paralith_rt::spawn(forward(out));
        }
        let errors = child.stderr.take().map(|err| paralith_rt::spawn(forward(err)));
        Ok(Self { child, pid, errors })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Returns when it has ended, with how.
    pub(crate) async fn ended(&mut self) -> String {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(e) => e.to_string(),
        };
        let Some(errors) = self.errors.take() else { return status };
        match paralith_rt::timeout(LAST_WORDS, errors).await {
            Ok(Ok(words)) if !words.is_empty() => format!("{status}: {words}"),
            _ => status,
        }
    }

    /// Asks it to end, and ends it if it does not.
    pub(crate) async fn stop(mut self, timeout: Duration) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            // It may have ended a moment ago.
            let _ = kill_process(pid, Signal::TERM);
        }
        if paralith_rt::timeout(timeout, self.child.wait()).await.is_err() {
            tracing::warn!("CometBFT does not end: it is killed");
            let _ = self.child.kill().await;
        }
    }
}

/// Ends a CometBFT that a killed run has left behind with this home. It would hold the data folder.
pub(crate) async fn end_orphan(home: &Path, timeout: Duration) {
    let Ok(text) = std::fs::read_to_string(pid_file(home)) else { return };
    let Some(pid) = text.trim().parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw) else {
        return;
    };
    if !is_ours(pid, home) {
        return;
    }
    tracing::warn!(pid = pid.as_raw_nonzero().get(), "ending a CometBFT that was left behind");
    let _ = kill_process(pid, Signal::TERM);
    let begun = paralith_rt::Instant::now();
    let mut killed = false;
    // Another user's cannot be ended; then its own lock on the data speaks next.
    while is_ours(pid, home) && begun.elapsed() < timeout.saturating_mul(2) {
        if !killed && begun.elapsed() >= timeout {
            killed = kill_process(pid, Signal::KILL).is_ok();
        }
        paralith_rt::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process is a CometBFT with this home: process numbers are used again. A dead process
/// that nobody has waited for has no command line.
fn is_ours(pid: Pid, home: &Path) -> bool {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    let Ok(line) = std::fs::read(path) else { return false };
    let has = |argument: &[u8]| line.split(|byte| *byte == 0).any(|one| one == argument);
    has(b"start") && has(home.as_os_str().as_encoded_bytes())
}

/// Passes its log on, line by line. Gives the last line that was no log entry.
async fn forward(output: impl AsyncRead + Unpin) -> String {
    let mut last = String::new();
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(entry) = serde_json::from_str::<serde_json::Value>(&line) else {
            tracing::info!(target: "cometbft", "{line}");
            if !line.trim().is_empty() {
                last = line.chars().take(300).collect();
            }
            continue;
        };
        let field = |name: &str| entry.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        let (message, module) = (field("_msg"), field("module"));
        match field("level") {
            "error" => {
                let error = field("err");
                tracing::error!(target: "cometbft", module, error, "{message}");
            }
            "info" => tracing::debug!(target: "cometbft", module, "{message}"),
            _ => tracing::trace!(target: "cometbft", module, "{message}"),
        }
    }
    last
}

fn pid_file(home: &Path) -> PathBuf {
    home.join("cometbft.pid")
}

const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// A grandchild could hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_supported_versions_pass() {
        for (version, supported) in [
            ("0.38.25", true),
            ("v0.38.26", true),
            ("0.38.25-dev", true),
            ("0.38.24", false),
            ("0.38.", false),
            ("0.37.25", false),
            ("1.0.38", false),
            ("", false),
        ] {
            assert_eq!(is_supported(version), supported, "{version}");
        }
    }

    #[test]
    fn no_other_process_is_taken_for_ours() {
        let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(!is_ours(own, Path::new("/nonexistent")));
    }
}
