//! Keys of people: encrypted files under a password, and the named test accounts of development
//! chains.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_crypto::keystore::{self, KdfParams};
use paralith_types::PublicKey;

use crate::error::NodeError;

/// Names of the test accounts. Their keys are known to everyone: they are refused by nobody and
/// worth nothing on a real chain.
pub const TEST_ACCOUNTS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

const TEST_DOMAIN: Domain = Domain::new("paralith/test-account/v1");

/// Where the password is taken from when there is nobody to type it.
const PASSWORD_VARIABLE: &str = "PARALITH_PASSWORD";

/// The key of a test account, the same on every development chain.
pub fn test_account(name: &str) -> Option<SigningKey> {
    TEST_ACCOUNTS
        .contains(&name)
        .then(|| SigningKey::from_seed(hash(TEST_DOMAIN, &[name.as_bytes()]).0))
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

    /// Makes a key and writes it encrypted. An existing one is never overwritten.
    pub fn create(&self, name: &str) -> Result<PublicKey, NodeError> {
        if TEST_ACCOUNTS.contains(&name) {
            return Err(NodeError::usage(
                name,
                "this is the name of a test account: choose another",
            ));
        }
        let file = self.file(name);
        if file.exists() {
            return Err(NodeError::usage(name, "there is a key with this name: choose another"));
        }
        let password = password("New password: ")?;
        let mut random = [0; 60];
        getrandom::fill(&mut random).map_err(|e| NodeError::internal(&e))?;
        let part = |range: std::ops::Range<usize>| random.get(range).unwrap_or_default().to_vec();
        let key = SigningKey::from_seed(array(part(0..32))?);
        let (salt, nonce) = (array(part(32..48))?, array(part(48..60))?);
        let params = KdfParams::RECOMMENDED;
        let json = keystore::encrypt(name, &key, password.as_bytes(), salt, nonce, params)
            .map_err(|e| NodeError::usage(name, e))?;
        write_private(&file, json.as_bytes())?;
        Ok(key.public())
    }

    /// The key of a name: a test account, or decrypted from its file.
    pub fn signing_key(&self, name: &str) -> Result<SigningKey, NodeError> {
        if let Some(key) = test_account(name) {
            return Ok(key);
        }
        let json = self.read(name)?;
        let password = password(&format!("Password of {name}: "))?;
        keystore::decrypt(&json, password.as_bytes()).map_err(|e| NodeError::usage(name, e))
    }

    /// A key's public half; needs no password.
    pub fn public(&self, name: &str) -> Result<PublicKey, NodeError> {
        if let Some(key) = test_account(name) {
            return Ok(key.public());
        }
        let entry = keystore::inspect(&self.read(name)?).map_err(|e| NodeError::usage(name, e))?;
        Ok(entry.public)
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
                let public = self.public(&name)?;
                listed.push(Listed { name, public, test: false });
            }
        }
        for name in TEST_ACCOUNTS {
            let public = self.public(name)?;
            listed.push(Listed { name: name.to_string(), public, test: true });
        }
        Ok(listed)
    }

    fn read(&self, name: &str) -> Result<String, NodeError> {
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

fn array<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], NodeError> {
    bytes.try_into().map_err(|_| NodeError::internal(&"random bytes of another length"))
}

/// From the environment, or typed.
fn password(prompt: &str) -> Result<String, NodeError> {
    if let Ok(password) = std::env::var(PASSWORD_VARIABLE) {
        return Ok(password);
    }
    eprint!("{prompt}");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin()
        .read_line(&mut line)
        .map_err(|e| NodeError::io("reading the password", &e))?;
    if read == 0 {
        let reason = format!("nobody typed one: set {PASSWORD_VARIABLE}");
        return Err(NodeError::usage("password", reason));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_string())
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_private(file: &Path, content: &[u8]) -> Result<(), NodeError> {
    let failed = |e: std::io::Error| NodeError::io(file.display().to_string(), &e);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
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
