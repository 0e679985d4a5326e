//! The `.proto` files, which are part of the specification, have the fields of the Rust types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use paralith_private_contract_messages::{
    Action, Actions, Canonical, ContractId, Fund, Pay, Revealed, VoteKey,
};
use paralith_types::{Address, Amount};

const FILES: [&str; 4] = ["calls", "protocol", "state", "events"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Message, type, field, number, as the Rust source gives them to `prost`.
fn of_rust(text: &str) -> Vec<[String; 4]> {
    let (mut message, mut found) = (String::new(), Vec::new());
    let joined = text.replace("\n            as ", " as ").replace("\n            ", " ");
    for line in joined.lines().map(str::trim) {
        let name = line.strip_suffix(" {").filter(|name| name.chars().all(char::is_alphanumeric));
        if let Some(name) = name {
            message = name.to_string();
        }
        let kind = line.split(' ').next().unwrap_or_default();
        if !["value", "nested", "foreign"].contains(&kind) {
            continue;
        }
        let (field, rest) = line[kind.len()..].trim().split_once(':').unwrap();
        let (_, rest) = rest.split_once(" as ").unwrap();
        let (pb, attributes) = rest.split_once(", (").unwrap();
        let number = attributes.split('"').rev().nth(1).unwrap();
        let inner = pb.trim_end_matches('>').rsplit(['<', ':']).next().unwrap();
        let is = |word: &str| attributes.split(", ").any(|attribute| attribute == word);
        let mut proto = attributes.split([',', ' ', '=']).next().unwrap().to_string();
        if proto == "message" {
            proto = inner.strip_suffix("Pb").unwrap_or(inner).to_string();
        }
        if is("repeated") {
            proto = format!("repeated {proto}");
        } else if is("optional") && attributes.starts_with("bytes") {
            proto = format!("optional {proto}");
        }
        found.push([message.clone(), proto, field.to_string(), number.to_string()]);
    }
    found
}

fn of_proto(text: &str) -> Vec<[String; 4]> {
    let (mut message, mut found) = (String::new(), Vec::new());
    for line in text.lines().map(|line| line.split("//").next().unwrap_or_default().trim()) {
        if let Some(name) = line.strip_prefix("message ") {
            message = name.trim_end_matches(" {").to_string();
        } else if let Some((field, number)) = line.trim_end_matches(';').split_once(" = ")
            && let Some((kind, name)) = field.rsplit_once(' ')
        {
            let kind = kind.rsplit('.').next().unwrap();
            found.push([message.clone(), kind.into(), name.into(), number.into()]);
        }
    }
    found
}

#[test]
fn the_proto_files_have_the_fields_of_the_rust_types() {
    let mut count = 0;
    for name in FILES {
        let rust = std::fs::read_to_string(file(&format!("src/{name}.rs"))).unwrap();
        let proto = file(&format!("proto/paralith/contract/v1/{name}.proto"));
        let proto = std::fs::read_to_string(proto).unwrap();
        let (rust, mut proto) = (of_rust(&rust), of_proto(&proto));
        // A `oneof` of the file is an enum of the Rust type, frozen below.
        proto.retain(|[message, ..]| message != "Action");
        assert_eq!(proto, rust, "{name}");
        count += rust.len();
    }
    assert!(count > 180, "only {count} fields were found");
}

#[test]
fn an_action_is_one_of_two_and_has_one_encoding() {
    let pay = Action::Pay(Pay { to: Address([0; 21]), amount: Amount(258) });
    let bytes = Actions { actions: vec![pay] }.encode();
    assert_eq!(hex::encode(&bytes), format!("0a1d0a1b0a15{}12020102", "00".repeat(21)));
    assert!(Actions::decode(&bytes, 100).is_ok());
    for other in ["0a00", "0a040a001200", "0a021a00"] {
        assert!(Actions::decode(&hex::decode(other).unwrap(), 100).is_err(), "{other}");
    }
}

#[test]
fn what_is_not_canonical_or_of_another_length_is_refused() {
    let fund = Fund { contract_id: ContractId([7; 32]), tag: 0, amount: Amount(1) };
    let bytes = fund.encode();
    assert_eq!(hex::encode(&bytes), format!("0a20{}1a0101", "07".repeat(32)));
    assert_eq!(Fund::decode(&bytes, 100), Ok(fund));
    assert!(Fund::decode(&bytes, bytes.len() - 1).is_err());
    for bad in [
        [bytes.as_slice(), &[0x10, 0]].concat(),
        [&[0x10, 0], bytes.as_slice()].concat(),
        [&bytes[..34], &[0x1a, 2, 0, 1]].concat(),
        [&[0x0a, 31], &bytes[3..]].concat(),
        bytes[34..].to_vec(),
    ] {
        assert!(Fund::decode(&bad, 100).is_err(), "{bad:?}");
    }
    assert_eq!(format!("{:?}", ContractId([0xab; 32])), format!("ContractId({})", "ab".repeat(32)));
    assert!(VoteKey::try_from(&[0; 95][..]).is_err() && Revealed::try_from(&[0; 32][..]).is_ok());
}
