//! Votes that are held back until it is too late.

use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::roothash::{RuntimeState, SignedProposal, keys};
use paralith_proto::pb::worker::v1::VoteMessage;
use paralith_proto::{Canonical, required};
use paralith_runtime_worker::{Chain, Links};
use paralith_types::PublicKey;
use tokio::sync::broadcast::error::RecvError;

use crate::{Me, Misbehaviour};

/// Holds votes of rounds back.
#[derive(Default)]
pub(crate) struct Late {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Vec<(u64, PublicKey, VoteMessage)>,
    /// Votes up to this round may leave.
    open_to: u64,
}

impl Late {
    /// Lets votes go when their round is late. Its task ends with the chain.
    pub(crate) fn start(me: &Me, chain: Arc<dyn Chain>, links: Arc<dyn Links>) -> Arc<Self> {
        let late = Arc::<Self>::default();
        if me.is(Misbehaviour::Late) {
            let (late, me) = (Arc::clone(&late), me.clone());
            let mut blocks = chain.subscribe();
            paralith_rt::spawn(async move {
                while !matches!(blocks.recv().await, Err(RecvError::Closed)) {
                    for (peer, vote) in late.due(&me, chain.as_ref()).await {
                        let _ = links.send_vote(peer, vote).await;
                    }
                }
            });
        }
        late
    }

    pub(crate) fn hold(&self, peer: PublicKey, vote: VoteMessage) {
        let signed: Option<SignedProposal> = required(vote.proposal.clone(), "proposal").ok();
        let header = signed.and_then(|signed| {
            paralith_consensus_api::roothash::ProposalHeader::decode(&signed.header, 4096).ok()
        });
        let round = header.map_or(0, |header| header.round.0);
        self.lock().held.push((round, peer, vote));
    }

    pub(crate) fn may_leave(&self, round: u64) -> bool {
        round <= self.lock().open_to
    }

    async fn due(&self, me: &Me, chain: &dyn Chain) -> Vec<(PublicKey, VoteMessage)> {
        let Ok((height, Some(value))) =
            chain.get_raw(None, keys::runtime_state(&me.runtime_id)).await
        else {
            return Vec::new();
        };
        let Ok(state) = RuntimeState::decode(&value, value.len()) else { return Vec::new() };
        let round = state.last_block.round.0 + 1;
        let is_late = state.pool.is_some_and(|pool| {
            pool.disputed || pool.timeout.is_some_and(|timeout| height >= timeout)
        });
        let mut inner = self.lock();
        if !is_late {
            return Vec::new();
        }
        inner.open_to = round;
        let held = std::mem::take(&mut inner.held);
        let (due, later) = held.into_iter().partition(|(of, ..)| *of <= round);
        inner.held = later;
        due.into_iter().map(|(_, peer, vote): (u64, _, _)| (peer, vote)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
