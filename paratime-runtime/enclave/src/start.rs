//! The first call, the last one, and what is sealed in between.

use std::collections::BTreeMap;
use std::sync::Mutex;

use paralith_attest::{Claims, Measurement};
use paralith_crypto::hash::{Domain, hash};
use paralith_crypto::{HpkeSecret, SigningKey};
use paralith_genesis::Document;
use paralith_storage::VerifiedValues;
use paralith_tee_channel::{APPLICATION_KEPT_STEPS, ChainView, pb};
use paralith_tee_enclave::{
    EnclaveId, Entropy, Identity, IdentityOf, Opened, SealedFor, SealingKey, open,
};
use paralith_types::{ChainContext, CodeId, Hash, RuntimeId};

use super::EnclaveKind;
use super::error::EnclaveError;
use super::kept::KeptTrees;
use super::known::KnownSignatures;
use super::session::{Secrets, Session, lock};
use paralith_runtime_vm::{Engine, Module};

const MEASUREMENT: Domain = Domain::new("paralith/host-measurement/v1");

/// The identity of this build of the enclave, which policies name.
///
/// On a software platform nobody measures anything: this is what the build says of itself.
pub fn measurement() -> Measurement {
    let version = env!("CARGO_PKG_VERSION");
    Measurement(hash(MEASUREMENT, &[b"paralith runtime host", version.as_bytes()]))
}

/// Modules that this process has compiled, by what they were compiled from. One engine serves all
/// enclaves of a process: a development chain has many of one module.
static COMPILED: Mutex<Option<(Engine, BTreeMap<CodeId, Module>)>> = Mutex::new(None);

fn compile(code: &[u8]) -> Result<Module, EnclaveError> {
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

/// The keys of an enclave and its view of the chain.
struct Origin {
    rak: SigningKey,
    rek: HpkeSecret,
    view: ChainView,
    identity: Option<IdentityOf>,
    /// They are those of an earlier run.
    restored: bool,
}

/// Starts: checks what the host hands over, makes or restores the enclave's keys, compiles the module.
pub(crate) fn start(call: &pb::Start, kind: EnclaveKind) -> Result<Session, EnclaveError> {
    let Opened { id, document, sealing_key, mut entropy } = open(call)?;
    let module = match call.code.as_slice() {
        [] => None,
        code => Some(compile(code)?),
    };
    let key = sealing_key.as_ref();
    let origin = match kind {
        EnclaveKind::Compute => {
            let view = open_view(&document, key, &id, &call.sealed)?;
            let (rak, rek) = new_keys(&mut entropy)?;
            Origin { rak, rek, view, identity: None, restored: false }
        }
        EnclaveKind::Application => {
            let code = module.as_ref().map(paralith_runtime_vm::Module::code_id);
            application(&document, key, &id, code, &call.sealed, &mut entropy)?
        }
    };
    let Origin { rak, rek, view, identity, restored } = origin;
    let new_identity = identity.is_some() && !restored;
    let values = VerifiedValues::default();
    Ok(Session {
        chain: id.chain,
        runtime_id: id.runtime_id,
        node: id.node,
        rak,
        rek,
        module,
        identity,
        restored,
        sealing_key,
        randomness: Mutex::new(entropy),
        // The host has yet to be given a new identity.
        kept: Mutex::new(if new_identity { Vec::new() } else { view.to_sealed() }),
        view: Mutex::new(view),
        secrets: Mutex::new(Secrets::default()),
        known: KnownSignatures::default(),
        execution: KeptTrees::of_executions(values.clone()),
        reads: KeptTrees::of_reads(values),
    })
}

fn new_keys(entropy: &mut Entropy) -> Result<(SigningKey, HpkeSecret), EnclaveError> {
    let rak = SigningKey::from_seed(entropy.bytes()?);
    Ok((rak, HpkeSecret::from_ikm(&*entropy.draw()?)))
}

/// The identity of an earlier run, or a new one. A seal that does not open is refused: the host
/// removes it to have a new identity.
fn application(
    document: &Document,
    key: Option<&SealingKey>,
    id: &EnclaveId,
    code: Option<CodeId>,
    sealed: &[u8],
    entropy: &mut Entropy,
) -> Result<Origin, EnclaveError> {
    let bad = |reason: &str| EnclaveError::BadStart(reason.to_string());
    let key = key.ok_or_else(|| bad("this platform has no sealing key: applications need one"))?;
    let EnclaveId { chain, runtime_id: application, .. } = *id;
    let of = IdentityOf { chain, application, measurement: measurement(), code };
    if sealed.is_empty() {
        let (rak, rek) = new_keys(entropy)?;
        let view = ChainView::from_genesis(document)?.with_kept_steps(APPLICATION_KEPT_STEPS);
        return Ok(Origin { rak, rek, view, identity: Some(of), restored: false });
    }
    let Identity { rak, rek, header } = Identity::open(key, &of, sealed)?;
    let view = ChainView::from_sealed(document, &header)?.with_kept_steps(APPLICATION_KEPT_STEPS);
    Ok(Origin { rak, rek, view, identity: Some(of), restored: true })
}

/// What the platform is to vouch for: this enclave's keys and the chain that it follows, as of now.
pub(crate) fn claims(session: &Session) -> pb::Started {
    let view = session.view();
    let height = view.proven_height();
    let claims = Claims {
        measurement: measurement(),
        rak: session.rak.public(),
        rek: session.rek.public(),
        node: session.node,
        runtime: session.runtime_id,
        code: session.module.as_ref().map(paralith_runtime_vm::Module::code_id),
        height,
        state_root: view.app_hash(height).unwrap_or(Hash::ZERO),
    };
    pb::Started { claims: claims.encode() }
}

fn open_view(
    document: &Document,
    key: Option<&SealingKey>,
    id: &EnclaveId,
    sealed: &[u8],
) -> Result<ChainView, EnclaveError> {
    if sealed.is_empty() {
        return Ok(ChainView::from_genesis(document)?);
    }
    let key = key.ok_or(EnclaveError::SealedState)?;
    let opened = key.open(&sealed_for(&id.chain, &id.runtime_id), sealed)?;
    Ok(ChainView::from_sealed(document, &opened)?)
}

/// What the host is to keep for the next start: the newest verified header; of an application's
/// enclave its keys too, and else no secret. Empty if there is nothing new, or nothing to seal with.
pub(crate) fn to_keep(session: &Session, always: bool) -> Result<Vec<u8>, EnclaveError> {
    let Some(key) = &session.sealing_key else { return Ok(Vec::new()) };
    let newest = session.view().to_sealed();
    let mut kept = lock(&session.kept);
    if newest == *kept && !always {
        return Ok(Vec::new());
    }
    let nonce = lock(&session.randomness).nonce()?;
    let sealed = match &session.identity {
        None => key.seal(&sealed_for(&session.chain, &session.runtime_id), nonce, &newest),
        Some(of) => {
            let (rak, rek, header) = (session.rak.clone(), session.rek.clone(), newest.clone());
            Identity { rak, rek, header }.seal(key, of, nonce)
        }
    };
    *kept = newest;
    Ok(sealed)
}

fn sealed_for(chain: &ChainContext, runtime_id: &RuntimeId) -> SealedFor {
    SealedFor { chain: *chain, runtime_id: *runtime_id, measurement: measurement() }
}
