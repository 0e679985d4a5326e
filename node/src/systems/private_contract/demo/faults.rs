//! What goes wrong in the demonstration, and what an auditor is shown.

use paralith_policy::Certificate;
use paralith_private_contract_core::disclosure::DisclosedEntry;
use paralith_private_contract_grpc::pb;
use paralith_private_contract_messages::ContractId;
use paralith_proto::Canonical as _;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_storage::{Column, Durability, Proof, WriteBatch};
use paralith_types::Hash;
use serde_json::{Value, json};

use super::{Stage, start};
use crate::error::NodeError;
use crate::store;
use crate::systems::demonstration::until;

/// Members by their place in the definition.
const BANK: usize = 0;
const BUYER: usize = 1;
const SELLER: usize = 2;
/// The key under which `tokens` has its supply, and the longest list of entries that is looked through.
const SUPPLY: &[u8] = b"supply";
const ENTRIES: usize = 10_000;

impl Stage<'_> {
    async fn kill(&mut self, place: usize) -> Result<(), NodeError> {
        let failed = |e: std::io::Error| NodeError::io("a member's process", &e);
        match self.members.get_mut(place) {
            Some(member) => member.process.kill().await.map_err(failed),
            None => Ok(()),
        }
    }

    fn launch(&mut self, place: usize) -> Result<(), NodeError> {
        if let Some(member) = self.members.get_mut(place) {
            member.process = start(&member.folder)?;
        }
        Ok(())
    }

    async fn status_at(
        &mut self,
        place: usize,
        id: ContractId,
    ) -> Result<Option<pb::ContractStatus>, NodeError> {
        let (mut member, keys) = self.connect(place).await?;
        let height = self.client.chain.sync().await?.0;
        let contracts = member.contracts(keys.account_key(), height).await?;
        Ok(contracts.into_iter().find(|one| one.contract_id == id.0))
    }

    /// Waits until a member has its vote of a batch on its disk.
    async fn voted(&mut self, place: usize, id: ContractId, batch: u64) -> Result<(), NodeError> {
        until("a member's vote", async || {
            let status = self.status_at(place, id).await?;
            Ok(status.filter(|status| status.voted_batch == batch).map(|_| ()))
        })
        .await
    }

    /// Waits until a member has a root.
    async fn has_root(
        &mut self,
        place: usize,
        id: ContractId,
        root: Hash,
    ) -> Result<(), NodeError> {
        until("a member to have the final root", async || {
            let status = self.status_at(place, id).await?;
            Ok(status.filter(|status| status.root == root.0).map(|_| ()))
        })
        .await
    }

    /// The supply as a member's state has it.
    async fn supply_at(&mut self, place: usize, id: ContractId) -> Result<Value, NodeError> {
        let call = abi::Call { method: "total_supply".to_string(), args: b"{}".to_vec() };
        let answer = until("a member's answer", async || {
            let (mut member, keys) = self.connect(place).await?;
            let height = self.client.chain.sync().await?.0;
            member.query(keys.account_key(), &id, height, &call).await.map(Some)
        })
        .await?;
        let unverifiable =
            |e: &dyn std::fmt::Display| NodeError::Unverifiable { reason: e.to_string() };
        match Output::decode(&answer.output, answer.output.len()).map_err(|e| unverifiable(&e))? {
            Output::Ok(value) => {
                let value: Value = serde_json::from_slice(&value).map_err(|e| unverifiable(&e))?;
                Ok(value.get("total_supply").cloned().unwrap_or(value))
            }
            Output::Error(error) => Err(unverifiable(&error.message)),
        }
    }

    /// Changes the supply on a stopped member's disk.
    fn falsify(&self, place: usize) -> Result<(), NodeError> {
        let Some(member) = self.members.get(place) else { return Ok(()) };
        let failed = |e: paralith_storage::StorageError| NodeError::internal(&e);
        let kv = store::open(&member.folder.join("data").join("store"), true)?;
        let all = kv.prefix(Column::Latest, b"", None, ENTRIES).map_err(failed)?;
        // The one contract of this member; stores escape its id.
        let is_supply = |key: &[u8]| key.starts_with(b"private/") && key.ends_with(SUPPLY);
        let mut batch = WriteBatch::new();
        for (key, mut value) in all.into_iter().filter(|(key, _)| is_supply(key)) {
            if let Some(last) = value.last_mut() {
                *last ^= 1;
            }
            batch.put(Column::Latest, key, value);
        }
        if batch.is_empty() {
            return Err(NodeError::internal(&"the member's disk has no supply"));
        }
        kv.write(batch, Durability::Synced).map_err(failed)
    }

    /// A member's state is false and another member dies between its vote and FINI.
    pub(super) async fn falsify_and_kill(
        &mut self,
        id: ContractId,
        certificate: &Certificate,
    ) -> Result<(), NodeError> {
        let tx = self.seal(id, certificate, "5", &[BANK, SELLER]).await?;
        // What is changed on the disk must be there.
        let last = self.client.contract(&id).await?.last_root;
        for place in [BANK, BUYER, SELLER] {
            self.has_root(place, id, last).await?;
        }
        self.kill(BUYER).await?;
        self.kill(SELLER).await?;
        self.falsify(SELLER)?;
        self.launch(SELLER)?;
        let facts = json!({
            "supply at the bank": self.supply_at(BANK, id).await?,
            "supply at the seller": self.supply_at(SELLER, id).await?,
        });
        self.reporter.say("falsify", "the seller's disk is changed; the buyer is down", facts);
        let seq = self.submit(certificate, &tx).await?;
        let batch = until("the batch", async || {
            let open = self.client.contract(&id).await?.open_batch;
            Ok((open != 0).then_some(open))
        })
        .await?;
        self.voted(BANK, id, batch).await?;
        self.voted(SELLER, id, batch).await?;
        self.kill(BANK).await?;
        let facts = json!({ "batch": batch, "voted": ["bank", "seller"], "votes that agree": 1 });
        let text = "the bank is killed after its vote and before FINI: no two votes agree";
        self.reporter.say("kill", text, facts);
        self.launch(BUYER)?;
        self.launch(BANK)?;
        let record = self.fini(id, seq).await?;
        let root = self.client.contract(&id).await?.last_root;
        for place in [BANK, BUYER, SELLER] {
            self.has_root(place, id, root).await?;
        }
        let facts = json!({
            "status": format!("{:?}", record.status), "root at all three": root,
            "supply at the seller": self.supply_at(SELLER, id).await?,
        });
        let text = "the bank sends the vote of its disk, the buyer agrees; the seller is outvoted and healed";
        self.reporter.say("heal", text, facts);
        Ok(())
    }

    /// A content that no member and no data store has.
    pub(super) async fn withhold(
        &mut self,
        id: ContractId,
        certificate: &Certificate,
    ) -> Result<(), NodeError> {
        let tx = self.seal(id, certificate, "6", &[]).await?;
        let seq = self.submit(certificate, &tx).await?;
        let record = self.fini(id, seq).await?;
        let facts = json!({ "seq": seq, "status": format!("{:?}", record.status) });
        let text = "a content that nobody has: the transaction ends on time";
        self.reporter.say("withhold", text, facts);
        Ok(())
    }

    /// A member discloses an entry of its state.
    pub(super) async fn audit(&mut self, id: ContractId) -> Result<(), NodeError> {
        let (mut member, keys) = self.connect(BANK).await?;
        let key = b"minter".to_vec();
        let last = self.client.contract(&id).await?.last_batch;
        let proven = until("the bank's last batch", async || {
            let height = self.client.chain.sync().await?.0;
            let proven = member.prove(keys.account_key(), &id, height, key.clone()).await?;
            Ok((proven.batch >= last).then_some(proven))
        })
        .await?;
        let refused = |reason: String| NodeError::Unverifiable { reason };
        let entry = proven.held.as_deref().and_then(|held| DisclosedEntry::new(&key, held));
        let entry = entry.ok_or_else(|| refused("the member disclosed nothing".to_string()))?;
        let proof = Proof::from_bytes(&proven.proof).map_err(|e| refused(e.to_string()))?;
        let done = self.client.final_batch(&id, proven.batch).await?;
        let facts = json!({
            "entry": "minter", "batch": proven.batch, "root (public)": done.root,
            "verified": entry.holds(&done.root, &proof),
            "everything else of the state": "stays hidden: entries are salted",
        });
        self.reporter.say("audit", "a member discloses one entry; an auditor verifies it", facts);
        Ok(())
    }
}
