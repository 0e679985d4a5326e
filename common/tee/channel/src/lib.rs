//! Both ends of the one stream between a node's host side and its trusted side, and what the
//! trusted side makes of what it hears there.
//!
//! * [`Client`]: the host's end. It calls, and answers callbacks through [`HostServices`].
//! * [`serve`]: the trusted side's end. A [`Handler`] does the work and asks its host for data
//!   through [`Callbacks`].
//! * [`ChainView`]: consensus state as an enclave reads it, over [`Callbacks`]. Headers are followed
//!   by light client, every value comes with a proof; nothing else of the host is believed.
//!
//! Blocking streams and plain threads: an enclave has no async runtime.

mod client;
mod error;
mod server;

pub use client::{Client, HostServices, Recorder};
pub use error::{BoundaryError, Failure};
pub use paralith_consensus_light::{ChainView, ViewError};
pub use paralith_runtime_api::boundary::{FrameError, pb};
pub use server::{Callbacks, Handler, serve};
