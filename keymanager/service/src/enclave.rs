//! Following the chain, proving freshness, and taking over the status.

use std::fmt;

use paralith_attest::Claims;
use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::keymanager::{
    self, INIT_RESPONSE_DOMAIN, InitResponse, Policy, Status,
};
use paralith_consensus_api::keymanager::{PublishEpochSecret, SignedInitResponse};
use paralith_consensus_api::registry::{self, Runtime, RuntimeKind};
use paralith_crypto::{HpkeSecret, SigningKey, Zeroizing};
use paralith_keymanager_core::{
    EpochSecrets, Facts, Kept, MasterSecrets, NO_POLICY, PendingSecret, RecipientKeys,
    ReplicationRequest, Secret, adopt, check_policy, may_replicate, signing_key,
};
use paralith_proto::Canonical;
use paralith_tee_channel::{Callbacks, ChainView, pb};
use paralith_tee_enclave::{EnclaveId, Entropy, Freshness, Opened, SealedFor, SealingKey};
use paralith_types::{Epoch, Hash, Height, PublicKey, RuntimeId};

use crate::ServiceError;
use crate::service::measurement;

/// A running enclave.
pub(crate) struct Enclave {
    pub(crate) place: EnclaveId,
    pub(crate) rak: SigningKey,
    pub(crate) reks: RecipientKeys,
    pub(crate) entropy: Entropy,
    pub(crate) view: ChainView,
    pub(crate) masters: MasterSecrets,
    /// A proposed generation that this enclave could open.
    pub(crate) pending: Option<PendingSecret>,
    pub(crate) epochs: EpochSecrets,
    /// The newest published epoch secret that did not open: logged once.
    pub(crate) unopened: Option<Epoch>,
    /// The newest replication request and the key of its reply: gone when a reply has been taken,
    /// or with its epoch.
    pub(crate) asked: Option<(ReplicationRequest, HpkeSecret)>,
    sealing_key: SealingKey,
    policy: Option<Policy>,
    pub(crate) freshness: Freshness,
    /// What the host was last given to keep.
    kept: KeptMark,
}

/// Changes when there is something new to keep: secrets, the policy, or an epoch's newer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct KeptMark {
    generations: u64,
    pending: Option<(u64, Epoch)>,
    policy_serial: Option<u32>,
    epoch: Epoch,
}

/// State as of the newest proven height.
pub(crate) struct Now {
    pub(crate) height: Height,
    pub(crate) state_root: Hash,
    pub(crate) epoch: EpochState,
    pub(crate) status: Status,
}

impl fmt::Debug for Enclave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enclave({:?}, {} generations)", self.place, self.masters.count())
    }
}

impl Enclave {
    pub(crate) fn new(opened: Opened, sealed: &[u8]) -> Result<Self, ServiceError> {
        let Opened { id: place, document, sealing_key, mut entropy } = opened;
        // A key manager without a sealing key would lose every generation with its process.
        let sealing_key = sealing_key.ok_or_else(|| ServiceError::BadStart {
            reason: "a key manager needs a sealing key of 32 bytes".to_string(),
        })?;
        let kept = if sealed.is_empty() {
            None
        } else {
            let plaintext = sealing_key.open(&sealed_for(&place), sealed)?;
            let kept = Kept::decode(&plaintext, MAX_KEPT_BYTES);
            Some(kept.map_err(|_| ServiceError::CannotUnseal)?)
        };
        let Kept { master_secrets, pending, trusted_header, policy } = kept.unwrap_or_default();
        let (rak, rek) = (SigningKey::from_seed(entropy.bytes()?), entropy.draw()?.into());
        let view = if trusted_header.is_empty() {
            ChainView::from_genesis(&document)?
        } else {
            ChainView::from_sealed(&document, &trusted_header)?
        };
        Ok(Self {
            place,
            rak,
            reks: RecipientKeys::new(&rek),
            entropy,
            view,
            masters: MasterSecrets::from_kept(place.runtime_id, master_secrets),
            pending,
            epochs: EpochSecrets::new(),
            asked: None,
            sealing_key,
            policy,
            unopened: None,
            freshness: Freshness::new(),
            kept: KeptMark::default(),
        })
    }

    pub(crate) fn is_at(&self, place: &EnclaveId) -> bool {
        self.place == *place
    }

    /// What the platform is to vouch for: this enclave's keys as of now, and the chain it follows.
    pub(crate) fn claims(&self) -> Claims {
        let height = self.view.proven_height();
        Claims {
            measurement: measurement(),
            rak: self.rak.public(),
            rek: self.reks.public(),
            node: self.place.node,
            runtime: self.place.runtime_id,
            code: None,
            height,
            state_root: self.view.app_hash(height).unwrap_or(Hash::ZERO),
        }
    }

    pub(crate) fn sync(
        &mut self,
        height: u64,
        callbacks: &Callbacks,
    ) -> Result<pb::Synced, ServiceError> {
        let now = self.follow(Height(height), callbacks)?;
        let epoch = now.epoch.epoch;
        let has_keys = self.is_complete(&now.status) && self.epochs.secret(epoch).is_some();
        let sealed = self.seal_if_new(epoch)?;
        let (height, epoch) = (now.height.0, epoch.0);
        Ok(pb::Synced { height, epoch, has_keys, sealed, wake_height: None })
    }

    /// A blob for the node to have included. It counts in the epoch that this enclave sees now, or
    /// in the next one.
    pub(crate) fn freshness_blob(
        &mut self,
        callbacks: &Callbacks,
    ) -> Result<Vec<u8>, ServiceError> {
        let epoch = self.epoch_at(self.view.proven_height(), callbacks)?.epoch;
        let blob = Hash(self.entropy.bytes()?);
        self.freshness.add(epoch, blob);
        Ok(blob.as_bytes().to_vec())
    }

    /// The blob must have been included in the epoch of the state in which it is found.
    pub(crate) fn confirm_freshness(
        &mut self,
        height: u64,
        callbacks: &Callbacks,
    ) -> Result<(), ServiceError> {
        let height = Height(height);
        self.view.ensure(callbacks, height)?;
        let epoch = self.epoch_at(height, callbacks)?;
        let key = registry::keys::freshness(&self.place.node, &self.place.runtime_id);
        let found: Option<registry::Freshness> = self.view.get(callbacks, height, &key)?;
        // The view has moved: erase what its newest epoch makes too old. Without a status there is
        // nothing to erase.
        match self.now(callbacks) {
            Ok(_) | Err(ServiceError::NotRegistered) => {}
            Err(error) => return Err(error),
        }
        Ok(self.freshness.confirm(&epoch, found.as_ref())?)
    }

    pub(crate) fn init(&mut self, callbacks: &Callbacks) -> Result<pb::Initialised, ServiceError> {
        let now = self.now(callbacks)?;
        self.initialised(&now, callbacks)
    }

    /// What the enclave says of itself, for the node's registration.
    pub(crate) fn initialised(
        &mut self,
        now: &Now,
        callbacks: &Callbacks,
    ) -> Result<pb::Initialised, ServiceError> {
        let key = registry::keys::runtime(&self.place.runtime_id);
        let own: Option<Runtime> = self.view.get(callbacks, now.height, &key)?;
        if own.is_none_or(|own| own.kind != RuntimeKind::KeyManager) {
            return Err(ServiceError::NotRegistered);
        }
        let missing_epochs = self.missing_epochs(now, callbacks)?.iter().map(|e| e.0).collect();
        self.follow_policy(&now.status)?;
        let response = self.response().encode();
        let signature = self.rak.sign(INIT_RESPONSE_DOMAIN, &self.place.chain, &response);
        let missing_generations = if now.status.initialised {
            (self.masters.count()..=now.status.generation).take(MAX_REPORTED).collect()
        } else {
            Vec::new()
        };
        Ok(pb::Initialised {
            response: SignedInitResponse { response, signature }.encode(),
            sealed: self.seal_if_new(now.epoch.epoch)?,
            missing_generations,
            missing_epochs,
        })
    }

    /// Epochs up to the present one, and the next one if its secret is published.
    pub(crate) fn missing_epochs(
        &self,
        now: &Now,
        callbacks: &Callbacks,
    ) -> Result<Vec<Epoch>, ServiceError> {
        let mut missing = self.epochs.missing();
        let next = now.epoch.epoch.next();
        let published = self.published_epoch_secret(now, callbacks)?;
        if published.is_some_and(|one| one.epoch == next) && self.epochs.secret(next).is_none() {
            missing.push(next);
        }
        Ok(missing)
    }

    pub(crate) fn published_epoch_secret(
        &self,
        now: &Now,
        callbacks: &Callbacks,
    ) -> Result<Option<keymanager::EncryptedEpochSecret>, ServiceError> {
        let key = keymanager::keys::epoch_secret(&self.place.runtime_id);
        let published: Option<PublishEpochSecret> = self.view.get(callbacks, now.height, &key)?;
        published.map(|one| read_published(&one.secret)).transpose()
    }

    /// What the newest policy says about this enclave, and that it does not go back.
    fn follow_policy(&mut self, status: &Status) -> Result<(), ServiceError> {
        let newest = status.next_policy.as_ref().or(status.policy.as_ref());
        if let Some(policy) = newest {
            check_policy(policy, &self.place.runtime_id)?;
            adopt(self.policy.as_ref(), policy)?;
            if !may_replicate(policy, &measurement()) {
                return Err(ServiceError::NotAllowed);
            }
            self.policy = Some(policy.clone());
        }
        Ok(())
    }

    fn response(&self) -> InitResponse {
        let signs = |master: &Secret| signing_key(&self.place.runtime_id, master).public();
        let pending = self.pending.as_ref().map(|pending| &pending.secret);
        InitResponse {
            id: self.place.runtime_id,
            node: self.place.node,
            checksum: self.masters.checksum(),
            next_checksum: pending.map(|secret| self.masters.checksum_with(secret)),
            policy_checksum: self.policy.as_ref().map_or(NO_POLICY, Policy::checksum),
            signing_key: self.masters.newest().map(signs),
            next_signing_key: pending.map(signs),
        }
    }

    /// Follows the chain at least to this height and takes over the state there.
    pub(crate) fn follow(
        &mut self,
        height: Height,
        callbacks: &Callbacks,
    ) -> Result<Now, ServiceError> {
        self.view.sync(callbacks, height)?;
        self.now(callbacks)
    }

    /// State at the newest proven height. Every call that reads it takes it over, so that no call
    /// sees a later epoch and keeps secrets that have become too old.
    pub(crate) fn now(&mut self, callbacks: &Callbacks) -> Result<Now, ServiceError> {
        let height = self.view.proven_height();
        let epoch = self.epoch_at(height, callbacks)?;
        let key = keymanager::keys::status(&self.place.runtime_id);
        let status: Option<Status> = self.view.get(callbacks, height, &key)?;
        let status = status.ok_or(ServiceError::NotRegistered)?;
        let state_root = self.view.app_hash(height).ok_or(ServiceError::NotRegistered)?;
        let now = Now { height, state_root, epoch, status };
        // KM-S1: every call that reads the newest state erases first.
        self.take_over(&now)?;
        Ok(now)
    }

    pub(crate) fn facts(&self, now: &Now, callbacks: &Callbacks) -> Result<Facts, ServiceError> {
        let key = registry::keys::params();
        let params: Option<registry::Params> = self.view.get(callbacks, now.height, &key)?;
        Ok(Facts {
            chain: self.place.chain,
            id: self.place.runtime_id,
            height: now.height,
            epoch: now.epoch.clone(),
            fresh: self.freshness.proven().map(|(epoch, _)| epoch),
            platforms: params.ok_or(ServiceError::NotRegistered)?.software_platforms,
            status: Some(now.status.clone()),
        })
    }

    /// Every accepted generation is held.
    pub(crate) fn is_complete(&self, status: &Status) -> bool {
        status.initialised && self.masters.checksum() == status.checksum
    }

    /// Erases what is too old, and decides about a pending generation.
    fn take_over(&mut self, now: &Now) -> Result<(), ServiceError> {
        let status = &now.status;
        let max_age = status.policy.as_ref().map_or(0, |policy| policy.max_epoch_secret_age);
        let epoch = now.epoch.epoch;
        self.epochs.advance(epoch, max_age);
        if self.reks.is_due(epoch) {
            let fresh = self.entropy.draw()?.into();
            self.reks.advance(epoch, &fresh);
        }
        self.freshness.enter(epoch);
        self.asked = self.asked.take().filter(|(request, _)| request.epoch >= epoch);
        if let Some(pending) = &self.pending {
            let checksum = self.masters.checksum_with(&pending.secret);
            let follows = pending.generation == self.masters.count();
            if follows && status.checksum == Some(checksum) {
                let secret = pending.secret.clone();
                self.masters.extend(vec![secret], &checksum)?;
                self.pending = None;
            } else if epoch >= pending.epoch {
                // Its epoch has begun without it.
                self.pending = None;
            }
        }
        let accepted = if status.initialised { status.generation.saturating_add(1) } else { 0 };
        let held = self.masters.count();
        if held > accepted || (held == accepted && self.masters.checksum() != status.checksum) {
            return Err(ServiceError::WrongState);
        }
        Ok(())
    }

    /// Whether an enclave is revoked.
    pub(crate) fn is_revoked(
        &self,
        now: &Now,
        runtime_id: &RuntimeId,
        rak: &PublicKey,
        callbacks: &Callbacks,
    ) -> Result<bool, ServiceError> {
        let key = registry::keys::revoked(runtime_id, rak);
        let revoked: Option<registry::Revoked> = self.view.get(callbacks, now.height, &key)?;
        Ok(revoked.is_some())
    }

    fn epoch_at(&self, height: Height, callbacks: &Callbacks) -> Result<EpochState, ServiceError> {
        let epoch = self.view.get(callbacks, height, &beacon::keys::epoch())?;
        epoch.ok_or(ServiceError::NotRegistered)
    }

    fn seal_if_new(&mut self, epoch: Epoch) -> Result<Vec<u8>, ServiceError> {
        let mark = KeptMark {
            generations: self.masters.count(),
            pending: self.pending.as_ref().map(|one| (one.generation, one.epoch)),
            policy_serial: self.policy.as_ref().map(|policy| policy.serial),
            epoch,
        };
        if mark == self.kept {
            return Ok(Vec::new());
        }
        let sealed = self.seal()?;
        self.kept = mark;
        Ok(sealed)
    }

    pub(crate) fn seal(&mut self) -> Result<Vec<u8>, ServiceError> {
        let nonce = self.entropy.nonce()?;
        let kept = Kept {
            master_secrets: self.masters.all().to_vec(),
            pending: self.pending.clone(),
            trusted_header: self.view.to_sealed(),
            policy: self.policy.clone(),
        };
        let plaintext = Zeroizing::new(kept.encode());
        Ok(self.sealing_key.seal(&sealed_for(&self.place), nonce, &plaintext))
    }
}

fn sealed_for(place: &EnclaveId) -> SealedFor {
    let EnclaveId { chain, runtime_id, .. } = *place;
    SealedFor { chain, runtime_id, measurement: measurement() }
}

/// Longest sealed state that is read: a light client's header with all validators, and secrets.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// Consensus stores only what it could read.
pub(crate) fn read_published<T: Canonical>(bytes: &[u8]) -> Result<T, ServiceError> {
    T::decode(bytes, bytes.len())
        .map_err(|e| paralith_tee_channel::ViewError::Malformed(e.to_string()).into())
}

/// Most missing generations that are named in one report.
const MAX_REPORTED: usize = 1024;
