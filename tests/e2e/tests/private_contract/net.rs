//! One chain with a mediator and three members, which the tests share: each makes contracts of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use e2e::{Dev, DevOptions, Process, claim, cli};
use paralith_private_contract_messages::ContractId;
use paralith_private_contract_stakeholder::Keys;
use paralith_storage::{Column, Durability, Files, Kv, KvOptions, WriteBatch};
use serde_json::{Value, json};

use crate::recorder::Recorder;
use crate::session::Session;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// A member's node, as a process of its own.
pub(crate) struct Member {
    pub(crate) keys: Keys,
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
    password: PathBuf,
    process: Process,
    /// What crosses its links.
    pub(crate) links: Recorder,
}

/// The chain and the members' processes.
pub(crate) struct Net {
    pub(crate) members: [Member; 3],
    /// A node of the chain.
    pub(crate) node: String,
    /// Where the members' folders and the chain's log are.
    pub(crate) folder: PathBuf,
    /// Where the chain keeps its stores.
    pub(crate) home: tempfile::TempDir,
    /// The chain, if it is the members' alone.
    _dev: Option<Dev>,
}

/// How many tests use the network or are about to, and the network while none uses it.
struct Shared {
    users: usize,
    net: Option<Net>,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { users: 0, net: None });

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test that uses the network, from before its turn to its end: the last one ends the network.
struct User;

impl User {
    fn new() -> Self {
        shared().users += 1;
        Self
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut shared = shared();
        shared.users -= 1;
        let net = if shared.users == 0 { shared.net.take() } else { None };
        drop(shared);
        drop(net);
    }
}

/// Runs a test on the network. One that fails takes the network with it.
pub(crate) fn on_network(test: impl AsyncFnOnce(&mut Session)) {
    let _user = User::new();
    claim(async {
        let waiting = shared().net.take();
        let net = waiting.unwrap_or_else(Net::start);
        let mut session = Session::new(net).await;
        test(&mut session).await;
        session.all_run();
        shared().net = Some(session.net);
    });
}

/// Ports of one run of these tests.
const PORTS: u16 = 100;

/// A port that is free now: a node's configuration names it before it listens. It is below those that the system
/// gives to connections and to listeners that do not choose, so nothing of this machine takes it meanwhile.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 28_000 + u16::try_from(std::process::id() % 40).unwrap() * PORTS;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..PORTS).map(|_| first + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS);
    ports.find(is_free).expect("a free port")
}

/// Whether a key of a store names a contract: stores escape zeros.
fn holds(key: &[u8], id: &ContractId) -> bool {
    let escaped: Vec<u8> =
        id.0.iter().flat_map(|byte| if *byte == 0 { vec![0, 0xff] } else { vec![*byte] }).collect();
    key.windows(escaped.len()).any(|window| window == escaped)
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command that must succeed, and gives what it prints.
pub(crate) fn done(node: &str, args: &[&str]) -> Value {
    let printed = cli(node, args);
    assert!(printed.success, "{args:?}: {}", printed.error);
    printed.json.into_iter().next().unwrap_or(Value::Null)
}

impl Member {
    /// Makes a member of the chain behind a node, and starts it.
    pub(crate) fn start(node: &str, home: &Path, name: &str) -> Self {
        let folder = home.join(name);
        let password = home.join(format!("{name}.password"));
        std::fs::write(&password, PASSWORD).unwrap();
        let (links, listen) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
        let shown = text(&folder);
        let args = ["contract", "init", &shown, "--links", &links, "--listen", &listen, "--data"];
        let made = done(node, &[&args[..], &["--password-file", &text(&password)]].concat());
        let files = Files::folder(&folder.join("keys")).unwrap();
        let keys = Keys::open(&files, PASSWORD.as_bytes()).unwrap();
        assert_eq!(made["member"], json!(keys.account()));
        // Other members reach its links through a recorder.
        let recorder = Recorder::before(&links);
        let config = folder.join("node.toml");
        let toml = std::fs::read_to_string(&config).unwrap();
        let published = format!("link_address = \"{links}\"");
        assert!(toml.contains(&published), "{toml}");
        let through = format!("link_address = \"{}\"", recorder.address);
        std::fs::write(&config, toml.replace(&published, &through)).unwrap();
        let process = Self::launch(&folder);
        let url = format!("http://{listen}");
        Self { keys, url, folder, password, process, links: recorder }
    }

    fn launch(folder: &Path) -> Process {
        let config = text(&folder.join("node.toml"));
        let args = ["start".into(), "--config".into(), config];
        Process::start(&args, &folder.join("log"), None)
    }

    /// `kill -9`, if it runs.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it if it does not run.
    pub(crate) fn run(&mut self) {
        if self.process.has_ended() {
            self.process = Self::launch(&self.folder);
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Its store, while it does not run.
    pub(crate) fn store(&self) -> Kv {
        assert!(self.process.has_ended());
        Kv::open(&self.folder.join("data/store"), KvOptions { compression: true }).unwrap()
    }

    /// Changes the newest value under a contract's key that ends so, while it does not run.
    pub(crate) fn falsify(&self, id: &ContractId, end: &[u8]) {
        let kv = self.store();
        let mut batch = WriteBatch::new();
        for (key, mut value) in kv.prefix(Column::Latest, b"", None, 100_000).unwrap() {
            if key.starts_with(b"private/") && key.ends_with(end) && holds(&key, id) {
                *value.last_mut().unwrap() ^= 1;
                batch.put(Column::Latest, key, value);
            }
        }
        assert_eq!(batch.len(), 1);
        kv.write(batch, Durability::Synced).unwrap();
    }

    /// Options of commands by which its operator is known.
    pub(crate) fn key_options(&self) -> [String; 4] {
        let keys = text(&self.folder.join("keys"));
        ["--keys".into(), keys, "--password-file".into(), text(&self.password)]
    }
}

impl Net {
    fn start() -> Self {
        let home = e2e::scratch();
        let kept = home.path().join("chain");
        let dev = Dev::start(DevOptions { home: Some(&kept), more: &["--private-contracts"] });
        let (node, folder) = (dev.node.clone(), dev.folder().to_path_buf());
        let members = NAMES.map(|name| Member::start(&node, &folder, name));
        Self { members, node, folder, home, _dev: Some(dev) }
    }

    /// Members of a chain that the test has started.
    pub(crate) fn beside(node: String) -> Self {
        let home = e2e::scratch();
        let folder = home.path().to_path_buf();
        let members = NAMES.map(|name| Member::start(&node, &folder, name));
        Self { members, node, folder, home, _dev: None }
    }
}
