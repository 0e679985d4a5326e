//! A compute node's rounds for one ParaTime: the host's part, which nobody has to trust.
//!
//! ```text
//! user      -> submit_transactions -> `Check` of many in the enclave -> pool -> workers
//! proposer  -> closes a batch -> signed header, synced -> members
//! member    -> `Execute` in the enclave -> outcome synced -> vote, synced -> members
//! anyone    -> one `ExecutorCommit` with all votes -> the chain's verdict
//! everyone  -> final header -> write log against its root -> `Release` -> receipts
//! disputed  -> backups get the same batch, execute, vote; their majority decides
//! ```
//!
//! A [`Follower`] has the state of a ParaTime without running it: no enclave, no seat.
//!
//! [`round`] makes every decision and is pure; [`Worker`] gives it state, messages and time and does
//! what it says. What a node signs is synced before it leaves, and a restarted node sends
//! those very bytes: a crash is not equivocation.

mod admission;
mod batcher;
mod boundary;
mod chain;
mod checkpoint;
mod config;
mod effects;
mod enclave;
mod error;
mod final_round;
mod finality;
mod follower;
mod forwarding;
mod handle;
mod headers;
mod host;
mod ledger;
mod links;
mod member;
mod mempool;
mod proving;
mod recheck;
mod reports;
mod store;
mod view;
mod wire;
mod worker;

pub use admission::Submission;
pub use batcher::Batcher;
pub use chain::{Chain, ChainBlock, HeightValue, ProvenValue};
pub use config::WorkerConfig;
pub use enclave::Enclave;
pub use error::{ChainError, EnclaveError, MODULE, WorkerError};
pub use final_round::FinalRound;
pub use follower::{Applied, Follower, FollowerHandle};
pub use handle::WorkerHandle;
pub use host::HostStore;
pub use links::{Admitted, LinkError, LinkFuture, Links};
pub use paralith_runtime_round as round;
pub use paralith_runtime_round::{PoolError, PoolLimits, PoolTx, TxPool};
pub use proving::places_asked_for;
pub use reports::{Confirmation, Status};
pub use worker::{Connections, Worker};
