//! A process of ours: what it prints as JSON is collected, and it never outlives its test.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::{PATIENCE, binary};

/// How much of a log a failed test shows.
const SHOWN_BYTES: usize = 6000;

#[derive(Default)]
struct Lines {
    lines: Mutex<(Vec<Value>, bool)>,
    changed: Condvar,
}

/// A running `paralith`, in a process group of its own.
pub struct Process {
    child: Child,
    group: Pid,
    lines: Arc<Lines>,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({})", self.group.as_raw_nonzero())
    }
}

impl Process {
    /// Starts `paralith` with these arguments. Its log goes to `log`, its temporary files to
    /// `temporary` if that is given.
    pub fn start(args: &[String], log: &Path, temporary: Option<&Path>) -> Self {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(binary());
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log).unwrap())
            .env("RUST_LOG", "warn,paralith=debug")
            .process_group(0);
        if let Some(folder) = temporary {
            command.env("TMPDIR", folder);
        }
        let mut child = command.spawn().unwrap();
        let group = Pid::from_child(&child);
        let lines = Arc::new(Lines::default());
        let (reader, to) = (child.stdout.take().unwrap(), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line) {
                    to.lines.lock().unwrap_or_else(PoisonError::into_inner).0.push(value);
                    to.changed.notify_all();
                }
            }
            to.lines.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
            to.changed.notify_all();
        });
        Self { child, group, lines, log: log.to_path_buf(), ended: None }
    }

    /// Waits for a line that this finds something in. It is shown all lines, again and again.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&[Value]) -> Option<T>) -> T {
        tokio::task::block_in_place(|| {
            let deadline = Instant::now() + PATIENCE;
            let mut lines = self.lines.lines.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if let Some(found) = find(&lines.0) {
                    return found;
                }
                let left = deadline.saturating_duration_since(Instant::now());
                assert!(!lines.1 && !left.is_zero(), "{what} did not come; {}", self.last_words());
                let waited = self.lines.changed.wait_timeout(lines, left);
                lines = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        })
    }

    /// All lines until now.
    pub fn lines(&self) -> Vec<Value> {
        self.lines.lines.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let from = log.len().saturating_sub(SHOWN_BYTES);
        format!("its log ends:\n{}", String::from_utf8_lossy(&log[from..]))
    }

    /// Whether it was killed, or waited for to its end.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.group, signal);
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.ended = Some(status);
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; {}", self.last_words());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it and its group at once.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            let _ = kill_process_group(self.group, Signal::KILL);
            self.ended = self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self:?}: {}", self.last_words());
        }
        self.kill();
    }
}

/// `kill -9` of one process.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    let _ = kill_process(pid, Signal::KILL);
}

/// Processes below this one with this word in their command line.
pub fn processes_of(parent: u32, word: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found: Vec<u32> = numbers
        .filter(|pid: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let below = status.lines().any(|line| line == format!("PPid:\t{parent}"));
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            below && String::from_utf8_lossy(&line).contains(word)
        })
        .collect();
    found.sort_unstable();
    found
}
