//! A ledger, an application with three organisations, and enclaves that sign what they are asked to.

use paralith_chaincode_messages::state::{enclave_key, entry_key, runtime_key};
use paralith_chaincode_messages::{
    Endorsement, Message, NewCommit, Read, Response, Terms, Version, Write,
};
use paralith_policy::Policy;
use paralith_sdk::testing::{Chain, Event, Privacy, public_key, sign};
use paralith_sdk::{Amount, Hash, JsonValue, Result, RuntimeId, json};
use paralith_types::{CodeId, Height, Round};

use crate::Ledger;

pub(crate) const APPLICATION: RuntimeId = RuntimeId([7; 32]);
pub(crate) const CODE: CodeId = CodeId([8; 32]);
pub(crate) const MEASUREMENT: Hash = Hash([9; 32]);
pub(crate) const ORGANISATIONS: [&str; 3] = ["org-0", "org-1", "org-2"];
pub(crate) const RETENTION: u64 = 20;

/// The fields of a descriptor that chaincode reads, with the registry's numbers.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Runtime {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    #[prost(int32, tag = "3")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "5")]
    pub(crate) code: Option<Code>,
    #[prost(bool, tag = "6")]
    pub(crate) confidential: bool,
    #[prost(message, optional, tag = "9")]
    pub(crate) tee: Option<Tee>,
    #[prost(uint64, tag = "16")]
    pub(crate) sequence: u64,
    #[prost(message, optional, tag = "17")]
    pub(crate) approval: Option<Approval>,
    #[prost(bytes = "vec", tag = "18")]
    pub(crate) terms: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Code {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Tee {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) measurements: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Approval {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) organisations: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) policy: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Enclave {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) node: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) entity: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) measurement: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) code: Option<Vec<u8>>,
    #[prost(uint64, tag = "7")]
    pub(crate) expires: u64,
}

pub(crate) struct Lab {
    pub(crate) chain: Chain,
    pub(crate) descriptor: Runtime,
    calls: u64,
}

/// Indices of organisations by name: they are sorted by key.
fn sorted() -> Vec<&'static str> {
    let mut names = ORGANISATIONS.to_vec();
    names.sort_by_key(|name| public_key(name).0);
    names
}

pub(crate) fn index(number: u8) -> Hash {
    Hash([number; 32])
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(&json!({ "retention_blocks": RETENTION }))
    }

    pub(crate) fn with(argument: &JsonValue) -> Self {
        let argument = argument.to_string();
        let chain = Chain::start::<Ledger>(Privacy::Public, argument.as_bytes()).unwrap();
        let terms = Terms {
            ledger: chain.runtime_id(),
            endorsement: Policy::threshold(2, 3),
            issuers: Vec::new(),
            anchor_blocks: 5,
            commit_blocks: 10,
            max_gas: 1,
            max_response_bytes: 65_536,
            early_results: false,
        };
        let organisations = sorted().into_iter().map(|name| public_key(name).0.to_vec()).collect();
        let descriptor = Runtime {
            id: APPLICATION.0.to_vec(),
            kind: 3,
            code: Some(Code { id: CODE.0.to_vec() }),
            confidential: true,
            tee: Some(Tee { measurements: vec![MEASUREMENT.0.to_vec()] }),
            sequence: 3,
            approval: Some(Approval { organisations, policy: Policy::Member(0).encode() }),
            terms: terms.encode(),
        };
        let mut lab = Self { chain, descriptor, calls: 0 };
        lab.publish();
        for name in ORGANISATIONS {
            lab.enclave(&format!("rak of {name}"), |enclave| {
                enclave.entity = public_key(name).0.to_vec();
            });
        }
        lab
    }

    /// Puts the descriptor into consensus state.
    pub(crate) fn publish(&mut self) {
        let bytes = prost::Message::encode_to_vec(&self.descriptor);
        self.chain.set_consensus(&runtime_key(&APPLICATION), Some(&bytes));
    }

    pub(crate) fn change_terms(&mut self, change: impl FnOnce(&mut Terms)) {
        let mut terms = Terms::decode(&self.descriptor.terms).unwrap();
        change(&mut terms);
        self.descriptor.terms = terms.encode();
        self.publish();
    }

    /// Registers an enclave of org-0, changed.
    pub(crate) fn enclave(&mut self, rak: &str, change: impl FnOnce(&mut Enclave)) {
        self.enclave_of(APPLICATION, rak, change);
    }

    /// The same, of some application.
    pub(crate) fn enclave_of(
        &mut self,
        application: RuntimeId,
        rak: &str,
        change: impl FnOnce(&mut Enclave),
    ) {
        let mut enclave = Enclave {
            node: vec![1; 32],
            entity: public_key("org-0").0.to_vec(),
            measurement: MEASUREMENT.0.to_vec(),
            code: Some(CODE.0.to_vec()),
            expires: 1_000_000,
        };
        change(&mut enclave);
        let key = enclave_key(&application, &public_key(rak));
        let bytes = prost::Message::encode_to_vec(&enclave);
        self.chain.set_consensus(&key, Some(&bytes));
    }

    pub(crate) fn revoke_enclave(&mut self, rak: &str) {
        self.chain.set_consensus(&enclave_key(&APPLICATION, &public_key(rak)), None);
    }

    /// A response on the present height, of a new call that reads and writes nothing.
    pub(crate) fn response(&mut self) -> Response {
        self.calls += 1;
        let mut tx_id = [0; 32];
        tx_id[..8].copy_from_slice(&self.calls.to_be_bytes());
        let height = self.chain.height();
        Response {
            version: 1,
            tx_id: Hash(tx_id),
            ledger: self.chain.runtime_id(),
            application: APPLICATION,
            sequence: 3,
            code_id: CODE,
            anchor: Height(height),
            snapshot_round: Round(1),
            snapshot_root: Hash([1; 32]),
            valid_until: Height(height + 8),
            commit_before: Height(0),
            reads: Vec::new(),
            writes: Vec::new(),
            events: Vec::new(),
            sealed_output: vec![1, 2, 3],
            output_commitment: Hash([2; 32]),
        }
    }

    /// A response that reads these entries as they are now and writes these.
    pub(crate) fn call(&mut self, reads: &[u8], writes: &[(u8, Option<&[u8]>)]) -> Response {
        let mut response = self.response();
        response.reads = reads
            .iter()
            .map(|number| Read { index: index(*number), version: self.version(*number) })
            .collect();
        response.writes = writes
            .iter()
            .map(|(number, value)| Write {
                index: index(*number),
                value: value.map(<[u8]>::to_vec),
            })
            .collect();
        response
    }

    pub(crate) fn version(&self, number: u8) -> Option<Version> {
        let stored = self.chain.stored(&entry_key(&APPLICATION, &index(number)))?;
        Version::from_bytes(&stored[..Version::LEN])
    }

    pub(crate) fn value(&self, number: u8) -> Option<Vec<u8>> {
        let stored = self.chain.stored(&entry_key(&APPLICATION, &index(number)))?;
        Some(stored[Version::LEN..].to_vec())
    }

    pub(crate) fn endorse(&self, rak: &str, response: &[u8]) -> Endorsement {
        let message = Endorsement::signed_bytes(&self.chain.chain_context(), response);
        Endorsement { rak: public_key(rak), signature: sign(rak, &message) }
    }

    pub(crate) fn endorsed(&self, response: &Response, raks: &[&str]) -> NewCommit {
        let response = response.encode();
        let endorsements = raks.iter().map(|rak| self.endorse(rak, &response)).collect();
        NewCommit { response, endorsements }
    }

    /// Commits with the endorsements of two organisations.
    pub(crate) fn commit(&mut self, response: &Response) -> Result<()> {
        let commit = self.endorsed(response, &["rak of org-0", "rak of org-1"]);
        self.submit(&commit.encode())
    }

    pub(crate) fn commit_by(&mut self, response: &Response, raks: &[&str]) -> Result<()> {
        let commit = self.endorsed(response, raks);
        self.submit(&commit.encode())
    }

    pub(crate) fn submit(&mut self, bytes: &[u8]) -> Result<()> {
        self.chain.sender("anybody").call_raw("commit", bytes).map(drop)
    }

    pub(crate) fn submit_with_fee(&mut self, bytes: &[u8], fee: u128) -> Result<()> {
        self.chain.sender("anybody").fee(Amount(fee)).call_raw("commit", bytes).map(drop)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.chain.events()
    }
}

/// The code of a refusal by the ledger.
pub(crate) fn code(result: Result<()>) -> u32 {
    let error = result.unwrap_err();
    assert_eq!(error.module, "ledger", "{error}");
    error.code
}
