//! One ParaTime, verified: keys, calls, receipts, queries.

use paralith_consensus_api::{beacon, keymanager, registry, roothash};
use paralith_crypto::{SigningKey, ed25519};
use paralith_proto::{Canonical, Wire, pb};
use paralith_runtime_api::envelope::{Info, open_reply, seal_call};
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{self, Body, Call, Transaction, VERSION};
use paralith_types::{Address, Amount, Epoch, Hash, Height, Round, X25519PublicKey};
pub(crate) use pb::paratime::v1 as ppb;
use ppb::para_time_service_client::ParaTimeServiceClient;
use tonic::transport::Channel;

use crate::chain::{ChainClient, Proven, RESPONSE_MAX_BYTES};
use crate::error::{ClientError, refused, unverifiable};
use crate::submit::TxOptions;

/// Longest output that is read.
const MAX_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// How often the chain is followed by one more block when an answer is newer than what is proven. A
/// node's newest block is proven by the next one, so an honest answer is one or two blocks ahead.
const BLOCKS_AHEAD: u32 = 3;

/// How often a stale answer is asked for again, a block later each time: the committee member that
/// answered may lag a moment behind the node.
pub(crate) const STALE_TRIES: u32 = 3;

/// What a call may use and pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gas {
    /// Most gas.
    pub limit: u64,
    /// The fee, in base units of the ParaTime.
    pub fee: Amount,
}

/// A transaction that was signed, and what is needed to read its reply.
#[derive(Debug)]
pub struct Sent {
    /// Identifies it.
    pub hash: Hash,
    /// The signed bytes.
    pub raw: Vec<u8>,
    reply_key: Option<[u8; 32]>,
}

/// A final result, every step of it verified.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// The round's final header.
    pub header: roothash::Header,
    /// The height of the consensus state that proves the header.
    pub proven_at: Height,
    /// The transaction's public leaf.
    pub leaf: IoLeaf,
    /// The result, decrypted.
    pub output: Output,
}

/// The answer to a query. State root and round are proven; the output of a confidential ParaTime is
/// its enclave's, that of a public one the node's claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The final round whose state was read.
    pub round: Round,
    /// The root of that state.
    pub state_root: Hash,
    /// The height of the consensus state that proves both.
    pub proven_at: Height,
    /// The answer, decrypted.
    pub output: Output,
}

/// A key that calls are sealed to, verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochKey {
    /// Its epoch.
    pub epoch: Epoch,
    /// The key.
    pub key: X25519PublicKey,
}

/// One ParaTime.
#[derive(Debug)]
pub struct ParaTimeClient {
    /// Its descriptor, proven.
    pub runtime: registry::Runtime,
    pub(crate) service: ParaTimeServiceClient<Channel>,
}

impl ChainClient {
    /// A runtime's key of the epoch in proven state: of that epoch, of the generation in proven
    /// state, signed by the key manager's key in proven state. Where the chain has gone on meanwhile,
    /// it is followed and asked again.
    pub async fn epoch_key(
        &mut self,
        runtime: &registry::Runtime,
    ) -> Result<EpochKey, ClientError> {
        let id = runtime.key_manager.ok_or_else(|| {
            ClientError::usage(&runtime.name, "it is public: calls to it are not encrypted")
        })?;
        let mut tries = 0;
        loop {
            let epoch: beacon::EpochState = self.require(&beacon::keys::epoch()).await?;
            let status: keymanager::Status = self.require(&keymanager::keys::status(&id)).await?;
            let offered = self.offered_key(runtime, epoch.epoch).await?;
            match check_key(&self.chain_context(), runtime, &status, epoch.epoch, &offered) {
                Ok(key) => return Ok(EpochKey { epoch: key.epoch, key: key.key }),
                // The key managers may have rotated in a block that no header proves yet.
                Err(_) if tries < BLOCKS_AHEAD => {
                    tries += 1;
                    let next = self.sync().await?.next();
                    self.sync_to(next).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn offered_key(
        &self,
        runtime: &registry::Runtime,
        epoch: Epoch,
    ) -> Result<keymanager::SignedRuntimePublicKey, ClientError> {
        use pb::keymanager::v1::key_manager_service_client::KeyManagerServiceClient;
        let request = pb::keymanager::v1::GetRuntimePublicKeyRequest {
            runtime_id: runtime.id.as_bytes().to_vec(),
            epoch: epoch.0,
            newest: false,
        };
        let signed = KeyManagerServiceClient::new(self.channel())
            .get_runtime_public_key(request)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        keymanager::SignedRuntimePublicKey::from_pb(signed).map_err(|e| unverifiable(&e))
    }
}

impl ParaTimeClient {
    /// A ParaTime by its name or id.
    pub async fn new(chain: &mut ChainClient, name: &str) -> Result<Self, ClientError> {
        let runtime = chain.runtime(name).await?;
        if runtime.kind != registry::RuntimeKind::Compute {
            return Err(ClientError::usage(name, "it is no ParaTime, and takes no calls"));
        }
        let service = ParaTimeServiceClient::new(chain.channel())
            .max_decoding_message_size(RESPONSE_MAX_BYTES)
            .max_encoding_message_size(RESPONSE_MAX_BYTES);
        Ok(Self { runtime, service })
    }

    /// The nonce of the account's next transaction.
    pub async fn nonce(
        &mut self,
        chain: &mut ChainClient,
        address: &Address,
    ) -> Result<u64, ClientError> {
        let args = serde_json::json!({ "address": address }).to_string();
        let call = Call { method: "sdk.nonce".to_string(), args: args.into_bytes() };
        match self.query(chain, None, call).await?.output {
            Output::Ok(reply) => serde_json::from_slice::<serde_json::Value>(&reply)
                .ok()
                .and_then(|value| value.get("nonce").and_then(serde_json::Value::as_u64))
                .ok_or_else(|| unverifiable(&"the ParaTime's answer to sdk.nonce has no nonce")),
            Output::Error(e) => {
                Err(ClientError::Refused(paralith_types::Error::new(&e.module, e.code, e.message)))
            }
        }
    }

    /// Gas limit and fee of a call: those given, or what follows from the ParaTime's least price.
    ///
    /// The fee is for the limit, and nothing of it comes back if the call uses less. So the limit that
    /// is not given is what the fee buys, or the highest there is where gas has no price; where it
    /// has one, the caller must say what it pays. No node can say what a call will use: to run it
    /// for an answer would let anybody try calls on a confidential state, unpaid and unseen.
    pub fn price(&self, options: TxOptions) -> Result<Gas, ClientError> {
        // LC-17: nothing is executed for an estimate.
        let (most, price) = (self.most_gas(), self.runtime.min_gas_price.0);
        match (options.gas_limit, options.fee) {
            (Some(limit), fee) => self.gas(limit, fee),
            (None, Some(fee)) => {
                let bought = fee.0.checked_div(price).unwrap_or(u128::MAX);
                let limit = u64::try_from(bought).unwrap_or(u64::MAX).min(most);
                self.gas(limit, Some(fee))
            }
            (None, None) if price == 0 => self.gas(most, None),
            (None, None) => {
                let Gas { fee, .. } = self.gas(most, None)?;
                let reason = format!(
                    "say what the call may use or pay, with --gas or --fee: this ParaTime takes {price} for \
                     a unit of gas, of the limit and not of the use. The highest limit is {most}, for {fee}"
                );
                Err(ClientError::usage("the gas limit", reason))
            }
        }
    }

    /// The highest gas limit of a call.
    fn most_gas(&self) -> u64 {
        self.runtime.max_tx_gas.min(self.runtime.batching.max_batch_gas)
    }

    /// Gas limit and fee of a call: the fee given, or the ParaTime's least price for the gas.
    pub fn gas(&self, limit: u64, fee: Option<Amount>) -> Result<Gas, ClientError> {
        let most = self.most_gas();
        if limit > most {
            let reason = format!("this ParaTime allows a transaction at most {most}");
            return Err(ClientError::usage(format!("a gas limit of {limit}"), reason));
        }
        let fee = match fee {
            Some(fee) => fee,
            None => {
                let gas = Amount(u128::from(limit));
                let least = self.runtime.min_gas_price.mul_div(gas, Amount(1));
                least.map_err(|e| ClientError::internal(&e))?
            }
        };
        Ok(Gas { limit, fee })
    }

    /// Signs a call; encrypts it if the ParaTime is confidential.
    pub async fn prepare(
        &mut self,
        chain: &mut ChainClient,
        key: &SigningKey,
        nonce: u64,
        gas: Gas,
        call: Call,
    ) -> Result<Sent, ClientError> {
        let chain_context = chain.chain_context();
        let (body, reply_key) = if self.runtime.confidential {
            let EpochKey { epoch, key: runtime_key } = chain.epoch_key(&self.runtime).await?;
            let sender = key.public();
            let info = Info::transaction(chain_context, self.runtime.id, epoch, &sender, nonce);
            let reply_key = random()?;
            let envelope = seal_call(&runtime_key, &info, call, reply_key, random()?)
                .map_err(|e| unverifiable(&e))?;
            (Body::Envelope(envelope), Some(reply_key))
        } else {
            (Body::Call(call), None)
        };
        let transaction = Transaction {
            version: VERSION,
            chain_context,
            runtime_id: self.runtime.id,
            nonce,
            fee: gas.fee,
            gas_limit: gas.limit,
            body,
        };
        let raw = transaction.sign(key).encode();
        Ok(Sent { hash: tx::hash_of(&raw), raw, reply_key })
    }

    /// Submits a transaction, reports each confirmation, and verifies the final one. May be repeated
    /// when the connection was lost: it takes effect once.
    pub async fn submit(
        &mut self,
        chain: &mut ChainClient,
        sent: &Sent,
        confirmed: impl FnMut(&ppb::Receipt),
    ) -> Result<Confirmed, ClientError> {
        let receipt = match self.submit_once(chain, sent, confirmed).await {
            // Refused, because it was submitted before and has had its effect: its receipt says so.
            Err(ClientError::Refused(error)) if !error.retry.is_retryable() => {
                self.receipt(sent).await?.ok_or(ClientError::Refused(error))?
            }
            submitted => submitted?,
        };
        self.verify(chain, sent, receipt).await
    }

    /// The final receipt of a transaction that was submitted before, if the node finds one; not
    /// verified yet.
    async fn receipt(&mut self, sent: &Sent) -> Result<Option<ppb::Receipt>, ClientError> {
        let request = ppb::GetReceiptRequest {
            runtime_id: self.runtime.id.as_bytes().to_vec(),
            tx_hash: sent.hash.as_bytes().to_vec(),
        };
        match self.service.get_receipt(request).await {
            Ok(receipt) => Ok(Some(receipt.into_inner())),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(refused(&status)),
        }
    }

    async fn submit_once(
        &mut self,
        chain: &ChainClient,
        sent: &Sent,
        mut confirmed: impl FnMut(&ppb::Receipt),
    ) -> Result<ppb::Receipt, ClientError> {
        let request = ppb::SubmitRequest {
            transaction: sent.raw.clone(),
            wait_for: ppb::Confirmation::Final as i32,
        };
        let mut receipts =
            self.service.submit(request).await.map_err(|s| refused(&s))?.into_inner();
        while let Some(receipt) = receipts.message().await.map_err(|s| refused(&s))? {
            confirmed(&receipt);
            if receipt.confirmation() == ppb::Confirmation::Final {
                return Ok(receipt);
            }
        }
        Err(ClientError::Unreachable {
            node: chain.node().to_string(),
            reason: "it ended the stream before the transaction was final".to_string(),
        })
    }

    /// Verifies a final receipt: header by state proof, leaf by its path, output by the leaf.
    async fn verify(
        &self,
        chain: &mut ChainClient,
        sent: &Sent,
        receipt: ppb::Receipt,
    ) -> Result<Confirmed, ClientError> {
        let header =
            receipt.header.ok_or_else(|| unverifiable(&"a final receipt without header"))?;
        let header = roothash::Header::from_pb(header).map_err(|e| unverifiable(&e))?;
        let proven_at = self.prove_header(chain, &header).await?.height;

        let leaf = receipt.leaf.ok_or_else(|| unverifiable(&"a final receipt without leaf"))?;
        let leaf = IoLeaf::from_pb(leaf).map_err(|e| unverifiable(&e))?;
        let path: Result<Vec<Hash>, _> =
            receipt.leaf_path.iter().map(|hash| Hash::try_from(hash.as_slice())).collect();
        let proof = paralith_crypto::merkle::MerkleProof {
            index: receipt.leaf_index,
            total: receipt.leaf_count,
            path: path.map_err(|e| unverifiable(&e))?,
        };
        // LC-14: header, leaf, output and reply are each tied to the one before.
        if leaf.tx_hash != sent.hash || !proof.verify(&header.io_root, &leaf.encode()) {
            return Err(unverifiable(&"the transaction is not in the round's I/O tree"));
        }
        let opened =
            receipt.output.ok_or_else(|| unverifiable(&"a final receipt without output"))?;
        let opened = OpenedOutput::from_pb(opened).map_err(|e| unverifiable(&e))?;
        if !opened.matches(&leaf) {
            return Err(unverifiable(&"the output is not the one that the round committed to"));
        }
        let output = match &sent.reply_key {
            None => read_output(&opened.output)?,
            Some(key) => {
                open_sealed(key, &sent.hash, header.round, &header.proposal_id, &opened.output)?
            }
        };
        Ok(Confirmed { header, proven_at, leaf, output })
    }

    /// Proves that a header is final.
    pub(crate) async fn prove_header(
        &self,
        chain: &mut ChainClient,
        header: &roothash::Header,
    ) -> Result<Proven, ClientError> {
        if header.runtime_id != self.runtime.id {
            return Err(unverifiable(&"the header is another runtime's"));
        }
        let key = roothash::keys::header(&self.runtime.id, header.round);
        let mut proven = chain.proven(None, &key).await?;
        let mut tries = 0;
        // The block that made the round exists, the header that proves its state comes next.
        while proven.value.is_none() && tries < BLOCKS_AHEAD {
            tries += 1;
            chain.sync_to(proven.height.next()).await?;
            proven = chain.proven(None, &key).await?;
        }
        match proven.value {
            Some(ref value) if *value == header.encode() => Ok(proven),
            Some(_) => Err(unverifiable(&"the chain has another header for this round")),
            None => Err(unverifiable(&"the chain does not have this round")),
        }
    }

    /// Queries the ParaTime; signed if a key is given, encrypted if it is confidential.
    ///
    /// The answer is of a final state that the chain proves, and not older than the newest round that
    /// this client had proven when it asked.
    pub async fn query(
        &mut self,
        chain: &mut ChainClient,
        key: Option<&SigningKey>,
        call: Call,
    ) -> Result<Answer, ClientError> {
        let mut tries = 0;
        loop {
            let least = self.state(chain).await?.1.last_normal_round;
            let (round, state_root, output) = self.query_once(chain, key, call.clone()).await?;
            if round >= least {
                let proven_at = self.prove_root(chain, round, &state_root).await?;
                return Ok(Answer { round, state_root, proven_at, output });
            }
            tries += 1;
            if tries == STALE_TRIES {
                return Err(unverifiable(&format!(
                    "the answer is of round {round}, but round {least} is final already"
                )));
            }
            let next = chain.sync().await?.next();
            chain.sync_to(next).await?;
        }
    }

    async fn query_once(
        &mut self,
        chain: &mut ChainClient,
        key: Option<&SigningKey>,
        call: Call,
    ) -> Result<(Round, Hash, Output), ClientError> {
        let chain_context = chain.chain_context();
        let (body, reply_key) = if self.runtime.confidential {
            let EpochKey { epoch, key: runtime_key } = chain.epoch_key(&self.runtime).await?;
            let sender = key.map(SigningKey::public);
            let info = Info::query(chain_context, self.runtime.id, epoch, sender.as_ref());
            let reply_key = random()?;
            let envelope = seal_call(&runtime_key, &info, call, reply_key, random()?)
                .map_err(|e| unverifiable(&e))?;
            (Body::Envelope(envelope), Some(reply_key))
        } else {
            (Body::Call(call), None)
        };
        let query = Query { chain_context, runtime_id: self.runtime.id, body, signed: None };
        let query = match key {
            Some(key) => query.sign(key),
            None => query,
        };
        let answer = self
            .service
            .query(ppb::QueryRequest { query: query.encode() })
            .await
            .map_err(|s| refused(&s))?
            .into_inner();
        let root = Hash::try_from(answer.state_root.as_slice()).map_err(|e| unverifiable(&e))?;
        let round = Round(answer.round);
        let output = match reply_key {
            None => read_output(&answer.output)?,
            Some(key) => open_sealed(&key, &query.hash(), round, &root, &answer.output)?,
        };
        Ok((round, root, output))
    }

    /// Where the ParaTime stands in the newest proven state, and the height of that.
    pub async fn state(
        &self,
        chain: &mut ChainClient,
    ) -> Result<(Height, roothash::RuntimeState), ClientError> {
        let proven = chain.proven(None, &roothash::keys::runtime_state(&self.runtime.id)).await?;
        let value = proven.value.ok_or_else(|| ClientError::NotReady {
            reason: format!("the ParaTime {} has no round yet", self.runtime.name),
        })?;
        Ok((proven.height, crate::chain::decode(&value)?))
    }

    /// Proves that a final round led to this state root, and gives the height of the state that
    /// proves it.
    pub async fn prove_root(
        &self,
        chain: &mut ChainClient,
        round: Round,
        state_root: &Hash,
    ) -> Result<Height, ClientError> {
        let (mut height, mut state) = self.state(chain).await?;
        let mut tries = 0;
        while state.last_normal_round < round && tries < BLOCKS_AHEAD {
            tries += 1;
            chain.sync_to(height.next()).await?;
            (height, state) = self.state(chain).await?;
        }
        // LC-15: the state root must be the proven one of the answer's round.
        let found = if state.last_normal_round == round {
            // Rounds without results leave the state as it was.
            Some(state.last_block.state_root)
        } else {
            let key = roothash::keys::header(&self.runtime.id, round);
            let header = chain.get::<roothash::Header>(&key).await?;
            header.map(|header| header.state_root)
        };
        match found {
            Some(root) if root == *state_root => Ok(height),
            Some(_) => Err(unverifiable(&format!("round {round} led to another state root"))),
            None => Err(unverifiable(&format!("the chain does not have round {round}"))),
        }
    }

    /// What a final round was asked to reveal.
    pub async fn reveal(&mut self, round: Round, handle: Vec<u8>) -> Result<Output, ClientError> {
        let request = ppb::RevealRequest {
            runtime_id: self.runtime.id.as_bytes().to_vec(),
            round: round.0,
            handle,
        };
        let answer = self.service.reveal(request).await.map_err(|s| refused(&s))?.into_inner();
        read_output(&answer.output)
    }

    /// The rounds as they become final.
    pub async fn watch(&mut self) -> Result<tonic::Streaming<ppb::Round>, ClientError> {
        let request = ppb::WatchRoundsRequest { runtime_id: self.runtime.id.as_bytes().to_vec() };
        Ok(self.service.watch_rounds(request).await.map_err(|s| refused(&s))?.into_inner())
    }
}

/// Checks a key that a node offers against proven state: of this key manager and runtime, of this
/// epoch, of the newest generation, signed by its signing key. A key of an earlier epoch may be one
/// that is erased already or one that leaked.
fn check_key(
    chain: &paralith_types::ChainContext,
    runtime: &registry::Runtime,
    status: &keymanager::Status,
    epoch: Epoch,
    offered: &keymanager::SignedRuntimePublicKey,
) -> Result<keymanager::RuntimePublicKey, ClientError> {
    let signing_key = status.signing_key.ok_or_else(|| ClientError::NotReady {
        reason:
            "the key managers have no secret yet: it comes with one of the next epochs, try again"
                .to_string(),
    })?;
    ed25519::verify(
        &signing_key,
        keymanager::PUBLIC_KEY_DOMAIN,
        chain,
        &offered.public_key,
        &offered.signature,
    )
    .map_err(|e| unverifiable(&e))?;
    let key = keymanager::RuntimePublicKey::decode(&offered.public_key, 1024)
        .map_err(|e| unverifiable(&e))?;
    if key.id != status.id || key.runtime_id != runtime.id {
        return Err(unverifiable(&"the epoch key is another runtime's"));
    }
    // LC-10: the key of exactly the proven epoch and generation.
    if key.epoch != epoch {
        let got = key.epoch;
        return Err(unverifiable(&format!("the key is of epoch {got}, the chain's is {epoch}")));
    }
    if status.checksum != Some(key.checksum) {
        return Err(unverifiable(&"the key is of another generation than the chain's"));
    }
    Ok(key)
}

fn read_output(bytes: &[u8]) -> Result<Output, ClientError> {
    Output::decode(bytes, MAX_OUTPUT_BYTES).map_err(|e| unverifiable(&e))
}

fn open_sealed(
    key: &[u8; 32],
    subject: &Hash,
    round: Round,
    place: &Hash,
    sealed: &[u8],
) -> Result<Output, ClientError> {
    if let Ok(reply) = SealedReply::decode(sealed, MAX_OUTPUT_BYTES)
        && let Ok(output) = open_reply(key, subject, round, place, &reply.sealed)
    {
        return read_output(&output);
    }
    // What failed before the envelope was opened has no reply key: a refusal may come in the clear.
    // A value may not, or a node could make one up.
    match read_output(sealed)? {
        refusal @ Output::Error(_) => Ok(refusal),
        Output::Ok(_) => Err(unverifiable(&"the reply does not open with the call's reply key")),
    }
}

fn random() -> Result<[u8; 32], ClientError> {
    paralith_rt::random().map_err(|e| ClientError::internal(&e))
}
