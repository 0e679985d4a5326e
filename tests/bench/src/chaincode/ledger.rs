//! What the ledger does for a commit, beside a public `tokens.transfer`: each in a fresh, metered instance.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use paralith::guests;
use paralith::network::{code_of, runtime_id, tee_policy};
use paralith_chaincode_core::hashes::endorse;
use paralith_chaincode_messages::state::{enclave_key, entry, entry_key, runtime_key};
use paralith_chaincode_messages::{Message as _, NewCommit, Read, Response, Terms, Version, Write};
use paralith_consensus_api::address;
use paralith_consensus_api::registry::{Approval, Enclave, Runtime, RuntimeKind};
use paralith_crypto::SigningKey;
use paralith_policy::Policy;
use paralith_proto::Canonical as _;
use paralith_runtime_abi as abi;
use paralith_runtime_vm::{CallEnv, ConsensusRead, Engine, Export, State as _, StateError};
use paralith_types::{ChainContext, Epoch, Hash, Height, Round, RuntimeId, X25519PublicKey};
use prost::Message as _;
use serde_json::json;

use crate::report::{Samples, rounded, tell};
use crate::runtime::{GAS, Memory, transfer};

const COMMITS: usize = 2_000;
const LEDGER: RuntimeId = RuntimeId([1; 32]);
const CHAIN: ChainContext = ChainContext([2; 32]);
const PINNED: u64 = 9;
/// Entries that a call reads, and that it writes.
const ENTRIES: u8 = 4;

struct Consensus(BTreeMap<Vec<u8>, Vec<u8>>);

impl ConsensusRead for Consensus {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }
}

fn organisation(number: u8) -> SigningKey {
    SigningKey::from_seed([number + 1; 32])
}

fn rak(number: u8) -> SigningKey {
    SigningKey::from_seed([number + 11; 32])
}

/// The application's descriptor and the enclaves of three organisations.
fn consensus(application: &Runtime) -> Consensus {
    let mut state = BTreeMap::from([(runtime_key(&application.id), application.encode())]);
    for number in 0..3 {
        let enclave = Enclave {
            node: rak(number).public(),
            entity_id: organisation(number).public(),
            rek: X25519PublicKey([3; 32]),
            measurement: tee_policy().measurements[0],
            code: application.code.as_ref().map(|code| code.id),
            attested_height: Height(1),
            expires_height: Height(1_000_000),
            node_expiration: Epoch(1_000),
            software: true,
        };
        let key = enclave_key(&application.id, &rak(number).public());
        state.insert(key, enclave.encode());
    }
    Consensus(state)
}

fn application() -> Runtime {
    let mut organisations: Vec<_> = (0..3).map(|number| organisation(number).public()).collect();
    organisations.sort_unstable();
    let terms = Terms {
        ledger: LEDGER,
        endorsement: Policy::threshold(2, 3),
        issuers: Vec::new(),
        anchor_blocks: 5,
        commit_blocks: 10,
        max_gas: 1,
        max_response_bytes: 65_536,
        early_results: false,
    };
    let owner = organisation(0).public();
    let policy = Policy::threshold(2, 3).encode();
    let rules = paralith::dev::network_spec(0);
    Runtime {
        id: runtime_id("application"),
        kind: RuntimeKind::Application,
        code: Some(code_of(guests::TOKENS)),
        approval: Some(Approval { organisations, policy }),
        terms: terms.encode(),
        ..rules.runtime("application", owner, guests::TOKENS, true, Vec::new())
    }
}

/// A commit with two endorsements of a call that reads four entries as they are, and writes four.
fn new_commit(application: &Runtime, code: paralith_types::CodeId) -> NewCommit {
    let version = Version { round: 3, position: 0 };
    let index = |number: u8| Hash([number; 32]);
    let response = Response {
        version: 1,
        tx_id: Hash([5; 32]),
        ledger: LEDGER,
        application: application.id,
        sequence: application.sequence,
        code_id: code,
        anchor: Height(PINNED),
        snapshot_round: Round(6),
        snapshot_root: Hash([6; 32]),
        valid_until: Height(PINNED + 8),
        commit_before: Height(0),
        reads: (0..ENTRIES).map(|n| Read { index: index(n), version: Some(version) }).collect(),
        writes: (0..ENTRIES).map(|n| Write { index: index(n), value: Some(vec![7; 64]) }).collect(),
        events: Vec::new(),
        sealed_output: vec![8; 64],
        output_commitment: Hash([9; 32]),
    };
    let response = response.encode();
    let endorsements = (0..2).map(|number| endorse(&rak(number), &CHAIN, &response)).collect();
    NewCommit { response, endorsements }
}

pub(super) fn commit() -> Result<()> {
    let engine = Engine::new()?;
    let module = engine.compile(guests::CHAINCODE_LEDGER)?;
    let application = application();
    let mut consensus = consensus(&application);
    let key = SigningKey::from_seed([6; 32]).public();
    let context = || abi::Context {
        runtime_id: LEDGER.0.to_vec(),
        chain_context: CHAIN.0.to_vec(),
        round: 7,
        epoch: 1,
        consensus_height: PINNED,
        runtime_address: address::of_key(&key).as_bytes().to_vec(),
        ..abi::Context::default()
    };
    let mut call = |export: Export, request: &[u8], state: &mut Memory| -> Result<u64> {
        let env = CallEnv {
            state,
            consensus: Some(&mut consensus),
            pinned_height: Some(PINNED),
            timers: true,
            randomness: [3; 32],
            secret: None,
            round: 7,
            log_allowed: false,
            max_messages: 0,
            messages_before: 0,
            messages: None,
        };
        let result = module.call(export, request, env, GAS)?;
        ensure!(result.outcome.is_ok(), "{}: {:?}", export.name(), result.outcome);
        Ok(result.gas_used)
    };
    let mut before = Memory::default();
    let init =
        abi::InitRequest { context: context(), argument: br#"{"retention_blocks":20}"#.to_vec() };
    call(Export::Init, &init.encode_to_vec(), &mut before)?;
    for number in 0..ENTRIES {
        let value = entry(Version { round: 3, position: 0 }, &[1; 64]);
        before.set(entry_key(&application.id, &Hash([number; 32])), Some(value))?;
    }
    let transaction = abi::Transaction {
        hash: vec![5; 32],
        sender: key.as_bytes().to_vec(),
        sender_address: address::of_key(&key).as_bytes().to_vec(),
        nonce: 0,
        fee: Vec::new(),
        gas_limit: GAS,
        encrypted: false,
    };
    let args = new_commit(&application, code_of(guests::TOKENS).id).encode();
    let commit = abi::Call { method: "commit".to_string(), args };
    let request = abi::TransactionRequest { context: context(), transaction, call: Some(commit) };
    let request = request.encode_to_vec();
    let (mut samples, mut gas) = (Samples::default(), 0);
    for number in 0..COMMITS + COMMITS / 10 {
        // A call is committed once: each time on the state before.
        let (mut state, mut warm_up) = (before.clone(), Samples::default());
        let into = if number < COMMITS / 10 { &mut warm_up } else { &mut samples };
        gas = into.time(|| call(Export::Execute, &request, &mut state))?;
    }
    let (nanos, transfer) = (samples.median() * 1e9, transfer(&engine, false)?);
    let ratio = nanos / transfer.nanos;
    tell(
        "chaincode",
        &format!(
            "a commit with 2 endorsements, {ENTRIES} reads and {ENTRIES} writes takes the ledger {:.0} us, {ratio:.1} \
             times a public tokens.transfer ({:.0} us)",
            nanos / 1e3,
            transfer.nanos / 1e3
        ),
        json!({
            "commits": COMMITS, "commit us": rounded(nanos / 1e3), "gas": gas,
            "public transfer us": rounded(transfer.nanos / 1e3), "ratio": rounded(ratio),
        }),
    );
    Ok(())
}
