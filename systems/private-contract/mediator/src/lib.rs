//! The mediator of private contracts: a public ParaTime. It orders their transactions, counts their members'
//! votes on state roots, and announces the outcome. It sees hashes, wraps, roots, bonds and balances.
//!
//! Specification: `systems/private-contract/SPEC.md`. Calls take canonical messages of the crate `messages`:
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `set_keys` | `SetKeys` | |
//! | `create` | `Create` | the contract's id |
//! | `join`, `leave`, `cancel`, `refresh`, `probe` | `Join`, `OfContract` | |
//! | `submit` | `Submit` | the transaction's number, 8 bytes |
//! | `vote` | `Vote` | |
//! | `complain`, `accuse` | `Complain`, `Accuse` | |
//! | `change`, `close`, `revoke` | `Change`, `Close`, `Revoke` | |
//! | `fund`, `withdraw` | `Fund`, `Withdraw` | the deposit's number, 8 bytes; the message's index, 4 bytes |
//! | `collect_fees` | none, by the collector | |
//!
//! | query | arguments | answer |
//! |---|---|---|
//! | `record` | a key of the state | the record, or nothing |
//! | `balance` | `{"address"}` | `{"balance"}` |
//! | `settings` | | those of `init` |
//!
//! `init` takes `{"base_fee"?, "wrap_fee"?, "byte_fee"?, "collector"?}`; amounts are decimal strings.
//!
//! **As a library.** A ParaTime that links this crate without its feature `module` runs [`Mediator`] with its own
//! [`Hooks`], and its own contracts in the same step: before a transaction is taken, and after it is final.

mod batch;
mod change;
mod contract;
mod directory;
mod dispute;
mod due;
mod error;
mod fini;
mod keysets;
mod money;
mod state;
mod submit;
mod vote;

use std::marker::PhantomData;

use paralith_private_contract_core::messages::{FiniEvent, InitEvent};
use paralith_sdk::{
    Address, Amount, Call, Context, Error, IncomingMessage, Json, MessageResult, Result, Runtime,
    accept_nonce, args, check_nonce, json, reply, unknown_method,
};
use serde::{Deserialize, Serialize};

pub use error::MediatorError;
pub use money::custody;

/// The accounts of this runtime, for a runtime that links it and for tests.
pub const ACCOUNTS: paralith_sdk::Accounts = money::ACCOUNTS;

use paralith_private_contract_core::messages::keys;

/// The module.
pub type Module = Mediator<NoHooks>;

#[cfg(feature = "module")]
paralith_sdk::export!(Module);

/// What a ParaTime that links this library does in the same step.
pub trait Hooks {
    /// Before a transaction is taken. A refusal refuses it.
    fn before_init(_ctx: &mut Context, _event: &InitEvent) -> Result<()> {
        Ok(())
    }

    /// After a transaction is final. It must not fail: nothing could be undone.
    fn after_fini(_ctx: &mut Context, _event: &FiniEvent) {}
}

/// Nothing more.
#[derive(Debug)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// The runtime.
#[derive(Debug)]
pub struct Mediator<H>(PhantomData<H>);

/// Parameters of `init`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What every call pays at least.
    #[serde(default)]
    pub base_fee: Amount,
    /// What `submit` pays besides for each wrap.
    #[serde(default)]
    pub wrap_fee: Amount,
    /// What `submit` pays besides for each byte of its arguments.
    #[serde(default)]
    pub byte_fee: Amount,
    /// Who may collect the fees.
    #[serde(default)]
    pub collector: Option<Address>,
}

pub(crate) fn settings(ctx: &Context) -> Result<Settings> {
    Ok(ctx.get::<Json<Settings>>(&keys::settings())?.map(|json| json.0).unwrap_or_default())
}

impl<H: Hooks> Runtime for Mediator<H> {
    const NAME: &'static str = "mediator";

    fn init(ctx: &mut Context, argument: &[u8]) -> Result<()> {
        let call = Call { method: "init".into(), args: argument.to_vec() };
        let settings: Settings = args(&call)?;
        ctx.set(&keys::settings(), &Json(settings));
        Ok(())
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
        covers_base(ctx)?;
        let charged = ACCOUNTS.charge_fee(ctx);
        charged.map_err(|error| MediatorError::of_accounts(error, "the fee"))
    }

    fn check(ctx: &Context) -> Result<()> {
        check_nonce(ctx)?;
        covers_base(ctx)?;
        let checked = ACCOUNTS.check_fee(ctx);
        checked.map_err(|error| MediatorError::of_accounts(error, "the fee"))
    }

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "set_keys" => directory::set_keys(ctx, call),
            "create" => contract::create(ctx, call),
            "join" => contract::join(ctx, call),
            "leave" => contract::leave(ctx, call),
            "cancel" => contract::cancel(ctx, call),
            "fund" => contract::fund(ctx, call),
            "probe" => contract::probe(ctx, call),
            "close" => contract::close(ctx, call),
            "refresh" => keysets::refresh(ctx, call),
            "submit" => submit::submit::<H>(ctx, call),
            "vote" => vote::vote::<H>(ctx, call),
            "complain" => dispute::complain(ctx, call),
            "accuse" => dispute::accuse(ctx, call),
            "change" => change::change(ctx, call),
            "revoke" => change::revoke(ctx, call),
            "withdraw" => directory::withdraw(ctx, call),
            "collect_fees" => directory::collect_fees(ctx),
            _ => unknown_method(call),
        }
    }

    fn end_block(ctx: &mut Context) -> Result<()> {
        due::take_due::<H>(ctx)?;
        batch::serve_ring::<H>(ctx)
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Of {
            address: Address,
        }
        match call.method.as_str() {
            "record" => Ok(ctx.get::<Vec<u8>>(&call.args)?.unwrap_or_default()),
            "balance" => {
                let Of { address } = args(call)?;
                reply(&json!({ "balance": ACCOUNTS.balance(ctx, &address)? }))
            }
            "settings" => reply(&settings(ctx)?),
            _ => unknown_method(call),
        }
    }
}

fn covers_base(ctx: &Context) -> Result<()> {
    let covered = ctx.fee()? >= settings(ctx)?.base_fee;
    let error: Error = MediatorError::Money("the base fee").into();
    if covered { Ok(()) } else { Err(error) }
}
