//! Limits of section 8 of the specification.

/// Most stakeholders of a contract.
pub const MAX_MEMBERS: usize = 256;
/// Most issuers of a contract.
pub const MAX_ISSUERS: usize = 64;
/// Most origins of a contract.
pub const MAX_ORIGINS: usize = 16;
/// Longest origin and link address, in bytes.
pub const MAX_TEXT_BYTES: usize = 255;
/// Longest `uri`: an origin, `/data/` and 64 hex digits.
pub const MAX_URI_BYTES: usize = MAX_TEXT_BYTES + 6 + 64;
/// Longest sealed content, in bytes.
pub const MAX_CONTENT_BYTES: u32 = 1024 * 1024;
/// Most transactions of a batch.
pub const MAX_BATCH: u32 = 64;
/// Most deposits of a batch.
pub const MAX_BATCH_DEPOSITS: u64 = 64;
/// Most deposits of a contract that no batch has taken yet.
pub const MAX_DEPOSITS: u64 = 1024;
/// Most actions of a batch.
pub const MAX_ACTIONS: usize = 32;
/// Longest topic of an action, in bytes: with `contract/`, the contract's id in hex and `/` before it, it is a
/// topic of the host, which has at most 256 bytes.
pub const MAX_EMIT_TOPIC_BYTES: usize = 256 - 9 - 64 - 1;
/// Longest data of an action, in bytes.
pub const MAX_ACTION_BYTES: usize = 4096;
/// Most transactions of a contract that are not final.
pub const MAX_PENDING: u64 = 1024;
/// Most of them of one sender.
pub const MAX_PENDING_OF_SENDER: u32 = 16;
/// Most bytes of all wraps of a transaction: a value of the mediator's state is not longer.
pub const MAX_WRAPS_BYTES: usize = 240 * 1024;
/// Least `vote_blocks`.
pub const MIN_VOTE_BLOCKS: u32 = 8;
/// Blocks for which the key set before the newest is accepted, and between two changes of it.
pub const KEYS_BLOCKS: u64 = 100;
/// Longest time in blocks of any of the terms.
pub const MAX_BLOCKS: u32 = 100_000_000;
/// Longest arguments of a call to the mediator, in bytes.
pub const MAX_CALL_BYTES: usize = 512 * 1024;
/// Longest call that a content holds: the content's limit.
pub const MAX_PLAINTEXT_BYTES: usize = MAX_CONTENT_BYTES as usize;
/// Longest [`crate::ContractVote`], in bytes.
pub const MAX_VOTE_BYTES: usize = 256 * 1024;
