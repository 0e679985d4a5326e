//! Parameters of ParaTimes.

use paralith_proto::pb;
use paralith_types::Amount;

use crate::message::message;

message! {
    /// Parameters of ParaTimes.
    Params = pb::roothash::v1::Params {
        /// Most messages that a runtime's descriptor may allow in a round.
        max_runtime_messages: u32,
        /// Most messages that may wait for a runtime.
        max_in_runtime_messages: u32,
        /// How many rounds back evidence is taken.
        max_evidence_age_rounds: u64,
        /// How many rounds' roots are kept.
        max_past_roots: u64,
        /// Gas of an executor commit.
        gas_executor_commit: u64,
        /// Gas of each vote in it.
        gas_vote: u64,
        /// Gas of evidence.
        gas_evidence: u64,
        /// Gas of a message to a runtime.
        gas_submit_message: u64,
        /// Most bytes of data in one message to a runtime.
        max_in_message_bytes: u32,
        /// Most bytes of all messages that wait for one runtime, encoded.
        max_in_queue_bytes: u64,
        /// Most results of one runtime's own messages that wait until a round takes them.
        max_queued_results: u32,
        /// Epochs of a node in which it did too little before it is frozen and loses stake. 0 is
        /// never.
        max_liveness_failures: u32,
        /// For how many epochs a frozen node may not be elected.
        liveness_freeze_epochs: u64,
        /// Stake that a frozen node's entity loses.
        slash_liveness: Amount,
    }
}
