//! Questions about final states, which need no commit.

use futures::FutureExt as _;
use futures::StreamExt as _;
use paralith_chaincode_grpc::pb;
use paralith_crypto::SigningKey;
use paralith_proto::Canonical as _;
use paralith_runtime_api::envelope::{Info, open_reply, seal_call};
use paralith_runtime_api::output::{Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{Body, Call};
use paralith_types::{Hash, Height, Round};

use super::{ChaincodeClient, EndorserClient, random, unverifiable};
use crate::error::NodeError;

/// Longest output that is read.
const MAX_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The ledger's final round whose state was read.
    pub round: Round,
    /// The height of the consensus state that proves it.
    pub proven_at: Height,
    /// The answer.
    pub output: Output,
}

impl ChaincodeClient {
    /// Asks the chaincode about the newest final state: not older than the newest one that this client
    /// has proven, whatever the endorser's host shows its enclave. Signed if a key is given.
    pub async fn evaluate(
        &mut self,
        key: Option<&SigningKey>,
        call: Call,
    ) -> Result<Answer, NodeError> {
        let ledger = self.ledger().await?;
        let (at_least, state) = ledger.state(&mut self.chain).await?;
        let chain_context = self.chain.chain_context();
        let epoch = self.chain.epoch_key(&self.runtime).await?;
        let sender = key.map(SigningKey::public);
        let info = Info::query(chain_context, self.runtime.id, epoch.epoch, sender.as_ref());
        let reply_key = random()?;
        let envelope = seal_call(&epoch.key, &info, call, reply_key, random()?)
            .map_err(|e| NodeError::internal(&e))?;
        let runtime_id = self.runtime.id;
        let query =
            Query { chain_context, runtime_id, body: Body::Envelope(envelope), signed: None };
        let query = match key {
            Some(key) => query.sign(key),
            None => query,
        };
        let request = pb::EvaluateRequest {
            query: query.encode(),
            at_least: at_least.0,
            certificate: self.certificate.as_ref().map(paralith_policy::Certificate::encode),
        };
        let least = state.last_normal_round;
        let accept = |answer: pb::EvaluateResponse| {
            let root = Hash::try_from(answer.state_root.as_slice()).map_err(unverifiable)?;
            let round = Round(answer.round);
            // CC-8: the host carries `at_least`, and might carry less.
            if round < least {
                let reason = format!("the answer is of round {round}, {least} is final already");
                return Err(unverifiable(reason));
            }
            let reply =
                SealedReply::decode(&answer.output, MAX_OUTPUT_BYTES).map_err(unverifiable)?;
            let output = open_reply(&reply_key, &query.hash(), round, &root, &reply.sealed)
                .map_err(unverifiable)?;
            let output = Output::decode(&output, MAX_OUTPUT_BYTES).map_err(unverifiable)?;
            Ok((round, root, output))
        };
        let ask = move |client: EndorserClient| {
            let request = request.clone();
            async move { client.evaluate(request).await }.boxed()
        };
        let (round, root, output) = self.endorsers.first(ask, accept).await?;
        let proven_at = ledger.prove_root(&mut self.chain, round, &root).await?;
        Ok(Answer { round, proven_at, output })
    }

    /// What a committed call asked to reveal. All endorsers that answer must give the same.
    pub async fn reveal(&mut self, tx_id: &Hash, handle: Vec<u8>) -> Result<Output, NodeError> {
        let request = pb::RevealRequest { tx_id: tx_id.as_bytes().to_vec(), handle };
        let mut answers = self.endorsers.each(move |client| {
            let request = request.clone();
            async move { client.reveal(request).await }.boxed()
        });
        let (mut found, mut last) = (None, None);
        while let Some((address, answer)) = answers.next().await {
            match answer {
                Ok(answer) => match &found {
                    // CC-9: no key of the caller binds the answer to its enclave.
                    Some(known) if *known != answer.output => {
                        let reason =
                            format!("{address} reveals something else than another endorser");
                        return Err(unverifiable(reason));
                    }
                    _ => found = Some(answer.output),
                },
                Err(error) => last = Some(error),
            }
        }
        match (found, last) {
            (Some(output), _) => Output::decode(&output, MAX_OUTPUT_BYTES).map_err(unverifiable),
            (None, Some(error)) => Err(error),
            (None, None) => Err(NodeError::usage("--endorser", "no endorser was named")),
        }
    }
}
