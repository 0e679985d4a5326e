//! The gas floor: what a transaction costs at least, known before it runs.
//!
//! Every transaction takes block space, so its gas limit must cover its bytes and the least gas of its
//! method. Otherwise a gas limit of 0 would make the fee 0. A method may charge more when it runs.

use paralith_consensus_api::tx::Body;
use paralith_consensus_api::{Error, consensus, keymanager, registry, roothash};
use paralith_storage::StateRead;

use crate::check::Candidate;
use crate::query::{require, staking_params};

/// The least gas limit of a transaction.
pub(crate) fn floor(
    state: &dyn StateRead,
    params: &consensus::Params,
    tx: &Candidate,
) -> Result<u64, Error> {
    let size = u64::try_from(tx.size).unwrap_or(u64::MAX);
    let bytes = params.gas_per_byte.saturating_mul(size);
    Ok(bytes.saturating_add(method(state, &tx.body)?))
}

/// What the method charges at least.
fn method(state: &dyn StateRead, body: &Body) -> Result<u64, Error> {
    let registry = || require::<registry::Params>(state, &registry::keys::params());
    let roothash = || require::<roothash::Params>(state, &roothash::keys::params());
    let keymanager = || require::<keymanager::Params>(state, &keymanager::keys::params());
    Ok(match body {
        Body::AddEscrow(_) => staking_params(state)?.gas_add_escrow,
        Body::ReclaimEscrow(_) => staking_params(state)?.gas_reclaim_escrow,
        Body::Transfer(_) => staking_params(state)?.gas_transfer,
        Body::ProveFreshness(_) => registry()?.gas_prove_freshness,
        Body::RegisterEntity(_) => registry()?.gas_register_entity,
        Body::RegisterNode(body) => {
            registry()?.gas_register_node.saturating_mul(count(body.node.runtimes.len()).max(1))
        }
        Body::ApproveRuntime(_) | Body::RegisterRuntime(_) | Body::RevokeEnclave(_) => {
            registry()?.gas_register_runtime
        }
        Body::Evidence(_) => roothash()?.gas_evidence,
        Body::ExecutorCommit(body) => {
            let params = roothash()?;
            let votes = params.gas_vote.saturating_mul(count(body.votes.len()));
            params.gas_executor_commit.saturating_add(votes)
        }
        Body::SubmitMessage(_) => roothash()?.gas_submit_message,
        Body::PublishEpochSecret(_) | Body::PublishMasterSecret(_) => {
            keymanager()?.gas_publish_secret
        }
        Body::UpdatePolicy(_) => keymanager()?.gas_update_policy,
    })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
