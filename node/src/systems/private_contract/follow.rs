//! Follows the mediator: its final rounds drive the members of this node's contracts, say whom the links
//! serve, and show whether the mediator has this member's keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paralith_consensus_api::registry::{self, Runtime};
use paralith_private_contract_core::messages::keys as places;
use paralith_private_contract_messages::{AccountKeys, Canonical as _, ContractId, SetKeys};
use paralith_private_contract_stakeholder::{
    Contract, MediatorState, Outside, ServiceError, Snapshot, Stakeholder,
};
use paralith_rt::TaskSet;
use paralith_runtime_worker::{Applied, Chain, Follower, FollowerHandle};
use paralith_types::{PublicKey, RuntimeId};
use tokio::sync::mpsc;

use super::links::MemberLinks;
use super::mediator::Submitter;
use super::origins::DataOrigins;
use super::rotation::Rotation;
use super::{Shared, Via};
use crate::error::NodeError;
use crate::links::{Member, Network};
use crate::state::NodeState;

/// How long a member that stopped waits before it starts again.
const RESTART_PAUSE: Duration = Duration::from_secs(2);
/// Keys that were submitted are given so many blocks to be in the mediator's state.
const KEYS_BLOCKS: u64 = 20;
/// Keys that were not taken are submitted again after so many blocks.
const KEYS_RETRY_BLOCKS: u64 = 3;
/// Longest record of the mediator's state.
pub(super) const MAX_RECORD_BYTES: usize = 512 * 1024;

/// Runs the role until the node stops.
pub(super) async fn run(
    shared: Arc<Shared>,
    to_start: mpsc::Receiver<ContractId>,
    state: Arc<NodeState>,
    network: Arc<dyn Network>,
    via: Vec<Via>,
) {
    let stop = state.stop.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = follow(shared, to_start, state, network, via) => {}
    }
}

async fn follow(
    shared: Arc<Shared>,
    mut to_start: mpsc::Receiver<ContractId>,
    state: Arc<NodeState>,
    network: Arc<dyn Network>,
    via: Vec<Via>,
) {
    let mediator = resolve(&shared.config.mediator, &state).await;
    let _ = shared.mediator.set(mediator);
    let key = shared.config.keys.account_key().clone();
    let submitter = Submitter::new(key, mediator, shared.config.gas_limit, via);
    let outside = Outside {
        links: MemberLinks::new(network, shared.members.clone()),
        origins: DataOrigins::new(
            &shared.config.keys,
            shared.config.chain_context,
            shared.config.origins.clone(),
        ),
        mediator: Arc::clone(&submitter) as _,
    };
    let chain = Arc::clone(&state.chain) as Arc<dyn Chain>;
    let links = Arc::clone(&state.links) as _;
    let (follower, _task) = Follower::start(mediator, shared.config.kv.clone(), chain, links);
    let _ = shared.follower.set(follower.clone());
    let mut members = TaskSet::new();
    match shared.installed() {
        Ok(all) => {
            for id in all {
                members.spawn(keep_running(Arc::clone(&shared), id, outside.clone()));
            }
        }
        Err(error) => tracing::error!(%error, "the contracts of this member cannot be read"),
    }
    let mut applied = follower.applied();
    let (mut published, mut rotation) = (KeysPublished::default(), Rotation::default());
    loop {
        tokio::select! {
            changed = applied.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = *applied.borrow_and_update();
                if let Err(error) = advance(&shared, &follower, now) {
                    tracing::error!(%error, "the mediator's state cannot be read");
                    continue;
                }
                published.publish(&shared, &submitter, now.height.0).await;
                rotation.advance(&shared, &submitter, now.height.0).await;
            }
            id = to_start.recv() => match id {
                Some(id) => {
                    members.spawn(keep_running(Arc::clone(&shared), id, outside.clone()));
                }
                None => return,
            },
        }
    }
}

/// The mediator's id; waits until the chain has it.
async fn resolve(name: &str, state: &NodeState) -> RuntimeId {
    let mut blocks = state.chain.subscribe();
    loop {
        match find(name, state).await {
            Ok(Some(id)) => return id,
            Ok(None) => tracing::warn!(
                mediator = name,
                "the chain has no ParaTime of this name yet, or several: give the id in `[stakeholder]`"
            ),
            Err(error) => tracing::debug!(%error, "the chain cannot be read yet"),
        }
        let _ = blocks.recv().await;
    }
}

async fn find(name: &str, state: &NodeState) -> Result<Option<RuntimeId>, NodeError> {
    if let Ok(id) = name.parse::<RuntimeId>() {
        let known: Option<Runtime> = state.chain.get(&registry::keys::runtime(&id)).await?;
        return Ok(known.map(|runtime| runtime.id));
    }
    let runtimes = state.chain.runtimes(None).await?;
    let mut named = runtimes.iter().filter(|runtime| runtime.name == name);
    let (Some(found), None) = (named.next(), named.next()) else {
        // Anybody may register a ParaTime of any name.
        return Ok(None);
    };
    let known: Option<Runtime> = state.chain.get(&registry::keys::runtime(&found.id)).await?;
    Ok(known.filter(|runtime| runtime.name == name).map(|runtime| runtime.id))
}

/// Shows the parts of the role a newer final round.
fn advance(shared: &Shared, follower: &FollowerHandle, now: Applied) -> Result<(), ServiceError> {
    let tree = follower.tree();
    let version = tree.at_most(now.round.0)?.map(|(version, _)| version);
    let state: MediatorState = Arc::new(paralith_storage::Snapshot::new(tree.clone(), version));
    // The height at which the round was the newest, not the one that it pins: rounds come only when
    // something happens, and members take turns by heights.
    let snapshot = Snapshot { height: now.height.0, state };
    shared.members.set(listed(shared, &snapshot)?);
    shared.snapshots.send_replace(Some(snapshot));
    Ok(())
}

/// The members of this node's contracts, by the definition in force, the newest accepted one, and the next one whose
/// package is installed.
pub(super) fn listed(
    shared: &Shared,
    snapshot: &Snapshot,
) -> Result<BTreeMap<PublicKey, Member>, ServiceError> {
    let mut listed = BTreeMap::new();
    for id in shared.installed()? {
        let Ok(place) = shared.place(id) else { continue };
        let contract = Contract::new(snapshot.clone(), place);
        let Some(record) = contract.record()? else { continue };
        let mut definitions = vec![shared.store(&id).expected_members(&record)?];
        for version in [record.newest_version(), record.version] {
            let Ok(known) = contract.definition(version) else { continue };
            definitions.push(known.definition.members);
        }
        for members in definitions {
            for (number, member) in (0_u32..).zip(members) {
                let keys = account_keys(&snapshot.state, &member)?;
                let address = keys.map(|keys| keys.link_address).filter(|text| !text.is_empty());
                listed.insert(member, Member { number, address });
            }
        }
    }
    listed.remove(&shared.account());
    Ok(listed)
}

/// The keys that the mediator has of an account.
pub(super) fn account_keys(
    state: &MediatorState,
    account: &PublicKey,
) -> Result<Option<AccountKeys>, ServiceError> {
    let Some(bytes) = state.get(&places::account(account))? else { return Ok(None) };
    let read = AccountKeys::decode(&bytes, MAX_RECORD_BYTES);
    read.map(Some).map_err(|error| ServiceError::Damaged {
        what: "the keys of an account",
        reason: error.to_string(),
    })
}

/// Whether the mediator has the keys that `set_keys` publishes.
pub(super) fn has_keys(state: &MediatorState, own: &SetKeys, account: &PublicKey) -> bool {
    let known = account_keys(state, account).ok().flatten();
    known.is_some_and(|known| {
        known.kem_id == own.kem_id
            && known.kem_key == own.kem_key
            && known.vote_key == own.vote_key
            && known.link_address == own.link_address
            && known.origin == own.origin
    })
}

/// Publishes this member's keys when the mediator has others or none.
#[derive(Debug, Default)]
struct KeysPublished {
    /// Nothing is submitted before this height.
    waits_until: u64,
}

impl KeysPublished {
    async fn publish(&mut self, shared: &Shared, submitter: &Submitter, height: u64) {
        if height < self.waits_until {
            return;
        }
        let (Some(own), Ok(state)) = (own_keys(shared), shared.state()) else { return };
        if has_keys(&state, &own, &shared.account()) {
            return;
        }
        let pause = match submitter.call("set_keys", own.encode()).await {
            Ok(()) => {
                tracing::info!("this member's keys are submitted to the mediator");
                KEYS_BLOCKS
            }
            Err(error) => {
                tracing::warn!(%error, "this member's keys were not taken, and are submitted again");
                KEYS_RETRY_BLOCKS
            }
        };
        self.waits_until = height.saturating_add(pause);
    }
}

/// What `set_keys` publishes of this member.
pub(super) fn own_keys(shared: &Shared) -> Option<SetKeys> {
    let config = &shared.config;
    let mediator = shared.mediator.get()?;
    config.keys.set_keys(&config.chain_context, mediator, &config.link_address, &config.origin)
}

/// Runs a member of a contract; one that fails starts again from its disk.
async fn keep_running(shared: Arc<Shared>, id: ContractId, outside: Outside) {
    loop {
        let snapshots = shared.snapshots.subscribe();
        let fault = match begin(&shared, id, &outside) {
            Ok(member) => member.run(snapshots).await.err(),
            Err(error) => Some(error),
        };
        let Some(fault) = fault else { return };
        tracing::error!(contract = %id.to_hex(), %fault, "the member stopped, and starts again");
        shared.set(id, None, fault.to_string());
        paralith_rt::sleep(RESTART_PAUSE).await;
    }
}

fn begin(shared: &Shared, id: ContractId, outside: &Outside) -> Result<Stakeholder, ServiceError> {
    let place = shared.place(id).map_err(|_| ServiceError::Lacks { what: "the mediator" })?;
    let (member, server) = Stakeholder::start(
        shared.engine.clone(),
        place,
        shared.config.keys.clone(),
        shared.store(&id),
        outside.clone(),
    )?;
    shared.set(id, Some(server), String::new());
    Ok(member)
}
