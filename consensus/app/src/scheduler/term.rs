//! Which committee a round had, as long as evidence of the round is accepted.
//!
//! A term begins with each committee, and with each suspension, whose term has no members. It also
//! keeps what each member answers with: its entity and the penalty at that time. Neither a
//! registration for another entity nor a raised penalty changes that afterwards.

use std::collections::BTreeMap;

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::scheduler::{Committee, CommitteeTerm, TermMember, keys};
use paralith_types::{PublicKey, Round, RuntimeId};

use crate::context::Context;
use crate::query::damaged;
use crate::registry;

/// Begins the term of a committee, or of a suspension.
pub(crate) fn begin_term(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    first_round: Round,
    committee: Option<&Committee>,
) -> Result<(), Error> {
    let members = match committee {
        Some(committee) => members(ctx, committee)?,
        None => Vec::new(),
    };
    let term = CommitteeTerm {
        runtime_id: runtime.id,
        first_round,
        members,
        slash_equivocation: runtime.staking.slash_equivocation,
    };
    ctx.set(keys::term(&runtime.id, first_round), &term);
    Ok(())
}

/// The term that a round belongs to; none if the round is older than the kept ones.
pub(crate) fn term_of(
    ctx: &Context<'_>,
    runtime: &RuntimeId,
    round: Round,
) -> Result<Option<CommitteeTerm>, Error> {
    let terms: Vec<CommitteeTerm> = ctx.list(&keys::terms_of(runtime))?;
    Ok(terms.into_iter().rev().find(|term| term.first_round <= round))
}

/// Removes the terms all of whose rounds are older than `oldest`.
pub(crate) fn forget_terms(
    ctx: &mut Context<'_>,
    runtime: &RuntimeId,
    oldest: Round,
) -> Result<(), Error> {
    let terms: Vec<CommitteeTerm> = ctx.list(&keys::terms_of(runtime))?;
    // A term ends where the next begins; the newest goes on.
    for pair in terms.windows(2) {
        if let [ended, next] = pair
            && next.first_round <= oldest
        {
            ctx.remove(keys::term(runtime, ended.first_round));
        }
    }
    Ok(())
}

fn members(ctx: &Context<'_>, committee: &Committee) -> Result<Vec<TermMember>, Error> {
    let mut workers: BTreeMap<PublicKey, bool> = BTreeMap::new();
    workers.extend(committee.backups.iter().map(|node| (*node, false)));
    workers.extend(committee.workers.iter().map(|node| (*node, true)));
    let member = |(node_id, worker): (PublicKey, bool)| {
        let missing = || damaged(&keys::committee(&committee.runtime_id), "a member is unknown");
        let entity_id = registry::node(ctx, &node_id)?.ok_or_else(missing)?.entity_id;
        Ok(TermMember { node_id, entity_id, worker })
    };
    workers.into_iter().map(member).collect()
}
