//! What a member decides: one batch at a time, from verified mediator state and its own store.
//!
//! ```text
//! WAITING -> FETCHING -> PREPARED -> COMMITTED | DROPPED          any -> HEALING -> COMMITTED
//! ```
//!
//! Inputs come as values, effects leave as values; whoever runs this carries the effects out in order, and
//! answers those that say so. Crashes may happen between any two effects: [`Member::start`] begins anew
//! from what is on the disk. Two rules hold whatever happens:
//!
//! * **One vote for each batch.** A vote is on the disk, together with the changes, before it leaves. What is
//!   stored is the only vote that ever leaves: after a restart the same bytes are sent, whatever executing
//!   again gives. A store that knows nothing of an open batch asks for its own vote first.
//! * **Only final state moves the tree.** Changes are applied when the mediator's state says YES with their
//!   root, dropped when the batch has ended otherwise, and replaced by healing when another root won.

mod machine;
mod probing;
mod votes;

use std::collections::BTreeMap;

use paralith_policy::{Members, Policy};
use paralith_private_contract_messages::{Actions, Batch, ContractVote, Verdict};
use paralith_types::Hash;

pub use machine::Member;
pub use probing::{Probing, Quiet};

/// Blocks before the deadline at which a member whose vote is not on the chain sends it alone.
pub const ALONE_BLOCKS: u64 = 3;
/// Blocks that a member's turn as aggregator takes.
pub const TURN_BLOCKS: u64 = 2;
/// Blocks after which an aggregate is sent again while the batch is open: a round may have failed.
pub const AGAIN_BLOCKS: u64 = 10;

/// A version of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The last batch in it; 0: after `init`.
    pub batch: u64,
    /// Its root.
    pub root: Hash,
}

/// A batch that is executed and waits for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its number.
    pub batch: u64,
    /// The root on which it was executed.
    pub old_root: Hash,
    /// What executing gave.
    pub verdict: Verdict,
    /// Those to which the verdict commits.
    pub actions: Actions,
}

/// What the store holds at a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDisk {
    /// The tree's newest version.
    pub tip: Tip,
    /// Under `prepared/<batch>`.
    pub prepared: Option<Prepared>,
    /// The newest vote, under `vote/<batch>`. It outlives its batch.
    pub vote: Option<ContractVote>,
    /// Whether the operator says that this is a backup (`stakeholder restore`), until the first batch after
    /// it has ended: the member may have voted since.
    pub restored: bool,
}

/// The contract in verified mediator state of a final round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The consensus height that the round pins.
    pub height: u64,
    /// The last batch that ended YES, with its root.
    pub last: Tip,
    /// The number of the next batch: each lower one that is not open has ended.
    pub next_batch: u64,
    /// The open batch.
    pub open: Option<Open>,
}

/// The open batch in a [`View`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// It.
    pub batch: Batch,
    /// `open_height + fetch_blocks`.
    pub fetch_until: u64,
    /// The height whose round ends it.
    pub deadline: u64,
    /// How many members its definition has.
    pub members: u32,
    /// Who decides.
    pub policy: Policy,
    /// Members that are gone.
    pub gone: Members,
    /// The own index, unless gone.
    pub me: Option<u32>,
    /// Members whose votes the mediator has.
    pub voted: Members,
}

/// What was found out about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Its wraps are right and its content holds a call.
    Call,
    /// It is malformed. Another's wrap is false: this is whose.
    Malformed {
        /// The member to name in a complaint.
        complain: Option<u32>,
    },
}

/// A transaction as it is given to the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// Execute its call.
    Call,
    /// It is malformed.
    Malformed,
    /// Nobody had its content in time.
    Missing,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Verified state of a newer final round.
    View(Box<View>),
    /// Everybody who could be asked for the own vote of this batch has answered: the mediator and the members.
    OwnVote {
        /// The batch.
        batch: u64,
        /// The vote, its signature verified.
        found: Option<Box<ContractVote>>,
    },
    /// A transaction of the open batch is fetched, or is malformed.
    Content {
        /// The batch.
        batch: u64,
        /// The transaction.
        seq: u64,
        /// What it is.
        found: Found,
    },
    /// [`Effect::Execute`] is done. The changes stay with whoever did it until [`Effect::Store`].
    Executed(Box<Prepared>),
    /// The engine failed, or the own keys are not the published ones: no class can be given.
    Fault {
        /// The batch.
        batch: u64,
    },
    /// [`Effect::Store`] is on the disk, with this vote.
    Synced(Option<Box<ContractVote>>),
    /// A vote, the own one too, whose signature is verified under the key of its index.
    Vote(Box<ContractVote>),
    /// [`Effect::Commit`] or [`Effect::Heal`] is on the disk.
    Moved(Tip),
    /// [`Effect::Drop`] is on the disk.
    Dropped,
}

/// Which vote [`Effect::Store`] stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoteOf {
    /// Sign the verdict that is stored, by [`crate::vote::may_sign`].
    Sign {
        /// The own index.
        index: u32,
    },
    /// This one, which has left already.
    Left(Box<ContractVote>),
    /// None: this member is silent about this batch.
    Silent,
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask mediator and members for the own vote of this batch. Answer: [`Input::OwnVote`].
    AskOwnVote {
        /// The batch.
        batch: u64,
    },
    /// Open the wraps and fetch the contents of these transactions. Answers: [`Input::Content`].
    Fetch {
        /// The batch.
        batch: u64,
        /// The transactions.
        seqs: Vec<u64>,
    },
    /// Show the mediator that a wrap is false.
    Complain {
        /// The transaction.
        seq: u64,
        /// Whose wrap.
        index: u32,
    },
    /// Execute the batch on the tree's newest version. Answer: [`Input::Executed`] or [`Input::Fault`].
    Execute {
        /// The batch.
        batch: Box<Batch>,
        /// Its transactions, in order.
        given: Vec<(u64, Given)>,
    },
    /// Write changes, results, verdict and vote to the disk in one synced write. Answer: [`Input::Synced`].
    Store {
        /// What was executed.
        prepared: Box<Prepared>,
        /// The vote.
        vote: VoteOf,
    },
    /// Send a stored vote to all members.
    SendVote(Box<ContractVote>),
    /// Submit votes for this verdict as one: the signatures' sum.
    Submit {
        /// The batch.
        batch: u64,
        /// The verdict.
        verdict: Box<Verdict>,
        /// Its actions.
        actions: Box<Actions>,
        /// Members and their signatures.
        votes: BTreeMap<u32, paralith_private_contract_messages::VoteSignature>,
    },
    /// Apply the prepared changes and remove them, in one atomic write. Answer: [`Input::Moved`].
    Commit(Tip),
    /// Remove the prepared changes of a batch that has ended. The newest vote stays on the disk until
    /// [`Effect::Store`] writes a newer one: a follower that begins anew may show that batch as open again, and
    /// nobody else may know that vote any more. Answer: [`Input::Dropped`].
    Drop {
        /// The batch.
        batch: u64,
    },
    /// Get from this version to that one: by `log/<batch>` of members, or page by page; each root is checked.
    /// Tell the operator. Answer: [`Input::Moved`].
    Heal {
        /// The newest version.
        from: Tip,
        /// The final one.
        to: Tip,
    },
}

/// Where a member is with a batch, for its operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No batch is open, or the own vote is being asked for.
    Waiting,
    /// Contents are fetched, or calls executed.
    Fetching,
    /// The changes are on the disk, beside the tree.
    Prepared,
    /// The tree is at the last final root.
    Committed,
    /// The changes are being dropped.
    Dropped,
    /// The tree is on its way to the final root.
    Healing,
}
