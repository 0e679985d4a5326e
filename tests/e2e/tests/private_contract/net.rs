//! One chain with a mediator and three members, which the tests share: each makes contracts of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use e2e::{Dev, DevOptions, Process, account_key, address, claim, cli, until};
use paralith::client::{TxOptions, connect};
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::network::MEDIATOR;
use paralith::systems::private_contract::client::{ContractClient, MemberClient, PrivateTx};
use paralith_consensus_api::roothash::SubmitMessage;
use paralith_consensus_api::{address as addresses, staking};
use paralith_crypto::{Domain, SigningKey};
use paralith_policy::{CERTIFICATE_DOMAIN, CERTIFICATE_VERSION, Certificate, Policy};
use paralith_private_contract_core::ids::{definition_hash, package_hash};
use paralith_private_contract_messages::{
    Canonical as _, ContractId, ContractStatus, Definition, Join, Package, Terms,
    TransactionRecord, TransactionStatus, keys as places,
};
use paralith_private_contract_stakeholder::Keys;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_storage::{Column, Durability, Files, Kv, KvOptions, WriteBatch};
use paralith_types::{Address, Amount, Hash, Height, PublicKey, Signature};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];
const CERTIFICATE: Domain = Domain::new(CERTIFICATE_DOMAIN);

/// A member's node, as a process of its own.
pub(crate) struct Member {
    pub(crate) keys: Keys,
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
    pub(crate) password: PathBuf,
    process: Process,
}

/// The chain and the members' processes.
pub(crate) struct Net {
    pub(crate) dev: Dev,
    pub(crate) members: [Member; 3],
    /// Where the chain keeps its stores.
    pub(crate) home: tempfile::TempDir,
}

/// How many tests use the network or are about to, and the network while none uses it.
struct Shared {
    users: usize,
    net: Option<Net>,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { users: 0, net: None });

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test that uses the network, from before its turn to its end: the last one ends the network.
struct User;

impl User {
    fn new() -> Self {
        shared().users += 1;
        Self
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut shared = shared();
        shared.users -= 1;
        let net = if shared.users == 0 { shared.net.take() } else { None };
        drop(shared);
        drop(net);
    }
}

/// Runs a test on the network. One that fails takes the network with it.
pub(crate) fn on_network(test: impl AsyncFnOnce(&mut Session)) {
    let _user = User::new();
    claim(async {
        let waiting = shared().net.take();
        let net = waiting.unwrap_or_else(Net::start);
        let client = connect(&net.dev.node).await.unwrap();
        let client = ContractClient::new(client, MEDIATOR).await.unwrap();
        let mut session = Session { net, client };
        test(&mut session).await;
        session.all_run();
        shared().net = Some(session.net);
    });
}

/// Ports that are free now: a node's configuration names them before it listens.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a key of a store names a contract: stores escape zeros.
fn holds(key: &[u8], id: &ContractId) -> bool {
    let escaped: Vec<u8> =
        id.0.iter().flat_map(|byte| if *byte == 0 { vec![0, 0xff] } else { vec![*byte] }).collect();
    key.windows(escaped.len()).any(|window| window == escaped)
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command that must succeed, and gives what it prints.
pub(crate) fn done(node: &str, args: &[&str]) -> Value {
    let printed = cli(node, args);
    assert!(printed.success, "{args:?}: {}", printed.error);
    printed.json.into_iter().next().unwrap_or(Value::Null)
}

impl Member {
    fn start(dev: &Dev, name: &str) -> Self {
        let folder = dev.folder().join(name);
        let password = dev.folder().join(format!("{name}.password"));
        std::fs::write(&password, PASSWORD).unwrap();
        let (links, listen) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
        let shown = text(&folder);
        let args = ["contract", "init", &shown, "--links", &links, "--listen", &listen, "--data"];
        let made = done(&dev.node, &[&args[..], &["--password-file", &text(&password)]].concat());
        let files = Files::folder(&folder.join("keys")).unwrap();
        let keys = Keys::open(&files, PASSWORD.as_bytes()).unwrap();
        assert_eq!(made["member"], json!(keys.account()));
        let process = Self::launch(&folder);
        Self { keys, url: format!("http://{listen}"), folder, password, process }
    }

    fn launch(folder: &Path) -> Process {
        let config = text(&folder.join("node.toml"));
        let args = ["start".into(), "--config".into(), config];
        Process::start(&args, &folder.join("log"), None)
    }

    /// `kill -9`, if it runs.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it if it does not run.
    pub(crate) fn run(&mut self) {
        if self.process.has_ended() {
            self.process = Self::launch(&self.folder);
        }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Its store, while it does not run.
    pub(crate) fn store(&self) -> Kv {
        assert!(self.process.has_ended());
        Kv::open(&self.folder.join("data/store"), KvOptions { compression: true }).unwrap()
    }

    /// Changes the newest value under a contract's key that ends so, while it does not run.
    pub(crate) fn falsify(&self, id: &ContractId, end: &[u8]) {
        let kv = self.store();
        let mut batch = WriteBatch::new();
        for (key, mut value) in kv.prefix(Column::Latest, b"", None, 100_000).unwrap() {
            if key.starts_with(b"private/") && key.ends_with(end) && holds(&key, id) {
                *value.last_mut().unwrap() ^= 1;
                batch.put(Column::Latest, key, value);
            }
        }
        assert_eq!(batch.len(), 1);
        kv.write(batch, Durability::Synced).unwrap();
    }

    /// Options of commands by which its operator is known.
    pub(crate) fn key_options(&self) -> [String; 4] {
        let keys = text(&self.folder.join("keys"));
        ["--keys".into(), keys, "--password-file".into(), text(&self.password)]
    }
}

impl Net {
    fn start() -> Self {
        let home = e2e::scratch();
        let kept = home.path().join("chain");
        let dev = Dev::start(DevOptions { home: Some(&kept), more: &["--private-contracts"] });
        let members = NAMES.map(|name| Member::start(&dev, name));
        Self { dev, members, home }
    }
}

/// A contract that runs, and alice's certificate for it.
pub(crate) struct Contract {
    pub(crate) id: ContractId,
    pub(crate) certificate: Certificate,
    pub(crate) package: Package,
}

/// A test's own connection to the network.
pub(crate) struct Session {
    pub(crate) net: Net,
    pub(crate) client: ContractClient,
}

pub(crate) fn terms() -> Terms {
    Terms {
        fetch_blocks: 20,
        vote_blocks: 600,
        max_batch: 64,
        max_content_bytes: 64 * 1024,
        gas_limit: 1_000_000_000,
        bond: Amount::ZERO,
        deposit: Amount::ZERO,
        slash: Amount::ZERO,
        min_receipts: 0,
        origins: Vec::new(),
        retention_blocks: 100_000,
        dormant_blocks: 0,
        residual: address("alice"),
    }
}

pub(crate) fn mint(amount: &str) -> abi::Call {
    let args = json!({ "to": address("alice"), "amount": amount });
    call("mint", &args)
}

pub(crate) fn call(method: &str, args: &Value) -> abi::Call {
    abi::Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

/// What makes a contract of `tokens` that alice mints.
pub(crate) fn tokens() -> (Vec<u8>, Value) {
    (paralith::guests::TOKENS.to_vec(), json!({ "minter": address("alice") }))
}

/// What makes a contract that counts.
pub(crate) fn counter() -> (Vec<u8>, Value) {
    (paralith::guests::COUNTER.to_vec(), json!({}))
}

/// Module and code of a refusal.
pub(crate) fn code_of<T: std::fmt::Debug>(done: Result<T, NodeError>) -> (String, u32) {
    e2e::refusal(&done.unwrap_err())
}

/// Installs a package at a member's node, and joins.
async fn join_one(
    node: &str,
    member: &Member,
    id: ContractId,
    sealed: Vec<u8>,
    definition: &Definition,
) {
    let mut client = ContractClient::new(connect(node).await.unwrap(), MEDIATOR).await.unwrap();
    let (key, chain) = (member.keys.account_key(), client.chain.chain_context());
    let installed = until("the member sees the contract", async || {
        let mut member = MemberClient::connect(&member.url, &Trust::System, chain).await.ok()?;
        let height = client.chain.sync().await.unwrap().0;
        member.install(key, &id, height, sealed.clone(), None).await.ok()
    })
    .await;
    let join = Join {
        contract_id: id,
        definition: definition_hash(definition),
        batch: installed.batch,
        root: Hash::try_from(installed.root.as_slice()).unwrap(),
        bond: definition.terms.bond,
    };
    client.call(key, "join", join.encode()).await.unwrap();
}

impl Session {
    fn all_run(&mut self) {
        self.net.members.iter_mut().for_each(Member::run);
    }

    pub(crate) fn key(&self, place: usize) -> PublicKey {
        self.net.members[place].keys.account()
    }

    pub(crate) async fn member(&self, place: usize) -> MemberClient {
        let url = &self.net.members[place].url;
        let chain = self.client.chain.chain_context();
        let connect = async || MemberClient::connect(url, &Trust::System, chain).await.ok();
        until("a member answers", connect).await
    }

    pub(crate) async fn height(&mut self) -> u64 {
        self.client.chain.sync().await.unwrap().0
    }

    /// Waits until the chain has so many more blocks.
    pub(crate) async fn blocks(&mut self, count: u64) {
        let until = Height(self.height().await + count);
        self.client.chain.sync_to(until).await.unwrap();
    }

    /// Creates a contract that all three members have joined.
    pub(crate) async fn contract(
        &mut self,
        policy: &str,
        (module, init): (Vec<u8>, Value),
        change: impl FnOnce(&mut Terms),
    ) -> Contract {
        let alice = account_key("alice");
        for place in 0..3 {
            let key = self.key(place);
            let client = &mut self.client;
            until("a member's keys", async || client.account_keys(&key).await.ok()).await;
        }
        let random = || Hash(paralith_rt::random().unwrap());
        let package = Package {
            module,
            init_argument: init.to_string().into_bytes(),
            derive_secret: random(),
            group_secret: random(),
        };
        let mut terms = terms();
        change(&mut terms);
        let definition = Definition {
            version: 1,
            package_hash: package_hash(&package),
            issuers: vec![alice.public()],
            members: (0..3).map(|place| self.key(place)).collect(),
            policy: Policy::parse(policy, &NAMES).unwrap(),
            terms,
        };
        let (id, _) = self.client.create(&alice, &package, definition.clone()).await.unwrap();
        let sealed = self.client.seal_for_members(id, &package).await.unwrap();
        let mut sealed = sealed.into_iter();
        let mut join = |place: usize| {
            let member = &self.net.members[place];
            join_one(&self.net.dev.node, member, id, sealed.next().unwrap(), &definition)
        };
        tokio::join!(join(0), join(1), join(2));
        assert_eq!(self.client.contract(&id).await.unwrap().status, ContractStatus::Active);
        let certificate = self.certificate(&id, alice.public(), |_| {}).await;
        Contract { id, certificate, package }
    }

    /// A certificate by alice.
    pub(crate) async fn certificate(
        &mut self,
        id: &ContractId,
        subject: PublicKey,
        change: impl FnOnce(&mut Certificate),
    ) -> Certificate {
        let alice = account_key("alice");
        let mut certificate = Certificate {
            version: CERTIFICATE_VERSION,
            issuer: alice.public(),
            subject,
            scope: id.0,
            attributes: String::new(),
            serial: 1,
            not_before: Height(0),
            not_after: Height(self.height().await + 100_000),
            signature: Signature([0; 64]),
        };
        change(&mut certificate);
        let chain = self.client.chain.chain_context();
        certificate.signature = alice.sign(CERTIFICATE, &chain, &certificate.message());
        certificate
    }

    /// Seals a call of alice; these members keep it.
    pub(crate) async fn seal(
        &mut self,
        contract: &Contract,
        call: &abi::Call,
        at: &[usize],
    ) -> PrivateTx {
        let alice = account_key("alice");
        let mut tx = self.client.seal(contract.id, &alice.public(), call, None).await.unwrap();
        for place in at {
            let mut member = self.member(*place).await;
            let height = self.height().await;
            tx.store_at(&mut member, &alice, &contract.certificate, height).await.unwrap();
        }
        tx
    }

    pub(crate) async fn submit(
        &mut self,
        contract: &Contract,
        tx: &PrivateTx,
        payment: u128,
    ) -> Result<u64, NodeError> {
        let certificate = contract.certificate.clone();
        self.client.submit(&account_key("alice"), certificate, tx, Amount(payment)).await
    }

    /// Seals and submits a call of alice; these members keep it.
    pub(crate) async fn send(
        &mut self,
        contract: &Contract,
        call: &abi::Call,
        at: &[usize],
    ) -> u64 {
        let tx = self.seal(contract, call, at).await;
        self.submit(contract, &tx, 0).await.unwrap()
    }

    /// Waits until a transaction is final.
    pub(crate) async fn fini(&mut self, id: &ContractId, seq: u64) -> TransactionRecord {
        let client = &mut self.client;
        until("FINI", async || {
            let record = client.record::<TransactionRecord>(places::transaction(id, seq)).await;
            let is_open =
                |status| matches!(status, TransactionStatus::Pending | TransactionStatus::Open);
            record.unwrap().filter(|record| !is_open(record.status))
        })
        .await
    }

    /// Sends a call that member a keeps, and waits for its end.
    pub(crate) async fn run(&mut self, contract: &Contract, call: &abi::Call) -> TransactionStatus {
        let seq = self.send(contract, call, &[0]).await;
        self.fini(&contract.id, seq).await.status
    }

    /// Waits until a batch is open, and gives its number.
    pub(crate) async fn open(&mut self, id: &ContractId) -> u64 {
        let client = &mut self.client;
        until("a batch is open", async || {
            let open = client.contract(id).await.unwrap().open_batch;
            (open != 0).then_some(open)
        })
        .await
    }

    /// A member's root, and the newest batch in which it has voted.
    pub(crate) async fn status_at(&mut self, place: usize, id: &ContractId) -> Option<(Hash, u64)> {
        let url = &self.net.members[place].url;
        let chain = self.client.chain.chain_context();
        let mut member = MemberClient::connect(url, &Trust::System, chain).await.ok()?;
        let keys = self.net.members[place].keys.clone();
        let height = self.client.chain.sync().await.ok()?.0;
        let contracts = member.contracts(keys.account_key(), height).await.ok()?;
        let here = contracts.into_iter().find(|one| one.contract_id == id.0)?;
        Some((Hash::try_from(here.root.as_slice()).unwrap(), here.voted_batch))
    }

    /// Waits until a member has its vote of a batch on its disk.
    pub(crate) async fn voted(&mut self, place: usize, id: &ContractId, batch: u64) {
        until(&format!("member {place} has voted"), async || {
            let (_, voted) = self.status_at(place, id).await?;
            (voted == batch).then_some(())
        })
        .await;
    }

    /// Waits until all three members have the last final root, and gives it.
    pub(crate) async fn one_root(&mut self, id: &ContractId) -> Hash {
        let root = self.client.contract(id).await.unwrap().last_root;
        for place in 0..3 {
            until(&format!("member {place} has the final root"), async || {
                let (here, _) = self.status_at(place, id).await?;
                (here == root).then_some(())
            })
            .await;
        }
        root
    }

    /// The contract's answer at a member.
    pub(crate) async fn query(
        &mut self,
        place: usize,
        id: &ContractId,
        method: &str,
        args: &Value,
    ) -> Value {
        let asked = call(method, args);
        let keys = self.net.members[place].keys.clone();
        let answer = until("a member's answer", async || {
            let mut member = self.member(place).await;
            let height = self.height().await;
            member.query(keys.account_key(), id, height, &asked).await.ok()
        })
        .await;
        match Output::decode(&answer.output, answer.output.len()).unwrap() {
            Output::Ok(value) => serde_json::from_slice(&value).unwrap(),
            Output::Error(error) => panic!("{method}: {}", error.message),
        }
    }

    /// What an account has at the mediator.
    pub(crate) async fn balance(&mut self, of: &Address) -> u128 {
        let args = json!({ "address": of }).to_string().into_bytes();
        let call = Call { method: "balance".to_string(), args };
        let client = &mut self.client;
        let answer = client.mediator.query(&mut client.chain, None, call).await.unwrap();
        let Output::Ok(value) = answer.output else { panic!() };
        let value: Value = serde_json::from_slice(&value).unwrap();
        value["balance"].as_str().unwrap().parse().unwrap()
    }

    /// Brings an account's money to the mediator; it comes from alice.
    pub(crate) async fn deposit(&mut self, key: &SigningKey, amount: u128) {
        let to = addresses::of_key(&key.public());
        let before = self.balance(&to).await;
        if to != address("alice") {
            let transfer = staking::Transfer { to, amount: Amount(amount + 1_000) };
            let options = TxOptions::default();
            self.client.chain.submit(&account_key("alice"), transfer, options).await.unwrap();
        }
        let mediator = &self.client.mediator.runtime;
        let deposit = SubmitMessage {
            runtime_id: mediator.id,
            tag: 0,
            fee: mediator.staking.min_in_message_fee,
            tokens: Amount(amount),
            data: Vec::new(),
        };
        self.client.chain.submit(key, deposit, TxOptions::default()).await.unwrap();
        until("the deposit is credited", async || {
            (self.balance(&to).await == before + amount).then_some(())
        })
        .await;
    }
}
