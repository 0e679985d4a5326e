//! What members sign or count, as one hash each.

use paralith_crypto::hash;
use paralith_types::Hash;

use crate::curve::Curve;
use crate::domains::{ERASED, KEYGEN, ORDER};
use crate::point::Point;

/// H(keygen, the encoded deals by dealer): what a member acknowledges. A dealer that made no deal has
/// no part; a deal's proof of possession names its dealer.
#[must_use]
pub fn keygen(deals: &[&[u8]]) -> Hash {
    // CO-15
    hash(KEYGEN, deals)
}

/// H(erased, [S0, be(update)]): the receipt that a share from before this update is erased.
#[must_use]
pub fn erased<C: Curve>(key: &Point<C>, update: u64) -> Hash {
    hash(ERASED, &[key.to_bytes().as_ref(), &update.to_be_bytes()])
}

/// H(order, [encoded order]): each order names that of the one before.
#[must_use]
pub fn order(encoded: &[u8]) -> Hash {
    hash(ORDER, &[encoded])
}
