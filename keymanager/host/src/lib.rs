//! What a key manager's node does in each block.
//!
//! [`KeyManagerHost`] decides and has no effect: the node gives it what proven state and the enclave
//! say ([`Observed`]), carries out the [`Action`]s that come back, and reports what became of them.
//!
//! 1. [`KeyManagerHost::begin`]: once an epoch, prove freshness and have the enclave attested anew,
//!    since it has another REK in each epoch; then have it take over the status.
//! 2. [`KeyManagerHost::rest`]: fetch what the enclave lacks, make what is due and not published,
//!    open what is published, and keep the node registered with the enclave's newest answer.
//!
//! An action that fails stops no other. It comes again with the next block.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
    )
)]

use std::collections::BTreeMap;

use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::keymanager::{Status, rotation_due};
use paralith_types::{Epoch, Height, PublicKey};

/// How many blocks each key manager waits for the one before it in the committee to publish.
pub const TURN_BLOCKS: u64 = 3;

/// How many blocks a publication is given before it is made anew. State takes the first of an epoch,
/// and all enclaves take it from there, so a second one does no harm.
pub const RESUBMIT_BLOCKS: u64 = 20;

/// What proven state says.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The newest height.
    pub height: Height,
    /// The epoch that runs.
    pub epoch: EpochState,
    /// The key manager's status; none before it is registered.
    pub status: Option<Status>,
    /// The epoch of the newest proposed generation.
    pub proposed: Option<Epoch>,
    /// The epoch of the newest published epoch secret.
    pub published: Option<Epoch>,
}

/// What the enclave says that it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lacks {
    /// Generations. Without them it answers nobody.
    pub generations: bool,
    /// Epoch secrets, which may be gone for good.
    pub epochs: bool,
}

/// A secret that is published through consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// The next generation's master secret.
    Master,
    /// The next epoch's secret.
    Epoch,
}

/// What the node is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Have a blob of the enclave included in a block and confirmed.
    ProveFreshness,
    /// Have the platform quote the enclave's claims of now.
    Attest,
    /// Have the enclave take over the status.
    Initialise,
    /// Ask these members, one after the other, for what the enclave lacks.
    Replicate {
        /// Without this node.
        from: Vec<PublicKey>,
    },
    /// Have the enclave make the secret of an epoch, and submit it.
    Publish(Secret, Epoch),
    /// Have the enclave open what is published.
    LoadProposals,
    /// Offer the enclave's newest answer for the node's registration.
    Register,
}

/// A key manager's node, as far as it decides.
#[derive(Debug, Clone)]
pub struct KeyManagerHost {
    node: PublicKey,
    fresh: Option<Epoch>,
    attested: Option<Epoch>,
    /// The height at which a secret was submitted.
    submitted: BTreeMap<(Epoch, Secret), Height>,
}

impl KeyManagerHost {
    /// Of this node, whose enclave has just started.
    #[must_use]
    pub const fn new(node: PublicKey) -> Self {
        Self { node, fresh: None, attested: None, submitted: BTreeMap::new() }
    }

    /// What comes first.
    #[must_use]
    pub fn begin(&self, observed: &Observed) -> Vec<Action> {
        let epoch = Some(observed.epoch.epoch);
        let mut actions = Vec::new();
        if self.fresh != epoch {
            actions.push(Action::ProveFreshness);
        }
        if self.attested != epoch {
            actions.push(Action::Attest);
        }
        if observed.status.is_some() {
            actions.push(Action::Initialise);
        }
        actions
    }

    /// What comes after the enclave has said what it lacks.
    #[must_use]
    pub fn rest(&self, observed: &Observed, lacks: Lacks) -> Vec<Action> {
        let Some(status) = &observed.status else { return Vec::new() };
        let mut actions = Vec::new();
        let from: Vec<PublicKey> =
            status.nodes.iter().filter(|node| **node != self.node).copied().collect();
        // A request names a freshness proof of the epoch: without one it is refused everywhere.
        let fresh = self.fresh == Some(observed.epoch.epoch);
        if (lacks.generations || lacks.epochs) && fresh && !from.is_empty() {
            actions.push(Action::Replicate { from });
        }
        let next = observed.epoch.epoch.next();
        if self.is_turn(status, observed) {
            for secret in [Secret::Master, Secret::Epoch] {
                let due = match secret {
                    // Who lacks a generation cannot make the one after it.
                    Secret::Master => {
                        !lacks.generations
                            && rotation_due(status, next).is_ok()
                            && observed.proposed != Some(next)
                    }
                    Secret::Epoch => status.initialised && observed.published != Some(next),
                };
                if due && !self.on_its_way(next, secret, observed.height) {
                    actions.push(Action::Publish(secret, next));
                }
            }
        }
        actions.push(Action::LoadProposals);
        actions.push(Action::Register);
        actions
    }

    /// An action has succeeded.
    pub fn done(&mut self, action: &Action, observed: &Observed) {
        let epoch = observed.epoch.epoch;
        match action {
            Action::ProveFreshness => self.fresh = Some(epoch),
            Action::Attest => self.attested = Some(epoch),
            Action::Publish(secret, of) => {
                self.submitted.retain(|(old, _), _| old >= of);
                self.submitted.insert((*of, *secret), observed.height);
            }
            Action::Initialise
            | Action::Replicate { .. }
            | Action::LoadProposals
            | Action::Register => {}
        }
    }

    /// Members publish one after the other, so that one publication is made and not one by each.
    fn is_turn(&self, status: &Status, observed: &Observed) -> bool {
        let Some(place) = status.nodes.iter().position(|member| *member == self.node) else {
            return false;
        };
        let wait = u64::try_from(place).unwrap_or(u64::MAX).saturating_mul(TURN_BLOCKS);
        observed.height >= observed.epoch.height.plus(wait)
    }

    fn on_its_way(&self, epoch: Epoch, secret: Secret, height: Height) -> bool {
        let submitted = self.submitted.get(&(epoch, secret));
        submitted.is_some_and(|at| height < at.plus(RESUBMIT_BLOCKS))
    }
}

#[cfg(test)]
mod tests;
