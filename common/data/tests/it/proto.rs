//! The messages written by hand are those of the `.proto` file, which is part of the specification.

use std::path::Path;

/// Message, type, field, number. The golden tests show that the Rust types have these.
const FIELDS: &[(&str, &str, &str, u32)] = &[
    ("Ticket", "uint32", "version", 1),
    ("Ticket", "uint32", "action", 2),
    ("Ticket", "bytes", "scope", 3),
    ("Ticket", "bytes", "content_hash", 4),
    ("Ticket", "uint64", "length", 5),
    ("Ticket", "uint64", "expires", 6),
    ("Ticket", "bytes", "signer", 7),
    ("Ticket", "bytes", "credential", 8),
    ("Record", "uint64", "length", 1),
    ("Record", "repeated Hold", "holds", 2),
    ("Hold", "bytes", "scope", 1),
    ("Hold", "bytes", "holder", 2),
    ("Hold", "uint64", "until", 3),
];

#[test]
fn the_proto_file_has_the_fields_of_the_rust_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/paralith/data/v1/types.proto");
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
