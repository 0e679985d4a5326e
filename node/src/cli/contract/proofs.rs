//! What a transaction came to, and what was written down of it: receipt, verify.
//!
//! What a file claims is verified against records of the mediator. Those are had of a node, proven as always;
//! or of the file itself, proven by the genesis document alone.

use std::path::Path;

use paralith_private_contract_core::disclosure::{DisclosedEntry, result_holds};
use paralith_private_contract_messages::{
    Canonical, ContractId, FinalBatch, TransactionRecord, keys as places,
};
use paralith_storage::Proof;
use paralith_types::RuntimeId;
use serde_json::{Value, json};

use super::files::{self, ChainProof, Disclosed};
use super::look::{shown_output, status_name};
use super::{MediatorArgs, ReceiptArgs, VerifyArgs};
use crate::cli::output;
use crate::client::PortableProof;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::systems::private_contract::client::{ContractClient, PublicClient};

/// No record of the mediator is longer.
const MAX_RECORD_BYTES: usize = 512 * 1024;

/// Shows what became of a transaction.
pub(super) async fn receipt(args: ReceiptArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let (id, seq) = (args.contract, args.seq);
    let (record, batch, round) = match &args.member {
        Some(address) => {
            let trust = args.mediator.node.tls.trust()?;
            let mut member = PublicClient::connect(address, &trust).await?;
            let proven = member.transaction(&mut client, &id, seq).await?;
            (proven.record, proven.batch, Some(proven.round))
        }
        None => {
            let record = client.transaction(&id, seq).await?;
            let batch = match record.batch {
                0 => None,
                batch => client.record(places::final_batch(&id, batch)).await?,
            };
            (record, batch, None)
        }
    };
    let mut shown = shown_transaction(&id, seq, &record, batch.as_ref());
    if let Some(round) = round {
        shown["round"] = json!(round);
    }
    if let Some(file) = &args.out {
        let mut keys = vec![places::transaction(&id, seq)];
        if record.batch != 0 {
            keys.push(places::final_batch(&id, record.batch));
        }
        let chain = Some(ChainProof::of(&client.portable(&keys).await?));
        let contract = id.to_hex();
        files::write_json(file, &Disclosed::Transaction { contract, seq, chain })?;
        shown["receipt"] = json!(file.display().to_string());
    }
    output::print(&shown, args.mediator.node.json)
}

fn shown_transaction(
    id: &ContractId,
    seq: u64,
    record: &TransactionRecord,
    batch: Option<&FinalBatch>,
) -> Value {
    json!({
        "contract": id.to_hex(), "seq": seq, "status": status_name(record.status),
        "sender": record.sender, "content_hash": record.content_hash.to_hex(),
        "content_bytes": record.content_bytes, "submitted_at": record.height,
        "batch": record.batch, "root": batch.map(|batch| batch.root),
        "results_root": batch.map(|batch| batch.results_root),
    })
}

/// Where records of the mediator come from.
enum Records {
    /// A node.
    Node(Box<ContractClient>),
    /// The file, proven.
    File(Box<PortableProof>),
}

/// A file that is verified, and against what.
struct Verifying<'a> {
    file: &'a Path,
    records: Records,
    /// What is shown besides.
    shown: Value,
}

/// The mediator that a proof must be of: by its id, or by its name in the genesis document. Anybody may
/// register a ParaTime of any name later.
fn mediator_of(args: &MediatorArgs, genesis: &GenesisInfo) -> Result<RuntimeId, NodeError> {
    if let Ok(id) = args.mediator.parse() {
        return Ok(id);
    }
    let runtimes = &genesis.document.genesis.runtimes;
    let named = runtimes.iter().find(|runtime| runtime.name == args.mediator);
    named.map(|runtime| runtime.id).ok_or_else(|| {
        let reason = "the genesis document has no ParaTime of this name: give the mediator's id";
        NodeError::usage(format!("--mediator {}", args.mediator), reason)
    })
}

impl<'a> Verifying<'a> {
    /// Verifies a file's proof with the genesis document alone.
    fn without_node(
        args: &'a VerifyArgs,
        genesis: &Path,
        chain: Option<&ChainProof>,
    ) -> Result<Self, NodeError> {
        let file = &args.file;
        let text = std::fs::read_to_string(genesis)
            .map_err(|e| NodeError::io(genesis.display().to_string(), &e))?;
        let genesis = GenesisInfo::parse(&text)?;
        if let Some(expected) = args.mediator.node.chain
            && expected != genesis.context
        {
            let reason = format!("it is of the chain {}, not of {expected}", genesis.context);
            return Err(NodeError::usage("--genesis", reason));
        }
        let chain = chain.ok_or_else(|| {
            let reason = "it holds no proof of the chain: verify it with a node, without --genesis";
            NodeError::usage(file.display().to_string(), reason)
        })?;
        let proof = chain.read(file)?;
        let expected = mediator_of(&args.mediator, &genesis)?;
        if proof.runtime_id != expected {
            let reason = format!("it is of the mediator {}, not of {expected}", proof.runtime_id);
            return Err(not_proven(file, reason));
        }
        let proven = proof.verify(&genesis).map_err(|error| match error {
            crate::client::ClientError::Unverifiable { reason } => not_proven(file, reason),
            other => other.into(),
        })?;
        let shown = json!({
            "by": "the genesis document alone", "chain": genesis.context,
            "mediator": proof.runtime_id, "round": proven.header.round, "height": proven.height,
            "unix_time": proven.time_seconds,
        });
        Ok(Self { file, records: Records::File(Box::new(proof)), shown })
    }

    /// A record of the mediator; none if it is proven that there is none.
    async fn find<T: Canonical>(
        &mut self,
        what: &str,
        key: Vec<u8>,
    ) -> Result<Option<T>, NodeError> {
        let value = match &mut self.records {
            Records::Node(client) => client.records(&[key]).await?.into_iter().next().flatten(),
            Records::File(proof) => {
                let entry = proof.entry(&key);
                let lacks = || not_proven(self.file, format!("it holds no proof of {what}"));
                entry.ok_or_else(lacks)?.value.clone()
            }
        };
        let read = |bytes: Vec<u8>| T::decode(&bytes, MAX_RECORD_BYTES);
        value.map(read).transpose().map_err(|e| not_proven(self.file, e))
    }

    /// A record that must be there.
    async fn get<T: Canonical>(&mut self, what: &str, key: Vec<u8>) -> Result<T, NodeError> {
        let file = self.file;
        self.find(what, key).await?.ok_or_else(|| {
            not_proven(file, format!("the mediator has no record of {what}, or keeps it no longer"))
        })
    }
}

fn not_proven(file: &Path, reason: impl ToString) -> NodeError {
    NodeError::NotProven { what: file.display().to_string(), reason: reason.to_string() }
}

/// Verifies a receipt or a disclosure.
pub(super) async fn verify(args: VerifyArgs) -> Result<(), NodeError> {
    let disclosed: Disclosed = files::read_json(&args.file)?;
    let mut verifying = match &args.genesis {
        Some(genesis) => Verifying::without_node(&args, genesis, disclosed.chain())?,
        None => {
            let client = args.mediator.connect().await?;
            let shown = json!({
                "by": "the chain, as a node shows it", "chain": client.chain.chain_context(),
                "mediator": client.mediator.runtime.id,
            });
            Verifying { file: &args.file, records: Records::Node(Box::new(client)), shown }
        }
    };
    let mut shown = match &disclosed {
        Disclosed::Receipt { .. } => verify_result(&mut verifying, &disclosed).await?,
        Disclosed::Entry { .. } => verify_entry(&mut verifying, &disclosed).await?,
        Disclosed::Transaction { contract, seq, .. } => {
            let id = ContractId(files::bytes32(&args.file, "contract", contract)?);
            verify_transaction(&mut verifying, id, *seq).await?
        }
    };
    shown["verified"] = json!(true);
    shown["proof"] = verifying.shown;
    output::print(&shown, args.mediator.node.json)
}

async fn verify_result(
    verifying: &mut Verifying<'_>,
    disclosed: &Disclosed,
) -> Result<Value, NodeError> {
    let receipt = files::result_of(verifying.file, disclosed)?;
    let (id, seq) = (receipt.contract_id, receipt.result.seq);
    let done: FinalBatch =
        verifying.get("the batch", places::final_batch(&id, receipt.batch)).await?;
    if !result_holds(&done, &receipt.result, &receipt.path) {
        return Err(not_proven(verifying.file, "the result is not among those of the batch"));
    }
    let record: TransactionRecord =
        verifying.get("the transaction", places::transaction(&id, seq)).await?;
    Ok(json!({
        "contract": id.to_hex(), "seq": seq, "sender": record.sender,
        "status": status_name(record.status), "batch": receipt.batch, "root": done.root,
        "class": files::class_name(receipt.result.class),
        "result": shown_output(&receipt.result.output),
    }))
}

async fn verify_transaction(
    verifying: &mut Verifying<'_>,
    id: ContractId,
    seq: u64,
) -> Result<Value, NodeError> {
    let record: TransactionRecord =
        verifying.get("the transaction", places::transaction(&id, seq)).await?;
    let batch: Option<FinalBatch> = match record.batch {
        0 => None,
        batch => verifying.find("the batch", places::final_batch(&id, batch)).await?,
    };
    Ok(shown_transaction(&id, seq, &record, batch.as_ref()))
}

async fn verify_entry(
    verifying: &mut Verifying<'_>,
    disclosed: &Disclosed,
) -> Result<Value, NodeError> {
    let file = verifying.file;
    let Disclosed::Entry { contract, batch, key, held, proof, .. } = disclosed else {
        return Err(not_proven(file, "it is no disclosed entry"));
    };
    let id = ContractId(files::bytes32(file, "contract", contract)?);
    let bytes = |text: &str| hex::decode(text).map_err(|e| not_proven(file, e));
    let (key, held, proof) = (bytes(key)?, bytes(held)?, bytes(proof)?);
    let proof = Proof::from_bytes(&proof).map_err(|e| not_proven(file, e))?;
    let entry = DisclosedEntry::new(&key, &held)
        .ok_or_else(|| not_proven(file, "the entry has no salt"))?;
    // Batch 0 is what `init` wrote, with the root that the contract was created with.
    let done: FinalBatch = verifying.get("the batch", places::final_batch(&id, *batch)).await?;
    if !entry.holds(&done.root, &proof) {
        return Err(not_proven(file, "the entry is not in the contract's state after this batch"));
    }
    let value = &entry.value;
    let text = std::str::from_utf8(value).map_or_else(|_| hex::encode(value), str::to_string);
    Ok(json!({
        "contract": id.to_hex(), "batch": batch, "root": done.root,
        "key": String::from_utf8_lossy(&key), "value": text,
    }))
}
