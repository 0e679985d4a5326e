//! Effects go through one seam, and the product cannot misbehave on purpose.

use std::collections::BTreeSet;

use crate::rust::{code_of, without_tests};
use crate::{holds, read, with_extension};

/// What only `common/rt` may use.
const EFFECTS: &[&str] = &[
    "tokio::spawn",
    "tokio::task::",
    "tokio::time::",
    "JoinSet",
    "spawn_blocking",
    "block_in_place",
    "block_on(",
    "thread::spawn",
    "thread::Builder",
    "thread::sleep",
    "Instant::now",
    "SystemTime",
    "getrandom",
];

/// Who may use them besides, by the beginning of the path, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("common/rt/", "is the seam"),
    ("common/tee/", "an enclave has no async runtime: plain threads, the system's randomness"),
    ("consensus/abci/src/serve.rs", "serves CometBFT's socket, which no simulation contains"),
    ("node/src/lib.rs", "starts the async runtime of the program"),
];

fn product(path: &str) -> bool {
    let test = path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/examples/")
        || path.ends_with("tests.rs")
        || path.ends_with("build.rs");
    !test
}

#[test]
fn tasks_time_threads_and_randomness_go_through_the_seam() {
    let (mut offences, mut used) = (Vec::new(), BTreeSet::new());
    for path in with_extension("rs") {
        let place = path.display().to_string();
        if !product(&place) {
            continue;
        }
        let code = without_tests(&code_of(&read(&path)));
        for (number, line) in code.lines().enumerate() {
            // `paralith_rt` has an `Instant` of its own.
            let own = if code.contains("use paralith_rt::Instant;") {
                "Instant::now"
            } else {
                "rt::Instant::now"
            };
            let foreign = line.replace(own, "");
            for effect in EFFECTS.iter().filter(|effect| foreign.contains(*effect)) {
                match EXCEPTIONS.iter().find(|(start, _)| place.starts_with(start)) {
                    Some((start, _)) => drop(used.insert(*start)),
                    None => offences.push(format!("{place}:{}: {effect}", number + 1)),
                }
            }
        }
    }
    holds("tasks, time, threads and randomness go through paralith_rt", &offences);
    let stale: Vec<String> = EXCEPTIONS
        .iter()
        .filter(|(start, reason)| !used.contains(start) || reason.is_empty())
        .map(|(start, _)| start.to_string())
        .collect();
    holds("every exception is needed and has its reason", &stale);
}

#[test]
fn no_production_crate_can_misbehave_on_purpose() {
    const WORDS: &[&str] = &["byzantine", "misbehave", "adversary"];
    let mut offences = Vec::new();
    for path in with_extension("rs") {
        let place = path.display().to_string();
        if !product(&place) {
            continue;
        }
        let code = without_tests(&code_of(&read(&path))).to_lowercase();
        for (number, line) in code.lines().enumerate() {
            for word in WORDS.iter().filter(|word| line.contains(*word)) {
                offences.push(format!("{place}:{}: {word}", number + 1));
            }
        }
    }
    holds("no production crate can misbehave on purpose", &offences);
}

#[test]
fn lower_layers_name_no_system() {
    const SYSTEMS: &[&str] =
        &["evm", "mediator", "chaincode", "statechain", "key_release", "keyrelease"];
    const BELOW: &[&str] = &[
        "common/",
        "discrepancy/",
        "consensus/",
        "keymanager/",
        "genesis/",
        "paratime-runtime/",
        "node/src/rpc/",
    ];
    let mut offences = Vec::new();
    for path in with_extension("rs") {
        let place = path.display().to_string();
        if !product(&place) || !BELOW.iter().any(|below| place.starts_with(below)) {
            continue;
        }
        let code = without_tests(&code_of(&read(&path))).to_lowercase();
        for (number, line) in code.lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words.filter(|word| SYSTEMS.contains(word)) {
                offences.push(format!("{place}:{}: {word}", number + 1));
            }
        }
    }
    holds("lower layers get generic primitives only and name no system", &offences);
}
