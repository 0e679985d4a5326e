//! Addresses of users: `https` is spoken as TLS, and what cannot be honoured is refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use paralith::assemble::Node;
use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::error::NodeError;
use paralith::links::endpoint::{ServerTls, Trust, channel, connect};
use paralith::remote::RemoteChain;
use paralith::rpc;
use paralith_consensus_api::beacon;
use paralith_proto::pb::node::v1::GetStatusRequest;
use paralith_proto::pb::node::v1::node_service_client::NodeServiceClient;

use crate::chain::{Chain, Rules};

/// SHA-256 of the SubjectPublicKeyInfo in cert.pem, as `openssl` computes it.
pub(crate) const PIN: &str =
    "sha256:d20f485f833568856496efcc511b9f8401040bad48cb2555a44d703fd27b4c02";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name)
}

pub(crate) fn own() -> ServerTls {
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
        // A system without any authority refuses before it connects.
        assert!(
            matches!(refused, NodeError::Untrusted { .. } | NodeError::Usage { .. }),
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
async fn a_server_is_believed_by_an_authority_for_its_host_only() {
    let chain = Chain::start(Rules::default()).await;
    let signed = ServerTls { cert: file("signed.pem"), key: file("signed-key.pem") };
    let (_node, address) = served(&chain, Some(&signed)).await;
    let authority = Trust::File(file("authority.pem"));
    let at = |host: &str| format!("https://{host}:{}", address.port());
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(engine_by(&at(host), &authority).await, Ok("solo".to_string()), "{host}");
    }
    // The same server by a name that its certificate does not have.
    let refused = engine_by(&at("127.0.0.2"), &authority).await.unwrap_err();
    assert!(!matches!(refused, NodeError::Usage { .. }), "{refused}");
    let refused = engine_by(&at("127.0.0.1"), &Trust::File(file("cert.pem"))).await.unwrap_err();
    assert!(matches!(refused, NodeError::Untrusted { .. }), "{refused}");
    chain.end().await;
}

/// Runs `paralith status` with these arguments and this environment.
fn status(arguments: &[&str], variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paralith"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PARALITH_")) {
        command.env_remove(name);
    }
    let variables = variables.iter().copied();
    command.arg("status").args(arguments).envs(variables).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_accept_the_certificates_that_they_are_told_to_accept() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address) = served(&chain, Some(&own())).await;
    let node = format!("https://{address}");
    let (cert, authority) = (file("cert.pem"), file("authority.pem"));
    let (cert, authority) = (cert.to_str().unwrap(), authority.to_str().unwrap());
    let missing = file("missing.pem");
    let other = format!("sha256:{}", "00".repeat(32));
    let both = format!("{other},{PIN}");
    for (arguments, variables) in [
        (vec!["--node", &node, "--tls-pin", PIN], vec![]),
        (vec!["--node", &node, "--tls-pin", &other, "--tls-pin", PIN], vec![]),
        (vec!["--node", &node, "--tls-ca", cert], vec![]),
        (vec![], vec![("PARALITH_NODE", node.as_str()), ("PARALITH_TLS_PIN", both.as_str())]),
        (vec!["--node", &node], vec![("PARALITH_TLS_CA", cert)]),
    ] {
        let output = status(&arguments, &variables);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} {variables:?}: {said}");
    }
    let plain = format!("http://{address}");
    let wrong_key = format!("the server's key is {PIN}, which is not pinned");
    for (arguments, variables, exit, mention) in [
        (vec!["--node", &node, "--tls-pin", &other], vec![], 1, wrong_key.as_str()),
        (vec!["--node", &node, "--tls-ca", authority], vec![], 1, "is not accepted"),
        (vec!["--node", &plain, "--tls-pin", PIN], vec![], 2, "plain text"),
        (vec!["--tls-ca", cert], vec![], 2, "plain text"),
        (vec!["--node", &node, "--tls-ca", missing.to_str().unwrap()], vec![], 2, "missing.pem"),
        (vec!["--node", &node, "--tls-pin", "1234"], vec![], 2, "SubjectPublicKeyInfo"),
        (vec!["--node", &node, "--tls-pin", PIN, "--tls-ca", cert], vec![], 2, "cannot be used"),
        (vec!["--node", &node, "--tls-ca", cert], vec![("PARALITH_TLS_PIN", PIN)], 2, "cannot be"),
    ] {
        let output = status(&arguments, &variables);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?} {variables:?}: {said}");
        assert!(said.contains(mention), "{arguments:?} {variables:?}: {said}");
    }
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_node_follows_full_nodes_over_tls_with_the_right_pin_only() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address) = served(&chain, Some(&own())).await;
    let start = |node: String, trust: &Trust| {
        RemoteChain::start(&chain.genesis, &[node], trust, chain.stop.clone())
    };
    let secure = || format!("https://{address}");
    for trust in [Trust::pinned(PIN).unwrap(), Trust::File(file("cert.pem"))] {
        let remote = start(secure(), &trust).unwrap();
        let block = tokio::time::timeout(Duration::from_secs(60), remote.subscribe().recv()).await;
        assert!(block.unwrap().is_ok(), "{trust:?}");
        assert!(remote.query(None, &beacon::keys::epoch()).await.unwrap().value.is_some());
    }
    let other = Trust::pinned(&format!("sha256:{}", "00".repeat(32))).unwrap();
    for trust in [other, Trust::File(file("authority.pem"))] {
        let remote = start(secure(), &trust).unwrap();
        assert!(remote.light_block(None).await.is_err(), "{trust:?}");
        assert_eq!(remote.height(), 0);
    }
    let plain = start(format!("http://{address}"), &Trust::pinned(PIN).unwrap()).unwrap_err();
    assert!(plain.to_string().contains("plain text"), "{plain}");
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
