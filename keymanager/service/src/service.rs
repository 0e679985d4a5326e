//! Start, stop, and who does what.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use paralith_attest::Measurement;
use paralith_crypto::{Domain, hash};
use paralith_tee_channel::pb::key_manager_call::Kind as Call;
use paralith_tee_channel::pb::key_manager_reply::Kind as Reply;
use paralith_tee_channel::{Callbacks, Failure, Handler, HostCall, HostReply, pb, with_fetched};
use paralith_tee_enclave::{EnclaveId, open};

use crate::ServiceError;
use crate::enclave::Enclave;

const MEASUREMENT: Domain = Domain::new("paralith/software-measurement/v1");

/// What a software platform vouches for: that this code runs. Grows with whatever changes what the
/// code does with secrets.
const CODE_VERSION: u64 = 1;

/// The identity of this code as an enclave.
#[must_use]
pub fn measurement() -> Measurement {
    let version = CODE_VERSION.to_be_bytes();
    Measurement(hash(MEASUREMENT, &[b"paralith key manager", &version]))
}

/// The enclave of a key-manager node. One call at a time, and none waits for the host of another.
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
    fn handle(&self, call: HostCall, callbacks: &Callbacks) -> Result<HostReply, Failure> {
        let HostCall::KeyManager(call) = call else {
            return Err(ServiceError::NotForKeyManagers.into());
        };
        // Never waits for the host while it holds the lock: a host that answers one call late must
        // not hold up the others.
        // KM-B3: nothing is asked of the host under the lock; what is missing is fetched without
        // it.
        let reply = with_fetched(callbacks, |fetched| {
            // Every change of an enclave is all or nothing, so a panic leaves it consistent.
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            dispatch(&mut slot, call.clone(), fetched)
        });
        Ok(HostReply::KeyManager(reply?))
    }
}

fn dispatch(
    slot: &mut Option<Enclave>,
    call: Call,
    callbacks: &Callbacks,
) -> Result<Reply, ServiceError> {
    let call = match call {
        Call::Start(start) => return start_or_claim(slot, start),
        other => other,
    };
    let enclave = slot.as_mut().ok_or(ServiceError::NotStarted)?;
    Ok(match call {
        Call::Start(_) => return Err(ServiceError::AlreadyStarted),
        Call::Sync(sync) => Reply::Synced(enclave.sync(sync.height, callbacks)?),
        Call::FreshnessBlob(_) => Reply::Bytes(enclave.freshness_blob(callbacks)?),
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
    })
}

/// A second start with the same arguments gives the claims again, at the height verified since:
/// that is how evidence is renewed while the keys stay.
fn start_or_claim(slot: &mut Option<Enclave>, start: pb::Start) -> Result<Reply, ServiceError> {
    let place = EnclaveId::of(&start)?;
    match slot {
        Some(enclave) if enclave.is_at(&place) => {}
        Some(_) => return Err(ServiceError::AlreadyStarted),
        None => *slot = Some(begin(&start)?),
    }
    let enclave = slot.as_ref().ok_or(ServiceError::NotStarted)?;
    Ok(Reply::Started(pb::Started { claims: enclave.claims().encode() }))
}

fn begin(start: &pb::Start) -> Result<Enclave, ServiceError> {
    Enclave::new(open(start)?, &start.sealed)
}
