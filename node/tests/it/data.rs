//! Contents at a node: the service beside gRPC, and the chain's heights.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use paralith::assemble::Node;
use paralith::config::{DataConfig, Role};
use paralith::data::DataHost;
use paralith::enclave::Placement;
use paralith::links::endpoint::{ServerTls, Trust, contents};
use paralith::rpc;
use paralith_crypto::SigningKey;
use paralith_crypto::sha3::sha3_256;
use paralith_data::{
    Action, Client, ClientLimits, DataError, Denied, Origin, SignedTicket, Ticket, TicketRule,
};
use paralith_types::{Hash, Height, PublicKey};

use crate::chain::{Chain, Rules, key, until};
use crate::tls::{PIN, own};

/// One key may do everything in one scope.
#[derive(Debug)]
struct OneKey(PublicKey);

const SCOPE: [u8; 32] = [5; 32];

impl TicketRule for OneKey {
    fn serves(&self, scope: &[u8; 32]) -> bool {
        *scope == SCOPE
    }

    fn may_put(&self, ticket: &Ticket, now: Height) -> Result<[u8; 32], Denied> {
        self.may_get(ticket, now).map(|()| self.0.0)
    }

    fn may_get(&self, ticket: &Ticket, _now: Height) -> Result<(), Denied> {
        let known = ticket.signer == self.0;
        if known { Ok(()) } else { Err(Denied::No("another key".to_string())) }
    }
}

async fn served(chain: &Chain, tls: Option<&ServerTls>) -> (Node, SocketAddr) {
    let rules: Vec<Arc<dyn TicketRule>> = vec![Arc::new(OneKey(key(60).public()))];
    let node = chain.node_with(vec![Role::Validator], Placement::InProcess, |config| {
        config.data = Some(DataHost { limits: DataConfig::default(), rules });
    });
    chain.ready(&node).await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let address = rpc::serve(listen, tls, Arc::clone(&node.state)).await.unwrap();
    (node, address)
}

fn ticket(node: &Node, signer: &SigningKey, action: Action, content: &[u8], blocks: u64) -> String {
    let ticket = Ticket {
        action,
        scope: SCOPE,
        content: Hash(sha3_256(content)),
        length: if action == Action::Put { content.len() as u64 } else { 0 },
        expires: Height(node.state.chain.height().unwrap() + blocks),
        signer: signer.public(),
        credential: Vec::new(),
    };
    let signed: SignedTicket = ticket.sign(signer, &node.state.genesis.context);
    signed.authorization()
}

fn client(address: &str, trust: Trust) -> (Client, Origin) {
    let origin = Origin::parse(address).unwrap();
    let client = Client::new(vec![origin.clone()], contents(trust), ClientLimits::default());
    (client, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_contents_until_their_height() {
    let chain = Chain::start(Rules::default()).await;
    let (node, address) = served(&chain, None).await;
    let (client, origin) = client(&format!("http://{address}"), Trust::System);
    let content = b"content".to_vec();
    let hash = Hash(sha3_256(&content));
    let own = key(60);
    let get = async |ticket: String| {
        let mut got = Vec::new();
        let sink = |piece: &[u8]| {
            got.extend_from_slice(piece);
            Ok(())
        };
        client.get(&origin, &hash, &ticket, 100, sink).await.map(|_| got)
    };
    let status = |error: DataError| match error {
        DataError::Answer { status, .. } => status,
        other => panic!("{other}"),
    };
    let body = || stream::iter([Bytes::from(content.clone())]);
    let stranger = ticket(&node, &key(61), Action::Put, &content, 50);
    let refused = client.put(&origin, &hash, &stranger, 7, body()).await.unwrap_err();
    assert_eq!(status(refused), 403);
    let putting = ticket(&node, &own, Action::Put, &content, 600);
    client.put(&origin, &hash, &putting, 7, body()).await.unwrap();
    let getting = || ticket(&node, &own, Action::Get, &content, 100_000);
    assert_eq!(get(getting()).await.unwrap(), content);
    assert_eq!(client.head(&origin, &hash, &getting()).await.unwrap(), 7);
    assert_eq!(
        status(get(ticket(&node, &key(61), Action::Get, &content, 50)).await.unwrap_err()),
        403
    );
    // Its blocks pass: it is removed in the background.
    until(&node, async |_| get(getting()).await.is_err_and(|error| status(error) == 404)).await;
    // gRPC is still there.
    let channel =
        paralith::links::endpoint::connect(origin.as_str(), &Trust::System).await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_travel_over_tls_to_a_server_that_proves_itself() {
    let chain = Chain::start(Rules::default()).await;
    let (node, address) = served(&chain, Some(&own())).await;
    let content = b"content".to_vec();
    let hash = Hash(sha3_256(&content));
    let putting = ticket(&node, &key(60), Action::Put, &content, 10_000);
    let body = || stream::iter([Bytes::from(content.clone())]);
    let secure = format!("https://{address}");
    let (pinned, origin) = client(&secure, Trust::pinned(PIN).unwrap());
    pinned.put(&origin, &hash, &putting, 7, body()).await.unwrap();
    let (unpinned, origin) = client(&secure, Trust::System);
    let refused = unpinned.put(&origin, &hash, &putting, 7, body()).await.unwrap_err();
    assert!(matches!(refused, DataError::Unreachable { .. }), "{refused}");
    chain.end().await;
}
