//! Rounds as one line of text.
//!
//! Setup: `abc/cde/1/5/0` = workers, backups, S, T, round, and after one more `/` the skipped.
//! Script: a number sets the height, `a0Px` is a's vote at rank 0 for proposal P with result x
//! (`-` is a fail), `.` ends the block. The trace names what was ignored and all verdicts.

use discrepancy::{Config, Ignored, Pool, ProposalId, ResultHash, Signer, Verdict, Vote};

pub(crate) fn node(name: char) -> Signer {
    Signer([u8::try_from(name).unwrap(); 32])
}

pub(crate) fn proposal(name: char) -> ProposalId {
    ProposalId([u8::try_from(name).unwrap(); 32])
}

pub(crate) fn result(name: char) -> ResultHash {
    ResultHash([u8::try_from(name).unwrap(); 32])
}

pub(crate) fn names<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    signers.into_iter().map(|signer| char::from(signer.0[0])).collect()
}

pub(crate) fn config(setup: &str) -> Config {
    let fields: Vec<&str> = setup.split('/').collect();
    Config {
        workers: fields[0].chars().map(node).collect(),
        backups: fields[1].chars().map(node).collect(),
        allowed_stragglers: fields[2].parse().unwrap(),
        round_timeout: fields[3].parse().unwrap(),
        round: fields[4].parse().unwrap(),
        skipped: fields.get(5).copied().unwrap_or_default().chars().map(node).collect(),
    }
}

pub(crate) fn vote(text: &str) -> Vote {
    let letters: Vec<char> = text.chars().collect();
    Vote {
        signer: node(letters[0]),
        rank: u64::from(letters[1].to_digit(10).unwrap()),
        proposal: proposal(letters[2]),
        result: (letters[3] != '-').then(|| result(letters[3])),
    }
}

pub(crate) fn run(setup: &str, script: &str) -> (Pool, String) {
    let mut pool = Pool::new(config(setup)).unwrap();
    let trace = play(&mut pool, script);
    (pool, trace)
}

/// Plays a script, storing and loading the pool after each step as a chain would.
pub(crate) fn play(pool: &mut Pool, script: &str) -> String {
    let mut trace = Vec::new();
    let mut height = 0;
    for step in script.split_whitespace() {
        if let Ok(number) = step.parse() {
            height = number;
        } else if step == "." {
            for verdict in pool.end_block(height) {
                trace.push(format!("{height}={}", verdict_name(verdict)));
            }
        } else if let Err(ignored) = pool.vote(height, vote(step)) {
            trace.push(format!("{step}:{}", ignored_name(ignored)));
        }
        *pool = Pool::from_parts(pool.to_parts()).unwrap();
    }
    trace.join(" ")
}

/// The state that a table looks at: lead, timeout, votes at the lead, void ranks, equivocators.
pub(crate) fn state(pool: &Pool) -> String {
    let number = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
    let votes: Vec<String> = pool
        .votes_at_lead()
        .iter()
        .map(|(signer, vote)| {
            let vote = vote.map_or('-', |result| char::from(result.0[0]));
            format!("{}{vote}", names([signer]))
        })
        .collect();
    let void: String = pool.void_ranks().iter().map(u64::to_string).collect();
    format!(
        "lead={} timeout={} votes={} void={void} eq={}",
        number(pool.lead()),
        number(pool.timeout()),
        votes.join(","),
        names(pool.equivocators()),
    )
}

fn verdict_name(verdict: Verdict) -> String {
    match verdict {
        Verdict::Wait => "wait".into(),
        Verdict::Discrepancy { rank, late: false } => format!("discrepancy({rank})"),
        Verdict::Discrepancy { rank, late: true } => format!("discrepancy({rank},late)"),
        Verdict::Finalise { rank, proposal, result } => {
            format!("finalise({rank}{}{})", char::from(proposal.0[0]), char::from(result.0[0]))
        }
        Verdict::Fail(reason) => reason.as_str().into(),
    }
}

fn ignored_name(ignored: Ignored) -> String {
    match ignored {
        Ignored::ConflictingProposal { scheduler } => format!("conflict({})", names([&scheduler])),
        Ignored::Duplicate => "duplicate".into(),
        Ignored::Equivocated => "equivocated".into(),
        Ignored::NotBackupInDispute => "not_backup".into(),
        Ignored::NotInCommittee => "stranger".into(),
        Ignored::OtherRankInDispute => "other_rank".into(),
        Ignored::RankUnknown => "no_rank".into(),
        Ignored::RankVoid => "void".into(),
        Ignored::RoundClosed => "closed".into(),
        Ignored::SchedulersOwnFail => "own_fail".into(),
        Ignored::WorseRank => "worse".into(),
    }
}
