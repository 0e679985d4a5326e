//! The client of commands and tests: it trusts no node. See [`paralith_consensus_client`].

pub use paralith_consensus_client::{
    Answer, ChainClient, ClientError, ClientOptions, Confirmed, Gas, Included, ParaTimeClient,
    PortableProof, Proposals, Proven, ProvenEntry, ProvenRound, ProvenState, RegisteredEnclave,
    Sent, TxOptions,
};

use crate::error::NodeError;
use crate::links::endpoint::{self, Trust};

/// Connects to a node by its address, with nothing required of it: for development chains and tests.
pub async fn connect(node: &str) -> Result<ChainClient, NodeError> {
    connect_over(node, &Trust::System, ClientOptions::default()).await
}

/// Connects to a node by its address, over TLS if it is `https`: then it must show a certificate that
/// satisfies `trust`.
pub async fn connect_over(
    node: &str,
    trust: &Trust,
    options: ClientOptions,
) -> Result<ChainClient, NodeError> {
    let channel = endpoint::connect(node, trust).await?;
    Ok(ChainClient::connect(node, channel, options).await?)
}

/// What a failed gRPC call means to a node's user.
pub(crate) fn refused(status: &tonic::Status) -> NodeError {
    paralith_consensus_client::refused(status).into()
}
