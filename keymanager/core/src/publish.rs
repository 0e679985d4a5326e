//! A new secret on its way through consensus to the enclaves of the committee.
//!
//! It is sealed to each enclave's REK as state has it. HPKE's `info` binds a ciphertext to the chain,
//! the key manager, the generation or epoch, and the checksum.

use paralith_consensus_api::keymanager::{Ciphertext, EncryptedEpochSecret, EncryptedMasterSecret};
use paralith_crypto::{Domain, hash, hpke, kdf};
use paralith_types::{ChainContext, Epoch, Hash, RuntimeId, X25519PublicKey};

use crate::epoch::epoch_checksum;
use crate::error::SecretError;
use crate::generation::MasterSecrets;
use crate::message::PendingSecret;
use crate::rek::RecipientKeys;
use crate::secret::Secret;

const MASTER: Domain = Domain::new("paralith/km-publish-master/v1");
const EPOCH: Domain = Domain::new("paralith/km-publish-epoch/v1");
const RANDOMNESS: Domain = Domain::new("paralith/km-publish-randomness/v1");

/// Seals the next generation to the committee's enclaves. `seed` is fresh randomness for the seals.
#[must_use]
pub fn seal_master_secret(
    chain: &ChainContext,
    id: &RuntimeId,
    pending: &PendingSecret,
    checksum: Hash,
    reks: &[X25519PublicKey],
    seed: &Secret,
) -> EncryptedMasterSecret {
    let PendingSecret { generation, epoch, secret } = pending;
    let info = master_info(chain, id, *generation, *epoch, &checksum);
    EncryptedMasterSecret {
        id: *id,
        generation: *generation,
        epoch: *epoch,
        checksum,
        ciphertexts: seal_all(&info, secret, reks, seed),
    }
}

/// Opens a proposed generation, which must follow the ones held, and checks it against its checksum.
pub fn open_master_secret(
    chain: &ChainContext,
    encrypted: &EncryptedMasterSecret,
    reks: &RecipientKeys,
    held: &MasterSecrets,
) -> Result<PendingSecret, SecretError> {
    let EncryptedMasterSecret { id, generation, epoch, checksum, ciphertexts } = encrypted;
    if *generation != held.count() {
        return Err(SecretError::WrongGeneration { expected: held.count(), got: *generation });
    }
    let info = master_info(chain, id, *generation, *epoch, checksum);
    let secret = open_own(&info, ciphertexts, reks)?;
    if held.checksum_with(&secret) != *checksum {
        return Err(SecretError::WrongChecksum);
    }
    Ok(PendingSecret { generation: *generation, epoch: *epoch, secret })
}

/// Seals an epoch's secret to the committee's enclaves. `seed` is fresh randomness for the seals.
#[must_use]
pub fn seal_epoch_secret(
    chain: &ChainContext,
    id: &RuntimeId,
    epoch: Epoch,
    secret: &Secret,
    reks: &[X25519PublicKey],
    seed: &Secret,
) -> EncryptedEpochSecret {
    let checksum = epoch_checksum(id, epoch, secret);
    let info = epoch_info(chain, id, epoch, &checksum);
    let ciphertexts = seal_all(&info, secret, reks, seed);
    EncryptedEpochSecret { id: *id, epoch, checksum, ciphertexts }
}

/// Opens an epoch's secret and checks it against its checksum.
pub fn open_epoch_secret(
    chain: &ChainContext,
    encrypted: &EncryptedEpochSecret,
    reks: &RecipientKeys,
) -> Result<Secret, SecretError> {
    let EncryptedEpochSecret { id, epoch, checksum, ciphertexts } = encrypted;
    let secret = open_own(&epoch_info(chain, id, *epoch, checksum), ciphertexts, reks)?;
    // KM-P3: the members could otherwise get different secrets.
    if epoch_checksum(id, *epoch, &secret) == *checksum {
        Ok(secret)
    } else {
        Err(SecretError::WrongChecksum)
    }
}

/// Sorted by recipient. An enclave whose key keeps no secret gets none and stops nobody else.
fn seal_all(
    info: &Hash,
    secret: &Secret,
    reks: &[X25519PublicKey],
    seed: &Secret,
) -> Vec<Ciphertext> {
    let mut reks = reks.to_vec();
    reks.sort_unstable();
    reks.dedup();
    reks.into_iter()
        .filter_map(|rek| {
            let parts: [&[u8]; 2] = [info.as_bytes(), rek.as_bytes()];
            let randomness = kdf::prf(seed.as_bytes(), RANDOMNESS, &parts);
            // KM-P2: a REK to which nothing can be sealed gets no ciphertext.
            let sealed =
                hpke::seal(&rek, info.as_bytes(), &[], secret.as_bytes(), randomness).ok()?;
            Some(Ciphertext { rek, sealed })
        })
        .collect()
}

/// A ciphertext that does not open stops no other: one may be for each REK that is held.
fn open_own(info: &Hash, all: &[Ciphertext], reks: &RecipientKeys) -> Result<Secret, SecretError> {
    let mut refused = SecretError::NotARecipient;
    for rek in reks.all() {
        for own in all.iter().filter(|one| one.rek == rek.public()) {
            let opened = hpke::open(rek, info.as_bytes(), &[], &own.sealed).ok();
            match opened.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok()) {
                Some(bytes) => return Ok(Secret::new(bytes)),
                None => refused = SecretError::CannotOpen,
            }
        }
    }
    Err(refused)
}

fn master_info(
    chain: &ChainContext,
    id: &RuntimeId,
    generation: u64,
    epoch: Epoch,
    checksum: &Hash,
) -> Hash {
    let (generation, epoch) = (generation.to_be_bytes(), epoch.0.to_be_bytes());
    let place: [&[u8]; 5] =
        [chain.as_bytes(), id.as_bytes(), &generation, &epoch, checksum.as_bytes()];
    hash(MASTER, &place)
}

fn epoch_info(chain: &ChainContext, id: &RuntimeId, epoch: Epoch, checksum: &Hash) -> Hash {
    let epoch = epoch.0.to_be_bytes();
    hash(EPOCH, &[chain.as_bytes(), id.as_bytes(), &epoch, checksum.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KM: RuntimeId = RuntimeId([9; 32]);
    const CHAIN: ChainContext = ChainContext([7; 32]);

    fn rek(n: u8) -> RecipientKeys {
        RecipientKeys::new(&Secret::new([n; 32]))
    }

    fn proposal(reks: &[X25519PublicKey]) -> (MasterSecrets, PendingSecret, EncryptedMasterSecret) {
        let held = MasterSecrets::from_kept(KM, vec![Secret::new([1; 32])]);
        let secret = Secret::new([2; 32]);
        let checksum = held.checksum_with(&secret);
        let pending = PendingSecret { generation: 1, epoch: Epoch(4), secret };
        let encrypted =
            seal_master_secret(&CHAIN, &KM, &pending, checksum, reks, &Secret::new([3; 32]));
        (held, pending, encrypted)
    }

    #[test]
    fn every_recipient_opens_a_proposal_and_nobody_else() {
        let (held, pending, encrypted) =
            proposal(&[rek(2).public(), rek(1).public(), rek(2).public()]);
        assert_eq!(encrypted.ciphertexts.len(), 2);
        assert!(encrypted.ciphertexts.is_sorted_by(|a, b| a.rek < b.rek));
        assert_ne!(encrypted.ciphertexts[0].sealed, encrypted.ciphertexts[1].sealed);
        for n in [1, 2] {
            let opened = open_master_secret(&CHAIN, &encrypted, &rek(n), &held);
            assert_eq!(opened, Ok(pending.clone()));
        }
        let refused = open_master_secret(&CHAIN, &encrypted, &rek(3), &held);
        assert_eq!(refused, Err(SecretError::NotARecipient));
    }

    #[test]
    fn a_key_that_keeps_no_secret_stops_nobody_else() {
        let (held, pending, encrypted) = proposal(&[X25519PublicKey([0; 32]), rek(1).public()]);
        assert_eq!(encrypted.ciphertexts.len(), 1);
        assert_eq!(open_master_secret(&CHAIN, &encrypted, &rek(1), &held), Ok(pending));
    }

    #[test]
    fn a_bad_ciphertext_for_one_key_does_not_hide_a_good_one_for_the_other() {
        let mut reks = rek(1);
        let (held, pending, mut encrypted) = proposal(&[reks.public(), rek(2).public()]);
        reks.advance(Epoch(1), &Secret::new([9; 32]));
        reks.advance(Epoch(2), &Secret::new([2; 32]));
        for broken in [rek(1).public(), rek(2).public()] {
            let mut encrypted = encrypted.clone();
            let spoiled = encrypted.ciphertexts.iter_mut().find(|one| one.rek == broken).unwrap();
            spoiled.sealed = vec![0; 3];
            assert_eq!(open_master_secret(&CHAIN, &encrypted, &reks, &held), Ok(pending.clone()));
        }
        encrypted.ciphertexts.iter_mut().for_each(|one| one.sealed[0] ^= 1);
        let refused = open_master_secret(&CHAIN, &encrypted, &reks, &held);
        assert_eq!(refused, Err(SecretError::CannotOpen));
    }

    #[test]
    fn a_proposal_opens_only_where_it_belongs() {
        let (held, _, encrypted) = proposal(&[rek(1).public()]);
        let open = |encrypted: &EncryptedMasterSecret, held: &MasterSecrets, chain| {
            open_master_secret(&chain, encrypted, &rek(1), held).unwrap_err().code()
        };
        let changed = |change: fn(&mut EncryptedMasterSecret)| {
            let mut changed = encrypted.clone();
            change(&mut changed);
            changed
        };
        for (encrypted, code) in [
            (changed(|e| e.generation = 2), 2),
            (changed(|e| e.epoch = Epoch(5)), 6),
            (changed(|e| e.checksum = Hash([1; 32])), 6),
            (changed(|e| e.id = RuntimeId([8; 32])), 6),
            (changed(|e| e.ciphertexts[0].sealed[40] ^= 1), 6),
        ] {
            assert_eq!(open(&encrypted, &held, CHAIN), code, "{encrypted:?}");
        }
        assert_eq!(open(&encrypted, &held, ChainContext([8; 32])), 6);
        // Sealed well, by an enclave that held another past: the checksum shows it.
        let other = MasterSecrets::from_kept(KM, vec![Secret::new([9; 32])]);
        assert_eq!(open(&encrypted, &other, CHAIN), 1);
    }

    /// Otherwise a publisher could give each member another secret under one checksum.
    #[test]
    fn an_epochs_secret_is_the_one_of_its_checksum() {
        let (reks, seed) = ([rek(1).public()], Secret::new([3; 32]));
        let published = Secret::new([5; 32]);
        let mut encrypted = seal_epoch_secret(&CHAIN, &KM, Epoch(4), &published, &reks, &seed);
        assert_eq!(open_epoch_secret(&CHAIN, &encrypted, &rek(1)), Ok(published));
        let info = epoch_info(&CHAIN, &KM, Epoch(4), &encrypted.checksum);
        encrypted.ciphertexts = seal_all(&info, &Secret::new([6; 32]), &reks, &seed);
        let refused = open_epoch_secret(&CHAIN, &encrypted, &rek(1));
        assert_eq!(refused, Err(SecretError::WrongChecksum));
    }

    #[test]
    fn an_epochs_secret_opens_only_for_its_epoch() {
        let secret = Secret::new([5; 32]);
        let reks = [rek(1).public()];
        let seed = Secret::new([3; 32]);
        let good = seal_epoch_secret(&CHAIN, &KM, Epoch(4), &secret, &reks, &seed);
        assert_eq!(open_epoch_secret(&CHAIN, &good, &rek(1)), Ok(secret));
        let mut other = good.clone();
        other.epoch = Epoch(5);
        assert_eq!(open_epoch_secret(&CHAIN, &other, &rek(1)), Err(SecretError::CannotOpen));
        assert_eq!(open_epoch_secret(&CHAIN, &good, &rek(2)), Err(SecretError::NotARecipient));
    }
}
