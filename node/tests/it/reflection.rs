//! What a node says of its services to clients that have no `.proto` files.

use std::collections::BTreeSet;
use std::sync::Arc;

use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::links::endpoint::{Trust, channel};
use paralith::rpc;
use tonic_reflection::pb::{v1, v1alpha};

use crate::chain::{Chain, Rules};

/// The names of a node's services by one version of the protocol.
macro_rules! services {
    ($version:ident, $channel:expr) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let mut client = ServerReflectionClient::new($channel);
        let request = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let requests = futures::stream::iter([request]);
        let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else {
            panic!("{answer:?}")
        };
        // Each version lists itself and not the other one.
        let names = list.service.into_iter().map(|service| service.name);
        names.filter(|name| !name.starts_with("grpc.reflection.")).collect::<BTreeSet<String>>()
    }};
}

/// Python's stock client speaks only `v1alpha`, `grpcurl` both.
#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_reflection_list_the_same_services() {
    let chain = Chain::start(Rules::default()).await;
    let node = chain.node(vec![Role::Client], Placement::InProcess);
    chain.ready(&node).await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let address = rpc::serve(listen, None, Arc::clone(&node.state)).await.unwrap();
    let channel = channel(&format!("http://{address}"), &Trust::System).unwrap();
    let listed = services!(v1, channel.clone());
    assert!(listed.contains("paralith.consensus.v1.ConsensusService"), "{listed:?}");
    assert!(listed.contains("paralith.paratime.v1.ParaTimeService"), "{listed:?}");
    assert_eq!(services!(v1alpha, channel), listed);
    chain.end().await;
}
