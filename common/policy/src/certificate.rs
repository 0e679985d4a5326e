//! A certificate: an issuer vouches for a key, in one scope, between two heights.

use paralith_types::{ChainContext, Height, PublicKey, Signature};
use prost::Message;

use crate::{CertificateError, pb};

/// The domain under which certificates are signed.
pub const CERTIFICATE_DOMAIN: &str = "paralith/certificate/v1";

/// The version of the form.
pub const CERTIFICATE_VERSION: u32 = 1;

/// Most bytes of [`Certificate::attributes`].
pub const MAX_ATTRIBUTES_BYTES: usize = 255;

/// Longer than any valid certificate.
const MAX_ENCODED_BYTES: usize = 1024;

/// An issuer's statement about a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// [`CERTIFICATE_VERSION`].
    pub version: u32,
    /// Whose statement it is.
    pub issuer: PublicKey,
    /// The key that it is about.
    pub subject: PublicKey,
    /// Where it is valid: the id of an application, a contract, a service.
    pub scope: [u8; 32],
    /// What else the issuer says, at most [`MAX_ATTRIBUTES_BYTES`] bytes.
    pub attributes: String,
    /// The issuer's number for it in this scope, by which it is revoked.
    pub serial: u64,
    /// The first height at which it is valid.
    pub not_before: Height,
    /// The first height at which it is no longer valid.
    pub not_after: Height,
    /// The issuer's signature over [`Certificate::signed_bytes`].
    pub signature: Signature,
}

impl Certificate {
    /// The message that is signed under [`CERTIFICATE_DOMAIN`]: the canonical message without its
    /// signature.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        pb::Certificate { signature: Vec::new(), ..self.to_pb() }.encode_to_vec()
    }

    /// What the issuer's key signs: length of the domain, domain, chain context, message, as
    /// everywhere on the chain.
    #[must_use]
    pub fn signed_bytes(&self, chain: &ChainContext) -> Vec<u8> {
        const DOMAIN_LEN: u8 = CERTIFICATE_DOMAIN.len() as u8;
        [&[DOMAIN_LEN][..], CERTIFICATE_DOMAIN.as_bytes(), chain.as_bytes(), &self.message()]
            .concat()
    }

    /// Whether it says of this subject, in this scope, at this height that its issuer vouches for
    /// it. Whether the issuer counts, signed it ([`Certificate::check_signature`]) or has revoked it
    /// is for the caller to ask.
    pub fn check(
        &self,
        scope: &[u8; 32],
        subject: &PublicKey,
        now: Height,
    ) -> Result<(), CertificateError> {
        if self.version != CERTIFICATE_VERSION {
            return Err(CertificateError::Version { got: self.version });
        }
        if self.attributes.len() > MAX_ATTRIBUTES_BYTES {
            return Err(CertificateError::Attributes { got: self.attributes.len() });
        }
        if self.scope != *scope {
            return Err(CertificateError::Scope);
        }
        if self.subject != *subject {
            return Err(CertificateError::Subject { subject: self.subject });
        }
        if now < self.not_before {
            return Err(CertificateError::NotYetValid { not_before: self.not_before, now });
        }
        if now >= self.not_after {
            return Err(CertificateError::Expired { not_after: self.not_after, now });
        }
        Ok(())
    }

    /// Whether its issuer signed it for this chain. `verify` is Ed25519 by the rules of ZIP-215:
    /// `ed25519::verify_raw` of `paralith-crypto`, or a guest's import.
    pub fn check_signature(
        &self,
        chain: &ChainContext,
        verify: impl FnOnce(&PublicKey, &[u8], &Signature) -> bool,
    ) -> Result<(), CertificateError> {
        let valid = verify(&self.issuer, &self.signed_bytes(chain), &self.signature);
        let error = CertificateError::Signature { issuer: self.issuer };
        if valid { Ok(()) } else { Err(error) }
    }

    /// The one encoding: the message `paralith.policy.v1.Certificate` in canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_pb().encode_to_vec()
    }

    /// Reads the canonical encoding. Nothing is checked but the form: see [`Certificate::check`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > MAX_ENCODED_BYTES {
            return Err(CertificateError::malformed("it is too long"));
        }
        let pb = pb::Certificate::decode(bytes)
            .map_err(|e| CertificateError::malformed(e.to_string()))?;
        let certificate = Self::from_pb(&pb)?;
        if certificate.encode() != bytes {
            return Err(CertificateError::malformed("not its canonical encoding"));
        }
        Ok(certificate)
    }

    /// The message, for messages that contain it.
    #[must_use]
    pub fn to_pb(&self) -> pb::Certificate {
        pb::Certificate {
            version: self.version,
            issuer: self.issuer.0.to_vec(),
            subject: self.subject.0.to_vec(),
            scope: self.scope.to_vec(),
            attributes: self.attributes.clone(),
            serial: self.serial,
            not_before: self.not_before.0,
            not_after: self.not_after.0,
            signature: self.signature.0.to_vec(),
        }
    }

    /// The certificate of a message that was part of another; that the bytes were canonical is for
    /// the outer message to check.
    pub fn from_pb(pb: &pb::Certificate) -> Result<Self, CertificateError> {
        let scope = <[u8; 32]>::try_from(pb.scope.as_slice());
        Ok(Self {
            version: pb.version,
            issuer: PublicKey::try_from(pb.issuer.as_slice())?,
            subject: PublicKey::try_from(pb.subject.as_slice())?,
            scope: scope.map_err(|_| CertificateError::malformed("a scope takes 32 bytes"))?,
            attributes: pb.attributes.clone(),
            serial: pb.serial,
            not_before: Height(pb.not_before),
            not_after: Height(pb.not_after),
            signature: Signature::try_from(pb.signature.as_slice())?,
        })
    }
}
