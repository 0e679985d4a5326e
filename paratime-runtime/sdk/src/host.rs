//! The seam to the host: the imports of the contract, as a trait.
//!
//! The WebAssembly border and the in-memory chain for tests stand behind it.

/// The imports. Whatever breaks the contract (a key that is too long, a write while reading)
/// traps: the call does not come back.
pub(crate) trait Host {
    fn state_get(&self, key: &[u8]) -> Option<Vec<u8>>;
    fn state_set(&mut self, key: &[u8], value: &[u8]);
    fn state_remove(&mut self, key: &[u8]);
    fn random(&mut self, out: &mut [u8]);
    fn derive_key(&self, purpose: &[u8]) -> [u8; 32];
    /// The message's index, or nothing if the round's queue is full.
    fn emit_message(&mut self, message: &[u8]) -> Option<u32>;
    fn emit_event(&mut self, topic: &[u8], data: &[u8]);
    fn request_reveal(&mut self, handle: &[u8]);
    /// Asks for a round that pins this consensus height or a later one. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn wake_at(&mut self, height: u64);
    /// Whether the proof shows possession of a BLS key's secret. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn bls_possession(&self, key: &[u8; 96], message: &[u8], proof: &[u8; 48]) -> bool;
    /// Whether all of these keys, 96 bytes each, signed the message. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn bls_verify(&self, keys: &[u8], message: &[u8], signature: &[u8; 48]) -> bool;
    /// HPKE with given randomness, or nothing if the key is not usable. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn hpke_seal(
        &self,
        kem: u32,
        key: &[u8],
        info: &[u8],
        plaintext: &[u8],
        ikm: &[u8; 32],
    ) -> Option<Vec<u8>>;
    /// Keccak-256. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn keccak256(&self, data: &[u8]) -> [u8; 32];
    /// The key, x and y, of an ECDSA signature on secp256k1, if there is one. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn secp256k1_recover(
        &self,
        digest: &[u8; 32],
        signature: &[u8; 64],
        odd: bool,
    ) -> Option<[u8; 64]>;
    /// A function of `crypto`. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn crypto(&self, function: u32, input: &[u8]) -> Option<Vec<u8>>;
    /// Consensus state at the pinned height. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn consensus_get(&self, key: &[u8]) -> Option<Vec<u8>>;
    /// The transaction has an effect only if it is ordered before this height. Version 2.
    #[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
    fn commit_before(&mut self, height: u64);
    fn log(&self, text: &[u8]);
    fn sha256(&self, data: &[u8]) -> [u8; 32];
    fn ed25519_verify(&self, key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool;
}
