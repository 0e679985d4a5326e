//! The vectors of docs/protocol/proofs.md, frozen: what an independent client has to verify.
//!
//! They name no application, so that only a change of an encoding or of a rule changes them. The
//! Python client in docs/examples checks the same file. Names stand in alphabetical order: `serde_json`
//! sorts them or keeps the order, depending on a feature of the build.

use std::path::Path;

use paralith_consensus_api::scheduler::{ValidatorCandidate, Validators, elect_validators};
use paralith_consensus_api::{address, beacon, scheduler};
use paralith_consensus_engine::headers::{
    ConsensusKey, HeaderInput, block_id, consensus_hash, sign,
};
use paralith_consensus_light::{LightBlock, LightClient, LightError, validator_set};
use paralith_crypto::hash::{Domain, hash};
use paralith_crypto::merkle::{merkle_proof, merkle_root};
use paralith_storage::{Changes, Durability, EMPTY_ROOT, Kv, Proof, Tree, WriteBatch};
use paralith_types::{Amount, Epoch, Hash, Height, PublicKey};
use serde_json::{Value, json};
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{Commit, CommitSig, Header, Round};
use tendermint::validator::{Info, Set};
use tendermint::{Time, chain};

use crate::network::key;

/// The stake of the entities, whose keys follow from their place here.
const STAKES: [u128; 5] = [6400, 4800, 4800, 1600, 1600];

const STATE: [(&str, &str); 5] =
    [("alpha", "1"), ("beta", "2"), ("delta", ""), ("epsilon", "5"), ("gamma", "3")];

#[test]
fn the_vectors_of_the_documentation_are_what_this_program_makes_and_verifies() {
    let vectors = Value::Array(
        [path_vectors(), state_vectors(), vec![validators_vector()], header_vectors()].concat(),
    );
    let made = format!("{vectors:#}\n");
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol/proofs.json");
    if std::fs::read_to_string(&committed).unwrap_or_default() != made {
        let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join("proofs.json");
        std::fs::write(&written, made).unwrap();
        panic!("{} differs from {}", committed.display(), written.display());
    }
}

fn path_vectors() -> Vec<Value> {
    let five: Vec<Vec<u8>> = (0..5).map(|n| format!("leaf {n}").into_bytes()).collect();
    let vector = |name: &str, leaves: &[Vec<u8>], index: usize| {
        let (root, proof) = (merkle_root(leaves), merkle_proof(leaves, index).unwrap());
        assert!(proof.verify(&root, &leaves[index]));
        let path: Vec<String> = proof.path.iter().map(Hash::to_string).collect();
        json!({
            "index": index, "kind": "path", "leaf": hex::encode(&leaves[index]), "name": name,
            "path": path, "root": root.to_string(), "total": leaves.len(),
        })
    };
    vec![
        vector("the path of the last of five leaves, which rises alone", &five, 4),
        vector("the path of the third of five leaves", &five, 2),
    ]
}

fn tree() -> Tree {
    let tree = Tree::new(Kv::memory(), b"vectors");
    let bytes = |text: &str| text.as_bytes().to_vec();
    let pairs = STATE.iter().map(|(key, value)| (bytes(key), Some(bytes(value))));
    let prepared = tree.prepare(None, 1, &pairs.collect::<Changes>()).unwrap();
    tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
    tree
}

fn state_vectors() -> Vec<Value> {
    let tree = tree();
    let root = tree.root(1).unwrap().unwrap();
    let vector = |name: &str, root: Hash, key: &[u8], value: Option<Vec<u8>>, proof: &Proof| {
        proof.verify(&root, key, value.as_deref()).unwrap();
        json!({
            "key": hex::encode(key), "kind": "state", "name": name,
            "proof": hex::encode(proof.to_bytes()), "root": root.to_string(),
            "value": value.map(hex::encode),
        })
    };
    // The first absent key whose way ends at nothing (0), and at another key's leaf (2).
    let absent = |kind: u8| {
        let keys = (0..).map(|n| format!("absent {n}").into_bytes());
        let mut proven = keys.map(|key| (tree.prove(1, &key).unwrap().1, key));
        proven.find(|(proof, _)| proof.to_bytes()[0] == kind).unwrap()
    };
    let (present, of_present) = tree.prove(1, b"epsilon").unwrap();
    let ((of_nothing, nothing), (of_other, other)) = (absent(0), absent(2));
    let empty = Proof::from_bytes(&[0, 0, 0]).unwrap();
    vec![
        vector("a key with a value", root, b"epsilon", present, &of_present),
        vector("no value: the key's way ends at nothing", root, &nothing, None, &of_nothing),
        vector("no value: the key's way ends at another key", root, &other, None, &of_other),
        vector("no value: the tree is empty", EMPTY_ROOT, b"alpha", None, &empty),
    ]
}

/// The parts of a genesis document that headers are verified from.
fn document() -> String {
    let entity = |n: usize| key(50 + u8::try_from(n).unwrap()).public();
    let escrows: Vec<Value> = (0..STAKES.len())
        .map(|n| {
            let account = address::of_key(&entity(n)).to_string();
            json!({ "amount": STAKES[n].to_string(), "escrow": account, "owner": account })
        })
        .collect();
    let nodes: Vec<Value> = candidates()
        .iter()
        .map(|node| {
            json!({ "node": {
                "consensus_key": node.consensus_key, "entity_id": node.entity_id,
                "id": node.node_id, "roles": 8,
            }})
        })
        .collect();
    let params = json!({
        "beacon": {
            "epoch_blocks": 100, "first_epoch_blocks": 80, "first_epochs": 2,
            "insecure_seed": Hash([7; 32]),
        },
        "scheduler": { "max_validators": 4, "max_validators_per_entity": 1, "min_validators": 1 },
        "staking": { "debonding_epochs": 10 },
    });
    let genesis =
        json!({ "escrows": escrows, "initial_height": 1, "nodes": nodes, "params": params });
    format!("{:#}\n", json!({ "chain_name": "vectors", "genesis": genesis }))
}

/// Six nodes: entity 0 has two, of which one is elected. The last two entities have the same stake,
/// and there is a place for one of them.
fn candidates() -> Vec<ValidatorCandidate> {
    [(0, 0), (0, 5), (1, 1), (2, 2), (3, 3), (4, 4)]
        .into_iter()
        .map(|(entity, node): (u8, u8)| ValidatorCandidate {
            consensus_key: consensus_key(node).public(),
            node_id: key(150 + node).public(),
            entity_id: key(50 + entity).public(),
            stake: Amount(STAKES[usize::from(entity)]),
        })
        .collect()
}

fn consensus_key(node: u8) -> ConsensusKey {
    ConsensusKey::from_seed(*key(100 + node).seed())
}

fn elected() -> Vec<(PublicKey, u64)> {
    let beacon = beacon::Params {
        epoch_blocks: 100,
        insecure_seed: Some(Hash([7; 32])),
        first_epochs: 2,
        first_epoch_blocks: 80,
    };
    let params =
        scheduler::Params { min_validators: 1, max_validators: 4, max_validators_per_entity: 1 };
    let entropy = beacon.insecure_entropy(Epoch(0)).unwrap();
    let Validators { validators } = elect_validators(&params, &entropy, &candidates());
    validators.into_iter().map(|v| (v.consensus_key, v.power)).collect()
}

fn shown(set: &Set) -> Vec<Value> {
    let of =
        |v: &Info| json!({ "key": hex::encode(v.pub_key.to_bytes()), "power": v.power.value() });
    set.validators().iter().map(of).collect()
}

fn validators_vector() -> Value {
    let set = validator_set(&elected()).unwrap();
    assert_eq!(set.validators().len(), 4);
    json!({
        "document": document(), "hash": hex::encode(set.hash().as_bytes()), "kind": "validators",
        "name": "the first validators of a genesis document", "validators": shown(&set),
    })
}

/// Makes headers on top of each other.
struct Headers {
    chain_id: chain::Id,
    root: Hash,
}

impl Headers {
    fn header(&self, height: u64, sets: (&Set, &Set), last: Option<&SignedHeader>) -> Header {
        let seconds = 1_700_000_000 + i64::try_from(height).unwrap();
        HeaderInput {
            chain_id: self.chain_id.clone(),
            height: height.try_into().unwrap(),
            time: Time::from_unix_timestamp(seconds, 5_000_000).unwrap(),
            last: last.map(|signed| (signed.commit.block_id, &signed.commit)),
            txs: &[b"a transaction".to_vec()],
            last_results: &[],
            validators: sets.0,
            next_validators: sets.1,
            consensus_hash: consensus_hash(1 << 20, -1),
            app_hash: self.root.as_bytes().to_vec().try_into().unwrap(),
            app_version: 1,
            proposer: sets.0.validators()[0].address,
        }
        .header()
    }
}

/// A commit in round 1 in which the last validator is absent.
fn in_round_one(header: Header, set: &Set, keys: &[ConsensusKey]) -> SignedHeader {
    let (id, round) = (block_id(&header), Round::try_from(1_u32).unwrap());
    let mut signatures: Vec<CommitSig> = set
        .validators()
        .iter()
        .map(|validator| {
            let key = keys.iter().find(|key| key.address() == validator.address).unwrap();
            key.precommit(&header.chain_id, header.height, round, id, header.time).unwrap()
        })
        .collect();
    *signatures.last_mut().unwrap() = CommitSig::BlockIdFlagAbsent;
    let commit = Commit { height: header.height, round, block_id: id, signatures };
    SignedHeader::new(header, commit).unwrap()
}

fn header_vectors() -> Vec<Value> {
    let document = document();
    let context = hash(Domain::new("paralith/genesis/v1"), &[document.as_bytes()]);
    let digits: String = context.to_string().chars().take(40).collect();
    let chain_id: chain::Id = format!("vectors-{digits}").parse().unwrap();
    let headers = Headers { chain_id, root: tree().root(1).unwrap().unwrap() };

    let first = elected();
    let set = |members: &[(PublicKey, u64)]| validator_set(members).unwrap();
    let keys: Vec<ConsensusKey> = (0..8).map(consensus_key).collect();
    // The weakest leaves and a stranger comes; then strangers only.
    let weakest = *first.iter().min_by_key(|(_, power)| *power).unwrap();
    let mut changed: Vec<_> = first.iter().copied().filter(|one| *one != weakest).collect();
    changed.push((consensus_key(6).public(), 90));
    let strangers = [(consensus_key(6).public(), 900), (consensus_key(7).public(), 100)];
    let (first_set, changed, strangers) = (set(&first), set(&changed), set(&strangers));

    let one = sign(headers.header(1, (&first_set, &first_set), None), &first_set, &keys).unwrap();
    let two = headers.header(2, (&first_set, &first_set), Some(&one));
    let two = in_round_one(two, &first_set, &keys);
    let far = headers.header(300, (&changed, &strangers), Some(&two));
    let far = sign(far, &changed, &keys).unwrap();
    let farther = headers.header(302, (&strangers, &strangers), Some(&far));
    let farther = sign(farther, &strangers, &keys).unwrap();

    let blocks = [
        ("the first header, by the validators of genesis", one, &first_set, &first_set, true),
        ("the next header, of round 1, without one vote", two, &first_set, &first_set, true),
        ("a step over 298 headers to other validators", far, &changed, &strangers, true),
        ("a step with too few of the trusted validators", farther, &strangers, &strangers, false),
    ];
    let mut client =
        LightClient::from_genesis(headers.chain_id.as_str(), Height(1), &first).unwrap();
    let mut vectors = Vec::new();
    for (name, signed, validators, next, trusted) in blocks {
        // Both far headers are steps from the second one.
        let mut reader = client.clone();
        let block = LightBlock::new(signed, validators, next).unwrap();
        match reader.update(&block) {
            Ok(()) => assert!(trusted, "{name}"),
            Err(error) => {
                assert!(!trusted && matches!(error, LightError::NotEnoughTrust { .. }), "{error}");
            }
        }
        vectors.push(json!({
            "after": client.height().0, "app_hash": headers.root.to_string(),
            "hash": block.header_hash().to_string(), "height": block.height().0,
            "kind": "header", "light_block": hex::encode(block.encode()), "name": name,
            "trusted": trusted,
        }));
        if block.height() <= Height(2) {
            client = reader;
        }
    }
    vectors
}
