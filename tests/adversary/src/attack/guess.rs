//! The amount of a call, from public roots alone.

use std::path::PathBuf;

use clap::Args;
use paralith::error::NodeError;
use paralith::guests;
use paralith::systems::private_contract::client::ContractClient;
use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_messages::{
    Batch, BatchKind, FinalBatch, Package, TransactionRecord, TransactionStatus,
};
use paralith_private_contract_stakeholder::{Code, GivenCall, Inputs, TxInput};
use paralith_runtime_abi as abi;
use paralith_runtime_vm::Engine;
use paralith_storage::{Durability, Kv, Tree, WriteBatch};
use paralith_types::{Amount, Hash};
use prost::Message as _;
use serde::Deserialize;

use super::{ContractArgs, Outcome, read};

/// What stands in the arguments of the last call in the place of the amount.
const UNKNOWN: &str = "?";

/// Options of `guess-root`.
#[derive(Debug, Args)]
pub struct GuessArgs {
    #[command(flatten)]
    at: ContractArgs,
    /// The contract's module, which the attacker knows; by default the sample `tokens`.
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// The argument of its `init`, which the attacker knows.
    #[arg(long, value_name = "JSON")]
    init: String,
    /// All calls of the contract in order, which the attacker knows, as a list of `{"method": …, "args": {…}}`.
    /// In the last one "?" stands for the amount that it does not know.
    #[arg(long, value_name = "FILE")]
    calls: PathBuf,
    /// Amounts from 0 to this one are tried.
    #[arg(long, default_value_t = 1_000_000)]
    guesses: u64,
}

#[derive(Deserialize)]
struct KnownCall {
    method: String,
    args: serde_json::Value,
}

/// The contract as the attacker plays it: everything is right but the package's secrets.
struct Played {
    code: Code,
    tree: Tree,
    root: Hash,
    batch: u64,
}

fn internal(error: impl std::error::Error + 'static) -> NodeError {
    NodeError::internal(&error)
}

impl Played {
    fn begin(code: Code) -> Result<Self, NodeError> {
        let tree = Tree::new(Kv::memory(), b"played");
        let (changes, root) = code.init(&tree).map_err(internal)?;
        let prepared = tree.prepare(None, 0, &changes).map_err(internal)?;
        tree.commit(prepared, WriteBatch::new(), Durability::Lazy).map_err(internal)?;
        Ok(Self { code, tree, root, batch: 0 })
    }

    fn inputs(&self, seq: u64, record: &TransactionRecord, call: abi::Call) -> Inputs {
        let batch = Batch {
            number: record.batch,
            version: record.version,
            first_seq: seq,
            last_seq: seq,
            open_height: record.height,
            epoch: 0,
            old_root: self.root,
            balance: Amount::ZERO,
            first_deposit: 0,
            last_deposit: 0,
            kind: BatchKind::Transactions,
        };
        let given = GivenCall::Call { sk: ContentKey::new([0; 32]), call: call.encode_to_vec() };
        let transactions = vec![TxInput { seq, record: record.clone(), given }];
        Inputs { batch, inputs_hash: record.tx_hash, deposits: Vec::new(), transactions }
    }

    fn play(&mut self, inputs: &Inputs) -> Result<Hash, NodeError> {
        let executed = self.code.execute(&self.tree, inputs).map_err(internal)?;
        let prepared = self
            .tree
            .prepare(Some(self.batch), inputs.batch.number, &executed.changes)
            .map_err(internal)?;
        self.tree.commit(prepared, WriteBatch::new(), Durability::Lazy).map_err(internal)?;
        (self.root, self.batch) = (executed.verdict.new_root, inputs.batch.number);
        Ok(self.root)
    }
}

impl GuessArgs {
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let mut client = self.at.client().await?;
        let mut calls: Vec<KnownCall> = serde_json::from_slice(&read(&self.calls)?)
            .map_err(|e| NodeError::usage("--calls", e))?;
        let last = calls.pop().ok_or_else(|| NodeError::usage("--calls", "there is none"))?;
        let mut played = Played::begin(self.code(&mut client).await?)?;
        for (seq, call) in (1..).zip(&calls) {
            let (record, _) = self.ended(&mut client, seq).await?;
            let args = call.args.to_string().into_bytes();
            let call = abi::Call { method: call.method.clone(), args };
            played.play(&played.inputs(seq, &record, call))?;
        }
        let seq = u64::try_from(calls.len()).unwrap_or(u64::MAX).saturating_add(1);
        let (record, public) = self.ended(&mut client, seq).await?;
        let text = last.args.to_string();
        for guess in 0..=self.guesses {
            let args = text.replace(UNKNOWN, &guess.to_string()).into_bytes();
            let call = abi::Call { method: last.method.clone(), args };
            let inputs = played.inputs(seq, &record, call);
            let executed = played.code.execute(&played.tree, &inputs).map_err(internal)?;
            if executed.verdict.new_root == public {
                return Ok(Outcome::Succeeded(format!("the amount is {guess}")));
            }
        }
        Ok(Outcome::Failed(format!("no root of {} amounts is the public one", self.guesses)))
    }

    /// With secrets that the attacker does not have.
    async fn code(&self, client: &mut ContractClient) -> Result<Code, NodeError> {
        let module = match &self.module {
            Some(file) => read(file)?,
            None => guests::TOKENS.to_vec(),
        };
        let package = Package {
            module,
            init_argument: self.init.clone().into_bytes(),
            derive_secret: Hash::ZERO,
            group_secret: Hash::ZERO,
        };
        let version = client.contract(&self.at.contract).await?.version;
        let terms = client.definition(&self.at.contract, version).await?.definition.terms;
        let engine = Engine::new().map_err(internal)?;
        let place = client.place(self.at.contract);
        Code::new(&engine, place, &package, terms.gas_limit).map_err(internal)
    }

    /// A call that ended YES in a batch of its own, and the public root after it.
    async fn ended(
        &self,
        client: &mut ContractClient,
        seq: u64,
    ) -> Result<(TransactionRecord, Hash), NodeError> {
        let record = client.transaction(&self.at.contract, seq).await?;
        let usage = |what: String| NodeError::usage("--calls", what);
        if record.status != TransactionStatus::Yes {
            return Err(usage(format!("transaction {seq} ended as {:?}", record.status)));
        }
        let done: FinalBatch = client.final_batch(&self.at.contract, record.batch).await?;
        if (done.first_seq, done.last_seq) != (seq, seq) {
            return Err(usage(format!("transaction {seq} shares its batch with others")));
        }
        Ok((record, done.root))
    }
}
