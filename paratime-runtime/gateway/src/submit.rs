//! What becomes of a transaction that was submitted: accepted, softly confirmed, final.

use std::sync::Arc;

use paralith_proto::pb::paratime::v1 as ppb;
use paralith_runtime_api::tx;
use paralith_runtime_worker::{
    ChainBlock, Confirmation, FinalRound, MODULE, Submission, WorkerError,
};
use paralith_types::{Hash, Retry, Round, RuntimeId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::retry::RetryBudget;
use crate::{Gateway, GatewayError, MAX_TX_BYTES};

/// How many blocks a transaction is waited for before it is submitted again: the member that had it
/// may be gone, or no member any more.
pub(crate) const AGAIN_BLOCKS: u32 = 20;

/// How many blocks a watcher waits for a round's outputs before it gets the round without them.
pub(crate) const OPEN_BLOCKS: u32 = 40;

impl Gateway {
    /// Submits a transaction and sends a receipt for each confirmation, up to the one asked for.
    pub async fn submit(
        &self,
        raw: Vec<u8>,
        wait_for: ppb::Confirmation,
        receipts: &mpsc::Sender<ppb::Receipt>,
    ) -> Result<(), GatewayError> {
        let read = tx::decode(&raw, MAX_TX_BYTES).map_err(GatewayError::Transaction)?;
        let (id, hash) = (read.transaction().runtime_id, *read.hash());
        let submission = Submission::read(raw, read);
        let before = self.newest_round(&id).await?;
        let confirmations = self.members.confirmations(&id);
        self.submit_within_budget(&id, &submission).await?;
        let accepted = ppb::Receipt {
            tx_hash: hash.as_bytes().to_vec(),
            confirmation: ppb::Confirmation::Accepted as i32,
            ..ppb::Receipt::default()
        };
        // A receiver that is gone shows at the next receipt, or where it is waited for.
        let _ = receipts.send(accepted).await;
        if wait_for == ppb::Confirmation::Accepted {
            return Ok(());
        }
        let finally = self.final_receipt(&id, before, &hash);
        let softly = send_soft(confirmations, &hash, wait_for, receipts);
        let receipt = tokio::select! {
            biased;
            () = receipts.closed() => return Ok(()),
            found = finally => found?,
            () = softly => return Ok(()),
            earlier = self.resubmit_until_final(&id, &submission, &hash) => earlier?,
        };
        let _ = receipts.send(receipt).await;
        Ok(())
    }

    async fn submit_within_budget(
        &self,
        id: &RuntimeId,
        submission: &Submission,
    ) -> Result<(), GatewayError> {
        let mut budget = RetryBudget::new(self.chain.as_ref());
        loop {
            match self.submit_once(id, submission, 0).await {
                Err(error) if budget.allows(error.retry()).await => {}
                submitted => return submitted,
            }
        }
    }

    /// Puts a transaction into the pool of a member: of the first that takes it, after `others` of
    /// them.
    async fn submit_once(
        &self,
        id: &RuntimeId,
        submission: &Submission,
        others: usize,
    ) -> Result<(), GatewayError> {
        let mut last = GatewayError::NoMember;
        let mut members = self.members(id).await?;
        let first = others.checked_rem(members.len()).unwrap_or(0);
        members.rotate_left(first);
        for member in members {
            match self.relay.submit(&self.members, member, *id, submission).await {
                Ok(Ok(())) => return Ok(()),
                // It waits there: its sender may have lost the node that it was submitted to.
                Ok(Err(error)) if error.is(MODULE, WorkerError::DUPLICATE) => return Ok(()),
                Ok(Err(error)) if error.retry.is_retryable() => last = GatewayError::Member(error),
                Ok(Err(error)) => return Err(GatewayError::Member(error)),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// Submits an accepted transaction again and again, each time to another member first, until the
    /// committee refuses it: it cannot become final any more, e.g. because its envelope's epoch is
    /// over. It may have been final before, when a member accepted it that did not know that yet:
    /// then its receipt is given.
    async fn resubmit_until_final(
        &self,
        id: &RuntimeId,
        submission: &Submission,
        hash: &Hash,
    ) -> Result<ppb::Receipt, GatewayError> {
        let mut blocks = self.chain.subscribe();
        let (mut others, mut was_refused) = (0_usize, false);
        loop {
            if !wait_for_blocks(&mut blocks, AGAIN_BLOCKS).await {
                return std::future::pending().await;
            }
            others = others.saturating_add(1);
            let Err(error) = self.submit_once(id, submission, others).await else {
                was_refused = false;
                continue;
            };
            let is_permanent = match error.retry() {
                Retry::AlreadyFinal { round } => {
                    if let Some(receipt) = self.receipt_in(id, Round(round), hash).await {
                        return Ok(receipt);
                    }
                    false
                }
                Retry::Later | Retry::OtherPeer => false,
                Retry::Never | Retry::NonceIs { .. } => true,
            };
            // A member that applies the round with it refuses it, too: the search for its receipt
            // is given time.
            // RD-25: one refusal may come from a member that has just applied the round with it.
            if is_permanent && was_refused {
                return Err(error);
            }
            was_refused = is_permanent;
        }
    }

    /// Looks through the rounds after `after` for a transaction.
    async fn final_receipt(
        &self,
        id: &RuntimeId,
        mut after: Round,
        hash: &Hash,
    ) -> Result<ppb::Receipt, GatewayError> {
        loop {
            // RD-26: a round without it is passed over, also where its outputs cannot be opened.
            let relevant = |round: &FinalRound| !round.contains(hash);
            let round = self.next_round(id, after, relevant, None).await?;
            if let Some(receipt) = round.receipt(hash) {
                return Ok(receipt);
            }
            after = after.next();
        }
    }

    /// The round after `after` for a watcher, once it is final and its outputs are open. Outputs that
    /// nobody opens for long are left out.
    pub async fn next_watched(
        &self,
        id: &RuntimeId,
        after: Round,
    ) -> Result<Arc<FinalRound>, GatewayError> {
        // RD-28: a round that nobody opens does not hold up the next ones.
        self.next_round(id, after, |_| false, Some(OPEN_BLOCKS)).await
    }

    /// The round after `after`, once it is final, and open unless `closed_is_enough` or so many
    /// blocks have passed.
    async fn next_round(
        &self,
        id: &RuntimeId,
        after: Round,
        closed_is_enough: impl Fn(&FinalRound) -> bool,
        patience_blocks: Option<u32>,
    ) -> Result<Arc<FinalRound>, GatewayError> {
        // Both before state is read: what comes meanwhile wakes.
        let mut blocks = self.chain.subscribe();
        let mut opened = self.members.opened(id);
        let mut waited = 0_u32;
        loop {
            if after < self.newest_round(id).await? {
                match self.round_as_it_is(id, after.next()).await {
                    Ok(round) if round.is_open() || closed_is_enough(&round) => return Ok(round),
                    Ok(round) if patience_blocks.is_some_and(|most| waited >= most) => {
                        return Ok(round);
                    }
                    // Its outputs are being opened, or its members are not there yet.
                    Ok(_) => {}
                    Err(error) if error.retry().is_retryable() => {}
                    Err(error) => return Err(error),
                }
            }
            let own = async {
                match &mut opened {
                    Some(rounds) => rounds.recv().await.map(|_| ()),
                    None => std::future::pending().await,
                }
            };
            let own_closed = tokio::select! {
                biased;
                came = own => matches!(came, Err(RecvError::Closed)),
                block = blocks.recv() => {
                    if matches!(block, Err(RecvError::Closed)) {
                        return Err(GatewayError::Stopping);
                    }
                    waited = waited.saturating_add(1);
                    false
                }
            };
            if own_closed {
                opened = None;
            }
        }
    }
}

/// Sends soft receipts as they come; ends where that is all that was asked for.
async fn send_soft(
    confirmations: Option<broadcast::Receiver<Confirmation>>,
    hash: &Hash,
    wait_for: ppb::Confirmation,
    receipts: &mpsc::Sender<ppb::Receipt>,
) {
    let Some(mut confirmations) = confirmations else { return std::future::pending().await };
    loop {
        match confirmations.recv().await {
            Ok(confirmation) => {
                if let Some(receipt) = soft_receipt(confirmation, hash) {
                    let _ = receipts.send(receipt).await;
                    if wait_for == ppb::Confirmation::Soft {
                        return;
                    }
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
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

/// Waits for so many blocks; false if no more come.
async fn wait_for_blocks(blocks: &mut broadcast::Receiver<ChainBlock>, count: u32) -> bool {
    for _ in 0..count {
        if matches!(blocks.recv().await, Err(RecvError::Closed)) {
            return false;
        }
    }
    true
}
