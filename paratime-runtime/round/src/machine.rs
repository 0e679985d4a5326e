//! A node's part in the rounds of one ParaTime, as a pure machine.
//!
//! Inputs are what the chain's state says after a block, what peers send (signatures verified by
//! the caller), what execution gave, and the time as a value. Outputs are what to do. The machine
//! holds no clock, socket or store, and decides by state alone: after each input it looks at
//! everything it knows and gives out what is due and was not given out before.
//!
//! * **Proposing.** There is a reason to propose if transactions wait (a batch is full, or the
//!   first has waited `flush_timeout_ms`), messages from consensus are queued, results of messages
//!   to consensus are to be delivered, or the runtime was never initialised. From then on the
//!   scheduler of rank k waits `k * propose_timeout_ms`, and longer if a better proposal is on its
//!   way; it proposes nothing in the last block before an epoch ends, which discards the round.
//! * **Working.** A worker votes for the best proposal whose rank is due, and for worse ones in
//!   turn as long as no better scheduler's vote is on the chain. What it cannot execute it votes
//!   failure for; a scheduler stays silent rather than fail its own proposal. Once the chain says
//!   that a round is disputed, backups execute the proposal in dispute and nobody else votes.
//! * **Committing.** Votes go to the chain in one transaction a rank: by the scheduler when it has
//!   all, at the first difference, or after the collect timeout; by a worker whose own vote was left
//!   out, at once; by every other member in turn, if nothing happens. Whatever the chain's pool
//!   lacks and could still use is sent again: a rank that was voided took the votes of other ranks
//!   with it.
//! * **Accusing.** Two proposals of one rank, or two votes of one member for one rank, are evidence.
//! * **Confirming.** When all workers have voted for one result, users get a soft confirmation.

use discrepancy::{Config, Signer};
use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::registry::{Batching, Executor};
use paralith_consensus_api::roothash::{
    Evidence, ExecutorCommit, Failure, Message, ProposalHeader, ResultsHeader, RuntimeState,
    SignedProposal, Vote,
};
use paralith_consensus_api::scheduler::Committee;
use paralith_types::{Hash, PublicKey, RuntimeId, Signature};

use crate::early::Early;
use crate::run::Run;

/// What the chain's state says after a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSnapshot {
    /// Whose state it is: the newest proven height.
    pub height: u64,
    /// The epoch that runs.
    pub epoch: EpochState,
    /// The runtime.
    pub state: RuntimeState,
    /// The schedulers that are barred in the running round.
    pub skipped: Vec<PublicKey>,
    /// Its committee; none while it is suspended.
    pub committee: Option<Committee>,
    /// Rules of its rounds.
    pub executor: Executor,
    /// Rules of its batches.
    pub batching: Batching,
    /// Most gas of one transaction.
    pub max_tx_gas: u64,
    /// Whether something other than a transaction asks for a round: queued messages, results of
    /// messages to be delivered, or the first round ever.
    pub forced: bool,
    /// Whether this node can execute: it has the state of the last block, and the keys.
    pub ready: bool,
}

/// A proposal whose signature the caller has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedProposal {
    /// As it travels.
    pub signed: SignedProposal,
    /// The header inside.
    pub header: ProposalHeader,
}

impl CheckedProposal {
    /// What votes name it by.
    pub fn id(&self) -> Hash {
        self.header.id()
    }
}

/// A vote whose signatures the caller has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedVote {
    /// The proposal that it names.
    pub proposal: CheckedProposal,
    /// The vote.
    pub vote: Vote,
    /// The messages of its results, if they came along and hash to what the results say.
    pub messages: Option<Vec<Message>>,
}

/// What waits in the pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolView {
    /// Transactions that could be proposed.
    pub waiting: u32,
    /// Whether they fill a batch.
    pub full: bool,
    /// Since when the first of them waits.
    pub oldest_ms: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A consensus block was made; this is the state after it.
    Chain(Box<ChainSnapshot>),
    /// A proposal came, or this node made it; `batch`: the caller has its transactions.
    Proposal {
        /// The proposal.
        proposal: Box<CheckedProposal>,
        /// Whether the batch is here.
        batch: bool,
    },
    /// Nobody has the batch that was to be fetched.
    BatchMissing {
        /// The proposal.
        id: Hash,
    },
    /// A vote came, or this node cast it.
    Vote(Box<CheckedVote>),
    /// A proposal was executed.
    Executed {
        /// The proposal.
        id: Hash,
        /// What that gave.
        results: Box<Execution>,
    },
    /// A proposal could not be executed.
    ExecutionFailed {
        /// The proposal.
        id: Hash,
        /// Why.
        failure: Failure,
    },
    /// The pool is another.
    Pool(PoolView),
    /// Time went on.
    Tick,
}

/// What executing a proposal gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The results.
    pub results: ResultsHeader,
    /// The enclave's signature; none in public runtimes.
    pub rak_signature: Option<Signature>,
    /// Messages to consensus.
    pub messages: Vec<Message>,
}

/// What this node says to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ballot {
    /// It gave this.
    Results(Box<Execution>),
    /// It could not be executed.
    Failure(Failure),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Close a batch, sign this header with its hash, sync, send to all members, and hand it back
    /// as an input.
    Propose(ProposalHeader),
    /// Get the batch, and the proposal if it is unknown, from another member.
    FetchBatch {
        /// The proposal.
        id: Hash,
        /// Its scheduler, if it is known: it should have it.
        scheduler: Option<PublicKey>,
    },
    /// Execute this proposal.
    Execute(Box<CheckedProposal>),
    /// Sign this vote, sync, send it to all members, and hand it back as an input.
    Vote {
        /// The proposal.
        proposal: Box<CheckedProposal>,
        /// What to say.
        ballot: Ballot,
    },
    /// Hand this in to the chain.
    Commit(Box<ExecutorCommit>),
    /// Hand this in to the chain.
    Accuse(Box<Evidence>),
    /// All workers agree: users get a soft confirmation.
    SoftConfirmed {
        /// The proposal.
        proposal: Box<CheckedProposal>,
        /// The workers' votes.
        votes: Vec<Vote>,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    me: PublicKey,
    runtime: RuntimeId,
    pool: PoolView,
    run: Option<Run>,
    /// Messages for a round that this node's view of the chain has not reached.
    early: Early,
}

impl Machine {
    /// The machine of this node for this runtime, before it knows any state.
    pub fn new(me: PublicKey, runtime: RuntimeId) -> Self {
        Self { me, runtime, pool: PoolView::default(), run: None, early: Early::default() }
    }

    /// Takes one input at this time and says what is to be done now.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.take(now_ms, input, &mut outputs);
        if let Some(run) = &mut self.run {
            run.decide(now_ms, &self.pool, &mut outputs);
        }
        outputs
    }

    /// The round that runs, if there is a committee for it.
    pub fn round(&self) -> Option<u64> {
        self.run.as_ref().map(Run::number)
    }

    fn take(&mut self, now_ms: u64, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::Chain(snapshot) => self.take_snapshot(now_ms, *snapshot, outputs),
            Input::Pool(view) => self.pool = view,
            Input::Tick => {}
            input @ (Input::Proposal { .. } | Input::Vote(_)) if self.is_early(&input) => {
                if let Some(run) = &self.run {
                    self.early.keep(input, |node| run.is_member(node));
                }
            }
            input @ (Input::Proposal { .. }
            | Input::BatchMissing { .. }
            | Input::Vote(_)
            | Input::Executed { .. }
            | Input::ExecutionFailed { .. }) => {
                if let Some(run) = &mut self.run {
                    run.take(now_ms, input, outputs);
                }
            }
        }
    }

    fn take_snapshot(&mut self, now_ms: u64, snapshot: ChainSnapshot, outputs: &mut Vec<Output>) {
        if let Some(run) = &mut self.run
            && run.continues(&snapshot)
        {
            return run.update(now_ms, snapshot);
        }
        self.run = Run::begin(self.me, self.runtime, now_ms, snapshot);
        // What is still early is kept again; what is late by now is dropped where it is taken.
        for input in self.early.take() {
            self.take(now_ms, input, outputs);
        }
    }

    /// Peers that saw the last block sooner are ahead by a round.
    fn is_early(&self, input: &Input) -> bool {
        let Some(round) = input.round() else { return false };
        let current = self.run.as_ref().map_or(0, Run::number);
        round > current && round <= current.saturating_add(EARLY_ROUNDS)
    }
}

impl Input {
    /// The round of a message from a peer.
    fn round(&self) -> Option<u64> {
        match self {
            Self::Proposal { proposal, .. } => Some(proposal.header.round.0),
            Self::Vote(vote) => Some(vote.proposal.header.round.0),
            Self::Chain(_)
            | Self::BatchMissing { .. }
            | Self::Executed { .. }
            | Self::ExecutionFailed { .. }
            | Self::Pool(_)
            | Self::Tick => None,
        }
    }
}

/// What the discrepancy rules take as the round's committee.
pub fn config_of(snapshot: &ChainSnapshot) -> Option<Config> {
    let committee = snapshot.committee.as_ref()?;
    let signers = |keys: &[PublicKey]| keys.iter().map(|key| Signer(key.0)).collect();
    let skipped: Vec<Signer> = signers(&snapshot.skipped);
    let config = Config {
        workers: signers(&committee.workers),
        backups: signers(&committee.backups),
        allowed_stragglers: snapshot.executor.allowed_stragglers,
        round_timeout: snapshot.executor.round_timeout_blocks,
        round: snapshot.state.last_block.round.next().0,
        skipped: skipped.into_iter().collect(),
    };
    config.validate().ok().map(|()| config)
}

/// How far ahead of this node a peer's message may be: a block with a round, and one that begins an
/// epoch.
pub(crate) const EARLY_ROUNDS: u64 = 2;
