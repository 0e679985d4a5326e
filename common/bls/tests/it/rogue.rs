//! A key that cancels others, and what stops it.

use blst::min_sig::{AggregatePublicKey, PublicKey};
use paralith_bls::{BlsSecret, verify, verify_possession};

use crate::secrets;

/// The key `mine - others`, of which its owner does not know the secret.
fn rogue(mine: &BlsSecret, others: &[[u8; 96]]) -> [u8; 96] {
    let read =
        |key: &[u8; 96]| AggregatePublicKey::from_public_key(&PublicKey::uncompress(key).unwrap());
    let mut key = read(&mine.public());
    for other in others {
        key.sub_aggregate(&read(other));
    }
    key.to_public_key().compress()
}

#[test]
fn a_rogue_key_signs_for_all_where_possession_is_not_checked_and_has_no_proof() {
    let [a, b, mine] = secrets();
    let honest = [a.public(), b.public()];
    let rogue = rogue(&mine, &honest);
    // The attack: one signature by `mine` alone passes as that of all three.
    let forged = mine.sign(b"all the money");
    assert!(verify(&[honest[0], honest[1], rogue], b"all the money", &forged));
    // The defence: nothing that its owner can make proves possession of it.
    let message = [b"member 3, key ".as_slice(), &rogue].concat();
    for proof in
        [mine.prove_possession(&message), a.prove_possession(&message), mine.sign(&message), forged]
    {
        assert!(!verify_possession(&rogue, &message, &proof));
    }
    // What it can make needs a proof by the others over its own message, which they never sign.
    let theirs = a.prove_possession(&message);
    assert!(verify_possession(&a.public(), &message, &theirs));
}

#[test]
fn a_proof_over_a_message_that_names_no_key_can_be_copied() {
    // Why the message must name the key or its owner: the proofs of all honest members over one
    // common message give the rogue key's proof.
    let [a, _, mine] = secrets();
    let rogue = rogue(&mine, &[a.public()]);
    let common = b"I have my secret";
    let mut minus = a.prove_possession(common);
    minus[0] ^= 0x20;
    let copied = paralith_bls::aggregate(&[mine.prove_possession(common), minus]).unwrap();
    assert!(verify_possession(&rogue, common, &copied));
}
