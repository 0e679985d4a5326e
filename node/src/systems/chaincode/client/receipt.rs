//! Makes the receipt of a committed call: one file that proves it with the genesis document alone.

use paralith_chaincode_core::receipt::verify;
use paralith_chaincode_messages::state::{Committed, committed_key, enclave_key, runtime_key};
use paralith_chaincode_messages::{
    Message as _, OpenedOutput, Proven, ProvenEnclave, Receipt, Response, VERSION,
};
use paralith_consensus_api::roothash::{self, Header};
use paralith_proto::Canonical as _;
use paralith_types::{Error, Round};

use super::{CallFile, ChaincodeClient, unverifiable};
use crate::error::NodeError;

/// What a receipt shows beside the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The caller, by the signed proposal.
    pub caller: bool,
    /// The result, by the key of the reply.
    pub result: bool,
}

impl ChaincodeClient {
    /// The encoded receipt of a committed call whose result was read, verified before it is given.
    pub async fn receipt(&mut self, file: &CallFile, shown: Shown) -> Result<Vec<u8>, NodeError> {
        let missing = |what: &str| {
            NodeError::usage("the call", format!("{what}: read its result first, with --save"))
        };
        let commit = file.commit().ok_or_else(|| missing("it has no endorsements"))?;
        let response = Response::decode(&commit.response).map_err(unverifiable)?;
        let opened = file.opened.as_ref().ok_or_else(|| missing("its output is not released"))?;
        let opened = OpenedOutput::decode(opened).map_err(unverifiable)?;
        let mut ledger = self.ledger().await?;
        let key = committed_key(&file.tx_id);
        let newest = ledger.prove(&mut self.chain, None, std::slice::from_ref(&key)).await?;
        let record = newest.values.into_iter().next().flatten();
        let record = record.as_deref().and_then(Committed::from_bytes);
        let gone = "the ledger has no record of it: it was not committed, or too long ago";
        let round = Round(record.ok_or_else(|| missing(gone))?.version.round);
        let state = ledger.prove(&mut self.chain, Some(round), &[key]).await?;
        let header_key = roothash::keys::header(&response.ledger, round);
        let header = self.chain.proven(None, &header_key).await?;
        let header_height = header.height;
        let header = proven(header.value, header.proof)?;
        let pinned = Header::decode(&header.value, header.value.len())
            .map_err(unverifiable)?
            .consensus_height;
        let values = state.values.into_iter().zip(state.proofs).next();
        let (value, proof) = values.ok_or_else(|| unverifiable("no entry"))?;
        let at = self.chain.proven(Some(pinned), &runtime_key(&response.application)).await?;
        let mut enclaves = Vec::new();
        for endorsement in &commit.endorsements {
            let rak = endorsement.rak;
            let key = enclave_key(&response.application, &rak);
            let record = self.chain.proven(Some(pinned), &key).await?;
            enclaves.push(ProvenEnclave { rak, record: proven(record.value, record.proof)? });
        }
        let receipt = Receipt {
            version: VERSION,
            blocks: self.chain.steps_to(&[pinned, header_height]).await?,
            header_height,
            header,
            committed: proven(value, proof)?,
            descriptor: proven(at.value, at.proof)?,
            enclaves,
            response: commit.response,
            endorsements: commit.endorsements,
            opened,
            reply_key: shown.result.then_some(file.reply_key),
            proposal: shown.caller.then(|| file.proposal.clone()),
        };
        let bytes = receipt.encode();
        // CC-10
        verify(&self.chain.genesis().document, &bytes)
            .map_err(|error| NodeError::Refused(Error::from(error)))?;
        Ok(bytes)
    }
}

fn proven(value: Option<Vec<u8>>, proof: Vec<u8>) -> Result<Proven, NodeError> {
    let value = value.ok_or_else(|| unverifiable("a record of the receipt is gone"))?;
    Ok(Proven { value, proof })
}
