//! `paralith demo private-contract`: three members, each a process of its own, on a development chain.
//!
//! Every figure is read through public services and verified: by light client, state proof and Merkle paths.
//! This program has no way to lie. A member gives a false vote here because its disk was changed.

mod faults;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use paralith_consensus_api::address;
use paralith_crypto::Domain;
use paralith_crypto::keystore::KdfParams;
use paralith_policy::{CERTIFICATE_DOMAIN, CERTIFICATE_VERSION, Certificate, Policy};
use paralith_private_contract_core::ids::{definition_hash, package_hash};
use paralith_private_contract_messages::{
    Canonical as _, ContractId, ContractStatus, Definition, Join, Package, Terms,
    TransactionRecord, TransactionStatus, keys as places,
};
use paralith_private_contract_stakeholder::Keys;
use paralith_runtime_abi as abi;
use paralith_types::{Amount, Hash, Height, Signature};
use serde_json::json;
use tokio::process::Child;

use super::client::{ContractClient, MemberClient, PrivateTx, random};
use crate::cli::DevArgs;
use crate::cli::contract::member::NewMember;
use crate::client;
use crate::demo::{Reporter, account, contains};
use crate::error::NodeError;
use crate::guests;
use crate::links::endpoint::Trust;
use crate::network::MEDIATOR;
use crate::systems::demonstration::{chain_args, free, launch, on_a_chain, until};

/// Weak on purpose: the keys are gone at the end.
const KDF: KdfParams = KdfParams { memory_kib: 1024, iterations: 1, lanes: 1 };
const PASSWORD: &str = "of the demonstration";
const CERTIFICATE: Domain = Domain::new(CERTIFICATE_DOMAIN);
const NAMES: [&str; 3] = ["bank", "buyer", "seller"];

/// A member's process.
struct Member {
    name: &'static str,
    folder: PathBuf,
    listen: SocketAddr,
    keys: Keys,
    process: Child,
}

/// Runs the demonstration.
pub async fn run(json: bool) -> Result<(), NodeError> {
    on_a_chain(DevArgs { private_contracts: true, ..chain_args(json) }, show).await
}

async fn show(reporter: &Reporter, node: &str, folder: &Path) -> Result<(), NodeError> {
    let client = ContractClient::new(client::connect(node).await?, MEDIATOR).await?;
    let facts = json!({ "mediator": client.mediator.runtime.id });
    reporter.say("chain", "a chain runs, with the mediator of private contracts", facts);
    let mut members = Vec::new();
    for name in NAMES {
        members.push(start_member(&client, name, node, folder).await?);
    }
    let mut stage = Stage { reporter, client, members };
    let (id, package) = stage.create().await?;
    stage.join(id, &package).await?;
    let certificate = stage.certify(id).await?;
    let tx = stage.call(id, &certificate).await?;
    stage.result(id, &tx).await?;
    stage.falsify_and_kill(id, &certificate).await?;
    stage.withhold(id, &certificate).await?;
    stage.audit(id).await
}

fn start(folder: &Path) -> Result<Child, NodeError> {
    launch(folder, "a member", &[("PARALITH_PASSWORD", PASSWORD)])
}

async fn start_member(
    client: &ContractClient,
    name: &'static str,
    node: &str,
    folder: &Path,
) -> Result<Member, NodeError> {
    let folder = folder.join(name);
    let listen = free("a member").await?;
    let new = NewMember {
        folder: &folder,
        links: free("a member").await?,
        listen,
        data: false,
        mediator: MEDIATOR,
        gas_limit: None,
        node,
        tls: None,
        password_file: None,
    };
    let keys = new.make(&client.chain.genesis().json, PASSWORD.as_bytes(), KDF)?;
    let process = start(&folder)?;
    Ok(Member { name, folder, listen, keys, process })
}

/// The demonstration, step by step.
struct Stage<'a> {
    reporter: &'a Reporter,
    client: ContractClient,
    members: Vec<Member>,
}

impl Stage<'_> {
    async fn connect(&self, member: usize) -> Result<(MemberClient, Keys), NodeError> {
        let missing = || NodeError::internal(&"a member of the demonstration");
        let member = self.members.get(member).ok_or_else(missing)?;
        let (address, keys) = (format!("http://{}", member.listen), member.keys.clone());
        let chain = self.client.chain.chain_context();
        let connect =
            async || MemberClient::connect(&address, &Trust::System, chain).await.map(Some);
        Ok((until("a member's node", connect).await?, keys))
    }

    async fn create(&mut self) -> Result<(ContractId, Package), NodeError> {
        let alice = account("alice")?;
        for place in 0..self.members.len() {
            let Some(key) = self.members.get(place).map(|member| member.keys.account()) else {
                continue;
            };
            let client = &mut self.client;
            let published = async || Ok(client.account_keys(&key).await.ok());
            until("a member's keys at the mediator", published).await?;
        }
        let keys = self.members.iter();
        let keys = keys.map(|member| (member.name.to_string(), json!(member.keys.account())));
        let facts = serde_json::Value::Object(keys.collect());
        self.reporter.say(
            "keys",
            "three members run, each a process; their keys are public",
            facts,
        );
        let owner = address::of_key(&alice.public());
        let package = Package {
            module: guests::TOKENS.to_vec(),
            init_argument: json!({ "minter": owner }).to_string().into_bytes(),
            derive_secret: Hash(random()?),
            group_secret: Hash(random()?),
        };
        let policy = Policy::parse("2 of (bank, buyer, seller)", &NAMES)
            .map_err(|e| NodeError::internal(&e))?;
        let definition = Definition {
            version: 1,
            package_hash: package_hash(&package),
            issuers: vec![alice.public()],
            members: self.members.iter().map(|member| member.keys.account()).collect(),
            policy,
            terms: terms(owner),
        };
        let (id, installed) = self.client.create(&alice, &package, definition).await?;
        let facts = json!({
            "contract": id.to_hex(), "package hash (public)": installed.package_hash,
            "genesis root (public)": installed.root,
        });
        self.reporter.say(
            "create",
            "alice creates a contract of `tokens`: two of three decide",
            facts,
        );
        Ok((id, package))
    }

    async fn join(&mut self, id: ContractId, package: &Package) -> Result<(), NodeError> {
        let sealed = self.client.seal_for_members(id, package).await?;
        let known = self.client.definition(&id, 1).await?;
        let node = self.client.chain.node().to_string();
        let mut joins = Vec::new();
        for (place, sealed) in sealed.into_iter().enumerate() {
            let (member, keys) = self.connect(place).await?;
            joins.push(join_one(&node, member, keys, id, sealed, &known.definition));
        }
        let roots: Vec<Hash> = futures::future::try_join_all(joins).await?;
        let status = self.client.contract(&id).await?.status;
        let is_active = status == ContractStatus::Active;
        let names = NAMES.iter().map(|name| format!("root at the {name}"));
        let roots = names.zip(roots.iter().map(|root| json!(root)));
        let mut facts = serde_json::Value::Object(roots.collect());
        facts["active"] = json!(is_active);
        self.reporter.say(
            "join",
            "each got the code, sealed, made the same tree, and joined",
            facts,
        );
        Ok(())
    }

    async fn certify(&mut self, id: ContractId) -> Result<Certificate, NodeError> {
        let alice = account("alice")?;
        let now = self.client.chain.sync().await?;
        let mut certificate = Certificate {
            version: CERTIFICATE_VERSION,
            issuer: alice.public(),
            subject: alice.public(),
            scope: id.0,
            attributes: String::new(),
            serial: 1,
            not_before: Height(0),
            not_after: Height(now.0.saturating_add(100_000)),
            signature: Signature([0; 64]),
        };
        let chain = self.client.chain.chain_context();
        certificate.signature = alice.sign(CERTIFICATE, &chain, &certificate.message());
        Ok(certificate)
    }

    /// Seals a call of alice and has these members keep it; without any, nobody has it.
    async fn seal(
        &mut self,
        id: ContractId,
        certificate: &Certificate,
        amount: &str,
        at: &[usize],
    ) -> Result<PrivateTx, NodeError> {
        let alice = account("alice")?;
        let args = json!({ "to": address::of_key(&alice.public()), "amount": amount }).to_string();
        let call = abi::Call { method: "mint".to_string(), args: args.into_bytes() };
        let mut tx = self.client.seal(id, &alice.public(), &call, None).await?;
        for place in at {
            let (mut member, _) = self.connect(*place).await?;
            let height = self.client.chain.sync().await?.0;
            tx.store_at(&mut member, &alice, certificate, height).await?;
        }
        Ok(tx)
    }

    async fn submit(
        &mut self,
        certificate: &Certificate,
        tx: &PrivateTx,
    ) -> Result<u64, NodeError> {
        let alice = account("alice")?;
        self.client.submit(&alice, certificate.clone(), tx, Amount::ZERO).await
    }

    /// Waits until a transaction is final.
    async fn fini(&mut self, id: ContractId, seq: u64) -> Result<TransactionRecord, NodeError> {
        let client = &mut self.client;
        until("FINI", async || {
            let record: Option<TransactionRecord> =
                client.record(places::transaction(&id, seq)).await?;
            let is_open =
                |status| matches!(status, TransactionStatus::Pending | TransactionStatus::Open);
            Ok(record.filter(|record| !is_open(record.status)))
        })
        .await
    }

    async fn call(
        &mut self,
        id: ContractId,
        certificate: &Certificate,
    ) -> Result<PrivateTx, NodeError> {
        let tx = self.seal(id, certificate, "1234567", &[0]).await?;
        let seq = self.submit(certificate, &tx).await?;
        let facts = json!({
            "alice wrote": "mint 1234567", "seq": seq,
            "content hash (public)": tx.sealed.content_hash.to_hex(),
            "sealed bytes, at one member": tx.sealed.content.len(),
            "amount visible in them": contains(&tx.sealed.content, b"1234567"),
        });
        self.reporter.say(
            "submit",
            "alice seals a call for the members; the chain has its hash",
            facts,
        );
        let record = self.fini(id, seq).await?;
        let contract = self.client.contract(&id).await?;
        let facts = json!({
            "status": format!("{:?}", record.status), "batch": record.batch,
            "root (public)": contract.last_root, "signature": "one of 48 bytes for all votes",
        });
        self.reporter.say(
            "fini",
            "the members executed it, voted, and the mediator announces it",
            facts,
        );
        Ok(tx)
    }

    async fn result(&mut self, id: ContractId, tx: &PrivateTx) -> Result<(), NodeError> {
        let alice = account("alice")?;
        let (mut member, _) = self.connect(1).await?;
        let client = &mut self.client;
        let verified = until("a result", async || {
            client.result(&mut member, &alice, id, 1, tx.sk).await.map(Some)
        })
        .await?;
        let mut forged = verified.clone();
        forged.result.output.push(1);
        let is_refused = self.client.verify_result(&forged).await.is_err();
        let facts = json!({
            "class": format!("{:?}", verified.result.class), "batch": verified.batch,
            "receipt verifies": true, "with one more byte it is refused": is_refused,
        });
        self.reporter.say(
            "receipt",
            "alice opens her result and verifies it against the chain",
            facts,
        );
        Ok(())
    }
}

/// Installs a package at a member's node, and joins.
async fn join_one(
    node: &str,
    mut member: MemberClient,
    keys: Keys,
    id: ContractId,
    sealed: Vec<u8>,
    definition: &Definition,
) -> Result<Hash, NodeError> {
    let mut client = ContractClient::new(client::connect(node).await?, MEDIATOR).await?;
    let install = async || {
        let height = client.chain.sync().await?.0;
        let sealed = sealed.clone();
        member.install(keys.account_key(), &id, height, sealed, None).await.map(Some)
    };
    let installed = until("a member to see the contract", install).await?;
    let root = Hash::try_from(installed.root.as_slice())
        .map_err(|e| NodeError::Unverifiable { reason: e.to_string() })?;
    let join = Join {
        contract_id: id,
        definition: definition_hash(definition),
        batch: installed.batch,
        root,
        bond: definition.terms.bond,
    };
    client.call(keys.account_key(), "join", join.encode()).await?;
    Ok(root)
}

fn terms(residual: paralith_types::Address) -> Terms {
    Terms {
        fetch_blocks: 4,
        // Enough for members to be killed and started.
        vote_blocks: 100,
        max_batch: 64,
        max_content_bytes: 1024 * 1024,
        gas_limit: 1_000_000_000,
        bond: Amount::ZERO,
        deposit: Amount::ZERO,
        slash: Amount::ZERO,
        // For the content that is withheld; 1 is what contracts should have.
        min_receipts: 0,
        origins: Vec::new(),
        retention_blocks: 100_000,
        dormant_blocks: 0,
        residual,
    }
}
