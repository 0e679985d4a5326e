//! What Rust files may not contain, and how long they may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::graph::PURE;
use crate::rust::{code_of, functions, has_word, without_tests};
use crate::{holds, read, with_extension, with_name};

/// Longest Rust file.
const MAX_FILE_LINES: usize = 700;

/// Longest function outside tests.
const MAX_FUNCTION_LINES: usize = 100;

/// Longer files, with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Longer functions, with the reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[(
    "consensus/engine/src/comet/template.rs config_toml",
    "a whole configuration file of another program, key by key: no part of it means anything alone",
)];

/// What must not be left in any file.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore]"];

/// What differs between two machines, or between two runs on one.
const IMPURE: &[&str] =
    &["HashMap", "HashSet", "SystemTime", "Instant", "f32", "f64", "RandomState", "thread_rng"];

/// Files of pure crates that only an impure feature builds, with the reason.
const IMPURE_FILES: &[(&str, &str)] = &[
    ("common/proto/src/status.rs", "feature `grpc`: the library that it calls takes a hash map"),
    ("common/storage/src/rocks.rs", "feature `rocksdb`: its settings are floating-point numbers"),
];

/// Whether a file is only part of tests, examples or benchmarks.
fn is_test(path: &Path) -> bool {
    let in_folder = path.components().any(|part| {
        let part = part.as_os_str();
        part == "tests" || part == "examples" || part == "benches"
    });
    in_folder || path.file_stem().is_some_and(|stem| stem == "tests")
}

/// Fails if an exception is no longer one.
fn still_needed(exceptions: &[(&str, &str)], found: &BTreeSet<String>) {
    let stale: Vec<String> = exceptions
        .iter()
        .filter(|(place, reason)| !found.contains(*place) || reason.is_empty())
        .map(|(place, _)| place.to_string())
        .collect();
    holds("every exception is needed and has its reason", &stale);
}

fn not_excepted(exceptions: &[(&str, &str)], place: &str) -> bool {
    exceptions.iter().all(|(exception, _)| *exception != place)
}

#[test]
fn files_are_short_enough_to_be_read() {
    let (mut long, mut offences) = (BTreeSet::new(), Vec::new());
    for path in with_extension("rs") {
        let lines = read(&path).lines().count();
        let place = path.display().to_string();
        if lines > MAX_FILE_LINES {
            if not_excepted(LONG_FILES, &place) {
                offences.push(format!("{place}: {lines} lines"));
            }
            long.insert(place);
        }
    }
    holds("a Rust file has at most 700 lines", &offences);
    still_needed(LONG_FILES, &long);
}

#[test]
fn functions_are_short_enough_to_be_read() {
    let (mut long, mut offences) = (BTreeSet::new(), Vec::new());
    let mut measured = 0_usize;
    for path in with_extension("rs").into_iter().filter(|path| !is_test(path)) {
        let code = without_tests(&code_of(&read(&path)));
        for (line, name, lines) in functions(&code) {
            measured += 1;
            if lines > MAX_FUNCTION_LINES {
                let place = format!("{} {name}", path.display());
                if not_excepted(LONG_FUNCTIONS, &place) {
                    offences.push(format!("{}:{line}: {name}, {lines} lines", path.display()));
                }
                long.insert(place);
            }
        }
    }
    assert!(measured > 1000, "only {measured} functions were found");
    holds("a function has at most 100 lines", &offences);
    still_needed(LONG_FUNCTIONS, &long);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut offences = Vec::new();
    for path in with_extension("rs") {
        for (number, line) in code_of(&read(&path)).lines().enumerate() {
            for what in UNFINISHED.iter().filter(|what| line.contains(*what)) {
                offences.push(format!("{}:{}: {what}", path.display(), number + 1));
            }
        }
    }
    holds("nothing is left unfinished, and an ignored test says why", &offences);
}

/// Folders of the pure crates.
fn pure_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for manifest in with_name("Cargo.toml") {
        let text = read(&manifest);
        let names =
            PURE.iter().filter(|name| text.contains(&format!("[package]\nname = \"{name}\"\n")));
        if names.count() == 1 {
            folders.push(manifest.parent().unwrap().to_path_buf());
        }
    }
    assert_eq!(folders.len(), PURE.len(), "a pure crate was not found");
    folders
}

#[test]
fn pure_crates_have_no_clock_floats_or_unordered_maps() {
    let folders = pure_folders();
    let (mut impure, mut offences) = (BTreeSet::new(), Vec::new());
    for path in with_extension("rs").into_iter().filter(|path| !is_test(path)) {
        let builds = path.file_name().is_some_and(|name| name == "build.rs");
        if builds || !folders.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let code = without_tests(&code_of(&read(&path)));
        for (number, line) in code.lines().enumerate() {
            for what in IMPURE.iter().filter(|what| has_word(line, what)) {
                let place = path.display().to_string();
                if !not_excepted(IMPURE_FILES, &place) {
                    impure.insert(place);
                    continue;
                }
                offences.push(format!("{}:{}: {what}", path.display(), number + 1));
            }
        }
    }
    holds("pure crates have no clock, floats or unordered maps", &offences);
    still_needed(IMPURE_FILES, &impure);
}
