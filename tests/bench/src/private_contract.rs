//! Private contracts: what a vote of many members costs, and how long a call takes beside one of a public ParaTime.
//!
//! Three members, each a process, on a development chain; all is made by the commands that users have.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use paralith::client::{ParaTimeClient, connect};
use paralith::links::endpoint::Trust;
use paralith::systems::private_contract::client::{ContractClient, MemberClient};
use paralith_bls::{BlsSecret, CheckedKeys, aggregate};
use paralith_consensus_api::address;
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

use crate::load::account;
use crate::process::{Running, paralith, values};
use crate::report::{Samples, rounded, tell};

/// Stakeholders of the largest vote.
const SIGNERS: usize = 100;
const VERIFICATIONS: usize = 50;
const CALLS: usize = 20;
const NAMES: [&str; 3] = ["a", "b", "c"];
const PATIENCE: Duration = Duration::from_secs(60);
const KEY: Domain = Domain::new("paralith/bench-member/v1");

pub(crate) async fn run() -> Result<()> {
    votes()?;
    let folder = tempfile::tempdir()?;
    let mut chain =
        Running::start(&["dev", "--json", "--listen", "127.0.0.1:0", "--private-contracts"])?;
    let banner =
        values(chain.output()?).next().context("`paralith dev` has not said where it is")?;
    let node = banner.get("node").and_then(Value::as_str).context("the banner names no node")?;
    let network = Network::make(node, folder.path()).await?;
    network.calls().await
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

/// Runs a command, and gives what it prints.
fn command(node: &str, args: &[&str]) -> Result<Value> {
    let output = Command::new(paralith()?)
        .args(args)
        .arg("--json")
        .env("PARALITH_NODE", node)
        .stdin(Stdio::null())
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {error}");
    let printed = String::from_utf8(output.stdout)?;
    Ok(printed.lines().next().map(serde_json::from_str).transpose()?.unwrap_or_default())
}

/// The same again, until it succeeds.
async fn patiently(node: &str, args: &[&str]) -> Result<Value> {
    let began = Instant::now();
    loop {
        match command(node, args) {
            Ok(printed) => return Ok(printed),
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn free() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

struct Network {
    node: String,
    id: ContractId,
    certificate: Certificate,
    members: Vec<String>,
    _processes: Vec<Running>,
}

impl Network {
    /// Three members, and a contract of `counter` that two of them decide.
    async fn make(node: &str, folder: &Path) -> Result<Self> {
        let file = |name: &str| folder.join(name).display().to_string();
        let password = file("password");
        std::fs::write(&password, "correct horse battery")?;
        let (mut members, mut keys, mut processes) = (Vec::new(), Vec::new(), Vec::new());
        for name in NAMES {
            let (home, links, listen) = (file(name), free()?, free()?);
            let init = ["contract", "init", &home, "--links", &links, "--listen", &listen];
            let made = command(node, &[&init[..], &["--password-file", &password]].concat())?;
            let key = made.get("member").and_then(Value::as_str).context("its key")?;
            keys.push(format!("{name}={key}"));
            let config = PathBuf::from(home).join("node.toml").display().to_string();
            processes.push(Running::start(&["start", "--config", &config])?);
            members.push(format!("http://{listen}"));
        }
        let (package, sealed) = (file("package"), file("sealed"));
        command(node, &["contract", "package", "example:counter", "--out", &package])?;
        let mut create = vec!["contract", "create", &package, "--policy", "2 of (a, b, c)"];
        keys.iter().for_each(|member| create.extend(["--member", member]));
        create.extend(["--out", &sealed, "--vote-blocks", "600", "--from", "alice"]);
        let created = patiently(node, &create).await?;
        let id = created.get("contract").and_then(Value::as_str).context("its id")?.to_string();
        for (index, (name, url)) in NAMES.iter().zip(&members).enumerate() {
            let (package, home) = (format!("{sealed}/package-{index}"), file(name));
            let keys = format!("{home}/keys");
            let join = ["contract", "join", &id, &package, "--member", url, "--keys", &keys];
            patiently(node, &[&join[..], &["--password-file", &password]].concat()).await?;
        }
        let out = file("certificate");
        let certify = ["contract", "certify", &id, "alice", "--serial", "1", "--out", &out];
        command(node, &[&certify[..], &["--from", "alice"]].concat())?;
        let text = std::fs::read_to_string(&out)?;
        let certificate = certificate(&text)?;
        let id = hex_id(&id)?;
        Ok(Self { node: node.to_string(), id, certificate, members, _processes: processes })
    }

    /// From INIT to FINI, with the content at all members, beside a call of a public ParaTime.
    async fn calls(&self) -> Result<()> {
        let alice = account("alice")?;
        let mut client = ContractClient::new(connect(&self.node).await?, "mediator").await?;
        let mut members = Vec::new();
        for url in &self.members {
            let chain = client.chain.chain_context();
            members.push(MemberClient::connect(url, &Trust::System, chain).await?);
        }
        let args = json!({ "amount": 1 }).to_string().into_bytes();
        let add = abi::Call { method: "add".to_string(), args: args.clone() };
        let (mut private, mut blocks) = (Samples::default(), Vec::new());
        for _ in 0..CALLS {
            let mut tx = client.seal(self.id, &alice.public(), &add, None).await?;
            let height = client.chain.sync().await?.0;
            for member in &mut members {
                tx.store_at(member, &alice, &self.certificate, height).await?;
            }
            let certificate = self.certificate.clone();
            let seq = client.submit(&alice, certificate, &tx, Amount::ZERO).await?;
            let (began, first) = (Instant::now(), client.chain.sync().await?.0);
            fini(&mut client, &self.id, seq).await?;
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
