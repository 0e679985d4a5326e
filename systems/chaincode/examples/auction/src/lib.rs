//! A sealed-bid auction as chaincode: until it is closed nobody learns a bid or who leads.
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `open` | `{"name", "until"}`: bids count below that height | `{"opened"}` |
//! | `bid` | `{"name", "amount"}` | `{"accepted", "reason"?}` |
//! | `close` | `{"name"}`, from `until` on | `{"closed", "winner"?, "amount"?}` |
//!
//! | query | arguments | answer |
//! |---|---|---|
//! | `result` | `{"name"}` | `{"closed", "winner"?, "amount"?}` |
//!
//! Endorsed calls can be probed: anybody may have them executed and never commit them, and sees then
//! which entries they read and write, of which sizes, and their events. So
//!
//! * **every bid touches the same entries**: one, the auction's own. A bid that loses, that is too low
//!   or that meets no auction reads it and writes it back, sealed anew;
//! * **the entry has one size** for every auction, open or closed, whoever leads;
//! * **a refusal is a value**, not an error: an error would write nothing. The result is sealed until
//!   the commit;
//! * **the result has one length**, [`REPLY_BYTES`], for every outcome: a response shows how long its
//!   sealed result is;
//! * **no events**;
//! * **the deadline is that of ordering**: `bid` asks for `commit_before`, so an older state does not
//!   let a late bid in. It is set for every bid of an auction, whatever comes of it; what it is and
//!   that there is such an auction are no secrets.
//!
//! Only the highest bid is kept, the first one of equals. Two bids on one state conflict; clients try
//! again.

use paralith_sdk::{
    Address, Amount, Call, Context, Result, Runtime, Table, Value, args, export, json, reply,
    unknown_method,
};
use serde::Deserialize;

#[cfg(test)]
mod tests;

export!(Auction);

/// Length of the result of every call.
pub const REPLY_BYTES: usize = 256;

/// One entry for each auction, by the hash of its name: keys have one length too.
const AUCTIONS: Table<[u8; 32], State> = Table::new("auctions");

/// An auction; all of them have one length in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    stage: Stage,
    /// Bids count below this height.
    until: u64,
    /// Zero while nobody has bid.
    amount: Amount,
    leader: Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is no such auction: the entry was written by a bid that met none.
    None = 0,
    Open = 1,
    Closed = 2,
}

const NOBODY: Address = Address([0; Address::LEN]);

impl State {
    const NONE: Self = Self { stage: Stage::None, until: 0, amount: Amount::ZERO, leader: NOBODY };
}

impl Value for State {
    fn to_bytes(&self) -> Vec<u8> {
        let Self { stage, until, amount, leader } = self;
        let parts =
            [vec![*stage as u8], until.to_bytes(), amount.to_bytes(), leader.as_bytes().to_vec()];
        parts.concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (stage, rest) = bytes.split_first()?;
        let (until, rest) = rest.split_at_checked(8)?;
        let (amount, leader) = rest.split_at_checked(16)?;
        let stage = match stage {
            0 => Stage::None,
            1 => Stage::Open,
            2 => Stage::Closed,
            _ => return None,
        };
        Some(Self {
            stage,
            until: u64::from_bytes(until)?,
            amount: Amount::from_bytes(amount)?,
            leader: Address::try_from(leader).ok()?,
        })
    }
}

/// The runtime.
pub struct Auction;

impl Runtime for Auction {
    const NAME: &'static str = "auction";

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "open" => open(ctx, call),
            "bid" => bid(ctx, call),
            "close" => close(ctx, call),
            _ => unknown_method(call),
        }
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "result" => {
                let Named { name } = args(call)?;
                reply(&result(&state(ctx, &name)?))
            }
            _ => unknown_method(call),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

fn key(ctx: &Context, name: &str) -> [u8; 32] {
    ctx.sha256(name.as_bytes()).0
}

fn state(ctx: &Context, name: &str) -> Result<State> {
    Ok(AUCTIONS.get(ctx, &key(ctx, name))?.unwrap_or(State::NONE))
}

fn store(ctx: &mut Context, name: &str, state: &State) {
    let key = key(ctx, name);
    AUCTIONS.insert(ctx, &key, state);
}

/// Opens an auction, unless there is one of that name.
fn open(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Open {
        name: String,
        until: u64,
    }
    let Open { name, until } = args(call)?;
    let before = state(ctx, &name)?;
    let opened = before.stage == Stage::None && until > ctx.consensus_height();
    let new = State { stage: Stage::Open, until, ..State::NONE };
    store(ctx, &name, if opened { &new } else { &before });
    sized(&json!({ "opened": opened }))
}

/// Bids. Whatever comes of it, it reads and writes the auction's entry, and nothing else.
fn bid(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bid {
        name: String,
        amount: Amount,
    }
    let Bid { name, amount } = args(call)?;
    let before = state(ctx, &name)?;
    // Not of closed auctions: the heights of both say so, and the bid would trap instead of writing.
    let height = ctx.consensus_height();
    let in_time = before.stage == Stage::Open && height < before.until;
    if in_time {
        ctx.commit_before(before.until);
    }
    let highest = in_time && amount > before.amount;
    let leader = ctx.sender_address()?;
    let after = if highest { State { amount, leader, ..before } } else { before };
    store(ctx, &name, &after);
    if highest {
        return sized(&json!({ "accepted": true }));
    }
    let reason = match before.stage {
        Stage::None => "there is no such auction",
        Stage::Open if in_time => "there is a bid as high",
        Stage::Open | Stage::Closed => "the auction is over",
    };
    sized(&json!({ "accepted": false, "reason": reason }))
}

/// Closes an auction whose height has come. Bids that were executed before cannot be ordered any more.
fn close(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Named { name } = args(call)?;
    let before = state(ctx, &name)?;
    let due = before.stage == Stage::Open && ctx.consensus_height() >= before.until;
    let after = if due { State { stage: Stage::Closed, ..before } } else { before };
    store(ctx, &name, &after);
    sized(&result(&after))
}

/// A result, filled up with spaces: that of every outcome has one length, which the response shows.
fn sized(value: &paralith_sdk::JsonValue) -> Result<Vec<u8>> {
    let mut bytes = reply(value)?;
    bytes.resize(bytes.len().max(REPLY_BYTES), b' ');
    Ok(bytes)
}

/// What everybody may know.
fn result(state: &State) -> paralith_sdk::JsonValue {
    match state.stage {
        Stage::Closed if state.amount > Amount::ZERO => {
            json!({ "closed": true, "winner": state.leader, "amount": state.amount })
        }
        Stage::Closed => json!({ "closed": true }),
        Stage::None | Stage::Open => json!({ "closed": false }),
    }
}
