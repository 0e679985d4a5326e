//! `paralith runtime propose, approve, proposals, enclaves, revoke-enclave`

use std::path::PathBuf;

use clap::Args;
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::registry::{
    self, Approval, ApproveRuntime, RegisterRuntime, RevokeEnclave, Runtime, RuntimeKind,
};
use paralith_consensus_api::tx::Body;
use paralith_crypto::SigningKey;
use paralith_policy::{DISJOINT_STEPS, Disjoint, Members, Policy};
use paralith_types::{Hash, PublicKey, RuntimeId};
use serde_json::{Value, json};

use super::{FeeArgs, NameArgs, NodeArgs, SignerArgs, deploy, output};
use crate::client::{ChainClient, Included, Proposals, TxOptions};
use crate::error::NodeError;
use crate::keystore::Keystore;

/// Options of `runtime propose`.
#[derive(Debug, Clone, Args)]
pub struct ProposeArgs {
    /// The descriptor in JSON, as `paralith query runtime NAME --json` prints it. Its sequence is
    /// set to the next one. The descriptor in force, unchanged, takes a proposal back.
    pub file: PathBuf,
    /// Make a new runtime of this name, owned by the signer.
    #[arg(long, value_name = "NAME")]
    pub new: Option<String>,
    /// An organisation that approves changes: the name of a key, or `NAME=PUBLIC-KEY`. May be
    /// repeated. Replaces the approval of the file.
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub organisation: Vec<String>,
    /// Which organisations must approve: `2 of (a, b, c)`, `all(a, any(b, c))`.
    #[arg(long, value_name = "POLICY", requires = "organisation")]
    pub policy: Option<String>,
    /// A file with the terms, which mean nothing to the chain.
    #[arg(long, value_name = "FILE")]
    pub terms: Option<PathBuf>,
    /// The signer: the owner, or an organisation.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `runtime approve`.
#[derive(Debug, Clone, Args)]
pub struct ApproveArgs {
    /// The runtime's id, or its name if it is registered.
    pub runtime: String,
    /// The hash of the descriptor, as `paralith runtime proposals` shows it.
    #[arg(required_unless_present = "withdraw")]
    pub descriptor: Option<Hash>,
    /// Withdraw the signer's approval.
    #[arg(long, conflicts_with = "descriptor")]
    pub withdraw: bool,
    /// The signer, an organisation.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Options of `runtime revoke-enclave`.
#[derive(Debug, Clone, Args)]
pub struct RevokeArgs {
    /// The runtime's name or id.
    pub runtime: String,
    /// The enclave's RAK, as `paralith runtime enclaves` shows it.
    pub rak: PublicKey,
    /// The signer: the enclave's entity, an organisation, or the owner if there is none.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// What it pays.
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Which node.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Registers, changes or proposes a descriptor: which of them follows from the one in force.
pub(super) async fn propose(args: ProposeArgs) -> Result<(), NodeError> {
    let file = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|e| NodeError::io(&file, &e))?;
    let mut runtime: Runtime =
        serde_json::from_str(&text).map_err(|e| NodeError::usage(&file, e))?;
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    if let Some(name) = &args.new {
        let code = runtime.code.as_ref().map(|code| code.id.as_bytes().to_vec());
        runtime.entity_id = key.public();
        runtime.name.clone_from(name);
        runtime.id = deploy::runtime_id(&key.public(), name, &code.unwrap_or_default());
    }
    if let Some(terms) = &args.terms {
        let name = terms.display().to_string();
        runtime.terms = std::fs::read(terms).map_err(|e| NodeError::io(&name, &e))?;
    }
    let mut disjoint = Value::Null;
    if let Some(text) = &args.policy {
        let development = chain.genesis().is_development();
        let keystore = Keystore::open(args.signer.keystore.clone())?;
        let named = args
            .organisation
            .iter()
            .map(|text| organisation(&keystore, text, development))
            .collect::<Result<Vec<_>, _>>()?;
        let approval;
        (approval, disjoint) = approval_of(named, text)?;
        runtime.approval = Some(approval);
    }
    let known: Option<Runtime> = chain.get(&registry::keys::runtime(&runtime.id)).await?;
    let shared = known.as_ref().unwrap_or(&runtime).approval.is_some();
    if known.as_ref() != Some(&runtime) {
        runtime.sequence = known.map_or(0, |known| known.sequence).saturating_add(1);
    }
    let body = RegisterRuntime { runtime: runtime.clone() };
    let included = submit(&mut chain, &key, body, args.fee.options()).await?;
    let descriptor = runtime.descriptor_hash();
    let next = match shared {
        true => format!("have it approved: paralith runtime approve {} {descriptor}", runtime.id),
        false => "nobody else approves it".to_string(),
    };
    let mut shown = json!({
        "runtime": runtime.id, "name": runtime.name, "sequence": runtime.sequence,
        "descriptor": descriptor, "next": next,
    });
    if disjoint != Value::Null {
        shown["decide_apart"] = disjoint;
    }
    show(shown, &included, args.node.json)
}

/// An organisation's name and key.
pub(super) fn organisation(
    keystore: &Keystore,
    text: &str,
    development: bool,
) -> Result<(String, PublicKey), NodeError> {
    match text.split_once('=') {
        Some((name, key)) => {
            let key = key.parse().map_err(|e| NodeError::usage(text, e))?;
            Ok((name.to_string(), key))
        }
        None => Ok((text.to_string(), keystore.public(text, development)?)),
    }
}

/// The approval, and two sets of organisations that can decide without each other, if a search finds
/// some: they could approve two descriptors at once.
pub(super) fn approval_of(
    mut named: Vec<(String, PublicKey)>,
    text: &str,
) -> Result<(Approval, Value), NodeError> {
    named.sort_by_key(|(_, key)| *key);
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let policy = Policy::parse(text, &names).map_err(|e| NodeError::usage(text, e))?;
    policy.check(names.len()).map_err(|e| NodeError::usage(text, e))?;
    let set = |members: &Members| -> Vec<&str> {
        let places = members.iter().filter_map(|member| usize::try_from(member).ok());
        places.filter_map(|place| names.get(place).copied()).collect()
    };
    let disjoint = match policy.find_disjoint(DISJOINT_STEPS) {
        Disjoint::Found(one, other) => json!([set(&one), set(&other)]),
        Disjoint::Impossible | Disjoint::Unknown => Value::Null,
    };
    let policy = policy.encode();
    let organisations = named.into_iter().map(|(_, key)| key).collect();
    Ok((Approval { organisations, policy }, disjoint))
}

/// A runtime by its id, registered or not, or by the name of a registered one.
pub(super) async fn id_of(chain: &mut ChainClient, name: &str) -> Result<RuntimeId, NodeError> {
    match name.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(chain.runtime(name).await?.id),
    }
}

/// Approves a proposed descriptor, or withdraws the signer's approval.
pub(super) async fn approve(args: ApproveArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let runtime_id = id_of(&mut chain, &args.runtime).await?;
    let open = chain.proposals(&runtime_id).await?;
    let descriptor = args.descriptor.unwrap_or(Hash::ZERO);
    if !args.withdraw && !is_open(&open, &descriptor) {
        return Err(NodeError::NotFound {
            what: "proposal",
            name: descriptor.to_string(),
            hint: format!(". See `paralith runtime proposals {}`", args.runtime),
        });
    }
    let sequence = open.in_force.map_or(0, |known| known.sequence).saturating_add(1);
    let body = ApproveRuntime { runtime_id, sequence, descriptor };
    let included = submit(&mut chain, &key, body, args.fee.options()).await?;
    let effect = match (included_has(&included, "registry.RuntimeRegistered"), sequence) {
        (true, 1) => "enough organisations approve it: it is in force",
        (true, _) => "enough organisations approve it: it takes effect in a later epoch",
        (false, _) if args.withdraw => "withdrawn",
        (false, _) => "approved",
    };
    let shown = json!({
        "runtime": runtime_id, "sequence": sequence, "descriptor": descriptor, "effect": effect,
    });
    show(shown, &included, args.node.json)
}

fn is_open(open: &Proposals, descriptor: &Hash) -> bool {
    let waits = open.scheduled.as_ref().map(|change| change.runtime.descriptor_hash());
    let mut proposed = open.decisions.iter().flat_map(|decisions| &decisions.proposals);
    waits == Some(*descriptor) || proposed.any(|one| one.descriptor == *descriptor)
}

/// Whether a transaction had an event of a kind, as the node says.
fn included_has(included: &Included, kind: &str) -> bool {
    let events = included.events.iter().filter_map(|event| EventKind::from_event(event).ok());
    events.into_iter().any(|event| event.name() == kind)
}

/// Submits a transaction and waits until the state with its effect is proven, so that the next
/// command sees it.
pub(super) async fn submit(
    chain: &mut ChainClient,
    key: &SigningKey,
    body: impl Into<Body>,
    options: TxOptions,
) -> Result<Included, NodeError> {
    let included = chain.submit(key, body, options).await?;
    chain.sync_to(included.height).await?;
    Ok(included)
}

fn show(mut shown: Value, included: &Included, json: bool) -> Result<(), NodeError> {
    shown["height"] = json!(included.height);
    shown["gas_used"] = json!(included.gas_used);
    shown["gas_limit"] = json!(included.gas_limit);
    shown["fee"] = json!(included.fee);
    output::print(&shown, json)
}

/// Shows what is proposed, approved and scheduled.
pub(super) async fn proposals(args: NameArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let id = id_of(&mut chain, &args.name).await?;
    let Proposals { height, in_force, scheduled, decisions, descriptors } =
        chain.proposals(&id).await?;
    let proposed: Vec<Value> = descriptors
        .iter()
        .map(|runtime| json!({ "descriptor": runtime.descriptor_hash(), "runtime": runtime }))
        .collect();
    let shown = json!({
        "height": height, "in_force": in_force, "scheduled": scheduled,
        "decisions": decisions, "proposed": proposed,
    });
    output::print(&shown, args.node.json)
}

/// Lists the enclaves of a runtime.
pub(super) async fn enclaves(args: NameArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let id = id_of(&mut chain, &args.name).await?;
    let enclaves: Vec<Value> = chain
        .enclaves(&id)
        .await?
        .into_iter()
        .map(|one| json!({ "rak": one.rak, "enclave": one.enclave }))
        .collect();
    output::print(&enclaves, args.node.json)
}

/// Revokes an enclave, or asks for it as one of the organisations.
pub(super) async fn revoke_enclave(args: RevokeArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let runtime = chain.runtime(&args.runtime).await?;
    let body = RevokeEnclave { runtime_id: runtime.id, rak: args.rak };
    let included = submit(&mut chain, &key, body, args.fee.options()).await?;
    let revoked = included_has(&included, "registry.EnclaveRevoked");
    let next = match (revoked, runtime.kind) {
        (false, _) => "other organisations must ask for it too",
        (true, RuntimeKind::KeyManager) => "restart its node; a rotation is due",
        (true, _) => "restart its node; its key manager rotates in the next epoch",
    };
    let shown = json!({ "runtime": runtime.id, "rak": args.rak, "revoked": revoked, "next": next });
    show(shown, &included, args.node.json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<(String, PublicKey)> {
        // In the reverse order of the keys.
        let keys = (0..).map(|number| PublicKey([200 - number; 32]));
        names.iter().map(|name| name.to_string()).zip(keys).collect()
    }

    #[test]
    fn a_policy_is_over_the_sorted_keys_whatever_the_order_of_the_names() {
        let (approval, apart) = approval_of(named(&["a", "b"]), "all(a, b)").unwrap();
        assert!(approval.organisations.is_sorted());
        assert_eq!(apart, Value::Null);
        let (one, _) = approval_of(named(&["a", "b", "c"]), "1 of (c)").unwrap();
        let policy = Policy::decode(&one.policy).unwrap();
        let c = one.organisations.iter().position(|key| *key == PublicKey([198; 32])).unwrap();
        assert!(policy.satisfied(&Members::from_iter([u32::try_from(c).unwrap()])));
    }

    #[test]
    fn two_sets_that_decide_apart_are_shown() {
        let (_, apart) = approval_of(named(&["a", "b"]), "any(a, b)").unwrap();
        let sets: Vec<Vec<String>> = serde_json::from_value(apart).unwrap();
        assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert!(approval_of(named(&["a"]), "2 of (a, a)").is_err());
        assert!(approval_of(named(&["a"]), "all(a, z)").is_err());
    }
}
