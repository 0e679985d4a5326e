//! The host functions that version 2 of the contract adds.

use paralith_runtime_abi::{
    ABSENT, IMPORT_MODULE_V2, MAX_BLS_KEYS, MAX_HPKE_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, pack,
};
use wasmtime::{Linker, Result};

use super::{Host, array, charge, guest, pay, read, trap, writable};
use crate::error::{NodeFault, Stop, TrapKind};
use crate::gas;
use crate::instance::{HostData, give, with_consensus};

/// Adds the host functions to a linker.
pub(super) fn link(linker: &mut Linker<HostData>) -> Result<()> {
    let module = IMPORT_MODULE_V2;
    linker.func_wrap(module, "consensus_get", consensus_get)?;
    linker.func_wrap(module, "wake_at", wake_at)?;
    linker.func_wrap(module, "commit_before", commit_before)?;
    Ok(())
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
    if host.data().pinned_height.is_some_and(|pinned| pinned >= height) {
        return trap(TrapKind::TooLate);
    }
    let deadline = &mut host.data_mut().effects.commit_before;
    *deadline = Some(deadline.map_or(height, |before| before.min(height)));
    Ok(())
}
