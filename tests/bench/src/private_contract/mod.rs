//! Private contracts: what a vote of many members costs, what a NO costs beside its YES, and how long calls take, and how
//! many of them are done, beside those of ParaTimes.
//!
//! Three members, each a process, on a development chain; all is made by the commands that users have.

mod undo;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use paralith::client::{ParaTimeClient, connect};
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::systems::private_contract::client::{ContractClient, MemberClient};
use paralith_bls::{BlsSecret, CheckedKeys, aggregate};
use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_policy::{Certificate, Members};
use paralith_private_contract_messages::{
    Actions, Canonical as _, ContractId, TransactionRecord, TransactionStatus, Verdict, Vote,
    VoteSignature, keys,
};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::{Amount, Hash};
use serde_json::{Value, json};

use crate::commands::{command, free, patiently};
use crate::load::{account, sender, waiting_users};
use crate::process::{Running, values};
use crate::report::{Samples, rounded, tell};

/// Stakeholders of the largest vote.
const SIGNERS: usize = 100;
const VERIFICATIONS: usize = 50;
const CALLS: usize = 20;
const SENDERS: usize = 20;
const WARM_UP: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(15);
const NAMES: [&str; 3] = ["a", "b", "c"];
const PATIENCE: Duration = Duration::from_secs(60);
const KEY: Domain = Domain::new("paralith/bench-member/v1");

pub(crate) async fn run() -> Result<()> {
    votes()?;
    undo::run()?;
    let folder = tempfile::tempdir()?;
    let mut chain =
        Running::start(&["dev", "--json", "--listen", "127.0.0.1:0", "--private-contracts"])?;
    let banner =
        values(chain.output()?).next().context("`paralith dev` has not said where it is")?;
    let node = banner.get("node").and_then(Value::as_str).context("the banner names no node")?;
    let network = Network::make(node, folder.path())?;
    network.calls().await?;
    network.transfers().await
}

/// One vote of all in one signature, beside a signature of each.
fn votes() -> Result<()> {
    let secret = |number: usize| BlsSecret::from_ikm(&hash(KEY, &[&number.to_be_bytes()]).0);
    let secrets: Vec<BlsSecret> = (0..SIGNERS).map(secret).collect();
    let message = hash(KEY, &[b"vote"]).0;
    let signatures: Vec<[u8; 48]> = secrets.iter().map(|secret| secret.sign(&message)).collect();
    let signature = aggregate(&signatures).context("signatures of these keys add up")?;
    let public: Vec<[u8; 96]> = secrets.iter().map(BlsSecret::public).collect();
    let members: Members = (0..u32::try_from(SIGNERS)?).collect();
    let vote = Vote {
        contract_id: ContractId([9; 32]),
        batch: 1_000,
        verdict: Verdict {
            new_root: Hash([1; 32]),
            results_root: Hash([2; 32]),
            classes: vec![0xff; 16],
            taken: true,
            actions_hash: Hash([3; 32]),
        },
        actions: Actions { actions: Vec::new() },
        signers: members.to_bytes(),
        signature: VoteSignature(signature),
    };
    let (bytes, of_each) = (vote.encode().len(), 64 * SIGNERS);
    let single = account("alice")?;
    let domain = KEY;
    let chain = paralith_types::ChainContext([7; 32]);
    let own = single.sign(domain, &chain, &message);
    let (mut fresh, mut bls, mut ed25519) =
        (Samples::default(), Samples::default(), Samples::default());
    let mut checked = CheckedKeys::new(SIGNERS);
    ensure!(checked.verify(&public, &message, &signature));
    for _ in 0..VERIFICATIONS {
        ensure!(fresh.time(|| paralith_bls::verify(&public, &message, &signature)));
        ensure!(bls.time(|| checked.verify(&public, &message, &signature)));
        let verified = ed25519.time(|| {
            paralith_crypto::ed25519::verify(&single.public(), domain, &chain, &message, &own)
        });
        verified.context("a right signature verifies")?;
    }
    let ratio = bls.median() / ed25519.median();
    tell(
        "private_contract",
        &format!(
            "a vote of {SIGNERS}: {bytes} bytes, 1/{:.1} of {SIGNERS} Ed25519 signatures; verified in {:.0} µs, \
             {ratio:.0} times one Ed25519 signature, if its keys were checked before; else in {:.0} µs",
            of_each as f64 / bytes as f64,
            bls.median() * 1e6,
            fresh.median() * 1e6
        ),
        json!({
            "signers": SIGNERS, "bytes": bytes, "bytes of Ed25519 signatures": of_each,
            "verify us": rounded(bls.median() * 1e6), "verify with new keys us": rounded(fresh.median() * 1e6),
            "ed25519 us": rounded(ed25519.median() * 1e6),
            "ratio": rounded(ratio),
        }),
    );
    Ok(())
}

/// A contract that all members have joined, and alice's certificate for it.
struct Contract {
    id: ContractId,
    certificate: Certificate,
}

struct Network {
    node: String,
    folder: PathBuf,
    /// Each member's name and key, its address, and the folder of its node.
    keys: Vec<String>,
    members: Vec<String>,
    homes: Vec<String>,
    _processes: Vec<Running>,
}

impl Network {
    /// Three members.
    fn make(node: &str, folder: &Path) -> Result<Self> {
        let password = folder.join("password").display().to_string();
        std::fs::write(&password, "correct horse battery")?;
        let mut network = Self {
            node: node.to_string(),
            folder: folder.to_path_buf(),
            keys: Vec::new(),
            members: Vec::new(),
            homes: Vec::new(),
            _processes: Vec::new(),
        };
        for name in NAMES {
            let (home, links, listen) = (network.file(name), free()?, free()?);
            let init = ["contract", "init", &home, "--links", &links, "--listen", &listen];
            let made = command(node, &[&init[..], &["--password-file", &password]].concat())?;
            let key = made.get("member").and_then(Value::as_str).context("its key")?;
            network.keys.push(format!("{name}={key}"));
            let config = PathBuf::from(&home).join("node.toml").display().to_string();
            network._processes.push(Running::start(&["start", "--config", &config])?);
            network.members.push(format!("http://{listen}"));
            network.homes.push(home);
        }
        Ok(network)
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A contract of a module that the program carries, which two of the three decide.
    async fn contract(&self, example: &str, init: &Value) -> Result<Contract> {
        let node = &self.node;
        let (package, sealed) =
            (self.file(&format!("{example}.package")), self.file(&format!("{example}.sealed")));
        let (module, init) = (format!("example:{example}"), init.to_string());
        let make = ["contract", "package", &module, "--init", &init, "--out", &package];
        command(node, &make)?;
        let mut create = vec!["contract", "create", &package, "--policy", "2 of (a, b, c)"];
        self.keys.iter().for_each(|member| create.extend(["--member", member]));
        create.extend(["--out", &sealed, "--vote-blocks", "600", "--from", "alice"]);
        let created = patiently(node, &create).await?;
        let id = created.get("contract").and_then(Value::as_str).context("its id")?.to_string();
        let password = self.file("password");
        for (index, (home, url)) in self.homes.iter().zip(&self.members).enumerate() {
            let (package, keys) = (format!("{sealed}/package-{index}"), format!("{home}/keys"));
            let join = ["contract", "join", &id, &package, "--member", url, "--keys", &keys];
            patiently(node, &[&join[..], &["--password-file", &password]].concat()).await?;
        }
        let certificate = self.certify(&id, "alice", 1)?;
        Ok(Contract { id: hex_id(&id)?, certificate })
    }

    /// Alice certifies a key.
    fn certify(&self, id: &str, subject: &str, serial: usize) -> Result<Certificate> {
        let (out, serial) = (self.file(&format!("{id}.{serial}")), serial.to_string());
        let certify = ["contract", "certify", id, subject, "--serial", &serial, "--out", &out];
        command(&self.node, &[&certify[..], &["--from", "alice"]].concat())?;
        certificate(&std::fs::read_to_string(&out)?)
    }

    async fn client(&self) -> Result<ContractClient> {
        Ok(ContractClient::new(connect(&self.node).await?, "mediator").await?)
    }

    async fn member(&self, client: &ContractClient, number: usize) -> Result<MemberClient> {
        let url = self.members.get(number % self.members.len()).context("a member")?;
        Ok(MemberClient::connect(url, &Trust::System, client.chain.chain_context()).await?)
    }

    /// From INIT to FINI, with the content at all members, beside a call of a public ParaTime.
    async fn calls(&self) -> Result<()> {
        let alice = account("alice")?;
        let contract = self.contract("counter", &json!({})).await?;
        let mut client = self.client().await?;
        let mut members = Vec::new();
        for number in 0..self.members.len() {
            members.push(self.member(&client, number).await?);
        }
        let args = json!({ "amount": 1 }).to_string().into_bytes();
        let add = abi::Call { method: "add".to_string(), args: args.clone() };
        let (mut private, mut blocks) = (Samples::default(), Vec::new());
        for _ in 0..CALLS {
            let mut tx = client.seal(contract.id, &alice.public(), &add, None).await?;
            let height = client.chain.sync().await?.0;
            for member in &mut members {
                tx.store_at(member, &alice, &contract.certificate, height).await?;
            }
            let certificate = contract.certificate.clone();
            let seq = client.submit(&alice, certificate, &tx, Amount::ZERO).await?;
            let (began, first) = (Instant::now(), client.chain.sync().await?.0);
            fini(&mut client, &contract.id, seq).await?;
            private.add(began.elapsed());
            blocks.push(client.chain.sync().await?.0.saturating_sub(first));
        }
        let mut public = Samples::default();
        let mut counter = ParaTimeClient::new(&mut client.chain, "counter").await?;
        let own = address::of_key(&alice.public());
        for _ in 0..CALLS {
            let nonce = counter.nonce(&mut client.chain, &own).await?;
            let gas = counter.gas(5_000_000, None)?;
            let call = Call { method: "add".to_string(), args: args.clone() };
            let sent = counter.prepare(&mut client.chain, &alice, nonce, gas, call).await?;
            let began = Instant::now();
            let confirmed = counter.submit(&mut client.chain, &sent, |_| {}).await?;
            public.add(began.elapsed());
            ensure!(matches!(confirmed.output, Output::Ok(_)), "{:?}", confirmed.output);
        }
        blocks.sort_unstable();
        let blocks = blocks.get(blocks.len() / 2).copied().unwrap_or_default();
        let ratio = private.median() / public.median();
        tell(
            "private_contract",
            &format!(
                "INIT to FINI {:.0} ms, {blocks} blocks (median of {CALLS}); submit to final of a public \
                 `counter.add` {:.0} ms: {ratio:.1} times",
                private.median() * 1e3,
                public.median() * 1e3
            ),
            json!({
                "calls": CALLS, "INIT to FINI p50 ms": rounded(private.median() * 1e3),
                "blocks p50": blocks, "public call p50 ms": rounded(public.median() * 1e3),
                "ratio": rounded(ratio),
            }),
        );
        Ok(())
    }

    /// Private transfers a second, in batches of up to 64, beside confidential ones on the same chain.
    async fn transfers(&self) -> Result<()> {
        let alice = account("alice")?;
        let minter = json!({ "minter": address::of_key(&alice.public()) });
        let contract = self.contract("tokens", &minter).await?;
        let id = contract.id.to_hex();
        let mut client = self.client().await?;
        let mut first = self.member(&client, 0).await?;
        let mut senders = Vec::new();
        for number in 0..SENDERS {
            let own = address::of_key(&sender(number).public());
            let mint = call("mint", &json!({ "to": own, "amount": "1000000" }));
            let sent =
                send(&mut client, &mut first, &contract.id, &contract.certificate, &alice, &mint);
            let seq = sent.await?;
            if number + 1 == SENDERS {
                fini(&mut client, &contract.id, seq).await?;
            }
            let subject = sender(number).public().to_string();
            let certificate = self.certify(&id, &subject, number + 2)?;
            let client = self.client().await?;
            let member = self.member(&client, number).await?;
            senders.push((client, member, certificate));
        }
        let began = Instant::now();
        let until = began + WARM_UP + WINDOW;
        let mut sending = tokio::task::JoinSet::new();
        for (number, (mut client, mut member, certificate)) in senders.into_iter().enumerate() {
            let id = contract.id;
            sending.spawn(async move {
                let to = address::of_key(&sender(1_000 + number).public());
                let transfer = call("transfer", &json!({ "to": to, "amount": "1" }));
                let key = sender(number);
                while Instant::now() < until {
                    match send(&mut client, &mut member, &id, &certificate, &key, &transfer).await {
                        Ok(_) => {}
                        // The queue takes so many of a sender.
                        Err(NodeError::Refused(error)) if error.is("mediator", 14) => {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            });
        }
        tokio::time::sleep(WARM_UP).await;
        let (from, began) = (client.contract(&contract.id).await?, Instant::now());
        tokio::time::sleep_until(until.into()).await;
        let (to, seconds) = (client.contract(&contract.id).await?, began.elapsed().as_secs_f64());
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        let last = to.head.saturating_sub(1);
        let status = client.transaction(&contract.id, last).await?.status;
        ensure!(status == TransactionStatus::Yes, "transaction {last} ended {status:?}");
        let ended = to.head.saturating_sub(from.head);
        let batches = to.last_batch.saturating_sub(from.last_batch);
        let private = ended as f64 / seconds;
        let confidential = waiting_users(&self.node, SENDERS, WINDOW).await?;
        let ratio = private / confidential;
        tell(
            "private_contract",
            &format!(
                "{private:.1} private transfers/s, {:.0} in a batch, {ratio:.2} times the confidential ones of {SENDERS} users \
                 who wait ({confidential:.1}/s)",
                ended as f64 / batches.max(1) as f64
            ),
            json!({
                "senders": SENDERS, "seconds": rounded(seconds), "private transfers/s": rounded(private),
                "batches": batches, "confidential transfers/s": rounded(confidential), "ratio": rounded(ratio),
            }),
        );
        Ok(())
    }
}

fn call(method: &str, args: &Value) -> abi::Call {
    abi::Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

/// Seals a call, has a member keep it, and submits it; gives its number.
async fn send(
    client: &mut ContractClient,
    member: &mut MemberClient,
    id: &ContractId,
    certificate: &Certificate,
    key: &SigningKey,
    call: &abi::Call,
) -> Result<u64, NodeError> {
    let mut tx = client.seal(*id, &key.public(), call, None).await?;
    let height = client.chain.sync().await?.0;
    tx.store_at(member, key, certificate, height).await?;
    client.submit(key, certificate.clone(), &tx, Amount::ZERO).await
}

/// The certificate in a file that `contract certify` has written.
fn certificate(text: &str) -> Result<Certificate> {
    let bytes = hex_bytes(text.trim().trim_matches('"'))?;
    Certificate::decode(&bytes).map_err(|error| anyhow::anyhow!("the certificate: {error}"))
}

fn hex_bytes(text: &str) -> Result<Vec<u8>> {
    let digit = |at: usize| text.get(at..at.saturating_add(2)).context("two digits");
    let places = (0..text.len()).step_by(2);
    places.map(|at| Ok(u8::from_str_radix(digit(at)?, 16)?)).collect()
}

fn hex_id(text: &str) -> Result<ContractId> {
    let bytes = hex_bytes(text)?;
    Ok(ContractId::try_from(bytes.as_slice())?)
}

async fn fini(client: &mut ContractClient, id: &ContractId, seq: u64) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let record: Option<TransactionRecord> = client.record(keys::transaction(id, seq)).await?;
        match record.map(|record| record.status) {
            Some(TransactionStatus::Yes) => return Ok(()),
            Some(TransactionStatus::Pending | TransactionStatus::Open) => {}
            other => bail!("transaction {seq} ended {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("transaction {seq} is not final")
}
