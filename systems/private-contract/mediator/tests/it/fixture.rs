//! A mediator with one contract.

use std::collections::BTreeMap;

use mediator::{ACCOUNTS, Module, custody};
use paralith_bls::{BlsSecret, aggregate};
use paralith_crypto::HpkeSecret;
use paralith_crypto::kem::{KEM_X25519, KemSecret};
use paralith_policy::{Certificate, Policy};
use paralith_private_contract_core::messages::{
    Action, Actions, BondRecord, Canonical, Change, ContractId, ContractRecord, Create, Definition,
    DefinitionRecord, DepositRecord, Evidence, FinalBatch, Fund, Join, JoinRecord, KeySet,
    OfContract, OpenBatch, Receipt, SetKeys, Stored, Submit, Terms, TransactionRecord, Verdict,
    Vote, VoteKey, VoteSignature, keys,
};
use paralith_private_contract_core::sealing::{CallOf, ContentKey, KeySetRef, seal_call};
use paralith_private_contract_core::signed::signed_bytes;
use paralith_private_contract_core::vote::{actions_hash, inputs_hash, vote_hash};
use paralith_private_contract_core::{Class, Classes, Height, Place, ids};
use paralith_sdk::testing::{Chain, Privacy, address, public_key, sign};
use paralith_sdk::{Address, Amount, ChainContext, Hash, Result, Runtime, RuntimeId};

pub(crate) const RICH: u128 = 1_000_000;
pub(crate) const FEE: u128 = 100;
pub(crate) const NAMES: [&str; 9] =
    ["owner", "m0", "m1", "m2", "m3", "alice", "bob", "issuer", "residual"];

pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) id: ContractId,
    pub(crate) definition: Definition,
    /// Members' names by index of the definition in force.
    pub(crate) members: Vec<&'static str>,
    pub(crate) seqs: BTreeMap<String, u64>,
    pub(crate) sks: BTreeMap<u64, (ContentKey, String)>,
    drawn: u8,
}

pub(crate) fn place(id: ContractId) -> Place {
    Place {
        chain_context: ChainContext(paralith_crypto::sha256(b"chain")),
        mediator: RuntimeId(paralith_crypto::sha256(b"runtime")),
        contract_id: id,
    }
}

pub(crate) fn bls(name: &str) -> BlsSecret {
    BlsSecret::from_ikm(&paralith_crypto::sha256(&[b"bls/", name.as_bytes()].concat()))
}

pub(crate) fn kem(name: &str) -> KemSecret {
    let seed = paralith_crypto::sha256(&[b"kem/", name.as_bytes()].concat());
    KemSecret::X25519(HpkeSecret::from_bytes(seed))
}

pub(crate) fn set_keys(name: &str) -> SetKeys {
    let secret = bls(name);
    let vote_key = VoteKey(secret.public());
    let place = place(ContractId([0; 32]));
    let message = ids::possession_message(
        &place.chain_context,
        &place.mediator,
        &public_key(name),
        &vote_key,
    );
    SetKeys {
        kem_id: KEM_X25519,
        kem_key: kem(name).public(),
        vote_key,
        possession: VoteSignature(secret.prove_possession(&message.0)),
        link_address: format!("{name}:1"),
        origin: String::new(),
    }
}

pub(crate) fn terms() -> Terms {
    Terms {
        fetch_blocks: 4,
        vote_blocks: 8,
        max_batch: 16,
        max_content_bytes: 65_536,
        gas_limit: 1_000_000,
        bond: Amount(1000),
        deposit: Amount(90),
        slash: Amount(500),
        min_receipts: 0,
        origins: vec!["https://a.example".into()],
        retention_blocks: 40,
        dormant_blocks: 100,
        residual: address("residual"),
    }
}

pub(crate) fn definition(members: &[&'static str], policy: &str) -> Definition {
    Definition {
        version: 1,
        package_hash: Hash([4; 32]),
        issuers: vec![public_key("issuer")],
        members: members.iter().map(|name| public_key(name)).collect(),
        policy: Policy::parse(policy, members).unwrap(),
        terms: terms(),
    }
}

pub(crate) fn no_actions() -> Actions {
    Actions { actions: vec![] }
}

pub(crate) fn root(number: u8) -> Hash {
    Hash([number; 32])
}

impl World {
    /// Three members, two of whom decide; active.
    pub(crate) fn new() -> Self {
        Self::with(definition(&["m0", "m1", "m2"], "2 of (m0, m1, m2)"), &["m0", "m1", "m2"])
    }

    pub(crate) fn with(definition: Definition, members: &[&'static str]) -> Self {
        let mut world = Self::proposed(definition, members);
        for name in members {
            world.join(name).unwrap();
        }
        world.next();
        world
    }

    pub(crate) fn proposed(definition: Definition, members: &[&'static str]) -> Self {
        Self::of_runtime::<Module>(definition, members)
    }

    pub(crate) fn of_runtime<R: Runtime>(definition: Definition, members: &[&'static str]) -> Self {
        let settings = br#"{"base_fee":"1","collector":null}"#;
        let mut chain = Chain::start::<R>(Privacy::Public, settings).unwrap();
        for name in NAMES {
            chain.deposit(address(name), Amount(RICH));
        }
        chain.next_round();
        let mut world = World {
            chain,
            id: ContractId([0; 32]),
            definition: definition.clone(),
            members: members.to_vec(),
            seqs: BTreeMap::new(),
            sks: BTreeMap::new(),
            drawn: 0,
        };
        for name in ["m0", "m1", "m2", "m3"] {
            world.call(name, "set_keys", &set_keys(name)).unwrap();
        }
        world.create(definition);
        world
    }

    /// Creates one more contract, and turns to it.
    pub(crate) fn create(&mut self, definition: Definition) {
        let create = Create { definition, genesis_root: root(1) };
        let id = self.call("owner", "create", &create).unwrap();
        self.id = ContractId(id.try_into().unwrap());
        self.seqs.clear();
    }

    pub(crate) fn call<M: Canonical>(
        &mut self,
        who: &str,
        method: &str,
        args: &M,
    ) -> Result<Vec<u8>> {
        self.chain.sender(who).fee(Amount(FEE)).call_raw(method, &args.encode())
    }

    pub(crate) fn of_contract(&mut self, who: &str, method: &str) -> Result<Vec<u8>> {
        let args = OfContract { contract_id: self.id };
        self.call(who, method, &args)
    }

    pub(crate) fn join(&mut self, who: &str) -> Result<Vec<u8>> {
        let join = Join {
            contract_id: self.id,
            definition: ids::definition_hash(&self.definition),
            batch: 0,
            root: root(1),
            bond: self.definition.terms.bond,
        };
        self.call(who, "join", &join)
    }

    pub(crate) fn next(&mut self) {
        self.chain.next_round();
        self.holds();
    }

    pub(crate) fn advance(&mut self, blocks: u64) {
        let to = self.chain.height() + blocks;
        self.chain.advance_to(to);
        self.holds();
    }

    pub(crate) fn get<T: Canonical>(&self, key: &[u8]) -> Option<T> {
        self.chain.stored(key).map(|bytes| T::decode(&bytes, 1 << 20).unwrap())
    }

    pub(crate) fn contract(&self) -> ContractRecord {
        self.get(&keys::contract(&self.id)).unwrap()
    }

    pub(crate) fn open(&self) -> OpenBatch {
        self.get(&keys::open_batch(&self.id)).expect("an open batch")
    }

    pub(crate) fn tx(&self, seq: u64) -> TransactionRecord {
        self.get(&keys::transaction(&self.id, seq)).unwrap()
    }

    pub(crate) fn key_set(&self) -> KeySet {
        self.get(&keys::key_set(&self.id, self.contract().keys_version)).unwrap()
    }

    pub(crate) fn record(&self) -> DefinitionRecord {
        self.get(&keys::definition(&self.id, self.contract().version)).unwrap()
    }

    pub(crate) fn final_batch(&self, batch: u64) -> Option<FinalBatch> {
        self.get(&keys::final_batch(&self.id, batch))
    }

    pub(crate) fn balance(&self, who: &Address) -> u128 {
        let stored = self.chain.stored(&ACCOUNTS.balance_key(who));
        stored.map_or(0, |bytes| u128::from_be_bytes(bytes[8..].try_into().unwrap()))
    }

    pub(crate) fn of(&self, name: &str) -> u128 {
        self.balance(&address(name))
    }

    pub(crate) fn certificate(&self, subject: &str) -> Certificate {
        let unsigned = Certificate {
            version: 1,
            issuer: public_key("issuer"),
            subject: public_key(subject),
            scope: self.id.0,
            attributes: String::new(),
            serial: 7,
            not_before: Height(0),
            not_after: Height(1_000_000),
            signature: paralith_sdk::Signature([0; 64]),
        };
        signed_certificate(unsigned)
    }

    /// A submission of a fresh call.
    pub(crate) fn submission(&mut self, who: &str, payment: u128) -> Submit {
        self.drawn = self.drawn.wrapping_add(1);
        let sk = ContentKey::new(paralith_crypto::sha256(&[self.drawn]));
        let version = self.contract().keys_version;
        let set = self.key_set();
        let sender_seq = self.seqs.get(who).copied().unwrap_or(0);
        let of = CallOf { place: place(self.id), sender: public_key(who), sender_seq };
        let uri = String::new();
        let sealed = seal_call(&of, KeySetRef { version, set: &set }, &sk, &uri, b"call").unwrap();
        self.sks.insert(self.contract().next_seq, (sk, uri));
        Submit {
            contract_id: self.id,
            keys_version: version,
            certificate: self.certificate(who),
            content_hash: sealed.content_hash,
            content_bytes: u32::try_from(sealed.content.len()).unwrap(),
            key_commitment: sealed.key_commitment,
            sender_seq,
            wraps: sealed.wraps,
            receipts: vec![],
            payment: Amount(payment),
        }
    }

    pub(crate) fn hand_in(&mut self, who: &str, submit: &Submit) -> Result<u64> {
        let seq = self.call(who, "submit", submit)?;
        *self.seqs.entry(who.into()).or_default() += 1;
        Ok(u64::from_be_bytes(seq.try_into().unwrap()))
    }

    pub(crate) fn submit(&mut self, who: &str, payment: u128) -> Result<u64> {
        let submit = self.submission(who, payment);
        self.hand_in(who, &submit)
    }

    pub(crate) fn receipt(&self, submit: &Submit, who: &str, index: u32, until: u64) -> Receipt {
        let stored = Stored {
            contract_id: self.id,
            content_hash: submit.content_hash,
            sender: submit.certificate.subject,
            sender_seq: submit.sender_seq,
            until,
        };
        let message = signed_bytes(&place(self.id).chain_context, &stored);
        Receipt { index, until, signature: sign(who, &message) }
    }

    pub(crate) fn inputs(&self) -> Hash {
        let open = self.open();
        let hashes: Vec<Hash> = match open.batch.kind {
            paralith_private_contract_core::messages::BatchKind::Migrate => {
                let version = self.contract().last_version;
                let next: DefinitionRecord =
                    self.get(&keys::definition(&self.id, version)).unwrap();
                vec![next.hash]
            }
            _ => open.batch.seqs().map(|seq| self.tx(seq).tx_hash).collect(),
        };
        inputs_hash(&open.batch, &hashes)
    }

    /// A verdict of the open batch in which every transaction has this class.
    pub(crate) fn verdict(&self, new_root: Hash, class: Class, actions: &Actions) -> Verdict {
        let classes = vec![class; usize::try_from(self.open().batch.classes()).unwrap()];
        Verdict {
            new_root,
            results_root: Hash([77; 32]),
            classes: Classes(classes).to_bytes(),
            taken: true,
            actions_hash: actions_hash(actions),
        }
    }

    pub(crate) fn signature(&self, members: &[u32], verdict: &Verdict) -> VoteSignature {
        let open = self.open();
        let hash = vote_hash(
            &place(self.id),
            open.batch.version,
            open.batch.number,
            &self.inputs(),
            verdict,
        );
        let signatures: Vec<[u8; 48]> =
            members.iter().map(|index| bls(self.members[*index as usize]).sign(&hash.0)).collect();
        VoteSignature(aggregate(&signatures).unwrap())
    }

    pub(crate) fn vote_of(&self, members: &[u32], verdict: &Verdict, actions: &Actions) -> Vote {
        Vote {
            contract_id: self.id,
            batch: self.open().batch.number,
            verdict: verdict.clone(),
            actions: actions.clone(),
            signers: bitmap(members),
            signature: self.signature(members, verdict),
        }
    }

    pub(crate) fn vote(&mut self, members: &[u32], verdict: &Verdict) -> Result<Vec<u8>> {
        self.vote_with(members, verdict, &no_actions())
    }

    pub(crate) fn vote_with(
        &mut self,
        members: &[u32],
        verdict: &Verdict,
        actions: &Actions,
    ) -> Result<Vec<u8>> {
        let vote = self.vote_of(members, verdict, actions);
        let who = self.members[members[0] as usize];
        self.call(who, "vote", &vote)
    }

    /// Members 0 and 1 end the open batch with YES.
    pub(crate) fn yes(&mut self, number: u8) {
        let verdict = self.verdict(root(number), Class::Executed, &no_actions());
        self.vote(&[0, 1], &verdict).unwrap();
    }

    pub(crate) fn evidence(&self, members: &[u32], verdict: &Verdict) -> Evidence {
        Evidence {
            verdict: verdict.clone(),
            signers: bitmap(members),
            signature: self.signature(members, verdict),
        }
    }

    pub(crate) fn change(
        &mut self,
        who: &str,
        definition: &Definition,
        migrate: bool,
        members: &[u32],
    ) -> Result<Vec<u8>> {
        let hash = ids::change_hash(&place(self.id), &ids::definition_hash(definition), migrate);
        let signatures: Vec<[u8; 48]> =
            members.iter().map(|index| bls(self.members[*index as usize]).sign(&hash.0)).collect();
        let change = Change {
            contract_id: self.id,
            definition: definition.clone(),
            migrate,
            signers: bitmap(members),
            signature: VoteSignature(aggregate(&signatures).unwrap()),
        };
        self.call(who, "change", &change)
    }

    pub(crate) fn fund(&mut self, who: &str, amount: u128) -> Result<Vec<u8>> {
        let fund = Fund { contract_id: self.id, tag: 5, amount: Amount(amount) };
        self.call(who, "fund", &fund)
    }

    pub(crate) fn bond(&self, name: &str, version: u64) -> Option<BondRecord> {
        self.get(&keys::bond(&self.id, &public_key(name), version))
    }

    /// Money is conserved: custody is what the records say, and all together is the supply.
    pub(crate) fn holds(&self) {
        let mut custody_is = 0;
        if let Some(contract) = self.get::<ContractRecord>(&keys::contract(&self.id)) {
            custody_is += contract.balance.0;
            for seq in 1..contract.next_seq {
                let key = keys::transaction(&self.id, seq);
                if let Some(tx) = self.get::<TransactionRecord>(&key) {
                    custody_is += tx.payment.0 + tx.deposit.0 + tx.reward.0;
                }
            }
            for number in contract.first_deposit..contract.next_deposit {
                let key = keys::deposit(&self.id, number);
                custody_is += self.get::<DepositRecord>(&key).unwrap().amount.0;
            }
            for name in NAMES {
                for version in 1..=contract.last_version {
                    custody_is += self.bond(name, version).map_or(0, |bond| bond.amount.0);
                }
                let join = self.get::<JoinRecord>(&keys::join(&self.id, &public_key(name)));
                custody_is += join.map_or(0, |join| join.bond.0);
            }
        }
        assert_eq!(self.balance(&custody()), custody_is, "custody");
        let amount = |key: &[u8]| {
            let stored = self.chain.stored(key);
            stored.map_or(0, |bytes| u128::from_be_bytes(bytes.try_into().unwrap()))
        };
        let balances: u128 = NAMES.iter().map(|name| self.of(name)).sum();
        let all = balances + custody_is + amount(b"money/fee_pot");
        assert_eq!(all, amount(b"money/supply"), "supply");
    }
}

pub(crate) fn signed_certificate(certificate: Certificate) -> Certificate {
    let bytes = certificate.signed_bytes(&place(ContractId([0; 32])).chain_context);
    Certificate { signature: sign("issuer", &bytes), ..certificate }
}

pub(crate) fn bitmap(members: &[u32]) -> Vec<u8> {
    members.iter().copied().collect::<paralith_policy::Members>().to_bytes()
}

pub(crate) fn pay(to: &str, amount: u128) -> Action {
    Action::Pay(paralith_private_contract_core::messages::Pay {
        to: address(to),
        amount: Amount(amount),
    })
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> u32 {
    let error = result.unwrap_err();
    assert_eq!(error.module, "mediator", "{error}");
    error.code
}
