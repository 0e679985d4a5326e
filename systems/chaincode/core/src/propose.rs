//! A client's proposal.

use paralith_chaincode_messages::{
    Definition, Envelope, MAX_CALL_BYTES, Message, Proposal, SignedProposal, VERSION,
};
use paralith_crypto::Zeroizing;
use paralith_crypto::ed25519::SigningKey;
use paralith_policy::Certificate;
use paralith_proto::Canonical;
use paralith_runtime_api::envelope::{Info, seal_call};
use paralith_runtime_api::tx::Call;
use paralith_types::{ChainContext, Epoch, Hash, Height, RuntimeId, X25519PublicKey};

use crate::{ClientError, hashes};

/// What a client has proven before it proposes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The chain.
    pub chain: ChainContext,
    /// The application.
    pub application: RuntimeId,
    /// Its definition at the anchor.
    pub definition: Definition,
    /// The height whose state everything is read from.
    pub anchor: Height,
    /// The call has effect only below this height.
    pub valid_until: Height,
    /// The epoch at the anchor.
    pub epoch: Epoch,
    /// The application's key of that epoch, verified.
    pub epoch_key: X25519PublicKey,
    /// That an issuer vouches for the client.
    pub certificate: Option<Certificate>,
}

/// Fresh random bytes, used for one proposal.
pub struct Randomness {
    /// The proposal's nonce.
    pub nonce: [u8; 32],
    /// The key of the reply.
    pub reply_key: Zeroizing<[u8; 32]>,
    /// Of the envelope.
    pub envelope: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Randomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Randomness(secret)")
    }
}

/// A proposal, and what its client keeps until the result is read.
pub struct Proposed {
    /// What endorsers get.
    pub signed: SignedProposal,
    /// The transaction.
    pub tx_id: Hash,
    /// Opens the reply. Secret.
    pub reply_key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Proposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proposed({})", self.tx_id)
    }
}

/// Seals a call to the application's enclaves and signs the proposal.
pub fn propose(
    key: &SigningKey,
    target: Target,
    call: Call,
    random: Randomness,
) -> Result<Proposed, ClientError> {
    let Target { chain, application, definition, anchor, valid_until, epoch, .. } = &target;
    let last = Height(anchor.0.saturating_add(definition.terms.commit_blocks.into()));
    if valid_until <= anchor || *valid_until > last {
        return Err(ClientError::Window { got: *valid_until, last });
    }
    let got = call.encode().len();
    if got > MAX_CALL_BYTES {
        return Err(ClientError::CallTooLarge { limit: MAX_CALL_BYTES, got });
    }
    let info = Info::endorse(*chain, *application, *epoch, &key.public());
    let sealed = seal_call(&target.epoch_key, &info, call, *random.reply_key, *random.envelope)
        .map_err(|e| ClientError::Seal(e.to_string()))?;
    let proposal = Proposal {
        version: VERSION,
        chain_context: *chain,
        ledger: definition.terms.ledger,
        application: *application,
        sequence: definition.sequence,
        anchor: *anchor,
        valid_until: *valid_until,
        nonce: random.nonce,
        certificate: target.certificate.clone(),
        envelope: Envelope { epoch: sealed.epoch, sealed: sealed.sealed },
    };
    let signed = hashes::sign_proposal(key, chain, proposal.encode());
    let tx_id = hashes::tx_id(&signed);
    Ok(Proposed { signed, tx_id, reply_key: random.reply_key })
}
