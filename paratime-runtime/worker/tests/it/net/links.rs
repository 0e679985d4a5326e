//! Links in memory, which remember what went over them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use paralith_proto::pb::worker::v1::{Proposal, RoundData, StatePage, VoteMessage};
use paralith_runtime_worker::{Admitted, LinkError, LinkFuture, Links, WorkerError, WorkerHandle};
use paralith_types::{CodeId, Hash, PublicKey, Round, RuntimeId};

/// Something that left a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sent {
    Proposal(Proposal),
    Vote(Box<VoteMessage>),
}

#[derive(Default)]
pub(crate) struct Net {
    nodes: Mutex<BTreeMap<PublicKey, WorkerHandle>>,
    sent: Mutex<Vec<(PublicKey, Sent)>>,
}

impl Net {
    pub(crate) fn join(&self, id: PublicKey, handle: WorkerHandle) {
        self.nodes.lock().unwrap().insert(id, handle);
    }

    pub(crate) fn leave(&self, id: &PublicKey) {
        self.nodes.lock().unwrap().remove(id);
    }

    pub(crate) fn links_of(self: &Arc<Self>, me: PublicKey) -> Arc<dyn Links> {
        Arc::new(Ends { me, net: Arc::clone(self) })
    }

    /// What left a node, in order.
    pub(crate) fn sent_by(&self, id: &PublicKey) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|(from, _)| from == id).map(|(_, sent)| sent.clone()).collect()
    }
}

struct Ends {
    me: PublicKey,
    net: Arc<Net>,
}

impl Ends {
    fn peer(&self, id: &PublicKey) -> Result<WorkerHandle, LinkError> {
        let found = self.net.nodes.lock().unwrap().get(id).cloned();
        found.ok_or_else(|| LinkError::Unreachable("not running".into()))
    }

    fn record(&self, sent: Sent) {
        self.net.sent.lock().unwrap().push((self.me, sent));
    }
}

fn refused(error: WorkerError) -> LinkError {
    match error {
        WorkerError::NotFound => LinkError::NotFound,
        other => LinkError::Refused(other.refusal()),
    }
}

impl Links for Ends {
    fn submit_transactions(
        &self,
        peer: PublicKey,
        _runtime: RuntimeId,
        raws: Vec<Vec<u8>>,
    ) -> LinkFuture<'_, Vec<Admitted>> {
        async move { Ok(self.peer(&peer)?.submit_transactions(Some(self.me), raws).await) }.boxed()
    }

    fn propose(&self, peer: PublicKey, proposal: Proposal) -> LinkFuture<'_, ()> {
        self.record(Sent::Proposal(proposal.clone()));
        async move { self.peer(&peer)?.on_proposal(proposal).await.map_err(refused) }.boxed()
    }

    fn send_vote(&self, peer: PublicKey, vote: VoteMessage) -> LinkFuture<'_, ()> {
        self.record(Sent::Vote(Box::new(vote.clone())));
        async move { self.peer(&peer)?.on_vote(vote).await.map_err(refused) }.boxed()
    }

    fn fetch_proposal(
        &self,
        peer: PublicKey,
        _runtime: RuntimeId,
        proposal_id: Hash,
    ) -> LinkFuture<'_, Proposal> {
        async move { self.peer(&peer)?.fetch_proposal(&proposal_id).map_err(refused) }.boxed()
    }

    fn fetch_round(
        &self,
        peer: PublicKey,
        _runtime: RuntimeId,
        round: Round,
    ) -> LinkFuture<'_, RoundData> {
        async move { self.peer(&peer)?.fetch_round(round.0).map_err(refused) }.boxed()
    }

    fn fetch_state(
        &self,
        peer: PublicKey,
        _runtime: RuntimeId,
        round: Round,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, StatePage> {
        async move { self.peer(&peer)?.fetch_state(round.0, after.as_deref()).map_err(refused) }
            .boxed()
    }

    fn fetch_code(&self, _peer: PublicKey, _code: CodeId) -> LinkFuture<'_, Vec<u8>> {
        async move { Err(LinkError::NotFound) }.boxed()
    }
}
