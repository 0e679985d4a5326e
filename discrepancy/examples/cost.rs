//! What a round costs the chain in the pool itself, without signatures: nanoseconds per vote and
//! per round, for the fast path (all workers agree) and for a dispute (the last worker differs,
//! then all backups vote).
//!
//! `cargo run --release -q -p discrepancy --example cost`
#![allow(clippy::expect_used)]

use discrepancy::{Config, Pool, ProposalId, ResultHash, Signer, Verdict, Vote};

const ROUNDS: u32 = 2000;

fn main() {
    println!(
        "{:>9} {:>8} {:>6} {:>11} {:>12}",
        "committee", "path", "votes", "ns/vote", "ns/round"
    );
    for members in [3, 32, 100] {
        for disputed in [false, true] {
            let path = if disputed { "disputed" } else { "fast" };
            let (votes, vote_ns, round_ns) = measure(members, disputed);
            println!("{members:>9} {path:>8} {votes:>6} {vote_ns:>11} {round_ns:>12}");
        }
    }
}

/// Votes in a round, nanoseconds of one vote, nanoseconds of the whole round from `Pool::new` to
/// the outcome.
fn measure(members: u8, disputed: bool) -> (usize, u128, u128) {
    let signers = |seat: u8| (0..members).map(move |i| Signer([i ^ seat; 32])).collect();
    let config = Config {
        workers: signers(0),
        backups: signers(128),
        allowed_stragglers: 1,
        round_timeout: 5,
        ..Config::default()
    };
    let workers = votes(&config.workers, disputed);
    let backups = if disputed { votes(&config.backups, false) } else { Vec::new() };
    let count = workers.len() + backups.len();

    let (mut voting, mut whole) = (0, 0);
    for _ in 0..ROUNDS {
        let config = config.clone();
        let start = now();
        let mut pool = Pool::new(config).expect("a valid committee");
        for (height, block) in [(10, &workers), (11, &backups)] {
            let first_vote = now();
            for vote in block {
                pool.vote(height, *vote).expect("a fresh vote");
            }
            voting += first_vote.elapsed().as_nanos();
            pool.end_block(height);
        }
        let outcome = pool.outcome();
        whole += start.elapsed().as_nanos();
        assert!(matches!(pool.closed(), Some(Verdict::Finalise { .. })) && outcome.is_some());
        assert_eq!(pool.disputed(), disputed);
    }
    let rounds = u128::from(ROUNDS);
    (count, voting / rounds / u128::try_from(count).expect("a small number"), whole / rounds)
}

fn votes(signers: &[Signer], last_differs: bool) -> Vec<Vote> {
    let (proposal, result) = (ProposalId([1; 32]), Some(ResultHash([1; 32])));
    let agreed = |signer: &Signer| Vote { signer: *signer, rank: 0, proposal, result };
    let mut votes: Vec<Vote> = signers.iter().map(agreed).collect();
    if let Some(last) = votes.last_mut().filter(|_| last_differs) {
        last.result = Some(ResultHash([2; 32]));
    }
    votes
}

// A measurement is what a clock is for; the crate itself has none.
#[allow(clippy::disallowed_types, clippy::disallowed_methods)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
