//! What the engine refuses to compile, and why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;

use guest::{ALLOC, IMPORTS, MEMORY, engine, entry_points, text};
use paralith_runtime_vm::{MAX_CODE_BYTES, UploadError, code_id};

fn refusal(text: &str) -> UploadError {
    engine().compile(&wat::parse_str(text).unwrap()).unwrap_err()
}

/// A guest without imports, with this in it.
fn with(parts: &str) -> String {
    format!("(module {MEMORY} {ALLOC} {} {parts})", entry_points(&[]))
}

#[test]
fn a_guest_of_the_contract_compiles_and_keeps_its_name() {
    let code = wat::parse_str(text(&[], "")).unwrap();
    assert_eq!(engine().compile(&code).unwrap().code_id(), code_id(&code));
}

#[test]
fn the_name_of_code_never_changes() {
    assert_eq!(
        code_id(b"\0asm").to_string(),
        "8c73f8a3c35f34bfa98f76991145958e51501a7f2d527e017f868c6caedc6def"
    );
}

#[test]
fn code_that_is_too_large_is_refused_unread() {
    let error = engine().compile(&vec![0; MAX_CODE_BYTES + 1]).unwrap_err();
    assert!(matches!(error, UploadError::TooLarge { .. }), "{error}");
}

#[test]
fn what_is_no_module_is_refused() {
    let valid = wat::parse_str(text(&[], "")).unwrap();
    let mut cut = valid.clone();
    cut.truncate(valid.len() / 2);
    let mut component = valid;
    component[4..8].copy_from_slice(&[0x0d, 0, 1, 0]);
    let badly_typed = wat::parse_str("(module (func (result i32)))").unwrap();
    for code in
        [b"".to_vec(), b"\0asm".to_vec(), b"MZ and more".to_vec(), cut, component, badly_typed]
    {
        let error = engine().compile(&code).unwrap_err();
        assert!(matches!(error, UploadError::NotWasm { .. }), "{error}");
    }
}

#[test]
fn no_change_of_one_byte_brings_the_compiler_down() {
    let valid = wat::parse_str(text(&[], "")).unwrap();
    for place in 0..valid.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut code = valid.clone();
            code[place] ^= flip;
            let _accepted_or_not = engine().compile(&code).is_ok();
        }
    }
}

#[test]
fn every_export_must_be_there_with_its_type() {
    for name in paralith_runtime_abi::EXPORTS {
        let missing = text(&[name], "");
        assert_eq!(refusal(&missing), UploadError::MissingExport { name: name.into() });
        for wrong in [
            format!("(func (export \"{name}\") (param i32) (result i64) (i64.const 2))"),
            format!("(func (export \"{name}\") (param i32 i32) (result i32) (i32.const 2))"),
            format!("(func (export \"{name}\") (param i32 i32))"),
            format!("(global (export \"{name}\") i32 (i32.const 2))"),
        ] {
            let wrong = text(&[name], &wrong);
            assert_eq!(refusal(&wrong), UploadError::WrongExportType { name: name.into() });
        }
    }
}

#[test]
fn memory_and_allocator_must_be_exported_with_their_types() {
    let rest = entry_points(&[]);
    let missing = |name: &str| UploadError::MissingExport { name: name.into() };
    let wrong = |name: &str| UploadError::WrongExportType { name: name.into() };
    assert_eq!(refusal(&format!("(module (memory 1) {ALLOC} {rest})")), missing("memory"));
    assert_eq!(refusal(&format!("(module {MEMORY} {rest})")), missing("paralith_alloc"));
    let global = "(global (export \"memory\") i32 (i32.const 0))";
    assert_eq!(refusal(&format!("(module {global} {ALLOC} {rest})")), wrong("memory"));
    let alloc = "(func (export \"paralith_alloc\") (param i32))";
    assert_eq!(refusal(&format!("(module {MEMORY} {alloc} {rest})")), wrong("paralith_alloc"));
}

#[test]
fn an_import_that_the_host_does_not_have_is_refused() {
    for (module, name, import) in [
        ("paralith_v1", "clock", "(func (result i64))"),
        ("env", "state_get", "(func (param i32 i32) (result i64))"),
        ("wasi_snapshot_preview1", "fd_write", "(func)"),
        ("env", "memory", "(memory 1)"),
        ("env", "g", "(global i32)"),
        ("env", "t", "(table 1 funcref)"),
    ] {
        let text = format!("(module (import \"{module}\" \"{name}\" {import}))");
        let expected = UploadError::UnknownImport { module: module.into(), name: name.into() };
        assert_eq!(refusal(&text), expected);
    }
}

#[test]
fn an_import_with_a_wrong_type_is_refused() {
    for name in paralith_runtime_abi::IMPORTS {
        for import in ["(func)", "(func (param i64) (result i64))", "(global i32)", "(memory 1)"] {
            let text = format!("(module (import \"paralith_v1\" \"{name}\" {import}))");
            let (module, name) = ("paralith_v1".into(), name.into());
            assert_eq!(refusal(&text), UploadError::WrongImportType { module, name });
        }
    }
    assert_eq!(IMPORTS.matches("paralith_v1").count(), paralith_runtime_abi::IMPORTS.len());
}

#[test]
fn features_that_could_tell_nodes_apart_are_refused() {
    for (what, part) in [
        ("simd", "(func (result v128) (v128.const i64x2 0 0))"),
        (
            "relaxed simd",
            "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))",
        ),
        ("threads", "(func (drop (i32.atomic.load (i32.const 0))))"),
        ("tail calls", "(func $f (return_call $f))"),
        ("reference types", "(table 1 externref)"),
        (
            "table.grow",
            "(table $t 1 funcref) (func (drop (table.grow $t (ref.null func) (i32.const 1))))",
        ),
        ("several results", "(func (result i32 i32) (i32.const 0) (i32.const 0))"),
        ("block parameters", "(func (i32.const 0) (block (param i32) (drop)))"),
        ("several memories", "(memory 1)"),
        ("exceptions", "(tag)"),
        ("garbage collection", "(type (struct))"),
        ("extended constants", "(global i32 (i32.add (i32.const 0) (i32.const 1)))"),
        (
            "wide arithmetic",
            "(func (param i64 i64) (drop (drop (i64.mul_wide_u (local.get 0) (local.get 1)))))",
        ),
    ] {
        let error = refusal(&with(part));
        assert!(matches!(error, UploadError::ForbiddenFeature { .. }), "{what}: {error}");
    }
    for memory in ["(memory 1 1 shared)", "(memory i64 1)", "(memory 1 (pagesize 1))"] {
        let error = refusal(&format!("(module {memory})"));
        assert!(matches!(error, UploadError::ForbiddenFeature { .. }), "{memory}: {error}");
    }
}

#[test]
fn a_memory_that_starts_too_large_is_refused() {
    let rest = entry_points(&[]);
    let module =
        |pages: u32| format!("(module (memory (export \"memory\") {pages}) {ALLOC} {rest})");
    assert_eq!(refusal(&module(1025)), UploadError::MemoryTooLarge { pages: 1025, max: 1024 });
    assert!(engine().compile(&wat::parse_str(module(1024)).unwrap()).is_ok());
}

#[test]
fn a_start_function_is_refused() {
    assert_eq!(refusal(&with("(func $f) (start $f)")), UploadError::StartFunction);
}

#[test]
fn too_many_of_anything_is_refused() {
    for (what, part, count) in [
        ("functions", "(func)", 20_001),
        ("globals", "(global i32 (i32.const 0))", 1_001),
        ("tables", "(table 20001 funcref)", 1),
        ("data segments", "(data \"\")", 10_001),
        ("element segments", "(elem func)", 10_001),
    ] {
        let error = refusal(&with(&part.repeat(count)));
        assert!(matches!(error, UploadError::TooMany { .. }), "{what}: {error}");
    }
    let types: String = (0..2_001).map(|_| "(type (func))").collect();
    let error = refusal(&with(&types));
    assert!(matches!(error, UploadError::TooMany { what: "types", .. }), "{error}");
}

#[test]
fn a_function_that_can_never_be_called_is_refused() {
    let body = "(drop (i32.const 1))".repeat(40_000);
    let error = refusal(&with(&format!("(func {body})")));
    assert!(matches!(error, UploadError::FunctionTooLarge { .. }), "{error}");
}

#[test]
fn segments_must_lie_inside_what_they_initialise() {
    for (what, part) in [
        ("data", "(data (i32.const 131071) \"ab\")"),
        ("data", "(data (i32.const -1) \"ab\")"),
        ("element", "(table 1 funcref) (func $f) (elem (i32.const 1) $f)"),
    ] {
        assert_eq!(refusal(&with(part)), UploadError::SegmentOutOfBounds { what, index: 0 });
    }
    assert!(
        engine()
            .compile(&wat::parse_str(with("(data (i32.const 131070) \"ab\")")).unwrap())
            .is_ok()
    );
}

#[test]
fn a_guest_cannot_name_or_replace_the_counter_of_depth() {
    // An export of the same name is dropped with all others outside the contract.
    let part = "(global $g (mut i32) (i32.const 0)) (export \"paralith_host_depth\" (global $g))";
    assert!(engine().compile(&wat::parse_str(with(part)).unwrap()).is_ok());
    // The index behind the last global of its own is invalid in the guest's code.
    let error = refusal(&with("(func (drop (global.get 1)))"));
    assert!(matches!(error, UploadError::NotWasm { .. }), "{error}");
}
