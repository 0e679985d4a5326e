//! Following final rounds: state goes forward, outputs are opened, receipts can be had.
//!
//! * A final round's write log is applied if the root that it makes is the header's; the log comes
//!   from this node's own execution, or from any peer, and is checked the same way.
//! * Rounds without results change nothing. Rounds are applied in order.
//! * Outputs are opened by the enclave, or taken opened from a peer: one output a leaf, each what its
//!   leaf commits to. A round that cannot be opened does not keep later ones closed.

use std::sync::Arc;

use paralith_consensus_api::roothash::{Header, HeaderType, RuntimeState};
use paralith_proto::Wire;
use paralith_proto::pb::host::v1::Change;
use paralith_proto::pb::paratime::v1::{self as paratime_pb, Round as RoundPb};
use paralith_proto::pb::worker::v1::RoundData;
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, io_root};
use paralith_storage::{Changes, Durability, EMPTY_ROOT, Prepared};
use paralith_types::{Hash, PublicKey, Round};

use crate::effects::LINK_TIMEOUT;
use crate::error::WorkerError;
use crate::links::LinkError;
use crate::shared::{Confirmation, Shared};
use crate::store::Unopened;
use crate::wire::invalid;
use crate::{enclave, view};

/// Applies every round up to the last block of a state read at `height`.
pub(crate) async fn catch_up(
    shared: &Shared,
    height: u64,
    state: &RuntimeState,
) -> Result<(), WorkerError> {
    let last = &state.last_block;
    let mut applied = shared.store.applied_round()?;
    while applied < last.round.0 {
        let round = applied.saturating_add(1);
        let header = if round == last.round.0 {
            Some(last.clone())
        } else {
            view::header(shared.chain.as_ref(), height, &shared.config.runtime_id, round).await?
        };
        match header {
            Some(header) if header.header_type == HeaderType::Normal => {
                apply(shared, header).await?;
            }
            // A block without results, or so old that the chain has dropped its header; if that one
            // had results, the next root will not fit.
            _ => shared.store.skip_to(round)?,
        }
        applied = round;
    }
    Ok(())
}

/// The root of the state that this node has.
pub(crate) fn state_root(shared: &Shared) -> Result<Hash, WorkerError> {
    Ok(shared.tree.latest()?.map_or(EMPTY_ROOT, |(_, root)| root))
}

/// Applies one final round with results.
async fn apply(shared: &Shared, header: Header) -> Result<(), WorkerError> {
    let round = header.round.0;
    let latest = shared.tree.latest()?.map(|(version, _)| version);
    if latest.is_some_and(|version| version >= round) {
        // A crash came between the tree and the mark; both are one batch, so this is another's tree.
        return Ok(shared.store.skip_to(round)?);
    }
    let own = shared.store.outcome(round, &header.state_root, &header.io_root)?;
    let found = match own {
        Some(data) => {
            let kept = shared.take_prepared(latest, round, &header.state_root);
            checked(shared, &header, data, kept)
        }
        None => Err(WorkerError::NotFound),
    };
    let (data, prepared) = match found {
        Ok(found) => found,
        Err(_) => fetch(shared, &header).await?,
    };
    let extra = shared.store.applied(round, &data)?;
    shared.tree.commit(prepared, extra, Durability::Synced)?;
    tracing::debug!(round, transactions = data.leaves.len(), "has applied");
    let mut pool = shared.pool();
    data.leaves.iter().filter_map(tx_hash).for_each(|hash| pool.finalised(&hash));
    Ok(())
}

/// Asks one peer after the other for a final round, until one's answer fits the header.
async fn fetch(shared: &Shared, header: &Header) -> Result<(RoundData, Prepared), WorkerError> {
    let mut error = WorkerError::NotFound;
    for peer in sources(shared) {
        match round_of(shared, peer, header.round).await {
            Ok(data) => match checked(shared, header, data, None) {
                Ok(found) => return Ok(found),
                Err(refused) => error = refused,
            },
            Err(refused) => error = refused.into(),
        }
    }
    Err(error)
}

async fn round_of(shared: &Shared, peer: PublicKey, round: Round) -> Result<RoundData, LinkError> {
    let ask = shared.links.fetch_round(peer, shared.config.runtime_id, round);
    let late = |_| LinkError::Unreachable("no answer in time".to_string());
    paralith_rt::timeout(LINK_TIMEOUT, ask).await.map_err(late)?
}

fn sources(shared: &Shared) -> Vec<PublicKey> {
    let mut sources = shared.members();
    for peer in &shared.config.peers {
        if *peer != shared.me && !sources.contains(peer) {
            sources.push(*peer);
        }
    }
    sources
}

/// Checks a round's data against its final header; nothing of it is believed before. `kept` is the
/// version that this node computed of the same data.
fn checked(
    shared: &Shared,
    header: &Header,
    mut data: RoundData,
    kept: Option<Prepared>,
) -> Result<(RoundData, Prepared), WorkerError> {
    let leaves = leaves_of(&data)?;
    if io_root(&leaves) != header.io_root {
        return Err(invalid("the leaves do not have the header's I/O root"));
    }
    let base = shared.tree.latest()?.map(|(version, _)| version);
    let prepared = match kept {
        Some(prepared) => prepared,
        None => shared.tree.prepare(base, header.round.0, &changes_of(&data.changes))?,
    };
    if prepared.root() != header.state_root {
        return Err(invalid("the write log does not lead to the header's state root"));
    }
    if !opened_fit(&data.outputs, &leaves) {
        data.outputs.clear();
    }
    data.header = Some(header.to_pb());
    Ok((data, prepared))
}

/// A write log as the tree takes it.
pub(crate) fn changes_of(changes: &[Change]) -> Changes {
    changes.iter().map(|change| (change.key.clone(), change.value.clone())).collect()
}

pub(crate) fn leaves_of(data: &RoundData) -> Result<Vec<IoLeaf>, WorkerError> {
    Wire::from_pb(data.leaves.clone()).map_err(|e| invalid(&e.to_string()))
}

/// The transaction that a leaf is of. The block's own leaf, of what its beginning and end did, is of
/// none.
pub(crate) fn tx_hash(leaf: &paratime_pb::IoLeaf) -> Option<Hash> {
    Hash::try_from(leaf.tx_hash.as_slice()).ok().filter(|hash| *hash != Hash::ZERO)
}

/// Whether there is one output a leaf, and each is what its leaf commits to.
pub(crate) fn opened_fit(outputs: &[paratime_pb::OpenedOutput], leaves: &[IoLeaf]) -> bool {
    let opened: Result<Vec<OpenedOutput>, _> = Wire::from_pb(outputs.to_vec());
    opened.is_ok_and(|opened| {
        opened.len() == leaves.len()
            && opened.iter().zip(leaves).all(|(output, leaf)| output.matches(leaf))
    })
}

/// Opens the outputs of applied rounds and publishes them, in order.
///
/// A round whose outputs cannot be opened is waited for while no later one can be opened either: then
/// this node has no keys yet, or its enclave is behind. If a later one opens, the fault is the round's
/// own. It is passed over, and tried again ever more rarely.
pub(crate) async fn release(shared: &Shared, height: u64) -> Result<(), WorkerError> {
    let mut released = shared.store.released_round()?;
    let mut round = released;
    let mut failed: Vec<u64> = Vec::new();
    let mut reason = None;
    while round < shared.store.applied_round()? && failed.len() < LOOK_AHEAD {
        round = round.saturating_add(1);
        if let Some(data) = shared.store.round(round)? {
            match open(shared, round, data).await {
                Ok(data) => publish(shared, round, data),
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
            shared.store.keep_unopened(bad, Unopened { tries: 1, at: height.saturating_add(1) })?;
        }
        reason = None;
        shared.store.released_to(round)?;
        released = round;
    }
    shared.status.send_modify(|status| status.released_round = released);
    try_again(shared, height).await?;
    reason.map_or(Ok(()), Err)
}

/// Tries rounds again that were passed over.
async fn try_again(shared: &Shared, height: u64) -> Result<(), WorkerError> {
    for (round, Unopened { tries, at }) in shared.store.unopened()? {
        if height < at {
            continue;
        }
        let Some(data) = shared.store.round(round)? else {
            shared.store.forget_unopened(round)?;
            continue;
        };
        match open(shared, round, data).await {
            Ok(data) => {
                publish(shared, round, data);
                shared.store.forget_unopened(round)?;
            }
            Err(_) => {
                let pause = 1_u64 << tries.min(PAUSE_POWER_MAX);
                let next =
                    Unopened { tries: tries.saturating_add(1), at: height.saturating_add(pause) };
                shared.store.keep_unopened(round, next)?;
            }
        }
    }
    Ok(())
}

async fn open(shared: &Shared, round: u64, mut data: RoundData) -> Result<RoundData, WorkerError> {
    let leaves = leaves_of(&data)?;
    if opened_fit(&data.outputs, &leaves) {
        return Ok(data);
    }
    let (asked, sealed) = (data.leaves.clone(), data.sealed.clone());
    let opened =
        shared.enclave(move |enclave| enclave::release(enclave, round, asked, sealed)).await;
    data.outputs = match opened {
        Ok(outputs) if opened_fit(&outputs, &leaves) => outputs,
        Ok(_) => fetch_opened(shared, round, &leaves)
            .await
            .ok_or_else(|| invalid("the enclave opened what the leaves do not commit to"))?,
        Err(error) => fetch_opened(shared, round, &leaves).await.ok_or(error)?,
    };
    data.sealed.clear();
    shared.store.keep_outputs(round, &data)?;
    Ok(data)
}

/// Opened outputs of peers that have them.
async fn fetch_opened(
    shared: &Shared,
    round: u64,
    leaves: &[IoLeaf],
) -> Option<Vec<paratime_pb::OpenedOutput>> {
    for peer in sources(shared) {
        if let Ok(data) = round_of(shared, peer, Round(round)).await
            && opened_fit(&data.outputs, leaves)
        {
            return Some(data.outputs);
        }
    }
    None
}

fn publish(shared: &Shared, round: u64, data: RoundData) {
    let tx_hashes = data.leaves.iter().filter_map(tx_hash).collect();
    tracing::debug!(round, "has opened");
    // Nobody listening is no fault.
    let _ = shared.confirmations.send(Confirmation::Final { round, tx_hashes });
    let RoundData { header, leaves, outputs, .. } = data;
    let _ = shared.rounds.send(Arc::new(RoundPb { header, leaves, outputs }));
}

/// So many rounds that cannot be opened are looked past for one that can.
const LOOK_AHEAD: usize = 16;
/// A round that was passed over is tried again every 1,024 blocks in the end.
const PAUSE_POWER_MAX: u32 = 10;
