//! What becomes of a transaction that was handed in: accepted, softly confirmed, final.

use std::time::Duration;

use paralith_proto::Wire as _;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx;
use paralith_runtime_worker::{Chain as _, ChainBlock, Confirmation, WorkerError};
use paralith_types::{Hash, Round, RuntimeId};
use tokio::sync::mpsc;
use tonic::{Code, Status};

use super::paratime::{ParaTime, link_status, runtime_of};
use super::refusal;
use crate::client::refused;
use crate::error::NodeError;
use crate::links::worker_status;

/// How many blocks a transaction is waited for before it is handed in again: whoever had it may be
/// gone, or no member of the committee any more.
const AGAIN_BLOCKS: u32 = 20;

/// How long a committee that cannot answer is asked again.
const PATIENCE: Duration = Duration::from_secs(3);

impl ParaTime {
    /// Hands a transaction in and tells the sender what becomes of it.
    pub(super) async fn confirm(
        &self,
        raw: Vec<u8>,
        wait_for: ppb::Confirmation,
        sender: &mpsc::Sender<Result<ppb::Receipt, Status>>,
    ) -> Result<(), Status> {
        let id = runtime_of(&raw)?;
        let hash = tx::hash_of(&raw);
        let before = self.newest_round(&id).await?;
        let mut soft = self.state.services.worker(&id).map(|w| w.subscribe_confirmations());
        self.hand_in_patiently(&id, &raw).await?;
        let accepted = ppb::Receipt {
            tx_hash: hash.as_bytes().to_vec(),
            confirmation: ppb::Confirmation::Accepted as i32,
            ..ppb::Receipt::default()
        };
        let _ = sender.send(Ok(accepted)).await;
        if wait_for == ppb::Confirmation::Accepted {
            return Ok(());
        }
        let softly = async {
            let Some(confirmations) = &mut soft else { return std::future::pending().await };
            loop {
                match confirmations.recv().await {
                    Ok(confirmation) => {
                        if let Some(receipt) = soft_receipt(confirmation, &hash) {
                            let _ = sender.send(Ok(receipt)).await;
                            if wait_for == ppb::Confirmation::Soft {
                                return;
                            }
                        }
                    }
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => {
                        return std::future::pending().await;
                    }
                }
            }
        };
        let finally = self.send_final(&id, before, &hash, sender);
        tokio::select! {
            biased;
            finished = finally => finished,
            () = softly => Ok(()),
            earlier = self.keep_in(&id, &raw, &hash) => {
                let _ = sender.send(Ok(earlier?)).await;
                Ok(())
            }
        }
    }

    /// As [`ParaTime::ask`], with patience.
    pub(super) async fn ask_patiently(
        &self,
        query: &Query,
        raw: &[u8],
    ) -> Result<ppb::QueryResponse, Status> {
        let mut patience = self.patience();
        loop {
            match self.ask(query, raw).await {
                Err(status) if patience.allows(&status).await => {}
                answered => return answered,
            }
        }
    }

    async fn hand_in_patiently(&self, id: &RuntimeId, raw: &[u8]) -> Result<(), Status> {
        let mut patience = self.patience();
        loop {
            match self.hand_in(id, raw.to_vec(), 0).await {
                Err(status) if patience.allows(&status).await => {}
                handed_in => return handed_in,
            }
        }
    }

    fn patience(&self) -> Patience {
        let until = tokio::time::Instant::now() + PATIENCE;
        Patience { until, blocks: self.state.chain.subscribe() }
    }

    /// Asks the members of the committee in turn, until one answers that has the newest state known
    /// here: who has seen a round final does not get an answer from before it.
    pub(super) async fn ask(
        &self,
        query: &Query,
        raw: &[u8],
    ) -> Result<ppb::QueryResponse, Status> {
        let mut last = refusal(Code::Unavailable, "node", 9, "no committee member answers");
        let newest = self.newest_state(&query.runtime_id).await?;
        for member in self.members(&query.runtime_id).await? {
            let own = (member == self.state.node_id)
                .then(|| self.state.services.worker(&query.runtime_id));
            let answer = match own.flatten() {
                Some(worker) => {
                    worker.run_query(query.to_pb()).await.map_err(|e| worker_status(&e))
                }
                None => {
                    let asked = self.state.links.run_query(&member, raw.to_vec());
                    asked.await.map_err(|e| link_status(&e))
                }
            };
            match answer {
                Ok(answer) if answer.round < newest.0 => {
                    let text = "the committee's members have not applied the newest round yet";
                    last = refusal(Code::Unavailable, "node", 9, text);
                }
                Ok(answer) => {
                    return Ok(ppb::QueryResponse {
                        round: answer.round,
                        state_root: answer.state_root,
                        output: answer.output,
                    });
                }
                Err(status) => last = status,
            }
        }
        Err(last)
    }

    /// Hands an accepted transaction in again and again, each time to another member first, until
    /// the committee refuses it: it cannot become final any more, e.g. because its envelope's epoch
    /// is over. It may have been final already, when somebody accepted it who did not know that
    /// yet: then its receipt is given.
    async fn keep_in(
        &self,
        id: &RuntimeId,
        raw: &[u8],
        hash: &Hash,
    ) -> Result<ppb::Receipt, Status> {
        use tokio::sync::broadcast::error::RecvError;
        let mut blocks = self.state.chain.subscribe();
        let (mut waited, mut others, mut was_refused) = (0, 0, false);
        loop {
            if matches!(blocks.recv().await, Err(RecvError::Closed)) {
                return std::future::pending().await;
            }
            waited += 1;
            if waited < AGAIN_BLOCKS {
                continue;
            }
            (waited, others) = (0, others + 1);
            let Err(status) = self.hand_in(id, raw.to_vec(), others).await else {
                was_refused = false;
                continue;
            };
            if let Some(round) = final_round(&status)
                && let Some(receipt) = self.receipt_in(id, round, hash).await
            {
                return Ok(receipt);
            }
            // A member that applies the round with it refuses it, too: whoever looks for the
            // receipt is given time to find it.
            let is_final_word = is_final_word(&status);
            if is_final_word && was_refused {
                return Err(status);
            }
            was_refused = is_final_word;
        }
    }

    /// Looks through the rounds after `after` for a transaction and sends its receipt.
    async fn send_final(
        &self,
        id: &RuntimeId,
        mut after: Round,
        hash: &Hash,
        sender: &mpsc::Sender<Result<ppb::Receipt, Status>>,
    ) -> Result<(), Status> {
        while !sender.is_closed() {
            let round = self.next_round(id, after).await?;
            if let Some(receipt) = round.receipt(hash) {
                let _ = sender.send(Ok(receipt)).await;
                return Ok(());
            }
            after = after.next();
        }
        Ok(())
    }
}

/// Asking again, with every block for some time, while the committee has nobody who can answer: an
/// epoch begins with a new committee, whose members get their keys first.
struct Patience {
    until: tokio::time::Instant,
    blocks: tokio::sync::broadcast::Receiver<ChainBlock>,
}

impl Patience {
    /// Whether the refusal may pass and there is time left; if so, a block later.
    async fn allows(&mut self, status: &Status) -> bool {
        let passes = matches!(status.code(), Code::Unavailable | Code::FailedPrecondition);
        if !passes || tokio::time::Instant::now() >= self.until {
            return false;
        }
        // Late or lagging: it is asked again all the same. Closed: no block comes any more.
        let came = tokio::time::timeout_at(self.until, self.blocks.recv()).await;
        !matches!(came, Ok(Err(tokio::sync::broadcast::error::RecvError::Closed)))
    }
}

/// The round of which a member says that the transaction is final in it.
fn final_round(status: &Status) -> Option<Round> {
    match refused(status) {
        NodeError::Refused(error) if error.module == "worker" => {
            WorkerError::final_round(error.code, &error.message).map(Round)
        }
        _ => None,
    }
}

/// Whether a refusal is about the transaction, and not about who was asked or when, or that it is
/// final.
fn is_final_word(status: &Status) -> bool {
    match refused(status) {
        NodeError::Refused(error) => match error.module.as_str() {
            "worker" => {
                let is_final = WorkerError::final_round(error.code, &error.message).is_some();
                !is_final && !WorkerError::NOT_YET.contains(&error.code)
            }
            "node" | "worker-link" | "roothash" | "grpc" => false,
            _ => true,
        },
        _ => false,
    }
}

/// The soft receipt of a transaction, if this confirmation is of its round.
fn soft_receipt(confirmation: Confirmation, hash: &Hash) -> Option<ppb::Receipt> {
    let Confirmation::Soft { round, proposal, votes, tx_hashes } = confirmation else {
        return None;
    };
    tx_hashes.contains(hash).then(|| ppb::Receipt {
        tx_hash: hash.as_bytes().to_vec(),
        confirmation: ppb::Confirmation::Soft as i32,
        round,
        proposal: Some(proposal),
        votes,
        ..ppb::Receipt::default()
    })
}
