//! The hashes and signatures of chaincode's messages.

use paralith_chaincode_messages::{
    ENDORSEMENT_DOMAIN, Endorsement, PLACE_DOMAIN, PROPOSAL_DOMAIN, RESPONSE_DOMAIN,
    SignedProposal, TX_ID_DOMAIN,
};
use paralith_crypto::ed25519::{self, SigningKey};
use paralith_crypto::hash::{Domain, hash};
use paralith_types::{ChainContext, Hash};

const TX_ID: Domain = Domain::new(TX_ID_DOMAIN);
const RESPONSE: Domain = Domain::new(RESPONSE_DOMAIN);
const PLACE: Domain = Domain::new(PLACE_DOMAIN);
const PROPOSAL: Domain = Domain::new(PROPOSAL_DOMAIN);
const ENDORSEMENT: Domain = Domain::new(ENDORSEMENT_DOMAIN);

/// The id of the transaction that a proposal asks for.
#[must_use]
pub fn tx_id(signed: &SignedProposal) -> Hash {
    hash(TX_ID, &[signed.public_key.as_bytes(), &signed.proposal])
}

/// The hash of an encoded response, by which responses are compared and `t/tx_id` names one.
#[must_use]
pub fn response_hash(encoded: &[u8]) -> Hash {
    hash(RESPONSE, &[encoded])
}

/// Stands in all derivations of an execution where a round has the hash of its proposal header.
#[must_use]
pub fn place(tx_id: &Hash, snapshot_root: &Hash) -> Hash {
    hash(PLACE, &[tx_id.as_bytes(), snapshot_root.as_bytes()])
}

/// Signs an encoded proposal.
#[must_use]
pub fn sign_proposal(key: &SigningKey, chain: &ChainContext, proposal: Vec<u8>) -> SignedProposal {
    let signature = key.sign(PROPOSAL, chain, &proposal);
    SignedProposal { proposal, public_key: key.public(), signature }
}

/// Whether the client signed its proposal.
#[must_use]
pub fn proposal_is_signed(signed: &SignedProposal, chain: &ChainContext) -> bool {
    let SignedProposal { proposal, public_key, signature } = signed;
    ed25519::verify(public_key, PROPOSAL, chain, proposal, signature).is_ok()
}

/// Signs an encoded response with an enclave's key.
#[must_use]
pub fn endorse(rak: &SigningKey, chain: &ChainContext, response: &[u8]) -> Endorsement {
    Endorsement { rak: rak.public(), signature: rak.sign(ENDORSEMENT, chain, response) }
}

/// Whether the enclave signed this encoded response.
#[must_use]
pub fn endorsement_is_signed(
    endorsement: &Endorsement,
    chain: &ChainContext,
    response: &[u8],
) -> bool {
    let Endorsement { rak, signature } = endorsement;
    ed25519::verify(rak, ENDORSEMENT, chain, response, signature).is_ok()
}
