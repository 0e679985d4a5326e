//! Votes of the open batch, and when it is the own turn to submit them.

use std::collections::BTreeMap;

use paralith_policy::Members;
use paralith_private_contract_messages::{
    Actions, Canonical, ContractVote, Verdict, VoteSignature,
};

use super::{AGAIN_BLOCKS, ALONE_BLOCKS, Effect, Open, TURN_BLOCKS};
use crate::vote::actions_hash;

/// Votes of one verdict.
#[derive(Debug, Clone)]
struct OfVerdict {
    verdict: Verdict,
    actions: Actions,
    votes: BTreeMap<u32, VoteSignature>,
    /// The height at which they first satisfied the policy.
    enough_since: Option<u64>,
}

/// Votes of one batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Votes {
    by_verdict: BTreeMap<Vec<u8>, OfVerdict>,
    sent_at: Option<u64>,
    alone_at: Option<u64>,
}

impl Votes {
    /// Takes a vote. One whose actions are not the verdict's is worth nothing: nobody could submit it.
    /// A member counts once for each verdict, so a batch holds at most as many verdicts as votes came: a
    /// member that signs many of them is bounded by whoever gives the inputs, and slashed.
    pub(super) fn add(&mut self, vote: &ContractVote, open: &Open) {
        let is_member = vote.index < open.members && !open.gone.contains(vote.index);
        if !is_member || actions_hash(&vote.actions) != vote.verdict.actions_hash {
            return;
        }
        // One verdict of each other member is enough to go on.
        let voted = |of: &OfVerdict| of.votes.contains_key(&vote.index);
        if self.by_verdict.values().any(voted) {
            return;
        }
        let of = self.by_verdict.entry(vote.verdict.encode()).or_insert_with(|| OfVerdict {
            verdict: vote.verdict.clone(),
            actions: vote.actions.clone(),
            votes: BTreeMap::new(),
            enough_since: None,
        });
        of.votes.insert(vote.index, vote.signature);
    }

    /// What to submit at this height.
    pub(super) fn due(
        &mut self,
        open: &Open,
        own: Option<&ContractVote>,
        height: u64,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let batch = open.batch.number;
        let turn = open.me.map(|me| turn(me, open.members, batch).saturating_mul(TURN_BLOCKS));
        for of in self.by_verdict.values_mut() {
            let yes: Members = of.votes.keys().copied().collect();
            if !open.policy.satisfied(&yes) {
                continue;
            }
            let since = *of.enough_since.get_or_insert(height);
            let is_turn = turn.is_some_and(|turn| height >= since.saturating_add(turn));
            let is_new =
                self.sent_at.is_none_or(|sent| height >= sent.saturating_add(AGAIN_BLOCKS));
            if is_turn && is_new {
                self.sent_at = Some(height);
                effects.push(submit(batch, &of.verdict, &of.actions, of.votes.clone()));
            }
        }
        let last_call = height.saturating_add(ALONE_BLOCKS) >= open.deadline;
        let alone = own.filter(|own| !open.voted.contains(own.index) && last_call);
        if let Some(own) = alone
            && self.alone_at.is_none_or(|sent| height > sent)
        {
            self.alone_at = Some(height);
            let votes = BTreeMap::from([(own.index, own.signature)]);
            effects.push(submit(batch, &own.verdict, &own.actions, votes));
        }
        effects
    }
}

fn submit(
    batch: u64,
    verdict: &Verdict,
    actions: &Actions,
    votes: BTreeMap<u32, VoteSignature>,
) -> Effect {
    Effect::Submit {
        batch,
        verdict: Box::new(verdict.clone()),
        actions: Box::new(actions.clone()),
        votes,
    }
}

/// A member's turn as aggregator: `(index + n - batch mod n) mod n`.
pub(super) fn turn(index: u32, members: u32, batch: u64) -> u64 {
    let members = u64::from(members).max(1);
    let turn = batch.checked_rem(members).and_then(|shift| {
        u64::from(index).checked_add(members)?.checked_sub(shift)?.checked_rem(members)
    });
    turn.unwrap_or(0)
}
