//! What owners do: package, create, certify, change, revoke, close.

use std::path::Path;

use paralith_consensus_api::address;
use paralith_crypto::Domain;
use paralith_policy::{CERTIFICATE_DOMAIN, CERTIFICATE_VERSION, Certificate};
use paralith_private_contract_core::ids::{code_id, definition_hash, package_hash};
use paralith_private_contract_core::messages::{
    Canonical as _, Change, Close, Definition, OfContract, Package, Revoke, Terms,
};
use paralith_private_contract_core::terms;
use paralith_private_contract_stakeholder::Agreement;
use paralith_types::{Address, Hash, Height, PublicKey, Signature};
use serde_json::json;

use super::files::{self, AgreementFile};
use super::{
    CertifyArgs, CloseArgs, CreateArgs, MediatorModuleArgs, PackageArgs, ProposeChangeArgs,
    RevokeArgs, SignedContractArgs, SubmitChangeArgs, TermsArgs, open_keys,
};
use crate::cli::output;
use crate::error::NodeError;
use crate::guests;
use crate::keystore::{Keystore, write_private};
use crate::systems::private_contract::client::{ContractClient, random};

/// Makes a package.
pub(super) fn package(args: &PackageArgs) -> Result<(), NodeError> {
    let name = args.module.display().to_string();
    let module = match example(&name)? {
        Some(module) => module.to_vec(),
        None => std::fs::read(&args.module).map_err(|e| NodeError::io(name, &e))?,
    };
    let derive_secret = match &args.after {
        Some(before) => files::read_package(before)?.derive_secret,
        None => Hash(random()?),
    };
    let package = Package {
        module,
        init_argument: args.init.clone().into_bytes(),
        derive_secret,
        group_secret: Hash(random()?),
    };
    files::write_package(&args.out, &package)?;
    let shown = json!({
        "package": args.out.display().to_string(), "package_hash": package_hash(&package),
        "code": code_id(&package.module),
        "secret": "whoever has this file can read the contract: give it to nobody, `create` seals it",
    });
    output::print(&shown, args.json)
}

/// A reference runtime that this program carries: `example:NAME`.
fn example(module: &str) -> Result<Option<&'static [u8]>, NodeError> {
    let Some(name) = module.strip_prefix("example:") else { return Ok(None) };
    match name {
        "ballot" => Ok(Some(guests::BALLOT)),
        "counter" => Ok(Some(guests::COUNTER)),
        "tokens" => Ok(Some(guests::TOKENS)),
        _ => Err(NodeError::usage(
            module,
            "there are example:ballot, example:counter, example:tokens",
        )),
    }
}

/// Writes the mediator's module, to be deployed on a chain that has none.
pub(super) fn mediator(args: &MediatorModuleArgs) -> Result<(), NodeError> {
    let name = args.out.display().to_string();
    std::fs::write(&args.out, guests::MEDIATOR).map_err(|e| NodeError::io(&name, &e))?;
    let shown = json!({ "module": name, "code": code_id(guests::MEDIATOR) });
    output::print(&shown, args.json)
}

fn terms_of(args: &TermsArgs, residual: Address) -> Terms {
    Terms {
        fetch_blocks: args.fetch_blocks,
        vote_blocks: args.vote_blocks,
        max_batch: args.max_batch,
        max_content_bytes: args.max_content_bytes,
        gas_limit: args.gas_limit,
        bond: args.bond,
        deposit: args.deposit,
        slash: args.slash,
        min_receipts: args.min_receipts,
        origins: args.origin.clone(),
        retention_blocks: args.retention_blocks,
        dormant_blocks: args.dormant_blocks,
        residual,
    }
}

/// Creates a contract and seals its package for its members.
pub(super) async fn create(args: CreateArgs) -> Result<(), NodeError> {
    let package = files::read_package(&args.package)?;
    let (members, policy) = files::members(&args.member, &args.policy)?;
    let mut client = args.mediator.connect().await?;
    let owner = args.signer.key(client.chain.genesis())?;
    let issuers = match args.issuer.is_empty() {
        true => vec![owner.public()],
        false => args.issuer.clone(),
    };
    let definition = Definition {
        version: 1,
        package_hash: package_hash(&package),
        issuers,
        members,
        policy,
        terms: terms_of(&args.terms, address::of_key(&owner.public())),
    };
    if let Some(fault) = terms::fault(&definition) {
        return Err(NodeError::usage("the definition", fault));
    }
    // Before anything is signed: a member without keys could not join.
    for member in &definition.members {
        client.account_keys(member).await?;
    }
    let (id, installed) = client.create(&owner, &package, definition).await?;
    let sealed = client.seal_for_members(id, &package).await?;
    let written = write_sealed(&args.out, &sealed)?;
    let shown = json!({
        "contract": id.to_hex(), "package_hash": installed.package_hash,
        "genesis_root": installed.root, "sealed": written,
        "next": "give each member its file: `paralith contract join`. The contract runs when all have joined",
    });
    output::print(&shown, args.mediator.node.json)
}

/// Writes sealed packages, one file a member.
fn write_sealed(folder: &Path, sealed: &[Vec<u8>]) -> Result<Vec<String>, NodeError> {
    let mut written = Vec::new();
    for (index, sealed) in sealed.iter().enumerate() {
        let file = folder.join(format!("package-{index}"));
        write_private(&file, sealed)?;
        written.push(file.display().to_string());
    }
    Ok(written)
}

/// The domain of certificates, as this program signs.
const CERTIFICATE: Domain = Domain::new(CERTIFICATE_DOMAIN);

/// Certifies a sender.
pub(super) async fn certify(args: CertifyArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let issuer = args.signer.key(client.chain.genesis())?;
    let subject: PublicKey = match args.subject.parse() {
        Ok(key) => key,
        Err(_) => Keystore::open(args.signer.keystore.clone())?
            .public(&args.subject, client.chain.genesis().is_development())?,
    };
    let now = client.chain.sync().await?;
    let record = client.contract(&args.contract).await?;
    let definition = client.definition(&args.contract, record.newest_version()).await?.definition;
    if !definition.issuers.contains(&issuer.public()) {
        let reason = "the contract does not list this key as an issuer";
        return Err(NodeError::usage("--from", reason));
    }
    let mut certificate = Certificate {
        version: CERTIFICATE_VERSION,
        issuer: issuer.public(),
        subject,
        scope: args.contract.0,
        attributes: args.attributes.clone(),
        serial: args.serial,
        not_before: Height(0),
        not_after: Height(now.0.saturating_add(args.blocks)),
        signature: Signature([0; 64]),
    };
    let chain = client.chain.chain_context();
    certificate.signature = issuer.sign(CERTIFICATE, &chain, &certificate.message());
    files::write_certificate(&args.out, &certificate)?;
    let shown = json!({
        "certificate": args.out.display().to_string(), "subject": subject,
        "serial": args.serial, "not_after": certificate.not_after,
    });
    output::print(&shown, args.mediator.node.json)
}

/// Writes the next definition.
pub(super) async fn propose(args: ProposeChangeArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let record = client.contract(&args.contract).await?;
    let mut next = client.definition(&args.contract, record.version).await?.definition;
    next.version = record.last_version.saturating_add(1);
    if let Some(policy) = &args.policy {
        (next.members, next.policy) = files::members(&args.member, policy)?;
    }
    let package = args.package.as_deref().map(files::read_package).transpose()?;
    if let Some(package) = &package {
        next.package_hash = package_hash(package);
    }
    if let Some(fault) = terms::fault(&next) {
        return Err(NodeError::usage("the definition", fault));
    }
    let mut sealed = Vec::new();
    if let (Some(package), Some(folder)) = (&package, &args.sealed) {
        let made = client.seal_for(args.contract, &record.owner, &next, package).await?;
        sealed = write_sealed(folder, &made)?;
    }
    files::write_definition(&args.out, &next)?;
    let shown = json!({
        "definition": args.out.display().to_string(), "version": next.version,
        "hash": definition_hash(&next), "sealed": sealed,
        "next": "members `install` its package and `change sign`; then new members `join --definition`",
    });
    output::print(&shown, args.mediator.node.json)
}

/// Submits a definition to which members agreed.
pub(super) async fn submit_change(args: SubmitChangeArgs) -> Result<(), NodeError> {
    let definition = files::read_definition(&args.definition)?;
    let (signers, signature) = files::agreements(&args.agreement)?;
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let version = definition.version;
    let contract_id = args.contract;
    let migrate = args.migrate;
    let change = Change { contract_id, definition, migrate, signers, signature };
    let (confirmed, _) = client.call(&key, "change", change.encode()).await?;
    let shown = json!({
        "contract": contract_id.to_hex(), "version": version, "round": confirmed.header.round,
        "effect": "it is in force when the transactions before it have ended",
    });
    output::print(&shown, args.mediator.node.json)
}

/// Revokes a certificate.
pub(super) async fn revoke(args: RevokeArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let issuer = args.issuer.unwrap_or_else(|| key.public());
    let revoke = Revoke { contract_id: args.contract, issuer, serial: args.serial };
    let (confirmed, _) = client.call(&key, "revoke", revoke.encode()).await?;
    let shown = json!({
        "contract": args.contract.to_hex(), "issuer": issuer, "serial": args.serial,
        "round": confirmed.header.round,
    });
    output::print(&shown, args.mediator.node.json)
}

/// Cancels a contract that was proposed.
pub(super) async fn cancel(args: SignedContractArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let call = OfContract { contract_id: args.contract }.encode();
    let (confirmed, _) = client.call(&key, "cancel", call).await?;
    let shown = json!({
        "contract": args.contract.to_hex(), "cancelled": true, "round": confirmed.header.round,
        "next": "members that have joined get their bonds back with `paralith contract leave`",
    });
    output::print(&shown, args.mediator.node.json)
}

/// Closes a contract, or agrees to its closing.
pub(super) async fn close(args: CloseArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    if let (Some(folder), Some(out)) = (&args.sign_with, &args.out) {
        return agree_to_close(&args, &mut client, folder, out).await;
    }
    let (signers, signature) = match args.agreement.is_empty() {
        true => (Vec::new(), None),
        false => {
            let (signers, signature) = files::agreements(&args.agreement)?;
            (signers, Some(signature))
        }
    };
    let key = args.signer.key(client.chain.genesis())?;
    let close = Close { contract_id: args.contract, signers, signature };
    let (confirmed, _) = client.call(&key, "close", close.encode()).await?;
    let shown = json!({
        "contract": args.contract.to_hex(), "closed": true, "round": confirmed.header.round,
    });
    output::print(&shown, args.mediator.node.json)
}

async fn agree_to_close(
    args: &CloseArgs,
    client: &mut ContractClient,
    folder: &Path,
    out: &Path,
) -> Result<(), NodeError> {
    let keys = open_keys(folder, args.signer.password_file.clone())?;
    let record = client.contract(&args.contract).await?;
    let members = client.definition(&args.contract, record.version).await?.definition.members;
    let index = super::member::index_of(&members, &keys.account())?;
    let place = client.place(args.contract);
    let hash = Agreement::close(&place, record.version, record.next_batch);
    let signature = hex::encode(keys.sign_agreement(&hash).0);
    files::write_json(out, &AgreementFile { index, signature })?;
    let shown = json!({
        "agreement": out.display().to_string(), "member": index,
        "counts": format!("until batch {} is opened", record.next_batch),
    });
    output::print(&shown, args.mediator.node.json)
}
