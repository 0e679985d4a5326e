//! Start, stop, and who does what.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use paralith_attest::Measurement;
use paralith_crypto::{Domain, hash};
use paralith_genesis::Document;
use paralith_keymanager_core::Secret;
use paralith_tee_channel::pb::host_call::Kind as Call;
use paralith_tee_channel::pb::host_reply::Kind as Reply;
use paralith_tee_channel::{Callbacks, Failure, Handler, pb};
use paralith_types::{ChainContext, PublicKey, RuntimeId};

use crate::ServiceError;
use crate::enclave::{Enclave, Place};
use crate::entropy::Entropy;
use crate::seal::{SealedPlace, open_state};

const MEASUREMENT: Domain = Domain::new("paralith/software-measurement/v1");
const ENTROPY: Domain = Domain::new("paralith/km-entropy-seed/v1");

/// What a software platform vouches for: that this code runs. Grows with whatever changes what the
/// code does with secrets.
const CODE_VERSION: u64 = 1;

/// The identity of this code as an enclave.
#[must_use]
pub fn measurement() -> Measurement {
    let version = CODE_VERSION.to_be_bytes();
    Measurement(hash(MEASUREMENT, &[b"paralith key manager", &version]))
}

/// The trusted side of a key-manager node. One call at a time.
#[derive(Default)]
pub struct Service(Mutex<Option<Enclave>>);

impl Service {
    /// Not started yet: the host's first call starts it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl Handler for Service {
    fn handle(&self, call: Call, callbacks: &Callbacks) -> Result<Reply, Failure> {
        // Every change of an enclave is all or nothing, so a panic leaves it whole.
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(dispatch(&mut slot, call, callbacks)?)
    }
}

fn dispatch(
    slot: &mut Option<Enclave>,
    call: Call,
    callbacks: &Callbacks,
) -> Result<Reply, ServiceError> {
    if let Call::Start(start) = call {
        return start_or_claim(slot, start);
    }
    let enclave = slot.as_mut().ok_or(ServiceError::NotStarted)?;
    Ok(match call {
        Call::Sync(sync) => Reply::Synced(enclave.sync(sync.height, callbacks)?),
        Call::FreshnessBlob(_) => Reply::Bytes(enclave.freshness_blob()?),
        Call::ConfirmFreshness(confirm) => {
            enclave.confirm_freshness(confirm.height, callbacks)?;
            Reply::Empty(pb::Empty {})
        }
        Call::Stop(_) => {
            let sealed = enclave.seal()?;
            *slot = None;
            Reply::Bytes(sealed)
        }
        Call::Init(_) => Reply::Initialised(enclave.init(callbacks)?),
        Call::GenerateMaster(ask) => Reply::Bytes(enclave.generate_master(ask.epoch, callbacks)?),
        Call::GenerateEpochSecret(ask) => {
            Reply::Bytes(enclave.generate_epoch_secret(ask.epoch, callbacks)?)
        }
        Call::LoadProposals(_) => Reply::Initialised(enclave.load_proposals(callbacks)?),
        Call::AnswerKeys(ask) => Reply::Bytes(enclave.answer_keys(&ask.request, callbacks)?),
        Call::ReplicationRequest(_) => Reply::Bytes(enclave.replication_request(callbacks)?),
        Call::AnswerReplication(ask) => {
            Reply::Bytes(enclave.answer_replication(&ask.request, callbacks)?)
        }
        Call::ProvideReplica(provided) => {
            Reply::Initialised(enclave.provide_replica(&provided.reply, callbacks)?)
        }
        Call::PublicKeyGet(ask) => {
            Reply::Bytes(enclave.public_key(&ask.runtime_id, ask.epoch, callbacks)?)
        }
        _ => return Err(ServiceError::NotForKeyManagers),
    })
}

/// A second start with the same arguments gives the claims again, at the height verified since:
/// that is how evidence is renewed while the keys stay.
fn start_or_claim(slot: &mut Option<Enclave>, start: pb::Start) -> Result<Reply, ServiceError> {
    let place = place(&start)?;
    match slot {
        Some(enclave) if enclave.is_at(&place) => {}
        Some(_) => return Err(ServiceError::AlreadyStarted),
        None => *slot = Some(begin(place, start)?),
    }
    let enclave = slot.as_ref().ok_or(ServiceError::NotStarted)?;
    Ok(Reply::Started(pb::Started { claims: enclave.claims().encode() }))
}

fn place(start: &pb::Start) -> Result<Place, ServiceError> {
    Ok(Place {
        chain: ChainContext::try_from(start.chain_context.as_slice()).map_err(bad)?,
        id: RuntimeId::try_from(start.runtime_id.as_slice()).map_err(bad)?,
        node: PublicKey::try_from(start.node.as_slice()).map_err(bad)?,
    })
}

fn begin(place: Place, start: pb::Start) -> Result<Enclave, ServiceError> {
    let text = std::str::from_utf8(&start.genesis).map_err(bad)?;
    let document = Document::parse(text).map_err(bad)?;
    let chain_id = document.chain_id().map_err(bad)?;
    if document.hash().map_err(bad)? != place.chain || chain_id != start.chain_id {
        return Err(bad("the genesis document is another chain's"));
    }
    if !start.byzantine.is_empty() {
        return Err(bad("a key manager does not misbehave on request"));
    }
    // A host that gives key or seed knows the secrets: fine only where nothing is secret anyway.
    if document.genesis.params.registry.software_platforms.is_empty() {
        return Err(bad("this chain accepts no software enclaves, and this is one"));
    }
    let sealing_key = <[u8; 32]>::try_from(start.sealing_key.as_slice())
        .map(Secret::new)
        .map_err(|_| bad("the sealing key takes 32 bytes"))?;
    let entropy = if start.entropy.is_empty() {
        Entropy::System
    } else {
        let seed = Secret::new(hash(ENTROPY, &[&start.entropy]).0);
        Entropy::Seeded { seed, drawn: 0 }
    };
    let kept = if start.sealed.is_empty() {
        None
    } else {
        let Place { chain, id: runtime_id, .. } = place;
        let place = SealedPlace { chain, runtime_id, measurement: measurement() };
        Some(open_state(&sealing_key, &place, &start.sealed)?)
    };
    Enclave::new(place, &document, sealing_key, entropy, kept)
}

fn bad(reason: impl ToString) -> ServiceError {
    ServiceError::BadStart { reason: reason.to_string() }
}
