//! The dependency graph as cargo sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package};

use crate::{holds, licence, read, root, with_name};

/// A crate uses only crates of the layers above it here: never one of its own layer or below.
/// Tests and build scripts may use what they like.
const LAYERS: &[&[&str]] = &[
    &[
        "paralith-types",
        "paralith-bls",
        "paralith-runtime-abi",
        "discrepancy",
        "paralith-private-contract-grpc",
        "paralith-chaincode-grpc",
    ],
    &["paralith-crypto", "paralith-policy", "paralith-proto"],
    &["paralith-storage", "paralith-attest", "paralith-cosigner-core"],
    &["paralith-chaincode-messages"],
    &["paralith-consensus-api"],
    &[
        "paralith-keymanager-core",
        "paralith-keymanager-host",
        "paralith-runtime-api",
        "paralith-runtime-round",
    ],
    &["paralith-genesis", "paralith-private-contract-messages"],
    &["paralith-consensus-light", "paralith-private-contract-core"],
    &["paralith-chaincode-core"],
    &["paralith-consensus-app", "paralith-tee-enclave"],
    &["paralith-tee-channel", "paralith-rt"],
    &["paralith-consensus-abci", "paralith-consensus-client", "paralith-data"],
    &["paralith-runtime-vm"],
    &[
        "paralith-runtime-enclave",
        "paralith-runtime-worker",
        "paralith-keymanager-service",
        "paralith-consensus-engine",
        "paralith-private-contract-stakeholder",
    ],
    &["paralith-runtime-gateway", "paralith-chaincode-endorser"],
    &["paralith"],
    &["paralith-adversary", "paralith-harness"],
    &["tidy", "e2e", "replay", "bench", "vectors"],
];

/// What decides: synchronous, without clock, randomness and floating point.
pub(crate) const PURE: &[&str] = &[
    "paralith-types",
    "paralith-bls",
    "paralith-runtime-abi",
    "paralith-crypto",
    "paralith-policy",
    "paralith-proto",
    "paralith-storage",
    "paralith-attest",
    "discrepancy",
    "paralith-consensus-api",
    "paralith-consensus-app",
    "paralith-consensus-light",
    "paralith-keymanager-core",
    "paralith-keymanager-host",
    "paralith-runtime-api",
    "paralith-runtime-round",
    "paralith-genesis",
    "paralith-private-contract-messages",
    "paralith-private-contract-core",
    "paralith-chaincode-core",
    "paralith-chaincode-messages",
    "paralith-cosigner-core",
];

/// Who may name a heavy dependency. A name ending in `*` stands for all that begin so.
const OWNERS: &[(&str, &[&str])] = &[
    ("redb", &["paralith-storage"]),
    ("rocksdb", &["paralith-storage"]),
    ("wasmtime*", &["paralith-runtime-vm"]),
    ("wasmparser", &["paralith-runtime-vm"]),
    ("wasm-encoder", &["paralith-runtime-vm"]),
    ("tower-abci", &["paralith-consensus-abci"]),
    (
        "tendermint*",
        &[
            "paralith-consensus-abci",
            "paralith-consensus-engine",
            "paralith-consensus-light",
            "paralith-harness",
        ],
    ),
    (
        "tonic*",
        &[
            "paralith",
            "paralith-proto",
            "paralith-consensus-client",
            "paralith-private-contract-grpc",
            "paralith-chaincode-grpc",
            "e2e",
        ],
    ),
    ("hyper", &["paralith-consensus-engine", "paralith-data"]),
    ("rustls", &["paralith"]),
    ("tokio-rustls", &["paralith"]),
    ("clap", &["paralith", "paralith-adversary"]),
    ("hpke", &["paralith-crypto"]),
    ("aes-gcm-siv", &["paralith-crypto"]),
    // The adversary makes a key that cancels another, which `paralith-bls` has no way to make.
    ("blst", &["paralith-bls", "paralith-adversary"]),
    ("k256", &["paralith-crypto", "paralith-cosigner-core"]),
    ("curve25519-dalek", &["paralith-crypto", "paralith-cosigner-core"]),
    ("sha3", &["paralith-crypto"]),
];

/// What a pure crate may not reach, not even through others.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "hyper",
    "tonic",
    "rustls",
    "wasmtime",
    "redb",
    "rocksdb",
    "librocksdb-sys",
    "rayon",
];

fn metadata(manifest: &str, whole: bool) -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join(manifest));
    if whole {
        command.other_options(vec!["--locked".to_string()]);
        command.features(CargoOpt::AllFeatures);
    } else {
        command.no_deps();
    }
    command.exec().unwrap_or_else(|e| panic!("cargo metadata of {manifest}: {e}"))
}

fn members() -> Vec<Package> {
    metadata("Cargo.toml", false).packages
}

fn layers() -> BTreeMap<&'static str, usize> {
    let places = LAYERS.iter().enumerate();
    places.flat_map(|(layer, names)| names.iter().map(move |name| (*name, layer))).collect()
}

#[test]
fn every_crate_has_one_layer() {
    let members: BTreeSet<String> = members().iter().map(|p| p.name.to_string()).collect();
    let table: BTreeSet<String> = layers().keys().map(ToString::to_string).collect();
    let listed: usize = LAYERS.iter().map(|names| names.len()).sum();
    assert_eq!(listed, table.len(), "a crate is in two layers");
    let differ: Vec<String> = members.symmetric_difference(&table).cloned().collect();
    holds("the table of layers names the workspace's crates", &differ);
}

#[test]
fn a_crate_uses_only_layers_before_its_own() {
    let layers = layers();
    let mut offences = Vec::new();
    for package in members() {
        let Some(own) = layers.get(package.name.as_str()) else { continue };
        for dependency in &package.dependencies {
            let below = layers.get(dependency.name.as_str()).is_some_and(|layer| layer >= own);
            if dependency.kind == DependencyKind::Normal && below {
                offences.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    holds("a crate uses only layers before its own", &offences);
}

/// Whether one crate may use another, by their folders: systems are used by themselves, by the node
/// and by tests.
fn may_use_system(user: &str, used: &str) -> bool {
    let system =
        |folder: &str| folder.strip_prefix("systems/")?.split('/').next().map(String::from);
    match system(used) {
        None => true,
        Some(used) => {
            user.starts_with("node") || user.starts_with("tests/") || system(user) == Some(used)
        }
    }
}

#[test]
fn nothing_below_uses_a_system() {
    let root = root();
    let members = members();
    let folder = |package: &Package| {
        let manifest = package.manifest_path.parent().map(|p| p.as_std_path().to_path_buf());
        let relative =
            manifest.and_then(|p| p.strip_prefix(&root).map(|p| p.display().to_string()).ok());
        relative.unwrap_or_default()
    };
    let folders: BTreeMap<String, String> =
        members.iter().map(|p| (p.name.to_string(), folder(p))).collect();
    let mut offences = Vec::new();
    for package in &members {
        for dependency in &package.dependencies {
            let (user, used) = (folder(package), folders.get(&dependency.name));
            if used.is_some_and(|used| !may_use_system(&user, used)) {
                offences.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    holds("a system is used by itself, the node and tests only", &offences);
}

#[test]
fn the_rule_for_systems_tells_layers_apart() {
    assert!(may_use_system("consensus/app", "common/types"));
    assert!(may_use_system("systems/evm/gateway", "systems/evm/api"));
    assert!(
        may_use_system("node", "systems/evm/gateway")
            && may_use_system("tests/e2e", "systems/evm/api")
    );
    assert!(!may_use_system("consensus/app", "systems/evm/api"));
    assert!(!may_use_system("systems/chaincode/core", "systems/evm/api"));
}

#[test]
fn heavy_dependencies_have_one_owner() {
    let mut offences = Vec::new();
    for package in members() {
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            for (pattern, owners) in OWNERS {
                let named = match pattern.strip_suffix('*') {
                    Some(start) => dependency.name.starts_with(start),
                    None => dependency.name == *pattern,
                };
                if named && !owners.contains(&package.name.as_str()) {
                    offences.push(format!(
                        "{} names {}, which belongs to {}",
                        package.name,
                        dependency.name,
                        owners.join(", ")
                    ));
                }
            }
        }
    }
    holds("heavy dependencies have one owner", &offences);
}

#[test]
fn grpc_is_a_feature_of_the_protocol_crate() {
    let members = members();
    let proto = members.iter().find(|p| p.name.as_str() == "paralith-proto").unwrap();
    let offences: Vec<String> = proto
        .dependencies
        .iter()
        .filter(|d| d.kind == DependencyKind::Normal && d.name.starts_with("tonic") && !d.optional)
        .map(|d| d.name.clone())
        .collect();
    holds("paralith-proto builds without gRPC", &offences);
}

#[test]
fn pure_crates_reach_no_async_runtime_engine_or_database() {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    command.args(["tree", "--locked", "--no-default-features", "--edges", "normal"]);
    command.args(["--prefix", "none", "--format", "{p}"]);
    for name in PURE {
        command.args(["--package", name]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let reached: BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(reached.contains("sha2"), "the tree of the pure crates is empty");
    let offences: Vec<String> =
        IMPURE.iter().filter(|name| reached.contains(*name)).map(ToString::to_string).collect();
    holds("pure crates reach no async runtime, engine or database", &offences);
}

#[test]
fn the_development_build_needs_no_cxx() {
    let reached = |features: &str| -> BTreeSet<String> {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root());
        command.args(["tree", "--locked", "--package", "paralith", "--edges", "normal,build"]);
        command.args(["--prefix", "none", "--format", "{p}", "--features", features]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        tree.lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect()
    };
    let needs_cxx = ["librocksdb-sys", "bindgen", "clang-sys", "cmake", "cxx-build"];
    let found = |features: &str| -> Vec<String> {
        let reached = reached(features);
        needs_cxx.iter().filter(|name| reached.contains(**name)).map(ToString::to_string).collect()
    };
    assert!(found("rocksdb").contains(&"librocksdb-sys".to_string()), "the feature has no effect");
    holds("`make dev` builds without C++ and libclang", &found(""));
}

#[test]
fn guests_see_only_the_contract_and_the_types() {
    let own: BTreeSet<String> = members().iter().map(|p| p.name.to_string()).collect();
    let mut offences = Vec::new();
    for (manifest, allowed) in [
        (
            "paratime-runtime/sdk/Cargo.toml",
            // BLS, HPKE and groups serve the chain for tests, which is not built for WebAssembly.
            &[
                "paralith-bls",
                "paralith-crypto",
                "paralith-policy",
                "paralith-runtime-abi",
                "paralith-types",
            ][..],
        ),
        (
            "systems/private-contract/mediator/Cargo.toml",
            &[
                "paralith-bls",
                "paralith-crypto",
                "paralith-policy",
                "paralith-private-contract-core",
                "paralith-private-contract-messages",
                "paralith-sdk",
                "paralith-types",
            ][..],
        ),
        ("paratime-runtime/examples/Cargo.toml", &["paralith-sdk"][..]),
        (
            "systems/chaincode/guests/Cargo.toml",
            &["paralith-sdk", "paralith-chaincode-messages", "paralith-policy", "paralith-types"][..],
        ),
    ] {
        for package in metadata(manifest, false).packages {
            for dependency in &package.dependencies {
                let ours = own.contains(&dependency.name) || dependency.name == "paralith-sdk";
                if ours && !allowed.contains(&dependency.name.as_str()) {
                    offences.push(format!("{} uses {}", package.name, dependency.name));
                }
            }
        }
    }
    holds("guests see only the contract and the types", &offences);
}

#[test]
fn every_package_has_an_allowed_licence() {
    let mut offences = BTreeSet::new();
    for lock in with_name("Cargo.lock") {
        let manifest = lock.with_file_name("Cargo.toml");
        for package in metadata(&manifest.to_string_lossy(), true).packages {
            let licence = package.license.as_deref().unwrap_or("none");
            if !licence::is_allowed(licence) {
                offences.insert(format!("{} {}: {licence}", package.name, package.version));
            }
        }
    }
    let offences: Vec<String> = offences.into_iter().collect();
    holds("every package has an allowed licence", &offences);
}

#[test]
fn packages_come_from_the_registry_alone() {
    const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let mut offences = Vec::new();
    let locks = with_name("Cargo.lock");
    assert!(!locks.is_empty());
    for lock in locks {
        for (number, line) in read(&lock).lines().enumerate() {
            if line.starts_with("source =") && line != REGISTRY {
                offences.push(format!("{}:{}: {line}", lock.display(), number + 1));
            }
        }
    }
    holds("packages come from the registry alone", &offences);
}
