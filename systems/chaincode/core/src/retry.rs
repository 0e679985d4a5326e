//! What a client does after the ledger refused a commit.

use paralith_chaincode_messages::order::{CODE_COMMITTED, CODE_CONFLICT};
use paralith_types::Error;

/// Pauses before each new proposal, in milliseconds. After as many tries the client gives up.
pub const PAUSES_MS: [u64; 5] = [250, 500, 1_000, 2_000, 4_000];

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Propose again on a newer anchor, with a new nonce, after this pause.
    ProposeAgain {
        /// In milliseconds, plus up to half as much at random, so that clients part.
        pause_ms: u64,
    },
    /// The call was committed before: ask for its result.
    Release,
    /// Show the refusal to the caller.
    GiveUp,
}

/// What to do after the ledger refused the commit of a call that was proposed again `tried` times.
///
/// Only a conflict is tried again. A response that was refused for one may still be committed by
/// somebody until its `valid_until`, if an entry that it read as absent becomes absent again; chaincode
/// that must count a call once asks for a number of the caller's in the call.
#[must_use]
pub fn after(refusal: &Error, tried: usize) -> Next {
    if refusal.is("ledger", CODE_COMMITTED) {
        return Next::Release;
    }
    match PAUSES_MS.get(tried) {
        Some(pause_ms) if refusal.is("ledger", CODE_CONFLICT) => {
            Next::ProposeAgain { pause_ms: *pause_ms }
        }
        _ => Next::GiveUp,
    }
}
