//! Calls and replies of the two roles that enclaves play.

use paralith_runtime_api::boundary::pb;
use pb::frame::Body;

use crate::{BoundaryError, Failure};

/// The role that an enclave plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Executes a compute runtime's rounds.
    Runtime,
    /// Holds master secrets.
    KeyManager,
}

/// A host's call.
#[derive(Debug, Clone, PartialEq)]
pub enum HostCall {
    /// To a compute runtime's enclave.
    Runtime(pb::runtime_call::Kind),
    /// To a key manager's enclave.
    KeyManager(pb::key_manager_call::Kind),
}

/// An enclave's reply.
#[derive(Debug, Clone, PartialEq)]
pub enum HostReply {
    /// Of a compute runtime's enclave.
    Runtime(pb::runtime_reply::Kind),
    /// Of a key manager's enclave.
    KeyManager(pb::key_manager_reply::Kind),
}

/// The reply as it travels. A handler that answers for the other role has broken the protocol.
pub(crate) fn reply_body(role: Role, result: Result<HostReply, Failure>) -> Body {
    let wrong = || Some(pb::Failure::from(Failure::from(BoundaryError::WrongReply)));
    match (role, result) {
        (Role::Runtime, Ok(HostReply::Runtime(kind))) => {
            Body::RuntimeReply(pb::RuntimeReply { failure: None, kind: Some(kind) })
        }
        (Role::KeyManager, Ok(HostReply::KeyManager(kind))) => {
            Body::KeyManagerReply(pb::KeyManagerReply { failure: None, kind: Some(kind) })
        }
        (Role::Runtime, other) => {
            let failure = other.err().map(pb::Failure::from).or_else(wrong);
            Body::RuntimeReply(pb::RuntimeReply { failure, kind: None })
        }
        (Role::KeyManager, other) => {
            let failure = other.err().map(pb::Failure::from).or_else(wrong);
            Body::KeyManagerReply(pb::KeyManagerReply { failure, kind: None })
        }
    }
}
