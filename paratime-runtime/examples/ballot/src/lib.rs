//! A ParaTime for votes whose counts nobody sees before the ballot is closed, and nobody's vote
//! ever.
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `create` | `{"question", "options": ["yes", "no"], "closes_round"?}` | `{"ballot": 0}` |
//! | `vote` | `{"ballot": 0, "option": 1}`, counted from 0 | `{}` |
//! | `close` | `{"ballot": 0}` | `{"handle": "0000000000000000"}` |
//!
//! | query | arguments | answer |
//! |---|---|---|
//! | `status` | `{"ballot": 0}` | question, options, creator, closes_round, closed, tally |
//! | `ballots` | | `{"ballots": 1}`, how many there are |
//!
//! * An address votes once in a ballot and cannot change its vote.
//! * The creator closes it whenever they like; once `closes_round` is over, anybody does. Votes
//!   after that round, or after closing, are refused.
//! * `close` does not return the tally: its round may still be thrown away. It asks for a reveal,
//!   whose handle is the ballot's number in eight bytes; `reveal` gives the tally once the round is
//!   final, `[{"option": "yes", "votes": 2}]`. Only then `status` shows it too.
//! * Deploy it confidential: then votes must come in an envelope. All counts of a ballot lie under
//!   one key and have one length, because hosts see which entries a call writes, and the state
//!   remembers that an address voted, not what. In a public deployment nothing is secret.

use paralith_sdk::{
    Address, Call, Context, Error, Json, List, NoArgs, Result, Runtime, Value, args, export, fail,
    json, reply, unknown_method,
};
use serde::{Deserialize, Serialize};

export!(Ballots);

/// The runtime.
pub struct Ballots;

impl Runtime for Ballots {
    const NAME: &'static str = "ballot";

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "create" => create(ctx, call),
            "vote" => vote(ctx, call),
            "close" => close(ctx, call),
            _ => unknown_method(call),
        }
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "status" => status(ctx, call),
            "ballots" => {
                let NoArgs {} = args(call)?;
                reply(&json!({ "ballots": BALLOTS.len(ctx)? }))
            }
            _ => unknown_method(call),
        }
    }

    fn reveal(ctx: &Context, handle: &[u8]) -> Result<Vec<u8>> {
        let id = u64::from_bytes(handle)
            .ok_or_else(|| Error::new(BAD_HANDLE, "a handle is a ballot's number, eight bytes"))?;
        let ballot = ballot(ctx, id)?;
        if !ballot.closed {
            return fail(NOT_CLOSED, "the ballot is not closed yet");
        }
        reply(&tally(ctx, id, &ballot)?)
    }
}

fn create(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Create {
        question: String,
        options: Vec<String>,
        closes_round: Option<u64>,
    }
    let Create { question, options, closes_round } = args(call)?;
    if question.is_empty() || question.len() > QUESTION_BYTES_MAX {
        return fail(BAD_QUESTION, "a question has 1 to 1024 bytes");
    }
    if !(2..=OPTIONS_MAX).contains(&options.len()) {
        return fail(BAD_OPTIONS, "a ballot has 2 to 32 options");
    }
    if options.iter().any(|option| option.is_empty() || option.len() > OPTION_BYTES_MAX) {
        return fail(BAD_OPTIONS, "an option has 1 to 128 bytes");
    }
    if closes_round.is_some_and(|round| round < ctx.round()) {
        return fail(OVER, "`closes_round` is over already");
    }
    let creator = ctx.sender_address()?;
    let ballot = Ballot { question, options, creator, closes_round, closed: false };
    let id = BALLOTS.push(ctx, &Json(ballot))?;
    reply(&json!({ "ballot": id }))
}

fn vote(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vote {
        ballot: u64,
        option: u64,
    }
    if ctx.confidential() && !ctx.encrypted()? {
        return fail(PLAIN, "a vote in the clear is not secret; encrypt the call");
    }
    let Vote { ballot: id, option } = args(call)?;
    let ballot = ballot(ctx, id)?;
    if ballot.closed || ballot.deadline_passed(ctx) {
        return fail(OVER, "voting is over");
    }
    if option >= ballot.options.len() as u64 {
        return fail(NO_SUCH_OPTION, "there is no such option; they count from 0");
    }
    let voted = key(b"voted", id, ctx.sender_address()?.as_bytes());
    if ctx.contains(&voted) {
        return fail(VOTED, "this address has voted already");
    }
    ctx.set(&voted, &true);
    let mut counts = counts(ctx, id)?;
    for (number, count) in (0u64..).zip(&mut counts) {
        *count = count.saturating_add(u64::from(number == option));
    }
    ctx.set(&key(b"counts", id, &[]), &counts.map(u64::to_be_bytes).concat());
    reply(&json!({}))
}

fn close(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let id = args::<Named>(call)?.ballot;
    let mut ballot = ballot(ctx, id)?;
    if ballot.closed {
        return fail(CLOSED, "the ballot is closed already");
    }
    if ballot.creator != ctx.sender_address()? && !ballot.deadline_passed(ctx) {
        return fail(NOT_CREATOR, "before `closes_round` is over only the creator closes it");
    }
    ballot.closed = true;
    BALLOTS.set(ctx, id, &Json(ballot))?;
    ctx.request_reveal(&id.to_be_bytes());
    reply(&json!({ "handle": format!("{id:016x}") }))
}

fn status(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    let id = args::<Named>(call)?.ballot;
    let ballot = ballot(ctx, id)?;
    let tally = if ballot.closed { Some(tally(ctx, id, &ballot)?) } else { None };
    reply(&json!({
        "question": ballot.question,
        "options": ballot.options,
        "creator": ballot.creator,
        "closes_round": ballot.closes_round,
        "closed": ballot.closed,
        "tally": tally,
    }))
}

/// A ballot without its votes.
#[derive(Serialize, Deserialize)]
struct Ballot {
    question: String,
    options: Vec<String>,
    creator: Address,
    closes_round: Option<u64>,
    closed: bool,
}

impl Ballot {
    fn deadline_passed(&self, ctx: &Context) -> bool {
        self.closes_round.is_some_and(|last| ctx.round() > last)
    }
}

/// Arguments that name a ballot.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    ballot: u64,
}

/// One line of the result.
#[derive(Serialize)]
struct Line {
    option: String,
    votes: u64,
}

fn ballot(ctx: &Context, id: u64) -> Result<Ballot> {
    match BALLOTS.get(ctx, id)? {
        Some(Json(ballot)) => Ok(ballot),
        None => fail(NO_SUCH_BALLOT, "there is no such ballot"),
    }
}

/// The counts. Whoever answers with them checks first that the ballot is closed.
fn tally(ctx: &Context, id: u64, ballot: &Ballot) -> Result<Vec<Line>> {
    let counts = counts(ctx, id)?;
    let lines = ballot.options.iter().zip(counts);
    Ok(lines.map(|(option, votes)| Line { option: option.clone(), votes }).collect())
}

fn counts(ctx: &Context, id: u64) -> Result<[u64; OPTIONS_MAX]> {
    let bytes = ctx.get::<[u8; 8 * OPTIONS_MAX]>(&key(b"counts", id, &[]))?;
    let mut counts = [0; OPTIONS_MAX];
    for (count, bytes) in counts.iter_mut().zip(bytes.iter().flat_map(|all| all.as_chunks().0)) {
        *count = u64::from_be_bytes(*bytes);
    }
    Ok(counts)
}

fn key(kind: &[u8], id: u64, rest: &[u8]) -> Vec<u8> {
    [kind, b"/", &id.to_be_bytes(), rest].concat()
}

const BALLOTS: List<Json<Ballot>> = List::new("ballots");

const QUESTION_BYTES_MAX: usize = 1024;
const OPTION_BYTES_MAX: usize = 128;
const OPTIONS_MAX: usize = 32;

// Codes of module `ballot`, never renumbered. All are the sender's fault.
const NO_SUCH_BALLOT: u32 = 1;
const NO_SUCH_OPTION: u32 = 2;
const VOTED: u32 = 3;
const OVER: u32 = 4;
const NOT_CREATOR: u32 = 5;
const CLOSED: u32 = 6;
const NOT_CLOSED: u32 = 7;
const BAD_QUESTION: u32 = 8;
const BAD_OPTIONS: u32 = 9;
const PLAIN: u32 = 10;
const BAD_HANDLE: u32 = 11;

#[cfg(test)]
mod tests;
