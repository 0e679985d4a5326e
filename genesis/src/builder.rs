//! Documents for networks that are started from nothing: tests, `dev`, `localnet`.
//!
//! What the builder adds up is sorted by it; what it is given it does not judge: [`Builder::build`]
//! validates the document. The same calls give the same document.

use std::collections::{BTreeMap, BTreeSet};

use paralith_consensus_api::genesis::{Allocation, Escrow, Genesis, Params};
use paralith_consensus_api::registry::{
    CONSENSUS_KEY_DOMAIN, Entity, GENESIS_CONTEXT, Node, NodeRuntime, ROLE_COMPUTE, ROLE_VALIDATOR,
    RegisterNode, Runtime,
};
use paralith_consensus_api::{
    address, beacon, consensus, keymanager, registry, roothash, scheduler, staking,
};
use paralith_crypto::SigningKey;
use paralith_proto::Canonical;
use paralith_types::{Address, Amount, Epoch, Hash, Height, PublicKey, RuntimeId};

use crate::{Document, GenesisError, GenesisTime};

/// The keys of a node that is in genesis.
#[derive(Debug, Clone)]
pub struct NodeKeys {
    /// Its identity.
    pub node: PublicKey,
    /// Its validator key in CometBFT, which signs the registration.
    pub consensus: SigningKey,
}

/// Collects what a document holds.
#[derive(Debug, Clone)]
pub struct Builder {
    chain_name: String,
    genesis_time: GenesisTime,
    params: Params,
    accounts: BTreeMap<Address, Amount>,
    escrows: Vec<Escrow>,
    entities: BTreeMap<PublicKey, BTreeSet<PublicKey>>,
    nodes: Vec<RegisterNode>,
    runtimes: Vec<Runtime>,
    policies: Vec<keymanager::Policy>,
}

impl Builder {
    /// An empty network with these parameters, e.g. [`development_params`].
    #[must_use]
    pub fn new(chain_name: &str, genesis_time: GenesisTime, params: Params) -> Self {
        Self {
            chain_name: chain_name.to_string(),
            genesis_time,
            params,
            accounts: BTreeMap::new(),
            escrows: Vec::new(),
            entities: BTreeMap::new(),
            nodes: Vec::new(),
            runtimes: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Changes parameters.
    #[must_use]
    pub fn params(mut self, change: impl FnOnce(&mut Params)) -> Self {
        change(&mut self.params);
        self
    }

    /// Gives an account this balance.
    #[must_use]
    pub fn account(mut self, account: Address, balance: Amount) -> Self {
        self.accounts.insert(account, balance);
        self
    }

    /// Gives the account of a key this balance.
    #[must_use]
    pub fn fund(self, key: &PublicKey, balance: Amount) -> Self {
        self.account(address::of_key(key), balance)
    }

    /// Adds an entity with stake of its own.
    #[must_use]
    pub fn entity(mut self, id: PublicKey, stake: Amount) -> Self {
        self.entities.entry(id).or_default();
        let account = address::of_key(&id);
        if stake != Amount::ZERO {
            self.escrows.push(Escrow { owner: account, escrow: account, amount: stake });
        }
        self
    }

    /// Adds stake of another account on an entity, taken from none of the balances.
    #[must_use]
    pub fn delegation(mut self, owner: &PublicKey, entity: &PublicKey, stake: Amount) -> Self {
        let (owner, escrow) = (address::of_key(owner), address::of_key(entity));
        self.escrows.push(Escrow { owner, escrow, amount: stake });
        self
    }

    /// Lets an entity answer for a node, which may register later.
    #[must_use]
    pub fn entity_node(mut self, entity: PublicKey, node: PublicKey) -> Self {
        self.entities.entry(entity).or_default().insert(node);
        self
    }

    /// Adds a validator.
    #[must_use]
    pub fn validator(self, entity: PublicKey, keys: &NodeKeys, addresses: &[String]) -> Self {
        self.node(entity, keys, ROLE_VALIDATOR, addresses, &[])
    }

    /// Adds a compute node of public runtimes.
    #[must_use]
    pub fn compute_node(
        self,
        entity: PublicKey,
        keys: &NodeKeys,
        addresses: &[String],
        runtimes: &[RuntimeId],
    ) -> Self {
        self.node(entity, keys, ROLE_COMPUTE, addresses, runtimes)
    }

    /// Adds a node with any roles, registered for as long as the parameters allow. Nodes of
    /// confidential runtimes and key managers register when the chain runs.
    #[must_use]
    pub fn node(
        mut self,
        entity: PublicKey,
        keys: &NodeKeys,
        roles: u32,
        addresses: &[String],
        runtimes: &[RuntimeId],
    ) -> Self {
        let sorted: BTreeSet<RuntimeId> = runtimes.iter().copied().collect();
        let offer = |runtime_id| NodeRuntime { runtime_id, tee: None, extra_info: Vec::new() };
        let node = Node {
            id: keys.node,
            entity_id: entity,
            expiration: Epoch(self.params.registry.max_node_expiration_epochs),
            roles,
            consensus_key: keys.consensus.public(),
            addresses: addresses.to_vec(),
            runtimes: sorted.into_iter().map(offer).collect(),
            software_version: String::new(),
        };
        let consensus_signature =
            keys.consensus.sign(CONSENSUS_KEY_DOMAIN, &GENESIS_CONTEXT, &node.encode());
        self.nodes.push(RegisterNode { consensus_signature, node });
        self.entity_node(entity, keys.node)
    }

    /// Adds a runtime.
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtimes.push(runtime);
        self
    }

    /// Adds a key manager's policy.
    #[must_use]
    pub fn policy(mut self, policy: keymanager::Policy) -> Self {
        self.policies.push(policy);
        self
    }

    /// The document, validated.
    pub fn build(self) -> Result<Document, GenesisError> {
        let Self { accounts, entities, mut nodes, mut runtimes, mut policies, .. } = self;
        nodes.sort_by_key(|registration| registration.node.id);
        runtimes.sort_by_key(|runtime| runtime.id);
        policies.sort_by_key(|policy| policy.id);
        let document = Document {
            chain_name: self.chain_name,
            genesis_time: self.genesis_time,
            genesis: Genesis {
                initial_height: Height(1),
                params: self.params,
                accounts: accounts
                    .into_iter()
                    .map(|(address, balance)| Allocation { address, balance })
                    .collect(),
                escrows: self.escrows,
                entities: entities
                    .into_iter()
                    .map(|(id, nodes)| Entity { id, nodes: nodes.into_iter().collect() })
                    .collect(),
                nodes,
                runtimes,
                policies,
            },
        };
        document.validate()?;
        Ok(document)
    }
}

/// Parameters of a network for development: short epochs, low thresholds, no gas price, an insecure
/// beacon with this seed. Software platforms, which only test chains accept, are for the caller to
/// list.
#[must_use]
pub fn development_params(seed: Hash) -> Params {
    Params {
        consensus: consensus::Params {
            max_tx_bytes: 1024 * 1024,
            max_block_gas: 0,
            min_gas_price: Amount::ZERO,
            gas_per_byte: 1,
            min_transact_balance: Amount(1),
        },
        staking: staking::Params {
            debonding_epochs: 10,
            min_transfer: Amount(1),
            min_delegation: Amount(1),
            entity_threshold: Amount(100),
            validator_threshold: Amount(100),
            compute_threshold: Amount(100),
            keymanager_threshold: Amount(100),
            runtime_threshold: Amount(100),
            gas_transfer: 1000,
            gas_add_escrow: 1000,
            gas_reclaim_escrow: 1000,
            slash_equivocation: Amount(100),
            max_runtime_slash_incorrect_results: Amount(100_000),
            max_runtime_slash_equivocation: Amount(100_000),
            slash_reward_percent: 10,
            freeze_epochs: 100,
        },
        registry: registry::Params {
            max_node_expiration_epochs: 1000,
            gas_register_entity: 1000,
            gas_register_node: 1000,
            gas_register_runtime: 1000,
            gas_prove_freshness: 1000,
            max_code_bytes: 16 * 1024 * 1024,
            software_platforms: Vec::new(),
        },
        beacon: beacon::Params {
            epoch_blocks: 20,
            insecure_seed: Some(seed),
            first_epochs: 0,
            first_epoch_blocks: 0,
        },
        scheduler: scheduler::Params {
            min_validators: 1,
            max_validators: 100,
            max_validators_per_entity: 1,
        },
        roothash: roothash::Params {
            max_runtime_messages: 128,
            max_in_runtime_messages: 128,
            max_evidence_age_rounds: 100,
            max_past_roots: 1200,
            gas_executor_commit: 1000,
            gas_vote: 1000,
            gas_evidence: 1000,
            gas_submit_message: 1000,
            max_in_message_bytes: 16 * 1024,
            max_in_queue_bytes: 1024 * 1024,
            max_queued_results: 1024,
            max_liveness_failures: 3,
            liveness_freeze_epochs: 20,
            slash_liveness: Amount(100),
        },
        keymanager: keymanager::Params {
            gas_update_policy: 1000,
            gas_publish_secret: 1000,
            replication_percent: 66,
        },
    }
}
