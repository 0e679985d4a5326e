//! ParaTime blocks: how one is made and appended.

use paralith_consensus_api::Error;
use paralith_consensus_api::roothash::{
    Header, HeaderType, PendingResult, RoundFinalised, RoundRoots, RuntimeState, empty_hash,
};
use paralith_types::{Hash, PublicKey};

use super::round::damaged;
use super::{HEADER_VERSION, state};
use crate::Context;

/// What a block's event says of those who took part, sorted.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Why the round failed; 0 it did not.
    pub(super) fail_reason: u32,
    pub(super) good: Vec<PublicKey>,
    pub(super) bad: Vec<PublicKey>,
    pub(super) equivocators: Vec<PublicKey>,
}

/// The next block without results: the state stays as it is.
pub(super) fn empty(ctx: &Context<'_>, chain: &RuntimeState, header_type: HeaderType) -> Header {
    Header {
        version: HEADER_VERSION,
        runtime_id: chain.runtime_id,
        round: chain.last_block.round.next(),
        timestamp: ctx.time_seconds(),
        header_type,
        previous_hash: chain.last_block.hash(),
        io_root: empty_hash(),
        state_root: chain.last_block.state_root,
        messages_hash: empty_hash(),
        in_messages_hash: empty_hash(),
        consensus_height: ctx.height(),
        batch_hash: Hash::ZERO,
        proposal_id: Hash::ZERO,
    }
}

/// The next block with results.
pub(super) fn normal(ctx: &Context<'_>, chain: &RuntimeState, pending: &PendingResult) -> Header {
    let PendingResult { results, proposal, .. } = pending;
    Header {
        io_root: results.io_root,
        state_root: results.state_root,
        messages_hash: results.messages_hash,
        in_messages_hash: results.in_messages_hash,
        consensus_height: proposal.consensus_height,
        batch_hash: proposal.batch_hash,
        proposal_id: proposal.id(),
        ..empty(ctx, chain, HeaderType::Normal)
    }
}

/// A header that does not follow the one before it is this node's fault: it must not be written.
fn check_continuity(last: &Header, next: &Header) -> Result<(), Error> {
    let broken = |what: &str| Err(damaged(&last.runtime_id, format!("its next header {what}")));
    if next.runtime_id != last.runtime_id || next.round != last.round.next() {
        return broken("is not of the next round");
    }
    if next.previous_hash != last.hash() {
        return broken("does not name the last one");
    }
    if next.consensus_height < last.consensus_height {
        return broken("reads consensus state older than the last one");
    }
    if next.header_type != HeaderType::Normal && next.state_root != last.state_root {
        return broken("changes the state without results");
    }
    Ok(())
}

/// Appends a block, and drops what is older than `max_past_roots` rounds.
pub(super) fn append(
    ctx: &mut Context<'_>,
    chain: &mut RuntimeState,
    header: Header,
    judged: Judged,
) -> Result<(), Error> {
    let id = chain.runtime_id;
    // RH-1: what is written is what the next round, clients and enclaves build on.
    check_continuity(&chain.last_block, &header)?;
    // The newest header is what the next proposal builds on: it is always there.
    let kept = state::params(ctx)?.max_past_roots.max(1);
    if header.round.0 >= kept {
        state::forget_round(ctx, &id, header.round.minus(kept));
    }
    state::set_header(ctx, &header);
    chain.last_block_height = ctx.height();
    if header.header_type == HeaderType::Normal {
        let roots = RoundRoots { state_root: header.state_root, io_root: header.io_root };
        state::set_round_roots(ctx, &id, header.round, &roots);
        chain.last_normal_round = header.round;
        chain.last_normal_height = ctx.height();
        chain.io_root = header.io_root;
    }
    ctx.emit(RoundFinalised {
        runtime_id: id,
        round: header.round,
        header_type: header.header_type,
        header_hash: header.hash(),
        fail_reason: judged.fail_reason,
        good: judged.good,
        bad: judged.bad,
        equivocators: judged.equivocators,
    });
    chain.last_block = header;
    Ok(())
}
