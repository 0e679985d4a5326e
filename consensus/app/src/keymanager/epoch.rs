//! A key manager's status in a new epoch.

use std::collections::BTreeMap;

use paralith_consensus_api::keymanager::{
    EncryptedMasterSecret, INIT_RESPONSE_DOMAIN, InitResponse, Recipient, SignedInitResponse,
    Status, StatusUpdated,
};
use paralith_consensus_api::registry::{Node, ROLE_KEYMANAGER, Runtime, RuntimeKind};
use paralith_consensus_api::{Error, Fault, address};
use paralith_crypto::ed25519;
use paralith_proto::Canonical;
use paralith_types::{ChainContext, Epoch, Hash, PublicKey};

use super::weight::Weights;
use super::{next_generation, state, status};
use crate::query::damaged;
use crate::{Context, registry, staking};

/// What an enclave says that it follows while there is no policy.
const NO_POLICY: Hash = Hash::ZERO;

/// Renews the status of every key manager, in the order of ids.
pub(crate) fn on_epoch(ctx: &mut Context<'_>) -> Result<(), Error> {
    let nodes = registry::nodes(ctx)?;
    for runtime in registry::runtimes(ctx)? {
        if runtime.kind != RuntimeKind::KeyManager {
            continue;
        }
        let old = status(ctx, &runtime.id)?;
        let new = renew(ctx, &runtime, &nodes, old.clone())?;
        if new != old {
            state::set_status(ctx, &new);
            ctx.emit(StatusUpdated { status: new });
        }
    }
    Ok(())
}

fn renew(
    ctx: &Context<'_>,
    runtime: &Runtime,
    nodes: &[Node],
    mut status: Status,
) -> Result<Status, Error> {
    if let Some(policy) = status.next_policy.take() {
        status.policy = Some(policy);
    }
    let mut committee = Vec::new();
    for node in nodes {
        committee.extend(admitted(ctx, runtime, &status, node)?);
    }
    let ids: Vec<PublicKey> = committee.iter().map(|member| member.recipient.node).collect();
    let weights = Weights::of(ctx, &runtime.id, status.policy.as_ref(), &ids)?;
    // KM-G3: accepted if enough weight holds it, else dropped.
    if let Some(checksum) = proposal(ctx, &status, ctx.epoch()?)? {
        let (signing_key, holders) = holders(&committee, &weights, &checksum);
        let needed = weights.needed(state::params(ctx)?.replication_percent)?;
        if let (Some(signing_key), true) = (signing_key, weights.sum(&holders) >= needed) {
            status.generation = next_generation(&status);
            status.rotation_epoch = ctx.epoch()?;
            status.checksum = Some(checksum);
            status.signing_key = Some(signing_key);
            status.initialised = true;
            committee.retain(|member| holders.contains(&member.recipient.node));
        }
    }
    // KM-K1: as registered now, until the next epoch begins.
    status.recipients = committee.into_iter().map(|member| member.recipient).collect();
    status.nodes = status.recipients.iter().map(|recipient| recipient.node).collect();
    Ok(status)
}

/// A node of the committee.
struct Member {
    recipient: Recipient,
    response: InitResponse,
}

/// A node as a member, if it belongs to the committee.
fn admitted(
    ctx: &Context<'_>,
    runtime: &Runtime,
    status: &Status,
    node: &Node,
) -> Result<Option<Member>, Error> {
    let Some(registered) = node.runtime(&runtime.id) else { return Ok(None) };
    let policy = status.policy.as_ref();
    let named = policy.is_none_or(|one| one.nodes.is_empty() || one.nodes.contains(&node.id));
    if !named || !node.has_role(ROLE_KEYMANAGER) || !registry::is_live(ctx, node)? {
        return Ok(None);
    }
    let account = staking::account(ctx, &address::of_key(&node.entity_id))?;
    if !staking::claims_covered(&account)? {
        return Ok(None);
    }
    let claims = match registry::verify_tee(ctx, node, runtime) {
        Ok(claims) => claims,
        Err(error) if error.fault() == Fault::Node => return Err(error),
        Err(_) => return Ok(None),
    };
    let chain = ctx.chain_context();
    let Some(response) = open(chain, &registered.extra_info, &claims.rak) else { return Ok(None) };
    let allowed = |measurements: &[Hash]| measurements.contains(&claims.measurement.0);
    // KM-C1: attested, named, staked for; and its enclave holds what was accepted and follows the
    // policy.
    let fits = policy.is_none_or(|policy| allowed(&policy.measurements))
        && response.id == runtime.id
        && response.node == node.id
        && response.policy_checksum == policy.map_or(NO_POLICY, |policy| policy.checksum())
        && response.checksum == status.checksum
        && response.signing_key == status.signing_key;
    let recipient = Recipient { node: node.id, rak: claims.rak, rek: claims.rek };
    Ok(fits.then_some(Member { recipient, response }))
}

/// The init response inside a node's `extra_info`; none if the enclave has not signed it.
fn open(chain: &ChainContext, extra_info: &[u8], rak: &PublicKey) -> Option<InitResponse> {
    let signed = SignedInitResponse::decode(extra_info, extra_info.len()).ok()?;
    let (bytes, signature) = (&signed.response, &signed.signature);
    ed25519::verify(rak, INIT_RESPONSE_DOMAIN, chain, bytes, signature).ok()?;
    InitResponse::decode(bytes, bytes.len()).ok()
}

/// The checksum of the generation that was proposed for an epoch.
pub(super) fn proposal(
    ctx: &Context<'_>,
    status: &Status,
    epoch: Epoch,
) -> Result<Option<Hash>, Error> {
    let Some(published) = state::master_secret(ctx, &status.id)? else { return Ok(None) };
    let secret = EncryptedMasterSecret::decode(&published.secret, published.secret.len())
        .map_err(|e| damaged(status.id.as_bytes(), &format!("its master secret: {e}")))?;
    let due = secret.generation == next_generation(status) && secret.epoch == epoch;
    Ok(due.then_some(secret.checksum))
}

/// Who holds the proposal and agrees on the signing key that comes with it, with that key.
///
/// All honest enclaves derive the same key. The key that most weight names is taken, not the first
/// one's, so that a single liar cannot keep a generation from being accepted.
fn holders(
    committee: &[Member],
    weights: &Weights,
    checksum: &Hash,
) -> (Option<PublicKey>, Vec<PublicKey>) {
    let mut by_key: BTreeMap<PublicKey, Vec<PublicKey>> = BTreeMap::new();
    for Member { recipient, response } in committee {
        // KM-G2: its init response says that the member has opened the proposal.
        if let (Some(next), Some(key)) = (response.next_checksum, response.next_signing_key)
            && next == *checksum
        {
            by_key.entry(key).or_default().push(recipient.node);
        }
    }
    match by_key.into_iter().max_by_key(|(_, nodes)| weights.sum(nodes)) {
        Some((key, nodes)) => (Some(key), nodes),
        None => (None, Vec::new()),
    }
}
