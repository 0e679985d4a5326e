//! JSON-RPC to CometBFT: what only it knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use paralith_consensus_light::LightBlock;
use paralith_types::Height;
use serde_json::{Value, json};
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::{Info, Set};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::RpcAddress;
use crate::EngineError;

/// Asks one CometBFT.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    address: RpcAddress,
    /// Validator sets by their hash: they change rarely, every light block needs two.
    sets: Arc<Mutex<BTreeMap<Vec<u8>, Set>>>,
}

/// Sets that are remembered.
const MAX_SETS: usize = 64;

/// Where CometBFT stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcStatus {
    pub(crate) height: Height,
    pub(crate) catching_up: bool,
}

impl Rpc {
    pub(crate) fn new(address: RpcAddress) -> Self {
        Self { address, sets: Arc::default() }
    }

    pub(crate) async fn status(&self) -> Result<RpcStatus, EngineError> {
        let status = self.call("status", json!({})).await?;
        let sync = &status["sync_info"];
        let height = number(&sync["latest_block_height"])?;
        Ok(RpcStatus { height: Height(height), catching_up: sync["catching_up"] == json!(true) })
    }

    /// A header with its commit, its validators and the next height's.
    pub(crate) async fn light_block(
        &self,
        height: Option<Height>,
    ) -> Result<LightBlock, EngineError> {
        let params = height.map_or(json!({}), |height| json!({ "height": height.to_string() }));
        let commit = self.call("commit", params).await?;
        let signed: SignedHeader = serde_json::from_value(commit["signed_header"].clone())
            .map_err(|e| no_answer(format!("commit: {e}")))?;
        let header = &signed.header;
        let height = Height(header.height.value());
        let validators = self.set(height, header.validators_hash.as_bytes()).await?;
        let next = self.set(height.next(), header.next_validators_hash.as_bytes()).await?;
        Ok(LightBlock::new(signed, &validators, &next)?)
    }

    /// The validators of a height, whose hash its header names.
    async fn set(&self, height: Height, hash: &[u8]) -> Result<Set, EngineError> {
        let known = |sets: &BTreeMap<Vec<u8>, Set>| sets.get(hash).cloned();
        if let Some(set) = known(&self.sets.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(set);
        }
        let set = self.validators(height).await?;
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MAX_SETS {
            sets.clear();
        }
        sets.insert(set.hash().as_bytes().to_vec(), set.clone());
        Ok(set)
    }

    async fn validators(&self, height: Height) -> Result<Set, EngineError> {
        let mut infos: Vec<Info> = Vec::new();
        for page in 1..=MAX_PAGES {
            let params = json!({
                "height": height.to_string(),
                "page": page.to_string(),
                "per_page": "100",
            });
            let answer = self.call("validators", params).await?;
            let some: Vec<Info> = serde_json::from_value(answer["validators"].clone())
                .map_err(|e| no_answer(format!("validators: {e}")))?;
            let total = number(&answer["total"])?;
            let none = some.is_empty();
            infos.extend(some);
            if none || u64::try_from(infos.len()).is_ok_and(|len| len >= total) {
                break;
            }
        }
        let set = infos.iter().map(|info| {
            let key = paralith_types::PublicKey::try_from(info.pub_key.to_bytes().as_slice());
            key.map(|key| (key, info.power.value())).map_err(|e| no_answer(e.to_string()))
        });
        let set: Result<Vec<_>, EngineError> = set.collect();
        Ok(paralith_consensus_light::validator_set(&set?)?)
    }

    /// Hands transactions on. Says how many CometBFT did not take, e.g. because it has them already.
    pub(crate) async fn broadcast(&self, txs: &[Vec<u8>]) -> Result<usize, EngineError> {
        let requests: Vec<Value> = txs
            .iter()
            .enumerate()
            .map(|(id, tx)| request(id, "broadcast_tx_async", json!({ "tx": BASE64.encode(tx) })))
            .collect();
        let answers = self.post(&Value::Array(requests)).await?;
        let refused = |answer: &&Value| answer.get("error").is_some_and(|e| !e.is_null());
        match &answers {
            Value::Array(answers) => Ok(answers.iter().filter(refused).count()),
            // CometBFT answers a batch of one without its list.
            Value::Object(_) => Ok(usize::from(refused(&&answers))),
            _ => Err(no_answer(format!("broadcast: {}", short(&answers)))),
        }
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, EngineError> {
        let mut answer = self.post(&request(0, method, params)).await?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            return Err(no_answer(format!("{method}: {}", short(error))));
        }
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(no_answer(format!("{method}: no result"))),
        }
    }

    async fn post(&self, body: &Value) -> Result<Value, EngineError> {
        let body = Bytes::from(body.to_string());
        let exchange = async {
            match &self.address {
                RpcAddress::Unix(path) => {
                    let stream = UnixStream::connect(path).await;
                    exchange(stream.map_err(|e| no_answer(e.to_string()))?, body).await
                }
                RpcAddress::Tcp(address) => {
                    let stream = TcpStream::connect(address).await;
                    exchange(stream.map_err(|e| no_answer(e.to_string()))?, body).await
                }
            }
        };
        paralith_rt::timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| no_answer("no answer in time".to_string()))?
    }
}

/// One request on one connection: it stays in this machine, so connecting costs next to nothing.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    body: Bytes,
) -> Result<Value, EngineError> {
    let failed = |e: hyper::Error| no_answer(e.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = paralith_rt::spawn(connection);
    let request = Request::post("/")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(|e| no_answer(e.to_string()))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let collected = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    connection.abort();
    let bytes = collected.map_err(|e| no_answer(e.to_string()))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|e| no_answer(format!("not JSON: {e}")))
}

fn request(id: usize, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// CometBFT writes 64-bit numbers as text.
fn number(value: &Value) -> Result<u64, EngineError> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| no_answer(format!("not a number: {}", short(value))))
}

fn no_answer(reason: String) -> EngineError {
    EngineError::NoAnswer { reason: format!("CometBFT: {reason}") }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

/// CometBFT has at most 10,000 validators.
const MAX_PAGES: u32 = 100;

const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
