//! Messages between consensus and a runtime, when its round is final.
//!
//! Two queues connect them, and a round with results says how many entries it takes from the front
//! of each. The incoming queue holds users' messages. The result queue holds what became of the
//! runtime's own messages. An entry leaves its queue only when a final round has taken it, so that
//! neither a failed round nor a runtime that cannot run loses one.

use paralith_consensus_api::roothash::{
    InMessageProcessed, IncomingMessage, Message, MessageExecuted, MessageResult, QueuedResult,
    ResultQueue, ResultsHeader, in_messages_hash,
};
use paralith_consensus_api::{Error, Fault, address};
use paralith_types::{Round, RuntimeId};

use super::round::{Running, damaged};
use super::state;
use crate::{Context, staking};

/// The results name other incoming messages than the queue's; 1 to 3 are
/// [`discrepancy::FailReason::code`].
const WRONG_IN_MESSAGES: u32 = 4;

/// The results take more results of own messages than wait, or leave no room for those of the
/// round's own messages.
const WRONG_RESULTS_TAKEN: u32 = 5;

/// What a round takes from both queues.
pub(super) struct Taken {
    incoming: Vec<IncomingMessage>,
    /// What is left after the taken results have left.
    results: ResultQueue,
}

/// What a final result takes; the reason why its round fails if the queues cannot give that.
pub(super) fn named_by(
    ctx: &Context<'_>,
    running: &Running,
    results: &ResultsHeader,
    own: &[Message],
) -> Result<Result<Taken, u32>, Error> {
    let Some(incoming) = incoming(ctx, running, results)? else {
        return Ok(Err(WRONG_IN_MESSAGES));
    };
    let mut queue = state::result_queue(ctx, &running.runtime.id)?;
    let taken = results.results_taken;
    let limit = state::params(ctx)?.max_queued_results;
    let allowed = queue.messages_allowed(running.runtime.executor.max_messages, limit, taken);
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    let emitted = u32::try_from(own.len()).unwrap_or(u32::MAX);
    // RH-15: the bound that enclaves apply at the proposal's height.
    if taken > queue.results.len() || emitted > allowed {
        return Ok(Err(WRONG_RESULTS_TAKEN));
    }
    queue.results.drain(..taken);
    Ok(Ok(Taken { incoming, results: queue }))
}

/// The first messages of the queue, as many as the results name; none if they are others, or too
/// many.
fn incoming(
    ctx: &Context<'_>,
    running: &Running,
    results: &ResultsHeader,
) -> Result<Option<Vec<IncomingMessage>>, Error> {
    let id = &running.runtime.id;
    let count = results.in_messages_count;
    let queue = state::queue(ctx, id)?;
    if count > running.runtime.executor.max_in_messages || count > queue.size {
        return Ok(None);
    }
    // By number and not by a scan: a scan would pass every message that ever waited.
    let first = queue.first_id();
    let messages = (first..first.saturating_add(u64::from(count)))
        .map(|number| state::incoming(ctx, id, number))
        .collect::<Result<Vec<_>, Error>>()?;
    let fits = in_messages_hash(&messages) == results.in_messages_hash;
    Ok(fits.then_some(messages))
}

/// Removes from the queues what a final round has taken, executes the round's own messages, and
/// keeps their results until a later round takes them.
pub(super) fn settle(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    round: Round,
    taken: Taken,
    own: &[Message],
) -> Result<(), Error> {
    // RH-13: the only place where a message leaves the queue.
    remove_incoming(ctx, id, round, &taken.incoming)?;
    let mut queue = taken.results;
    // RH-14: a result waits until a final round says that it has taken it.
    queue.results.extend(execute(ctx, id, round, own)?);
    state::set_result_queue(ctx, id, &queue)
}

fn remove_incoming(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    round: Round,
    messages: &[IncomingMessage],
) -> Result<(), Error> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut queue = state::queue(ctx, id)?;
    let short = || damaged(id, "more messages than its queue counts".to_string());
    for message in messages {
        state::remove_incoming(ctx, id, message.id);
        queue.size = queue.size.checked_sub(1).ok_or_else(short)?;
        queue.bytes = queue.bytes.checked_sub(message.size()).ok_or_else(short)?;
        ctx.emit(InMessageProcessed {
            runtime_id: *id,
            round,
            id: message.id,
            caller: message.caller,
            tag: message.tag,
        });
    }
    if (queue.size == 0) != (queue.bytes == 0) {
        return Err(damaged(id, "the bytes of its queue do not match its messages".to_string()));
    }
    state::set_queue(ctx, id, &queue);
    Ok(())
}

/// Executes a round's messages as the runtime's account. One that is refused has no effect but its
/// result.
fn execute(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    round: Round,
    messages: &[Message],
) -> Result<Vec<QueuedResult>, Error> {
    let mut results = Vec::with_capacity(messages.len());
    for (index, message) in (0..).zip(messages) {
        let result = match ctx.isolated(|ctx| run(ctx, id, message)) {
            Ok(()) => MessageResult { index, module: String::new(), code: 0 },
            Err(error) if error.fault() == Fault::Node => return Err(error),
            Err(error) => {
                MessageResult { index, module: error.module().to_string(), code: error.code() }
            }
        };
        ctx.emit(MessageExecuted { runtime_id: *id, round, result: result.clone() });
        results.push(QueuedResult { round, result });
    }
    Ok(results)
}

fn run(ctx: &mut Context<'_>, id: &RuntimeId, message: &Message) -> Result<(), Error> {
    let Message::Transfer(transfer) = message;
    staking::transfer(ctx, &address::of_runtime(id), &transfer.to, transfer.amount)
}
