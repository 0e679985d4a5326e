//! The other methods and the queries.

use paralith_chaincode_messages::order::Refusal;
use paralith_chaincode_messages::state::{REVOKED, revoked_key};
use paralith_chaincode_messages::{Message, REVOKED_TOPIC, Revoke};
use paralith_sdk::{
    Address, Amount, Call, Context, Error, Hash, NoArgs, Result, args, json, reply,
};
use serde::Deserialize;

use crate::config::config;
use crate::{ACCOUNTS, commit, refused};

/// `revoke`: only of the sender's own certificates, whatever issuers an application has now.
pub(crate) fn revoke(ctx: &mut Context, bytes: &[u8]) -> Result<Vec<u8>> {
    let Revoke { application, serial } =
        Revoke::decode(bytes).map_err(|e| refused(&Refusal::Form(e.to_string())))?;
    config(ctx)?.fees.check(ctx, bytes.len(), 0, 1)?;
    let issuer = ctx.sender()?;
    ctx.set(&revoked_key(&application, &issuer, serial), &REVOKED.to_vec());
    let serial = serial.to_be_bytes();
    let data = [application.as_bytes(), issuer.as_bytes(), &serial].concat();
    ctx.emit_event(REVOKED_TOPIC, &data);
    reply(&json!({}))
}

/// `withdraw`
pub(crate) fn withdraw(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Withdraw {
        amount: Amount,
        to: Option<Address>,
    }
    let Withdraw { amount, to } = args(call)?;
    config(ctx)?.fees.check(ctx, call.args.len(), 0, 1)?;
    let from = ctx.sender_address()?;
    let to = to.unwrap_or(from);
    let message = ACCOUNTS.withdraw(ctx, &from, &to, amount).map_err(Error::from)?;
    reply(&json!({ "message": message }))
}

/// `collect_fees`
pub(crate) fn collect_fees(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Collect {
        to: Address,
    }
    let Collect { to } = args(call)?;
    if config(ctx)?.collector != Some(ctx.sender_address()?) {
        return Err(refused(&Refusal::NotCollector));
    }
    let amount = ACCOUNTS.collect_fees(ctx, &to).map_err(Error::from)?;
    reply(&json!({ "amount": amount }))
}

/// `balance`
pub(crate) fn balance(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Of {
        address: Option<Address>,
    }
    let Of { address } = args(call)?;
    let nobody = || refused(&Refusal::Form("name an address or sign the query".into()));
    let address = address.or(ctx.caller()).ok_or_else(nobody)?;
    reply(&json!({ "balance": ACCOUNTS.balance(ctx, &address)? }))
}

/// `committed`
pub(crate) fn committed(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Of {
        tx_id: Hash,
    }
    let Of { tx_id } = args(call)?;
    let record = commit::record(ctx, &tx_id)?.map(|record| {
        json!({
            "round": record.version.round,
            "position": record.version.position,
            "application": record.application,
            "response": record.response,
        })
    });
    reply(&record)
}

/// `fees`
pub(crate) fn fees(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    let NoArgs {} = args(call)?;
    reply(&config(ctx)?.fees)
}
