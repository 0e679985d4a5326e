//! A member's own service, as its operator and senders ask it.

use paralith_crypto::SigningKey;
use paralith_crypto::sha3::sha3_256;
use paralith_private_contract_core::signed::{is_signed, sign, ticket_bytes};
use paralith_private_contract_grpc::pb;
use paralith_private_contract_grpc::pb::request::What;
use paralith_private_contract_grpc::pb::stakeholder_service_client::StakeholderServiceClient;
use paralith_private_contract_messages::{
    Canonical as _, ContentHash, ContractId, Definition, Receipt, Stored, Upload,
};
use paralith_runtime_abi as abi;
use paralith_types::{ChainContext, PublicKey, Signature};
use prost::Message as _;
use tonic::transport::Channel;

use super::super::request;
use super::{PrivateTx, unverifiable};
use crate::client::refused;
use crate::error::NodeError;
use crate::links::endpoint::{self, Trust};

/// A member's own service.
#[derive(Debug, Clone)]
pub struct MemberClient {
    service: StakeholderServiceClient<Channel>,
    /// Its account, as it says itself: what it signs is verified against it.
    pub account: PublicKey,
    chain: ChainContext,
}

impl MemberClient {
    /// Connects to a member's node.
    pub async fn connect(
        node: &str,
        trust: &Trust,
        chain: ChainContext,
    ) -> Result<Self, NodeError> {
        let channel = endpoint::connect(node, trust).await?;
        let mut service = StakeholderServiceClient::new(channel);
        let status = service.status(pb::StatusRequest {}).await.map_err(|s| refused(&s))?;
        let account = PublicKey::try_from(status.get_ref().account.as_slice());
        Ok(Self { service, account: account.map_err(unverifiable)?, chain })
    }

    /// How it is.
    pub async fn status(&mut self) -> Result<pb::StatusResponse, NodeError> {
        let status = self.service.status(pb::StatusRequest {}).await;
        Ok(status.map_err(|s| refused(&s))?.into_inner())
    }

    fn signed(
        &self,
        key: &SigningKey,
        id: &ContractId,
        height: u64,
        what: What,
    ) -> pb::SignedRequest {
        request::sign(key, &self.chain, &self.account, id, height, what)
    }

    /// Installs a sealed package, of the last accepted definition or of this next one; `key` is the
    /// member's account key.
    pub async fn install(
        &mut self,
        key: &SigningKey,
        id: &ContractId,
        height: u64,
        sealed: Vec<u8>,
        next: Option<&Definition>,
    ) -> Result<pb::InstallPackageResponse, NodeError> {
        let definition = next.map(|next| next.encode());
        let package = pb::InstallPackage { sealed, definition };
        let request = self.signed(key, id, height, What::InstallPackage(package));
        let answer = self.service.install_package(request).await;
        Ok(answer.map_err(|s| refused(&s))?.into_inner())
    }

    /// Its contracts; `key` is the member's account key.
    pub async fn contracts(
        &mut self,
        key: &SigningKey,
        height: u64,
    ) -> Result<Vec<pb::ContractStatus>, NodeError> {
        let none = ContractId([0; 32]);
        let request = self.signed(key, &none, height, What::ListContracts(true));
        let answer = self.service.list_contracts(request).await;
        Ok(answer.map_err(|s| refused(&s))?.into_inner().contracts)
    }

    /// The contract's answer to a query; `key` is the member's account key.
    pub async fn query(
        &mut self,
        key: &SigningKey,
        id: &ContractId,
        height: u64,
        call: &abi::Call,
    ) -> Result<pb::QueryResponse, NodeError> {
        let request = self.signed(key, id, height, What::Query(call.encode_to_vec()));
        Ok(self.service.query(request).await.map_err(|s| refused(&s))?.into_inner())
    }

    /// An entry of the contract's tree; `key` is the member's account key.
    pub async fn prove(
        &mut self,
        key: &SigningKey,
        id: &ContractId,
        height: u64,
        entry: Vec<u8>,
    ) -> Result<pb::GetProofResponse, NodeError> {
        let request = self.signed(key, id, height, What::GetProof(entry));
        Ok(self.service.get_proof(request).await.map_err(|s| refused(&s))?.into_inner())
    }

    pub(super) async fn get_result(
        &mut self,
        sender: &SigningKey,
        id: &ContractId,
        height: u64,
        seq: u64,
    ) -> Result<pb::GetResultResponse, NodeError> {
        let request = self.signed(sender, id, height, What::GetResult(seq));
        Ok(self.service.get_result(request).await.map_err(|s| refused(&s))?.into_inner())
    }

    pub(super) async fn store(
        &mut self,
        sender: &SigningKey,
        tx: &PrivateTx,
        upload: &Upload,
    ) -> Result<Receipt, NodeError> {
        let signature = sign(sender, &self.chain, upload);
        let request = pb::StoreContentRequest {
            ticket: ticket_bytes(upload, &signature),
            sender_seq: tx.sender_seq,
            content: tx.sealed.content.clone(),
        };
        let answer = self.service.store_content(request).await;
        let answer = answer.map_err(|s| refused(&s))?.into_inner();
        let stored = Stored {
            contract_id: tx.contract_id,
            content_hash: ContentHash(sha3_256(&tx.sealed.content)),
            sender: sender.public(),
            sender_seq: tx.sender_seq,
            until: answer.until,
        };
        let signature = Signature::try_from(answer.signature.as_slice()).map_err(unverifiable)?;
        if !is_signed(&self.account, &self.chain, &stored, &signature) {
            return Err(unverifiable("the member's receipt does not verify"));
        }
        Ok(Receipt { index: answer.index, until: answer.until, signature })
    }
}
