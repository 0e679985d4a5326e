//! Final rounds that are shared by all who wait for a transaction in them: fetched and checked
//! once, with every receipt at hand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use paralith_crypto::merkle::MerkleTree;
use paralith_proto::Message as _;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::pb::worker::v1::RoundData;
use paralith_types::{Hash, Round, RuntimeId};
use tokio::sync::OnceCell;

/// How many rounds are kept, of all ParaTimes: who waits is at most a few rounds behind.
const KEPT: usize = 16;

/// A final round with its outputs opened.
#[derive(Debug)]
pub(super) struct FinalRound {
    data: RoundData,
    places: BTreeMap<Hash, usize>,
    tree: MerkleTree,
}

impl FinalRound {
    pub(super) fn new(data: RoundData) -> Self {
        let place = |(index, leaf): (usize, &ppb::IoLeaf)| {
            Hash::try_from(leaf.tx_hash.as_slice()).ok().map(|hash| (hash, index))
        };
        let places = data.leaves.iter().enumerate().filter_map(place).collect();
        let leaves: Vec<Vec<u8>> = data.leaves.iter().map(ppb::IoLeaf::encode_to_vec).collect();
        Self { places, tree: MerkleTree::new(&leaves), data }
    }

    /// As users get it.
    pub(super) fn public(&self) -> ppb::Round {
        let RoundData { header, leaves, outputs, .. } = &self.data;
        ppb::Round { header: header.clone(), leaves: leaves.clone(), outputs: outputs.clone() }
    }

    /// The final receipt of a transaction, if the round has it.
    pub(super) fn receipt(&self, hash: &Hash) -> Option<ppb::Receipt> {
        let header = self.data.header.clone()?;
        let index = *self.places.get(hash)?;
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
            output: self.data.outputs.get(index).cloned(),
            ..ppb::Receipt::default()
        })
    }
}

type Place = Arc<OnceCell<Arc<FinalRound>>>;

/// The newest rounds that somebody asked for.
#[derive(Debug, Default)]
pub(super) struct FinalRounds {
    kept: Mutex<VecDeque<((RuntimeId, Round), Place)>>,
}

impl FinalRounds {
    /// The place of a round: whoever finds it empty fills it, while others wait for that.
    pub(super) fn place(&self, id: &RuntimeId, round: Round) -> Place {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, place)) = kept.iter().find(|(of, _)| *of == (*id, round)) {
            return Arc::clone(place);
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        let place = Place::default();
        kept.push_back(((*id, round), Arc::clone(&place)));
        place
    }
}

#[cfg(test)]
mod tests {
    use paralith_crypto::merkle::{MerkleProof, merkle_root};
    use paralith_proto::pb::roothash::v1::Header;

    use super::*;

    const ID: RuntimeId = RuntimeId([1; 32]);

    #[test]
    fn a_round_gives_the_receipt_of_each_of_its_transactions_and_of_no_other() {
        let leaf = |number: u8| ppb::IoLeaf { tx_hash: vec![number; 32], ..Default::default() };
        let output = |number: u8| ppb::OpenedOutput { output: vec![number], ..Default::default() };
        let leaves: Vec<_> = (0..5).map(leaf).collect();
        let encoded: Vec<_> = leaves.iter().map(ppb::IoLeaf::encode_to_vec).collect();
        let round = FinalRound::new(RoundData {
            header: Some(Header { round: 7, ..Default::default() }),
            leaves: leaves.clone(),
            outputs: (0..5).map(output).collect(),
            ..Default::default()
        });
        for number in 0..5 {
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
            let number = usize::from(number);
            assert!(proof.verify(&merkle_root(&encoded), &encoded[number]));
            assert_eq!(receipt.leaf.as_ref(), Some(&leaves[number]));
            assert_eq!((receipt.round, receipt.output.unwrap().output), (7, vec![number as u8]));
        }
        assert_eq!(round.receipt(&Hash([5; 32])), None);
    }

    #[tokio::test]
    async fn a_round_is_fetched_once_and_anew_where_that_failed() {
        let rounds = FinalRounds::default();
        let failed = rounds.place(&ID, Round(1)).get_or_try_init(async || Err(())).await.is_err();
        assert!(failed);
        let found = || async { Ok::<_, ()>(Arc::new(FinalRound::new(RoundData::default()))) };
        let first = Arc::clone(rounds.place(&ID, Round(1)).get_or_try_init(found).await.unwrap());
        let again = rounds.place(&ID, Round(1));
        assert!(Arc::ptr_eq(again.get().unwrap(), &first));
        for round in 2..2 + KEPT as u64 {
            rounds.place(&ID, Round(round));
        }
        assert!(rounds.place(&ID, Round(1)).get().is_none(), "the oldest goes first");
    }
}
