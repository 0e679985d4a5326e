//! Builds the reference runtimes and the modules of systems to WebAssembly, so that the program carries them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A workspace of guests: its folder, and the modules that it gives.
struct Guests {
    folder: &'static str,
    modules: &'static [&'static str],
}

const GUESTS: [Guests; 3] = [
    Guests { folder: "paratime-runtime/examples", modules: &["ballot", "counter", "tokens"] },
    Guests { folder: "systems/private-contract/mediator", modules: &["mediator"] },
    Guests {
        folder: "systems/chaincode/guests",
        modules: &["chaincode_ledger", "auction", "secret_keeper"],
    },
];

/// What guests are built from besides their own folders.
const SOURCES: [&str; 12] = [
    "paratime-runtime/sdk",
    "paratime-runtime/abi",
    "common/types",
    "common/crypto",
    "common/policy",
    "common/proto",
    "systems/private-contract/messages",
    "systems/private-contract/core",
    "systems/chaincode/messages",
    "systems/chaincode/ledger",
    "systems/chaincode/examples/auction",
    "systems/chaincode/examples/secret-keeper",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let root = node.parent().ok_or("the node lies in the workspace")?;
    for watched in SOURCES {
        watch(&root.join(watched));
    }
    for guests in &GUESTS {
        let folder = root.join(guests.folder);
        watch(&folder);
        guests.modules.iter().for_each(|name| watch(&folder.join(name)));
    }

    let target = out.join("guests");
    let cargo_home = std::env::var("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|_| std::env::var("HOME").map(|home| PathBuf::from(home).join(".cargo")))?;
    // A module's hash is its identity on chain: it must not depend on where it was built.
    let flags = format!(
        "--remap-path-prefix={}=/paralith\u{1f}--remap-path-prefix={}=/cargo",
        root.display(),
        cargo_home.display()
    );
    for guests in &GUESTS {
        build(guests, root, &target, &flags)?;
        for name in guests.modules {
            let module = target.join(format!("wasm32-unknown-unknown/release/{name}.wasm"));
            std::fs::copy(&module, out.join(format!("{name}.wasm")))?;
        }
    }
    Ok(())
}

/// Builds one workspace of guests.
fn build(
    guests: &Guests,
    root: &Path,
    target: &Path,
    flags: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let status = Command::new(std::env::var("CARGO")?)
        .args(["build", "--release", "--locked", "--target", "wasm32-unknown-unknown"])
        .arg("--manifest-path")
        .arg(root.join(guests.folder).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    if !status.success() {
        return Err(format!("the guests of {} do not build", guests.folder).into());
    }
    Ok(())
}

/// Watches sources only: a build folder inside would make every build stale.
fn watch(folder: &Path) {
    for watched in ["Cargo.toml", "Cargo.lock", "src"] {
        let watched = folder.join(watched);
        if watched.exists() {
            println!("cargo:rerun-if-changed={}", watched.display());
        }
    }
}
