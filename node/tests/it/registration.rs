//! A node without ParaTimes stays registered, too.

use paralith::config::Role;
use paralith::enclave::Placement;
use paralith_consensus_api::registry::{self, Node as Registered};

use crate::chain::{Chain, Rules, until};

async fn registered(node: &paralith::assemble::Node) -> Option<Registered> {
    let key = registry::keys::node(&node.state.node_id);
    node.state.chain.get(&key).await.ok().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_only_validates_renews_before_it_expires() {
    for max_node_expiration_epochs in [1, 3] {
        let rules = Rules { max_node_expiration_epochs, epoch_blocks: 12, ..Rules::default() };
        let chain = Chain::start(rules).await;
        let node = chain.node(vec![Role::Validator], Placement::InProcess);
        chain.ready(&node).await;
        // Through three times as many epochs as a registration lasts.
        let last = 3 * max_node_expiration_epochs + 2;
        until(&node, async |node| {
            let Ok(epoch) = node.state.chain.epoch().await else { return false };
            let held = registered(node).await.expect("a validator of genesis");
            assert!(held.expiration >= epoch, "{held:?} has expired in epoch {epoch}");
            epoch.0 >= last
        })
        .await;
        let held = registered(&node).await.unwrap();
        assert!(held.expiration.0 > last - 1, "it was renewed: {held:?}");
        chain.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_below_its_minimum_raises_an_alarm_that_status_shows() {
    let chain = Chain::start(Rules::default()).await;
    let node = chain.node(vec![Role::Validator], Placement::InProcess);
    chain.ready(&node).await;
    // The ParaTime of genesis has no worker at all.
    until(&node, async |node| {
        node.state.alarms.list().iter().any(|alarm| alarm.contains("counter"))
    })
    .await;
    let alarms = node.state.alarms.list();
    assert!(!alarms.iter().any(|alarm| alarm.contains("validators")), "{alarms:?}");
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_end_with_the_node() {
    let chain = Chain::start(Rules::default()).await;
    let node = chain.node(vec![Role::Validator], Placement::InProcess);
    chain.ready(&node).await;
    let state = std::sync::Arc::downgrade(&node.state);
    drop(node);
    // The chain goes on; nothing of the node does.
    while state.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
    chain.end().await;
}
