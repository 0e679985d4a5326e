//! `paralith localnet`: real processes on real CometBFT, with a status screen.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use paralith_consensus_api::registry::{Batching, Executor};
use paralith_consensus_engine::node_id;
use paralith_proto::pb;
use paralith_rt::Instant;
use tokio::process::{Child, Command};

use super::LocalnetArgs;
use super::screen::{Row, Screen};
use super::signals::EndSignals;
use crate::config::{Config, EnclavePlacement, EngineConfig, ParaTimeConfig, Profile, Role};
use crate::dev::{COMET_BLOCK_INTERVAL_MS, network_spec, now};
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::keystore::{write_key, write_private};
use crate::network::{Member, Network, NetworkSpec};

/// How often the status screen is drawn.
const REDRAW: Duration = Duration::from_millis(500);

/// How long a node that ended by itself is left alone before it is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// The first secrets take three epochs: short ones, and some more for a slow machine.
const FIRST_EPOCHS: (u64, u64) = (8, 22);

/// A round's timeout: somewhat longer than a scheduler is waited for, at the pace of
/// [`COMET_BLOCK_INTERVAL_MS`].
pub const ROUND_TIMEOUT_BLOCKS: u64 = 12;

/// Ports of one node: public service, links, CometBFT's peers.
const PORTS_A_NODE: u16 = 3;

/// How long nodes may take to end when asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// What a local network is made of.
pub fn local_spec(args: &LocalnetArgs) -> NetworkSpec {
    let dev = network_spec(args.seed);
    NetworkSpec {
        chain_name: "local",
        validators: args.validators,
        compute: args.compute,
        keymanagers: args.keymanagers,
        client: true,
        mediator: args.private_contracts,
        ledger: args.chaincode,
        epoch_blocks: 200,
        first_epochs: FIRST_EPOCHS,
        executor: Executor { round_timeout_blocks: ROUND_TIMEOUT_BLOCKS, ..dev.executor.clone() },
        batching: Batching {
            flush_timeout_ms: 20,
            propose_timeout_ms: 500,
            ..dev.batching.clone()
        },
        ..dev
    }
}

struct Running {
    name: String,
    program: PathBuf,
    config: PathBuf,
    endpoint: String,
    log: PathBuf,
    child: Option<Child>,
    ended_at: Option<Instant>,
    restarts: u32,
}

/// Runs a network until it is interrupted.
pub async fn run(args: LocalnetArgs) -> Result<(), NodeError> {
    crate::store::check_validators()?;
    let temporary = match &args.home {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("paralith-net-")
                .tempdir()
                .map_err(|e| NodeError::io("a temporary folder", &e))?,
        ),
    };
    let home = match (&args.home, &temporary) {
        (Some(home), _) => home.clone(),
        (None, Some(temporary)) => temporary.path().to_path_buf(),
        (None, None) => return Err(NodeError::internal(&"a network has a home")),
    };
    paralith_consensus_engine::find_binary()
        .map_err(|e| NodeError::NotReady { reason: e.to_string() })?;
    ports_are_free(&args)?;
    let mut signals = EndSignals::listen()?;
    let mut running = prepare(&args, &home)?;
    for node in &mut running {
        start(node)?;
    }
    let ended = watch(&args, &mut running, &mut signals).await;
    stop(&mut running).await;
    if let Some(temporary) = temporary {
        temporary.close().map_err(|e| NodeError::io("removing the temporary folder", &e))?;
    }
    ended
}

/// Writes what is missing of a network's home and gives its nodes.
fn prepare(args: &LocalnetArgs, home: &Path) -> Result<Vec<Running>, NodeError> {
    let spec = local_spec(args);
    let file = home.join("genesis.json");
    let network = if file.exists() {
        let text =
            fs::read_to_string(&file).map_err(|e| NodeError::io(file.display().to_string(), &e))?;
        let genesis = GenesisInfo::parse(&text)?;
        let network = spec.network(genesis.document.genesis_time)?;
        if network.genesis.context != genesis.context {
            return Err(NodeError::usage(
                home.display().to_string(),
                "it holds a network of another size, seed or version: use those, or another --home",
            ));
        }
        network
    } else {
        let network = spec.network(now()?)?;
        write_private(&file, network.genesis.json.as_bytes())?;
        network
    };
    write_key(&home.join("platform.key"), &network.platform)?;
    let mut running = Vec::new();
    for index in 0..network.members.len() {
        running.push(prepare_node(args, home, &network, index)?);
    }
    Ok(running)
}

/// A port that another program has would show only as nodes that end again and again.
fn ports_are_free(args: &LocalnetArgs) -> Result<(), NodeError> {
    let nodes = args
        .validators
        .saturating_add(args.compute)
        .saturating_add(args.keymanagers)
        .saturating_add(1);
    for offset in 0..nodes.saturating_mul(PORTS_A_NODE) {
        let Some(port) = args.base_port.checked_add(offset) else { break };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if let Err(error) = std::net::TcpListener::bind(address) {
            return Err(NodeError::usage(
                "--base-port",
                format!(
                    "port {port} is not free ({error}): does another network run here? Stop it or choose another --base-port"
                ),
            ));
        }
    }
    Ok(())
}

fn port(
    args: &LocalnetArgs,
    network: &Network,
    index: usize,
    which: u16,
) -> Result<u16, NodeError> {
    // The client is the first of all, at the port where commands look for a node.
    let place = match network.members.get(index).map(|member| member.role) {
        Some(Role::Client | Role::Stakeholder) => 0,
        _ => index.saturating_add(1),
    };
    u16::try_from(place)
        .ok()
        .and_then(|place| place.checked_mul(PORTS_A_NODE))
        .and_then(|offset| args.base_port.checked_add(offset)?.checked_add(which))
        .ok_or_else(|| NodeError::usage("--base-port", "too high for a network of this size"))
}

fn prepare_node(
    args: &LocalnetArgs,
    home: &Path,
    network: &Network,
    index: usize,
) -> Result<Running, NodeError> {
    let member: &Member =
        network.members.get(index).ok_or_else(|| NodeError::internal(&"a member"))?;
    let folder = home.join(&member.name);
    write_key(&folder.join("node.key"), &member.node_key)?;
    let is_validator = member.role == Role::Validator;
    if is_validator {
        write_key(&folder.join("consensus.key"), &member.consensus_key)?;
    }
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let own = |which| port(args, network, index, which);
    let engine = if is_validator {
        EngineConfig::Cometbft {
            p2p_listen: local(own(2)?),
            persistent_peers: peers(args, network, index)?,
            profile: Profile::Local,
            seeds: Vec::new(),
            external_address: None,
            prometheus: None,
            empty_block_interval_ms: Some(COMET_BLOCK_INTERVAL_MS),
            took_over_key: false,
        }
    } else {
        EngineConfig::Light { nodes: validators(args, network, index)?, tls: None }
    };
    let works = matches!(member.role, Role::Compute | Role::Keymanager);
    let config = Config {
        name: member.name.clone(),
        tls: None,
        home: PathBuf::from("data"),
        genesis: PathBuf::from("../genesis.json"),
        roles: vec![member.role],
        node_key: Some(PathBuf::from("node.key")),
        consensus_key: is_validator.then(|| PathBuf::from("consensus.key")),
        entity: Some(member.entity.to_string()),
        listen: local(own(0)?),
        link_listen: works.then(|| own(1).map(local)).transpose()?,
        link_address: works.then(|| own(1).map(|port| local(port).to_string())).transpose()?,
        data: None,
        stakeholder: None,
        endorser: None,
        engine,
        runtimes: if member.role == Role::Keymanager {
            vec![network.key_manager]
        } else {
            Vec::new()
        },
        paratime: ParaTimeConfig::default(),
        enclave: EnclavePlacement::Process,
        software_platform_key: works.then(|| PathBuf::from("../platform.key")),
        compression: !args.record,
        record: args.record.then(|| PathBuf::from("frames")),
    };
    let file = folder.join("node.toml");
    if !file.exists() {
        write_private(&file, config.to_toml()?.as_bytes())?;
    }
    if member.role == Role::Compute {
        write_modules(&folder, network)?;
    }
    let other = args.program.iter().find(|(name, _)| *name == member.name);
    let program = match other {
        Some((_, file)) => file.clone(),
        None => {
            std::env::current_exe().map_err(|e| NodeError::io("this program's own file", &e))?
        }
    };
    Ok(Running {
        name: member.name.clone(),
        program,
        endpoint: format!("http://{}", config.listen),
        log: folder.join("log"),
        config: file,
        child: None,
        ended_at: None,
        restarts: 0,
    })
}

/// The modules of genesis' ParaTimes, where a compute node finds them.
fn write_modules(folder: &Path, network: &Network) -> Result<(), NodeError> {
    for module in &network.modules {
        let id = paralith_runtime_vm::code_id(module);
        let file = folder.join("data/modules").join(format!("{id}.wasm"));
        if !file.exists() {
            write_private(&file, module)?;
        }
    }
    Ok(())
}

fn peers(args: &LocalnetArgs, network: &Network, own: usize) -> Result<Vec<String>, NodeError> {
    let mut peers = Vec::new();
    for (index, member) in network.members.iter().enumerate() {
        if member.role == Role::Validator && index != own {
            let port = port(args, network, index, 2)?;
            peers.push(format!("{}@127.0.0.1:{port}", node_id(&member.node_key.public())));
        }
    }
    Ok(peers)
}

/// Public services of the validators, the others' full nodes. Each node begins with another one.
fn validators(
    args: &LocalnetArgs,
    network: &Network,
    own: usize,
) -> Result<Vec<String>, NodeError> {
    let mut nodes = Vec::new();
    for (index, member) in network.members.iter().enumerate() {
        if member.role == Role::Validator {
            nodes.push(format!("http://127.0.0.1:{}", port(args, network, index, 0)?));
        }
    }
    let first = own.checked_rem(nodes.len()).unwrap_or_default();
    nodes.rotate_left(first);
    Ok(nodes)
}

fn start(node: &mut Running) -> Result<(), NodeError> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&node.log)
        .map_err(|e| NodeError::io(node.log.display().to_string(), &e))?;
    let child = Command::new(&node.program)
        .arg("start")
        .arg("--config")
        .arg(&node.config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // Ctrl-C goes to this program alone, which stops them in good order.
        .process_group(0)
        .env(super::start::PARENT_VARIABLE, std::process::id().to_string())
        .spawn()
        .map_err(|e| NodeError::io(format!("starting {}", node.name), &e))?;
    node.child = Some(child);
    node.ended_at = None;
    Ok(())
}

/// Keeps nodes running and draws the screen until it is interrupted.
async fn watch(
    args: &LocalnetArgs,
    running: &mut [Running],
    signals: &mut EndSignals,
) -> Result<(), NodeError> {
    let began = paralith_rt::Instant::now();
    let mut ready_after: Option<Duration> = None;
    let mut screen = Screen::new(args.json);
    loop {
        tokio::select! {
            biased;
            () = signals.received() => return Ok(()),
            () = paralith_rt::sleep(REDRAW) => {}
        }
        for node in running.iter_mut() {
            revive(node)?;
        }
        let rows = rows(running).await;
        if ready_after.is_none() && rows.iter().all(|row| row.ready) {
            ready_after = Some(began.elapsed());
        }
        screen.show(&rows, ready_after)?;
    }
}

/// Starts a node again that ended without having been asked to.
fn revive(node: &mut Running) -> Result<(), NodeError> {
    if let Some(child) = &mut node.child
        && !matches!(child.try_wait(), Ok(None))
    {
        node.child = None;
        node.ended_at = Some(paralith_rt::Instant::now());
    }
    match node.ended_at {
        Some(ended_at) if ended_at.elapsed() >= RESTART_PAUSE => {
            node.restarts = node.restarts.saturating_add(1);
            start(node)
        }
        _ => Ok(()),
    }
}

async fn rows(running: &[Running]) -> Vec<Row> {
    let asked = running.iter().map(|node| async move {
        let status = paralith_rt::timeout(REDRAW, ask(&node.endpoint)).await.ok().flatten();
        Row {
            name: node.name.clone(),
            endpoint: node.endpoint.clone(),
            pid: node.child.as_ref().and_then(Child::id),
            restarts: node.restarts,
            ready: status.as_ref().is_some_and(|status| status.ready),
            height: status.as_ref().map_or(0, |status| status.height),
            epoch: status.as_ref().map_or(0, |status| status.epoch),
            runtimes: status
                .map(|status| status.runtimes)
                .unwrap_or_default()
                .into_iter()
                .map(|r| format!("{} {} {}", r.name, r.round, r.committee_role))
                .collect(),
        }
    });
    futures::future::join_all(asked).await
}

async fn ask(endpoint: &str) -> Option<pb::node::v1::GetStatusResponse> {
    use pb::node::v1::node_service_client::NodeServiceClient;
    let mut client = NodeServiceClient::connect(endpoint.to_string()).await.ok()?;
    let asked = client.get_status(pb::node::v1::GetStatusRequest {}).await;
    asked.ok().map(tonic::Response::into_inner)
}

/// Asks all nodes to end, then makes those end that do not.
async fn stop(running: &mut [Running]) {
    for node in running.iter() {
        if let Some(pid) = node.child.as_ref().and_then(Child::id)
            && let Ok(pid) = i32::try_from(pid)
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    for node in running.iter_mut() {
        if let Some(child) = &mut node.child
            && paralith_rt::timeout(STOP_TIMEOUT, child.wait()).await.is_err()
        {
            let _ = child.kill().await;
        }
    }
}
