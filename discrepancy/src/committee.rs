//! Who may vote in a round, and who schedules at which rank.
//!
//! `order` = the workers without the skipped, or all workers if none is left. The scheduler of rank
//! k (0 is best) is `order[(k + len - round mod len) mod len]`, k < len: each round the duty moves
//! on by one, and everybody behind the primary may step in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::error::ConfigError;

/// The public key with which a node signs its votes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signer(pub [u8; 32]);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::vote::write_hex(f, "Signer", &self.0)
    }
}

/// What a round is given before its first vote; it never changes during the round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// W, in committee order.
    pub workers: Vec<Signer>,
    /// B; a node may be worker and backup. Without backups every disputed round fails.
    pub backups: Vec<Signer>,
    /// S: how many workers may fail or stay silent in a round that is still final.
    pub allowed_stragglers: u32,
    /// T, in blocks: from the vote of the lead's scheduler to the dispute.
    pub round_timeout: u64,
    /// r, which decides whose turn it is.
    pub round: u64,
    /// Schedulers barred until the epoch ends. They still vote.
    pub skipped: BTreeSet<Signer>,
}

impl Config {
    /// Checks what the rules take for granted: someone works, S < n, T > G, nobody sits twice.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.workers.is_empty() {
            return Err(ConfigError::NoWorkers);
        }
        if u64::from(self.allowed_stragglers) >= count(self.workers.len()) {
            return Err(ConfigError::TooManyStragglers {
                allowed: self.allowed_stragglers,
                workers: count(self.workers.len()),
            });
        }
        // With T <= G a round could be late before an omitted vote had its time to arrive.
        if self.round_timeout <= crate::GRACE {
            return Err(ConfigError::TimeoutTooShort { timeout: self.round_timeout });
        }
        for seats in [&self.workers, &self.backups] {
            let mut seen = BTreeSet::new();
            if let Some(twice) = seats.iter().find(|signer| !seen.insert(**signer)) {
                return Err(ConfigError::SeatedTwice { signer: *twice });
            }
        }
        Ok(())
    }

    /// T * 3/2, rounded down: how many blocks the backups have.
    pub fn dispute_timeout(&self) -> u64 {
        // T + T/2 is that, and a longest timeout saturates.
        self.round_timeout.saturating_add(self.round_timeout / 2)
    }

    /// The schedulers from the best rank to the worst.
    pub fn scheduler_order(&self) -> Vec<Signer> {
        let unskipped = |signer: &&Signer| !self.skipped.contains(*signer);
        let mut order: Vec<Signer> = self.workers.iter().filter(unskipped).copied().collect();
        if order.is_empty() {
            order.clone_from(&self.workers);
        }
        // Rotating right by `r mod len` puts order[(k + len - r mod len) mod len] at place k.
        let turn = self.round.checked_rem(count(order.len())).unwrap_or(0);
        order.rotate_right(usize::try_from(turn).unwrap_or(0));
        order
    }

    /// The scheduler of a rank, if the round has that rank.
    pub fn scheduler(&self, rank: u64) -> Option<Signer> {
        self.scheduler_order().get(usize::try_from(rank).ok()?).copied()
    }

    /// The rank at which a node schedules, if it schedules at all.
    pub fn rank_of(&self, signer: &Signer) -> Option<u64> {
        self.scheduler_order().iter().position(|other| other == signer).map(count)
    }
}

/// A valid [`Config`] with what every vote asks of it worked out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committee {
    pub(crate) config: Config,
    by_rank: Vec<Signer>,
    seats: BTreeMap<Signer, Seat>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seat {
    worker: bool,
    backup: bool,
}

impl Committee {
    pub(crate) fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut seats: BTreeMap<Signer, Seat> = BTreeMap::new();
        for signer in &config.workers {
            seats.entry(*signer).or_default().worker = true;
        }
        for signer in &config.backups {
            seats.entry(*signer).or_default().backup = true;
        }
        Ok(Self { by_rank: config.scheduler_order(), seats, config })
    }

    pub(crate) fn contains(&self, signer: &Signer) -> bool {
        self.seats.contains_key(signer)
    }

    pub(crate) fn is_worker(&self, signer: &Signer) -> bool {
        self.seats.get(signer).is_some_and(|seat| seat.worker)
    }

    pub(crate) fn is_backup(&self, signer: &Signer) -> bool {
        self.seats.get(signer).is_some_and(|seat| seat.backup)
    }

    pub(crate) fn scheduler(&self, rank: u64) -> Option<Signer> {
        self.by_rank.get(usize::try_from(rank).ok()?).copied()
    }

    pub(crate) fn schedulers(&self) -> &[Signer] {
        &self.by_rank
    }

    /// n.
    pub(crate) fn worker_count(&self) -> u64 {
        count(self.config.workers.len())
    }

    /// m.
    pub(crate) fn backup_count(&self) -> u64 {
        count(self.config.backups.len())
    }

    pub(crate) fn stragglers(&self) -> u64 {
        u64::from(self.config.allowed_stragglers)
    }
}

/// A length as a number of the protocol; no machine has more than 2^64 of anything.
pub(crate) fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
