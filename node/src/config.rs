//! A node's configuration: one TOML file. Unknown keys are errors, so that a typing mistake is not
//! a silent default.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use paralith_types::RuntimeId;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::links::endpoint::{ClientTls, ServerTls};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes part in consensus.
    Validator,
    /// Executes rounds of ParaTimes.
    Compute,
    /// Holds master secrets.
    Keymanager,
    /// Serves users.
    Client,
    /// Is a member of private contracts.
    Stakeholder,
    /// Endorses calls of chaincode, for one of its organisations.
    Endorser,
}

impl Role {
    /// Its name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Compute => "compute",
            Self::Keymanager => "keymanager",
            Self::Client => "client",
            Self::Stakeholder => "stakeholder",
            Self::Endorser => "endorser",
        }
    }
}

/// Where the node learns the chain from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum EngineConfig {
    /// Its own one-validator engine. Development only.
    Solo,
    /// Its own CometBFT.
    Cometbft {
        /// Where CometBFT's peers connect.
        p2p_listen: SocketAddr,
        /// "id@host:port" of peers to stay connected with.
        persistent_peers: Vec<String>,
        /// Timeouts and rules for peers.
        #[serde(default)]
        profile: Profile,
        /// "id@host:port" of nodes that are asked for further peers.
        #[serde(default)]
        seeds: Vec<String>,
        /// "host:port" by which peers reach this node, if it is not what it listens on.
        #[serde(default)]
        external_address: Option<String>,
        /// Where CometBFT serves its metrics.
        #[serde(default)]
        prometheus: Option<SocketAddr>,
        /// A block is made at least this often; by default as the profile says. All timers of the
        /// chain count blocks, so all nodes of a chain give the same.
        #[serde(default)]
        empty_block_interval_ms: Option<u64>,
        /// The validator key signed for another home before. Until this home has signed for the first
        /// time, the node starts only if the key signed none of the last blocks: the other home may
        /// still run.
        #[serde(default)]
        took_over_key: bool,
    },
    /// Full nodes over gRPC, believed in nothing: headers and proofs are verified.
    Light {
        /// "http://host:port" or "https://host:port" of full nodes.
        nodes: Vec<String>,
        /// Which certificates they must show, if not ones that the operating system trusts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<ClientTls>,
    },
}

impl EngineConfig {
    /// The files that it names.
    fn files(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Light { tls, .. } => tls.as_mut().and_then(|tls| tls.ca.as_mut()),
            Self::Solo | Self::Cometbft { .. } => None,
        }
    }
}

/// What network a validator is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Validators far apart: long timeouts, all processors, only public addresses.
    #[default]
    Wide,
    /// All validators on one machine: short timeouts, one processor each, private addresses.
    Local,
}

/// Where enclaves run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnclavePlacement {
    /// A process each.
    #[default]
    Process,
    /// In the node's process. Keeps nothing apart: development only.
    Inprocess,
}

/// What a node keeps for others by its hash, at most; see `docs/protocol/data.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Bytes of all contents.
    pub total_bytes: u64,
    /// Bytes of one scope.
    pub scope_bytes: u64,
    /// Bytes of one holder.
    pub holder_bytes: u64,
    /// Longest content.
    pub content_bytes: u64,
    /// Blocks for which a ticket may be valid, and a content kept by it.
    pub ticket_blocks: u64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            total_bytes: 10 << 30,
            scope_bytes: 1 << 30,
            holder_bytes: 128 << 20,
            content_bytes: 16 << 20,
            ticket_blocks: 120_000,
        }
    }
}

/// What of a ParaTime's past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The state after each round of the last `state_kept_blocks`.
    #[default]
    Recent,
    /// The state after each round: an archive. It grows without end.
    All,
}

/// How a compute node keeps its ParaTimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParaTimeConfig {
    /// For how many consensus blocks the state after each round can be read and proven. Headers of
    /// rounds are kept for 1,200,000 blocks.
    pub state_kept_blocks: u64,
    /// Whether older states go.
    pub keep: Keep,
}

impl Default for ParaTimeConfig {
    fn default() -> Self {
        Self { state_kept_blocks: 10_000, keep: Keep::Recent }
    }
}

impl ParaTimeConfig {
    /// For how many blocks states are kept; none: for ever.
    pub fn kept_blocks(&self) -> Option<u64> {
        (self.keep == Keep::Recent).then_some(self.state_kept_blocks)
    }
}

/// A member of private contracts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StakeholderConfig {
    /// The mediator's ParaTime: its name or its id.
    #[serde(default = "mediator")]
    pub mediator: String,
    /// The folder of its key files, which `paralith contract init` makes. The account key is the node's
    /// key, too.
    pub keys: PathBuf,
    /// A file whose first line is the password of the keys; otherwise it is taken from
    /// `PARALITH_PASSWORD`, or typed.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Gas limit of its calls to the mediator, which the fee follows from. Without it the highest,
    /// where gas costs nothing; where it has a price, this is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_limit: Option<u64>,
    /// "http://host:port" or "https://host:port" by which members reach this node's store of contents, as published in
    /// the mediator; empty if it has none.
    #[serde(default)]
    pub origin: String,
    /// Which certificates others' stores of `https` addresses must show; without it those of the system's
    /// authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// An endorser of chaincode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndorserConfig {
    /// The application whose calls it endorses: its id, or its name if only one has it. The module comes
    /// from `modules` in the node's home, or from a compute node that has it.
    pub application: String,
    /// Calls of one client that are answered while one block lasts.
    #[serde(default = "calls_per_block")]
    pub calls_per_block: u32,
}

fn calls_per_block() -> u32 {
    64
}

fn mediator() -> String {
    crate::network::MEDIATOR.to_string()
}

/// A node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name in logs and listings.
    pub name: String,
    /// Its data. Relative paths are relative to the configuration file.
    pub home: PathBuf,
    /// The genesis document.
    pub genesis: PathBuf,
    /// What it does.
    pub roles: Vec<Role>,
    /// The file with its key: 64 hexadecimal digits. A stakeholder has none: its account key is the
    /// node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_key: Option<PathBuf>,
    /// The file with its validator key, if it is a validator.
    #[serde(default)]
    pub consensus_key: Option<PathBuf>,
    /// The entity that answers for it, by public key. A stakeholder needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Where users connect: gRPC, over TLS if there is a `[tls]` section. Without one, put it on a
    /// loopback address or behind a proxy.
    pub listen: SocketAddr,
    /// The certificate and key of `listen`.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// Where other nodes connect.
    #[serde(default)]
    pub link_listen: Option<SocketAddr>,
    /// How other nodes reach `link_listen`, as registered on chain.
    #[serde(default)]
    pub link_address: Option<String>,
    /// What it keeps for others by its hash; without this section it keeps nothing.
    #[serde(default)]
    pub data: Option<DataConfig>,
    /// What a stakeholder is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stakeholder: Option<StakeholderConfig>,
    /// What an endorser endorses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorser: Option<EndorserConfig>,
    /// Where it learns the chain from.
    pub engine: EngineConfig,
    /// The ParaTimes that it runs, or the key managers that it is part of. A compute node without
    /// any runs every ParaTime that is registered.
    #[serde(default)]
    pub runtimes: Vec<RuntimeId>,
    /// What of them is kept, on a compute node.
    #[serde(default)]
    pub paratime: ParaTimeConfig,
    /// Where enclaves run.
    #[serde(default)]
    pub enclave: EnclavePlacement,
    /// The key that signs software attestations. Test chains only.
    #[serde(default)]
    pub software_platform_key: Option<PathBuf>,
    /// Compress the database.
    #[serde(default = "yes")]
    pub compression: bool,
    /// Record every frame of the boundary and of the links here, for tests that search them.
    #[serde(default)]
    pub record: Option<PathBuf>,
}

/// The folder that a file is in; the working folder of one that is named without any.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn yes() -> bool {
    true
}

impl Config {
    /// Reads a configuration file; its relative paths become relative to its folder.
    pub fn load(file: &Path) -> Result<Self, NodeError> {
        let unusable =
            |reason: String| NodeError::Config { file: file.display().to_string(), reason };
        let text = fs::read_to_string(file).map_err(|e| unusable(e.to_string()))?;
        let mut config: Self = toml::from_str(&text).map_err(|e| unusable(e.to_string()))?;
        let folder = fs::canonicalize(folder_of(file)).map_err(|e| unusable(e.to_string()))?;
        for path in [&mut config.home, &mut config.genesis]
            .into_iter()
            .chain(config.node_key.as_mut())
            .chain(config.stakeholder.iter_mut().flat_map(|one| {
                let ca = one.tls.as_mut().and_then(|tls| tls.ca.as_mut());
                [Some(&mut one.keys), one.password_file.as_mut(), ca].into_iter().flatten()
            }))
            .chain(config.consensus_key.as_mut())
            .chain(config.software_platform_key.as_mut())
            .chain(config.record.as_mut())
            .chain(config.tls.iter_mut().flat_map(|tls| [&mut tls.cert, &mut tls.key]))
            .chain(config.engine.files())
        {
            *path = folder.join(&*path);
        }
        config.check().map_err(unusable)?;
        Ok(config)
    }

    /// Whether it does this.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    fn check(&self) -> Result<(), String> {
        let light = matches!(self.engine, EngineConfig::Light { .. });
        if self.roles.is_empty() {
            return Err(
                "`roles` is empty: give at least one of validator, compute, keymanager, client, stakeholder, \
                 endorser"
                    .into(),
            );
        }
        if self.has(Role::Validator) && light {
            return Err("a validator needs an engine of kind \"cometbft\"".into());
        }
        if self.has(Role::Validator) && self.consensus_key.is_none() {
            return Err("a validator needs `consensus_key`".into());
        }
        if let EngineConfig::Light { nodes, tls } = &self.engine {
            if nodes.is_empty() {
                return Err("an engine of kind \"light\" needs at least one of `nodes`".into());
            }
            if tls.as_ref().is_some_and(|tls| *tls == ClientTls::default()) {
                return Err("`[engine.tls]` needs `ca` or `pins`".into());
            }
            if let Some(tls) = tls {
                tls.trust().map_err(|e| format!("[engine.tls]: {e}"))?;
            }
        }
        let works = self.has(Role::Compute) || self.has(Role::Keymanager);
        if works && (self.link_listen.is_none() || self.link_address.is_none()) {
            return Err(
                "a compute node or key manager needs `link_listen` and `link_address`".into()
            );
        }
        self.check_stakeholder()?;
        self.check_endorser()?;
        if self.has(Role::Keymanager) && self.runtimes.is_empty() {
            return Err("a key manager needs `runtimes`: the id of the key manager".into());
        }
        Ok(())
    }

    /// A stakeholder is no node of the registry: its node key is its account's, and no entity answers
    /// for it.
    fn check_stakeholder(&self) -> Result<(), String> {
        if !self.has(Role::Stakeholder) {
            return match (&self.node_key, &self.entity) {
                (Some(_), Some(_)) => Ok(()),
                (None, _) => Err("`node_key` is missing: the file with the node's key".into()),
                (_, None) => Err("`entity` is missing: the public key that answers for it".into()),
            };
        }
        if self.roles.len() > 1 {
            return Err("a stakeholder has no other role: run another node for it".into());
        }
        if self.stakeholder.is_none() {
            return Err("a stakeholder needs a section `[stakeholder]` with `keys`".into());
        }
        if self.node_key.is_some() || self.entity.is_some() {
            return Err(
                "a stakeholder has neither `node_key` nor `entity`: its account key is the \
                        node's key"
                    .into(),
            );
        }
        if self.link_listen.is_none() || self.link_address.is_none() {
            return Err(
                "a stakeholder needs `link_listen` and `link_address`: there other members \
                        reach it"
                    .into(),
            );
        }
        Ok(())
    }

    /// An endorser follows the ledger's state in the place where a compute node would run it.
    fn check_endorser(&self) -> Result<(), String> {
        match (self.has(Role::Endorser), &self.endorser) {
            (false, None) => Ok(()),
            (false, Some(_)) => Err("`[endorser]` needs the role \"endorser\"".into()),
            (true, None) => {
                Err("an endorser needs a section `[endorser]` with `application`".into())
            }
            (true, Some(_)) if self.has(Role::Compute) => {
                Err("an endorser cannot be a compute node, too: run another node for it".into())
            }
            (true, Some(one)) if one.calls_per_block == 0 => {
                Err("`calls_per_block` is 0: an endorser that answers nobody".into())
            }
            (true, Some(_)) => Ok(()),
        }
    }

    /// Writes the configuration for a person to read and change.
    pub fn to_toml(&self) -> Result<String, NodeError> {
        toml::to_string_pretty(self).map_err(|e| NodeError::internal(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::endpoint::Trust;

    const VALIDATOR: &str = r#"
        name = "validator-0"
        home = "data"
        genesis = "genesis.json"
        roles = ["validator"]
        node_key = "node.key"
        consensus_key = "consensus.key"
        entity = "00"
        listen = "127.0.0.1:26600"
        [engine]
        kind = "cometbft"
        p2p_listen = "127.0.0.1:26601"
        persistent_peers = []
    "#;

    fn load(text: &str) -> Result<Config, NodeError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.toml");
        fs::write(&file, text).unwrap();
        Config::load(&file)
    }

    #[test]
    fn a_written_configuration_reads_back() {
        let config = load(VALIDATOR).unwrap();
        assert!(config.home.is_absolute());
        assert_eq!(load(&config.to_toml().unwrap()).unwrap(), config);
    }

    #[test]
    fn contents_are_kept_only_with_a_section_that_says_so() {
        assert_eq!(load(VALIDATOR).unwrap().data, None);
        let with = |section: &str| load(&format!("{VALIDATOR}{section}"));
        assert_eq!(with("[data]").unwrap().data, Some(DataConfig::default()));
        let config = with("[data]\nscope_bytes = 5").unwrap();
        assert_eq!(config.data, Some(DataConfig { scope_bytes: 5, ..DataConfig::default() }));
        assert_eq!(load(&config.to_toml().unwrap()).unwrap(), config);
        with("[data]\nscope = 5").unwrap_err();
    }

    #[test]
    fn a_validator_gets_the_wide_profile_unless_it_says_otherwise() {
        let profile = |text: &str| match load(text).unwrap().engine {
            EngineConfig::Cometbft { profile, took_over_key, .. } => (profile, took_over_key),
            other => panic!("{other:?}"),
        };
        assert_eq!(profile(VALIDATOR), (Profile::Wide, false));
        let local =
            format!("{VALIDATOR}\n        profile = \"local\"\n        took_over_key = true\n");
        assert_eq!(profile(&local), (Profile::Local, true));
    }

    #[test]
    fn a_light_node_says_which_certificates_it_accepts() {
        let light = |tls: &str| {
            let head =
                VALIDATOR.split("[engine]").next().unwrap().replace("validator\"]", "client\"]");
            let engine = "[engine]\nkind = \"light\"\nnodes = [\"https://full.example\"]\n";
            load(&format!("{head}{engine}{tls}"))
        };
        let trust = |tls: &str| match light(tls).unwrap().engine {
            EngineConfig::Light { tls, .. } => tls.unwrap_or_default().trust().unwrap(),
            other => panic!("{other:?}"),
        };
        let pin = |digit: &str| format!("\"sha256:{}\"", digit.repeat(64));
        assert_eq!(trust(""), Trust::System);
        let two = format!("[engine.tls]\npins = [{}, {}]", pin("1"), pin("2"));
        assert_eq!(trust(&two), Trust::Keys(vec![[0x11; 32], [0x22; 32]]));
        let Trust::File(file) = trust("[engine.tls]\nca = \"ca.pem\"") else { panic!("no file") };
        assert!(file.is_absolute() && file.ends_with("ca.pem"), "{}", file.display());
        for (tls, mention) in [
            ("[engine.tls]".to_string(), "`ca` or `pins`"),
            (format!("[engine.tls]\nca = \"ca.pem\"\npins = [{}]", pin("1")), "give one"),
            ("[engine.tls]\npins = [\"1234\"]".to_string(), "sha256:"),
            ("[engine.tls]\npin = [\"1234\"]".to_string(), "pin"),
        ] {
            let error = light(&tls).unwrap_err();
            assert!(error.to_string().contains(mention), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn states_are_kept_for_some_time_unless_the_node_is_an_archive() {
        let kept = |section: &str| {
            load(&format!("{VALIDATOR}\n{section}")).map(|config| config.paratime.kept_blocks())
        };
        assert_eq!(kept("").unwrap(), Some(10_000));
        assert_eq!(kept("[paratime]\nstate_kept_blocks = 500").unwrap(), Some(500));
        assert_eq!(kept("[paratime]\nkeep = \"all\"").unwrap(), None);
        assert!(kept("[paratime]\nkept = \"all\"").is_err());
    }

    #[test]
    fn a_stakeholder_has_its_account_key_and_nothing_of_a_registered_node() {
        let stakeholder = |change: (&str, &str)| {
            let text = r#"
                name = "bank"
                home = "data"
                genesis = "genesis.json"
                roles = ["stakeholder"]
                listen = "127.0.0.1:27000"
                link_listen = "127.0.0.1:27001"
                link_address = "127.0.0.1:27001"
                [stakeholder]
                keys = "keys"
                [engine]
                kind = "light"
                nodes = ["http://127.0.0.1:26600"]
            "#;
            load(&text.replacen(change.0, change.1, 1))
        };
        let config = stakeholder(("", "")).unwrap();
        let section = config.stakeholder.clone().unwrap();
        assert!(section.keys.is_absolute() && section.mediator == "mediator");
        assert_eq!(load(&config.to_toml().unwrap()).unwrap(), config);
        for (change, mention) in [
            (("link_address = \"127.0.0.1:27001\"", ""), "link_address"),
            (("keys = \"keys\"", ""), "keys"),
            (("name = \"bank\"", "name = \"bank\"\nnode_key = \"k\""), "account key"),
            (("[stakeholder]\n                keys = \"keys\"", ""), "[stakeholder]"),
        ] {
            let error = stakeholder(change).unwrap_err();
            assert!(error.to_string().contains(mention), "{error}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (change, mention) in [
            (("roles = [\"validator\"]", "roles = []"), "roles"),
            (("consensus_key = \"consensus.key\"", ""), "consensus_key"),
            (("name =", "nmae ="), "nmae"),
            (("roles = [\"validator\"]", "roles = [\"compute\"]"), "link_listen"),
            (("127.0.0.1:26600", "here"), "listen"),
            (("node_key = \"node.key\"", ""), "node_key"),
            (("entity = \"00\"", ""), "entity"),
            (
                ("roles = [\"validator\"]", "roles = [\"validator\", \"stakeholder\"]"),
                "no other role",
            ),
        ] {
            let error = load(&VALIDATOR.replace(change.0, change.1)).unwrap_err();
            assert!(error.to_string().contains(mention), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn an_endorser_says_what_it_endorses_and_runs_no_rounds() {
        let head = VALIDATOR.replace("[\"validator\"]", "[\"client\", \"endorser\"]");
        let with = |section: &str| load(&format!("{head}{section}"));
        let config = with("[endorser]\napplication = \"secrets\"").unwrap();
        assert_eq!(config.endorser.as_ref().map(|one| one.calls_per_block), Some(64));
        assert_eq!(load(&config.to_toml().unwrap()).unwrap(), config);
        with("").unwrap_err();
        with("[endorser]\napplication = \"secrets\"\ncalls_per_block = 0").unwrap_err();
        let both = head.replace("client", "compute");
        load(&format!("{both}[endorser]\napplication = \"secrets\"")).unwrap_err();
        let unused = format!("{VALIDATOR}[endorser]\napplication = \"secrets\"");
        assert!(load(&unused).unwrap_err().to_string().contains("role"), "{unused}");
    }
}
