//! Executes a proposed batch.
//!
//! The proposal pins every input: each is read at its height and proven there, so that what a host
//! shows or hides decides only whether there is a result, never which.

use std::collections::BTreeSet;

use paralith_consensus_api::registry::{MAX_BATCH_SIZE, Runtime};
use paralith_consensus_api::roothash::{
    IncomingMessage, ProposalHeader, ResultQueue, ResultsHeader, RuntimeState, SignedProposal,
    batch_hash, in_messages_hash, messages_hash,
};
use paralith_crypto::hash::{Domain, hash};
use paralith_keymanager_core::RuntimeKeys;
use paralith_proto::{Canonical, Wire};
use paralith_runtime_api::envelope::seal_reply;
use paralith_runtime_api::output::{IoLeaf, SealedOutput, SealedReply, commitment, io_root};
use paralith_runtime_api::state::has_public_entries;
use paralith_runtime_api::tx;
use paralith_storage::Changes;
use paralith_tee_channel::{Callbacks, ChainView, pb};
use paralith_types::{Epoch, Hash, Signature};

use super::block::{self, Block, BlockInputs, MessageLimits};
use super::error::EnclaveError;
use super::guest::Guest;
use super::inbox::Queues;
use super::proven_state::{At, PinnedState, context};
use super::sealer::{RoundContext, Sealer, Seeds};
use super::session::{Session, at, newest};
use super::state::{RoundState, missing};
use super::transaction::{Opener, Receipt};

const PUBLIC_SEED: Domain = Domain::new("paralith/host-public-seed/v1");
const PUBLIC_BLOCK_SEED: Domain = Domain::new("paralith/host-public-block-seed/v1");

/// Most transactions of a batch, whatever the descriptor allows: with
/// [`RECEIPT_BYTES`](super::guest::RECEIPT_BYTES) each they fit into one frame.
pub const MAX_BATCH_TRANSACTIONS: u64 = MAX_BATCH_SIZE as u64;

/// Everything that a round depends on besides its transactions.
struct Inputs {
    proposal: ProposalHeader,
    runtime: Runtime,
    state: RuntimeState,
    epoch: Epoch,
    /// 0 in public runtimes.
    generation: u64,
    keys: Option<RuntimeKeys>,
    incoming: Vec<IncomingMessage>,
    results: ResultQueue,
    max_queued_results: u32,
}

/// Executes a proposed batch.
pub(crate) fn execute(
    session: &Session,
    callbacks: &Callbacks,
    call: pb::Execute,
) -> Result<pb::Executed, EnclaveError> {
    let signed: SignedProposal = paralith_proto::required(call.proposal, "proposal")?;
    let inputs = inputs(session, callbacks, &signed)?;
    let transactions = call.transactions;
    let opener = Opener {
        chain: &session.chain,
        runtime: &inputs.runtime,
        epoch: inputs.epoch,
        keys: inputs.keys.as_ref(),
        known: &session.known,
    };
    check_batch(&inputs, &opener, &transactions)?;
    let sealer = session.sealer(inputs.keys.as_ref());
    let round = RoundContext::of_proposal(&inputs.proposal);

    let mut kept = session.execution.take();
    let root = inputs.state.last_block.state_root;
    let tree = kept.at(callbacks, inputs.state.last_normal_round, root);
    let public = has_public_entries(&inputs.runtime);
    let state = RoundState::new(tree, sealer.as_ref(), public);
    let mut guest = guest(session, callbacks, &inputs, state, sealer.as_ref(), &round)?;
    let block_inputs = BlockInputs {
        code: guest.module.code_id(),
        init_argument: &inputs.runtime.init_argument,
        queues: Queues { incoming: &inputs.incoming, results: &inputs.results.results },
        messages: MessageLimits {
            queue: &inputs.results,
            of_a_round: inputs.runtime.executor.max_messages,
            queued_results: inputs.max_queued_results,
        },
    };
    let block = block::run(&mut guest, &block_inputs, &opener, &transactions)?;
    let changes = guest.state.changes(inputs.generation, &round)?;
    let state_root = guest.state.root_after(round.round, &changes)?;
    let (messages, logs) = (guest.messages, guest.logs);
    kept.computed(round.round, state_root);
    drop(kept);

    let (leaves, outputs) = outputs(&inputs, sealer.as_ref(), &round, &block)?;
    let taken = usize::try_from(block.messages_taken).unwrap_or(usize::MAX);
    let taken = inputs.incoming.get(..taken).unwrap_or(&inputs.incoming);
    let results = ResultsHeader {
        round: round.round,
        previous_hash: round.previous_hash,
        io_root: io_root(&leaves),
        state_root,
        messages_hash: messages_hash(&messages),
        in_messages_hash: in_messages_hash(taken),
        in_messages_count: block.messages_taken,
        results_taken: block.results_taken,
    };
    let signature: Option<Signature> = inputs
        .runtime
        .confidential
        .then(|| results.sign(&inputs.proposal.id(), &session.rak, &session.chain));
    Ok(pb::Executed {
        results: Some(results.to_pb()),
        rak_signature: signature.map(|signature| signature.0.to_vec()).unwrap_or_default(),
        changes: write_log(changes),
        leaves: leaves.to_pb(),
        outputs: outputs.to_pb(),
        messages: messages.to_pb(),
        logs,
    })
}

/// Reads and proves what the proposal pins, and whether it may be executed at all.
fn inputs(
    session: &Session,
    callbacks: &Callbacks,
    signed: &SignedProposal,
) -> Result<Inputs, EnclaveError> {
    let proposal = signed.open(&session.chain)?;
    if proposal.runtime_id != session.runtime_id {
        return Err(bad("it is another runtime's"));
    }
    session.with_view(callbacks, |view, callbacks| {
        view.ensure(callbacks, proposal.consensus_height)?;
        pinned_inputs(session, callbacks, view, signed, &proposal)
    })
}

fn pinned_inputs(
    session: &Session,
    callbacks: &Callbacks,
    view: &ChainView,
    signed: &SignedProposal,
    proposal: &ProposalHeader,
) -> Result<Inputs, EnclaveError> {
    let pinned = at(view, callbacks, proposal.consensus_height);
    let runtime = pinned.runtime(&session.runtime_id)?;
    session.module(&runtime)?;
    let state = pinned.runtime_state(&session.runtime_id)?;
    // EN-1: the next round after the proven block, by a worker, for this node's committee.
    follows(proposal, &state)?;
    let epoch = pinned.epoch()?.epoch;
    check_committee(session, &pinned, signed, epoch)?;
    // EN-3: a key that is missing here is no result; what every replica sees alike is one.
    let keys = session.keys(&newest(view, callbacks), &runtime)?;
    let generation = if runtime.confidential { pinned.generation(&runtime)? } else { 0 };
    if keys.as_ref().is_some_and(|keys| keys.generation() < generation) {
        return Err(missing(generation));
    }
    Ok(Inputs {
        proposal: proposal.clone(),
        incoming: pinned.incoming(&session.runtime_id, runtime.executor.max_in_messages)?,
        results: pinned.result_queue(&session.runtime_id)?,
        max_queued_results: pinned.roothash_params()?.max_queued_results,
        runtime,
        state,
        epoch,
        generation,
        keys,
    })
}

/// Whether the proposal is for the round after the newest block.
fn follows(proposal: &ProposalHeader, state: &RuntimeState) -> Result<(), EnclaveError> {
    let last = &state.last_block;
    if state.suspended {
        return Err(bad("the runtime is suspended"));
    }
    if proposal.round != last.round.next() {
        let reason = format!("it is for round {}, the last is {}", proposal.round, last.round);
        return Err(EnclaveError::BadProposal(reason));
    }
    if proposal.previous_hash != last.hash() {
        return Err(bad("it follows another block"));
    }
    if proposal.consensus_height < last.consensus_height {
        return Err(bad("its consensus height lies before the last block's"));
    }
    Ok(())
}

fn check_committee(
    session: &Session,
    pinned: &At<'_>,
    signed: &SignedProposal,
    epoch: Epoch,
) -> Result<(), EnclaveError> {
    let outside = EnclaveError::NotInCommittee { epoch: epoch.0 };
    let committee = pinned.committee(&session.runtime_id)?;
    let Some(committee) = committee.filter(|one| one.epoch == epoch) else { return Err(outside) };
    if !committee.workers.contains(&session.node) && !committee.backups.contains(&session.node) {
        return Err(outside);
    }
    if !committee.workers.contains(&signed.scheduler) {
        return Err(bad("its signer is no worker of the committee"));
    }
    Ok(())
}

/// Whether these transactions are the proposed ones and within the runtime's limits.
fn check_batch(
    inputs: &Inputs,
    opener: &Opener<'_>,
    transactions: &[Vec<u8>],
) -> Result<(), EnclaveError> {
    // EN-2
    let limits = &inputs.runtime.batching;
    let count = transactions.len() as u64;
    within("transactions", u64::from(limits.max_batch_size).min(MAX_BATCH_TRANSACTIONS), count)?;
    let bytes = transactions.iter().map(|raw| raw.len() as u64).fold(0, u64::saturating_add);
    within("bytes", u64::from(limits.max_batch_bytes), bytes)?;
    let hashes: Vec<Hash> = transactions.iter().map(|raw| tx::hash_of(raw)).collect();
    if batch_hash(&hashes) != inputs.proposal.batch_hash {
        return Err(bad("the transactions are not the proposed ones"));
    }
    // Outputs are sealed and blinded by transaction: one of each.
    if hashes.iter().collect::<BTreeSet<_>>().len() != hashes.len() {
        return Err(bad("a transaction is in the batch twice"));
    }
    let gas = transactions.iter().filter_map(|raw| opener.gas_limit(raw));
    within("gas", limits.max_batch_gas, gas.fold(0, u64::saturating_add))
}

fn within(what: &'static str, limit: u64, got: u64) -> Result<(), EnclaveError> {
    if got > limit { Err(EnclaveError::BatchTooLarge { what, limit, got }) } else { Ok(()) }
}

fn guest<'a>(
    session: &'a Session,
    callbacks: &'a Callbacks,
    inputs: &Inputs,
    state: RoundState<'a>,
    sealer: Option<&Sealer>,
    round: &RoundContext,
) -> Result<Guest<'a>, EnclaveError> {
    let height = inputs.proposal.consensus_height;
    let (epoch, previous) = (inputs.epoch.0, Some(&round.previous_hash));
    let context = context(&session.chain, &inputs.runtime, round.round, epoch, height, previous);
    let (seeds, secret) = match sealer {
        Some(sealer) => {
            let seeds = sealer.seeds(inputs.generation, round);
            let seeds = seeds.ok_or_else(|| missing(inputs.generation))?;
            (seeds, Some(sealer.guest_secret()))
        }
        None => (public_seeds(round), None),
    };
    let module = session.module(&inputs.runtime)?;
    let consensus = PinnedState { view: &session.view, callbacks, height };
    let mut guest = Guest::new(module, state, context, seeds, secret, 0);
    guest.consensus = Some(consensus);
    Ok(guest)
}

/// Everyone can compute them: public runtimes have no better.
fn public_seeds(context: &RoundContext) -> Seeds {
    let round = context.round.0.to_be_bytes();
    Seeds {
        // EN-15: without the header, which the scheduler could choose for its draws.
        block: hash(PUBLIC_BLOCK_SEED, &[&round, context.previous_hash.as_bytes()]).0,
        transactions: hash(PUBLIC_SEED, &[context.proposal_id.as_bytes()]).0,
    }
}

/// One leaf and one output for each receipt, in the order of the batch; after them those of the
/// block's own calls.
fn outputs(
    inputs: &Inputs,
    sealer: Option<&Sealer>,
    round: &RoundContext,
    block: &Block,
) -> Result<(Vec<IoLeaf>, Vec<SealedOutput>), EnclaveError> {
    let mut leaves = Vec::with_capacity(block.receipts.len());
    let mut outputs = Vec::with_capacity(block.receipts.len());
    for receipt in &block.receipts {
        let output = reply(receipt, round);
        let tx_hash = receipt.tx_hash;
        let (blinding, sealed) = match sealer {
            None => (Hash::ZERO, output.clone()),
            Some(sealer) => {
                let generation = inputs.generation;
                let without_key = || missing(generation);
                // EN-14: from the proposal id, so that nothing of two executions can be compared.
                let blinding =
                    sealer.blinding(generation, round, &tx_hash).ok_or_else(without_key)?;
                let blinded = [blinding.as_bytes(), output.as_slice()].concat();
                let sealed = sealer.seal_output(generation, round, &tx_hash, &blinded);
                (blinding, sealed.ok_or_else(without_key)?)
            }
        };
        leaves.push(IoLeaf {
            tx_hash,
            gas_used: receipt.gas_used,
            output_commitment: commitment(&blinding, &output),
            events: receipt.events.clone(),
        });
        outputs.push(SealedOutput { tx_hash, sealed });
    }
    Ok((leaves, outputs))
}

/// The output as its sender gets it.
fn reply(receipt: &Receipt, round: &RoundContext) -> Vec<u8> {
    let output = receipt.output.encode();
    match &receipt.reply_key {
        None => output,
        Some(key) => {
            let (subject, proposal) = (&receipt.tx_hash, &round.proposal_id);
            let sealed = seal_reply(key, subject, round.round, proposal, &output);
            SealedReply { sealed }.encode()
        }
    }
}

fn write_log(changes: Changes) -> Vec<pb::Change> {
    changes.into_iter().map(|(key, value)| pb::Change { key, value }).collect()
}

fn bad(reason: &str) -> EnclaveError {
    EnclaveError::BadProposal(reason.to_string())
}
