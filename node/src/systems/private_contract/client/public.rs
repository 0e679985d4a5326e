//! `PrivateContractService` of a member's node, as anybody asks it. Every record is verified: under the state
//! root of a round of the mediator, whose header the chain proves.

use paralith_consensus_api::roothash::{self, Header};
use paralith_private_contract_core::messages::keys as places;
use paralith_private_contract_grpc::pb;
use paralith_private_contract_grpc::pb::private_contract_service_client::PrivateContractServiceClient;
use paralith_private_contract_messages::{
    Canonical, ContractId, ContractRecord, FinalBatch, TransactionRecord,
};
use paralith_storage::Proof;
use paralith_types::{Hash, Round};
use tonic::transport::Channel;

use super::super::follow::MAX_RECORD_BYTES;
use super::{ContractClient, not_found, unverifiable};
use crate::client::refused;
use crate::error::NodeError;
use crate::links::endpoint::{self, Trust};

/// A node's newest round is proven by a block or two that come after it.
const BLOCKS_AHEAD: u32 = 3;

/// The public service of a member's node.
#[derive(Debug, Clone)]
pub struct PublicClient {
    service: PrivateContractServiceClient<Channel>,
}

/// A transaction, and the batch in which it ended YES.
#[derive(Debug, Clone)]
pub struct ProvenTransaction {
    /// The round of the mediator after which it was so.
    pub round: Round,
    /// It.
    pub record: TransactionRecord,
    /// Its batch; none if it did not end YES, or is not final.
    pub batch: Option<FinalBatch>,
}

/// A record that is what it claims to be under a root; none if it is proven that there is none.
fn checked<T: Canonical>(
    record: Option<&pb::ProvenRecord>,
    key: &[u8],
    root: &Hash,
) -> Result<Option<T>, NodeError> {
    let record = record.ok_or_else(|| unverifiable("a record is missing"))?;
    if record.key != key {
        return Err(unverifiable("it proves another record"));
    }
    let proof = Proof::from_bytes(&record.proof).map_err(unverifiable)?;
    proof.verify(root, key, record.value.as_deref()).map_err(unverifiable)?;
    let read = |bytes: &Vec<u8>| T::decode(bytes, MAX_RECORD_BYTES).map_err(unverifiable);
    record.value.as_ref().map(read).transpose()
}

/// The state root that an answer names, if the chain proves it.
async fn proven_root(
    client: &mut ContractClient,
    at: Option<&pb::ProvenAt>,
) -> Result<(Round, Hash), NodeError> {
    let at = at.ok_or_else(|| unverifiable("an answer without a round"))?;
    let (round, claimed) = (Round(at.round), Hash::try_from(at.state_root.as_slice()));
    let claimed = claimed.map_err(unverifiable)?;
    let key = roothash::keys::header(&client.mediator.runtime.id, round);
    let mut header: Option<Header> = client.chain.get(&key).await?;
    let mut tries = 0;
    while header.is_none() && tries < BLOCKS_AHEAD {
        tries += 1;
        let next = client.chain.sync().await?.next();
        client.chain.sync_to(next).await?;
        header = client.chain.get(&key).await?;
    }
    let header = header.ok_or_else(|| NodeError::NotReady {
        reason: format!(
            "the chain does not prove round {round} of the mediator (any more): the member's node may lag \
             behind. Try again, or ask without --member"
        ),
    })?;
    if header.state_root != claimed {
        return Err(unverifiable("the chain has another state root for this round"));
    }
    Ok((round, claimed))
}

impl PublicClient {
    /// Connects to a member's node.
    pub async fn connect(node: &str, trust: &Trust) -> Result<Self, NodeError> {
        let channel = endpoint::connect(node, trust).await?;
        let service = PrivateContractServiceClient::new(channel)
            .max_decoding_message_size(8 * MAX_RECORD_BYTES);
        Ok(Self { service })
    }

    /// A contract's record. `client` verifies, and may be connected to another node.
    pub async fn contract(
        &mut self,
        client: &mut ContractClient,
        id: &ContractId,
    ) -> Result<ContractRecord, NodeError> {
        let request = pb::GetContractRequest { contract_id: id.0.to_vec() };
        let answer =
            self.service.get_contract(request).await.map_err(|s| refused(&s))?.into_inner();
        let (_, root) = proven_root(client, answer.at.as_ref()).await?;
        let record = checked(answer.contract.as_ref(), &places::contract(id), &root)?;
        record.ok_or_else(|| not_found("contract", id.to_hex()))
    }

    /// A transaction.
    pub async fn transaction(
        &mut self,
        client: &mut ContractClient,
        id: &ContractId,
        seq: u64,
    ) -> Result<ProvenTransaction, NodeError> {
        let request = pb::GetTransactionRequest { contract_id: id.0.to_vec(), seq };
        let answer = self.service.get_transaction(request).await;
        let answer = answer.map_err(|s| refused(&s))?.into_inner();
        let (round, root) = proven_root(client, answer.at.as_ref()).await?;
        let record: Option<TransactionRecord> =
            checked(answer.transaction.as_ref(), &places::transaction(id, seq), &root)?;
        let record =
            record.ok_or_else(|| not_found("transaction", format!("{seq} of {}", id.to_hex())))?;
        let batch = match record.batch {
            0 => None,
            batch => checked(answer.batch.as_ref(), &places::final_batch(id, batch), &root)?,
        };
        Ok(ProvenTransaction { round, record, batch })
    }

    /// Reports a contract's record after each change that the node sees.
    pub async fn watch(&mut self, id: &ContractId) -> Result<Watching, NodeError> {
        let request = pb::WatchRequest { contract_id: id.0.to_vec() };
        let stream = self.service.watch(request).await.map_err(|s| refused(&s))?.into_inner();
        Ok(Watching { id: *id, stream })
    }
}

/// A contract's records as they come.
#[derive(Debug)]
pub struct Watching {
    id: ContractId,
    stream: tonic::Streaming<pb::WatchResponse>,
}

impl Watching {
    /// The next record; none when the node ends the stream.
    pub async fn next(
        &mut self,
        client: &mut ContractClient,
    ) -> Result<Option<ContractRecord>, NodeError> {
        let Some(answer) = self.stream.message().await.map_err(|s| refused(&s))? else {
            return Ok(None);
        };
        let (_, root) = proven_root(client, answer.at.as_ref()).await?;
        let record = checked(answer.contract.as_ref(), &places::contract(&self.id), &root)?;
        record.map(Some).ok_or_else(|| not_found("contract", self.id.to_hex()))
    }
}
