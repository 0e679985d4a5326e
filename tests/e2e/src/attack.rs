//! The programs of `tests/adversary` that attack a network.

use std::process::Command;

use serde_json::Value;

/// Whether the programs under test have all their defences. `scripts/controls.sh` builds them without.
pub const DEFENCES: bool = true;

/// What came of an attack, and why, as its program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// `failed`, `succeeded` or `prepared`.
    pub outcome: String,
    /// Why.
    pub because: String,
}

/// Plays an attack to its end.
pub fn attack(args: &[&str]) -> Played {
    let done = Command::new(crate::adversary()).arg("attack").args(args).output().unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    let told = printed.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let told = told
        .unwrap_or_else(|| panic!("{args:?}: {printed} {}", String::from_utf8_lossy(&done.stderr)));
    let text = |name: &str| told[name].as_str().unwrap().to_string();
    let played = Played { outcome: text("outcome"), because: text("because") };
    assert_eq!(done.status.code() == Some(100), played.outcome == "succeeded", "{played:?}");
    println!("{}: {played:?}", args[0]);
    played
}

/// Plays an attack that must fail, and succeed where the defences are taken out.
pub fn withstands(args: &[&str]) {
    let played = attack(args);
    let expected = if DEFENCES { "failed" } else { "succeeded" };
    assert_eq!(played.outcome, expected, "{}: {}", args[0], played.because);
}
