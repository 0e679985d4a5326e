//! Messages between consensus and a runtime, when its round is final.

use paralith_consensus_api::roothash::{
    InMessageProcessed, IncomingMessage, Message, MessageExecuted, MessageResult, MessageResults,
    ResultsHeader, in_messages_hash,
};
use paralith_consensus_api::{Error, Fault, address};
use paralith_types::{Round, RuntimeId};

use super::round::{Running, damaged};
use super::state;
use crate::{Context, staking};

/// The queued messages that the results say they took; none if they are others than the queue's, or
/// too many.
pub(super) fn named_by(
    ctx: &Context<'_>,
    running: &Running,
    results: &ResultsHeader,
) -> Result<Option<Vec<IncomingMessage>>, Error> {
    let count = results.in_messages_count;
    if count > running.runtime.executor.max_in_messages {
        return Ok(None);
    }
    let mut messages =
        if count == 0 { Vec::new() } else { state::incoming(ctx, &running.runtime.id)? };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if messages.len() < count {
        return Ok(None);
    }
    messages.truncate(count);
    let fits = in_messages_hash(&messages) == results.in_messages_hash;
    Ok(fits.then_some(messages))
}

/// Takes processed messages off the queue.
pub(super) fn take(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    round: Round,
    messages: &[IncomingMessage],
) -> Result<(), Error> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut queue = state::queue(ctx, id)?;
    for message in messages {
        state::remove_incoming(ctx, id, message.id);
        queue.size = queue
            .size
            .checked_sub(1)
            .ok_or_else(|| damaged(id, "more messages than its queue counts".to_string()))?;
        ctx.emit(InMessageProcessed {
            runtime_id: *id,
            round,
            id: message.id,
            caller: message.caller,
            tag: message.tag,
        });
    }
    state::set_queue(ctx, id, &queue);
    Ok(())
}

/// Executes a round's messages as the runtime's account. One that is refused has no effect but its
/// result, which the next round reads.
pub(super) fn execute(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    round: Round,
    messages: &[Message],
) -> Result<(), Error> {
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
        results.push(result);
    }
    state::set_message_results(ctx, id, &MessageResults { round, results });
    Ok(())
}

fn run(ctx: &mut Context<'_>, id: &RuntimeId, message: &Message) -> Result<(), Error> {
    let Message::Transfer(transfer) = message;
    staking::transfer(ctx, &address::of_runtime(id), &transfer.to, transfer.amount)
}
