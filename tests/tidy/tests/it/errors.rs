//! `docs/errors.md` says of every error what the enums say.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust::without_tests;
use crate::{holds, read, with_extension};

/// Modules of error types whose documentation does not name one, by file and type.
const MODULES: &[(&str, &str, &str)] = &[
    ("common/attest/src/error.rs", "AttestError", "attest"),
    ("common/crypto/src/keystore.rs", "KeystoreError", "keystore"),
    ("common/storage/src/error.rs", "StorageError", "storage"),
    ("consensus/engine/src/error.rs", "EngineError", "engine"),
    ("consensus/light/src/error.rs", "LightError", "light"),
    ("consensus/api/src/roothash/error.rs", "VoteError", "VoteIgnored"),
    ("discrepancy/src/vote.rs", "Ignored", "VoteIgnored"),
    ("genesis/src/error.rs", "GenesisError", "genesis"),
    ("keymanager/service/src/error.rs", "ServiceError", "keymanager-service"),
    ("paratime-runtime/sdk/src/error.rs", "SdkError", "sdk"),
    ("paratime-runtime/vm/src/error.rs", "UploadError", "upload"),
];

/// Codes that are given to callers with something added to them.
const OFFSETS: &[(&str, &str, u32)] = &[("discrepancy/src/vote.rs", "Ignored", 100)];

/// Numbers that are no refusal of their own, with the reason.
const NOT_IN_THE_PAGE: &[(&str, &str, &str)] = &[
    ("common/proto/src/canonical.rs", "DecodeError", "is the reason inside another module's error"),
    ("common/storage/src/proof.rs", "ProofError", "is the reason inside another module's error"),
    ("consensus/abci/src/error.rs", "ServeError", "ends the process and is read by its operator"),
    ("consensus/api/src/error.rs", "Error", "gives the code of the module's own error"),
    ("consensus/app/src/error.rs", "AppError", "ends the process and is read by its operator"),
    ("discrepancy/src/error.rs", "ConfigError", "is mapped by consensus/api"),
    (
        "systems/cosigner/core/src/error.rs",
        "CosignerError",
        "is the reason inside another module's error",
    ),
    ("discrepancy/src/error.rs", "PartsError", "says that stored state is damaged"),
    ("discrepancy/src/evaluate.rs", "FailReason", "is a field of an event"),
    (
        "paratime-runtime/vm/src/error.rs",
        "EngineError",
        "ends the process and is read by its operator",
    ),
    (
        "paratime-runtime/vm/src/error.rs",
        "NodeFault",
        "is the reason inside another module's error",
    ),
];

/// The `code()` of a type: its module if its documentation names one, and what each variant gives.
#[derive(Debug)]
struct Codes {
    file: String,
    of: String,
    module: Option<String>,
    variants: Vec<(String, u32)>,
}

/// Every `fn code(&self) -> u32` outside tests.
fn codes() -> Vec<Codes> {
    let mut found = Vec::new();
    for path in with_extension("rs") {
        let file = path.display().to_string();
        if file.starts_with("tests/") || file.contains("/tests/") || file.contains("/examples/") {
            continue;
        }
        let text = without_tests(&read(&path));
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !line.contains("fn code(&self) -> u32") {
                continue;
            }
            let of = lines.iter().take(at).rev().find_map(|line| type_of_impl(line));
            let docs: Vec<&str> = lines
                .iter()
                .take(at)
                .rev()
                .take_while(|line| line.trim().starts_with("///") || line.trim().starts_with("#["))
                .copied()
                .collect();
            let module = docs.iter().find_map(|line| {
                let (_, rest) = line.split_once("module \"")?;
                rest.split('"').next().map(ToString::to_string)
            });
            let body = lines.iter().skip(at).take_while(|line| **line != "    }").copied();
            let offset = OFFSETS.iter().find(|(f, t, _)| *f == file && Some(*t) == of.as_deref());
            let offset = offset.map_or(0, |(.., offset)| *offset);
            found.push(Codes {
                file: file.clone(),
                of: of.unwrap_or_default(),
                module,
                variants: body
                    .flat_map(|line| arm(line, &text))
                    .map(|(name, code)| (name, code + offset))
                    .collect(),
            });
        }
    }
    assert!(found.len() > 20, "only {} types with codes were found", found.len());
    found
}

fn type_of_impl(line: &str) -> Option<String> {
    let rest = line.strip_prefix("impl ")?;
    let name = rest.rsplit(" for ").next()?.split([' ', '<']).next()?;
    Some(name.to_string())
}

/// The variants and the number of a match arm; a number may be a constant of the same file.
fn arm(line: &str, text: &str) -> Vec<(String, u32)> {
    let Some((left, right)) = line.split_once("=>") else { return Vec::new() };
    let right = right.trim().trim_end_matches(',');
    let constant = || {
        let name = right.rsplit("::").next()?;
        let (_, rest) = text.split_once(&format!("const {name}: u32 = "))?;
        rest.split(';').next()?.parse().ok()
    };
    let Some(code) = right.parse().ok().or_else(constant) else { return Vec::new() };
    let names = left.split("Self::").skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    });
    names.map(|name| (name, code)).collect()
}

/// The codes of each module in the page.
fn rows() -> BTreeMap<String, BTreeSet<u32>> {
    let mut modules: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let mut module = None;
    for line in read("docs/errors.md".as_ref()).lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let name = heading.split('`').nth(1).map(ToString::to_string);
            module = name.filter(|_| heading.starts_with("## `"));
        } else if let (Some(module), Some(row)) = (&module, line.strip_prefix("| ")) {
            let code = row.split('|').next().unwrap_or_default().trim();
            if let Ok(code) = code.parse() {
                modules.entry(module.clone()).or_default().insert(code);
            }
        }
    }
    modules
}

#[test]
fn the_page_of_errors_has_every_code_and_no_other() {
    let rows = rows();
    let mut offences = Vec::new();
    let mut documented: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for Codes { file, of, module, variants } in codes() {
        if NOT_IN_THE_PAGE.iter().any(|(f, t, _)| *f == file && *t == of) {
            continue;
        }
        let listed = MODULES.iter().find(|(f, t, _)| *f == file && *t == of);
        let Some(module) = module.or_else(|| listed.map(|(.., module)| module.to_string())) else {
            offences.push(format!("{file}: the documentation of {of}::code names no module"));
            continue;
        };
        if variants.is_empty() {
            offences.push(format!("{file}: no code of {of} can be read"));
        }
        let known = rows.get(&module).cloned().unwrap_or_default();
        for (variant, code) in &variants {
            if !known.contains(code) {
                offences.push(format!("docs/errors.md lacks {module} {code} ({of}::{variant})"));
            }
        }
        documented.entry(module).or_default().extend(variants.iter().map(|(_, code)| *code));
    }
    for (module, codes) in &documented {
        let known = rows.get(module).cloned().unwrap_or_default();
        for code in known.difference(codes) {
            offences.push(format!("docs/errors.md has {module} {code}, which no error gives"));
        }
    }
    holds("the page of errors has every code and no other", &offences);
}

#[test]
fn arms_are_read() {
    let text = "pub const TWICE: u32 = 2;";
    let read = |line: &str| arm(line, text);
    assert_eq!(read("Self::A { .. } => 1,"), [("A".to_string(), 1)]);
    assert_eq!(read("Self::B(_) | Self::C => 3,"), [("B".to_string(), 3), ("C".to_string(), 3)]);
    assert_eq!(read("Self::D => Self::TWICE,"), [("D".to_string(), 2)]);
    assert!(read("Self::E(inner) => inner.code(),").is_empty());
}
