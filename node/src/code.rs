//! Modules by hash: which are accepted, how they are checked, and where they are kept.
//!
//! A module is accepted only if the descriptor of a registered ParaTime names its hash. The owner
//! therefore registers first, which costs stake and a fee, and uploads then: what strangers can
//! make a node compile and store is bounded by what owners paid for. Modules are compiled one at a
//! time, in a process of its own with limits on CPU time and memory, and the verdict is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use paralith_consensus_api::registry;
use paralith_proto::status::status_of;
use paralith_runtime_vm::{MAX_CODE_BYTES, UploadError};
use paralith_storage::{Column, Durability, Kv, WriteBatch};
use paralith_types::{CodeId, Error, Retry};
use rustix::process::{Resource, Rlimit, setrlimit};
use tonic::{Code, Status};

use crate::chain::ChainAccess;
use crate::enclave::Placement;
use crate::error::NodeError;
use crate::state::NodeState;

const CODE_PREFIX: &[u8] = b"code/";

/// Processor time that compiling one module may take.
const MAX_CPU_SECONDS: u64 = 20;

/// Memory that compiling one module may take.
const MAX_MEMORY_BYTES: u64 = 2 << 30;

/// Uploads that may wait for the compiler; each holds its module.
const MAX_WAITING: usize = 8;

/// Verdicts on refused modules that are remembered. The bound only guards memory: a refused module
/// is named by a descriptor, too.
const MAX_VERDICTS: usize = 1024;

/// Why a module is not accepted, beside what is wrong with its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// No registered ParaTime has it.
    #[error(
        "no registered ParaTime has the code {0}: register its descriptor first, wait until the \
         node has seen it, and upload again"
    )]
    NotNamed(CodeId),
    /// The compiler ran into its limits.
    #[error(
        "compiling it takes more than {MAX_CPU_SECONDS} seconds or {} MiB: split its largest \
         functions",
        MAX_MEMORY_BYTES >> 20
    )]
    TooExpensive,
    /// Too many uploads wait.
    #[error("the node is checking other modules: try again")]
    Busy,
    /// The module's own fault.
    #[error("{}", .0.message)]
    Refused(Error),
    /// The node's fault.
    #[error("the module could not be checked: {0}. Look at the node's log")]
    Node(String),
    /// No compute node took it.
    #[error("no compute node took the module: {0}")]
    NoTaker(String),
}

impl CodeError {
    /// Stable code within module "code".
    pub fn code(&self) -> u32 {
        match self {
            Self::NotNamed(_) => 1,
            Self::TooExpensive => 2,
            Self::Busy => 3,
            Self::Node(_) => 4,
            Self::NoTaker(_) => 5,
            Self::Refused(error) => error.code,
        }
    }

    /// The refusal as it travels.
    pub fn to_error(&self) -> Error {
        let retry = match self {
            // A node that is behind will know the descriptor a block later.
            Self::NotNamed(_) | Self::Busy | Self::NoTaker(_) => Retry::Later,
            Self::Node(_) => Retry::OtherPeer,
            Self::TooExpensive => Retry::Never,
            Self::Refused(error) => return error.clone(),
        };
        Error::new("code", self.code(), self).with_retry(retry)
    }
}

impl From<NodeError> for CodeError {
    fn from(error: NodeError) -> Self {
        Self::Node(error.to_string())
    }
}

impl From<UploadError> for CodeError {
    fn from(error: UploadError) -> Self {
        Self::Refused(Error::new("upload", error.code(), &error))
    }
}

impl From<CodeError> for Status {
    fn from(error: CodeError) -> Self {
        let grpc = match &error {
            CodeError::NotNamed(_) => Code::FailedPrecondition,
            CodeError::TooExpensive | CodeError::Refused(_) => Code::InvalidArgument,
            CodeError::Busy => Code::ResourceExhausted,
            CodeError::NoTaker(_) => Code::Unavailable,
            CodeError::Node(_) => Code::Internal,
        };
        status_of(grpc, &error.to_error())
    }
}

/// The hashes that descriptors name, as of a height.
type Named = Option<(u64, BTreeSet<CodeId>)>;

/// Modules by hash.
#[derive(Debug)]
pub struct CodeStore {
    kv: Kv,
    chain: Arc<ChainAccess>,
    placement: Placement,
    named: Mutex<Named>,
    refused: Mutex<BTreeMap<CodeId, CodeError>>,
    waiting: tokio::sync::Semaphore,
    compiler: tokio::sync::Mutex<()>,
}

impl CodeStore {
    /// In the node's store. Modules are compiled where the node's enclaves run.
    pub fn new(kv: Kv, chain: Arc<ChainAccess>, placement: Placement) -> Self {
        Self {
            kv,
            chain,
            placement,
            named: Mutex::default(),
            refused: Mutex::default(),
            waiting: tokio::sync::Semaphore::new(MAX_WAITING),
            compiler: tokio::sync::Mutex::new(()),
        }
    }

    /// A module, if this node has it.
    pub fn get(&self, id: &CodeId) -> Result<Option<Vec<u8>>, NodeError> {
        let key = [CODE_PREFIX, id.as_bytes()].concat();
        self.kv.get(Column::Blocks, &key).map_err(|e| NodeError::internal(&e))
    }

    /// Keeps a module that a descriptor names, once the compiler has accepted it.
    pub async fn upload(&self, module: Vec<u8>) -> Result<CodeId, CodeError> {
        if module.len() > MAX_CODE_BYTES {
            return Err(UploadError::TooLarge { bytes: module.len(), max: MAX_CODE_BYTES }.into());
        }
        let id = paralith_runtime_vm::code_id(&module);
        // WI-7: what is compiled and stored was paid for by an owner.
        if !self.is_named(&id).await? {
            return Err(CodeError::NotNamed(id));
        }
        let _place = self.waiting.try_acquire().map_err(|_| CodeError::Busy)?;
        let _turn = self.compiler.lock().await;
        if self.get(&id)?.is_some() {
            return Ok(id);
        }
        if let Some(error) = lock(&self.refused).get(&id) {
            return Err(error.clone());
        }
        let placement = self.placement.clone();
        let checked = paralith_rt::blocking(move || check(&placement, &module).map(|()| module));
        match checked.await.map_err(|e| CodeError::Node(e.to_string()))? {
            Ok(module) => Ok(self.put(&module)?),
            Err(error @ CodeError::Node(_)) => Err(error),
            Err(error) => {
                let mut refused = lock(&self.refused);
                if refused.len() >= MAX_VERDICTS {
                    refused.pop_first();
                }
                refused.insert(id, error.clone());
                Err(error)
            }
        }
    }

    /// Whether a descriptor in the newest proven state names the hash. State is read once a height,
    /// however many ask.
    async fn is_named(&self, id: &CodeId) -> Result<bool, CodeError> {
        let height = self.chain.height()?;
        if let Some((at, named)) = &*lock(&self.named)
            && *at == height
        {
            return Ok(named.contains(id));
        }
        let runtimes = self.chain.runtimes(Some(height)).await?;
        let named: BTreeSet<CodeId> =
            runtimes.iter().filter_map(|runtime| Some(runtime.code.as_ref()?.id)).collect();
        let known = named.contains(id);
        *lock(&self.named) = Some((height, named));
        Ok(known)
    }

    /// Keeps the modules of a folder, if there is one: those that a network begins with.
    pub fn import(&self, folder: &Path) -> Result<(), NodeError> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ending| ending == "wasm") {
                let module = std::fs::read(&path)
                    .map_err(|e| NodeError::io(path.display().to_string(), &e))?;
                self.put(&module)?;
            }
        }
        Ok(())
    }

    /// Keeps a module that the operator or the chain vouches for, under the hash of its bytes.
    pub fn put(&self, module: &[u8]) -> Result<CodeId, NodeError> {
        let id = paralith_runtime_vm::code_id(module);
        let mut batch = WriteBatch::new();
        batch.put(Column::Blocks, [CODE_PREFIX, id.as_bytes()].concat(), module);
        self.kv.write(batch, Durability::Synced).map_err(|e| NodeError::internal(&e))?;
        Ok(id)
    }
}

/// Accepts a user's module and gives it to the compute nodes. It is uploaded once one of them has
/// it: the others fetch it from each other.
pub async fn upload(state: &NodeState, module: Vec<u8>) -> Result<CodeId, CodeError> {
    let id = state.services.code.upload(module.clone()).await?;
    let nodes = state.chain.nodes(None).await?;
    let mut last = "none is registered yet".to_string();
    let mut taken = false;
    let mut others = Vec::new();
    for node in nodes.into_iter().filter(|node| node.has_role(registry::ROLE_COMPUTE)) {
        if node.id == state.node_id {
            taken = true;
        } else {
            let module = module.clone();
            others.push(async move { state.links.store_code(&node.id, module).await });
        }
    }
    for stored in join_all(others).await {
        match stored {
            Ok(()) => taken = true,
            Err(error) => last = error.to_string(),
        }
    }
    if taken { Ok(id) } else { Err(CodeError::NoTaker(last)) }
}

/// Compiles a module where enclaves run: in this process for development, else in a child.
fn check(placement: &Placement, module: &[u8]) -> Result<(), CodeError> {
    match placement {
        Placement::InProcess => compile(module),
        Placement::Process { program } => check_in_child(program, module),
    }
}

fn compile(module: &[u8]) -> Result<(), CodeError> {
    let engine = paralith_runtime_vm::Engine::new().map_err(|e| CodeError::Node(e.to_string()))?;
    engine.compile(module).map(drop).map_err(CodeError::from)
}

/// The hidden subcommand that `check_in_child` starts.
pub const SUBCOMMAND: &str = "check-module";

fn check_in_child(program: &Path, module: &[u8]) -> Result<(), CodeError> {
    let failed = |e: std::io::Error| CodeError::Node(format!("the compiler's process: {e}"));
    let mut child = Command::new(program)
        .arg(SUBCOMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A child that ended already says why by how it ended.
        let _ = input.write_all(module);
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        // Ended by a signal: the limit of time or memory.
        return match output.status.code() {
            None => Err(CodeError::TooExpensive),
            Some(code) => {
                Err(CodeError::Node(format!("the compiler's process exited with {code}")))
            }
        };
    }
    verdict(&output.stdout)
}

/// Reads what the child wrote: "ok", or the refusal's code and text.
fn verdict(written: &[u8]) -> Result<(), CodeError> {
    let text = std::str::from_utf8(written).unwrap_or_default();
    if text == "ok" {
        return Ok(());
    }
    match text.split_once(' ').map(|(code, message)| (code.parse::<u32>(), message)) {
        Some((Ok(code), message)) if code != 0 => {
            Err(CodeError::Refused(Error::new("upload", code, message)))
        }
        _ => Err(CodeError::Node("the compiler's process gave no verdict".to_string())),
    }
}

/// The child's `main`: compiles the module on standard input and writes the verdict.
pub fn check_standard_input() -> Result<(), NodeError> {
    let limit = |resource, most: u64| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(|e| NodeError::io("limiting the compiler's process", &e.into()))
    };
    // WI-9: whatever a module costs ends here.
    limit(Resource::Cpu, MAX_CPU_SECONDS)?;
    limit(Resource::Data, MAX_MEMORY_BYTES)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    let mut module = Vec::new();
    std::io::stdin()
        .take(MAX_CODE_BYTES as u64 + 1)
        .read_to_end(&mut module)
        .map_err(|e| NodeError::io("standard input", &e))?;
    let text = match compile(&module) {
        Ok(()) => "ok".to_string(),
        Err(CodeError::Refused(error)) => format!("{} {}", error.code, error.message),
        Err(other) => return Err(NodeError::internal(&other)),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| NodeError::io("standard output", &e))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
