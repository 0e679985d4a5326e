//! Connects to one node over TLS with raw public keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use paralith_crypto::SigningKey;
use paralith_types::PublicKey;
use tonic::transport::{Channel, Endpoint};

use super::{Recording, tls};
use crate::error::NodeError;

/// How long a peer may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel to the node with this key at this address: its handshake proved the key.
pub(super) async fn connect(
    own: &SigningKey,
    node: &PublicKey,
    address: &str,
    record: Option<&Path>,
) -> Result<Channel, NodeError> {
    let config = tls::client_config(own, node).map_err(|e| NodeError::internal(&e))?;
    let connector = tokio_rustls::TlsConnector::from(config);
    let (target, record) = (address.to_string(), record.map(PathBuf::from));
    let endpoint = Endpoint::from_static("http://peer").connect_timeout(CONNECT_TIMEOUT);
    let connect = tower::service_fn(move |_| {
        let (connector, target, record) = (connector.clone(), target.clone(), record.clone());
        async move {
            let tcp = tokio::net::TcpStream::connect(&target).await?;
            tcp.set_nodelay(true)?;
            let name = tls::server_name().map_err(std::io::Error::other)?;
            let tls = connector.connect(name, tcp).await?;
            Ok::<_, std::io::Error>(TokioIo::new(Recording::new(tls, record.as_deref())?))
        }
    });
    endpoint
        .connect_with_connector(connect)
        .await
        .map_err(|e| NodeError::Unreachable { node: address.to_string(), reason: e.to_string() })
}
