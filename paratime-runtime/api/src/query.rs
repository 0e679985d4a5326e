//! Queries on final roots.

use paralith_crypto::ed25519::{self, SigningKey};
use paralith_crypto::hash::{Domain, hash};
use paralith_proto::{Canonical, DecodeError, Wire, pb};
use paralith_types::{ChainContext, Hash, PublicKey, RuntimeId, Signature};

use crate::TxError;
use crate::tx::Body;

/// Domain of query signatures.
pub const SIGNATURE_DOMAIN: Domain = Domain::new("paralith/paratime/query/v1");

const HASH_DOMAIN: Domain = Domain::new("paralith/paratime/query-hash/v1");

/// A question to a runtime. Signed, it may see what only its sender may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The chain.
    pub chain_context: ChainContext,
    /// The runtime.
    pub runtime_id: RuntimeId,
    /// What is asked.
    pub body: Body,
    /// Who asks, with a signature over the rest; none for a question that anyone may ask.
    pub signed: Option<(PublicKey, Signature)>,
}

impl Wire for Query {
    type Pb = pb::paratime::v1::Query;

    fn to_pb(&self) -> Self::Pb {
        use pb::paratime::v1::query::Body as PbBody;
        Self::Pb {
            runtime_id: self.runtime_id.to_pb(),
            body: Some(match &self.body {
                Body::Call(call) => PbBody::Call(call.to_pb()),
                Body::Envelope(envelope) => PbBody::Envelope(envelope.to_pb()),
            }),
            sender: self.signed.map(|(key, _)| key.to_pb()).unwrap_or_default(),
            signature: self.signed.map(|(_, signature)| signature.to_pb()).unwrap_or_default(),
            chain_context: self.chain_context.to_pb(),
        }
    }

    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        use pb::paratime::v1::query::Body as PbBody;
        let signed = if pb.sender.is_empty() && pb.signature.is_empty() {
            None
        } else {
            Some((Wire::from_pb(pb.sender)?, Wire::from_pb(pb.signature)?))
        };
        Ok(Self {
            chain_context: Wire::from_pb(pb.chain_context)?,
            runtime_id: Wire::from_pb(pb.runtime_id)?,
            body: match pb.body {
                Some(PbBody::Call(call)) => Body::Call(Wire::from_pb(call)?),
                Some(PbBody::Envelope(envelope)) => Body::Envelope(Wire::from_pb(envelope)?),
                None => return Err(DecodeError::field("body", "is missing")),
            },
            signed,
        })
    }
}

impl Query {
    fn signed_bytes(&self, sender: &PublicKey) -> Vec<u8> {
        let mut unsigned = Self { signed: None, ..self.clone() }.to_pb();
        unsigned.sender = sender.to_pb();
        paralith_proto::Message::encode_to_vec(&unsigned)
    }

    /// Signs the query.
    #[must_use]
    pub fn sign(mut self, key: &SigningKey) -> Self {
        let sender = key.public();
        let bytes = self.signed_bytes(&sender);
        self.signed = Some((sender, key.sign(SIGNATURE_DOMAIN, &self.chain_context, &bytes)));
        self
    }

    /// Who asks, verified; none for an unsigned query.
    pub fn verified_sender(&self) -> Result<Option<PublicKey>, TxError> {
        let Some((sender, signature)) = &self.signed else { return Ok(None) };
        let bytes = self.signed_bytes(sender);
        ed25519::verify(sender, SIGNATURE_DOMAIN, &self.chain_context, &bytes, signature)
            .map_err(|_| TxError::InvalidSignature)?;
        Ok(Some(*sender))
    }

    /// What a sealed reply is bound to.
    pub fn hash(&self) -> Hash {
        hash(HASH_DOMAIN, &[&self.encode()])
    }
}
