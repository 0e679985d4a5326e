//! The transactions of ParaTimes.

use paralith_consensus_api::roothash::{
    Error as RoothashError, Evidence, ExecutorCommit, IncomingMessage, SubmitMessage,
};
use paralith_consensus_api::{Error, address, staking as token};

use super::{commit, evidence, runtime_and_chain, state};
use crate::{Context, staking};

/// Brings votes to a running round. Anybody may: votes carry their own signatures.
pub(crate) fn executor_commit(ctx: &mut Context<'_>, body: &ExecutorCommit) -> Result<(), Error> {
    let params = state::params(ctx)?;
    let votes = u64::try_from(body.votes.len()).unwrap_or(u64::MAX);
    let gas = params.gas_executor_commit.saturating_add(params.gas_vote.saturating_mul(votes));
    ctx.charge(gas)?;
    commit::commit(ctx, body)
}

/// Proves that a node contradicted itself.
pub(crate) fn evidence(ctx: &mut Context<'_>, body: &Evidence) -> Result<(), Error> {
    ctx.charge(state::params(ctx)?.gas_evidence)?;
    evidence::accept(ctx, body)
}

/// Sends a message, and tokens, to a runtime. They are the runtime's at once; what the message does
/// with them is for its next rounds.
pub(crate) fn submit_message(ctx: &mut Context<'_>, body: &SubmitMessage) -> Result<(), Error> {
    let params = state::params(ctx)?;
    ctx.charge(params.gas_submit_message)?;
    let (runtime, chain) = runtime_and_chain(ctx, &body.runtime_id)?;
    // RH-12: nobody would take the message before the next committee.
    if chain.suspended {
        return Err(RoothashError::RuntimeSuspended { runtime: runtime.id.to_string() }.into());
    }
    let bytes = u64::try_from(body.data.len()).unwrap_or(u64::MAX);
    // RH-10: one message must fit into a `begin_block` request of an enclave.
    if bytes > u64::from(params.max_in_message_bytes) {
        let limit = params.max_in_message_bytes;
        return Err(RoothashError::IncomingMessageTooLarge { got: bytes, limit }.into());
    }
    let mut queue = state::queue(ctx, &runtime.id)?;
    // RH-11: messages of strangers take bounded state.
    if runtime.executor.max_in_messages == 0 || queue.size >= params.max_in_runtime_messages {
        return Err(RoothashError::IncomingQueueFull { runtime: runtime.id.to_string() }.into());
    }
    let minimum = runtime.staking.min_in_message_fee;
    if body.fee < minimum {
        let (fee, minimum) = (body.fee.to_string(), minimum.to_string());
        return Err(RoothashError::IncomingFeeTooLow { fee, minimum }.into());
    }
    let caller = ctx.signer()?.address;
    let message = IncomingMessage {
        id: queue.next_id,
        caller,
        tag: body.tag,
        fee: body.fee,
        tokens: body.tokens,
        data: body.data.clone(),
    };
    queue.bytes = queue.bytes.saturating_add(message.size());
    if queue.bytes > params.max_in_queue_bytes {
        return Err(RoothashError::IncomingQueueFull { runtime: runtime.id.to_string() }.into());
    }
    let amount = body.fee.add(body.tokens).map_err(|_| token::Error::Overflow)?;
    staking::transfer(ctx, &caller, &address::of_runtime(&runtime.id), amount)?;
    state::set_incoming(ctx, &runtime.id, &message);
    queue.size = queue.size.saturating_add(1);
    queue.next_id = queue.next_id.saturating_add(1);
    state::set_queue(ctx, &runtime.id, &queue);
    Ok(())
}
