//! The pool by itself.

use proptest::prelude::*;

use super::*;

fn batching(size: u32, bytes: u32, gas: u64) -> Batching {
    Batching {
        max_batch_size: size,
        max_batch_bytes: bytes,
        flush_timeout_ms: 10,
        propose_timeout_ms: 100,
        max_batch_gas: gas,
        empty_round_blocks: 0,
    }
}

fn tx(sender: u8, nonce: u64) -> PoolTx {
    let mut hash = [sender; 32];
    hash[0] = nonce as u8;
    PoolTx {
        hash: Hash(hash),
        sender: PublicKey([sender; 32]),
        nonce,
        fee: Amount(0),
        gas_limit: 10,
        raw: vec![0; 100],
    }
}

fn order(pool: &TxPool, batching: &Batching) -> Vec<(u8, u64)> {
    pool.batch(batching).iter().map(|tx| (tx.sender.0[1], tx.nonce)).collect()
}

#[test]
fn each_senders_transactions_leave_in_the_order_of_their_nonces() {
    let mut pool = TxPool::new(PoolLimits::default());
    for (sender, nonce) in [(1, 1), (2, 5), (1, 0), (2, 6)] {
        pool.add(0, tx(sender, nonce)).unwrap();
    }
    let all = batching(10, 10_000, 1_000);
    assert_eq!(order(&pool, &all), [(2, 5), (1, 0), (1, 1), (2, 6)]);
}

#[test]
fn a_gap_is_not_proposed_until_it_closes() {
    let mut pool = TxPool::new(PoolLimits::default());
    for nonce in [0, 2] {
        pool.add(0, tx(1, nonce)).unwrap();
    }
    let all = batching(10, 10_000, 1_000);
    assert_eq!(order(&pool, &all), [(1, 0)]);
    pool.finalised(&tx(1, 0).hash);
    assert_eq!(order(&pool, &all), []);
    pool.add(0, tx(1, 1)).unwrap();
    assert_eq!(order(&pool, &all), [(1, 1), (1, 2)]);
}

#[test]
fn a_gap_that_the_runtime_reports_is_waited_for() {
    let mut pool = TxPool::new(PoolLimits::default());
    let (all, sender) = (batching(10, 10_000, 1_000), tx(1, 0).sender);
    pool.expect(sender, b"not a nonce");
    pool.add(0, tx(1, 7)).unwrap();
    assert_eq!(order(&pool, &all), [(1, 7)], "nothing is known");
    pool.expect(sender, &5_u64.to_be_bytes());
    assert_eq!(order(&pool, &all), []);
    assert_eq!(pool.view(&all).waiting, 0);
    pool.add(0, tx(1, 6)).unwrap();
    pool.add(0, tx(1, 5)).unwrap();
    pool.expect(sender, &3_u64.to_be_bytes());
    assert_eq!(order(&pool, &all), [(1, 5), (1, 6), (1, 7)], "an older report changes nothing");
    assert_eq!(pool.view(&all).waiting, 3);
    pool.finalised(&tx(1, 5).hash);
    pool.remove(&tx(1, 6).hash);
    pool.finalised(&tx(1, 6).hash);
    assert_eq!(order(&pool, &all), [], "what closed elsewhere, the runtime reports");
    pool.expect(sender, &7_u64.to_be_bytes());
    assert_eq!(order(&pool, &all), [(1, 7)]);
}

#[test]
fn a_gap_that_closed_elsewhere_holds_nobody_up() {
    let mut pool = TxPool::new(PoolLimits::default());
    pool.add(0, tx(1, 0)).unwrap();
    pool.finalised(&tx(1, 0).hash);
    pool.add(0, tx(1, 2)).unwrap();
    pool.finalised(&tx(1, 1).hash);
    assert_eq!(order(&pool, &batching(10, 10_000, 1_000)), [(1, 2)]);
}

#[test]
fn a_batch_closes_by_number_bytes_and_gas() {
    let mut pool = TxPool::new(PoolLimits::default());
    for nonce in 0..4 {
        pool.add(7 + nonce, tx(1, nonce)).unwrap();
    }
    for (desc, limits, waiting, full) in [
        ("everything fits", batching(5, 400, 40), 4, false),
        ("as many as a batch takes", batching(4, 400, 40), 4, true),
        ("too many bytes", batching(5, 399, 40), 3, true),
        ("too much gas", batching(5, 400, 25), 2, true),
    ] {
        let view = PoolView { waiting, full, oldest_ms: Some(7) };
        assert_eq!(pool.view(&limits), view, "{desc}");
    }
}

#[test]
fn what_is_known_of_the_pool_follows_its_changes() {
    let mut pool = TxPool::new(PoolLimits::default());
    let limits = batching(2, 1_000, 1_000);
    let seen = |pool: &mut TxPool| {
        let PoolView { waiting, full, oldest_ms } = pool.view(&limits);
        (waiting, full, oldest_ms)
    };
    assert_eq!(seen(&mut pool), (0, false, None));
    pool.add(3, tx(1, 0)).unwrap();
    assert_eq!(seen(&mut pool), (1, false, Some(3)));
    pool.add(4, tx(1, 1)).unwrap();
    pool.add(5, tx(1, 2)).unwrap();
    assert_eq!(seen(&mut pool), (2, true, Some(3)));
    pool.finalised(&tx(1, 0).hash);
    assert_eq!(seen(&mut pool), (2, true, Some(4)));
    pool.remove(&tx(1, 1).hash);
    assert_eq!(seen(&mut pool), (0, false, None), "behind a gap");
    let one = batching(1, 1_000, 1_000);
    pool.add(6, tx(1, 1)).unwrap();
    assert_eq!((seen(&mut pool).0, pool.view(&one).waiting), (2, 1), "other limits");
}

#[test]
fn what_waits_long_is_checked_again_each_time_after_a_while() {
    let mut pool = TxPool::new(PoolLimits::default());
    pool.add(0, tx(2, 0)).unwrap();
    pool.add(1, tx(1, 0)).unwrap();
    pool.add(9, tx(3, 0)).unwrap();
    let mut due = |now_ms, limit| {
        let due = pool.to_recheck(now_ms, now_ms - 5, limit);
        due.iter().map(|tx| tx.sender.0[1]).collect::<Vec<_>>()
    };
    assert_eq!(due(10, 1), [2]);
    assert_eq!(due(10, 9), [1]);
    assert_eq!(due(15, 9), [3]);
    assert_eq!(due(16, 9), [2, 1]);
}

fn limits(count_max: usize, bytes_max: usize) -> PoolLimits {
    PoolLimits { count_max, bytes_max, of_sender_max: 64 }
}

fn paying(sender: u8, nonce: u64, price: u128) -> PoolTx {
    let tx = tx(sender, nonce);
    PoolTx { fee: Amount(price * u128::from(tx.gas_limit)), ..tx }
}

#[test]
fn what_the_pool_cannot_take_is_refused_for_its_own_reason() {
    let mut pool = TxPool::new(limits(2, 250));
    pool.add(0, tx(1, 0)).unwrap();
    let other = PoolTx { hash: Hash([9; 32]), ..tx(1, 0) };
    let long = PoolTx { raw: vec![0; 151], ..tx(3, 0) };
    for (tx, error) in [
        (tx(1, 0), PoolError::Duplicate),
        (other, PoolError::NonceTaken { nonce: 0 }),
        (long, PoolError::Full),
    ] {
        assert_eq!(pool.add(0, tx), Err(error));
    }
    pool.add(0, tx(2, 0)).unwrap();
    assert_eq!(pool.add(0, tx(3, 0)), Err(PoolError::Full));
    pool.remove(&tx(1, 0).hash);
    pool.add(0, tx(3, 0)).unwrap();
    assert_eq!(pool.len(), 2);
}

#[test]
fn those_that_pay_most_for_a_unit_of_gas_leave_first() {
    let mut pool = TxPool::new(PoolLimits::default());
    let dear = PoolTx { fee: Amount(90), gas_limit: 30, ..tx(4, 0) };
    // A large fee for much gas is a low price.
    let whole_batch = PoolTx { fee: Amount(500), gas_limit: 1_000, ..tx(5, 0) };
    for tx in [paying(1, 0, 1), paying(2, 0, 2), paying(2, 1, 9), dear, whole_batch, tx(3, 0)] {
        pool.add(0, tx).unwrap();
    }
    let all = batching(10, 10_000, 2_000);
    // The second of sender 2 has to wait for its first.
    assert_eq!(order(&pool, &all), [(4, 0), (2, 0), (2, 1), (1, 0), (5, 0), (3, 0)]);
}

#[test]
fn one_that_reserves_a_whole_batch_waits_for_those_that_pay_and_holds_up_nobody() {
    let mut pool = TxPool::new(PoolLimits::default());
    pool.add(0, PoolTx { gas_limit: 100, ..tx(1, 0) }).unwrap();
    for sender in 2..7 {
        pool.add(0, tx(sender, 0)).unwrap();
    }
    // It came first, at the same price: it has its batch, and the others the next one.
    let hundred = batching(10, 10_000, 100);
    assert_eq!(order(&pool, &hundred), [(1, 0)]);
    pool.add(0, paying(7, 0, 1)).unwrap();
    assert_eq!(order(&pool, &hundred), [(7, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)]);
    assert!(pool.view(&hundred).full, "a transaction is left over");
}

#[test]
fn one_sender_cannot_fill_the_pool() {
    let mut pool = TxPool::new(PoolLimits { of_sender_max: 3, ..limits(5, 10_000) });
    for nonce in 0..3 {
        pool.add(0, paying(1, nonce, 9)).unwrap();
    }
    assert_eq!(pool.add(0, paying(1, 3, 99)), Err(PoolError::SenderFull { limit: 3 }));
    pool.add(0, tx(2, 0)).unwrap();
}

#[test]
fn a_full_pool_lets_the_cheapest_go_and_makes_no_gap() {
    let mut pool = TxPool::new(limits(4, 10_000));
    for (sender, nonce, price) in [(1, 0, 5), (1, 1, 1), (1, 2, 9), (2, 0, 2)] {
        pool.add(0, paying(sender, nonce, price)).unwrap();
    }
    // (1, 2) pays 9, but leaves after (1, 1), which pays 1.
    assert_eq!(pool.add(0, paying(3, 0, 1)), Err(PoolError::Full), "it pays no more than those");
    let gone = pool.add(0, paying(3, 0, 2)).unwrap();
    assert_eq!(gone, [paying(1, 2, 9)]);
    assert_eq!(pool.add(0, paying(4, 0, 3)).unwrap(), [paying(1, 1, 1)]);
    // Of two that pay the same the later one goes.
    assert_eq!(pool.add(0, paying(5, 0, 3)).unwrap(), [paying(3, 0, 2)]);
    assert_eq!(pool.add(0, paying(6, 0, 3)).unwrap(), [paying(2, 0, 2)]);
    assert_eq!(pool.add(0, paying(7, 0, 3)), Err(PoolError::Full));
    assert_eq!(order(&pool, &batching(10, 10_000, 1_000)), [(1, 0), (4, 0), (5, 0), (6, 0)]);
}

#[test]
fn a_long_transaction_makes_room_for_itself_by_bytes_or_changes_nothing() {
    let mut pool = TxPool::new(limits(10, 450));
    for sender in 1..5 {
        pool.add(0, paying(sender, 0, u128::from(sender))).unwrap();
    }
    let long = |price| PoolTx { raw: vec![0; 250], ..paying(9, 0, price) };
    assert_eq!(pool.add(0, long(2)), Err(PoolError::Full), "one cheaper one is not enough");
    assert_eq!(pool.len(), 4);
    let gone: Vec<u8> = pool.add(0, long(3)).unwrap().iter().map(|tx| tx.sender.0[1]).collect();
    assert_eq!(gone, [1, 2]);
}

#[derive(Debug, Clone)]
enum Step {
    Add { sender: u8, nonce: u64, price: u128, bytes: usize },
    Remove { sender: u8, nonce: u64 },
    Finalise { sender: u8, nonce: u64 },
    Expect { sender: u8, nonce: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (1_u8..6, 0_u64..6);
    prop_oneof![
        4 => (place(), 0_u128..5, 1_usize..200).prop_map(|((sender, nonce), price, bytes)| {
            Step::Add { sender, nonce, price, bytes }
        }),
        1 => place().prop_map(|(sender, nonce)| Step::Remove { sender, nonce }),
        1 => place().prop_map(|(sender, nonce)| Step::Finalise { sender, nonce }),
        1 => place().prop_map(|(sender, nonce)| Step::Expect { sender, nonce }),
    ]
}

proptest! {
    #[test]
    fn the_pool_keeps_its_bounds_and_its_batches_have_no_gaps(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let bounds = PoolLimits { count_max: 8, bytes_max: 900, of_sender_max: 4 };
        let mut pool = TxPool::new(bounds);
        for (now, step) in (0..).zip(steps) {
            match step {
                Step::Add { sender, nonce, price, bytes } => {
                    let tx = PoolTx { raw: vec![0; bytes], ..paying(sender, nonce, price) };
                    let before = pool.len();
                    let cheapest = pool.all().iter().map(PoolTx::price).min();
                    match pool.add(now, tx.clone()) {
                        Ok(gone) => {
                            prop_assert_eq!(pool.len(), before + 1 - gone.len());
                            prop_assert!(gone.is_empty() || cheapest < Some(tx.price()));
                        }
                        Err(_) => prop_assert_eq!(pool.len(), before),
                    }
                }
                Step::Remove { sender, nonce } => { pool.remove(&tx(sender, nonce).hash); }
                Step::Finalise { sender, nonce } => pool.finalised(&tx(sender, nonce).hash),
                Step::Expect { sender, nonce } => {
                    pool.expect(tx(sender, 0).sender, &nonce.to_be_bytes());
                }
            }
            let all = pool.all();
            let bytes: usize = all.iter().map(|tx| tx.raw.len()).sum();
            prop_assert!(all.len() <= bounds.count_max && bytes <= bounds.bytes_max);
            prop_assert_eq!((pool.len(), pool.bytes), (all.len(), bytes));
            prop_assert_eq!(pool.tails.len(), pool.by_sender.len());
            let batch = pool.batch(&batching(5, 600, 40));
            prop_assert!(batch.len() <= 4);
            for (place, tx) in batch.iter().enumerate() {
                let known = pool.next_nonces.get(&tx.sender).map(|next| next.nonce);
                let mut earlier = batch[..place].iter().filter(|other| other.sender == tx.sender);
                prop_assert!(earlier.clone().all(|other| other.nonce < tx.nonce));
                if let Some(before) = earlier.next_back() {
                    prop_assert_eq!(before.nonce + 1, tx.nonce);
                } else if let Some(known) = known {
                    prop_assert!(tx.nonce <= known);
                }
            }
        }
    }
}
