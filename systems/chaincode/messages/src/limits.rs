//! Limits that every part of the system checks.

/// The version of all messages that carry one.
pub const VERSION: u32 = 1;
/// Most endorsements of a commit.
pub const MAX_ENDORSEMENTS: usize = 16;
/// Most organisations of an application.
pub const MAX_ORGANISATIONS: usize = 32;
/// Most issuers of certificates of an application.
pub const MAX_ISSUERS: usize = 32;
/// Most reads of a response, and most writes.
pub const MAX_ACCESSES: usize = 4096;
/// Most events of a response.
pub const MAX_EVENTS: usize = 1024;
/// Longest topic of an event: the ledger puts [`crate::EVENT_PREFIX`] before it.
pub const MAX_TOPIC_BYTES: usize = 246;
/// Longest data of an event.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;
/// Longest encoded response.
pub const MAX_RESPONSE_BYTES: usize = 256 * 1024;
/// Longest commit: a response and its endorsements.
pub const MAX_COMMIT_BYTES: usize = MAX_RESPONSE_BYTES + 4096;
/// Longest plaintext of a call: method and arguments, encoded.
pub const MAX_CALL_BYTES: usize = 64 * 1024;
/// Longest signed proposal: a sealed call, a certificate and what is around them.
pub const MAX_PROPOSAL_BYTES: usize = MAX_CALL_BYTES + 4096;
/// Highest `anchor_blocks` of an application.
pub const MAX_ANCHOR_BLOCKS: u32 = 100;
/// Highest `commit_blocks` of an application: key managers erase epoch keys, and ledgers keep ids of
/// calls for longer than that.
pub const MAX_COMMIT_BLOCKS: u32 = 100_000;
/// Longest encoded terms.
pub const MAX_TERMS_BYTES: usize = 64 * 1024;
/// Most light blocks of a receipt.
pub const MAX_RECEIPT_BLOCKS: usize = 4096;
/// Longest encoded receipt.
pub const MAX_RECEIPT_BYTES: usize = 64 * 1024 * 1024;
