//! Committees of runtimes by lot.
//!
//! Candidates are compute nodes that offer the runtime, attested now where it wants that. Workers and
//! backups are drawn independently, each the first of a permutation, so one node may be both. If there
//! are too few for either, or the owner's stake does not cover its claims, there is no committee and
//! the runtime is suspended. Nodes that did too little in past epochs are drawn only if there are too few
//! others, or not at all: see `roothash::liveness`.

use paralith_consensus_api::registry::{ROLE_COMPUTE, Runtime, RuntimeKind};
use paralith_consensus_api::scheduler::{Committee, CommitteeElected};
use paralith_consensus_api::{Error, Fault, address};
use paralith_crypto::hash::{Domain, hash};
use paralith_types::{Hash, PublicKey};

use super::{Candidate, state};
use crate::context::Context;
use crate::roothash::liveness::{self, Electable};
use crate::{beacon, registry, staking};

/// Elects a runtime's committee for the epoch that begins.
pub(super) fn elect(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    candidates: &[Candidate],
) -> Result<(), Error> {
    if runtime.kind != RuntimeKind::Compute {
        return Ok(());
    }
    let suitable = suitable(ctx, runtime, candidates)?;
    let owner = staking::account(ctx, &address::of_key(&runtime.entity_id))?;
    let entropy = beacon::entropy(ctx)?;
    let workers = draw(&entropy, runtime, ROLE_WORKER, &suitable, runtime.executor.workers);
    let backups = draw(&entropy, runtime, ROLE_BACKUP, &suitable, runtime.executor.backups);
    match (workers, backups) {
        (Some(workers), Some(backups)) if staking::claims_covered(&owner)? => {
            let (runtime_id, epoch) = (runtime.id, ctx.epoch()?);
            let committee = Committee { runtime_id, epoch, workers, backups };
            state::set_committee(ctx, &committee);
            ctx.emit(CommitteeElected { committee });
        }
        _ => state::remove_committee(ctx, &runtime.id),
    }
    Ok(())
}

fn suitable(
    ctx: &Context<'_>,
    runtime: &Runtime,
    candidates: &[Candidate],
) -> Result<Vec<(PublicKey, Electable)>, Error> {
    let mut suitable = Vec::new();
    for Candidate { node, .. } in candidates {
        let offers = node.has_role(ROLE_COMPUTE) && node.runtime(&runtime.id).is_some();
        if !offers || !is_attested(ctx, node, runtime)? {
            continue;
        }
        match liveness::electable(ctx, &runtime.id, &node.id)? {
            Electable::Never => {}
            electable @ (Electable::Fully | Electable::LastResort) => {
                suitable.push((node.id, electable))
            }
        }
    }
    Ok(suitable)
}

fn is_attested(
    ctx: &Context<'_>,
    node: &paralith_consensus_api::registry::Node,
    runtime: &Runtime,
) -> Result<bool, Error> {
    if runtime.tee.is_none() {
        return Ok(true);
    }
    match registry::verify_tee(ctx, node, runtime) {
        Ok(_) => Ok(true),
        Err(error) if error.fault() == Fault::Node => Err(error),
        Err(_) => Ok(false),
    }
}

/// The first `wanted` of a permutation, the suspended ones last; none if there are fewer.
fn draw(
    entropy: &Hash,
    runtime: &Runtime,
    role: &[u8],
    nodes: &[(PublicKey, Electable)],
    wanted: u32,
) -> Option<Vec<PublicKey>> {
    let wanted = usize::try_from(wanted).ok()?;
    let mut drawn = nodes.to_vec();
    drawn.sort_by_cached_key(|(node, electable)| {
        let parts = [entropy.as_bytes(), runtime.id.as_bytes(), role, node.as_bytes()];
        (*electable, hash(COMMITTEE_LOT, &parts))
    });
    drawn.truncate(wanted);
    (drawn.len() == wanted).then(|| drawn.into_iter().map(|(node, _)| node).collect())
}

const ROLE_WORKER: &[u8] = b"worker";
const ROLE_BACKUP: &[u8] = b"backup";

const COMMITTEE_LOT: Domain = Domain::new("paralith/scheduler/committee/v1");
