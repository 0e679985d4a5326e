//! Verifies a receipt offline, with the genesis document alone.
//!
//! The way: light blocks from genesis to two states of consensus. One proves the header of the
//! ledger's round that committed the call; that header's state root proves `t/tx_id`, which names the
//! response. The other is the state that this round pinned: it proves the descriptor and the records
//! of the enclaves, so that the endorsements are judged as the ledger had to judge them.

use std::collections::BTreeMap;

use paralith_chaincode_messages::order::{self, Quorum};
use paralith_chaincode_messages::state::{Committed, committed_key, enclave_key, runtime_key};
use paralith_chaincode_messages::{
    Definition, MAX_RECEIPT_BLOCKS, Message, Proposal, Proven, Receipt, Response, VERSION, Written,
};
use paralith_consensus_api::roothash::{Header, HeaderType, keys};
use paralith_consensus_light::{LightBlock, LightClient};
use paralith_genesis::Document;
use paralith_proto::Canonical;
use paralith_runtime_api::output::Output;
use paralith_storage::Proof;
use paralith_types::{ChainContext, Hash, Height, PublicKey, Round};

use crate::{ReceiptError, hashes, release};

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was committed.
    pub response: Response,
    /// The ledger's round that committed it.
    pub round: Round,
    /// The consensus height that this round pinned.
    pub pinned: Height,
    /// The organisations whose enclaves endorsed it.
    pub organisations: Vec<PublicKey>,
    /// Who called, if the receipt shows it.
    pub client: Option<PublicKey>,
    /// What the call gave, if the receipt shows it.
    pub output: Option<Output>,
}

/// Verifies an encoded receipt.
pub fn verify(document: &Document, bytes: &[u8]) -> Result<Verified, ReceiptError> {
    let light = LightClient::from_document(document).map_err(|e| form(&e))?;
    let chain = document.hash().map_err(|e| form(&e))?;
    let receipt = Receipt::decode(bytes).map_err(|e| form(&e))?;
    verify_from(light, &chain, &receipt)
}

/// Verifies a receipt by a light client that stands before all of its blocks.
pub fn verify_from(
    light: LightClient,
    chain: &ChainContext,
    receipt: &Receipt,
) -> Result<Verified, ReceiptError> {
    if receipt.version != VERSION {
        return Err(ReceiptError::Form(format!("version {} is not known", receipt.version)));
    }
    let response = Written::<Response>::decode(receipt.response.clone())
        .map_err(|e| ReceiptError::Response(e.to_string()))?;
    response.check().map_err(|e| ReceiptError::Response(e.to_string()))?;
    let roots = roots(light, &receipt.blocks)?;
    let (header, record) = committed(receipt, &response, &roots)?;
    let pinned = header.consensus_height;
    let root = root_of(&roots, pinned)?;
    let definition = definition(receipt, &response, pinned, &root)?;
    let organisations = endorsed(receipt, chain, &response, &definition, pinned, &root)?;
    let output = output(receipt, &response)?;
    let client = client(receipt, chain, &response)?;
    Ok(Verified {
        response: response.into_value(),
        round: Round(record.version.round),
        pinned,
        organisations,
        client,
        output,
    })
}

fn form(error: &dyn std::fmt::Display) -> ReceiptError {
    ReceiptError::Form(error.to_string())
}

/// The roots of the states that the blocks carry.
fn roots(
    mut light: LightClient,
    blocks: &[Vec<u8>],
) -> Result<BTreeMap<Height, Hash>, ReceiptError> {
    if blocks.len() > MAX_RECEIPT_BLOCKS {
        return Err(form(&format!("it has more than {MAX_RECEIPT_BLOCKS} blocks")));
    }
    let mut roots = BTreeMap::new();
    for (number, bytes) in blocks.iter().enumerate() {
        let wrong = |reason: String| ReceiptError::Blocks { number, reason };
        let block = LightBlock::decode(bytes).map_err(|e| wrong(e.to_string()))?;
        if block.height() <= light.height() {
            return Err(wrong("it is not above the one before".into()));
        }
        let step = block.height().0.saturating_sub(light.height().0);
        if step > light.max_step() {
            return Err(wrong(format!("a step of {step} blocks is too long")));
        }
        light.update(&block).map_err(|e| wrong(e.to_string()))?;
        roots.extend(light.app_hash_at());
    }
    Ok(roots)
}

fn root_of(roots: &BTreeMap<Height, Hash>, height: Height) -> Result<Hash, ReceiptError> {
    roots.get(&height).copied().ok_or(ReceiptError::NoRoot { height })
}

fn prove(proven: &Proven, root: &Hash, key: &[u8]) -> Result<(), String> {
    Proof::from_bytes(&proven.proof)
        .and_then(|proof| proof.verify(root, key, Some(&proven.value)))
        .map_err(|e| e.to_string())
}

/// The header of the round that committed the call, and the ledger's record of it.
fn committed(
    receipt: &Receipt,
    response: &Written<Response>,
    roots: &BTreeMap<Height, Hash>,
) -> Result<(Header, Committed), ReceiptError> {
    let record = Committed::from_bytes(&receipt.committed.value)
        .ok_or_else(|| ReceiptError::Committed("it cannot be read".into()))?;
    let round = Round(record.version.round);
    let root = root_of(roots, receipt.header_height)?;
    let key = keys::header(&response.ledger, round);
    prove(&receipt.header, &root, &key).map_err(ReceiptError::Header)?;
    let value = &receipt.header.value;
    let header =
        Header::decode(value, value.len()).map_err(|e| ReceiptError::Header(e.to_string()))?;
    // The key names the ledger and the round; what is under it is consensus' own.
    if header.header_type != HeaderType::Normal {
        return Err(ReceiptError::Header("the round has no results".into()));
    }
    let key = committed_key(&response.tx_id);
    prove(&receipt.committed, &header.state_root, &key).map_err(ReceiptError::Committed)?;
    let hash = hashes::response_hash(response.bytes());
    if record.response != hash {
        let reason = format!("it names the response {}, this is {hash}", record.response);
        return Err(ReceiptError::Committed(reason));
    }
    if record.application != response.application {
        return Err(ReceiptError::Committed("it is of another application".into()));
    }
    Ok((header, record))
}

fn definition(
    receipt: &Receipt,
    response: &Response,
    pinned: Height,
    root: &Hash,
) -> Result<Definition, ReceiptError> {
    let key = runtime_key(&response.application);
    prove(&receipt.descriptor, root, &key).map_err(ReceiptError::Descriptor)?;
    let definition = order::application(response, Some(&receipt.descriptor.value))
        .map_err(|e| ReceiptError::Descriptor(e.to_string()))?;
    order::in_time(response, &definition, pinned)
        .map_err(|e| ReceiptError::Response(e.to_string()))?;
    Ok(definition)
}

fn endorsed(
    receipt: &Receipt,
    chain: &ChainContext,
    response: &Written<Response>,
    definition: &Definition,
    pinned: Height,
    root: &Hash,
) -> Result<Vec<PublicKey>, ReceiptError> {
    let refuse = |reason: String| ReceiptError::Endorsements(reason);
    if receipt.enclaves.len() != receipt.endorsements.len() {
        return Err(refuse("there is not one record for each".into()));
    }
    let mut quorum = Quorum::new(definition, pinned);
    for (enclave, endorsement) in receipt.enclaves.iter().zip(&receipt.endorsements) {
        let rak = enclave.rak;
        if rak != endorsement.rak {
            return Err(refuse(format!("the record of {rak} stands in another's place")));
        }
        let key = enclave_key(&response.application, &rak);
        prove(&enclave.record, root, &key)
            .map_err(|reason| ReceiptError::Enclave { rak, reason })?;
        quorum
            .add(rak, Some(&enclave.record.value), || {
                hashes::endorsement_is_signed(endorsement, chain, response.bytes())
            })
            .map_err(|e| refuse(e.to_string()))?;
    }
    quorum.satisfied().map_err(|e| refuse(e.to_string()))?;
    let members = quorum.organisations().iter();
    let all = &definition.organisations;
    Ok(members.filter_map(|member| all.get(member as usize).copied()).collect())
}

fn output(receipt: &Receipt, response: &Response) -> Result<Option<Output>, ReceiptError> {
    let wrong = |e: crate::ClientError| ReceiptError::Output(e.to_string());
    match &receipt.reply_key {
        Some(key) => release::open(response, &receipt.opened, key).map(Some).map_err(wrong),
        None => release::matches(response, &receipt.opened).map(|()| None).map_err(wrong),
    }
}

fn client(
    receipt: &Receipt,
    chain: &ChainContext,
    response: &Response,
) -> Result<Option<PublicKey>, ReceiptError> {
    let Some(signed) = &receipt.proposal else { return Ok(None) };
    let wrong = |reason: &str| Err(ReceiptError::Proposal(reason.to_string()));
    if hashes::tx_id(signed) != response.tx_id {
        return wrong("it is that of another transaction");
    }
    if Proposal::decode(&signed.proposal).is_err() || !hashes::proposal_is_signed(signed, chain) {
        return wrong("its form or its signature is not valid");
    }
    Ok(Some(signed.public_key))
}
