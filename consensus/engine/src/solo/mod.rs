//! A validator alone: CometBFT's part of the protocol, reduced to what one validator needs of it.
//!
//! A block goes through four steps, and each ends on the disk before the next begins:
//! 1. [`Chain::propose`] asks the application which transactions go into it;
//! 2. [`Chain::store`] signs header and commit, and writes block, commit and the fact of having
//!    signed in one batch;
//! 3. [`Chain::finalise`] executes it and writes what came out;
//! 4. [`Chain::commit`] has the application commit.
//!
//! A crash between two steps is repaired by [`Chain::open`] by the rows of CometBFT's handshake.

mod block;
mod chain;
mod engine;
mod record;

pub use chain::{Chain, Committed, Finalised, Proposed, Stored};
pub use engine::{Clock, SoloEngine, SoloOptions, system_clock};
