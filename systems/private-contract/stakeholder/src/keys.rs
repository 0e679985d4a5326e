//! A stakeholder's keys: account, votes, content keys. Each is a 32-byte seed in a file under a password.
//!
//! | file | key |
//! |---|---|
//! | `account.json` | the Ed25519 account key |
//! | `vote.json` | the seed of the BLS key |
//! | `kem-<n>.json` | the seed of the X25519 key that `set_keys` published n-th, from 1 |
//!
//! The BLS and KEM keys are derived from their seeds by HKDF, so that no seed serves two algorithms.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_bls::BlsSecret;
use paralith_crypto::kdf::derive;
use paralith_crypto::kem::KemSecret;
use paralith_crypto::keystore::{self, KdfParams, KeystoreError};
use paralith_crypto::{Domain, HpkeSecret, SigningKey};
use paralith_private_contract_core::ids::{
    Place, change_hash, close_hash, definition_hash, possession_message,
};
use paralith_private_contract_core::messages::{
    Definition, KemKey, Package, SetKeys, VoteKey, VoteSignature,
};
use paralith_private_contract_core::sealing::open_package;
use paralith_rt::NoEntropy;
use paralith_storage::{Files, StorageError};
use paralith_types::{ChainContext, Hash, PublicKey, RuntimeId};

const VOTE_KEY: Domain = Domain::new("paralith/private-contract/key-file/vote/v1");
const KEM_KEY: Domain = Domain::new("paralith/private-contract/key-file/kem/v1");
const ACCOUNT_FILE: &str = "account.json";
const VOTE_FILE: &str = "vote.json";
/// No key file is longer.
const MAX_FILE_BYTES: usize = 16 * 1024;

/// Why key files cannot be opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The content of a file.
    #[error("the key file {name} cannot be used: {error}")]
    Key {
        /// The file.
        name: String,
        /// What is wrong with it.
        error: KeystoreError,
    },
    /// The folder of the files.
    #[error("the key files cannot be read or written: {0}")]
    Files(StorageError),
    /// A file is not there.
    #[error("there is no key file {name}: make keys, or restore it from a backup")]
    Missing {
        /// The file.
        name: String,
    },
    /// A file is there already.
    #[error("there is a key file {name} already: move it away first")]
    Exists {
        /// The file.
        name: String,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl KeyFileError {
    /// The stable number of this error in the module "stakeholder-keys".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Key { .. } => 1,
            Self::Files(_) => 2,
            Self::Missing { .. } => 3,
            Self::Exists { .. } => 4,
            Self::Entropy(_) => 5,
        }
    }
}

impl From<KeyFileError> for paralith_types::Error {
    fn from(error: KeyFileError) -> Self {
        Self::new("stakeholder-keys", error.code(), &error)
    }
}

impl From<StorageError> for KeyFileError {
    fn from(error: StorageError) -> Self {
        Self::Files(error)
    }
}

/// What members agree to besides verdicts: the hash of a change or of a closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement(Hash);

impl Agreement {
    /// A change to this definition.
    #[must_use]
    pub fn change(place: &Place, definition: &Definition, migrate: bool) -> Self {
        Self(change_hash(place, &definition_hash(definition), migrate))
    }

    /// The closing of a contract under this version, before this batch.
    #[must_use]
    pub fn close(place: &Place, version: u64, next_batch: u64) -> Self {
        Self(close_hash(place, version, next_batch))
    }
}

/// The keys. `Debug` shows public ones only. Clones share the KEM keys: one that is erased is gone from all.
#[derive(Clone)]
pub struct Keys {
    account: SigningKey,
    vote: BlsSecret,
    /// By their number.
    kem: Arc<Mutex<Vec<(u64, KemSecret)>>>,
}

/// A panic of another thread leaves the keys whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn public(secret: &KemSecret) -> KemKey {
    KemKey { kem_id: secret.kem(), key: secret.public() }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("account", &self.account.public()).finish_non_exhaustive()
    }
}

fn kem_of(seed: &SigningKey) -> KemSecret {
    let ikm = derive(seed.seed().as_slice(), b"", KEM_KEY, &[]);
    KemSecret::X25519(HpkeSecret::from_ikm(&ikm))
}

impl Keys {
    /// Keys of these seeds; the KEM key has number 1.
    #[must_use]
    pub fn from_seeds(account: SigningKey, vote: &SigningKey, kem: &SigningKey) -> Self {
        let ikm = derive(vote.seed().as_slice(), b"", VOTE_KEY, &[]);
        Self::new(account, BlsSecret::from_ikm(&ikm), vec![(1, kem_of(kem))])
    }

    fn new(account: SigningKey, vote: BlsSecret, kem: Vec<(u64, KemSecret)>) -> Self {
        Self { account, vote, kem: Arc::new(Mutex::new(kem)) }
    }

    /// Makes keys and writes their files.
    pub fn create(files: &Files, password: &[u8], params: KdfParams) -> Result<Self, KeyFileError> {
        let (account, vote, kem) = (fresh()?, fresh()?, fresh()?);
        for (name, key) in [(ACCOUNT_FILE, &account), (VOTE_FILE, &vote), ("kem-1.json", &kem)] {
            write(files, name, key, password, params)?;
        }
        files.sync()?;
        Ok(Self::from_seeds(account, &vote, &kem))
    }

    /// Opens the files.
    pub fn open(files: &Files, password: &[u8]) -> Result<Self, KeyFileError> {
        let (account, vote) =
            (read(files, ACCOUNT_FILE, password)?, read(files, VOTE_FILE, password)?);
        let ikm = derive(vote.seed().as_slice(), b"", VOTE_KEY, &[]);
        let mut kem = Vec::new();
        for name in files.list()? {
            if let Some(number) = kem_number(&name) {
                kem.push((number, kem_of(&read(files, &name, password)?)));
            }
        }
        kem.sort_by_key(|(number, _)| *number);
        if kem.is_empty() {
            return Err(KeyFileError::Missing { name: "kem-1.json".into() });
        }
        Ok(Self::new(account, BlsSecret::from_ikm(&ikm), kem))
    }

    /// Adds a KEM key. `set_keys` publishes it from now on; older ones still open what was sealed to them.
    pub fn add_kem(
        &self,
        files: &Files,
        password: &[u8],
        params: KdfParams,
    ) -> Result<KemKey, KeyFileError> {
        let mut kem = lock(&self.kem);
        let number = kem.last().map_or(1, |(number, _)| number.saturating_add(1));
        let key = fresh()?;
        write(files, &format!("kem-{number}.json"), &key, password, params)?;
        files.sync()?;
        let secret = kem_of(&key);
        let made = public(&secret);
        kem.push((number, secret));
        Ok(made)
    }

    /// Whether there are KEM keys besides the newest one.
    #[must_use]
    pub fn has_old_kem(&self) -> bool {
        lock(&self.kem).len() > 1
    }

    /// Erases the KEM keys that are not needed: stolen keys then open no older wraps. The newest one stays. Gives how
    /// many went.
    pub fn erase_kem(
        &self,
        files: &Files,
        is_needed: impl Fn(&KemKey) -> bool,
    ) -> Result<usize, KeyFileError> {
        let mut kem = lock(&self.kem);
        let newest = kem.last().map_or(0, |(newest, _)| *newest);
        let stays =
            |(number, secret): &(u64, KemSecret)| *number == newest || is_needed(&public(secret));
        let gone = kem.iter().filter(|one| !stays(one)).map(|(number, _)| *number);
        let gone: Vec<u64> = gone.collect();
        for number in &gone {
            files.remove(&format!("kem-{number}.json"))?;
        }
        files.sync()?;
        kem.retain(|(number, _)| !gone.contains(number));
        Ok(gone.len())
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> PublicKey {
        self.account.public()
    }

    /// The account's key, which signs transactions, receipts and tickets.
    #[must_use]
    pub const fn account_key(&self) -> &SigningKey {
        &self.account
    }

    /// The key that votes are verified with.
    #[must_use]
    pub fn vote_key(&self) -> VoteKey {
        VoteKey(self.vote.public())
    }

    /// The newest KEM key.
    #[must_use]
    pub fn kem_key(&self) -> Option<KemKey> {
        lock(&self.kem).last().map(|(_, secret)| public(secret))
    }

    /// The secret of a published KEM key, if it is here.
    pub(crate) fn kem_secret(&self, key: &KemKey) -> Option<KemSecret> {
        let kem = lock(&self.kem);
        kem.iter().map(|(_, secret)| secret).find(|secret| public(secret) == *key).cloned()
    }

    /// Opens a package that the owner sealed to this member; none if it was sealed to no key that is here, or
    /// is not the package of this hash.
    #[must_use]
    pub fn open_package(
        &self,
        place: &Place,
        owner: &PublicKey,
        package_hash: &Hash,
        index: u32,
        sealed: &[u8],
    ) -> Option<Package> {
        let open = |(_, secret): &(u64, KemSecret)| {
            open_package(place, owner, package_hash, index, secret, sealed).ok()
        };
        lock(&self.kem).iter().rev().find_map(open)
    }

    /// Agrees to a change or to a closing, by its hash. Votes have other domains, so this is never one.
    #[must_use]
    pub fn sign_agreement(&self, hash: &Agreement) -> VoteSignature {
        VoteSignature(self.vote.sign(&hash.0.0))
    }

    /// Signs a vote. The same verdict gives the same bytes.
    pub(crate) fn sign_vote(&self, vote_hash: &Hash) -> VoteSignature {
        VoteSignature(self.vote.sign(&vote_hash.0))
    }

    /// The arguments of `set_keys` that publish these keys. `None`: there is no KEM key.
    #[must_use]
    pub fn set_keys(
        &self,
        chain_context: &ChainContext,
        mediator: &RuntimeId,
        link_address: &str,
        origin: &str,
    ) -> Option<SetKeys> {
        let vote_key = self.vote_key();
        let message = possession_message(chain_context, mediator, &self.account(), &vote_key);
        let kem = self.kem_key()?;
        Some(SetKeys {
            kem_id: kem.kem_id,
            kem_key: kem.key,
            vote_key,
            possession: VoteSignature(self.vote.prove_possession(&message.0)),
            link_address: link_address.into(),
            origin: origin.into(),
        })
    }
}

fn kem_number(name: &str) -> Option<u64> {
    name.strip_prefix("kem-")?.strip_suffix(".json")?.parse().ok()
}

fn fresh() -> Result<SigningKey, NoEntropy> {
    Ok(SigningKey::from_seed(paralith_rt::random()?))
}

fn write(
    files: &Files,
    name: &str,
    key: &SigningKey,
    password: &[u8],
    params: KdfParams,
) -> Result<(), KeyFileError> {
    if files.read(name, MAX_FILE_BYTES)?.is_some() {
        return Err(KeyFileError::Exists { name: name.into() });
    }
    let (salt, nonce) = (paralith_rt::random()?, paralith_rt::random()?);
    let label = name.trim_end_matches(".json");
    let json = keystore::encrypt(label, key, password, salt, nonce, params)
        .map_err(|error| KeyFileError::Key { name: name.into(), error })?;
    Ok(files.replace(name, json.as_bytes())?)
}

fn read(files: &Files, name: &str, password: &[u8]) -> Result<SigningKey, KeyFileError> {
    let missing = || KeyFileError::Missing { name: name.into() };
    let bytes = files.read(name, MAX_FILE_BYTES)?.ok_or_else(missing)?;
    let json = String::from_utf8_lossy(&bytes);
    keystore::decrypt(&json, password)
        .map_err(|error| KeyFileError::Key { name: name.into(), error })
}
