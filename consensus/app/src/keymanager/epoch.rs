//! A key manager's status in a new epoch.

use std::collections::BTreeMap;

use paralith_consensus_api::keymanager::{
    EncryptedMasterSecret, INIT_RESPONSE_DOMAIN, InitResponse, SignedInitResponse, Status,
    StatusUpdated,
};
use paralith_consensus_api::registry::{Node, ROLE_KEYMANAGER, Runtime, RuntimeKind};
use paralith_consensus_api::{Error, Fault};
use paralith_crypto::ed25519;
use paralith_proto::Canonical;
use paralith_types::{ChainContext, Hash, PublicKey};

use super::{next_generation, state, status};
use crate::query::damaged;
use crate::{Context, registry};

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
        if let Some(response) = admitted(ctx, runtime, &status, node)? {
            committee.push((node.id, response));
        }
    }
    let members = count(committee.len());
    let percent = u64::from(state::params(ctx)?.replication_percent);
    if let Some(checksum) = proposal(ctx, &status)? {
        let (signing_key, holders) = holders(&committee, &checksum);
        let enough = count(holders.len()).saturating_mul(100) >= percent.saturating_mul(members);
        if let (Some(signing_key), true) = (signing_key, enough) {
            status.generation = next_generation(&status);
            status.rotation_epoch = ctx.epoch()?;
            status.checksum = Some(checksum);
            status.signing_key = Some(signing_key);
            status.initialised = true;
            status.nodes = holders;
            return Ok(status);
        }
    }
    status.nodes = committee.into_iter().map(|(node, _)| node).collect();
    Ok(status)
}

/// What a node's enclave says, if the node belongs to the committee.
fn admitted(
    ctx: &Context<'_>,
    runtime: &Runtime,
    status: &Status,
    node: &Node,
) -> Result<Option<InitResponse>, Error> {
    let Some(registered) = node.runtime(&runtime.id) else { return Ok(None) };
    if !node.has_role(ROLE_KEYMANAGER) || !registry::is_live(ctx, node)? {
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
    let policy = status.policy.as_ref();
    let fits = policy.is_none_or(|policy| allowed(&policy.measurements))
        && response.id == runtime.id
        && response.node == node.id
        && response.policy_checksum == policy.map_or(NO_POLICY, |policy| policy.checksum())
        && response.checksum == status.checksum
        && response.signing_key == status.signing_key;
    Ok(fits.then_some(response))
}

/// The init response inside a node's `extra_info`; none if the enclave has not signed it.
fn open(chain: &ChainContext, extra_info: &[u8], rak: &PublicKey) -> Option<InitResponse> {
    let signed = SignedInitResponse::decode(extra_info, extra_info.len()).ok()?;
    let (bytes, signature) = (&signed.response, &signed.signature);
    ed25519::verify(rak, INIT_RESPONSE_DOMAIN, chain, bytes, signature).ok()?;
    InitResponse::decode(bytes, bytes.len()).ok()
}

/// The checksum of the generation that was proposed for this epoch.
fn proposal(ctx: &Context<'_>, status: &Status) -> Result<Option<Hash>, Error> {
    let Some(published) = state::master_secret(ctx, &status.id)? else { return Ok(None) };
    let secret = EncryptedMasterSecret::decode(&published.secret, published.secret.len())
        .map_err(|e| damaged(status.id.as_bytes(), &format!("its master secret: {e}")))?;
    let due = secret.generation == next_generation(status) && secret.epoch == ctx.epoch()?;
    Ok(due.then_some(secret.checksum))
}

/// Who holds the proposal and agrees on the signing key that comes with it, with that key.
///
/// All honest enclaves derive the same key. The key that most name is taken, not the first one's, so
/// that a single liar cannot keep a generation from being accepted.
fn holders(
    committee: &[(PublicKey, InitResponse)],
    checksum: &Hash,
) -> (Option<PublicKey>, Vec<PublicKey>) {
    let mut by_key: BTreeMap<PublicKey, Vec<PublicKey>> = BTreeMap::new();
    for (node, response) in committee {
        if let (Some(next), Some(key)) = (response.next_checksum, response.next_signing_key)
            && next == *checksum
        {
            by_key.entry(key).or_default().push(*node);
        }
    }
    match by_key.into_iter().max_by_key(|(_, nodes)| nodes.len()) {
        Some((key, nodes)) => (Some(key), nodes),
        None => (None, Vec::new()),
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
