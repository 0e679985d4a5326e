//! The client of commands and tests: it trusts no node. See [`paralith_consensus_client`].

pub use paralith_consensus_client::{
    Answer, ChainClient, ClientError, ClientOptions, Confirmed, Gas, Included, ParaTimeClient,
    Proven, Sent, TxOptions,
};
use tonic::transport::Channel;

use crate::error::NodeError;

/// Connects to a node by its address, with nothing required of it: for development chains and tests.
pub async fn connect(node: &str) -> Result<ChainClient, NodeError> {
    connect_with(node, ClientOptions::default()).await
}

/// Connects to a node by its address.
pub async fn connect_with(node: &str, options: ClientOptions) -> Result<ChainClient, NodeError> {
    let unreachable = |reason: String| NodeError::Unreachable { node: node.to_string(), reason };
    let endpoint = Channel::from_shared(node.to_string())
        .map_err(|e| NodeError::usage("--node", format!("{e}: write http://host:port")))?;
    let channel = endpoint.connect().await.map_err(|e| unreachable(root_cause(&e)))?;
    Ok(ChainClient::connect(node, channel, options).await?)
}

/// What a failed gRPC call means to a node's user.
pub(crate) fn refused(status: &tonic::Status) -> NodeError {
    paralith_consensus_client::refused(status).into()
}

fn root_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}
