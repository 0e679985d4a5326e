//! An application with three organisations, in the registry's own types.

use paralith_chaincode_core::endorse::{AnchorFacts, Facts, Me, Snapshot};
use paralith_chaincode_core::messages::{Definition, Message, Terms};
use paralith_chaincode_core::propose::{Proposed, Randomness, Target, propose};
use paralith_consensus_api::registry::{
    Approval, Batching, Code, Enclave, Executor, Runtime, RuntimeKind, RuntimeStaking, TeePolicy,
};
use paralith_crypto::ed25519::SigningKey;
use paralith_crypto::hpke::HpkeSecret;
use paralith_policy::Policy;
use paralith_proto::Canonical;
use paralith_runtime_api::tx::Call;
use paralith_types::*;

pub(crate) const CHAIN: ChainContext = ChainContext([1; 32]);
pub(crate) const LEDGER: RuntimeId = RuntimeId([2; 32]);
pub(crate) const APPLICATION: RuntimeId = RuntimeId([3; 32]);
pub(crate) const CODE: CodeId = CodeId([4; 32]);
pub(crate) const MEASUREMENT: Hash = Hash([5; 32]);
pub(crate) const ANCHOR: Height = Height(500);
pub(crate) const EPOCH: Epoch = Epoch(6);

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

/// Organisations in their order.
pub(crate) fn organisations() -> Vec<SigningKey> {
    let mut keys: Vec<SigningKey> = (10..13).map(key).collect();
    keys.sort_by_key(|key| key.public());
    keys
}

pub(crate) fn rak(organisation: usize) -> SigningKey {
    key(20 + organisation as u8)
}

pub(crate) fn terms() -> Terms {
    Terms {
        ledger: LEDGER,
        endorsement: Policy::threshold(2, 3),
        issuers: Vec::new(),
        anchor_blocks: 50,
        commit_blocks: 100,
        max_gas: 1_000,
        max_response_bytes: 8_192,
        early_results: false,
    }
}

pub(crate) fn descriptor(terms: &Terms) -> Runtime {
    let organisations = organisations().iter().map(SigningKey::public).collect();
    Runtime {
        id: APPLICATION,
        entity_id: key(9).public(),
        kind: RuntimeKind::Application,
        name: "auction".into(),
        code: Some(Code { id: CODE, size_bytes: 1, abi_version: 2, gas_schedule_version: 2 }),
        confidential: true,
        allow_plain_calls: false,
        key_manager: Some(RuntimeId([6; 32])),
        tee: Some(TeePolicy { measurements: vec![MEASUREMENT], max_age_blocks: 100 }),
        init_argument: Vec::new(),
        min_gas_price: Amount(0),
        max_tx_gas: 0,
        sequence: 4,
        approval: Some(Approval { organisations, policy: Policy::threshold(2, 3).encode() }),
        terms: terms.encode(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor::default(),
        batching: Batching::default(),
        staking: RuntimeStaking::default(),
    }
}

pub(crate) fn definition() -> Definition {
    Definition::read(&APPLICATION, &descriptor(&terms()).encode()).unwrap()
}

pub(crate) fn enclave(organisation: usize) -> Enclave {
    Enclave {
        node: key(30 + organisation as u8).public(),
        entity_id: organisations()[organisation].public(),
        rek: X25519PublicKey([7; 32]),
        measurement: MEASUREMENT,
        code: Some(CODE),
        attested_height: Height(400),
        expires_height: Height(1_000),
        node_expiration: Epoch(20),
        software: false,
    }
}

pub(crate) fn me(organisation: usize) -> Me {
    Me { chain: CHAIN, application: APPLICATION, code: CODE, rak: rak(organisation).public() }
}

pub(crate) fn at_anchor(organisation: usize) -> AnchorFacts {
    let ledger = Runtime { kind: RuntimeKind::Compute, ..descriptor(&terms()) };
    AnchorFacts {
        epoch: EPOCH,
        descriptor: Some(descriptor(&terms()).encode()),
        ledger: Some(ledger.encode()),
        enclave: Some(enclave(organisation).encode()),
        registered_rak: Some(rak(organisation).public()),
        snapshot: Snapshot { round: Round(33), root: Hash([8; 32]) },
        certificate_revoked: false,
    }
}

pub(crate) fn facts(organisation: usize) -> Facts {
    Facts { fresh: true, newest: Height(510), anchor: Some(at_anchor(organisation)) }
}

pub(crate) fn epoch_key() -> HpkeSecret {
    HpkeSecret::from_ikm(&[40; 32])
}

pub(crate) fn client() -> SigningKey {
    key(50)
}

pub(crate) fn target() -> Target {
    Target {
        chain: CHAIN,
        application: APPLICATION,
        definition: definition(),
        anchor: ANCHOR,
        valid_until: Height(590),
        epoch: EPOCH,
        epoch_key: epoch_key().public(),
        certificate: None,
    }
}

pub(crate) fn call(method: &str) -> Call {
    Call { method: method.into(), args: b"42".to_vec() }
}

pub(crate) fn proposed(client: &SigningKey, target: Target, call: Call) -> Proposed {
    let random =
        Randomness { nonce: [60; 32], reply_key: [61; 32].into(), envelope: [62; 32].into() };
    propose(client, target, call, random).unwrap()
}
