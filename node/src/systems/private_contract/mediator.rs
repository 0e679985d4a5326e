//! Submits a member's calls to the mediator.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_private_contract_stakeholder::Mediator;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_runtime_api::tx::Call;
use paralith_types::{Error, Retry, RuntimeId};
use ppb::para_time_service_client::ParaTimeServiceClient;
use tokio::sync::Mutex;

use super::Via;
use super::client::NONCE_TAKEN;
use crate::client::{ChainClient, ClientOptions, ParaTimeClient, TxOptions, connect_over, refused};
use crate::error::NodeError;

/// How often a call is signed anew when its nonce is taken.
const NONCES: u32 = 4;
/// How long a call may take until it is in a pool.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Calls the mediator as one account.
pub(super) struct Submitter {
    key: SigningKey,
    mediator: RuntimeId,
    /// Gas limit of a call; none: the most there is, where gas costs nothing.
    gas_limit: Option<u64>,
    via: Vec<Via>,
    connected: Mutex<Option<Connected>>,
}

struct Connected {
    chain: ChainClient,
    mediator: ParaTimeClient,
    /// The nonce after the newest call in a pool.
    next: u64,
}

impl Submitter {
    pub(super) fn new(
        key: SigningKey,
        mediator: RuntimeId,
        gas_limit: Option<u64>,
        via: Vec<Via>,
    ) -> Arc<Self> {
        Arc::new(Self { key, mediator, gas_limit, via, connected: Mutex::new(None) })
    }

    /// Returns when the call is in a pool, or refused.
    pub(super) async fn call(&self, method: &str, arguments: Vec<u8>) -> Result<(), Error> {
        let submitted = paralith_rt::timeout(SUBMIT_TIMEOUT, self.submit_now(method, arguments));
        let late = |_| Err(NodeError::NotReady { reason: "no node took the call in time".into() });
        submitted.await.unwrap_or_else(late).map_err(|error| error.to_wire())
    }

    async fn submit_now(&self, method: &str, arguments: Vec<u8>) -> Result<(), NodeError> {
        let mut place = self.connected.lock().await;
        let mut connected = match place.take() {
            Some(connected) => connected,
            None => self.connect().await?,
        };
        let call = Call { method: method.to_string(), args: arguments };
        let options = TxOptions { gas_limit: self.gas_limit, fee: None };
        let done = connected.submit(&self.key, options, &call).await;
        // After a refusal the connection is as good as before; after anything else another is made.
        if matches!(&done, Ok(()) | Err(NodeError::Refused(_))) {
            *place = Some(connected);
        }
        done
    }

    async fn connect(&self) -> Result<Connected, NodeError> {
        let mut last = NodeError::internal(&"no node is named for calls to the mediator");
        for via in &self.via {
            let connected = async {
                let mut chain =
                    connect_over(&via.node, &via.trust, ClientOptions::default()).await?;
                let name = self.mediator.to_string();
                let mediator = ParaTimeClient::new(&mut chain, &name).await?;
                Ok(Connected { chain, mediator, next: 0 })
            };
            match connected.await {
                Ok(connected) => return Ok(connected),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Connected {
    async fn submit(
        &mut self,
        key: &SigningKey,
        options: TxOptions,
        call: &Call,
    ) -> Result<(), NodeError> {
        let Self { chain, mediator, next } = self;
        chain.sync().await?;
        let own = address::of_key(&key.public());
        let known = mediator.nonce(chain, &own).await?;
        let gas = mediator.price(options)?;
        // Calls in the pool are not in the state yet.
        let mut nonce = known.max(*next);
        let mut service = ParaTimeServiceClient::new(chain.channel());
        let mut tries = 0;
        loop {
            tries += 1;
            let sent = mediator.prepare(chain, key, nonce, gas, call.clone()).await?;
            let request = ppb::SubmitRequest {
                transaction: sent.raw,
                wait_for: ppb::Confirmation::Accepted as i32,
            };
            let submitted = async {
                let mut receipts = service.submit(request).await?.into_inner();
                receipts.message().await
            };
            let error = match submitted.await {
                Ok(_) => {
                    *next = nonce.saturating_add(1);
                    return Ok(());
                }
                Err(status) => refused(&status),
            };
            match &error {
                NodeError::Refused(Error { retry: Retry::NonceIs { nonce: right }, .. })
                    if tries < NONCES =>
                {
                    nonce = *right;
                }
                NodeError::Refused(error) if error.is("worker", NONCE_TAKEN) && tries < NONCES => {
                    nonce = nonce.saturating_add(1);
                }
                _ => {
                    *next = 0;
                    return Err(error);
                }
            }
        }
    }
}

impl Mediator for Submitter {
    fn submit(&self, method: &'static str, arguments: Vec<u8>) -> BoxFuture<'_, Result<(), Error>> {
        self.call(method, arguments).boxed()
    }
}
