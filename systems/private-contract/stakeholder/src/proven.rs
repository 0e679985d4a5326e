//! The contract in proven state of the mediator. Everything that a member decides on is read here.

use std::sync::Arc;

use paralith_policy::Members;
use paralith_private_contract_core::ids::Place;
use paralith_private_contract_core::member::{Open, Quiet, Tip, View};
use paralith_private_contract_core::messages::{
    Batch, BatchKind, Canonical, ContractRecord, ContractStatus, DefinitionRecord, DepositRecord,
    FinalBatch, KeySet, OpenBatch, Tally, TransactionRecord, WrapsRecord, keys,
};
use paralith_private_contract_core::vote::inputs_hash;
use paralith_storage::StateRead;
use paralith_types::{Hash, PublicKey};

use crate::ServiceError;

/// No record of the mediator's state is longer.
const MAX_RECORD_BYTES: usize = 512 * 1024;

/// Verified state of the mediator, as of a final round. A followed tree gives it, whose root was proven; so
/// does a model in tests.
pub type MediatorState = Arc<dyn StateRead + Send + Sync>;

/// A final round of the mediator.
#[derive(Clone)]
pub struct Snapshot {
    /// The consensus height that the round pins.
    pub height: u64,
    /// Its state.
    pub state: MediatorState,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("height", &self.height).finish_non_exhaustive()
    }
}

/// A contract in a snapshot.
#[derive(Debug, Clone)]
pub struct Contract {
    snapshot: Snapshot,
    place: Place,
}

impl Contract {
    /// Reads this contract.
    #[must_use]
    pub const fn new(snapshot: Snapshot, place: Place) -> Self {
        Self { snapshot, place }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The height that the round pins.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.snapshot.height
    }

    fn read<T: Canonical>(
        &self,
        what: &'static str,
        key: &[u8],
    ) -> Result<Option<T>, ServiceError> {
        let Some(bytes) = self.snapshot.state.get(key)? else { return Ok(None) };
        T::decode(&bytes, MAX_RECORD_BYTES)
            .map(Some)
            .map_err(|error| ServiceError::damaged(what, error))
    }

    fn require<T: Canonical>(&self, what: &'static str, key: &[u8]) -> Result<T, ServiceError> {
        self.read(what, key)?.ok_or(ServiceError::Lacks { what })
    }

    /// The contract's record; none if there is no such contract.
    pub fn record(&self) -> Result<Option<ContractRecord>, ServiceError> {
        self.read("a contract", &keys::contract(&self.place.contract_id))
    }

    /// A definition that was accepted.
    pub fn definition(&self, version: u64) -> Result<DefinitionRecord, ServiceError> {
        self.require("a definition", &keys::definition(&self.place.contract_id, version))
    }

    /// A key set.
    pub fn key_set(&self, version: u64) -> Result<KeySet, ServiceError> {
        self.require("a key set", &keys::key_set(&self.place.contract_id, version))
    }

    /// A transaction.
    pub fn transaction(&self, seq: u64) -> Result<TransactionRecord, ServiceError> {
        self.require("a transaction", &keys::transaction(&self.place.contract_id, seq))
    }

    /// A transaction's wraps.
    pub fn wraps(&self, seq: u64) -> Result<Vec<Vec<u8>>, ServiceError> {
        let key = keys::wraps(&self.place.contract_id, seq);
        Ok(self.require::<WrapsRecord>("the wraps of a transaction", &key)?.wraps)
    }

    /// A deposit that no batch took.
    pub fn deposit(&self, number: u64) -> Result<DepositRecord, ServiceError> {
        self.require("a deposit", &keys::deposit(&self.place.contract_id, number))
    }

    /// The open batch.
    pub fn open_batch(&self) -> Result<Option<OpenBatch>, ServiceError> {
        self.read("an open batch", &keys::open_batch(&self.place.contract_id))
    }

    /// A batch that ended YES.
    pub fn final_batch(&self, batch: u64) -> Result<Option<FinalBatch>, ServiceError> {
        self.read("a final batch", &keys::final_batch(&self.place.contract_id, batch))
    }

    /// The hash of a batch's inputs.
    pub fn inputs_hash(&self, batch: &Batch) -> Result<Hash, ServiceError> {
        let inputs: Vec<Hash> = match batch.kind {
            BatchKind::Transactions | BatchKind::Probe => {
                let hash = |seq| Ok::<_, ServiceError>(self.transaction(seq)?.tx_hash);
                batch.seqs().map(hash).collect::<Result<_, _>>()?
            }
            BatchKind::Migrate => vec![self.next_definition()?.hash],
        };
        Ok(inputs_hash(batch, &inputs))
    }

    /// Whether a member lost a part of its bond for two verdicts of a batch under a definition.
    pub fn is_slashed(
        &self,
        version: u64,
        batch: u64,
        member: &PublicKey,
    ) -> Result<bool, ServiceError> {
        let mark = keys::slashed(&self.place.contract_id, version, batch, member);
        Ok(self.snapshot.state.get(&mark)?.is_some())
    }

    /// The definition that comes into force next.
    pub fn next_definition(&self) -> Result<DefinitionRecord, ServiceError> {
        let record = self.record()?.ok_or(ServiceError::Lacks { what: "the contract" })?;
        self.definition(record.last_version)
    }

    /// The definition under which a batch runs or ran; none if the mediator no longer says.
    pub fn definition_of(&self, batch: u64) -> Result<Option<DefinitionRecord>, ServiceError> {
        let open = self.open_batch()?.filter(|open| open.batch.number == batch);
        let version = match open {
            Some(open) => Some(open.batch.version),
            None => self.final_batch(batch)?.map(|done| done.version),
        };
        version.map(|version| self.definition(version)).transpose()
    }

    /// What a member with this account decides on; none if there is no such contract.
    pub fn view(&self, account: &PublicKey) -> Result<Option<View>, ServiceError> {
        let Some(record) = self.record()? else { return Ok(None) };
        let open = self.open_batch()?.map(|open| self.open(open, account)).transpose()?;
        Ok(Some(View {
            height: self.snapshot.height,
            last: Tip { batch: record.last_batch, root: record.last_root },
            next_batch: record.next_batch,
            open,
        }))
    }

    /// What says whether a member has to show that the contract lives; none if it does not run.
    pub fn quiet(&self, account: &PublicKey) -> Result<Option<Quiet>, ServiceError> {
        let is_running = |record: &ContractRecord| {
            matches!(record.status, ContractStatus::Active | ContractStatus::Changing)
        };
        let Some(record) = self.record()?.filter(is_running) else { return Ok(None) };
        let known = self.definition(record.version)?;
        let members = &known.definition.members;
        let gone = set(&known.gone, members.len())?;
        Ok(Some(Quiet {
            height: self.snapshot.height,
            failed_height: record.failed_height,
            dormant_blocks: u64::from(known.definition.terms.dormant_blocks),
            next_batch: record.next_batch,
            members: u32::try_from(members.len()).unwrap_or(u32::MAX),
            me: index_of(members, account).filter(|me| !gone.contains(*me)),
            is_busy: record.open_batch != 0
                || record.waiting
                || record.probe
                || record.head < record.next_seq,
        }))
    }

    fn open(&self, open: OpenBatch, account: &PublicKey) -> Result<Open, ServiceError> {
        let record = self.definition(open.batch.version)?;
        let members = &record.definition.members;
        let gone = set(&open.gone, members.len())?;
        let me = index_of(members, account).filter(|me| !gone.contains(*me));
        let mut voted = set(&open.void, members.len())?;
        for Tally { signers, .. } in &open.tallies {
            set(signers, members.len())?.iter().for_each(|signer| {
                voted.insert(signer);
            });
        }
        Ok(Open {
            fetch_until: open
                .batch
                .open_height
                .saturating_add(u64::from(record.definition.terms.fetch_blocks)),
            deadline: open.deadline,
            members: u32::try_from(members.len()).unwrap_or(u32::MAX),
            policy: record.definition.policy,
            gone,
            me,
            voted,
            batch: open.batch,
        })
    }
}

/// A bitmap of the mediator.
pub(crate) fn set(bytes: &[u8], members: usize) -> Result<Members, ServiceError> {
    Members::from_bytes(bytes, members)
        .map_err(|error| ServiceError::damaged("a set of members", error))
}

/// A member's index.
pub(crate) fn index_of(members: &[PublicKey], account: &PublicKey) -> Option<u32> {
    let place = members.iter().position(|member| member == account)?;
    u32::try_from(place).ok()
}
