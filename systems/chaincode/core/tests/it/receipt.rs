use paralith_chaincode_core::ReceiptError;
use paralith_chaincode_core::hashes::{endorse, response_hash};
use paralith_chaincode_core::messages::state::{
    Committed, committed_key, enclave_key, runtime_key,
};
use paralith_chaincode_core::messages::{
    Message, Proven, ProvenEnclave, Receipt, Response, Version,
};
use paralith_chaincode_core::receipt::{Verified, verify_from};
use paralith_chaincode_core::respond::Accesses;
use paralith_consensus_api::roothash::{Header, HeaderType, keys};
use paralith_consensus_engine::headers::{ConsensusKey, HeaderInput, consensus_hash, sign};
use paralith_consensus_light::{LightBlock, LightClient, validator_set};
use paralith_proto::Canonical;
use paralith_runtime_api::output::Output;
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::*;
use tendermint::Time;

use crate::client::respond;
use crate::lab::*;

const CHAIN_ID: &str = "test-0123456789012345678901234567890123456789";
const ROUND: u64 = 40;
const PINNED: u64 = 512;
const PROVEN: u64 = 520;

fn validator() -> ConsensusKey {
    ConsensusKey::from_seed([1; 32])
}

/// A block at this height, whose header carries this root.
fn block(height: u64, root: Hash) -> Vec<u8> {
    let set = validator_set(&[(validator().public(), 10)]).unwrap();
    let header = HeaderInput {
        chain_id: CHAIN_ID.parse().unwrap(),
        height: height.try_into().unwrap(),
        time: Time::from_unix_timestamp(1_700_000_000 + height as i64, 5).unwrap(),
        last: None,
        txs: &[],
        last_results: &[],
        validators: &set,
        next_validators: &set,
        consensus_hash: consensus_hash(4_194_304, -1),
        app_hash: root.as_bytes().to_vec().try_into().unwrap(),
        app_version: 1,
        proposer: validator().address(),
    }
    .header();
    let signed = sign(header, &set, &[validator()]).unwrap();
    LightBlock::new(signed, &set, &set).unwrap().encode()
}

struct State(Tree, Hash);

impl State {
    fn new(pairs: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let tree = Tree::new(Kv::memory(), b"state");
        let changes: Changes = pairs.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect();
        let prepared = tree.prepare(None, 1, &changes).unwrap();
        let root = prepared.root();
        tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
        Self(tree, root)
    }

    fn proven(&self, key: &[u8]) -> Proven {
        let (value, proof) = self.0.prove(1, key).unwrap();
        Proven { value: value.unwrap(), proof: proof.to_bytes() }
    }
}

fn header(state_root: Hash) -> Header {
    Header {
        version: 1,
        runtime_id: LEDGER,
        round: Round(ROUND),
        timestamp: 1,
        header_type: HeaderType::Normal,
        previous_hash: Hash([1; 32]),
        io_root: Hash([2; 32]),
        state_root,
        messages_hash: Hash([3; 32]),
        in_messages_hash: Hash([4; 32]),
        consensus_height: Height(PINNED),
        batch_hash: Hash([5; 32]),
        proposal_id: Hash([6; 32]),
    }
}

/// What a test changes about the world before the receipt is made.
struct World {
    descriptor: Vec<u8>,
    enclaves: Vec<(usize, Vec<u8>)>,
    header: fn(&mut Header),
    change: fn(&mut Response),
}

fn world() -> World {
    World {
        descriptor: descriptor(&terms()).encode(),
        enclaves: (0..2).map(|n| (n, enclave(n).encode())).collect(),
        header: |_| {},
        change: |_| {},
    }
}

fn receipt(world: &World) -> Receipt {
    let proposed = proposed(&client(), target(), call("bid"));
    let (response, opened) = respond(&proposed, Accesses::default());
    let mut response = Response::decode(&response).unwrap();
    (world.change)(&mut response);
    let tx_id = response.tx_id;
    let response = response.encode();
    let record = Committed {
        version: Version { round: ROUND, position: 0 },
        application: APPLICATION,
        response: response_hash(&response),
    };
    let ledger = State::new(&[(committed_key(&tx_id), record.to_bytes()), (vec![1], vec![2])]);
    let mut header = header(ledger.1);
    (world.header)(&mut header);
    let header_key = keys::header(&LEDGER, Round(ROUND));
    let mut pinned = vec![(runtime_key(&APPLICATION), world.descriptor.clone())];
    for (organisation, record) in &world.enclaves {
        let key = enclave_key(&APPLICATION, &rak(*organisation).public());
        pinned.push((key, record.clone()));
    }
    let pinned = State::new(&pinned);
    let newest = State::new(&[(header_key.clone(), header.encode()), (vec![1], vec![2])]);
    let record = |organisation: usize| {
        let rak = rak(organisation).public();
        ProvenEnclave { rak, record: pinned.proven(&enclave_key(&APPLICATION, &rak)) }
    };
    let raks: Vec<usize> = world.enclaves.iter().map(|(organisation, _)| *organisation).collect();
    Receipt {
        version: 1,
        blocks: vec![
            block(300, Hash([7; 32])),
            block(PINNED + 1, pinned.1),
            block(PROVEN + 1, newest.1),
        ],
        header_height: Height(PROVEN),
        enclaves: raks.iter().map(|organisation| record(*organisation)).collect(),
        endorsements: raks.iter().map(|n| endorse(&rak(*n), &CHAIN, &response)).collect(),
        response,
        reply_key: Some(*proposed.reply_key),
        proposal: Some(proposed.signed),
        header: newest.proven(&header_key),
        committed: ledger.proven(&committed_key(&tx_id)),
        descriptor: pinned.proven(&runtime_key(&APPLICATION)),
        opened,
    }
}

fn verify(receipt: &Receipt) -> Result<Verified, ReceiptError> {
    let light =
        LightClient::from_genesis(CHAIN_ID, Height(1), &[(validator().public(), 10)]).unwrap();
    verify_from(light, &CHAIN, receipt)
}

#[test]
fn a_receipt_proves_who_called_who_endorsed_and_what_came_of_it() {
    let receipt = receipt(&world());
    let verified = verify(&Receipt::decode(&receipt.encode()).unwrap()).unwrap();
    let organisations: Vec<PublicKey> =
        organisations().iter().take(2).map(|key| key.public()).collect();
    assert_eq!(verified.organisations, organisations);
    assert_eq!((verified.round, verified.pinned), (Round(ROUND), Height(PINNED)));
    assert_eq!(verified.client, Some(client().public()));
    assert_eq!(verified.output, Some(Output::Ok(b"secret".to_vec())));
    // Without the reply key it shows that the call was committed, and not what it gave.
    let shown = verify(&Receipt { reply_key: None, proposal: None, ..receipt }).unwrap();
    assert_eq!((shown.client, shown.output), (None, None));
}

/// Which field each byte of an encoded message belongs to, its tag and length included.
fn fields(bytes: &[u8]) -> Vec<u32> {
    let varint = |at: &mut usize| {
        let mut value = 0_u64;
        for shift in 0.. {
            let byte = bytes[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte < 0x80 {
                break;
            }
        }
        value
    };
    let (mut fields, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let tag = varint(&mut at);
        let length = varint(&mut at);
        // Numbers have no bytes after what was read.
        at += if tag & 7 == 2 { length as usize } else { 0 };
        fields.resize(at, (tag >> 3) as u32);
    }
    fields
}

/// t15
#[test]
fn every_changed_byte_of_a_receipt_fails_and_the_error_says_where() {
    let bytes = receipt(&world()).encode();
    let fields = fields(&bytes);
    let mut found = std::collections::BTreeMap::<u32, std::collections::BTreeSet<u32>>::new();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let code = match Receipt::decode(&changed) {
            Ok(receipt) => verify(&receipt).expect_err(&format!("byte {at}")).code(),
            Err(_) => 1,
        };
        found.entry(fields[at]).or_default().insert(code);
    }
    // Each field, the code of its part, and others that a changed byte may be found out by: the form, or
    // what is looked up by it.
    for (field, own, others) in [
        (1, 1, &[][..]),
        (2, 2, &[1, 3]),
        (3, 3, &[1]),
        (4, 4, &[1]),
        (5, 5, &[1, 4]),
        (6, 6, &[1]),
        (7, 7, &[1, 9]),
        (8, 5, &[1, 4, 8]),
        (9, 9, &[1]),
        (10, 10, &[1]),
        (11, 10, &[1]),
        (12, 11, &[1]),
    ] {
        let mut codes = found.remove(&field).unwrap();
        assert!(codes.remove(&own), "field {field} is found out by {codes:?}");
        codes.retain(|code| !others.contains(code));
        assert!(codes.is_empty(), "field {field} is found out by {codes:?}, too");
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_false_part_is_named() {
    let code = |world: &World, change: &dyn Fn(&mut Receipt)| {
        let mut receipt = receipt(world);
        change(&mut receipt);
        verify(&receipt).unwrap_err().code()
    };
    let w = world();
    assert_eq!(code(&w, &|r| r.version = 2), 1);
    assert_eq!(code(&w, &|r| r.blocks.swap(0, 1)), 2);
    assert_eq!(code(&w, &|r| r.blocks[0] = block(300, Hash([7; 32]))[1..].to_vec()), 2);
    assert_eq!(code(&w, &|r| drop(r.blocks.remove(1))), 3);
    assert_eq!(code(&w, &|r| drop(r.blocks.pop())), 3);
    assert_eq!(code(&w, &|r| r.header.proof = r.descriptor.proof.clone()), 4);
    assert_eq!(
        code(&World { header: |h| h.header_type = HeaderType::RoundFailed, ..world() }, &|_| {}),
        4
    );
    assert_eq!(code(&World { header: |h| h.state_root = Hash([9; 32]), ..world() }, &|_| {}), 5);
    assert_eq!(code(&w, &|r| r.descriptor.value[40] ^= 1), 6);
    let sequence =
        paralith_consensus_api::registry::Runtime { sequence: 5, ..descriptor(&terms()) };
    assert_eq!(code(&World { descriptor: sequence.encode(), ..world() }, &|_| {}), 6);
    assert_eq!(code(&w, &|r| r.enclaves[0].record.value[5] ^= 1), 7);
    assert_eq!(code(&World { change: |r| r.valid_until = Height(PINNED), ..world() }, &|_| {}), 8);
    assert_eq!(code(&World { header: |h| h.consensus_height = Height(9), ..world() }, &|_| {}), 3);
    assert_eq!(code(&w, &|r| r.endorsements[0].signature.0[0] ^= 1), 9);
    assert_eq!(code(&w, &|r| r.endorsements.truncate(1)), 9);
    assert_eq!(code(&w, &|r| r.enclaves.swap(0, 1)), 9);
    assert_eq!(code(&w, &|r| r.opened.blinding = Hash([9; 32])), 10);
    assert_eq!(code(&w, &|r| r.reply_key = Some([9; 32])), 10);
    let other = proposed(&key(51), target(), call("bid")).signed;
    assert_eq!(code(&w, &|r| r.proposal = Some(other.clone())), 11);
}

#[test]
fn a_receipt_of_too_few_organisations_or_of_enclaves_that_do_not_count_proves_nothing() {
    let code = |enclaves: Vec<(usize, Vec<u8>)>| {
        verify(&receipt(&World { enclaves, ..world() })).unwrap_err().code()
    };
    assert_eq!(code(vec![(0, enclave(0).encode())]), 9);
    // Two enclaves of one organisation.
    assert_eq!(code(vec![(0, enclave(0).encode()), (1, enclave(0).encode())]), 9);
    let mut expired = enclave(1);
    expired.expires_height = Height(PINNED);
    assert_eq!(code(vec![(0, enclave(0).encode()), (1, expired.encode())]), 9);
    let mut foreign = enclave(1);
    foreign.entity_id = key(9).public();
    assert_eq!(code(vec![(0, enclave(0).encode()), (1, foreign.encode())]), 9);
}

#[test]
fn a_fork_signed_by_others_proves_nothing() {
    let receipt = receipt(&world());
    let other = ConsensusKey::from_seed([2; 32]).public();
    let light = LightClient::from_genesis(CHAIN_ID, Height(1), &[(other, 10)]).unwrap();
    assert_eq!(verify_from(light, &CHAIN, &receipt).unwrap_err().code(), 2);
}
