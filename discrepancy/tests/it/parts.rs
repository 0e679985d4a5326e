//! A stored pool comes back as it was; one that no votes lead to is refused.

use std::collections::BTreeMap;

use discrepancy::{FailReason, PartsError, Pool, PoolParts, ResultHash, Signer, Verdict};

use crate::script::{self, node, proposal, result};

type Break = fn(&mut PoolParts);

#[test]
fn a_pool_survives_its_parts() {
    for script in ["", "10 a0Px b0Px .", "10 a0Px b0Py .", "10 b0Px c0Qx", "10 a0Px b0Px c0Px ."] {
        let (pool, _) = script::run("abc/def/1/5/0", script);
        assert_eq!(Pool::from_parts(pool.to_parts()), Ok(pool), "{script}");
    }
}

#[test]
fn broken_parts_are_refused() {
    let stranger = PartsError::Stranger { signer: node('z') };
    let open = "10 a0Px b0Px .";
    let dispute = "10 a0Px b0Py .";
    let lying = "10 a0Px b0Py d0Py e0Py .";
    let rows: [(&str, &str, Break, PartsError); 20] = [
        (
            "a vote of a stranger",
            open,
            |p| {
                votes(p).insert(node('z'), None);
            },
            stranger,
        ),
        (
            "a stranger equivocates",
            open,
            |p| {
                p.equivocators.insert(node('z'));
            },
            stranger,
        ),
        ("a pool at no rank", open, |p| copy_pool(p, 7), PartsError::Pool { rank: 7 }),
        (
            "a pool at a void rank",
            open,
            |p| {
                p.void.insert(0);
            },
            PartsError::Pool { rank: 0 },
        ),
        (
            "a void rank that is none",
            open,
            |p| {
                p.void.insert(3);
            },
            PartsError::Pool { rank: 3 },
        ),
        (
            "an empty pool",
            "10 b0Px .",
            |p| p.pools.get_mut(&0).unwrap().votes.clear(),
            PartsError::Pool { rank: 0 },
        ),
        (
            "the scheduler's vote is not among the votes",
            open,
            |p| {
                votes(p).remove(&node('a'));
            },
            PartsError::Pool { rank: 0 },
        ),
        (
            "the scheduler's vote is another one",
            open,
            |p| {
                votes(p).insert(node('a'), Some(result('y')));
            },
            PartsError::Pool { rank: 0 },
        ),
        (
            "the scheduler voted, but nobody saw it",
            "10 b0Px .",
            |p| {
                votes(p).insert(node('a'), Some(result('x')));
            },
            PartsError::Pool { rank: 0 },
        ),
        ("a lead without a pool", open, |p| p.pools.clear(), PartsError::Lead),
        ("a lead unnoticed", open, |p| p.lead = None, PartsError::Lead),
        ("a lead that never times out", open, |p| p.timeout = None, PartsError::Lead),
        ("a worse rank is kept", "10 b1Px .", |p| copy_unled(p, 2), PartsError::Lead),
        ("another rank in dispute", "10 b1Px c1Py . 15 .", |p| copy_unled(p, 0), PartsError::Lead),
        ("a grace in dispute", dispute, |p| p.grace = Some(12), PartsError::Lead),
        ("it ended with a wait", open, |p| p.closed = Some(Verdict::Wait), PartsError::Verdict),
        (
            "it ended with another result",
            "10 a0Px b0Px c0Px .",
            |p| {
                let (proposal, result) = (proposal('P'), result('y'));
                p.closed = Some(Verdict::Finalise { rank: 0, proposal, result });
            },
            PartsError::Verdict,
        ),
        (
            "nobody contradicts the lying scheduler",
            dispute,
            |p| p.closed = Some(Verdict::Fail(FailReason::LyingScheduler)),
            PartsError::Verdict,
        ),
        (
            "it ended for want of a majority that nobody asked for",
            open,
            |p| p.closed = Some(Verdict::Fail(FailReason::NoMajority)),
            PartsError::Verdict,
        ),
        (
            "it ended void with ranks left",
            lying,
            |p| p.closed = Some(Verdict::Fail(FailReason::AllVoid)),
            PartsError::Verdict,
        ),
    ];
    for (what, script, break_it, error) in rows {
        let mut parts = script::run("abc/def/1/5/0", script).0.to_parts();
        break_it(&mut parts);
        assert_eq!(Pool::from_parts(parts), Err(error), "{what}");
    }
    let mut parts = script::run("abc/def/1/5/0", open).0.to_parts();
    parts.config.round_timeout = 0;
    assert!(matches!(Pool::from_parts(parts), Err(PartsError::Config(_))));
}

fn votes(parts: &mut PoolParts) -> &mut BTreeMap<Signer, Option<ResultHash>> {
    &mut parts.pools.get_mut(&0).unwrap().votes
}

fn copy_pool(parts: &mut PoolParts, rank: u64) {
    let pool = parts.pools[&0].clone();
    parts.pools.insert(rank, pool);
}

fn copy_unled(parts: &mut PoolParts, rank: u64) {
    let mut pool = parts.pools[&1].clone();
    pool.scheduler = None;
    pool.votes = [(node('d'), None)].into();
    parts.pools.insert(rank, pool);
}
