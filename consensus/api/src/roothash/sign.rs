//! What is signed and hashed on the way to a ParaTime block.

use paralith_crypto::ed25519::{self, SigningKey};
use paralith_crypto::hash::{Domain, hash};
use paralith_crypto::merkle::merkle_root;
use paralith_proto::{Canonical, Wire};
use paralith_types::{ChainContext, Hash, PublicKey, Signature};
use prost_message::encode_list;

use super::error::VoteError;
use super::tx::{Message, ProposalHeader, ResultsHeader, SignedProposal, Vote};
use super::types::{IncomingMessage, IncomingMessages};

/// Domain of a scheduler's signature over a proposal header.
pub const PROPOSAL_DOMAIN: Domain = Domain::new("paralith/roothash/proposal/v1");
/// Domain of a node's signature over its vote.
pub const VOTE_DOMAIN: Domain = Domain::new("paralith/roothash/vote/v1");
/// Domain of a RAK's signature over (proposal id, results header).
pub const RESULTS_DOMAIN: Domain = Domain::new("paralith/roothash/results/v1");

const PROPOSAL_ID_DOMAIN: Domain = Domain::new("paralith/roothash/proposal-id/v1");
const RESULT_HASH_DOMAIN: Domain = Domain::new("paralith/roothash/result-hash/v1");
const MESSAGES_DOMAIN: Domain = Domain::new("paralith/roothash/messages/v1");
const IN_MESSAGES_DOMAIN: Domain = Domain::new("paralith/roothash/in-messages/v1");
const EMPTY_DOMAIN: Domain = Domain::new("paralith/roothash/empty/v1");

/// The hash of no inputs, outputs or messages.
pub fn empty_hash() -> Hash {
    hash(EMPTY_DOMAIN, &[])
}

/// Hash of the messages that a round sends to consensus.
pub fn messages_hash(messages: &[Message]) -> Hash {
    if messages.is_empty() {
        return empty_hash();
    }
    hash(MESSAGES_DOMAIN, &encode_list(messages).iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Hash of the messages that a round takes from consensus.
pub fn in_messages_hash(messages: &[IncomingMessage]) -> Hash {
    if messages.is_empty() {
        return empty_hash();
    }
    let list = IncomingMessages { messages: messages.to_vec() };
    hash(IN_MESSAGES_DOMAIN, &[&list.encode()])
}

/// Merkle root over the ordered hashes of a batch's raw transactions.
pub fn batch_hash(tx_hashes: &[Hash]) -> Hash {
    if tx_hashes.is_empty() {
        return empty_hash();
    }
    merkle_root(tx_hashes)
}

impl ProposalHeader {
    /// What votes name a proposal by.
    pub fn id(&self) -> Hash {
        hash(PROPOSAL_ID_DOMAIN, &[&self.encode()])
    }

    /// Signs the proposal as the scheduler of its rank.
    pub fn sign(&self, key: &SigningKey, chain: &ChainContext) -> SignedProposal {
        let header = self.encode();
        let signature = key.sign(PROPOSAL_DOMAIN, chain, &header);
        SignedProposal { header, scheduler: key.public(), signature }
    }
}

impl SignedProposal {
    /// The header inside, its signature verified.
    pub fn open(&self, chain: &ChainContext) -> Result<ProposalHeader, VoteError> {
        let header = ProposalHeader::decode(&self.header, self.header.len())
            .map_err(|_| VoteError::MalformedProposal)?;
        ed25519::verify(&self.scheduler, PROPOSAL_DOMAIN, chain, &self.header, &self.signature)
            .map_err(|_| VoteError::BadProposalSignature)?;
        Ok(header)
    }
}

impl ResultsHeader {
    /// What the discrepancy pool compares.
    pub fn hash(&self) -> Hash {
        hash(RESULT_HASH_DOMAIN, &[&self.encode()])
    }

    /// The bytes that a RAK signs: the proposal's id, then the encoded results.
    pub fn signed_bytes(&self, proposal_id: &Hash) -> Vec<u8> {
        [proposal_id.as_bytes(), &self.encode()].concat()
    }

    /// Signs the results inside an enclave.
    pub fn sign(&self, proposal_id: &Hash, rak: &SigningKey, chain: &ChainContext) -> Signature {
        rak.sign(RESULTS_DOMAIN, chain, &self.signed_bytes(proposal_id))
    }
}

impl Vote {
    fn signed_bytes(&self) -> Vec<u8> {
        let mut unsigned = self.to_pb();
        unsigned.signature = Vec::new();
        prost_message::encode(&unsigned)
    }

    /// Signs the vote as its node.
    #[must_use]
    pub fn signed(mut self, key: &SigningKey, chain: &ChainContext) -> Self {
        self.signature = key.sign(VOTE_DOMAIN, chain, &self.signed_bytes());
        self
    }

    /// Verifies the node's signature.
    pub fn verify(&self, chain: &ChainContext) -> Result<(), VoteError> {
        ed25519::verify(&self.node, VOTE_DOMAIN, chain, &self.signed_bytes(), &self.signature)
            .map_err(|_| VoteError::BadVoteSignature)
    }

    /// Verifies the enclave's signature over the results, if there are any.
    pub fn verify_rak(&self, rak: &PublicKey, chain: &ChainContext) -> Result<(), VoteError> {
        let Some(results) = &self.results else { return Ok(()) };
        let Some(signature) = &self.rak_signature else {
            return Err(VoteError::BadRakSignature);
        };
        let bytes = results.signed_bytes(&self.proposal_id);
        ed25519::verify(rak, RESULTS_DOMAIN, chain, &bytes, signature)
            .map_err(|_| VoteError::BadRakSignature)
    }
}

mod prost_message {
    use paralith_proto::{Canonical, Message};

    pub(super) fn encode(message: &impl Message) -> Vec<u8> {
        message.encode_to_vec()
    }

    pub(super) fn encode_list(items: &[impl Canonical]) -> Vec<Vec<u8>> {
        items.iter().map(Canonical::encode).collect()
    }
}
