//! The application: blocks in, state out. This file shows the order of all modules in every phase.
//!
//! * [`App::finalize_block`] computes and writes nothing; [`App::commit`] writes state, height, app
//!   hash and events in one durable batch. A crash in between leaves the height before. The version
//!   of the tree is the height, so that both are always of one block.
//! * A block in which no transaction comes and no timer fires leaves the app hash as it is.
//! * Failing transactions are results; an [`AppError`] is a fault of this node, its engine or its
//!   genesis, and the node stops rather than vote.

use paralith_consensus_api::event::Event;
use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::{Error, consensus};
use paralith_crypto::merkle::merkle_root;
use paralith_proto::Canonical;
use paralith_storage::{Column, Durability, Kv, Prepared, Snapshot, StateRead, Tree, WriteBatch};
use paralith_types::{ChainContext, Hash, Height};

use crate::base::Base;
use crate::block::{BlockInput, BlockOutput, Info, Proven, TxOutcome, ValidatorUpdate};
use crate::check::{self, Admission, Candidate};
use crate::context::Context;
use crate::dispatch::{self, BlockGas};
use crate::error::AppError;
use crate::{
    beacon, fees, invariants, keymanager, misbehaviour, query, registry, roothash, roots,
    scheduler, staking,
};
use crate::{events, propose};

/// The consensus application over one store.
#[derive(Debug)]
pub struct App {
    tree: Tree,
    committed: Info,
    base: Base,
    /// The chain and the height of its first block; none before genesis is known.
    chain: Option<(ChainContext, Height)>,
    /// The root of the state that the next block builds on.
    base_root: Hash,
    admission: Admission,
    staged: Option<Staged>,
}

/// A finalised block, ready to be written.
#[derive(Debug)]
struct Staged {
    prepared: Prepared,
    events: Vec<Vec<u8>>,
}

/// The first block of an epoch, or any block, begins.
fn begin_block(ctx: &mut Context<'_>, block: &BlockInput) -> Result<(), Error> {
    let epoch_began = beacon::begin_block(ctx)?;
    // Before the payouts and elections below: who misbehaved is neither paid nor elected with the
    // stake that it loses.
    misbehaviour::punish(ctx, &block.misbehaviour)?;
    if epoch_began {
        roothash::liveness::judge_epoch(ctx)?;
        staking::epoch::pay_out(ctx)?;
        let validators = scheduler::validators(ctx)?;
        registry::epoch::begin(ctx, &validators)?;
        keymanager::on_epoch(ctx)?;
        scheduler::elect(ctx)?;
        roothash::on_committees_changed(ctx)?;
    }
    Ok(())
}

/// All transactions have run.
fn end_block(ctx: &mut Context<'_>, block: &BlockInput) -> Result<(), Error> {
    roothash::end_block(ctx)?;
    fees::pay_out(ctx, &block.proposer)
}

/// The state that a chain begins with.
fn init_genesis(ctx: &mut Context<'_>, genesis: &Genesis) -> Result<(), Error> {
    ctx.set_raw(consensus::keys::chain_context(), ctx.chain_context().as_bytes().to_vec());
    ctx.set(consensus::keys::params(), &genesis.params.consensus);
    beacon::init_genesis(ctx, genesis)?;
    staking::init_genesis(ctx, genesis)?;
    registry::init_genesis(ctx, genesis)?;
    keymanager::init_genesis(ctx, genesis)?;
    scheduler::init_genesis(ctx, genesis)?;
    roothash::init_genesis(ctx, genesis)?;
    // Epoch 0 has validators and committees, too, if genesis has the nodes for them.
    scheduler::elect(ctx)?;
    scheduler::require_validators(ctx)?;
    roothash::on_committees_changed(ctx)
}

impl App {
    /// Opens the application at the last committed state of a store.
    pub fn open(kv: Kv) -> Result<Self, AppError> {
        let tree = Tree::new(kv, NAMESPACE);
        let latest = tree.latest()?;
        let base = Base::Committed(Snapshot::new(tree.clone(), latest.map(|(version, _)| version)));
        let committed = match latest {
            Some((version, app_hash)) => Info { height: Height(version), app_hash },
            None => Info { height: Height(0), app_hash: paralith_storage::EMPTY_ROOT },
        };
        let chain = query::chain_context(&base)?.map(|context| (context, committed.height.next()));
        let (admission, base_root) = (Admission::default(), committed.app_hash);
        Ok(Self { tree, committed, base, chain, base_root, admission, staged: None })
    }

    /// The last committed height and app hash.
    pub fn info(&self) -> Info {
        self.committed
    }

    /// The chain, once genesis is known.
    pub fn chain_context(&self) -> Option<ChainContext> {
        self.chain.map(|(context, _)| context)
    }

    /// Computes the genesis state, and writes nothing: it is written with the first block.
    ///
    /// Gives the first validators and the root of the genesis state.
    pub fn init_chain(
        &mut self,
        genesis: &Genesis,
        chain_context: ChainContext,
    ) -> Result<(Vec<ValidatorUpdate>, Hash), AppError> {
        if self.committed.height != Height(0) {
            return Err(AppError::AlreadyInitialised { height: self.committed.height });
        }
        let first = Height(genesis.initial_height.0.max(1));
        let empty = Snapshot::new(self.tree.clone(), None);
        let mut ctx = Context::new(&empty, chain_context, first.minus(1), 0);
        init_genesis(&mut ctx, genesis)?;
        let validators = scheduler::validators(&ctx)?;
        let changes = ctx.into_changes();
        invariants::check(&empty, &changes)?;
        let root = self.tree.prepare(None, first.0, &changes)?.root();

        self.base = Base::Genesis(changes);
        self.chain = Some((chain_context, first));
        self.base_root = root;
        self.admission = Admission::default();
        self.staged = None;
        Ok((scheduler::updates(&Default::default(), &validators), root))
    }

    /// Whether a transaction may enter the pool: everything that can be known before it runs. Its
    /// nonce follows those of its sender that are in the pool already.
    pub fn check_tx(&mut self, raw: &[u8]) -> TxOutcome {
        match self.chain {
            Some((chain, _)) => check::check(&self.base, &chain, &mut self.admission, raw),
            None => check::not_ready(),
        }
    }

    /// [`Self::check_tx`] for a transaction that was let in before the last block. Its signature is
    /// not verified again, and the transactions that are still fine make up the pool's new nonces.
    pub fn recheck_tx(&mut self, raw: &[u8]) -> TxOutcome {
        match self.chain {
            Some((chain, _)) => check::recheck(&self.base, &chain, &mut self.admission, raw),
            None => check::not_ready(),
        }
    }

    /// Those of the pool's transactions that make a block of at most `max_bytes`, in their order.
    /// Left out is what cannot be paid for, has a gap before its nonce, or no longer fits.
    pub fn prepare_proposal(&self, txs: Vec<Vec<u8>>, max_bytes: usize) -> Vec<Vec<u8>> {
        match self.chain {
            Some((chain, _)) => {
                propose::select(&self.base, &chain, &self.admission, txs, max_bytes)
            }
            None => Vec::new(),
        }
    }

    /// Whether a proposed block may be voted for: each of its transactions can be read, is signed,
    /// comes in its turn and is paid for, by the same rule by which proposals are made.
    ///
    /// Nothing else is refused here. A transaction that fails when it runs is a result, and a rule that
    /// depended on more than the block and the committed state could stop the chain.
    pub fn process_proposal(&self, block: &BlockInput) -> bool {
        match self.chain {
            Some((chain, _)) => propose::accepts(&self.base, &chain, &self.admission, &block.txs),
            None => false,
        }
    }

    /// Executes a decided block, and writes nothing. May be called again for the same height.
    pub fn finalize_block(&mut self, block: BlockInput) -> Result<BlockOutput, AppError> {
        self.staged = None;
        let (chain, expected) = self.chain.ok_or(AppError::NotInitialised)?;
        if block.height != expected {
            return Err(AppError::WrongHeight { expected, got: block.height });
        }
        let params = query::consensus_params(&self.base)?;
        let mut txs: Vec<Result<Candidate, consensus::Error>> =
            block.txs.iter().map(|raw| Candidate::read(raw, &params, &chain)).collect();
        self.admission.verify_all(&chain, &mut txs);

        let mut ctx = Context::new(&self.base, chain, block.height, block.time_seconds);
        let validators = scheduler::validators(&ctx)?;
        if !block.txs.is_empty() {
            roots::record(&mut ctx, self.base_root);
        }
        begin_block(&mut ctx, &block)?;
        let mut block_events = ctx.take_events();

        let mut gas = BlockGas::new(params.max_block_gas);
        let mut outcomes = Vec::with_capacity(txs.len());
        for (index, tx) in (0..).zip(txs) {
            outcomes.push(dispatch::deliver(&mut ctx, &params, &mut gas, index, tx)?);
        }

        end_block(&mut ctx, &block)?;
        block_events.extend(ctx.take_events());
        let events = record_events(&mut ctx, &outcomes, &block_events);
        let validator_updates = scheduler::updates(&validators, &scheduler::validators(&ctx)?);

        if block.txs.is_empty() && ctx.has_changes()? {
            roots::record(&mut ctx, self.base_root);
        }
        let changes = ctx.into_changes();
        invariants::check(&self.base, &changes)?;
        let changes = self.base.with(changes);
        let prepared = self.tree.prepare(self.base.version(), block.height.0, &changes)?;
        let app_hash = prepared.root();
        self.staged = Some(Staged { prepared, events });
        Ok(BlockOutput { txs: outcomes, events: block_events, validator_updates, app_hash })
    }

    /// Writes the finalised block and `extra` in one batch, and waits until the disk has it.
    pub fn commit(&mut self, extra: WriteBatch) -> Result<Info, AppError> {
        let Staged { prepared, events } = self.staged.take().ok_or(AppError::NothingToCommit)?;
        let info = Info { height: Height(prepared.version()), app_hash: prepared.root() };
        let mut batch = WriteBatch::new();
        if !events.is_empty() {
            batch.put(Column::Blocks, events::key(info.height), events::join(&events));
        }
        batch.append(extra);
        self.tree.commit(prepared, batch, Durability::Synced)?;

        self.committed = info;
        self.base_root = info.app_hash;
        self.base = Base::Committed(Snapshot::new(self.tree.clone(), Some(info.height.0)));
        self.chain = self.chain.map(|(context, _)| (context, info.height.next()));
        self.admission.block_committed();
        Ok(info)
    }

    /// A value with its proof, as of a kept height; without one, of the last committed.
    pub fn query(&self, height: Option<Height>, key: &[u8]) -> Result<Proven, AppError> {
        let height = self.kept(height)?;
        let (value, proof) = self.tree.prove(height.0, key)?;
        Ok(Proven { height, value, proof: proof.to_bytes() })
    }

    /// The state of a kept height; without one, of the last committed. It stays readable while
    /// later blocks are made.
    pub fn state(&self, height: Option<Height>) -> Result<Snapshot, AppError> {
        let height = self.kept(height)?;
        Ok(Snapshot::new(self.tree.clone(), Some(height.0)))
    }

    /// The events of a kept block, in the order of [`consensus::EventsRoot`]; none if the block is
    /// not kept.
    pub fn event_block(&self, height: Height) -> Result<Option<Vec<Event>>, AppError> {
        if self.tree.root(height.0)?.is_none() {
            return Ok(None);
        }
        match self.tree.kv().get(Column::Blocks, &events::key(height))? {
            Some(bytes) => Ok(Some(events::split(&bytes)?)),
            None => Ok(Some(Vec::new())),
        }
    }

    /// The oldest kept height; none before the first block.
    pub fn oldest(&self) -> Result<Option<Height>, AppError> {
        Ok(self.tree.oldest()?.map(Height))
    }

    /// Adds the removal of a block's events to a batch: of a block that is not kept.
    pub fn forget_events(batch: &mut WriteBatch, height: Height) {
        batch.delete(Column::Blocks, events::key(height));
    }

    /// Reads what the next block would read: genesis before the first one.
    pub fn latest(&self) -> &dyn StateRead {
        &self.base
    }

    fn kept(&self, height: Option<Height>) -> Result<Height, AppError> {
        let latest = self.committed.height;
        let height = height.unwrap_or(latest);
        if self.tree.root(height.0)?.is_some() {
            return Ok(height);
        }
        let oldest = self.tree.oldest()?.map_or(latest, Height);
        Err(AppError::UnknownHeight { height, oldest, latest })
    }
}

/// Writes the root over all events of the block, those of its transactions first, and gives their
/// encodings. A block without events writes nothing.
fn record_events(
    ctx: &mut Context<'_>,
    outcomes: &[TxOutcome],
    block_events: &[Event],
) -> Vec<Vec<u8>> {
    let of_txs = outcomes.iter().flat_map(|outcome| &outcome.events);
    let events: Vec<Vec<u8>> = of_txs.chain(block_events).map(Canonical::encode).collect();
    if !events.is_empty() {
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        let root =
            consensus::EventsRoot { height: ctx.height(), root: merkle_root(&events), count };
        ctx.set(consensus::keys::events_root(), &root);
    }
    events
}

/// The consensus state's place in the store.
const NAMESPACE: &[u8] = b"consensus";
