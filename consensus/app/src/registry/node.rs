//! The rules for nodes.
//!
//! A node is admitted if its form is right, the holder of its consensus key signed it, its entity
//! lists it, its time is not too long, it offers what its runtimes ask for (attested, where they
//! want that), its consensus key is nobody else's, and its entity has the stake. A node that still
//! counts may extend its time, add roles and runtimes, and renew addresses and enclaves; it cannot
//! take back what it was elected for.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    CONSENSUS_KEY_DOMAIN, ConsensusKeyOwner, Error as RegistryError, GENESIS_CONTEXT, Node,
    NodeRegistered, NodeRuntime, NodeStatus, ROLE_APPLICATION, ROLE_COMPUTE, ROLE_KEYMANAGER,
    ROLE_VALIDATOR, RegisterNode, Runtime, RuntimeKind,
};
use paralith_crypto::ed25519;
use paralith_proto::Canonical;
use paralith_types::{Amount, ChainContext};

use super::{
    account_of, comet_address, enclaves, invalid, is_live, node_claim, require_entity, state, tee,
};
use crate::context::Context;
use crate::staking;

/// Gas of a registration: for each runtime (at least one) and each epoch that it adds (at least
/// one).
pub(super) fn gas(ctx: &Context<'_>, node: &Node) -> Result<u64, Error> {
    let epoch = ctx.epoch()?;
    let until = match state::node(ctx, &node.id)? {
        Some(known) => known.expiration.max(epoch),
        None => epoch,
    };
    let epochs = node.expiration.0.saturating_sub(until.0).max(1);
    let runtimes = u64::try_from(node.runtimes.len()).unwrap_or(u64::MAX).max(1);
    let gas = state::params(ctx)?.gas_register_node;
    Ok(gas.saturating_mul(runtimes).saturating_mul(epochs))
}

/// Registers or renews a node whose consensus key signed for `chain_context`.
pub(super) fn admit(
    ctx: &mut Context<'_>,
    body: &RegisterNode,
    chain_context: &ChainContext,
) -> Result<(), Error> {
    let node = &body.node;
    check_form(node)?;
    let (key, signature) = (&node.consensus_key, &body.consensus_signature);
    ed25519::verify(key, CONSENSUS_KEY_DOMAIN, chain_context, &node.encode(), signature)
        .map_err(|_| RegistryError::InvalidSignature)?;
    check_entity(ctx, node)?;
    check_expiration(ctx, node)?;
    let runtimes = runtimes_of(ctx, node)?;
    check_runtimes(ctx, node, &runtimes, *chain_context == GENESIS_CONTEXT)?;

    let known = state::node(ctx, &node.id)?;
    let renewed = match &known {
        Some(known) if is_live(ctx, known)? => {
            check_renewal(ctx, known, node)?;
            true
        }
        _ => false,
    };
    check_key(ctx, node)?;
    enclaves::require_own(ctx, node)?;
    if let Some(known) = &known {
        // It may have another entity now.
        staking::remove_claim(ctx, &account_of(&known.entity_id), &node_claim(&node.id))?;
    }
    let claim = claim_amount(ctx, node, &runtimes)?;
    staking::set_claim(ctx, &account_of(&node.entity_id), node_claim(&node.id), claim)?;
    state::set_node(ctx, node)?;
    own_key(ctx, node)?;
    if !renewed {
        let frozen_until = state::node_status(ctx, &node.id)?.frozen_until;
        let status = NodeStatus { frozen_until, ..NodeStatus::default() };
        state::set_node_status(ctx, &node.id, &status);
    }
    ctx.emit(NodeRegistered { node_id: node.id, expiration: node.expiration });
    Ok(())
}

/// What can be said of a node by itself.
fn check_form(node: &Node) -> Result<(), Error> {
    const KNOWN_ROLES: u32 = ROLE_COMPUTE | ROLE_APPLICATION | ROLE_KEYMANAGER | ROLE_VALIDATOR;
    if node.roles == 0 || node.roles & !KNOWN_ROLES != 0 {
        return Err(invalid(format!("{:#b} is no set of known roles", node.roles)));
    }
    if node.consensus_key == node.id || node.consensus_key == node.entity_id {
        return Err(invalid("the consensus key must be a key of its own"));
    }
    if !node.runtimes.is_sorted_by(|a, b| a.runtime_id < b.runtime_id) {
        return Err(invalid("a node's runtimes must be sorted by id, each once"));
    }
    if node.runtimes.len() > MAX_RUNTIMES {
        return Err(invalid(format!("a node may run {MAX_RUNTIMES} runtimes")));
    }
    if node.addresses.len() > MAX_ADDRESSES || !node.addresses.iter().all(|a| is_address(a)) {
        return Err(invalid(format!("at most {MAX_ADDRESSES} addresses, each \"host:port\"")));
    }
    if node.software_version.len() > MAX_VERSION_BYTES {
        return Err(invalid(format!("a software version has {MAX_VERSION_BYTES} bytes at most")));
    }
    match node.runtimes.iter().find(|runtime| runtime.extra_info.len() > MAX_EXTRA_INFO_BYTES) {
        Some(runtime) => Err(invalid(format!("too much extra info for {}", runtime.runtime_id))),
        None => Ok(()),
    }
}

fn is_address(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    address.len() <= MAX_ADDRESS_BYTES
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && parts.is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
}

fn check_entity(ctx: &Context<'_>, node: &Node) -> Result<(), Error> {
    let entity = require_entity(ctx, &node.entity_id)?;
    if entity.nodes.binary_search(&node.id).is_err() {
        let (entity, node) = (entity.id.to_string(), node.id.to_string());
        return Err(RegistryError::BadEntityForNode { entity, node }.into());
    }
    Ok(())
}

fn check_expiration(ctx: &Context<'_>, node: &Node) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    let earliest = epoch.next().0;
    let latest = epoch.plus(state::params(ctx)?.max_node_expiration_epochs).0;
    let got = node.expiration.0;
    if got < earliest || got > latest {
        return Err(RegistryError::InvalidExpiration { earliest, latest, got }.into());
    }
    Ok(())
}

fn runtimes_of(ctx: &Context<'_>, node: &Node) -> Result<Vec<Runtime>, Error> {
    let find = |offered: &NodeRuntime| {
        let id = &offered.runtime_id;
        let missing = || RegistryError::NoSuchRuntime { runtime: id.to_string() };
        Ok(state::runtime(ctx, id)?.ok_or_else(missing)?)
    };
    node.runtimes.iter().map(find).collect()
}

/// Roles and runtimes belong together, and enclaves are where they are asked for.
fn check_runtimes(
    ctx: &Context<'_>,
    node: &Node,
    runtimes: &[Runtime],
    in_genesis: bool,
) -> Result<(), Error> {
    for (kind, role) in [
        (RuntimeKind::Compute, ROLE_COMPUTE),
        (RuntimeKind::KeyManager, ROLE_KEYMANAGER),
        (RuntimeKind::Application, ROLE_APPLICATION),
    ] {
        if node.has_role(role) != runtimes.iter().any(|runtime| runtime.kind == kind) {
            return Err(invalid("roles but the validator's go with runtimes of their kind"));
        }
    }
    for (runtime, offered) in runtimes.iter().zip(&node.runtimes) {
        check_organisation(node, runtime)?;
        if runtime.kind != RuntimeKind::KeyManager && !offered.extra_info.is_empty() {
            return Err(invalid("only key managers give extra info"));
        }
        match (&runtime.tee, &offered.tee) {
            (Some(_), None) => {
                let runtime = runtime.id.to_string();
                return Err(RegistryError::TeeRequired { runtime }.into());
            }
            (None, Some(_)) => {
                return Err(invalid(format!("runtime {} is public: no enclave", runtime.id)));
            }
            (Some(_), Some(_)) if in_genesis => {
                return Err(invalid("evidence names its chain, so genesis cannot hold any"));
            }
            (Some(_), Some(_)) => {
                let claims = tee::verify_tee(ctx, node, runtime)?;
                // KM-E3: published secrets reach an enclave without any request.
                tee::require_same_chain(ctx, node, runtime, &claims)?;
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// An application is run by its organisations.
fn check_organisation(node: &Node, runtime: &Runtime) -> Result<(), RegistryError> {
    let listed = runtime
        .approval
        .as_ref()
        .is_some_and(|approval| approval.organisations.binary_search(&node.entity_id).is_ok());
    if runtime.kind != RuntimeKind::Application || listed {
        return Ok(());
    }
    let (key, runtime) = (node.entity_id.to_string(), runtime.id.to_string());
    Err(RegistryError::NotAnOrganisation { key, runtime })
}

/// A key belongs to one node and entity as long as evidence against it may come.
fn check_key(ctx: &Context<'_>, node: &Node) -> Result<(), Error> {
    match state::consensus_key_owner(ctx, &comet_address(&node.consensus_key))? {
        // SK-15: else evidence would hit the new owner, or nobody.
        Some(owner) if (owner.node_id, owner.entity_id) != (node.id, node.entity_id) => {
            Err(RegistryError::KeyInUse { key: node.consensus_key.to_string() }.into())
        }
        _ => Ok(()),
    }
}

/// The node and its entity answer for the key until stake that counted for it is paid out.
fn own_key(ctx: &mut Context<'_>, node: &Node) -> Result<(), Error> {
    let address = comet_address(&node.consensus_key);
    let until = node.expiration.plus(staking::params(ctx)?.debonding_epochs);
    let owner = match state::consensus_key_owner(ctx, &address)? {
        Some(known) => ConsensusKeyOwner { until: known.until.max(until), ..known },
        None => ConsensusKeyOwner {
            node_id: node.id,
            entity_id: node.entity_id,
            until,
            punished: Vec::new(),
        },
    };
    state::set_consensus_key_owner(ctx, &address, &owner);
    Ok(())
}

/// What a node that still counts was elected for stays as it is.
/// Applications elect nobody: a node may leave them, and must when its entity is no organisation of
/// theirs any more.
fn check_renewal(ctx: &Context<'_>, known: &Node, node: &Node) -> Result<(), Error> {
    let refuse = |what| Err(RegistryError::NodeUpdateNotAllowed { what }.into());
    // KM-K2: enclaves and their keys are not among what must stay.
    if known.entity_id != node.entity_id {
        return refuse("its entity");
    }
    if known.consensus_key != node.consensus_key {
        return refuse("its consensus key");
    }
    if known.roles & !node.roles & !ROLE_APPLICATION != 0 {
        return refuse("its roles but by adding some");
    }
    for offered in &known.runtimes {
        let id = &offered.runtime_id;
        if node.runtime(id).is_none()
            && state::runtime(ctx, id)?.is_none_or(|one| one.kind != RuntimeKind::Application)
        {
            return refuse("its runtimes but by adding some");
        }
    }
    Ok(())
}

/// Each role as often as the node takes it: a validator once, the others for each runtime.
fn claim_amount(ctx: &Context<'_>, node: &Node, runtimes: &[Runtime]) -> Result<Amount, Error> {
    let thresholds = staking::params(ctx)?;
    let validator = node.has_role(ROLE_VALIDATOR).then_some(thresholds.validator_threshold);
    let of_runtimes = runtimes.iter().map(|runtime| match runtime.kind {
        RuntimeKind::Compute | RuntimeKind::Application => thresholds.compute_threshold,
        RuntimeKind::KeyManager => thresholds.keymanager_threshold,
    });
    validator
        .into_iter()
        .chain(of_runtimes)
        .try_fold(Amount::ZERO, |sum, amount| sum.add(amount))
        .map_err(|_| paralith_consensus_api::staking::Error::Overflow.into())
}

const MAX_RUNTIMES: usize = 32;
const MAX_ADDRESSES: usize = 8;
const MAX_ADDRESS_BYTES: usize = 255;
const MAX_VERSION_BYTES: usize = 128;
const MAX_EXTRA_INFO_BYTES: usize = 4096;
