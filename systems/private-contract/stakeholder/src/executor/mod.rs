//! Executes batches: section 4 of the specification, TX2.
//!
//! * The calls are `begin_block`, `execute` for each transaction that has a call, `end_block`; in a batch for
//!   it, `migrate` comes first. A call that fails leaves nothing. A `migrate` or `begin_block` that fails leaves
//!   nothing of the whole batch.
//! * PC-17: every entry that a call which stands has written is salted anew, even if its value is the old one.
//! * Two keys belong to the executor. [`BATCH_KEY`] has the batch's number. [`PAYS_KEY`] has the payments whose
//!   results no `begin_block` took yet: 8 bytes batch and 4 bytes count, big-endian. It is part of the tree, so a
//!   member that was healed gives its contract the same results as the others.

mod calls;
mod state;

use paralith_consensus_api::address;
use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::class::{Class, Classes};
use paralith_private_contract_core::ids::Place;
use paralith_private_contract_core::messages::{
    Actions, Batch, BatchKind, Canonical, DepositRecord, Package, TransactionRecord, Verdict,
};
use paralith_private_contract_core::prf::{BATCH_KEY, derive_key, random_seed, salted};
use paralith_private_contract_core::vote::{Results, TxResult, actions_hash};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{Error, Output};
use paralith_runtime_vm::{Engine, Export, Module};
use paralith_storage::{Changes, Overlay, Snapshot, StateRead, Tree};
use paralith_types::{Amount, Hash, RuntimeId};
use prost::Message as _;

use self::calls::{Budget, Guest, not_begun};
use self::state::Unsalted;
use crate::ServiceError;
use crate::record::{BatchLog, CallLog, writes};

/// Most bytes that the calls of a batch write and answer; a call that goes beyond is undone.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Where the tree has the payments whose results no `begin_block` took yet.
const PAYS_KEY: &[u8] = b"\xffpays";

/// A contract's code with its secrets, ready to run.
#[derive(Clone)]
pub struct Code {
    place: Place,
    module: Module,
    init_argument: Vec<u8>,
    group_secret: Hash,
    derive_secret: [u8; 32],
    gas_limit: u64,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What a batch is executed with.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The batch.
    pub batch: Batch,
    /// Its hash with its transactions, or with the next definition.
    pub inputs_hash: Hash,
    /// Its deposits, in order.
    pub deposits: Vec<DepositRecord>,
    /// Its transactions, in order.
    pub transactions: Vec<TxInput>,
}

/// A transaction of a batch.
#[derive(Debug, Clone)]
pub struct TxInput {
    /// Its number.
    pub seq: u64,
    /// What the mediator has of it.
    pub record: TransactionRecord,
    /// Its call.
    pub given: GivenCall,
}

/// A transaction's call.
#[derive(Debug, Clone)]
pub enum GivenCall {
    /// It.
    Call {
        /// The content key, from which the result's blinding follows.
        sk: ContentKey,
        /// The encoded [`abi::Call`].
        call: Vec<u8>,
    },
    /// There is none: wraps or content are false.
    Malformed,
    /// Nobody had its content in time.
    Missing,
}

/// What executing a batch gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// What the member votes for.
    pub verdict: Verdict,
    /// Those to which it commits.
    pub actions: Actions,
    /// What to write into the tree, salted.
    pub changes: Changes,
    /// What stays local.
    pub log: BatchLog,
}

impl Code {
    /// Compiles a package's module.
    pub fn new(
        engine: &Engine,
        place: Place,
        package: &Package,
        gas_limit: u64,
    ) -> Result<Self, ServiceError> {
        Ok(Self {
            place,
            module: engine.compile(&package.module).map_err(ServiceError::Module)?,
            init_argument: package.init_argument.clone(),
            group_secret: package.group_secret,
            // The import derives from this key by purpose.
            derive_secret: derive_key(&package.derive_secret, b""),
            gas_limit,
        })
    }

    /// The tree after the module's `init`, as batch 0: its changes and its root, `genesis_root`.
    pub fn init(&self, tree: &Tree) -> Result<(Changes, Hash), ServiceError> {
        let base = Unsalted(Snapshot::new(tree.clone(), None));
        let context = self.context(0, 0, 0, &Hash::ZERO);
        let mut guest = self.guest(&base, context.clone(), &Hash::ZERO, Amount::ZERO);
        let request = abi::InitRequest { context, argument: self.init_argument.clone() };
        let outcome = guest.call(Export::Init, &request)?;
        outcome.map_err(|error| ServiceError::Init {
            reason: format!("{} {}: {}", error.module, error.code, error.message),
        })?;
        let changes = self.salted(0, guest.overlay.into_changes());
        let root = tree.prepare(None, 0, &changes)?.root();
        Ok((changes, root))
    }

    /// Executes a batch on the tree's newest version, which must have the batch's old root. Writes nothing.
    pub fn execute(&self, tree: &Tree, inputs: &Inputs) -> Result<Executed, ServiceError> {
        let batch = &inputs.batch;
        let latest = tree.latest()?.filter(|(_, root)| *root == batch.old_root);
        let Some((version, _)) = latest.filter(|(version, _)| *version < batch.number) else {
            return Err(ServiceError::OtherRoot { batch: batch.number });
        };
        let base = Unsalted(Snapshot::new(tree.clone(), Some(version)));
        let context = self.context(batch.number, batch.epoch, batch.open_height, &batch.old_root);
        let budget =
            payments(inputs).try_fold(batch.balance, |sum, (_, tx)| sum.add(tx.record.payment));
        let budget = budget.map_err(|error| ServiceError::damaged("the balance", error))?;
        let mut guest = self.guest(&base, context, &inputs.inputs_hash, budget);
        let (taken, calls, results) = match batch.kind {
            BatchKind::Migrate => migrate(&mut guest, inputs)?,
            BatchKind::Transactions | BatchKind::Probe => run(&mut guest, inputs)?,
        };
        // PC-9: a batch that is not taken writes nothing and does nothing.
        let (mut changes, mut actions) = (Changes::new(), Vec::new());
        if taken {
            changes = guest.overlay.into_changes();
            changes.insert(BATCH_KEY.to_vec(), Some(batch.number.to_be_bytes().to_vec()));
            actions = guest.actions;
        }
        let changes = self.salted(batch.number, changes);
        let actions = Actions { actions };
        let verdict = Verdict {
            new_root: tree.prepare(Some(version), batch.number, &changes)?.root(),
            results_root: Results::new(&results).root(),
            classes: Classes(results.iter().map(|result| result.class).collect()).to_bytes(),
            taken,
            actions_hash: actions_hash(&actions),
        };
        let log =
            BatchLog { batch: batch.number, writes: writes(&changes), calls, lines: guest.lines };
        Ok(Executed { verdict, actions, changes, log })
    }

    /// Answers a query on the tree's newest version. `caller` is the asking account's address, or empty.
    pub fn query(
        &self,
        tree: &Tree,
        caller: &[u8],
        call: abi::Call,
    ) -> Result<Result<Vec<u8>, Error>, ServiceError> {
        let latest = tree.latest()?;
        let base = Unsalted(Snapshot::new(tree.clone(), latest.map(|(version, _)| version)));
        let (batch, root) = latest.unwrap_or((0, Hash::ZERO));
        let context = self.context(batch, 0, 0, &root);
        let mut guest = self.guest(&base, context.clone(), &root, Amount::ZERO);
        let request = abi::QueryRequest { context, call, caller: caller.to_vec() };
        guest.call(Export::Query, &request)
    }

    fn context(&self, round: u64, epoch: u64, height: u64, previous: &Hash) -> abi::Context {
        let contract = RuntimeId(self.place.contract_id.0);
        abi::Context {
            runtime_id: contract.0.to_vec(),
            chain_context: self.place.chain_context.0.to_vec(),
            round,
            epoch,
            consensus_height: height,
            confidential: true,
            runtime_address: address::of_runtime(&contract).as_bytes().to_vec(),
            time: 0,
            previous_hash: previous.0.to_vec(),
        }
    }

    fn guest<'a>(
        &'a self,
        base: &'a dyn StateRead,
        context: abi::Context,
        inputs_hash: &Hash,
        budget: Amount,
    ) -> Guest<'a> {
        let mut guest = Guest::new(&self.module, Overlay::new(base), context);
        guest.secret = self.derive_secret;
        guest.seed = random_seed(&self.group_secret, inputs_hash);
        guest.gas_limit = self.gas_limit;
        guest.budget = Budget::new(budget);
        guest
    }

    fn salted(&self, batch: u64, changes: Changes) -> Changes {
        let salted = |(key, value): (Vec<u8>, Option<Vec<u8>>)| {
            let held = value.map(|value| salted(&self.group_secret, batch, &key, &value));
            (key, held)
        };
        changes.into_iter().map(salted).collect()
    }
}

/// Transactions whose payment goes into the contract if the batch is taken.
fn payments(inputs: &Inputs) -> impl Iterator<Item = (u64, &TxInput)> {
    let ran = |tx: &&TxInput| matches!(tx.given, GivenCall::Call { .. });
    inputs.transactions.iter().filter(ran).map(|tx| (tx.seq, tx))
}

type Ran = (bool, Vec<CallLog>, Vec<TxResult>);

/// `begin_block` with what the batch takes and the results of earlier payments; if it succeeds, no later
/// batch gives them again.
fn begin(guest: &mut Guest<'_>, inputs: &Inputs) -> Result<bool, ServiceError> {
    let pays = read_pays(guest)?;
    let results = pays.into_iter().flat_map(|(batch, count)| results_of(batch, count));
    let request = abi::BeginBlockRequest {
        context: guest.context.clone(),
        incoming: incoming(inputs),
        message_results: results.collect(),
    };
    Ok(guest.call(Export::BeginBlock, &request)?.is_ok())
}

/// `end_block`; one that fails is undone, and the batch goes on. Then the batch's own payments are noted.
fn end(guest: &mut Guest<'_>) -> Result<(), ServiceError> {
    let request = abi::BlockRequest { context: guest.context.clone() };
    let _undone = guest.call(Export::EndBlock, &request)?;
    write_pays(guest)
}

fn run(guest: &mut Guest<'_>, inputs: &Inputs) -> Result<Ran, ServiceError> {
    let taken = begin(guest, inputs)?;
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    for tx in &inputs.transactions {
        let (call, result) = match &tx.given {
            GivenCall::Malformed => (&[][..], TxResult::without_call(tx.seq, Class::Malformed)),
            GivenCall::Missing => (&[][..], TxResult::without_call(tx.seq, Class::Missing)),
            GivenCall::Call { sk, call } => {
                let outcome = if taken { execute_one(guest, tx, call)? } else { Err(not_begun()) };
                let class = if outcome.is_ok() { Class::Executed } else { Class::Failed };
                let output = match outcome {
                    Ok(value) => Output::Ok(value),
                    Err(error) => Output::Error(error),
                };
                (call.as_slice(), TxResult::of_call(tx.seq, class, sk, output.encode()))
            }
        };
        calls.push(CallLog {
            seq: tx.seq,
            class: result.class as u32,
            call: call.to_vec(),
            output: result.output.clone(),
            blinding: result.blinding.0.to_vec(),
            content_key: match &tx.given {
                GivenCall::Call { sk, .. } => sk.as_bytes().to_vec(),
                GivenCall::Malformed | GivenCall::Missing => Vec::new(),
            },
        });
        results.push(result);
    }
    if taken {
        end(guest)?;
    }
    Ok((taken, calls, results))
}

/// `migrate`, then a block of the new code without transactions. Unless `migrate` and `begin_block` succeed,
/// nothing of it stands.
fn migrate(guest: &mut Guest<'_>, inputs: &Inputs) -> Result<Ran, ServiceError> {
    let request = abi::BlockRequest { context: guest.context.clone() };
    let taken = guest.call(Export::Migrate, &request)?.is_ok() && begin(guest, inputs)?;
    if taken {
        end(guest)?;
    }
    let class = if taken { Class::Executed } else { Class::Failed };
    Ok((taken, Vec::new(), vec![TxResult::without_call(0, class)]))
}

fn execute_one(
    guest: &mut Guest<'_>,
    tx: &TxInput,
    call: &[u8],
) -> Result<Result<Vec<u8>, Error>, ServiceError> {
    let call = abi::Call::decode(call).map_err(|error| ServiceError::damaged("a call", error))?;
    let record = &tx.record;
    let request = abi::TransactionRequest {
        context: guest.context.clone(),
        transaction: abi::Transaction {
            hash: record.tx_hash.0.to_vec(),
            sender: record.sender.0.to_vec(),
            sender_address: record.sender_address.as_bytes().to_vec(),
            nonce: record.sender_seq,
            fee: Vec::new(),
            gas_limit: guest.gas_limit,
            encrypted: true,
        },
        call: Some(call),
    };
    guest.call(Export::Execute, &request)
}

/// Deposits, then payments.
fn incoming(inputs: &Inputs) -> Vec<abi::IncomingMessage> {
    let deposits = inputs.deposits.iter().map(|one| (one.caller, one.tag, one.amount));
    let payments = payments(inputs)
        .filter(|(_, tx)| tx.record.payment != Amount::ZERO)
        .map(|(seq, tx)| (tx.record.sender_address, seq, tx.record.payment));
    let message = |(id, (caller, tag, amount)): (u64, (paralith_types::Address, u64, Amount))| {
        abi::IncomingMessage {
            id,
            caller: caller.as_bytes().to_vec(),
            tag,
            fee: Vec::new(),
            tokens: amount.to_be_bytes_minimal(),
            data: Vec::new(),
        }
    };
    (0..).zip(deposits.chain(payments)).map(message).collect()
}

/// A payment of a final batch succeeded.
fn results_of(batch: u64, count: u32) -> impl Iterator<Item = abi::MessageResult> {
    let result =
        move |index| abi::MessageResult { index, module: String::new(), code: 0, round: batch };
    (0..count).map(result)
}

fn read_pays(guest: &Guest<'_>) -> Result<Option<(u64, u32)>, ServiceError> {
    let Some(held) = guest.overlay.get(PAYS_KEY)? else { return Ok(None) };
    let entry = held.split_first_chunk().and_then(|(batch, count)| {
        Some((u64::from_be_bytes(*batch), u32::from_be_bytes(count.try_into().ok()?)))
    });
    entry.map(Some).ok_or_else(|| ServiceError::damaged("the list of payments", "its length"))
}

/// Notes the payments of this batch in place of those whose results were taken.
fn write_pays(guest: &mut Guest<'_>) -> Result<(), ServiceError> {
    if guest.pays > 0 {
        let entry = [&guest.context.round.to_be_bytes()[..], &guest.pays.to_be_bytes()].concat();
        guest.overlay.set(PAYS_KEY, entry);
    } else if guest.overlay.get(PAYS_KEY)?.is_some() {
        guest.overlay.remove(PAYS_KEY);
    }
    Ok(())
}
