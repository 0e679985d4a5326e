//! A chain of one validator: the application and the engine that the product has.

use std::sync::Arc;
use std::time::Duration;

use paralith::assemble::{Node, NodeConfig, assemble};
use paralith::chain::Source;
use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::genesis_info::GenesisInfo;
use paralith::links::{MemberServices, TlsNetwork};
use paralith::network::{KEY_MANAGER, code_of, runtime_id};
use paralith::{dev, guests};
use paralith_consensus_abci::Application;
use paralith_consensus_api::registry::{Runtime, RuntimeKind, TeePolicy};
use paralith_consensus_engine::headers::ConsensusKey;
use paralith_consensus_engine::{Engine, SoloEngine, SoloOptions, system_clock};
use paralith_crypto::SigningKey;
use paralith_genesis::{Builder, GenesisTime, NodeKeys, development_params};
use paralith_storage::Kv;
use paralith_types::{Amount, Hash};
use tokio_util::sync::CancellationToken;

/// A chain and the keys in its genesis.
pub(crate) struct Chain {
    pub(crate) genesis: GenesisInfo,
    pub(crate) engine: Arc<SoloEngine>,
    pub(crate) owner: SigningKey,
    pub(crate) validator: SigningKey,
    pub(crate) stop: CancellationToken,
    /// The store of the application and of the engine.
    pub(crate) kv: Kv,
    consensus: SigningKey,
    /// What nodes have from the beginning.
    modules: Vec<&'static [u8]>,
}

/// What differs from chain to chain.
pub(crate) struct Rules {
    pub(crate) max_node_expiration_epochs: u64,
    pub(crate) epoch_blocks: u64,
    pub(crate) min_validators: u32,
    /// With a confidential ParaTime `secret` that takes evidence of so many blocks.
    pub(crate) max_evidence_blocks: Option<u64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_node_expiration_epochs: 1000,
            epoch_blocks: 1000,
            min_validators: 1,
            max_evidence_blocks: None,
        }
    }
}

/// Vouches for enclaves.
pub(crate) const PLATFORM: u8 = 4;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

/// A public ParaTime with this module.
pub(crate) fn runtime(name: &str, owner: &SigningKey, module: &[u8]) -> Runtime {
    let rules = dev::network_spec(0);
    Runtime {
        code: Some(code_of(module)),
        ..rules.runtime(name, owner.public(), module, false, vec![])
    }
}

/// A confidential ParaTime and its key manager, of which evidence counts for so many blocks.
fn confidential(owner: &SigningKey, max_evidence_blocks: u64) -> [Runtime; 2] {
    let rules = dev::network_spec(0);
    let tee = |measurement| {
        Some(TeePolicy { measurements: vec![measurement], max_age_blocks: max_evidence_blocks })
    };
    let secret = Runtime {
        tee: tee(paralith_runtime_enclave::measurement().0),
        ..rules.runtime("secret", owner.public(), guests::COUNTER, true, vec![])
    };
    let key_manager = Runtime {
        id: runtime_id(KEY_MANAGER),
        kind: RuntimeKind::KeyManager,
        name: KEY_MANAGER.to_string(),
        code: None,
        confidential: false,
        key_manager: None,
        tee: tee(paralith_keymanager_service::measurement().0),
        ..secret.clone()
    };
    [key_manager, secret]
}

impl Chain {
    /// Starts one, whose genesis names the module of `counter`.
    pub(crate) async fn start(rules: Rules) -> Self {
        let (owner, validator, consensus) = (key(1), key(2), key(3));
        let mut params = development_params(Hash([9; 32]));
        params.beacon.epoch_blocks = rules.epoch_blocks;
        params.registry.max_node_expiration_epochs = rules.max_node_expiration_epochs;
        params.scheduler.min_validators = rules.min_validators;
        let keys = NodeKeys { node: validator.public(), consensus: consensus.clone() };
        params.registry.software_platforms = vec![key(PLATFORM).public()];
        let stake = Amount(1_000_000);
        let mut builder =
            Builder::new("it", GenesisTime::from_seconds(1_700_000_000).unwrap(), params)
                .entity(owner.public(), stake)
                .entity_node(owner.public(), validator.public())
                .fund(&owner.public(), Amount(1_000_000_000))
                .fund(&validator.public(), Amount(1_000_000_000))
                .validator(owner.public(), &keys, &[])
                .runtime(runtime("counter", &owner, guests::COUNTER));
        let blocks = rules.max_evidence_blocks;
        for runtime in blocks.into_iter().flat_map(|blocks| confidential(&owner, blocks)) {
            builder = builder.runtime(runtime);
        }
        let document = builder.build().unwrap();
        let kv = Kv::memory();
        let application = Application::open(kv.clone()).unwrap();
        let options = SoloOptions {
            document: document.clone(),
            kv: kv.clone(),
            home: None,
            keys: vec![ConsensusKey::from_seed(*consensus.seed())],
            empty_block_interval: Duration::from_millis(5),
            max_block_bytes: 4 * 1024 * 1024,
            clock: system_clock(),
        };
        let engine = Arc::new(SoloEngine::start(&application, options).await.unwrap());
        let genesis = GenesisInfo::new(document).unwrap();
        let (stop, modules) = (CancellationToken::new(), blocks.map(|_| guests::COUNTER));
        let modules = modules.into_iter().collect();
        Self { genesis, engine, owner, validator, stop, kv, consensus, modules }
    }

    /// A node of this chain with the validator's keys.
    pub(crate) fn node(&self, roles: Vec<Role>, placement: Placement) -> Node {
        self.node_with(roles, placement, |_| {})
    }

    /// The same with a change of what it is put together from.
    pub(crate) fn node_with(
        &self,
        roles: Vec<Role>,
        placement: Placement,
        change: impl FnOnce(&mut NodeConfig),
    ) -> Node {
        let mut config = NodeConfig {
            name: "it".to_string(),
            genesis: self.genesis.clone(),
            node_key: self.validator.clone(),
            consensus_key: self.consensus.clone(),
            entity: self.owner.public(),
            roles,
            addresses: Vec::new(),
            runtimes: Vec::new(),
            state_kept_blocks: None,
            modules: self.modules.clone(),
            placement,
            platform: Some(key(PLATFORM)),
            kv: Kv::memory(),
            home: None,
            engine_name: "solo",
            network: TlsNetwork::new(self.validator.clone(), None),
            record: None,
            members: MemberServices::default(),
            data: None,
            public: Vec::new(),
            connect: paralith::roles::compute::as_made(),
            stop: self.stop.clone(),
        };
        change(&mut config);
        assemble(config, self.source()).unwrap()
    }

    pub(crate) fn source(&self) -> Source {
        Source::Engine(Arc::clone(&self.engine) as Arc<dyn Engine>)
    }

    /// Waits until state is proven.
    pub(crate) async fn ready(&self, node: &Node) {
        until(node, async |node| node.state.chain.height().is_ok()).await;
    }

    /// Ends the chain.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.engine.shutdown().await.unwrap();
    }
}

/// Waits, block by block, until a node's view of the chain is so.
pub(crate) async fn until(node: &Node, is_so: impl AsyncFn(&Node) -> bool) {
    use paralith_runtime_worker::Chain as _;
    let mut blocks = node.state.chain.subscribe();
    while !is_so(node).await {
        let block = tokio::time::timeout(Duration::from_secs(60), blocks.recv()).await;
        assert!(block.is_ok(), "the chain stands still");
    }
}

/// Where the program of this package is.
pub(crate) fn program() -> Placement {
    Placement::Process { program: env!("CARGO_BIN_EXE_paralith").into() }
}
