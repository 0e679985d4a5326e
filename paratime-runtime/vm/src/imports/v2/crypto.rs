//! Host functions on public data: hashes of other systems, signatures and points of secp256k1 and Ed25519.

use paralith_crypto::groups::{self, Group};
use paralith_crypto::sha3::{self, keccak256 as keccak};
use paralith_runtime_abi::{
    CRYPTO_COMBINE_ED25519, CRYPTO_COMBINE_SECP256K1, CRYPTO_SCHNORR_VERIFY, CRYPTO_SHA3_256,
    IMPORT_MODULE_V2, MAX_GROUP_PAIRS,
};
use wasmtime::{Linker, Result};

use super::super::{Host, array, bounded, charge, guest, pay, trap, view, write};
use super::give_packed;
use crate::error::TrapKind;
use crate::gas;
use crate::instance::HostData;

/// Adds the host functions to a linker.
pub(super) fn link(linker: &mut Linker<HostData>) -> Result<()> {
    let module = IMPORT_MODULE_V2;
    linker.func_wrap(module, "keccak256", keccak256)?;
    linker.func_wrap(module, "secp256k1_recover", secp256k1_recover)?;
    linker.func_wrap(module, "crypto", crypto)?;
    Ok(())
}

fn keccak256(mut host: Host<'_>, data: i32, len: i32, out: i32) -> Result<()> {
    pay(&mut host, gas::hashing(len as u32 as usize), 0, 0)?;
    let guest = guest(&host)?;
    let digest = keccak(view(&host, &guest, data, len as u32 as usize)?);
    write(&mut host, &guest, out, &digest)
}

fn secp256k1_recover(
    mut host: Host<'_>,
    digest: i32,
    signature: i32,
    parity: i32,
    out: i32,
) -> Result<i32> {
    pay(&mut host, gas::SECP256K1_RECOVER, 0, 0)?;
    let guest = guest(&host)?;
    let digest: [u8; 32] = array(&host, &guest, digest)?;
    let signature: [u8; 64] = array(&host, &guest, signature)?;
    // A wrong place traps whether there is a key or not.
    view(&host, &guest, out, 64)?;
    let key = match parity {
        0 | 1 => groups::recover(&digest, &signature, parity == 1),
        _ => None,
    };
    let Some(key) = key else { return Ok(0) };
    write(&mut host, &guest, out, &key)?;
    Ok(1)
}

/// A function of the import `crypto`.
#[derive(Clone, Copy)]
enum Function {
    SchnorrVerify,
    Combine(Group),
    Sha3,
}

impl Function {
    fn of(number: u32) -> Option<Self> {
        Some(match number {
            CRYPTO_SCHNORR_VERIFY => Self::SchnorrVerify,
            CRYPTO_COMBINE_SECP256K1 => Self::Combine(Group::Secp256k1),
            CRYPTO_COMBINE_ED25519 => Self::Combine(Group::Ed25519),
            CRYPTO_SHA3_256 => Self::Sha3,
            _ => return None,
        })
    }

    /// Longest input.
    fn max_len(self) -> usize {
        match self {
            Self::Combine(group) => MAX_GROUP_PAIRS * group.pair_len(),
            // As long as the guest's memory: a longer one is not there.
            Self::SchnorrVerify | Self::Sha3 => u32::MAX as usize,
        }
    }

    fn price(self, len: usize) -> u64 {
        match self {
            Self::SchnorrVerify => gas::SCHNORR_VERIFY.saturating_add(gas::hashing(len)),
            Self::Combine(group) => {
                let pairs = len.div_ceil(group.pair_len()) as u64;
                gas::GROUP_COMBINE.saturating_add(pairs.saturating_mul(gas::GROUP_COMBINE_PAIR))
            }
            Self::Sha3 => gas::hashing(len),
        }
    }

    fn compute(self, input: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::SchnorrVerify => {
                let (key, rest) = input.split_first_chunk()?;
                let (signature, message) = rest.split_first_chunk()?;
                groups::schnorr_verify(key, signature, message).then(Vec::new)
            }
            Self::Combine(group) => groups::combine(group, input),
            Self::Sha3 => Some(sha3::sha3_256(input).to_vec()),
        }
    }
}

fn crypto(mut host: Host<'_>, function: i32, input: i32, len: i32) -> Result<i64> {
    pay(&mut host, 0, 0, 0)?;
    // AB-5
    let Some(function) = Function::of(function as u32) else {
        return trap(TrapKind::UnknownFunction);
    };
    let len = bounded(len, function.max_len())?;
    charge(&mut host, function.price(len))?;
    let guest = guest(&host)?;
    let output = function.compute(view(&host, &guest, input, len)?);
    give_packed(&mut host, output.as_deref())
}
