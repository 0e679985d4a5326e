//! A model of the mediator: the parts of its state that members read, and the rules of batches and votes.

use std::collections::{BTreeMap, BTreeSet};

use paralith_crypto::wrap::ContentKey;
use paralith_policy::Members;
use paralith_private_contract_core::class::{Class, Classes};
use paralith_private_contract_core::ids::{Place, definition_hash};
use paralith_private_contract_core::messages::{
    Accuse, Actions, Batch, BatchKind, Canonical, ContentHash, ContractId, ContractRecord,
    ContractStatus, Definition, DefinitionRecord, DepositRecord, FinalBatch, KemKey, KeySet,
    OpenBatch, Tally, Terms, TransactionRecord, TransactionStatus, Verdict, Vote, VoteKey,
    WrapsRecord, keys,
};
use paralith_private_contract_core::sealing::{CallOf, KeySetRef, seal_call};
use paralith_private_contract_core::vote::{
    actions_allowed, actions_hash, inputs_hash, paid, vote_hash,
};
use paralith_storage::{Pair, StateRead, StorageError};
use paralith_types::{Address, Amount, ChainContext, Hash, PublicKey, RuntimeId};

pub(crate) const PLACE: Place = Place {
    chain_context: ChainContext([1; 32]),
    mediator: RuntimeId([2; 32]),
    contract_id: ContractId([3; 32]),
};
const ID: &ContractId = &PLACE.contract_id;

/// The address of a test account.
pub(crate) fn address(byte: u8) -> Address {
    let mut bytes = [byte; 21];
    bytes[0] = 0;
    Address(bytes)
}

pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// The state of one round.
pub(crate) struct Frozen(pub(crate) State);

impl StateRead for Frozen {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.get(key).cloned())
    }
    fn scan(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Pair>, StorageError> {
        unreachable!("members read by key")
    }
}

pub(crate) fn terms() -> Terms {
    Terms {
        fetch_blocks: 3,
        vote_blocks: 8,
        max_batch: 16,
        max_content_bytes: 65_536,
        gas_limit: 5_000_000_000,
        bond: Amount(1000),
        deposit: Amount(10),
        slash: Amount(500),
        min_receipts: 0,
        origins: vec!["https://a.example".into()],
        retention_blocks: 1000,
        dormant_blocks: 0,
        residual: Address([0; 21]),
    }
}

pub(crate) struct Model {
    pub(crate) state: State,
    pub(crate) height: u64,
    pub(crate) record: ContractRecord,
    pub(crate) definition: DefinitionRecord,
    pub(crate) keys: KeySet,
    pub(crate) open: Option<OpenBatch>,
    /// How each batch ended.
    pub(crate) ended: BTreeMap<u64, TransactionStatus>,
    pub(crate) statuses: BTreeMap<u64, TransactionStatus>,
    /// Every verdict that a member signed, by batch and member.
    pub(crate) verdicts: BTreeMap<(u64, u32), BTreeSet<Vec<u8>>>,
    pub(crate) paid: Vec<(Address, Amount)>,
    pub(crate) returned: Amount,
    pub(crate) complaints: Vec<Vec<u8>>,
    pub(crate) next_sk: u8,
}

impl Model {
    pub(crate) fn new(
        definition: Definition,
        genesis_root: Hash,
        vote_keys: Vec<VoteKey>,
        kem: Vec<KemKey>,
    ) -> Self {
        let count = kem.len();
        let record = ContractRecord {
            status: ContractStatus::Active,
            owner: PublicKey([9; 32]),
            version: 1,
            last_version: 1,
            keys_version: 1,
            previous_keys_version: 0,
            keys_height: 1,
            last_batch: 0,
            last_root: genesis_root,
            next_batch: 1,
            open_batch: 0,
            head: 1,
            next_seq: 1,
            alone_until: 0,
            boundary: 0,
            migrates: false,
            dropped_before: 0,
            balance: Amount::ZERO,
            first_deposit: 1,
            next_deposit: 1,
            waiting: false,
            probe: false,
            failed_height: 0,
            joined: 0,
            residual: Address([0; 21]),
        };
        let hash = definition_hash(&definition);
        let definition = DefinitionRecord {
            definition,
            hash,
            vote_keys,
            addresses: vec![Address([0; 21]); count],
            bonds: vec![1; count],
            gone: vec![],
        };
        let keys = KeySet { version: 1, keys: kem, gone: vec![], held: 0 };
        let mut model = Self {
            state: State::new(),
            height: 10,
            record,
            definition,
            keys,
            open: None,
            ended: BTreeMap::new(),
            statuses: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            paid: Vec::new(),
            returned: Amount::ZERO,
            complaints: Vec::new(),
            next_sk: 0,
        };
        let (definition, keys) = (model.definition.encode(), model.keys.encode());
        model.state.insert(keys::definition(ID, 1), definition);
        model.state.insert(keys::key_set(ID, 1), keys);
        model.write();
        model
    }

    fn write(&mut self) {
        self.state.insert(keys::contract(ID), self.record.encode());
        match &self.open {
            Some(open) => drop(self.state.insert(keys::open_batch(ID), open.encode())),
            None => drop(self.state.remove(&keys::open_batch(ID))),
        }
    }

    pub(crate) fn fund(&mut self, caller: Address, tag: u64, amount: u128) {
        let deposit = DepositRecord { caller, tag, amount: Amount(amount) };
        self.state.insert(keys::deposit(ID, self.record.next_deposit), deposit.encode());
        self.record.next_deposit += 1;
        self.write();
    }

    /// Seals a call for the members and takes it. `change` may spoil its wraps.
    pub(crate) fn submit(
        &mut self,
        sender: u8,
        call: &[u8],
        payment: u128,
        at_origin: bool,
        change: impl FnOnce(&mut Vec<Vec<u8>>),
    ) -> (u64, ContentHash, Vec<u8>) {
        self.next_sk += 1;
        let sk = ContentKey::new([self.next_sk; 32]);
        let seq = self.record.next_seq;
        let sender = PublicKey([sender; 32]);
        let of = CallOf { place: PLACE, sender, sender_seq: seq };
        let keys = KeySetRef { version: 1, set: &self.keys };
        let mut sealed = seal_call(&of, keys, &sk, "", call).unwrap();
        if at_origin {
            let uri = format!("https://a.example/data/{}", sealed.content_hash.to_hex());
            sealed = seal_call(&of, keys, &sk, &uri, call).unwrap();
        }
        change(&mut sealed.wraps);
        let record = TransactionRecord {
            tx_hash: Hash([self.next_sk; 32]),
            sender,
            sender_address: address(sender.0[0]),
            sender_seq: seq,
            content_hash: sealed.content_hash,
            content_bytes: sealed.content.len().try_into().unwrap(),
            key_commitment: sealed.key_commitment,
            keys_version: 1,
            version: 1,
            height: self.height,
            status: TransactionStatus::Pending,
            payment: Amount(payment),
            deposit: Amount(10),
            reward: Amount::ZERO,
            batch: 0,
        };
        self.state.insert(keys::transaction(ID, seq), record.encode());
        let wraps = WrapsRecord { wraps: sealed.wraps };
        self.state.insert(keys::wraps(ID, seq), wraps.encode());
        self.record.next_seq += 1;
        self.write();
        (seq, sealed.content_hash, sealed.content)
    }

    /// A round: the deadline is judged after the votes, then a batch opens.
    pub(crate) fn round(&mut self) {
        self.height += 1;
        if self.open.as_ref().is_some_and(|open| self.height >= open.deadline) {
            self.end(TransactionStatus::Expired, None);
        }
        let pending = self.record.next_seq - self.record.head;
        if self.open.is_none() && (pending > 0 || self.record.probe) {
            let alone = self.record.head <= self.record.alone_until;
            let most = if alone { 1 } else { u64::from(terms().max_batch) };
            let (first, last) = (self.record.first_deposit, self.record.next_deposit - 1);
            let deposits = (first..=last).map(|number| self.deposit(number).amount.0);
            let balance = self.record.balance.0 + deposits.sum::<u128>();
            let batch = Batch {
                number: self.record.next_batch,
                version: 1,
                first_seq: if pending == 0 { 0 } else { self.record.head },
                last_seq: if pending == 0 { 0 } else { self.record.head + pending.min(most) - 1 },
                open_height: self.height,
                epoch: 4,
                old_root: self.record.last_root,
                balance: Amount(balance),
                first_deposit: if last < first { 0 } else { first },
                last_deposit: if last < first { 0 } else { last },
                kind: if pending == 0 { BatchKind::Probe } else { BatchKind::Transactions },
            };
            let deadline = self.height + 11;
            let (gone, tallies, void) = (vec![], vec![], vec![]);
            self.open = Some(OpenBatch { batch, deadline, timer: 1, gone, tallies, void });
            self.record.open_batch = self.record.next_batch;
            self.record.next_batch += 1;
        }
        self.write();
    }

    /// Lets the contract become dormant so many blocks after a batch has failed.
    pub(crate) fn set_dormant_blocks(&mut self, blocks: u32) {
        self.definition.definition.terms.dormant_blocks = blocks;
        self.state.insert(keys::definition(ID, 1), self.definition.encode());
    }

    /// A change was accepted and dropped: its version is used up, and there is no such definition.
    pub(crate) fn drop_change(&mut self) {
        self.record.last_version += 1;
        self.write();
    }

    /// `probe`.
    pub(crate) fn probe(&mut self) {
        self.record.probe = true;
        self.write();
    }

    fn deposit(&self, number: u64) -> DepositRecord {
        DepositRecord::decode(&self.state[&keys::deposit(ID, number)], 256).unwrap()
    }

    pub(crate) fn transaction(&self, seq: u64) -> TransactionRecord {
        TransactionRecord::decode(&self.state[&keys::transaction(ID, seq)], 4096).unwrap()
    }

    /// `vote`. Says why it is refused.
    pub(crate) fn vote(&mut self, vote: &Vote) -> Result<(), &'static str> {
        let mut open =
            self.open.clone().filter(|open| open.batch.number == vote.batch).ok_or("16")?;
        let batch = &open.batch;
        let members = self.definition.definition.members.len();
        let count = usize::try_from(batch.classes()).unwrap();
        let signers = Members::from_bytes(&vote.signers, members).map_err(|_| "20")?;
        let classes = Classes::from_bytes(&vote.verdict.classes, count).ok_or("18")?;
        let spent = paid(&vote.actions).ok_or("18")?;
        if !actions_allowed(&vote.actions)
            || actions_hash(&vote.actions) != vote.verdict.actions_hash
        {
            return Err("19");
        }
        let ran = classes.0.contains(&Class::Executed);
        let moves =
            ran || !vote.actions.actions.is_empty() || vote.verdict.new_root != batch.old_root;
        if !vote.verdict.taken && moves {
            return Err("18");
        }
        let hashes: Vec<Hash> = batch.seqs().map(|seq| self.transaction(seq).tx_hash).collect();
        let inputs = inputs_hash(batch, &hashes);
        let hash = vote_hash(&PLACE, batch.version, batch.number, &inputs, &vote.verdict);
        let key = |signer: u32| self.definition.vote_keys[signer as usize].0;
        let keys: Vec<[u8; 96]> = signers.iter().map(key).collect();
        if !paralith_bls::verify(&keys, &hash.0, &vote.signature.0) {
            return Err("21");
        }
        let ran = batch.seqs().zip(&classes.0).filter(|(_, class)| class.ran());
        let payments: u128 = ran.map(|(seq, _)| self.transaction(seq).payment.0).sum();
        if spent.0 > batch.balance.0 + payments {
            return Err("18");
        }
        for signer in signers.iter() {
            let seen = self.verdicts.entry((batch.number, signer)).or_default();
            seen.insert(vote.verdict.encode());
        }
        let same = open.tallies.iter_mut().find(|tally| tally.verdict == vote.verdict);
        match same {
            Some(tally) => {
                let mut all = Members::from_bytes(&tally.signers, members).unwrap();
                all = all.iter().chain(signers.iter()).collect();
                tally.signers = all.to_bytes();
            }
            None => open
                .tallies
                .push(Tally { verdict: vote.verdict.clone(), signers: signers.to_bytes() }),
        }
        let sets: Vec<Members> = open
            .tallies
            .iter()
            .map(|tally| Members::from_bytes(&tally.signers, members).unwrap())
            .collect();
        let policy = self.definition.definition.policy.clone();
        let yes = open.tallies.iter().zip(&sets).find(|(_, set)| policy.satisfied(set));
        let yes = yes.map(|(tally, _)| tally.verdict.clone());
        self.open = Some(open);
        if let Some(verdict) = yes {
            self.end(TransactionStatus::Yes, Some((&verdict, &vote.actions)));
        } else {
            let everyone = Members::first(members.try_into().unwrap());
            let against = |own: &Members| {
                let mut left = everyone.clone();
                for set in sets.iter().filter(|set| *set != own) {
                    left = left.iter().filter(|signer| !set.contains(*signer)).collect();
                }
                left
            };
            let none = Members::new();
            let mut possible = sets.iter().chain([&none]).map(against);
            if !possible.any(|left| policy.still_possible(&left)) {
                self.end(TransactionStatus::No, None);
            }
        }
        self.write();
        Ok(())
    }

    /// `accuse`, without the money. Says why it is refused.
    pub(crate) fn accuse(&mut self, accuse: &Accuse) -> Result<(), &'static str> {
        let members = self.definition.definition.members.len();
        let mut both = Members::first(members.try_into().unwrap());
        for one in [&accuse.first, &accuse.second] {
            let signers = Members::from_bytes(&one.signers, members).map_err(|_| "20")?;
            let (batch, inputs) = (accuse.batch, &accuse.inputs_hash);
            let hash = vote_hash(&PLACE, accuse.version, batch, inputs, &one.verdict);
            let key = |signer: u32| self.definition.vote_keys[signer as usize].0;
            let keys: Vec<[u8; 96]> = signers.iter().map(key).collect();
            if !paralith_bls::verify(&keys, &hash.0, &one.signature.0) {
                return Err("21");
            }
            both = both.iter().filter(|signer| signers.contains(*signer)).collect();
        }
        let mut any = false;
        for signer in both.iter().filter(|_| accuse.first.verdict != accuse.second.verdict) {
            let member = self.definition.definition.members[signer as usize];
            let mark = keys::slashed(ID, accuse.version, accuse.batch, &member);
            any |= self.state.insert(mark, vec![1]).is_none();
        }
        if any { Ok(()) } else { Err("25") }
    }

    fn end(&mut self, status: TransactionStatus, yes: Option<(&Verdict, &Actions)>) {
        let OpenBatch { batch, .. } = self.open.take().unwrap();
        self.ended.insert(batch.number, status);
        self.record.open_batch = 0;
        if yes.is_some() {
            (self.record.failed_height, self.record.probe) = (0, false);
        } else if self.record.failed_height == 0 {
            self.record.failed_height = self.height;
        }
        let count = usize::try_from(batch.classes()).unwrap();
        if let Some((verdict, actions)) = yes {
            self.record.last_batch = batch.number;
            self.record.last_root = verdict.new_root;
            self.record.head = self.record.head.max(batch.last_seq + 1);
            let done = FinalBatch {
                root: verdict.new_root,
                results_root: verdict.results_root,
                first_seq: batch.first_seq,
                last_seq: batch.last_seq,
                version: 1,
            };
            self.state.insert(keys::final_batch(ID, batch.number), done.encode());
            let classes = Classes::from_bytes(&verdict.classes, count).unwrap();
            let mut balance = batch.balance.0;
            if !verdict.taken {
                balance = self.record.balance.0;
                self.returned.0 += batch.balance.0 - balance;
            }
            self.record.first_deposit = self.record.first_deposit.max(batch.last_deposit + 1);
            for (seq, class) in batch.seqs().zip(classes.0) {
                self.statuses.insert(seq, class.status());
                let payment = self.transaction(seq).payment.0;
                if class.ran() && verdict.taken {
                    balance += payment;
                } else {
                    self.returned.0 += payment;
                }
            }
            for action in &actions.actions {
                if let paralith_private_contract_core::messages::Action::Pay(pay) = action {
                    balance -= pay.amount.0;
                    self.paid.push((pay.to, pay.amount));
                }
            }
            self.record.balance = Amount(balance);
        } else if batch.len() > 1 {
            self.record.alone_until = batch.last_seq;
        } else {
            self.record.head = self.record.head.max(batch.last_seq + 1);
            for seq in batch.seqs() {
                self.statuses.insert(seq, status);
                self.returned.0 += self.transaction(seq).payment.0;
            }
        }
    }
}
