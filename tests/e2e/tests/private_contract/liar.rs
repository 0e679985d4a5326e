//! The mediator's own committee has a liar.

use std::os::unix::fs::PermissionsExt as _;

use e2e::{Localnet, Watch, claim, scratch};
use paralith::dev::network_spec;
use paralith::network::NetworkSpec;
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::roothash::HeaderType;
use paralith_private_contract_messages::TransactionStatus;
use paralith_private_contract_stakeholder::ContractStore;
use paralith_types::{Hash, PublicKey};
use serde_json::json;

use crate::net::Net;
use crate::session::{Session, call, counter};

/// Calls within which the lie must have shown: the committee's seats change.
const CALLS_MAX: u64 = 60;
const SHAPE: [&str; 7] =
    ["--validators", "1", "--compute", "4", "--keymanagers", "1", "--private-contracts"];

/// The key of the node that lies.
fn liar(it: &Session) -> PublicKey {
    let time = it.client.chain.genesis().document.genesis_time;
    let shape = NetworkSpec { compute: 4, ..network_spec(1) };
    let members = shape.network(time).unwrap().members;
    members.iter().find(|member| member.name == "compute-1").unwrap().node_key.public()
}

#[test]
fn test_18_backups_outvote_a_lying_mediator_and_members_act_on_final_rounds_only() {
    let test = "test_18_backups_outvote_a_lying_mediator_and_members_act_on_final_rounds_only";
    if e2e::skipped_without_cometbft(test) {
        return;
    }
    claim(async {
        let scripts = scratch();
        let program = scripts.path().join("liar");
        let adversary = e2e::adversary();
        let script = format!("#!/bin/sh\nexec '{}' wrong-root \"$@\"\n", adversary.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = format!("compute-1={}", program.display());
        let net = Localnet::start(&[&SHAPE[..], &["--program", &program]].concat());
        let watch = Watch::begin(&net.node("validator-0").endpoint).await;
        let it = &mut Session::new(Net::beside(net.gateway())).await;
        let (liar, mediator) = (liar(it), it.client.mediator.runtime.id);
        // Rounds of the mediator that the backups had to decide: those that went on, and those that failed.
        let disputed = || {
            let (mut went_on, mut failed) = (0, 0);
            for seen in watch.events() {
                let EventKind::RoundFinalised(verdict) = seen.event else { continue };
                if verdict.runtime_id != mediator || verdict.bad.is_empty() {
                    continue;
                }
                assert_eq!(verdict.bad, [liar], "an honest node was found to lie");
                match verdict.header_type {
                    HeaderType::RoundFailed => failed += 1,
                    _ => went_on += 1,
                }
            }
            (went_on, failed)
        };
        let contract = it.contract("2 of (a, b, c)", counter(), |_| {}).await;
        let id = contract.id;
        // The contract's own rounds count, not those that made it.
        let (before, mut sent) = (disputed(), 0);
        while disputed().0 == before.0 || disputed().1 == before.1 {
            assert!(sent < CALLS_MAX, "the lie does not show: {:?}", disputed());
            let status = it.run(&contract, &call("add", &json!({ "amount": 1 }))).await;
            assert_eq!(status, TransactionStatus::Yes);
            sent += 1;
        }
        println!(
            "{sent} calls; rounds decided by backups, failed ones: {before:?}, {:?}",
            disputed()
        );
        it.one_root(&id).await;
        for place in 0..3 {
            let count = it.query(place, &id, "get", &json!({})).await;
            assert_eq!(count, json!(sent), "each took effect once at member {place}");
        }
        // Every root that a member ever had is final at the mediator.
        let last = it.client.contract(&id).await.unwrap().last_batch;
        let mut roots = Vec::<(u64, Hash)>::new();
        for batch in 0..=last {
            if let Ok(done) = it.client.final_batch(&id, batch).await {
                roots.push((batch, done.root));
            }
        }
        for member in &mut it.net.members {
            member.kill();
            let tree = ContractStore::new(member.store(), &id).tree().clone();
            for version in tree.versions(1_000).unwrap() {
                let root = tree.root(version).unwrap().unwrap();
                assert!(roots.contains(&(version, root)), "version {version} is not final");
            }
        }
    });
}
