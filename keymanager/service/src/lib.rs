//! The enclave of a key-manager node.
//!
//! [`Service`] answers its host over the boundary. The host is not trusted: consensus state is
//! followed by light client and read by proof ([`paralith_tee_channel::ChainView`]); secrets leave
//! sealed to keys that were found in proven state, or not at all.
//!
//! * **In memory only:** the RAK, which is new with each start, the REK, which is new in each epoch,
//!   and epoch secrets.
//! * **Sealed** ([`paralith_tee_enclave::SealingKey`]): master secrets, the proposal that the enclave
//!   has confirmed to consensus, the newest verified header and policy. A host that rolls the seals back gets
//!   an enclave that must follow the chain again and prove freshness before it answers anything.
//! * **Freshness:** in each epoch, before it answers, the enclave finds a random blob of its own in
//!   proven state. On an old or frozen chain there is none, and it answers
//!   [`Refusal::NotReady`](paralith_keymanager_core::Refusal::NotReady).
//!
//! | file | holds |
//! |---|---|
//! | `service` | start, stop, and who does what |
//! | `enclave` | following the chain, freshness, taking over the status |
//! | `publish` | making secrets and opening published ones |
//! | `answer` | requests of compute enclaves, clients and other key managers |

mod answer;
mod enclave;
mod error;
mod publish;
mod service;

pub use error::ServiceError;
pub use service::{Service, measurement};
