//! A member's nonces: a chain of seeds, each erased when its nonce is used or dropped.

use std::fmt;

use paralith_crypto::{Zeroizing, kdf};

use crate::CosignerError;
use crate::curve::Curve;
use crate::domains::{NONCE, NONCE_NEXT};
use crate::hashing::to_scalar;
use crate::point::Point;
use crate::scalar::Secret;

/// The nonces of one member for one key, from the one that is published next.
///
/// Not `Clone`: of two chains with one seed each would give the same nonce, for two challenges.
pub struct NonceChain<C: Curve> {
    name: Point<C>,
    seed: Zeroizing<[u8; 32]>,
    index: u64,
}

impl<C: Curve> NonceChain<C> {
    /// The chain of a new key, whose first server key S0 is its name. The seed is 32 random bytes,
    /// drawn for this key.
    #[must_use]
    pub fn start(name: Point<C>, seed: Zeroizing<[u8; 32]>) -> Self {
        Self::resume(name, seed, 0)
    }

    /// The chain as it was kept: [`Self::seed`] and [`Self::index`].
    #[must_use]
    pub fn resume(name: Point<C>, seed: Zeroizing<[u8; 32]>, index: u64) -> Self {
        Self { name, seed, index }
    }

    /// The seed k_v, to be kept sealed in the place of the one before.
    #[must_use]
    pub fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.seed
    }

    /// v, the number of nonces that were used or dropped before this one.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// R_v, to be published. The same each time until the nonce is taken or dropped.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if the nonce is zero: drop it.
    pub fn published(&self) -> Result<Point<C>, CosignerError> {
        Ok(self.current()?.public())
    }

    /// Takes the nonce and goes on to the next. What is kept then, and synced before the partial
    /// signature leaves, cannot give this nonce again.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if the nonce is zero: drop it.
    pub fn take(&mut self) -> Result<Nonce<C>, CosignerError> {
        let secret = self.current()?;
        let nonce = Nonce { public: secret.public(), index: self.index, secret };
        self.drop_unused()?;
        Ok(nonce)
    }

    /// Goes on to the next without using this one: the set has changed.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] after 2^64 nonces.
    pub fn drop_unused(&mut self) -> Result<(), CosignerError> {
        // CO-7: the seed before is wiped by the assignment, and cannot be computed from this one.
        self.index = self.index.checked_add(1).ok_or(CosignerError::Degenerate)?;
        self.seed = kdf::derive(self.seed.as_slice(), &[], NONCE_NEXT, &[]);
        Ok(())
    }

    fn current(&self) -> Result<Secret<C>, CosignerError> {
        let (name, index) = (self.name.to_bytes(), self.index.to_be_bytes());
        Secret::nonzero(to_scalar::<C>(NONCE, &[self.seed.as_slice(), name.as_ref(), &index]))
    }
}

impl<C: Curve> fmt::Debug for NonceChain<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceChain({:?}, index {})", self.name, self.index)
    }
}

/// A secret nonce that was taken. Signing consumes it, so that it serves one challenge.
pub struct Nonce<C: Curve> {
    pub(crate) secret: Secret<C>,
    pub(crate) public: Point<C>,
    index: u64,
}

impl<C: Curve> Nonce<C> {
    /// R_v
    #[must_use]
    pub fn public(&self) -> &Point<C> {
        &self.public
    }

    /// v
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }
}

impl<C: Curve> fmt::Debug for Nonce<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({:?}, index {})", self.public, self.index)
    }
}
