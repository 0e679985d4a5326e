//! Whether a request is answered.
//!
//! The caller has read every value here from state that it has proven at [`Facts::height`]. A host
//! that freezes the enclave's view serves nobody new: the asker's blob must be in that state, in the
//! epoch that runs there, and this enclave must itself have proven freshness in that epoch. An asker
//! that follows another chain of the same genesis is refused by the state root that it names.
//! A revoked enclave gets nothing and is not believed.

use std::collections::BTreeSet;

use paralith_attest::Measurement;
use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::keymanager::{Policy, Status};
use paralith_consensus_api::registry::{
    CapabilityTee, Enclave, Freshness, Node, ROLE_APPLICATION, ROLE_COMPUTE, ROLE_KEYMANAGER,
    Runtime, RuntimeKind, TeePolicy,
};
use paralith_consensus_api::scheduler::Committee;
use paralith_types::{ChainContext, Epoch, Hash, Height, PublicKey, RuntimeId, X25519PublicKey};

use crate::error::Refusal;
use crate::message::{
    KeyRequest, PROTOCOL_VERSION, ReplicationRequest, SignedKeyRequest, SignedReplicationRequest,
};
use crate::policy::{may_ask, may_replicate};

/// What is the same for every request at one height.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The chain.
    pub chain: ChainContext,
    /// The key manager.
    pub id: RuntimeId,
    /// The height whose state all this is.
    pub height: Height,
    /// The epoch that runs there.
    pub epoch: EpochState,
    /// The last epoch in which this enclave has proven freshness.
    pub fresh: Option<Epoch>,
    /// Platforms whose software evidence counts.
    pub platforms: Vec<PublicKey>,
    /// The key manager's status.
    pub status: Option<Status>,
}

/// What state has about who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The runtime whose enclave asks: of replication, the key manager itself.
    pub runtime: Option<Runtime>,
    /// The node.
    pub node: Option<Node>,
    /// What the index has under the runtime and the RAK that the node has registered.
    pub enclave: Option<Enclave>,
    /// Whether that RAK is revoked.
    pub revoked: bool,
    /// The runtime's committee; of applications and of replication, none.
    pub committee: Option<Committee>,
    /// The node's newest freshness proof.
    pub freshness: Option<Freshness>,
    /// The root of the state at the height that the request names, as this enclave has proven it;
    /// none if it has not proven that height, or no longer keeps it.
    pub state_root: Option<Hash>,
}

/// A request that is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted<T> {
    /// The request.
    pub request: T,
    /// What the reply names.
    pub request_hash: Hash,
    /// What the reply is sealed to.
    pub reply_key: X25519PublicKey,
}

/// Whether an enclave gets its runtime's keys: of a ParaTime, if its node is in the committee; of an
/// application, if its node's entity is one of the organisations.
pub fn authorise_keys(
    signed: &SignedKeyRequest,
    facts: &Facts,
    asker: &Asker,
) -> Result<Granted<KeyRequest>, Refusal> {
    let request = signed.unverified()?;
    // KM-Q1
    let policy = admit(facts, request.version, &request.id, request.epoch)?;
    let unknown = || Refusal::UnknownRuntime { runtime_id: request.runtime_id.to_string() };
    let runtime = asker.runtime.as_ref().ok_or_else(unknown)?;
    // KM-Q2
    let ours = runtime.id == request.runtime_id && runtime.key_manager == Some(facts.id);
    if !ours || !policy.runtimes.iter().any(|one| one.runtime_id == runtime.id) {
        return Err(unknown());
    }
    let role = match runtime.kind {
        RuntimeKind::Compute => ROLE_COMPUTE,
        RuntimeKind::Application => ROLE_APPLICATION,
        RuntimeKind::KeyManager => return Err(unknown()),
    };
    let (node, tee) = registered(asker.node.as_ref(), &request.node, runtime, role, facts)?;
    // KM-Q4
    signed.verify(&tee.rak, &facts.chain).map_err(|_| Refusal::BadSignature)?;
    refuse_revoked(node, asker.revoked)?;
    // KM-Q3: registered above; elected for this epoch, or an enclave of an organisation.
    if runtime.kind == RuntimeKind::Application {
        serves(runtime, node, tee, asker.enclave.as_ref())?;
    } else {
        elected(runtime, node, asker.committee.as_ref(), facts.epoch.epoch)?;
    }
    // KM-Q5
    let enclave = attested(node, tee, runtime, facts)?;
    if !may_ask(policy, &runtime.id, &enclave) {
        return Err(not_in_policy(&enclave));
    }
    // KM-Q6, then KM-Q7
    fresh(asker.freshness.as_ref(), &request.freshness, facts)?;
    same_chain(asker.state_root, request.height, &request.state_root)?;
    let (request_hash, reply_key) = (request.hash(), request.reply_key);
    Ok(Granted { request_hash, reply_key, request })
}

/// Whether another key-manager enclave gets what it lacks.
pub fn authorise_replication(
    signed: &SignedReplicationRequest,
    facts: &Facts,
    asker: &Asker,
) -> Result<Granted<ReplicationRequest>, Refusal> {
    let request = signed.unverified()?;
    let policy = admit(facts, request.version, &request.id, request.epoch)?;
    let unknown = || Refusal::UnknownRuntime { runtime_id: request.id.to_string() };
    let runtime = asker.runtime.as_ref().filter(|one| one.id == facts.id).ok_or_else(unknown)?;
    let (node, tee) =
        registered(asker.node.as_ref(), &request.node, runtime, ROLE_KEYMANAGER, facts)?;
    signed.verify(&tee.rak, &facts.chain).map_err(|_| Refusal::BadSignature)?;
    refuse_revoked(node, asker.revoked)?;
    let enclave = attested(node, tee, runtime, facts)?;
    if !may_replicate(policy, &enclave) {
        return Err(not_in_policy(&enclave));
    }
    fresh(asker.freshness.as_ref(), &request.freshness, facts)?;
    same_chain(asker.state_root, request.height, &request.state_root)?;
    let (request_hash, reply_key) = (request.hash(), request.reply_key);
    Ok(Granted { request_hash, reply_key, request })
}

/// The RAK whose replies are believed: that of a key-manager enclave which state has in the
/// committee and which policy allows. `key_manager` is the key manager's own descriptor, `revoked`
/// whether the RAK that the node has registered is; [`Facts::fresh`] does not matter.
pub fn replier_rak(
    facts: &Facts,
    key_manager: &Runtime,
    node_id: &PublicKey,
    node: Option<&Node>,
    revoked: bool,
) -> Result<PublicKey, Refusal> {
    let status = facts.status.as_ref().ok_or(Refusal::NotInitialised)?;
    let policy = status.policy.as_ref().ok_or(Refusal::NotInitialised)?;
    let (node, tee) = registered(node, node_id, key_manager, ROLE_KEYMANAGER, facts)?;
    refuse_revoked(node, revoked)?;
    if !status.nodes.contains(node_id) {
        return Err(Refusal::NotElected {
            node: node_id.to_string(),
            runtime_id: facts.id.to_string(),
            epoch: facts.epoch.epoch.0,
        });
    }
    let enclave = attested(node, tee, key_manager, facts)?;
    if may_replicate(policy, &enclave) { Ok(tee.rak) } else { Err(not_in_policy(&enclave)) }
}

/// What is checked before anybody is looked at. Gives the policy in force.
fn admit<'a>(
    facts: &'a Facts,
    version: u32,
    id: &RuntimeId,
    asked: Epoch,
) -> Result<&'a Policy, Refusal> {
    if version != PROTOCOL_VERSION {
        return Err(Refusal::UnknownVersion { expected: PROTOCOL_VERSION, got: version });
    }
    if *id != facts.id {
        let (expected, got) = (facts.id.to_string(), id.to_string());
        return Err(Refusal::WrongKeyManager { expected, got });
    }
    let epoch = facts.epoch.epoch;
    if asked != epoch {
        return Err(Refusal::WrongEpoch { expected: epoch.0, got: asked.0 });
    }
    // KM-F4: an enclave that sees no living chain answers nobody.
    if facts.fresh != Some(epoch) {
        return Err(Refusal::NotReady { epoch: epoch.0 });
    }
    let status = facts.status.as_ref().filter(|status| status.initialised);
    status.and_then(|status| status.policy.as_ref()).ok_or(Refusal::NotInitialised)
}

/// The node with its enclave for the runtime, if it is registered and its time has not run out.
fn registered<'a>(
    node: Option<&'a Node>,
    id: &PublicKey,
    runtime: &Runtime,
    role: u32,
    facts: &Facts,
) -> Result<(&'a Node, &'a CapabilityTee), Refusal> {
    let unknown =
        || Refusal::NotRegistered { node: id.to_string(), runtime_id: runtime.id.to_string() };
    let node = node.filter(|node| node.id == *id && node.has_role(role)).ok_or_else(unknown)?;
    let tee = node.runtime(&runtime.id).and_then(|one| one.tee.as_ref()).ok_or_else(unknown)?;
    let epoch = facts.epoch.epoch;
    if node.expiration < epoch {
        let (node, expiration) = (node.id.to_string(), node.expiration.0);
        return Err(Refusal::Expired { node, expiration, epoch: epoch.0 });
    }
    Ok((node, tee))
}

fn refuse_revoked(node: &Node, revoked: bool) -> Result<(), Refusal> {
    if revoked { Err(Refusal::Revoked { node: node.id.to_string() }) } else { Ok(()) }
}

/// Whether a ParaTime's committee of this epoch has the node.
fn elected(
    runtime: &Runtime,
    node: &Node,
    committee: Option<&Committee>,
    epoch: Epoch,
) -> Result<(), Refusal> {
    let elected = committee.is_some_and(|committee| {
        committee.runtime_id == runtime.id
            && committee.epoch == epoch
            && (committee.workers.contains(&node.id) || committee.backups.contains(&node.id))
    });
    if elected {
        return Ok(());
    }
    let (node, runtime_id) = (node.id.to_string(), runtime.id.to_string());
    Err(Refusal::NotElected { node, runtime_id, epoch: epoch.0 })
}

/// Whether an application's organisations run it on the node, and the node counts.
fn serves(
    runtime: &Runtime,
    node: &Node,
    tee: &CapabilityTee,
    enclave: Option<&Enclave>,
) -> Result<(), Refusal> {
    let (entity, runtime_id) = (node.entity_id.to_string(), runtime.id.to_string());
    let approval = runtime.approval.as_ref();
    if !approval.is_some_and(|approval| approval.organisations.contains(&node.entity_id)) {
        return Err(Refusal::NotAnOrganisation { entity, runtime_id });
    }
    // It has a live registration and is not revoked, so only a frozen node is not in the index.
    match enclave {
        Some(one) if one.node == node.id && one.rek == tee.rek => Ok(()),
        _ => Err(Refusal::Frozen { node: node.id.to_string(), runtime_id }),
    }
}

/// The enclave's identity, if its evidence is current and binds everything that is registered.
fn attested(
    node: &Node,
    tee: &CapabilityTee,
    runtime: &Runtime,
    facts: &Facts,
) -> Result<Measurement, Refusal> {
    let mismatch = |reason: &str| Refusal::EvidenceMismatch { reason: reason.to_string() };
    let TeePolicy { measurements, max_age_blocks } =
        runtime.tee.as_ref().ok_or_else(|| mismatch("the runtime allows no enclave"))?;
    let policy = paralith_attest::Policy {
        platforms: facts.platforms.clone(),
        measurements: measurements.iter().copied().map(Measurement).collect::<BTreeSet<_>>(),
        max_age: *max_age_blocks,
    };
    let claims = paralith_attest::verify(&tee.evidence, &policy, &facts.chain, facts.height)?;
    if (claims.rak, claims.rek) != (tee.rak, tee.rek) {
        return Err(mismatch("the evidence is about other keys"));
    }
    if (claims.node, claims.runtime) != (node.id, runtime.id) {
        return Err(mismatch("the evidence is about another node or runtime"));
    }
    if claims.code != runtime.code.as_ref().map(|code| code.id) {
        return Err(mismatch("the evidence is about other code"));
    }
    Ok(claims.measurement)
}

/// The asker follows the chain that this enclave follows. Its RAK and its blob may be in this state
/// and it may follow another chain all the same: its host can register and show what it likes.
fn same_chain(proven: Option<Hash>, height: Height, root: &Hash) -> Result<(), Refusal> {
    // KM-E1: compared at a height that this enclave has proven itself.
    match proven {
        None => Err(Refusal::UnknownHeight { height: height.0 }),
        Some(proven) if proven == *root => Ok(()),
        Some(_) => Err(Refusal::OtherChain { height: height.0 }),
    }
}

/// The asker has seen this very state, or a later one.
fn fresh(proof: Option<&Freshness>, blob: &Hash, facts: &Facts) -> Result<(), Refusal> {
    let epoch = &facts.epoch;
    match proof {
        Some(proof) if proof.blob == *blob && proof.height >= epoch.height => Ok(()),
        _ => Err(Refusal::Stale { epoch: epoch.epoch.0 }),
    }
}

fn not_in_policy(enclave: &Measurement) -> Refusal {
    let reason = format!("the key manager's policy does not allow the measurement {enclave}");
    Refusal::EvidenceMismatch { reason }
}

#[cfg(test)]
mod tests;
