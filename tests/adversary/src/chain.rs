//! The chain as a node that misbehaves submits to it.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_consensus_api::roothash::ExecutorCommit;
use paralith_consensus_api::tx::Body;
use paralith_runtime_worker::{Chain as Honest, ChainBlock, ChainError, HeightValue, ProvenValue};
use tokio::sync::broadcast;

use crate::late::Late;
use crate::{Me, Misbehaviour, sign};

pub(crate) struct Chain {
    me: Me,
    inner: Arc<dyn Honest>,
    late: Arc<Late>,
}

impl Chain {
    pub(crate) fn new(me: Me, inner: Arc<dyn Honest>, late: Arc<Late>) -> Self {
        Self { me, inner, late }
    }

    /// What is submitted in place of a commit; none if nothing is.
    fn commit(&self, mut commit: ExecutorCommit) -> Option<ExecutorCommit> {
        match self.me.how {
            Misbehaviour::Silent => return None,
            Misbehaviour::Late => {
                let round = commit
                    .proposals
                    .iter()
                    .find_map(|signed| signed.open(&self.me.chain_context).ok())
                    .map_or(0, |header| header.round.0);
                if !self.late.may_leave(round) {
                    commit.votes.retain(|vote| vote.node != self.me.id());
                }
            }
            Misbehaviour::WithholdVote => {
                let other = commit.votes.iter().rposition(|vote| vote.node != self.me.id());
                if let Some(place) = other {
                    commit.votes.remove(place);
                }
            }
            Misbehaviour::WithholdBatch => self.disguise(&mut commit),
            _ => {}
        }
        (!commit.votes.is_empty()).then_some(commit)
    }

    fn disguise(&self, commit: &mut ExecutorCommit) {
        let me = &self.me;
        for signed in std::mem::take(&mut commit.proposals) {
            let Ok(header) = signed.open(&me.chain_context) else { continue };
            let mut named = signed.clone();
            let of_own = |vote: &&mut paralith_consensus_api::roothash::Vote| {
                vote.node == me.id() && vote.proposal_id == header.id()
            };
            if let Some((other, id)) = sign::without_batch(me, &signed)
                && let Some(vote) = commit.votes.iter_mut().find(of_own)
            {
                *vote = sign::renamed(me, vote.clone(), id);
                named = other;
            }
            if !commit.proposals.contains(&named) {
                commit.proposals.push(named);
            }
        }
    }
}

impl Honest for Chain {
    fn subscribe(&self) -> broadcast::Receiver<ChainBlock> {
        self.inner.subscribe()
    }

    fn get_raw(
        &self,
        height: Option<u64>,
        key: Vec<u8>,
    ) -> BoxFuture<'_, Result<HeightValue, ChainError>> {
        self.inner.get_raw(height, key)
    }

    fn proven(&self, height: u64, key: Vec<u8>) -> BoxFuture<'_, Result<ProvenValue, ChainError>> {
        self.inner.proven(height, key)
    }

    fn light_block(&self, height: u64) -> BoxFuture<'_, Result<Vec<u8>, ChainError>> {
        self.inner.light_block(height)
    }

    fn submit(&self, body: Body) -> BoxFuture<'_, Result<(), ChainError>> {
        let body = match body {
            Body::ExecutorCommit(commit) => self.commit(commit).map(Body::ExecutorCommit),
            Body::Evidence(_) if self.me.is(Misbehaviour::Silent) => None,
            other => Some(other),
        };
        match body {
            Some(body) => self.inner.submit(body),
            None => async { Ok(()) }.boxed(),
        }
    }
}
