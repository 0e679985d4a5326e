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
use paralith_storage::{Changes, Durability, Prepared};
use paralith_types::{Hash, PublicKey, Round};

use crate::chain::Chain;
use crate::effects::LINK_TIMEOUT;
use crate::enclave::{self, EnclaveCalls};
use crate::error::WorkerError;
use crate::ledger::Ledger;
use crate::links::{LinkError, Links};
use crate::member::Member;
use crate::mempool::Mempool;
use crate::reports::{Confirmation, Reports};
use crate::store::Unopened;
use crate::view;
use crate::wire::invalid;

/// What following final rounds needs.
pub(crate) struct Finality {
    pub(crate) member: Arc<Member>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) mempool: Arc<Mempool>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) enclave: EnclaveCalls,
    /// Nodes that may have final rounds, beside the committee.
    pub(crate) peers: Vec<PublicKey>,
    /// For how many blocks versions of the tree are kept; none: all are.
    pub(crate) state_kept_blocks: Option<u64>,
}

/// Applies every round up to the last block of a state read at `height`.
pub(crate) async fn catch_up(
    finality: &Finality,
    height: u64,
    state: &RuntimeState,
) -> Result<(), WorkerError> {
    let last = &state.last_block;
    let mut applied = finality.ledger.store.applied_round()?;
    while applied < last.round.0 {
        let round = applied.saturating_add(1);
        let header = if round == last.round.0 {
            Some(last.clone())
        } else {
            view::header(finality.chain.as_ref(), height, &finality.member.runtime_id, round)
                .await?
        };
        match header {
            Some(header) if header.header_type == HeaderType::Normal => {
                apply(finality, header).await?;
            }
            // A block without results, or so old that the chain has dropped its header; if that one
            // had results, the next root will not fit.
            other => finality.ledger.store.skip_to(round, other.as_ref())?,
        }
        applied = round;
        if round == last.round.0 {
            finality.ledger.prune(last, finality.state_kept_blocks)?;
        }
    }
    Ok(())
}

/// Applies one final round with results.
async fn apply(finality: &Finality, header: Header) -> Result<(), WorkerError> {
    let round = header.round.0;
    let latest = finality.ledger.latest_version()?;
    if latest.is_some_and(|version| version >= round) {
        // A crash came between the tree and the mark; both are one batch, so this is another's tree.
        return Ok(finality.ledger.store.skip_to(round, Some(&header))?);
    }
    let own = finality.ledger.store.outcome(round, &header.state_root, &header.io_root)?;
    let found = match own {
        Some(data) => {
            let kept = finality.ledger.take_prepared(latest, round, &header.state_root);
            checked(&finality.ledger, &header, data, kept)
        }
        None => Err(WorkerError::NotFound),
    };
    let (data, prepared) = match found {
        Ok(found) => found,
        Err(_) => fetch(finality, &header).await?,
    };
    let extra = finality.ledger.store.applied(&header, &data)?;
    finality.ledger.tree.commit(prepared, extra, Durability::Synced)?;
    tracing::debug!(round, transactions = data.leaves.len(), "has applied");
    let mut pool = finality.mempool.lock();
    data.leaves.iter().filter_map(tx_hash).for_each(|hash| pool.finalised(&hash));
    Ok(())
}

/// Asks one peer after the other for a final round, until one's answer fits the header.
async fn fetch(finality: &Finality, header: &Header) -> Result<(RoundData, Prepared), WorkerError> {
    let mut error = WorkerError::NotFound;
    for peer in sources(finality) {
        match round_of(finality, peer, header.round).await {
            Ok(data) => match checked(&finality.ledger, header, data, None) {
                Ok(found) => return Ok(found),
                Err(refused) => error = refused,
            },
            Err(refused) => error = refused.into(),
        }
    }
    Err(error)
}

async fn round_of(
    finality: &Finality,
    peer: PublicKey,
    round: Round,
) -> Result<RoundData, LinkError> {
    let ask = finality.links.fetch_round(peer, finality.member.runtime_id, round);
    let late = |_| LinkError::Unreachable("no answer in time".to_string());
    paralith_rt::timeout(LINK_TIMEOUT, ask).await.map_err(late)?
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

/// Checks a round's data against its final header; nothing of it is believed before. `kept` is the
/// version that this node computed of the same data.
fn checked(
    ledger: &Ledger,
    header: &Header,
    mut data: RoundData,
    kept: Option<Prepared>,
) -> Result<(RoundData, Prepared), WorkerError> {
    let leaves = leaves_of(&data)?;
    if io_root(&leaves) != header.io_root {
        return Err(invalid("the leaves do not have the header's I/O root"));
    }
    let base = ledger.latest_version()?;
    let prepared = match kept {
        Some(prepared) => prepared,
        None => ledger.tree.prepare(base, header.round.0, &changes_of(&data.changes))?,
    };
    // RD-15: whoever the log comes from, only the final root counts.
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
        // RD-16
        opened.len() == leaves.len()
            && opened.iter().zip(leaves).all(|(output, leaf)| output.matches(leaf))
    })
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
        if let Ok(data) = round_of(finality, peer, Round(round)).await
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
