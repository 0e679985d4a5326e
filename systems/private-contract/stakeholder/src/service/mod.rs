//! Drives a member: proven state and votes in, effects out, in order.
//!
//! [`Stakeholder::step`] carries out one effect. The process may die before or after each: what is on the
//! disk then is what [`Stakeholder::start`] begins with, and the machine does the rest again.

mod accuse;
mod content;
mod effects;
mod heal;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::StakeholderError;
use paralith_private_contract_core::ids::{Place, package_hash};
use paralith_private_contract_core::member::{Effect, Input, Member, Probing, Stage, Tip};
use paralith_private_contract_core::messages::{
    BatchKind, ContractVote, Definition, Package, TransactionRecord,
};
use paralith_rt::TaskSet;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_runtime_vm::Engine;
use paralith_runtime_vm::limits::MIN_THREAD_STACK_BYTES;
use paralith_types::Hash;
use tokio::sync::{mpsc, oneshot, watch};

use self::accuse::Accusation;
use crate::server::Shared;
use crate::{
    Code, Contract, ContractStore, Executed, Keys, Outside, Server, ServiceError, Snapshot,
};

/// Votes that wait to be looked at.
const INBOX: usize = 1024;

/// What installing a package gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// For the definition.
    pub package_hash: Hash,
    /// The root of the tree's first version: `genesis_root`, if this is the first package.
    pub root: Hash,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The contract's value or refusal.
    pub output: Output,
    /// The state that was read.
    pub tip: Tip,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// An effect is carried out.
    Done,
    /// The effect needs others who do not answer: it is tried again with the next round.
    Waits,
}

/// A transaction whose wraps were opened.
#[derive(Debug, Clone)]
struct Opened {
    record: TransactionRecord,
    sk: ContentKey,
    uri: String,
    /// The encoded call, once the content is there.
    call: Option<Vec<u8>>,
}

/// A member of one contract.
#[derive(Debug)]
pub struct Stakeholder {
    shared: Arc<Shared>,
    keys: Keys,
    engine: Engine,
    outside: Outside,
    inbox: mpsc::Receiver<ContractVote>,
    member: Member,
    restored: bool,
    queue: VecDeque<Effect>,
    /// Compiled packages, by version of the definition.
    codes: BTreeMap<u64, Code>,
    /// The batch at hand: its transactions, and those whose content is wanted.
    batch: u64,
    opened: BTreeMap<u64, Opened>,
    wanted: BTreeSet<u64>,
    executed: Option<Executed>,
    probing: Probing,
    accusations: Vec<Accusation>,
    /// Votes on their way; they end with the member.
    sends: TaskSet,
}

impl Stakeholder {
    /// Stores a package. If the contract has no tree yet, runs `init` and writes version 0.
    pub async fn install(
        engine: &Engine,
        place: Place,
        store: &ContractStore,
        package: Package,
        gas_limit: u64,
    ) -> Result<Installed, ServiceError> {
        let (engine, store) = (engine.clone(), store.clone());
        on_big_stack(move || {
            let code = Code::new(&engine, place, &package, gas_limit)?;
            let hash = package_hash(&package);
            store.put_package(&hash, &package)?;
            let root = match store.tree().latest()? {
                Some((_, root)) => root,
                None => store.begin(&code.init(store.tree())?.0)?,
            };
            Ok(Installed { package_hash: hash, root })
        })
        .await?
    }

    /// Has the package of this hash answer a query on the tree's newest version. `caller` is the asking
    /// account's address, or empty.
    pub async fn query(
        engine: &Engine,
        place: Place,
        store: &ContractStore,
        definition: &Definition,
        caller: Vec<u8>,
        call: abi::Call,
    ) -> Result<Answer, ServiceError> {
        let (engine, store) = (engine.clone(), store.clone());
        let package = store.package(&definition.package_hash)?;
        let package = package.ok_or(StakeholderError::PackageDiffers)?;
        let gas_limit = definition.terms.gas_limit;
        on_big_stack(move || {
            let code = Code::new(&engine, place, &package, gas_limit)?;
            let output = match code.query(store.tree(), &caller, call)? {
                Ok(value) => Output::Ok(value),
                Err(error) => Output::Error(error),
            };
            let (batch, root) = store.tree().latest()?.ok_or(StakeholderError::NoSuchContract)?;
            Ok(Answer { output, tip: Tip { batch, root } })
        })
        .await?
    }

    /// Begins with what is on the disk. The contract's package must be installed.
    pub fn start(
        engine: Engine,
        place: Place,
        keys: Keys,
        store: ContractStore,
        outside: Outside,
    ) -> Result<(Self, Server), ServiceError> {
        let disk = store.on_disk()?.ok_or(StakeholderError::NoSuchContract)?;
        let (sender, inbox) = mpsc::channel(INBOX);
        let shared = Arc::new(Shared::new(place, store, sender));
        let server = Server(shared.clone());
        let (restored, member) = (disk.restored, Member::start(disk));
        let stakeholder = Self {
            shared,
            keys,
            engine,
            outside,
            inbox,
            member,
            restored,
            queue: VecDeque::new(),
            codes: BTreeMap::new(),
            batch: 0,
            opened: BTreeMap::new(),
            wanted: BTreeSet::new(),
            executed: None,
            probing: Probing::default(),
            accusations: Vec::new(),
            sends: TaskSet::new(),
        };
        Ok((stakeholder, server))
    }

    /// Where the member is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.member.stage()
    }

    /// The tree's newest version.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.member.tip()
    }

    /// Whether an effect waits to be carried out.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Follows the mediator until the sender of snapshots is gone, or the store fails.
    pub async fn run(
        mut self,
        mut snapshots: watch::Receiver<Option<Snapshot>>,
    ) -> Result<(), ServiceError> {
        loop {
            tokio::select! {
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let snapshot = snapshots.borrow_and_update().clone();
                    if let Some(snapshot) = snapshot {
                        self.advance(snapshot).await?;
                    }
                }
                vote = self.inbox.recv() => match vote {
                    Some(vote) => self.give(Input::Vote(Box::new(vote)))?,
                    None => return Ok(()),
                },
            }
            while self.step().await? == Step::Done {}
        }
    }

    /// Takes a newer final round of the mediator.
    pub async fn advance(&mut self, snapshot: Snapshot) -> Result<(), ServiceError> {
        let contract = Contract::new(snapshot, self.shared.place);
        let early = self.shared.advance(contract.clone())?;
        // Before the view: at the end of fetching, what is there now still counts.
        self.fetch_wanted(&contract).await?;
        if let Some(view) = contract.view(&self.keys.account())? {
            self.give(Input::View(Box::new(view)))?;
        }
        for vote in early {
            self.give(Input::Vote(Box::new(vote)))?;
        }
        self.fetch_votes(&contract).await?;
        self.probe(&contract).await?;
        self.accuse(&contract).await?;
        self.shared.store.expire_contents(contract.height())
    }

    /// Takes votes that came over links.
    pub fn take_votes(&mut self) -> Result<(), ServiceError> {
        while let Ok(vote) = self.inbox.try_recv() {
            self.give(Input::Vote(Box::new(vote)))?;
        }
        Ok(())
    }

    /// Carries out one effect.
    pub async fn step(&mut self) -> Result<Step, ServiceError> {
        let Some(effect) = self.queue.pop_front() else { return Ok(Step::Idle) };
        let Some(contract) = self.shared.contract() else { return Ok(Step::Idle) };
        self.carry_out(&contract, effect).await
    }

    /// Gives an input to the machine.
    fn give(&mut self, input: Input) -> Result<(), ServiceError> {
        self.queue.extend(self.member.step(input));
        if self.restored && !self.member.is_restored() {
            self.shared.store.clear_restored()?;
            self.restored = false;
        }
        Ok(())
    }

    /// The code of a batch: that of its definition, or for `migrate` that of the next one, with the secrets
    /// of the batch's own.
    fn code(
        &mut self,
        contract: &Contract,
        version: u64,
        kind: BatchKind,
    ) -> Result<Code, ServiceError> {
        let migrates = kind == BatchKind::Migrate;
        if let Some(code) = self.codes.get(&version).filter(|_| !migrates) {
            return Ok(code.clone());
        }
        let definition = contract.definition(version)?.definition;
        let gas_limit = definition.terms.gas_limit;
        let package = self.package(&definition.package_hash)?;
        if migrates {
            let next = contract.next_definition()?.definition.package_hash;
            let next = Package { group_secret: package.group_secret, ..self.package(&next)? };
            return Code::new(&self.engine, self.shared.place, &next, gas_limit);
        }
        let code = Code::new(&self.engine, self.shared.place, &package, gas_limit)?;
        // Definitions follow each other: older ones run no more.
        self.codes.retain(|kept, _| kept.saturating_add(1) >= version);
        self.codes.insert(version, code.clone());
        Ok(code)
    }

    fn package(&self, hash: &Hash) -> Result<Package, ServiceError> {
        let package = self.shared.store.package(hash)?;
        let package = package.filter(|package| package_hash(package) == *hash);
        Ok(package.ok_or(StakeholderError::PackageDiffers)?)
    }
}

/// Runs a guest's calls on a thread with the stack that they need.
async fn on_big_stack<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    let (sender, receiver) = oneshot::channel();
    let run = move || drop(sender.send(work()));
    let stack = MIN_THREAD_STACK_BYTES.saturating_add(1024 * 1024);
    paralith_rt::thread("private-contract", stack, run)
        .map_err(|error| ServiceError::Thread { reason: error.to_string() })?;
    receiver.await.map_err(|error| ServiceError::Thread { reason: error.to_string() })
}
