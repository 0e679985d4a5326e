//! The state after a final round, taken from peers a page at a time.
//!
//! Each entry of a page is checked against the header's state root before the next page is asked for,
//! and that none was left out when all are there: only the whole state has that root. What is here
//! already stays: the new version differs from it by what the pages differ.

use std::collections::BTreeMap;

use paralith_consensus_api::roothash::Header;
use paralith_proto::pb::worker::v1::{StateEntry, StatePage};
use paralith_storage::{Changes, Durability, Prepared, Proof};
use paralith_types::{Hash, PublicKey};

use crate::effects::LINK_TIMEOUT;
use crate::error::WorkerError;
use crate::follower::Follower;
use crate::links::LinkError;
use crate::wire::invalid;

impl Follower {
    /// Goes to the state after a final round, whatever is here, with what the first peer gives whose
    /// pages fit.
    pub(crate) async fn take_checkpoint(
        &self,
        header: &Header,
        sources: &[PublicKey],
    ) -> Result<(), WorkerError> {
        if self.ledger.state_root()? == header.state_root {
            return Ok(self.ledger.store.skip_to(header.round.0, Some(header))?);
        }
        let mut error = WorkerError::NotFound;
        for peer in sources {
            match self.state_of(*peer, header).await {
                Ok(prepared) => {
                    let extra = self.ledger.store.checkpoint(header);
                    self.ledger.tree.commit(prepared, extra, Durability::Synced)?;
                    tracing::info!(round = header.round.0, "took the state from a peer");
                    return Ok(());
                }
                Err(refused) => error = refused,
            }
        }
        Err(error)
    }

    /// The version that a peer's pages lead to.
    async fn state_of(&self, peer: PublicKey, header: &Header) -> Result<Prepared, WorkerError> {
        let base = self.ledger.latest_version()?;
        let (mut changes, mut bytes) = (Changes::new(), 0_usize);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.page_of(peer, header, after.clone()).await?;
            // RD-31: no page is kept before all its entries are proven.
            check_page(&page, &header.state_root, after.as_deref())?;
            let last = page.entries.last().map(|entry| entry.key.clone());
            let (until, is_last) = (last.clone().filter(|_| !page.last), page.last);
            let differs = self.differing(base, after.as_deref(), until.as_deref(), page.entries)?;
            for (key, value) in differs {
                let size = key.len().saturating_add(value.as_ref().map_or(0, Vec::len));
                bytes = bytes.saturating_add(size).saturating_add(ENTRY_BYTES);
                changes.insert(key, value);
            }
            if bytes > CHECKPOINT_MAX_BYTES {
                return Err(invalid("the state differs from this node's by more than 1 GiB"));
            }
            if is_last {
                break;
            }
            after = last;
        }
        let prepared = self.ledger.tree.prepare(base, header.round.0, &changes)?;
        if prepared.root() != header.state_root {
            return Err(invalid("the pages are not the whole state"));
        }
        Ok(prepared)
    }

    async fn page_of(
        &self,
        peer: PublicKey,
        header: &Header,
        after: Option<Vec<u8>>,
    ) -> Result<StatePage, LinkError> {
        let ask = self.links.fetch_state(peer, self.runtime_id, header.round, after);
        let late = |_| LinkError::Unreachable("no answer in time".to_string());
        paralith_rt::timeout(LINK_TIMEOUT, ask).await.map_err(late)?
    }

    /// The changes that make this node's entries after `after`, up to `until`, those of a page.
    fn differing(
        &self,
        base: Option<u64>,
        after: Option<&[u8]>,
        until: Option<&[u8]>,
        entries: Vec<StateEntry>,
    ) -> Result<Changes, WorkerError> {
        let mut differing: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            entries.into_iter().map(|entry| (entry.key, Some(entry.value))).collect();
        let Some(base) = base else { return Ok(differing) };
        let mut at: Option<Vec<u8>> = after.map(<[u8]>::to_vec);
        loop {
            let here = self.ledger.tree.scan(base, b"", at.as_deref(), SCANNED_AT_ONCE)?;
            let Some((last, _)) = here.last() else { return Ok(differing) };
            at = Some(last.clone());
            for (key, value) in here {
                if until.is_some_and(|until| key.as_slice() > until) {
                    return Ok(differing);
                }
                match differing.get(&key) {
                    Some(Some(same)) if *same == value => drop(differing.remove(&key)),
                    Some(_) => {}
                    None => drop(differing.insert(key, None)),
                }
            }
        }
    }
}

/// Checks that a page goes on, in the order of keys, and that each entry is under the root.
fn check_page(page: &StatePage, root: &Hash, after: Option<&[u8]>) -> Result<(), WorkerError> {
    if page.entries.is_empty() && !page.last {
        return Err(invalid("a page of the state has no entries"));
    }
    let mut before = after;
    for entry in &page.entries {
        if before.is_some_and(|before| entry.key.as_slice() <= before) {
            return Err(invalid("a page of the state is out of order"));
        }
        Proof::from_bytes(&entry.proof)
            .and_then(|proof| proof.verify(root, &entry.key, Some(&entry.value)))
            .map_err(|e| invalid(&format!("an entry of the state: {e}")))?;
        before = Some(&entry.key);
    }
    Ok(())
}

const SCANNED_AT_ONCE: usize = 64;
/// What an entry takes beside key and value, about.
const ENTRY_BYTES: usize = 128;
/// All changes are in memory until they are written at once.
const CHECKPOINT_MAX_BYTES: usize = 1 << 30;
