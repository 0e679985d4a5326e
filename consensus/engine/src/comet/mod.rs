//! CometBFT v0.38 as a child process: its home, its life, its RPC.

mod blocks;
mod engine;
mod home;
mod process;
mod rpc;
mod template;

pub use engine::CometEngine;
pub use home::{node_id, write_home};
pub use process::find_binary;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use paralith_crypto::SigningKey;
use paralith_genesis::Document;

/// Where CometBFT answers this process. Nobody else needs to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RpcAddress {
    /// A Unix socket: only this user reaches it.
    Unix(PathBuf),
    /// A loopback address.
    Tcp(SocketAddr),
}

/// How fast a network goes. All nodes of a network should agree, but nothing breaks if they do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How long a proposal is waited for; grows by a fifth with each round.
    pub propose_ms: u64,
    /// How long further votes are waited for; grows likewise.
    pub vote_ms: u64,
    /// How long after a block the next begins, unless all have voted.
    pub commit_ms: u64,
    /// How long gossip sleeps between two looks at what a peer lacks. Sets the pace of a fast
    /// network more than anything else.
    pub gossip_sleep_ms: u64,
    /// How long small messages are collected before they are sent.
    pub flush_throttle_ms: u64,
    /// A block is made at least this often.
    pub empty_block_interval_ms: u64,
}

impl Timing {
    /// For networks on one machine or in one room.
    pub const LOCAL: Self = Self {
        propose_ms: 500,
        vote_ms: 200,
        commit_ms: 50,
        gossip_sleep_ms: 5,
        flush_throttle_ms: 5,
        empty_block_interval_ms: 1000,
    };

    /// For networks across the world.
    pub const WIDE: Self = Self {
        propose_ms: 3000,
        vote_ms: 1000,
        commit_ms: 500,
        gossip_sleep_ms: 25,
        flush_throttle_ms: 10,
        empty_block_interval_ms: 5000,
    };
}

/// How CometBFT is run.
#[derive(Debug, Clone)]
pub struct CometOptions {
    /// The chain.
    pub document: Document,
    /// CometBFT's folder. Its keys and configuration are written by us, its data by CometBFT.
    pub home: PathBuf,
    /// The program; found by [`find_binary`] if it is not given.
    pub binary: Option<PathBuf>,
    /// Where the application listens. At most 100 bytes long.
    pub abci_socket: PathBuf,
    /// Where CometBFT answers.
    pub rpc: RpcAddress,
    /// Where peers connect, as "host:port"; port 0 takes any.
    pub p2p_listen: String,
    /// How peers reach this node, if not by what it listens on.
    pub p2p_external: String,
    /// Peers to stay connected with, as "id@host:port" (see [`node_id`]).
    pub persistent_peers: Vec<String>,
    /// Nodes that are asked for further peers, as "id@host:port".
    pub seeds: Vec<String>,
    /// The validator key signed for another home before. A home that has signed nothing yet starts
    /// only if the key signed none of the last `TAKEOVER_BLOCKS` blocks.
    pub took_over_key: bool,
    /// The node's name for people.
    pub moniker: String,
    /// The validator key. CometBFT needs it in a file, whether the node is a validator or not.
    pub validator_key: SigningKey,
    /// The key that peers know the node by.
    pub node_key: SigningKey,
    /// The pace.
    pub timing: Timing,
    /// Whether peers may share an address, and addresses may be private: networks on one machine.
    pub local_network: bool,
    /// Go's threads; as many as there are processors if not given.
    pub max_procs: Option<u32>,
    /// Where CometBFT's own metrics are served, as "host:port"; nowhere if not given.
    pub prometheus: Option<String>,
    /// Most bytes of a block.
    pub max_block_bytes: u64,
    /// How long it may take to end when it is asked to.
    pub stop_timeout: Duration,
    /// Further environment, e.g. CometBFT's fault injection in tests.
    pub environment: Vec<(String, String)>,
}

impl CometOptions {
    /// A node alone with its home, on this machine: a validator without peers.
    pub fn local(document: Document, home: PathBuf, validator_key: SigningKey) -> Self {
        let node_key = SigningKey::from_seed(
            paralith_crypto::hash(NODE_KEY, &[validator_key.seed().as_slice()]).0,
        );
        Self {
            abci_socket: home.join("abci.sock"),
            rpc: RpcAddress::Unix(home.join("rpc.sock")),
            document,
            home,
            binary: None,
            p2p_listen: "127.0.0.1:0".to_string(),
            p2p_external: String::new(),
            persistent_peers: Vec::new(),
            seeds: Vec::new(),
            took_over_key: false,
            moniker: "paralith".to_string(),
            validator_key,
            node_key,
            timing: Timing::LOCAL,
            local_network: true,
            max_procs: None,
            prometheus: None,
            max_block_bytes: 4 * 1024 * 1024,
            stop_timeout: Duration::from_secs(10),
            environment: Vec::new(),
        }
    }
}

impl CometOptions {
    /// A node of a network across the world.
    pub fn wide(document: Document, home: PathBuf, validator_key: SigningKey) -> Self {
        Self {
            timing: Timing::WIDE,
            local_network: false,
            ..Self::local(document, home, validator_key)
        }
    }
}

/// How many blocks a key that was taken over may not have signed. Only checked before a home's first
/// signature: with it always on, a third of the stake that restarts together could never start again.
pub(crate) const TAKEOVER_BLOCKS: u32 = 10;

const NODE_KEY: paralith_crypto::Domain =
    paralith_crypto::Domain::new("paralith/comet/node-key/v1");
