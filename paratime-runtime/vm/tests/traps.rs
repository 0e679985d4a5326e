//! Every way in which a guest ends without an answer, and what it costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;

use guest::{
    ALLOC, GAS, Memory, answer, call, compile, entry_points, env, execute, executes, trap, trap_of,
};
use paralith_runtime_vm::{CallError, Export, NodeFault, TrapKind, limits};

#[test]
fn an_endless_loop_runs_out_of_gas_and_costs_the_limit() {
    let module = executes("(loop $l (br $l)) (i64.const 2)", "");
    let trap = trap(call(&module, Export::Execute, 1_000_000));
    assert_eq!((trap.kind, trap.gas_used), (TrapKind::OutOfGas, 1_000_000));
}

#[test]
fn a_call_succeeds_with_exactly_the_gas_that_it_used() {
    for body in [
        "(i64.const 2)",
        "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 9)) (i64.const 2)",
        "(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i)
          (i32.const 1))) (i32.const 500)))) (i64.const 2)",
        "(drop (memory.grow (i32.const 1))) (i64.const 2)",
    ] {
        let module = executes(body, "");
        let used = execute(&module).unwrap().gas_used;
        assert_eq!(call(&module, Export::Execute, used).unwrap().gas_used, used);
        let trap = trap(call(&module, Export::Execute, used - 1));
        assert_eq!((trap.kind, trap.gas_used), (TrapKind::OutOfGas, used - 1));
    }
}

#[test]
fn even_no_gas_at_all_is_only_out_of_gas() {
    let module = executes("(i64.const 2)", "");
    for limit in [0, 1, 59_999] {
        assert_eq!(trap(call(&module, Export::Execute, limit)).gas_used, limit);
    }
    assert!(call(&module, Export::Execute, u64::MAX).is_ok());
}

#[test]
fn each_trap_of_the_guests_own_code_has_its_kind() {
    use TrapKind::*;
    let table =
        "(type $none (func)) (table 2 funcref) (func $f (param i32)) (elem (i32.const 0) $f)";
    for (expected, body) in [
        (Unreachable, "(unreachable)"),
        (MemoryOutOfBounds, "(i64.load (i32.const 131065))"),
        (MemoryOutOfBounds, "(i64.store (i32.const -1) (i64.const 0)) (i64.const 2)"),
        (MemoryOutOfBounds, "(i64.load offset=0xffffffff (local.get $len))"),
        (
            MemoryOutOfBounds,
            "(memory.fill (i32.const 131070) (i32.const 0) (local.get $len)) (i64.const 2)",
        ),
        (TableOutOfBounds, "(call_indirect (type $none) (i32.const 2)) (i64.const 2)"),
        (IndirectCallToNull, "(call_indirect (type $none) (i32.const 1)) (i64.const 2)"),
        (BadSignature, "(call_indirect (type $none) (i32.const 0)) (i64.const 2)"),
        (DivisionByZero, "(i64.div_u (i64.const 1) (i64.const 0))"),
        (
            DivisionByZero,
            "(i64.extend_i32_u (i32.rem_s (local.get $len) (i32.sub (local.get $len) (i32.const 7))))",
        ),
        (IntegerOverflow, "(i64.div_s (i64.const 0x8000000000000000) (i64.const -1))"),
        (BadConversion, "(i64.trunc_f64_s (f64.const nan))"),
        (IntegerOverflow, "(i64.trunc_f64_s (f64.const 1e30))"),
    ] {
        assert_eq!(trap_of(body, table), expected, "{body}");
    }
}

#[test]
fn work_before_a_trap_is_never_free() {
    // The engine's own counter is old after these traps.
    let work = "(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i)
      (i32.const 1))) (i32.const 10000))))";
    let exact = execute(&executes(&format!("{work} (i64.const 2)"), "")).unwrap().gas_used;
    for (end, whole) in [
        ("(unreachable)", false),
        ("(call $log (i32.const -1) (i32.const 9)) (i64.const 2)", false),
        ("(i64.div_u (i64.const 1) (i64.const 0))", true),
        ("(i64.load (i32.const -1))", true),
    ] {
        let used = trap(execute(&executes(&format!("{work} {end}"), ""))).gas_used;
        assert!(used + 2_000 > exact, "{end}: {used} of {exact}");
        assert_eq!(used == GAS, whole, "{end}");
    }
}

#[test]
fn memory_never_grows_beyond_its_limit() {
    let grow = |pages: &str| {
        let body = format!("(call $answer (i64.extend_i32_s (memory.grow (i32.const {pages}))))");
        let result = call(&executes(&body, ""), Export::Execute, 1 << 40);
        (answer(result.clone()), result.unwrap().gas_used)
    };
    assert_eq!(grow("1022").0, 2);
    for pages in ["1023", "65534", "65536", "-1"] {
        assert_eq!(grow(pages).0, u64::MAX, "{pages}");
    }
    assert!(grow("100").1 > grow("0").1 + 99 * 40_000);

    let all = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (call $answer (i64.extend_i32_u (memory.size)))";
    assert_eq!(
        answer(call(&executes(all, ""), Export::Execute, 1 << 40)),
        limits::MAX_MEMORY_PAGES
    );
}

#[test]
fn memory_keeps_to_the_limit_of_the_guests_own() {
    let grows = r#"(func (export "execute") (param i32 i32) (result i64)
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
      (i64.const 2))"#;
    let rest = entry_points(&["execute"]);
    let module = compile(&format!(
        "(module (memory (export \"memory\") 1 2) (data (i32.const 0) \"\\0a\\00\") {ALLOC} {rest} {grows})"
    ));
    assert!(execute(&module).unwrap().outcome.is_ok());
}

#[test]
fn memory_that_was_not_paid_for_before_a_panic_is_paid_after_it() {
    let used = |body: &str| trap(execute(&executes(body, ""))).gas_used;
    let grown = used("(drop (memory.grow (i32.const 50))) (unreachable)");
    assert!(grown > used("(drop (memory.grow (i32.const 0))) (unreachable)") + 49 * 40_000);
}

#[test]
fn an_outcome_that_is_none_is_a_trap() {
    for body in [
        "(i64.const 0x0001ffff00000002)", // begins inside, ends outside
        "(i64.const -1)",
        "(i64.const 0x00000000ffffffff)", // longer than there is memory
        "(i64.const 0x0000000000100001)", // longer than an outcome may be
        "(i64.const 0)",                  // decodes, and says nothing
        "(i64.const 1)",                  // a key without its value
        "(i64.store (i32.const 0) (i64.const -1)) (i64.const 8)",
    ] {
        assert_eq!(trap_of(body, ""), TrapKind::BadOutcome, "{body}");
    }
}

#[test]
fn an_allocator_that_returns_rubbish_is_a_trap() {
    let rest = entry_points(&[]);
    for (place, expected) in [
        ("(i32.const -1)", TrapKind::BadAllocation),
        ("(i32.const 65530)", TrapKind::BadAllocation),
        ("(unreachable)", TrapKind::Unreachable),
        ("(loop $l (br $l)) (unreachable)", TrapKind::OutOfGas),
    ] {
        let module = compile(&format!(
            "(module (memory (export \"memory\") 1)
              (func (export \"paralith_alloc\") (param i32) (result i32) {place}) {rest})"
        ));
        assert_eq!(trap(execute(&module)).kind, expected, "{place}");
    }
}

#[test]
fn an_allocator_that_needs_the_allocator_is_a_trap() {
    let rest = entry_points(&[]);
    let module = compile(&format!(
        "(module (import \"paralith_v1\" \"state_get\" (func $get (param i32 i32) (result i64)))
          (memory (export \"memory\") 1)
          (func (export \"paralith_alloc\") (param i32) (result i32)
            (drop (call $get (i32.const 0) (i32.const 1))) (i32.const 0)) {rest})"
    ));
    let mut state = Memory::default();
    state.entries.insert(vec![0], vec![1]);
    let result = module.call(Export::Execute, b"request", env(&mut state), GAS);
    assert_eq!(trap(result).kind, TrapKind::Reentrancy);
}

#[test]
fn calls_that_may_only_read_trap_on_every_write() {
    for write in [
        "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))",
        "(call $state_remove (i32.const 0) (i32.const 1))",
        "(drop (call $emit_message (i32.const 0) (i32.const 0)))",
        "(call $emit_event (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))",
        "(call $request_reveal (i32.const 0) (i32.const 1))",
    ] {
        for export in Export::ALL {
            let name = export.name();
            let entry = format!(
                "(func (export \"{name}\") (param i32 i32) (result i64) {write} (i64.const 2))"
            );
            let mut state = Memory::default();
            let module = compile(&guest::text(&[name], &entry));
            let result = module.call(export, b"request", env(&mut state), GAS);
            let refused = matches!(
                &result,
                Err(CallError::Guest(trap)) if trap.kind == TrapKind::ReadOnly
            );
            assert_eq!(refused, export.read_only(), "{name}: {write}");
            assert!(!refused || state == Memory::default());
        }
    }
}

#[test]
fn a_state_that_cannot_be_read_is_the_nodes_fault() {
    for body in [
        "(drop (call $state_get (i32.const 0) (i32.const 1)))",
        "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))",
        "(call $state_remove (i32.const 0) (i32.const 1))",
        "(call $request_reveal (i32.const 0) (i32.const 1))",
    ] {
        let module = executes(&format!("{body} (i64.const 2)"), "");
        let mut state = Memory { broken: true, ..Memory::default() };
        let result = module.call(Export::Execute, b"request", env(&mut state), GAS);
        assert!(matches!(result, Err(CallError::Node(NodeFault::State(_)))), "{body}: {result:?}");
    }
}

#[test]
fn codes_of_traps_never_change() {
    use TrapKind::*;
    let all = [
        OutOfGas,
        Unreachable,
        CallDepth,
        MemoryOutOfBounds,
        TableOutOfBounds,
        IndirectCallToNull,
        BadSignature,
        DivisionByZero,
        IntegerOverflow,
        BadConversion,
        BadPointer,
        TooLong,
        ReservedKey,
        ReadOnly,
        PublicRuntime,
        BadMessage,
        TooManyEffects,
        Reentrancy,
        BadAllocation,
        BadOutcome,
    ];
    let codes = all.map(TrapKind::code);
    assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30]);
}
