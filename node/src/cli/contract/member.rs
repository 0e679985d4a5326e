//! What members do: make a node's folder, join, leave, agree to changes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use paralith_crypto::keystore::KdfParams;
use paralith_private_contract_core::ids::definition_hash;
use paralith_private_contract_messages::{
    Canonical as _, ContractId, Definition, Join, OfContract,
};
use paralith_private_contract_stakeholder::{Agreement, Keys};
use paralith_storage::Files;
use paralith_types::{Hash, PublicKey};
use serde_json::json;

use super::files::{self, AgreementFile};
use super::{InitArgs, JoinArgs, MemberCallArgs, NewKeyArgs, RestoreArgs, SignChangeArgs};
use crate::cli::output;
use crate::config::{
    Config, DataConfig, EnclavePlacement, EngineConfig, ParaTimeConfig, Role, StakeholderConfig,
};
use crate::error::NodeError;
use crate::keystore::write_private;
use crate::links::endpoint::ClientTls;
use crate::password::Passwords;
use crate::store;
use crate::systems::private_contract::client::ContractClient;
use crate::systems::private_contract::mark_restored;

/// A member's node that is to be made.
#[derive(Debug)]
pub(crate) struct NewMember<'a> {
    /// Its folder.
    pub(crate) folder: &'a Path,
    pub(crate) links: SocketAddr,
    pub(crate) listen: SocketAddr,
    /// Whether it keeps contents for others.
    pub(crate) data: bool,
    pub(crate) mediator: &'a str,
    /// Gas limit of its calls to the mediator.
    pub(crate) gas_limit: Option<u64>,
    /// The full node by which it follows the chain.
    pub(crate) node: &'a str,
    pub(crate) tls: Option<ClientTls>,
    /// The password's file, if it does not come otherwise.
    pub(crate) password_file: Option<&'a Path>,
}

impl NewMember<'_> {
    /// Makes its keys and its configuration.
    pub(crate) fn make(
        &self,
        genesis: &str,
        password: &[u8],
        params: KdfParams,
    ) -> Result<Keys, NodeError> {
        let keys_folder = self.folder.join("keys");
        let what = keys_folder.display().to_string();
        std::fs::create_dir_all(&keys_folder).map_err(|e| NodeError::io(&what, &e))?;
        let files = Files::folder(&keys_folder).map_err(|e| NodeError::usage(&what, e))?;
        let keys =
            Keys::create(&files, password, params).map_err(|e| NodeError::usage(&what, e))?;
        write_private(&self.folder.join("genesis.json"), genesis.as_bytes())?;
        let config = self.config()?.to_toml()?;
        write_private(&self.folder.join("node.toml"), config.as_bytes())?;
        Ok(keys)
    }
}

fn address(name: &str, text: &str) -> Result<SocketAddr, NodeError> {
    text.parse().map_err(|e| NodeError::usage(format!("{name} {text}"), e))
}

/// Makes keys, configuration and genesis document of a member's node.
pub(super) async fn init(args: InitArgs) -> Result<(), NodeError> {
    let (links, listen) = (address("--links", &args.links)?, address("--listen", &args.listen)?);
    let config_file = args.folder.join("node.toml");
    if config_file.exists() {
        let reason = "it is there already: move it away first";
        return Err(NodeError::usage(config_file.display().to_string(), reason));
    }
    let client = args.mediator.connect().await?;
    let password = Passwords::from_file(args.password_file.clone()).new_password("the member")?;
    let genesis = client.chain.genesis();
    // By its id: anybody may register a ParaTime of the same name.
    let mediator = client.mediator.runtime.id.to_string();
    let tls = &args.mediator.node.tls;
    let tls = ClientTls { ca: tls.tls_ca.clone(), pins: tls.tls_pin.clone() };
    let new = NewMember {
        folder: &args.folder,
        links,
        listen,
        data: args.data,
        mediator: &mediator,
        gas_limit: args.mediator.gas,
        node: &args.mediator.node.node,
        tls: (tls != ClientTls::default()).then_some(tls),
        password_file: args.password_file.as_deref(),
    };
    let keys = new.make(&genesis.json, password.as_bytes(), KdfParams::RECOMMENDED)?;
    let shown = json!({
        "member": keys.account(), "address": paralith_consensus_api::address::of_key(&keys.account()),
        "chain": genesis.context, "config": config_file.display().to_string(),
        "next": format!("paralith start --config {}", config_file.display()),
    });
    output::print(&shown, args.mediator.node.json)
}

/// Marks a member's store as restored from a backup.
pub(super) fn restore(args: &RestoreArgs) -> Result<(), NodeError> {
    let config = Config::load(&args.config)?;
    if config.stakeholder.is_none() {
        let reason = "it is the configuration of no stakeholder";
        return Err(NodeError::usage(args.config.display().to_string(), reason));
    }
    let folder = config.home.join("store");
    if !folder.is_dir() {
        let reason = "it is not there: copy the backup to its place first";
        return Err(NodeError::usage(folder.display().to_string(), reason));
    }
    let kv = store::open(&folder, config.compression)?;
    let contracts = mark_restored(&kv).map_err(|e| NodeError::internal(&e))?;
    let contracts: Vec<String> = contracts.iter().map(ContractId::to_hex).collect();
    let shown = json!({
        "store": folder.display().to_string(), "restored": contracts,
        "next": format!("paralith start --config {}", args.config.display()),
    });
    output::print(&shown, args.json)
}

impl NewMember<'_> {
    fn config(&self) -> Result<Config, NodeError> {
        let absolute = |file: &Path| {
            std::path::absolute(file).map_err(|e| NodeError::io(file.display().to_string(), &e))
        };
        let origin = if self.data { format!("http://{}", self.listen) } else { String::new() };
        Ok(Config {
            name: "stakeholder".to_string(),
            home: PathBuf::from("data"),
            genesis: PathBuf::from("genesis.json"),
            roles: vec![Role::Stakeholder],
            node_key: None,
            consensus_key: None,
            entity: None,
            listen: self.listen,
            tls: None,
            link_listen: Some(self.links),
            link_address: Some(self.links.to_string()),
            data: self.data.then(DataConfig::default),
            endorser: None,
            stakeholder: Some(StakeholderConfig {
                mediator: self.mediator.to_string(),
                keys: PathBuf::from("keys"),
                gas_limit: self.gas_limit,
                password_file: self.password_file.map(absolute).transpose()?,
                origin,
                tls: None,
            }),
            engine: EngineConfig::Light {
                nodes: vec![self.node.to_string()],
                tls: self.tls.clone(),
            },
            runtimes: Vec::new(),
            paratime: ParaTimeConfig::default(),
            enclave: EnclavePlacement::Process,
            software_platform_key: None,
            compression: true,
            record: None,
        })
    }
}

/// A member's place in a definition.
pub(super) fn index_of(members: &[PublicKey], account: &PublicKey) -> Result<u32, NodeError> {
    let place = members.iter().position(|member| member == account);
    let index = place.and_then(|place| u32::try_from(place).ok());
    let reason = "its key is none of the contract's members";
    index.ok_or_else(|| NodeError::usage(account.to_string(), reason))
}

/// A package that was installed, of a definition.
struct Installed {
    client: ContractClient,
    keys: Keys,
    definition: Definition,
    batch: u64,
    root: Hash,
}

async fn install_at(args: &JoinArgs) -> Result<Installed, NodeError> {
    let sealed = files::read_sealed(&args.package)?;
    let next = args.definition.as_deref().map(files::read_definition).transpose()?;
    let keys = args.keys.open()?;
    let mut client = args.mediator.connect().await?;
    let mut member = args.mediator.member(&client, &args.member).await?;
    if member.account != keys.account() {
        let reason = "the node at this address has other keys than --keys";
        return Err(NodeError::usage(&args.member, reason));
    }
    let height = client.chain.sync().await?.0;
    let id = args.contract;
    let installed = member.install(keys.account_key(), &id, height, sealed, next.as_ref()).await?;
    let definition = match next {
        Some(next) => next,
        None => {
            let version = client.contract(&id).await?.newest_version();
            client.definition(&id, version).await?.definition
        }
    };
    let root = Hash::try_from(installed.root.as_slice())
        .map_err(|e| NodeError::Unverifiable { reason: e.to_string() })?;
    Ok(Installed { client, keys, definition, batch: installed.batch, root })
}

/// Installs a package at the member's node.
pub(super) async fn install(args: JoinArgs) -> Result<(), NodeError> {
    let Installed { keys, definition, batch, root, .. } = install_at(&args).await?;
    let shown = json!({
        "contract": args.contract.to_hex(), "member": keys.account(),
        "version": definition.version, "package_hash": definition.package_hash,
        "batch": batch, "root": root,
    });
    output::print(&shown, args.mediator.node.json)
}

/// Installs the package at the member's node and joins.
pub(super) async fn join(args: JoinArgs) -> Result<(), NodeError> {
    let Installed { mut client, keys, definition, batch, root } = install_at(&args).await?;
    let id = args.contract;
    let known = client.final_batch(&id, batch).await?.root;
    if root != known && args.definition.is_some() {
        let reason = format!(
            "this member is at batch {batch} with another root than the contract: its node is fetching the \
             state. Members give it once they have installed the package of this definition. Try again \
             in a moment"
        );
        return Err(NodeError::NotReady { reason });
    }
    if root != known {
        let reason = format!(
            "the contract's root after batch {batch} is {root} here and {known} at the others: its \
             code does not give the same everywhere, or this is another package"
        );
        return Err(NodeError::Unverifiable { reason });
    }
    let join = Join {
        contract_id: id,
        definition: definition_hash(&definition),
        batch,
        root,
        bond: definition.terms.bond,
    };
    let (confirmed, _) = client.call(keys.account_key(), "join", join.encode()).await?;
    let now = client.contract(&id).await?;
    let shown = json!({
        "contract": id.to_hex(), "member": keys.account(), "version": definition.version,
        "batch": batch, "root": root, "round": confirmed.header.round,
        "status": format!("{:?}", now.status),
    });
    output::print(&shown, args.mediator.node.json)
}

/// Leaves a contract.
pub(super) async fn leave(args: MemberCallArgs) -> Result<(), NodeError> {
    let keys = args.keys.open()?;
    let mut client = args.mediator.connect().await?;
    let call = OfContract { contract_id: args.contract }.encode();
    let (confirmed, _) = client.call(keys.account_key(), "leave", call).await?;
    let shown = json!({
        "contract": args.contract.to_hex(), "left": keys.account(),
        "round": confirmed.header.round,
    });
    output::print(&shown, args.mediator.node.json)
}

/// Makes a key to which calls are sealed from then on.
pub(super) fn new_key(args: &NewKeyArgs) -> Result<(), NodeError> {
    let (keys, files, password) = args.keys.open_files()?;
    let made = keys.add_kem(&files, password.as_bytes(), KdfParams::RECOMMENDED);
    let what = || args.keys.keys.display().to_string();
    let made = made.map_err(|e| NodeError::usage(what(), e))?;
    let shown = json!({
        "member": keys.account(), "key": hex::encode(made.key), "keys": what(),
        "next": "start the member's node again: it publishes the key, and erases the one before when nothing is sealed to it",
    });
    output::print(&shown, args.json)
}

/// Agrees to a definition.
pub(super) async fn sign_change(args: SignChangeArgs) -> Result<(), NodeError> {
    let definition = files::read_definition(&args.definition)?;
    let keys = args.keys.open()?;
    let mut client = args.mediator.connect().await?;
    let record = client.contract(&args.contract).await?;
    let members = client.definition(&args.contract, record.version).await?.definition.members;
    let index = index_of(&members, &keys.account())?;
    let hash = Agreement::change(&client.place(args.contract), &definition, args.migrate);
    let signature = hex::encode(keys.sign_agreement(&hash).0);
    files::write_json(&args.out, &AgreementFile { index, signature })?;
    let shown = json!({
        "agreement": args.out.display().to_string(), "member": index,
        "version": definition.version, "definition": definition_hash(&definition),
    });
    output::print(&shown, args.mediator.node.json)
}
