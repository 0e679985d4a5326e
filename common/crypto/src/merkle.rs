//! A commitment to a list, with short proofs that something is in it: the tree of RFC 6962.
//!
//! A leaf is hashed as `SHA-256(0x00 || leaf)`, a node as `SHA-256(0x01 || left || right)`; the left
//! subtree of `n` leaves holds the largest power of two smaller than `n`. The two prefixes keep a
//! node from being passed off as a leaf. The empty list has the root `hash("paralith/merkle-empty")`,
//! which no leaf can give and which is not [`Hash::ZERO`] either.
//!
//! A root does not commit to how many leaves it covers: a proof's `index` and `total` are claims.
//! Who draws a conclusion from the position takes `total` from a trusted place and compares it.

use paralith_types::Hash;
use sha2::{Digest, Sha256};

use crate::hash::{Domain, hash};

const EMPTY: Domain = Domain::new("paralith/merkle-empty");

/// No tree is deeper: a path is never longer than an index has bits.
pub const MAX_DEPTH: usize = 64;

/// Shows that a leaf is in the list with a certain root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerkleProof {
    /// The leaf's position in the list, from 0.
    pub index: u64,
    /// How many leaves the list has.
    pub total: u64,
    /// The siblings on the way from the leaf to the root.
    pub path: Vec<Hash>,
}

/// The whole tree over a list, for who needs many proofs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerkleTree {
    /// The leaves' hashes, then each level above. A last node without a sibling rises unchanged.
    levels: Vec<Vec<Hash>>,
}

impl MerkleTree {
    /// The tree over a list of byte strings.
    pub fn new(leaves: &[impl AsRef<[u8]>]) -> Self {
        let mut levels = Vec::new();
        let mut level = leaf_hashes(leaves);
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => node_hash(left, right),
                [only] => *only,
                _ => Hash::ZERO,
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(|| hash(EMPTY, &[]))
    }

    /// The proof for the leaf at `index`; `None` when there is no such leaf.
    pub fn proof(&self, index: usize) -> Option<MerkleProof> {
        let total = self.levels.first().map_or(0, Vec::len);
        if index >= total {
            return None;
        }
        let sibling =
            |(depth, level): (usize, &Vec<Hash>)| level.get((index >> depth) ^ 1).copied();
        let path = self.levels.iter().enumerate().filter_map(sibling).collect();
        Some(MerkleProof { index: index as u64, total: total as u64, path })
    }
}

/// The root of a list of byte strings.
pub fn merkle_root(leaves: &[impl AsRef<[u8]>]) -> Hash {
    MerkleTree::new(leaves).root()
}

/// The proof for the leaf at `index`; `None` when there is no such leaf.
pub fn merkle_proof(leaves: &[impl AsRef<[u8]>], index: usize) -> Option<MerkleProof> {
    MerkleTree::new(leaves).proof(index)
}

impl MerkleProof {
    /// Whether this proves that `leaf` is at `index` of the list of `total` leaves with this root.
    ///
    /// The path has exactly the length that `index` and `total` demand; at most [`MAX_DEPTH`]
    /// hashes are computed, whatever came.
    #[must_use]
    pub fn verify(&self, root: &Hash, leaf: &[u8]) -> bool {
        if self.index >= self.total || self.path.len() > MAX_DEPTH {
            return false;
        }
        // `at` is the position within the level, `last` the position of the level's last node.
        let (mut at, mut last) = (self.index, self.total - 1);
        let mut node = leaf_hash(leaf);
        for sibling in &self.path {
            if last == 0 {
                return false;
            }
            if at % 2 == 1 || at == last {
                node = node_hash(sibling, &node);
                // A last node without a sibling rises unchanged until it has one on its left.
                while at % 2 == 0 && at != 0 {
                    at /= 2;
                    last /= 2;
                }
            } else {
                node = node_hash(&node, sibling);
            }
            at /= 2;
            last /= 2;
        }
        last == 0 && node == *root
    }
}

fn leaf_hashes(leaves: &[impl AsRef<[u8]>]) -> Vec<Hash> {
    leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect()
}

fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The leaves and roots of Certificate Transparency's reference tests for RFC 6962.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn numbered(total: usize) -> Vec<[u8; 8]> {
        (0..total as u64).map(u64::to_be_bytes).collect()
    }

    #[test]
    fn the_roots_are_those_of_certificate_transparency() {
        let leaves: Vec<Vec<u8>> = LEAVES.iter().map(|leaf| hex::decode(leaf).unwrap()).collect();
        for (index, root) in ROOTS.iter().enumerate() {
            assert_eq!(merkle_root(&leaves[..=index]).to_string(), *root, "{} leaves", index + 1);
        }
    }

    #[test]
    fn the_empty_list_has_a_root_of_its_own() {
        let none: [&[u8]; 0] = [];
        let root = merkle_root(&none);
        assert_eq!(root, hash(EMPTY, &[]));
        assert_ne!(root, Hash::ZERO);
        assert_ne!(root, merkle_root(&[b""]));
        assert_eq!(merkle_proof(&none, 0), None);
        let forged = MerkleProof { index: 0, total: 0, path: vec![] };
        assert!(!forged.verify(&root, b""));
    }

    #[test]
    fn every_leaf_of_every_small_list_is_proven_and_no_other_place_is() {
        for total in 1..=34 {
            let leaves = numbered(total);
            let root = merkle_root(&leaves);
            for index in 0..total {
                let proof = merkle_proof(&leaves, index).unwrap();
                assert!(proof.verify(&root, &leaves[index]), "{index} of {total}");
                for other in (0..total).filter(|other| *other != index) {
                    assert!(!proof.verify(&root, &leaves[other]));
                    let moved = MerkleProof { index: other as u64, ..proof.clone() };
                    assert!(!moved.verify(&root, &leaves[index]));
                }
            }
            assert_eq!(merkle_proof(&leaves, total), None);
        }
    }

    #[test]
    fn a_node_is_not_a_leaf() {
        let leaves = numbered(2);
        let node = [leaf_hash(&leaves[0]).0, leaf_hash(&leaves[1]).0].concat();
        assert_ne!(merkle_root(&[node]), merkle_root(&leaves));
    }

    #[test]
    fn absurd_positions_are_refused() {
        let (root, leaf) = (merkle_root(&[b"x"]), b"x");
        for (index, total, len) in [
            (0, 1, 1),
            (1, 1, 0),
            (0, 2, 0),
            (u64::MAX, u64::MAX, 64),
            (u64::MAX - 1, u64::MAX, 64),
            (0, u64::MAX, 64),
            (0, u64::MAX, 65),
            (0, 1, 1 << 16),
        ] {
            let proof = MerkleProof { index, total, path: vec![Hash::ZERO; len] };
            assert!(!proof.verify(&root, leaf), "{index} of {total}, path of {len}");
        }
    }

    proptest! {
        #[test]
        fn any_change_breaks_the_proof(
            leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..200),
            pick: prop::sample::Index,
            bit: prop::sample::Index,
        ) {
            let index = pick.index(leaves.len());
            let root = merkle_root(&leaves);
            let proof = merkle_proof(&leaves, index).unwrap();
            prop_assert!(proof.verify(&root, &leaves[index]));

            let mut longer = proof.clone();
            longer.path.push(Hash::ZERO);
            prop_assert!(!longer.verify(&root, &leaves[index]));
            if !proof.path.is_empty() {
                let mut shorter = proof.clone();
                shorter.path.pop();
                prop_assert!(!shorter.verify(&root, &leaves[index]));

                let at = bit.index(proof.path.len() * 256);
                let mut flipped = proof.clone();
                flipped.path[at / 256].0[at % 256 / 8] ^= 1 << (at % 8);
                prop_assert!(!flipped.verify(&root, &leaves[index]));
            }
            let mut other = leaves[index].clone();
            other.push(0);
            prop_assert!(!proof.verify(&root, &other));
        }
    }
}
