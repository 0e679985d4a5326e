//! Rules of `docs/protocol`: each has an id, and the code that enforces it names the id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::rust::without_tests;
use crate::{holds, read, with_extension};

/// Each page with the letters of its ids.
const PAGES: &[(&str, &str)] = &[
    ("abi", "AB"),
    ("attestation", "AT"),
    ("bls", "BL"),
    ("cosigner", "CO"),
    ("data", "DA"),
    ("discrepancy", "DD"),
    ("enclave", "EN"),
    ("keymanager", "KM"),
    ("light-client", "LC"),
    ("policy", "PO"),
    ("proofs", "PF"),
    ("registry", "RG"),
    ("roothash", "RH"),
    ("rounds", "RD"),
    ("staking", "SK"),
    ("storage", "ST"),
    ("wire", "WI"),
    ("wraps", "WR"),
    // Systems have their pages in their own folders.
    ("../../systems/private-contract/SPEC", "PC"),
    ("../../systems/chaincode/SPEC", "CC"),
];

/// The ids in a text, each with its line: letters of a page, a hyphen, perhaps a group's letter, a
/// number.
fn ids(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let Some((letters, rest)) = word.split_once('-') else { continue };
            let digits = rest.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(rest);
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if is_number && PAGES.iter().any(|(_, known)| *known == letters) {
                found.push((number + 1, word.to_string()));
            }
        }
    }
    found
}

/// The ids that a page defines: in bold, or in the first cell of a row.
fn defined(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let cell = line.strip_prefix("| ").and_then(|row| row.split(" |").next());
        let bold = line.split("**").skip(1).step_by(2).filter_map(|bold| bold.split(' ').next());
        for place in cell.into_iter().chain(bold) {
            if let [(_, id)] = ids(place).as_slice()
                && id.len() == place.trim_end_matches('.').len()
            {
                found.push((number + 1, id.clone()));
            }
        }
    }
    found
}

/// Whether a file is code whose citations count: not a test, and not the code of this package.
fn enforces(file: &Path) -> bool {
    let name = file.display().to_string();
    !name.starts_with("tests/") && !name.contains("/tests/") && !name.ends_with("/tests.rs")
}

fn pages() -> Vec<(String, String)> {
    let file = |page: &&str| format!("docs/protocol/{page}.md");
    PAGES.iter().map(|(page, _)| file(page)).map(|file| (read(file.as_ref()), file)).collect()
}

#[test]
fn every_rule_has_one_id_with_its_pages_letters() {
    let mut offences = Vec::new();
    let mut seen = BTreeMap::new();
    for ((text, file), (_, letters)) in pages().into_iter().zip(PAGES) {
        let rules = defined(&text);
        if rules.is_empty() {
            offences.push(format!("{file}: it defines no rule"));
        }
        for (line, id) in rules {
            if !id.starts_with(&format!("{letters}-")) {
                offences.push(format!("{file}:{line}: {id}, but its ids begin with {letters}-"));
            }
            if let Some(first) = seen.insert(id.clone(), format!("{file}:{line}")) {
                offences.push(format!("{file}:{line}: {id} is defined at {first} already"));
            }
        }
    }
    let listed: BTreeSet<String> = PAGES.iter().map(|(page, _)| format!("{page}.md")).collect();
    for page in with_extension("md") {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_page = page.starts_with("docs/protocol") && name != "README.md";
        if is_page && !listed.contains(&name) {
            offences.push(format!("{}: give its rules ids, and list it here", page.display()));
        }
    }
    holds("every rule has one id with its page's letters", &offences);
}

#[test]
fn every_rule_that_is_cited_exists_and_every_rule_is_cited_by_code() {
    let rules: BTreeSet<String> =
        pages().iter().flat_map(|(text, _)| defined(text)).map(|(_, id)| id).collect();
    let mut offences = Vec::new();
    let mut cited = BTreeSet::new();
    for extension in ["rs", "md", "proto"] {
        for file in with_extension(extension) {
            // This file's own examples are no citations.
            if file.starts_with("tests/tidy") {
                continue;
            }
            let text = read(&file);
            for (line, id) in ids(&text) {
                if !rules.contains(&id) {
                    offences.push(format!("{}:{line}: {id} is no rule", file.display()));
                }
            }
            if extension == "rs" && enforces(&file) {
                cited.extend(ids(&without_tests(&text)).into_iter().map(|(_, id)| id));
            }
        }
    }
    for id in rules.difference(&cited) {
        offences.push(format!("{id}: no code but tests cites it"));
    }
    holds("every rule that is cited exists, and every rule is cited by code", &offences);
}

#[test]
fn ids_and_their_definitions_are_read() {
    let found = |text: &str| ids(text).into_iter().map(|(_, id)| id).collect::<Vec<_>>();
    assert_eq!(found("RH-1, DD-V0 to `DD-V4`; (KM-Q7)"), ["RH-1", "DD-V0", "DD-V4", "KM-Q7"]);
    assert!(found("SHA-256 MIT-0 RH- RH-x ST-1st XRH-1 RH").is_empty());

    let page = "* **RH-1** a\n* **RH-2 Name.** b **RH-3** c\n| RH-4 | d |\n| e | RH-5 |\n(RH-6) **see RH-7**";
    let defined: Vec<String> = defined(page).into_iter().map(|(_, id)| id).collect();
    assert_eq!(defined, ["RH-1", "RH-2", "RH-3", "RH-4"]);
}
