//! A contract with three members, and its parts.

use paralith_crypto::HpkeSecret;
use paralith_crypto::kem::{KEM_X25519, KemSecret};
use paralith_policy::Policy;
use paralith_private_contract_core::Place;
use paralith_private_contract_core::messages::{
    Batch, BatchKind, ContentHash, ContractId, Definition, KemKey, KeySet, Terms,
    TransactionRecord, TransactionStatus, Verdict,
};
use paralith_types::{Address, Amount, ChainContext, Hash, PublicKey, RuntimeId};

pub(crate) const PLACE: Place = Place {
    chain_context: ChainContext([1; 32]),
    mediator: RuntimeId([2; 32]),
    contract_id: ContractId([3; 32]),
};

pub(crate) fn terms() -> Terms {
    Terms {
        fetch_blocks: 4,
        vote_blocks: 8,
        max_batch: 16,
        max_content_bytes: 65_536,
        gas_limit: 1_000_000,
        bond: Amount(1000),
        deposit: Amount(10),
        slash: Amount(500),
        min_receipts: 1,
        origins: vec!["https://a.example".into()],
        retention_blocks: 100,
        dormant_blocks: 1000,
        residual: Address([0; 21]),
    }
}

pub(crate) fn definition() -> Definition {
    Definition {
        version: 1,
        package_hash: Hash([4; 32]),
        issuers: vec![PublicKey([5; 32])],
        members: vec![PublicKey([6; 32]), PublicKey([7; 32]), PublicKey([8; 32])],
        policy: Policy::parse("2 of (a, b, c)", &["a", "b", "c"]).unwrap(),
        terms: terms(),
    }
}

pub(crate) fn batch() -> Batch {
    Batch {
        number: 9,
        version: 1,
        first_seq: 4,
        last_seq: 6,
        open_height: 100,
        epoch: 2,
        old_root: Hash([10; 32]),
        balance: Amount(300),
        first_deposit: 0,
        last_deposit: 0,
        kind: BatchKind::Transactions,
    }
}

pub(crate) fn verdict() -> Verdict {
    Verdict {
        new_root: Hash([11; 32]),
        results_root: Hash([12; 32]),
        classes: vec![0b11_10_01],
        taken: true,
        actions_hash: Hash([13; 32]),
    }
}

pub(crate) fn secrets() -> Vec<KemSecret> {
    (1..=3).map(|fill| KemSecret::X25519(HpkeSecret::from_bytes([fill; 32]))).collect()
}

pub(crate) fn key_set(secrets: &[KemSecret]) -> KeySet {
    let key = |secret: &KemSecret| KemKey { kem_id: KEM_X25519, key: secret.public() };
    KeySet { version: 1, keys: secrets.iter().map(key).collect(), gone: vec![], held: 0 }
}

pub(crate) fn record(
    content_hash: ContentHash,
    bytes: usize,
    commitment: Hash,
) -> TransactionRecord {
    TransactionRecord {
        tx_hash: Hash([14; 32]),
        sender: PublicKey([15; 32]),
        sender_address: Address([0; 21]),
        sender_seq: 7,
        content_hash,
        content_bytes: u32::try_from(bytes).unwrap(),
        key_commitment: commitment,
        keys_version: 2,
        version: 1,
        height: 90,
        status: TransactionStatus::Pending,
        payment: Amount::ZERO,
        deposit: Amount(10),
        reward: Amount::ZERO,
        batch: 0,
    }
}
