//! Starting a trusted side: its first call, and the platform's quote over the keys that it made.

use std::path::PathBuf;

use paralith_attest::{Claims, SoftwarePlatform};
use paralith_consensus_api::registry::CapabilityTee;
use paralith_crypto::SigningKey;
use paralith_crypto::hash::Domain;
use paralith_tee_channel::{BoundaryError, Client, pb};
use paralith_types::RuntimeId;

use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;

/// Stands for a processor's sealing key, which a software TEE does not have.
const SEALING_DOMAIN: Domain = Domain::new("paralith/software-sealing-key/v1");

/// What a trusted side starts with.
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

/// A started trusted side's keys and their attestation.
#[derive(Debug, Clone)]
pub struct Attested {
    /// For the node's registration.
    pub capability: Option<CapabilityTee>,
}

/// Makes the first call, and has the platform quote what it claims.
pub fn attest_and_start(client: &Client, input: StartInput<'_>) -> Result<Attested, NodeError> {
    let chain_context = input.genesis.context;
    let sealed = match &input.sealed {
        Some(file) if file.exists() => {
            std::fs::read(file).map_err(|e| NodeError::io(file.display().to_string(), &e))?
        }
        _ => Vec::new(),
    };
    let sealing_key = paralith_crypto::kdf::derive(
        &input.node.seed()[..],
        chain_context.as_bytes(),
        SEALING_DOMAIN,
        &[input.runtime_id.as_bytes()],
    );
    let start = pb::Start {
        chain_id: input.genesis.chain_id.clone(),
        chain_context: chain_context.as_bytes().to_vec(),
        genesis: input.genesis.json.clone().into_bytes(),
        node: input.node.public().as_bytes().to_vec(),
        runtime_id: input.runtime_id.as_bytes().to_vec(),
        code: input.code,
        sealed,
        sealing_key: sealing_key.to_vec(),
        byzantine: Vec::new(),
        entropy: Vec::new(),
    };
    let pb::host_reply::Kind::Started(started) = client.call(pb::host_call::Kind::Start(start))?
    else {
        return Err(BoundaryError::WrongReply.into());
    };
    let claims = Claims::decode(&started.claims).map_err(|e| NodeError::internal(&e))?;
    let capability = input.platform.map(|platform| CapabilityTee {
        rak: claims.rak,
        rek: claims.rek,
        evidence: platform.quote(&claims, &chain_context),
    });
    Ok(Attested { capability })
}
