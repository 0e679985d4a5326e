//! The pool as plain values, for its owner to store.
//!
//! [`Pool::from_parts`] refuses what no sequence of votes leads to, so that a pool that exists is
//! sound wherever it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::committee::{Committee, Config, Signer};
use crate::error::PartsError;
use crate::evaluate::{FailReason, Verdict};
use crate::pool::{Pool, RankPool};

/// Everything a [`Pool`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolParts {
    /// What the round was given.
    pub config: Config,
    /// The votes, by rank.
    pub pools: BTreeMap<u64, RankPool>,
    /// The ranks whose schedulers equivocated.
    pub void: BTreeSet<u64>,
    /// The best rank whose scheduler has voted.
    pub lead: Option<u64>,
    /// Whether the backups decide.
    pub disputed: bool,
    /// The height from which the round is late.
    pub timeout: Option<u64>,
    /// The height of a grace that is waited for.
    pub grace: Option<u64>,
    /// Who equivocated.
    pub equivocators: BTreeSet<Signer>,
    /// Whether the present block has kept a vote or found an equivocator.
    pub touched: bool,
    /// The verdict that ended the round.
    pub closed: Option<Verdict>,
}

impl Pool {
    /// Takes the pool apart.
    pub fn to_parts(&self) -> PoolParts {
        PoolParts {
            config: self.committee.config.clone(),
            pools: self.pools.clone(),
            void: self.void.clone(),
            lead: self.lead,
            disputed: self.disputed,
            timeout: self.timeout,
            grace: self.grace,
            equivocators: self.equivocators.clone(),
            touched: self.touched,
            closed: self.closed,
        }
    }

    /// Puts a pool together again.
    pub fn from_parts(parts: PoolParts) -> Result<Self, PartsError> {
        let pool = Self {
            committee: Arc::new(Committee::new(parts.config)?),
            pools: parts.pools,
            void: parts.void,
            lead: parts.lead,
            disputed: parts.disputed,
            timeout: parts.timeout,
            grace: parts.grace,
            equivocators: parts.equivocators,
            touched: parts.touched,
            closed: parts.closed,
        };
        pool.check_pools()?;
        pool.check_lead()?;
        pool.check_verdict()?;
        Ok(pool)
    }

    fn check_pools(&self) -> Result<(), PartsError> {
        let voters = self.pools.values().flat_map(|pool| pool.votes.keys());
        if let Some(stranger) =
            voters.chain(&self.equivocators).find(|signer| !self.committee.contains(signer))
        {
            return Err(PartsError::Stranger { signer: *stranger });
        }
        for (&rank, pool) in &self.pools {
            let scheduler = self.committee.scheduler(rank).ok_or(PartsError::Pool { rank })?;
            let own = pool.votes.get(&scheduler).copied();
            let sound = !self.void.contains(&rank)
                && !pool.votes.is_empty()
                && own == pool.scheduler.map(|own| Some(own.result));
            if !sound {
                return Err(PartsError::Pool { rank });
            }
        }
        match self.void.iter().find(|rank| **rank >= self.rank_count()) {
            Some(&rank) => Err(PartsError::Pool { rank }),
            None => Ok(()),
        }
    }

    fn check_lead(&self) -> Result<(), PartsError> {
        let voted: Vec<u64> = self
            .pools
            .iter()
            .filter(|(_, pool)| pool.scheduler.is_some())
            .map(|(rank, _)| *rank)
            .collect();
        let only_voted = voted.iter().copied().eq(self.lead);
        let none_worse = self.lead.is_none_or(|lead| self.pools.keys().all(|rank| *rank <= lead));
        let dispute = !self.disputed || (self.lead.is_some() && self.pools.len() == 1);
        let clock = self.timeout.is_some() == self.lead.is_some();
        let grace = self.grace.is_none() || (self.lead.is_some() && !self.disputed);
        if only_voted && none_worse && dispute && clock && grace {
            Ok(())
        } else {
            Err(PartsError::Lead)
        }
    }

    fn check_verdict(&self) -> Result<(), PartsError> {
        let sound = match self.closed {
            None => true,
            Some(Verdict::Wait | Verdict::Discrepancy { .. }) => false,
            Some(Verdict::Finalise { rank, proposal, result }) => {
                self.ballot().is_some_and(|ballot| {
                    let led = (ballot.rank, ballot.pool.proposal, ballot.scheduler.result);
                    led == (rank, proposal, result)
                })
            }
            Some(Verdict::Fail(FailReason::LyingScheduler)) => {
                self.disputed
                    && self.ballot().is_some_and(|ballot| {
                        let majority = ballot.backups_majority();
                        majority.is_some_and(|result| result != ballot.scheduler.result)
                    })
            }
            Some(Verdict::Fail(FailReason::NoMajority)) => self.disputed,
            Some(Verdict::Fail(FailReason::AllVoid)) => {
                self.void.len() == self.committee.schedulers().len()
            }
        };
        if sound { Ok(()) } else { Err(PartsError::Verdict) }
    }
}
