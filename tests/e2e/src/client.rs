//! A user: everything that it learns is verified.

use std::time::Instant;

use paralith::client::{ChainClient, Confirmed, ParaTimeClient, Sent, connect};
use paralith::error::NodeError;
use paralith::keystore::test_account;
use paralith_consensus_api::roothash::{self, RuntimeState};
use paralith_consensus_api::staking;
use paralith_crypto::SigningKey;
use paralith_proto::pb::{node::v1 as npb, paratime::v1 as ppb};
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::{Address, RuntimeId};
use serde_json::Value;

use crate::PATIENCE;

/// Gas that the tests' calls allow.
const GAS: u64 = 100_000_000;

/// Module and code of a refusal.
pub type Refusal = (String, u32);

/// The address of a test account.
pub fn address(name: &str) -> Address {
    paralith_consensus_api::address::of_key(&account_key(name).public())
}

/// The key of a test account.
pub fn account_key(name: &str) -> SigningKey {
    test_account(name).unwrap()
}

/// The refusal that an error is.
pub fn refusal(error: &NodeError) -> Refusal {
    match error {
        NodeError::Refused(error) => (error.module.clone(), error.code),
        other => panic!("this is no refusal: {other}"),
    }
}

/// A user of a node.
#[derive(Debug)]
pub struct Client {
    /// The consensus layer.
    pub chain: ChainClient,
}

impl Client {
    /// Connects to a node.
    pub async fn connect(node: &str) -> Self {
        Self { chain: connect(node).await.unwrap() }
    }

    /// A ParaTime.
    pub async fn paratime(&mut self, name: &str) -> ParaTimeClient {
        ParaTimeClient::new(&mut self.chain, name).await.unwrap()
    }

    /// Signs a call with the sender's next nonce.
    pub async fn prepare(
        &mut self,
        runtime: &str,
        who: &str,
        method: &str,
        args: &Value,
    ) -> Result<Sent, NodeError> {
        let mut paratime = ParaTimeClient::new(&mut self.chain, runtime).await?;
        let nonce = paratime.nonce(&mut self.chain, &address(who)).await?;
        let call = call(method, args);
        let gas = paratime.gas(GAS, None)?;
        Ok(paratime.prepare(&mut self.chain, &account_key(who), nonce, gas, call).await?)
    }

    /// Hands a signed call in and waits until it is final.
    pub async fn submit(&mut self, runtime: &str, sent: &Sent) -> Result<Confirmed, NodeError> {
        let mut paratime = ParaTimeClient::new(&mut self.chain, runtime).await?;
        Ok(paratime.submit(&mut self.chain, sent, |_| {}).await?)
    }

    /// Sends a call and waits until it is final; its value, or the refusal that is on record.
    pub async fn call(
        &mut self,
        runtime: &str,
        who: &str,
        method: &str,
        args: &Value,
    ) -> Result<(Confirmed, Value), Refusal> {
        let sent = self.prepare(runtime, who, method, args).await;
        let confirmed = self.submit(runtime, &sent.map_err(|e| refusal(&e))?).await;
        let confirmed = confirmed.map_err(|e| refusal(&e))?;
        let value = value(&confirmed.output)?;
        Ok((confirmed, value))
    }

    /// As [`Client::call`], but tries again for as long as the caller says: what a user of a network
    /// does between two committees or while nodes are down. The call takes effect once, however
    /// often it is submitted.
    pub async fn call_patiently(
        &mut self,
        runtime: &str,
        who: &str,
        method: &str,
        args: &Value,
    ) -> (Confirmed, Value) {
        let began = Instant::now();
        loop {
            let tried = match self.prepare(runtime, who, method, args).await {
                Ok(sent) => self.submit_patiently(runtime, &sent).await,
                Err(error) => Err(error),
            };
            match tried {
                Ok(confirmed) => match value(&confirmed.output) {
                    Ok(value) => return (confirmed, value),
                    // Two epochs passed before its round was made: it had no effect, on record.
                    Err(refusal) if refusal == ("envelope".to_string(), 1) => {}
                    Err(refusal) => panic!("{method}: {refusal:?}"),
                },
                // Sealed for an epoch that is over, or not sealed at all: it had no effect.
                Err(error) if passes(&error) => {
                    assert!(began.elapsed() < PATIENCE, "{method} is still refused: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
                Err(error) => panic!("{method}: {error}"),
            }
        }
    }

    /// Hands a signed call in until it is final.
    pub async fn submit_patiently(
        &mut self,
        runtime: &str,
        sent: &Sent,
    ) -> Result<Confirmed, NodeError> {
        let began = Instant::now();
        loop {
            match self.submit(runtime, sent).await {
                Err(error) if passes(&error) && refusal_is(&error, "envelope") => {
                    return Err(error);
                }
                Err(error) if passes(&error) && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
                other => return other,
            }
        }
    }

    /// Asks a ParaTime.
    pub async fn query(
        &mut self,
        runtime: &str,
        who: Option<&str>,
        method: &str,
        args: &Value,
    ) -> Result<Value, Refusal> {
        let mut paratime = self.paratime(runtime).await;
        let key = who.map(account_key);
        let asked = paratime.query(&mut self.chain, key.as_ref(), call(method, args)).await;
        value(&asked.map_err(|e| refusal(&e.into()))?.output)
    }

    /// As [`Client::query`], but asks again while the nodes that could answer come back.
    pub async fn query_patiently(
        &mut self,
        runtime: &str,
        who: Option<&str>,
        method: &str,
        args: &Value,
    ) -> Value {
        let began = Instant::now();
        loop {
            let asked = async {
                let mut paratime = ParaTimeClient::new(&mut self.chain, runtime).await?;
                let key = who.map(account_key);
                paratime.query(&mut self.chain, key.as_ref(), call(method, args)).await
            };
            match asked.await.map_err(NodeError::from) {
                Ok(answer) => return value(&answer.output).unwrap(),
                Err(error) if passes(&error) && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
                Err(error) => panic!("{method}: {error}"),
            }
        }
    }

    /// A balance in the ParaTime `tokens`, as its owner sees it.
    pub async fn tokens(&mut self, who: &str) -> u128 {
        let args = serde_json::json!({});
        let answer = self.query_patiently("tokens", Some(who), "balance", &args).await;
        answer["balance"].as_str().unwrap().parse().unwrap()
    }

    /// An account of the consensus layer.
    pub async fn account(&mut self, address: &Address) -> staking::Account {
        let account = self.chain.get(&staking::keys::account(address)).await;
        account.unwrap().unwrap_or_default()
    }

    /// What the chain holds of a ParaTime.
    pub async fn state(&mut self, runtime: &str) -> RuntimeState {
        let id = self.chain.runtime(runtime).await.unwrap().id;
        self.chain.require(&roothash::keys::runtime_state(&id)).await.unwrap()
    }
}

fn call(method: &str, args: &Value) -> Call {
    Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

fn refusal_is(error: &NodeError, of: &str) -> bool {
    matches!(error, NodeError::Refused(error) if error.module == of)
}

/// Whether the error says: try again.
fn passes(error: &NodeError) -> bool {
    match error {
        NodeError::Unreachable { .. } | NodeError::NotReady { .. } => true,
        NodeError::Refused(error) => matches!(
            (error.module.as_str(), error.code),
            // No committee in this epoch; no member answers; a pool or worker that is not ready, or
            // has no keys; a final transaction whose receipt nobody has opened; an envelope for an
            // epoch that is over; the node is down (gRPC: cancelled, unknown, unavailable).
            ("roothash", 5)
                | ("node", 9)
                | ("worker", 1 | 3 | 5 | 11..=13)
                | ("worker-link", _)
                | ("keymanager", 30)
                | ("envelope", 1)
                | ("grpc", 1 | 2 | 14)
        ),
        _ => false,
    }
}

fn value(output: &Output) -> Result<Value, Refusal> {
    match output {
        Output::Ok(bytes) if bytes.is_empty() => Ok(Value::Null),
        Output::Ok(bytes) => Ok(serde_json::from_slice(bytes).unwrap()),
        Output::Error(error) => Err((error.module.clone(), error.code)),
    }
}

/// The last block of a ParaTime, if a node has applied it and has its state.
pub async fn in_step(client: &mut Client, endpoint: &str, name: &str) -> Option<roothash::Header> {
    let (round, root) = applied(endpoint, name).await?;
    let last = client.state(name).await.last_block;
    (round == last.round.0 && root == last.state_root.as_bytes()).then_some(last)
}

/// Of a ParaTime, as a node has applied it: round and state root.
async fn applied(endpoint: &str, name: &str) -> Option<(u64, Vec<u8>)> {
    use npb::node_service_client::NodeServiceClient;
    let mut service = NodeServiceClient::connect(endpoint.to_string()).await.ok()?;
    let status = service.get_status(npb::GetStatusRequest {}).await.ok()?.into_inner();
    let runtime = status.runtimes.into_iter().find(|runtime| runtime.name == name)?;
    Some((runtime.round, runtime.state_root))
}

/// The round in which a node finds a transaction final, if any.
pub async fn receipt(endpoint: &str, id: &RuntimeId, sent: &Sent) -> Option<u64> {
    use ppb::para_time_service_client::ParaTimeServiceClient;
    let mut service = ParaTimeServiceClient::connect(endpoint.to_string()).await.unwrap();
    let (runtime_id, tx_hash) = (id.as_bytes().to_vec(), sent.hash.as_bytes().to_vec());
    let request = ppb::GetReceiptRequest { runtime_id, tx_hash };
    service.get_receipt(request).await.ok().map(|receipt| receipt.into_inner().round)
}
