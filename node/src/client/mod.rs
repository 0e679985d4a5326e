//! A client that believes no node: headers by light client from the genesis document, state by
//! proof, results by the round's final header, the runtimes' keys by the key manager's signature.
//!
//! `paralith` commands and the demo use nothing else; [`ChainClient`] is the consensus layer,
//! [`ParaTimeClient`] one ParaTime.

mod chain;
mod paratime;

pub use chain::{ChainClient, Included, Proven};
pub(crate) use chain::{light_client, refused};
pub use paratime::{Confirmed, ParaTimeClient, Sent};
