//! Following the chain, freshness, and how a runtime's keys come here.
//!
//! Keys come from an enclave of the key manager's committee, as proven state has it, in reply to a
//! request of ours, sealed to our REK. What the hosts on the way do can only delay it.

use paralith_consensus_api::registry::{self, Freshness, Runtime};
use paralith_keymanager_core::{
    Facts, KeyRequest, MAX_MESSAGE_BYTES, PROTOCOL_VERSION, SignedKeyReply, SignedKeyRequest,
    replier_rak,
};
use paralith_proto::Canonical;
use paralith_tee_channel::{Callbacks, pb};
use paralith_types::{Epoch, Hash, Height};

use super::error::TrustedError;
use super::facts::At;
use super::session::{Session, at, newest};
use super::start::to_keep;

/// Requests and blobs that may wait at once; a host that asks for more loses the oldest.
const MAX_WAITING: usize = 8;

/// Follows the chain.
pub(crate) fn sync(
    session: &Session,
    callbacks: &Callbacks,
    height: Height,
) -> Result<pb::Synced, TrustedError> {
    let mut synced = pb::Synced::default();
    {
        let mut view = session.view();
        view.sync(callbacks, height)?;
        synced.height = view.proven_height().0;
        if view.app_hash(view.proven_height()).is_some() {
            let at = newest(&view, callbacks);
            let epoch = at.epoch()?.epoch;
            let runtime: Option<Runtime> = at.get(&registry::keys::runtime(&session.runtime_id))?;
            synced.epoch = epoch.0;
            synced.has_keys = match runtime {
                Some(runtime) => has_keys(session, &at, &runtime, epoch)?,
                None => false,
            };
        }
    }
    synced.sealed = to_keep(session, false)?;
    Ok(synced)
}

/// Whether the keys of this epoch are here. Those of epochs that no envelope may name are erased.
fn has_keys(
    session: &Session,
    at: &At<'_>,
    runtime: &Runtime,
    epoch: Epoch,
) -> Result<bool, TrustedError> {
    if !runtime.confidential {
        return Ok(true);
    }
    let mut secrets = session.secrets();
    let Some(keys) = &mut secrets.keys else { return Ok(false) };
    keys.erase_before(epoch.minus(1));
    let generation = at.generation(runtime)?;
    Ok(keys.epoch_key(epoch).is_some() && keys.generation() >= generation)
}

/// A blob for the node to have included.
pub(crate) fn freshness_blob(session: &Session) -> Result<Vec<u8>, TrustedError> {
    let blob = Hash(session.random()?);
    let mut secrets = session.secrets();
    push(&mut secrets.blobs, blob);
    Ok(blob.as_bytes().to_vec())
}

/// Looks for one of the blobs in proven state: it was included in this very epoch, so the view is
/// no older than that.
pub(crate) fn confirm_freshness(
    session: &Session,
    callbacks: &Callbacks,
    height: Height,
) -> Result<(), TrustedError> {
    let mut view = session.view();
    view.ensure(callbacks, height)?;
    let at = at(&view, callbacks, height);
    let epoch = at.epoch()?;
    let key = registry::keys::freshness(&session.node, &session.runtime_id);
    let found: Freshness = at.need("freshness proof of this node", &key)?;
    let mut secrets = session.secrets();
    if !secrets.blobs.contains(&found.blob) || found.height < epoch.height {
        return Err(TrustedError::NotFresh { epoch: epoch.epoch.0 });
    }
    // A host that repeats an old confirmation does not take a newer one back.
    if secrets.fresh.is_none_or(|(fresh, _)| fresh <= epoch.epoch) {
        secrets.fresh = Some((epoch.epoch, found.blob));
    }
    Ok(())
}

/// A request for the runtime's keys.
pub(crate) fn request(
    session: &Session,
    callbacks: &Callbacks,
    epoch: Epoch,
) -> Result<Vec<u8>, TrustedError> {
    let view = session.view();
    let runtime = newest(&view, callbacks).runtime(&session.runtime_id)?;
    drop(view);
    let id = runtime
        .key_manager
        .ok_or_else(|| TrustedError::NoKeys("the runtime has no key manager".into()))?;
    let nonce = Hash(session.random()?);
    let mut secrets = session.secrets();
    let (_, freshness) = secrets.fresh.ok_or(TrustedError::NotFresh { epoch: epoch.0 })?;
    let request = KeyRequest {
        version: PROTOCOL_VERSION,
        id,
        runtime_id: session.runtime_id,
        node: session.node,
        epoch,
        freshness,
        nonce,
    };
    let signed = SignedKeyRequest::sign(&request, &session.rak, &session.chain);
    push(&mut secrets.requests, request);
    Ok(signed.encode())
}

/// Takes a key manager's reply.
pub(crate) fn provide(
    session: &Session,
    callbacks: &Callbacks,
    reply: &[u8],
) -> Result<(), TrustedError> {
    let signed = SignedKeyReply::decode(reply, MAX_MESSAGE_BYTES)?;
    let said = signed.unverified()?;
    let waiting = session.secrets().requests.clone();
    let request = waiting.iter().find(|request| request.hash() == said.request_hash);
    let request = request
        .ok_or_else(|| TrustedError::KeyReply("it answers no request of this enclave".into()))?;

    let mut view = session.view();
    let rak = replier(session, &newest(&view, callbacks), request, &said.node)?;
    let secrets = signed.open(request, &rak, &session.rek, &session.chain)?;
    view.sync(callbacks, secrets.min_height)?;
    let at = newest(&view, callbacks);
    let generation = at.generation(&at.runtime(&session.runtime_id)?)?;
    let keys =
        secrets.into_keys().ok_or_else(|| TrustedError::KeyReply("it has no generation".into()))?;
    if keys.generation() < generation {
        let (got, needed) = (keys.generation(), generation);
        let reason = format!("it ends with generation {got}, the chain has {needed}");
        return Err(TrustedError::KeyReply(reason));
    }

    let mut held = session.secrets();
    held.requests.retain(|one| one != request);
    match &mut held.keys {
        Some(old) if old.index_key() != keys.index_key() => {
            return Err(TrustedError::KeyReply("its first generation is another one".into()));
        }
        Some(old) => old.update(keys),
        None => held.keys = Some(keys),
    }
    Ok(())
}

/// The RAK of the enclave that says it replies, if state has it as one that may.
fn replier(
    session: &Session,
    at: &At<'_>,
    request: &KeyRequest,
    node: &paralith_types::PublicKey,
) -> Result<paralith_types::PublicKey, TrustedError> {
    let facts = Facts {
        chain: session.chain,
        id: request.id,
        height: at.height,
        epoch: at.epoch()?,
        fresh: None,
        platforms: at.registry_params()?.software_platforms,
        status: at.status(&request.id)?,
    };
    let key_manager = at.runtime(&request.id)?;
    let registered = at.get(&registry::keys::node(node))?;
    Ok(replier_rak(&facts, &key_manager, node, registered.as_ref())?)
}

fn push<T>(waiting: &mut Vec<T>, one: T) {
    if waiting.len() >= MAX_WAITING {
        waiting.remove(0);
    }
    waiting.push(one);
}
