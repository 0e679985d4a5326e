//! The enclave of a compute node: the code that runs beside the guest and that attestation vouches
//! for.
//!
//! It does not trust its host. It follows consensus by light client and reads it by proof; it reads
//! the runtime's state through the last final root; it takes keys from an enclave that consensus
//! state names. So a host can keep it from giving a result, and cannot choose which.
//!
//! * **Execution** ([`RuntimeEnclave`], call `Execute`) takes every input at the height that the
//!   proposal pins. A missing input (a key, a node of the tree, a proof) is an [`EnclaveError`], and
//!   the host votes a failure. Whatever every replica sees alike (a trap, a bad signature, an
//!   envelope that does not open) is a result.
//! * **Before the round is final** only public data leaves: places and sizes of entries, gas,
//!   messages to consensus, public events, commitments to outputs. Values and outputs are sealed
//!   under keys that depend on the whole proposal header, so two executions on one state have
//!   nothing in common.
//! * **Data that an attacker would want** (outputs, answers, revealed bytes) leaves after the round
//!   that it depends on is proven final, and for that round's leaves alone.
//! * A confidential runtime's enclave works only in epochs for which it has proven that it sees the
//!   living chain, or the one after.
//!
//! Enclaves of applications share all but the rounds: [`Application`] has the parts.
//!
//! `docs/protocol/enclave.md` is the specification. One file for each group of calls; [`process`]
//! joins the enclave to its host.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
    )
)]

mod application;
mod block;
mod error;
mod guest;
mod inbox;
mod kept;
mod keys;
mod known;
mod proven_state;
mod read;
mod release;
mod round;
mod sealer;
mod session;
mod start;
mod state;
mod timers;
mod transaction;

use std::sync::{Arc, Mutex};

use paralith_tee_channel::pb::runtime_call::Kind as Call;
use paralith_tee_channel::pb::runtime_reply::Kind as Reply;
use paralith_tee_channel::{Callbacks, Failure, Handler, HostCall, HostReply, pb};
use paralith_tee_enclave::EnclaveId;
use paralith_types::{Epoch, Height};

pub use application::{Application, ApplicationKeys, StateTree};
pub use block::{BLOCK_ERROR, BLOCK_GAS, INIT_GAS, MESSAGE_SKIPPED};
pub use error::EnclaveError;
pub use guest::{END_BLOCK_BYTES, MAX_ROUND_BYTES, MAX_ROUND_LOG_BYTES, RECEIPT_BYTES};
pub use paralith_tee_channel::process;
pub use proven_state::{At, PinnedState};
pub use read::READ_GAS;
pub use round::MAX_BATCH_TRANSACTIONS;
pub use sealer::{RoundContext, Sealer, Seeds};
pub use start::measurement;

use session::{Session, lock};

/// What an enclave serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnclaveKind {
    /// A ParaTime: it executes rounds, with new keys at every start.
    #[default]
    Compute,
    /// An application: it has no rounds, and its keys outlive it, sealed.
    Application,
}

/// The enclave of one runtime on one node.
///
/// Of an application it answers what every enclave does: start, chain, freshness, keys. The system
/// that the application belongs to answers the rest, over [`RuntimeEnclave::application`].
#[derive(Debug, Default)]
pub struct RuntimeEnclave {
    kind: EnclaveKind,
    session: Mutex<Option<Arc<Session>>>,
}

impl RuntimeEnclave {
    /// One of a ParaTime that waits for its first call.
    pub fn new() -> Self {
        Self::default()
    }

    /// One of an application that waits for its first call.
    pub fn of_application() -> Self {
        Self { kind: EnclaveKind::Application, ..Self::default() }
    }

    /// What a started enclave of an application builds its own calls on.
    pub fn application(&self, callbacks: &Callbacks) -> Result<Application, EnclaveError> {
        match self.kind {
            EnclaveKind::Application => Ok(Application::new(self.session()?, callbacks.clone())),
            EnclaveKind::Compute => Err(EnclaveError::WrongCall),
        }
    }

    /// A second start at the same place gives the claims again, at the height proven since: so the
    /// evidence names the chain that the enclave follows, and is renewed while the keys stay.
    fn start(&self, call: &pb::Start) -> Result<pb::Started, EnclaveError> {
        let id = EnclaveId::of(call)?;
        let mut running = lock(&self.session);
        let session = match &*running {
            Some(session) if session.is_at(&id) => Arc::clone(session),
            Some(_) => return Err(EnclaveError::AlreadyStarted),
            None => Arc::clone(running.insert(Arc::new(start::start(call, self.kind)?))),
        };
        drop(running);
        Ok(start::claims(&session))
    }

    fn session(&self) -> Result<Arc<Session>, EnclaveError> {
        lock(&self.session).clone().ok_or(EnclaveError::NotStarted)
    }

    fn answer(&self, call: Call, callbacks: &Callbacks) -> Result<Reply, EnclaveError> {
        if let Call::Start(start) = call {
            return Ok(Reply::Started(self.start(&start)?));
        }
        let session = &*self.session()?;
        Ok(match call {
            Call::Start(_) => return Err(EnclaveError::AlreadyStarted),
            Call::Sync(call) => Reply::Synced(keys::sync(session, callbacks, Height(call.height))?),
            Call::FreshnessBlob(_) => Reply::Bytes(keys::freshness_blob(session, callbacks)?),
            Call::ConfirmFreshness(call) => {
                keys::confirm_freshness(session, callbacks, Height(call.height))?;
                Reply::Empty(pb::Empty {})
            }
            Call::Stop(_) => Reply::Bytes(start::to_keep(session, true)?),
            Call::KeyRequestFor(call) => {
                Reply::Bytes(keys::request(session, callbacks, Epoch(call.epoch))?)
            }
            Call::ProvideKeys(call) => {
                keys::provide(session, callbacks, &call.reply)?;
                Reply::Empty(pb::Empty {})
            }
            Call::Application(_) => return Err(EnclaveError::WrongCall),
            Call::Check(_)
            | Call::Execute(_)
            | Call::Release(_)
            | Call::RunQuery(_)
            | Call::Reveal(_)
                if self.kind == EnclaveKind::Application =>
            {
                return Err(EnclaveError::WrongCall);
            }
            Call::Check(call) => Reply::Bytes(read::check(session, callbacks, &call.transactions)?),
            Call::Execute(call) => Reply::Executed(round::execute(session, callbacks, call)?),
            Call::Release(call) => Reply::Released(release::release(session, callbacks, call)?),
            Call::RunQuery(call) => Reply::Answer(read::query(session, callbacks, call)?),
            Call::Reveal(call) => Reply::Answer(read::reveal(session, callbacks, call)?),
        })
    }
}

impl Handler for RuntimeEnclave {
    fn handle(&self, call: HostCall, callbacks: &Callbacks) -> Result<HostReply, Failure> {
        match call {
            HostCall::Runtime(call) => Ok(HostReply::Runtime(self.answer(call, callbacks)?)),
            HostCall::KeyManager(_) => Err(EnclaveError::WrongCall.into()),
        }
    }
}
