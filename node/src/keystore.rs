//! Keys of people: encrypted files under a password, and the named test accounts of development
//! chains.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_crypto::keystore::{self, KdfParams};
use paralith_types::{Address, PublicKey};
use zeroize::Zeroizing;

use crate::config::folder_of;
use crate::error::NodeError;
use crate::password::Passwords;

/// Names of the test accounts. Everyone has their keys, so they are accepted on development chains
/// only, as senders and as recipients.
pub const TEST_ACCOUNTS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

const TEST_DOMAIN: Domain = Domain::new("paralith/test-account/v1");

/// The key of a test account, the same on every development chain.
pub fn test_account(name: &str) -> Option<SigningKey> {
    TEST_ACCOUNTS
        .contains(&name)
        .then(|| SigningKey::from_seed(hash(TEST_DOMAIN, &[name.as_bytes()]).0))
}

/// Whether an address is that of a test account.
pub fn is_test_address(address: &Address) -> bool {
    let keys = TEST_ACCOUNTS.iter().filter_map(|name| test_account(name));
    keys.into_iter().any(|key| address::of_key(&key.public()) == *address)
}

/// A folder of encrypted keys.
#[derive(Debug, Clone)]
pub struct Keystore {
    folder: PathBuf,
}

/// A key as listings show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its public half.
    pub public: PublicKey,
    /// A test account: everyone has the key.
    pub test: bool,
}

impl Keystore {
    /// The folder given, or the user's own.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, NodeError> {
        let folder = match folder {
            Some(folder) => folder,
            None => match std::env::var_os("HOME") {
                Some(home) => PathBuf::from(home).join(".paralith/keys"),
                None => {
                    return Err(NodeError::usage("--keystore", "HOME is not set: name a folder"));
                }
            },
        };
        Ok(Self { folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Refuses a name that a new key cannot have: of a test account, or of another key.
    pub fn check_new(&self, name: &str) -> Result<(), NodeError> {
        if TEST_ACCOUNTS.contains(&name) {
            return Err(NodeError::usage(
                name,
                "this is the name of a test account: choose another",
            ));
        }
        if self.file(name).exists() {
            return Err(NodeError::usage(name, "there is a key with this name: choose another"));
        }
        Ok(())
    }

    /// Makes a key and writes it encrypted. An existing one is never overwritten.
    pub fn create(&self, name: &str, passwords: &Passwords) -> Result<PublicKey, NodeError> {
        self.check_new(name)?;
        let seed = Zeroizing::new(paralith_rt::random().map_err(|e| NodeError::internal(&e))?);
        self.add(name, &SigningKey::from_seed(*seed), passwords)
    }

    /// Writes a key encrypted, under a new password. An existing one is never overwritten.
    pub fn add(
        &self,
        name: &str,
        key: &SigningKey,
        passwords: &Passwords,
    ) -> Result<PublicKey, NodeError> {
        self.check_new(name)?;
        let password = passwords.new_password(name)?;
        let salt = paralith_rt::random().map_err(|e| NodeError::internal(&e))?;
        let nonce = paralith_rt::random().map_err(|e| NodeError::internal(&e))?;
        let params = KdfParams::RECOMMENDED;
        let json = keystore::encrypt(name, key, password.as_bytes(), salt, nonce, params)
            .map_err(|e| NodeError::usage(name, e))?;
        write_private(&self.file(name), json.as_bytes())?;
        Ok(key.public())
    }

    /// The key of a name, decrypted from its file; of a test account, where `development` says that
    /// the chain accepts those.
    pub fn signing_key(
        &self,
        name: &str,
        development: bool,
        passwords: &Passwords,
    ) -> Result<SigningKey, NodeError> {
        if let Some(key) = self.test_key(name, development)? {
            return Ok(key);
        }
        let json = self.read(name)?;
        let password = passwords.of_key(name)?;
        keystore::decrypt(&json, password.as_bytes()).map_err(|e| NodeError::usage(name, e))
    }

    /// A key's public half; needs no password.
    pub fn public(&self, name: &str, development: bool) -> Result<PublicKey, NodeError> {
        if let Some(key) = self.test_key(name, development)? {
            return Ok(key.public());
        }
        let entry = keystore::inspect(&self.read(name)?).map_err(|e| NodeError::usage(name, e))?;
        Ok(entry.public)
    }

    /// The test account of this name. A key of the keystore comes first: a name that the user has
    /// given means the user's key.
    fn test_key(&self, name: &str, development: bool) -> Result<Option<SigningKey>, NodeError> {
        if self.file(name).exists() {
            return Ok(None);
        }
        match test_account(name) {
            Some(_) if !development => Err(NodeError::usage(
                name,
                "this is a test account, whose key everyone has, and this is no development chain: \
                 name a key of your own",
            )),
            key => Ok(key),
        }
    }

    /// All keys: the folder's, then the test accounts.
    pub fn list(&self) -> Result<Vec<Listed>, NodeError> {
        let mut listed = Vec::new();
        if self.folder.is_dir() {
            let entries = fs::read_dir(&self.folder)
                .map_err(|e| NodeError::io(self.folder.display().to_string(), &e))?;
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter_map(|file| file.strip_suffix(".json").map(str::to_string))
                .collect();
            names.sort();
            for name in names {
                let public = self.public(&name, false)?;
                listed.push(Listed { name, public, test: false });
            }
        }
        for name in TEST_ACCOUNTS {
            if let Some(key) = self.test_key(name, true)? {
                let public = key.public();
                listed.push(Listed { name: name.to_string(), public, test: true });
            }
        }
        Ok(listed)
    }

    /// The encrypted file of a key, as it is.
    pub fn read(&self, name: &str) -> Result<String, NodeError> {
        let file = self.file(name);
        match fs::read_to_string(&file) {
            Ok(json) => Ok(json),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(NodeError::NotFound {
                what: "key",
                name: name.to_string(),
                hint: format!(". Make it with `paralith keys new {name}`"),
            }),
            Err(e) => Err(NodeError::io(file.display().to_string(), &e)),
        }
    }
}

/// Writes a file that only its owner reads, whole or not at all. A folder that is not there is made for
/// the owner alone; one that is there stays as it is, since it may be shared.
pub fn write_private(file: &Path, content: &[u8]) -> Result<(), NodeError> {
    let failed = |e: std::io::Error| NodeError::io(file.display().to_string(), &e);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder_of(file)).map_err(failed)?;
    let partial = file.with_extension("partial");
    let mut writer = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed)?;
    writer.write_all(content).and_then(|()| writer.sync_all()).map_err(failed)?;
    fs::rename(&partial, file).map_err(failed)
}

/// Reads a key from a file of 64 hexadecimal digits.
pub fn read_key(file: &Path) -> Result<SigningKey, NodeError> {
    let what = || file.display().to_string();
    let text = fs::read_to_string(file).map_err(|e| NodeError::io(what(), &e))?;
    let bytes = hex::decode(text.trim())
        .map_err(|e| NodeError::Config { file: what(), reason: e.to_string() })?;
    let seed: [u8; 32] = bytes.try_into().map_err(|_| NodeError::Config {
        file: what(),
        reason: "a key is 64 hexadecimal digits".to_string(),
    })?;
    Ok(SigningKey::from_seed(seed))
}

/// Writes a key for [`read_key`].
pub fn write_key(file: &Path, key: &SigningKey) -> Result<(), NodeError> {
    write_private(file, format!("{}\n", hex::encode(&key.seed()[..])).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keystore() -> (tempfile::TempDir, Keystore, Passwords) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "correct horse\n").unwrap();
        let keystore = Keystore::open(Some(folder.path().join("keys"))).unwrap();
        (folder, keystore, Passwords::from_file(Some(file)))
    }

    #[test]
    fn test_accounts_exist_on_development_chains_only() {
        let (_folder, keystore, passwords) = keystore();
        assert!(keystore.signing_key("alice", true, &passwords).is_ok());
        assert!(keystore.public("bob", true).is_ok());
        for name in TEST_ACCOUNTS {
            let error = keystore.signing_key(name, false, &passwords).map(|_| ()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            assert_eq!(keystore.public(name, false).unwrap_err().exit_code(), 2);
        }
        let alice = test_account("alice").unwrap().public();
        assert!(is_test_address(&address::of_key(&alice)));
        assert!(!is_test_address(&address::of_key(&SigningKey::from_seed([1; 32]).public())));
    }

    #[test]
    fn a_key_of_the_keystore_comes_before_a_test_account_of_its_name() {
        let (_folder, keystore, passwords) = keystore();
        let own = keystore.create("mine", &passwords).unwrap();
        fs::rename(keystore.file("mine"), keystore.file("alice")).unwrap();
        for development in [true, false] {
            assert_eq!(keystore.public("alice", development).unwrap(), own);
            let key = keystore.signing_key("alice", development, &passwords).unwrap();
            assert_eq!(key.public(), own);
        }
        assert!(keystore.create("alice", &passwords).is_err(), "nor is a new one given the name");
    }
}
