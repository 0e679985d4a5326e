//! The contract's imports over a map in memory.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

use ed25519_zebra::{Signature, VerificationKey};
use paralith_crypto::groups::{self, Group};
use paralith_crypto::sha3;
use paralith_runtime_abi as abi;
use prost::Message;

use super::effects::Effects;
use super::sha256;
use crate::host::Host;

/// A public event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub topic: String,
    /// What happened.
    pub data: Vec<u8>,
}

/// All that the imports touch.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) effects: Effects,
    pub(super) logs: Vec<String>,
    pub(super) round: u64,
    pub(super) confidential: bool,
    pub(super) messages_max: usize,
    pub(super) drawn: u64,
    /// Reads and writes of the state, and wake-ups.
    pub(super) operations: u64,
    /// Consensus state, and the height that the open round pins.
    pub(super) consensus: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) pinned: u64,
}

impl World {
    /// The same with other effects.
    pub(super) fn with(&self, effects: Effects) -> Self {
        let (logs, consensus) = (self.logs.clone(), self.consensus.clone());
        Self { effects, logs, consensus, ..*self }
    }
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// Of `reveal`, which reads the runtime's own state alone.
    Reveal,
    Write,
}

/// The payload of a trap's unwinding.
pub(super) struct Trap(pub(super) String);

pub(super) struct Imports {
    pub(super) world: Rc<RefCell<World>>,
    pub(super) access: Access,
}

impl Imports {
    fn world(&self) -> Ref<'_, World> {
        self.world.borrow()
    }

    fn change(&self, what: &str) -> RefMut<'_, World> {
        if self.access != Access::Write {
            trap(format!("`{what}` in a call that may only read"));
        }
        self.world.borrow_mut()
    }

    fn write(&self, what: &str, key: &[u8]) -> RefMut<'_, World> {
        check_key(key);
        if key.first() == Some(&abi::HOST_KEY_PREFIX) {
            trap(format!("`{what}` of a key that belongs to the host"));
        }
        let mut world = self.change(what);
        world.operations += 1;
        world
    }
}

impl Host for Imports {
    fn state_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        check_key(key);
        let mut world = self.world.borrow_mut();
        world.operations += 1;
        world.effects.state.get(key).cloned()
    }

    fn state_set(&mut self, key: &[u8], value: &[u8]) {
        if value.len() > abi::MAX_VALUE_BYTES {
            trap(format!("a value of {} bytes; the limit is {}", value.len(), abi::MAX_VALUE_BYTES))
        }
        self.write("state_set", key).effects.state.insert(key.to_vec(), value.to_vec());
    }

    fn state_remove(&mut self, key: &[u8]) {
        self.write("state_remove", key).effects.state.remove(key);
    }

    fn random(&mut self, out: &mut [u8]) {
        let mut world = self.world.borrow_mut();
        for chunk in out.chunks_mut(32) {
            let seed = [b"seed", &world.round.to_be_bytes()[..], &world.drawn.to_be_bytes()];
            chunk.copy_from_slice(&sha256(&seed.concat())[..chunk.len()]);
            world.drawn += 1;
        }
    }

    fn derive_key(&self, purpose: &[u8]) -> [u8; 32] {
        if !self.world().confidential {
            trap("`derive_key` in a public runtime".into());
        }
        sha256(&[b"derived key", purpose].concat())
    }

    fn emit_message(&mut self, message: &[u8]) -> Option<u32> {
        let mut world = self.change("emit_message");
        let Ok(message) = abi::ConsensusMessage::decode(message) else {
            trap("`emit_message` of something else than a message".into());
        };
        if world.effects.messages.len() >= world.messages_max {
            return None;
        }
        world.effects.messages.push(message);
        u32::try_from(world.effects.messages.len() - 1).ok()
    }

    fn emit_event(&mut self, topic: &[u8], data: &[u8]) {
        let topic = String::from_utf8_lossy(topic).into_owned();
        self.change("emit_event").effects.events.push(Event { topic, data: data.to_vec() });
    }

    fn request_reveal(&mut self, handle: &[u8]) {
        let key = [abi::REVEAL_INTENT_PREFIX, handle].concat();
        check_key(&key);
        let mut world = self.change("request_reveal");
        let round = world.round.to_be_bytes().to_vec();
        world.effects.state.insert(key, round);
    }

    fn wake_at(&mut self, height: u64) {
        let mut world = self.change("wake_at");
        world.operations += 1;
        let asked = world.effects.asked;
        world.effects.asked = Some(asked.map_or(height, |asked| asked.min(height)));
    }

    fn bls_possession(&self, key: &[u8; 96], message: &[u8], proof: &[u8; 48]) -> bool {
        paralith_bls::verify_possession(key, message, proof)
    }

    fn bls_verify(&self, keys: &[u8], message: &[u8], signature: &[u8; 48]) -> bool {
        let (keys, rest) = keys.as_chunks::<96>();
        if !rest.is_empty() || keys.len() > abi::MAX_BLS_KEYS {
            trap(format!("`bls_verify` with {} keys", keys.len()));
        }
        paralith_bls::verify(keys, message, signature)
    }

    fn hpke_seal(
        &self,
        kem: u32,
        key: &[u8],
        info: &[u8],
        plaintext: &[u8],
        ikm: &[u8; 32],
    ) -> Option<Vec<u8>> {
        if info.len().max(plaintext.len()) > abi::MAX_HPKE_BYTES {
            trap(format!("`hpke_seal` of more than {} bytes", abi::MAX_HPKE_BYTES));
        }
        paralith_crypto::kem::hpke_seal(kem, key, info, plaintext, ikm)
    }

    fn keccak256(&self, data: &[u8]) -> [u8; 32] {
        sha3::keccak256(data)
    }

    fn secp256k1_recover(
        &self,
        digest: &[u8; 32],
        signature: &[u8; 64],
        odd: bool,
    ) -> Option<[u8; 64]> {
        groups::recover(digest, signature, odd)
    }

    fn crypto(&self, function: u32, input: &[u8]) -> Option<Vec<u8>> {
        match function {
            abi::CRYPTO_SCHNORR_VERIFY => {
                let (key, rest) = input.split_first_chunk()?;
                let (signature, message) = rest.split_first_chunk()?;
                groups::schnorr_verify(key, signature, message).then(Vec::new)
            }
            abi::CRYPTO_COMBINE_SECP256K1 => combine(Group::Secp256k1, input),
            abi::CRYPTO_COMBINE_ED25519 => combine(Group::Ed25519, input),
            abi::CRYPTO_SHA3_256 => Some(sha3::sha3_256(input).to_vec()),
            _ => trap(format!("`crypto` has no function {function}")),
        }
    }

    fn consensus_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        check_key(key);
        if self.access == Access::Reveal {
            trap("`consensus_get` in `reveal`".into());
        }
        let mut world = self.world.borrow_mut();
        world.operations += 1;
        world.consensus.get(key).cloned()
    }

    fn commit_before(&mut self, height: u64) {
        let pinned = self.world().pinned;
        if pinned >= height {
            trap(format!("`commit_before` of {height} in a round that pins {pinned}"));
        }
    }

    fn log(&self, text: &[u8]) {
        let mut world = self.world.borrow_mut();
        if !world.confidential {
            world.logs.push(String::from_utf8_lossy(text).into_owned());
        }
    }

    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        sha256(data)
    }

    fn ed25519_verify(&self, key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        VerificationKey::try_from(*key)
            .is_ok_and(|key| key.verify(&Signature::from(*signature), message).is_ok())
    }
}

fn combine(group: Group, pairs: &[u8]) -> Option<Vec<u8>> {
    if pairs.len() > abi::MAX_GROUP_PAIRS * group.pair_len() {
        trap(format!("a sum of more than {} pairs", abi::MAX_GROUP_PAIRS));
    }
    groups::combine(group, pairs)
}

fn check_key(key: &[u8]) {
    if key.len() > abi::MAX_KEY_BYTES {
        trap(format!("a key of {} bytes; the limit is {}", key.len(), abi::MAX_KEY_BYTES));
    }
}

/// Ends the call as a trap does: it does not come back. Silent, unlike a panic.
fn trap(reason: String) -> ! {
    std::panic::resume_unwind(Box::new(Trap(reason)))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn imports(access: Access) -> Imports {
        let world = World {
            effects: Effects::default(),
            logs: Vec::new(),
            round: 1,
            confidential: false,
            messages_max: 1,
            drawn: 0,
            operations: 0,
            consensus: BTreeMap::new(),
            pinned: 1,
        };
        Imports { world: Rc::new(RefCell::new(world)), access }
    }

    #[test]
    fn signatures_and_seals_are_real_and_bounded_as_by_the_host() {
        use paralith_bls::BlsSecret;
        let host = imports(Access::Read);
        let secret = BlsSecret::from_ikm(&[1; 32]);
        let key = secret.public();
        assert!(host.bls_possession(&key, b"me", &secret.prove_possession(b"me")));
        assert!(!host.bls_possession(&key, b"me", &secret.sign(b"me")));
        assert!(host.bls_verify(&key, b"yes", &secret.sign(b"yes")));
        assert!(!host.bls_verify(&key, b"no", &secret.sign(b"yes")));
        assert!(!host.bls_verify(&[], b"yes", &secret.sign(b"yes")), "no keys");
        let traps = |keys: &[u8]| {
            let verify = || host.bls_verify(keys, b"yes", &secret.sign(b"yes"));
            catch_unwind(AssertUnwindSafe(verify)).is_err()
        };
        assert!(traps(&key[..95]) && traps(&key.repeat(abi::MAX_BLS_KEYS + 1)));
        let sealed = host.hpke_seal(abi::KEM_X25519, &[9; 32], b"info", b"text", &[7; 32]);
        assert_eq!(sealed.map(|sealed| sealed.len()), Some(32 + 4 + 16));
        assert_eq!(host.hpke_seal(abi::KEM_X25519, &[0; 32], b"", b"", &[7; 32]), None);
        assert_eq!(host.hpke_seal(1, &[9; 32], b"", b"", &[7; 32]), None);
        let long = vec![0; abi::MAX_HPKE_BYTES + 1];
        let seal = || host.hpke_seal(abi::KEM_X25519, &[9; 32], &long, b"", &[7; 32]);
        assert!(catch_unwind(AssertUnwindSafe(seal)).is_err());
    }

    #[test]
    fn functions_of_crypto_are_real_and_bounded_as_by_the_host() {
        let host = imports(Access::Read);
        assert_eq!(host.crypto(60, b"abc"), Some(sha3::sha3_256(b"abc").to_vec()));
        assert_eq!(host.crypto(48, &[0; 95]), None, "no signature");
        for (function, group) in [(49, Group::Secp256k1), (50, Group::Ed25519)] {
            let mut pair = vec![0; group.pair_len()];
            pair[if function == 49 { 31 } else { 0 }] = 1;
            let most = pair.repeat(abi::MAX_GROUP_PAIRS);
            assert_eq!(host.crypto(function, &most), groups::combine(group, &most));
            assert!(host.crypto(function, &most).is_some());
            let more = || host.crypto(function, &[&most[..], &pair].concat());
            assert!(catch_unwind(AssertUnwindSafe(more)).is_err());
        }
        for function in [0, 1, 16, 47, 51, 59, 61, u32::MAX] {
            let call = || host.crypto(function, b"");
            assert!(catch_unwind(AssertUnwindSafe(call)).is_err(), "function {function}");
        }
    }

    #[test]
    fn while_reading_every_effect_traps() {
        let effects: [fn(&mut Imports); 6] = [
            |host| host.state_set(b"key", b"value"),
            |host| host.state_remove(b"key"),
            |host| host.emit_event(b"topic", b"data"),
            |host| host.request_reveal(b"handle"),
            |host| host.wake_at(7),
            |host| assert_eq!(host.emit_message(b""), Some(0)),
        ];
        for (number, effect) in effects.into_iter().enumerate() {
            for (access, traps) in [(Access::Read, true), (Access::Write, false)] {
                let mut host = imports(access);
                let result = catch_unwind(AssertUnwindSafe(|| effect(&mut host)));
                assert_eq!(result.is_err(), traps, "effect {number} with {access:?}");
            }
        }
    }
}
