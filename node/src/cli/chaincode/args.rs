//! Options of `paralith chaincode …`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use paralith_types::{Amount, ChainContext, Hash, PublicKey};

use super::super::{FeeArgs, NodeArgs, SignerArgs};

/// A chaincode, and the endorsers that are asked.
#[derive(Debug, Clone, Args)]
pub struct EndorserArgs {
    /// An endorser's node. Once for each; commas separate several in the variable.
    #[arg(
        long = "endorser",
        env = "PARALITH_ENDORSERS",
        value_name = "URL",
        value_delimiter = ',',
        required = true
    )]
    pub endorsers: Vec<String>,
    /// The file of a certificate, where the chaincode asks for one.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The node by which the chain is followed and the ledger is reached.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// What a transaction to the ledger uses and pays.
#[derive(Debug, Clone, Copy, Args)]
pub struct LedgerFeeArgs {
    /// Most gas that the commit may use. By default what the fee buys; where gas costs nothing, as
    /// much as a transaction may have.
    #[arg(long)]
    pub gas: Option<u64>,
    /// The fee in base units of the ledger; by default its least price for the gas limit.
    #[arg(long, value_name = "AMOUNT")]
    pub fee: Option<Amount>,
}

/// A module that this program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sample {
    /// Secrets under passwords.
    SecretKeeper,
    /// Sealed bids.
    Auction,
    /// The ledger.
    Ledger,
}

/// Options of `chaincode sample`.
#[derive(Debug, Clone, Args)]
pub struct SampleArgs {
    /// Which.
    #[arg(value_enum)]
    pub sample: Sample,
    /// Where it is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `chaincode deploy`.
#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    /// The module.
    pub module: PathBuf,
    /// The chaincode's name. With the name of one that is registered, this proposes its next version.
    #[arg(long)]
    pub name: String,
    /// The ledger's name or id.
    #[arg(long, default_value = crate::network::LEDGER)]
    pub ledger: String,
    /// An organisation: the name of a key, or `NAME=PUBLIC-KEY`. Once for each.
    #[arg(long, value_name = "NAME", required = true)]
    pub organisation: Vec<String>,
    /// Which organisations must approve: `2 of (a, b, c)`.
    #[arg(long, value_name = "POLICY")]
    pub policy: String,
    /// Which organisations must endorse a call; by default as `--policy`.
    #[arg(long, value_name = "POLICY")]
    pub endorsement: Option<String>,
    /// A key whose certificates give the right to call. Without any everybody may call.
    #[arg(long, value_name = "PUBLIC-KEY")]
    pub issuer: Vec<PublicKey>,
    /// How old, in blocks, the state may be on which an enclave executes.
    #[arg(long, default_value_t = 100)]
    pub anchor_blocks: u32,
    /// How many blocks after that state a call may be committed.
    #[arg(long, default_value_t = 200)]
    pub commit_blocks: u32,
    /// Gas of a call.
    #[arg(long, default_value_t = 1_000_000_000)]
    pub max_gas: u64,
    /// Longest response in bytes.
    #[arg(long, default_value_t = 65_536)]
    pub max_response_bytes: u32,
    /// Let results leave the enclaves before the commit: for chaincode whose results depend on no later
    /// event.
    #[arg(long)]
    pub early_results: bool,
    /// The signer: an organisation, or who is to own the chaincode.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `chaincode upload`.
#[derive(Debug, Clone, Args)]
pub struct UploadArgs {
    /// The module.
    pub module: PathBuf,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `chaincode allow`.
#[derive(Debug, Clone, Args)]
pub struct AllowArgs {
    /// The chaincode's name or id.
    pub chaincode: String,
    /// The owner of the key manager.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `chaincode init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The folder. It is made if it is not there.
    pub folder: PathBuf,
    /// The chaincode's name or id.
    pub chaincode: String,
    /// Where callers connect.
    #[arg(long, default_value = "127.0.0.1:27000", value_name = "HOST:PORT")]
    pub listen: String,
    /// The module, if no compute node has it.
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// What the node's account gets for its fees, from the organisation's.
    #[arg(long, default_value = "1000000", value_name = "AMOUNT")]
    pub funds: Amount,
    /// The file with the key that vouches for software enclaves. Test chains only.
    #[arg(long, value_name = "FILE")]
    pub platform_key: Option<PathBuf>,
    /// The seed of the development chain, whose platform vouches for the enclave.
    #[arg(long, default_value_t = 1, conflicts_with = "platform_key")]
    pub seed: u64,
    /// The organisation. Its entity gets the node.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// The node by which the endorser follows the chain.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `chaincode status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// The chaincode's name or id.
    pub chaincode: String,
    /// An endorser's node. Once for each.
    #[arg(
        long = "endorser",
        env = "PARALITH_ENDORSERS",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub endorsers: Vec<String>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `chaincode invoke`.
#[derive(Debug, Clone, Args)]
pub struct InvokeArgs {
    /// The chaincode's name or id.
    pub chaincode: String,
    /// The method; `app.init` and `app.migrate` are for organisations.
    pub method: String,
    /// Its arguments, JSON by convention.
    #[arg(default_value = "{}")]
    pub args: String,
    /// Keep the call here: what `result` and `receipt make` go on with. It holds the key of the result.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// The call has no effect after so many blocks; by default as many as the chaincode allows.
    #[arg(long)]
    pub valid_blocks: Option<u64>,
    /// Whom to ask.
    #[command(flatten)]
    pub endorsers: EndorserArgs,
    /// The commit.
    #[command(flatten)]
    pub ledger: LedgerFeeArgs,
    /// The caller, who also pays the ledger.
    #[command(flatten)]
    pub signer: SignerArgs,
}

/// Options of `chaincode evaluate`.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// The chaincode's name or id.
    pub chaincode: String,
    /// The method.
    pub method: String,
    /// Its arguments, JSON by convention.
    #[arg(default_value = "{}")]
    pub args: String,
    /// Whom to ask.
    #[command(flatten)]
    pub endorsers: EndorserArgs,
    /// Who asks. Without, the question is not signed.
    #[command(flatten)]
    pub signer: SignerArgs,
}

/// Options of `chaincode result`.
#[derive(Debug, Clone, Args)]
pub struct ResultArgs {
    /// The file of the call.
    pub call: PathBuf,
    /// Whom to ask.
    #[command(flatten)]
    pub endorsers: EndorserArgs,
    /// The commit.
    #[command(flatten)]
    pub ledger: LedgerFeeArgs,
    /// Who pays the ledger, if the call is not committed.
    #[command(flatten)]
    pub signer: SignerArgs,
}

/// Options of `chaincode reveal`.
#[derive(Debug, Clone, Args)]
pub struct RevealArgs {
    /// The chaincode's name or id.
    pub chaincode: String,
    /// The call that asked for it.
    pub tx_id: Hash,
    /// The handle, hexadecimal.
    pub handle: String,
    /// Whom to ask.
    #[command(flatten)]
    pub endorsers: EndorserArgs,
}

/// Options of `chaincode receipt make`.
#[derive(Debug, Clone, Args)]
pub struct MakeReceiptArgs {
    /// The file of the call.
    pub call: PathBuf,
    /// Where the receipt is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Show whoever has the receipt what the call gave.
    #[arg(long)]
    pub show_result: bool,
    /// Show who called.
    #[arg(long)]
    pub show_caller: bool,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `chaincode receipt verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyReceiptArgs {
    /// The receipt.
    pub receipt: PathBuf,
    /// The genesis document.
    #[arg(long, value_name = "FILE")]
    pub genesis: PathBuf,
    /// The chain that the document must be of: its hash. Without it the document is trusted.
    #[arg(long, env = "PARALITH_CHAIN", value_name = "HASH")]
    pub chain: Option<ChainContext>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `chaincode revoke`.
#[derive(Debug, Clone, Args)]
pub struct RevokeArgs {
    /// The chaincode's name or id.
    pub chaincode: String,
    /// The certificate's serial.
    pub serial: u64,
    /// What the ledger gets.
    #[command(flatten)]
    pub ledger: LedgerFeeArgs,
    /// The issuer.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}
