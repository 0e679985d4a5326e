//! Decides whether the votes of one ParaTime round agree, and who pays if they do not.
//!
//! One [`Pool`] lives per round. Workers execute the batch that a scheduler proposed and vote for a
//! result; if all that counts agrees, the round is final. If not, the backup workers execute the
//! same batch, and their majority either confirms the scheduler's result or fails the round.
//!
//! The pool is a pure machine. Its inputs are [votes](Pool::vote) in block order and the
//! [ends of blocks](Pool::end_block); its outputs are [verdicts](Verdict) and, once the round is
//! over, its [`Outcome`]: whom to pay, whom to slash, whose proposal counts as made or missed. It
//! reads no clock, no store and no randomness and knows neither tokens nor signatures: the caller
//! has checked that a vote is of this round, on the right previous block, and signed by its signer,
//! and that its proposal header is signed by the scheduler of its rank.
//!
//! Specification: docs/protocol/discrepancy.md. What holds, by property tests and an exhaustive model check (`tests/it`):
//!
//! 1. No honest node is slashed while most backups are honest, and an honest worker's host may lose
//!    power at any point.
//! 2. A wrong result is final only if no honest worker's result reached the chain within the grace,
//!    or most backups are liars.
//! 3. From the first vote of the lead's scheduler, a round ends within `T + T * 3/2` blocks.
//! 4. The verdict does not depend on the order of votes inside one block, unless one signer or
//!    scheduler equivocates.
//! 5. One equivocator cannot stop a round in which another worker is honest and proposes.
//! 6. An honest worker that votes within the grace, and an honest backup that votes before the dispute
//!    times out, never counts as silent.
//!
//! ```
//! use discrepancy::{Config, Pool, ProposalId, ResultHash, Signer, Verdict, Vote};
//!
//! let [a, b] = [Signer([1; 32]), Signer([2; 32])];
//! let config = Config { workers: vec![a, b], round_timeout: 5, ..Config::default() };
//! let mut pool = Pool::new(config)?;
//! let (proposal, result) = (ProposalId([7; 32]), ResultHash([9; 32]));
//! for signer in [a, b] {
//!     pool.vote(10, Vote { signer, rank: 0, proposal, result: Some(result) })?;
//! }
//! assert_eq!(pool.end_block(10), [Verdict::Finalise { rank: 0, proposal, result }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `committee` | who may vote, and who schedules at which rank |
//! | `vote` | a vote, and why one may be ignored |
//! | `pool` | the state of a round: "a vote arrives", "the block ends" |
//! | `evaluate` | the decision at the end of a block |
//! | `outcome` | what follows from the verdict |
//! | `parts` | the pool as plain values, for its owner to store |

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
    )
)]

mod committee;
mod error;
mod evaluate;
mod outcome;
mod parts;
mod pool;
mod vote;

pub use committee::{Config, Signer};
pub use error::{ConfigError, PartsError};
pub use evaluate::{FailReason, GRACE, Verdict};
pub use outcome::Outcome;
pub use parts::PoolParts;
pub use pool::{Pool, RankPool, SchedulerVote};
pub use vote::{Ignored, ProposalId, ResultHash, Vote};
