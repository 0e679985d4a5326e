//! Builds the reference runtimes to WebAssembly, so that the program carries them.

use std::path::{Path, PathBuf};
use std::process::Command;

const RUNTIMES: [&str; 3] = ["ballot", "counter", "tokens"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let root = node.parent().ok_or("the node lies in the workspace")?;
    for watched in [
        "paratime-runtime/examples",
        "paratime-runtime/sdk",
        "paratime-runtime/abi",
        "common/types",
    ] {
        watch(&root.join(watched));
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
    let status = Command::new(std::env::var("CARGO")?)
        .args(["build", "--release", "--locked", "--target", "wasm32-unknown-unknown"])
        .arg("--manifest-path")
        .arg(root.join("paratime-runtime/examples/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    if !status.success() {
        return Err("the reference runtimes do not build".into());
    }
    for name in RUNTIMES {
        let module = target.join(format!("wasm32-unknown-unknown/release/{name}.wasm"));
        std::fs::copy(&module, out.join(format!("{name}.wasm")))?;
    }
    Ok(())
}

/// Watches sources only: a build folder inside would make every build stale.
fn watch(folder: &Path) {
    println!("cargo:rerun-if-changed={}", folder.join("Cargo.toml").display());
    println!("cargo:rerun-if-changed={}", folder.join("src").display());
    for name in RUNTIMES {
        let runtime = folder.join(name);
        if runtime.is_dir() {
            println!("cargo:rerun-if-changed={}", runtime.join("Cargo.toml").display());
            println!("cargo:rerun-if-changed={}", runtime.join("src").display());
        }
    }
}
