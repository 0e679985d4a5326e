//! The calls of one round in their order: `init` or `migrate` where due, `begin_block`, every
//! transaction, `end_block`.
//!
//! * The state holds the code that it was last brought to, under a key that only the host writes.
//!   None there: `init` is due. Another there: `migrate` is. If either fails, it is due again next
//!   round, and until then the runtime does nothing: transactions are recorded with an error, and
//!   messages from consensus wait.
//! * A `begin_block` or `end_block` that fails is undone and the round goes on. The messages that
//!   `begin_block` was given are taken all the same, or one bad message would stop the queue.
//! * Events of these calls, and a [`BLOCK_ERROR`] for each that failed, are in one more leaf at the
//!   end of the I/O tree, whose transaction is [`Hash::ZERO`] and which has no output. A round
//!   without such events has no such leaf.

use paralith_consensus_api::roothash::{IncomingMessage, QueuedResult};
use paralith_proto::Canonical;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{Error, Event, IoLeaf};
use paralith_runtime_api::tx;
use paralith_types::{CodeId, Hash};

use super::error::TrustedError;
use super::guest::{Called, Guest};
use super::transaction::{Opener, Receipt, execute, refused};
use paralith_runtime_vm::Export;

/// Topic of the event that stands for a failed call of the block; its data is an encoded
/// [`Error`].
pub const BLOCK_ERROR: &[u8] = b"paralith.block_error";

/// Most gas of `init` and of `migrate`.
pub const INIT_GAS: u64 = 20_000_000_000;

/// Most gas of `begin_block` and of `end_block`.
pub const BLOCK_GAS: u64 = 5_000_000_000;

/// Where the state names the code that it was last brought to.
const CODE_KEY: &[u8] = b"\xffcode";

/// Module of results that say that the runtime does not run.
const MODULE: &str = "host";
const NOT_INITIALISED: u32 = 1;

/// What the round begins with.
pub(crate) struct BlockInputs<'a> {
    pub(crate) code: CodeId,
    pub(crate) init_argument: &'a [u8],
    pub(crate) incoming: &'a [IncomingMessage],
    pub(crate) message_results: &'a [QueuedResult],
}

/// What the round's calls gave.
pub(crate) struct Block {
    pub(crate) receipts: Vec<Receipt>,
    /// Of the calls that belong to no transaction.
    pub(crate) events: Vec<Event>,
    pub(crate) gas_used: u64,
    /// Whether the messages from consensus were taken.
    pub(crate) took_messages: bool,
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

    /// The leaf of the calls that belong to no transaction, if they have any event.
    pub(crate) fn leaf(&self) -> Option<IoLeaf> {
        (!self.events.is_empty()).then(|| IoLeaf {
            tx_hash: Hash::ZERO,
            gas_used: self.gas_used,
            output_commitment: Hash::ZERO,
            events: self.events.clone(),
        })
    }
}

/// Makes the calls.
pub(crate) fn run(
    guest: &mut Guest<'_>,
    inputs: &BlockInputs<'_>,
    opener: &Opener<'_>,
    transactions: &[Vec<u8>],
) -> Result<Block, TrustedError> {
    let mut block =
        Block { receipts: Vec::new(), events: Vec::new(), gas_used: 0, took_messages: false };
    if !bring_to_code(guest, inputs, &mut block)? {
        block.receipts = transactions.iter().map(|raw| not_initialised(raw)).collect();
        return Ok(block);
    }
    let request = abi::BeginBlockRequest {
        context: guest.context.clone(),
        incoming: inputs.incoming.iter().map(incoming).collect(),
        message_results: inputs.message_results.iter().map(message_result).collect(),
    };
    block.took_messages = true;
    let called = guest.call(Export::BeginBlock, &request, BLOCK_GAS)?;
    block.note(called);
    for raw in transactions {
        block.receipts.push(execute(guest, opener, raw)?);
    }
    let request = abi::BlockRequest { context: guest.context.clone() };
    let called = guest.call(Export::EndBlock, &request, BLOCK_GAS)?;
    block.note(called);
    Ok(block)
}

/// Calls `init` or `migrate` if it is due. Whether the state is the code's.
fn bring_to_code(
    guest: &mut Guest<'_>,
    inputs: &BlockInputs<'_>,
    block: &mut Block,
) -> Result<bool, TrustedError> {
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
        guest.state.keep();
    }
    Ok(done)
}

fn not_initialised(raw: &[u8]) -> Receipt {
    let message = "the runtime could not be initialised, so it does nothing yet";
    Receipt {
        tx_hash: tx::hash_of(raw),
        gas_used: 0,
        output: refused(MODULE, NOT_INITIALISED, message),
        events: Vec::new(),
        reply_key: None,
    }
}

fn incoming(message: &IncomingMessage) -> abi::IncomingMessage {
    abi::IncomingMessage {
        id: message.id,
        caller: message.caller.as_bytes().to_vec(),
        tag: message.tag,
        fee: message.fee.to_be_bytes_minimal(),
        tokens: message.tokens.to_be_bytes_minimal(),
        data: message.data.clone(),
    }
}

fn message_result(queued: &QueuedResult) -> abi::MessageResult {
    let result = &queued.result;
    abi::MessageResult { index: result.index, module: result.module.clone(), code: result.code }
}
