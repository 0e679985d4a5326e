//! Gets to the final root after another verdict won, or after an absence: by the logs of other members, else
//! page by page. PC-21: neither is believed: a log counts if it leads to the batch's final root, an entry of a page
//! if it has a proof under the final root, and all pages together only if they make that root.

use std::collections::BTreeMap;

use paralith_private_contract_core::class::Class;
use paralith_private_contract_core::member::Tip;
use paralith_private_contract_core::messages::FinalBatch;
use paralith_private_contract_core::vote::{Results, TxResult};
use paralith_storage::{Changes, Proof};
use paralith_types::{Hash, PublicKey};

use super::Stakeholder;
use super::content::in_time;
use crate::record::BatchLog;
use crate::{Contract, ServiceError};

/// Most bytes of a tree that is fetched page by page.
const MAX_TREE_BYTES: usize = 1 << 30;

impl Stakeholder {
    /// The version that the tree is at then; `None`: nobody has what is needed, or answers.
    pub(super) async fn heal(
        &self,
        contract: &Contract,
        to: Tip,
    ) -> Result<Option<Tip>, ServiceError> {
        // A newer final version may be there by now; the older one may be forgotten everywhere.
        let last = contract
            .record()?
            .map(|record| Tip { batch: record.last_batch, root: record.last_root });
        let to = last.filter(|last| last.batch >= to.batch).unwrap_or(to);
        let from = self.shared.store.tree().latest()?.map_or(0, |(batch, _)| batch);
        if to.batch == 0 {
            // The first version of a later package differs from the contract's own: the first batch replaces it.
            return Ok(None);
        }
        tracing::warn!(from, to = to.batch, "the tree is not at the final root: it is healed");
        let peers = self.peers(contract)?;
        if self.heal_by_logs(contract, from, to, &peers).await? {
            return Ok(Some(to));
        }
        for peer in &peers {
            if let Some(tree) = self.fetch_tree(*peer, to).await {
                let changes = self.replacing(&tree)?;
                match self.shared.store.heal(to, &changes, None) {
                    Ok(()) => return Ok(Some(to)),
                    Err(ServiceError::OtherRoot { .. }) => {
                        tracing::warn!(?peer, "a member left entries out of its tree");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(None)
    }

    /// Members of the definition in force, and of the last accepted one.
    fn peers(&self, contract: &Contract) -> Result<Vec<PublicKey>, ServiceError> {
        let Some(record) = contract.record()? else { return Ok(Vec::new()) };
        let mut peers = contract.definition(record.version)?.definition.members;
        if record.newest_version() != record.version {
            peers.extend(contract.definition(record.newest_version())?.definition.members);
        }
        let me = self.keys.account();
        peers.retain(|peer| *peer != me);
        Ok(peers)
    }

    async fn heal_by_logs(
        &self,
        contract: &Contract,
        from: u64,
        to: Tip,
        peers: &[PublicKey],
    ) -> Result<bool, ServiceError> {
        for batch in from.saturating_add(1)..=to.batch {
            // Batches that did not end YES left nothing, and neither do those the mediator has forgotten.
            let Some(done) = contract.final_batch(batch)? else { continue };
            let mut is_healed = false;
            for peer in peers {
                let id = contract.place().contract_id;
                let asked = self.outside.links.fetch_batch(*peer, id, batch);
                let Ok(log) = in_time(asked).await else { continue };
                if log.batch != batch
                    || self.shared.store.root_after(batch, &log.changes()).ok() != Some(done.root)
                {
                    tracing::warn!(?peer, batch, "a member's log does not lead to the final root");
                    continue;
                }
                let kept = keep_of(&log, &done);
                self.shared.store.heal(
                    Tip { batch, root: done.root },
                    &log.changes(),
                    Some(&kept),
                )?;
                is_healed = true;
                break;
            }
            if !is_healed {
                return Ok(false);
            }
        }
        let latest = self.shared.store.tree().latest()?;
        Ok(latest == Some((to.batch, to.root)))
    }

    /// The whole tree of a version, as one member has it; each entry is proven.
    async fn fetch_tree(&self, peer: PublicKey, to: Tip) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut tree = BTreeMap::new();
        let (mut after, mut bytes) = (None::<Vec<u8>>, 0_usize);
        loop {
            let contract = self.shared.place.contract_id;
            let asked = self.outside.links.fetch_page(peer, contract, to.batch, after.clone());
            let page = in_time(asked).await.ok()?;
            for entry in &page.entries {
                let in_order = after.as_ref().is_none_or(|after| entry.key > *after);
                let proof = Proof::from_bytes(&entry.proof).ok()?;
                if !in_order || proof.verify(&to.root, &entry.key, Some(&entry.held)).is_err() {
                    tracing::warn!(?peer, batch = to.batch, "a member's page is false");
                    return None;
                }
                bytes = bytes.saturating_add(entry.key.len()).saturating_add(entry.held.len());
                if bytes > MAX_TREE_BYTES {
                    return None;
                }
                after = Some(entry.key.clone());
                tree.insert(entry.key.clone(), entry.held.clone());
            }
            if !page.more {
                return Some(tree);
            }
            if page.entries.is_empty() {
                return None;
            }
        }
    }

    /// The changes that make the present tree that one.
    fn replacing(&self, tree: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Changes, ServiceError> {
        const SCAN: usize = 1024;
        let mut changes: Changes =
            tree.iter().map(|(key, held)| (key.clone(), Some(held.clone()))).collect();
        let own = self.shared.store.tree();
        let Some((version, _)) = own.latest()? else { return Ok(changes) };
        let mut after: Option<Vec<u8>> = None;
        loop {
            let found = own.scan(version, b"", after.as_deref(), SCAN)?;
            for (key, _) in &found {
                if !tree.contains_key(key) {
                    changes.insert(key.clone(), None);
                }
            }
            if found.len() < SCAN {
                return Ok(changes);
            }
            after = found.last().map(|(key, _)| key.clone());
        }
    }
}

/// What is kept of a member's log: its calls only if they are those of the final results.
fn keep_of(log: &BatchLog, done: &FinalBatch) -> BatchLog {
    let result = |call: &crate::CallLog| {
        let class = [Class::Malformed, Class::Missing, Class::Failed, Class::Executed]
            .into_iter()
            .find(|class| *class as u32 == call.class)?;
        let blinding = Hash(call.blinding.as_slice().try_into().ok()?);
        Some(TxResult { seq: call.seq, class, blinding, output: call.output.clone() })
    };
    let results: Option<Vec<TxResult>> = log.calls.iter().map(result).collect();
    let is_right =
        results.is_some_and(|results| Results::new(&results).root() == done.results_root);
    let calls = if is_right { log.calls.clone() } else { Vec::new() };
    BatchLog { calls, lines: Vec::new(), ..log.clone() }
}
