//! Bounds on what is served at once. A transfer needs a place of its kind and one of its signer's;
//! what has no place is refused at once and holds nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_types::PublicKey;

use crate::DataError;
use crate::ticket::Action;

/// The most transfers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceLimits {
    pub(crate) puts: usize,
    pub(crate) gets: usize,
    pub(crate) puts_of_one: usize,
    pub(crate) gets_of_one: usize,
}

/// Transfers under way.
#[derive(Debug)]
pub(crate) struct Places {
    limits: PlaceLimits,
    taken: Mutex<Taken>,
}

/// Puts, then gets.
type Count = [usize; 2];

#[derive(Debug, Default)]
struct Taken {
    all: Count,
    signers: BTreeMap<PublicKey, Count>,
}

fn lane(action: Action) -> usize {
    match action {
        Action::Put => 0,
        Action::Get => 1,
    }
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    signer: PublicKey,
    action: Action,
}

impl Places {
    pub(crate) fn new(limits: PlaceLimits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    pub(crate) fn enter(
        self: &Arc<Self>,
        signer: PublicKey,
        action: Action,
    ) -> Result<Place, DataError> {
        let PlaceLimits { puts, gets, puts_of_one, gets_of_one } = self.limits;
        let (limit, limit_of_one) = match action {
            Action::Put => (puts, puts_of_one),
            Action::Get => (gets, gets_of_one),
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let at = lane(action);
        let own = taken.signers.get(&signer).copied().unwrap_or_default();
        let count = |of: Count| of.get(at).copied().unwrap_or(usize::MAX);
        // DA-7: one signer cannot take all places.
        if count(taken.all) >= limit || count(own) >= limit_of_one {
            return Err(DataError::Busy);
        }
        if let Some(all) = taken.all.get_mut(at) {
            *all += 1;
        }
        if let Some(own) = taken.signers.entry(signer).or_default().get_mut(at) {
            *own += 1;
        }
        drop(taken);
        Ok(Place { places: Arc::clone(self), signer, action })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let at = lane(self.action);
        if let Some(all) = taken.all.get_mut(at) {
            *all = all.saturating_sub(1);
        }
        if let Some(own) = taken.signers.get_mut(&self.signer) {
            if let Some(own) = own.get_mut(at) {
                *own = own.saturating_sub(1);
            }
            if *own == Count::default() {
                taken.signers.remove(&self.signer);
            }
        }
    }
}
