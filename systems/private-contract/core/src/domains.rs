//! The domains of hashes, signatures and derived keys. None is used for two purposes, and none ever changes.

use paralith_crypto::Domain;
use paralith_crypto::wrap::WrapDomains;

/// Contract ids.
pub const ID: Domain = Domain::new("paralith/private-contract/id/v1");
/// Definitions.
pub const DEFINITION: Domain = Domain::new("paralith/private-contract/definition/v1");
/// Packages.
pub const PACKAGE: Domain = Domain::new("paralith/private-contract/package/v1");
/// The two secrets of a package.
pub const GROUP: Domain = Domain::new("paralith/private-contract/group/v1");
/// Proofs of possession of vote keys.
pub const POSSESSION: Domain = Domain::new("paralith/private-contract/possession/v1");
/// A batch's inputs.
pub const INPUTS: Domain = Domain::new("paralith/private-contract/inputs/v1");
/// A transaction's result.
pub const RESULT: Domain = Domain::new("paralith/private-contract/result/v1");
/// A result's blinding.
pub const BLINDING: Domain = Domain::new("paralith/private-contract/blinding/v1");
/// A batch's public actions.
pub const ACTIONS: Domain = Domain::new("paralith/private-contract/actions/v1");
/// Votes.
pub const VOTE: Domain = Domain::new("paralith/private-contract/vote/v1");
/// Changes of a definition.
pub const CHANGE: Domain = Domain::new("paralith/private-contract/change/v1");
/// Closings by the members.
pub const CLOSE: Domain = Domain::new("paralith/private-contract/close/v1");
/// Salts of the tree's entries.
pub const SALT: Domain = Domain::new("paralith/private-contract/salt/v1");
/// Seeds of `random`.
pub const RANDOM: Domain = Domain::new("paralith/private-contract/random/v1");
/// Seeds of the single calls of a batch, out of the batch's seed.
pub const CALL_SEED: Domain = Domain::new("paralith/private-contract/call-seed/v1");
/// Keys of `derive_key`.
pub const DERIVE_KEY: Domain = Domain::new("paralith/private-contract/derive-key/v1");
/// Replies to senders.
pub const REPLY: Domain = Domain::new("paralith/private-contract/reply/v1");
/// Signatures on receipts.
pub const STORED: Domain = Domain::new("paralith/private-contract/stored/v1");
/// Signatures on upload tickets.
pub const UPLOAD: Domain = Domain::new("paralith/private-contract/upload/v1");
/// Signatures on download tickets.
pub const TICKET: Domain = Domain::new("paralith/private-contract/ticket/v1");
/// The same as `OpenedOutput` of ParaTimes: what a leaf says of an output.
pub const OUTPUT: Domain = Domain::new("paralith/paratime/output/v1");
/// The address of the mediator's money that is in contracts' custody.
pub const CUSTODY: Domain = Domain::new("paralith/private-contract/custody/v1");

/// Of contents and their wraps.
pub const SEALING: WrapDomains = WrapDomains {
    content: Domain::new("paralith/private-contract/content/v1"),
    commitment: Domain::new("paralith/private-contract/commitment/v1"),
    wrap: Domain::new("paralith/private-contract/wrap/v1"),
};
