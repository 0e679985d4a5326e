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
    write(&config.join("config.toml"), config_toml(options).as_bytes())?;
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
    let state = home.join("data").join(SIGNING_STATE);
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
