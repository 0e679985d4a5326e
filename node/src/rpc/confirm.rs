//! What becomes of a transaction that was handed in: accepted, softly confirmed, final.

use paralith_proto::pb::paratime::v1 as ppb;
use paralith_types::{Hash, Round, RuntimeId};
use paralith_worker::{Chain as _, Confirmation};
use paratime_api::tx;
use tokio::sync::mpsc;
use tonic::Status;

use super::paratime::{ParaTime, receipt, runtime_of};
use crate::client::refused;
use crate::error::NodeError;

/// How many blocks a transaction is waited for before it is handed in again: whoever had it may be
/// gone, or no member of the committee any more.
const AGAIN_BLOCKS: u32 = 20;

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
        self.hand_in(&id, raw.clone()).await?;
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
            refused = self.keep_in(&id, &raw) => Err(refused),
        }
    }

    /// Hands an accepted transaction in again and again, until the committee refuses it: it cannot
    /// become final any more, e.g. because its envelope's epoch is over.
    async fn keep_in(&self, id: &RuntimeId, raw: &[u8]) -> Status {
        use tokio::sync::broadcast::error::RecvError;
        let mut blocks = self.state.chain.subscribe();
        let (mut waited, mut was_refused) = (0, false);
        loop {
            if matches!(blocks.recv().await, Err(RecvError::Closed)) {
                return std::future::pending().await;
            }
            waited += 1;
            if waited < AGAIN_BLOCKS {
                continue;
            }
            waited = 0;
            match self.hand_in(id, raw.to_vec()).await {
                Err(status) if is_final_word(&status) => {
                    // A member that applies the round with it refuses it, too: whoever looks for
                    // the receipt is given time to find it.
                    if was_refused {
                        return status;
                    }
                    was_refused = true;
                }
                _ => was_refused = false,
            }
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
            let data = self.next_round(id, after).await?;
            if let Some(receipt) = receipt(&data, hash) {
                let _ = sender.send(Ok(receipt)).await;
                return Ok(());
            }
            after = after.next();
        }
        Ok(())
    }
}

/// Whether a refusal is about the transaction, and not about who was asked or when: the pool is
/// full, has it already, knows it as final, is not ready, has no keys yet, stops.
fn is_final_word(status: &Status) -> bool {
    match refused(status) {
        NodeError::Refused { module, code, .. } => match module.as_str() {
            "worker" => !matches!(code, 1 | 2 | 3 | 5 | 11 | 12),
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
