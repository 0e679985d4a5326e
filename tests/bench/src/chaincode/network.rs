//! A development chain with a ledger, and `tokens` as chaincode at the endorsers of three organisations.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use paralith::client::{TxOptions, connect};
use paralith::guests;
use paralith::links::endpoint::Trust;
use paralith::network::ORGANISATIONS;
use paralith::systems::chaincode::client::{ChaincodeClient, Endorsers};
use paralith_consensus_api::{address, staking};
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::Amount;
use serde_json::{Value, json};

use crate::commands::{command, free, patiently};
use crate::load::account;
use crate::process::{Running, values};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Network {
    pub(super) node: String,
    /// The chaincode.
    pub(super) id: String,
    pub(super) urls: Vec<String>,
    pub(super) folders: Vec<PathBuf>,
    pub(super) endorsers: Vec<Running>,
    _chain: Running,
}

fn text(value: &Value, name: &str) -> Result<String> {
    let found = value.get(name).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no {name} in {value}"))?.to_string())
}

pub(super) fn call(method: &str, args: &Value) -> Call {
    Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

/// Has the chain make blocks, which nodes go on with: an idle one makes one a second. Ends when it is dropped.
pub(super) struct Blocks(tokio::task::JoinHandle<()>);

impl Blocks {
    pub(super) fn of(node: &str) -> Self {
        let node = node.to_string();
        Self(tokio::spawn(async move {
            let (Ok(mut chain), Ok(erin)) = (connect(&node).await, account("erin")) else { return };
            loop {
                let to = address::of_key(&erin.public());
                let transfer = staking::Transfer { to, amount: Amount(1) };
                let _ = chain.submit(&erin, transfer, TxOptions::default()).await;
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Network {
    pub(super) async fn make(folder: &Path) -> Result<Self> {
        let dev = ["dev", "--json", "--listen", "127.0.0.1:0", "--chaincode"];
        let mut chain = Running::start(&dev)?;
        let banner =
            values(chain.output()?).next().context("`paralith dev` has not said where it is")?;
        let node = text(&banner, "node")?;
        let module = folder.join("tokens.wasm").display().to_string();
        std::fs::write(&module, guests::TOKENS)?;
        let mut deploy = vec!["chaincode", "deploy", &module, "--name", "bench"];
        deploy.extend(["--policy", "2 of (bob, carol, dave)"]);
        ORGANISATIONS.iter().for_each(|one| deploy.extend(["--organisation", *one]));
        deploy.extend(["--commit-blocks", "20000", "--from", "bob"]);
        let proposed = patiently(&node, &deploy).await?;
        let (id, descriptor) = (text(&proposed, "runtime")?, text(&proposed, "descriptor")?);
        for organisation in ["bob", "carol"] {
            let approve = ["runtime", "approve", &id, &descriptor, "--from", organisation];
            command(&node, &approve)?;
        }
        command(&node, &["chaincode", "upload", &module])?;
        command(&node, &["chaincode", "allow", &id, "--from", "alice"])?;
        let (mut urls, mut folders, mut endorsers) = (Vec::new(), Vec::new(), Vec::new());
        for organisation in ORGANISATIONS {
            let (folder, listen) = (folder.join(organisation), free()?);
            let path = folder.display().to_string();
            let init = ["chaincode", "init", &path, &id, "--listen", &listen];
            command(&node, &[&init[..], &["--from", organisation]].concat())?;
            endorsers.push(start(&folder)?);
            urls.push(format!("http://{listen}"));
            folders.push(folder);
        }
        let network = Self { node, id, urls, folders, endorsers, _chain: chain };
        let _blocks = Blocks::of(&network.node);
        for url in &network.urls {
            network.serving(url).await?;
        }
        let init = json!({ "minter": address::of_key(&account("alice")?.public()) });
        let mut client = network.client().await?;
        let invoked =
            client.invoke(&account("bob")?, &call("app.init", &init), |_, _| Ok(())).await?;
        ensure!(matches!(invoked.output, Output::Ok(_)), "{:?}", invoked.output);
        Ok(network)
    }

    async fn serving(&self, url: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = command(&self.node, &["chaincode", "status", &self.id, "--endorser", url]);
            let state = status.as_ref().ok().and_then(|all| all.pointer("/endorsers/0/state"));
            if state.is_some_and(|state| state == "serving") {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "{url} does not serve: {status:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A user that asks all endorsers.
    pub(super) async fn client(&self) -> Result<ChaincodeClient> {
        self.client_of(&self.urls).await
    }

    /// A user that asks these.
    pub(super) async fn client_of(&self, urls: &[String]) -> Result<ChaincodeClient> {
        let endorsers = Endorsers::connect(urls, &Trust::System).await?;
        Ok(ChaincodeClient::new(connect(&self.node).await?, &self.id, endorsers).await?)
    }
}

/// An endorser's process.
pub(super) fn start(folder: &Path) -> Result<Running> {
    let config = folder.join("node.toml").display().to_string();
    Running::start(&["start", "--config", &config])
}
