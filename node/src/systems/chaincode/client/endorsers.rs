//! The endorsers that a client asks, and how often.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use paralith_chaincode_grpc::pb;
use paralith_chaincode_grpc::pb::endorser_service_client::EndorserServiceClient;
use paralith_chaincode_messages::{Endorsement, MAX_RESPONSE_BYTES, Message as _, SignedProposal};
use paralith_rt::Instant;
use paralith_types::Retry;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::unverifiable;
use crate::client::refused;
use crate::error::NodeError;
use crate::links::endpoint::{self, Trust};

/// How long an endorser is asked again that cannot answer yet: its enclave has yet to see a block, or
/// has no keys yet in a new epoch.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);

/// One endorser's service.
#[derive(Debug, Clone)]
pub struct EndorserClient {
    /// Its address.
    pub address: String,
    service: EndorserServiceClient<Channel>,
}

/// What an endorser gave: an encoded response and its signature.
pub(super) type Given = (Vec<u8>, Endorsement);

impl EndorserClient {
    /// Connects to an endorser's node.
    pub async fn connect(address: &str, trust: &Trust) -> Result<Self, NodeError> {
        let channel = endpoint::connect(address, trust).await?;
        let service = EndorserServiceClient::new(channel)
            .max_decoding_message_size(MAX_RESPONSE_BYTES + MAX_RESPONSE_BYTES);
        Ok(Self { address: address.to_string(), service })
    }

    /// How it is.
    pub async fn status(&mut self) -> Result<pb::StatusResponse, NodeError> {
        let status = self.service.status(pb::StatusRequest {}).await;
        Ok(status.map_err(|s| refused(&s))?.into_inner())
    }

    async fn endorse(&self, signed: Vec<u8>) -> Result<Given, NodeError> {
        let request = pb::EndorseRequest { signed_proposal: signed };
        let service = &self.service;
        let endorsed = patiently(|| {
            let (mut service, request) = (service.clone(), request.clone());
            async move { service.endorse(request).await }
        })
        .await?;
        let endorsement = Endorsement::decode(&endorsed.endorsement).map_err(unverifiable)?;
        Ok((endorsed.response, endorsement))
    }

    /// Opens the output of a committed call.
    pub async fn release(
        &self,
        request: pb::ReleaseRequest,
    ) -> Result<pb::ReleaseResponse, NodeError> {
        patiently(|| {
            let (mut service, request) = (self.service.clone(), request.clone());
            async move { service.release(request).await }
        })
        .await
    }

    /// The same, asked once.
    pub async fn release_once(
        &mut self,
        request: pb::ReleaseRequest,
    ) -> Result<pb::ReleaseResponse, NodeError> {
        let released = self.service.release(request).await;
        Ok(released.map_err(|s| refused(&s))?.into_inner())
    }

    /// Answers a sealed query.
    pub async fn evaluate(
        &self,
        request: pb::EvaluateRequest,
    ) -> Result<pb::EvaluateResponse, NodeError> {
        patiently(|| {
            let (mut service, request) = (self.service.clone(), request.clone());
            async move { service.evaluate(request).await }
        })
        .await
    }

    /// What a committed call asked to reveal.
    pub async fn reveal(
        &self,
        request: pb::RevealRequest,
    ) -> Result<pb::RevealResponse, NodeError> {
        patiently(|| {
            let (mut service, request) = (self.service.clone(), request.clone());
            async move { service.reveal(request).await }
        })
        .await
    }
}

/// Asks until there is an answer or a refusal that stays.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, NodeError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let began = Instant::now();
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => refused(&status),
        };
        let again = matches!(&error, NodeError::Refused(error) if error.retry == Retry::Later);
        if !again || began.elapsed() > PATIENCE {
            return Err(error);
        }
        paralith_rt::sleep(PAUSE).await;
    }
}

/// Answers as they come, each with the endorser's address.
pub(super) type Answers<'a, T> = FuturesUnordered<BoxFuture<'a, (String, Result<T, NodeError>)>>;

/// The endorsers that a client asks.
#[derive(Debug, Clone, Default)]
pub struct Endorsers(Vec<EndorserClient>);

impl Endorsers {
    /// Connects to them. One that is down is left out, as long as another is there.
    pub async fn connect(addresses: &[String], trust: &Trust) -> Result<Self, NodeError> {
        let mut last = None;
        let mut all = Vec::new();
        for address in addresses {
            match EndorserClient::connect(address, trust).await {
                Ok(client) => all.push(client),
                Err(error) => last = Some(error),
            }
        }
        match (all.is_empty(), last) {
            (true, Some(error)) => Err(error),
            (true, None) => Err(NodeError::usage(
                "--endorser",
                "give the address of at least one endorser's node, once for each",
            )),
            (false, _) => Ok(Self(all)),
        }
    }

    /// All of them.
    pub fn all(&self) -> &[EndorserClient] {
        &self.0
    }

    /// Asks all at once to endorse.
    pub(super) fn endorse(&self, signed: &SignedProposal) -> Answers<'static, Given> {
        let bytes = signed.encode();
        self.each(move |client| {
            let bytes = bytes.clone();
            async move { client.endorse(bytes).await }.boxed()
        })
    }

    /// Asks all at once.
    pub(super) fn each<T: Send + 'static>(
        &self,
        ask: impl Fn(EndorserClient) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Answers<'static, T> {
        let answers = FuturesUnordered::new();
        for client in &self.0 {
            let (address, asked) = (client.address.clone(), ask(client.clone()));
            answers.push(asked.map(|answer| (address, answer)).boxed());
        }
        answers
    }

    /// The first answer that is accepted; otherwise why the last one was not.
    pub(super) async fn first<T: Send + 'static, R>(
        &self,
        ask: impl Fn(EndorserClient) -> BoxFuture<'static, Result<T, NodeError>>,
        mut accept: impl FnMut(T) -> Result<R, NodeError>,
    ) -> Result<R, NodeError> {
        let mut answers = self.each(ask);
        let mut last = NodeError::usage("--endorser", "no endorser was named");
        while let Some((_, answer)) = answers.next().await {
            match answer.and_then(&mut accept) {
                Ok(accepted) => return Ok(accepted),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
