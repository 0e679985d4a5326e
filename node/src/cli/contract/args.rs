//! Options of `paralith contract`.

use std::path::PathBuf;

use clap::Args;
use paralith_private_contract_messages::ContractId;
use paralith_types::{Amount, PublicKey};

use super::super::SignerArgs;
use super::{MediatorArgs, MemberKeysArgs, contract};

/// Options of `contract init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The folder. It is made if it is not there.
    pub folder: PathBuf,
    /// Where other members connect, and how they reach it.
    #[arg(long, value_name = "HOST:PORT")]
    pub links: String,
    /// Where the member's node listens for its users.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: String,
    /// Keep contents for others, at this node's address.
    #[arg(long)]
    pub data: bool,
    /// A file whose first line is the password of the new keys; otherwise it is typed, twice.
    #[arg(long, env = "PARALITH_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The mediator, and the full node by which the chain is followed.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The configuration of the member's node, which must not run.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `contract mediator`.
#[derive(Debug, Clone, Args)]
pub struct MediatorModuleArgs {
    /// Where the WebAssembly module is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `contract package`.
#[derive(Debug, Clone, Args)]
pub struct PackageArgs {
    /// The WebAssembly module; or one that this program carries: `example:tokens`, `example:counter`,
    /// `example:ballot`.
    pub module: PathBuf,
    /// Given to its `init`; JSON by convention.
    #[arg(long, default_value = "")]
    pub init: String,
    /// Keep the derivation secret of this package: for a change of the same contract.
    #[arg(long, value_name = "FILE")]
    pub after: Option<PathBuf>,
    /// Where the package is written. It holds secrets.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The terms of a new contract.
#[derive(Debug, Clone, Args)]
pub struct TermsArgs {
    /// Blocks in which members fetch contents.
    #[arg(long, default_value_t = 20)]
    pub fetch_blocks: u32,
    /// Blocks in which they vote, at least 8.
    #[arg(long, default_value_t = 40)]
    pub vote_blocks: u32,
    /// Most transactions of a batch, 1 to 64.
    #[arg(long, default_value_t = 64)]
    pub max_batch: u32,
    /// Longest sealed content in bytes.
    #[arg(long, default_value_t = 1024 * 1024)]
    pub max_content_bytes: u32,
    /// Gas of each call.
    #[arg(long, default_value_t = 1_000_000_000)]
    pub gas_limit: u64,
    /// What each member locks.
    #[arg(long, default_value = "0", value_name = "AMOUNT")]
    pub bond: Amount,
    /// What each sender locks for a transaction.
    #[arg(long, default_value = "0", value_name = "AMOUNT")]
    pub deposit: Amount,
    /// What a member loses that signs two verdicts of one batch.
    #[arg(long, default_value = "0", value_name = "AMOUNT")]
    pub slash: Amount,
    /// Members that must have a content before it is submitted: withheld contents then stall nobody.
    #[arg(long, default_value_t = 1)]
    pub min_receipts: u32,
    /// A data store from which members may fetch contents; may be repeated.
    #[arg(long, value_name = "URL")]
    pub origin: Vec<String>,
    /// Blocks for which roots, results and bonds of former members are kept.
    #[arg(long, default_value_t = 100_000)]
    pub retention_blocks: u32,
    /// Blocks after which a contract whose batches fail may be closed by anybody; 0: never.
    #[arg(long, default_value_t = 100_000)]
    pub dormant_blocks: u32,
}

/// Options of `contract create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The package, as `contract package` has written it.
    pub package: PathBuf,
    /// A member: a name for the policy, and its account key. May be repeated.
    #[arg(long, value_name = "NAME=KEY", required = true)]
    pub member: Vec<String>,
    /// Which members decide: `2 of (a, b, c)`, `all(a, any(b, c))`.
    #[arg(long)]
    pub policy: String,
    /// A key whose certificates let others send; may be repeated. By default the signer's.
    #[arg(long, value_name = "KEY")]
    pub issuer: Vec<PublicKey>,
    /// The folder for the sealed packages, one a member.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The terms.
    #[command(flatten)]
    pub terms: TermsArgs,
    /// The signer, who owns the contract.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract join`.
#[derive(Debug, Clone, Args)]
pub struct JoinArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The package that the owner sealed to this member.
    pub package: PathBuf,
    /// The definition, as `change propose` has written it, if the mediator has not accepted it yet.
    #[arg(long, value_name = "FILE")]
    pub definition: Option<PathBuf>,
    /// The member's node.
    #[arg(long, value_name = "URL")]
    pub member: String,
    /// The member's keys.
    #[command(flatten)]
    pub keys: MemberKeysArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract new-key`.
#[derive(Debug, Clone, Args)]
pub struct NewKeyArgs {
    /// The member's keys.
    #[command(flatten)]
    pub keys: MemberKeysArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A call of a member for one contract.
#[derive(Debug, Clone, Args)]
pub struct MemberCallArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The member's keys.
    #[command(flatten)]
    pub keys: MemberKeysArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract certify`.
#[derive(Debug, Clone, Args)]
pub struct CertifyArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// Whose key is certified: a key, or the name of one.
    pub subject: String,
    /// The certificate's number: the issuer gives each once.
    #[arg(long)]
    pub serial: u64,
    /// For how many blocks it is valid, from now.
    #[arg(long, default_value_t = 100_000)]
    pub blocks: u64,
    /// What it says of its subject besides.
    #[arg(long, default_value = "")]
    pub attributes: String,
    /// Where it is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The issuer.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract submit`.
#[derive(Debug, Clone, Args)]
pub struct SubmitArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The method.
    pub method: String,
    /// Its arguments, JSON by convention.
    #[arg(default_value = "{}")]
    pub args: String,
    /// The signer's certificate, as `contract certify` has written it.
    #[arg(long, value_name = "FILE")]
    pub certificate: PathBuf,
    /// A member's node that keeps the sealed call; may be repeated. The contract's terms say how many
    /// are needed; the others fetch it from them. Without any, the call expires.
    #[arg(long, value_name = "URL")]
    pub member: Vec<String>,
    /// A data store of the contract's terms that keeps the sealed call, too.
    #[arg(long, value_name = "URL")]
    pub origin: Option<String>,
    /// What goes into the contract with the call.
    #[arg(long, default_value = "0", value_name = "AMOUNT")]
    pub payment: Amount,
    /// Where the call's key and number are written: `contract result` needs them. It holds a secret.
    #[arg(long, value_name = "FILE")]
    pub save: PathBuf,
    /// The signer, the certificate's subject.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract result`.
#[derive(Debug, Clone, Args)]
pub struct ResultArgs {
    /// The file that `contract submit` has written.
    pub file: PathBuf,
    /// A member's node.
    #[arg(long, value_name = "URL")]
    pub member: String,
    /// Write a receipt here, which `contract verify` verifies. It discloses the result.
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// The signer, who sent the call.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The first transaction to show.
    #[arg(long, default_value_t = 1)]
    pub from_seq: u64,
    /// Stop after this many lines.
    #[arg(long)]
    pub count: Option<u64>,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// A contract.
#[derive(Debug, Clone, Args)]
pub struct ContractArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract root`.
#[derive(Debug, Clone, Args)]
pub struct RootArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// A member's own node.
    #[arg(long, value_name = "URL", requires = "keys")]
    pub member: Option<String>,
    /// The folder of the member's keys.
    #[arg(long, value_name = "DIR", requires = "member")]
    pub keys: Option<PathBuf>,
    /// A file whose first line is their password; otherwise it is typed.
    #[arg(long, env = "PARALITH_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract query`.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The method.
    pub method: String,
    /// Its arguments, JSON by convention.
    #[arg(default_value = "{}")]
    pub args: String,
    /// The member's node.
    #[arg(long, value_name = "URL")]
    pub member: String,
    /// The member's keys.
    #[command(flatten)]
    pub keys: MemberKeysArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract prove`.
#[derive(Debug, Clone, Args)]
pub struct ProveArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The key as the contract's code names it: as text, or hexadecimal after `0x`.
    pub key: String,
    /// The member's node.
    #[arg(long, value_name = "URL")]
    pub member: String,
    /// Where the disclosure is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The member's keys.
    #[command(flatten)]
    pub keys: MemberKeysArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract receipt`.
#[derive(Debug, Clone, Args)]
pub struct ReceiptArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The transaction's number.
    pub seq: u64,
    /// A member's node that is asked instead of the mediator's committee. Its answer is verified, too.
    #[arg(long, value_name = "URL")]
    pub member: Option<String>,
    /// Write the proof here, which `contract verify` verifies, also without a node.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// A receipt or a disclosure.
    pub file: PathBuf,
    /// Verify with this genesis document alone: no node is asked.
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract change propose`.
#[derive(Debug, Clone, Args)]
pub struct ProposeChangeArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The members from then on: a name for the policy, and the account key. By default those of now.
    #[arg(long, value_name = "NAME=KEY", requires = "policy")]
    pub member: Vec<String>,
    /// Which members decide.
    #[arg(long, requires = "member")]
    pub policy: Option<String>,
    /// The package from then on; another one is needed if a member is dropped.
    #[arg(long, value_name = "FILE", requires = "sealed")]
    pub package: Option<PathBuf>,
    /// The folder for the sealed packages, one a member.
    #[arg(long, value_name = "DIR", requires = "package")]
    pub sealed: Option<PathBuf>,
    /// Where the definition is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract change sign`.
#[derive(Debug, Clone, Args)]
pub struct SignChangeArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The definition, as `change propose` has written it.
    pub definition: PathBuf,
    /// The package has new code, whose `migrate` runs first.
    #[arg(long)]
    pub migrate: bool,
    /// Where the agreement is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The member's keys.
    #[command(flatten)]
    pub keys: MemberKeysArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract change submit`.
#[derive(Debug, Clone, Args)]
pub struct SubmitChangeArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The definition.
    pub definition: PathBuf,
    /// The package has new code, whose `migrate` runs first.
    #[arg(long)]
    pub migrate: bool,
    /// A member's agreement; may be repeated.
    #[arg(long, value_name = "FILE", required = true)]
    pub agreement: Vec<PathBuf>,
    /// The signer: anybody.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract revoke`.
#[derive(Debug, Clone, Args)]
pub struct RevokeArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// Who issued the certificate. By default the signer.
    #[arg(long, value_name = "KEY")]
    pub issuer: Option<PublicKey>,
    /// Its number.
    #[arg(long)]
    pub serial: u64,
    /// The signer: the issuer or the contract's owner.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// A signed call for one contract.
#[derive(Debug, Clone, Args)]
pub struct SignedContractArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// The signer.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}

/// Options of `contract close`.
#[derive(Debug, Clone, Args)]
pub struct CloseArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// Agree as the member with these keys, and submit nothing.
    #[arg(long, value_name = "DIR", requires = "out", conflicts_with = "agreement")]
    pub sign_with: Option<PathBuf>,
    /// Where the agreement is written.
    #[arg(long, value_name = "FILE", requires = "sign_with")]
    pub out: Option<PathBuf>,
    /// A member's agreement; may be repeated. Without any, the contract must be dormant.
    #[arg(long, value_name = "FILE")]
    pub agreement: Vec<PathBuf>,
    /// The signer: anybody.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The mediator.
    #[command(flatten)]
    pub mediator: MediatorArgs,
}
