//! Links of a node that misbehaves.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use paralith_consensus_api::roothash::{SignedProposal, Vote};
use paralith_proto::pb::worker::v1::{Proposal, RoundData, StatePage, VoteMessage};
use paralith_proto::{Wire, required};
use paralith_runtime_worker::{Admitted, LinkFuture, Links as Honest};
use paralith_types::{CodeId, Hash, PublicKey, Round, RuntimeId};

use crate::late::Late;
use crate::{Me, Misbehaviour, sign};

pub(crate) struct Links {
    me: Me,
    inner: Arc<dyn Honest>,
    late: Arc<Late>,
    /// In the order in which they were first sent something.
    peers: Mutex<Vec<PublicKey>>,
}

impl Links {
    pub(crate) fn new(me: Me, inner: Arc<dyn Honest>, late: Arc<Late>) -> Self {
        Self { me, inner, late, peers: Mutex::default() }
    }

    /// Whether a peer is in the half that gets the other message.
    fn is_other_half(&self, peer: &PublicKey) -> bool {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = peers.iter().position(|known| known == peer).unwrap_or_else(|| {
            peers.push(*peer);
            peers.len() - 1
        });
        place % 2 == 1
    }

    /// A vote of this node for a proposal of this node whose batch it keeps to itself.
    fn disguised(&self, message: &VoteMessage) -> Option<VoteMessage> {
        let signed: SignedProposal = required(message.proposal.clone(), "proposal").ok()?;
        let (proposal, id) = sign::without_batch(&self.me, &signed)?;
        let vote: Vote = required(message.vote.clone(), "vote").ok()?;
        let vote = sign::renamed(&self.me, vote, id);
        let messages = message.messages.clone();
        Some(VoteMessage { proposal: Some(proposal.to_pb()), vote: Some(vote.to_pb()), messages })
    }
}

fn dropped() -> LinkFuture<'static, ()> {
    async { Ok(()) }.boxed()
}

impl Honest for Links {
    fn submit_transactions(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        raws: Vec<Vec<u8>>,
    ) -> LinkFuture<'_, Vec<Admitted>> {
        self.inner.submit_transactions(peer, runtime, raws)
    }

    fn propose(&self, peer: PublicKey, proposal: Proposal) -> LinkFuture<'_, ()> {
        if matches!(self.me.how, Misbehaviour::Silent | Misbehaviour::WithholdBatch) {
            return dropped();
        }
        if self.me.how.proposes_twice()
            && self.is_other_half(&peer)
            && let Some(second) = sign::second(&self.me, &proposal)
        {
            return self.inner.propose(peer, second);
        }
        self.inner.propose(peer, proposal)
    }

    fn send_vote(&self, peer: PublicKey, vote: VoteMessage) -> LinkFuture<'_, ()> {
        match self.me.how {
            Misbehaviour::Silent => dropped(),
            Misbehaviour::Late => {
                self.late.hold(peer, vote);
                dropped()
            }
            Misbehaviour::Equivocate if self.is_other_half(&peer) => {
                let other = sign::contradiction(&self.me, &vote);
                self.inner.send_vote(peer, other.unwrap_or(vote))
            }
            Misbehaviour::WithholdBatch => {
                let disguised = self.disguised(&vote);
                self.inner.send_vote(peer, disguised.unwrap_or(vote))
            }
            _ => self.inner.send_vote(peer, vote),
        }
    }

    fn fetch_proposal(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        proposal_id: Hash,
    ) -> LinkFuture<'_, Proposal> {
        self.inner.fetch_proposal(peer, runtime, proposal_id)
    }

    fn fetch_round(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
    ) -> LinkFuture<'_, RoundData> {
        self.inner.fetch_round(peer, runtime, round)
    }

    fn fetch_state(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, StatePage> {
        self.inner.fetch_state(peer, runtime, round, after)
    }

    fn fetch_code(&self, peer: PublicKey, code: CodeId) -> LinkFuture<'_, Vec<u8>> {
        self.inner.fetch_code(peer, code)
    }
}
