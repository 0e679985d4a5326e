//! What is common to all transactions: the block's events root, limits and prices.

mod error;
pub mod keys;
mod params;
mod types;

pub use error::Error;
pub use params::Params;
pub use types::{EventsRoot, STATE_ROOTS_KEPT, StateRoot};
