//! Password-protected files for signing keys: Argon2id gives the key, AES-256-GCM-SIV seals the seed.
//!
//! A file is JSON, version 1, with fields in this order: `version`, `kind`, `name`, `public`, `kdf`,
//! `salt`, `nonce`, `ciphertext`, `checksum`. All but the last two are additional data of the
//! seal, so none can be changed without the password. `checksum` is a plain hash of all the others: it
//! distinguishes a damaged file from a wrong password, and protects nothing.
//!
//! The parameters of Argon2id are bounded when a file is read too, so that a crafted file cannot take
//! all memory. Functions are pure: salt and nonce come from the caller, fresh for each file.

use argon2::{Algorithm, Argon2, Params, Version};
use paralith_types::{Hash, PublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ed25519::SigningKey;
use crate::hash::{Domain, Hasher};
use crate::seal::{self, AeadKey};

/// The version of the format that is written.
pub const VERSION: u32 = 1;
/// Length of the salt in bytes.
pub const SALT_LEN: usize = 16;
/// The longest file that is read, in bytes.
pub const MAX_FILE_LEN: usize = 4096;
/// The longest name of a key, in bytes.
pub const MAX_NAME_LEN: usize = 64;

const KIND: &str = "ed25519";
const ALGORITHM: &str = "argon2id";
const SEAL: Domain = Domain::new("paralith/keystore-seal");
const CHECKSUM: Domain = Domain::new("paralith/keystore-checksum");

/// What Argon2id costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory in KiB, 1024 to 1,048,576.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 16.
    pub iterations: u32,
    /// Lanes, 1 to 8.
    pub lanes: u32,
}

impl KdfParams {
    /// RFC 9106's second recommended choice: 64 MiB, three passes, four lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, iterations: 3, lanes: 4 };

    const fn bounded(self) -> bool {
        1024 <= self.memory_kib
            && self.memory_kib <= 1024 * 1024
            && 1 <= self.iterations
            && self.iterations <= 16
            && 1 <= self.lanes
            && self.lanes <= 8
    }
}

/// What a file says without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name given to the key.
    pub name: String,
    /// Its public key. Not proven before the file is decrypted.
    pub public: PublicKey,
    /// What opening it costs.
    pub params: KdfParams,
}

/// Why a file cannot be written or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// The file is intact and of this format, but the password is another one. The user's fault.
    #[error("wrong password")]
    WrongPassword,
    /// The file is not what was written: cut off, edited, or not a key file at all.
    #[error("the key file is damaged: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by another version of this software.
    #[error("the key file has version {version}; this software reads version {VERSION}")]
    UnsupportedVersion {
        /// The file's version.
        version: u32,
    },
    /// The file holds a kind of key, or names an algorithm, that this software does not know.
    #[error("this software does not support {what} of key files")]
    Unsupported {
        /// What it does not know.
        what: String,
    },
    /// Parameters of Argon2id outside their bounds.
    #[error(
        "Argon2id takes 1024 to 1048576 KiB of memory, 1 to 16 iterations and 1 to 8 lanes here, \
         not {}, {} and {}", .0.memory_kib, .0.iterations, .0.lanes
    )]
    Params(KdfParams),
    /// A name that is empty, too long, or of other characters than letters, digits, `.`, `_`, `-`.
    #[error("a key's name takes 1 to {MAX_NAME_LEN} letters, digits and . _ - only")]
    Name,
    /// Words that are not the 24 words of a key. The user's fault.
    #[error("these are not the 24 words of a key: {reason}")]
    Words {
        /// What is wrong with them.
        reason: String,
    },
}

impl KeystoreError {
    /// The stable number of this error.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::WrongPassword => 1,
            Self::Damaged { .. } => 2,
            Self::UnsupportedVersion { .. } => 3,
            Self::Unsupported { .. } => 4,
            Self::Params(_) => 5,
            Self::Name => 6,
            Self::Words { .. } => 7,
        }
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    kind: String,
    name: String,
    public: String,
    kdf: Kdf,
    salt: String,
    nonce: String,
    ciphertext: String,
    checksum: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    algorithm: String,
    memory_kib: u32,
    iterations: u32,
    lanes: u32,
}

/// A file of the supported format: intact, in its one form, within bounds.
struct Parsed {
    entry: Entry,
    salt: [u8; SALT_LEN],
    nonce: [u8; 12],
    ciphertext: Vec<u8>,
}

impl Parsed {
    /// The file's one form. The same value always gives the same text.
    fn to_json(&self) -> String {
        let file = File {
            version: VERSION,
            kind: KIND.to_owned(),
            name: self.entry.name.clone(),
            public: self.entry.public.to_string(),
            kdf: Kdf {
                algorithm: ALGORITHM.to_owned(),
                memory_kib: self.entry.params.memory_kib,
                iterations: self.entry.params.iterations,
                lanes: self.entry.params.lanes,
            },
            salt: hex::encode(self.salt),
            nonce: hex::encode(self.nonce),
            ciphertext: hex::encode(&self.ciphertext),
            checksum: self.checksum().to_string(),
        };
        // A struct of strings and numbers has no way to fail.
        let mut json = serde_json::to_string_pretty(&file).unwrap_or_default();
        json.push('\n');
        json
    }

    fn checksum(&self) -> Hash {
        let mut hasher = self.described(CHECKSUM);
        hasher.part(&self.ciphertext);
        hasher.finish()
    }

    /// Everything but the ciphertext, as the seal's additional data.
    fn aad(&self) -> Hash {
        self.described(SEAL).finish()
    }

    fn described(&self, domain: Domain) -> Hasher {
        let Entry { name, public, params } = &self.entry;
        let mut hasher = Hasher::new(domain);
        hasher
            .part(&VERSION.to_be_bytes())
            .part(KIND.as_bytes())
            .part(name.as_bytes())
            .part(public.as_bytes())
            .part(ALGORITHM.as_bytes())
            .part(&params.memory_kib.to_be_bytes())
            .part(&params.iterations.to_be_bytes())
            .part(&params.lanes.to_be_bytes())
            .part(&self.salt)
            .part(&self.nonce);
        hasher
    }
}

/// Writes a key file. Salt and nonce are fresh random bytes.
pub fn encrypt(
    name: &str,
    key: &SigningKey,
    password: &[u8],
    salt: [u8; SALT_LEN],
    nonce: [u8; 12],
    params: KdfParams,
) -> Result<String, KeystoreError> {
    check_name(name)?;
    let entry = Entry { name: name.to_owned(), public: key.public(), params };
    let sealing = password_key(password, &salt, params)?;
    let mut file = Parsed { entry, salt, nonce, ciphertext: Vec::new() };
    file.ciphertext = seal::seal(&sealing, &nonce, file.aad().as_bytes(), key.seed().as_slice());
    Ok(file.to_json())
}

/// Opens a key file.
pub fn decrypt(json: &str, password: &[u8]) -> Result<SigningKey, KeystoreError> {
    let file = parse(json)?;
    let sealing = password_key(password, &file.salt, file.entry.params)?;
    let seed = seal::open(&sealing, &file.nonce, file.aad().as_bytes(), &file.ciphertext)
        .map_err(|_| KeystoreError::WrongPassword)?;
    let seed: Zeroizing<[u8; 32]> = <[u8; 32]>::try_from(seed.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| damaged("it holds no 32-byte seed"))?;
    let key = SigningKey::from_seed(*seed);
    if key.public() != file.entry.public {
        return Err(damaged("its public key is not the one of the seed"));
    }
    Ok(key)
}

/// Reads what a key file says without its password.
pub fn inspect(json: &str) -> Result<Entry, KeystoreError> {
    parse(json).map(|file| file.entry)
}

fn parse(json: &str) -> Result<Parsed, KeystoreError> {
    if json.len() > MAX_FILE_LEN {
        return Err(damaged("it is too long"));
    }
    let not_json = |error: serde_json::Error| damaged(&error.to_string());
    let VersionOnly { version } = serde_json::from_str(json).map_err(not_json)?;
    if version != VERSION {
        return Err(KeystoreError::UnsupportedVersion { version });
    }
    let file: File = serde_json::from_str(json).map_err(not_json)?;
    let unsupported = |what: &str, which: &str| KeystoreError::Unsupported {
        what: format!("the {what} {which:?}"),
    };
    if file.kind != KIND {
        return Err(unsupported("kind", &file.kind));
    }
    if file.kdf.algorithm != ALGORITHM {
        return Err(unsupported("algorithm", &file.kdf.algorithm));
    }
    let params = KdfParams {
        memory_kib: file.kdf.memory_kib,
        iterations: file.kdf.iterations,
        lanes: file.kdf.lanes,
    };
    if !params.bounded() {
        return Err(KeystoreError::Params(params));
    }
    check_name(&file.name)?;
    let parsed = Parsed {
        entry: Entry {
            public: file.public.parse().map_err(|_| damaged("public is no public key"))?,
            name: file.name,
            params,
        },
        salt: fixed("salt", &file.salt)?,
        nonce: fixed("nonce", &file.nonce)?,
        ciphertext: fixed::<{ 32 + seal::TAG_LEN }>("ciphertext", &file.ciphertext)?.to_vec(),
    };
    if parsed.checksum().to_string() != file.checksum {
        return Err(damaged("its checksum does not fit"));
    }
    Ok(parsed)
}

fn fixed<const N: usize>(what: &str, text: &str) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| damaged(&format!("{what} is not {N} bytes of hexadecimal")))?;
    Ok(bytes)
}

fn check_name(name: &str) -> Result<(), KeystoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_LEN || !name.bytes().all(plain) {
        return Err(KeystoreError::Name);
    }
    Ok(())
}

fn password_key(
    password: &[u8],
    salt: &[u8; SALT_LEN],
    params: KdfParams,
) -> Result<AeadKey, KeystoreError> {
    if !params.bounded() {
        return Err(KeystoreError::Params(params));
    }
    let refused = |_| KeystoreError::Params(params);
    let cost = Params::new(params.memory_kib, params.iterations, params.lanes, Some(32))
        .map_err(refused)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
        .hash_password_into(password, salt, key.as_mut_slice())
        .map_err(refused)?;
    Ok(key.into())
}

fn damaged(reason: &str) -> KeystoreError {
    KeystoreError::Damaged { reason: reason.to_owned() }
}

pub mod words;

#[cfg(test)]
mod tests;
