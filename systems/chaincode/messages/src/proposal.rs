//! What a client asks endorsers for.

use paralith_policy::Certificate;
use paralith_types::{ChainContext, Epoch, Height, PublicKey, RuntimeId, Signature};

use crate::wire::message;
use crate::{MAX_PROPOSAL_BYTES, PROPOSAL_DOMAIN, TX_ID_DOMAIN, framed, signed_bytes};

message! {
    /// A call that only the application's enclaves can read: the form of a ParaTime's envelope.
    Envelope, EnvelopePb, MAX_PROPOSAL_BYTES, {
        /// The epoch whose key it is sealed to.
        [uint64, tag = "1"] epoch: Epoch,
        /// Encapsulated key, then ciphertext.
        [bytes = "vec", tag = "2"] sealed: Vec<u8>,
    }
}

message! {
    /// A call on one state of one ledger.
    Proposal, ProposalPb, MAX_PROPOSAL_BYTES, {
        /// [`crate::VERSION`].
        [uint32, tag = "1"] version: u32,
        /// The chain.
        [bytes = "vec", tag = "2"] chain_context: ChainContext,
        /// The ParaTime that orders the call and holds the application's state.
        [bytes = "vec", tag = "3"] ledger: RuntimeId,
        /// The application.
        [bytes = "vec", tag = "4"] application: RuntimeId,
        /// The sequence of its descriptor.
        [uint64, tag = "5"] sequence: u64,
        /// The consensus height whose state everything is read from.
        [uint64, tag = "6"] anchor: Height,
        /// The call has effect only below this height.
        [uint64, tag = "7"] valid_until: Height,
        /// 32 random bytes.
        [bytes = "vec", tag = "8"] nonce: [u8; 32],
        /// That an issuer of the application vouches for the client, if the application asks for it.
        [message, optional, tag = "9"] certificate: Option<Certificate>,
    }
    nested {
        /// The sealed call.
        [message, optional, tag = "10"] envelope: Envelope,
    }
}

message! {
    /// A proposal with its client's signature.
    SignedProposal, SignedProposalPb, MAX_PROPOSAL_BYTES, {
        /// An encoded [`Proposal`].
        [bytes = "vec", tag = "1"] proposal: Vec<u8>,
        /// The client.
        [bytes = "vec", tag = "2"] public_key: PublicKey,
        /// Of the encoded proposal, under [`PROPOSAL_DOMAIN`].
        [bytes = "vec", tag = "3"] signature: Signature,
    }
}

impl SignedProposal {
    /// What the transaction's id is the hash of.
    #[must_use]
    pub fn tx_id_preimage(&self) -> Vec<u8> {
        framed(TX_ID_DOMAIN, &[self.public_key.as_bytes(), &self.proposal])
    }

    /// What the client signs.
    #[must_use]
    pub fn signed_bytes(&self, chain: &ChainContext) -> Vec<u8> {
        signed_bytes(PROPOSAL_DOMAIN, chain, &self.proposal)
    }
}
