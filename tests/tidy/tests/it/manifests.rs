//! What every manifest has.

use std::path::PathBuf;

use crate::{holds, read, with_name};

/// Manifests that have a `[package]`, with their lines.
fn packages() -> Vec<(PathBuf, Vec<String>)> {
    let manifests = with_name("Cargo.toml").into_iter().map(|path| {
        let lines: Vec<String> = read(&path).lines().map(ToString::to_string).collect();
        (path, lines)
    });
    manifests.filter(|(_, lines)| lines.iter().any(|line| line == "[package]")).collect()
}

#[test]
fn every_crate_has_lints() {
    let mut offences = Vec::new();
    for (path, lines) in packages() {
        let inherited = lines.windows(2).any(|two| two == ["[lints]", "workspace = true"]);
        // Crates outside a workspace name their own.
        let own = lines.iter().any(|line| line == "[lints.rust]")
            && lines.iter().any(|line| line == "[lints.clippy]");
        if !inherited && !own {
            offences.push(path.display().to_string());
        }
    }
    holds("every crate has lints", &offences);
}

#[test]
fn versions_are_named_once_in_a_workspace() {
    /// Outside every workspace: the SDK, so that a runtime's own crate can depend on it by path; the
    /// generator, so that no build compiles it. A guest that is alone in its workspace names its versions in
    /// the same file.
    const ALONE: [&str; 3] = [
        "common/proto/generate/Cargo.toml",
        "paratime-runtime/sdk/Cargo.toml",
        "systems/private-contract/mediator/Cargo.toml",
    ];
    let mut offences = Vec::new();
    for (path, lines) in packages() {
        if ALONE.contains(&path.to_string_lossy().as_ref()) {
            continue;
        }
        let mut in_dependencies = false;
        for (number, line) in lines.iter().enumerate() {
            if let Some(section) = line.strip_prefix('[') {
                in_dependencies = section.contains("dependencies");
                if in_dependencies && !section.ends_with("dependencies]") {
                    offences.push(format!("{}:{}: {line}", path.display(), number + 1));
                }
                continue;
            }
            let is_entry = !line.trim().is_empty() && !line.starts_with('#') && line.contains('=');
            let inherits = line.contains("workspace = true");
            if in_dependencies && is_entry && !inherits {
                offences.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    holds("a dependency of a crate is its workspace's", &offences);
}

#[test]
fn every_dependency_has_its_reason_beside_it() {
    let mut offences = Vec::new();
    let mut in_dependencies = false;
    for (number, line) in read("Cargo.toml".as_ref()).lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line == "[workspace.dependencies]";
        } else if in_dependencies
            && line.contains('=')
            && !line.starts_with('#')
            && !line.contains("path =")
        {
            let (_, reason) = line.split_once('#').unwrap_or_default();
            if reason.trim().is_empty() {
                offences.push(format!("Cargo.toml:{}: {line}", number + 1));
            }
        }
    }
    holds("every dependency has its reason beside it", &offences);
}
