//! `paralith status`

use paralith_proto::pb;
use serde_json::json;

use super::{NodeArgs, output};
use crate::client::refused;
use crate::error::NodeError;

/// Asks a node how it is.
pub async fn run(args: NodeArgs) -> Result<(), NodeError> {
    let chain = args.connect().await?;
    let status = pb::node::v1::node_service_client::NodeServiceClient::new(chain.channel())
        .get_status(pb::node::v1::GetStatusRequest {})
        .await
        .map_err(|status| refused(&status))?
        .into_inner();
    let info =
        pb::consensus::v1::consensus_service_client::ConsensusServiceClient::new(chain.channel())
            .get_chain(pb::consensus::v1::GetChainRequest {})
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
    let runtimes: Vec<_> = status
        .runtimes
        .iter()
        .map(|runtime| {
            json!({
                "name": runtime.name, "id": hex::encode(&runtime.runtime_id),
                "confidential": runtime.confidential, "has_keys": runtime.has_keys,
                "round": runtime.round, "state_root": hex::encode(&runtime.state_root),
                "pool": runtime.pool_size, "committee": runtime.committee_role,
            })
        })
        .collect();
    let mut warnings = Vec::new();
    if info.insecure_beacon {
        warnings.push("INSECURE: elections follow from a known seed; a test chain");
    }
    if info.insecure_attestation {
        warnings.push("INSECURE: software attestation is accepted; it protects nothing");
    }
    let shown = json!({
        "chain": info.chain_id, "node": hex::encode(&status.node_id), "roles": status.roles,
        "engine": status.engine, "height": status.height, "epoch": status.epoch,
        "ready": status.ready, "runtimes": runtimes,
        "warnings": warnings, "alarms": status.alarms, "version": status.software_version,
    });
    output::print(&shown, args.json)
}
