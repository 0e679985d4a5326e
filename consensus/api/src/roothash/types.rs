//! What state holds of ParaTimes.

use paralith_crypto::hash::{Domain, hash};
use paralith_proto::{Canonical, pb};
use paralith_types::{Address, Amount, Epoch, Hash, Height, PublicKey, Round, RuntimeId};

use super::pool::Pool;
use super::tx::{Message, ProposalHeader, ResultsHeader};
use crate::message::{message, message_enum};

const HEADER_DOMAIN: Domain = Domain::new("paralith/roothash/header/v1");

message_enum! {
    /// Why a ParaTime block was made.
    HeaderType {
        /// A round's result.
        Normal = 1,
        /// A round failed; the state is the one before.
        RoundFailed = 2,
        /// A new committee took over; the state is the one before.
        EpochTransition = 3,
        /// No committee could be elected; the state is the one before.
        Suspended = 4,
    }
}

message! {
    /// A ParaTime block.
    Header = pb::roothash::v1::Header {
        /// 1.
        version: u32,
        /// The runtime.
        runtime_id: RuntimeId,
        /// Its number.
        round: Round,
        /// Time of the consensus block that made it, seconds since 1970.
        timestamp: u64,
        /// Why it was made.
        header_type: HeaderType,
        /// Hash of the block before.
        previous_hash: Hash,
        /// Root of the round's inputs and outputs.
        io_root: Hash,
        /// Root of the state after the round.
        state_root: Hash,
        /// Hash of the messages to consensus.
        messages_hash: Hash,
        /// Hash of the messages from consensus.
        in_messages_hash: Hash,
        /// The height that the proposal pinned; of the consensus block itself without results.
        consensus_height: Height,
        /// The proposal's batch; zero without results.
        batch_hash: Hash,
    }
}

impl Header {
    /// The block's hash.
    pub fn hash(&self) -> Hash {
        hash(HEADER_DOMAIN, &[&self.encode()])
    }
}

message! {
    /// Where a runtime stands.
    RuntimeState = pb::roothash::v1::RuntimeState {
        /// The runtime.
        runtime_id: RuntimeId,
        /// It has no committee.
        suspended: bool,
        /// The consensus block that made `last_block`.
        last_block_height: Height,
        /// The newest round with results.
        last_normal_round: Round,
        /// The consensus block that made it.
        last_normal_height: Height,
        /// Votes of the round after `last_block`; none while suspended.
        pool: Option<Pool>,
        /// Schedulers barred until the epoch ends, sorted. Those of the running round are fixed in
        /// it; who is added meanwhile is skipped from the next round on.
        skipped: Vec<PublicKey>,
        /// Missed proposals in this epoch, sorted by node.
        failed: Vec<FailedRounds>,
        /// I/O root of `last_normal_round`.
        io_root: Hash,
        /// The height at which a timer fires.
        wakeup: Option<u64>,
        /// Equivocators of the running round that lost stake already, sorted.
        slashed: Vec<PublicKey>,
        /// What the members did in the rounds of this epoch, sorted by node.
        records: Vec<MemberRecord>,
    }
    nested {
        /// The newest block.
        last_block: Header,
    }
}

message! {
    /// What one member of the committee did in the rounds of this epoch.
    MemberRecord = pb::roothash::v1::MemberRecord {
        /// The member.
        node: PublicKey,
        /// Rounds in which it gave the right result.
        live: u32,
        /// Rounds in which it voted fail although others could execute.
        failed: u32,
        /// Rounds that waited for its vote in vain.
        silent: u32,
        /// Proposals of its own that became final.
        finalised: u32,
        /// Proposals of its own that failed or did not come.
        missed: u32,
    }
}

message! {
    /// How a node has kept up with a runtime over the epochs. State has one only for nodes with
    /// failures.
    #[derive(Default)]
    Standing = pb::roothash::v1::Standing {
        /// Epochs in which it did too little; each good one takes one away.
        failures: u32,
        /// The first epoch in which it is elected like others again. Until then it is elected only
        /// if there are too few others.
        suspended_until: Epoch,
        /// The first epoch in which it may be elected at all.
        frozen_until: Epoch,
    }
}

message! {
    /// How many proposals of a scheduler were missed in this epoch.
    FailedRounds = pb::roothash::v1::FailedRounds {
        /// The scheduler.
        node: PublicKey,
        /// How often.
        count: u32,
    }
}

message! {
    /// A result that votes refer to, kept until its round ends.
    PendingResult = pb::roothash::v1::PendingResult {
        /// Its messages, which hash to the results' `messages_hash`. The scheduler's vote brings
        /// them.
        messages: Vec<Message>,
    }
    nested {
        /// The results.
        results: ResultsHeader,
        /// The proposal they are of.
        proposal: ProposalHeader,
    }
}

message! {
    /// The results that votes of the running round refer to, in one value: a round then costs the
    /// same however many rounds there were before it.
    #[derive(Default)]
    PendingResults = pb::roothash::v1::PendingResults {
        /// Sorted by the hash of the results, each once.
        results: Vec<PendingResult>,
    }
}

impl PendingResults {
    /// The result with this hash.
    pub fn get(&self, hash: &Hash) -> Option<&PendingResult> {
        let place = self.results.binary_search_by_key(hash, |one| one.results.hash()).ok()?;
        self.results.get(place)
    }

    /// Keeps a result, and replaces the one with the same hash.
    pub fn insert(&mut self, pending: PendingResult) {
        let hash = pending.results.hash();
        match self.results.binary_search_by_key(&hash, |one| one.results.hash()) {
            Ok(place) => {
                if let Some(known) = self.results.get_mut(place) {
                    *known = pending;
                }
            }
            Err(place) => self.results.insert(place, pending),
        }
    }
}

message! {
    /// Roots of a normal round.
    RoundRoots = pb::roothash::v1::RoundRoots {
        /// Of the state.
        state_root: Hash,
        /// Of inputs and outputs.
        io_root: Hash,
    }
}

message! {
    /// What became of one message to consensus.
    MessageResult = pb::roothash::v1::MessageResult {
        /// Its place in the round's messages.
        index: u32,
        /// The module that refused, or empty.
        module: String,
        /// Its code; 0 is success.
        code: u32,
    }
}

message! {
    /// The result of a runtime's own message, until a round takes it.
    QueuedResult = pb::roothash::v1::QueuedResult {
        /// The round that emitted the message.
        round: Round,
    }
    nested {
        /// What became of the message.
        result: MessageResult,
    }
}

message! {
    /// The results of a runtime's own messages that no round has taken yet.
    ///
    /// A final round with results takes [`ResultsHeader::results_taken`] of them from the front and
    /// adds those of its own messages at the end. No other event changes the queue.
    #[derive(Default)]
    ResultQueue = pb::roothash::v1::ResultQueue {
        /// Oldest first; of one round, in the order of its messages.
        results: Vec<QueuedResult>,
    }
}

impl ResultQueue {
    /// How many messages a round may emit that has taken `taken` results: every message has a
    /// result, and the queue holds at most [`Params::max_queued_results`](super::Params).
    pub fn messages_allowed(&self, max_messages: u32, max_queued_results: u32, taken: u32) -> u32 {
        let queued = u32::try_from(self.results.len()).unwrap_or(u32::MAX);
        let left = queued.saturating_sub(taken);
        max_messages.min(max_queued_results.saturating_sub(left))
    }
}

message! {
    /// A message to a runtime, waiting or being processed.
    IncomingMessage = pb::roothash::v1::IncomingMessage {
        /// Its number in the runtime's queue, from 0.
        id: u64,
        /// Who sent it.
        caller: Address,
        /// The sender's own tag.
        tag: u64,
        /// Paid to the runtime's account as fee.
        fee: Amount,
        /// Paid to the runtime's account as deposit.
        tokens: Amount,
        /// Free data.
        #[serde(with = "paralith_types::hex_bytes")]
        data: Vec<u8>,
    }
}

message! {
    /// A list of messages, for hashing.
    IncomingMessages = pb::roothash::v1::IncomingMessages {
        /// In the order of the queue.
        messages: Vec<IncomingMessage>,
    }
}

message! {
    /// State of a runtime's queue of incoming messages.
    #[derive(Default)]
    IncomingQueue = pb::roothash::v1::IncomingQueue {
        /// How many wait.
        size: u32,
        /// The number of the next.
        next_id: u64,
        /// Bytes of all that wait, each as [`IncomingMessage::size`] says.
        bytes: u64,
    }
}

impl IncomingQueue {
    /// The number of the oldest message that waits, if one does.
    pub fn first_id(&self) -> u64 {
        self.next_id.saturating_sub(u64::from(self.size))
    }
}

impl IncomingMessage {
    /// How many bytes it counts in its queue: those of its encoding.
    pub fn size(&self) -> u64 {
        u64::try_from(self.encode().len()).unwrap_or(u64::MAX)
    }
}
