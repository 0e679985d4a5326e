//! An application on a chain with a ledger, and an endorser process for each of three organisations.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use e2e::{Process, account_key, address, cli, until};
use paralith::client::{ChainClient, TxOptions, connect};
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::network::ORGANISATIONS;
use paralith::systems::chaincode::client::{ChaincodeClient, Endorsers, Invoked};
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_grpc::pb;
use paralith_chaincode_grpc::pb::endorser_service_client::EndorserServiceClient;
use paralith_chaincode_messages::state::{committed_key, entry_key};
use paralith_chaincode_messages::{Endorsement, Message as _, NewCommit, Response};
use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::staking;
use paralith_crypto::SigningKey;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_storage::{Column, Durability, Kv, KvOptions, WriteBatch};
use paralith_types::{Amount, Error, Height, RuntimeId};
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

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

/// Has the chain make a block: an idle one makes one a second.
async fn block(chain: &mut ChainClient) {
    let transfer = staking::Transfer { to: address("erin"), amount: Amount(1) };
    // Another transaction of the account may be on its way, which makes one as well.
    let _ = chain.submit(&account_key("alice"), transfer, TxOptions::default()).await;
}

/// Has the chain come to a height.
pub(crate) async fn reach(chain: &mut ChainClient, height: Height) {
    while chain.sync().await.unwrap() < height {
        block(chain).await;
    }
}

/// Has the next epoch begin.
pub(crate) async fn next_epoch(chain: &mut ChainClient) {
    chain.sync().await.unwrap();
    let epoch: EpochState = chain.require(&beacon::keys::epoch()).await.unwrap();
    reach(chain, epoch.next_height).await;
}

/// Calls, and gives what comes of it.
pub(crate) async fn invoke(
    client: &mut ChaincodeClient,
    key: &SigningKey,
    method: &str,
    args: &Value,
) -> Invoked {
    client.invoke(key, &call(method, args), |_, _| Ok(())).await.unwrap()
}

pub(crate) fn reply(output: &Output) -> Value {
    match output {
        Output::Ok(reply) => serde_json::from_slice(reply).unwrap(),
        Output::Error(error) => panic!("{error:?}"),
    }
}

/// The arguments by which the sample keeps a secret.
pub(crate) fn put(name: &str, secret: &str) -> Value {
    json!({ "name": name, "password": "p", "secret": secret })
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

fn contents(files: Vec<PathBuf>) -> Vec<(String, Vec<u8>)> {
    // A store removes files while it runs.
    let read = |file: PathBuf| Some((file.display().to_string(), std::fs::read(&file).ok()?));
    files.into_iter().filter_map(read).collect()
}

/// An application, and who endorses it.
pub(crate) struct Net {
    pub(crate) endorsers: Vec<Endorser>,
    /// A node of the chain.
    node: String,
    /// For this application's files.
    folder: PathBuf,
    /// Where the chain keeps its stores.
    home: PathBuf,
    /// Its name: no other application of the chain has it.
    pub(crate) name: String,
    /// The chaincode's id; empty before it is proposed.
    pub(crate) id: String,
    /// Whether hosts keep everything that crosses their boundaries, uncompressed.
    recorded: bool,
    /// The file of the key that vouches for enclaves, where it is not that of development chains.
    pub(crate) platform: Option<String>,
}

impl Net {
    /// An application that is not proposed yet.
    pub(crate) fn on(node: &str, folder: &Path, home: PathBuf) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("application-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let (endorsers, id) = (Vec::new(), String::new());
        let (node, folder) = (node.to_string(), folder.to_path_buf());
        Self { endorsers, node, folder, home, name, id, recorded: false, platform: None }
    }

    /// Has hosts keep what crosses their boundaries.
    pub(crate) fn recorded(self) -> Self {
        Self { recorded: true, ..self }
    }

    /// The chaincode of this module, approved and initialised, which serves at an endorser of each of these
    /// organisations.
    pub(crate) async fn serve(&mut self, module: &[u8], organisations: &[&str], init: &Value) {
        let proposed = self.propose(module, "bob");
        self.id = text(&proposed["runtime"]);
        self.approve(&text(&proposed["descriptor"]));
        self.upload(module);
        done(self.node(), &["chaincode", "allow", &self.id, "--from", "alice"]);
        for organisation in organisations {
            self.add_endorser(organisation);
        }
        for number in 0..organisations.len() {
            self.serving(number).await;
        }
        self.invoke(&["app.init", &init.to_string()], "bob");
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn module(&self, module: &[u8]) -> String {
        let name = format!("{}.wasm", paralith::network::code_of(module).id);
        let file = self.file(&name);
        std::fs::write(&file, module).unwrap();
        file
    }

    /// Proposes the application, or its next version.
    pub(crate) fn propose(&self, module: &[u8], from: &str) -> Value {
        let module = self.module(module);
        let mut args = vec!["chaincode", "deploy", &module, "--name", &self.name];
        args.extend(["--policy", POLICY]);
        ORGANISATIONS.iter().for_each(|one| args.extend(["--organisation", *one]));
        // Tests that submit a call many times must not find it too late.
        args.extend(["--commit-blocks", "20000", "--from", from]);
        done(self.node(), &args)
    }

    /// Proposes another descriptor for an id that has one proposed already, and gives its hash.
    pub(crate) fn propose_id(&self, module: &[u8], from: &str, id: &str) -> String {
        let proposals = done(self.node(), &["runtime", "proposals", id]);
        let mut runtime = proposals["proposed"][0]["runtime"].clone();
        assert_eq!(runtime["name"], json!(self.name));
        let code = paralith::network::code_of(module);
        runtime["code"] = serde_json::to_value(&code).unwrap();
        self.propose_descriptor(&runtime, from)
    }

    /// Proposes this descriptor, and gives its hash.
    pub(crate) fn propose_descriptor(&self, runtime: &Value, from: &str) -> String {
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
        let proposed = self.propose(module, "carol");
        assert_eq!((&proposed["runtime"], &proposed["sequence"]), (&json!(self.id), &json!(2)));
        self.approve(&text(&proposed["descriptor"]));
        self.as_blocks_come("sequence 2", async || {
            let status = done(self.node(), &["chaincode", "status", &self.id]);
            (status["sequence"] == json!(2)).then_some(())
        })
        .await;
        self.upload(module);
        for number in 0..self.endorsers.len() {
            self.as_blocks_come("the endorser runs the new code", async || {
                (self.status(number)?["code"] == proposed["code"]).then_some(())
            })
            .await;
            self.serving(number).await;
        }
    }

    /// The folder of a node that the organisation admits; the node's address.
    pub(crate) fn admit(&self, organisation: &str) -> (PathBuf, String) {
        let folder = self.folder.join(format!("{organisation}-{}", port()));
        let listen = format!("127.0.0.1:{}", port());
        let path = folder.display().to_string();
        let mut args = vec!["chaincode", "init", &path, &self.id, "--listen", &listen];
        args.extend(["--from", organisation]);
        if let Some(file) = &self.platform {
            args.extend(["--platform-key", file]);
        }
        done(self.node(), &args);
        (folder, listen)
    }

    pub(crate) fn add_endorser(&mut self, organisation: &str) {
        let (folder, listen) = self.admit(organisation);
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

    /// Looks again and again, and has the chain make blocks meanwhile: nodes go on with each.
    pub(crate) async fn as_blocks_come<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let mut chain = connect(self.node()).await.unwrap();
        until(what, async || {
            let found = look().await;
            if found.is_none() {
                block(&mut chain).await;
            }
            found
        })
        .await
    }

    /// What an endorser says of itself; none while it cannot be reached.
    fn status(&self, number: usize) -> Option<Value> {
        let url = &self.endorsers[number].url;
        let status = cli(self.node(), &["chaincode", "status", &self.id, "--endorser", url]);
        let status = status.json.into_iter().next()?;
        Some(status["endorsers"][0].clone())
    }

    pub(crate) async fn serving(&self, number: usize) {
        self.as_blocks_come("the endorser serves", async || {
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
        contents(found)
    }

    /// Every file of the chain's nodes: their store holds the ledger, and every other ParaTime.
    pub(crate) fn everything_on_the_chain(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        files(&self.home, &mut found);
        contents(found)
    }

    pub(crate) async fn client(&self) -> ChaincodeClient {
        let urls: Vec<String> = self.endorsers.iter().map(|one| one.url.clone()).collect();
        let endorsers = Endorsers::connect(&urls, &Trust::System).await.unwrap();
        let chain = connect(self.node()).await.unwrap();
        ChaincodeClient::new(chain, &self.id, endorsers).await.unwrap()
    }

    async fn service(&self, number: usize) -> EndorserServiceClient<Channel> {
        let url = self.endorsers[number].url.clone();
        let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        EndorserServiceClient::new(channel)
    }

    /// What one endorser gives for a proposal.
    pub(crate) async fn endorsed_by(&self, number: usize, proposed: &Proposed) -> NewCommit {
        let mut service = self.service(number).await;
        let request = pb::EndorseRequest { signed_proposal: proposed.signed.encode() };
        let endorsed =
            until("the endorser's signature", async || service.endorse(request.clone()).await.ok())
                .await
                .into_inner();
        let endorsement = Endorsement::decode(&endorsed.endorsement).unwrap();
        NewCommit { response: endorsed.response, endorsements: vec![endorsement] }
    }

    /// Why one endorser, asked once, does not release.
    pub(crate) async fn release_refusal(&self, number: usize, response: &[u8]) -> Error {
        let request = pb::ReleaseRequest { response: response.to_vec(), tx_id: Vec::new() };
        let status = self.service(number).await.release(request).await.unwrap_err();
        paralith_proto::status::error_of(&status).unwrap()
    }

    pub(crate) fn invoke(&self, call: &[&str], from: &str) -> Value {
        let all: Vec<usize> = (0..self.endorsers.len()).collect();
        self.invoke_by(&all, call, from)
    }

    /// Has these endorsers asked, by the command.
    pub(crate) fn invoke_by(&self, endorsers: &[usize], call: &[&str], from: &str) -> Value {
        done(self.node(), &self.invoke_args(endorsers, call, from))
    }

    /// What it gives, unless the command fails.
    pub(crate) fn try_invoke(&self, call: &[&str], from: &str) -> Option<Value> {
        let all: Vec<usize> = (0..self.endorsers.len()).collect();
        let printed = cli(self.node(), &self.invoke_args(&all, call, from));
        if !printed.success {
            println!("{call:?}: {}", printed.error);
        }
        printed.json.into_iter().next().filter(|_| printed.success)
    }

    fn invoke_args<'a>(
        &'a self,
        endorsers: &[usize],
        call: &[&'a str],
        from: &'a str,
    ) -> Vec<&'a str> {
        let mut args = vec!["chaincode", "invoke", &self.id];
        args.extend(call);
        endorsers.iter().for_each(|one| args.extend(["--endorser", &self.endorsers[*one].url]));
        args.extend(["--from", from]);
        args
    }

    /// The ledger's record of a commit, and the first entry that it writes.
    pub(crate) async fn ledger_entries(
        &self,
        client: &mut ChaincodeClient,
        commit: &NewCommit,
    ) -> [Option<Vec<u8>>; 2] {
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
