//! Messages from consensus and results of own messages: what a `begin_block` that fails, a message
//! that it cannot bear, and rounds that fail do to value.

use paralith_consensus_api::roothash::{Message, ResultsHeader};
use paralith_proto::Wire;
use paralith_runtime_abi::{MAX_REQUEST_BYTES, MESSAGE_ATTEMPTS};
use paralith_runtime_api::output::IoLeaf;
use paralith_runtime_api::tx::Body;
use paralith_runtime_enclave::MESSAGE_SKIPPED;
use paralith_tee_channel::pb;
use proptest::prelude::*;

use crate::world::{Enclave, SENDER, World};
use crate::{call, guest, transaction};

/// A ledger. `d` is what users have, `p` what is being withdrawn. `begin_block` adds deposits to `d`
/// and takes a withdrawal out of `p` with each result, back into `d` if it was refused; it traps if
/// `p` would become negative, at a message with the data "t", and while `x` is set. `execute`
/// withdraws 10, or sets (`x`) or clears (`y`) `x`, as the last byte of its arguments says.
fn ledger() -> Vec<u8> {
    let transfer = format!("\\0a\\1a\\0a\\15\\00{}\\12\\01\\0a", "\\02".repeat(20));
    let text = format!(
        r#"(data (i32.const 64) "dpx")
        (data (i32.const 200) "{transfer}")
        (global $at (mut i32) (i32.const 0))
        (func $varint (result i64) (local $v i64) (local $s i64) (local $b i64)
          (loop $next
            (local.set $b (i64.load8_u (global.get $at)))
            (global.set $at (i32.add (global.get $at) (i32.const 1)))
            (local.set $v (i64.or (local.get $v)
              (i64.shl (i64.and (local.get $b) (i64.const 127)) (local.get $s))))
            (local.set $s (i64.add (local.get $s) (i64.const 7)))
            (br_if $next (i64.ge_u (local.get $b) (i64.const 128))))
          (local.get $v))
        (func $number (result i64) (local $n i32) (local $v i64)
          (local.set $n (i32.wrap_i64 (call $varint)))
          (block $end (loop $next
            (br_if $end (i32.eqz (local.get $n)))
            (local.set $v (i64.or (i64.shl (local.get $v) (i64.const 8))
              (i64.load8_u (global.get $at))))
            (global.set $at (i32.add (global.get $at) (i32.const 1)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $next)))
          (local.get $v))
        (func $skip (local $n i32)
          (local.set $n (i32.wrap_i64 (call $varint)))
          (global.set $at (i32.add (global.get $at) (local.get $n))))
        (func $get (param $key i32) (result i64) (local $place i64)
          (local.set $place (call $state_get (local.get $key) (i32.const 1)))
          (if (result i64) (i64.eq (local.get $place) (i64.const -1))
            (then (i64.const 0))
            (else (i64.load (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))))))
        (func $add (param $key i32) (param $value i64)
          (i64.store (i32.const 128) (i64.add (call $get (local.get $key)) (local.get $value)))
          (if (i64.lt_s (i64.load (i32.const 128)) (i64.const 0)) (then unreachable))
          (call $state_set (local.get $key) (i32.const 1) (i32.const 128) (i32.const 8)))
        (func $incoming (param $end i32) (local $tag i64) (local $n i32)
          (block $done (loop $next
            (br_if $done (i32.ge_u (global.get $at) (local.get $end)))
            (local.set $tag (call $varint))
            (if (i64.eq (local.get $tag) (i64.const 0x2a))
              (then (call $add (i32.const 64) (call $number)) (br $next)))
            (if (i64.eq (local.get $tag) (i64.const 0x32))
              (then
                (local.set $n (i32.wrap_i64 (call $varint)))
                (if (i32.and (i32.ne (local.get $n) (i32.const 0))
                    (i32.eq (i32.load8_u (global.get $at)) (i32.const 116)))
                  (then unreachable))
                (global.set $at (i32.add (global.get $at) (local.get $n)))
                (br $next)))
            (if (i64.eq (i64.and (local.get $tag) (i64.const 7)) (i64.const 0))
              (then (drop (call $varint)))
              (else (call $skip)))
            (br $next))))
        (func $result (param $end i32) (local $tag i64) (local $code i64)
          (block $done (loop $next
            (br_if $done (i32.ge_u (global.get $at) (local.get $end)))
            (local.set $tag (call $varint))
            (if (i64.eq (local.get $tag) (i64.const 0x18))
              (then (local.set $code (call $varint)) (br $next)))
            (if (i64.eq (i64.and (local.get $tag) (i64.const 7)) (i64.const 0))
              (then (drop (call $varint)))
              (else (call $skip)))
            (br $next)))
          (call $add (i32.const 65) (i64.const -10))
          (if (i64.ne (local.get $code) (i64.const 0))
            (then (call $add (i32.const 64) (i64.const 10)))))
        (func (export "begin_block") (param $p i32) (param $len i32) (result i64)
          (local $end i32) (local $tag i64) (local $n i32)
          (if (i64.ne (call $get (i32.const 66)) (i64.const 0)) (then unreachable))
          (global.set $at (local.get $p))
          (local.set $end (i32.add (local.get $p) (local.get $len)))
          (block $done (loop $next
            (br_if $done (i32.ge_u (global.get $at) (local.get $end)))
            (local.set $tag (call $varint))
            (if (i64.eq (local.get $tag) (i64.const 0x0a)) (then (call $skip) (br $next)))
            (local.set $n (i32.wrap_i64 (call $varint)))
            (local.set $n (i32.add (global.get $at) (local.get $n)))
            (if (i64.eq (local.get $tag) (i64.const 0x12))
              (then (call $incoming (local.get $n)))
              (else (call $result (local.get $n))))
            (br $next)))
          (i64.const 2))
        (func (export "execute") (param $p i32) (param $len i32) (result i64) (local $mode i32)
          (local.set $mode
            (i32.load8_u (i32.sub (i32.add (local.get $p) (local.get $len)) (i32.const 1))))
          (if (i32.eq (local.get $mode) (i32.const 120))
            (then (call $add (i32.const 66) (i64.const 1)) (return (i64.const 2))))
          (if (i32.eq (local.get $mode) (i32.const 121))
            (then (call $state_remove (i32.const 66) (i32.const 1)) (return (i64.const 2))))
          (call $add (i32.const 64) (i64.const -10))
          (call $add (i32.const 65) (i64.const 10))
          (if (i32.lt_s (call $emit_message (i32.const 200) (i32.const 28)) (i32.const 0))
            (then unreachable))
          (i64.const 2))"#
    );
    // A request of 4 MiB fits into its memory.
    let memory = guest::MEMORY.replace(" 2)", " 80)");
    let text = guest::text(&["begin_block", "execute"], &text).replace(guest::MEMORY, &memory);
    wat::parse_str(text).unwrap()
}

struct Bank {
    world: World,
    enclave: Enclave,
    nonce: u64,
}

impl Bank {
    fn new(max_in_messages: u32, max_messages: u32) -> Self {
        let mut world = World::new(ledger(), false);
        world.runtime.executor.max_in_messages = max_in_messages;
        world.runtime.executor.max_messages = max_messages;
        world.register();
        let enclave = world.enclave_with(1, |_| {});
        Self { world, enclave, nonce: 0 }
    }

    fn execute(&mut self, calls: &[&str]) -> (pb::Executed, Vec<Vec<u8>>) {
        let mut raws = Vec::new();
        for one in calls {
            raws.push(transaction(&self.world, 10, self.nonce, Body::Call(call(one))));
            self.nonce += 1;
        }
        (self.world.execute(&self.enclave, &raws).unwrap(), raws)
    }

    /// A final round. Gives the number of the message that it skipped, if it did.
    fn round(&mut self, calls: &[&str]) -> Option<u64> {
        let (executed, raws) = self.execute(calls);
        self.world.finalise(&executed, &raws);
        self.enclave.sync(self.world.chain.height());
        self.adds_up();
        let leaves: Vec<IoLeaf> = Wire::from_pb(executed.leaves).unwrap();
        let events = leaves.into_iter().flat_map(|leaf| leaf.events);
        let mut skipped = events.filter(|event| event.topic == MESSAGE_SKIPPED);
        skipped.next().map(|event| u64::from_be_bytes(event.data.try_into().unwrap()))
    }

    /// A round that is executed and fails.
    fn failed_round(&mut self, calls: &[&str]) {
        self.execute(calls);
        self.world.fail();
        self.enclave.sync(self.world.chain.height());
        self.adds_up();
    }

    /// What the runtime's account holds is what users have, what they withdraw and what waits, but
    /// for withdrawals that are paid and whose result the runtime has not taken yet.
    fn adds_up(&self) {
        let (have, under_way) = (self.world.stored(b"d"), self.world.stored(b"p"));
        let queues = &self.world.queues;
        let waiting: u128 = queues.incoming.iter().map(|message| message.tokens.0).sum();
        // A refund pays what never was the ledger's: only withdrawals are counted, which pay 10.
        let paid = queues.results.iter().filter(|one| {
            let paid = queues.paid.get(&(one.round.0, one.result.index));
            one.result.code == 0 && paid == Some(&10)
        });
        let paid = 10 * paid.count() as u128;
        assert_eq!(u128::from(have + under_way) + waiting, queues.account + paid);
    }

    /// Rounds until both queues are empty.
    fn drain(&mut self) {
        for _ in 0..200 {
            let queues = &self.world.queues;
            if queues.incoming.is_empty() && queues.results.is_empty() {
                assert_eq!(self.world.stored(b"p"), 0, "nothing is under way");
                return;
            }
            self.round(&[]);
        }
        panic!("a queue is stuck: {:?}", self.world.queues.incoming.first().map(|one| one.id));
    }
}

#[test]
fn a_queue_larger_than_a_request_is_taken_in_parts() {
    let mut bank = Bank::new(8, 4);
    for _ in 0..5 {
        bank.world.send_in(7, vec![0; 1_000_000]);
    }
    bank.round(&[]);
    assert_eq!(bank.world.queues.incoming.len(), 1, "four messages fit into one request");
    assert_eq!(bank.world.stored(b"d"), 28);
    bank.round(&[]);
    assert_eq!((bank.world.queues.incoming.len(), bank.world.stored(b"d")), (0, 35));
}

#[test]
fn a_withdrawal_that_was_paid_while_begin_block_failed_is_settled_once() {
    let mut bank = Bank::new(4, 4);
    bank.world.send_in(100, vec![]);
    bank.round(&[]);
    // The results of this round's withdrawals meet a `begin_block` that traps, for three rounds.
    bank.round(&["w", "w", "x"]);
    for round in 0..3 {
        bank.world.send_in(1, vec![]);
        bank.round(&[]);
        let queues = &bank.world.queues;
        assert_eq!((queues.results.len(), queues.incoming.len()), (2, round + 1));
        assert_eq!((bank.world.stored(b"d"), bank.world.stored(b"p")), (80, 20));
    }
    bank.round(&["y"]);
    bank.drain();
    assert_eq!((bank.world.stored(b"d"), bank.world.queues.account), (83, 83));
}

#[test]
fn a_message_that_begin_block_cannot_bear_is_skipped_and_its_tokens_go_back() {
    let mut bank = Bank::new(4, 4);
    for data in [&b""[..], b"t", b"", b""] {
        bank.world.send_in(50, data.to_vec());
    }
    let mut skipped = Vec::new();
    let mut rounds = 0;
    while !bank.world.queues.incoming.is_empty() {
        assert!(rounds < 40, "the queue is stuck");
        rounds += 1;
        skipped.extend(bank.round(&[]));
    }
    assert_eq!(skipped, [1]);
    assert!(rounds > 2 * MESSAGE_ATTEMPTS, "it had its attempts");
    assert_eq!((bank.world.stored(b"d"), bank.world.queues.account), (150, 150));
    let refund = bank.world.queues.paid.last_key_value().unwrap();
    assert_eq!((refund.0.1, *refund.1), (0, 50));
    // The guest never emitted that message, and does not get its result: that would trap.
    bank.drain();
    assert!(bank.world.queues.results.is_empty());
}

#[test]
fn the_refund_is_a_message_to_the_sender() {
    let mut bank = Bank::new(1, 1);
    bank.world.send_in(50, b"t".to_vec());
    let refund = (0..40).find_map(|_| {
        let (executed, raws) = bank.execute(&[]);
        bank.world.finalise(&executed, &raws);
        bank.enclave.sync(bank.world.chain.height());
        let results: ResultsHeader = Wire::from_pb(executed.results.unwrap()).unwrap();
        let messages: Vec<Message> = Wire::from_pb(executed.messages).unwrap();
        (results.in_messages_count == 1).then_some(messages)
    });
    let refund = refund.unwrap();
    let [Message::Transfer(transfer)] = refund.as_slice() else { panic!("one message") };
    assert_eq!((transfer.to, transfer.amount.0), (SENDER, 50));
}

#[test]
fn a_message_with_tokens_waits_while_the_round_may_send_nothing() {
    let mut bank = Bank::new(2, 0);
    bank.world.send_in(0, b"t".to_vec());
    bank.world.send_in(50, b"t".to_vec());
    let skipped: Vec<u64> = (0..60).filter_map(|_| bank.round(&[])).collect();
    assert_eq!(skipped, [0], "only the one that holds nothing");
    bank.world.runtime.executor.max_messages = 1;
    bank.world.register();
    bank.enclave.sync(bank.world.chain.height());
    bank.drain();
    assert_eq!((bank.world.stored(b"d"), bank.world.queues.account), (0, 0));
}

#[test]
fn a_message_that_no_request_holds_is_skipped_at_once() {
    let mut bank = Bank::new(2, 1);
    bank.world.send_in(50, vec![0; MAX_REQUEST_BYTES]);
    bank.world.send_in(7, vec![]);
    assert_eq!(bank.round(&[]), Some(0));
    assert_eq!((bank.world.stored(b"d"), bank.world.queues.account), (7, 7));
}

#[test]
fn a_runtime_that_is_broken_by_itself_skips_nothing() {
    let mut bank = Bank::new(4, 4);
    bank.round(&["x"]);
    bank.world.send_in(50, vec![]);
    let skipped: Vec<u64> = (0..30).filter_map(|_| bank.round(&[])).collect();
    assert_eq!(skipped, Vec::<u64>::new());
    bank.round(&["y"]);
    bank.drain();
    assert_eq!((bank.world.stored(b"d"), bank.world.queues.account), (50, 50));
}

#[test]
fn a_full_queue_of_results_lets_no_more_messages_out() {
    let mut bank = Bank::new(4, 4);
    bank.world.send_in(1_000_000, vec![]);
    bank.round(&[]);
    bank.round(&["x"]);
    let most = bank.world.chain.document.genesis.params.roothash.max_queued_results as usize;
    for _ in 0..most / 4 + 2 {
        // `exchange` of the test's world refuses a round that sends too many.
        bank.round(&["w", "w", "w", "w"]);
    }
    assert_eq!(bank.world.queues.results.len(), most);
    bank.round(&["y"]);
    bank.drain();
}

#[derive(Debug, Clone)]
enum Act {
    Deposit(u8),
    Poison(u8),
    Large(u8),
    Withdraw(u8),
    Break,
    Mend,
    Refuse,
    Round,
    FailedRound,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1..200u8).prop_map(Act::Deposit),
        1 => (0..100u8).prop_map(|half| Act::Poison(2 * half + 1)),
        1 => (0..200u8).prop_map(Act::Large),
        3 => (1..5u8).prop_map(Act::Withdraw),
        1 => Just(Act::Break),
        1 => Just(Act::Mend),
        1 => Just(Act::Refuse),
        4 => Just(Act::Round),
        2 => Just(Act::FailedRound),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 12, ..Default::default() })]
    #[test]
    fn value_is_conserved_whatever_happens(acts in prop::collection::vec(act(), 1..40)) {
        let mut bank = Bank::new(4, 3);
        for act in acts {
            match act {
                Act::Deposit(tokens) => bank.world.send_in(tokens.into(), vec![]),
                Act::Poison(tokens) => bank.world.send_in(tokens.into(), b"t".to_vec()),
                Act::Large(tokens) => bank.world.send_in(tokens.into(), vec![0; 1_500_000]),
                Act::Withdraw(count) => {
                    bank.round(&vec!["w"; count.into()]);
                }
                Act::Break => {
                    bank.round(&["x"]);
                }
                Act::Mend => {
                    bank.round(&["y"]);
                }
                Act::Refuse => bank.world.queues.refuses = true,
                Act::Round => {
                    bank.round(&[]);
                }
                Act::FailedRound => bank.failed_round(&["w"]),
            }
            bank.adds_up();
        }
        bank.world.queues.refuses = false;
        bank.round(&["y"]);
        bank.drain();
        let (have, account) = (bank.world.stored(b"d"), bank.world.queues.account);
        prop_assert!(u128::from(have) <= account, "{have} of {account}");
    }
}
