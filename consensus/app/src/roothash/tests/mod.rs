//! Rounds on a small chain: three workers, three backups, every entity with stake 1000.

mod costs;
mod epochs;
mod evidence;
mod fixture;
mod golden;
mod invariants;
mod laws;
mod liveness;
mod messages;
mod verdicts;
mod votes;
