//! What an auditor verifies with nothing but public roots: a result, an entry of the tree.

use paralith_crypto::merkle::MerkleProof;
use paralith_crypto::seal::{AeadKey, CannotOpen};
use paralith_crypto::wrap::ContentKey;
use paralith_crypto::{Zeroizing, kdf::derive, seal};
use paralith_private_contract_messages::{ContractId, FinalBatch};
use paralith_storage::Proof;
use paralith_types::Hash;

use crate::domains;
use crate::prf::{SALT_BYTES, unsalted};
use crate::vote::TxResult;

/// Whether a batch that ended YES gave this result. The place in the path is compared with the batch's
/// numbers: a root alone does not say how many leaves it has.
#[must_use]
pub fn result_holds(batch: &FinalBatch, result: &TxResult, path: &MerkleProof) -> bool {
    let count = batch.last_seq.checked_sub(batch.first_seq).and_then(|more| more.checked_add(1));
    let place = result.seq.checked_sub(batch.first_seq);
    batch.first_seq != 0
        && count == Some(path.total)
        && place == Some(path.index)
        && path.verify(&batch.results_root, &result.leaf().0)
}

/// A value of a contract's tree, disclosed with its salt. Neighbouring entries stay hidden: a path shows
/// hashes of salted entries only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisclosedEntry {
    /// Its key.
    pub key: Vec<u8>,
    /// Its salt.
    pub salt: [u8; SALT_BYTES],
    /// Its value.
    pub value: Vec<u8>,
}

impl DisclosedEntry {
    /// The entry of what the tree holds under a key.
    #[must_use]
    pub fn new(key: &[u8], held: &[u8]) -> Option<Self> {
        let (salt, value) = unsalted(held)?;
        Some(Self { key: key.to_vec(), salt: *salt, value: value.to_vec() })
    }

    /// Whether the tree with this root holds it.
    #[must_use]
    pub fn holds(&self, root: &Hash, proof: &Proof) -> bool {
        let held = [self.salt.as_slice(), &self.value].concat();
        proof.verify(root, &self.key, Some(&held)).is_ok()
    }
}

/// Seals a transaction's output for its sender.
#[must_use]
pub fn seal_reply(sk: &ContentKey, contract: &ContractId, seq: u64, output: &[u8]) -> Vec<u8> {
    seal::seal(&reply_key(sk), &[0; 12], &reply_place(contract, seq), output)
}

/// Opens what [`seal_reply`] sealed.
pub fn open_reply(
    sk: &ContentKey,
    contract: &ContractId,
    seq: u64,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    seal::open(&reply_key(sk), &[0; 12], &reply_place(contract, seq), sealed)
}

/// A key for one plaintext: a transaction has one output, so the nonce is constant.
fn reply_key(sk: &ContentKey) -> AeadKey {
    derive(sk.as_bytes(), b"", domains::REPLY, &[]).into()
}

fn reply_place(contract: &ContractId, seq: u64) -> Vec<u8> {
    [contract.as_bytes(), &seq.to_be_bytes()].concat()
}
