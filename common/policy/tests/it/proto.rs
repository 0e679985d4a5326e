//! The messages written by hand are those of the `.proto` file, which is part of the specification.

use std::path::Path;

/// Message, type, field, number.
const FIELDS: &[(&str, &str, &str, u32)] = &[
    ("Policy", "uint32", "member", 1),
    ("Policy", "AtLeast", "at_least", 2),
    ("AtLeast", "uint64", "weight", 1),
    ("AtLeast", "repeated Weighted", "of", 2),
    ("Weighted", "uint32", "weight", 1),
    ("Weighted", "Policy", "policy", 2),
    ("Certificate", "uint32", "version", 1),
    ("Certificate", "bytes", "issuer", 2),
    ("Certificate", "bytes", "subject", 3),
    ("Certificate", "bytes", "scope", 4),
    ("Certificate", "string", "attributes", 5),
    ("Certificate", "uint64", "serial", 6),
    ("Certificate", "uint64", "not_before", 7),
    ("Certificate", "uint64", "not_after", 8),
    ("Certificate", "bytes", "signature", 9),
];

/// The golden tests show that the Rust types have these numbers and types.
#[test]
fn the_proto_file_has_the_fields_of_the_rust_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/paralith/policy/v1/types.proto");
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let (mut message, mut found) = (String::new(), Vec::new());
    for line in lines {
        if let Some(name) = line.strip_prefix("message ") {
            message = name.trim_end_matches(" {").to_string();
        } else if let Some((field, number)) = line.trim_end_matches(';').split_once(" = ")
            && let Some((kind, name)) = field.rsplit_once(' ')
        {
            let number: u32 = number.parse().unwrap();
            found.push((message.clone(), kind.to_string(), name.to_string(), number));
        }
    }
    let expected: Vec<_> = FIELDS
        .iter()
        .map(|(message, kind, name, number)| {
            (message.to_string(), kind.to_string(), name.to_string(), *number)
        })
        .collect();
    assert_eq!(found, expected);
}
