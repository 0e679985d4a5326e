//! The patches that take defences out, for the controls of attacks.

use std::path::PathBuf;

use super::{files, holds, read};

/// What a hunk expects to find: its context and the lines that it removes.
fn hunks(patch: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut file = String::new();
    let mut body = false;
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            file = path.to_string();
            body = false;
        } else if line.starts_with("@@") {
            found.push((file.clone(), String::new()));
            body = true;
        } else if line.starts_with("diff ") {
            body = false;
        } else if let (true, Some((_, before))) = (body, found.last_mut()) {
            match line.split_at_checked(1) {
                Some((" " | "-", text)) => {
                    before.push_str(text);
                    before.push('\n');
                }
                None => before.push('\n'),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn every_control_applies_and_says_what_it_takes_out() {
    let mut offences = Vec::new();
    let patches = files(|path| {
        path.extension().is_some_and(|e| e == "patch")
            && path.parent().is_some_and(|folder| folder.ends_with("controls"))
    });
    assert!(patches.len() > 8, "{patches:?}");
    for patch in &patches {
        let (place, text) = (patch.display(), read(patch));
        if !text.lines().next().is_some_and(|first| first.ends_with('.')) {
            offences.push(format!("{place}: the first line says what the patch takes out"));
        }
        let hunks = hunks(&text);
        if hunks.is_empty() {
            offences.push(format!("{place}: it changes nothing"));
        }
        for test in text.lines().filter_map(|line| line.strip_prefix("Fails: ")) {
            let (suite, name) = test.split_once(' ').unwrap_or(("no suite", test));
            let defines = |path: &PathBuf| {
                let suite = format!("/{suite}/");
                path.display().to_string().contains(&suite)
                    && read(path).contains(&format!("fn {name}("))
            };
            if !files(|path| path.extension().is_some_and(|e| e == "rs")).iter().any(defines) {
                offences.push(format!("{place}: the suite {suite} has no test {name}"));
            }
        }
        for (file, before) in hunks {
            if read(file.as_ref()).matches(&before).count() != 1 {
                offences.push(format!("{place}: {file} no longer has\n{before}"));
            }
        }
    }
    holds("every control applies", &offences);
}
