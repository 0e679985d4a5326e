//! Proofs of a ParaTime's state for everybody who has a header, headers of past rounds, and the
//! state a page at a time.
//!
//! Nothing here must be believed: values and pages verify under a header's state root, and headers
//! verify by the chain of their hashes.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::Header;
use paralith_proto::Wire;
use paralith_proto::pb::paratime::v1::{
    GetHeadersResponse, ProveStateRequest, ProveStateResponse, ProvenEntry,
};
use paralith_proto::pb::worker::v1::{StateEntry, StatePage};
use paralith_runtime_api::state::provable_place;
use paralith_storage::{EMPTY_ROOT, Proof, StorageError};

use crate::error::WorkerError;
use crate::ledger::Ledger;

/// The places of the entries that a request asks for, in its order. Refuses a request that asks for
/// too much, or for an entry of a confidential ParaTime that is not public.
pub fn places_asked_for(
    runtime: &Runtime,
    request: &ProveStateRequest,
) -> Result<Vec<Vec<u8>>, WorkerError> {
    let bytes = request.keys.iter().map(Vec::len).fold(0, usize::saturating_add);
    if request.keys.len() > KEYS_MAX || bytes > KEYS_MAX_BYTES {
        return Err(WorkerError::AskedTooMuch { most: "64 keys with 64 KiB together" });
    }
    let place = |key: &Vec<u8>| provable_place(runtime, key).ok_or(WorkerError::NotPublic);
    request.keys.iter().map(place).collect()
}

impl Ledger {
    fn header(&self, round: u64) -> Result<Header, WorkerError> {
        self.store.header(round)?.ok_or(WorkerError::NotFound)
    }

    /// The version that is the state after a round; none if that state is empty.
    fn version_after(&self, header: &Header) -> Result<Option<u64>, WorkerError> {
        match self.tree.at_most(header.round.0)? {
            Some((version, root)) if root == header.state_root => Ok(Some(version)),
            None if header.state_root == EMPTY_ROOT => Ok(None),
            // Pruned.
            Some(_) | None => Err(WorkerError::NotFound),
        }
    }

    /// Entries of the state after a round (none: the newest), each with its proof.
    pub(crate) fn prove(
        &self,
        round: Option<u64>,
        places: &[Vec<u8>],
    ) -> Result<ProveStateResponse, WorkerError> {
        let round = round.map_or_else(|| self.store.applied_round(), Ok)?;
        let header = self.header(round)?;
        let version = self.version_after(&header)?;
        let mut left = VALUES_MAX_BYTES;
        let mut entries = Vec::with_capacity(places.len());
        for place in places {
            let (value, proof) = match version {
                Some(version) => self.tree.prove(version, place).map_err(pruned)?,
                None => (None, Proof::of_empty()),
            };
            left = left
                .checked_sub(value.as_ref().map_or(0, Vec::len))
                .ok_or(WorkerError::AskedTooMuch { most: "4 MiB of values" })?;
            entries.push(ProvenEntry { value, proof: proof.to_bytes() });
        }
        Ok(ProveStateResponse { header: Some(header.to_pb()), entries })
    }

    /// Headers from one round to another, as many as one answer holds, without a gap.
    pub(crate) fn headers(&self, from: u64, to: u64) -> Result<GetHeadersResponse, WorkerError> {
        let mut headers = Vec::new();
        let mut next = from;
        for header in self.store.headers(from, HEADERS_MAX)? {
            if header.round.0 != next || next > to {
                break;
            }
            headers.push(header.to_pb());
            next = next.saturating_add(1);
        }
        if headers.is_empty() {
            Err(WorkerError::NotFound)
        } else {
            Ok(GetHeadersResponse { headers })
        }
    }

    /// Entries of the state after a round that come after a key, each with its proof.
    pub(crate) fn page(&self, round: u64, after: Option<&[u8]>) -> Result<StatePage, WorkerError> {
        let header = self.header(round)?;
        let Some(version) = self.version_after(&header)? else {
            return Ok(StatePage { entries: Vec::new(), last: true });
        };
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        while entries.len() < PAGE_ENTRIES && bytes < PAGE_BYTES {
            let last = entries.last().map(|entry: &StateEntry| entry.key.clone());
            let after = last.as_deref().or(after);
            // One at a time: a value may have megabytes.
            let Some((key, value)) = self.tree.scan(version, b"", after, 1).map_err(pruned)?.pop()
            else {
                return Ok(StatePage { entries, last: true });
            };
            let (_, proof) = self.tree.prove(version, &key).map_err(pruned)?;
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            entries.push(StateEntry { key, value, proof: proof.to_bytes() });
        }
        Ok(StatePage { entries, last: false })
    }

    /// Keeps the state after a round, which must be here, from being pruned.
    pub(crate) fn pin(&self, name: &str, round: u64) -> Result<(), WorkerError> {
        let _turn = self.pruning.lock().unwrap_or_else(PoisonError::into_inner);
        let header = self.header(round)?;
        self.version_after(&header)?;
        Ok(self.store.pin(name, round)?)
    }

    /// Drops old headers, and versions of the tree that are older than `kept` blocks (none: no
    /// version) and not pinned; a few at a time. The newest round's header is given.
    pub(crate) fn prune(&self, newest: &Header, kept: Option<u64>) -> Result<(), WorkerError> {
        // RD-30: ages are counted from the newest round's height.
        let height = newest.consensus_height.0;
        self.store.forget_headers(height.saturating_sub(HEADERS_KEPT_BLOCKS))?;
        let Some(bound) = kept.map(|kept| height.saturating_sub(kept)) else { return Ok(()) };
        let _turn = self.pruning.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pinned = BTreeSet::new();
        for round in self.store.pins()? {
            pinned.extend(self.tree.at_most(round)?.map(|(version, _)| version));
        }
        let mut keep_from = None;
        let versions = self.tree.versions(PRUNED_AT_ONCE.saturating_add(pinned.len()))?;
        for (version, next) in versions.iter().zip(versions.iter().skip(1)) {
            if pinned.contains(version) {
                continue;
            }
            // A version is the state until the round before the next one, which may be one of many
            // without results. Where that one's header is missing, the next one's is younger.
            let last = match self.store.header(next.saturating_sub(1))? {
                Some(last) => Some(last),
                None => self.store.header(*next)?,
            };
            if last.is_none_or(|last| last.consensus_height.0 >= bound) {
                break;
            }
            keep_from = Some(*next);
        }
        if let Some(keep_from) = keep_from {
            self.tree.prune_except(keep_from, &pinned)?;
        }
        Ok(())
    }
}

/// What was pruned while it was read is not here.
fn pruned(error: StorageError) -> WorkerError {
    match error {
        StorageError::VersionMissing { .. } => WorkerError::NotFound,
        other => other.into(),
    }
}

const KEYS_MAX: usize = 64;
const KEYS_MAX_BYTES: usize = 64 << 10;
const VALUES_MAX_BYTES: usize = 4 << 20;
const HEADERS_MAX: usize = 1_000;
const PAGE_ENTRIES: usize = 512;
const PAGE_BYTES: usize = 1 << 20;
/// Headers have 300 bytes: for them there is no setting.
const HEADERS_KEPT_BLOCKS: u64 = 1_200_000;
/// A round adds one version.
const PRUNED_AT_ONCE: usize = 16;
