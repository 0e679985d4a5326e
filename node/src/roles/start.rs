//! Starting an enclave: its first call, and the platform's quote over the keys that it made.

use std::path::PathBuf;

use paralith_attest::{Claims, SoftwarePlatform};
use paralith_consensus_api::registry::CapabilityTee;
use paralith_crypto::SigningKey;
use paralith_crypto::hash::Domain;
use paralith_tee_channel::{Client, Role, pb};
use paralith_types::RuntimeId;

use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;

/// Stands for a processor's sealing key, which a software TEE does not have.
const SEALING_DOMAIN: Domain = Domain::new("paralith/software-sealing-key/v1");

/// What an enclave starts with.
#[derive(Debug)]
pub struct StartInput<'a> {
    /// The genesis document.
    pub genesis: &'a GenesisInfo,
    /// The node's key.
    pub node: &'a SigningKey,
    /// What it runs.
    pub runtime_id: RuntimeId,
    /// The module; empty for key managers.
    pub code: Vec<u8>,
    /// Where what it wants kept is kept, sealed.
    pub sealed: Option<PathBuf>,
    /// The software platform that vouches for it. Test chains only.
    pub platform: Option<&'a SoftwarePlatform>,
}

/// A started enclave's keys and their attestation.
#[derive(Debug, Clone)]
pub struct Attested {
    /// For the node's registration.
    pub capability: Option<CapabilityTee>,
}

/// The first call to an enclave, without what an earlier run sealed.
pub fn start_call(
    genesis: &GenesisInfo,
    node: &SigningKey,
    runtime_id: &RuntimeId,
    code: Vec<u8>,
) -> pb::Start {
    let sealing_key = paralith_crypto::kdf::derive(
        &node.seed()[..],
        genesis.context.as_bytes(),
        SEALING_DOMAIN,
        &[runtime_id.as_bytes()],
    );
    pb::Start {
        chain_id: genesis.chain_id.clone(),
        chain_context: genesis.context.as_bytes().to_vec(),
        genesis: genesis.json.clone().into_bytes(),
        node: node.public().as_bytes().to_vec(),
        runtime_id: runtime_id.as_bytes().to_vec(),
        code,
        sealed: Vec::new(),
        sealing_key: sealing_key.to_vec(),
        entropy: Vec::new(),
    }
}

/// Starts an enclave, has it follow the chain to a height, and has the platform quote its claims of
/// then: the registry takes evidence only of an enclave that follows this chain. A started one goes
/// on and is attested anew.
pub fn attest_and_start(
    client: &Client,
    role: Role,
    height: u64,
    input: StartInput<'_>,
) -> Result<Attested, NodeError> {
    let chain_context = input.genesis.context;
    let sealed = match &input.sealed {
        Some(file) if file.exists() => {
            std::fs::read(file).map_err(|e| NodeError::io(file.display().to_string(), &e))?
        }
        _ => Vec::new(),
    };
    let start = pb::Start {
        sealed,
        ..start_call(input.genesis, input.node, &input.runtime_id, input.code)
    };
    let mut started = client.start(role, start.clone())?;
    if height > 0 && input.platform.is_some() {
        client.sync(role, height)?;
        started = client.start(role, start)?;
    }
    let claims = Claims::decode(&started.claims).map_err(|e| NodeError::internal(&e))?;
    let capability = input.platform.map(|platform| CapabilityTee {
        rak: claims.rak,
        rek: claims.rek,
        evidence: platform.quote(&claims, &chain_context),
    });
    Ok(Attested { capability })
}
