//! The configuration of a round and the order of its schedulers.

use discrepancy::{ConfigError, Pool};

use crate::script::{config, names, node};

#[test]
fn the_duty_moves_on_by_one_each_round() {
    // order[(k + len - r mod len) mod len]
    let rows = [
        ("abc/d/0/5/0", "abc"),
        ("abc/d/0/5/1", "cab"),
        ("abc/d/0/5/2", "bca"),
        ("abc/d/0/5/3", "abc"),
        ("abc/d/0/5/7", "cab"),
        ("a/d/0/5/9", "a"),
        ("abcd/d/0/5/1/b", "dac"),
        ("abcd/d/0/5/18446744073709551615/b", "acd"),
        ("abc/d/0/5/1/abc", "cab"),
        ("abc/d/0/5/1/z", "cab"),
    ];
    for (setup, order) in rows {
        let config = config(setup);
        assert_eq!(names(&config.scheduler_order()), order, "{setup}");
        for (rank, name) in (0..).zip(order.chars()) {
            assert_eq!(config.scheduler(rank), Some(node(name)), "{setup} rank {rank}");
            assert_eq!(config.rank_of(&node(name)), Some(rank), "{setup} {name}");
        }
        let ranks = u64::try_from(order.len()).unwrap();
        assert_eq!(config.scheduler(ranks), None, "{setup}");
        assert_eq!(config.scheduler(u64::MAX), None, "{setup}");
        assert_eq!(config.rank_of(&node('y')), None, "{setup}");
    }
    assert_eq!(config("abcd/d/0/5/1/b").rank_of(&node('b')), None, "skipped");
}

#[test]
fn a_round_that_cannot_be_decided_does_not_begin() {
    let rows = [
        ("abc/cde/2/3/0", Ok(())),
        ("abc//0/3/0", Ok(())),
        ("a/a/0/3/0", Ok(())),
        ("/abc/0/5/0", Err(ConfigError::NoWorkers)),
        ("abc/d/3/5/0", Err(ConfigError::TooManyStragglers { allowed: 3, workers: 3 })),
        ("abc/d/0/2/0", Err(ConfigError::TimeoutTooShort { timeout: 2 })),
        ("aba/d/0/5/0", Err(ConfigError::SeatedTwice { signer: node('a') })),
        ("abc/dd/0/5/0", Err(ConfigError::SeatedTwice { signer: node('d') })),
    ];
    for (setup, valid) in rows {
        assert_eq!(config(setup).validate(), valid, "{setup}");
        assert_eq!(Pool::new(config(setup)).map(|_| ()), valid, "{setup}");
    }
}
