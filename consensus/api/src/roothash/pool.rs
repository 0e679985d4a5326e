//! How state holds a round's discrepancy pool.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::{Config, PoolParts, ProposalId, RankPool, ResultHash, SchedulerVote, Signer};
use paralith_proto::pb;
use paralith_types::{Hash, PublicKey};

use crate::message::message;

message! {
    /// One member's vote.
    PoolVote = pb::roothash::v1::PoolVote {
        /// The member.
        signer: PublicKey,
        /// Hash of its results; empty is a failure.
        #[serde(with = "paralith_types::hex_bytes")]
        result: Vec<u8>,
    }
}

message! {
    /// The votes for one rank's proposal.
    PoolRank = pb::roothash::v1::PoolRank {
        /// The rank.
        rank: u64,
        /// The proposal.
        proposal_id: Hash,
        /// Sorted by signer.
        votes: Vec<PoolVote>,
        /// The height at which the rank's scheduler voted.
        scheduler_voted_at: Option<u64>,
    }
}

message! {
    /// A round's pool between blocks.
    #[derive(Default)]
    Pool = pb::roothash::v1::Pool {
        /// Sorted by rank.
        ranks: Vec<PoolRank>,
        /// Ranks whose schedulers equivocated, sorted.
        void_ranks: Vec<u64>,
        /// The best rank whose scheduler voted.
        lead: Option<u64>,
        /// Whether the backups decide.
        disputed: bool,
        /// From which height the round is late.
        timeout: Option<u64>,
        /// The end of a grace that is waited for.
        grace: Option<u64>,
        /// Sorted.
        equivocators: Vec<PublicKey>,
    }
}

impl Pool {
    /// The form in which state keeps a pool after a block has ended.
    pub fn from_parts(parts: &PoolParts) -> Self {
        let vote = |(signer, result): (&Signer, &Option<ResultHash>)| PoolVote {
            signer: PublicKey(signer.0),
            result: result.map(|hash| hash.0.to_vec()).unwrap_or_default(),
        };
        let rank = |(rank, pool): (&u64, &RankPool)| PoolRank {
            rank: *rank,
            proposal_id: Hash(pool.proposal.0),
            votes: pool.votes.iter().map(vote).collect(),
            scheduler_voted_at: pool.scheduler.map(|own| own.height),
        };
        Self {
            ranks: parts.pools.iter().map(rank).collect(),
            void_ranks: parts.void.iter().copied().collect(),
            lead: parts.lead,
            disputed: parts.disputed,
            timeout: parts.timeout,
            grace: parts.grace,
            equivocators: parts.equivocators.iter().map(|s| PublicKey(s.0)).collect(),
        }
    }

    /// The pool's parts, for [`discrepancy::Pool::from_parts`]. None if this is not what
    /// [`Pool::from_parts`] gives.
    pub fn to_parts(&self, config: Config) -> Option<PoolParts> {
        let mut pools = BTreeMap::new();
        for rank in &self.ranks {
            let mut votes = BTreeMap::new();
            for vote in &rank.votes {
                let result = match vote.result.as_slice() {
                    [] => None,
                    bytes => Some(ResultHash(bytes.try_into().ok()?)),
                };
                votes.insert(Signer(vote.signer.0), result);
            }
            let scheduler = match rank.scheduler_voted_at {
                None => None,
                Some(height) => {
                    let signer = config.scheduler(rank.rank)?;
                    let result = (*votes.get(&signer)?)?;
                    Some(SchedulerVote { height, result })
                }
            };
            let proposal = ProposalId(rank.proposal_id.0);
            pools.insert(rank.rank, RankPool { proposal, votes, scheduler });
        }
        Some(PoolParts {
            config,
            pools,
            void: self.void_ranks.iter().copied().collect(),
            lead: self.lead,
            disputed: self.disputed,
            timeout: self.timeout,
            grace: self.grace,
            equivocators: self
                .equivocators
                .iter()
                .map(|key| Signer(key.0))
                .collect::<BTreeSet<_>>(),
            touched: false,
            closed: None,
        })
    }
}
