//! `paralith localnet`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, kill};
use crate::scratch;

/// How long a network may take to end in good order.
const STOP_BOUND: Duration = Duration::from_secs(60);

/// Ports that the largest network of these tests takes.
const PORTS: u16 = 60;

/// A node as the network's own listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its public service.
    pub endpoint: String,
    /// Its process.
    pub pid: Option<u32>,
    /// Whether it has a chain.
    pub ready: bool,
    /// The newest block that it knows.
    pub height: u64,
    /// How often it was started again.
    pub restarts: u64,
}

/// A network of processes.
#[derive(Debug)]
pub struct Localnet {
    process: Process,
    folder: tempfile::TempDir,
    args: Vec<String>,
}

impl Localnet {
    /// Starts one and waits until every node answers.
    pub fn start(more: &[&str]) -> Self {
        Self::start_prepared(more, |_, _| {})
    }

    /// As [`Localnet::start`], in a home in which something is prepared: it gets the home and the
    /// first port.
    pub fn start_prepared(more: &[&str], prepare: impl FnOnce(&Path, u16)) -> Self {
        let folder = scratch();
        let base = free_ports();
        let home = folder.path().join("net");
        prepare(&home, base);
        let (base, home) = (base.to_string(), home.display().to_string());
        let mut args: Vec<String> = ["localnet", "--json", "--base-port", &base, "--home", &home]
            .map(String::from)
            .to_vec();
        args.extend(more.iter().map(|arg| (*arg).to_string()));
        let process = Process::start(&args, &folder.path().join("log"), Some(folder.path()));
        let net = Self { process, folder, args };
        net.wait_until_up();
        net
    }

    fn wait_until_up(&self) {
        self.process
            .wait_for("the network", |lines| lines.last()?.get("ready_after_seconds")?.as_f64());
    }

    /// Interrupts it, and starts it again when it has ended. Nothing of it may be left meanwhile.
    pub fn again(&mut self) {
        self.process.signal(Signal::INT);
        let status = self.process.wait(STOP_BOUND);
        assert!(status.success(), "it ended with {status}");
        let left = processes_that_name(self.folder.path());
        assert!(left.is_empty(), "it left processes: {left:?}");
        let log = self.folder.path().join("log");
        self.process = Process::start(&self.args, &log, Some(self.folder.path()));
        self.wait_until_up();
    }

    /// The nodes as they were last listed.
    pub fn nodes(&self) -> Vec<Node> {
        nodes(&self.process.lines())
    }

    /// A node.
    pub fn node(&self, name: &str) -> Node {
        self.nodes().into_iter().find(|node| node.name == name).unwrap()
    }

    /// Waits for a listing in which this finds something.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&[Node]) -> Option<T>) -> T {
        self.process.wait_for(what, |lines| find(&nodes(lines)))
    }

    /// Where users connect.
    pub fn gateway(&self) -> String {
        self.node("client-0").endpoint
    }

    /// The network's folder: one for each node, with data and log.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("net")
    }

    /// The end of a node's log.
    pub fn log_of(&self, name: &str) -> String {
        std::fs::read_to_string(self.home().join(name).join("log")).unwrap_or_default()
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.nodes() {
                let log = self.log_of(&node.name);
                let lines: Vec<&str> = log.lines().rev().take(8).collect();
                eprintln!("{node:?}");
                lines.iter().rev().for_each(|line| eprintln!("    {line}"));
            }
        }
        self.process.signal(Signal::TERM);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.process.wait(STOP_BOUND)
        }));
        if ended.is_err() {
            self.process.kill();
        }
        // Nodes have groups of their own. Whatever is left of them names our folder.
        for pid in processes_that_name(self.folder.path()) {
            kill(pid);
        }
    }
}

fn nodes(lines: &[Value]) -> Vec<Node> {
    let Some(listed) = lines.last().and_then(|line| line.get("nodes")?.as_array()) else {
        return Vec::new();
    };
    let node = |value: &Value| {
        Some(Node {
            name: value.get("name")?.as_str()?.to_string(),
            endpoint: value.get("node")?.as_str()?.to_string(),
            pid: value.get("pid")?.as_u64().and_then(|pid| u32::try_from(pid).ok()),
            ready: value.get("ready")?.as_bool()?,
            height: value.get("height")?.as_u64()?,
            restarts: value.get("restarts")?.as_u64()?,
        })
    };
    listed.iter().filter_map(node).collect()
}

/// Processes with this folder in their command line.
pub(crate) fn processes_that_name(folder: &Path) -> Vec<u32> {
    let folder = folder.display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&folder)
        })
        .collect()
}

/// The first of a range of ports that nobody listens on now.
fn free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * PORTS;
    (0..100)
        .map(|step| 20_000 + (start - 20_000 + step * PORTS) % 6000)
        .find(|base| (*base..base + PORTS).all(free))
        .expect("a range of free ports")
}
