//! The format of a replay.
//!
//! ```text
//! in:  {"workers":["a"],"backups":["d"],"stragglers":0,"timeout":5,"round":0,"skipped":[],
//!       "blocks":[{"height":10,"votes":[{"node":"a","rank":0,"proposal":"P","result":"x"}]}]}
//! out: {"verdicts":[[10,"finalise"]],"end":10,"result":"x","lead":0,"timeout":15,
//!       "good":["a"],"bad":[],"equivocators":[],"missed":[],"finalised":["a"]}
//! ```
//! A vote's `"result": null` is a `fail`. `result` is the final one. Evaluation stops at the end of
//! the round; lists are sorted.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};

use discrepancy::{Config, Pool, ProposalId, ResultHash, Signer, Verdict, Vote};
use serde::{Deserialize, Serialize};

/// What is wrong with a scenario.
type Problem = Box<dyn std::error::Error>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    workers: Vec<String>,
    backups: Vec<String>,
    stragglers: u32,
    timeout: u64,
    round: u64,
    skipped: Vec<String>,
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    height: u64,
    votes: Vec<Ballot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ballot {
    node: String,
    rank: u64,
    proposal: String,
    // Without this, serde would take a missing field for a fail.
    #[serde(deserialize_with = "Option::deserialize")]
    result: Option<String>,
}

#[derive(Serialize)]
struct Report {
    verdicts: Vec<(u64, String)>,
    end: Option<u64>,
    result: Option<String>,
    lead: Option<u64>,
    timeout: Option<u64>,
    good: Vec<String>,
    bad: Vec<String>,
    equivocators: Vec<String>,
    missed: Vec<String>,
    finalised: Vec<String>,
}

/// Replays every line; returns the exit code.
pub(crate) fn replay(input: impl BufRead, out: &mut impl Write, err: &mut impl Write) -> u8 {
    for (number, line) in (1_u64..).zip(input.lines()) {
        let replayed = line.map_err(Problem::from).and_then(|line| {
            if !line.trim().is_empty() {
                writeln!(out, "{}", replay_line(&line)?)?;
            }
            Ok(())
        });
        if let Err(problem) = replayed {
            // If stderr is gone too, the exit code still shows it.
            let _ = writeln!(err, "line {number}: {problem}");
            return 2;
        }
    }
    0
}

fn replay_line(line: &str) -> Result<String, Problem> {
    let scenario: Scenario = serde_json::from_str(line)?;
    let names = Names::of(&scenario);
    let mut pool = Pool::new(names.config(&scenario))?;
    let mut verdicts = Vec::new();
    let mut end = None;
    let mut last = None;

    for block in &scenario.blocks {
        if last >= Some(block.height) {
            return Err(format!("block {} is out of order", block.height).into());
        }
        last = Some(block.height);
        for ballot in &block.votes {
            // Why a vote is ignored is not part of the answer; what it exposed is in the pool.
            let _ = pool.vote(block.height, names.vote(ballot));
        }
        for verdict in pool.end_block(block.height) {
            verdicts.push((block.height, verdict_name(verdict)));
        }
        if pool.closed().is_some() {
            end = last;
            break;
        }
    }
    Ok(serde_json::to_string(&report(&pool, &names, verdicts, end))?)
}

fn report(
    pool: &Pool,
    names: &Names<'_>,
    verdicts: Vec<(u64, String)>,
    end: Option<u64>,
) -> Report {
    let outcome = pool.outcome().unwrap_or_default();
    let result = match pool.closed() {
        Some(Verdict::Finalise { result, .. }) => Some(names.name(&result.0)),
        _ => None,
    };
    let list = |signers: &[Signer]| signers.iter().map(|signer| names.name(&signer.0)).collect();
    Report {
        verdicts,
        end,
        result,
        lead: pool.lead(),
        timeout: pool.timeout(),
        good: list(&outcome.good),
        bad: list(&outcome.bad),
        equivocators: pool.equivocators().iter().map(|signer| names.name(&signer.0)).collect(),
        missed: list(&outcome.missed),
        finalised: list(&outcome.finalised),
    }
}

fn verdict_name(verdict: Verdict) -> String {
    match verdict {
        Verdict::Wait => "wait".into(),
        Verdict::Discrepancy { .. } => "discrepancy".into(),
        Verdict::Finalise { .. } => "finalise".into(),
        Verdict::Fail(reason) => format!("fail:{}", reason.as_str()),
    }
}

/// Every name of a scenario, sorted: its place is its id, so that ids sort as names do.
struct Names<'a>(Vec<&'a str>);

// What is asked for was collected before; a name that was not is a mistake in this file.
#[allow(clippy::expect_used)]
impl<'a> Names<'a> {
    fn of(scenario: &'a Scenario) -> Self {
        let nodes = [&scenario.workers, &scenario.backups, &scenario.skipped];
        let mut names: BTreeSet<&str> = nodes.into_iter().flatten().map(String::as_str).collect();
        for ballot in scenario.blocks.iter().flat_map(|block| &block.votes) {
            names.extend([ballot.node.as_str(), ballot.proposal.as_str()]);
            names.extend(ballot.result.as_deref());
        }
        Self(names.into_iter().collect())
    }

    fn id(&self, name: &str) -> [u8; 32] {
        let place = self.0.binary_search(&name).expect("every name was collected");
        let mut id = [0; 32];
        id[..8].copy_from_slice(&u64::try_from(place).expect("a place in a list").to_be_bytes());
        id
    }

    fn name(&self, id: &[u8; 32]) -> String {
        let (place, _) = id.split_first_chunk::<8>().expect("an id has 32 bytes");
        let place = usize::try_from(u64::from_be_bytes(*place)).expect("a place in a list");
        self.0[place].to_owned()
    }

    fn config(&self, scenario: &Scenario) -> Config {
        let signer = |name: &String| Signer(self.id(name));
        Config {
            workers: scenario.workers.iter().map(signer).collect(),
            backups: scenario.backups.iter().map(signer).collect(),
            allowed_stragglers: scenario.stragglers,
            round_timeout: scenario.timeout,
            round: scenario.round,
            skipped: scenario.skipped.iter().map(signer).collect(),
        }
    }

    fn vote(&self, ballot: &Ballot) -> Vote {
        Vote {
            signer: Signer(self.id(&ballot.node)),
            rank: ballot.rank,
            proposal: ProposalId(self.id(&ballot.proposal)),
            result: ballot.result.as_deref().map(|result| ResultHash(self.id(result))),
        }
    }
}
