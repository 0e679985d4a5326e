//! `StakeholderService`: what the operator of this member and senders ask it.

use std::sync::Arc;

use paralith_consensus_api::address;
use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::StakeholderError;
use paralith_private_contract_core::class::Class;
use paralith_private_contract_core::disclosure::seal_reply;
use paralith_private_contract_core::signed::{is_signed, read_ticket, sign};
use paralith_private_contract_core::vote::{Results, TxResult};
use paralith_private_contract_grpc::pb;
use paralith_private_contract_grpc::pb::request::What;
use paralith_private_contract_grpc::pb::stakeholder_service_server::StakeholderService;
use paralith_private_contract_messages::{
    ContractId, Definition, MAX_CALL_BYTES, MAX_CONTENT_BYTES, Stored, TransactionStatus, Upload,
};
use paralith_private_contract_stakeholder::{BatchLog, CallLog, ServiceError, Stakeholder};
use paralith_proto::Canonical as _;
use paralith_runtime_abi as abi;
use paralith_types::{Hash, Height, PublicKey};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::request::{self, Verified};
use super::serve::refused;
use super::tickets::check_certificate;
use super::{Shared, follow, lock};
use crate::error::NodeError;
use crate::rpc::bad_argument;

/// Blocks for which a content is kept at most before its transaction is final.
const CONTENT_BLOCKS: u64 = 1000;

type Answered<T> = Result<Response<T>, Status>;

/// The service of this member.
#[derive(Debug, Clone)]
pub(super) struct MemberService(pub(super) Arc<Shared>);

fn failed(error: ServiceError) -> Status {
    refused(error)
}

fn unknown() -> Status {
    refused(StakeholderError::NoSuchContract)
}

fn not_allowed() -> Status {
    refused(StakeholderError::NotAllowed)
}

impl MemberService {
    fn verify(&self, signed: &pb::SignedRequest) -> Result<Verified, Status> {
        let height = self.0.snapshot()?.height;
        request::verify(signed, &self.0.config.chain_context, &self.0.account(), height)
    }

    /// PC-22: a request that only this member's operator may make: its account signs.
    fn of_operator(&self, signed: &pb::SignedRequest) -> Result<Verified, Status> {
        let verified = self.verify(signed)?;
        if verified.signer != self.0.account() {
            return Err(not_allowed());
        }
        Ok(verified)
    }

    /// This member's index in the definition that comes or is in force.
    fn index(&self, members: &[PublicKey]) -> Result<u32, Status> {
        let place = members.iter().position(|member| *member == self.0.account());
        let index = place.and_then(|place| u32::try_from(place).ok());
        index.ok_or_else(|| refused(StakeholderError::NotAMember))
    }

    async fn install(
        &self,
        id: ContractId,
        request: pb::InstallPackage,
    ) -> Result<pb::InstallPackageResponse, Status> {
        let contract = self.0.contract(id)?;
        let record = contract.record().map_err(failed)?.ok_or_else(unknown)?;
        // The operator signed the request: it is the one that is about to be agreed to.
        let next = request.definition.as_deref();
        let next = next.map(|next| Definition::decode(next, MAX_CALL_BYTES)).transpose();
        let next = next.map_err(|e| bad_argument("definition", e))?;
        let definition = match &next {
            Some(next) => next.clone(),
            None => contract.definition(record.newest_version()).map_err(failed)?.definition,
        };
        let index = self.index(&definition.members)?;
        let (place, hash) = (*contract.place(), definition.package_hash);
        let keys = &self.0.config.keys;
        let package = keys
            .open_package(&place, &record.owner, &hash, index, &request.sealed)
            .ok_or_else(|| refused(StakeholderError::PackageDiffers))?;
        let (engine, store) = (&self.0.engine, self.0.store(&id));
        let gas_limit = definition.terms.gas_limit;
        let installed = Stakeholder::install(engine, place, &store, package, gas_limit).await;
        let installed = installed.map_err(failed)?;
        if let Some(next) = &next {
            store.put_expected(next).map_err(failed)?;
        }
        let is_new = !self.0.is_installed(&id).map_err(failed)?;
        self.0.mark_installed(&id).map_err(failed)?;
        if is_new {
            // Full only after as many contracts as a member can have.
            let _ = self.0.installed.send(id).await;
        }
        // Members of the next definition connect from now on.
        self.0.list_members().map_err(failed)?;
        let (batch, root) = self.tip(&id)?;
        Ok(pb::InstallPackageResponse {
            package_hash: installed.package_hash.0.to_vec(),
            batch,
            root: root.0.to_vec(),
        })
    }

    fn tip(&self, id: &ContractId) -> Result<(u64, Hash), Status> {
        let latest = self.0.store(id).tree().latest().map_err(|e| failed(e.into()))?;
        latest.ok_or_else(unknown)
    }

    fn status_of(&self, id: ContractId) -> Result<pb::ContractStatus, Status> {
        let (batch, root) = self.tip(&id)?;
        let fault = lock(&self.0.contracts).get(&id).map(|running| running.fault.clone());
        let vote = self.0.store(&id).newest_vote().map_err(failed)?;
        Ok(pb::ContractStatus {
            contract_id: id.0.to_vec(),
            batch,
            root: root.0.to_vec(),
            fault: fault.unwrap_or_else(|| "it is about to start".to_string()),
            voted_batch: vote.map_or(0, |vote| vote.batch),
        })
    }

    /// The log of a transaction's batch, for its sender.
    fn log_of(&self, id: ContractId, seq: u64, signer: &PublicKey) -> Result<BatchLog, Status> {
        let contract = self.0.contract(id)?;
        let record = contract.transaction(seq).map_err(failed)?;
        if record.sender != *signer {
            return Err(refused(StakeholderError::NotTheSender { seq }));
        }
        let batch = record.batch;
        match record.status {
            TransactionStatus::Pending | TransactionStatus::Open => {
                return Err(refused(StakeholderError::NotExecuted { batch }));
            }
            TransactionStatus::No => return Err(refused(StakeholderError::Dropped { batch })),
            _ => {}
        }
        let done = contract.final_batch(batch).map_err(failed)?;
        let done = done.ok_or_else(|| refused(StakeholderError::Dropped { batch }))?;
        let store = self.0.store(&id);
        // Only the log that led to the final root.
        if store.tree().root(batch).map_err(|e| failed(e.into()))? != Some(done.root) {
            return Err(refused(StakeholderError::NotExecuted { batch }));
        }
        let log = store.log(batch).map_err(failed)?;
        let log = log.filter(|log| !log.calls.is_empty());
        log.ok_or_else(|| refused(StakeholderError::Dropped { batch }))
    }

    fn result(
        &self,
        id: ContractId,
        seq: u64,
        signer: &PublicKey,
    ) -> Result<pb::GetResultResponse, Status> {
        let log = self.log_of(id, seq, signer)?;
        let dropped = || refused(StakeholderError::Dropped { batch: log.batch });
        let results: Option<Vec<TxResult>> = log.calls.iter().map(result_of).collect();
        let results = Results::new(&results.ok_or_else(dropped)?);
        let place = log.calls.iter().position(|call| call.seq == seq).ok_or_else(dropped)?;
        let call = log.calls.get(place).ok_or_else(dropped)?;
        let path = results.path(place).ok_or_else(dropped)?;
        let sealed_output = match <[u8; 32]>::try_from(call.content_key.as_slice()) {
            Ok(sk) => seal_reply(&ContentKey::new(sk), &id, seq, &call.output),
            Err(_) => Vec::new(),
        };
        Ok(pb::GetResultResponse {
            batch: log.batch,
            sealed_output,
            class: call.class,
            leaf_index: path.index,
            leaf_count: path.total,
            leaf_path: path.path.iter().map(|hash| hash.0.to_vec()).collect(),
        })
    }

    /// PC-23: verifies an upload and keeps its content.
    fn store(&self, request: pb::StoreContentRequest) -> Result<pb::StoreContentResponse, Status> {
        let ticket = |reason| refused(StakeholderError::Ticket { reason });
        let (upload, signature) = read_ticket::<Upload>(&request.ticket)
            .ok_or_else(|| ticket("it is no signed upload"))?;
        let sender = upload.certificate.subject;
        let chain = &self.0.config.chain_context;
        if !is_signed(&sender, chain, &upload, &signature) {
            return Err(ticket("the certificate's subject has not signed it"));
        }
        let contract = self.0.contract(upload.contract_id)?;
        let height = contract.height();
        if upload.expires <= height {
            return Err(ticket("it has expired"));
        }
        if usize::try_from(upload.length) != Ok(request.content.len()) {
            return Err(refused(StakeholderError::ContentSize { limit: upload.length }));
        }
        let certified = check_certificate(&self.0, &contract, &upload.certificate, Height(height));
        certified.map_err(|_| ticket("its certificate does not count"))?;
        let record = contract.record().map_err(failed)?.ok_or_else(unknown)?;
        let version = record.newest_version();
        let definition = contract.definition(version).map_err(failed)?.definition;
        let index = self.index(&definition.members)?;
        let until = upload.expires.saturating_sub(1).min(height.saturating_add(CONTENT_BLOCKS));
        let store = self.0.store(&upload.contract_id);
        let kept = store.keep_content(&upload.content_hash, version, until, &request.content);
        if !kept.map_err(failed)? {
            let reason = "this member keeps too many contents already: try another one, or later";
            return Err(NodeError::NotReady { reason: reason.to_string() }.into());
        }
        let stored = Stored {
            contract_id: upload.contract_id,
            content_hash: upload.content_hash,
            sender,
            sender_seq: request.sender_seq,
            until,
        };
        let signature = sign(self.0.config.keys.account_key(), chain, &stored);
        Ok(pb::StoreContentResponse { index, until, signature: signature.0.to_vec() })
    }
}

/// A call of a log as a leaf of its batch.
fn result_of(call: &CallLog) -> Option<TxResult> {
    let class = [Class::Malformed, Class::Missing, Class::Failed, Class::Executed]
        .into_iter()
        .find(|class| *class as u32 == call.class)?;
    let blinding = Hash(call.blinding.as_slice().try_into().ok()?);
    Some(TxResult { seq: call.seq, class, blinding, output: call.output.clone() })
}

#[tonic::async_trait]
impl StakeholderService for MemberService {
    async fn install_package(
        &self,
        request: Request<pb::SignedRequest>,
    ) -> Answered<pb::InstallPackageResponse> {
        let verified = self.of_operator(request.get_ref())?;
        let What::InstallPackage(package) = verified.what else { return Err(not_allowed()) };
        self.install(verified.contract_id, package).await.map(Response::new)
    }

    async fn list_contracts(
        &self,
        request: Request<pb::SignedRequest>,
    ) -> Answered<pb::ListContractsResponse> {
        let verified = self.of_operator(request.get_ref())?;
        let What::ListContracts(_) = verified.what else { return Err(not_allowed()) };
        let installed = self.0.installed().map_err(failed)?;
        let contracts = installed.into_iter().map(|id| self.status_of(id));
        let contracts = contracts.collect::<Result<_, _>>()?;
        Ok(Response::new(pb::ListContractsResponse { contracts }))
    }

    async fn query(&self, request: Request<pb::SignedRequest>) -> Answered<pb::QueryResponse> {
        let verified = self.of_operator(request.get_ref())?;
        let What::Query(call) = verified.what else { return Err(not_allowed()) };
        let call = abi::Call::decode(call.as_slice()).map_err(|e| bad_argument("query", e))?;
        let contract = self.0.contract(verified.contract_id)?;
        let record = contract.record().map_err(failed)?.ok_or_else(unknown)?;
        let definition = contract.definition(record.version).map_err(failed)?.definition;
        let store = self.0.store(&verified.contract_id);
        let caller = address::of_key(&verified.signer).as_bytes().to_vec();
        let (engine, place) = (&self.0.engine, *contract.place());
        let asked = Stakeholder::query(engine, place, &store, &definition, caller, call);
        let answer = asked.await.map_err(failed)?;
        Ok(Response::new(pb::QueryResponse {
            output: answer.output.encode(),
            batch: answer.tip.batch,
            root: answer.tip.root.0.to_vec(),
        }))
    }

    async fn get_result(
        &self,
        request: Request<pb::SignedRequest>,
    ) -> Answered<pb::GetResultResponse> {
        let verified = self.verify(request.get_ref())?;
        let What::GetResult(seq) = verified.what else { return Err(not_allowed()) };
        self.result(verified.contract_id, seq, &verified.signer).map(Response::new)
    }

    async fn get_proof(
        &self,
        request: Request<pb::SignedRequest>,
    ) -> Answered<pb::GetProofResponse> {
        let verified = self.of_operator(request.get_ref())?;
        let What::GetProof(key) = verified.what else { return Err(not_allowed()) };
        let (batch, root) = self.tip(&verified.contract_id)?;
        let tree = self.0.store(&verified.contract_id).tree().clone();
        let (held, proof) = tree.prove(batch, &key).map_err(|e| failed(e.into()))?;
        let (root, proof) = (root.0.to_vec(), proof.to_bytes());
        Ok(Response::new(pb::GetProofResponse { batch, root, held, proof }))
    }

    async fn store_content(
        &self,
        request: Request<pb::StoreContentRequest>,
    ) -> Answered<pb::StoreContentResponse> {
        let request = request.into_inner();
        if request.content.len() > MAX_CONTENT_BYTES as usize {
            return Err(refused(StakeholderError::ContentSize { limit: MAX_CONTENT_BYTES }));
        }
        paralith_rt::in_place(|| self.store(request)).map(Response::new)
    }

    async fn status(&self, _request: Request<pb::StatusRequest>) -> Answered<pb::StatusResponse> {
        let mediator = self.0.mediator.get().ok_or_else(super::not_ready)?;
        let follower = self.0.follower.get().ok_or_else(super::not_ready)?;
        let applied = *follower.applied().borrow();
        let has_keys = match (follow::own_keys(&self.0), self.0.state()) {
            (Some(own), Ok(state)) => follow::has_keys(&state, &own, &self.0.account()),
            _ => false,
        };
        Ok(Response::new(pb::StatusResponse {
            account: self.0.account().0.to_vec(),
            mediator: mediator.0.to_vec(),
            round: applied.round.0,
            height: applied.height.0,
            has_keys,
        }))
    }
}
