//! Software evidence: a platform key signs the claims. For development and tests.

use paralith_crypto::{BadSignature, Domain, SigningKey, ed25519};
use paralith_types::{ChainContext, PublicKey, Signature};

use crate::{Claims, Evidence};

const QUOTE: Domain = Domain::new("paralith/attest-software-quote/v1");

/// Claims, signed by a software platform for one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftwareQuote {
    /// What the platform vouches for.
    pub claims: Claims,
    /// The chain that the quote was made for.
    pub chain: ChainContext,
    /// The platform's key.
    pub platform: PublicKey,
    /// Its signature of the claims' report data.
    pub signature: Signature,
}

impl SoftwareQuote {
    /// Whether the platform signed these claims for this chain.
    pub(crate) fn verify_signature(&self) -> Result<(), BadSignature> {
        let report_data = self.claims.report_data(&self.chain);
        let message = report_data.as_bytes();
        ed25519::verify(&self.platform, QUOTE, &self.chain, message, &self.signature)
    }
}

/// A software platform: what stands in for the hardware where there is none.
///
/// It vouches for whatever it is asked to. Who holds its key can forge every enclave of a chain
/// that lists it.
#[derive(Debug)]
pub struct SoftwarePlatform(SigningKey);

impl SoftwarePlatform {
    /// The platform with this key.
    #[must_use]
    pub const fn new(key: SigningKey) -> Self {
        Self(key)
    }

    /// The key that genesis lists.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// Encoded [`Evidence`] of these claims, for this chain.
    #[must_use]
    pub fn quote(&self, claims: &Claims, chain: &ChainContext) -> Vec<u8> {
        let report_data = claims.report_data(chain);
        let quote = SoftwareQuote {
            claims: claims.clone(),
            chain: *chain,
            platform: self.public(),
            signature: self.0.sign(QUOTE, chain, report_data.as_bytes()),
        };
        Evidence::Software(quote).encode()
    }
}
