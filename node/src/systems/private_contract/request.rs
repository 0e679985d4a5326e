//! Signed requests to a member's own service: for one member, for a short time.

use paralith_crypto::{Domain, SigningKey, ed25519};
use paralith_private_contract_grpc::pb;
use paralith_private_contract_grpc::pb::request::What;
use paralith_private_contract_messages::ContractId;
use paralith_types::{ChainContext, PublicKey, Signature};
use prost::Message as _;
use tonic::Status;

use crate::rpc::bad_argument;

const REQUEST: Domain = Domain::new("paralith/private-contract/request/v1");

/// Blocks for which a request may be valid.
pub const REQUEST_BLOCKS: u64 = 100;

/// A request whose signature was verified.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) signer: PublicKey,
    pub(super) contract_id: ContractId,
    pub(super) what: What,
}

/// Signs a request to a member, which is valid for the next blocks.
#[must_use]
pub fn sign(
    key: &SigningKey,
    chain: &ChainContext,
    member: &PublicKey,
    contract_id: &ContractId,
    height: u64,
    what: What,
) -> pb::SignedRequest {
    let request = pb::Request {
        member: member.0.to_vec(),
        expires: height.saturating_add(REQUEST_BLOCKS / 2),
        contract_id: contract_id.0.to_vec(),
        what: Some(what),
    }
    .encode_to_vec();
    let signature = key.sign(REQUEST, chain, &request).0.to_vec();
    pb::SignedRequest { request, signer: key.public().0.to_vec(), signature }
}

/// PC-22: verifies a request to this member at this height.
pub(super) fn verify(
    signed: &pb::SignedRequest,
    chain: &ChainContext,
    member: &PublicKey,
    height: u64,
) -> Result<Verified, Status> {
    let signer =
        PublicKey::try_from(signed.signer.as_slice()).map_err(|e| bad_argument("signer", e))?;
    let signature = Signature::try_from(signed.signature.as_slice())
        .map_err(|e| bad_argument("signature", e))?;
    ed25519::verify(&signer, REQUEST, chain, &signed.request, &signature)
        .map_err(|e| bad_argument("signature", e))?;
    let request =
        pb::Request::decode(signed.request.as_slice()).map_err(|e| bad_argument("request", e))?;
    if request.member != member.0 {
        return Err(bad_argument("member", "the request is for another member"));
    }
    if request.expires <= height || request.expires > height.saturating_add(REQUEST_BLOCKS) {
        let reason =
            format!("it must be valid now, at height {height}, and for 100 blocks at most");
        return Err(bad_argument("expires", reason));
    }
    let contract_id = ContractId::try_from(request.contract_id.as_slice())
        .map_err(|e| bad_argument("contract_id", e))?;
    let what = request.what.ok_or_else(|| bad_argument("what", "is missing"))?;
    Ok(Verified { signer, contract_id, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_at_one_member_on_one_chain_for_a_short_time() {
        let (alice, member) = (SigningKey::from_seed([1; 32]), PublicKey([2; 32]));
        let (chain, contract) = (ChainContext([3; 32]), ContractId([4; 32]));
        let signed = sign(&alice, &chain, &member, &contract, 1000, What::GetResult(7));
        let seen = verify(&signed, &chain, &member, 1000).unwrap();
        assert_eq!((seen.signer, seen.contract_id), (alice.public(), contract));
        assert!(matches!(seen.what, What::GetResult(7)));
        verify(&signed, &chain, &PublicKey([5; 32]), 1000).unwrap_err();
        verify(&signed, &ChainContext([5; 32]), &member, 1000).unwrap_err();
        verify(&signed, &chain, &member, 1000 + REQUEST_BLOCKS / 2).unwrap_err();
        verify(&signed, &chain, &member, 1000 - REQUEST_BLOCKS).unwrap_err();
        for place in 0..signed.request.len() {
            let mut changed = signed.clone();
            changed.request[place] ^= 1;
            verify(&changed, &chain, &member, 1000).unwrap_err();
        }
    }
}
