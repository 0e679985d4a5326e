//! Who may put and get: the seam between the store and what is built on it.

use paralith_types::Height;

use crate::ticket::Ticket;
use crate::{DataError, TicketFault};

/// Why a rule refuses a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Its signer may not. The text is for the signer.
    No(String),
    /// The proven state that the rule reads is not there yet.
    NotReady,
}

impl From<Denied> for DataError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::No(reason) => TicketFault::Rule(reason).into(),
            Denied::NotReady => Self::NotReady,
        }
    }
}

/// Decides about the tickets of some scopes, from proven state that this node keeps. The store has
/// checked form, hash, heights, length and signature before it asks; the rule says whether the
/// signer counts. It is asked on a thread where it may read the disk, and waits for no network.
pub trait TicketRule: Send + Sync + std::fmt::Debug {
    /// Whether it decides about this scope. Scopes of two rules are never equal: they are hashes.
    fn serves(&self, scope: &[u8; 32]) -> bool;

    /// Whether the signer may store this content, and the holder whose quota is charged beside the
    /// scope's: 32 bytes that are the same for all tickets of one certificate or one key.
    fn may_put(&self, ticket: &Ticket, now: Height) -> Result<[u8; 32], Denied>;

    /// Whether the signer may read this content.
    fn may_get(&self, ticket: &Ticket, now: Height) -> Result<(), Denied>;
}
