//! Keys that were checked before.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use blst::min_sig::PublicKey;

use crate::{KEY_LEN, SIGNATURE_LEN, SIGNATURE_SUITE, check, read_key, read_signature, sum};

/// Remembers keys that were read and found good, by their bytes: reading one costs more than adding
/// it up. It changes how long an answer takes and never the answer, so what is charged for an
/// answer must not depend on it.
#[derive(Clone)]
pub struct CheckedKeys {
    known: BTreeMap<[u8; KEY_LEN], PublicKey>,
    /// In the order in which they were learnt.
    order: VecDeque<[u8; KEY_LEN]>,
    most: usize,
}

impl CheckedKeys {
    /// Remembers at most this many keys (about 500 bytes each), then forgets the oldest.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), most }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// [`crate::verify`], with the keys that are remembered.
    pub fn verify(
        &mut self,
        keys: &[[u8; KEY_LEN]],
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> bool {
        // First what costs least to refuse.
        let Some(signature) = read_signature(signature) else { return false };
        let read: Option<Vec<PublicKey>> = keys.iter().map(|key| self.read(key)).collect();
        let Some(read) = read else { return false };
        let borrowed: Vec<&PublicKey> = read.iter().collect();
        sum(&borrowed).is_some_and(|key| check(&key, SIGNATURE_SUITE, message, &signature))
    }

    fn read(&mut self, bytes: &[u8; KEY_LEN]) -> Option<PublicKey> {
        if let Some(key) = self.known.get(bytes) {
            return Some(*key);
        }
        let key = read_key(bytes)?;
        if self.most > 0 {
            if self.order.len() >= self.most
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.known.insert(*bytes, key);
            self.order.push_back(*bytes);
        }
        Some(key)
    }
}

impl fmt::Debug for CheckedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedKeys").field("len", &self.len()).field("most", &self.most).finish()
    }
}
