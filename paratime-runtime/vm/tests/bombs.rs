//! Small modules that would keep a compiler busy for minutes are refused before they get there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;

use guest::{engine, text};
use paralith_runtime_vm::limits::MAX_NESTING;
use paralith_runtime_vm::{UploadError, check};

/// A guest with this function beside what the contract asks for.
fn module(function: &str) -> Vec<u8> {
    wat::parse_str(text(&[], function)).unwrap()
}

/// `n` nested loops over `n` locals, all changed in the innermost.
fn nested_loops(n: usize) -> String {
    let locals = "i64 ".repeat(n);
    let body: String = (0..n)
        .map(|i| format!("(local.set {i} (i64.add (local.get {i}) (i64.const {i})))"))
        .collect();
    let open = "(loop ".repeat(n);
    let close: String = (0..n).map(|_| "(br_if 0 (i32.const 1)))").collect();
    format!("(func (local {locals}) {open} {body} {close})")
}

/// `blocks` branches one after the other, over `locals` that all of them change.
fn many_branches(locals: usize, blocks: usize) -> String {
    let declared = "i64 ".repeat(locals);
    let branch = |i: usize| {
        let local = i % locals;
        format!("(if (i32.const {i}) (then (local.set {local} (i64.const {i}))))")
    };
    let body: String = (0..blocks).map(branch).collect();
    format!("(func (local {declared}) {body})")
}

/// A jump table of `targets` in a loop over `locals`.
fn jump_tables(locals: usize, targets: usize) -> String {
    let declared = "i64 ".repeat(locals);
    let table = "0 1 ".repeat(targets / 2);
    format!("(func (local {declared}) (block (loop (br_table {table} 1 (i32.const 0)))))")
}

/// `n` values on the operand stack over `n` loops.
fn loops_under_a_stack(n: usize) -> String {
    let push = "(i64.load (i32.const 0))".repeat(n);
    let loops = "(loop (br_if 0 (i32.load (i32.const 8))))".repeat(n);
    let drop = "(drop)".repeat(n);
    format!("(func {push} {loops} {drop})")
}

fn is_too_much(code: &[u8]) -> bool {
    matches!(check(code), Err(UploadError::TooMuchWork { .. }))
}

#[test]
fn a_small_module_of_nested_loops_over_locals_is_refused_unread() {
    let code = module(&nested_loops(600));
    assert!(code.len() < 11_000, "{}", code.len());
    assert!(is_too_much(&code));
    // The engine refuses it for the same reason, without compiling it.
    assert_eq!(engine().compile(&code).unwrap_err(), check(&code).unwrap_err());
}

#[test]
fn every_way_to_many_values_on_many_edges_is_refused() {
    for (what, function) in [
        ("branches in a row", many_branches(4_000, 20_000)),
        ("jump tables", jump_tables(4_000, 40_000)),
        ("values on the operand stack", loops_under_a_stack(8_000)),
    ] {
        assert!(is_too_much(&module(&function)), "{what}");
    }
    // In many functions as in one.
    let share: String = (0..400).map(|_| nested_loops(75)).collect();
    assert!(is_too_much(&module(&share)));
}

#[test]
fn nesting_ends_somewhere() {
    let nested =
        |depth: usize| module(&format!("(func {} {})", "(block ".repeat(depth), ")".repeat(depth)));
    assert!(check(&nested(MAX_NESTING as usize)).is_ok());
    let refused = check(&nested(MAX_NESTING as usize + 1)).unwrap_err();
    assert!(matches!(refused, UploadError::NestedTooDeeply { depth: 1001, .. }), "{refused}");
}

#[test]
fn a_large_function_of_an_ordinary_form_is_not_refused() {
    // An interpreter's loop: 256 cases in a table, 100 locals.
    let locals = "i64 ".repeat(100);
    let open = "(block ".repeat(256);
    let targets: String = (0..256).map(|i| format!("{i} ")).collect();
    let cases: String = (0..256)
        .map(|i| {
            let local = i % 100;
            format!(
                ") (local.set {local} (i64.add (local.get {local}) (i64.const 1))) (br {})",
                255 - i
            )
        })
        .collect();
    let function = format!(
        "(func (local {locals}) (loop {open} (br_table {targets} 0 (i32.load (i32.const 0))) {cases}))"
    );
    let code = module(&function);
    check(&code).unwrap();
    engine().compile(&code).unwrap();
}
