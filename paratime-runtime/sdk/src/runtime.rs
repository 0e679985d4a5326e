//! What a ParaTime developer implements.

use crate::{
    Call, Context, IncomingMessage, MessageResult, Result, SdkError, accept_nonce, check_nonce,
    unknown_method,
};

/// A ParaTime. Only [`Runtime::execute`] must be written; the rest has defaults.
///
/// `init`, `begin_block`, `end_block` and `migrate` belong to the round, not to a sender. An error or
/// a panic there undoes the call, and the round goes on; `init` and `migrate` are tried again in the
/// next round, and no transaction runs before they succeed. They must cope with whatever users left
/// in the state, within the round's gas.
pub trait Runtime {
    /// The module named in this runtime's own errors.
    const NAME: &'static str = "runtime";

    /// Sets up the state from the argument in the runtime's descriptor. Runs once, before the
    /// first round's `begin_block`.
    fn init(_ctx: &mut Context, _argument: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Opens a round: takes in messages and deposits from consensus, and the results of this
    /// runtime's own messages to consensus.
    ///
    /// If it fails, nothing is taken: the same messages, fewer at a time, and the same results come
    /// again. A message that it cannot bear is skipped after
    /// [`MESSAGE_ATTEMPTS`](paralith_runtime_abi::MESSAGE_ATTEMPTS) and its tokens go back to its
    /// sender. A result names its message by round and index, comes once, and never before its round
    /// is final.
    fn begin_block(
        _ctx: &mut Context,
        _incoming: &[IncomingMessage],
        _results: &[MessageResult],
    ) -> Result<()> {
        Ok(())
    }

    /// Decides whether the sender may have a transaction executed, and takes its fee. What it
    /// writes stays even if `execute` fails. It does not see the call.
    ///
    /// An override calls [`accept_nonce`], or transactions can be replayed.
    fn authenticate(ctx: &mut Context) -> Result<()> {
        accept_nonce(ctx)
    }

    /// Whether a transaction may wait in a node's pool: `authenticate` without effects, on the last
    /// final state.
    fn check(ctx: &Context) -> Result<()> {
        check_nonce(ctx)
    }

    /// Executes a transaction and gives its result.
    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>>;

    /// Closes a round.
    fn end_block(_ctx: &mut Context) -> Result<()> {
        Ok(())
    }

    /// Answers a question about a final state. Methods that start with `sdk.` are the SDK's.
    fn query(_ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        unknown_method(call)
    }

    /// Gives to everybody what [`Context::request_reveal`] asked to reveal, from the final state
    /// of the round that asked.
    fn reveal(_ctx: &Context, _handle: &[u8]) -> Result<Vec<u8>> {
        Err(SdkError::NothingToReveal.into())
    }

    /// Brings the state of the previous code into this code's form. Runs once, before the
    /// `begin_block` of the first round under new code.
    fn migrate(_ctx: &mut Context) -> Result<()> {
        Ok(())
    }
}
