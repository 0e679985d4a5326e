//! A worker's final rounds: state goes forward, outputs are opened, receipts can be had.
//!
//! * [`Follower`] applies them; see there.
//! * Outputs are opened by the enclave, or taken opened from a peer: one output a leaf, each what its
//!   leaf commits to. A round that cannot be opened does not keep later ones closed.

use std::sync::Arc;

use paralith_consensus_api::roothash::RuntimeState;
use paralith_proto::pb::paratime::v1::{self as paratime_pb, Round as RoundPb};
use paralith_proto::pb::worker::v1::RoundData;
use paralith_runtime_api::output::IoLeaf;
use paralith_types::{Hash, PublicKey, Round};

use crate::enclave::{self, EnclaveCalls};
use crate::error::WorkerError;
use crate::follower::{Follower, leaves_of, opened_fit};
use crate::ledger::Ledger;
use crate::member::Member;
use crate::mempool::Mempool;
use crate::reports::{Confirmation, Reports};
use crate::store::Unopened;
use crate::wire::invalid;

/// What following final rounds needs.
pub(crate) struct Finality {
    pub(crate) member: Arc<Member>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) mempool: Arc<Mempool>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) follower: Follower,
    pub(crate) enclave: EnclaveCalls,
    /// Nodes that may have final rounds, beside the committee.
    pub(crate) peers: Vec<PublicKey>,
}

/// Applies every round up to the last block of a state read at `height`.
pub(crate) async fn catch_up(
    finality: &Finality,
    height: u64,
    state: &RuntimeState,
) -> Result<(), WorkerError> {
    let applied = |data: &RoundData| {
        let mut pool = finality.mempool.lock();
        data.leaves.iter().filter_map(tx_hash).for_each(|hash| pool.finalised(&hash));
    };
    finality.follower.catch_up(height, state, &sources(finality), applied).await
}

fn sources(finality: &Finality) -> Vec<PublicKey> {
    let mut sources = finality.member.members();
    for peer in &finality.peers {
        if *peer != finality.member.me && !sources.contains(peer) {
            sources.push(*peer);
        }
    }
    sources
}

/// The transaction that a leaf is of. The block's own leaf, of what its beginning and end did, is of
/// none.
pub(crate) fn tx_hash(leaf: &paratime_pb::IoLeaf) -> Option<Hash> {
    Hash::try_from(leaf.tx_hash.as_slice()).ok().filter(|hash| *hash != Hash::ZERO)
}

/// Opens the outputs of applied rounds and publishes them, in order.
///
/// A round whose outputs cannot be opened is waited for while no later one can be opened either: then
/// this node has no keys yet, or its enclave is behind. If a later one opens, the fault is the round's
/// own. It is passed over, and tried again ever more rarely.
pub(crate) async fn release(finality: &Finality, height: u64) -> Result<(), WorkerError> {
    let mut released = finality.ledger.store.released_round()?;
    let mut round = released;
    let mut failed: Vec<u64> = Vec::new();
    let mut reason = None;
    // RD-17: in order; a round that alone does not open is passed over.
    while round < finality.ledger.store.applied_round()? && failed.len() < LOOK_AHEAD {
        round = round.saturating_add(1);
        if let Some(data) = finality.ledger.store.round(round)? {
            match open(finality, round, data).await {
                Ok(data) => publish(&finality.reports, round, data),
                Err(error) => {
                    reason.get_or_insert(error);
                    failed.push(round);
                    continue;
                }
            }
        } else if !failed.is_empty() {
            // A round without results shows nothing of those before it.
            continue;
        }
        for bad in std::mem::take(&mut failed) {
            tracing::warn!(
                round = bad,
                "cannot open a round whose successor opens: goes on without"
            );
            finality
                .ledger
                .store
                .keep_unopened(bad, Unopened { tries: 1, at: height.saturating_add(1) })?;
        }
        reason = None;
        finality.ledger.store.released_to(round)?;
        released = round;
    }
    finality.reports.update(|status| status.released_round = released);
    try_again(finality, height).await?;
    reason.map_or(Ok(()), Err)
}

/// Tries rounds again that were passed over.
async fn try_again(finality: &Finality, height: u64) -> Result<(), WorkerError> {
    for (round, Unopened { tries, at }) in finality.ledger.store.unopened()? {
        if height < at {
            continue;
        }
        let Some(data) = finality.ledger.store.round(round)? else {
            finality.ledger.store.forget_unopened(round)?;
            continue;
        };
        match open(finality, round, data).await {
            Ok(data) => {
                publish(&finality.reports, round, data);
                finality.ledger.store.forget_unopened(round)?;
            }
            Err(_) => {
                let pause = 1_u64 << tries.min(PAUSE_POWER_MAX);
                let next =
                    Unopened { tries: tries.saturating_add(1), at: height.saturating_add(pause) };
                finality.ledger.store.keep_unopened(round, next)?;
            }
        }
    }
    Ok(())
}

async fn open(
    finality: &Finality,
    round: u64,
    mut data: RoundData,
) -> Result<RoundData, WorkerError> {
    let leaves = leaves_of(&data)?;
    if opened_fit(&data.outputs, &leaves) {
        return Ok(data);
    }
    let (asked, sealed) = (data.leaves.clone(), data.sealed.clone());
    let opened =
        finality.enclave.call(move |enclave| enclave::release(enclave, round, asked, sealed)).await;
    data.outputs = match opened {
        Ok(outputs) if opened_fit(&outputs, &leaves) => outputs,
        Ok(_) => fetch_opened(finality, round, &leaves)
            .await
            .ok_or_else(|| invalid("the enclave opened what the leaves do not commit to"))?,
        Err(error) => fetch_opened(finality, round, &leaves).await.ok_or(error)?,
    };
    data.sealed.clear();
    finality.ledger.store.keep_outputs(round, &data)?;
    Ok(data)
}

/// Opened outputs of peers that have them.
async fn fetch_opened(
    finality: &Finality,
    round: u64,
    leaves: &[IoLeaf],
) -> Option<Vec<paratime_pb::OpenedOutput>> {
    for peer in sources(finality) {
        if let Ok(data) = finality.follower.round_of(peer, Round(round)).await
            && opened_fit(&data.outputs, leaves)
        {
            return Some(data.outputs);
        }
    }
    None
}

fn publish(reports: &Reports, round: u64, data: RoundData) {
    let tx_hashes = data.leaves.iter().filter_map(tx_hash).collect();
    tracing::debug!(round, "has opened");
    reports.confirm(Confirmation::Final { round, tx_hashes });
    let RoundData { header, leaves, outputs, .. } = data;
    reports.publish(RoundPb { header, leaves, outputs });
}

/// So many rounds that cannot be opened are looked past for one that can.
const LOOK_AHEAD: usize = 16;
/// A round that was passed over is tried again every 1,024 blocks in the end.
const PAUSE_POWER_MAX: u32 = 10;
