//! Addresses of CometBFT; the rules of registration are shown from outside.

use paralith_crypto::sha256;
use paralith_types::PublicKey;

#[test]
fn a_comet_address_is_the_first_20_bytes_of_the_keys_sha256() {
    let key = PublicKey([0; 32]);
    // SHA-256 of 32 zero bytes begins so.
    let known = "66687aadf862bd776c8fc18b8e9f8e2008971485";
    let text: String = super::comet_address(&key).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(text, known);
    assert_eq!(super::comet_address(&key), sha256(&[0; 32])[..20]);
}
