//! Networks for development and tests: who is in them, their keys, their genesis document.
//!
//! Every key follows from a seed, so that the same seed gives the same network. Nothing of this is
//! for a real chain: its keys are known, its beacon predictable, its enclaves software.

use paralith_consensus_api::keymanager::{Policy as KeyPolicy, RuntimePolicy};
use paralith_consensus_api::registry::{
    Approval, Batching, Code, Executor, Liveness, Runtime, RuntimeKind, RuntimeStaking, TeePolicy,
};
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_genesis::{Builder, GenesisTime, NodeKeys, development_params};
use paralith_policy::Policy;
use paralith_types::{Amount, Hash, PublicKey, RuntimeId};

use crate::config::Role;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::guests;
use crate::keystore::{TEST_ACCOUNTS, test_account};

const KEY_DOMAIN: Domain = Domain::new("paralith/development-key/v1");
const RUNTIME_DOMAIN: Domain = Domain::new("paralith/development-runtime/v1");

/// Base units of every test account.
const FUNDS: Amount = Amount(1_000_000_000_000);

/// Stake of every entity.
const STAKE: Amount = Amount(1_000_000);

/// Base units of every node's account, for the fees of its transactions.
const NODE_FUNDS: Amount = Amount(1_000_000_000);

/// How old a software attestation may be. It is made anew with every start; within one, its keys do
/// not change.
const ATTESTATION_AGE_BLOCKS: u64 = 1_000_000_000;

/// How large a network is and how it paces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Short name of the chain.
    pub chain_name: &'static str,
    /// Derives every key.
    pub seed: u64,
    /// How many validators.
    pub validators: u16,
    /// How many compute nodes.
    pub compute: u16,
    /// How many key managers.
    pub keymanagers: u16,
    /// Whether there is a node that only serves users.
    pub client: bool,
    /// Blocks in an epoch.
    pub epoch_blocks: u64,
    /// How many epochs after genesis are shorter, and their blocks.
    pub first_epochs: (u64, u64),
    /// Rules of the rounds of the ParaTimes that genesis holds.
    pub executor: Executor,
    /// Rules of their batches.
    pub batching: Batching,
    /// Whether `tokens` and `ballot` are confidential.
    pub confidential: bool,
    /// Whether genesis holds the mediator of private contracts.
    pub mediator: bool,
    /// Whether genesis holds the ledger of chaincode, and its organisations.
    pub ledger: bool,
}

/// A node of a network.
#[derive(Debug, Clone)]
pub struct Member {
    /// "compute-0" and the like.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its node key.
    pub node_key: SigningKey,
    /// Its key in CometBFT.
    pub consensus_key: SigningKey,
    /// Who answers for it.
    pub entity: PublicKey,
}

/// A network that can be started.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its genesis document.
    pub genesis: GenesisInfo,
    /// Its nodes.
    pub members: Vec<Member>,
    /// Signs the software attestations of all of them.
    pub platform: SigningKey,
    /// The key manager.
    pub key_manager: RuntimeId,
    /// Modules of the ParaTimes that genesis holds.
    pub modules: Vec<&'static [u8]>,
}

/// A key of a network: the same for the same seed, name and purpose.
fn key(seed: u64, name: &str, purpose: &str) -> SigningKey {
    let parts: [&[u8]; 3] = [&seed.to_be_bytes(), name.as_bytes(), purpose.as_bytes()];
    SigningKey::from_seed(hash(KEY_DOMAIN, &parts).0)
}

/// The id of a ParaTime that genesis holds.
pub fn runtime_id(name: &str) -> RuntimeId {
    RuntimeId(hash(RUNTIME_DOMAIN, &[name.as_bytes()]).0)
}

/// Rules of punishment on development chains.
pub fn staking_rules() -> RuntimeStaking {
    RuntimeStaking {
        slash_incorrect_results: Amount(10_000),
        slash_equivocation: Amount(20_000),
        reward_incorrect_results_percent: 20,
        reward_equivocation_percent: 20,
        min_in_message_fee: Amount::ZERO,
    }
}

/// Rules of a ParaTime's rounds on a chain whose nodes are far apart: timeouts allow for seconds
/// between blocks and for slow links, and no vote may be missing, because a member that may be silent
/// at no cost will be.
pub fn wide_rules() -> (Executor, Batching) {
    let executor = Executor {
        workers: 3,
        backups: 3,
        allowed_stragglers: 0,
        round_timeout_blocks: 20,
        max_messages: 32,
        max_in_messages: 32,
        max_failed_rounds: 3,
        liveness: Liveness::STANDARD,
    };
    let batching = Batching {
        max_batch_size: 1000,
        max_batch_bytes: 1024 * 1024,
        flush_timeout_ms: 500,
        propose_timeout_ms: 10_000,
        max_batch_gas: 10_000_000_000,
        empty_round_blocks: 0,
    };
    (executor, batching)
}

/// Which enclaves may run a confidential ParaTime: this version's.
pub fn tee_policy() -> TeePolicy {
    TeePolicy {
        measurements: vec![paralith_runtime_enclave::measurement().0],
        max_age_blocks: ATTESTATION_AGE_BLOCKS,
    }
}

/// What a module's descriptor says of it.
pub fn code_of(module: &[u8]) -> Code {
    Code {
        id: paralith_runtime_vm::code_id(module),
        size_bytes: u32::try_from(module.len()).unwrap_or(u32::MAX),
        abi_version: paralith_runtime_abi::ABI_VERSION,
        gas_schedule_version: paralith_runtime_vm::GAS_SCHEDULE_VERSION,
    }
}

impl NetworkSpec {
    /// A compute runtime by these rules.
    pub fn runtime(
        &self,
        name: &str,
        owner: PublicKey,
        module: &[u8],
        confidential: bool,
        init_argument: Vec<u8>,
    ) -> Runtime {
        Runtime {
            id: runtime_id(name),
            entity_id: owner,
            kind: RuntimeKind::Compute,
            name: name.to_string(),
            code: Some(code_of(module)),
            confidential,
            allow_plain_calls: false,
            key_manager: confidential.then(|| runtime_id(KEY_MANAGER)),
            tee: confidential.then(tee_policy),
            init_argument,
            min_gas_price: Amount::ZERO,
            max_tx_gas: self.max_tx_gas(),
            sequence: 1,
            approval: None,
            terms: Vec::new(),
            raw_transactions: false,
            second_key_manager: None,
            executor: self.executor_of(confidential),
            batching: self.batching.clone(),
            staking: staking_rules(),
        }
    }

    /// A tenth of a batch's gas: no transaction takes a batch for itself.
    fn max_tx_gas(&self) -> u64 {
        self.batching.max_batch_gas.div_ceil(10)
    }

    /// Rounds of a public runtime need the vote of every worker: nothing but agreement shows that
    /// its results are right, and a straggler that is allowed is one less to bribe.
    fn executor_of(&self, confidential: bool) -> Executor {
        let allowed_stragglers = if confidential { self.executor.allowed_stragglers } else { 0 };
        Executor { allowed_stragglers, ..self.executor.clone() }
    }

    /// The network of this shape.
    pub fn network(&self, genesis_time: GenesisTime) -> Result<Network, NodeError> {
        let owner = test_account("alice").ok_or_else(|| NodeError::internal(&"alice"))?;
        let owner_id = owner.public();
        let platform = platform_key(self.seed);
        let mut params = development_params(Hash(*key(self.seed, "beacon", "seed").seed()));
        params.beacon.epoch_blocks = self.epoch_blocks;
        (params.beacon.first_epochs, params.beacon.first_epoch_blocks) = self.first_epochs;
        params.registry.software_platforms = vec![platform.public()];
        params.registry.max_node_expiration_epochs = 2000;
        params.registry.gas_register_node = 100;

        let mut builder =
            Builder::new(self.chain_name, genesis_time, params).entity(owner_id, STAKE);
        for name in TEST_ACCOUNTS {
            if let Some(account) = test_account(name) {
                builder = builder.fund(&account.public(), FUNDS);
            }
        }
        let members = self.members();
        for member in &members {
            builder = builder
                .entity(member.entity, STAKE)
                .entity_node(member.entity, member.node_key.public())
                .fund(&member.node_key.public(), NODE_FUNDS);
            if member.role == Role::Validator {
                let keys = NodeKeys {
                    node: member.node_key.public(),
                    consensus: member.consensus_key.clone(),
                };
                builder = builder.validator(member.entity, &keys, &[]);
            }
        }
        let minter = paralith_consensus_api::address::of_key(&owner_id);
        let init = format!("{{\"minter\":\"{minter}\"}}").into_bytes();
        let secret = self.confidential;
        builder = builder
            .runtime(self.key_manager_runtime(owner_id))
            .runtime(self.runtime("tokens", owner_id, guests::TOKENS, secret, init))
            .runtime(self.runtime("ballot", owner_id, guests::BALLOT, secret, Vec::new()))
            .runtime(self.runtime("counter", owner_id, guests::COUNTER, false, Vec::new()))
            .policy(policy(&[runtime_id("tokens"), runtime_id("ballot")], 1));
        let mut modules = vec![guests::TOKENS, guests::BALLOT, guests::COUNTER];
        if self.mediator {
            let settings = b"{}".to_vec();
            builder = builder.runtime(self.runtime(
                MEDIATOR,
                owner_id,
                guests::MEDIATOR,
                false,
                settings,
            ));
            modules.push(guests::MEDIATOR);
        }
        if self.ledger {
            builder = self.with_ledger(builder, owner_id)?;
            modules.push(guests::CHAINCODE_LEDGER);
        }
        let document = builder.build().map_err(|e| NodeError::internal(&e))?;
        Ok(Network {
            genesis: GenesisInfo::new(document)?,
            members,
            platform,
            key_manager: runtime_id(KEY_MANAGER),
            modules,
        })
    }

    /// The ledger of chaincode. Two of three organisations approve its changes: on a ledger without
    /// approval no enclave endorses.
    fn with_ledger(&self, builder: Builder, owner: PublicKey) -> Result<Builder, NodeError> {
        let missing = || NodeError::internal(&"an organisation's account");
        let keys = ORGANISATIONS.map(|name| test_account(name).map(|key| key.public()));
        let keys: Option<Vec<PublicKey>> = keys.into_iter().collect();
        let mut organisations = keys.ok_or_else(missing)?;
        organisations.sort_unstable();
        let of = (0_u32..).zip(&organisations).map(|(member, _)| (1, Policy::Member(member)));
        let policy = Policy::AtLeast { weight: 2, of: of.collect() }.encode();
        let builder =
            organisations.iter().fold(builder, |builder, key| builder.entity(*key, STAKE));
        let settings = br#"{"retention_blocks":1000}"#.to_vec();
        let ledger = Runtime {
            approval: Some(Approval { organisations, policy }),
            ..self.runtime(LEDGER, owner, guests::CHAINCODE_LEDGER, false, settings)
        };
        Ok(builder.runtime(ledger))
    }

    fn members(&self) -> Vec<Member> {
        let groups = [
            ("validator", Role::Validator, self.validators),
            ("keymanager", Role::Keymanager, self.keymanagers),
            ("compute", Role::Compute, self.compute),
            ("client", Role::Client, u16::from(self.client)),
        ];
        let member = |prefix: &str, role, index| {
            let name = format!("{prefix}-{index}");
            Member {
                role,
                node_key: key(self.seed, &name, "node"),
                consensus_key: key(self.seed, &name, "consensus"),
                entity: key(self.seed, &name, "entity").public(),
                name,
            }
        };
        groups
            .into_iter()
            .flat_map(|(prefix, role, count)| (0..count).map(move |i| (prefix, role, i)))
            .map(|(prefix, role, index)| member(prefix, role, index))
            .collect()
    }

    fn key_manager_runtime(&self, owner: PublicKey) -> Runtime {
        Runtime {
            id: runtime_id(KEY_MANAGER),
            entity_id: owner,
            kind: RuntimeKind::KeyManager,
            name: KEY_MANAGER.to_string(),
            code: None,
            confidential: false,
            allow_plain_calls: false,
            key_manager: None,
            tee: Some(TeePolicy {
                measurements: vec![paralith_keymanager_service::measurement().0],
                max_age_blocks: ATTESTATION_AGE_BLOCKS,
            }),
            init_argument: Vec::new(),
            min_gas_price: Amount::ZERO,
            max_tx_gas: self.max_tx_gas(),
            sequence: 1,
            approval: None,
            terms: Vec::new(),
            raw_transactions: false,
            second_key_manager: None,
            executor: self.executor.clone(),
            batching: self.batching.clone(),
            staking: staking_rules(),
        }
    }
}

/// The name of the ledger of chaincode.
pub const LEDGER: &str = "channel";

/// The test accounts that are chaincode's organisations on development chains.
pub const ORGANISATIONS: [&str; 3] = ["bob", "carol", "dave"];

/// The key that vouches for the software enclaves of the development chain with this seed.
pub fn platform_key(seed: u64) -> SigningKey {
    key(seed, "platform", "attestation")
}

/// The name of the mediator of private contracts.
pub const MEDIATOR: &str = "mediator";

/// The name of the key manager's runtime.
pub const KEY_MANAGER: &str = "keymanager";

/// A policy that lets this version's enclaves ask for the keys of these ParaTimes.
pub fn policy(runtimes: &[RuntimeId], serial: u32) -> KeyPolicy {
    let measurements = vec![paralith_runtime_enclave::measurement().0];
    let mut runtimes: Vec<RuntimePolicy> = runtimes
        .iter()
        .map(|id| RuntimePolicy { runtime_id: *id, measurements: measurements.clone() })
        .collect();
    runtimes.sort_by_key(|runtime| runtime.runtime_id);
    KeyPolicy {
        serial,
        id: runtime_id(KEY_MANAGER),
        measurements: vec![paralith_keymanager_service::measurement().0],
        runtimes,
        max_epoch_secret_age: 10,
        rotation_epochs: 0,
        nodes: Vec::new(),
    }
}
