//! How much a member counts.
//!
//! Registrations are cheap. If each counted, a few machines with many registrations could keep a
//! generation from being accepted or a secret from being published. So either the policy names the
//! members and each counts one, or an entity's stake is divided among its members.

use std::collections::BTreeMap;

use paralith_consensus_api::Error;
use paralith_consensus_api::address;
use paralith_consensus_api::keymanager::Policy;
use paralith_types::{Address, Amount, PublicKey, RuntimeId};

use crate::query::damaged;
use crate::{Context, registry, staking};

/// The weights of a committee's members.
pub(super) struct Weights {
    by_node: BTreeMap<PublicKey, Amount>,
    total: Amount,
}

impl Weights {
    /// Those of a committee under a policy.
    pub(super) fn of(
        ctx: &Context<'_>,
        id: &RuntimeId,
        policy: Option<&Policy>,
        nodes: &[PublicKey],
    ) -> Result<Self, Error> {
        // KM-C2: members that the policy names, or stake. Never registrations.
        let by_node: BTreeMap<PublicKey, Amount> = if policy.is_some_and(|p| !p.nodes.is_empty()) {
            nodes.iter().map(|node| (*node, Amount(1))).collect()
        } else {
            by_stake(ctx, nodes)?
        };
        // Stakes are parts of the supply, which fits. A member without stake counts 1 more.
        let broken = |_| damaged(id.as_bytes(), "the weights of its members overflow");
        let total = by_node
            .values()
            .try_fold(Amount::ZERO, |sum, weight| sum.add(*weight))
            .map_err(broken)?;
        Ok(Self { by_node, total })
    }

    /// The weight of some members together.
    pub(super) fn sum<'a>(&self, nodes: impl IntoIterator<Item = &'a PublicKey>) -> Amount {
        let weights = nodes.into_iter().filter_map(|node| self.by_node.get(node));
        // A part of `total`, which did not overflow.
        weights.fold(Amount::ZERO, |sum, weight| Amount(sum.0.saturating_add(weight.0)))
    }

    /// The weight of all members.
    pub(super) fn total(&self) -> Amount {
        self.total
    }

    /// The least weight that is this share of all, rounded up.
    pub(super) fn needed(&self, percent: u32) -> Result<Amount, Error> {
        let rest = Amount(u128::from(100_u32.saturating_sub(percent)));
        let broken = |_| damaged(b"keymanager", "a share of the weight overflows");
        let spared = self.total.mul_div(rest, Amount(100)).map_err(broken)?;
        self.total.sub(spared).map_err(broken)
    }
}

fn by_stake(ctx: &Context<'_>, nodes: &[PublicKey]) -> Result<BTreeMap<PublicKey, Amount>, Error> {
    let mut entities: BTreeMap<Address, Vec<PublicKey>> = BTreeMap::new();
    for node in nodes {
        if let Some(registered) = registry::node(ctx, node)? {
            entities.entry(address::of_key(&registered.entity_id)).or_default().push(*node);
        }
    }
    let mut weights = BTreeMap::new();
    for (entity, members) in entities {
        let stake = staking::account(ctx, &entity)?.active.balance;
        let count = u128::try_from(members.len()).unwrap_or(u128::MAX);
        let each = stake.0.checked_div(count).unwrap_or(0).max(1);
        weights.extend(members.into_iter().map(|node| (node, Amount(each))));
    }
    Ok(weights)
}
