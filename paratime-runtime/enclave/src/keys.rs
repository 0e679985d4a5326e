//! Following the chain, freshness, and how a runtime's keys come here.
//!
//! Keys come from an enclave of the key manager's committee, as proven state has it, in reply to a
//! request of ours, sealed to a key that was made for the request. Request and reply name a state
//! root, so both enclaves follow one chain. The hosts on the way can only delay it.
//!
//! Every call that sees an epoch erases what that epoch makes too old: [`Secrets::enter`].

use paralith_consensus_api::registry::{self, Runtime};
use paralith_crypto::{HpkeSecret, Zeroizing};
use paralith_keymanager_core::{
    Facts, KeyRequest, MAX_MESSAGE_BYTES, PROTOCOL_VERSION, SecretError, SignedKeyReply,
    SignedKeyRequest, replier_rak,
};
use paralith_proto::Canonical;
use paralith_tee_channel::{Callbacks, pb};
use paralith_types::{Epoch, Hash, Height};

use super::error::EnclaveError;
use super::proven_state::At;
use super::read;
use super::session::{Secrets, Session, at, newest};
use super::start::to_keep;

/// Requests and blobs that may wait at once; a host that asks for more loses the oldest.
const MAX_WAITING: usize = 8;

impl Secrets {
    /// Whether the enclave may use its keys in this epoch: it has proven in it, or in the one before,
    /// that it sees the living chain.
    pub(crate) fn is_fresh(&self, epoch: Epoch) -> bool {
        self.freshness.proven().is_some_and(|(fresh, _)| fresh.next() >= epoch)
    }

    /// An epoch runs. Erased are keys of epochs that no envelope may name any more, blobs that do
    /// not count any more, and requests with their reply keys that no key manager answers any more.
    /// A call that reads an older state erases nothing.
    pub(crate) fn enter(&mut self, epoch: Epoch) {
        if let Some(keys) = &mut self.keys {
            keys.erase_before(epoch.minus(1));
        }
        self.freshness.enter(epoch);
        self.requests.retain(|(request, _)| request.epoch >= epoch);
    }
}

/// Follows the chain.
pub(crate) fn sync(
    session: &Session,
    callbacks: &Callbacks,
    height: Height,
) -> Result<pb::Synced, EnclaveError> {
    let mut synced = session.with_view(callbacks, |view, callbacks| {
        view.sync(callbacks, height)?;
        let mut synced = pb::Synced { height: view.proven_height().0, ..Default::default() };
        if view.app_hash(view.proven_height()).is_some() {
            let at = newest(view, callbacks);
            let epoch = at.epoch()?.epoch;
            session.secrets().enter(epoch);
            let runtime: Option<Runtime> = at.get(&registry::keys::runtime(&session.runtime_id))?;
            synced.epoch = epoch.0;
            synced.has_keys = match runtime {
                Some(runtime) => has_keys(session, &at, &runtime, epoch)?,
                None => false,
            };
        }
        Ok(synced)
    })?;
    synced.sealed = to_keep(session, false)?;
    // Applications have no rounds. Where this root's keys or state are not here yet, neither can a
    // round be executed.
    if synced.has_keys && session.identity.is_none() {
        synced.wake_height = read::wake_height(session, callbacks).unwrap_or_default();
    }
    Ok(synced)
}

/// Whether the keys of this epoch are here.
fn has_keys(
    session: &Session,
    at: &At<'_>,
    runtime: &Runtime,
    epoch: Epoch,
) -> Result<bool, EnclaveError> {
    if !runtime.confidential {
        return Ok(true);
    }
    if session.secrets().keys.is_none() {
        return Ok(false);
    }
    let generation = at.generation(runtime)?;
    let secrets = session.secrets();
    let Some(keys) = &secrets.keys else { return Ok(false) };
    Ok(keys.epoch_key(epoch).is_some() && keys.generation() >= generation)
}

/// A blob for the node to have included, in the epoch that this enclave sees now or in the next.
pub(crate) fn freshness_blob(
    session: &Session,
    callbacks: &Callbacks,
) -> Result<Vec<u8>, EnclaveError> {
    let epoch = session
        .with_view(callbacks, |view, callbacks| Ok(newest(view, callbacks).epoch()?.epoch))?;
    let blob = Hash(session.random()?);
    let mut secrets = session.secrets();
    secrets.enter(epoch);
    secrets.freshness.add(epoch, blob);
    Ok(blob.as_bytes().to_vec())
}

/// Looks for one of the blobs in proven state: it was included in this very epoch, so the view is
/// no older than that.
pub(crate) fn confirm_freshness(
    session: &Session,
    callbacks: &Callbacks,
    height: Height,
) -> Result<(), EnclaveError> {
    let key = registry::keys::freshness(&session.node, &session.runtime_id);
    let (epoch, found, newest) = session.with_view(callbacks, |view, callbacks| {
        view.ensure(callbacks, height)?;
        let at = at(view, callbacks, height);
        let found: Option<registry::Freshness> = at.get(&key)?;
        let newest = newest(view, callbacks);
        session.refuse_replaced(&newest)?;
        Ok((at.epoch()?, found, newest.epoch()?.epoch))
    })?;
    let mut secrets = session.secrets();
    secrets.enter(newest);
    Ok(secrets.freshness.confirm(&epoch, found.as_ref())?)
}

/// A request for the runtime's keys.
pub(crate) fn request(
    session: &Session,
    callbacks: &Callbacks,
    epoch: Epoch,
) -> Result<Vec<u8>, EnclaveError> {
    let (runtime, height, runs, state_root) = session.with_view(callbacks, |view, callbacks| {
        let at = newest(view, callbacks);
        session.refuse_replaced(&at)?;
        let runtime = at.runtime(&session.runtime_id)?;
        let root = view.app_hash(at.height).ok_or(EnclaveError::NotFresh { epoch: epoch.0 })?;
        Ok((runtime, at.height, at.epoch()?.epoch, root))
    })?;
    let id = runtime
        .key_manager
        .ok_or_else(|| EnclaveError::NoKeys("the runtime has no key manager".into()))?;
    let nonce = Hash(session.random()?);
    let reply_key = HpkeSecret::from_ikm(&Zeroizing::new(session.random()?));
    let mut secrets = session.secrets();
    secrets.enter(runs);
    let (_, freshness) =
        secrets.freshness.proven().ok_or(EnclaveError::NotFresh { epoch: epoch.0 })?;
    let request = KeyRequest {
        version: PROTOCOL_VERSION,
        id,
        runtime_id: session.runtime_id,
        node: session.node,
        epoch,
        freshness,
        nonce,
        height,
        state_root,
        reply_key: reply_key.public(),
    };
    let signed = SignedKeyRequest::sign(&request, &session.rak, &session.chain);
    push(&mut secrets.requests, (request, reply_key));
    Ok(signed.encode())
}

/// Takes a key manager's reply.
pub(crate) fn provide(
    session: &Session,
    callbacks: &Callbacks,
    reply: &[u8],
) -> Result<(), EnclaveError> {
    let signed = SignedKeyReply::decode(reply, MAX_MESSAGE_BYTES)?;
    let said = signed.unverified()?;
    let waiting = session.secrets().requests.clone();
    let asked = waiting.iter().find(|(request, _)| request.hash() == said.request_hash);
    let (request, reply_key) = asked
        .ok_or_else(|| EnclaveError::KeyReply("it answers no request of this enclave".into()))?;

    // KM-Q8: of an enclave that proven state lets reply, to a request that waits.
    let rak = session.with_view(callbacks, |view, callbacks| {
        replier(session, &newest(view, callbacks), request, &said.node)
    })?;
    let secrets = signed.open(request, &rak, reply_key, &session.chain)?;
    let height = secrets.height.0;
    let (epoch, generation) = session.with_view(callbacks, |view, callbacks| {
        view.sync(callbacks, secrets.height)?;
        match view.app_hash(secrets.height) {
            None => return Err(SecretError::UnknownHeight { height }.into()),
            Some(root) if root != secrets.state_root => {
                return Err(SecretError::OtherChain { height }.into());
            }
            Some(_) => {}
        }
        let at = newest(view, callbacks);
        Ok((at.epoch()?.epoch, at.generation(&at.runtime(&session.runtime_id)?)?))
    })?;
    let keys =
        secrets.into_keys().ok_or_else(|| EnclaveError::KeyReply("it has no generation".into()))?;
    if keys.generation() < generation {
        let (got, needed) = (keys.generation(), generation);
        let reason = format!("it ends with generation {got}, the chain has {needed}");
        return Err(EnclaveError::KeyReply(reason));
    }

    let mut held = session.secrets();
    held.requests.retain(|(one, _)| one != request);
    match &mut held.keys {
        Some(old) if old.index_key() != keys.index_key() => {
            return Err(EnclaveError::KeyReply("its first generation is another one".into()));
        }
        Some(old) => old.update(keys),
        None => held.keys = Some(keys),
    }
    held.enter(epoch);
    Ok(())
}

/// The RAK of the enclave that says it replies, if state has it as one that may.
fn replier(
    session: &Session,
    at: &At<'_>,
    request: &KeyRequest,
    node: &paralith_types::PublicKey,
) -> Result<paralith_types::PublicKey, EnclaveError> {
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
    let registered: Option<registry::Node> = at.get(&registry::keys::node(node))?;
    let tee = registered.as_ref().and_then(|node| node.runtime(&request.id)?.tee.as_ref());
    let revoked: Option<registry::Revoked> = match tee {
        Some(tee) => at.get(&registry::keys::revoked(&request.id, &tee.rak))?,
        None => None,
    };
    Ok(replier_rak(&facts, &key_manager, node, registered.as_ref(), revoked.is_some())?)
}

fn push<T>(waiting: &mut Vec<T>, one: T) {
    if waiting.len() >= MAX_WAITING {
        waiting.remove(0);
    }
    waiting.push(one);
}

#[cfg(test)]
mod tests {
    use paralith_keymanager_core::{RuntimeKeys, Secret};
    use paralith_tee_enclave::Freshness;
    use paralith_types::{PublicKey, RuntimeId};

    use super::*;

    fn request(epoch: u64) -> (KeyRequest, HpkeSecret) {
        let reply_key = HpkeSecret::from_ikm(&[1; 32]);
        let request = KeyRequest {
            version: PROTOCOL_VERSION,
            id: RuntimeId([1; 32]),
            runtime_id: RuntimeId([2; 32]),
            node: PublicKey([3; 32]),
            epoch: Epoch(epoch),
            freshness: Hash::ZERO,
            nonce: Hash::ZERO,
            height: Height(1),
            state_root: Hash::ZERO,
            reply_key: reply_key.public(),
        };
        (request, reply_key)
    }

    #[test]
    fn an_epoch_erases_what_it_makes_too_old_and_an_earlier_one_nothing() {
        let epochs = (3..=5).map(|epoch| (Epoch(epoch), Secret::new([9; 32]))).collect();
        let mut secrets = Secrets {
            keys: RuntimeKeys::new(vec![Secret::new([7; 32])], epochs),
            freshness: Freshness::new(),
            requests: (3..=5).map(request).collect(),
        };
        let held = |secrets: &Secrets| {
            let keys: Vec<u64> =
                secrets.keys.iter().flat_map(|k| k.epochs()).map(|e| e.0).collect();
            let requests: Vec<u64> = secrets.requests.iter().map(|(r, _)| r.epoch.0).collect();
            (keys, requests)
        };
        secrets.enter(Epoch(5));
        let expected = (vec![4, 5], vec![5]);
        assert_eq!(held(&secrets), expected);
        secrets.enter(Epoch(2));
        assert_eq!(held(&secrets), expected);
        secrets.enter(Epoch(7));
        assert_eq!(held(&secrets), (vec![], vec![]));
    }
}
