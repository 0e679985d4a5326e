//! Requests of compute enclaves, clients and other key managers.

use paralith_consensus_api::keymanager::{
    self, EpochChecksums, PUBLIC_KEY_DOMAIN, RuntimePublicKey, SignedRuntimePublicKey,
};
use paralith_consensus_api::registry::{self, Node, Runtime};
use paralith_consensus_api::scheduler;
use paralith_crypto::HpkeSecret;
use paralith_keymanager_core::{
    Asker, EpochSecret, KeyReplySecrets, MAX_MESSAGE_BYTES, PROTOCOL_VERSION, Refusal,
    ReplicationRequest, ReplicationSecrets, SecretError, SignedKeyReply, SignedKeyRequest,
    SignedReplicationReply, SignedReplicationRequest, authorise_keys, authorise_replication,
    replier_rak, runtime_epoch_secret, runtime_secret, signing_key,
};
use paralith_proto::Canonical;
use paralith_tee_channel::{Callbacks, pb};
use paralith_types::{Epoch, Hash, PublicKey, RuntimeId};

use crate::ServiceError;
use crate::enclave::{Enclave, Now};

impl Enclave {
    pub(crate) fn answer_keys(
        &mut self,
        request: &[u8],
        callbacks: &Callbacks,
    ) -> Result<Vec<u8>, ServiceError> {
        let signed =
            SignedKeyRequest::decode(request, MAX_MESSAGE_BYTES).map_err(Refusal::Malformed)?;
        let request = signed.unverified().map_err(Refusal::Malformed)?;
        let now = self.now(callbacks)?;
        let facts = self.facts(&now, callbacks)?;
        let mut asker = self.asker(&now, &request.runtime_id, &request.node, callbacks)?;
        let key = scheduler::keys::committee(&request.runtime_id);
        asker.committee = self.view.get(callbacks, now.height, &key)?;
        asker.state_root = self.view.app_hash(request.height);
        let granted = authorise_keys(&signed, &facts, &asker)?;
        let secrets = self.runtime_secrets(&now, &request.runtime_id, granted.request_hash)?;
        let randomness = self.entropy.bytes()?;
        let from = (&self.place.runtime_id, &self.place.node);
        let chain = &self.place.chain;
        let reply =
            SignedKeyReply::seal(from, &secrets, &granted.reply_key, &self.rak, chain, randomness)
                .map_err(Refusal::from)?;
        Ok(reply.encode())
    }

    /// All generations, and the epochs whose envelopes are accepted: this one and the one before.
    fn runtime_secrets(
        &self,
        now: &Now,
        runtime_id: &RuntimeId,
        request_hash: Hash,
    ) -> Result<KeyReplySecrets, ServiceError> {
        self.require_complete(now)?;
        let id = &self.place.runtime_id;
        let epoch = now.epoch.epoch;
        if self.epochs.secret(epoch).is_none() {
            return Err(Refusal::MissingEpochSecret { epoch: epoch.0 }.into());
        }
        let generation_secrets = (0..)
            .zip(self.masters.all())
            .map(|(generation, master)| runtime_secret(id, runtime_id, generation, master))
            .collect();
        let epoch_secrets = self
            .epochs
            .iter()
            .filter(|(of, _)| *of == epoch || of.next() == epoch)
            .map(|(epoch, secret)| {
                let secret = runtime_epoch_secret(id, runtime_id, epoch, secret);
                EpochSecret { epoch, secret }
            })
            .collect();
        Ok(KeyReplySecrets {
            request_hash,
            height: now.height,
            state_root: now.state_root,
            generation_secrets,
            epoch_secrets,
        })
    }

    /// The key that clients seal their calls to, signed for them.
    pub(crate) fn public_key(
        &mut self,
        runtime_id: &[u8],
        epoch: u64,
        callbacks: &Callbacks,
    ) -> Result<Vec<u8>, ServiceError> {
        let unknown = || Refusal::UnknownRuntime { runtime_id: hex(runtime_id) };
        let runtime_id = RuntimeId::try_from(runtime_id).map_err(|_| unknown())?;
        let now = self.now(callbacks)?;
        let policy = now.status.policy.as_ref().ok_or(Refusal::NotInitialised)?;
        if !policy.runtimes.iter().any(|one| one.runtime_id == runtime_id) {
            return Err(unknown().into());
        }
        self.require_complete(&now)?;
        let (id, epoch) = (self.place.runtime_id, Epoch(epoch));
        let missing = Refusal::MissingEpochSecret { epoch: epoch.0 };
        let secret = self.epochs.secret(epoch).ok_or(missing)?;
        let secret = runtime_epoch_secret(&id, &runtime_id, epoch, secret);
        let (Some(master), Some(checksum)) = (self.masters.newest(), self.masters.checksum())
        else {
            return Err(Refusal::NotInitialised.into());
        };
        let key = HpkeSecret::from_ikm(secret.as_bytes()).public();
        let public_key = RuntimePublicKey { id, runtime_id, epoch, key, checksum }.encode();
        let signer = signing_key(&id, master);
        let signature = signer.sign(PUBLIC_KEY_DOMAIN, &self.place.chain, &public_key);
        Ok(SignedRuntimePublicKey { public_key, signature }.encode())
    }

    /// Asks for everything that is missing here.
    pub(crate) fn replication_request(
        &mut self,
        callbacks: &Callbacks,
    ) -> Result<Vec<u8>, ServiceError> {
        let now = self.now(callbacks)?;
        let epoch = now.epoch.epoch;
        let proven = self.freshness.proven().filter(|(of, _)| *of == epoch);
        let Some((_, freshness)) = proven else {
            return Err(Refusal::NotReady { epoch: epoch.0 }.into());
        };
        let epochs = self.missing_epochs(&now, callbacks)?;
        let reply_key = HpkeSecret::from_ikm(&*self.entropy.draw()?);
        let request = ReplicationRequest {
            version: PROTOCOL_VERSION,
            id: self.place.runtime_id,
            node: self.place.node,
            epoch,
            freshness,
            first_generation: self.masters.count(),
            epochs,
            nonce: Hash(self.entropy.bytes()?),
            height: now.height,
            state_root: now.state_root,
            reply_key: reply_key.public(),
        };
        let signed = SignedReplicationRequest::sign(&request, &self.rak, &self.place.chain);
        self.asked = Some((request, reply_key));
        Ok(signed.encode())
    }

    pub(crate) fn answer_replication(
        &mut self,
        request: &[u8],
        callbacks: &Callbacks,
    ) -> Result<Vec<u8>, ServiceError> {
        let signed = SignedReplicationRequest::decode(request, MAX_MESSAGE_BYTES)
            .map_err(Refusal::Malformed)?;
        let request = signed.unverified().map_err(Refusal::Malformed)?;
        let now = self.now(callbacks)?;
        let facts = self.facts(&now, callbacks)?;
        let mut asker = self.asker(&now, &self.place.runtime_id, &request.node, callbacks)?;
        asker.state_root = self.view.app_hash(request.height);
        let granted = authorise_replication(&signed, &facts, &asker)?;
        self.require_complete(&now)?;
        let epoch_secrets = self
            .epochs
            .iter()
            .filter(|(epoch, _)| request.epochs.contains(epoch))
            .map(|(epoch, secret)| EpochSecret { epoch, secret: secret.clone() })
            .collect();
        let secrets = ReplicationSecrets {
            request_hash: granted.request_hash,
            height: now.height,
            state_root: now.state_root,
            first_generation: request.first_generation,
            master_secrets: self.masters.from_generation(request.first_generation).to_vec(),
            epoch_secrets,
        };
        let randomness = self.entropy.bytes()?;
        let from = (&self.place.runtime_id, &self.place.node);
        let chain = &self.place.chain;
        let reply = SignedReplicationReply::seal(
            from,
            &secrets,
            &granted.reply_key,
            &self.rak,
            chain,
            randomness,
        )
        .map_err(Refusal::from)?;
        Ok(reply.encode())
    }

    /// Takes what another key manager's enclave has answered. Master secrets must lead to the
    /// checksum in state, epoch secrets must have the published checksums of their epochs.
    pub(crate) fn provide_replica(
        &mut self,
        reply: &[u8],
        callbacks: &Callbacks,
    ) -> Result<pb::Initialised, ServiceError> {
        let signed = SignedReplicationReply::decode(reply, MAX_MESSAGE_BYTES)
            .map_err(SecretError::Malformed)?;
        let replier = signed.unverified().map_err(SecretError::Malformed)?.node;
        let now = self.now(callbacks)?;
        let asked = self.asker(&now, &self.place.runtime_id, &replier, callbacks)?;
        let own = asked.runtime.as_ref().ok_or(ServiceError::NotRegistered)?;
        let facts = self.facts(&now, callbacks)?;
        let rak = replier_rak(&facts, own, &replier, asked.node.as_ref(), asked.revoked)?;
        let (request, reply_key) = self.asked.as_ref().ok_or(SecretError::OtherRequest)?;
        let secrets = signed.open(request, &rak, reply_key, &self.place.chain)?;
        let now = self.follow(secrets.height, callbacks)?;
        let height = secrets.height.0;
        // KM-E2: nothing of a replier on another chain is taken.
        match self.view.app_hash(secrets.height) {
            None => return Err(SecretError::UnknownHeight { height }.into()),
            Some(root) if root != secrets.state_root => {
                return Err(SecretError::OtherChain { height }.into());
            }
            Some(_) => {}
        }
        self.take_replica(&now, secrets, callbacks)?;
        let initialised = self.initialised(&now, callbacks)?;
        self.asked = None;
        Ok(initialised)
    }

    fn take_replica(
        &mut self,
        now: &Now,
        secrets: ReplicationSecrets,
        callbacks: &Callbacks,
    ) -> Result<(), ServiceError> {
        let key = keymanager::keys::epoch_checksums(&self.place.runtime_id);
        let published: Option<EpochChecksums> = self.view.get(callbacks, now.height, &key)?;
        let published = published.unwrap_or(EpochChecksums { checksums: Vec::new() });
        if !secrets.master_secrets.is_empty() && !self.is_complete(&now.status) {
            let (expected, got) = (self.masters.count(), secrets.first_generation);
            if expected != got {
                return Err(SecretError::WrongGeneration { expected, got }.into());
            }
            let accepted = now.status.checksum.ok_or(Refusal::NotInitialised)?;
            self.masters.extend(secrets.master_secrets, &accepted)?;
        }
        for one in secrets.epoch_secrets {
            // A secret that is not taken, too old by now or not the published one, stops no other.
            let EpochSecret { epoch, secret } = one;
            if self.epochs.secret(epoch).is_none()
                && let Err(error) =
                    self.epochs.insert_replica(&self.place.runtime_id, epoch, secret, &published)
            {
                callbacks.log(&format!("the replicated secret of epoch {epoch}: {error}"));
            }
        }
        Ok(())
    }

    fn require_complete(&self, now: &Now) -> Result<(), Refusal> {
        if !now.status.initialised {
            return Err(Refusal::NotInitialised);
        }
        if self.is_complete(&now.status) {
            return Ok(());
        }
        let needed = now.status.generation.saturating_add(1);
        Err(Refusal::MissingGeneration { held: self.masters.count(), needed })
    }

    /// What state has about the node that asks, without a committee.
    fn asker(
        &self,
        now: &Now,
        runtime_id: &RuntimeId,
        node: &PublicKey,
        callbacks: &Callbacks,
    ) -> Result<Asker, ServiceError> {
        let height = now.height;
        let runtime: Option<Runtime> =
            self.view.get(callbacks, height, &registry::keys::runtime(runtime_id))?;
        let registered: Option<Node> =
            self.view.get(callbacks, height, &registry::keys::node(node))?;
        let tee = registered.as_ref().and_then(|node| node.runtime(runtime_id)?.tee.as_ref());
        let (enclave, revoked) = match tee {
            Some(tee) => {
                let key = registry::keys::enclave(runtime_id, &tee.rak);
                let enclave = self.view.get(callbacks, height, &key)?;
                (enclave, self.is_revoked(now, runtime_id, &tee.rak, callbacks)?)
            }
            None => (None, false),
        };
        Ok(Asker {
            runtime,
            node: registered,
            enclave,
            revoked,
            committee: None,
            freshness: self.view.get(
                callbacks,
                height,
                &registry::keys::freshness(node, runtime_id),
            )?,
            state_root: None,
        })
    }
}

/// For messages: what somebody gave as an id, cut short.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}
