//! The trusted side of a key-manager node.
//!
//! [`Service`] answers its host over the boundary. The host is not trusted: consensus state is
//! followed by light client and read by proof ([`paralith_tee_channel::ChainView`]); secrets leave
//! sealed to keys that were found in proven state, or not at all.
//!
//! * **In memory only:** the RAK and the REK, which are new with each start, and epoch secrets.
//! * **Sealed** ([`seal_state`]): master secrets, the proposal that consensus was told is held, the
//!   newest verified header and policy. Whoever rolls the seals back gets an enclave that must
//!   follow the chain again and prove freshness before it answers anything.
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
//! | `seal` | what is kept between two runs |
//! | `entropy` | where randomness comes from |

mod answer;
mod enclave;
mod entropy;
mod error;
mod publish;
mod seal;
mod service;

pub use error::ServiceError;
pub use seal::{SealedPlace, open_state, seal_state};
pub use service::{Service, measurement};
