//! The tree's hash function: SHA-256 in the Jellyfish Merkle tree's three uses, and the keys'.

use sha2::{Digest, Sha256};

use paralith_types::Hash;

/// The root of a tree without keys, and the hash of every empty place in a tree.
pub const EMPTY_ROOT: Hash = Hash(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// Where a user key's leaf is: the bits of this hash, first bit first.
pub(crate) fn key_hash(key: &[u8]) -> Hash {
    hash(&[KEY_DOMAIN, key])
}

/// What a leaf says about its value. Bare, because the leaf's hash adds the domain.
pub(crate) fn value_hash(value: &[u8]) -> Hash {
    hash(&[value])
}

pub(crate) fn leaf_hash(key_hash: &Hash, value_hash: &Hash) -> Hash {
    hash(&[b"JMT::LeafNode", &key_hash.0, &value_hash.0])
}

pub(crate) fn inner_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[b"JMT::IntrnalNode", &left.0, &right.0])
}

/// The bit that decides at `depth` whether a key lies left (0) or right (1).
pub(crate) fn bit(key_hash: &Hash, depth: usize) -> bool {
    key_hash.0.get(depth / 8).is_some_and(|byte| (byte >> (7 - depth % 8)) & 1 == 1)
}

/// The four bits that decide in the page at `depth` (counted in pages) which slot a key is in.
pub(crate) fn nibble(key_hash: &Hash, depth: usize) -> usize {
    let byte = key_hash.0.get(depth / 2).copied().unwrap_or(0);
    usize::from(if depth.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// How many leading bits two keys share.
pub(crate) fn common_bits(a: &Hash, b: &Hash) -> usize {
    (0..256).take_while(|depth| bit(a, *depth) == bit(b, *depth)).count()
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

const KEY_DOMAIN: &[u8] = b"paralith/state-key/1\0";
