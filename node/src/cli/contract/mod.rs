//! `paralith contract …`: private contracts for owners, members, senders and auditors.

mod files;
mod look;
pub(crate) mod member;
mod owner;
mod sender;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use paralith_private_contract_messages::ContractId;
use paralith_private_contract_stakeholder::Keys;
use paralith_storage::Files;
use paralith_types::{Amount, PublicKey};

use super::{NodeArgs, SignerArgs};
use crate::error::NodeError;
use crate::password::Passwords;
use crate::systems::private_contract::client::{ContractClient, MemberClient};

/// `paralith contract …`
#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Make the folder of a member's node: its keys, configuration and genesis document.
    #[command(
        after_help = "Example:\n  paralith contract init ./bank-a --links 127.0.0.1:27001 --listen 127.0.0.1:27000\n  paralith start --config ./bank-a/node.toml"
    )]
    Init(InitArgs),
    /// Make a package: the contract's code, its initial argument and fresh secrets.
    #[command(
        after_help = "Example:\n  paralith contract package ./tokens.wasm --init '{\"minter\":\"paralith1…\"}' --out trade.package"
    )]
    Package(PackageArgs),
    /// Create a contract, and seal its package for each member. The members' nodes must have published
    /// their keys.
    #[command(
        after_help = "Example:\n  paralith contract create trade.package --member a=KEY --member b=KEY --member c=KEY --policy '2 of (a, b, c)' --out ./sealed --from alice"
    )]
    Create(CreateArgs),
    /// Join a contract as a member: install its package at the member's node, then sign its definition.
    #[command(
        after_help = "Example:\n  paralith contract join CONTRACT ./sealed/package-0 --keys ./bank-a/keys --member http://127.0.0.1:27000"
    )]
    Join(JoinArgs),
    /// Leave a contract as a member. The bond returns after the contract's retention time.
    #[command(after_help = "Example:\n  paralith contract leave CONTRACT --keys ./bank-a/keys")]
    Leave(MemberCallArgs),
    /// Certify that a key may send to a contract.
    #[command(
        after_help = "Example:\n  paralith contract certify CONTRACT SUBJECT-KEY --serial 1 --blocks 100000 --out bob.certificate --from alice"
    )]
    Certify(CertifyArgs),
    /// Deposit money into a contract, from the signer's balance at the mediator.
    #[command(
        after_help = "Example:\n  paralith tx deposit mediator 1000 --from alice\n  paralith contract fund CONTRACT 500 --from alice"
    )]
    Fund(FundArgs),
    /// Send a call to a contract, sealed for its members.
    #[command(
        after_help = "Example:\n  paralith contract submit CONTRACT transfer '{\"to\":\"paralith1…\",\"amount\":\"5\"}' --certificate alice.certificate --member http://127.0.0.1:27000 --save transfer.tx --from alice"
    )]
    Submit(SubmitArgs),
    /// Get the result of a call that was sent, verified, and write its receipt.
    #[command(
        after_help = "Example:\n  paralith contract result transfer.tx --member http://127.0.0.1:27000 --receipt transfer.receipt --from alice"
    )]
    Result(ResultArgs),
    /// Show transactions of a contract as they are taken and become final.
    #[command(after_help = "Example:\n  paralith contract watch CONTRACT --count 2")]
    Watch(WatchArgs),
    /// Show a contract: state, members, policy, terms. All of it is proven.
    #[command(after_help = "Example:\n  paralith contract show CONTRACT --json")]
    Show(ContractArgs),
    /// Show a contract's last final root, and the root at a member's node.
    #[command(
        after_help = "Examples:\n  paralith contract root CONTRACT\n  paralith contract root CONTRACT --member http://127.0.0.1:27000 --keys ./bank-a/keys"
    )]
    Root(RootArgs),
    /// Have the contract's code answer a query, at the member's own node.
    #[command(
        after_help = "Example:\n  paralith contract query CONTRACT total_supply --member http://127.0.0.1:27000 --keys ./bank-a/keys"
    )]
    Query(QueryArgs),
    /// Disclose an entry of a contract's state with its proof, at the member's own node.
    #[command(
        after_help = "Example:\n  paralith contract prove CONTRACT minter --member http://127.0.0.1:27000 --keys ./bank-a/keys --out minter.disclosure"
    )]
    Prove(ProveArgs),
    /// Verify a receipt or a disclosure against the chain. Needs no secret and no member.
    #[command(after_help = "Example:\n  paralith contract verify transfer.receipt")]
    Verify(VerifyArgs),
    /// Propose, sign and submit another definition of a contract.
    #[command(subcommand)]
    Change(ChangeCommand),
    /// Revoke a certificate, as its issuer or as the contract's owner.
    #[command(
        after_help = "Example:\n  paralith contract revoke CONTRACT --issuer ISSUER-KEY --serial 1 --from alice"
    )]
    Revoke(RevokeArgs),
    /// Open an empty batch: it takes deposits, and shows whether the members still decide.
    #[command(after_help = "Example:\n  paralith contract probe CONTRACT --from alice")]
    Probe(SignedContractArgs),
    /// Close a contract: a dormant one, or one whose members agree.
    #[command(
        after_help = "Examples:\n  paralith contract close CONTRACT --sign-with ./bank-a/keys --out a.agreement\n  paralith contract close CONTRACT --agreement a.agreement --agreement b.agreement --from alice"
    )]
    Close(CloseArgs),
}

/// `paralith contract change …`
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Write the next definition, from the one in force.
    #[command(
        after_help = "Example:\n  paralith contract change propose CONTRACT --member a=KEY --member b=KEY --policy 'all(a, b)' --package next.package --out next.definition"
    )]
    Propose(ProposeChangeArgs),
    /// Agree to a definition as a member.
    #[command(
        after_help = "Example:\n  paralith contract change sign CONTRACT next.definition --keys ./bank-a/keys --out a.agreement"
    )]
    Sign(SignChangeArgs),
    /// Submit a definition to which enough members agreed.
    #[command(
        after_help = "Example:\n  paralith contract change submit CONTRACT next.definition --agreement a.agreement --agreement b.agreement --from alice"
    )]
    Submit(SubmitChangeArgs),
}

/// The mediator, and the node by which it is asked.
#[derive(Debug, Clone, Args)]
pub struct MediatorArgs {
    /// The mediator's name or id.
    #[arg(long, default_value = crate::network::MEDIATOR, value_name = "NAME")]
    pub mediator: String,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

impl MediatorArgs {
    async fn connect(&self) -> Result<ContractClient, NodeError> {
        ContractClient::new(self.node.connect().await?, &self.mediator).await
    }

    async fn member(
        &self,
        client: &ContractClient,
        address: &str,
    ) -> Result<MemberClient, NodeError> {
        let trust = self.node.tls.trust()?;
        MemberClient::connect(address, &trust, client.chain.chain_context()).await
    }
}

/// A member's keys.
#[derive(Debug, Clone, Args)]
pub struct MemberKeysArgs {
    /// The folder of the member's keys.
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// A file whose first line is their password; otherwise it is typed.
    #[arg(long, env = "PARALITH_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

impl MemberKeysArgs {
    fn open(&self) -> Result<Keys, NodeError> {
        open_keys(&self.keys, self.password_file.clone())
    }
}

fn open_keys(folder: &std::path::Path, password: Option<PathBuf>) -> Result<Keys, NodeError> {
    let what = folder.display().to_string();
    if !folder.is_dir() {
        return Err(NodeError::usage(what, "there is no such folder of keys"));
    }
    let files = Files::folder(folder).map_err(|e| NodeError::usage(&what, e))?;
    let password = Passwords::from_file(password).of_key("the member")?;
    Keys::open(&files, password.as_bytes()).map_err(|e| NodeError::usage(what, e))
}

/// A contract's id: 64 hexadecimal digits.
fn contract(text: &str) -> Result<ContractId, String> {
    let bytes = hex::decode(text.trim_start_matches("0x")).map_err(|e| e.to_string())?;
    ContractId::try_from(bytes.as_slice()).map_err(|_| "an id has 64 hexadecimal digits".into())
}

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

/// Options of `contract package`.
#[derive(Debug, Clone, Args)]
pub struct PackageArgs {
    /// The WebAssembly module.
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

/// Options of `contract fund`.
#[derive(Debug, Clone, Args)]
pub struct FundArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    pub contract: ContractId,
    /// Base units.
    pub amount: Amount,
    /// A number for the contract's code.
    #[arg(long, default_value_t = 0)]
    pub tag: u64,
    /// The signer.
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
    /// are needed; the others fetch it from them.
    #[arg(long, value_name = "URL", required = true)]
    pub member: Vec<String>,
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

/// Options of `contract verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// A receipt or a disclosure.
    pub file: PathBuf,
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
    #[arg(long, value_name = "FILE")]
    pub package: Option<PathBuf>,
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

/// Runs a command on private contracts.
pub async fn run(command: ContractCommand) -> Result<(), NodeError> {
    match command {
        ContractCommand::Init(args) => member::init(args).await,
        ContractCommand::Package(args) => owner::package(&args),
        ContractCommand::Create(args) => owner::create(args).await,
        ContractCommand::Join(args) => member::join(args).await,
        ContractCommand::Leave(args) => member::leave(args).await,
        ContractCommand::Certify(args) => owner::certify(args).await,
        ContractCommand::Fund(args) => sender::fund(args).await,
        ContractCommand::Submit(args) => sender::submit(args).await,
        ContractCommand::Result(args) => sender::result(args).await,
        ContractCommand::Watch(args) => look::watch(args).await,
        ContractCommand::Show(args) => look::show(args).await,
        ContractCommand::Root(args) => look::root(args).await,
        ContractCommand::Query(args) => look::query(args).await,
        ContractCommand::Prove(args) => look::prove(args).await,
        ContractCommand::Verify(args) => look::verify(args).await,
        ContractCommand::Change(ChangeCommand::Propose(args)) => owner::propose(args).await,
        ContractCommand::Change(ChangeCommand::Sign(args)) => member::sign_change(args).await,
        ContractCommand::Change(ChangeCommand::Submit(args)) => owner::submit_change(args).await,
        ContractCommand::Revoke(args) => owner::revoke(args).await,
        ContractCommand::Probe(args) => sender::probe(args).await,
        ContractCommand::Close(args) => owner::close(args).await,
    }
}
