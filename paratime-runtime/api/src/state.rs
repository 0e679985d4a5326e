//! Where a ParaTime's tree has the entries of its state, for clients that ask for proofs.
//!
//! A public ParaTime has each entry under the key that its code gives it. A confidential one has
//! encrypted entries under places that only its enclaves can compute, and public entries (keys that
//! begin with [`PUBLIC_KEY_PREFIX`], from version 2 of the ABI on) under a constant and the key. See
//! docs/protocol/abi.md, section 4.

use paralith_consensus_api::registry::Runtime;
use paralith_crypto::hash::{Domain, hash};

pub use paralith_runtime_abi::PUBLIC_KEY_PREFIX;

/// The first version of the ABI with public entries.
const PUBLIC_ENTRIES_SINCE: u32 = 2;

/// Comes before the keys of public entries in the tree of a confidential ParaTime.
const PUBLIC_ENTRIES: Domain = Domain::new("paralith/public-entries/v1");

/// Whether entries under [`PUBLIC_KEY_PREFIX`] are public: from version 2 of the ABI on.
pub fn has_public_entries(runtime: &Runtime) -> bool {
    runtime.code.as_ref().is_some_and(|code| code.abi_version >= PUBLIC_ENTRIES_SINCE)
}

/// Where the tree of a confidential ParaTime has a public entry. Places of sealed entries have 32
/// bytes, so the two never meet.
pub fn public_place(key: &[u8]) -> Vec<u8> {
    [hash(PUBLIC_ENTRIES, &[]).as_bytes(), key].concat()
}

/// The place of an entry in the ParaTime's tree; none if nobody outside of an enclave can name it.
pub fn provable_place(runtime: &Runtime, key: &[u8]) -> Option<Vec<u8>> {
    if !runtime.confidential {
        return Some(key.to_vec());
    }
    let is_public = has_public_entries(runtime) && key.first() == Some(&PUBLIC_KEY_PREFIX);
    is_public.then(|| public_place(key))
}

#[cfg(test)]
mod tests {
    use paralith_crypto::hash::{Domain, hash};

    #[test]
    fn the_constant_before_public_entries_is_that_of_the_contract() {
        let constant = hash(Domain::new("paralith/public-entries/v1"), &[]);
        assert_eq!(
            constant.to_string().trim_start_matches("0x"),
            "0b54a7bd9dbdf3d0c4676ff22984404e43e9a38d3e2c741754bf2978c1b2b792"
        );
    }
}
