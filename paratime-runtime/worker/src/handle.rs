//! What the rest of the node, and through it peers and users, ask of a worker.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1::{self as pb, ProveStateResponse as Proven, Receipt};
use paralith_proto::pb::worker::v1::{Proposal, RoundData, StatePage, VoteMessage};
use paralith_types::{Hash, PublicKey};
use tokio::sync::{broadcast, mpsc, watch};

use crate::admission::{Admission, Submission};
use crate::enclave::{self, EnclaveCalls};
use crate::error::WorkerError;
use crate::final_round::FinalRound;
use crate::ledger::Ledger;
use crate::links::Admitted;
use crate::member::Member;
use crate::mempool::Mempool;
use crate::proving::places_asked_for;
use crate::reports::{Confirmation, Reports, Status};
use crate::round::{ChainSnapshot, Input, Intake};
use crate::wire::{open_proposal, open_vote, size_of};

/// A handle on a running worker; clones share it.
#[derive(Clone)]
pub struct WorkerHandle(Arc<Access>);

/// What a handle needs of the worker. The worker ends when it is dropped.
pub(crate) struct Access {
    pub(crate) member: Arc<Member>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) mempool: Arc<Mempool>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) enclave: EnclaveCalls,
    pub(crate) admission: Admission,
    /// Decides which messages of peers are taken.
    pub(crate) intake: Mutex<Intake>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) stop: watch::Sender<bool>,
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerHandle({})", self.0.member.runtime_id)
    }
}

impl WorkerHandle {
    pub(crate) fn new(access: Access) -> Self {
        Self(Arc::new(access))
    }

    /// Ends the worker's loop.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    // --- users ---

    /// Takes transactions into the pool; one result each. New ones are forwarded to the other workers,
    /// unless they came from one.
    pub async fn submit_transactions(
        &self,
        from: Option<PublicKey>,
        raws: Vec<Vec<u8>>,
    ) -> Vec<Admitted> {
        let from_worker = from.is_some_and(|from| self.0.member.workers().contains(&from));
        let submissions = raws.into_iter().map(Submission::raw).collect();
        self.0.admission.take(from_worker, submissions).await
    }

    /// Takes a user's transaction into the pool.
    pub async fn submit(&self, submission: Submission) -> Admitted {
        let mut results = self.0.admission.take(false, vec![submission]).await;
        results.pop().unwrap_or_else(|| Err(WorkerError::Stopped.refusal()))
    }

    /// The receipt of a transaction whose round is final and open.
    pub fn receipt(&self, tx_hash: &Hash) -> Result<Option<Receipt>, WorkerError> {
        let Some(round) = self.round_of(tx_hash)? else { return Ok(None) };
        let data = self.0.ledger.store.round(round)?;
        Ok(data.and_then(|data| FinalRound::new(data).receipt(tx_hash)))
    }

    /// The final round that has a transaction.
    pub fn round_of(&self, tx_hash: &Hash) -> Result<Option<u64>, WorkerError> {
        Ok(self.0.ledger.store.round_of_tx(tx_hash.as_bytes())?)
    }

    /// A final round whose outputs are open.
    pub fn round(&self, round: u64) -> Result<Option<pb::Round>, WorkerError> {
        let data = self.0.ledger.store.round(round)?;
        Ok(data.map(FinalRound::new).filter(FinalRound::is_open).map(|round| round.public()))
    }

    /// Soft and final confirmations as they come.
    pub fn subscribe_confirmations(&self) -> broadcast::Receiver<Confirmation> {
        self.0.reports.subscribe_confirmations()
    }

    /// Final rounds as their outputs open.
    pub fn subscribe_rounds(&self) -> broadcast::Receiver<Arc<pb::Round>> {
        self.0.reports.subscribe_rounds()
    }

    /// Answers a query on the newest final root; not while this node catches up, or an old answer
    /// would pass for a new one.
    pub async fn run_query(&self, query: pb::Query) -> Result<Answer, WorkerError> {
        if !self.0.reports.has_newest_state() {
            return Err(WorkerError::NotReady);
        }
        self.0.enclave.call(move |enclave| enclave::run_query(enclave, query)).await
    }

    /// Reveals what a final round asked to reveal.
    pub async fn reveal(&self, round: u64, handle: Vec<u8>) -> Result<Answer, WorkerError> {
        self.0.enclave.call(move |enclave| enclave::reveal(enclave, round, handle)).await
    }

    /// Entries of the state after a final round, with proofs.
    pub fn prove_state(&self, request: &pb::ProveStateRequest) -> Result<Proven, WorkerError> {
        let runtime = self.0.member.runtime().ok_or(WorkerError::NotReady)?;
        let places = places_asked_for(&runtime, request)?;
        // An old state would pass for the newest.
        if request.newest && !self.0.reports.has_newest_state() {
            return Err(WorkerError::NotReady);
        }
        self.0.ledger.prove((!request.newest).then_some(request.round), &places)
    }

    /// Headers of rounds, from one to another, as many as one answer holds.
    pub fn headers(&self, from: u64, to: u64) -> Result<pb::GetHeadersResponse, WorkerError> {
        self.0.ledger.headers(from, to)
    }

    // --- peers ---

    /// A part of the state after a final round: entries that come after a key.
    pub fn fetch_state(&self, round: u64, after: Option<&[u8]>) -> Result<StatePage, WorkerError> {
        self.0.ledger.page(round, after)
    }

    /// A scheduler's proposal came. Its header is accepted before its batch is written.
    pub async fn on_proposal(&self, message: Proposal) -> Result<(), WorkerError> {
        let snapshot = self.0.member.current().ok_or(WorkerError::NotReady)?;
        let (proposal, fits) = open_proposal(&message, &self.0.member.chain_context)?;
        let size = fits.then(|| size_of(&message.transactions));
        let id = self.0.member.runtime_id;
        let keep = {
            let mut intake = self.0.intake.lock().unwrap_or_else(PoisonError::into_inner);
            intake.proposal(&snapshot, &id, &proposal, size)?
        };
        if keep {
            self.0.ledger.store.keep_batch(proposal.header.round.0, &proposal.id(), &message)?;
        }
        let batch = keep || self.0.ledger.store.has_batch(&proposal.id())?;
        self.send(Input::Proposal { proposal: Box::new(proposal), batch }).await
    }

    /// A member's vote came.
    pub async fn on_vote(&self, message: VoteMessage) -> Result<(), WorkerError> {
        let snapshot = self.0.member.current().ok_or(WorkerError::NotReady)?;
        let vote = open_vote(&message, &self.0.member.chain_context)?;
        Intake::vote(&snapshot, &self.0.member.runtime_id, &vote)?;
        self.send(Input::Vote(Box::new(vote))).await
    }

    /// The batch of a proposal that this node has.
    pub fn fetch_proposal(&self, proposal_id: &Hash) -> Result<Proposal, WorkerError> {
        self.0.ledger.store.batch(proposal_id)?.ok_or(WorkerError::NotFound)
    }

    /// A final round that this node has applied.
    pub fn fetch_round(&self, round: u64) -> Result<RoundData, WorkerError> {
        self.0.ledger.store.round(round)?.ok_or(WorkerError::NotFound)
    }

    // --- the node ---

    /// Where the worker stands.
    pub fn status(&self) -> Status {
        self.0.reports.status()
    }

    /// Where the worker stands, as it changes.
    pub fn subscribe_status(&self) -> watch::Receiver<Status> {
        self.0.reports.subscribe_status()
    }

    /// The state of the chain that the worker acts on; none before the runtime has any.
    pub fn snapshot(&self) -> Option<Arc<ChainSnapshot>> {
        self.0.member.current()
    }

    /// What the enclave gave to keep sealed, for its next start.
    pub fn sealed(&self) -> Result<Option<Vec<u8>>, WorkerError> {
        Ok(self.0.ledger.store.sealed()?)
    }

    /// How many transactions wait.
    pub fn pool_len(&self) -> usize {
        self.0.mempool.lock().len()
    }

    async fn send(&self, input: Input) -> Result<(), WorkerError> {
        self.0.inputs.send(input).await.map_err(|_| WorkerError::Stopped)
    }
}
