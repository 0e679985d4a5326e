//! The native token: accounts, escrow in share pools, slashing.

mod error;
mod event;
pub mod keys;
mod params;
mod tx;
mod types;

pub use error::Error;
pub use event::{DebondingStarted, EscrowAdded, EscrowReclaimed, EscrowTaken, Transferred};
pub use params::Params;
pub use tx::{AddEscrow, ReclaimEscrow, Transfer};
pub use types::{Account, Claim, Delegation, SharePool};
