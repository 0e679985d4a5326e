//! The transactions of key managers.

use std::collections::BTreeSet;

use paralith_consensus_api::Error;
use paralith_consensus_api::keymanager::{
    Ciphertext, EncryptedEpochSecret, EncryptedMasterSecret, EpochSecretPublished,
    Error as KeyManagerError, MasterSecretPublished, NotDue, PUBLISH_EPOCH_DOMAIN,
    PUBLISH_MASTER_DOMAIN, PublishEpochSecret, PublishMasterSecret, Status, StatusUpdated,
    UpdatePolicy, rotation_due,
};
use paralith_consensus_api::registry::CapabilityTee;
use paralith_crypto::{Domain, ed25519};
use paralith_proto::Canonical;
use paralith_types::{Epoch, PublicKey, RuntimeId, Signature, X25519PublicKey};

use super::weight::Weights;
use super::{check_policy, next_generation, state, status};
use crate::query::damaged;
use crate::{Context, registry};

/// Sets the policy of the next epoch. A pending one is replaced.
pub(crate) fn update_policy(ctx: &mut Context<'_>, body: &UpdatePolicy) -> Result<(), Error> {
    ctx.charge(state::params(ctx)?.gas_update_policy)?;
    let policy = &body.policy;
    check_policy(policy)?;
    let mut status = status(ctx, &policy.id)?;
    let unknown = || KeyManagerError::NoSuchStatus { id: policy.id.to_string() };
    let owner = registry::runtime(ctx, &policy.id)?.ok_or_else(unknown)?.entity_id;
    let signer = ctx.signer()?.key;
    if signer != owner {
        let (expected, got) = (owner.to_string(), signer.to_string());
        return Err(KeyManagerError::IncorrectSigner { expected, got }.into());
    }
    let known = [status.policy.as_ref(), status.next_policy.as_ref()];
    let newest = known.into_iter().flatten().map(|policy| policy.serial).max();
    if let Some(current) = newest.filter(|current| policy.serial <= *current) {
        return Err(KeyManagerError::SerialTooLow { current, got: policy.serial }.into());
    }
    status.next_policy = Some(policy.clone());
    state::set_status(ctx, &status);
    ctx.emit(StatusUpdated { status });
    Ok(())
}

/// Proposes the next generation of a master secret for the next epoch.
pub(crate) fn publish_master_secret(
    ctx: &mut Context<'_>,
    body: &PublishMasterSecret,
) -> Result<(), Error> {
    ctx.charge(state::params(ctx)?.gas_publish_secret)?;
    let secret: EncryptedMasterSecret = read(&body.secret)?;
    let status = status(ctx, &secret.id)?;
    let envelope = Envelope {
        domain: PUBLISH_MASTER_DOMAIN,
        secret: &body.secret,
        node: &body.node,
        signature: &body.signature,
    };
    envelope.verify(ctx, &status)?;
    let epoch = secret.epoch;
    if secret.generation != next_generation(&status) {
        let (expected, got) = (next_generation(&status), secret.generation);
        return Err(KeyManagerError::WrongGeneration { expected, epoch: epoch.0, got }.into());
    }
    // KM-G1: one proposal an epoch, for the next one, when rotation is due.
    require_next(ctx, epoch)?;
    require_rotation_due(&status, epoch)?;
    if let Some(newest) = state::master_secret(ctx, &secret.id)? {
        let newest: EncryptedMasterSecret = read_stored(&secret.id, &newest.secret)?;
        require_unpublished(newest.epoch, epoch)?;
    }
    check_recipients(ctx, &status, &secret.ciphertexts)?;
    state::set_master_secret(ctx, &secret.id, body);
    ctx.emit(MasterSecretPublished { id: secret.id, generation: secret.generation, epoch });
    Ok(())
}

/// Publishes the secret of the next epoch.
pub(crate) fn publish_epoch_secret(
    ctx: &mut Context<'_>,
    body: &PublishEpochSecret,
) -> Result<(), Error> {
    ctx.charge(state::params(ctx)?.gas_publish_secret)?;
    let secret: EncryptedEpochSecret = read(&body.secret)?;
    let status = status(ctx, &secret.id)?;
    let envelope = Envelope {
        domain: PUBLISH_EPOCH_DOMAIN,
        secret: &body.secret,
        node: &body.node,
        signature: &body.signature,
    };
    envelope.verify(ctx, &status)?;
    require_next(ctx, secret.epoch)?;
    // KM-G4: the first one wins.
    if let Some(newest) = state::epoch_secret(ctx, &secret.id)? {
        let newest: EncryptedEpochSecret = read_stored(&secret.id, &newest.secret)?;
        require_unpublished(newest.epoch, secret.epoch)?;
    }
    check_recipients(ctx, &status, &secret.ciphertexts)?;
    state::set_epoch_secret(ctx, &secret.id, body);
    state::add_epoch_checksum(ctx, &secret.id, secret.epoch, secret.checksum)?;
    ctx.emit(EpochSecretPublished { id: secret.id, epoch: secret.epoch });
    Ok(())
}

/// An encrypted secret with its maker's signature.
struct Envelope<'a> {
    domain: Domain,
    secret: &'a [u8],
    node: &'a PublicKey,
    signature: &'a Signature,
}

impl Envelope<'_> {
    /// Whether an enclave of the committee has made it.
    fn verify(&self, ctx: &Context<'_>, status: &Status) -> Result<(), Error> {
        let node = self.node.to_string();
        if !status.nodes.contains(self.node) {
            return Err(KeyManagerError::NotInCommittee { node }.into());
        }
        let tee = tee(ctx, self.node, &status.id)?;
        let Some(tee) = tee else {
            return Err(KeyManagerError::NotInCommittee { node }.into());
        };
        if registry::is_revoked(ctx, &status.id, &tee.rak)? {
            return Err(KeyManagerError::EnclaveRevoked { node }.into());
        }
        let chain = ctx.chain_context();
        ed25519::verify(&tee.rak, self.domain, chain, self.secret, self.signature)
            .map_err(|_| KeyManagerError::InvalidSignature)?;
        Ok(())
    }
}

fn require_next(ctx: &Context<'_>, epoch: Epoch) -> Result<(), Error> {
    let next = ctx.epoch()?.next();
    if epoch != next {
        return Err(KeyManagerError::WrongEpoch { expected: next.0, got: epoch.0 }.into());
    }
    Ok(())
}

fn require_unpublished(newest: Epoch, epoch: Epoch) -> Result<(), Error> {
    if newest == epoch {
        return Err(KeyManagerError::AlreadyPublished { epoch: epoch.0 }.into());
    }
    Ok(())
}

fn require_rotation_due(status: &Status, epoch: Epoch) -> Result<(), KeyManagerError> {
    rotation_due(status, epoch).map_err(|not_due| KeyManagerError::RotationNotDue {
        reason: match not_due {
            NotDue::Disabled => "disabled",
            NotDue::TooEarly => "later",
        },
    })
}

/// Enough of the committee's current enclaves must be able to open a secret.
///
/// A member counts if a ciphertext is for the key that its node has registered now, or for its key
/// of this epoch while the same enclave (RAK) is registered: that enclave keeps the key until the
/// epoch ends. So an enclave may register its next key at any time, one that was restarted counts
/// with its new key, and a member that registers a new key in every block stops nobody. Ciphertexts
/// for other keys are ignored: a key may have changed after the secret was sealed. A member whose
/// enclave is revoked is none.
fn check_recipients(
    ctx: &Context<'_>,
    status: &Status,
    ciphertexts: &[Ciphertext],
) -> Result<(), Error> {
    let members = u64::try_from(status.nodes.len()).unwrap_or(u64::MAX);
    let limit = members.saturating_mul(CIPHERTEXTS_PER_MEMBER).saturating_add(SPARE_CIPHERTEXTS);
    let sorted = ciphertexts.is_sorted_by(|a, b| a.rek < b.rek);
    if !sorted || u64::try_from(ciphertexts.len()).unwrap_or(u64::MAX) > limit {
        return Err(KeyManagerError::WrongRecipients { limit }.into());
    }
    let reks: BTreeSet<X25519PublicKey> = ciphertexts.iter().map(|one| one.rek).collect();
    let mut able = BTreeSet::new();
    let mut standing = Vec::new();
    for node in &status.nodes {
        let tee = tee(ctx, node, &status.id)?;
        if let Some(tee) = &tee
            && registry::is_revoked(ctx, &status.id, &tee.rak)?
        {
            continue;
        }
        standing.push(*node);
        let Some(tee) = tee else { continue };
        // KM-K3: the registered REK, or the recipient REK while the same enclave runs.
        let kept = status
            .recipients
            .iter()
            .any(|one| one.node == *node && one.rak == tee.rak && reks.contains(&one.rek));
        if kept || reks.contains(&tee.rek) {
            able.insert(*node);
        }
    }
    let weights = Weights::of(ctx, &status.id, status.policy.as_ref(), &standing)?;
    // KM-K4: ciphertexts for other keys are ignored; weight that can open decides.
    let got = weights.sum(&able);
    let needed = weights.needed(state::params(ctx)?.replication_percent)?;
    if able.is_empty() || got < needed {
        return Err(KeyManagerError::TooFewRecipients {
            got: got.to_string(),
            total: weights.total().to_string(),
            needed: needed.to_string(),
        }
        .into());
    }
    Ok(())
}

/// The key of this epoch, the one of the next, and as many that were registered while the secret was
/// on its way.
const CIPHERTEXTS_PER_MEMBER: u64 = 4;

/// For members that join.
const SPARE_CIPHERTEXTS: u64 = 16;

/// The enclave that a node has registered.
fn tee(
    ctx: &Context<'_>,
    node: &PublicKey,
    id: &RuntimeId,
) -> Result<Option<CapabilityTee>, Error> {
    let node = registry::node(ctx, node)?;
    Ok(node.and_then(|node| node.runtime(id)?.tee.clone()))
}

fn read<T: Canonical>(bytes: &[u8]) -> Result<T, Error> {
    T::decode(bytes, bytes.len()).map_err(|e| {
        let reason = format!("the secret cannot be read: {e}");
        KeyManagerError::InvalidArgument { reason }.into()
    })
}

/// Reads a secret that was read before it was stored.
fn read_stored<T: Canonical>(id: &RuntimeId, bytes: &[u8]) -> Result<T, Error> {
    T::decode(bytes, bytes.len())
        .map_err(|e| damaged(id.as_bytes(), &format!("its stored secret: {e}")))
}
