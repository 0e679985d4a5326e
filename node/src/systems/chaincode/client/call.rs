//! The ledger's part of a call: commit and release.

use futures::FutureExt as _;
use paralith_chaincode_core::hashes::response_hash;
use paralith_chaincode_core::release;
use paralith_chaincode_grpc::pb;
use paralith_chaincode_messages::{Message as _, NewCommit, OpenedOutput, Response};
use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::{Error, Retry};
use serde::Deserialize;

use super::{CallFile, ChaincodeClient, refusal, unverifiable};
use crate::client::{Confirmed, ParaTimeClient};
use crate::error::NodeError;

/// How often a transaction to the ledger is signed again with a later nonce.
const NONCE_TRIES: u32 = 16;

/// A call that was committed and read.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// What shows it again.
    pub file: CallFile,
    /// What it gave.
    pub output: Output,
    /// How often it met another call.
    pub conflicts: usize,
}

/// Where the ledger committed a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Committed {
    /// The round.
    pub round: u64,
    /// The position among the commits of the round.
    pub position: u32,
}

impl ChaincodeClient {
    /// The application's ledger.
    pub async fn ledger(&mut self) -> Result<ParaTimeClient, NodeError> {
        let id = self.definition.terms.ledger.to_string();
        Ok(ParaTimeClient::new(&mut self.chain, &id).await?)
    }

    /// Has the ledger commit a call, paid by this key, and waits until that is final. A refusal is the
    /// ledger's.
    pub async fn commit(
        &mut self,
        key: &SigningKey,
        commit: &NewCommit,
    ) -> Result<Committed, NodeError> {
        let call = Call { method: "commit".to_string(), args: commit.encode() };
        let confirmed = self.submit(key, call).await?;
        match confirmed.output {
            Output::Ok(reply) => serde_json::from_slice(&reply).map_err(unverifiable),
            Output::Error(e) => Err(NodeError::Refused(Error::new(&e.module, e.code, e.message))),
        }
    }

    /// Submits a plain call to the ledger, and waits until it is final.
    pub async fn submit(&mut self, key: &SigningKey, call: Call) -> Result<Confirmed, NodeError> {
        let mut ledger = self.ledger().await?;
        let sender = address::of_key(&key.public());
        let mut nonce = ledger.nonce(&mut self.chain, &sender).await?;
        let gas = ledger.price(self.options)?;
        let mut tries = 0;
        loop {
            let sent = ledger.prepare(&mut self.chain, key, nonce, gas, call.clone()).await?;
            let error = match ledger.submit(&mut self.chain, &sent, |_| {}).await {
                Ok(confirmed) => return Ok(confirmed),
                Err(error) => NodeError::from(error),
            };
            tries += 1;
            match &error {
                // Another transaction of this key is on its way.
                NodeError::Refused(Error { retry: Retry::NonceIs { nonce: next }, .. })
                    if *next > nonce && tries < NONCE_TRIES =>
                {
                    nonce = *next;
                }
                _ => return Err(error),
            }
        }
    }

    /// Reads what a committed call gave, of any endorser.
    pub async fn result(&mut self, file: &mut CallFile) -> Result<Output, NodeError> {
        let (sent, tx_id, reply_key) = (file.response.clone(), file.tx_id, file.reply_key);
        let ask = move |client: super::EndorserClient| {
            let (response, tx_id) = (sent.clone().unwrap_or_default(), tx_id.as_bytes().to_vec());
            async move { client.release(pb::ReleaseRequest { response, tx_id }).await }.boxed()
        };
        let known = file.response.as_deref().map(response_hash);
        let accept = |released: pb::ReleaseResponse| {
            let response = Response::decode(&released.response).map_err(unverifiable)?;
            if response.tx_id != tx_id
                || known.is_some_and(|known| known != response_hash(&released.response))
            {
                return Err(unverifiable("the endorser released another call"));
            }
            // CC-7: the response commits to its output.
            let opened = OpenedOutput::decode(&released.opened).map_err(unverifiable)?;
            let output = release::open(&response, &opened, &reply_key).map_err(refusal)?;
            Ok((released, output))
        };
        let (released, output) = self.endorsers.first(ask, accept).await?;
        file.response = Some(released.response);
        file.opened = Some(released.opened);
        Ok(output)
    }
}
