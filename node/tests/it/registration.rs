//! A node stays registered, with ParaTimes and without.

use std::collections::BTreeSet;

use paralith::config::Role;
use paralith::enclave::Placement;
use paralith::network::runtime_id;
use paralith_attest::{Measurement, Policy};
use paralith_consensus_api::registry::{self, Node as Registered};
use paralith_types::Height;

use crate::chain::{Chain, PLATFORM, Rules, key, until};

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
async fn a_compute_node_renews_its_evidence_while_its_enclave_runs() {
    let max_age = 400;
    let rules = Rules { max_evidence_blocks: Some(max_age), ..Rules::default() };
    let chain = Chain::start(rules).await;
    let node = chain.node(vec![Role::Validator, Role::Compute], Placement::InProcess);
    chain.ready(&node).await;
    let id = runtime_id("secret");
    let policy = Policy {
        platforms: vec![key(PLATFORM).public()],
        measurements: BTreeSet::from([Measurement(paralith_runtime_enclave::measurement().0)]),
        max_age,
    };
    let (context, seen) = (chain.genesis.context, std::sync::Mutex::new(Vec::new()));
    until(&node, async |node| {
        let held = registered(node).await;
        // Not below that of the state which was read.
        let height = node.state.chain.height().unwrap();
        let tee = held.as_ref().and_then(|held| held.runtime(&id)?.tee.as_ref());
        let Some(tee) = tee else { return false };
        let claims = paralith_attest::verify(&tee.evidence, &policy, &context, Height(height));
        let claims = claims.expect("the evidence in state counts at any time");
        let mut seen = seen.lock().unwrap();
        if seen.last() != Some(&(claims.height, tee.rak)) {
            seen.push((claims.height, tee.rak));
        }
        height > 3 * max_age
    })
    .await;
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() >= 3, "it was renewed more than once: {seen:?}");
    assert!(seen.iter().all(|(_, rak)| *rak == seen[0].1), "by one enclave: {seen:?}");
    chain.end().await;
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
