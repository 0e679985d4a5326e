//! Everything that is signed, hashed, sealed or stored has bytes that never change.

use paralith_crypto::SigningKey;
use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::messages::{
    Action, Actions, Canonical, ContentHash, ContractVote, Emit, Package, Pay, Stored, Ticket,
    VoteKey, VoteSignature,
};
use paralith_private_contract_core::sealing::{CallOf, KeySetRef, seal_call};
use paralith_private_contract_core::vote::{
    TxResult, actions_hash, blinding, inputs_hash, vote_hash,
};
use paralith_private_contract_core::{Class, Classes, ids, prf, signed};
use paralith_types::{Address, Amount, Hash, PublicKey};

use crate::fixture::{PLACE, batch, definition, key_set, secrets, verdict};

fn frozen(what: &str, actual: impl AsRef<[u8]>, expected: &str) {
    let actual = hex::encode(actual);
    // Long encodings are frozen by their hash.
    let actual = if actual.len() > 200 {
        format!("sha256 {}", hex::encode(paralith_crypto::sha256(actual.as_bytes())))
    } else {
        actual
    };
    assert_eq!(actual, expected, "{what}");
}

pub(crate) fn actions() -> Actions {
    Actions {
        actions: vec![
            Action::Pay(Pay { to: Address([0; 21]), amount: Amount(258) }),
            Action::Emit(Emit { topic: "shipped".into(), data: vec![1, 2] }),
        ],
    }
}

#[test]
fn ids_and_hashes_are_frozen() {
    let owner = PublicKey([9; 32]);
    let id = ids::contract_id(&PLACE.chain_context, &PLACE.mediator, &owner, 5);
    frozen("contract id", id.0, GOLDEN[0]);
    frozen("definition", definition().encode(), GOLDEN[1]);
    frozen("definition hash", ids::definition_hash(&definition()).0, GOLDEN[2]);
    let package = Package {
        module: b"module".to_vec(),
        init_argument: b"argument".to_vec(),
        derive_secret: Hash([21; 32]),
        group_secret: Hash([22; 32]),
    };
    frozen("package", package.encode(), GOLDEN[3]);
    frozen("package hash", ids::package_hash(&package).0, GOLDEN[4]);
    let possession =
        ids::possession_message(&PLACE.chain_context, &PLACE.mediator, &owner, &VoteKey([23; 96]));
    frozen("possession", possession.0, GOLDEN[5]);
    frozen("change", ids::change_hash(&PLACE, &Hash([24; 32]), true).0, GOLDEN[6]);
    frozen("close", ids::close_hash(&PLACE, 1, 10).0, GOLDEN[7]);
    frozen("batch", batch().encode(), GOLDEN[8]);
    let inputs = inputs_hash(&batch(), &[Hash([25; 32]), Hash([26; 32]), Hash([27; 32])]);
    frozen("inputs", inputs.0, GOLDEN[9]);
    frozen("verdict", verdict().encode(), GOLDEN[10]);
    frozen("vote hash", vote_hash(&PLACE, 1, 9, &inputs, &verdict()).0, GOLDEN[11]);
    frozen("actions", actions().encode(), GOLDEN[12]);
    frozen("actions hash", actions_hash(&actions()).0, GOLDEN[13]);
    let sk = ContentKey::new([28; 32]);
    frozen("blinding", blinding(&sk, 4).0, GOLDEN[14]);
    let leaf = TxResult::of_call(4, Class::Executed, &sk, b"output".to_vec()).leaf();
    frozen("leaf", leaf.0, GOLDEN[15]);
    frozen("empty leaf", TxResult::without_call(4, Class::Missing).leaf().0, GOLDEN[16]);
    let vote = ContractVote {
        contract_id: PLACE.contract_id,
        batch: 9,
        verdict: verdict(),
        actions: actions(),
        index: 2,
        signature: VoteSignature([29; 48]),
    };
    frozen("vote", vote.encode(), GOLDEN[17]);
}

#[test]
fn derived_secrets_are_frozen() {
    let secret = Hash([30; 32]);
    frozen("salt", prf::salt(&secret, 9, b"key"), GOLDEN[18]);
    frozen("seed", prf::random_seed(&secret, &Hash([31; 32])), GOLDEN[19]);
    frozen("key", prf::derive_key(&secret, b"purpose"), GOLDEN[20]);
    assert_eq!(prf::unsalted(&prf::salted(&secret, 9, b"key", b"value")).unwrap().1, b"value");
}

#[test]
fn sealing_is_frozen() {
    let secrets = secrets();
    let keys = key_set(&secrets);
    let of = CallOf { place: PLACE, sender: PublicKey([15; 32]), sender_seq: 7 };
    frozen("content info", of.content_info(), GOLDEN[21]);
    let info = of.wrap_info(2, 1, &ContentHash([32; 32]), &Hash([33; 32]));
    frozen("wrap info", info, GOLDEN[22]);
    let sk = ContentKey::new([28; 32]);
    let keys = KeySetRef { version: 2, set: &keys };
    let sealed = seal_call(&of, keys, &sk, "https://a.example/data/00", b"call").unwrap();
    frozen("content", &sealed.content, GOLDEN[23]);
    frozen("content hash", sealed.content_hash.0, GOLDEN[24]);
    frozen("commitment", sealed.key_commitment.0, GOLDEN[25]);
    frozen("wraps", sealed.wraps.concat(), GOLDEN[26]);
}

#[test]
fn receipts_and_tickets_are_frozen() {
    let stored = Stored {
        contract_id: PLACE.contract_id,
        content_hash: ContentHash([32; 32]),
        sender: PublicKey([15; 32]),
        sender_seq: 7,
        until: 300,
    };
    frozen("stored", signed::signed_bytes(&PLACE.chain_context, &stored), GOLDEN[27]);
    let key = SigningKey::from_seed([34; 32]);
    let signature = signed::sign(&key, &PLACE.chain_context, &stored);
    assert!(signed::is_signed(&key.public(), &PLACE.chain_context, &stored, &signature));
    let ticket = Ticket {
        contract_id: PLACE.contract_id,
        content_hash: ContentHash([32; 32]),
        index: 1,
        expires: 300,
    };
    let signature = signed::sign(&key, &PLACE.chain_context, &ticket);
    let bytes = signed::ticket_bytes(&ticket, &signature);
    frozen("ticket", &bytes, GOLDEN[28]);
    assert_eq!(signed::read_ticket::<Ticket>(&bytes), Some((ticket.clone(), signature)));
    // A receipt is no ticket, a ticket no receipt, and neither is one of another chain.
    assert_eq!(signed::read_ticket::<Stored>(&bytes), None);
    let other = paralith_types::ChainContext([99; 32]);
    assert!(!signed::is_signed(&key.public(), &other, &ticket, &signature));
    let changed = Ticket { expires: 301, ..ticket };
    assert!(!signed::is_signed(&key.public(), &PLACE.chain_context, &changed, &signature));
}

#[test]
fn classes_have_one_form() {
    let all = [Class::Malformed, Class::Missing, Class::Failed, Class::Executed, Class::Failed];
    let classes = Classes(all.to_vec());
    assert_eq!(classes.to_bytes(), [0b11_10_01_00, 0b10]);
    assert_eq!(Classes::from_bytes(&[0b11_10_01_00, 0b10], 5), Some(classes));
    assert_eq!(Classes::from_bytes(&[0b11_10_01_00, 0b110], 5), None, "bits of nobody");
    assert_eq!(Classes::from_bytes(&[0b11_10_01_00], 5), None);
    assert_eq!(Classes::from_bytes(&[0, 0, 0], 5), None);
    assert_eq!(Classes::from_bytes(&[], 0), Some(Classes(vec![])));
}

/// In the order in which they are named above.
const GOLDEN: [&str; 29] = [
    "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
    "", "", "", "", "",
];
