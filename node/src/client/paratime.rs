//! One ParaTime, verified: keys, calls, receipts, queries.

use paralith_consensus_api::{keymanager, registry, roothash};
use paralith_crypto::{SigningKey, ed25519};
use paralith_proto::{Canonical, Wire, pb};
use paralith_runtime_api::envelope::{Info, open_reply, seal_call};
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{self, Body, Call, Transaction, VERSION};
use paralith_types::{Address, Amount, Epoch, Hash, Height, Round, X25519PublicKey};
use pb::paratime::v1 as ppb;
use ppb::para_time_service_client::ParaTimeServiceClient;
use tonic::transport::Channel;

use super::chain::{ChainClient, MAX_MESSAGE_BYTES, refused, unverifiable};
use crate::error::NodeError;

/// Longest output that is read.
const MAX_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// A transaction that was handed in, and what is needed to read its reply.
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

/// A key that calls are sealed to.
#[derive(Debug, Clone, Copy)]
struct EpochKey {
    epoch: Epoch,
    key: X25519PublicKey,
}

/// One ParaTime.
#[derive(Debug)]
pub struct ParaTimeClient {
    /// Its descriptor, proven.
    pub runtime: registry::Runtime,
    service: ParaTimeServiceClient<Channel>,
}

impl ParaTimeClient {
    /// A ParaTime by its name or id.
    pub async fn new(chain: &mut ChainClient, name: &str) -> Result<Self, NodeError> {
        let runtime = chain.runtime(name).await?;
        if runtime.kind != registry::RuntimeKind::Compute {
            return Err(NodeError::usage(name, "this is a key manager: it takes no calls"));
        }
        let service = ParaTimeServiceClient::new(chain.channel())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { runtime, service })
    }

    /// The runtime's key of the running epoch: signed by the key manager's key, which the status in
    /// proven state names.
    async fn epoch_key(&self, chain: &mut ChainClient) -> Result<EpochKey, NodeError> {
        use pb::keymanager::v1::key_manager_service_client::KeyManagerServiceClient;
        let id = self.runtime.key_manager.ok_or_else(|| {
            NodeError::usage(&self.runtime.name, "it is public: calls to it are not encrypted")
        })?;
        let status: keymanager::Status = chain.require(&keymanager::keys::status(&id)).await?;
        let signing_key = status.signing_key.ok_or_else(|| NodeError::NotReady {
            reason: "the key managers have no secret yet: it comes with one of the next epochs, try again".to_string(),
        })?;
        let request = pb::keymanager::v1::GetRuntimePublicKeyRequest {
            runtime_id: self.runtime.id.as_bytes().to_vec(),
            epoch: 0,
            newest: true,
        };
        let signed = KeyManagerServiceClient::new(chain.channel())
            .get_runtime_public_key(request)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        let signed =
            keymanager::SignedRuntimePublicKey::from_pb(signed).map_err(|e| unverifiable(&e))?;
        ed25519::verify(
            &signing_key,
            keymanager::PUBLIC_KEY_DOMAIN,
            &chain.chain_context(),
            &signed.public_key,
            &signed.signature,
        )
        .map_err(|e| unverifiable(&e))?;
        let key = keymanager::RuntimePublicKey::decode(&signed.public_key, 1024)
            .map_err(|e| unverifiable(&e))?;
        if key.id != id || key.runtime_id != self.runtime.id {
            return Err(unverifiable(&"the epoch key is another runtime's"));
        }
        Ok(EpochKey { epoch: key.epoch, key: key.key })
    }

    /// The nonce of the account's next transaction.
    pub async fn nonce(
        &mut self,
        chain: &mut ChainClient,
        address: &Address,
    ) -> Result<u64, NodeError> {
        let args = serde_json::json!({ "address": address }).to_string();
        let call = Call { method: "sdk.nonce".to_string(), args: args.into_bytes() };
        match self.query(chain, None, call).await? {
            Output::Ok(reply) => serde_json::from_slice::<serde_json::Value>(&reply)
                .ok()
                .and_then(|value| value.get("nonce").and_then(serde_json::Value::as_u64))
                .ok_or_else(|| unverifiable(&"the ParaTime's answer to sdk.nonce has no nonce")),
            Output::Error(e) => {
                Err(NodeError::Refused { module: e.module, code: e.code, message: e.message })
            }
        }
    }

    /// Signs a call; encrypts it if the ParaTime is confidential.
    pub async fn prepare(
        &mut self,
        chain: &mut ChainClient,
        key: &SigningKey,
        nonce: u64,
        gas_limit: u64,
        call: Call,
    ) -> Result<Sent, NodeError> {
        let chain_context = chain.chain_context();
        let (body, reply_key) = if self.runtime.confidential {
            let EpochKey { epoch, key: runtime_key } = self.epoch_key(chain).await?;
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
            fee: Amount::ZERO,
            gas_limit,
            body,
        };
        let raw = transaction.sign(key).encode();
        Ok(Sent { hash: tx::hash_of(&raw), raw, reply_key })
    }

    /// Hands a transaction in, tells of each confirmation, and verifies the final one. May be
    /// repeated when the connection was lost: it takes effect once.
    pub async fn submit(
        &mut self,
        chain: &mut ChainClient,
        sent: &Sent,
        confirmed: impl FnMut(&ppb::Receipt),
    ) -> Result<Confirmed, NodeError> {
        let receipt = match self.hand_in(chain, sent, confirmed).await {
            Err(error) if is_final_already(&error) => self.receipt(sent).await?.ok_or(error)?,
            handed_in => handed_in?,
        };
        self.verify(chain, sent, receipt).await
    }

    /// The final receipt of a transaction that was handed in before, if the node finds one; not
    /// verified yet.
    async fn receipt(&mut self, sent: &Sent) -> Result<Option<ppb::Receipt>, NodeError> {
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

    async fn hand_in(
        &mut self,
        chain: &ChainClient,
        sent: &Sent,
        mut confirmed: impl FnMut(&ppb::Receipt),
    ) -> Result<ppb::Receipt, NodeError> {
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
        Err(NodeError::Unreachable {
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
    ) -> Result<Confirmed, NodeError> {
        let header =
            receipt.header.ok_or_else(|| unverifiable(&"a final receipt without header"))?;
        let header = roothash::Header::from_pb(header).map_err(|e| unverifiable(&e))?;
        let proven_at = self.prove_header(chain, &header).await?;

        let leaf = receipt.leaf.ok_or_else(|| unverifiable(&"a final receipt without leaf"))?;
        let leaf = IoLeaf::from_pb(leaf).map_err(|e| unverifiable(&e))?;
        let path: Result<Vec<Hash>, _> =
            receipt.leaf_path.iter().map(|hash| Hash::try_from(hash.as_slice())).collect();
        let proof = paralith_crypto::merkle::MerkleProof {
            index: receipt.leaf_index,
            total: receipt.leaf_count,
            path: path.map_err(|e| unverifiable(&e))?,
        };
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

    /// Proves that a header is final, and gives the height of the state that says so.
    async fn prove_header(
        &self,
        chain: &mut ChainClient,
        header: &roothash::Header,
    ) -> Result<Height, NodeError> {
        if header.runtime_id != self.runtime.id {
            return Err(unverifiable(&"the header is another runtime's"));
        }
        let key = roothash::keys::header(&self.runtime.id, header.round);
        let mut proven = chain.proven(None, &key).await?;
        if proven.value.is_none() {
            // The block that made the round exists, the header that proves its state comes next.
            let next = proven.height.next();
            chain.sync_to(next).await?;
            proven = chain.proven(None, &key).await?;
        }
        match proven.value {
            Some(value) if value == header.encode() => Ok(proven.height),
            Some(_) => Err(unverifiable(&"the chain has another header for this round")),
            None => Err(unverifiable(&"the chain does not have this round")),
        }
    }

    /// Asks the ParaTime; signed if a key is given, encrypted if it is confidential.
    pub async fn query(
        &mut self,
        chain: &mut ChainClient,
        key: Option<&SigningKey>,
        call: Call,
    ) -> Result<Output, NodeError> {
        let chain_context = chain.chain_context();
        let (body, reply_key) = if self.runtime.confidential {
            let EpochKey { epoch, key: runtime_key } = self.epoch_key(chain).await?;
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
        match reply_key {
            None => read_output(&answer.output),
            Some(key) => {
                let root =
                    Hash::try_from(answer.state_root.as_slice()).map_err(|e| unverifiable(&e))?;
                open_sealed(&key, &query.hash(), Round(answer.round), &root, &answer.output)
            }
        }
    }

    /// What a final round was asked to reveal.
    pub async fn reveal(&mut self, round: Round, handle: Vec<u8>) -> Result<Output, NodeError> {
        let request = ppb::RevealRequest {
            runtime_id: self.runtime.id.as_bytes().to_vec(),
            round: round.0,
            handle,
        };
        let answer = self.service.reveal(request).await.map_err(|s| refused(&s))?.into_inner();
        read_output(&answer.output)
    }

    /// The rounds as they become final.
    pub async fn watch(&mut self) -> Result<tonic::Streaming<ppb::Round>, NodeError> {
        let request = ppb::WatchRoundsRequest { runtime_id: self.runtime.id.as_bytes().to_vec() };
        Ok(self.service.watch_rounds(request).await.map_err(|s| refused(&s))?.into_inner())
    }
}

/// Whether a transaction was handed in before and is final.
fn is_final_already(error: &NodeError) -> bool {
    matches!(error, NodeError::Refused { module, code, .. } if module == "worker" && *code == 3)
}

fn read_output(bytes: &[u8]) -> Result<Output, NodeError> {
    Output::decode(bytes, MAX_OUTPUT_BYTES).map_err(|e| unverifiable(&e))
}

fn open_sealed(
    key: &[u8; 32],
    subject: &Hash,
    round: Round,
    place: &Hash,
    sealed: &[u8],
) -> Result<Output, NodeError> {
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

/// 32 bytes from the operating system.
pub(crate) fn random() -> Result<[u8; 32], NodeError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| NodeError::internal(&e))?;
    Ok(bytes)
}
