//! The host functions of the contract.
//!
//! Each pays first, then checks every place and length, then copies. A host function never keeps
//! a reference into guest memory while the guest can run.

mod v2;

use ed25519_zebra::{Signature, VerificationKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use paralith_runtime_abi::{
    ABSENT, ConsensusMessage, HOST_KEY_PREFIX, IMPORT_MODULE, MAX_KEY_BYTES, MAX_VALUE_BYTES,
    REVEAL_INTENT_PREFIX, pack,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use wasmtime::{Caller, Linker, Result};

use super::error::{NodeFault, StateError, Stop, TrapKind};
use super::gas;
use super::instance::{Guest, HostData, charge, give, sink_takes, slice, with_state};
use super::limits::{
    MAX_EFFECT_BYTES, MAX_EFFECTS, MAX_EVENT_BYTES, MAX_HANDLE_BYTES, MAX_LOG_BYTES,
    MAX_LOG_LINE_BYTES, MAX_MESSAGE_BYTES, MAX_PURPOSE_BYTES, MAX_RANDOM_BYTES, MAX_TOPIC_BYTES,
};

/// Separates the blocks of `random` from all other hashes.
const RANDOM_DOMAIN: &str = "paralith/random";

/// The guest that calls a host function.
type Host<'a> = Caller<'a, HostData>;

/// Adds every host function to a linker.
pub(crate) fn link(linker: &mut Linker<HostData>) -> Result<()> {
    let module = IMPORT_MODULE;
    linker.func_wrap(module, "state_get", state_get)?;
    linker.func_wrap(module, "state_set", state_set)?;
    linker.func_wrap(module, "state_remove", state_remove)?;
    linker.func_wrap(module, "random", random)?;
    linker.func_wrap(module, "derive_key", derive_key)?;
    linker.func_wrap(module, "emit_message", emit_message)?;
    linker.func_wrap(module, "emit_event", emit_event)?;
    linker.func_wrap(module, "request_reveal", request_reveal)?;
    linker.func_wrap(module, "log", log)?;
    linker.func_wrap(module, "sha256", sha256)?;
    linker.func_wrap(module, "ed25519_verify", ed25519_verify)?;
    v2::link(linker)
}

fn trap<T>(kind: TrapKind) -> Result<T> {
    Err(Stop::from(kind).into())
}

fn state_fault(error: StateError) -> Stop {
    NodeFault::from(error).into()
}

fn guest(host: &Host<'_>) -> Result<Guest> {
    let missing = || Stop::from(NodeFault::Engine { reason: "no instance".into() });
    host.data().guest.clone().ok_or_else(|| missing().into())
}

/// A byte string of the guest, borrowed.
fn view<'a>(host: &'a Host<'_>, guest: &Guest, ptr: i32, len: usize) -> Result<&'a [u8]> {
    slice(guest.memory.data(host), ptr as u32, len, TrapKind::BadPointer)
}

/// A byte string of the guest, copied. Its length is checked before it is.
fn read(host: &Host<'_>, guest: &Guest, ptr: i32, len: i32, max: usize) -> Result<Vec<u8>> {
    let len = bounded(len, max)?;
    Ok(view(host, guest, ptr, len)?.to_vec())
}

/// A fixed number of bytes of the guest.
fn array<const N: usize>(host: &Host<'_>, guest: &Guest, ptr: i32) -> Result<[u8; N]> {
    let wrong = || Stop::from(TrapKind::BadPointer);
    Ok(view(host, guest, ptr, N)?.try_into().map_err(|_| wrong())?)
}

/// Writes bytes to a place that the guest chose.
fn write(host: &mut Host<'_>, guest: &Guest, ptr: i32, bytes: &[u8]) -> Result<()> {
    let start = ptr as u32 as usize;
    let memory = guest.memory.data_mut(host);
    match start.checked_add(bytes.len()).and_then(|end| memory.get_mut(start..end)) {
        Some(place) => place.copy_from_slice(bytes),
        None => return trap(TrapKind::BadPointer),
    }
    Ok(())
}

/// A length that is at most `max`.
fn bounded(len: i32, max: usize) -> Result<usize> {
    let len = len as u32 as usize;
    if len > max { trap(TrapKind::TooLong) } else { Ok(len) }
}

/// Pays for a host function that handles `bytes` at `each`.
fn pay(host: &mut Host<'_>, fixed: u64, bytes: i32, each: u64) -> Result<()> {
    let variable = u64::from(bytes as u32).saturating_mul(each);
    charge(host, gas::HOST_CALL.saturating_add(fixed).saturating_add(variable))
}

/// Refuses writes in calls that may only read.
fn writable(host: &Host<'_>) -> Result<()> {
    if host.data().read_only { trap(TrapKind::ReadOnly) } else { Ok(()) }
}

/// A key of the guest.
fn read_key(host: &Host<'_>, guest: &Guest, ptr: i32, len: i32) -> Result<Vec<u8>> {
    let key = read(host, guest, ptr, len, MAX_KEY_BYTES)?;
    if key.first() == Some(&HOST_KEY_PREFIX) { trap(TrapKind::ReservedKey) } else { Ok(key) }
}

/// Takes room for one more effect.
fn add_effect(host: &mut Host<'_>, bytes: usize) -> Result<()> {
    let data = host.data_mut();
    let effects = &data.effects;
    let count = effects.messages.len() + effects.events.len() + effects.reveals.len();
    data.effect_bytes = data.effect_bytes.saturating_add(bytes);
    if count >= MAX_EFFECTS || data.effect_bytes > MAX_EFFECT_BYTES {
        return trap(TrapKind::TooManyEffects);
    }
    Ok(())
}

fn state_get(mut host: Host<'_>, key: i32, key_len: i32) -> Result<i64> {
    pay(&mut host, gas::STATE_READ, key_len, gas::STATE_READ_BYTE)?;
    let guest = guest(&host)?;
    let key = read_key(&host, &guest, key, key_len)?;
    let Some(value) = with_state(|state| state.get(&key)).map_err(state_fault)? else {
        return Ok(ABSENT);
    };
    if value.len() > MAX_VALUE_BYTES {
        let reason = format!("a value has {} bytes", value.len());
        return Err(state_fault(StateError { reason }).into());
    }
    charge(&mut host, (value.len() as u64).saturating_mul(gas::STATE_READ_BYTE))?;
    let ptr = give(&mut host, &guest, &value)?;
    Ok(pack(ptr, value.len() as u32))
}

fn state_set(mut host: Host<'_>, key: i32, key_len: i32, value: i32, value_len: i32) -> Result<()> {
    writable(&host)?;
    pay(&mut host, gas::STATE_WRITE, key_len, gas::STATE_WRITE_BYTE)?;
    charge(&mut host, u64::from(value_len as u32).saturating_mul(gas::STATE_WRITE_BYTE))?;
    let guest = guest(&host)?;
    let key = read_key(&host, &guest, key, key_len)?;
    let value = read(&host, &guest, value, value_len, MAX_VALUE_BYTES)?;
    Ok(with_state(|state| state.set(key, Some(value))).map_err(state_fault)?)
}

fn state_remove(mut host: Host<'_>, key: i32, key_len: i32) -> Result<()> {
    writable(&host)?;
    pay(&mut host, gas::STATE_WRITE, key_len, gas::STATE_WRITE_BYTE)?;
    let guest = guest(&host)?;
    let key = read_key(&host, &guest, key, key_len)?;
    Ok(with_state(|state| state.set(key, None)).map_err(state_fault)?)
}

/// Block `i` is SHA-256 over the domain with its length in one byte, the seed, and `i` in eight
/// bytes, big-endian. Each call starts with a block of its own.
fn random(mut host: Host<'_>, out: i32, len: i32) -> Result<()> {
    pay(&mut host, gas::hashing(len as u32 as usize), len, gas::HASH_BLOCK / 32)?;
    let guest = guest(&host)?;
    let len = bounded(len, MAX_RANDOM_BYTES)?;
    view(&host, &guest, out, len)?;
    let mut bytes = Vec::with_capacity(len.next_multiple_of(32));
    while bytes.len() < len {
        let data = host.data_mut();
        let mut hasher = Sha256::new();
        hasher.update([RANDOM_DOMAIN.len() as u8]);
        hasher.update(RANDOM_DOMAIN);
        hasher.update(data.randomness);
        hasher.update(data.random_block.to_be_bytes());
        data.random_block = data.random_block.wrapping_add(1);
        bytes.extend_from_slice(&hasher.finalize());
    }
    bytes.truncate(len);
    write(&mut host, &guest, out, &bytes)
}

fn derive_key(mut host: Host<'_>, purpose: i32, len: i32, out: i32) -> Result<()> {
    pay(&mut host, gas::hashing(len as u32 as usize).saturating_mul(2), len, gas::COPIED_BYTE)?;
    let Some(secret) = host.data().secret else {
        return trap(TrapKind::PublicRuntime);
    };
    let guest = guest(&host)?;
    let purpose = read(&host, &guest, purpose, len, MAX_PURPOSE_BYTES)?;
    let wrong =
        |error: hmac::digest::InvalidLength| NodeFault::Engine { reason: error.to_string() };
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).map_err(|e| Stop::from(wrong(e)))?;
    mac.update(&purpose);
    write(&mut host, &guest, out, &mac.finalize().into_bytes())
}

fn emit_message(mut host: Host<'_>, message: i32, len: i32) -> Result<i32> {
    writable(&host)?;
    pay(&mut host, gas::EFFECT, len, gas::EFFECT_BYTE)?;
    let guest = guest(&host)?;
    let len = bounded(len, MAX_MESSAGE_BYTES)?;
    let Ok(message) = ConsensusMessage::decode(view(&host, &guest, message, len)?) else {
        return trap(TrapKind::BadMessage);
    };
    if message.kind.is_none() {
        return trap(TrapKind::BadMessage);
    }
    let index = host.data().effects.messages.len();
    if index >= host.data().max_messages as usize || !sink_takes(&message) {
        return Ok(-1);
    }
    host.data_mut().sunk += 1;
    add_effect(&mut host, len)?;
    host.data_mut().effects.messages.push(message);
    // Results come back by the index within the round.
    Ok((host.data().messages_before as usize + index) as i32)
}

fn emit_event(mut host: Host<'_>, topic: i32, topic_len: i32, data: i32, len: i32) -> Result<()> {
    writable(&host)?;
    pay(&mut host, gas::EFFECT, topic_len, gas::EFFECT_BYTE)?;
    charge(&mut host, u64::from(len as u32).saturating_mul(gas::EFFECT_BYTE))?;
    let guest = guest(&host)?;
    let topic = read(&host, &guest, topic, topic_len, MAX_TOPIC_BYTES)?;
    let data = read(&host, &guest, data, len, MAX_EVENT_BYTES)?;
    add_effect(&mut host, topic.len() + data.len())?;
    host.data_mut().effects.events.push((topic, data));
    Ok(())
}

fn request_reveal(mut host: Host<'_>, handle: i32, len: i32) -> Result<()> {
    writable(&host)?;
    pay(&mut host, gas::EFFECT + gas::STATE_WRITE, len, gas::EFFECT_BYTE)?;
    let guest = guest(&host)?;
    let handle = read(&host, &guest, handle, len, MAX_HANDLE_BYTES)?;
    add_effect(&mut host, handle.len())?;
    let key = [REVEAL_INTENT_PREFIX, &handle].concat();
    let round = host.data().round.to_be_bytes().to_vec();
    with_state(|state| state.set(key, Some(round))).map_err(state_fault)?;
    host.data_mut().effects.reveals.push(handle);
    Ok(())
}

fn log(mut host: Host<'_>, text: i32, len: i32) -> Result<()> {
    pay(&mut host, 0, len, gas::COPIED_BYTE)?;
    let guest = guest(&host)?;
    let text = view(&host, &guest, text, len as u32 as usize)?;
    let kept = text.get(..MAX_LOG_LINE_BYTES).unwrap_or(text);
    let room = host.data().log_bytes.saturating_add(kept.len()) <= MAX_LOG_BYTES;
    if host.data().log_allowed && room {
        let line = String::from_utf8_lossy(kept).into_owned();
        let data = host.data_mut();
        // An empty line counts too, or there would be no end of them.
        data.log_bytes = data.log_bytes.saturating_add(line.len().max(1));
        data.effects.logs.push(line);
    }
    Ok(())
}

fn sha256(mut host: Host<'_>, data: i32, len: i32, out: i32) -> Result<()> {
    pay(&mut host, gas::hashing(len as u32 as usize), 0, 0)?;
    let guest = guest(&host)?;
    let digest = Sha256::digest(view(&host, &guest, data, len as u32 as usize)?);
    write(&mut host, &guest, out, &digest)
}

fn ed25519_verify(
    mut host: Host<'_>,
    key: i32,
    signature: i32,
    message: i32,
    len: i32,
) -> Result<i32> {
    let hashing = gas::hashing(len as u32 as usize);
    pay(&mut host, gas::VERIFY_SIGNATURE.saturating_add(hashing), 0, 0)?;
    let guest = guest(&host)?;
    let key: [u8; 32] = array(&host, &guest, key)?;
    let signature: [u8; 64] = array(&host, &guest, signature)?;
    let message = view(&host, &guest, message, len as u32 as usize)?;
    let valid = VerificationKey::try_from(key)
        .is_ok_and(|key| key.verify(&Signature::from(signature), message).is_ok());
    Ok(valid.into())
}
