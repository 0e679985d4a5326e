//! Receipts and tickets: small signed messages between senders, members and data stores.

use paralith_crypto::{Domain, SigningKey, ed25519};
use paralith_private_contract_messages::{Canonical, Stored, Ticket, Upload};
use paralith_types::{ChainContext, PublicKey, Signature};

use crate::domains;

/// A message that is signed under a domain of its own.
pub trait Signed: Canonical {
    /// It.
    const DOMAIN: Domain;
    /// No encoding is longer.
    const MAX_BYTES: usize;
}

impl Signed for Stored {
    const DOMAIN: Domain = domains::STORED;
    const MAX_BYTES: usize = 256;
}

impl Signed for Upload {
    const DOMAIN: Domain = domains::UPLOAD;
    const MAX_BYTES: usize = 2048;
}

impl Signed for Ticket {
    const DOMAIN: Domain = domains::TICKET;
    const MAX_BYTES: usize = 256;
}

/// What is signed: length of the domain, domain, chain context, message, as everywhere on the chain.
#[must_use]
pub fn signed_bytes<M: Signed>(chain: &ChainContext, message: &M) -> Vec<u8> {
    let name = M::DOMAIN.name().as_bytes();
    // `Domain::new` has made sure that the length fits.
    let len = u8::try_from(name.len()).unwrap_or(u8::MAX);
    [&[len][..], name, &chain.0, &message.encode()].concat()
}

/// Signs a message.
#[must_use]
pub fn sign<M: Signed>(key: &SigningKey, chain: &ChainContext, message: &M) -> Signature {
    key.sign(M::DOMAIN, chain, &message.encode())
}

/// Whether this key signed the message.
#[must_use]
pub fn is_signed<M: Signed>(
    key: &PublicKey,
    chain: &ChainContext,
    message: &M,
    signature: &Signature,
) -> bool {
    ed25519::verify(key, M::DOMAIN, chain, &message.encode(), signature).is_ok()
}

/// What travels in the header `Authorization: Paralith <base64url>`: the message, then its signature.
#[must_use]
pub fn ticket_bytes<M: Signed>(message: &M, signature: &Signature) -> Vec<u8> {
    [message.encode(), signature.0.to_vec()].concat()
}

/// Reads [`ticket_bytes`]. Whose signature it must be, and whether it is, is for the caller to ask.
#[must_use]
pub fn read_ticket<M: Signed>(bytes: &[u8]) -> Option<(M, Signature)> {
    let at = bytes.len().checked_sub(Signature::LEN)?;
    let (message, signature) = bytes.split_at_checked(at)?;
    let message = M::decode(message, M::MAX_BYTES).ok()?;
    Some((message, Signature::try_from(signature).ok()?))
}
