//! The checks of an endorser, in their order. If one fails, nothing is signed.
//!
//! An enclave calls [`receive`], proves what [`Facts`] asks for at the anchor that the proposal names,
//! calls [`Received::admit`], [`Admitted::open`] and [`Admitted::admit_call`], executes the call, and
//! signs what [`Admitted::respond`](crate::respond) gives.

use paralith_chaincode_messages::{
    Definition, Enclave, MAX_CALL_BYTES, METHOD_INIT, METHOD_MIGRATE, Message, Proposal,
    SignedProposal, VERSION,
};
use paralith_crypto::ed25519;
use paralith_crypto::hpke::HpkeSecret;
use paralith_policy::{Certificate, CertificateError};
use paralith_proto::Canonical;
use paralith_runtime_api::envelope::{Info, Plaintext, open_call};
use paralith_runtime_api::tx::{Call, Envelope};
use paralith_types::{ChainContext, CodeId, Epoch, Hash, Height, PublicKey, Round, RuntimeId};

use crate::{EndorseError, hashes};

/// What an enclave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Me {
    /// The chain that it follows.
    pub chain: ChainContext,
    /// The application that it runs.
    pub application: RuntimeId,
    /// The module that it loaded.
    pub code: CodeId,
    /// Its attestation key.
    pub rak: PublicKey,
}

/// What an enclave has proven. Values are those of consensus state, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its view was shown to be alive since it started.
    pub fresh: bool,
    /// The newest proven height.
    pub newest: Height,
    /// The state at the proposal's anchor; none if the enclave cannot prove it.
    pub anchor: Option<AnchorFacts>,
}

/// The state at the anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorFacts {
    /// The epoch.
    pub epoch: Epoch,
    /// The application's descriptor.
    pub descriptor: Option<Vec<u8>>,
    /// The descriptor of the ledger that the proposal names.
    pub ledger: Option<Vec<u8>>,
    /// This enclave's record in the index.
    pub enclave: Option<Vec<u8>>,
    /// The enclave that this node has registered for the application.
    pub registered_rak: Option<PublicKey>,
    /// The ledger's newest round with results.
    pub snapshot: Snapshot,
    /// Whether that state holds the revocation of the proposal's certificate.
    pub certificate_revoked: bool,
}

/// A state of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The round that made it.
    pub round: Round,
    /// Its root.
    pub root: Hash,
}

/// A proposal whose form, chain, application and signature hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    me: Me,
    client: PublicKey,
    tx_id: Hash,
    proposal: Proposal,
}

/// Checks 1 to 4: form, chain, application, signature.
pub fn receive(me: &Me, bytes: &[u8]) -> Result<Received, EndorseError> {
    let form = |e: &dyn std::fmt::Display| EndorseError::Form(e.to_string());
    let signed = SignedProposal::decode(bytes).map_err(|e| form(&e))?;
    let proposal = Proposal::decode(&signed.proposal).map_err(|e| form(&e))?;
    if proposal.version != VERSION {
        return Err(EndorseError::Form(format!("version {} is not known", proposal.version)));
    }
    if proposal.chain_context != me.chain {
        return Err(EndorseError::Chain);
    }
    if proposal.application != me.application {
        let (mine, got) = (me.application, proposal.application);
        return Err(EndorseError::Application { mine, got });
    }
    if !hashes::proposal_is_signed(&signed, &me.chain) {
        return Err(EndorseError::Signature);
    }
    Ok(Received { me: *me, client: signed.public_key, tx_id: hashes::tx_id(&signed), proposal })
}

impl Received {
    /// The proposal: its anchor, ledger and certificate say what is to be proven.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> PublicKey {
        self.client
    }

    /// Checks 5 to 18 and 24 to 26, in the order of SPEC.md, section 4.
    pub fn admit(self, facts: Facts) -> Result<Admitted, EndorseError> {
        if !facts.fresh {
            return Err(EndorseError::NotFresh);
        }
        let (definition, anchor) = self.anchored(&facts)?;
        self.defined(&definition)?;
        let ledger = self.proposal.ledger;
        ledger_is_approved(&ledger, anchor.ledger.as_deref())?;
        self.registered(&definition, &anchor)?;
        self.valid_window(&definition)?;
        self.certified(&definition, anchor.certificate_revoked)?;
        let (current, got) = (anchor.epoch, self.proposal.envelope.epoch);
        if got > current || current.0.saturating_sub(got.0) > 1 {
            return Err(EndorseError::Epoch { current, got });
        }
        Ok(Admitted { received: self, definition, snapshot: anchor.snapshot, epoch: anchor.epoch })
    }

    fn anchored(&self, facts: &Facts) -> Result<(Definition, AnchorFacts), EndorseError> {
        let (anchor, newest) = (self.proposal.anchor, facts.newest);
        let unproven = || EndorseError::AnchorUnproven { anchor };
        let age = newest.0.checked_sub(anchor.0).ok_or_else(unproven)?;
        let at_anchor = facts.anchor.clone().ok_or_else(unproven)?;
        let undefined = |reason| EndorseError::Undefined { reason };
        let descriptor = at_anchor.descriptor.as_deref();
        let descriptor = descriptor.ok_or_else(|| undefined("it is not registered".into()))?;
        let definition = Definition::read(&self.me.application, descriptor)
            .map_err(|e| undefined(e.to_string()))?;
        let blocks = definition.terms.anchor_blocks;
        if age > u64::from(blocks) {
            return Err(EndorseError::AnchorTooOld { anchor, newest, blocks });
        }
        Ok((definition, at_anchor))
    }

    fn defined(&self, definition: &Definition) -> Result<(), EndorseError> {
        let (current, got) = (definition.sequence, self.proposal.sequence);
        if current != got {
            return Err(EndorseError::Sequence { current, got });
        }
        let (expected, got) = (definition.terms.ledger, self.proposal.ledger);
        if expected != got {
            return Err(EndorseError::OtherLedger { expected, got });
        }
        let (expected, mine) = (definition.code, self.me.code);
        if expected != mine {
            return Err(EndorseError::Code { expected, mine });
        }
        Ok(())
    }

    fn registered(
        &self,
        definition: &Definition,
        anchor: &AnchorFacts,
    ) -> Result<(), EndorseError> {
        let record = anchor.enclave.as_deref();
        is_registered(&self.me, definition, record, anchor.registered_rak, self.proposal.anchor)
    }

    fn valid_window(&self, definition: &Definition) -> Result<(), EndorseError> {
        let Proposal { anchor, valid_until: got, .. } = self.proposal;
        let last = Height(anchor.0.saturating_add(definition.terms.commit_blocks.into()));
        if got <= anchor || got > last {
            return Err(EndorseError::ValidUntil { got, anchor, last });
        }
        Ok(())
    }

    fn certified(&self, definition: &Definition, revoked: bool) -> Result<(), EndorseError> {
        let certificate = self.proposal.certificate.as_ref();
        let client = Some(&self.client);
        is_certified(&self.me, definition, certificate, client, self.proposal.anchor, revoked)
    }
}

/// Checks 6 and 7: the registry names this enclave for its node, and its record in the index counts at
/// this height.
pub fn is_registered(
    me: &Me,
    definition: &Definition,
    record: Option<&[u8]>,
    registered_rak: Option<PublicKey>,
    now: Height,
) -> Result<(), EndorseError> {
    match registered_rak {
        Some(registered) if registered != me.rak => {
            return Err(EndorseError::IdentityReplaced { registered });
        }
        _ => {}
    }
    let missing = |reason: String| EndorseError::NotRegistered { reason };
    let record = record.ok_or_else(|| missing("the index has no record of it".into()))?;
    let enclave = Enclave::read(record).map_err(|e| missing(e.to_string()))?;
    let endorser = definition.endorser(&enclave, now);
    endorser.map(drop).map_err(|unfit| missing(unfit.to_string()))
}

/// Checks 13 to 17: the certificate by which a client may call at this height, where the application
/// asks for one. Without a client none is good enough.
pub fn is_certified(
    me: &Me,
    definition: &Definition,
    certificate: Option<&Certificate>,
    client: Option<&PublicKey>,
    now: Height,
    revoked: bool,
) -> Result<(), EndorseError> {
    let issuers = &definition.terms.issuers;
    if issuers.is_empty() {
        return Ok(());
    }
    let issuer = |reason: String| EndorseError::Issuer { reason };
    let certificate = certificate.ok_or_else(|| issuer("the request has none".into()))?;
    let client = client.ok_or_else(|| issuer("the request is not signed".into()))?;
    if !issuers.contains(&certificate.issuer) {
        return Err(issuer(format!("{} is none of them", certificate.issuer)));
    }
    let verify = |key: &PublicKey, message: &[u8], signature: &_| {
        ed25519::verify_raw(key, message, signature).is_ok()
    };
    certificate.check_signature(&me.chain, verify).map_err(|e| issuer(e.to_string()))?;
    certificate
        .check(&me.application.0, client, now)
        .map_err(|error| uncertified(certificate, error, now))?;
    if revoked {
        return Err(EndorseError::CertificateRevoked { serial: certificate.serial });
    }
    Ok(())
}

fn uncertified(certificate: &Certificate, error: CertificateError, now: Height) -> EndorseError {
    match error {
        CertificateError::Scope => EndorseError::CertificateScope,
        CertificateError::Subject { subject } => EndorseError::CertificateSubject { subject },
        CertificateError::NotYetValid { .. } | CertificateError::Expired { .. } => {
            EndorseError::CertificateWindow {
                not_before: certificate.not_before,
                not_after: certificate.not_after,
                anchor: now,
            }
        }
        other => EndorseError::Issuer { reason: other.to_string() },
    }
}

/// Whether a ledger's descriptor has an approval: without one, enclaves sign, evaluate and release
/// nothing there.
pub fn ledger_is_approved(
    ledger: &RuntimeId,
    descriptor: Option<&[u8]>,
) -> Result<(), EndorseError> {
    let approved = descriptor.map(Definition::ledger_has_approval);
    match approved {
        Some(Ok(true)) => Ok(()),
        _ => Err(EndorseError::LedgerWithoutApproval { ledger: *ledger }),
    }
}

/// A proposal that may be executed, once its call is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    received: Received,
    definition: Definition,
    snapshot: Snapshot,
    epoch: Epoch,
}

impl Admitted {
    /// The proposal.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        &self.received.proposal
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> PublicKey {
        self.received.client
    }

    /// The transaction.
    #[must_use]
    pub fn tx_id(&self) -> Hash {
        self.received.tx_id
    }

    /// The application at the anchor.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The state that the call reads.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot
    }

    /// The epoch at the anchor.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Stands in all derivations of the execution where a round has the hash of its proposal header.
    #[must_use]
    pub fn place(&self) -> Hash {
        hashes::place(&self.tx_id(), &self.snapshot.root)
    }

    /// What the envelope is bound to.
    #[must_use]
    pub fn info(&self) -> Info {
        let Received { me, client, proposal, .. } = &self.received;
        Info::endorse(me.chain, me.application, proposal.envelope.epoch, client)
    }

    /// Check 19: the envelope opens with the key of its epoch.
    pub fn open(&self, secret: Option<&HpkeSecret>) -> Result<Plaintext, EndorseError> {
        let epoch = self.proposal().envelope.epoch;
        let cannot = |reason: String| EndorseError::CannotOpen { reason };
        let secret =
            secret.ok_or_else(|| cannot(format!("this enclave has no key of epoch {epoch}")))?;
        let sealed = self.proposal().envelope.sealed.clone();
        let plaintext = open_call(secret, &self.info(), &Envelope { epoch, sealed })
            .map_err(|e| cannot(e.to_string()))?;
        if plaintext.call.encode().len() > MAX_CALL_BYTES {
            return Err(cannot(format!("the call has more than {MAX_CALL_BYTES} bytes")));
        }
        Ok(plaintext)
    }

    /// Checks 20 and 21: whether the state is of this code, or the call makes it so. `marker` is the
    /// application's entry [`CODE_MARKER_KEY`](paralith_chaincode_messages::CODE_MARKER_KEY): the
    /// read of it is recorded as any other.
    pub fn admit_call(&self, call: &Call, marker: Option<&[u8]>) -> Result<Purpose, EndorseError> {
        let due = match marker {
            None => Some(METHOD_INIT),
            Some(code) if code == self.definition.code.as_bytes() => None,
            Some(_) => Some(METHOD_MIGRATE),
        };
        let method = call.method.as_str();
        let reserved = [METHOD_INIT, METHOD_MIGRATE].contains(&method);
        let refuse = |reason| {
            let method = call.method.clone();
            Err(EndorseError::NotAllowed { method, reason })
        };
        match due {
            None if reserved => refuse("the state is of this code already"),
            None => Ok(Purpose::Execute),
            Some(method) if call.method != method => Err(EndorseError::Due { method }),
            Some(_) if self.definition.organisation(&self.client()).is_none() => {
                refuse("only an organisation's key may do this")
            }
            Some(METHOD_INIT) => Ok(Purpose::Init),
            Some(_) => Ok(Purpose::Migrate),
        }
    }
}

/// Which export of the chaincode a call runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `execute`.
    Execute,
    /// `init`, with the call's arguments; then the marker is written.
    Init,
    /// `migrate`; then the marker is written.
    Migrate,
}
