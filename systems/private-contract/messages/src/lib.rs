//! The messages of private contracts: what is signed, hashed, stored or sent, and where the mediator's
//! state has it.
//!
//! Each message has one encoding, canonical protobuf, by [`Canonical`]; `proto/paralith/contract/v1/` has
//! them as `.proto` files, which are part of the specification (`systems/private-contract/SPEC.md`). This
//! crate builds for WebAssembly.

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

mod bytes;
mod calls;
mod events;
pub mod keys;
mod limits;
mod macros;
mod protocol;
mod state;

pub use bytes::{ContentHash, ContractId, Revealed, VoteKey, VoteSignature};
pub use calls::*;
pub use events::*;
pub use limits::*;
pub use paralith_proto::{Canonical, DecodeError};
pub use protocol::*;
pub use state::*;

/// The protobuf forms, by file.
pub mod pb {
    pub use crate::calls::pb as calls;
    pub use crate::events::pb as events;
    pub use crate::protocol::pb as protocol;
    pub use crate::state::pb as state;
}
