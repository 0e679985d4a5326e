//! What executing a batch gives.

use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::class::{Class, Classes};
use paralith_private_contract_core::messages::{
    Action, Batch, BatchKind, Canonical, ContentHash, DepositRecord, TransactionRecord,
    TransactionStatus,
};
use paralith_private_contract_core::prf::{BATCH_KEY, salted};
use paralith_private_contract_core::vote::inputs_hash;
use paralith_private_contract_stakeholder::{Code, Executed, GivenCall, Inputs, TxInput};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_runtime_vm::{Engine, Optimization, TrapKind};
use paralith_storage::{Durability, Kv, Tree, WriteBatch};
use paralith_types::{Amount, Hash, PublicKey};
use prost::Message as _;

use crate::guests::{engine, guest};
use crate::model::{PLACE, address};
use crate::world::package;

const GAS: u64 = 100_000_000;

fn literal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// Does what the last byte of the call's arguments says.
fn module() -> Vec<u8> {
    let transfer = abi::TransferMessage { to: address(6).0.to_vec(), amount: vec![5] };
    let message =
        abi::ConsensusMessage { kind: Some(abi::ConsensusMessageKind::Transfer(transfer)) };
    let message = message.encode_to_vec();
    let emit = format!("(call $emit (i32.const 256) (i32.const {}))", message.len());
    let add = "(call $write (i64.add (call $read) (i64.const 1)))";
    let bodies = [
        format!("{add} (return (call $answer (call $read)))"),
        format!("{add} unreachable"),
        format!("{add} (return (call $fail))"),
        format!("(return (call $answer (i64.extend_i32_s {emit})))"),
        format!("(drop {emit}) (return (call $fail))"),
        "(call $event (i32.const 512) (i32.const 9) (i32.const 64) (i32.const 1))".into(),
        "(call $event (i32.const 513) (i32.const 8) (i32.const 64) (i32.const 1))".into(),
        "(call $random (i32.const 72) (i32.const 8)) (call $write (i64.load (i32.const 72)))".into(),
        "(call $derive (i32.const 64) (i32.const 1) (i32.const 1024)) (call $write (i64.load (i32.const 1024)))".into(),
        "(call $reveal (i32.const 64) (i32.const 1))".into(),
        "(call $wake (i64.const 5))".into(),
        "(drop (call $consensus (i32.const 64) (i32.const 1)))".into(),
    ];
    let execute: String = (0..)
        .zip(bodies)
        .map(|(number, body)| {
            format!("(if (i32.eq (local.get $what) (i32.const {number})) (then {body}))\n")
        })
        .collect();
    let rest = format!(
        r#"(data (i32.const 256) "{}")
        (data (i32.const 512) "public/ev")
        (data (i32.const 530) "q")
        (func $act (param $what i32) (result i64) {execute} (call $ok))"#,
        literal(&message)
    );
    let last = "(i32.load8_u (i32.sub (i32.add (local.get $at) (local.get $len)) (i32.const 1)))";
    let begin = "(call $set (i32.const 530) (i32.const 1) (i32.const 530) (i32.const 1))
        (i64.store (i32.const 72) (i64.extend_i32_u (local.get $len)))
        (call $set (i32.const 530) (i32.const 1) (i32.const 72) (i32.const 8)) (call $ok)";
    let execute = format!("(call $act {last})");
    guest(&[("execute", &execute), ("begin_block", begin)], &rest)
}

struct One {
    code: Code,
    tree: Tree,
    root: Hash,
    batch: u64,
    seq: u64,
}

impl One {
    fn new(engine: &Engine, module: Vec<u8>) -> Self {
        let code = Code::new(engine, PLACE, &package(module, b""), GAS).unwrap();
        let tree = Tree::new(Kv::memory(), b"t");
        let (changes, root) = code.init(&tree).unwrap();
        let prepared = tree.prepare(None, 0, &changes).unwrap();
        tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        Self { code, tree, root, batch: 0, seq: 1 }
    }

    fn inputs(&self, balance: u128, given: Vec<(Option<u8>, u128)>, deposits: &[u128]) -> Inputs {
        let count = given.len() as u64;
        let batch = Batch {
            number: self.batch + 1,
            version: 1,
            first_seq: if count == 0 { 0 } else { self.seq },
            last_seq: if count == 0 { 0 } else { self.seq + count - 1 },
            open_height: 50 + self.batch,
            epoch: 3,
            old_root: self.root,
            balance: Amount(balance),
            first_deposit: 0,
            last_deposit: 0,
            kind: BatchKind::Transactions,
        };
        let tx = |(seq, (what, payment)): (u64, (Option<u8>, u128))| {
            let record = TransactionRecord {
                tx_hash: Hash([seq as u8; 32]),
                sender: PublicKey([40; 32]),
                sender_address: address(40),
                sender_seq: seq,
                content_hash: ContentHash([1; 32]),
                content_bytes: 1,
                key_commitment: Hash([2; 32]),
                keys_version: 1,
                version: 1,
                height: 40,
                status: TransactionStatus::Pending,
                payment: Amount(payment),
                deposit: Amount::ZERO,
                reward: Amount::ZERO,
                batch: 0,
            };
            let sk = ContentKey::new([seq as u8; 32]);
            let given = match what {
                Some(what) => {
                    let call = abi::Call { method: "m".into(), args: vec![what] };
                    GivenCall::Call { sk, call: call.encode_to_vec() }
                }
                None if seq % 2 == 0 => GivenCall::Malformed,
                None => GivenCall::Missing,
            };
            TxInput { seq, record, given }
        };
        let transactions: Vec<TxInput> = (self.seq..).zip(given).map(tx).collect();
        let hashes: Vec<Hash> = transactions.iter().map(|tx| tx.record.tx_hash).collect();
        let deposit =
            |amount: &u128| DepositRecord { caller: address(41), tag: 4, amount: Amount(*amount) };
        let deposits = deposits.iter().map(deposit).collect();
        Inputs { inputs_hash: inputs_hash(&batch, &hashes), batch, deposits, transactions }
    }

    fn commit(&mut self, inputs: &Inputs, executed: &Executed) {
        let number = inputs.batch.number;
        let base = self.tree.latest().unwrap().unwrap().0;
        let prepared = self.tree.prepare(Some(base), number, &executed.changes).unwrap();
        assert_eq!(prepared.root(), executed.verdict.new_root);
        self.tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        self.root = executed.verdict.new_root;
        self.batch = number;
        self.seq += inputs.transactions.len() as u64;
    }

    fn run(&mut self, balance: u128, given: &[u8]) -> Executed {
        let given = given.iter().map(|what| (Some(*what), 0)).collect();
        let inputs = self.inputs(balance, given, &[]);
        let executed = self.code.execute(&self.tree, &inputs).unwrap();
        self.commit(&inputs, &executed);
        executed
    }

    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let version = self.tree.latest().unwrap().unwrap().0;
        self.tree.get(version, key).unwrap().map(|held| held[32..].to_vec())
    }
}

fn classes(executed: &Executed) -> Vec<Class> {
    let count = executed.log.calls.len();
    Classes::from_bytes(&executed.verdict.classes, count).unwrap().0
}

fn outputs(executed: &Executed) -> Vec<Output> {
    let output = |bytes: &Vec<u8>| Output::decode(bytes, 1 << 20).unwrap();
    executed.log.calls.iter().map(|call| output(&call.output)).collect()
}

fn answered(value: u64) -> Output {
    Output::Ok(value.to_le_bytes().to_vec())
}

#[test]
fn two_executors_give_one_verdict_on_a_thousand_random_batches() {
    let fast = Engine::with_optimization(Optimization::Speed).unwrap();
    let (mut one, mut two) = (One::new(&engine(), module()), One::new(&fast, module()));
    assert_eq!(one.root, two.root);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut seen = [false; 5];
    for _ in 0..1000 {
        let given = (0..next(5)).map(|_| {
            let what = next(14);
            ((what < 13).then_some(what as u8), u128::from(next(9)))
        });
        let given: Vec<_> = given.collect();
        let deposits: Vec<u128> = (0..next(3)).map(|_| u128::from(next(20)) + 1).collect();
        let balance = u128::from(next(30)) + deposits.iter().sum::<u128>();
        let inputs = one.inputs(balance, given, &deposits);
        let (first, second) = (
            one.code.execute(&one.tree, &inputs).unwrap(),
            two.code.execute(&two.tree, &inputs).unwrap(),
        );
        assert_eq!(first, second);
        classes(&first).iter().for_each(|class| seen[*class as usize] = true);
        one.commit(&inputs, &first);
        two.commit(&inputs, &second);
    }
    assert_eq!(seen, [false, true, true, true, true], "every class was there");
}

#[test]
fn a_payment_beyond_the_balance_is_refused_inside_the_call() {
    let mut one = One::new(&engine(), module());
    // 12 cover two payments of 5, and one of a call that fails does not count.
    let executed = one.run(12, &[4, 3, 4, 3, 3]);
    assert_eq!(outputs(&executed)[1], answered(0));
    assert_eq!(outputs(&executed)[3], answered(1));
    assert_eq!(outputs(&executed)[4], answered(u64::MAX));
    let (failed, done) = (Class::Failed, Class::Executed);
    assert_eq!(classes(&executed), [failed, done, failed, done, done]);
    assert_eq!(executed.actions.actions.len(), 2);
    // The batch's own payments count: those of calls that fail too, those of malformed ones not.
    let inputs = one.inputs(0, vec![(None, 5), (Some(2), 4), (Some(3), 1), (Some(3), 0)], &[]);
    let executed = one.code.execute(&one.tree, &inputs).unwrap();
    assert_eq!(outputs_of_calls(&executed)[1..], [answered(0), answered(u64::MAX)]);
}

fn outputs_of_calls(executed: &Executed) -> Vec<Output> {
    let calls = executed.log.calls.iter().filter(|call| !call.call.is_empty());
    calls.map(|call| Output::decode(&call.output, 1 << 20).unwrap()).collect()
}

#[test]
fn no_more_actions_than_a_batch_may_have() {
    let mut one = One::new(&engine(), module());
    let executed = one.run(1000, &[[3; 31].as_slice(), &[5, 5, 3, 6]].concat());
    assert_eq!(executed.actions.actions.len(), 32);
    assert!(matches!(executed.actions.actions[31], Action::Emit(_)));
    assert_eq!(classes(&executed)[31..34], [Class::Executed, Class::Failed, Class::Executed]);
    assert_eq!(outputs(&executed)[33], answered(u64::MAX));
}

#[test]
fn only_public_events_are_actions_and_their_prefix_is_dropped() {
    let mut one = One::new(&engine(), module());
    let executed = one.run(0, &[5, 6]);
    assert_eq!(classes(&executed), [Class::Executed; 2]);
    let [Action::Emit(emit)] = executed.actions.actions.as_slice() else { panic!() };
    assert_eq!((emit.topic.as_str(), emit.data.as_slice()), ("ev", b"n".as_slice()));
}

#[test]
fn imports_that_have_no_meaning_here_trap() {
    let mut one = One::new(&engine(), module());
    let executed = one.run(0, &[9, 10, 11, 0]);
    for output in &outputs(&executed)[..3] {
        let Output::Error(error) = output else { panic!("{output:?}") };
        assert_eq!((error.module.as_str(), error.code), ("wasm", TrapKind::Unavailable.code()));
    }
    assert_eq!(classes(&executed)[3], Class::Executed);
}

#[test]
fn a_call_that_fails_leaves_nothing_and_the_others_stand() {
    let mut one = One::new(&engine(), module());
    let executed = one.run(0, &[0, 1, 2, 0]);
    assert_eq!(outputs(&executed)[3], answered(2));
    assert_eq!(one.value(b"n"), Some(2_u64.to_le_bytes().to_vec()));
    assert_eq!(one.value(BATCH_KEY), Some(1_u64.to_be_bytes().to_vec()));
}

#[test]
fn entries_are_salted_by_batch_and_key_and_equal_values_have_other_salts() {
    let mut one = One::new(&engine(), module());
    let held = |executed: &Executed, key: &[u8]| executed.changes[key].clone().unwrap();
    let first = one.run(0, &[8]);
    let second = one.run(0, &[8]);
    let (first, second) = (held(&first, b"n"), held(&second, b"n"));
    assert_eq!(first[32..], second[32..], "`derive_key` gives the same");
    assert_ne!(first[..32], second[..32]);
    assert_eq!(first, salted(&Hash([22; 32]), 1, b"n", &first[32..]));
    // A batch without any effect has another root, too.
    let before = one.root;
    one.run(0, &[]);
    assert_ne!(one.root, before);
}

#[test]
fn draws_differ_between_calls_and_batches() {
    let mut one = One::new(&engine(), module());
    let mut drawn = std::collections::BTreeSet::new();
    for given in [&[7][..], &[7], &[0, 7]] {
        one.run(0, given);
        assert!(drawn.insert(one.value(b"n").unwrap()));
    }
}

#[test]
fn a_payment_has_its_result_in_the_next_begin_block_once() {
    let mut one = One::new(&engine(), module());
    let length = |one: &One| u64::from_le_bytes(one.value(b"q").unwrap().try_into().unwrap());
    one.run(0, &[0]);
    let without = length(&one);
    one.run(10, &[3, 3]);
    assert_eq!(length(&one), without);
    one.run(0, &[0]);
    let result = |index| abi::MessageResult { index, module: String::new(), code: 0, round: 2 };
    let more = [0, 1].map(|index| result(index).encoded_len() as u64 + 2);
    assert_eq!(length(&one), without + more.iter().sum::<u64>());
    one.run(0, &[0]);
    assert_eq!(length(&one), without);
}

#[test]
fn a_begin_block_that_fails_writes_nothing_and_makes_all_failed() {
    let module = guest(
        &[("begin_block", "(call $write (i64.const 9)) (call $fail)"), ("execute", "(call $ok)")],
        "",
    );
    let mut one = One::new(&engine(), module);
    let inputs = one.inputs(20, vec![(Some(0), 5), (None, 0), (Some(1), 0)], &[7]);
    let executed = one.code.execute(&one.tree, &inputs).unwrap();
    let class = classes(&executed);
    assert_eq!((class[0], class[2]), (Class::Failed, Class::Failed));
    assert!(!executed.verdict.taken);
    assert!(executed.changes.is_empty());
    assert_eq!(executed.verdict.new_root, inputs.batch.old_root);
    assert!(executed.actions.actions.is_empty());
    one.commit(&inputs, &executed);
    let other = one.inputs(0, vec![], &[]);
    let stale = Inputs { batch: Batch { old_root: Hash([9; 32]), ..other.batch.clone() }, ..other };
    assert!(one.code.execute(&one.tree, &stale).is_err(), "another root");
}

#[test]
fn migrate_is_a_batch_of_its_own_that_takes_deposits_or_leaves_nothing() {
    let (ok, fail) =
        ("(call $write (i64.const 7)) (call $ok)", "(call $write (i64.const 7)) (call $fail)");
    for (body, begin, class) in [
        (ok, "(call $ok)", Class::Executed),
        (fail, "(call $ok)", Class::Failed),
        (ok, "(call $fail)", Class::Failed),
    ] {
        let mut one = One::new(&engine(), guest(&[("migrate", body), ("begin_block", begin)], ""));
        let mut inputs = one.inputs(9, vec![], &[9]);
        inputs.batch.kind = BatchKind::Migrate;
        let executed = one.code.execute(&one.tree, &inputs).unwrap();
        assert_eq!(executed.verdict.classes, Classes(vec![class]).to_bytes());
        let done = class == Class::Executed;
        assert_eq!(executed.verdict.taken, done);
        assert_eq!(executed.verdict.new_root != inputs.batch.old_root, done);
        one.commit(&inputs, &executed);
        assert_eq!(one.value(b"n").is_some(), done);
    }
}

#[test]
fn the_genesis_root_follows_from_package_and_place_alone() {
    let roots: Vec<Hash> = (0..2)
        .map(|_| {
            One::new(&engine(), guest(&[("init", "(call $write (i64.const 3)) (call $ok)")], ""))
                .root
        })
        .collect();
    assert_eq!(roots[0], roots[1]);
    let failing = guest(&[("init", "(call $fail)")], "");
    let code = Code::new(&engine(), PLACE, &package(failing, b""), GAS).unwrap();
    assert!(code.init(&Tree::new(Kv::memory(), b"t")).is_err());
}
