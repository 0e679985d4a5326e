//! Whom this member answers, and what it keeps, by what the mediator's state says.

use paralith_crypto::keystore::KdfParams;
use paralith_crypto::sha3::sha3_256;
use paralith_crypto::{Domain, SigningKey};
use paralith_data::{Action, Ticket};
use paralith_policy::{CERTIFICATE_DOMAIN, CERTIFICATE_VERSION, Certificate, Policy};
use paralith_private_contract_core::signed::{is_signed, sign, ticket_bytes};
use paralith_private_contract_grpc::pb;
use paralith_private_contract_grpc::pb::request::What;
use paralith_private_contract_grpc::pb::stakeholder_service_server::StakeholderService as _;
use paralith_private_contract_messages::{
    AccountKeys, Canonical as _, ContentHash, ContractRecord, ContractStatus, Definition,
    DefinitionRecord, KEYS_BLOCKS, KeySet, Stored, Terms, TransactionRecord, TransactionStatus,
    Upload, keys as places,
};
use paralith_proto::status::error_of;
use paralith_storage::{Changes, Tree};
use paralith_types::{Address, Amount, Hash, Height, Signature};
use tonic::{Request, Status};

use super::follow::own_keys;
use super::member::MemberService;
use super::*;

const HEIGHT: u64 = 1000;
const CONTRACT: ContractId = ContractId([9; 32]);

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed([byte; 32])
}

fn address() -> Address {
    paralith_consensus_api::address::of_key(&key(70).public())
}

fn terms() -> Terms {
    Terms {
        fetch_blocks: 5,
        vote_blocks: 10,
        max_batch: 64,
        max_content_bytes: 1024,
        gas_limit: 1,
        bond: Amount::ZERO,
        deposit: Amount::ZERO,
        slash: Amount::ZERO,
        min_receipts: 1,
        origins: Vec::new(),
        retention_blocks: 100,
        dormant_blocks: 0,
        residual: address(),
    }
}

fn contract_record() -> ContractRecord {
    ContractRecord {
        status: ContractStatus::Active,
        owner: key(50).public(),
        version: 1,
        last_version: 1,
        keys_version: 1,
        previous_keys_version: 0,
        keys_height: 1,
        last_batch: 0,
        last_root: Hash::ZERO,
        next_batch: 1,
        open_batch: 0,
        head: 1,
        next_seq: 2,
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
        joined: 3,
        residual: address(),
    }
}

/// Issuer 50, members 1 to 3.
fn definition_record() -> DefinitionRecord {
    let definition = Definition {
        version: 1,
        package_hash: Hash([7; 32]),
        issuers: vec![key(50).public()],
        members: vec![key(1).public(), key(2).public(), key(3).public()],
        policy: Policy::parse("2 of (a, b, c)", &["a", "b", "c"]).unwrap(),
        terms: terms(),
    };
    DefinitionRecord {
        definition,
        hash: Hash::ZERO,
        vote_keys: Vec::new(),
        addresses: Vec::new(),
        bonds: Vec::new(),
        gone: Vec::new(),
    }
}

fn transaction_record(sender: &SigningKey) -> TransactionRecord {
    TransactionRecord {
        tx_hash: Hash::ZERO,
        sender: sender.public(),
        sender_address: address(),
        sender_seq: 0,
        content_hash: ContentHash([0; 32]),
        content_bytes: 1,
        key_commitment: Hash::ZERO,
        keys_version: 1,
        version: 1,
        height: 1,
        status: TransactionStatus::Pending,
        payment: Amount::ZERO,
        deposit: Amount::ZERO,
        reward: Amount::ZERO,
        batch: 0,
    }
}

/// Member 1, which has installed the contract; `more` of the mediator's state.
fn member(more: Changes) -> Arc<Shared> {
    let config = RoleConfig {
        keys: Keys::from_seeds(key(1), &key(11), &key(21)),
        key_files: Files::memory(),
        mediator: "mediator".to_string(),
        gas_limit: None,
        link_address: String::new(),
        origin: String::new(),
        origins: Trust::System,
        chain_context: ChainContext([5; 32]),
        kv: Kv::memory(),
    };
    let shared = StakeholderRole::new(config).unwrap().shared;
    let mut state = Changes::from([
        (places::contract(&CONTRACT), Some(contract_record().encode())),
        (places::definition(&CONTRACT, 1), Some(definition_record().encode())),
        (places::transaction(&CONTRACT, 1), Some(transaction_record(&key(60)).encode())),
    ]);
    state.extend(more);
    let tree = Tree::new(Kv::memory(), b"mediator");
    let prepared = tree.prepare(None, 1, &state).unwrap();
    tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
    let state: MediatorState = Arc::new(paralith_storage::Snapshot::new(tree, Some(1)));
    shared.mediator.set(RuntimeId([6; 32])).unwrap();
    shared.snapshots.send_replace(Some(Snapshot { height: HEIGHT, state }));
    shared.mark_installed(&CONTRACT).unwrap();
    shared
}

fn certificate(change: impl FnOnce(&mut Certificate)) -> Certificate {
    let mut certificate = Certificate {
        version: CERTIFICATE_VERSION,
        issuer: key(50).public(),
        subject: key(60).public(),
        scope: CONTRACT.0,
        attributes: String::new(),
        serial: 4,
        not_before: Height(0),
        not_after: Height(HEIGHT + 100),
        signature: Signature([0; 64]),
    };
    change(&mut certificate);
    let (domain, chain) = (Domain::new(CERTIFICATE_DOMAIN), ChainContext([5; 32]));
    certificate.signature = key(50).sign(domain, &chain, &certificate.message());
    certificate
}

fn faults() -> Vec<Certificate> {
    vec![
        certificate(|it| it.issuer = key(51).public()),
        certificate(|it| it.scope = [8; 32]),
        certificate(|it| it.not_after = Height(HEIGHT)),
        certificate(|it| it.not_before = Height(HEIGHT + 1)),
        Certificate { serial: 5, ..certificate(|_| {}) },
    ]
}

fn put(certificate: &Certificate) -> Ticket {
    Ticket {
        action: Action::Put,
        scope: CONTRACT.0,
        content: Hash([1; 32]),
        length: 1,
        expires: Height(HEIGHT + 1),
        signer: key(60).public(),
        credential: certificate.encode(),
    }
}

#[test]
fn certificates_put_and_members_get() {
    let rule = |more| tickets::rule(&member(more));
    let all = rule(Changes::new());
    assert!(all.serves(&CONTRACT.0) && !all.serves(&[8; 32]));
    let now = Height(HEIGHT);
    let right = certificate(|_| {});
    let holder = all.may_put(&put(&right), now).unwrap();
    assert_ne!(holder, all.may_put(&put(&certificate(|it| it.serial = 5)), now).unwrap());
    for fault in faults() {
        all.may_put(&put(&fault), now).unwrap_err();
    }
    all.may_put(&Ticket { signer: key(61).public(), ..put(&right) }, now).unwrap_err();
    let get = |signer: u8| Ticket {
        action: Action::Get,
        signer: key(signer).public(),
        credential: Vec::new(),
        ..put(&right)
    };
    all.may_get(&get(3), now).unwrap();
    all.may_get(&get(4), now).unwrap_err();
    all.may_get(&get(60), now).unwrap_err();
    let revoked = places::revocation(&CONTRACT, &key(50).public(), 4);
    let rule = rule(Changes::from([(revoked, Some(vec![1]))]));
    rule.may_put(&put(&right), now).unwrap_err();
}

fn upload(
    certificate: Certificate,
    signer: &SigningKey,
    content: &[u8],
) -> pb::StoreContentRequest {
    let upload = Upload {
        contract_id: CONTRACT,
        content_hash: ContentHash(sha3_256(content)),
        length: u32::try_from(content.len()).unwrap(),
        expires: HEIGHT + 50,
        certificate,
    };
    let signature = sign(signer, &ChainContext([5; 32]), &upload);
    let ticket = ticket_bytes(&upload, &signature);
    pb::StoreContentRequest { ticket, sender_seq: 3, content: content.to_vec() }
}

fn is_refused(status: &Status, code: u32) -> bool {
    error_of(status).is_some_and(|error| error.is("stakeholder", code))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_is_kept_for_a_certificate_and_its_receipt_is_the_members() {
    let shared = member(Changes::new());
    let service = MemberService(Arc::clone(&shared));
    let store = async |request| service.store_content(Request::new(request)).await;
    let sender = key(60);
    let given = upload(certificate(|_| {}), &sender, b"sealed");
    let receipt = store(given.clone()).await.unwrap().into_inner();
    assert_eq!((receipt.index, receipt.until), (0, HEIGHT + 49));
    let stored = Stored {
        contract_id: CONTRACT,
        content_hash: ContentHash(sha3_256(b"sealed")),
        sender: sender.public(),
        sender_seq: 3,
        until: receipt.until,
    };
    let signature = Signature::try_from(receipt.signature.as_slice()).unwrap();
    assert!(is_signed(&key(1).public(), &ChainContext([5; 32]), &stored, &signature));
    for fault in faults() {
        let refused = store(upload(fault, &sender, b"sealed")).await.unwrap_err();
        assert!(is_refused(&refused, 20), "{refused:?}");
    }
    let stranger = upload(certificate(|_| {}), &key(61), b"sealed");
    assert!(is_refused(&store(stranger).await.unwrap_err(), 20));
    let other = pb::StoreContentRequest { content: b"SEALED".to_vec(), ..given.clone() };
    assert!(is_refused(&store(other).await.unwrap_err(), 21));
    let longer = pb::StoreContentRequest { content: b"sealed!".to_vec(), ..given };
    assert!(is_refused(&store(longer).await.unwrap_err(), 22));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_dropped_change_members_keep_contents_of_the_definition_in_force() {
    // Its version is used up, and there is no such definition.
    let dropped = ContractRecord { last_version: 2, ..contract_record() };
    let shared = member(Changes::from([(places::contract(&CONTRACT), Some(dropped.encode()))]));
    let service = MemberService(Arc::clone(&shared));
    let given = upload(certificate(|_| {}), &key(60), b"sealed");
    service.store_content(Request::new(given)).await.unwrap();
    let rule = tickets::rule(&shared);
    rule.may_put(&put(&certificate(|_| {})), Height(HEIGHT)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_alone_manages_and_the_sender_alone_gets_results() {
    let shared = member(Changes::new());
    let service = MemberService(Arc::clone(&shared));
    let ask = |signer: u8, what: What| {
        let (chain, me) = (shared.config.chain_context, shared.account());
        Request::new(request::sign(&key(signer), &chain, &me, &CONTRACT, HEIGHT, what))
    };
    for signer in [2, 50, 60] {
        let refused = service.list_contracts(ask(signer, What::ListContracts(true))).await;
        assert!(is_refused(&refused.unwrap_err(), 7), "{signer}");
        let refused = service.get_proof(ask(signer, What::GetProof(vec![1]))).await;
        assert!(is_refused(&refused.unwrap_err(), 7), "{signer}");
        let refused = service.query(ask(signer, What::Query(Vec::new()))).await;
        assert!(is_refused(&refused.unwrap_err(), 7), "{signer}");
    }
    // A request for one method is none for another.
    let refused = service.get_proof(ask(1, What::ListContracts(true))).await;
    assert!(is_refused(&refused.unwrap_err(), 7));
    for signer in [1, 2, 50] {
        let refused = service.get_result(ask(signer, What::GetResult(1))).await.unwrap_err();
        assert!(is_refused(&refused, 6), "{signer}: {refused:?}");
    }
    // The sender has to wait until it is final.
    let refused = service.get_result(ask(60, What::GetResult(1))).await.unwrap_err();
    assert!(is_refused(&refused, 4), "{refused:?}");
    // A package that was sealed to nobody here.
    let package = pb::InstallPackage { sealed: vec![1; 100], definition: None };
    let refused = service.install_package(ask(1, What::InstallPackage(package))).await;
    assert!(is_refused(&refused.unwrap_err(), 3));
}

/// A key set of the contract with one member: its number, whether it has the new key, and how many transactions
/// hold it.
type Set = (u64, bool, u64);

/// A member with an old key and a new one that the mediator has; whether the old one stays, and which
/// contracts may adopt the new one.
fn rotated(record: ContractRecord, sets: &[Set], is_published: bool) -> (bool, Vec<ContractId>) {
    let shared = member(Changes::new());
    let (keys, files) = (shared.config.keys.clone(), shared.config.key_files.clone());
    let old = keys.kem_key().unwrap();
    let params = KdfParams { memory_kib: 1024, iterations: 1, lanes: 1 };
    let new = keys.add_kem(&files, b"secret", params).unwrap();
    let own = own_keys(&shared).unwrap();
    let published = AccountKeys {
        number: 2,
        address: address(),
        kem_id: own.kem_id,
        kem_key: if is_published { new.key.clone() } else { old.key.clone() },
        vote_key: own.vote_key,
        link_address: own.link_address,
        origin: own.origin,
    };
    let mut state = Changes::from([
        (places::contract(&CONTRACT), Some(record.encode())),
        (places::definition(&CONTRACT, 1), Some(definition_record().encode())),
        (places::account(&shared.account()), Some(published.encode())),
    ]);
    for (version, is_new, held) in sets {
        let key = if *is_new { new.clone() } else { old.clone() };
        let set = KeySet { version: 1, keys: vec![key.clone(), key], gone: vec![], held: *held };
        state.insert(places::key_set(&CONTRACT, *version), Some(set.encode()));
    }
    let tree = Tree::new(Kv::memory(), b"mediator");
    let prepared = tree.prepare(None, 1, &state).unwrap();
    tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
    let state: MediatorState = Arc::new(paralith_storage::Snapshot::new(tree, Some(1)));
    shared.snapshots.send_replace(Some(Snapshot { height: HEIGHT, state }));
    let stale = rotation::look(&shared).unwrap();
    assert_eq!(keys.kem_key(), Some(new), "the newest key stays");
    (keys.has_old_kem(), stale)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_goes_once_no_key_set_that_serves_or_is_held_has_it() {
    let record = |keys_version, previous_keys_version, keys_height| ContractRecord {
        keys_version,
        previous_keys_version,
        keys_height,
        ..contract_record()
    };
    let (none, this) = (Vec::new(), vec![CONTRACT]);
    let long_ago = HEIGHT - KEYS_BLOCKS - 30;
    // The contract seals to the old key still: it may adopt the new one after its time.
    assert_eq!(rotated(record(1, 0, long_ago), &[(1, false, 0)], true), (true, this));
    assert_eq!(
        rotated(record(1, 0, HEIGHT - KEYS_BLOCKS + 1), &[(1, false, 0)], true),
        (true, none.clone())
    );
    // Adopted: senders may use the set before for a while.
    let sets = [(1, false, 0), (2, true, 0)];
    assert_eq!(rotated(record(2, 1, HEIGHT - KEYS_BLOCKS), &sets, true), (true, none.clone()));
    assert_eq!(rotated(record(2, 1, long_ago), &sets, true), (false, none.clone()));
    // A transaction that was sealed to it has not ended, however old.
    let held = [(1, false, 1), (2, true, 0), (3, true, 0)];
    assert_eq!(rotated(record(3, 2, long_ago), &held, true), (true, none.clone()));
    // The mediator has the old key: nothing goes, and nothing is to be adopted.
    assert_eq!(rotated(record(2, 1, long_ago), &sets, false), (true, none));
}
