//! Options that many commands share: which node, which signer, which fee.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_types::{Amount, ChainContext};

use super::tx;
use crate::client::{self, ChainClient, ClientOptions, TxOptions};
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::keystore::Keystore;
use crate::links::endpoint::{ClientTls, Trust};
use crate::password::Passwords;

/// Where a node is found if nothing else is said.
pub const DEFAULT_NODE: &str = "http://127.0.0.1:26600";

/// Which node to ask, and how to print.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// The node's public service.
    #[arg(long, env = "PARALITH_NODE", default_value = DEFAULT_NODE, value_name = "URL")]
    pub node: String,
    /// The chain that the node must be of: the hash of its genesis document. Without it the genesis
    /// document that the node gives is trusted.
    #[arg(long, env = "PARALITH_CHAIN", value_name = "HASH")]
    pub chain: Option<ChainContext>,
    /// How old the node's newest block may be, in seconds; 0: any age.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub max_age: u64,
    /// Which certificate it must show.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which certificate an `https` node must show. By default one for its host, from an authority that
/// the operating system trusts.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// Accept instead the certificates of this PEM file, and those of the authorities in it.
    #[arg(long, env = "PARALITH_TLS_CA", value_name = "FILE", conflicts_with = "tls_pin")]
    pub tls_ca: Option<PathBuf>,
    /// Accept instead certificates with this public key: the SHA-256 of its SubjectPublicKeyInfo.
    /// May be given more than once; commas separate several in the variable.
    #[arg(long, env = "PARALITH_TLS_PIN", value_name = "sha256:HEX", value_delimiter = ',')]
    pub tls_pin: Vec<String>,
}

impl TlsArgs {
    /// As connections take it.
    pub(crate) fn trust(&self) -> Result<Trust, NodeError> {
        ClientTls { ca: self.tls_ca.clone(), pins: self.tls_pin.clone() }.trust()
    }
}

impl NodeArgs {
    /// Connects to the node.
    pub async fn connect(&self) -> Result<ChainClient, NodeError> {
        let max_age = (self.max_age != 0).then(|| Duration::from_secs(self.max_age));
        let options = ClientOptions { chain: self.chain, max_age };
        client::connect_over(&self.node, &self.tls.trust()?, options).await
    }
}

/// The signer.
#[derive(Debug, Clone, Args)]
pub struct SignerArgs {
    /// A key of the keystore. On development chains also a test account (`alice`, `bob`, …), and
    /// `alice` if nothing is given.
    #[arg(long = "from", value_name = "NAME")]
    pub from: Option<String>,
    /// The folder of the encrypted keys.
    #[arg(long, env = "PARALITH_KEYS", value_name = "DIR")]
    pub keystore: Option<PathBuf>,
    /// A file whose first line is the key's password; otherwise it is typed.
    #[arg(long, env = "PARALITH_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

impl SignerArgs {
    /// The signing key, for this chain.
    pub fn key(&self, genesis: &GenesisInfo) -> Result<SigningKey, NodeError> {
        let development = genesis.is_development();
        let name = match &self.from {
            Some(name) => name.as_str(),
            None if development => "alice",
            None => {
                let reason = "name the key that signs: this is no development chain";
                return Err(NodeError::usage("--from", reason));
            }
        };
        let passwords = Passwords::from_file(self.password_file.clone());
        let keystore = Keystore::open(self.keystore.clone())?;
        let key = keystore.signing_key(name, development, &passwords)?;
        tx::refuse_test_address(name, &address::of_key(&key.public()), development)?;
        Ok(key)
    }
}

/// What a transaction pays.
#[derive(Debug, Clone, Args)]
pub struct FeeArgs {
    /// Most gas that it may use; by default estimated on the node.
    #[arg(long)]
    pub gas: Option<u64>,
    /// The fee in base units; by default the least that the chain takes for the gas.
    #[arg(long, value_name = "AMOUNT")]
    pub fee: Option<Amount>,
}

impl FeeArgs {
    /// As the client takes it.
    pub fn options(&self) -> TxOptions {
        TxOptions { gas_limit: self.gas, fee: self.fee }
    }
}

#[cfg(test)]
mod tests {
    use paralith_genesis::{Builder, GenesisTime, NodeKeys, development_params};
    use paralith_types::Hash;

    use super::*;
    use crate::keystore::test_account;

    fn genesis(development: bool) -> GenesisInfo {
        let mut params = development_params(Hash([9; 32]));
        if development {
            params.registry.software_platforms = vec![SigningKey::from_seed([4; 32]).public()];
        }
        let time = GenesisTime::from_seconds(1_700_000_000).unwrap();
        let owner = SigningKey::from_seed([1; 32]).public();
        let keys = NodeKeys {
            node: SigningKey::from_seed([2; 32]).public(),
            consensus: SigningKey::from_seed([3; 32]),
        };
        let document = Builder::new("signers", time, params)
            .entity(owner, Amount(1_000_000))
            .validator(owner, &keys, &[])
            .build();
        let genesis = GenesisInfo::new(document.unwrap()).unwrap();
        assert_eq!(genesis.is_development(), development);
        genesis
    }

    #[test]
    fn a_test_account_signs_on_development_chains_only_and_nobody_by_default_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "correct horse\n").unwrap();
        let keys = folder.path().join("keys");
        let alice = test_account("alice").unwrap();
        // The key that everyone has, under a name of one's own.
        let passwords = Passwords::from_file(Some(password.clone()));
        let keystore = Keystore::open(Some(keys.clone())).unwrap();
        keystore.add("mine", &alice, &passwords).unwrap();
        let key = |from: Option<&str>, development| {
            let signer = SignerArgs {
                from: from.map(str::to_string),
                keystore: Some(keys.clone()),
                password_file: Some(password.clone()),
            };
            signer.key(&genesis(development)).map(|key| key.public())
        };
        for (from, mention) in
            [(None, "--from"), (Some("alice"), "test account"), (Some("mine"), "test account")]
        {
            assert_eq!(key(from, true).unwrap(), alice.public(), "{from:?}");
            let error = key(from, false).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{from:?}: {error}");
            assert!(error.to_string().contains(mention), "{from:?}: {error}");
        }
    }
}
