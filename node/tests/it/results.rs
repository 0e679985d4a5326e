//! Results of blocks and transactions come from the store: a node that has just started has them.

use std::sync::Arc;
use std::time::Duration;

use paralith::assemble::Node;
use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::links::endpoint::Trust;
use paralith::remote::RemoteChain;
use paralith::rpc;
use paralith_consensus_api::address;
use paralith_consensus_api::staking::Transfer;
use paralith_consensus_api::tx::{Body, Fee, Transaction, hash_of};
use paralith_proto::{Canonical as _, pb};
use paralith_storage::Tree;
use paralith_types::{Amount, Hash, Height};
use pb::consensus::v1::consensus_service_client::ConsensusServiceClient;
use pb::consensus::v1::{
    GetBlockRequest, GetTransactionRequest, SubmitRequest, WatchBlocksRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::chain::{Chain, Rules, key};

/// A transfer of the owner's.
fn transfer(chain: &Chain, nonce: u64) -> Vec<u8> {
    let to = address::of_key(&key(77).public());
    let body = Body::Transfer(Transfer { to, amount: Amount(5) });
    let fee = Fee { amount: Amount::ZERO, gas_limit: 100_000 };
    Transaction::new(chain.genesis.context, nonce, fee, &body).sign(&chain.owner).encode()
}

/// A node of the chain that knows nothing of what was before it, and its service.
async fn fresh(chain: &Chain) -> (Node, String, ConsensusServiceClient<Channel>) {
    let node = chain.node(vec![Role::Client], Placement::InProcess);
    chain.ready(&node).await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let address = rpc::serve(listen, None, Arc::clone(&node.state)).await.unwrap();
    let address = format!("http://{address}");
    let service = ConsensusServiceClient::connect(address.clone()).await.unwrap();
    (node, address, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_just_started_answers_for_blocks_and_transactions_before() {
    let chain = Chain::start(Rules::default()).await;
    let raw = transfer(&chain, 0);
    let hash = hash_of(&raw);
    let submit = || SubmitRequest { transaction: raw.clone() };
    let result = {
        let (_node, _, mut service) = fresh(&chain).await;
        service.submit_and_wait(submit()).await.unwrap().into_inner()
    };
    assert_eq!((result.code, result.hash.clone()), (0, hash.as_bytes().to_vec()));
    assert!(!result.events.is_empty());

    let (_node, address, mut service) = fresh(&chain).await;
    let of = |hash: &Hash| GetTransactionRequest { hash: hash.as_bytes().to_vec() };
    assert_eq!(service.get_transaction(of(&hash)).await.unwrap().into_inner(), result);
    let at = |height| GetBlockRequest { height };
    let block = service.get_block(at(result.height)).await.unwrap().into_inner();
    assert_eq!(block.transactions, std::slice::from_ref(&result));
    assert_eq!(service.get_block(at(1)).await.unwrap().into_inner().height, 1);
    // Repeated after its block: its result, not the refusal of its nonce.
    assert_eq!(service.submit_and_wait(submit()).await.unwrap().into_inner(), result);

    let missing = service.get_transaction(of(&Hash([0; 32]))).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.message().contains("blocks from 1 on"), "{}", missing.message());
    let later = service.get_block(at(result.height + 1_000_000)).await.unwrap_err();
    assert_eq!(later.code(), Code::Unavailable, "{}", later.message());

    // A light node asks a full one.
    let light = RemoteChain::start(&chain.genesis, &[address], &Trust::System, chain.stop.clone());
    let light = light.unwrap();
    let found = light.transaction(&hash).await.unwrap().unwrap();
    assert_eq!((found.0, found.1.gas_used), (Height(result.height), result.gas_used));
    let block = light.results(result.height).await.unwrap().unwrap();
    assert_eq!(block.txs.first().map(|(hash, _)| *hash), Some(hash));
    assert_eq!(light.transaction(&Hash([0; 32])).await.unwrap(), None);

    // What is pruned is said to be gone, and from where on the node has results.
    let oldest = result.height + 1;
    let mut blocks = service.watch_blocks(WatchBlocksRequest {}).await.unwrap().into_inner();
    while service.get_block(at(oldest)).await.is_err() {
        let next = tokio::time::timeout(Duration::from_secs(60), blocks.message()).await;
        assert!(next.unwrap().unwrap().is_some(), "the chain stands still");
    }
    Tree::new(chain.kv.clone(), b"consensus").prune(oldest).unwrap();
    let gone = service.get_block(at(result.height)).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert!(gone.message().contains(&format!("from {oldest} on")), "{}", gone.message());
    assert_eq!(light.results(result.height).await.unwrap(), None);
    // The transaction is refused for its nonce, as nothing is known of its block.
    assert!(service.submit_and_wait(submit()).await.is_err());
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_submit_one_transaction_wait_for_its_block() {
    let chain = Chain::start(Rules::default()).await;
    let (_node, _, service) = fresh(&chain).await;
    // Some of them come while it is in the pool, others after its block.
    for nonce in 0..20 {
        let raw = transfer(&chain, nonce);
        let callers = (0..16).map(|_| {
            let (mut service, transaction) = (service.clone(), raw.clone());
            async move { service.submit_and_wait(SubmitRequest { transaction }).await }
        });
        let results = futures::future::join_all(callers).await;
        let results: Vec<_> = results.into_iter().map(|one| one.unwrap().into_inner()).collect();
        assert!(results.iter().all(|one| one.code == 0 && *one == results[0]), "{results:?}");
    }
    chain.end().await;
}
