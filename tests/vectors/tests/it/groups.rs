//! Sums of points and keys recovered from signatures, against Python's integers.

use paralith_crypto::groups::{Group, combine, recover};

use crate::{are_computed_again, array, bytes, vectors};

#[test]
fn sums_and_recovered_keys_are_those_of_python() {
    let vectors = vectors("groups");
    let (mut some, mut none) = (0, 0);
    for sums in vectors["sums"].as_array().unwrap() {
        let group = match sums["function"].as_u64().unwrap() {
            49 => Group::Secp256k1,
            50 => Group::Ed25519,
            function => panic!("no sums by function {function}"),
        };
        for case in sums["cases"].as_array().unwrap() {
            let got = combine(group, &bytes(case, "input"));
            assert_eq!(got.clone().map(hex::encode).as_deref(), case["result"].as_str(), "{case}");
            if got.is_some() { some += 1 } else { none += 1 }
        }
    }
    assert_eq!((some, none), (19, 27));
    for case in vectors["recoveries"].as_array().unwrap() {
        let odd = case["odd"].as_bool().unwrap();
        let got = recover(&array(case, "digest"), &array(case, "signature"), odd);
        assert_eq!(got.map(hex::encode).as_deref(), case["key"].as_str(), "{case}");
    }
}

#[test]
fn the_vectors_of_groups_are_computed_again_in_python() {
    are_computed_again("the_vectors_of_groups_are_computed_again_in_python", "groups");
}
