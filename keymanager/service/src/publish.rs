//! Making secrets for the committee and opening published ones.

use paralith_consensus_api::keymanager::{
    self, EncryptedMasterSecret, NotDue, PUBLISH_EPOCH_DOMAIN, PUBLISH_MASTER_DOMAIN,
    PublishEpochSecret, PublishMasterSecret, Status, rotation_due,
};
use paralith_consensus_api::registry::{self, Node};
use paralith_keymanager_core::{
    PendingSecret, open_epoch_secret, open_master_secret, seal_epoch_secret, seal_master_secret,
};
use paralith_proto::Canonical;
use paralith_tee_channel::{Callbacks, pb};
use paralith_types::{Epoch, X25519PublicKey};

use crate::ServiceError;
use crate::enclave::{Enclave, Now, read_published};

impl Enclave {
    /// A random next generation, sealed to the committee. The maker keeps nothing: like every other
    /// enclave it takes the secret from consensus state, where there is one for all.
    pub(crate) fn generate_master(
        &mut self,
        epoch: u64,
        callbacks: &Callbacks,
    ) -> Result<Vec<u8>, ServiceError> {
        let now = self.now(callbacks)?;
        let epoch = next_epoch(&now, epoch)?;
        require_due(&now.status, epoch)?;
        if now.status.initialised && !self.is_complete(&now.status) {
            return Err(ServiceError::NotDue { reason: "earlier generations are missing here" });
        }
        let reks = self.committee_reks(&now, callbacks)?;
        let (secret, seed) = (self.entropy.draw()?.into(), self.entropy.draw()?.into());
        let checksum = self.masters.checksum_with(&secret);
        let pending = PendingSecret { generation: self.masters.count(), epoch, secret };
        let chain = &self.place.chain;
        let secret =
            seal_master_secret(chain, &self.place.runtime_id, &pending, checksum, &reks, &seed)
                .encode();
        let signature = self.rak.sign(PUBLISH_MASTER_DOMAIN, chain, &secret);
        Ok(PublishMasterSecret { secret, node: self.place.node, signature }.encode())
    }

    /// A random secret of the next epoch, sealed to the committee.
    pub(crate) fn generate_epoch_secret(
        &mut self,
        epoch: u64,
        callbacks: &Callbacks,
    ) -> Result<Vec<u8>, ServiceError> {
        let now = self.now(callbacks)?;
        let epoch = next_epoch(&now, epoch)?;
        let reks = self.committee_reks(&now, callbacks)?;
        let (secret, seed) = (self.entropy.draw()?.into(), self.entropy.draw()?.into());
        let chain = &self.place.chain;
        let secret =
            seal_epoch_secret(chain, &self.place.runtime_id, epoch, &secret, &reks, &seed).encode();
        let signature = self.rak.sign(PUBLISH_EPOCH_DOMAIN, chain, &secret);
        Ok(PublishEpochSecret { secret, node: self.place.node, signature }.encode())
    }

    /// Takes what consensus state has published. Whatever does not open here is reported to the
    /// host's log and stays missing.
    pub(crate) fn load_proposals(
        &mut self,
        callbacks: &Callbacks,
    ) -> Result<pb::Initialised, ServiceError> {
        let now = self.follow(self.view.proven_height(), callbacks)?;
        self.load_master(&now, callbacks)?;
        self.load_epoch_secret(&now, callbacks)?;
        // The proposal may have been accepted already.
        let now = self.follow(now.height, callbacks)?;
        self.initialised(&now, callbacks)
    }

    fn load_master(&mut self, now: &Now, callbacks: &Callbacks) -> Result<(), ServiceError> {
        let key = keymanager::keys::master_secret(&self.place.runtime_id);
        let published: Option<PublishMasterSecret> = self.view.get(callbacks, now.height, &key)?;
        let Some(published) = published else { return Ok(()) };
        let proposal: EncryptedMasterSecret = read_published(&published.secret)?;
        let accepted = now.status.checksum == Some(proposal.checksum);
        let due = proposal.epoch == now.epoch.epoch.next();
        if proposal.generation != self.masters.count() || !(accepted || due) {
            return Ok(());
        }
        match open_master_secret(&self.place.chain, &proposal, &self.reks, &self.masters) {
            Ok(pending) => self.pending = Some(pending),
            Err(error) => callbacks.log(&format!("the published master secret: {error}")),
        }
        Ok(())
    }

    fn load_epoch_secret(&mut self, now: &Now, callbacks: &Callbacks) -> Result<(), ServiceError> {
        let Some(published) = self.published_epoch_secret(now, callbacks)? else { return Ok(()) };
        if self.epochs.secret(published.epoch).is_some() {
            return Ok(());
        }
        let opened = open_epoch_secret(&self.place.chain, &published, &self.reks)
            .and_then(|secret| self.epochs.insert(published.epoch, secret));
        if let Err(error) = opened
            && self.unopened != Some(published.epoch)
        {
            self.unopened = Some(published.epoch);
            callbacks.log(&format!("the secret of epoch {}: {error}", published.epoch));
        }
        Ok(())
    }

    /// The REKs that the committee's enclaves have: those that their nodes have registered now and,
    /// while the same enclave runs, those of this epoch. A revoked enclave gets nothing. One REK of
    /// this enclave must be among them.
    fn committee_reks(
        &self,
        now: &Now,
        callbacks: &Callbacks,
    ) -> Result<Vec<X25519PublicKey>, ServiceError> {
        let mut reks = Vec::new();
        for id in &now.status.nodes {
            let node: Option<Node> =
                self.view.get(callbacks, now.height, &registry::keys::node(id))?;
            let tee =
                node.as_ref().and_then(|node| node.runtime(&self.place.runtime_id)?.tee.as_ref());
            let Some(tee) = tee else { continue };
            if self.is_revoked(now, &self.place.runtime_id, &tee.rak, callbacks)? {
                continue;
            }
            reks.push(tee.rek);
            // The enclave still has its REK of this epoch, if it has not been restarted.
            let recipients = now.status.recipients.iter();
            let own = recipients.filter(|one| one.node == *id && one.rak == tee.rak);
            reks.extend(own.map(|one| one.rek));
        }
        let own = self.reks.all().any(|rek| reks.contains(&rek.public()));
        if own && now.status.nodes.contains(&self.place.node) {
            Ok(reks)
        } else {
            Err(ServiceError::NotInCommittee)
        }
    }
}

fn next_epoch(now: &Now, epoch: u64) -> Result<Epoch, ServiceError> {
    let next = now.epoch.epoch.next();
    if epoch == next.0 {
        Ok(next)
    } else {
        Err(ServiceError::WrongEpoch { expected: next.0, got: epoch })
    }
}

fn require_due(status: &Status, epoch: Epoch) -> Result<(), ServiceError> {
    rotation_due(status, epoch).map_err(|not_due| ServiceError::NotDue {
        reason: match not_due {
            NotDue::Disabled => "the policy wants no rotation",
            NotDue::TooEarly => "the rotation interval is not over",
        },
    })
}
