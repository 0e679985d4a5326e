//! A final round as its users get it.

use std::collections::BTreeMap;

use paralith_crypto::merkle::MerkleTree;
use paralith_proto::Message as _;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::pb::worker::v1::RoundData;
use paralith_types::Hash;

use crate::finality::tx_hash;

/// A final round with its outputs opened.
#[derive(Debug)]
pub struct FinalRound {
    data: RoundData,
    places: BTreeMap<Hash, usize>,
    tree: MerkleTree,
}

impl FinalRound {
    /// With every receipt at hand.
    pub fn new(data: RoundData) -> Self {
        let place = |(index, leaf): (usize, &ppb::IoLeaf)| tx_hash(leaf).map(|hash| (hash, index));
        let places = data.leaves.iter().enumerate().filter_map(place).collect();
        let leaves: Vec<Vec<u8>> = data.leaves.iter().map(ppb::IoLeaf::encode_to_vec).collect();
        Self { places, tree: MerkleTree::new(&leaves), data }
    }

    /// Whether it has a transaction, opened or not.
    pub fn contains(&self, hash: &Hash) -> bool {
        self.places.contains_key(hash)
    }

    /// Whether its outputs are open.
    pub fn is_open(&self) -> bool {
        self.data.outputs.len() == self.data.leaves.len()
    }

    /// As users get it.
    pub fn public(&self) -> ppb::Round {
        let RoundData { header, leaves, outputs, .. } = &self.data;
        ppb::Round { header: header.clone(), leaves: leaves.clone(), outputs: outputs.clone() }
    }

    /// The final receipt of a transaction, if the round has it: the leaf, its path to the header's
    /// I/O root, and the output it commits to. Until its output is open, there is none.
    pub fn receipt(&self, hash: &Hash) -> Option<ppb::Receipt> {
        let header = self.data.header.clone()?;
        let index = *self.places.get(hash)?;
        let output = self.data.outputs.get(index)?.clone();
        let proof = self.tree.proof(index)?;
        Some(ppb::Receipt {
            tx_hash: hash.as_bytes().to_vec(),
            confirmation: ppb::Confirmation::Final as i32,
            round: header.round,
            header: Some(header),
            leaf: self.data.leaves.get(index).cloned(),
            leaf_index: proof.index,
            leaf_count: proof.total,
            leaf_path: proof.path.iter().map(|hash| hash.as_bytes().to_vec()).collect(),
            output: Some(output),
            ..ppb::Receipt::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use paralith_crypto::merkle::{MerkleProof, merkle_root};
    use paralith_proto::pb::roothash::v1::Header;

    use super::*;

    #[test]
    fn a_round_gives_the_receipt_of_each_of_its_transactions_and_of_no_other() {
        let leaf = |number: u8| ppb::IoLeaf { tx_hash: vec![number; 32], ..Default::default() };
        let output = |number: u8| ppb::OpenedOutput { output: vec![number], ..Default::default() };
        let leaves: Vec<_> = (1..6).map(leaf).collect();
        let encoded: Vec<_> = leaves.iter().map(ppb::IoLeaf::encode_to_vec).collect();
        let round = FinalRound::new(RoundData {
            header: Some(Header { round: 7, ..Default::default() }),
            leaves: leaves.clone(),
            outputs: (1..6).map(output).collect(),
            ..Default::default()
        });
        for number in 1..6_u8 {
            let receipt = round.receipt(&Hash([number; 32])).unwrap();
            let proof = MerkleProof {
                index: receipt.leaf_index,
                total: receipt.leaf_count,
                path: receipt
                    .leaf_path
                    .iter()
                    .map(|hash| Hash::try_from(hash.as_slice()).unwrap())
                    .collect(),
            };
            let place = usize::from(number - 1);
            assert!(proof.verify(&merkle_root(&encoded), &encoded[place]));
            assert_eq!(receipt.leaf.as_ref(), Some(&leaves[place]));
            assert_eq!((receipt.round, receipt.output.unwrap().output), (7, vec![number]));
        }
        assert_eq!(round.receipt(&Hash([6; 32])), None);
        assert!(round.is_open());
    }

    #[test]
    fn the_blocks_own_leaf_is_no_transactions_and_an_unopened_round_gives_no_receipt() {
        let leaf = |number: u8| ppb::IoLeaf { tx_hash: vec![number; 32], ..Default::default() };
        let round = FinalRound::new(RoundData {
            header: Some(Header::default()),
            leaves: vec![leaf(0), leaf(1)],
            ..Default::default()
        });
        assert!(round.contains(&Hash([1; 32])) && !round.contains(&Hash::ZERO));
        assert!(!round.is_open());
        assert_eq!(round.receipt(&Hash([1; 32])), None);
    }
}
