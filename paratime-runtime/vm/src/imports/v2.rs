//! The host functions that version 2 of the contract adds.

mod crypto;

use paralith_bls::{KEY_LEN, SIGNATURE_LEN};
use paralith_crypto::kem;
use paralith_runtime_abi::{
    ABSENT, IMPORT_MODULE_V2, KEM_X_WING, MAX_BLS_KEYS, MAX_HPKE_BYTES, MAX_KEY_BYTES,
    MAX_VALUE_BYTES, pack,
};
use wasmtime::{Linker, Result};

use super::{Host, array, bounded, charge, guest, pay, read, trap, view, writable};
use crate::error::{NodeFault, Stop, TrapKind};
use crate::gas;
use crate::instance::{HostData, give, with_consensus};

/// Adds the host functions to a linker.
pub(super) fn link(linker: &mut Linker<HostData>) -> Result<()> {
    let module = IMPORT_MODULE_V2;
    linker.func_wrap(module, "consensus_get", consensus_get)?;
    linker.func_wrap(module, "wake_at", wake_at)?;
    linker.func_wrap(module, "commit_before", commit_before)?;
    linker.func_wrap(module, "bls_possession", bls_possession)?;
    linker.func_wrap(module, "bls_verify", bls_verify)?;
    linker.func_wrap(module, "hpke_seal", hpke_seal)?;
    crypto::link(linker)
}

/// Gives a byte string, or [`ABSENT`], to the guest.
fn give_packed(host: &mut Host<'_>, bytes: Option<&[u8]>) -> Result<i64> {
    let Some(bytes) = bytes else { return Ok(ABSENT) };
    let guest = guest(host)?;
    let ptr = give(host, &guest, bytes)?;
    Ok(pack(ptr, bytes.len() as u32))
}

fn consensus_get(mut host: Host<'_>, key: i32, key_len: i32) -> Result<i64> {
    pay(&mut host, gas::CONSENSUS_READ, key_len, gas::CONSENSUS_READ_BYTE)?;
    let guest = guest(&host)?;
    let key = read(&host, &guest, key, key_len, MAX_KEY_BYTES)?;
    let Some(value) = with_consensus(|state| state.get(&key)) else {
        return trap(TrapKind::Unavailable);
    };
    let value = value.map_err(|error| Stop::from(NodeFault::from(error)))?;
    let bytes = value.as_ref().map_or(0, Vec::len);
    charge(&mut host, (bytes as u64).saturating_mul(gas::CONSENSUS_READ_BYTE))?;
    // The length is proven as the value is, so all nodes trap here.
    if bytes > MAX_VALUE_BYTES {
        return trap(TrapKind::TooLong);
    }
    give_packed(&mut host, value.as_deref())
}

/// Costs what the entry costs that the host keeps.
fn wake_at(mut host: Host<'_>, height: i64) -> Result<()> {
    writable(&host)?;
    pay(&mut host, gas::STATE_WRITE, 0, 0)?;
    if !host.data().timers {
        return trap(TrapKind::Unavailable);
    }
    let wake = &mut host.data_mut().effects.wake_height;
    let height = height as u64;
    *wake = Some(wake.map_or(height, |before| before.min(height)));
    Ok(())
}

fn commit_before(mut host: Host<'_>, height: i64) -> Result<()> {
    pay(&mut host, gas::EFFECT, 0, 0)?;
    let height = height as u64;
    // AB-4
    if host.data().pinned_height.is_some_and(|pinned| pinned >= height) {
        return trap(TrapKind::TooLate);
    }
    let deadline = &mut host.data_mut().effects.commit_before;
    *deadline = Some(deadline.map_or(height, |before| before.min(height)));
    Ok(())
}

fn bls_possession(mut host: Host<'_>, key: i32, message: i32, len: i32, proof: i32) -> Result<i32> {
    let hashing = gas::hashing(len as u32 as usize);
    pay(&mut host, gas::BLS_POSSESSION.saturating_add(hashing), 0, 0)?;
    let guest = guest(&host)?;
    let key: [u8; KEY_LEN] = array(&host, &guest, key)?;
    let proof: [u8; SIGNATURE_LEN] = array(&host, &guest, proof)?;
    let message = view(&host, &guest, message, len as u32 as usize)?;
    Ok(paralith_bls::verify_possession(&key, message, &proof).into())
}

/// Costs the check of every key, whatever was checked before on this node.
fn bls_verify(
    mut host: Host<'_>,
    keys: i32,
    keys_len: i32,
    message: i32,
    len: i32,
    signature: i32,
) -> Result<i32> {
    let keys_len = bounded(keys_len, MAX_BLS_KEYS * KEY_LEN)?;
    let each = (keys_len.div_ceil(KEY_LEN) as u64).saturating_mul(gas::BLS_VERIFY_KEY);
    let hashing = gas::hashing(len as u32 as usize);
    pay(&mut host, gas::BLS_VERIFY.saturating_add(each).saturating_add(hashing), 0, 0)?;
    let guest = guest(&host)?;
    let signature: [u8; SIGNATURE_LEN] = array(&host, &guest, signature)?;
    let (keys, rest) = view(&host, &guest, keys, keys_len)?.as_chunks::<KEY_LEN>();
    if !rest.is_empty() {
        return trap(TrapKind::TooLong);
    }
    let message = view(&host, &guest, message, len as u32 as usize)?;
    Ok(paralith_bls::verify(keys, message, &signature).into())
}

#[expect(clippy::too_many_arguments, reason = "the contract's signature")]
fn hpke_seal(
    mut host: Host<'_>,
    kem: i32,
    key: i32,
    key_len: i32,
    info: i32,
    info_len: i32,
    plain: i32,
    plain_len: i32,
    ikm: i32,
) -> Result<i64> {
    let kem = kem as u32;
    let fixed = if kem == KEM_X_WING { gas::HPKE_SEAL_X_WING } else { gas::HPKE_SEAL_X25519 };
    pay(&mut host, fixed, info_len, gas::HPKE_SEAL_BYTE)?;
    charge(&mut host, u64::from(plain_len as u32).saturating_mul(gas::HPKE_SEAL_BYTE))?;
    let guest = guest(&host)?;
    let ikm: [u8; 32] = array(&host, &guest, ikm)?;
    let key = view(&host, &guest, key, bounded(key_len, MAX_KEY_BYTES * 2)?)?;
    let info = view(&host, &guest, info, bounded(info_len, MAX_HPKE_BYTES)?)?;
    let plain = view(&host, &guest, plain, bounded(plain_len, MAX_HPKE_BYTES)?)?;
    let sealed = kem::hpke_seal(kem, key, info, plain, &ikm);
    give_packed(&mut host, sealed.as_deref())
}
