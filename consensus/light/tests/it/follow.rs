use paralith_consensus_light::{LightBlock, LightClient, Trusted, validator_set};
use paralith_types::{Hash, Height};
use proptest::prelude::*;

use crate::chain::{Wanted, client, powers};

const FOUR: [(u8, u64); 4] = [(1, 10), (2, 10), (3, 10), (4, 10)];

#[test]
fn a_chain_is_followed_from_genesis_step_by_step_and_in_leaps() {
    let mut steps = client(&FOUR);
    for height in 1..=12 {
        steps.update(&Wanted::new(height, &FOUR, &[1, 2, 3]).block()).unwrap();
        assert_eq!(steps.height(), Height(height));
        assert_eq!(steps.app_hash_at(), Some((Height(height - 1), Hash([height as u8; 32]))));
    }
    let mut leap = client(&FOUR);
    leap.update(&Wanted::new(12, &FOUR, &[1, 2, 3]).block()).unwrap();
    assert_eq!(leap.trusted(), steps.trusted());
    // The same block again is no news; another of its height is a fork; earlier ones are refused.
    leap.update(&Wanted::new(12, &FOUR, &[2, 3, 4]).block()).unwrap();
    let other = Wanted { app_hash: Hash([9; 32]), ..Wanted::new(12, &FOUR, &[1, 2, 3]) };
    assert_eq!(leap.update(&other.block()).unwrap_err().code(), 8);
    let earlier = Wanted::new(11, &FOUR, &[1, 2, 3]).block();
    assert_eq!(leap.update(&earlier).unwrap_err().code(), 4);
}

#[test]
fn two_thirds_are_too_few_and_one_more_is_enough() {
    let three = [(1, 10), (2, 10), (3, 10)];
    for (height, signers, code) in [
        (1, &[1][..], Some(3)),
        (1, &[1, 2], Some(3)),
        (1, &[1, 2, 3], None),
        (1, &[], Some(3)),
        (7, &[1], Some(2)),
        (7, &[1, 2], Some(2)),
        (7, &[1, 2, 3], None),
    ] {
        let result = client(&three).update(&Wanted::new(height, &three, signers).block());
        assert_eq!(result.err().map(|e| e.code()), code, "height {height}, signed by {signers:?}");
    }
}

#[test]
fn validators_change_step_by_step_but_not_all_at_once() {
    let old = [(1, 10), (2, 10), (3, 10)];
    let new = [(4, 10), (5, 10), (6, 10)];
    let change = Wanted { next: &new, ..Wanted::new(5, &old, &[1, 2, 3]) }.block();
    let after = Wanted::new(6, &new, &[4, 5, 6]).block();

    let mut honest = client(&old);
    honest.update(&change).unwrap();
    honest.update(&after).unwrap();
    honest.update(&Wanted::new(9, &new, &[4, 5, 6]).block()).unwrap();

    // Whoever leaps over the change has nobody's word for the new ones.
    assert_eq!(client(&old).update(&after).unwrap_err().code(), 2);
    // Nor do they become validators because they say so at the next height.
    let mut client = client(&old);
    client.update(&Wanted::new(5, &old, &[1, 2, 3]).block()).unwrap();
    assert_eq!(client.update(&after).unwrap_err().code(), 3);
    assert_eq!(client.height(), Height(5), "a refused block changes nothing");
}

#[test]
fn the_first_block_is_the_genesis_validators() {
    let strangers = [(7, 10), (8, 10), (9, 10)];
    let first = Wanted::new(1, &strangers, &[7, 8, 9]).block();
    assert_eq!(client(&FOUR).update(&first).unwrap_err().code(), 3);
}

#[test]
fn another_chain_is_another_chain() {
    let other = "test-9999999999999999999999999999999999999999";
    let block = Wanted { chain_id: other, ..Wanted::new(1, &FOUR, &[1, 2, 3, 4]) }.block();
    assert_eq!(client(&FOUR).update(&block).unwrap_err().code(), 1);
}

#[test]
fn a_header_with_another_headers_commit_is_refused() {
    let honest = Wanted::new(3, &FOUR, &[1, 2, 3, 4]).signed();
    let mut header = honest.header.clone();
    header.app_hash = vec![7; 32].try_into().unwrap();
    let set = validator_set(&powers(&FOUR)).unwrap();
    // The commit still names the honest header.
    let forged =
        tendermint::block::signed_header::SignedHeader::new(header.clone(), honest.commit.clone());
    let block = LightBlock::new(forged.unwrap(), &set, &set).unwrap();
    assert_eq!(client(&FOUR).update(&block).unwrap_err().code(), 3);
    // The commit names the forged header, but nobody signed that.
    let mut commit = honest.commit;
    commit.block_id.hash = header.hash();
    let forged = tendermint::block::signed_header::SignedHeader::new(header, commit).unwrap();
    let block = LightBlock::new(forged, &set, &set).unwrap();
    assert_eq!(client(&FOUR).update(&block).unwrap_err().code(), 3);
}

#[test]
fn validator_sets_that_the_header_does_not_name_are_refused() {
    let signed = Wanted::new(1, &FOUR, &[1, 2, 3, 4]).signed();
    let four = validator_set(&powers(&FOUR)).unwrap();
    let more = validator_set(&powers(&[(1, 11), (2, 10), (3, 10), (4, 10)])).unwrap();
    for (validators, next) in [(&more, &four), (&four, &more)] {
        let block = LightBlock::new(signed.clone(), validators, next).unwrap();
        assert_eq!(client(&FOUR).update(&block).unwrap_err().code(), 3);
    }
}

#[test]
fn a_set_is_not_empty_not_doubled_and_not_too_powerful() {
    for bad in [vec![], vec![(1, 1), (1, 1)], vec![(1, 0)], vec![(1, u64::MAX / 2)]] {
        let code = LightClient::from_genesis("x", Height(1), &powers(&bad)).unwrap_err().code();
        assert_eq!(code, 7, "{bad:?}");
    }
}

#[test]
fn what_was_trusted_can_be_sealed_and_opened() {
    let mut client = client(&FOUR);
    client.update(&Wanted::new(5, &FOUR, &[1, 2, 3, 4]).block()).unwrap();
    let bytes = client.trusted().encode();
    let mut again = LightClient::from_trusted(Trusted::decode(&bytes).unwrap());
    assert_eq!(again.trusted(), client.trusted());
    assert_eq!(again.app_hash_at(), client.app_hash_at());
    again.update(&Wanted::new(9, &FOUR, &[1, 2, 4]).block()).unwrap();
    assert_eq!(Trusted::decode(&[&bytes[..], &[0x40, 1]].concat()).unwrap_err().code(), 6);
}

#[test]
fn encodings_are_frozen() {
    let block = Wanted::new(1, &[(1, 10)], &[1]).block();
    let digest = |bytes: &[u8]| Hash(paralith_crypto::hash::sha256(bytes)).to_string();
    let mut client = client(&[(1, 10)]);
    client.update(&block).unwrap();
    let found = [
        block.header_hash().to_string(),
        digest(&block.encode()),
        digest(&client.trusted().encode()),
    ];
    assert_eq!(found, FROZEN);
}

const FROZEN: [&str; 3] = [
    "12188c046c0cfecda06526997e880b597118f3f735507f01254195f672344ac8",
    "46f13ceae818c06906b3c9d29041925c18f05c688aaf8cbdc632127d56d5aee8",
    "56fefecf43700dddcf03f75c8f03158d4d07b9411d8b113628e4f417d4644c5f",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_flipped_bit_is_never_believed(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let one = [(1, 10), (2, 1)];
        let good = Wanted::new(3, &one, &[1, 2]).block();
        let mut bytes = good.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut client = client(&one);
        if let Ok(block) = LightBlock::decode(&bytes)
            && client.update(&block).is_ok()
        {
            // Only what the signatures do not cover may differ: which of them came along.
            prop_assert_eq!(block.header_hash(), good.header_hash());
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = LightBlock::decode(&bytes);
        let _ = Trusted::decode(&bytes);
    }
}
