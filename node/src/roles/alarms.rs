//! What an operator must know of before it is too late: sets that shrink below what the chain needs,
//! and a registration that is about to end. Each alarm is logged when it comes up, and shown by
//! `paralith status` as long as it lasts.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use paralith_consensus_api::registry::{Node, ROLE_VALIDATOR, Runtime, RuntimeKind};
use paralith_consensus_api::scheduler::{self, Committee, ValidatorAlarm};
use paralith_types::{Epoch, PublicKey};

use crate::chain::ChainAccess;
use crate::error::NodeError;

/// Blocks after which state is looked at again within an epoch.
const LOOK_BLOCKS: u64 = 20;

/// The alarms that are up.
#[derive(Debug, Default)]
pub struct Alarms {
    up: Mutex<BTreeSet<String>>,
    looked: Mutex<Option<(Epoch, u64)>>,
}

impl Alarms {
    /// Those that are up.
    pub fn list(&self) -> Vec<String> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Looks at the newest proven state, once an epoch and every few blocks.
    pub(crate) async fn look(
        &self,
        chain: &ChainAccess,
        node: &PublicKey,
        roles: u32,
    ) -> Result<(), NodeError> {
        let (epoch, height) = (chain.epoch().await?, chain.height()?);
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = looked.is_some_and(|(at_epoch, at_height)| {
            at_epoch == epoch && height < at_height.saturating_add(LOOK_BLOCKS)
        });
        if recent {
            return Ok(());
        }
        let params: scheduler::Params = chain.require(&scheduler::keys::params()).await?;
        let nodes = chain.nodes(None).await?;
        let mut found = BTreeSet::new();
        let elected: Option<ValidatorAlarm> =
            chain.get(&scheduler::keys::validator_alarm()).await?;
        found.extend(elected.as_ref().map(election));
        found.extend(validators(&nodes, epoch, params.min_validators));
        found.extend(own(nodes.iter().find(|known| known.id == *node), roles, epoch));
        for runtime in chain.runtimes(None).await? {
            let committee = chain.get(&scheduler::keys::committee(&runtime.id)).await?;
            found.extend(workers(&runtime, committee.as_ref()));
        }
        self.replace(found);
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some((epoch, height));
        Ok(())
    }

    fn replace(&self, found: BTreeSet<String>) {
        let mut up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        for alarm in found.difference(&up) {
            tracing::warn!("ALARM: {alarm}");
        }
        for alarm in up.difference(&found) {
            tracing::info!("over: {alarm}");
        }
        *up = found;
    }
}

/// What the last election found.
fn election(alarm: &ValidatorAlarm) -> String {
    let lapsed: Vec<String> = alarm.lapsed.iter().map(ToString::to_string).collect();
    format!(
        "since epoch {} the validator set needs its operators: {} can be elected, {} are needed; \
         registrations have expired of: {}",
        alarm.epoch,
        alarm.electable,
        alarm.minimum,
        if lapsed.is_empty() { "none".to_string() } else { lapsed.join(", ") }
    )
}

/// Whether enough validators can be elected in the next epoch. With fewer, the set stays as it was,
/// members that are gone included.
fn validators(nodes: &[Node], epoch: Epoch, minimum: u32) -> Option<String> {
    let stay = |node: &&Node| node.has_role(ROLE_VALIDATOR) && node.expiration > epoch;
    let count = nodes.iter().filter(stay).count();
    let minimum = minimum.max(1);
    (count < minimum as usize).then(|| {
        format!(
            "{count} validators are registered beyond this epoch, elections need {minimum}: the \
             set stays as it is until validators register or renew"
        )
    })
}

/// Whether this node stays registered.
fn own(registered: Option<&Node>, roles: u32, epoch: Epoch) -> Option<String> {
    if roles == 0 || registered.is_some_and(|node| node.expiration > epoch) {
        return None;
    }
    Some(
        "this node is not registered beyond this epoch: see the log for why the registry refuses \
         it (does its account cover the fees, does its entity list it and have the stake?)"
            .to_string(),
    )
}

/// Whether a ParaTime has all its workers.
fn workers(runtime: &Runtime, committee: Option<&Committee>) -> Option<String> {
    if runtime.kind != RuntimeKind::Compute {
        return None;
    }
    let (got, minimum) = (
        committee.map_or(0, |committee| committee.workers.len()),
        usize::try_from(runtime.executor.workers).unwrap_or(usize::MAX),
    );
    (got < minimum).then(|| {
        format!(
            "ParaTime {} ({}) has {got} of {minimum} workers in this epoch: it makes no rounds \
             until enough compute nodes register for it",
            runtime.name, runtime.id
        )
    })
}

#[cfg(test)]
mod tests {
    use paralith_crypto::SigningKey;

    use super::*;

    fn node(seed: u8, roles: u32, expiration: u64) -> Node {
        let key = SigningKey::from_seed([seed; 32]).public();
        Node {
            id: key,
            entity_id: key,
            expiration: Epoch(expiration),
            roles,
            consensus_key: key,
            addresses: Vec::new(),
            runtimes: Vec::new(),
            software_version: String::new(),
        }
    }

    #[test]
    fn a_validator_set_that_will_be_too_small_is_announced_an_epoch_before() {
        let nodes = [node(1, ROLE_VALIDATOR, 9), node(2, ROLE_VALIDATOR, 5), node(3, 1, 9)];
        assert_eq!(validators(&nodes, Epoch(4), 2), None);
        let alarm = validators(&nodes, Epoch(5), 2).unwrap();
        assert!(alarm.starts_with("1 validators"), "{alarm}");
        assert!(validators(&[], Epoch(0), 0).is_some(), "a chain needs one validator");
    }

    #[test]
    fn a_node_that_will_not_be_registered_says_so() {
        let registered = node(1, ROLE_VALIDATOR, 5);
        assert_eq!(own(Some(&registered), ROLE_VALIDATOR, Epoch(4)), None);
        assert!(own(Some(&registered), ROLE_VALIDATOR, Epoch(5)).is_some());
        assert!(own(None, ROLE_VALIDATOR, Epoch(0)).is_some());
        assert_eq!(own(None, 0, Epoch(0)), None, "a client registers nowhere");
    }

    #[test]
    fn an_alarm_is_up_as_long_as_its_reason() {
        let alarms = Alarms::default();
        alarms.replace(["a".to_string(), "b".to_string()].into());
        alarms.replace(["b".to_string()].into());
        assert_eq!(alarms.list(), ["b"]);
    }
}
