//! Data of the mediator's events.

use paralith_types::{Amount, Hash, PublicKey};

use crate::macros::messages;
use crate::{ContentHash, ContractId, TransactionStatus};

/// Topic of [`InitEvent`].
pub const TOPIC_INIT: &str = "PrivateTX_INIT";
/// Topic of [`FiniEvent`].
pub const TOPIC_FINI: &str = "PrivateTX_FINI";
/// Topic of [`BatchEvent`] when a batch was opened.
pub const TOPIC_OPENED: &str = "PrivateBatch_OPENED";
/// Topic of [`BatchEvent`] when a batch has ended.
pub const TOPIC_ENDED: &str = "PrivateBatch_ENDED";
/// Topic of [`SlashedEvent`].
pub const TOPIC_SLASHED: &str = "PrivateMember_SLASHED";
/// Topic of [`ContractEvent`].
pub const TOPIC_CONTRACT: &str = "PrivateContract";
/// What precedes the topics of a contract's own events: then its id in hex, `/` and its topic. So no
/// contract can imitate the mediator's events.
pub const TOPIC_PREFIX: &str = "contract/";

messages! {
    /// A transaction was taken.
    InitEvent {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Its number there.
        value seq: u64 as u64, (uint64, tag = "2");
        /// Of its content.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "3");
    }

    /// A transaction is final.
    FiniEvent {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Its number there.
        value seq: u64 as u64, (uint64, tag = "2");
        /// Of its content.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "3");
        /// What became of it.
        value status: TransactionStatus as u32, (uint32, tag = "4");
        /// The contract's last final root.
        value root: Hash as Vec<u8>, (bytes = "vec", tag = "5");
    }

    /// A batch was opened or has ended.
    BatchEvent {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The batch.
        value batch: u64 as u64, (uint64, tag = "2");
        /// OPEN, YES, NO or EXPIRED.
        value status: TransactionStatus as u32, (uint32, tag = "3");
        /// The contract's last final root.
        value root: Hash as Vec<u8>, (bytes = "vec", tag = "4");
        /// Members that voted for another verdict: a bitmap.
        value dissenters: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "5");
    }

    /// A member lost a part of its bond.
    SlashedEvent {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The batch of which it signed two verdicts.
        value batch: u64 as u64, (uint64, tag = "2");
        /// Its account key.
        value member: PublicKey as Vec<u8>, (bytes = "vec", tag = "3");
        /// How much.
        value amount: Amount as Vec<u8>, (bytes = "vec", tag = "4");
    }

    /// A contract changed its state, definition or key set.
    ContractEvent {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Its state.
        value status: crate::ContractStatus as u32, (uint32, tag = "2");
        /// Of the definition in force.
        value version: u64 as u64, (uint64, tag = "3");
        /// Its newest key set.
        value keys_version: u64 as u64, (uint64, tag = "4");
    }
}
