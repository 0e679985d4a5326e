//! Who owns an address: a key, a runtime or a module.

use paralith_crypto::hash::{Domain, hash};
use paralith_types::{Address, PublicKey, RuntimeId};

/// The account of the holder of the key.
pub fn of_key(key: &PublicKey) -> Address {
    derive(Domain::new("paralith/address/key/v0"), key.as_bytes())
}

/// The account of a ParaTime: deposits go in, its messages spend.
pub fn of_runtime(runtime: &RuntimeId) -> Address {
    derive(Domain::new("paralith/address/runtime/v0"), runtime.as_bytes())
}

/// Where slashed stake and unclaimed fees go; no key opens it.
pub fn common_pool() -> Address {
    derive(Domain::new("paralith/address/module/v0"), b"staking.common-pool")
}

/// Where the fees of the block being executed gather; empty between blocks.
pub fn fee_accumulator() -> Address {
    derive(Domain::new("paralith/address/module/v0"), b"staking.fee-accumulator")
}

/// Addresses that only the chain itself may debit or credit by rule.
pub fn is_reserved(address: &Address) -> bool {
    *address == common_pool() || *address == fee_accumulator()
}

fn derive(domain: Domain, data: &[u8]) -> Address {
    let digest = hash(domain, &[data]);
    let mut bytes = [0; Address::LEN];
    bytes[1..].copy_from_slice(&digest.0[..Address::LEN - 1]);
    Address(bytes)
}
