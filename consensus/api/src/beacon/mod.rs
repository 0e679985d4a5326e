//! Epochs and their randomness.

mod error;
mod event;
pub mod keys;
mod params;
mod types;

pub use error::Error;
pub use event::EpochStarted;
pub use params::Params;
pub use types::EpochState;
