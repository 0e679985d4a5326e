//! kill -9 of any process at any time: the chain goes on, what was killed comes back, a final
//! receipt is never lost, an accepted transaction takes effect at most once, nobody is slashed.
//!
//! Victims and moments follow from a seed, which is printed; `PARALITH_SEED` sets another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use discrepancy::Signer;
use e2e::{Client, Dev, DevOptions, Localnet, address, claim, kill, processes_of, receipt, until};
use paralith::client::Sent;
use paralith::dev::network_spec;
use paralith::network::Member;
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_consensus_api::{address as addresses, roothash};
use paralith_runtime_api::output::Output;
use paralith_types::{Hash, PublicKey};
use serde_json::json;

/// Kills of one campaign on a network, and on a development chain.
const NETWORK_KILLS: usize = 30;
const DEV_KILLS: usize = 100;

const SEED: u64 = 2026;

/// Stake of every entity at genesis.
const STAKE: u128 = 1_000_000;

/// The longest that a campaign leaves its victims alone.
const PAUSE_MAX_MS: u64 = 1_000;

/// The longest that a development chain lives, from its launch or from when it is ready.
const LIFE_MAX_MS: u64 = 2_000;

const SHAPE: [&str; 6] = ["--validators", "4", "--compute", "4", "--keymanagers", "2"];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("PARALITH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(SEED);
        println!("PARALITH_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Calls by their hashes. One that was signed with the nonce of the one before, which a node that
/// lags behind told, may be the very same.
#[derive(Default)]
struct Calls {
    signed: BTreeMap<Hash, Sent>,
    confirmed: BTreeSet<Hash>,
}

impl Calls {
    /// How many of them took effect. A node of the network shows those that are final, among them
    /// all that were confirmed.
    async fn effects(&self, client: &mut Client, runtime: &str) -> usize {
        let id = client.paratime(runtime).await.runtime.id;
        let node = client.chain.node().to_string();
        let mut effects = 0;
        for (hash, sent) in &self.signed {
            if receipt(&node, &id, sent).await.is_none() {
                assert!(!self.confirmed.contains(hash), "{runtime}: {hash} was final and is lost");
                continue;
            }
            match client.submit_patiently(runtime, sent).await.unwrap().output {
                Output::Ok(_) => effects += 1,
                // Two epochs passed before its round was made: no effect, on record.
                Output::Error(error) => {
                    assert_eq!((error.module.as_str(), error.code), ("envelope", 1))
                }
            }
        }
        effects
    }
}

/// A user who goes on until told to stop: each call is signed once, and handed in until it is final.
async fn load(
    node: String,
    runtime: &'static str,
    who: &'static str,
    stop: Arc<AtomicBool>,
) -> Calls {
    let mut client = Client::connect(&node).await;
    let mut calls = Calls::default();
    let args = match runtime {
        "counter" => ("add", json!({ "amount": 1 })),
        _ => ("transfer", json!({ "to": address("bob"), "amount": "1" })),
    };
    while !stop.load(Ordering::SeqCst) {
        let Ok(sent) = client.prepare(runtime, who, args.0, &args.1).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let hash = sent.hash;
        let sent = calls.signed.entry(hash).or_insert(sent);
        match client.submit_patiently(runtime, sent).await {
            Ok(_) => {
                calls.confirmed.insert(hash);
            }
            // An envelope whose epoch is over before any committee has opened it: signed anew.
            Err(error) => println!("{runtime}: {error}"),
        }
    }
    calls
}

/// What is killed next: a node of this kind, or the one process below it.
const VICTIMS: [(&str, Option<&str>); 7] = [
    (PROPOSER, None),
    ("validator", None),
    ("validator", Some("cometbft")),
    ("compute", None),
    ("compute", Some("runtime-enclave")),
    ("keymanager", None),
    ("keymanager", Some("keymanager-enclave")),
];

/// Whoever proposes the running round of `tokens`.
const PROPOSER: &str = "proposer";

/// The name of the node that proposes the running round: rank 0 of its committee.
async fn proposer(client: &mut Client) -> String {
    // The node that is asked may just look for another validator.
    let (committee, state) = until("the ParaTime has a committee", async || {
        let id = client.chain.runtime("tokens").await.ok()?.id;
        let committee = client.chain.require::<Committee>(&scheduler::keys::committee(&id)).await;
        let state = client.chain.require(&roothash::keys::runtime_state(&id)).await;
        Some((committee.ok()?, state.ok()?))
    })
    .await;
    let state: roothash::RuntimeState = state;
    let signers =
        |keys: &[PublicKey]| -> Vec<Signer> { keys.iter().map(|key| Signer(key.0)).collect() };
    let config = discrepancy::Config {
        workers: signers(&committee.workers),
        backups: signers(&committee.backups),
        allowed_stragglers: 0,
        round_timeout: 1,
        round: state.last_block.round.next().0,
        skipped: signers(&state.skipped).into_iter().collect(),
    };
    let first = config.scheduler(0).unwrap();
    let is_first = |member: &Member| member.node_key.public().0 == first.0;
    members(client).into_iter().find(is_first).unwrap().name
}

/// Kills one process of the network; what has to be seen for it to be back.
async fn kill_one(net: &Localnet, client: &mut Client, random: &mut Random) -> String {
    let (kind, below) = VICTIMS[usize::try_from(random.below(VICTIMS.len() as u64)).unwrap()];
    let name = if kind == PROPOSER { proposer(client).await } else { kind.to_string() };
    let nodes: Vec<_> = net.nodes().into_iter().filter(|n| n.name.starts_with(&name)).collect();
    let node = nodes[usize::try_from(random.below(nodes.len() as u64)).unwrap()].clone();
    let pid = until(&format!("{} runs", node.name), async || net.node(&node.name).pid).await;
    let Some(below) = below else {
        kill(pid);
        net.wait_for(&format!("{} is back", node.name), |nodes| {
            let now = nodes.iter().find(|other| other.name == node.name)?;
            (now.restarts > node.restarts && now.ready).then_some(())
        });
        return if kind == PROPOSER { format!("{name}, proposer") } else { node.name };
    };
    let victims = until(&format!("{} has its {below}", node.name), async || {
        let found = processes_of(net.node(&node.name).pid?, below);
        (!found.is_empty()).then_some(found)
    })
    .await;
    let victim = victims[usize::try_from(random.below(victims.len() as u64)).unwrap()];
    kill(victim);
    until(&format!("{} has a {below} again", node.name), async || {
        let now = processes_of(net.node(&node.name).pid?, below);
        (now.len() >= victims.len() && !now.contains(&victim)).then_some(())
    })
    .await;
    format!("{} of {}", below, node.name)
}

#[test]
fn a_network_survives_the_death_of_any_of_its_processes() {
    let name = "a_network_survives_the_death_of_any_of_its_processes";
    if e2e::skipped_without_cometbft(name) {
        return;
    }
    let mut random = Random::seeded();
    claim(async {
        let net = Localnet::start(&SHAPE);
        let mut client = Client::connect(&net.gateway()).await;
        let mint = json!({ "to": address("alice"), "amount": "1000000" });
        client.call_patiently("tokens", "alice", "mint", &mint).await;
        client.call_patiently("counter", "carol", "add", &json!({ "amount": 1 })).await;
        let stop = Arc::new(AtomicBool::new(false));
        let counting = tokio::spawn(load(net.gateway(), "counter", "erin", Arc::clone(&stop)));
        let paying = tokio::spawn(load(net.gateway(), "tokens", "alice", Arc::clone(&stop)));

        for number in 1..=NETWORK_KILLS {
            let height = height(&net);
            let victim = kill_one(&net, &mut client, &mut random).await;
            println!("kill {number}: {victim}");
            until("the chain goes on", async || (self::height(&net) >= height + 5).then_some(()))
                .await;
            // At any time, so also right after the last one.
            tokio::time::sleep(Duration::from_millis(random.below(PAUSE_MAX_MS))).await;
        }
        stop.store(true, Ordering::SeqCst);
        let (counted, paid) = (counting.await.unwrap(), paying.await.unwrap());
        let confirmed = (counted.confirmed.len(), paid.confirmed.len());
        println!("{} counts and {} payments became final", confirmed.0, confirmed.1);
        assert!(confirmed.0 >= NETWORK_KILLS && confirmed.1 > 0);

        // Each took effect once, and can still be shown.
        let now = client.query_patiently("counter", None, "get", &json!({})).await;
        assert_eq!(now, json!(counted.effects(&mut client, "counter").await + 1));
        let balance = client.query_patiently("tokens", Some("bob"), "balance", &json!({})).await;
        let payments = paid.effects(&mut client, "tokens").await;
        assert_eq!(balance, json!({ "balance": payments.to_string() }));
        nobody_was_slashed(&mut client).await;
    });
}

fn height(net: &Localnet) -> u64 {
    net.nodes().iter().map(|node| node.height).max().unwrap_or_default()
}

fn members(client: &Client) -> Vec<Member> {
    let time = client.chain.genesis().document.genesis_time;
    let shape = paralith::network::NetworkSpec {
        validators: 4,
        compute: 4,
        keymanagers: 2,
        ..network_spec(1)
    };
    shape.network(time).unwrap().members
}

async fn nobody_was_slashed(client: &mut Client) {
    for member in members(client) {
        let account = client.account(&addresses::of_key(&member.entity)).await;
        assert_eq!(account.active.balance.0, STAKE, "{} was slashed", member.name);
    }
}

#[test]
fn a_development_chain_survives_a_hundred_deaths() {
    let mut random = Random::seeded();
    claim(async {
        let folder = e2e::scratch();
        let home = folder.path().join("home");
        let options = DevOptions { home: Some(&home), ..DevOptions::default() };
        let mut calls = Calls::default();
        for number in 1..=DEV_KILLS {
            let mut dev = Dev::launch(options);
            // Every other one dies while it works, the others at any moment of their start, too.
            let mut ready = None;
            if number % 2 == 0 {
                ready = Some(dev.node_when_ready().await);
            }
            let life = Duration::from_millis(random.below(LIFE_MAX_MS));
            let _ = tokio::time::timeout(life, async {
                let node = match ready {
                    Some(node) => node,
                    None => dev.node_when_ready().await,
                };
                let mut client = Client::connect(&node).await;
                loop {
                    let add = json!({ "amount": 1 });
                    let Ok(sent) = client.prepare("counter", "erin", "add", &add).await else {
                        continue;
                    };
                    let hash = sent.hash;
                    let sent = calls.signed.entry(hash).or_insert(sent);
                    if client.submit("counter", sent).await.is_ok() {
                        calls.confirmed.insert(hash);
                    }
                }
            })
            .await;
            dev.process.kill();
            if number % 10 == 0 {
                let (signed, confirmed) = (calls.signed.len(), calls.confirmed.len());
                println!("kill {number}: {signed} calls were signed, {confirmed} final");
            }
        }
        let dev = Dev::start(options);
        let mut client = Client::connect(&dev.node).await;
        // One more call settles what was accepted and not final.
        client.call_patiently("counter", "carol", "add", &json!({ "amount": 1 })).await;
        assert!(!calls.confirmed.is_empty(), "no call was final within a life");
        let effects = calls.effects(&mut client, "counter").await;
        let counted = client.query_patiently("counter", None, "get", &json!({})).await;
        assert_eq!(counted, json!(effects + 1), "each final call counts once");
    });
}
