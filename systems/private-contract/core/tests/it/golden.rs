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
    "31c4c216df2efdd8a9b393b81fc254581e3ea1763c3c80f4291e11dba7b04c9f",
    "sha256 abbbd86e1b82f267167cb94c0c8e6f7a11e5ff378a633499edea184b17362107",
    "ce1566bff630e276e41b7e796d3186f711275073f5f2ec4f9fb1dc42970ffddd",
    "0a066d6f64756c651208617267756d656e741a20151515151515151515151515151515151515151515151515151515151515151522201616161616161616161616161616161616161616161616161616161616161616",
    "6de3d414e963f967e651cc8285edf0e4d93f9bf2d629bc9034bce9d18044e5f6",
    "4ee0f681280bfdf1c6398e66221fae24dd5bdc8be409d52bf1bea27d1042dfa0",
    "0ecd162fdfe9eb1fa4769d56e904502fc1fe9f0342e3621caf4844117458b14b",
    "3ddd1786eddfb50f2c5fada4cadb304ff33cd389ad3b07c65234f4afd71bc9ff",
    "0809100118042006286430023a200a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a4202012c5801",
    "50eeddc5e15c6f566b4daa9fdc7b9e570b04d4fdb7cc16195ccd93f6e4b29a90",
    "sha256 7c8668a897e3f18d1a68f2324271835439f97bffa979bd7094dd1393ba782594",
    "23c3e2a11a8400a29ae86ad7f77dfb4aee90a030f60a1e411194be673cb5b7be",
    "0a1d0a1b0a15000000000000000000000000000000000000000000120201020a0f120d0a077368697070656412020102",
    "82ce44fcf8bb8dd871125f4fce5fb19f2b536a726662381356927aef7d27761a",
    "6410ad686addbabacb0f95c737d7919e40566b2514177636fc7dce7719b264e9",
    "774925e496ed2f6873c58836fd6c66212b11e6108f39a590cce61d8e0bcf4a9e",
    "cb43371a0c0e7dbc8a00cbab88fdc90db378f784b3f0ce8aa6ad5a9087b10744",
    "sha256 26ba5e9d8b213dc1d7d3b717766d83ef7101f659ef0bb9eccb5dcb276737034c",
    "9570c37a8df095e043ea2a23f466eab31e078565f3990c658790b9cc8b6ebf5c",
    "c443d62f4fc62bd42bac30dcbfe34ce92c9d725838ca62d0e4393f573bda45b1",
    "ce4617a1c6c240738e77f13d9e1f983a9b1661c67083943d3e5ce825a7536eee",
    "sha256 c79f25f0ca8cd87ba88c17478ae1d558385998e3fbf517a791cfff57efcc4a6a",
    "sha256 735ffb23f36fe263f407dac821312b994aba37de09cdccb2ab7818b86fdebd5f",
    "a4aee3e6efb81161dbcb919a1d7307ece3eb7e6cca0a",
    "c1b31c6c9a26706e3a25a82e7e33dc89630b65554b931e175a45e207043bf4db",
    "0b91c3e56162b36b726e9f66d5849d51067cc51152eb3e64b5f9647bb966f38b",
    "sha256 e0470bb0dcc373730deade5cceb940c1ab0444c7ebadea09dd8bf436c0f3a9b6",
    "sha256 86eb4c88b23a0fedf0f260eec5c270ea17ee4b735a0cc83a39df2a5d6a992c52",
    "sha256 3a7b5f18000fd83a1523ee090b16fa77425d4303526a00b20816421639f21dea",
];
