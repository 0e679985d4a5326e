//! Chaincode's ledger: a public ParaTime that orders endorsed calls, validates them and keeps what
//! they write. It knows no secret: values, outputs and calls are sealed by the applications' enclaves.
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `commit` | an encoded `Commit` | `{"round", "position"}` |
//! | `revoke` | an encoded `Revoke`; the sender is the certificate's issuer | `{}` |
//! | `withdraw` | `{"amount", "to"?}` | `{"message": 0}` |
//! | `collect_fees` | `{"to"}`, the collector only | `{"amount"}` |
//!
//! | query | arguments | answer |
//! |---|---|---|
//! | `balance` | `{"address"?}` | `{"balance"}` |
//! | `committed` | `{"tx_id"}` | `{"round", "position", "application", "response"}` or `null` |
//! | `fees` | | what a commit pays |
//!
//! * **One error, one transaction.** A commit that is refused changes nothing and costs its fee; the
//!   call may be committed later if the reason is gone. Of two that conflict in one batch the first
//!   wins.
//! * **Once.** `t/tx_id` is kept until the call's heights refuse it for ever; see `commit`.
//! * **Fees** are taken before the call, from deposits on the ledger.
//!
//! `init` takes `{"retention_blocks", "collector"?, "fees"?: {"base"?, "byte"?, "endorsement"?,
//! "write"?}}`. Specification: systems/chaincode/SPEC.md, section 5.

mod calls;
mod commit;
mod config;
#[cfg(test)]
mod tests;

use paralith_chaincode_messages::order::Refusal;
use paralith_sdk::{
    Accounts, AccountsError, Call, Context, Error, IncomingMessage, MessageResult, Result, Runtime,
    Timers, accept_nonce, check_nonce, export, unknown_method,
};

export!(Ledger);

/// All money of this runtime.
pub(crate) const ACCOUNTS: Accounts = Accounts::new("a/");

/// When records of commits go: the transaction's id, by height.
pub(crate) const EXPIRY: Timers<[u8; 32]> = Timers::new("expiry");

/// How many records go in a round. The rest goes in the next ones, for which the runtime is woken.
pub const MAX_REMOVALS: usize = 256;

/// The runtime.
#[derive(Debug)]
pub struct Ledger;

impl Runtime for Ledger {
    const NAME: &'static str = "ledger";

    fn init(ctx: &mut Context, argument: &[u8]) -> Result<()> {
        config::init(ctx, argument)
    }

    fn begin_block(
        ctx: &mut Context,
        incoming: &[IncomingMessage],
        results: &[MessageResult],
    ) -> Result<()> {
        ACCOUNTS.settle_withdrawals(ctx, results)?;
        ACCOUNTS.credit_deposits(ctx, incoming)?;
        Ok(())
    }

    fn authenticate(ctx: &mut Context) -> Result<()> {
        accept_nonce(ctx)?;
        ACCOUNTS.charge_fee(ctx).map_err(not_covered)
    }

    fn check(ctx: &Context) -> Result<()> {
        check_nonce(ctx)?;
        ACCOUNTS.check_fee(ctx).map_err(not_covered)
    }

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "commit" => commit::commit(ctx, &call.args),
            "revoke" => calls::revoke(ctx, &call.args),
            "withdraw" => calls::withdraw(ctx, call),
            "collect_fees" => calls::collect_fees(ctx, call),
            _ => unknown_method(call),
        }
    }

    fn end_block(ctx: &mut Context) -> Result<()> {
        for due in EXPIRY.take_due(ctx, MAX_REMOVALS)? {
            ctx.remove(&paralith_chaincode_messages::state::committed_key(&paralith_sdk::Hash(
                due.item,
            )));
        }
        Ok(())
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "balance" => calls::balance(ctx, call),
            "committed" => calls::committed(ctx, call),
            "fees" => calls::fees(ctx, call),
            _ => unknown_method(call),
        }
    }
}

/// A refusal as the SDK's error; the module is this runtime's name.
pub(crate) fn refused(refusal: &Refusal) -> Error {
    Error::new(refusal.code(), refusal.to_string())
}

fn not_covered(error: AccountsError) -> Error {
    match error {
        AccountsError::Fee => refused(&Refusal::Money(
            "the balance on the ledger does not cover the fee: deposit first".into(),
        )),
        other => other.into(),
    }
}
