//! What an enclave of an application is, kept between two runs.
//!
//! ```text
//! key    = HKDF(sealing key: "paralith/host-identity-key/v1", chain, application, measurement, code)
//! sealed = nonce, 12 bytes || AES-256-GCM-SIV(key, nonce, aad: "paralith/host-identity/v1" || chain
//!          || application || measurement || code, Identity)
//! ```
//!
//! `Identity` is the message of `host/v1/boundary.proto`. A host can show an older seal. It holds keys
//! and a header that was verified, and no state: an enclave that starts from an older one follows the
//! chain and learns there whether it is still the node's.

use std::fmt;

use paralith_attest::Measurement;
use paralith_crypto::{AeadKey, Domain, HpkeSecret, SigningKey, Zeroizing, kdf, seal};
use paralith_proto::Message as _;
use paralith_proto::pb::host::v1 as pb;
use paralith_types::{ChainContext, CodeId, RuntimeId};

use crate::{SealingKey, TeeError};

const VERSION: u32 = 1;
const KEY: Domain = Domain::new("paralith/host-identity-key/v1");
const AAD: &[u8] = b"paralith/host-identity/v1";
const NONCE_LEN: usize = 12;

/// What a sealed identity is bound to: with another one of these the enclave is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityOf {
    /// The chain.
    pub chain: ChainContext,
    /// The application.
    pub application: RuntimeId,
    /// The enclave's code.
    pub measurement: Measurement,
    /// The module that it executes; of a native application, none: 32 zero bytes stand for it.
    pub code: Option<CodeId>,
}

impl IdentityOf {
    fn code(&self) -> CodeId {
        self.code.unwrap_or(CodeId([0; 32]))
    }
}

/// The keys of an enclave, and how far it has followed the chain. `Debug` shows no secret.
pub struct Identity {
    /// Signs what the enclave says.
    pub rak: SigningKey,
    /// Receives what is sealed to the enclave by name.
    pub rek: HpkeSecret,
    /// The newest verified header, encoded.
    pub header: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.rak.public())
    }
}

impl Identity {
    /// Seals. The nonce is fresh.
    #[must_use]
    pub fn seal(&self, key: &SealingKey, to: &IdentityOf, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut message = pb::Identity {
            version: VERSION,
            rak_seed: self.rak.seed().to_vec(),
            rek_secret: self.rek.bytes().to_vec(),
            header: self.header.clone(),
        };
        let plaintext = Zeroizing::new(message.encode_to_vec());
        wipe(&mut message);
        let sealed = seal::seal(&aead_key(key, to), &nonce, &aad(to), &plaintext);
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Identity::seal`] gave under the same key for the same enclave.
    pub fn open(key: &SealingKey, to: &IdentityOf, sealed: &[u8]) -> Result<Self, TeeError> {
        let cannot = || TeeError::CannotUnseal;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(cannot)?;
        // EN-20: no other code, application or chain gets these keys.
        let plaintext =
            seal::open(&aead_key(key, to), nonce, &aad(to), sealed).map_err(|_| cannot())?;
        let mut message = pb::Identity::decode(plaintext.as_slice()).map_err(|_| cannot())?;
        let opened = Self::of(&message);
        wipe(&mut message);
        opened.ok_or_else(cannot)
    }

    fn of(message: &pb::Identity) -> Option<Self> {
        let seed = Zeroizing::new(<[u8; 32]>::try_from(message.rak_seed.as_slice()).ok()?);
        let secret = Zeroizing::new(<[u8; 32]>::try_from(message.rek_secret.as_slice()).ok()?);
        (message.version == VERSION).then(|| Self {
            rak: SigningKey::from_seed(*seed),
            rek: HpkeSecret::from_bytes(*secret),
            header: message.header.clone(),
        })
    }
}

/// The message's copies of the secrets.
fn wipe(message: &mut pb::Identity) {
    drop(Zeroizing::new(std::mem::take(&mut message.rak_seed)));
    drop(Zeroizing::new(std::mem::take(&mut message.rek_secret)));
}

fn aead_key(key: &SealingKey, to: &IdentityOf) -> AeadKey {
    let code = to.code();
    let parts: [&[u8]; 4] = [
        to.chain.as_bytes(),
        to.application.as_bytes(),
        to.measurement.as_bytes(),
        code.as_bytes(),
    ];
    kdf::derive(key.bytes(), &[], KEY, &parts).into()
}

/// Every part has a fixed length.
fn aad(to: &IdentityOf) -> Vec<u8> {
    let code = to.code();
    let parts: [&[u8]; 5] = [
        AAD,
        to.chain.as_bytes(),
        to.application.as_bytes(),
        to.measurement.as_bytes(),
        code.as_bytes(),
    ];
    parts.concat()
}

#[cfg(test)]
mod tests {
    use paralith_types::Hash;

    use super::*;

    fn of() -> IdentityOf {
        IdentityOf {
            chain: ChainContext([1; 32]),
            application: RuntimeId([2; 32]),
            measurement: Measurement(Hash([3; 32])),
            code: Some(CodeId([4; 32])),
        }
    }

    fn key(n: u8) -> SealingKey {
        SealingKey::new(Zeroizing::new([n; 32]))
    }

    fn identity() -> Identity {
        Identity {
            rak: SigningKey::from_seed([7; 32]),
            rek: HpkeSecret::from_bytes([8; 32]),
            header: b"header".to_vec(),
        }
    }

    /// Made again with Python's `hmac` (HKDF by hand) and the AES-GCM-SIV of its `cryptography`.
    #[test]
    fn the_sealed_identity_is_frozen_and_opens_to_the_same_keys() {
        let sealed = identity().seal(&key(5), &of(), [6; 12]);
        assert_eq!(hex::encode(&sealed), GOLDEN);
        let opened = Identity::open(&key(5), &of(), &sealed).unwrap();
        assert_eq!(opened.rak.public(), identity().rak.public());
        assert_eq!(opened.rek.public(), identity().rek.public());
        assert_eq!(opened.header, b"header");
        assert!(!format!("{opened:?}").contains(&hex::encode([7; 32])));
    }

    #[test]
    fn another_chain_application_measurement_code_or_machine_does_not_open_it() {
        let sealed = identity().seal(&key(5), &of(), [6; 12]);
        let refused = |key: &SealingKey, to: &IdentityOf| {
            Identity::open(key, to, &sealed).map(|_| ()) == Err(TeeError::CannotUnseal)
        };
        let others: [fn(&mut IdentityOf); 5] = [
            |to| to.chain = ChainContext([9; 32]),
            |to| to.application = RuntimeId([9; 32]),
            |to| to.measurement = Measurement(Hash([9; 32])),
            |to| to.code = Some(CodeId([9; 32])),
            |to| to.code = None,
        ];
        for change in others {
            let mut other = of();
            change(&mut other);
            assert!(refused(&key(5), &other), "{other:?}");
        }
        assert!(refused(&key(6), &of()));
    }

    #[test]
    fn a_changed_or_shortened_identity_does_not_open() {
        let sealed = identity().seal(&key(5), &of(), [6; 12]);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(Identity::open(&key(5), &of(), &changed).is_err(), "byte {at}");
            assert!(Identity::open(&key(5), &of(), &sealed[..at]).is_err(), "{at} bytes");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert!(Identity::open(&key(5), &of(), &longer).is_err());
    }

    /// Sealed by the right enclave, but of another version or with keys of another length.
    #[test]
    fn a_later_version_or_a_key_of_another_length_is_refused() {
        let good = pb::Identity {
            version: VERSION,
            rak_seed: vec![7; 32],
            rek_secret: vec![8; 32],
            header: vec![],
        };
        let open = |message: &pb::Identity| {
            let plaintext = message.encode_to_vec();
            let sealed = seal::seal(&aead_key(&key(5), &of()), &[6; 12], &aad(&of()), &plaintext);
            Identity::open(&key(5), &of(), &[[6; 12].as_slice(), &sealed].concat())
        };
        assert!(open(&good).is_ok());
        let changes: [fn(&mut pb::Identity); 3] = [
            |message| message.version = 2,
            |message| message.rak_seed.truncate(31),
            |message| message.rek_secret.push(0),
        ];
        for change in changes {
            let mut other = good.clone();
            change(&mut other);
            assert!(open(&other).is_err(), "{other:?}");
        }
    }

    const GOLDEN: &str = concat!(
        "060606060606060606060606abfc09416fa94ce1867a685cf1973e73b7e80779d13c9fd6903f54a2",
        "5128974ab2a3abed5dc5ebb225ecf4bcf303162a9223aef8c977e475b1784a726c65e14e1030a6d2",
        "42587043838dcf1106647078540961a9b07ec5fc183ae5caedcb",
    );
}
