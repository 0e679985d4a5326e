//! Addresses of users: `https` is spoken as TLS, and what cannot be honoured is refused.

use std::path::{Path, PathBuf};

use paralith::assemble::Node;
use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::error::NodeError;
use paralith::links::endpoint::{ServerTls, Trust, channel, connect};
use paralith::rpc;
use paralith_proto::pb::node::v1::GetStatusRequest;
use paralith_proto::pb::node::v1::node_service_client::NodeServiceClient;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::chain::{Chain, Rules};

/// SHA-256 of the SubjectPublicKeyInfo in cert.pem, as `openssl` computes it.
const PIN: &str = "sha256:d20f485f833568856496efcc511b9f8401040bad48cb2555a44d703fd27b4c02";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name)
}

fn own() -> ServerTls {
    ServerTls { cert: file("cert.pem"), key: file("key.pem") }
}

async fn served(chain: &Chain, tls: Option<&ServerTls>) -> (Node, SocketAddr) {
    let node = chain.node(vec![Role::Client], Placement::InProcess);
    chain.ready(&node).await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let address = rpc::serve(listen, tls, Arc::clone(&node.state)).await.unwrap();
    (node, address)
}

async fn engine_by(address: &str, trust: &Trust) -> Result<String, NodeError> {
    let channel = connect(address, trust).await?;
    let status = NodeServiceClient::new(channel).get_status(GetStatusRequest {}).await;
    Ok(status.map_err(|e| NodeError::internal(&e))?.into_inner().engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_is_reached_over_tls_by_pin_and_by_file() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address) = served(&chain, Some(&own())).await;
    let by_ip = format!("https://{address}");
    let by_name = format!("https://localhost:{}", address.port());
    for address in [&by_ip, &by_name] {
        for trust in [Trust::pinned(PIN).unwrap(), Trust::File(file("cert.pem"))] {
            assert_eq!(engine_by(address, &trust).await, Ok("solo".to_string()), "{trust:?}");
        }
    }
    // A channel that connects with its first call does the same.
    let lazy = channel(&by_name, &Trust::File(file("cert.pem"))).unwrap();
    assert!(NodeServiceClient::new(lazy).get_status(GetStatusRequest {}).await.is_ok());
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_itself_is_not_spoken_to() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, secure) = served(&chain, Some(&own())).await;
    let other = format!("sha256:{}", "00".repeat(32));
    // No authority that the system trusts has signed it; the pin is another key's.
    for trust in [Trust::System, Trust::pinned(&other).unwrap()] {
        let refused = engine_by(&format!("https://{secure}"), &trust).await.unwrap_err();
        assert!(
            matches!(refused, NodeError::Unreachable { .. } | NodeError::Usage { .. }),
            "{refused}"
        );
    }
    // Plain text at a TLS port, and TLS at a plain port: neither falls back to the other.
    assert!(engine_by(&format!("http://{secure}"), &Trust::System).await.is_err());
    let (_node, plain) = served(&chain, None).await;
    let pin = Trust::pinned(PIN).unwrap();
    assert!(engine_by(&format!("https://{plain}"), &pin).await.is_err());
    assert_eq!(engine_by(&format!("http://{plain}"), &Trust::System).await, Ok("solo".into()));
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_honoured_is_refused_with_the_reason() {
    let pin = Trust::pinned(PIN).unwrap();
    for (address, trust, mention) in [
        ("http://127.0.0.1:1", &pin, "plain text"),
        ("127.0.0.1:26600", &Trust::System, "http://host:port"),
        ("ftp://127.0.0.1:1", &Trust::System, "http or https"),
        ("https://127.0.0.1:1/path", &Trust::System, "no path"),
        ("https://user@127.0.0.1:1", &Trust::System, "user name"),
        ("https://host:1", &Trust::File(file("missing.pem")), "missing.pem"),
        ("https://host:1", &Trust::File(file("key.pem")), "no certificate"),
    ] {
        let error = channel(address, trust).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(mention), "{address}: {error}");
        assert_eq!(error.exit_code(), 2, "{address}");
    }
    for pin in ["", "sha256:00", "d20f", "sha1:00"] {
        assert_eq!(Trust::pinned(pin).unwrap_err().exit_code(), 2, "{pin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_certificate_and_key_do_not_fit_does_not_start() {
    let chain = Chain::start(Rules::default()).await;
    let node = chain.node(vec![Role::Client], Placement::InProcess);
    for (cert, key, mention) in [
        ("cert.pem", "cert.pem", "private key"),
        ("key.pem", "key.pem", "no certificate"),
        ("none.pem", "key.pem", "none.pem"),
        ("cert.pem", "other.pem", "does not fit"),
    ] {
        let tls = ServerTls { cert: file(cert), key: file(key) };
        let listen = "127.0.0.1:0".parse().unwrap();
        let error = rpc::serve(listen, Some(&tls), Arc::clone(&node.state)).await.unwrap_err();
        assert!(error.to_string().contains(mention), "{error}");
    }
    chain.end().await;
}
