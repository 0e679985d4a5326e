//! The network with the one node in it that is the test's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use paralith::config::{Config, EnclavePlacement, EngineConfig, ParaTimeConfig, Role};
use paralith::keystore::write_private;
use paralith::network::{Member, NetworkSpec};
use paralith_genesis::GenesisTime;
use paralith_types::PublicKey;

/// The network's shape, as `localnet` is given it. Of three compute nodes each is a worker in every
/// epoch, and a round needs two of them: the network goes on without ours.
pub(crate) const SHAPE: [&str; 6] = ["--validators", "4", "--compute", "3", "--keymanagers", "2"];

/// The compute node that is the test's.
pub(crate) const OURS: &str = "compute-2";

/// Ports of one node: public service, links, CometBFT's peers.
pub(super) const PORTS_A_NODE: u16 = 3;

/// The network's members: their keys depend on the seed alone.
fn members() -> Vec<Member> {
    let shape = NetworkSpec {
        validators: 4,
        compute: 3,
        keymanagers: 2,
        client: true,
        ..paralith::dev::network_spec(1)
    };
    let time = GenesisTime::from_seconds(1_700_000_000).unwrap();
    shape.network(time).unwrap().members
}

/// Our node, and its place among the members.
pub(super) fn ours() -> (u16, Member) {
    let found = members().into_iter().enumerate().find(|(_, member)| member.name == OURS);
    let (index, member) = found.unwrap();
    (u16::try_from(index).unwrap(), member)
}

/// Where a member listens.
pub(super) fn address(base: u16, index: u16, which: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], base + (index + 1) * PORTS_A_NODE + which))
}

/// Writes the configuration of our node before `localnet` would: it serves users and computes
/// nothing.
pub(crate) fn prepare(home: &Path, base: u16) {
    let (index, member) = ours();
    let config = Config {
        name: OURS.to_string(),
        home: PathBuf::from("data"),
        genesis: PathBuf::from("../genesis.json"),
        roles: vec![Role::Client],
        node_key: Some(PathBuf::from("node.key")),
        consensus_key: None,
        entity: Some(member.entity.to_string()),
        listen: address(base, index, 0),
        link_listen: None,
        link_address: None,
        engine: EngineConfig::Light {
            nodes: (0..4).map(|of| format!("http://{}", address(base, of, 0))).collect(),
            tls: None,
        },
        runtimes: Vec::new(),
        paratime: ParaTimeConfig::default(),
        enclave: EnclavePlacement::Process,
        software_platform_key: None,
        compression: true,
        record: None,
        tls: None,
        data: None,
        stakeholder: None,
        endorser: None,
    };
    let text = config.to_toml().unwrap();
    write_private(&home.join(OURS).join("node.toml"), text.as_bytes()).unwrap();
}

/// The other compute nodes.
pub(super) fn peers() -> Vec<(String, PublicKey)> {
    let compute = |member: &Member| member.role == Role::Compute && member.name != OURS;
    let members = members().into_iter().filter(compute);
    members.map(|member| (member.name, member.node_key.public())).collect()
}
