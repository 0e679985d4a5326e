//! `PrivateContractService`: public state of contracts, with proofs, for anyone. Also puts both services for
//! users together.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use paralith_private_contract_grpc::pb;
use paralith_private_contract_grpc::pb::private_contract_service_server::{
    PrivateContractService, PrivateContractServiceServer,
};
use paralith_private_contract_grpc::pb::stakeholder_service_server::StakeholderServiceServer;
use paralith_private_contract_messages::{
    Canonical, ContractId, ContractRecord, TransactionRecord, keys as places,
};
use paralith_storage::{StorageError, Tree};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Shared;
use super::follow::MAX_RECORD_BYTES;
use super::member::MemberService;
use super::serve::{contract_id, refused};
use crate::rpc::PublicService;

/// Longest request of a member's service: a sealed package.
const MAX_REQUEST_BYTES: usize = paralith_private_contract_core::sealing::MAX_PACKAGE_BYTES + 4096;
/// Answers that wait for a slow watcher.
const WATCHED: usize = 16;

type Answered<T> = Result<Response<T>, Status>;
type Watched = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

/// Both services for users.
pub(super) fn services(shared: &Arc<Shared>) -> PublicService {
    let shared = Arc::clone(shared);
    PublicService {
        add: Arc::new(move |routes| {
            let member = StakeholderServiceServer::new(MemberService(Arc::clone(&shared)))
                .max_decoding_message_size(MAX_REQUEST_BYTES);
            let public = PrivateContractServiceServer::new(Public(Arc::clone(&shared)));
            routes.add_service(member).add_service(public)
        }),
        descriptors: paralith_private_contract_grpc::DESCRIPTORS,
    }
}

#[derive(Debug, Clone)]
struct Public(Arc<Shared>);

/// A round's state, of which records are proven.
struct Proving {
    tree: Tree,
    version: u64,
    at: pb::ProvenAt,
}

fn storage(error: StorageError) -> Status {
    refused(paralith_private_contract_stakeholder::ServiceError::from(error))
}

impl Proving {
    fn newest(shared: &Shared) -> Result<Self, Status> {
        let follower = shared.follower.get().ok_or_else(super::not_ready)?;
        let applied = *follower.applied().borrow();
        let tree = follower.tree().clone();
        let version = tree.at_most(applied.round.0).map_err(storage)?;
        let (version, root) = version.ok_or_else(super::not_ready)?;
        let at = pb::ProvenAt {
            round: applied.round.0,
            state_root: root.0.to_vec(),
            height: applied.height.0,
        };
        Ok(Self { tree, version, at })
    }

    fn prove(&self, key: Vec<u8>) -> Result<pb::ProvenRecord, Status> {
        let (value, proof) = self.tree.prove(self.version, &key).map_err(storage)?;
        Ok(pb::ProvenRecord { key, value, proof: proof.to_bytes() })
    }
}

fn decoded<T: Canonical>(record: &pb::ProvenRecord) -> Option<T> {
    T::decode(record.value.as_ref()?, MAX_RECORD_BYTES).ok()
}

impl Public {
    fn contract(&self, id: ContractId) -> Result<pb::GetContractResponse, Status> {
        let proving = Proving::newest(&self.0)?;
        let contract = proving.prove(places::contract(&id))?;
        let record: Option<ContractRecord> = decoded(&contract);
        let (version, keys_version) =
            record.map_or((0, 0), |record| (record.version, record.keys_version));
        Ok(pb::GetContractResponse {
            definition: Some(proving.prove(places::definition(&id, version))?),
            key_set: Some(proving.prove(places::key_set(&id, keys_version))?),
            contract: Some(contract),
            at: Some(proving.at),
        })
    }
}

#[tonic::async_trait]
impl PrivateContractService for Public {
    type WatchStream = Watched;

    async fn get_contract(
        &self,
        request: Request<pb::GetContractRequest>,
    ) -> Answered<pb::GetContractResponse> {
        let id = contract_id(&request.get_ref().contract_id)?;
        paralith_rt::in_place(|| self.contract(id)).map(Response::new)
    }

    async fn get_transaction(
        &self,
        request: Request<pb::GetTransactionRequest>,
    ) -> Answered<pb::GetTransactionResponse> {
        let id = contract_id(&request.get_ref().contract_id)?;
        let seq = request.get_ref().seq;
        let proven = paralith_rt::in_place(|| {
            let proving = Proving::newest(&self.0)?;
            let transaction = proving.prove(places::transaction(&id, seq))?;
            let record: Option<TransactionRecord> = decoded(&transaction);
            let batch = record.map(|record| record.batch).filter(|batch| *batch != 0);
            let batch = batch.map(|batch| proving.prove(places::final_batch(&id, batch)));
            Ok::<_, Status>(pb::GetTransactionResponse {
                transaction: Some(transaction),
                batch: batch.transpose()?,
                at: Some(proving.at),
            })
        });
        proven.map(Response::new)
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Answered<Watched> {
        let id = contract_id(&request.get_ref().contract_id)?;
        let (sender, receiver) = mpsc::channel(WATCHED);
        let shared = Arc::clone(&self.0);
        paralith_rt::spawn(async move {
            let mut snapshots = shared.snapshots.subscribe();
            let mut last = None;
            loop {
                let answer = paralith_rt::in_place(|| {
                    let proving = Proving::newest(&shared)?;
                    let contract = proving.prove(places::contract(&id))?;
                    Ok(pb::WatchResponse { at: Some(proving.at), contract: Some(contract) })
                });
                let value = |answer: &pb::WatchResponse| answer.contract.as_ref()?.value.clone();
                let is_new = answer.as_ref().map_or(true, |answer| Some(value(answer)) != last);
                last = answer.as_ref().ok().map(value);
                let is_end = answer.is_err();
                if is_new && sender.send(answer).await.is_err() || is_end {
                    return;
                }
                tokio::select! {
                    () = sender.closed() => return,
                    changed = snapshots.changed() => if changed.is_err() { return },
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
