//! Links serve a caller by what the registry says of its key.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use paralith::assemble::Node;
use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::links::tls;
use paralith::network::runtime_id;
use paralith_consensus_api::registry;
use paralith_consensus_api::roothash::ProposalHeader;
use paralith_crypto::SigningKey;
use paralith_proto::Wire as _;
use paralith_proto::pb::worker::v1 as pb;
use paralith_proto::pb::worker::v1::worker_service_client::WorkerServiceClient;
use paralith_proto::status::error_of;
use paralith_types::{ChainContext, Hash, Height, Retry, Round, RuntimeId};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::chain::{Chain, Rules, key, until};

type Client = WorkerServiceClient<Channel>;

async fn served(chain: &Chain) -> (Node, SocketAddr) {
    let node = chain.node(vec![Role::Validator], Placement::InProcess);
    chain.ready(&node).await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let address = node.serve_links(Some(listen)).await.unwrap();
    (node, address.unwrap())
}

async fn dial(
    own: &SigningKey,
    to: &SigningKey,
    address: SocketAddr,
) -> Result<Client, tonic::transport::Error> {
    let config = tls::client_config(own, &to.public()).unwrap();
    let connect = tower::service_fn(move |_: tonic::transport::Uri| {
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        async move {
            let tcp = tokio::net::TcpStream::connect(address).await?;
            let tls = connector.connect(tls::server_name().unwrap(), tcp).await?;
            Ok::<_, std::io::Error>(TokioIo::new(tls))
        }
    });
    let channel = Endpoint::from_static("http://peer").connect_with_connector(connect).await?;
    let client = WorkerServiceClient::new(channel);
    Ok(client.max_encoding_message_size(usize::MAX))
}

/// A proposal for a ParaTime, and a vote on it. Nothing else of them is right.
fn round_messages(id: RuntimeId, signer: &SigningKey) -> (pb::Proposal, pb::VoteMessage) {
    let header = ProposalHeader {
        runtime_id: id,
        round: Round(1),
        previous_hash: Hash::ZERO,
        rank: 0,
        consensus_height: Height(1),
        batch_hash: Hash::ZERO,
    };
    let signed = Some(header.sign(signer, &ChainContext([0; 32])).to_pb());
    let proposal = pb::Proposal { proposal: signed.clone(), ..pb::Proposal::default() };
    (proposal, pb::VoteMessage { proposal: signed, ..pb::VoteMessage::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compute_node_reaches_the_rounds_of_its_own_paratimes_only() {
    let chain = Chain::start(Rules { max_evidence_blocks: Some(10_000), ..Rules::default() }).await;
    let node = chain.node(vec![Role::Validator, Role::Compute], Placement::InProcess);
    chain.ready(&node).await;
    let listen = Some("127.0.0.1:0".parse().unwrap());
    let address = node.serve_links(listen).await.unwrap().unwrap();
    let own = runtime_id("secret");
    until(&node, async |node| {
        let key = registry::keys::node(&node.state.node_id);
        let held: Option<registry::Node> = node.state.chain.get(&key).await.ok().flatten();
        held.is_some_and(|held| held.runtime(&own).is_some())
    })
    .await;
    let caller = &chain.validator;
    let mut client = dial(caller, caller, address).await.unwrap();
    for (id, refused) in [(RuntimeId([9; 32]), true), (own, false)] {
        let (proposal, vote) = round_messages(id, caller);
        let fetch = pb::FetchProposalRequest {
            runtime_id: id.as_bytes().to_vec(),
            ..pb::FetchProposalRequest::default()
        };
        for status in [
            client.propose(proposal).await.unwrap_err(),
            client.send_vote(vote).await.unwrap_err(),
            client.fetch_proposal(fetch).await.unwrap_err(),
        ] {
            // Of its own the answer is about the message.
            assert_eq!(is_refused_by_link(&status, 2), refused, "{id}: {status}");
            assert_eq!(status.code() == Code::PermissionDenied, refused, "{id}: {status}");
        }
    }
    chain.end().await;
}

fn is_refused_by_link(status: &Status, code: u32) -> bool {
    error_of(status).is_some_and(|error| error.is("link", code) && error.retry == Retry::Later)
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_reach_nothing_that_is_for_members() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address) = served(&chain).await;
    // A key of nobody's, and one that is registered in another role.
    for caller in [key(77), chain.validator.clone()] {
        let mut client = dial(&caller, &chain.validator, address).await.unwrap();
        let refusals = [
            client.propose(pb::Proposal::default()).await.unwrap_err(),
            client.send_vote(pb::VoteMessage::default()).await.unwrap_err(),
            client.fetch_proposal(pb::FetchProposalRequest::default()).await.unwrap_err(),
            client.answer_keys(pb::EnclaveRequest::default()).await.unwrap_err(),
            client.answer_replication(pb::EnclaveRequest::default()).await.unwrap_err(),
        ];
        for status in refusals {
            assert_eq!(status.code(), Code::PermissionDenied, "{status}");
            assert!(is_refused_by_link(&status, 1), "{status}");
        }
        // What gateways need is served: the answer is about the request.
        let status = client.find_round(pb::FindRoundRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_larger_than_its_method_takes_is_refused_by_its_header() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address) = served(&chain).await;
    let large = vec![0; 5 * 1024 * 1024];
    let mut client = dial(&key(77), &chain.validator, address).await.unwrap();
    let request = pb::FindRoundRequest { runtime_id: large.clone(), tx_hash: Vec::new() };
    let status = client.find_round(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let status =
        client.store_code(pb::StoreCodeRequest { module: large.clone() }).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    // A registered node may give its whole pool away in one message.
    let mut node = dial(&chain.validator, &chain.validator, address).await.unwrap();
    let request =
        || pb::TransactionsRequest { runtime_id: Vec::new(), transactions: vec![large.clone()] };
    let status = node.submit_transactions(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let status = client.submit_transactions(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_crowd_out_registered_nodes() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, address) = served(&chain).await;
    let mut kept = Vec::new();
    let refused = loop {
        // Each with a key of its own: they cost nothing.
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(kept.len() as u64 + 1000).to_be_bytes());
        let own = SigningKey::from_seed(seed);
        let called = match dial(&own, &chain.validator, address).await {
            Err(_) => break kept.len(),
            Ok(mut client) => {
                let answer = client.find_round(pb::FindRoundRequest::default()).await;
                (client, answer.unwrap_err())
            }
        };
        if called.1.code() != Code::InvalidArgument {
            break kept.len();
        }
        kept.push(called.0);
        assert!(kept.len() <= 32, "no limit on the links of strangers");
    };
    assert_eq!(refused, 32);
    let mut node = dial(&chain.validator, &chain.validator, address).await.unwrap();
    let status = node.find_round(pb::FindRoundRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    // A place that is given back is free again.
    kept.clear();
    loop {
        let Ok(mut client) = dial(&key(78), &chain.validator, address).await else { continue };
        let status = client.find_round(pb::FindRoundRequest::default()).await.unwrap_err();
        if status.code() == Code::InvalidArgument {
            break;
        }
    }
    chain.end().await;
}
