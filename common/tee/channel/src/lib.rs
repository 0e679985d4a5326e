//! Both ends of the one stream between a node's host and its enclave.
//!
//! * [`Client`]: the host's end. It calls, and answers callbacks through [`HostServices`].
//! * [`serve`]: the enclave's end. A [`Handler`] does the work and asks its host for data
//!   through [`Callbacks`].
//! * Every call and every callback ends with an answer or with the end of the stream, also when the
//!   answer is above the frame limit or the code that makes it panics.
//! * [`ChainView`]: consensus state as an enclave reads it, over [`Callbacks`]. Headers are followed
//!   by light client, every value comes with a proof; nothing else of the host is believed.
//!
//! Blocking streams and plain threads: an enclave has no async runtime.

mod call;
mod callbacks;
mod client;
mod error;
pub mod process;
mod server;
mod stream;

pub use call::{HostCall, HostReply, Role};
pub use callbacks::{Callbacks, HostRequests, with_fetched};
pub use client::{Client, HostServices, Recorder};
pub use error::{BoundaryError, Failure};
pub use paralith_consensus_light::{APPLICATION_KEPT_STEPS, ChainView, ViewError};
pub use paralith_runtime_api::boundary::{
    FrameError, MAX_FRAME_BYTES, pb, read_frame, write_frame,
};
pub use server::{Handler, serve};
