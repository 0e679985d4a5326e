//! One transaction of a block: from its bytes to its outcome.
//!
//! A transaction that cannot be read, whose signature does not fit or that its account does not
//! cover has no effect at all. Every other one pays its fee and uses its nonce, and then either all of
//! it happens or nothing.

use paralith_consensus_api::registry::{ApproveRuntime, RegisterRuntime, RevokeEnclave, Runtime};
use paralith_consensus_api::tx::Body;
use paralith_consensus_api::{Error, Fault, consensus};

use crate::block::TxOutcome;
use crate::check::{Candidate, refusal};
use crate::context::{Context, Signer};
use crate::{fees, keymanager, registry, roothash, staking};

/// The gas of a block's transactions together.
#[derive(Debug)]
pub(crate) struct BlockGas {
    limit: u64,
    used: u64,
}

impl BlockGas {
    /// Nothing used yet of `limit`; 0 is unlimited.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit: if limit == 0 { u64::MAX } else { limit }, used: 0 }
    }

    /// A transaction runs only if all the gas that it may use is there.
    fn reserve(&self, gas_limit: u64) -> Result<(), consensus::Error> {
        match self.used.checked_add(gas_limit) {
            Some(total) if total <= self.limit => Ok(()),
            _ => Err(consensus::Error::BlockGasExhausted),
        }
    }
}

/// Runs a transaction. An error is this node's fault; a refusal is an outcome.
pub(crate) fn deliver(
    ctx: &mut Context<'_>,
    params: &consensus::Params,
    block_gas: &mut BlockGas,
    index: u32,
    tx: Result<Candidate, consensus::Error>,
) -> Result<TxOutcome, Error> {
    let tx = match tx {
        Ok(tx) => tx,
        Err(error) => return Ok(refusal(&error.into(), 0)),
    };
    let gas_limit = tx.tx.fee.gas_limit;
    if let Err(error) = block_gas.reserve(gas_limit) {
        return Ok(refusal(&error.into(), gas_limit));
    }
    let signer = Signer { key: tx.signed.public_key, address: tx.sender(), tx_index: index };
    ctx.begin_tx(signer, gas_limit);
    let result = match ctx.isolated(|ctx| fees::authenticate(ctx, params, &tx)) {
        Ok(()) => ctx.isolated(|ctx| {
            let size = u64::try_from(tx.size).unwrap_or(u64::MAX);
            ctx.charge(params.gas_per_byte.saturating_mul(size))?;
            dispatch(ctx, &tx.body)
        }),
        Err(error) => Err(error),
    };
    let (gas_used, events) = ctx.end_tx();
    block_gas.used = block_gas.used.saturating_add(gas_used);
    match result {
        Ok(()) => Ok(TxOutcome { gas_used, gas_limit, events, ..TxOutcome::default() }),
        Err(error) if error.fault() == Fault::Node => Err(error),
        Err(error) => Ok(TxOutcome { gas_used, events, ..refusal(&error, gas_limit) }),
    }
}

/// Every method of the chain.
pub(crate) fn dispatch(ctx: &mut Context<'_>, body: &Body) -> Result<(), Error> {
    match body {
        Body::AddEscrow(body) => staking::execute::add_escrow(ctx, body),
        Body::ApproveRuntime(body) => approve_runtime(ctx, body),
        Body::Evidence(body) => roothash::execute::evidence(ctx, body),
        Body::ExecutorCommit(body) => roothash::execute::executor_commit(ctx, body),
        Body::ProveFreshness(body) => registry::execute::prove_freshness(ctx, body),
        Body::PublishEpochSecret(body) => keymanager::execute::publish_epoch_secret(ctx, body),
        Body::PublishMasterSecret(body) => keymanager::execute::publish_master_secret(ctx, body),
        Body::ReclaimEscrow(body) => staking::execute::reclaim_escrow(ctx, body),
        Body::RegisterEntity(body) => registry::execute::register_entity(ctx, body),
        Body::RegisterNode(body) => registry::execute::register_node(ctx, body),
        Body::RegisterRuntime(body) => register_runtime(ctx, body),
        Body::RevokeEnclave(body) => revoke_enclave(ctx, body),
        Body::SubmitMessage(body) => roothash::execute::submit_message(ctx, body),
        Body::Transfer(body) => staking::execute::transfer(ctx, body),
        Body::UpdatePolicy(body) => keymanager::execute::update_policy(ctx, body),
    }
}

/// A runtime that is new begins its chain or its status.
fn register_runtime(ctx: &mut Context<'_>, body: &RegisterRuntime) -> Result<(), Error> {
    if registry::execute::register_runtime(ctx, body)? {
        on_registered(ctx, &body.runtime)?;
    }
    Ok(())
}

/// So does one that has its approvals.
fn approve_runtime(ctx: &mut Context<'_>, body: &ApproveRuntime) -> Result<(), Error> {
    match registry::execute::approve_runtime(ctx, body)? {
        Some(runtime) => on_registered(ctx, &runtime),
        None => Ok(()),
    }
}

fn on_registered(ctx: &mut Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    roothash::on_runtime_registered(ctx, runtime)?;
    keymanager::on_runtime_registered(ctx, runtime)
}

/// The keys that a revoked enclave has are not those of what is written from the next epoch on.
fn revoke_enclave(ctx: &mut Context<'_>, body: &RevokeEnclave) -> Result<(), Error> {
    match registry::execute::revoke_enclave(ctx, body)? {
        Some(runtime) => keymanager::on_enclave_revoked(ctx, &runtime),
        None => Ok(()),
    }
}
