//! The calls of one round in their order: `init` or `migrate` where due, `begin_block`, every
//! transaction, `end_block`.
//!
//! * The state holds the code that it was last brought to, under a key that only the enclave writes.
//!   None there: `init` is due. Another there: `migrate` is. If either fails, it is due again next
//!   round, and until then the runtime does nothing: transactions are recorded with an error, and
//!   messages from consensus wait.
//! * A `begin_block` or `end_block` that fails is undone and the round goes on. A `begin_block` that
//!   fails takes nothing; [`super::inbox`] says what the next round offers it.
//! * Events of these calls, a [`BLOCK_ERROR`] for each that failed, and a [`MESSAGE_SKIPPED`], are in
//!   one more leaf at the end of the I/O tree, whose transaction is [`Hash::ZERO`] and whose output
//!   is an empty success. A round without such events has no such leaf.

use paralith_consensus_api::roothash::ResultQueue;
use paralith_proto::Canonical;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{Error, Event, Output};
use paralith_runtime_api::tx;
use paralith_types::{CodeId, Hash, Round};

use super::error::EnclaveError;
use super::guest::{Called, Guest, HOST_MODULE};
use super::inbox::{Inbox, Offer, Queues};
use super::timers;
use super::transaction::{Opener, Receipt, execute, refused};
use paralith_runtime_vm::Export;

/// Topic of the event that stands for a failed call of the block; its data is an encoded
/// [`Error`].
pub const BLOCK_ERROR: &[u8] = b"paralith.block_error";

/// Topic of the event for a message from consensus that was skipped; its data is the message's
/// number, 8 bytes big-endian.
pub const MESSAGE_SKIPPED: &[u8] = b"paralith.message_skipped";

/// Most gas of `init` and of `migrate`.
pub const INIT_GAS: u64 = 20_000_000_000;

/// Most gas of `begin_block` and of `end_block`.
pub const BLOCK_GAS: u64 = 5_000_000_000;

/// Where the state names the code that it was last brought to.
const CODE_KEY: &[u8] = b"\xffcode";

/// Where the state keeps the [`Inbox`].
const INBOX_KEY: &[u8] = b"\xffinbox";

/// The runtime does not run.
const NOT_INITIALISED: u32 = 1;

/// What the round begins with.
pub(crate) struct BlockInputs<'a> {
    pub(crate) code: CodeId,
    pub(crate) init_argument: &'a [u8],
    pub(crate) queues: Queues<'a>,
    pub(crate) messages: MessageLimits<'a>,
}

/// How many messages to consensus a round may send: the chain keeps a result of each until the
/// runtime takes it, and bounds them.
pub(crate) struct MessageLimits<'a> {
    pub(crate) queue: &'a ResultQueue,
    /// Of the descriptor.
    pub(crate) of_a_round: u32,
    /// Of consensus.
    pub(crate) queued_results: u32,
}

impl MessageLimits<'_> {
    fn after_taking(&self, results: u32) -> u32 {
        self.queue.messages_allowed(self.of_a_round, self.queued_results, results)
    }
}

/// What the round's calls gave.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) receipts: Vec<Receipt>,
    /// Of the calls that belong to no transaction.
    events: Vec<Event>,
    gas_used: u64,
    /// How many messages from consensus were taken, the skipped one included.
    pub(crate) messages_taken: u32,
    /// How many results of the runtime's own messages were taken.
    pub(crate) results_taken: u32,
}

impl Block {
    fn note(&mut self, called: Called) -> bool {
        self.gas_used = self.gas_used.saturating_add(called.gas_used);
        self.events.extend(called.events);
        match called.outcome {
            Ok(_) => true,
            Err(error) => {
                let data = Error::encode(&error);
                self.events.push(Event { topic: BLOCK_ERROR.to_vec(), data });
                false
            }
        }
    }

    /// The receipt of the calls that belong to no transaction, if they have any event.
    fn own_receipt(&mut self) -> Option<Receipt> {
        (!self.events.is_empty()).then(|| Receipt {
            tx_hash: Hash::ZERO,
            gas_used: self.gas_used,
            output: Output::Ok(Vec::new()),
            events: std::mem::take(&mut self.events),
            reply_key: None,
        })
    }
}

/// Makes the calls.
pub(crate) fn run(
    guest: &mut Guest<'_>,
    inputs: &BlockInputs<'_>,
    opener: &Opener<'_>,
    transactions: &[Vec<u8>],
) -> Result<Block, EnclaveError> {
    let mut block = Block::default();
    guest.max_messages = inputs.messages.after_taking(0);
    // EN-4: under code that did not come up nothing runs and nothing is taken.
    let ended_well = if bring_to_code(guest, inputs, &mut block)? {
        let began = begin(guest, inputs, &mut block)?;
        for raw in transactions {
            block.receipts.push(execute(guest, opener, raw)?);
        }
        let request = abi::BlockRequest { context: guest.context.clone() };
        let called = guest.call(Export::EndBlock, &request, BLOCK_GAS)?;
        block.note(called) && began
    } else {
        block.receipts = transactions.iter().map(|raw| not_initialised(raw)).collect();
        false
    };
    timers::settle(guest, ended_well)?;
    // EN-6: after the transactions' leaves, with an output like any other.
    let own = block.own_receipt();
    block.receipts.extend(own);
    Ok(block)
}

/// Calls `init` or `migrate` if it is due. Whether the state is the code's.
fn bring_to_code(
    guest: &mut Guest<'_>,
    inputs: &BlockInputs<'_>,
    block: &mut Block,
) -> Result<bool, EnclaveError> {
    let context = guest.context.clone();
    let called = match guest.state.read(CODE_KEY)? {
        Some(code) if code == inputs.code.as_bytes() => return Ok(true),
        Some(_) => guest.call(Export::Migrate, &abi::BlockRequest { context }, INIT_GAS)?,
        None => {
            let request = abi::InitRequest { context, argument: inputs.init_argument.to_vec() };
            guest.call(Export::Init, &request, INIT_GAS)?
        }
    };
    let done = block.note(called);
    if done {
        guest.state.write(CODE_KEY.to_vec(), Some(inputs.code.as_bytes().to_vec()));
        let mut inbox = read_inbox(guest)?;
        inbox.on_new_code();
        write_inbox(guest, &inbox);
    }
    Ok(done)
}

/// Calls `begin_block` with what the queues offer.
fn begin(
    guest: &mut Guest<'_>,
    inputs: &BlockInputs<'_>,
    block: &mut Block,
) -> Result<bool, EnclaveError> {
    let mut inbox = read_inbox(guest)?;
    let offer = inbox.offer(&guest.context, inputs.queues, guest.has_message_slot());
    if let Some(skipped) = offer.skipped {
        let data = skipped.id.to_be_bytes().to_vec();
        block.events.push(Event { topic: MESSAGE_SKIPPED.to_vec(), data });
        guest.messages.extend(offer.refund());
    }
    let request = inbox.request(&guest.context, &offer);
    let called = guest.call(Export::BeginBlock, &request, BLOCK_GAS)?;
    let succeeded = block.note(called);
    block.take(&offer, succeeded);
    // EN-10
    guest.max_messages = inputs.messages.after_taking(block.results_taken);
    inbox.settle(Round(guest.context.round), &offer, succeeded);
    write_inbox(guest, &inbox);
    Ok(succeeded)
}

impl Block {
    fn take(&mut self, offer: &Offer<'_>, succeeded: bool) {
        let count = |taken: usize| u32::try_from(taken).unwrap_or(u32::MAX);
        self.messages_taken = u32::from(offer.skipped.is_some());
        if succeeded {
            self.messages_taken = self.messages_taken.saturating_add(count(offer.incoming.len()));
            // EN-7: only a `begin_block` that succeeds takes anything.
            self.results_taken = count(offer.results.len());
        }
    }
}

fn read_inbox(guest: &mut Guest<'_>) -> Result<Inbox, EnclaveError> {
    let stored = guest.state.read(INBOX_KEY)?;
    Ok(stored.as_deref().map(Inbox::decode).unwrap_or_default())
}

fn write_inbox(guest: &mut Guest<'_>, inbox: &Inbox) {
    guest.state.write(INBOX_KEY.to_vec(), inbox.encode());
    guest.state.keep();
}

fn not_initialised(raw: &[u8]) -> Receipt {
    let message = "the runtime could not be initialised, so it does nothing yet";
    Receipt {
        tx_hash: tx::hash_of(raw),
        gas_used: 0,
        output: refused(HOST_MODULE, NOT_INITIALISED, message),
        events: Vec::new(),
        reply_key: None,
    }
}
