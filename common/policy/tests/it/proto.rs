//! The messages written by hand are those of the `.proto` file, which is part of the specification.

use std::path::Path;

/// Message, field, number, type as in descriptors (4 u64, 9 string, 11 message, 12 bytes, 13 u32),
/// whether it is repeated.
const FIELDS: &[(&str, &str, i32, i32, bool)] = &[
    ("Policy", "member", 1, 13, false),
    ("Policy", "at_least", 2, 11, false),
    ("AtLeast", "weight", 1, 4, false),
    ("AtLeast", "of", 2, 11, true),
    ("Weighted", "weight", 1, 13, false),
    ("Weighted", "policy", 2, 11, false),
    ("Certificate", "version", 1, 13, false),
    ("Certificate", "issuer", 2, 12, false),
    ("Certificate", "subject", 3, 12, false),
    ("Certificate", "scope", 4, 12, false),
    ("Certificate", "attributes", 5, 9, false),
    ("Certificate", "serial", 6, 4, false),
    ("Certificate", "not_before", 7, 4, false),
    ("Certificate", "not_after", 8, 4, false),
    ("Certificate", "signature", 9, 12, false),
];

/// The golden tests show that the Rust types have these numbers and types.
#[test]
fn the_proto_file_has_the_fields_of_the_rust_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let set = protox::compile(["paralith/policy/v1/types.proto"], [folder]).unwrap();
    let mut found = Vec::new();
    for file in &set.file {
        assert_eq!(file.package(), "paralith.policy.v1");
        for message in &file.message_type {
            for field in &message.field {
                let (number, label) = (field.number(), field.label() as i32);
                let name = (message.name().to_string(), field.name().to_string());
                found.push((name.0, name.1, number, field.r#type() as i32, label == 3));
            }
        }
    }
    let expected: Vec<_> = FIELDS
        .iter()
        .map(|(message, field, number, kind, repeated)| {
            (message.to_string(), field.to_string(), *number, *kind, *repeated)
        })
        .collect();
    assert_eq!(found, expected);
}
