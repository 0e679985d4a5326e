//! Rust source, as far as rules need it: what is code, what is text, what is a test.

/// The source with comments and the contents of literals blanked; lines stay where they are.
pub(crate) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest),
            'r' | 'b' if !ends_in_word(&code) => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let (gone, after) = rest.split_at(skipped);
        // A literal stays visible as one, so that `#[ignore = "reason"]` differs from `#[ignore]`.
        code.push_str(if gone.starts_with('/') { "" } else { "\"\"" });
        code.extend(gone.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    code
}

fn ends_in_word(code: &str) -> bool {
    code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(here) = text.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a string in quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of `r"…"`, `r#"…"#`, `br#"…"#`; 0 if it is none.
fn raw_string(text: &str) -> usize {
    let Some(after) = text.strip_prefix("br").or_else(|| text.strip_prefix('r')) else { return 0 };
    let hashes = after.len() - after.trim_start_matches('#').len();
    let opening = text.len() - after.len() + hashes;
    if !after.trim_start_matches('#').starts_with('"') {
        return 0;
    }
    let body = text.get(opening + 1..).unwrap_or_default();
    let end = format!("\"{}", "#".repeat(hashes));
    body.find(&end).map_or(text.len(), |at| opening + 1 + at + end.len())
}

/// Length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // What is escaped may be a quote itself.
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Where the item that begins on a line ends. Relies on the code being formatted: what closes an
/// item stands as deep as its first line.
fn end_of_item(lines: &[&str], start: usize) -> usize {
    let depth = lines.get(start).map_or(0, |line| indent(line));
    for (at, line) in lines.iter().enumerate().skip(start) {
        let text = line.trim_end();
        let closes = text.ends_with('}') || text.ends_with(';');
        if closes && indent(line) == depth {
            return at;
        }
    }
    lines.len()
}

/// Code without the items that only tests see; lines stay where they are.
pub(crate) fn without_tests(code: &str) -> String {
    let lines: Vec<&str> = code.lines().collect();
    let mut kept = String::with_capacity(code.len());
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if line.trim() == "#[cfg(test)]" {
            let end = end_of_item(&lines, at + 1);
            kept.push_str(&"\n".repeat(end + 1 - at));
            at = end + 1;
        } else {
            kept.push_str(line);
            kept.push('\n');
            at += 1;
        }
    }
    kept
}

/// Functions with a body: first line, name, number of lines.
pub(crate) fn functions(code: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let is_item = before.split_whitespace().all(|word| {
            matches!(word, "const" | "async" | "unsafe" | "extern" | "\"\"")
                || word.starts_with("pub")
        });
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if is_item && !name.is_empty() {
            let end = end_of_item(&lines, at);
            found.push((at + 1, name, end + 1 - at));
        }
    }
    found
}

/// Whether `word` stands in the line as a word of its own.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let after = line.get(at + word.len()..).unwrap_or_default();
        !before.ends_with(part_of_word) && !after.starts_with(part_of_word)
    })
}

#[test]
fn comments_and_literals_are_not_code() {
    for (source, expected) in [
        ("a // b\nc", "a \nc"),
        ("a /* b /* c\n */ d */ e", "a \n e"),
        ("f(\"x \\\" // y\") // z", "f(\"\") "),
        ("f(r#\"x \" // y\"#, b\"q\")", "f(\"\", b\"\")"),
        ("'\"' 'a 'b' '\\'' '\\u{41}' &'static str", "\"\" 'a \"\" \"\" \"\" &'static str"),
        ("#[ignore = \"why\"]", "#[ignore = \"\"]"),
        ("car\"x\"", "car\"\""),
    ] {
        assert_eq!(code_of(source), expected, "{source}");
    }
}

#[test]
fn tests_are_left_out_and_functions_measured() {
    let code = "fn a() {\n    b();\n}\n#[cfg(test)]\nmod tests {\n    fn c() {\n    }\n}\n\
                pub(crate) const fn d(\n    e: u8,\n) -> u8 {\n    e\n}\nlet f: fn (u8) = a;\n";
    let kept = without_tests(code);
    assert_eq!(kept.lines().count(), code.lines().count());
    assert_eq!(functions(&kept), [(1, "a".to_string(), 3), (9, "d".to_string(), 5)]);
    assert!(has_word("x: f64,", "f64") && !has_word("af64 f641", "f64"));
}
