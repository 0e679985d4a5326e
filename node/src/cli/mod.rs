//! The command line: what a person types, with an example for everything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use paralith_types::{Amount, Hash, PublicKey};

use crate::error::NodeError;
use crate::roles::compute::Connect;

pub mod chaincode;
mod common;
pub mod completions;
pub mod contract;
pub mod demo;
pub(crate) mod deploy;
pub mod dev;
pub mod keys;
pub mod localnet;
pub mod output;
pub mod query;
pub mod runtime;
mod screen;
mod shared;
pub mod signals;
pub mod start;
pub mod status;
pub mod tx;

pub use common::{DEFAULT_NODE, FeeArgs, NodeArgs, SignerArgs, TlsArgs};
pub use demo::{DemoArgs, DemoCommand};

/// A layered blockchain node with confidential ParaTimes.
#[derive(Debug, Parser)]
#[command(name = "paralith", version, arg_required_else_help = true)]
#[command(
    after_help = "Try first:\n  paralith dev --once      one confidential transaction, shown step by step\n  paralith dev             a chain of your own, with everything on"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything that the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole chain in one process, for development.
    #[command(after_help = "Example:\n  paralith dev --home ./chain --seed 7")]
    Dev(DevArgs),
    /// Run a whole network of real processes on this machine, on CometBFT.
    #[command(
        after_help = "Example:\n  paralith localnet --validators 4 --compute 6 --keymanagers 2 --home ./net"
    )]
    Localnet(LocalnetArgs),
    /// Run one node with one or more roles.
    #[command(after_help = "Example:\n  paralith start --config ./node.toml")]
    Start(StartArgs),
    /// Make and list keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Send transactions to the consensus layer.
    #[command(subcommand)]
    Tx(TxCommand),
    /// Ask the chain. What it answers is verified by proof.
    #[command(subcommand)]
    Query(QueryCommand),
    /// Deploy, call and watch ParaTimes.
    #[command(subcommand)]
    Runtime(RuntimeCommand),
    /// Private contracts: code and state only at their members, order and outcome on the chain.
    #[command(subcommand)]
    Contract(contract::ContractCommand),
    /// Chaincode in enclaves: calls endorsed by organisations, ordered and validated by a ledger.
    #[command(subcommand)]
    Chaincode(chaincode::ChaincodeCommand),
    /// Show a whole system at work, on a chain of its own that is gone at the end.
    #[command(subcommand)]
    Demo(DemoCommand),
    /// Ask a node how it is.
    #[command(after_help = "Example:\n  paralith status --node http://127.0.0.1:26600")]
    Status(NodeArgs),
    /// Print the completions of a shell.
    #[command(
        after_help = "Example:\n  paralith completions bash > ~/.local/share/bash-completion/completions/paralith"
    )]
    Completions(CompletionsArgs),
    /// Write the manual pages, one for each command.
    #[command(after_help = "Example:\n  paralith man ~/.local/share/man/man1")]
    Man(ManArgs),
    /// The enclave of a compute node: started by the node, speaks on its standard input.
    #[command(hide = true)]
    RuntimeEnclave,
    /// The enclave of a key manager: started by the node, speaks on its standard input.
    #[command(hide = true)]
    KeymanagerEnclave,
    /// The enclave of an endorser: started by the node, speaks on its standard input.
    #[command(hide = true)]
    EndorserEnclave,
    /// Compiles the module on standard input under limits: started by the node.
    #[command(hide = true)]
    CheckModule,
}

/// Which consensus engine a development chain runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// In process: no second program, blocks on demand.
    Solo,
    /// CometBFT as a child process.
    Cometbft,
}

/// Options of `dev`.
#[derive(Debug, Clone, Args)]
pub struct DevArgs {
    /// Keep the chain here and go on with it next time; without it the chain is gone at the end.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Derives every key of the chain: the same seed gives the same accounts and runtimes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The consensus engine.
    #[arg(long, value_enum, default_value_t = EngineKind::Solo)]
    pub engine: EngineKind,
    /// Run a fresh chain, show one confidential transaction step by step, clean up and stop.
    #[arg(long, conflicts_with = "home")]
    pub once: bool,
    /// Send a first confidential transaction, then keep running.
    #[arg(long, conflicts_with = "once")]
    pub demo: bool,
    /// Hold the mediator of private contracts, and let stakeholders' nodes of other processes on this
    /// machine connect to the compute nodes.
    #[arg(long)]
    pub private_contracts: bool,
    /// Hold the ledger `channel` of chaincode, with three organisations, and let endorsers' nodes of
    /// other processes on this machine connect.
    #[arg(long)]
    pub chaincode: bool,
    /// Where the public service listens.
    #[arg(long, default_value = "127.0.0.1:26600", value_name = "HOST:PORT")]
    pub listen: String,
    /// Print JSON, a line an object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `localnet`.
#[derive(Debug, Clone, Args)]
pub struct LocalnetArgs {
    /// Validators, each with a CometBFT of its own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub validators: u16,
    /// Compute nodes: 3 workers and 3 backups are elected among them.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(3..=32))]
    pub compute: u16,
    /// Key managers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub keymanagers: u16,
    /// Keep the network here and go on with it next time.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Derives every key of the network.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run a node with another program than this one, e.g. of another version:
    /// `compute-1=./paralith-next`.
    #[arg(long, value_name = "NODE=FILE", value_parser = node_program)]
    pub program: Vec<(String, PathBuf)>,
    /// Keep every frame that enclaves and links between nodes carry, in the clear, and write
    /// databases uncompressed: for a search for secrets. Only when the network is made.
    #[arg(long)]
    pub record: bool,
    /// Hold the mediator of private contracts. Only when the network is made.
    #[arg(long)]
    pub private_contracts: bool,
    /// Hold the ledger `channel` of chaincode, with three organisations. Only when the network is made.
    #[arg(long)]
    pub chaincode: bool,
    /// The first of the ports that the network listens on.
    #[arg(long, default_value_t = 26600)]
    pub base_port: u16,
    /// Print JSON, a line an object, instead of the status screen.
    #[arg(long)]
    pub json: bool,
}

/// `NODE=FILE`.
fn node_program(text: &str) -> Result<(String, PathBuf), String> {
    let (node, file) = text.split_once('=').ok_or("write NODE=FILE")?;
    Ok((node.to_string(), PathBuf::from(file)))
}

/// Options of `start`.
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// The node's configuration, in TOML.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `paralith keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, encrypted under a password.
    #[command(after_help = "Example:\n  paralith keys new treasury")]
    New(NewKeyArgs),
    /// Write a key out: its encrypted file, or its 24 words.
    #[command(
        after_help = "Examples:\n  paralith keys export treasury --file treasury-backup.json\n  paralith keys export treasury --words"
    )]
    Export(ExportArgs),
    /// Take a key in: an encrypted file, or 24 words.
    #[command(
        after_help = "Examples:\n  paralith keys import treasury --file treasury-backup.json\n  paralith keys import treasury --words"
    )]
    Import(ImportArgs),
    /// List the keys of the keystore and the test accounts.
    #[command(after_help = "Example:\n  paralith keys list --json")]
    List(KeysArgs),
    /// Show a key's address and public key.
    #[command(after_help = "Example:\n  paralith keys show alice")]
    Show(KeyArgs),
}

/// Where keys are.
#[derive(Debug, Clone, Args)]
pub struct KeysArgs {
    /// The folder of the encrypted keys.
    #[arg(long, env = "PARALITH_KEYS", value_name = "DIR")]
    pub keystore: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One key.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// Its name.
    pub name: String,
    /// Where keys are.
    #[command(flatten)]
    pub keys: KeysArgs,
}

/// A new key.
#[derive(Debug, Clone, Args)]
pub struct NewKeyArgs {
    /// Its name.
    pub name: String,
    /// A file whose first line is the password; otherwise it is typed, twice.
    #[arg(long, env = "PARALITH_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where keys are.
    #[command(flatten)]
    pub keys: KeysArgs,
}

/// A key that leaves the keystore.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Its name.
    pub name: String,
    /// Write the encrypted file here; its password stays the same.
    #[arg(long, value_name = "FILE", required_unless_present = "words")]
    pub file: Option<PathBuf>,
    /// Print the key as 24 words (BIP-39). Who reads them has the key.
    #[arg(long, conflicts_with = "file")]
    pub words: bool,
    /// A file whose first line is the password; otherwise it is typed.
    #[arg(long, env = "PARALITH_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where keys are.
    #[command(flatten)]
    pub keys: KeysArgs,
}

/// A key that enters the keystore.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The name that it gets here.
    pub name: String,
    /// An encrypted file that `keys export` has written.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["words", "words_file"])]
    pub file: Option<PathBuf>,
    /// Type 24 words; they are not shown.
    #[arg(long, conflicts_with = "file")]
    pub words: bool,
    /// Read the 24 words from a file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "words"])]
    pub words_file: Option<PathBuf>,
    /// A file whose first line is the password; otherwise it is typed.
    #[arg(long, env = "PARALITH_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where keys are.
    #[command(flatten)]
    pub keys: KeysArgs,
}

/// `paralith tx …`
#[derive(Debug, Subcommand)]
pub enum TxCommand {
    /// Move tokens to another account.
    #[command(after_help = "Example:\n  paralith tx transfer bob 1000 --from alice")]
    Transfer(MoveArgs),
    /// Stake tokens on an account.
    #[command(after_help = "Example:\n  paralith tx escrow paralith1… 1000 --from alice")]
    Escrow(MoveArgs),
    /// Take shares of stake back; they are paid out after the debonding time.
    #[command(after_help = "Example:\n  paralith tx reclaim paralith1… 500 --from alice")]
    Reclaim(MoveArgs),
    /// Send tokens into a ParaTime.
    #[command(after_help = "Example:\n  paralith tx deposit tokens 1000 --from alice")]
    Deposit(MoveArgs),
    /// Register the signer as an entity, or add nodes that it answers for.
    #[command(after_help = "Example:\n  paralith tx entity --owns NODE-ID --from treasury")]
    Entity(EntityArgs),
}

/// An entity.
#[derive(Debug, Clone, Args)]
pub struct EntityArgs {
    /// The id of a node that it answers for; may be repeated. Nodes that it lists already stay.
    #[arg(long, value_name = "NODE-ID")]
    pub owns: Vec<PublicKey>,
    /// The signer, who becomes the entity. Its own stake must cover the entity's claim.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// To whom and how much.
#[derive(Debug, Clone, Args)]
pub struct MoveArgs {
    /// An address, the name of a key, or of a ParaTime where one is meant.
    pub to: String,
    /// Base units; of a reclaim, shares.
    pub amount: String,
    /// The signer.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `paralith query …`
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// An account's balance and stake.
    #[command(after_help = "Example:\n  paralith query account alice")]
    Account(AccountArgs),
    /// A node's registration; without an id, all nodes.
    #[command(after_help = "Example:\n  paralith query node --json")]
    Node(OptionalNameArgs),
    /// A ParaTime's descriptor; without a name, all.
    #[command(after_help = "Example:\n  paralith query runtime tokens")]
    Runtime(OptionalNameArgs),
    /// The committee that executes a ParaTime's rounds in this epoch.
    #[command(after_help = "Example:\n  paralith query committee tokens")]
    Committee(NameArgs),
    /// A consensus block; without a height, the newest.
    #[command(after_help = "Example:\n  paralith query block 12")]
    Block(BlockArgs),
    /// What a consensus transaction gave.
    #[command(
        after_help = "Example:\n  paralith query transaction 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    )]
    Transaction(TransactionArgs),
    /// A ParaTime's round; without a number, the newest.
    #[command(after_help = "Example:\n  paralith query round tokens 3")]
    Round(RoundArgs),
    /// A value of consensus state with its proof, verified here.
    #[command(after_help = "Example:\n  paralith query proof beacon/epoch")]
    Proof(ProofArgs),
    /// Entries of a ParaTime's state, proven here. Of a confidential one, only public entries.
    #[command(
        after_help = "Example:\n  paralith query state counter count\n  paralith query state tokens minter --round 12 --json"
    )]
    State(StateArgs),
}

/// An account.
#[derive(Debug, Clone, Args)]
pub struct AccountArgs {
    /// An address, or the name of a key.
    pub name: String,
    /// The folder of the encrypted keys.
    #[arg(long, env = "PARALITH_KEYS", value_name = "DIR")]
    pub keystore: Option<PathBuf>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Something with a name.
#[derive(Debug, Clone, Args)]
pub struct NameArgs {
    /// Its name, id or address.
    pub name: String,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Something with a name, or all of it.
#[derive(Debug, Clone, Args)]
pub struct OptionalNameArgs {
    /// Its name or id.
    pub name: Option<String>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// A block.
#[derive(Debug, Clone, Args)]
pub struct BlockArgs {
    /// Its height.
    pub height: Option<u64>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// A transaction.
#[derive(Debug, Clone, Args)]
pub struct TransactionArgs {
    /// Its hash, which `paralith tx` prints.
    pub hash: Hash,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// A round.
#[derive(Debug, Clone, Args)]
pub struct RoundArgs {
    /// The ParaTime's name or id.
    pub runtime: String,
    /// Its number.
    pub round: Option<u64>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// A key of state.
#[derive(Debug, Clone, Args)]
pub struct ProofArgs {
    /// As text, or hexadecimal after `0x`.
    pub key: String,
    /// The height; without it, the newest.
    #[arg(long)]
    pub height: Option<u64>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Entries of a ParaTime's state.
#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// The ParaTime's name or id.
    pub runtime: String,
    /// Keys as the runtime's code names them: as text, or hexadecimal after `0x`.
    #[arg(required = true, num_args = 1..=64)]
    pub keys: Vec<String>,
    /// The round after which the state was so; without it, the newest.
    #[arg(long)]
    pub round: Option<u64>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `paralith runtime …`
#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Upload a module and register a ParaTime with it.
    #[command(
        after_help = "Example:\n  paralith runtime deploy ./hello.wasm --name hello\n  paralith runtime deploy ./tokens.wasm --name secret --confidential --init '{\"minter\":\"paralith1…\"}'"
    )]
    Deploy(DeployArgs),
    /// Send a call. To a confidential ParaTime it is encrypted, and the reply decrypted, by itself.
    #[command(
        after_help = "Example:\n  paralith runtime call tokens transfer '{\"to\":\"paralith1…\",\"amount\":\"5\",\"memo\":\"tea\"}' --from alice"
    )]
    Call(CallArgs),
    /// Ask a ParaTime, on its newest final state.
    #[command(after_help = "Example:\n  paralith runtime query counter get")]
    Query(CallArgs),
    /// Show rounds as they become final.
    #[command(after_help = "Example:\n  paralith runtime watch tokens")]
    Watch(WatchArgs),
    /// What a final round of a ParaTime was asked to reveal.
    #[command(after_help = "Example:\n  paralith runtime reveal ballot 12 0000000000000001")]
    Reveal(RevealArgs),
    /// Register or change a runtime by its descriptor. If others approve its changes, this proposes.
    #[command(
        after_help = "Examples:\n  paralith query runtime counter --json > counter.json\n  paralith runtime propose counter.json --new shared --organisation alice --organisation bob --policy 'all(alice, bob)'\n  paralith runtime propose shared.json"
    )]
    Propose(shared::ProposeArgs),
    /// Approve a proposed descriptor, as one of the organisations, or withdraw an approval.
    #[command(
        after_help = "Examples:\n  paralith runtime approve RUNTIME DESCRIPTOR-HASH --from bob\n  paralith runtime approve RUNTIME --withdraw --from bob"
    )]
    Approve(shared::ApproveArgs),
    /// What is proposed, approved and scheduled for a runtime.
    #[command(after_help = "Example:\n  paralith runtime proposals RUNTIME")]
    Proposals(NameArgs),
    /// The enclaves that run a runtime, as the chain has them.
    #[command(after_help = "Example:\n  paralith runtime enclaves tokens")]
    Enclaves(NameArgs),
    /// Revoke an enclave for ever.
    #[command(after_help = "Example:\n  paralith runtime revoke-enclave tokens RAK --from alice")]
    RevokeEnclave(shared::RevokeArgs),
}

/// Options of `runtime deploy`.
#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    /// The WebAssembly module.
    pub module: PathBuf,
    /// A short name for people.
    #[arg(long)]
    pub name: String,
    /// Encrypt its state: only enclaves can read it.
    #[arg(long)]
    pub confidential: bool,
    /// Take calls in plain too.
    #[arg(long, requires = "confidential")]
    pub allow_plain: bool,
    /// Given to its `init`; JSON by convention.
    #[arg(long, default_value = "")]
    pub init: String,
    /// Committee and pace; what is not given follows from the kind of chain.
    #[command(flatten)]
    pub rules: RulesArgs,
    /// The signer, who owns it.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What its transactions pay.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Rules of a ParaTime's rounds.
#[derive(Debug, Clone, Args)]
pub struct RulesArgs {
    /// Workers that execute each round.
    #[arg(long)]
    pub workers: Option<u32>,
    /// Backups that execute a disputed round.
    #[arg(long)]
    pub backups: Option<u32>,
    /// Workers whose vote may be missing.
    #[arg(long)]
    pub stragglers: Option<u32>,
    /// Consensus blocks after which a round times out.
    #[arg(long)]
    pub round_timeout_blocks: Option<u64>,
    /// How long a scheduler collects transactions for a batch, in milliseconds.
    #[arg(long)]
    pub flush_timeout_ms: Option<u32>,
    /// How long a scheduler is waited for, in milliseconds.
    #[arg(long)]
    pub propose_timeout_ms: Option<u32>,
    /// Least price of a unit of gas, in base units of the ParaTime.
    #[arg(long)]
    pub min_gas_price: Option<Amount>,
}

/// A call or a question.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// The ParaTime's name or id.
    pub runtime: String,
    /// The method.
    pub method: String,
    /// Its arguments, JSON by convention.
    #[arg(default_value = "{}")]
    pub args: String,
    /// Most gas that it may use. By default what the fee buys; where gas costs nothing, as much as a
    /// transaction may have.
    #[arg(long)]
    pub gas: Option<u64>,
    /// The fee in base units of the ParaTime; by default its least price for the gas limit. Nothing
    /// of it comes back if the call uses less.
    #[arg(long, value_name = "AMOUNT")]
    pub fee: Option<Amount>,
    /// The signer.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// What to watch.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// The ParaTime's name or id.
    pub runtime: String,
    /// Stop after this many rounds.
    #[arg(long)]
    pub count: Option<u64>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// What to reveal.
#[derive(Debug, Clone, Args)]
pub struct RevealArgs {
    /// The ParaTime's name or id.
    pub runtime: String,
    /// The round that asked for it.
    pub round: u64,
    /// The handle, hexadecimal.
    pub handle: String,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Options of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The folder for the pages. It is made if it is not there.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Runs a command. `connect` wraps the connections of the workers that `start` starts.
pub async fn run(command: Command, connect: Connect) -> Result<(), NodeError> {
    match command {
        Command::Dev(args) => dev::run(args).await,
        Command::Localnet(args) => localnet::run(args).await,
        Command::Start(args) => start::run(args, connect).await,
        Command::Keys(command) => keys::run(command),
        Command::Tx(command) => tx::run(command).await,
        Command::Query(command) => query::run(command).await,
        Command::Runtime(command) => runtime::run(command).await,
        Command::Contract(command) => contract::run(command).await,
        Command::Chaincode(command) => chaincode::run(command).await,
        Command::Demo(command) => demo::run(command).await,
        Command::Status(args) => status::run(args).await,
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
        // Handled before the async runtime starts.
        Command::RuntimeEnclave
        | Command::KeymanagerEnclave
        | Command::EndorserEnclave
        | Command::CheckModule => Ok(()),
    }
}
