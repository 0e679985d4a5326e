//! `paralith contract …`: private contracts for owners, members, senders and auditors.

mod args;
mod files;
mod look;
pub(crate) mod member;
mod money;
mod owner;
mod proofs;
mod sender;

use std::path::{Path, PathBuf};

pub use args::*;
use clap::{Args, Subcommand};
pub use money::{CollectFeesArgs, FundArgs, WithdrawArgs};
use paralith_private_contract_messages::ContractId;
use paralith_private_contract_stakeholder::Keys;
use paralith_storage::Files;
use paralith_types::Amount;
use zeroize::Zeroizing;

use super::NodeArgs;
use crate::client::TxOptions;
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
    /// Say that a member's data folder comes from a backup, before its node starts again. The member may
    /// have voted since: it gives no vote in a batch of which nobody can tell it its own.
    #[command(
        after_help = "Example:\n  paralith contract restore --config ./bank-a/node.toml\n  paralith start --config ./bank-a/node.toml"
    )]
    Restore(RestoreArgs),
    /// Write the mediator's module, for a chain that has none.
    #[command(
        after_help = "Example:\n  paralith contract mediator --out mediator.wasm\n  paralith runtime deploy mediator.wasm --name mediator --init '{}' --from alice"
    )]
    Mediator(MediatorModuleArgs),
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
    /// Install the package of another definition at a member's node.
    #[command(
        after_help = "Example:\n  paralith contract install CONTRACT ./next/package-0 --definition next.definition --keys ./bank-a/keys --member http://127.0.0.1:27000"
    )]
    Install(JoinArgs),
    /// Leave a contract as a member. The bond returns after the contract's retention time.
    #[command(after_help = "Example:\n  paralith contract leave CONTRACT --keys ./bank-a/keys")]
    Leave(MemberCallArgs),
    /// Make a new key to which calls are sealed. The member's node, started again, publishes it, has its contracts
    /// adopt it, and erases the old one once nothing is sealed to it: who steals keys then opens no older calls.
    #[command(
        after_help = "Example:\n  paralith contract new-key --keys ./bank-a/keys\n  paralith start --config ./bank-a/node.toml"
    )]
    NewKey(NewKeyArgs),
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
    /// Take money out of the mediator, to an account of the consensus layer.
    #[command(after_help = "Example:\n  paralith contract withdraw 200 --from alice")]
    Withdraw(WithdrawArgs),
    /// Take the fees that the mediator holds, as its collector.
    #[command(after_help = "Example:\n  paralith contract collect-fees --from alice")]
    CollectFees(CollectFeesArgs),
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
    /// Show what became of a transaction, proven; and write that down for others. Needs no key.
    #[command(
        after_help = "Examples:\n  paralith contract receipt CONTRACT 1\n  paralith contract receipt CONTRACT 1 --member http://127.0.0.1:27000 --out transfer.fini"
    )]
    Receipt(ReceiptArgs),
    /// Verify a receipt or a disclosure against the chain, or without any node by the genesis document.
    /// Needs no secret and no member.
    #[command(
        after_help = "Examples:\n  paralith contract verify transfer.receipt\n  paralith contract verify transfer.receipt --genesis genesis.json"
    )]
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
    /// Cancel a contract that not all members have joined, as its owner. Members then get their bonds back with
    /// `leave`.
    #[command(after_help = "Example:\n  paralith contract cancel CONTRACT --from alice")]
    Cancel(SignedContractArgs),
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
        after_help = "Example:\n  paralith contract change propose CONTRACT --member a=KEY --member b=KEY --policy 'all(a, b)' --package next.package --sealed ./next --out next.definition"
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
    /// Most gas that a call to the mediator may use. By default what the fee buys; where gas costs
    /// nothing, as much as a transaction may have.
    #[arg(long)]
    pub gas: Option<u64>,
    /// The fee in base units of the mediator; by default its least price for the gas limit.
    #[arg(long, value_name = "AMOUNT")]
    pub fee: Option<Amount>,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

impl MediatorArgs {
    async fn connect(&self) -> Result<ContractClient, NodeError> {
        let mut client = ContractClient::new(self.node.connect().await?, &self.mediator).await?;
        client.options = TxOptions { gas_limit: self.gas, fee: self.fee };
        Ok(client)
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

    /// The same, with where they are and the password.
    fn open_files(&self) -> Result<(Keys, Files, Zeroizing<String>), NodeError> {
        open_files(&self.keys, self.password_file.clone())
    }
}

fn open_keys(folder: &Path, password: Option<PathBuf>) -> Result<Keys, NodeError> {
    open_files(folder, password).map(|(keys, _, _)| keys)
}

fn open_files(
    folder: &Path,
    password: Option<PathBuf>,
) -> Result<(Keys, Files, Zeroizing<String>), NodeError> {
    let what = folder.display().to_string();
    if !folder.is_dir() {
        return Err(NodeError::usage(what, "there is no such folder of keys"));
    }
    let files = Files::folder(folder).map_err(|e| NodeError::usage(&what, e))?;
    let password = Passwords::from_file(password).of_key("the member")?;
    let keys = Keys::open(&files, password.as_bytes()).map_err(|e| NodeError::usage(what, e))?;
    Ok((keys, files, password))
}

/// A contract's id: 64 hexadecimal digits.
fn contract(text: &str) -> Result<ContractId, String> {
    let bytes = hex::decode(text.trim_start_matches("0x")).map_err(|e| e.to_string())?;
    ContractId::try_from(bytes.as_slice()).map_err(|_| "an id has 64 hexadecimal digits".into())
}

/// Runs a command on private contracts.
pub async fn run(command: ContractCommand) -> Result<(), NodeError> {
    match command {
        ContractCommand::Init(args) => member::init(args).await,
        ContractCommand::Restore(args) => member::restore(&args),
        ContractCommand::Mediator(args) => owner::mediator(&args),
        ContractCommand::Package(args) => owner::package(&args),
        ContractCommand::Create(args) => owner::create(args).await,
        ContractCommand::Join(args) => member::join(args).await,
        ContractCommand::Install(args) => member::install(args).await,
        ContractCommand::Leave(args) => member::leave(args).await,
        ContractCommand::Certify(args) => owner::certify(args).await,
        ContractCommand::NewKey(args) => member::new_key(&args),
        ContractCommand::Fund(args) => money::fund(args).await,
        ContractCommand::Withdraw(args) => money::withdraw(args).await,
        ContractCommand::CollectFees(args) => money::collect_fees(args).await,
        ContractCommand::Submit(args) => sender::submit(args).await,
        ContractCommand::Result(args) => sender::result(args).await,
        ContractCommand::Watch(args) => look::watch(args).await,
        ContractCommand::Show(args) => look::show(args).await,
        ContractCommand::Root(args) => look::root(args).await,
        ContractCommand::Query(args) => look::query(args).await,
        ContractCommand::Prove(args) => look::prove(args).await,
        ContractCommand::Receipt(args) => proofs::receipt(args).await,
        ContractCommand::Verify(args) => proofs::verify(args).await,
        ContractCommand::Change(ChangeCommand::Propose(args)) => owner::propose(args).await,
        ContractCommand::Change(ChangeCommand::Sign(args)) => member::sign_change(args).await,
        ContractCommand::Change(ChangeCommand::Submit(args)) => owner::submit_change(args).await,
        ContractCommand::Revoke(args) => owner::revoke(args).await,
        ContractCommand::Probe(args) => sender::probe(args).await,
        ContractCommand::Cancel(args) => owner::cancel(args).await,
        ContractCommand::Close(args) => owner::close(args).await,
    }
}
