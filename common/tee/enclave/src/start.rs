//! What a host may start an enclave with.

use paralith_crypto::Zeroizing;
use paralith_genesis::Document;
use paralith_proto::pb::host::v1 as pb;
use paralith_types::{ChainContext, PublicKey, RuntimeId};

use crate::{Entropy, SealingKey, TeeError};

/// Where an enclave is. It cannot change while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnclaveId {
    /// The chain.
    pub chain: ChainContext,
    /// The runtime that it serves: a compute runtime or a key manager.
    pub runtime_id: RuntimeId,
    /// The node that hosts it.
    pub node: PublicKey,
}

/// A start that holds together.
#[derive(Debug)]
pub struct Opened {
    /// Where the enclave is.
    pub id: EnclaveId,
    /// The genesis document. Its hash is the chain context.
    pub document: Document,
    /// None: nothing is kept between two runs.
    pub sealing_key: Option<SealingKey>,
    /// Where randomness comes from.
    pub entropy: Entropy,
}

impl EnclaveId {
    /// The place that a start names.
    pub fn of(start: &pb::Start) -> Result<Self, TeeError> {
        Ok(Self {
            chain: ChainContext::try_from(start.chain_context.as_slice()).map_err(bad)?,
            runtime_id: RuntimeId::try_from(start.runtime_id.as_slice()).map_err(bad)?,
            node: PublicKey::try_from(start.node.as_slice()).map_err(bad)?,
        })
    }
}

/// Checks what a host starts an enclave with.
///
/// A host that gives sealing key or seed knows the enclave's secrets. That is fine only where nothing
/// is secret from it anyway: on chains that accept software enclaves.
pub fn open(start: &pb::Start) -> Result<Opened, TeeError> {
    let id = EnclaveId::of(start)?;
    let text = std::str::from_utf8(&start.genesis).map_err(bad)?;
    let document = Document::parse(text).map_err(bad)?;
    let chain_id = document.chain_id().map_err(bad)?;
    if document.hash().map_err(bad)? != id.chain || chain_id != start.chain_id {
        return Err(bad("the genesis document is another chain's"));
    }
    let software = !document.genesis.params.registry.software_platforms.is_empty();
    let for_software = [&start.sealing_key, &start.entropy];
    if !software && for_software.iter().any(|field| !field.is_empty()) {
        let reason = "this chain accepts no software enclaves: sealing keys and seeds do not come \
                      from the host";
        return Err(bad(reason));
    }
    let sealing_key = match start.sealing_key.as_slice() {
        [] => None,
        bytes => {
            let bytes =
                <[u8; 32]>::try_from(bytes).map_err(|_| bad("a sealing key takes 32 bytes"));
            Some(SealingKey::new(Zeroizing::new(bytes?)))
        }
    };
    let entropy = match start.entropy.as_slice() {
        [] => Entropy::System,
        seed => Entropy::seeded(seed, &id),
    };
    Ok(Opened { id, document, sealing_key, entropy })
}

fn bad(reason: impl ToString) -> TeeError {
    TeeError::BadStart { reason: reason.to_string() }
}
