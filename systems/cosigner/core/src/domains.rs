//! What each hash is for. A rename never changes these.

use paralith_crypto::Domain;

/// What an owner signs.
pub const AUTH: Domain = Domain::new("paralith/cosigner/auth/v1");
/// The place of a sealed share: HPKE's info.
pub const SHARE: Domain = Domain::new("paralith/cosigner/share/v1");
/// Commitments to polynomials, inside of [`SHARE`].
pub const COMMITMENTS: Domain = Domain::new("paralith/cosigner/commitments/v1");
/// The challenge of a dealer's proof of possession.
pub const POSSESSION: Domain = Domain::new("paralith/cosigner/pop/v1");
/// A member's secret nonce.
pub const NONCE: Domain = Domain::new("paralith/cosigner/nonce/v1");
/// The seed after the one that was used.
pub const NONCE_NEXT: Domain = Domain::new("paralith/cosigner/nonce-next/v1");
/// What a member acknowledges after a generation.
pub const KEYGEN: Domain = Domain::new("paralith/cosigner/keygen/v1");
/// A receipt for an erased share.
pub const ERASED: Domain = Domain::new("paralith/cosigner/erased/v1");
/// An order to members.
pub const ORDER: Domain = Domain::new("paralith/cosigner/order/v1");
