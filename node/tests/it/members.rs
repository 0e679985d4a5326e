//! Links for keys that are not in the registry: services of members, by a directory of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use paralith::assemble::Node;
use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::links::{LinkService, Member, MemberLimits, MemberServices, Members, tls};
use paralith_crypto::SigningKey;
use paralith_proto::pb::worker::v1 as pb;
use paralith_proto::pb::worker::v1::worker_service_client::WorkerServiceClient;
use paralith_proto::status::error_of;
use paralith_types::PublicKey;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::util::BoxCloneSyncService;

use crate::chain::{Chain, Rules, key};

/// A service as any other; the node knows nothing of it.
const SERVICE: &str = "grpc.health.v1.Health";

fn members(keys: &[u8]) -> BTreeMap<PublicKey, Member> {
    let member = |(number, seed): (usize, &u8)| {
        let number = u32::try_from(number).unwrap();
        (key(*seed).public(), Member { number, address: None })
    };
    keys.iter().enumerate().map(member).collect()
}

async fn served(
    chain: &Chain,
    strangers: bool,
    limits: MemberLimits,
) -> (Node, SocketAddr, Arc<Members>) {
    let directory = Members::new([SERVICE]);
    let (_, health) = tonic_health::server::health_reporter();
    let service = LinkService {
        name: SERVICE,
        service: BoxCloneSyncService::new(health),
        directory: directory.clone(),
        limits,
    };
    let node = chain.node_with(vec![Role::Client], Placement::InProcess, |config| {
        config.members = MemberServices { services: vec![service], strangers };
    });
    chain.ready(&node).await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let address = node.serve_links(Some(listen)).await.unwrap().unwrap();
    (node, address, directory)
}

async fn connect(own: &SigningKey, to: &SigningKey, address: SocketAddr) -> TlsStream<TcpStream> {
    let config = tls::client_config(own, &to.public()).unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    connector.connect(tls::server_name().unwrap(), tcp).await.unwrap()
}

/// A channel over one connection, which does not connect again.
async fn channel(
    own: &SigningKey,
    to: &SigningKey,
    address: SocketAddr,
) -> Result<Channel, String> {
    let mut stream = Some(connect(own, to, address).await);
    let once = tower::service_fn(move |_: tonic::transport::Uri| {
        let stream = stream.take();
        let gone = || std::io::Error::other("the connection is gone");
        async move { Ok::<_, std::io::Error>(TokioIo::new(stream.ok_or_else(gone)?)) }
    });
    let connected = Endpoint::from_static("http://peer").connect_with_connector(once).await;
    connected.map_err(|e| e.to_string())
}

async fn health(channel: &Channel) -> Result<(), Status> {
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.map(|_| ())
}

async fn find_round(channel: &Channel) -> Status {
    let mut client = WorkerServiceClient::new(channel.clone());
    client.find_round(pb::FindRoundRequest::default()).await.unwrap_err()
}

fn is_refused_by_link(status: &Status, code: u32) -> bool {
    status.code() == Code::PermissionDenied
        && error_of(status).is_some_and(|error| error.is("link", code))
}

/// Whether the server closes the link without having sent or read a frame of HTTP/2: its own first
/// frame comes as soon as it serves a connection, whatever the client sends.
async fn is_closed_unread(own: &SigningKey, to: &SigningKey, address: SocketAddr) -> bool {
    let mut stream = connect(own, to, address).await;
    let mut byte = [0];
    !matches!(stream.read(&mut byte).await, Ok(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_directory_opens_its_own_services() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address, directory) = served(&chain, true, MemberLimits::default()).await;
    directory.set(members(&[80, 81]));
    let node = &chain.validator;
    let member = channel(&key(80), node, address).await.unwrap();
    health(&member).await.unwrap();
    // To the registry a member is a stranger like any other.
    assert_eq!(find_round(&member).await.code(), Code::InvalidArgument);
    let propose = WorkerServiceClient::new(member).propose(pb::Proposal::default()).await;
    assert!(is_refused_by_link(&propose.unwrap_err(), 1));
    // Registered nodes and strangers reach what they did, and nothing of the members.
    for caller in [node, &key(77)] {
        let other = channel(caller, node, address).await.unwrap();
        assert_eq!(find_round(&other).await.code(), Code::InvalidArgument);
        assert!(is_refused_by_link(&health(&other).await.unwrap_err(), 5));
    }
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_directory_knows_is_closed_before_its_first_frame() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address, directory) = served(&chain, false, MemberLimits::default()).await;
    let node = &chain.validator;
    assert!(is_closed_unread(&key(80), node, address).await);
    directory.set(members(&[80]));
    assert!(!is_closed_unread(&key(80), node, address).await);
    health(&channel(&key(80), node, address).await.unwrap()).await.unwrap();
    assert!(is_closed_unread(&key(81), node, address).await);
    // The registry is a directory as well.
    let registered = channel(node, node, address).await.unwrap();
    assert_eq!(find_round(&registered).await.code(), Code::InvalidArgument);
    // A member is nobody to the registry.
    let member = channel(&key(80), node, address).await.unwrap();
    assert!(is_refused_by_link(&find_round(&member).await, 5));
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_dropped_loses_its_open_link_and_no_other_does() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address, directory) = served(&chain, false, MemberLimits::default()).await;
    let node = &chain.validator;
    directory.set(members(&[80, 81]));
    let dropped = channel(&key(80), node, address).await.unwrap();
    let kept = channel(&key(81), node, address).await.unwrap();
    // A call that is under way, and will not end by itself.
    let mut watching = HealthClient::new(dropped.clone());
    let mut watching = watching.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watching.message().await.unwrap();
    health(&kept).await.unwrap();
    directory.set(members(&[81]));
    watching.message().await.unwrap_err();
    health(&dropped).await.unwrap_err();
    assert!(is_closed_unread(&key(80), node, address).await);
    health(&kept).await.unwrap();
    directory.set(members(&[81, 80]));
    health(&channel(&key(80), node, address).await.unwrap()).await.unwrap();
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_that_flood_do_not_crowd_out_members_nor_one_member_the_others() {
    let chain = Chain::start(Rules::default()).await;
    let limits = MemberLimits { links: 3, links_of_one: 2, ..MemberLimits::default() };
    let (_node, address, directory) = served(&chain, false, limits).await;
    let node = &chain.validator;
    directory.set(members(&[80, 81, 82]));
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..200_u64 {
        let (own, to) = (number, node.clone());
        flood.spawn(async move {
            let mut seed = [1; 32];
            seed[..8].copy_from_slice(&own.to_be_bytes());
            is_closed_unread(&SigningKey::from_seed(seed), &to, address).await
        });
    }
    let first = channel(&key(80), node, address).await.unwrap();
    health(&first).await.unwrap();
    while let Some(closed) = flood.join_next().await {
        assert!(closed.unwrap());
    }
    // One key has two links, all together three.
    let second = channel(&key(80), node, address).await.unwrap();
    health(&second).await.unwrap();
    assert!(is_closed_unread(&key(80), node, address).await);
    let other = channel(&key(81), node, address).await.unwrap();
    health(&other).await.unwrap();
    assert!(is_closed_unread(&key(82), node, address).await);
    health(&first).await.unwrap();
    // A place that is given back is free again.
    drop((first, second));
    while is_closed_unread(&key(82), node, address).await {}
    chain.end().await;
}
