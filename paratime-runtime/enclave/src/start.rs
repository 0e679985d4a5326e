//! The first call, the last one, and what is sealed in between.

use std::collections::BTreeMap;
use std::sync::Mutex;

use paralith_attest::{Claims, Measurement};
use paralith_crypto::hash::{Domain, hash};
use paralith_crypto::{AeadKey, HpkeSecret, SigningKey, seal};
use paralith_genesis::Document;
use paralith_storage::VerifiedValues;
use paralith_tee_channel::{ChainView, pb};
use paralith_types::{ChainContext, CodeId, PublicKey, RuntimeId};

use super::error::TrustedError;
use super::known::KnownSignatures;
use super::session::{Randomness, Secrets, Session, lock};
use super::state::KeptTree;
use paralith_runtime_vm::{Engine, Module};

const MEASUREMENT: Domain = Domain::new("paralith/host-measurement/v1");
const SEALED_AAD: &[u8] = b"paralith/host-sealed/v1";

/// The identity of this build of the trusted side, which policies name.
///
/// On a software platform nobody measures anything: this is what the build says of itself.
pub fn measurement() -> Measurement {
    let version = env!("CARGO_PKG_VERSION");
    Measurement(hash(MEASUREMENT, &[b"paralith runtime host", version.as_bytes()]))
}

/// Modules that this process has compiled, by what they were compiled from. One engine serves all
/// trusted sides of a process: a development chain has many of one module.
static COMPILED: Mutex<Option<(Engine, BTreeMap<CodeId, Module>)>> = Mutex::new(None);

fn compile(code: &[u8]) -> Result<Module, TrustedError> {
    let mut compiled = lock(&COMPILED);
    let (engine, modules) = match compiled.as_mut() {
        Some(compiled) => compiled,
        None => compiled.insert((Engine::new()?, BTreeMap::new())),
    };
    let id = paralith_runtime_vm::code_id(code);
    if let Some(module) = modules.get(&id) {
        return Ok(module.clone());
    }
    let module = engine.compile(code)?;
    modules.insert(id, module.clone());
    Ok(module)
}

/// Starts: checks what the host hands over, makes the enclave's keys, compiles the module.
pub(crate) fn start(call: &pb::Start) -> Result<(Session, pb::Started), TrustedError> {
    let bad = |reason: &dyn std::fmt::Display| TrustedError::BadStart(reason.to_string());
    let chain = ChainContext::try_from(call.chain_context.as_slice()).map_err(|e| bad(&e))?;
    let node = PublicKey::try_from(call.node.as_slice()).map_err(|e| bad(&e))?;
    let runtime_id = RuntimeId::try_from(call.runtime_id.as_slice()).map_err(|e| bad(&e))?;
    let text = std::str::from_utf8(&call.genesis).map_err(|e| bad(&e))?;
    let document = Document::parse(text).map_err(|e| bad(&e))?;
    let chain_id = document.chain_id().map_err(|e| bad(&e))?;
    if document.hash().map_err(|e| bad(&e))? != chain || chain_id != call.chain_id {
        return Err(bad(&"the genesis document is another chain's"));
    }
    let software = !document.genesis.params.registry.software_platforms.is_empty();
    let for_software = [&call.sealing_key, &call.byzantine, &call.entropy];
    if !software && for_software.iter().any(|field| !field.is_empty()) {
        return Err(bad(&"the chain has no software platforms, so keys do not come from the host"));
    }
    let wrong_root = match call.byzantine.as_slice() {
        b"" => false,
        b"wrong-root" => true,
        _ => return Err(bad(&"the trusted side misbehaves by `wrong-root` only")),
    };
    let sealing_key = match call.sealing_key.as_slice() {
        [] => None,
        bytes => {
            Some(AeadKey::new(bytes.try_into().map_err(|_| bad(&"a sealing key takes 32 bytes"))?))
        }
    };
    let view = open_view(&document, sealing_key.as_ref(), (&chain, &runtime_id), &call.sealed)?;
    let module = match call.code.as_slice() {
        [] => None,
        code => Some(compile(code)?),
    };
    let mut randomness = Randomness::new(&call.entropy, &node, &runtime_id);
    let rak = SigningKey::from_seed(randomness.bytes()?);
    let rek = HpkeSecret::from_ikm(&randomness.bytes()?);
    let claims = Claims {
        measurement: measurement(),
        rak: rak.public(),
        rek: rek.public(),
        node,
        runtime: runtime_id,
        code: module.as_ref().map(paralith_runtime_vm::Module::code_id),
        height: view.proven_height(),
    };
    let values = VerifiedValues::default();
    let session = Session {
        chain,
        runtime_id,
        node,
        rak,
        rek,
        module,
        sealing_key,
        wrong_root,
        randomness: Mutex::new(randomness),
        kept: Mutex::new(view.to_sealed()),
        view: Mutex::new(view),
        secrets: Mutex::new(Secrets::default()),
        known: KnownSignatures::default(),
        execution: Mutex::new(KeptTree::with_values(values.clone())),
        reads: Mutex::new(KeptTree::with_values(values)),
    };
    Ok((session, pb::Started { claims: claims.encode() }))
}

fn open_view(
    document: &Document,
    key: Option<&AeadKey>,
    (chain, runtime): (&ChainContext, &RuntimeId),
    sealed: &[u8],
) -> Result<ChainView, TrustedError> {
    if sealed.is_empty() {
        return Ok(ChainView::from_genesis(document)?);
    }
    let key = key.ok_or(TrustedError::SealedState)?;
    let (nonce, ciphertext) = sealed.split_first_chunk().ok_or(TrustedError::SealedState)?;
    let aad = sealed_aad(chain, runtime);
    let opened = seal::open(key, nonce, &aad, ciphertext).map_err(|_| TrustedError::SealedState)?;
    Ok(ChainView::from_sealed(document, &opened)?)
}

/// What the host is to keep for the next start: the newest verified header, and no secret. Empty if
/// there is nothing new, or nothing to seal with.
pub(crate) fn to_keep(session: &Session, always: bool) -> Result<Vec<u8>, TrustedError> {
    let Some(key) = &session.sealing_key else { return Ok(Vec::new()) };
    let newest = session.view().to_sealed();
    let mut kept = lock(&session.kept);
    if newest == *kept && !always {
        return Ok(Vec::new());
    }
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(session.random()?).for_each(|(to, from)| *to = from);
    let aad = sealed_aad(&session.chain, &session.runtime_id);
    let sealed = [nonce.as_slice(), &seal::seal(key, &nonce, &aad, &newest)].concat();
    *kept = newest;
    Ok(sealed)
}

fn sealed_aad(chain: &ChainContext, runtime: &RuntimeId) -> Vec<u8> {
    let measurement = measurement();
    [SEALED_AAD, chain.as_bytes(), runtime.as_bytes(), measurement.as_bytes()].concat()
}
