//! ARCHITECTURE.md leads to code that is there.

use std::path::Path;

use crate::{holds, read, root};

/// Pieces of a line between backticks.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

fn is_path(text: &str) -> bool {
    text.contains('/')
        && !text.contains(' ')
        && !text.contains("::")
        && !text.starts_with('<')
        && !text.starts_with('~')
}

/// Whether a file defines an item of this name.
fn defines(source: &str, name: &str) -> bool {
    const KINDS: &[&str] = &["fn", "struct", "enum", "trait", "const", "type", "mod", "message"];
    let name = name.trim_end_matches("()").rsplit("::").next().unwrap_or_default();
    KINDS.iter().any(|kind| {
        source.match_indices(&format!("{kind} {name}")).any(|(at, found)| {
            let after = source.get(at + found.len()..).unwrap_or_default();
            !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    })
}

/// In table rows a path in backticks is followed by the names, in backticks, of what it defines.
fn offences(page: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for (number, line) in read(Path::new(page)).lines().enumerate() {
        if !line.starts_with('|') {
            continue;
        }
        let mut source: Option<(&str, String)> = None;
        for text in quoted(line) {
            if is_path(text) {
                let whole = root().join(text);
                if !whole.exists() {
                    offences.push(format!("{page}:{}: there is no {text}", number + 1));
                }
                source = whole.is_file().then(|| (text, read(Path::new(text))));
            } else if let Some((file, source)) = &source
                && !defines(source, text)
            {
                offences.push(format!("{page}:{}: {file} defines no {text}", number + 1));
            }
        }
    }
    offences
}

#[test]
fn the_architecture_names_code_that_exists() {
    let found = offences("ARCHITECTURE.md");
    holds("every path and name in the tables of ARCHITECTURE.md exists", &found);
}

#[test]
fn a_newcomer_finds_twelve_answers() {
    let page = read(Path::new("ARCHITECTURE.md"));
    let (_, section) = page.split_once("\n## Where is").expect("the section \"Where is …\"");
    let section = section.split("\n## ").next().unwrap_or_default();
    let answers = section
        .lines()
        .filter(|line| line.starts_with("| ") && quoted(line).iter().any(|text| is_path(text)));
    assert!(answers.count() >= 12, "fewer than twelve questions have a path as their answer");
}

#[test]
fn definitions_are_found() {
    let source = "pub fn vote(x: u8) {}\nstruct Pool;\n";
    assert!(defines(source, "vote") && defines(source, "Pool::vote") && defines(source, "Pool"));
    assert!(!defines(source, "vot") && !defines(source, "poo"));
    assert_eq!(quoted("| a | `b/c.rs` `d`, `e` |"), ["b/c.rs", "d", "e"]);
}
