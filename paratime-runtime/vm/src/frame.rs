//! The frames that the compiler made, compared with what the protocol's cost of a function stands
//! for. The cost is the same everywhere; how many values a compiler spills is not. With this check
//! the native stack never ends before the metered depth does, whatever the compiler did.

use super::error::UploadError;
use super::limits::NATIVE_BYTES_PER_COST;
use super::validate::ModuleInfo;

/// Return address and frame pointer, and what aligns a call's arguments.
const FIXED_BYTES: u32 = 32;

/// Refuses a module with a frame that is larger than its cost allows.
pub(crate) fn check(module: &wasmtime::Module, info: &ModuleInfo) -> Result<(), UploadError> {
    let text = module.text();
    for (index, function) in module.functions().enumerate() {
        let end = function.offset.saturating_add(function.len);
        let code = text.get(function.offset..end).unwrap_or_default();
        let cost = info.bodies.get(index).map_or(0, |body| body.cost);
        let max = cost.saturating_mul(NATIVE_BYTES_PER_COST);
        let bytes = native_frame(code).saturating_add(FIXED_BYTES);
        if bytes > max {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            return Err(UploadError::FrameTooLarge { index, bytes, max });
        }
    }
    Ok(())
}

/// Bytes that a function's prologue takes from the stack: the first `sub rsp, n`. A function
/// without one has no frame of its own.
#[cfg(target_arch = "x86_64")]
fn native_frame(code: &[u8]) -> u32 {
    // Frame pointer, check of the stack's limit, then the frame: all within this many bytes.
    const PROLOGUE_BYTES: usize = 64;
    let prologue = code.get(..PROLOGUE_BYTES).unwrap_or(code);
    for at in 0..prologue.len() {
        match prologue.get(at..) {
            Some([0x48, 0x81, 0xec, a, b, c, d, ..]) => {
                return u32::from_le_bytes([*a, *b, *c, *d]);
            }
            Some([0x48, 0x83, 0xec, small, ..]) => return u32::from(*small),
            _ => {}
        }
    }
    0
}

/// Other machines' prologues are not read: there the protocol's cost stands alone.
#[cfg(not(target_arch = "x86_64"))]
fn native_frame(_code: &[u8]) -> u32 {
    0
}
