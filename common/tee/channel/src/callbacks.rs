//! How an enclave asks its host for data.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use paralith_consensus_light::StateSource;
use paralith_runtime_api::boundary::pb;
use paralith_types::Error;

use crate::BoundaryError;
use crate::stream::lock;

/// Where the answers to an enclave's requests come from: the host at the other end of the stream,
/// or answers that were fetched before.
pub trait HostRequests: Send + Sync {
    /// Answers one request. Nothing of the answer is to be trusted.
    fn ask(&self, request: &pb::callback::Kind) -> Result<pb::CallbackReply, BoundaryError>;

    /// A line for the node's log.
    fn log(&self, text: &str);
}

/// How an enclave asks its host for data. Nothing of what comes back is to be trusted.
///
/// A request may wait for the host for as long as the host likes: hold no lock over one that
/// another call needs.
#[derive(Clone)]
pub struct Callbacks(Arc<dyn HostRequests>);

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callbacks")
    }
}

impl Callbacks {
    /// Requests that are answered by `requests`.
    #[must_use]
    pub fn new(requests: Arc<dyn HostRequests>) -> Self {
        Self(requests)
    }

    /// Any request.
    pub fn ask(&self, request: &pb::callback::Kind) -> Result<pb::CallbackReply, BoundaryError> {
        self.0.ask(request)
    }

    /// A value of consensus state at a height and what the host offers as its proof.
    pub fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), BoundaryError> {
        let ask = pb::ConsensusGet { height, key: key.to_vec() };
        let reply = self.ask(&pb::callback::Kind::ConsensusGet(ask))?;
        Ok((reply.value, reply.proof))
    }

    /// What the host offers as the light block of a height; 0 is the newest.
    pub fn light_block(&self, height: u64) -> Result<Vec<u8>, BoundaryError> {
        let ask = pb::callback::Kind::LightBlockGet(pb::LightBlockGet { height });
        self.ask(&ask)?.value.ok_or(BoundaryError::WrongReply)
    }

    /// What the host offers as a node of the state tree at a final round.
    pub fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, BoundaryError> {
        let ask = pb::StateNodeGet { round, id: id.to_vec() };
        Ok(self.ask(&pb::callback::Kind::StateNodeGet(ask))?.value)
    }

    /// What the host offers as a value of the state at a final round.
    pub fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, BoundaryError> {
        let ask = pb::StateValueGet { round, key: key.to_vec() };
        Ok(self.ask(&pb::callback::Kind::StateValueGet(ask))?.value)
    }

    /// A line for the node's log. It leaves the enclave: never put a secret in.
    pub fn log(&self, text: &str) {
        self.0.log(text);
    }
}

impl StateSource for Callbacks {
    fn light_block(&self, height: u64) -> Result<Vec<u8>, Error> {
        Ok(Self::light_block(self, height)?)
    }

    fn state_value(&self, height: u64, key: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Error> {
        Ok(self.consensus_get(height, key)?)
    }
}

/// Runs `attempt` without ever waiting for the host inside of it, so that it may hold a lock.
///
/// An attempt asks for what it needs. What has not been fetched yet fails it; then that is fetched,
/// outside of the attempt, and the attempt runs anew. So an attempt must do all its reading before
/// it changes anything that matters if it runs again.
pub fn with_fetched<T, E>(
    host: &Callbacks,
    mut attempt: impl FnMut(&Callbacks) -> Result<T, E>,
) -> Result<T, E> {
    let fetched = Arc::new(Fetched::default());
    let callbacks = Callbacks::new(Arc::clone(&fetched) as Arc<dyn HostRequests>);
    loop {
        let result = attempt(&callbacks);
        let missing = lock(&fetched.0).missing.take();
        match (missing, result) {
            (Some(request), Err(_)) => {
                // A refusal is an answer too: the attempt meets it where it asks.
                let answer = host.ask(&request);
                lock(&fetched.0).add(request, answer);
            }
            (_, result) => {
                let lines = std::mem::take(&mut lock(&fetched.0).lines);
                lines.iter().for_each(|line| host.log(line));
                return result;
            }
        }
    }
}

/// Answers that were fetched from the host.
#[derive(Default)]
struct Fetched(Mutex<Answers>);

type Answer = Result<pb::CallbackReply, BoundaryError>;

#[derive(Default)]
struct Answers {
    /// The newest last.
    known: VecDeque<(pb::callback::Kind, Answer)>,
    bytes: usize,
    /// The first answer that this attempt lacked.
    missing: Option<pb::callback::Kind>,
    lines: Vec<String>,
}

/// So many answers are kept at least, and more within so many bytes: an attempt needs all that its
/// view does not remember itself.
const ANSWERS_MIN: usize = 256;
const ANSWERS_MAX_BYTES: usize = 16 * 1024 * 1024;

impl HostRequests for Fetched {
    fn ask(&self, request: &pb::callback::Kind) -> Result<pb::CallbackReply, BoundaryError> {
        let mut answers = lock(&self.0);
        if let Some((_, answer)) = answers.known.iter().rev().find(|(of, _)| of == request) {
            return answer.clone();
        }
        answers.missing.get_or_insert_with(|| request.clone());
        Err(BoundaryError::NotFetched)
    }

    fn log(&self, text: &str) {
        let mut answers = lock(&self.0);
        // An attempt that runs anew says the same again.
        if !answers.lines.iter().any(|line| line == text) {
            answers.lines.push(text.to_string());
        }
    }
}

impl Answers {
    fn add(&mut self, request: pb::callback::Kind, answer: Answer) {
        self.bytes = self.bytes.saturating_add(size(&answer));
        self.known.push_back((request, answer));
        while self.bytes > ANSWERS_MAX_BYTES && self.known.len() > ANSWERS_MIN {
            let Some((_, oldest)) = self.known.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(size(&oldest));
        }
    }
}

fn size(answer: &Answer) -> usize {
    answer.as_ref().map_or(0, |reply| {
        reply.value.as_ref().map_or(0, Vec::len).saturating_add(reply.proof.len())
    })
}
