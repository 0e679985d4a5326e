//! The Rust that is generated from the protobuf tree and committed.
//!
//! A build does not generate it, so a `.proto` could change without it. Each generated file says what
//! it was made from. `scripts/check-more.sh` generates all of it anew and compares.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::{holds, root, with_extension};

/// A tree, and where its Rust is.
struct Tree {
    sources: &'static str,
    generated: &'static str,
}

const TREES: [Tree; 3] = [
    Tree { sources: "common/proto/proto", generated: "common/proto/src/generated" },
    Tree {
        sources: "systems/private-contract/grpc/proto",
        generated: "systems/private-contract/grpc/src/generated",
    },
    Tree {
        sources: "systems/chaincode/grpc/proto",
        generated: "systems/chaincode/grpc/src/generated",
    },
];

/// The hash that the generator uses: FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The packages that have a folder with `.proto` files.
fn packages(tree: &Tree) -> BTreeSet<String> {
    let folder = |file: PathBuf| {
        let package = file.strip_prefix(tree.sources).ok()?.parent()?;
        Some(package.display().to_string().replace('/', "."))
    };
    with_extension("proto").into_iter().filter_map(folder).collect()
}

/// The second line of a package's generated file, as it must be.
fn sums(tree: &Tree, package: &str, code: &[u8], descriptors: &[u8]) -> String {
    let folder = PathBuf::from(tree.sources).join(package.replace('.', "/"));
    let mut sources = Vec::new();
    for file in with_extension("proto").into_iter().filter(|file| file.starts_with(&folder)) {
        sources.extend(fs::read(root().join(file)).unwrap());
    }
    let [sources, code, descriptors] = [sources.as_slice(), code, descriptors].map(fnv1a);
    format!("// sources {sources:016x}, code {code:016x}, descriptors {descriptors:016x}")
}

fn offences(tree: &Tree) -> Vec<String> {
    let folder = root().join(tree.generated);
    let mut offences = Vec::new();
    for package in packages(tree) {
        let text = fs::read_to_string(folder.join(format!("{package}.rs"))).unwrap_or_default();
        let descriptors = fs::read(folder.join(format!("{package}.bin"))).unwrap_or_default();
        let mut parts = text.splitn(3, '\n');
        let (_, said) = (parts.next(), parts.next().unwrap_or_default());
        let code = parts.next().unwrap_or_default();
        if said != sums(tree, &package, code.as_bytes(), &descriptors) {
            offences.push(format!("{package}: run `make protos`"));
        }
    }
    let made: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".bin").map(ToString::to_string)
        })
        .collect();
    for package in made.difference(&packages(tree)) {
        offences.push(format!("{package}: the tree has no such package, run `make protos`"));
    }
    assert!(!made.is_empty(), "{} is empty", tree.generated);
    offences
}

#[test]
fn the_generated_rust_is_that_of_the_protobuf_trees() {
    let offences: Vec<String> = TREES.iter().flat_map(offences).collect();
    holds("the generated Rust is that of the protobuf trees", &offences);
}

#[test]
fn the_hash_is_fnv_1a() {
    assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
}
