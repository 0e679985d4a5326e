//! Call depth is the guest's, not the native stack's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;

use std::fmt::Write as _;

use guest::{Memory, answer, env, executes, text, trap};
use paralith_runtime_vm::{
    CallError, CallResult, Engine, Export, Optimization, TrapKind, UploadError,
};
use proptest::prelude::{Strategy, any};
use proptest::{prop_assert, proptest};

const GAS: u64 = 1 << 40;

fn engines() -> [Engine; 3] {
    [Optimization::None, Optimization::Speed, Optimization::SpeedAndSize]
        .map(|level| Engine::with_optimization(level).unwrap())
}

/// The result of `execute` and how deep it went, under each optimization.
fn at_all_levels(functions: &str) -> Vec<(Result<CallResult, CallError>, Vec<u8>)> {
    let code = wat::parse_str(text(&["execute"], functions)).unwrap();
    let run = |engine: Engine| {
        let mut state = Memory::default();
        let result =
            engine.compile(&code).unwrap().call(Export::Execute, b"", env(&mut state), GAS);
        (result, state.entries.get(b"depth".as_slice()).cloned().unwrap_or_default())
    };
    engines().map(run).to_vec()
}

/// Endless recursion, with this work before each step; writes down how deep it is.
fn recursion(locals: usize, work: &str) -> String {
    let locals = "i64 ".repeat(locals);
    format!(
        r#"(data (i32.const 64) "depth")
        (func $down (param $n i64) (result i64) (local {locals})
          (i64.store (i32.const 80) (local.get $n))
          (call $state_set (i32.const 64) (i32.const 5) (i32.const 80) (i32.const 8))
          {work}
          (i64.add (call $down (i64.add (local.get $n) (i64.const 1))) (local.get $n)))
        (func (export "execute") (param i32 i32) (result i64) (call $down (i64.const 1)))"#
    )
}

/// Makes `count` locals live across the recursive call.
fn live_locals(count: usize) -> String {
    let mut body = String::new();
    for i in 1..=count {
        write!(body, "(local.set {i} (i64.mul (local.get 0) (i64.const {})))", i + 3).unwrap();
    }
    let sum = (1..=count)
        .fold("(i64.const 0)".to_owned(), |sum, i| format!("(i64.add {sum} (local.get {i}))"));
    let down = "(drop (call $down (i64.add (local.get $n) (i64.const 1))))";
    format!("{body} {down} (i64.store (i32.const 96) {sum})")
}

/// Many values that do not change in a loop around the recursive call: a compiler hoists them, and
/// keeps them all alive without a single local.
fn hoisted_values(count: usize, value: fn(usize) -> String) -> String {
    let mut body = "(loop $l".to_owned();
    body.push_str("(drop (call $down (i64.add (local.get $n) (i64.const 1))))");
    for i in 0..count {
        let value = value(i * 7 + 12_345);
        write!(body, "(i64.store (i32.const {}) {value})", 128 + i * 8).unwrap();
    }
    body.push_str("(br $l))");
    body
}

fn product(i: usize) -> String {
    format!("(i64.mul (local.get $n) (i64.const {i}))")
}

fn float(i: usize) -> String {
    format!("(i64.reinterpret_f64 (f64.mul (f64.convert_i64_s (local.get $n)) (f64.const {i}.5)))")
}

#[test]
fn endless_recursion_ends_at_the_same_depth_under_every_optimization() {
    let cases = [
        ("a small frame", recursion(1, "")),
        ("many idle locals", recursion(2_000, "")),
        ("many live locals", recursion(300, &live_locals(300))),
        ("hoisted products", recursion(1, &hoisted_values(2_000, product))),
        ("hoisted floats", recursion(1, &hoisted_values(2_000, float))),
    ];
    for (what, functions) in cases {
        let runs = at_all_levels(&functions);
        for (result, depth) in &runs {
            assert_eq!(trap(result.clone()).kind, TrapKind::CallDepth, "{what}");
            assert!(!depth.is_empty());
            assert_eq!((result, depth), (&runs[0].0, &runs[0].1), "{what}");
        }
    }
}

#[test]
fn recursion_through_a_table_and_between_functions_is_metered_too() {
    let functions = r#"
      (type $step (func (param i64) (result i64)))
      (table 2 funcref) (elem (i32.const 0) $a $b)
      (func $a (type $step) (call_indirect (type $step) (local.get 0) (i32.const 1)))
      (func $b (type $step) (call $a (local.get 0)))
      (func (export "execute") (param i32 i32) (result i64) (call $a (i64.const 1)))"#;
    for (result, _) in at_all_levels(functions) {
        assert_eq!(trap(result).kind, TrapKind::CallDepth);
    }
}

#[test]
fn recursion_of_the_allocator_on_top_of_the_guest_is_metered_too() {
    // The allocator recurses, called from a host function that the deepest frame calls.
    let text = text(&["execute"], r#"
      (func $down (param $n i32) (result i64)
        (if (i32.eqz (local.get $n)) (then (return (call $state_get (i32.const 64) (i32.const 1)))))
        (call $down (i32.sub (local.get $n) (i32.const 1))))
      (func $deep (param i32) (result i32)
        (call $deep (i32.add (local.get 0) (i32.const 1))))
      (func (export "execute") (param i32 i32) (result i64)
        (global.set $trapped (i32.const 1))
        (call $down (i32.const 500)))"#)
        .replace("(global $heap", "(global $trapped (mut i32) (i32.const 0)) (global $heap")
        .replace("(global.get $heap)\n", "(if (global.get $trapped) (then (return (call $deep (i32.const 0)))))\n(global.get $heap)\n");
    let code = wat::parse_str(text).unwrap();
    for engine in engines() {
        let mut state = Memory::default();
        state.entries.insert(vec![0], vec![1]);
        let module = engine.compile(&code).unwrap();
        let result = module.call(Export::Execute, b"", env(&mut state), GAS);
        assert_eq!(trap(result).kind, TrapKind::CallDepth);
    }
}

#[test]
fn every_exit_of_a_function_gives_its_depth_back() {
    // Each exit is taken far more often than calls may be nested.
    let exits = [
        "(i64.const 3)",
        "(return (i64.const 3))",
        "(br 0 (i64.const 3))",
        "(block (br 1 (i64.const 3))) (unreachable)",
        "(block (loop (return (i64.const 3)))) (unreachable)",
        "(block (loop (br 2 (i64.const 3)))) (unreachable)",
        "(if (result i64) (local.get 0) (then (return (i64.const 3))) (else (i64.const 4)))",
        "(if (local.get 0) (then (block (br 2 (i64.const 3))))) (i64.const 4)",
        "(block (br_if 1 (i64.const 3) (local.get 0)) (drop) (return (i64.const 4))) (unreachable)",
        "(block (result i64) (br_table 0 1 (i64.const 3) (local.get 0)))",
        "(block (result i64) (br_table 1 0 (i64.const 3) (i32.const 0)))",
        "(i64.const 9) (i64.const 8) (return (i64.const 3))",
    ];
    for exit in exits {
        let module = executes(
            "(local $i i32) (local $sum i64)
            (loop $l
              (local.set $sum (i64.add (local.get $sum) (call $exits (i32.const 1))))
              (call $nothing (i32.const 1))
              (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 5000))))
            (call $answer (local.get $sum))",
            &format!(
                "(func $leaf)
                (func $exits (param i32) (result i64) (call $leaf) {exit})
                (func $nothing (param i32) (call $leaf)
                  (block (br_if 1 (local.get 0)) (return)) (call $leaf))"
            ),
        );
        let mut state = Memory::default();
        let result = module.call(Export::Execute, b"", env(&mut state), GAS);
        assert_eq!(answer(result), 15_000, "{exit}");
    }
}

#[test]
fn a_large_function_that_calls_nothing_is_metered() {
    // A frame that is not metered must be small: this leaf is not, and only fits near the ground.
    let leaf = format!("(func $leaf {})", "(drop (i32.const 1))".repeat(20_000));
    let functions = |depth: u32, end: &str| {
        format!(
            "{leaf} (func $down (param $n i32)
              (if (i32.eqz (local.get $n)) (then {end} (return)))
              (call $down (i32.sub (local.get $n) (i32.const 1))))
            (func (export \"execute\") (param i32 i32) (result i64)
              (call $down (i32.const {depth})) (i64.const 2))"
        )
    };
    for (depth, end) in [(1_200, ""), (800, "(call $leaf)")] {
        assert!(at_all_levels(&functions(depth, end)).iter().all(|(result, _)| result.is_ok()));
    }
    for (result, _) in at_all_levels(&functions(1_200, "(call $leaf)")) {
        assert_eq!(trap(result).kind, TrapKind::CallDepth);
    }
}

/// How a value that is kept on the operand stack is made.
#[derive(Debug, Clone, Copy)]
enum Kept {
    /// An integer from a parameter: three operators.
    Product,
    /// A float of a global: one operator, and 16 bytes where it is spilled.
    FloatGlobal,
    /// An integer of a global: one operator.
    Global,
    /// An integer from memory: two operators.
    Load,
}

/// Values that are kept over a recursive call, and where they go.
#[derive(Debug, Clone, Copy)]
struct Keep {
    kind: Kept,
    count: usize,
    /// All are arguments of one later call; else they are added up.
    as_arguments: bool,
}

/// A body that keeps values over recursive calls, group by group, each on top of those before.
fn keeping(groups: &[Keep]) -> String {
    let (mut pushed, mut taken, mut sinks) = (String::new(), String::new(), String::new());
    for (number, Keep { kind, count, as_arguments }) in groups.iter().enumerate() {
        let float = matches!(kind, Kept::FloatGlobal);
        for i in 0..*count {
            match kind {
                Kept::Product => {
                    write!(pushed, "(i64.mul (local.get $n) (i64.const {}))", i + 3).unwrap();
                }
                Kept::FloatGlobal => pushed.push_str("(global.get $float)"),
                Kept::Global => pushed.push_str("(global.get $integer)"),
                Kept::Load => {
                    write!(pushed, "(i64.load (i32.const {}))", 128 + i * 8).unwrap();
                }
            }
        }
        pushed.push_str("(drop (call $down (i64.add (local.get $n) (i64.const 1))))");
        let (ty, store) = if float { ("f64", "f64.store") } else { ("i64", "i64.store") };
        let mut used = String::new();
        if *as_arguments {
            let parameters = format!("{ty} ").repeat(*count);
            write!(
                sinks,
                "(func $sink{number} (param {parameters})
                   ({store} (i32.const 96) (local.get {})))",
                count - 1
            )
            .unwrap();
            write!(used, "(call $sink{number})").unwrap();
        } else {
            used.push_str(&format!("{ty}.add ").repeat(count - 1));
            write!(used, " global.set {}", if float { "$float" } else { "$integer" }).unwrap();
        }
        // The group on top is used first.
        taken.insert_str(0, &format!(" {used} "));
    }
    format!(
        "(global $float (mut f64) (f64.const 1.5)) (global $integer (mut i64) (i64.const 7))
         {sinks} {}",
        recursion(1, &format!("{pushed} {taken}"))
    )
}

/// Runs a guest at all levels: each gives the same result, or refuses the module.
fn same_or_refused(functions: &str) -> Result<(), String> {
    let code = wat::parse_str(text(&["execute"], functions)).unwrap();
    let mut first = None;
    for engine in engines() {
        let module = match engine.compile(&code) {
            Ok(module) => module,
            Err(UploadError::FrameTooLarge { .. } | UploadError::FunctionTooLarge { .. }) => {
                continue;
            }
            Err(other) => return Err(other.to_string()),
        };
        let mut state = Memory::default();
        let result = module.call(Export::Execute, b"", env(&mut state), GAS);
        if let Err(CallError::Node(fault)) = &result {
            return Err(fault.to_string());
        }
        let depth = state.entries.get(b"depth".as_slice()).cloned();
        let outcome = (result, depth);
        if *first.get_or_insert_with(|| outcome.clone()) != outcome {
            return Err(format!("{first:?} and {outcome:?}"));
        }
    }
    Ok(())
}

#[test]
fn values_kept_for_a_later_call_never_end_the_native_stack_first() {
    for kind in [Kept::Product, Kept::FloatGlobal, Kept::Global, Kept::Load] {
        for count in [100, 300, 900] {
            for as_arguments in [true, false] {
                let keep = Keep { kind, count, as_arguments };
                same_or_refused(&keeping(&[keep])).unwrap_or_else(|e| panic!("{keep:?}: {e}"));
            }
        }
    }
}

#[test]
fn what_compilers_make_is_not_refused_for_its_frames() {
    // Far more than a compiler keeps on the operand stack over a call.
    for kind in [Kept::Product, Kept::FloatGlobal, Kept::Global, Kept::Load] {
        let keep = Keep { kind, count: 100, as_arguments: true };
        let code = wat::parse_str(text(&["execute"], &keeping(&[keep; 3]))).unwrap();
        for engine in engines() {
            engine.compile(&code).unwrap();
        }
    }
}

fn keeps() -> impl Strategy<Value = Vec<Keep>> {
    let kind =
        proptest::sample::select(vec![Kept::Product, Kept::FloatGlobal, Kept::Global, Kept::Load]);
    let keep = (kind, 1_usize..200, any::<bool>()).prop_map(|(kind, count, as_arguments)| Keep {
        kind,
        count,
        as_arguments,
    });
    proptest::collection::vec(keep, 1..5)
}

proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 12,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn no_mix_of_kept_values_ends_the_native_stack_first(groups in keeps()) {
        let ran = same_or_refused(&keeping(&groups));
        prop_assert!(ran.is_ok(), "{groups:?}: {ran:?}");
    }
}
