//! An endorser of chaincode.
//!
//! * [`EndorserEnclave`]: the enclave. What every enclave answers (start, chain, freshness, keys) it
//!   leaves to `paralith-runtime-enclave`; here are the four calls of [`calls`].
//!   - `Endorse` proves what `paralith-chaincode-core` asks for at the proposal's anchor, runs its
//!     checks in their order, executes the call on the ledger's state there, and signs. Every input is
//!     a function of the proposal, so honest enclaves give equal bytes.
//!   - `Release` opens a call's output once the newest final state of the application's ledger has
//!     that very response.
//!   - `Evaluate` answers a sealed query on the newest final state, and never signs.
//!   - `Reveal` gives what a committed call asked to reveal.
//! * [`EndorserHost`]: what the untrusted node around it keeps and forwards.
//!
//! A host can keep an enclave from answering, and cannot choose the answer. Specification:
//! systems/chaincode/SPEC.md and docs/protocol/enclave.md.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
    )
)]

pub mod calls;
mod endorse;
mod evaluate;
mod host;
mod proven;
mod release;
mod run;
mod state;

use paralith_chaincode_core::EndorseError;
use paralith_runtime_enclave::{Application, EnclaveError, RuntimeEnclave};
use paralith_tee_channel::pb::runtime_call::Kind as Call;
use paralith_tee_channel::pb::runtime_reply::Kind as Reply;
use paralith_tee_channel::{Callbacks, Failure, Handler, HostCall, HostReply};
use prost::Message as _;

pub use host::{EndorserHost, HostError, Launch};

use calls::{EndorserCall, MAX_CALL_FRAME_BYTES, endorser_call::Kind};

/// The enclave of one application on one node.
#[derive(Debug)]
pub struct EndorserEnclave {
    base: RuntimeEnclave,
}

impl Default for EndorserEnclave {
    fn default() -> Self {
        Self { base: RuntimeEnclave::of_application() }
    }
}

impl EndorserEnclave {
    /// One that waits for its first call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Handler for EndorserEnclave {
    fn handle(&self, call: HostCall, callbacks: &Callbacks) -> Result<HostReply, Failure> {
        match call {
            HostCall::Runtime(Call::Application(bytes)) => {
                let application = self.base.application(callbacks)?;
                Ok(HostReply::Runtime(Reply::Bytes(answer(&application, &bytes)?)))
            }
            other => self.base.handle(other, callbacks),
        }
    }
}

fn answer(application: &Application, bytes: &[u8]) -> Result<Vec<u8>, EnclaveError> {
    let form = |reason: String| refused(EndorseError::Form(reason));
    if bytes.len() > MAX_CALL_FRAME_BYTES {
        return Err(form(format!("{} bytes are too many", bytes.len())));
    }
    let call = EndorserCall::decode(bytes).map_err(|e| form(e.to_string()))?;
    match call.kind {
        Some(Kind::Endorse(signed)) => Ok(endorse::endorse(application, &signed)?.encode_to_vec()),
        Some(Kind::Release(response)) => release::release(application, response),
        Some(Kind::Evaluate(request)) => {
            Ok(evaluate::evaluate(application, &request)?.encode_to_vec())
        }
        Some(Kind::Reveal(request)) => Ok(evaluate::reveal(application, &request)?.encode_to_vec()),
        None => Err(form("it names no call".into())),
    }
}

/// A refusal as it crosses the boundary: under its own module and code.
fn refused(error: EndorseError) -> EnclaveError {
    let code = error.code();
    EnclaveError::Refused(Failure::new("endorse", code, error))
}
