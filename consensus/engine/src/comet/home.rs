//! The files that CometBFT starts from.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use paralith_crypto::SigningKey;
use paralith_crypto::hash::sha256;
use paralith_types::PublicKey;
use serde_json::{Value, json};

use super::CometOptions;
use super::template::config_toml;
use crate::EngineError;

/// The id that peers know a node by: "id@host:port" is its address.
pub fn node_id(key: &PublicKey) -> String {
    hex::encode(address(key))
}

/// Writes configuration, genesis and keys. What CometBFT has written itself stays; above all the
/// state of its signing is made only where there is none, since a validator that forgets what it
/// has signed may sign twice.
pub fn write_home(options: &CometOptions) -> Result<(), EngineError> {
    let home = &options.home;
    for folder in [home.clone(), home.join("config"), home.join("data")] {
        std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))
            .map_err(|e| failed(&folder, &e))?;
    }
    let config = home.join("config");
    let state = home.join("data").join(SIGNING_STATE);
    write(&config.join("config.toml"), config_toml(options, has_signed(&state)?).as_bytes())?;
    write(&config.join("genesis.json"), &pretty(&genesis(options)?))?;
    write(
        &config.join("node_key.json"),
        &pretty(&json!({ "priv_key": private(&options.node_key) })),
    )?;
    let key = &options.validator_key;
    let validator = json!({
        "address": hex::encode_upper(address(&key.public())),
        "pub_key": public(&key.public()),
        "priv_key": private(key),
    });
    write(&config.join("priv_validator_key.json"), &pretty(&validator))?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&state) {
        Ok(mut file) => {
            file.write_all(&pretty(&nothing_signed())).map_err(|e| failed(&state, &e))?;
            file.sync_all().map_err(|e| failed(&state, &e))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(failed(&state, &e)),
    }
}

/// Removes what CometBFT stored before it had signed anything, so that it begins anew. A database that
/// is killed while it is made for the first time cannot be opened again. Does nothing, and says so,
/// once anything was signed.
pub(crate) fn clear_unsigned(home: &Path) -> Result<bool, EngineError> {
    let data = home.join("data");
    let state = data.join(SIGNING_STATE);
    let bytes = std::fs::read(&state).map_err(|e| failed(&state, &e))?;
    if serde_json::from_slice::<Value>(&bytes).ok() != Some(nothing_signed()) {
        return Ok(false);
    }
    for entry in std::fs::read_dir(&data).map_err(|e| failed(&data, &e))? {
        let path = entry.map_err(|e| failed(&data, &e))?.path();
        if path.is_dir() {
            std::fs::remove_dir_all(&path).map_err(|e| failed(&path, &e))?;
        }
    }
    Ok(true)
}

/// Whether this home has signed before.
fn has_signed(state: &Path) -> Result<bool, EngineError> {
    match std::fs::read(state) {
        Ok(bytes) => Ok(serde_json::from_slice::<Value>(&bytes).ok() != Some(nothing_signed())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(failed(state, &e)),
    }
}

fn nothing_signed() -> Value {
    json!({ "height": "0", "round": 0, "step": 0 })
}

fn genesis(options: &CometOptions) -> Result<Value, EngineError> {
    let wrong = |reason: String| EngineError::Genesis { reason };
    let document = &options.document;
    let app_state = serde_json::to_value(document).map_err(|e| wrong(e.to_string()))?;
    Ok(json!({
        "genesis_time": document.genesis_time.to_string(),
        "chain_id": document.chain_id().map_err(|e| wrong(e.to_string()))?,
        "initial_height": document.genesis.initial_height.0.max(1).to_string(),
        "consensus_params": {
            "block": { "max_bytes": options.max_block_bytes.to_string(), "max_gas": "-1" },
            "evidence": {
                "max_age_num_blocks": "100000",
                "max_age_duration": "172800000000000",
                "max_bytes": (options.max_block_bytes / 4).to_string(),
            },
            "validator": { "pub_key_types": ["ed25519"] },
            "version": { "app": paralith_consensus_abci::APP_VERSION.to_string() },
            "abci": { "vote_extensions_enable_height": "0" },
        },
        // The application names them in its answer to InitChain.
        "validators": [],
        "app_hash": "",
        "app_state": app_state,
    }))
}

fn address(key: &PublicKey) -> [u8; 20] {
    let hash = sha256(key.as_bytes());
    let mut address = [0; 20];
    address.copy_from_slice(&hash[..20]);
    address
}

fn public(key: &PublicKey) -> Value {
    json!({ "type": "tendermint/PubKeyEd25519", "value": BASE64.encode(key.as_bytes()) })
}

/// Go's form of the private key: the seed, then the public key.
fn private(key: &SigningKey) -> Value {
    let bytes = [key.seed().as_slice(), key.public().as_bytes()].concat();
    json!({ "type": "tendermint/PrivKeyEd25519", "value": BASE64.encode(bytes) })
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Replaces a file as a whole, readable by this user alone.
fn write(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&part).map_err(|e| failed(&part, &e))?;
    file.write_all(bytes).map_err(|e| failed(&part, &e))?;
    file.sync_all().map_err(|e| failed(&part, &e))?;
    std::fs::rename(&part, path).map_err(|e| failed(path, &e))
}

pub(crate) fn failed(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Home { path: path.display().to_string(), reason: error.to_string() }
}

const SIGNING_STATE: &str = "priv_validator_state.json";

#[cfg(test)]
mod tests {
    use paralith_genesis::{Builder, GenesisTime, NodeKeys, development_params};
    use paralith_types::{Amount, Hash};

    use super::*;

    fn options(home: &Path) -> CometOptions {
        let key = SigningKey::from_seed([1; 32]);
        let entity = SigningKey::from_seed([2; 32]).public();
        let keys =
            NodeKeys { node: SigningKey::from_seed([3; 32]).public(), consensus: key.clone() };
        let time = GenesisTime::from_seconds(1_700_000_000).unwrap();
        let document = Builder::new("home", time, development_params(Hash([7; 32])))
            .entity(entity, Amount(1_000_000))
            .validator(entity, &keys, &["127.0.0.1:1".to_string()])
            .build()
            .unwrap();
        CometOptions::wide(document, home.to_path_buf(), key)
    }

    fn written(home: &Path) -> String {
        std::fs::read_to_string(home.join("config/config.toml")).unwrap()
    }

    #[test]
    fn a_public_validator_gets_no_laptop_settings() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        options.seeds = vec!["aa@example.org:1".to_string()];
        options.p2p_external = "example.org:2".to_string();
        write_home(&options).unwrap();
        let config = written(folder.path());
        for line in [
            "skip_timeout_commit = false",
            "addr_book_strict = true",
            "allow_duplicate_ip = false",
            "timeout_propose = \"3000ms\"",
            "seeds = \"aa@example.org:1\"",
            "external_address = \"example.org:2\"",
            "double_sign_check_height = 0",
        ] {
            assert!(config.lines().any(|found| found == line), "{line} in {config}");
        }
        assert_eq!(options.max_procs, None);
    }

    #[test]
    fn a_key_that_was_taken_over_is_checked_until_the_home_has_signed() {
        let folder = tempfile::tempdir().unwrap();
        let options = CometOptions { took_over_key: true, ..options(folder.path()) };
        let checked = "double_sign_check_height = 10";
        // Each start before the first signature, not only the first start.
        for _ in 0..2 {
            write_home(&options).unwrap();
            assert!(written(folder.path()).contains(checked));
        }
        let state = folder.path().join("data").join(SIGNING_STATE);
        std::fs::write(&state, br#"{"height":"5","round":0,"step":3}"#).unwrap();
        write_home(&options).unwrap();
        assert!(written(folder.path()).contains("double_sign_check_height = 0"));
    }
}
