//! Attestation of nodes for runtimes.

use std::collections::BTreeSet;

use paralith_attest::{Claims, Measurement, Policy};
use paralith_consensus_api::Error;
use paralith_consensus_api::consensus::STATE_ROOTS_KEPT;
use paralith_consensus_api::registry::{Error as RegistryError, Node, Runtime};

use paralith_types::{CodeId, Hash, Height};

use super::enclaves::is_revoked;
use super::{invalid, state};
use crate::context::Context;
use crate::roots;

/// The claims of a node's evidence for a runtime, if it passes now: under the runtime's policy, for
/// this chain, and for exactly the node, runtime, keys and code that are registered.
pub(crate) fn verify_tee(
    ctx: &Context<'_>,
    node: &Node,
    runtime: &Runtime,
) -> Result<Claims, Error> {
    let missing = || RegistryError::TeeRequired { runtime: runtime.id.to_string() };
    let capability = node.runtime(&runtime.id).and_then(|offered| offered.tee.as_ref());
    let capability = capability.ok_or_else(missing)?;
    let rules = runtime.tee.as_ref().ok_or_else(missing)?;
    // RG-16: for ever.
    if is_revoked(ctx, &runtime.id, &capability.rak)? {
        let rak = capability.rak.to_string();
        return Err(RegistryError::EnclaveRevoked { rak }.into());
    }
    let policy = Policy {
        platforms: state::params(ctx)?.software_platforms,
        measurements: rules.measurements.iter().copied().map(Measurement).collect::<BTreeSet<_>>(),
        max_age: rules.max_age_blocks,
    };
    let chain_context = ctx.chain_context();
    // AT-1: also at elections, since evidence ages and policies change.
    let claims =
        paralith_attest::verify(&capability.evidence, &policy, chain_context, ctx.height())
            .map_err(RegistryError::Attestation)?;
    // AT-2: evidence of one place must not open another.
    let same = claims.node == node.id
        && claims.runtime == runtime.id
        && claims.rak == capability.rak
        && claims.rek == capability.rek;
    if !same {
        return Err(invalid("the evidence is for another node, runtime or other keys"));
    }
    let code = runtime.code.as_ref().map(|code| code.id);
    if claims.code != code {
        let (attested, expected) = (shown(claims.code), shown(code));
        return Err(invalid(format!(
            "the evidence is for the code {attested}, the runtime's is {expected}: start the enclave \
             with that one"
        )));
    }
    Ok(claims)
}

fn shown(code: Option<CodeId>) -> String {
    code.map_or_else(|| "none".to_string(), |code| code.to_string())
}

/// Whether the enclave follows this chain: its claims name the state root of their height. Only
/// evidence that is new to the registry is asked, since past roots are kept for a while only.
///
/// Before an enclave has proven anything it names height 0 and no root. The chain context binds it
/// to the genesis then, which is enough while the chain is that young.
pub(crate) fn require_same_chain(
    ctx: &Context<'_>,
    node: &Node,
    runtime: &Runtime,
    claims: &Claims,
) -> Result<(), Error> {
    let offered = node.runtime(&runtime.id).and_then(|one| one.tee.as_ref());
    let registered = state::node(ctx, &node.id)?;
    let known = registered.as_ref().and_then(|node| node.runtime(&runtime.id)?.tee.as_ref());
    if known.is_some() && known == offered {
        return Ok(());
    }
    let young = ctx.height().0 <= STATE_ROOTS_KEPT;
    // AT-4: within the first blocks the genesis binds it.
    if (claims.height, claims.state_root) == (Height(0), Hash::ZERO) && young {
        return Ok(());
    }
    // AT-3: an enclave on a fork names another root.
    match roots::root_of(ctx, claims.height)? {
        Some(root) if root == claims.state_root => Ok(()),
        Some(_) => {
            Err(invalid("the enclave follows another chain: its state root is not this one's"))
        }
        None => {
            Err(invalid("the evidence names a height whose state root is not kept: attest again"))
        }
    }
}
