//! What is committed under `recorded/`, and how it is read and written.
//!
//! JSON with hexadecimal bytes, compressed by `gzip`; the genesis document and nothing else lies
//! there in the clear, since its text is what the chain's context is the hash of. The modules are
//! those that the ParaTimes executed: they are recorded, too, so that a change of a runtime's
//! source or of its compiler does not change what is played again.

use std::path::{Path, PathBuf};
use std::process::Command;

use paralith_genesis::Document;
use paralith_types::{Hash, Height, Round, RuntimeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes, in hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Raw(#[serde(with = "paralith_types::hex_bytes")] pub Vec<u8>);

/// Everything that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// What the chain begins with.
    pub document: Document,
    /// Consensus blocks from the first one on.
    pub blocks: Vec<Block>,
    /// How many of the blocks a solo validator can make: the later ones have what only others bring,
    /// such as misbehaviour and transactions that no pool admits.
    pub solo_blocks: usize,
    /// ParaTimes by name.
    pub paratimes: Vec<ParaTime>,
    /// Enclaves: the key manager's first.
    pub enclaves: Vec<Enclave>,
}

/// A decided block and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its height.
    pub height: Height,
    /// Its time, seconds since 1970.
    pub time_seconds: u64,
    /// CometBFT's address of the proposer.
    pub proposer: Raw,
    /// Signed transactions, in order.
    pub txs: Vec<Raw>,
    /// CometBFT's addresses of validators that it caught, and the height of the offence.
    pub misbehaviour: Vec<(Raw, Height)>,
    /// What became of each transaction: "module/code/gas used".
    pub outcomes: Vec<String>,
    /// The state's root after it.
    pub app_hash: Hash,
}

/// A ParaTime and its batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParaTime {
    /// Its name: that of its module.
    pub name: String,
    /// Its id.
    pub id: RuntimeId,
    /// Its batches in the order of their rounds, all final.
    pub batches: Vec<Batch>,
}

/// A batch and what executing it gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its round.
    pub round: Round,
    /// The signed proposal, encoded: it pins round, block before, consensus height and batch.
    pub proposal: Raw,
    /// Signed transactions, in order.
    pub transactions: Vec<Raw>,
    /// Root of the state after it.
    pub state_root: Hash,
    /// Root of its inputs and outputs.
    pub io_root: Hash,
    /// Hash of its messages to consensus.
    pub messages_hash: Hash,
    /// Hash of the messages that it took from consensus.
    pub in_messages_hash: Hash,
}

/// An enclave, and all calls that its host made to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclave {
    /// The node that runs it.
    pub node: u8,
    /// Place of its ParaTime in [`Recording::paratimes`]; none of the key manager's.
    pub paratime: Option<usize>,
    /// The calls in their order.
    pub steps: Vec<Step>,
}

/// A call, and the hash of the encoded reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was called.
    pub call: Call,
    /// The first 8 bytes of the reply's SHA-256.
    pub reply: Raw,
}

/// A call to an enclave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Starts it with this seed and with what the last [`Call::Stop`] gave to keep.
    Start(u8),
    /// Ends it: all that it held in memory is gone.
    Stop,
    /// Follows the chain to this height.
    Sync(u64),
    /// A blob that proves freshness once it is included.
    Blob,
    /// The blob is in the state of this height.
    Confirm(u64),
    /// Asks for the keys of an epoch.
    KeyRequest(u64),
    /// The key manager's reply to that.
    Keys(Raw),
    /// Executes a batch, by its place.
    Execute(usize),
    /// The host applies the write log of the batch that was executed last; replies with the root.
    Apply(usize),
    /// Opens the outputs of the batch that was executed last.
    Release(usize),
    /// Would these of a batch be authenticated?
    Check(usize),
    /// Answers a query on the last final root.
    Query(Raw),
    /// Reveals what a round asked to reveal.
    Reveal(Round, Raw),
    /// Of the key manager: what it says of itself.
    Init,
    /// Makes the next generation.
    GenerateMaster(u64),
    /// Makes an epoch's secret.
    GenerateEpochSecret(u64),
    /// Takes what is published.
    Load,
    /// Answers a compute enclave.
    AnswerKeys(Raw),
    /// The key that clients seal calls to.
    PublicKey(RuntimeId, u64),
}

/// The file of everything but genesis and modules.
#[derive(Serialize, Deserialize)]
struct Blocks {
    solo_blocks: usize,
    blocks: Vec<Block>,
}

/// Where the committed recording lies.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

/// A recorded module.
pub fn module(name: &str) -> Vec<u8> {
    unpack(&folder().join(format!("{name}.wasm.gz")))
}

impl Recording {
    /// The committed one.
    pub fn load() -> Self {
        Self::read(&folder())
    }

    /// Reads one from a folder.
    pub fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(GENESIS)).unwrap();
        let Blocks { solo_blocks, blocks } = read(&folder.join(BLOCKS));
        Self {
            document: Document::parse(&text).unwrap(),
            blocks,
            solo_blocks,
            paratimes: read(&folder.join(BATCHES)),
            enclaves: read(&folder.join(CALLS)),
        }
    }

    /// Writes it into a folder.
    pub fn write(&self, folder: &Path) {
        let text = self.document.to_json().unwrap();
        std::fs::write(folder.join(GENESIS), text).unwrap();
        let blocks = Blocks { solo_blocks: self.solo_blocks, blocks: self.blocks.clone() };
        write(&folder.join(BLOCKS), &blocks);
        write(&folder.join(BATCHES), &self.paratimes);
        write(&folder.join(CALLS), &self.enclaves);
    }

    /// The ParaTime of an enclave.
    pub fn paratime_of(&self, enclave: &Enclave) -> Option<&ParaTime> {
        enclave.paratime.map(|place| &self.paratimes[place])
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&unpack(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn write<T: Serialize>(path: &Path, value: &T) {
    let plain = path.with_extension("");
    let mut json = serde_json::to_vec_pretty(value).unwrap();
    json.push(b'\n');
    std::fs::write(&plain, json).unwrap();
    // Without name and time, so that the same content gives the same file.
    let status = Command::new("gzip").args(["-9nf"]).arg(&plain).status().unwrap();
    assert!(status.success(), "gzip {}", plain.display());
}

fn unpack(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

const GENESIS: &str = "genesis.json";
const BLOCKS: &str = "blocks.json.gz";
const BATCHES: &str = "batches.json.gz";
const CALLS: &str = "calls.json.gz";
