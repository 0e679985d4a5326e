//! Key files.

use paralith_crypto::keystore::KdfParams;
use paralith_private_contract_core::ids::possession_message;
use paralith_private_contract_stakeholder::{KeyFileError, Keys};
use paralith_storage::Files;

use crate::model::PLACE;

/// The least that the format allows: these files protect nothing.
const PARAMS: KdfParams = KdfParams { memory_kib: 1024, iterations: 1, lanes: 1 };

#[test]
fn keys_come_back_with_their_password_and_older_kem_keys_can_be_erased() {
    let files = Files::memory();
    let keys = Keys::create(&files, b"secret", PARAMS).unwrap();
    let first = keys.kem_key().unwrap();
    keys.add_kem(&files, b"secret", PARAMS).unwrap();
    assert_ne!(keys.kem_key().unwrap(), first);
    let again = Keys::open(&files, b"secret").unwrap();
    assert_eq!((again.account(), again.vote_key()), (keys.account(), keys.vote_key()));
    assert_eq!(again.kem_key(), keys.kem_key());
    assert!(matches!(Keys::open(&files, b"other"), Err(KeyFileError::Key { .. })));
    assert!(matches!(Keys::create(&files, b"secret", PARAMS), Err(KeyFileError::Exists { .. })));
    let (clone, second) = (keys.clone(), keys.kem_key().unwrap());
    keys.add_kem(&files, b"secret", PARAMS).unwrap();
    assert_eq!(keys.erase_kem(&files, |key| *key == first || *key == second).unwrap(), 0);
    assert_eq!(keys.erase_kem(&files, |key| *key == second).unwrap(), 1);
    assert_eq!(files.list().unwrap(), ["account.json", "kem-2.json", "kem-3.json", "vote.json"]);
    // The newest one stays, whatever is needed. Clones have no more than their original.
    assert_eq!(clone.erase_kem(&files, |_| false).unwrap(), 1);
    assert!(!keys.has_old_kem() && !clone.has_old_kem());
    assert_eq!(files.list().unwrap(), ["account.json", "kem-3.json", "vote.json"]);
    assert_eq!(Keys::open(&files, b"secret").unwrap().kem_key(), keys.kem_key());
}

#[test]
fn published_keys_prove_their_possession() {
    let keys = crate::world::keys_of(1);
    let set = keys.set_keys(&PLACE.chain_context, &PLACE.mediator, "a:1", "").unwrap();
    let message =
        possession_message(&PLACE.chain_context, &PLACE.mediator, &keys.account(), &set.vote_key);
    assert!(paralith_bls::verify_possession(&set.vote_key.0, &message.0, &set.possession.0));
}
