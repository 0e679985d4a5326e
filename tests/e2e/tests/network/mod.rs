//! A chain with a ledger, and an endorser process for each of three organisations.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use e2e::{Dev, DevOptions, Process, cli, until};
use paralith::client::connect;
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::network::ORGANISATIONS;
use paralith::systems::chaincode::client::{ChaincodeClient, Endorsers};
use paralith_chaincode_grpc::pb;
use paralith_chaincode_messages::state::{committed_key, entry_key};
use paralith_chaincode_messages::{NewCommit, Response};
use paralith_crypto::SigningKey;
use paralith_runtime_api::tx::Call;
use paralith_storage::{Column, Durability, Kv, KvOptions, WriteBatch};
use paralith_types::{PublicKey, RuntimeId};
use serde_json::{Value, json};

/// The sample with secrets under passwords.
pub(crate) const SECRETS: &[u8] = paralith::guests::SECRET_KEEPER;

const POLICY: &str = "2 of (bob, carol, dave)";

pub(crate) fn call(method: &str, args: &Value) -> Call {
    Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

/// Module and code of a refusal.
pub(crate) fn refused<T>(result: Result<T, NodeError>) -> (String, u32) {
    match result {
        Ok(_) => panic!("it is not refused"),
        Err(error) => e2e::refusal(&error),
    }
}

pub(crate) fn ledger_code<T>(result: Result<T, NodeError>) -> u32 {
    let (module, code) = refused(result);
    assert_eq!(module, "ledger", "code {code}");
    code
}

pub(crate) fn endorse_code<T>(result: Result<T, NodeError>) -> u32 {
    let (module, code) = refused(result);
    assert_eq!(module, "endorse", "code {code}");
    code
}

/// Runs a command that must succeed, and gives what it prints.
pub(crate) fn done(node: &str, args: &[&str]) -> Value {
    let printed = cli(node, args);
    assert!(printed.success, "{args:?}: {}", printed.error);
    printed.json.into_iter().next().unwrap_or(Value::Null)
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_string()
}

/// The same module with other bytes: a custom section more.
pub(crate) fn tweaked(module: &[u8]) -> Vec<u8> {
    [module, &[0, 5, 4, b'n', b'o', b't', b'e']].concat()
}

/// In which forms a secret may stand in a file.
pub(crate) fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(secret);
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
    vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes(), base64.into_bytes()]
}

/// An organisation's endorser.
pub(crate) struct Endorser {
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
    pub(crate) process: Process,
}

impl Endorser {
    pub(crate) fn launch(&mut self) {
        self.process = launch(&self.folder);
    }
}

fn launch(folder: &Path) -> Process {
    let config = folder.join("node.toml").display().to_string();
    let args = ["start".into(), "--config".into(), config];
    Process::start(&args, &folder.join("log"), None)
}

/// Ports that are free now: a node's configuration names them before it listens.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map_while(Result::ok) {
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

pub(crate) struct Net {
    dev: Dev,
    pub(crate) endorsers: Vec<Endorser>,
    /// The chaincode's id; empty before it is proposed.
    pub(crate) id: String,
    /// Whether hosts keep everything that crosses their boundaries, uncompressed.
    recorded: bool,
}

impl Net {
    /// The chain alone.
    pub(crate) fn chain(options: DevOptions<'_>) -> Self {
        let dev = Dev::start(DevOptions { more: &["--chaincode"], ..options });
        Self { dev, endorsers: Vec::new(), id: String::new(), recorded: false }
    }

    /// A chaincode of this module that is approved and initialised, and serves at three endorsers.
    pub(crate) async fn start(module: &[u8], recorded: bool) -> Self {
        let mut net = Self { recorded, ..Self::chain(DevOptions::default()) };
        let proposed = net.propose(module, "secrets", "bob");
        net.id = text(&proposed["runtime"]);
        net.approve(&text(&proposed["descriptor"]));
        net.upload(module);
        done(net.node(), &["chaincode", "allow", &net.id, "--from", "alice"]);
        for organisation in ORGANISATIONS {
            net.add_endorser(organisation);
        }
        for number in 0..3 {
            net.serving(number).await;
        }
        net.invoke(&["app.init"], "bob");
        net
    }

    pub(crate) fn node(&self) -> &str {
        &self.dev.node
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.dev.folder().join(name).display().to_string()
    }

    fn module(&self, module: &[u8]) -> String {
        let name = format!("{}.wasm", paralith::network::code_of(module).id);
        let file = self.file(&name);
        std::fs::write(&file, module).unwrap();
        file
    }

    fn deploy(&self, module: &[u8], name: &str, from: &str) -> Value {
        let module = self.module(module);
        let mut args = vec!["chaincode", "deploy", &module, "--name", name, "--policy", POLICY];
        ORGANISATIONS.iter().for_each(|one| args.extend(["--organisation", *one]));
        // Tests that submit a call many times must not find it too late.
        args.extend(["--commit-blocks", "20000", "--from", from]);
        done(self.node(), &args)
    }

    pub(crate) fn propose(&self, module: &[u8], name: &str, from: &str) -> Value {
        self.deploy(module, name, from)
    }

    /// Proposes another descriptor for an id that has one proposed already, and gives its hash.
    pub(crate) fn propose_id(&self, module: &[u8], name: &str, from: &str, id: &str) -> String {
        let proposals = done(self.node(), &["runtime", "proposals", id]);
        let mut runtime = proposals["proposed"][0]["runtime"].clone();
        assert_eq!(runtime["name"], name);
        let code = paralith::network::code_of(module);
        runtime["code"] = serde_json::to_value(&code).unwrap();
        let file = self.file("descriptor.json");
        std::fs::write(&file, runtime.to_string()).unwrap();
        text(&done(self.node(), &["runtime", "propose", &file, "--from", from])["descriptor"])
    }

    pub(crate) fn approve(&self, descriptor: &str) {
        for organisation in ["bob", "carol"] {
            let args = ["runtime", "approve", &self.id, descriptor, "--from", organisation];
            done(self.node(), &args);
        }
    }

    pub(crate) fn upload(&self, module: &[u8]) {
        done(self.node(), &["chaincode", "upload", &self.module(module)]);
    }

    /// The next version of the code, in force and endorsed.
    pub(crate) async fn upgrade(&self, module: &[u8]) {
        let proposed = self.deploy(module, "secrets", "carol");
        assert_eq!((&proposed["runtime"], &proposed["sequence"]), (&json!(self.id), &json!(2)));
        self.approve(&text(&proposed["descriptor"]));
        until("sequence 2", async || {
            let status = done(self.node(), &["chaincode", "status", &self.id]);
            (status["sequence"] == json!(2)).then_some(())
        })
        .await;
        self.upload(module);
        for number in 0..self.endorsers.len() {
            until("the endorser runs the new code", async || {
                (self.status(number)?["code"] == proposed["code"]).then_some(())
            })
            .await;
            self.serving(number).await;
        }
    }

    pub(crate) fn add_endorser(&mut self, organisation: &str) {
        let folder = self.dev.folder().join(format!("{organisation}-{}", port()));
        let listen = format!("127.0.0.1:{}", port());
        let path = folder.display().to_string();
        let args = ["chaincode", "init", &path, &self.id, "--listen", &listen];
        done(self.node(), &[&args[..], &["--from", organisation]].concat());
        if self.recorded {
            let file = folder.join("node.toml");
            let config = std::fs::read_to_string(&file).unwrap();
            let config =
                config.replace("compression = true", "compression = false\nrecord = \"record\"");
            std::fs::write(&file, config).unwrap();
        }
        let process = launch(&folder);
        self.endorsers.push(Endorser { url: format!("http://{listen}"), folder, process });
    }

    /// What an endorser says of itself; none while it cannot be reached.
    fn status(&self, number: usize) -> Option<Value> {
        let url = &self.endorsers[number].url;
        let status = cli(self.node(), &["chaincode", "status", &self.id, "--endorser", url]);
        let status = status.json.into_iter().next()?;
        Some(status["endorsers"][0].clone())
    }

    pub(crate) async fn serving(&self, number: usize) {
        until("the endorser serves", async || {
            (self.status(number)?["state"] == "serving").then_some(())
        })
        .await;
    }

    pub(crate) fn try_rak(&self, number: usize) -> Option<String> {
        let rak = self.status(number)?["rak"].as_str()?.to_string();
        (!rak.is_empty()).then_some(rak)
    }

    pub(crate) fn rak(&self, number: usize) -> String {
        self.try_rak(number).unwrap()
    }

    /// The registry's record of an enclave.
    pub(crate) fn record(&self, rak: &str) -> Value {
        let printed = cli(self.node(), &["runtime", "enclaves", &self.id]);
        let all = printed.json.into_iter().next().unwrap();
        let found = all.as_array().unwrap().iter().find(|one| one["rak"] == rak);
        found.map_or(Value::Null, |one| one["enclave"].clone())
    }

    /// The organisation whose enclave this is.
    pub(crate) async fn organisation_of(
        &self,
        client: &mut ChaincodeClient,
        rak: &PublicKey,
    ) -> String {
        let enclaves = client.chain.enclaves(&client.runtime.id).await.unwrap();
        let entity = enclaves.iter().find(|one| one.rak == *rak).unwrap().enclave.entity_id;
        let found = ORGANISATIONS.iter().find(|one| e2e::account_key(one).public() == entity);
        found.unwrap().to_string()
    }

    pub(crate) fn log(&self, number: usize) -> String {
        std::fs::read_to_string(self.endorsers[number].folder.join("log")).unwrap()
    }

    fn identity_key(&self) -> Vec<u8> {
        let id: RuntimeId = self.id.parse().unwrap();
        [b"endorser/identity/".as_slice(), id.as_bytes()].concat()
    }

    fn store(&self, number: usize) -> Kv {
        let folder = self.endorsers[number].folder.join("data").join("store");
        Kv::open(&folder, KvOptions { compression: true }).unwrap()
    }

    /// The sealed identity of an endorser that does not run.
    pub(crate) fn identity(&self, number: usize) -> Option<Vec<u8>> {
        self.store(number).get(Column::Meta, &self.identity_key()).unwrap()
    }

    /// Replaces or removes it.
    pub(crate) fn set_identity(&self, number: usize, sealed: Option<Vec<u8>>) {
        let (store, mut batch) = (self.store(number), WriteBatch::new());
        match sealed {
            Some(sealed) => batch.put(Column::Meta, self.identity_key(), sealed),
            None => batch.delete(Column::Meta, self.identity_key()),
        };
        store.write(batch, Durability::Synced).unwrap();
    }

    /// Every file of every endorser's host: store, records of boundary and links, log.
    pub(crate) fn everything_at_hosts(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        self.endorsers.iter().for_each(|one| files(&one.folder, &mut found));
        let read = |file: PathBuf| (file.display().to_string(), std::fs::read(&file).unwrap());
        found.into_iter().map(read).collect()
    }

    pub(crate) async fn client(&self) -> ChaincodeClient {
        let urls: Vec<String> = self.endorsers.iter().map(|one| one.url.clone()).collect();
        let endorsers = Endorsers::connect(&urls, &Trust::System).await.unwrap();
        let chain = connect(self.node()).await.unwrap();
        ChaincodeClient::new(chain, &self.id, endorsers).await.unwrap()
    }

    pub(crate) fn invoke(&self, call: &[&str], from: &str) -> Value {
        let all: Vec<usize> = (0..self.endorsers.len()).collect();
        self.invoke_by(&all, call, from)
    }

    /// Has these endorsers asked, by the command.
    pub(crate) fn invoke_by(&self, endorsers: &[usize], call: &[&str], from: &str) -> Value {
        let mut args = vec!["chaincode", "invoke", &self.id];
        args.extend(call);
        endorsers.iter().for_each(|one| args.extend(["--endorser", &self.endorsers[*one].url]));
        args.extend(["--from", from]);
        done(self.node(), &args)
    }

    /// The ledger's record of a commit, and the first entry that it writes.
    pub(crate) async fn ledger_entries(
        &self,
        client: &mut ChaincodeClient,
        commit: &NewCommit,
    ) -> [Option<Vec<u8>>; 2] {
        use paralith_chaincode_messages::Message as _;
        let response = Response::decode(&commit.response).unwrap();
        let entry = entry_key(&response.application, &response.writes[0].index);
        let keys = [committed_key(&response.tx_id), entry];
        let mut ledger = client.ledger().await.unwrap();
        let proven = ledger.prove(&mut client.chain, None, &keys).await.unwrap();
        proven.values.try_into().unwrap()
    }
}

/// Invokes until it is committed, and gives how often it met another call.
pub(crate) async fn insist(client: &mut ChaincodeClient, key: &SigningKey, call: &Call) -> usize {
    let mut conflicts = 0;
    loop {
        match client.invoke(key, call, |_, _| Ok(())).await {
            Ok(invoked) => return conflicts + invoked.conflicts,
            // The client gives up after five tries; a hot entry takes more.
            Err(NodeError::Refused(error)) if error.is("ledger", 15) => conflicts += 6,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The refusal of an endorser that is asked once to release.
pub(crate) async fn release_code(net: &Net, response: &[u8]) -> u32 {
    let url = net.endorsers[0].url.clone();
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let mut service = pb::endorser_service_client::EndorserServiceClient::new(channel);
    let request = pb::ReleaseRequest { response: response.to_vec(), tx_id: Vec::new() };
    let status = service.release(request).await.unwrap_err();
    let error = paralith_proto::status::error_of(&status).unwrap();
    assert_eq!(error.module, "endorse", "{error:?}");
    error.code
}
