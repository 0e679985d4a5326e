//! Each test is a claim about the repository and names every place where it does not hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod architecture;
mod controls;
mod errors;
mod graph;
mod licence;
mod manifests;
mod pages;
mod protos;
mod rules;
mod rust;
mod seam;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// The repository: the one that is tested, not the one in which the test was compiled, since
/// checkouts may share their build artefacts.
fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&own).join("../..").canonicalize().unwrap()
}

/// Files of the repository for which `wanted` holds, as paths from its root, in order.
fn files(wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = entry.file_name();
            let hidden = name.to_string_lossy().starts_with('.');
            let kind = entry.file_type().unwrap();
            // What cargo writes bears its tag wherever it is; what is generated follows no rule of ours.
            let built =
                name == "target" || name == "generated" || path.join("CACHEDIR.TAG").exists();
            if kind.is_dir() && !hidden && !built {
                folders.push(path);
            } else if kind.is_file() && wanted(&path) {
                found.push(path.strip_prefix(&root).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

fn with_extension(extension: &str) -> Vec<PathBuf> {
    files(|path| path.extension().is_some_and(|e| e == extension))
}

fn with_name(name: &str) -> Vec<PathBuf> {
    files(|path| path.file_name().is_some_and(|n| n == name))
}

fn read(path: &Path) -> String {
    let whole = root().join(path);
    fs::read_to_string(&whole).unwrap_or_else(|e| panic!("{}: {e}", whole.display()))
}

/// Fails with every place where a claim does not hold.
fn holds(claim: &str, offences: &[String]) {
    assert!(
        offences.is_empty(),
        "{claim}; {} places differ:\n  {}\n",
        offences.len(),
        offences.join("\n  ")
    );
}
