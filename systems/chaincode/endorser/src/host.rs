//! The untrusted side of an endorser: starts its enclave, forwards bytes, and keeps what a restart needs.
//!
//! It keeps the enclave's sealed identity and the responses that the enclave endorsed, by transaction,
//! until they are removed. Losing either harms nobody: the enclave gets a new identity, which the node
//! registers, and a client finds a lost response in the ledger's transaction.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paralith_chaincode_messages::{Message as _, Response};
use paralith_storage::{Column, Durability, Kv, StorageError, WriteBatch};
use paralith_tee_channel::{BoundaryError, Client, Failure, Role, pb};
use paralith_types::{Hash, RuntimeId};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;
use prost::Message as _;

use crate::calls::{
    Answered, Endorsed, EndorserCall, EvaluateRequest, RevealRequest, endorser_call::Kind,
};

/// What the enclave's module calls a sealed identity that does not open, and one that was replaced.
const SEALED_STATE: u32 = 4;
const IDENTITY_REPLACED: u32 = 25;

/// Starts an enclave's process and gives its end of the stream.
pub type Launch = Box<dyn Fn() -> Result<Client, HostError> + Send + Sync>;

/// Why a host gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The enclave refuses, or is gone.
    #[error(transparent)]
    Enclave(#[from] BoundaryError),
    /// The host's store.
    #[error("the endorser's store fails: {0}")]
    Storage(String),
    /// The enclave's process does not start.
    #[error("the enclave does not start: {0}")]
    Launch(String),
    /// The enclave's reply is not of the kind that the call has.
    #[error("the enclave's reply cannot be read: {0}")]
    Reply(String),
}

impl HostError {
    /// The stable number of this error in the module "endorser".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Enclave(_) => 1,
            Self::Storage(_) => 2,
            Self::Launch(_) => 3,
            Self::Reply(_) => 4,
        }
    }
}

/// A refusal of the enclave keeps its own module and code.
impl From<HostError> for paralith_types::Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Enclave(error) => error.into(),
            other => Self::new("endorser", other.code(), other),
        }
    }
}

impl From<StorageError> for HostError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.to_string())
    }
}

/// The host of one application's enclave.
pub struct EndorserHost {
    application: RuntimeId,
    kv: Kv,
    launch: Launch,
    /// Without what is kept.
    start: pb::Start,
    running: Mutex<Option<Running>>,
    /// How many enclaves were started.
    launches: AtomicU64,
}

#[derive(Clone)]
struct Running {
    client: Client,
    claims: Vec<u8>,
}

impl fmt::Debug for EndorserHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndorserHost({})", self.application)
    }
}

impl EndorserHost {
    /// Starts nothing yet. `start` has all but what is kept; `kv` is the node's store.
    #[must_use]
    pub fn new(application: RuntimeId, kv: Kv, start: pb::Start, launch: Launch) -> Self {
        let (running, launches) = (Mutex::new(None), AtomicU64::new(0));
        Self { application, kv, launch, start, running, launches }
    }

    /// The enclave's claims, for the platform to quote and the node to register. Starts the enclave if
    /// it does not run; it is the one of before if its identity was kept.
    pub fn claims(&self) -> Result<Vec<u8>, HostError> {
        Ok(self.running()?.claims)
    }

    /// The enclave's claims as of this height, for evidence of that age. Its keys stay.
    pub fn attest(&self, height: u64) -> Result<Vec<u8>, HostError> {
        self.sync(height)?;
        // A started enclave only says again what it is.
        match self.call(Call::Start(self.start.clone()))? {
            Reply::Started(started) => Ok(started.claims),
            _ => Err(unexpected()),
        }
    }

    /// The running enclave, for calls that this side need not see. What they fail with belongs into
    /// [`EndorserHost::noticed`].
    pub fn client(&self) -> Result<Client, HostError> {
        Ok(self.running()?.client)
    }

    /// How many enclaves were started: another one has proven nothing yet and has no keys.
    #[must_use]
    pub fn launches(&self) -> u64 {
        self.launches.load(Ordering::Relaxed)
    }

    /// Takes note of why a call failed: an identity that was replaced is removed.
    pub fn noticed(&self, error: &BoundaryError) -> Result<(), HostError> {
        let client = self.running()?.client;
        self.forget_replaced(&client, error)
    }

    /// Calls the enclave: freshness, keys. What this side keeps goes through [`EndorserHost::sync`].
    pub fn call(&self, call: Call) -> Result<Reply, HostError> {
        let running = self.running()?;
        match running.client.call(call) {
            Ok(reply) => Ok(reply),
            Err(error) => {
                self.forget_replaced(&running.client, &error)?;
                Err(error.into())
            }
        }
    }

    /// Has the enclave follow the chain, and keeps its identity as of then.
    pub fn sync(&self, height: u64) -> Result<pb::Synced, HostError> {
        match self.call(Call::Sync(pb::Sync { height }))? {
            Reply::Synced(synced) => {
                self.keep_identity(&synced.sealed)?;
                Ok(synced)
            }
            _ => Err(unexpected()),
        }
    }

    /// Forwards an encoded `SignedProposal`, and keeps the response.
    pub fn endorse(&self, proposal: Vec<u8>) -> Result<Endorsed, HostError> {
        let endorsed: Endorsed = self.application(Kind::Endorse(proposal))?;
        let response = Response::decode(&endorsed.response).map_err(|e| unreadable(&e))?;
        let mut batch = WriteBatch::new();
        let key = self.response_key(&response.tx_id);
        batch.put(Column::Meta, key, endorsed.response.clone());
        // The client has it too.
        self.kv.write(batch, Durability::Lazy)?;
        Ok(endorsed)
    }

    /// The response of a transaction that this node endorsed.
    pub fn response(&self, tx_id: &Hash) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.kv.get(Column::Meta, &self.response_key(tx_id))?)
    }

    /// Removes a response that nobody will ask for any more.
    pub fn forget_response(&self, tx_id: &Hash) -> Result<(), HostError> {
        let mut batch = WriteBatch::new();
        batch.delete(Column::Meta, self.response_key(tx_id));
        Ok(self.kv.write(batch, Durability::Lazy)?)
    }

    /// Forwards an encoded `Response`. Gives an encoded `OpenedOutput`.
    pub fn release(&self, response: Vec<u8>) -> Result<Vec<u8>, HostError> {
        self.application_bytes(Kind::Release(response))
    }

    /// Forwards a query.
    pub fn evaluate(&self, request: EvaluateRequest) -> Result<Answered, HostError> {
        self.application(Kind::Evaluate(request))
    }

    /// Forwards a request to reveal.
    pub fn reveal(&self, request: RevealRequest) -> Result<Answered, HostError> {
        self.application(Kind::Reveal(request))
    }

    /// Ends the enclave. The next call starts it again.
    pub fn close(&self) {
        if let Some(running) = self.lock().take() {
            running.client.close();
        }
    }

    fn application<T: prost::Message + Default>(&self, kind: Kind) -> Result<T, HostError> {
        T::decode(self.application_bytes(kind)?.as_slice()).map_err(|e| unreadable(&e))
    }

    fn application_bytes(&self, kind: Kind) -> Result<Vec<u8>, HostError> {
        let call = EndorserCall { kind: Some(kind) }.encode_to_vec();
        match self.call(Call::Application(call))? {
            Reply::Bytes(bytes) => Ok(bytes),
            _ => Err(unexpected()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The enclave; another one in the place of one that died.
    fn running(&self) -> Result<Running, HostError> {
        let mut running = self.lock();
        if let Some(one) = running.as_ref().filter(|one| !one.client.is_closed()) {
            return Ok(one.clone());
        }
        let client = (self.launch)()?;
        let claims = self.start(&client)?;
        self.launches.fetch_add(1, Ordering::Relaxed);
        Ok(running.insert(Running { client, claims }).clone())
    }

    /// With the identity that was kept; with a new one if that does not open here, as after a change of
    /// code.
    fn start(&self, client: &Client) -> Result<Vec<u8>, HostError> {
        let sealed = self.identity()?;
        let start = |sealed| pb::Start { sealed, ..self.start.clone() };
        let kept = !sealed.is_empty();
        match client.start(Role::Runtime, start(sealed)) {
            Ok(started) => Ok(started.claims),
            Err(error) if kept && is_of_enclave(&error, SEALED_STATE) => {
                self.forget_identity()?;
                Ok(client.start(Role::Runtime, start(Vec::new()))?.claims)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// An identity that was replaced is of no use: the next start makes a new one.
    fn forget_replaced(&self, client: &Client, error: &BoundaryError) -> Result<(), HostError> {
        if is_of_enclave(error, IDENTITY_REPLACED) {
            self.forget_identity()?;
            client.close();
        }
        Ok(())
    }

    fn identity(&self) -> Result<Vec<u8>, HostError> {
        Ok(self.kv.get(Column::Meta, &self.identity_key())?.unwrap_or_default())
    }

    fn keep_identity(&self, sealed: &[u8]) -> Result<(), HostError> {
        if sealed.is_empty() {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        batch.put(Column::Meta, self.identity_key(), sealed);
        // The node registers what is kept: a crash must not lose it.
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    fn forget_identity(&self) -> Result<(), HostError> {
        let mut batch = WriteBatch::new();
        batch.delete(Column::Meta, self.identity_key());
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    fn identity_key(&self) -> Vec<u8> {
        [b"endorser/identity/".as_slice(), self.application.as_bytes()].concat()
    }

    fn response_key(&self, tx_id: &Hash) -> Vec<u8> {
        let prefix = b"endorser/response/".as_slice();
        [prefix, self.application.as_bytes(), tx_id.as_bytes()].concat()
    }
}

fn is_of_enclave(error: &BoundaryError, number: u32) -> bool {
    let BoundaryError::Failure(Failure { module, code, .. }) = error else { return false };
    module == "enclave" && *code == number
}

fn unexpected() -> HostError {
    HostError::Reply("it is of another kind".to_string())
}

fn unreadable(error: &dyn fmt::Display) -> HostError {
    HostError::Reply(error.to_string())
}
