//! Attestation of nodes for runtimes.

use std::collections::BTreeSet;

use paralith_attest::{Claims, Measurement, Policy};
use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{Error as RegistryError, Node, Runtime};

use super::{invalid, state};
use crate::context::Context;

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
    let policy = Policy {
        platforms: state::params(ctx)?.software_platforms,
        measurements: rules.measurements.iter().copied().map(Measurement).collect::<BTreeSet<_>>(),
        max_age: rules.max_age_blocks,
    };
    let chain_context = ctx.chain_context();
    let claims =
        paralith_attest::verify(&capability.evidence, &policy, chain_context, ctx.height())
            .map_err(RegistryError::Attestation)?;
    let same = claims.node == node.id
        && claims.runtime == runtime.id
        && claims.rak == capability.rak
        && claims.rek == capability.rek
        && claims.code == runtime.code.as_ref().map(|code| code.id);
    if !same {
        return Err(invalid("the evidence is for another node, runtime, code or other keys"));
    }
    Ok(claims)
}
