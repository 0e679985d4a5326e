//! The border between the module's memory and the host.
//!
//! The host is trusted to keep the contract: it writes only into memory that it took from
//! `paralith_alloc`, and hands each such place over once.
#![allow(unsafe_code)]

use paralith_runtime_abi::{ABSENT, pack, unpack};

use crate::host::Host;
use crate::{Export, Runtime, entry};

/// Runs one entry point over the request at `(ptr, len)` and gives the place of the outcome.
pub fn run<R: Runtime>(export: Export, ptr: i32, len: i32) -> i64 {
    // A panic ends in a trap. This tells the developer why, where logs are kept.
    std::panic::set_hook(Box::new(|info| Imports.log(info.to_string().as_bytes())));
    let request = take(ptr as u32, len as u32);
    let outcome = entry::run::<R>(export, Box::new(Imports), &request);
    let len = outcome.len() as u32;
    pack(Box::leak(outcome.into_boxed_slice()).as_ptr() as u32, len)
}

/// Memory for the host to write into. Too much traps.
pub fn alloc(len: i32) -> i32 {
    let bytes = vec![0u8; len as u32 as usize].into_boxed_slice();
    Box::leak(bytes).as_mut_ptr() as i32
}

/// Takes over what the host wrote.
fn take(ptr: u32, len: u32) -> Vec<u8> {
    // The host need not ask for memory to hand over nothing.
    if len == 0 {
        return Vec::new();
    }
    let place = std::ptr::slice_from_raw_parts_mut(ptr as *mut u8, len as usize);
    // SAFETY: by the contract the place came from `alloc(len)`, which leaked a boxed slice of just
    // this length, and the host hands it over once.
    unsafe { Box::from_raw(place) }.into_vec()
}

/// The contract's imports.
struct Imports;

impl Host for Imports {
    fn state_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the host reads `key` during the call and keeps no pointer to it.
        let packed = unsafe { state_get(key.as_ptr(), key.len()) };
        if packed == ABSENT {
            return None;
        }
        let (ptr, len) = unpack(packed);
        Some(take(ptr, len))
    }

    fn state_set(&mut self, key: &[u8], value: &[u8]) {
        // SAFETY: the host reads both during the call and keeps no pointer to them.
        unsafe { state_set(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
    }

    fn state_remove(&mut self, key: &[u8]) {
        // SAFETY: the host reads `key` during the call and keeps no pointer to it.
        unsafe { state_remove(key.as_ptr(), key.len()) }
    }

    fn random(&mut self, out: &mut [u8]) {
        // SAFETY: the host writes `out.len()` bytes into `out`, which is borrowed for the call.
        unsafe { random(out.as_mut_ptr(), out.len()) }
    }

    fn derive_key(&self, purpose: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        // SAFETY: the host reads `purpose` and writes 32 bytes into `out` during the call.
        unsafe { derive_key(purpose.as_ptr(), purpose.len(), out.as_mut_ptr()) }
        out
    }

    fn emit_message(&mut self, message: &[u8]) -> Option<u32> {
        // SAFETY: the host reads `message` during the call and keeps no pointer to it.
        let index = unsafe { emit_message(message.as_ptr(), message.len()) };
        u32::try_from(index).ok()
    }

    fn emit_event(&mut self, topic: &[u8], data: &[u8]) {
        // SAFETY: the host reads both during the call and keeps no pointer to them.
        unsafe { emit_event(topic.as_ptr(), topic.len(), data.as_ptr(), data.len()) }
    }

    fn request_reveal(&mut self, handle: &[u8]) {
        // SAFETY: the host reads `handle` during the call and keeps no pointer to it.
        unsafe { request_reveal(handle.as_ptr(), handle.len()) }
    }

    #[cfg(feature = "abi-2")]
    fn wake_at(&mut self, height: u64) {
        // SAFETY: it takes a number and gives nothing.
        unsafe { wake_at(height as i64) }
    }

    #[cfg(feature = "abi-2")]
    fn bls_possession(&self, key: &[u8; 96], message: &[u8], proof: &[u8; 48]) -> bool {
        let (key, proof) = (key.as_ptr(), proof.as_ptr());
        // SAFETY: the host reads 96, `message.len()` and 48 bytes during the call.
        unsafe { bls_possession(key, message.as_ptr(), message.len(), proof) == 1 }
    }

    #[cfg(feature = "abi-2")]
    fn bls_verify(&self, keys: &[u8], message: &[u8], signature: &[u8; 48]) -> bool {
        let ((keys, len), signature) = ((keys.as_ptr(), keys.len()), signature.as_ptr());
        // SAFETY: the host reads `len`, `message.len()` and 48 bytes during the call.
        unsafe { bls_verify(keys, len, message.as_ptr(), message.len(), signature) == 1 }
    }

    #[cfg(feature = "abi-2")]
    fn hpke_seal(
        &self,
        kem: u32,
        key: &[u8],
        info: &[u8],
        plaintext: &[u8],
        ikm: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let (plain, plain_len) = (plaintext.as_ptr(), plaintext.len());
        let (key, key_len, ikm) = (key.as_ptr(), key.len(), ikm.as_ptr());
        let (info, info_len) = (info.as_ptr(), info.len());
        // SAFETY: the host reads `key_len`, `info_len`, `plain_len` and 32 bytes during the call.
        let packed =
            unsafe { hpke_seal(kem as i32, key, key_len, info, info_len, plain, plain_len, ikm) };
        if packed == ABSENT {
            return None;
        }
        let (ptr, len) = unpack(packed);
        Some(take(ptr, len))
    }

    #[cfg(feature = "abi-2")]
    fn keccak256(&self, data: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        // SAFETY: the host reads `data` and writes 32 bytes into `out` during the call.
        unsafe { keccak256(data.as_ptr(), data.len(), out.as_mut_ptr()) }
        out
    }

    #[cfg(feature = "abi-2")]
    fn secp256k1_recover(
        &self,
        digest: &[u8; 32],
        signature: &[u8; 64],
        odd: bool,
    ) -> Option<[u8; 64]> {
        let mut out = [0; 64];
        let (digest, signature) = (digest.as_ptr(), signature.as_ptr());
        // SAFETY: the host reads 32 and 64 bytes and writes 64 into `out` during the call.
        let found = unsafe { secp256k1_recover(digest, signature, odd.into(), out.as_mut_ptr()) };
        (found == 1).then_some(out)
    }

    #[cfg(feature = "abi-2")]
    fn crypto(&self, function: u32, input: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the host reads `input` during the call and keeps no pointer to it.
        let packed = unsafe { crypto(function as i32, input.as_ptr(), input.len()) };
        if packed == ABSENT {
            return None;
        }
        let (ptr, len) = unpack(packed);
        Some(take(ptr, len))
    }

    #[cfg(feature = "abi-2")]
    fn consensus_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the host reads `key` during the call and keeps no pointer to it.
        let packed = unsafe { consensus_get(key.as_ptr(), key.len()) };
        if packed == ABSENT {
            return None;
        }
        let (ptr, len) = unpack(packed);
        Some(take(ptr, len))
    }

    #[cfg(feature = "abi-2")]
    fn commit_before(&mut self, height: u64) {
        // SAFETY: it takes a number and gives nothing.
        unsafe { commit_before(height as i64) }
    }

    fn log(&self, text: &[u8]) {
        // SAFETY: the host reads `text` during the call and keeps no pointer to it.
        unsafe { log(text.as_ptr(), text.len()) }
    }

    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        // SAFETY: the host reads `data` and writes 32 bytes into `out` during the call.
        unsafe { sha256(data.as_ptr(), data.len(), out.as_mut_ptr()) }
        out
    }

    fn ed25519_verify(&self, key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        let (key, signature) = (key.as_ptr(), signature.as_ptr());
        // SAFETY: the host reads 32, 64 and `message.len()` bytes during the call.
        unsafe { ed25519_verify(key, signature, message.as_ptr(), message.len()) == 1 }
    }
}

// `paralith_runtime_abi::IMPORT_MODULE`; the attribute takes no constant.
#[link(wasm_import_module = "paralith_v1")]
unsafe extern "C" {
    fn state_get(key: *const u8, len: usize) -> i64;
    fn state_set(key: *const u8, len: usize, value: *const u8, value_len: usize);
    fn state_remove(key: *const u8, len: usize);
    fn random(out: *mut u8, len: usize);
    fn derive_key(purpose: *const u8, len: usize, out: *mut u8);
    fn emit_message(message: *const u8, len: usize) -> i32;
    fn emit_event(topic: *const u8, len: usize, data: *const u8, data_len: usize);
    fn request_reveal(handle: *const u8, len: usize);
    fn log(text: *const u8, len: usize);
    fn sha256(data: *const u8, len: usize, out: *mut u8);
    fn ed25519_verify(key: *const u8, signature: *const u8, message: *const u8, len: usize) -> i32;
}

// What version 2 of the contract adds has a module of its own.
#[cfg(feature = "abi-2")]
#[link(wasm_import_module = "paralith_v2")]
unsafe extern "C" {
    fn wake_at(height: i64);
    fn consensus_get(key: *const u8, len: usize) -> i64;
    fn commit_before(height: i64);
    fn bls_possession(key: *const u8, message: *const u8, len: usize, proof: *const u8) -> i32;
    fn bls_verify(
        keys: *const u8,
        keys_len: usize,
        message: *const u8,
        len: usize,
        signature: *const u8,
    ) -> i32;
    fn keccak256(data: *const u8, len: usize, out: *mut u8);
    fn secp256k1_recover(digest: *const u8, signature: *const u8, parity: i32, out: *mut u8)
    -> i32;
    fn crypto(function: i32, input: *const u8, len: usize) -> i64;
    fn hpke_seal(
        kem: i32,
        key: *const u8,
        key_len: usize,
        info: *const u8,
        info_len: usize,
        plain: *const u8,
        plain_len: usize,
        ikm: *const u8,
    ) -> i64;
}
