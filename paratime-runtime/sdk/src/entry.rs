//! From a request's bytes to a handler, and back to an outcome's bytes.

use paralith_runtime_abi as abi;
use paralith_runtime_abi::Outcome;
use prost::Message;
use serde::Deserialize;

use crate::context::malformed;
use crate::host::Host;
use crate::nonce::known_nonce;
use crate::{
    Address, Call, Context, IncomingMessage, Result, Runtime, SdkError, args, json, next_nonce,
    reply,
};

/// The entry points of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// `init`
    Init,
    /// `begin_block`
    BeginBlock,
    /// `authenticate`
    Authenticate,
    /// `execute`
    Execute,
    /// `end_block`
    EndBlock,
    /// `check`
    Check,
    /// `query`
    Query,
    /// `reveal`
    Reveal,
    /// `migrate`
    Migrate,
}

/// Runs one entry point: an encoded request in, an encoded outcome out.
pub(crate) fn run<R: Runtime>(export: Export, host: Box<dyn Host>, request: &[u8]) -> Vec<u8> {
    let outcome = match dispatch::<R>(export, host, request) {
        Ok(value) => Outcome::ok(value),
        Err(mut error) => {
            if error.code == 0 {
                error = SdkError::ZeroCode { message: error.message }.into();
            }
            let module = if error.module.is_empty() { R::NAME } else { &error.module };
            Outcome::error(module, error.code, &error.message)
        }
    };
    outcome.encode_to_vec()
}

fn dispatch<R: Runtime>(export: Export, host: Box<dyn Host>, request: &[u8]) -> Result<Vec<u8>> {
    match export {
        Export::Init => {
            let request = abi::InitRequest::decode(request).map_err(malformed)?;
            let mut ctx = Context::new(host, request.context)?;
            R::init(&mut ctx, &request.argument)?;
        }
        Export::BeginBlock => {
            let request = abi::BeginBlockRequest::decode(request).map_err(malformed)?;
            let mut ctx = Context::new(host, request.context)?;
            let incoming: Result<Vec<IncomingMessage>> =
                request.incoming.into_iter().map(IncomingMessage::try_from).collect();
            R::begin_block(&mut ctx, &incoming?, &request.message_results)?;
        }
        Export::Authenticate => R::authenticate(&mut transaction(host, request)?.0)?,
        Export::Check => {
            let ctx = transaction(host, request)?.0;
            R::check(&ctx)?;
            // Of who has one: a runtime may number its transactions otherwise, or not at all.
            let next = known_nonce(&ctx, &ctx.sender_address()?)?;
            return Ok(next.map_or_else(Vec::new, |next| next.to_be_bytes().to_vec()));
        }
        Export::Execute => {
            let (mut ctx, call) = transaction(host, request)?;
            let call = call.ok_or_else(|| malformed("`execute` without a call"))?;
            return R::execute(&mut ctx, &call);
        }
        Export::EndBlock => R::end_block(&mut block(host, request)?)?,
        Export::Migrate => R::migrate(&mut block(host, request)?)?,
        Export::Query => {
            let request = abi::QueryRequest::decode(request).map_err(malformed)?;
            let ctx = Context::new(host, request.context)?.with_caller(&request.caller)?;
            return query::<R>(&ctx, &request.call);
        }
        Export::Reveal => {
            let request = abi::RevealRequest::decode(request).map_err(malformed)?;
            return R::reveal(&Context::new(host, request.context)?, &request.handle);
        }
    }
    Ok(Vec::new())
}

fn transaction(host: Box<dyn Host>, request: &[u8]) -> Result<(Context, Option<Call>)> {
    let request = abi::TransactionRequest::decode(request).map_err(malformed)?;
    let ctx = Context::new(host, request.context)?.with_transaction(request.transaction)?;
    Ok((ctx, request.call))
}

fn block(host: Box<dyn Host>, request: &[u8]) -> Result<Context> {
    let request = abi::BlockRequest::decode(request).map_err(malformed)?;
    Context::new(host, request.context)
}

/// Every runtime answers `sdk.nonce`, so that any client can number its transactions. Nonces are
/// no secret: transactions carry them in the clear.
fn query<R: Runtime>(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nonce {
        address: Address,
    }
    if call.method == "sdk.nonce" {
        let Nonce { address } = args(call)?;
        return reply(&json!({ "nonce": next_nonce(ctx, &address)? }));
    }
    R::query(ctx, call)
}
