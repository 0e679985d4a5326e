//! What can be said of a document without running the chain.

use std::collections::BTreeSet;

use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::registry::{MAX_BATCH_SIZE, ROLE_VALIDATOR, RuntimeKind};
use paralith_consensus_api::{address, registry};
use paralith_types::{Amount, PublicKey, RuntimeId};

use crate::validators::debonding_blocks;
use crate::{Document, GenesisError};

type Result = std::result::Result<(), GenesisError>;

impl Document {
    /// Refuses what no chain can begin with, and says where it is and what to do.
    pub fn validate(&self) -> Result {
        let name = &self.chain_name;
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !plain {
            let problem = format!("\"{name}\" is no chain name");
            let remedy = "take 1 to 9 lower-case letters and digits";
            return Err(GenesisError::field("chain_name", problem, remedy));
        }
        let genesis = &self.genesis;
        if genesis.initial_height.0 == 0 {
            let remedy = "a new chain begins at 1";
            return Err(GenesisError::field("genesis.initial_height", "is 0", remedy));
        }
        params(genesis)?;
        tokens(genesis)?;
        entities(genesis)?;
        nodes(genesis)?;
        runtimes(genesis)?;
        policies(genesis)
    }
}

fn params(genesis: &Genesis) -> Result {
    let params = &genesis.params;
    let (beacon, scheduler) = (&params.beacon, &params.scheduler);
    let least_tx = 1024;
    for (fine, path, problem, remedy) in [
        (
            params.consensus.max_tx_bytes >= least_tx,
            "consensus.max_tx_bytes",
            "leaves no room for a transaction",
            "set it to 1024 at least",
        ),
        (
            beacon.shortest_epoch_blocks() >= 2,
            "beacon.epoch_blocks",
            "(or first_epoch_blocks) is too short for an epoch",
            "set it to 2 at least",
        ),
        (
            beacon.insecure_seed.is_some(),
            "beacon.insecure_seed",
            "is missing",
            "give 32 random bytes: this version has no other beacon",
        ),
        (
            scheduler.min_validators >= 1,
            "scheduler.min_validators",
            "allows a chain without validators",
            "set it to 1 at least",
        ),
        (
            scheduler.max_validators >= scheduler.min_validators,
            "scheduler.max_validators",
            "is below min_validators",
            "raise it",
        ),
        (
            scheduler.max_validators <= MAX_VALIDATORS,
            "scheduler.max_validators",
            "is more than the engine takes",
            "set it to 1000 at most",
        ),
        (
            scheduler.max_validators_per_entity >= 1,
            "scheduler.max_validators_per_entity",
            "lets nobody validate",
            "set it to 1 at least",
        ),
        (
            params.registry.max_node_expiration_epochs >= 1,
            "registry.max_node_expiration_epochs",
            "lets no node register",
            "set it to 1 at least",
        ),
        (
            debonding_blocks(params) >= 2,
            "staking.debonding_epochs",
            "leaves light clients no step in which validators have something to lose",
            "set it to 1 at least",
        ),
        (
            params.staking.slash_reward_percent <= 100,
            "staking.slash_reward_percent",
            "is more than all",
            "set it to 100 at most",
        ),
        (
            params.consensus.min_transact_balance > Amount::ZERO,
            "consensus.min_transact_balance",
            "lets accounts without any balance fill blocks",
            "set it to 1 at least",
        ),
    ] {
        if !fine {
            return Err(GenesisError::field(format!("genesis.params.{path}"), problem, remedy));
        }
    }
    queues(genesis)
}

/// Bounds of what waits for a ParaTime or for a committee of key managers.
fn queues(genesis: &Genesis) -> Result {
    let params = &genesis.params;
    let roothash = &params.roothash;
    for (fine, path, problem, remedy) in [
        (
            // Twice: the encoding of a message has more than its data.
            u64::from(roothash.max_in_message_bytes).saturating_mul(2)
                <= roothash.max_in_queue_bytes,
            "roothash.max_in_queue_bytes",
            "is too small for a message of roothash.max_in_message_bytes",
            "set it to twice max_in_message_bytes at least",
        ),
        (
            roothash.max_in_queue_bytes <= MAX_QUEUE_BYTES,
            "roothash.max_in_queue_bytes",
            "is more than replicas can hold in memory",
            "set it to 16777216 at most",
        ),
        (
            roothash.max_queued_results >= roothash.max_runtime_messages,
            "roothash.max_queued_results",
            "is too small for the messages of one round",
            "set it to max_runtime_messages at least",
        ),
        (
            params.keymanager.replication_percent <= 100,
            "keymanager.replication_percent",
            "is more than all",
            "set it to 100 at most",
        ),
    ] {
        if !fine {
            return Err(GenesisError::field(format!("genesis.params.{path}"), problem, remedy));
        }
    }
    Ok(())
}

fn tokens(genesis: &Genesis) -> Result {
    let mut total = Amount::ZERO;
    let mut add = |path: &str, amount: Amount| -> Result {
        total = total.add(amount).map_err(|_| {
            let problem = "the sum of all balances and stakes overflows 128 bits";
            GenesisError::field(path, problem, "give out less")
        })?;
        Ok(())
    };
    for (index, pair) in genesis.accounts.windows(2).enumerate() {
        if let [a, b] = pair
            && a.address >= b.address
        {
            let path = format!("genesis.accounts[{}].address", index + 1);
            return Err(out_of_order(path, b.address.to_string()));
        }
    }
    for (index, account) in genesis.accounts.iter().enumerate() {
        let path = format!("genesis.accounts[{index}]");
        if account.address == address::fee_accumulator() {
            let remedy = "leave it out: it is empty between blocks";
            return Err(GenesisError::field(path, "is the fee accumulator", remedy));
        }
        add(&path, account.balance)?;
    }
    for (index, escrow) in genesis.escrows.iter().enumerate() {
        let path = format!("genesis.escrows[{index}]");
        if address::is_reserved(&escrow.escrow) {
            let remedy = "stake on an entity's account";
            return Err(GenesisError::field(path, "is on an account of the chain itself", remedy));
        }
        if escrow.amount == Amount::ZERO {
            return Err(GenesisError::field(path, "is of nothing", "leave it out"));
        }
        add(&path, escrow.amount)?;
    }
    Ok(())
}

fn entities(genesis: &Genesis) -> Result {
    let mut ids = BTreeSet::new();
    let mut listed = BTreeSet::new();
    for (index, entity) in genesis.entities.iter().enumerate() {
        let path = format!("genesis.entities[{index}]");
        if !ids.insert(entity.id) {
            return Err(repeated(format!("{path}.id"), entity.id.to_string()));
        }
        if !entity.nodes.is_sorted_by(|a, b| a < b) {
            let problem = "are not in the order of their bytes, each once";
            return Err(GenesisError::field(format!("{path}.nodes"), problem, "sort them"));
        }
        match entity.nodes.iter().find(|node| !listed.insert(**node)) {
            Some(twice) => return Err(repeated(format!("{path}.nodes"), twice.to_string())),
            None => continue,
        }
    }
    Ok(())
}

fn nodes(genesis: &Genesis) -> Result {
    let mut keys: BTreeSet<PublicKey> = BTreeSet::new();
    for (index, registration) in genesis.nodes.iter().enumerate() {
        let path = format!("genesis.nodes[{index}].node");
        let node = &registration.node;
        for (field, key) in [("id", node.id), ("consensus_key", node.consensus_key)] {
            if !keys.insert(key) {
                return Err(repeated(format!("{path}.{field}"), key.to_string()));
            }
        }
        let entity = genesis.entities.iter().find(|entity| entity.id == node.entity_id);
        if !entity.is_some_and(|entity| entity.nodes.contains(&node.id)) {
            let problem = format!("no entity {} lists node {}", node.entity_id, node.id);
            let remedy = "add the node to its entity under genesis.entities";
            return Err(GenesisError::field(format!("{path}.entity_id"), problem, remedy));
        }
        for (at, offered) in node.runtimes.iter().enumerate() {
            let path = format!("{path}.runtimes[{at}]");
            if !genesis.runtimes.iter().any(|runtime| runtime.id == offered.runtime_id) {
                let problem = format!("there is no runtime {}", offered.runtime_id);
                let remedy = "add it under genesis.runtimes";
                return Err(GenesisError::field(format!("{path}.runtime_id"), problem, remedy));
            }
            if offered.tee.is_some() {
                let problem = "evidence names its chain, so genesis cannot hold any";
                let remedy = "register the node after the first block";
                return Err(GenesisError::field(format!("{path}.tee"), problem, remedy));
            }
        }
    }
    if !genesis.nodes.iter().any(|registration| registration.node.has_role(ROLE_VALIDATOR)) {
        let remedy = "add a node with role 8 (validator)";
        return Err(GenesisError::field("genesis.nodes", "holds no validator", remedy));
    }
    Ok(())
}

fn runtimes(genesis: &Genesis) -> Result {
    let mut ids: BTreeSet<RuntimeId> = BTreeSet::new();
    for (index, runtime) in genesis.runtimes.iter().enumerate() {
        let path = format!("genesis.runtimes[{index}]");
        if !ids.insert(runtime.id) {
            return Err(repeated(format!("{path}.id"), runtime.id.to_string()));
        }
        if !genesis.entities.iter().any(|entity| entity.id == runtime.entity_id) {
            let problem = format!("there is no entity {}", runtime.entity_id);
            let remedy = "add it under genesis.entities";
            return Err(GenesisError::field(format!("{path}.entity_id"), problem, remedy));
        }
        if let Some(id) = &runtime.key_manager
            && !is_key_manager(genesis, id)
        {
            let problem = format!("there is no key manager {id}");
            let remedy = "add a runtime of kind key_manager under genesis.runtimes";
            return Err(GenesisError::field(format!("{path}.key_manager"), problem, remedy));
        }
        check_runtime(&path, runtime)?;
    }
    Ok(())
}

fn check_runtime(path: &str, runtime: &registry::Runtime) -> Result {
    let (executor, staking) = (&runtime.executor, &runtime.staking);
    let compute = runtime.kind == RuntimeKind::Compute;
    let rules = [
        (
            runtime.kind == RuntimeKind::Application || runtime.code.is_some() == compute,
            "code",
            "is there in compute runtimes and not in key managers",
            "add or remove it",
        ),
        (
            !compute || runtime.key_manager.is_some() == runtime.confidential,
            "key_manager",
            "is there in confidential runtimes and nowhere else",
            "add or remove it",
        ),
        (
            !compute || executor.allowed_stragglers < executor.workers,
            "executor.allowed_stragglers",
            "are not fewer than the workers",
            "lower them or raise executor.workers",
        ),
        (
            !compute
                || (executor.liveness.min_live_percent <= 100
                    && executor.liveness.max_missed_percent <= 100),
            "executor.liveness",
            "has more than 100 percent",
            "lower min_live_percent and max_missed_percent",
        ),
        (
            !compute || (1..=MAX_BATCH_SIZE).contains(&runtime.batching.max_batch_size),
            "batching.max_batch_size",
            "is not between 1 and 16384",
            "set it to the most transactions of a batch",
        ),
        (
            !compute || (1..=runtime.batching.max_batch_gas).contains(&runtime.max_tx_gas),
            "max_tx_gas",
            "is not between 1 and batching.max_batch_gas",
            "set it to what one transaction may use",
        ),
        (
            staking.reward_incorrect_results_percent <= 100
                && staking.reward_equivocation_percent <= 100,
            "staking",
            "a share is more than 100 percent",
            "lower it",
        ),
    ];
    all_hold(path, &rules)?;
    check_terms(path, runtime)
}

/// Who changes it, what was agreed upon, and what no runtime has yet.
fn check_terms(path: &str, runtime: &registry::Runtime) -> Result {
    let rules = [
        (runtime.sequence == 1, "sequence", "is not that of a first descriptor", "set it to 1"),
        (
            match runtime.kind {
                RuntimeKind::Compute => true,
                RuntimeKind::KeyManager => runtime.approval.is_none(),
                RuntimeKind::Application => runtime.approval.is_some(),
            },
            "approval",
            "is there in applications always and in key managers never",
            "add or remove it",
        ),
        (
            runtime.terms.len() <= registry::MAX_TERMS_BYTES,
            "terms",
            "are longer than 64 KiB",
            "shorten them",
        ),
        (
            !runtime.raw_transactions,
            "raw_transactions",
            "is not supported by this version",
            "set it to false",
        ),
        (
            runtime.batching.empty_round_blocks == 0,
            "batching.empty_round_blocks",
            "is not supported by this version",
            "set it to 0",
        ),
        (
            runtime.second_key_manager.is_none(),
            "second_key_manager",
            "is not supported by this version",
            "leave it out",
        ),
    ];
    all_hold(path, &rules)
}

/// Whether it holds; if not, which field is wrong, how, and the remedy.
type Rule = (bool, &'static str, &'static str, &'static str);

fn all_hold(path: &str, rules: &[Rule]) -> Result {
    match rules.iter().find(|(fine, ..)| !fine) {
        Some((_, field, problem, remedy)) => {
            Err(GenesisError::field(format!("{path}.{field}"), *problem, remedy))
        }
        None => Ok(()),
    }
}

fn policies(genesis: &Genesis) -> Result {
    let mut ids = BTreeSet::new();
    for (index, policy) in genesis.policies.iter().enumerate() {
        let path = format!("genesis.policies[{index}]");
        if !ids.insert(policy.id) {
            return Err(repeated(format!("{path}.id"), policy.id.to_string()));
        }
        if !is_key_manager(genesis, &policy.id) {
            let problem = format!("there is no key manager {}", policy.id);
            let remedy = "add a runtime of kind key_manager under genesis.runtimes";
            return Err(GenesisError::field(format!("{path}.id"), problem, remedy));
        }
        let sorted = policy.measurements.is_sorted_by(|a, b| a < b)
            && policy.nodes.is_sorted_by(|a, b| a < b)
            && policy.runtimes.is_sorted_by(|a, b| a.runtime_id < b.runtime_id)
            && policy.runtimes.iter().all(|r| r.measurements.is_sorted_by(|a, b| a < b));
        if !sorted {
            let problem = "its lists are not in the order of their bytes, each entry once";
            return Err(GenesisError::field(path, problem, "sort them"));
        }
    }
    Ok(())
}

fn is_key_manager(genesis: &Genesis, id: &RuntimeId) -> bool {
    let mut runtimes = genesis.runtimes.iter();
    runtimes.any(|runtime| runtime.id == *id && runtime.kind == RuntimeKind::KeyManager)
}

fn repeated(path: String, what: String) -> GenesisError {
    GenesisError::field(path, format!("{what} is there twice"), "remove one")
}

fn out_of_order(path: String, what: String) -> GenesisError {
    let problem = format!("{what} is not after the one before it");
    GenesisError::field(path, problem, "sort the accounts by the bytes of the address, each once")
}

/// What a runtime's state and a replica's memory bear of waiting messages.
const MAX_QUEUE_BYTES: u64 = 16 * 1024 * 1024;

/// With the dash and 40 digits of the hash, CometBFT's limit of 50 characters.
const MAX_NAME_BYTES: usize = 9;

/// CometBFT counts up to 10,000; votes of so many would not fit into a block interval.
const MAX_VALIDATORS: u32 = 1000;
