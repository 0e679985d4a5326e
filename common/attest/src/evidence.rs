//! Evidence and its encoding.

use prost::Message;
use prost::encoding::decode_key;

use crate::wire;
use crate::{AttestError, Claims, Kind, SoftwareQuote};

/// The longest evidence that is looked at, in bytes.
pub const MAX_EVIDENCE_LEN: usize = 4096;

/// How an enclave shows who it is. Tags in the encoding: software 1; 2 (SGX DCAP), 3 (TDX) and 4
/// (SEV-SNP) are reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Signed by a platform key. For development.
    Software(SoftwareQuote),
}

impl Evidence {
    /// What kind of evidence this is, for showing it wherever the enclave is shown.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Software(_) => Kind::Software,
        }
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self::Software(quote) = self;
        let software = wire::SoftwareQuote {
            claims: quote.claims.encode(),
            chain: quote.chain.as_bytes().to_vec(),
            platform: quote.platform.as_bytes().to_vec(),
            signature: quote.signature.as_bytes().to_vec(),
        };
        wire::Evidence { kind: Some(wire::EvidenceKind::Software(software)) }.encode_to_vec()
    }

    /// Reads the canonical encoding, and no other. Evidence of a kind that this build cannot
    /// verify is refused as [`AttestError::UnsupportedKind`].
    pub fn decode(bytes: &[u8]) -> Result<Self, AttestError> {
        if bytes.len() > MAX_EVIDENCE_LEN {
            return Err(AttestError::too_long());
        }
        let wire = wire::Evidence::decode(bytes).map_err(|_| AttestError::malformed())?;
        let unsupported = |kind| Err(AttestError::UnsupportedKind { kind });
        let quote = match wire.kind {
            Some(wire::EvidenceKind::Software(quote)) => quote,
            Some(wire::EvidenceKind::SgxDcap(_)) => return unsupported(Kind::SgxDcap),
            Some(wire::EvidenceKind::Tdx(_)) => return unsupported(Kind::Tdx),
            Some(wire::EvidenceKind::SevSnp(_)) => return unsupported(Kind::SevSnp),
            // Protobuf skips fields that it does not know: the first one's tag is the kind.
            None => {
                let mut rest = bytes;
                return match decode_key(&mut rest) {
                    Ok((tag, _)) => unsupported(Kind::Unknown(tag)),
                    Err(_) => Err(AttestError::malformed()),
                };
            }
        };
        let evidence = Self::Software(SoftwareQuote {
            claims: Claims::decode(&quote.claims)?,
            chain: wire::fixed(&quote.chain)?,
            platform: wire::fixed(&quote.platform)?,
            signature: wire::fixed(&quote.signature)?,
        });
        if evidence.encode() != bytes {
            return Err(AttestError::another_form());
        }
        Ok(evidence)
    }
}
