//! What is sealed to a member or a recipient: the info that HPKE binds it to, and the plaintext.

use paralith_crypto::{Zeroizing, hash};
use paralith_types::{ChainContext, Hash, RuntimeId};

use crate::CosignerError;
use crate::curve::Curve;
use crate::domains::SHARE;
use crate::federation::Member;
use crate::point::Point;
use crate::scalar::Secret;
use crate::sharing::count;

/// What a seal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<C: Curve> {
    /// A dealer's shares for a member, of all keys of the deal.
    Deal {
        /// The batch.
        batch: u64,
    },
    /// f(i) of an update, for member i.
    Update {
        /// S0
        key: Point<C>,
        /// Its number.
        update: u64,
    },
    /// The same again, for a member that could not use the first.
    Resend {
        /// S0
        key: Point<C>,
        /// Its number.
        update: u64,
    },
    /// A member's share for the recipient of the whole key.
    Release {
        /// S0
        key: Point<C>,
    },
}

/// HPKE's info of a seal: H(share, [chain, runtime, purpose, S0 or be(batch), be(member), hash of the
/// commitments]) and, for an update, be(update).
///
/// `commitments` is the hash of the points that the sealed scalars open: of the deal, of the update,
/// and of X_i alone for a release. The associated data is empty.
#[must_use]
pub fn info<C: Curve>(
    chain: &ChainContext,
    runtime: &RuntimeId,
    purpose: &Purpose<C>,
    member: Member,
    commitments: &Hash,
) -> Hash {
    // CO-15: nothing that is sealed for one place, member or purpose opens for another.
    let (name, place, update) = match purpose {
        Purpose::Deal { batch } => ("deal", batch.to_be_bytes().to_vec(), None),
        Purpose::Update { key, update } => {
            ("update", key.to_bytes().as_ref().to_vec(), Some(update))
        }
        Purpose::Resend { key, update } => {
            ("resend", key.to_bytes().as_ref().to_vec(), Some(update))
        }
        Purpose::Release { key } => ("release", key.to_bytes().as_ref().to_vec(), None),
    };
    let number = u64::from(member.number()).to_be_bytes();
    let update = update.map(|update| update.to_be_bytes());
    let mut parts: Vec<&[u8]> = vec![chain.as_bytes(), runtime.as_bytes(), name.as_bytes()];
    parts.extend([place.as_slice(), &number, commitments.as_bytes()]);
    parts.extend(update.iter().map(<[u8; 8]>::as_slice));
    hash(SHARE, &parts)
}

/// The plaintext: the scalars one after another.
#[must_use]
pub fn plaintext<C: Curve>(scalars: &[Secret<C>]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(scalars.len().saturating_mul(32)));
    for scalar in scalars {
        bytes.extend_from_slice(scalar.to_bytes().as_slice());
    }
    bytes
}

/// Reads a plaintext of so many scalars.
///
/// # Errors
/// [`CosignerError::Count`] for another length, in bytes; [`CosignerError::Scalar`].
pub fn read_plaintext<C: Curve>(
    bytes: &[u8],
    scalars: usize,
) -> Result<Vec<Secret<C>>, CosignerError> {
    count("sealed bytes", scalars.saturating_mul(32), bytes.len())?;
    let (chunks, _) = bytes.as_chunks::<32>();
    chunks.iter().map(Secret::from_bytes).collect()
}
