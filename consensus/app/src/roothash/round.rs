//! The running round: its pool between blocks, and how the next one begins.

use std::collections::BTreeSet;

use discrepancy::{Config, GRACE, Pool, Signer};
use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::{
    Error as RoothashError, PendingResults, Pool as StoredPool, RuntimeState,
};
use paralith_consensus_api::scheduler::Committee;
use paralith_consensus_api::{Error, consensus};
use paralith_types::{Hash, PublicKey, Round, RuntimeId};

use super::{runtime_and_chain, state};
use crate::{Context, scheduler};

/// A round that runs.
pub(super) struct Running {
    pub(super) runtime: Runtime,
    pub(super) chain: RuntimeState,
    pub(super) pool: Pool,
    pub(super) previous_hash: Hash,
    /// The results that votes refer to.
    pub(super) pending: PendingResults,
    /// Whether `pending` is to be written.
    pub(super) pending_changed: bool,
}

impl Running {
    /// The running round of a compute runtime. `touched`: the block has kept a vote in it or found
    /// an equivocator.
    pub(super) fn load(ctx: &Context<'_>, id: &RuntimeId, touched: bool) -> Result<Self, Error> {
        let (runtime, chain) = runtime_and_chain(ctx, id)?;
        let suspended = || RoothashError::RuntimeSuspended { runtime: id.to_string() };
        let stored = chain.pool.as_ref().ok_or_else(suspended)?;
        let committee = scheduler::committee(ctx, id)?.ok_or_else(suspended)?;
        let config = config(&chain, &runtime, &committee);
        let mut parts = stored
            .to_parts(config)
            .ok_or_else(|| damaged(id, "its stored pool is none".to_string()))?;
        parts.touched = touched;
        let pool = Pool::from_parts(parts).map_err(|e| damaged(id, e.to_string()))?;
        let previous_hash = chain.last_block.hash();
        let pending = state::pending(ctx, id)?;
        Ok(Self { runtime, chain, pool, previous_hash, pending, pending_changed: false })
    }

    /// Writes chain, pool and pending results, once it is certain that the next block can read the
    /// pool: a chain halts rather than going on with a pool that is not the one of its votes.
    pub(super) fn save(&mut self, ctx: &mut Context<'_>) -> Result<(), Error> {
        let id = self.runtime.id;
        let mut parts = self.pool.to_parts();
        let stored = StoredPool::from_parts(&parts);
        parts.touched = false;
        // RH-2: what cannot be read back is never written.
        if stored.to_parts(parts.config.clone()).as_ref() != Some(&parts) {
            return Err(damaged(&id, "its pool cannot be stored as it is".to_string()));
        }
        let results = self.pool.pools().values().flat_map(|pool| pool.votes.values().flatten());
        if let Some(lost) =
            results.into_iter().find(|hash| self.pending.get(&Hash(hash.0)).is_none())
        {
            return Err(damaged(&id, format!("a vote's result {lost:?} is not kept")));
        }
        self.chain.pool = Some(stored);
        if self.pending_changed {
            state::set_pending(ctx, &id, &self.pending);
        }
        state::set_runtime_state(ctx, &self.chain);
        Ok(())
    }

    /// The round's number.
    pub(super) fn number(&self) -> Round {
        self.chain.last_block.round.next()
    }

    /// The scheduler of a rank.
    pub(super) fn scheduler(&self, rank: u64) -> Option<PublicKey> {
        self.pool.config().scheduler(rank).map(key)
    }
}

/// Begins the round after the last block with an empty pool. Who equivocated in the round before, or
/// whose rounds failed too often, is skipped from now on.
pub(super) fn begin(
    chain: &mut RuntimeState,
    runtime: &Runtime,
    committee: &Committee,
) -> Result<(), Error> {
    // RH-17: fixed when the round begins, so that ranks do not change within it.
    let most = runtime.executor.max_failed_rounds;
    let failed = chain.failed.iter().filter(|failed| failed.count >= most);
    let mut skipped: BTreeSet<PublicKey> = chain.skipped.iter().copied().collect();
    skipped.extend(failed.map(|failed| failed.node));
    skipped.append(&mut chain.slashed.drain(..).collect());
    chain.skipped = skipped.into_iter().collect();

    let config = config(chain, runtime, committee);
    let pool = Pool::new(config).map_err(|e| damaged(&runtime.id, e.to_string()))?;
    chain.pool = Some(StoredPool::from_parts(&pool.to_parts()));
    Ok(())
}

/// What the pool of the round after the last block is given.
///
/// A runtime's descriptor may change within an epoch and its committee only with the next, so the
/// numbers are brought within what the committee allows: a round must never be undecidable.
fn config(chain: &RuntimeState, runtime: &Runtime, committee: &Committee) -> Config {
    let workers = u32::try_from(committee.workers.len()).unwrap_or(u32::MAX);
    Config {
        workers: committee.workers.iter().map(signer).collect(),
        backups: committee.backups.iter().map(signer).collect(),
        allowed_stragglers: runtime.executor.allowed_stragglers.min(workers.saturating_sub(1)),
        round_timeout: runtime.executor.round_timeout_blocks.max(GRACE.saturating_add(1)),
        round: chain.last_block.round.next().0,
        skipped: chain.skipped.iter().map(signer).collect(),
    }
}

pub(super) fn signer(key: &PublicKey) -> Signer {
    Signer(key.0)
}

pub(super) fn key(signer: Signer) -> PublicKey {
    PublicKey(signer.0)
}

pub(super) fn keys(signers: &[Signer]) -> Vec<PublicKey> {
    signers.iter().copied().map(key).collect()
}

/// State that only this program writes does not fit together: this node's fault.
pub(super) fn damaged(runtime: &RuntimeId, reason: String) -> Error {
    let reason = format!("round of runtime {runtime}: {reason}");
    consensus::Error::StateUnavailable { reason }.into()
}
