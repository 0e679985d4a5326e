//! Documents.

use std::path::Path;

use crate::{files, holds, read, root};

/// Targets of the inline links of a Markdown page, with their lines; what stands in code is none.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        if in_fence {
            continue;
        }
        // Every other piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for piece in prose.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            found.push((number + 1, target.to_string()));
        }
    }
    found
}

/// Whether a target is a file of the repository.
fn is_relative(target: &str) -> bool {
    !target.is_empty() && !target.contains(':') && !target.starts_with('#')
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = root();
    let pages = files(|path| path.extension().is_some_and(|e| e == "md"));
    assert!(!pages.is_empty());
    let mut offences = Vec::new();
    for page in pages {
        let folder = page.parent().unwrap_or(Path::new(""));
        for (line, target) in links(&read(&page)) {
            let file = target.split('#').next().unwrap_or_default();
            if is_relative(&target) && !root.join(folder).join(file).exists() {
                offences.push(format!("{}:{line}: {target}", page.display()));
            }
        }
    }
    holds("links between documents lead somewhere", &offences);
}

#[test]
fn links_are_found_in_prose_and_not_in_code() {
    let page =
        "a [b](c.md#d) and [![e](f.svg)](g/)\n```\n[h](i)\n```\n`[j](k)` [l](https://m \"n\")";
    let targets: Vec<String> = links(page).into_iter().map(|(_, target)| target).collect();
    assert_eq!(targets, ["c.md#d", "f.svg", "g/", "https://m"]);
    let relative = targets.iter().filter(|target| is_relative(target)).count();
    assert_eq!(relative, 3);
}
