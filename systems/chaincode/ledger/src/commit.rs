//! The validation of a commit, in its order.

use paralith_chaincode_messages::order::{self, Quorum, Refusal};
use paralith_chaincode_messages::state::{
    Committed, POSITION_KEY, Position, committed_key, enclave_key, entry, entry_key, read_entry,
    runtime_key,
};
use paralith_chaincode_messages::{
    COMMITTED_TOPIC, Commit, DecodeError, Definition, EVENT_PREFIX, Endorsement, Fault,
    MAX_COMMIT_BYTES, Response, Version, Written,
};
use paralith_sdk::{Context, Error, Hash, Result, SdkError, json, reply};
use paralith_types::Height;

use crate::config::config;
use crate::{EXPIRY, refused};

/// A refusal on its way through functions that read state too.
struct Stop(Error);

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self(refused(&refusal))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// `commit`
pub(crate) fn commit(ctx: &mut Context, bytes: &[u8]) -> Result<Vec<u8>> {
    validate(ctx, bytes).map_err(|Stop(error)| error)
}

fn validate(ctx: &mut Context, bytes: &[u8]) -> Result<Vec<u8>, Stop> {
    let commit = read(bytes)?;
    let response = commit.response();
    let config = config(ctx)?;
    let endorsements = commit.endorsements();
    config.fees.check(ctx, bytes.len(), endorsements.len(), response.writes.len())?;
    if response.ledger != ctx.runtime_id() {
        return Err(Refusal::OtherLedger(response.ledger).into());
    }
    let descriptor = ctx.consensus_get(&runtime_key(&response.application));
    let definition = order::application(response, descriptor.as_deref())?;
    let pinned = Height(ctx.consensus_height());
    order::in_time(response, &definition, pinned)?;
    if let Some(record) = record(ctx, &response.tx_id)? {
        return Err(Refusal::Committed { round: record.version.round }.into());
    }
    endorsed(ctx, response, endorsements, &definition, pinned)?;
    order::conflict(response, |index| -> Result<_, Stop> { Ok(version(ctx, response, index)?) })?;
    let version = apply(ctx, response)?;
    expire(ctx, response, config.retention_blocks)?;
    Ok(reply(&json!({ "round": version.round, "position": version.position }))?)
}

/// Form and lists: too long for any commit, not readable, not sorted, too much, another version.
fn read(bytes: &[u8]) -> Result<Commit, Refusal> {
    let too_large = |got: usize, limit: usize| {
        Refusal::TooLarge(format!("{got} bytes are more than the limit of {limit}"))
    };
    if bytes.len() > MAX_COMMIT_BYTES {
        return Err(too_large(bytes.len(), MAX_COMMIT_BYTES));
    }
    let commit = Commit::decode(bytes).map_err(|error| match error {
        DecodeError::TooLarge { limit, got } => too_large(got, limit),
        other => Refusal::Form(other.to_string()),
    })?;
    commit.response().check().map_err(|fault| match fault {
        Fault::Unsorted { .. } => Refusal::Unsorted(fault.to_string()),
        Fault::TooMany { .. } => Refusal::TooLarge(fault.to_string()),
        Fault::Version { .. } => Refusal::Form(fault.to_string()),
    })?;
    Ok(commit)
}

/// The record of a commit, if it is kept.
pub(crate) fn record(ctx: &Context, tx_id: &Hash) -> Result<Option<Committed>> {
    let stored = ctx.get::<Vec<u8>>(&committed_key(tx_id))?;
    let read = |bytes: Vec<u8>| Committed::from_bytes(&bytes).ok_or_else(|| corrupt("a commit"));
    stored.map(read).transpose()
}

fn endorsed(
    ctx: &Context,
    response: &Written<Response>,
    endorsements: &[Endorsement],
    definition: &Definition,
    pinned: Height,
) -> Result<(), Refusal> {
    let message = Endorsement::signed_bytes(&ctx.chain_context(), response.bytes());
    let mut quorum = Quorum::new(definition, pinned);
    for Endorsement { rak, signature } in endorsements {
        let record = ctx.consensus_get(&enclave_key(&response.application, rak));
        quorum.add(*rak, record.as_deref(), || ctx.ed25519_verify(rak, signature, &message))?;
    }
    quorum.satisfied()
}

/// The present version of an entry.
fn version(ctx: &Context, response: &Response, index: &Hash) -> Result<Option<Version>> {
    let stored = ctx.get::<Vec<u8>>(&entry_key(&response.application, index))?;
    let read = |bytes: Vec<u8>| {
        let (version, _) = read_entry(&bytes).ok_or_else(|| corrupt("an entry"))?;
        Ok(version)
    };
    stored.map(read).transpose()
}

/// Writes what the call wrote, the record and the events.
fn apply(ctx: &mut Context, response: &Written<Response>) -> Result<Version> {
    let last = ctx.get::<Vec<u8>>(POSITION_KEY)?.and_then(|bytes| Position::from_bytes(&bytes));
    let (version, next) =
        Position::take(last, ctx.round()).ok_or_else(|| corrupt("the round's positions"))?;
    ctx.set(POSITION_KEY, &next.to_bytes());
    let application = response.application;
    for write in &response.writes {
        let key = entry_key(&application, &write.index);
        match &write.value {
            Some(value) => ctx.set(&key, &entry(version, value)),
            None => ctx.remove(&key),
        }
    }
    // Hashed by the host; the framing is that of every hash.
    let hash = ctx.sha256(&Response::hash_preimage(response.bytes()));
    let record = Committed { version, application, response: hash };
    ctx.set(&committed_key(&response.tx_id), &record.to_bytes());
    for event in &response.events {
        ctx.emit_event(&[EVENT_PREFIX, &event.topic].concat(), &event.data);
    }
    let committed = [application.as_bytes(), response.tx_id.as_bytes()].concat();
    ctx.emit_event(COMMITTED_TOPIC, &committed);
    Ok(version)
}

/// The record goes when results need not be released any more. The heights refuse the call long
/// before: `valid_until` has come.
fn expire(ctx: &mut Context, response: &Response, retention_blocks: u64) -> Result<()> {
    let height = response.valid_until.0.saturating_add(retention_blocks);
    EXPIRY.add(ctx, height, &response.tx_id.0)?;
    Ok(())
}

fn corrupt(what: &'static str) -> Error {
    SdkError::CorruptState { what }.into()
}
