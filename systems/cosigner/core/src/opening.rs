//! Openings: what the recorded challenges of a key were made for.
//!
//! The record of a session is independent of its signature. An owner shows its blinding and message,
//! and everybody can compute the challenge again. An owner can open a record to any valid signature,
//! so one signature could stand for two records and hide another: openings count only if they are
//! pairwise different. K different openings of K records show all signatures that can exist.

use std::collections::BTreeMap;

use crate::CosignerError;
use crate::curve::Curve;
use crate::owner::{Blinding, JointKey};
use crate::point::Point;
use crate::scalar::Scalar;

/// A recorded session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<C: Curve> {
    /// R1
    pub nonce: Point<C>,
    /// c
    pub challenge: Scalar<C>,
}

/// What a record is said to have been made for.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a, C: Curve> {
    /// r2 and b.
    pub blinding: &'a Blinding<C>,
    /// m
    pub message: &'a [u8],
}

/// The one signature that an opened record gives, without its second half.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opened {
    /// The signature's first 32 bytes.
    pub nonce: [u8; 32],
    /// What it signs.
    pub message: Vec<u8>,
}

/// The signature that the record stands for.
///
/// # Errors
/// [`CosignerError::Opening`] number 0 if the opening does not give the record's challenge.
pub fn open<C: Curve>(
    key: &JointKey<C>,
    record: &Record<C>,
    opening: &Opening<'_, C>,
) -> Result<Opened, CosignerError> {
    // CO-11
    let blinded = opening.blinding.blind(key, &record.nonce, opening.message);
    match blinded {
        Ok(blinded) if blinded.challenge == record.challenge => {
            Ok(Opened { nonce: blinded.nonce.signed_form(), message: opening.message.to_vec() })
        }
        _ => Err(CosignerError::Opening { number: 0 }),
    }
}

/// The signatures that the records stand for, one for each, all different.
///
/// # Errors
/// [`CosignerError::Count`] if not every record has an opening; [`CosignerError::Opening`] with the
/// number of the first that does not fit; [`CosignerError::OpenedTwice`] with the first two that are
/// for one signature.
pub fn open_all<C: Curve>(
    key: &JointKey<C>,
    records: &[Record<C>],
    openings: &[Opening<'_, C>],
) -> Result<Vec<Opened>, CosignerError> {
    crate::sharing::count("openings", records.len(), openings.len())?;
    let mut seen = BTreeMap::new();
    let mut opened = Vec::with_capacity(records.len());
    for (number, (record, opening)) in records.iter().zip(openings).enumerate() {
        let one = open(key, record, opening).map_err(|_| CosignerError::Opening { number })?;
        // CO-12
        if let Some(first) = seen.insert(one.clone(), number) {
            return Err(CosignerError::OpenedTwice { first, second: number });
        }
        opened.push(one);
    }
    Ok(opened)
}
