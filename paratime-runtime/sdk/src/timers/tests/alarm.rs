//! A runtime that takes its timers as its argument says and records when.

use serde::{Deserialize, Serialize};

use crate::timers::Timers;
use crate::{
    Call, Context, IncomingMessage, Json, MessageResult, Result, Runtime, args, fail, reply,
    unknown_method,
};

pub(super) const TIMERS: Timers<String> = Timers::new("alarm");

/// Argument of `init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rules {
    /// In `end_block`, else in `begin_block`.
    pub(super) at_end: bool,
    pub(super) max: usize,
}

/// How a call ends after it did what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum After {
    Succeed,
    Refuse,
    Trap,
}

/// A timer that was taken: number, its height, the height that the round pinned.
pub(super) type Rang = (u64, u64, u64);

pub(super) struct Alarm;

const RULES: &[u8] = b"rules";
const RANG: &[u8] = b"rang";

impl Runtime for Alarm {
    const NAME: &'static str = "alarm";

    fn init(ctx: &mut Context, argument: &[u8]) -> Result<()> {
        ctx.set(RULES, &argument.to_vec());
        Ok(())
    }

    fn begin_block(ctx: &mut Context, _: &[IncomingMessage], _: &[MessageResult]) -> Result<()> {
        ring(ctx, false)
    }

    fn end_block(ctx: &mut Context) -> Result<()> {
        ring(ctx, true)
    }

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        let answer = match call.method.as_str() {
            "add" => {
                let (heights, after): (Vec<u64>, After) = args(call)?;
                let mut ids = Vec::new();
                for height in heights {
                    ids.push(TIMERS.add(ctx, height, &item(height))?);
                }
                (reply(&ids)?, after)
            }
            "cancel" => {
                let (id, after): (u64, After) = args(call)?;
                (reply(&TIMERS.cancel(ctx, id)?)?, after)
            }
            _ => return unknown_method(call),
        };
        match answer.1 {
            After::Succeed => Ok(answer.0),
            After::Refuse => fail(9, "told so"),
            After::Trap => std::panic::resume_unwind(Box::new("told so")),
        }
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "get" => {
                let timer = TIMERS.get(ctx, args(call)?)?;
                reply(&timer.map(|timer| (timer.id, timer.height, timer.item)))
            }
            "first" => reply(&(TIMERS.len(ctx)?, TIMERS.next_height(ctx)?)),
            _ => unknown_method(call),
        }
    }
}

fn ring(ctx: &mut Context, at_end: bool) -> Result<()> {
    let Some(Json(rules)) = ctx.get::<Json<Rules>>(RULES)? else { return Ok(()) };
    if rules.at_end != at_end {
        return Ok(());
    }
    let now = ctx.consensus_height();
    let mut rang = rang_of(ctx.get(RANG)?);
    for timer in TIMERS.take_due(ctx, rules.max)? {
        assert_eq!(timer.item, item(timer.height));
        rang.push((timer.id, timer.height, now));
    }
    ctx.set(RANG, &Json(rang));
    Ok(())
}

fn rang_of(stored: Option<Json<Vec<Rang>>>) -> Vec<Rang> {
    stored.map(|Json(rang)| rang).unwrap_or_default()
}

/// What rang, in order, in all rounds whose effects count.
pub(super) fn rang(chain: &crate::testing::Chain) -> Vec<Rang> {
    let stored = chain.stored(RANG);
    stored.map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or_default()
}

pub(super) fn item(height: u64) -> String {
    format!("for {height}")
}
