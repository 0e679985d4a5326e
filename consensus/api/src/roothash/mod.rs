//! ParaTime blocks and what leads to them: proposals, votes, evidence, messages.

mod error;
mod event;
pub mod keys;
mod params;
mod pool;
mod sign;
mod tx;
mod types;

pub use error::{Error, IGNORED_BASE, VoteError};
pub use event::{
    DiscrepancyDetected, EvidenceAccepted, InMessageProcessed, LivenessFailed, MessageExecuted,
    RoundFinalised, VoteIgnored, Voted,
};
pub use params::Params;
pub use pool::{Pool, PoolRank, PoolVote};
pub use sign::{
    PROPOSAL_DOMAIN, RESULTS_DOMAIN, VOTE_DOMAIN, batch_hash, empty_hash, in_messages_hash,
    messages_hash,
};
pub use tx::{
    EquivocatedProposals, EquivocatedVotes, Evidence, EvidenceKind, ExecutorCommit, Failure,
    Message, ProposalHeader, ResultsHeader, SignedProposal, SubmitMessage, TransferMessage, Vote,
};
pub use types::{
    FailedRounds, Header, HeaderType, IncomingMessage, IncomingMessages, IncomingQueue,
    MemberRecord, MessageResult, PendingResult, PendingResults, QueuedResult, ResultQueue,
    RoundRoots, RuntimeState, Standing,
};
