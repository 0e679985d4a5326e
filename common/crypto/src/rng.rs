//! The bytes that a caller passed in, in the shape in which the libraries ask for randomness.

use std::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Gives out the bytes of its seed, then their expansion by SHA-256 in counter mode.
///
/// The seed comes first unchanged because RFC 9180 derives the ephemeral key of an envelope from
/// 32 bytes of input keying material: so the caller's bytes are that material, and the published
/// vectors apply. X-Wing takes 64 bytes, which are the randomness of its encapsulation.
pub(crate) struct SeededRng<const N: usize = 32> {
    seed: Zeroizing<[u8; N]>,
    /// How much of the seed is given out.
    given: usize,
    block: Zeroizing<[u8; 32]>,
    used: usize,
    counter: u64,
}

impl<const N: usize> SeededRng<N> {
    pub(crate) fn new(seed: &[u8; N]) -> Self {
        let block = Zeroizing::new([0; 32]);
        Self { seed: Zeroizing::new(*seed), given: 0, used: block.len(), block, counter: 0 }
    }

    fn next_byte(&mut self) -> u8 {
        if let Some(byte) = self.seed.get(self.given) {
            self.given += 1;
            return *byte;
        }
        if self.used == self.block.len() {
            self.counter = self.counter.wrapping_add(1);
            let digest = Sha256::new()
                .chain_update(*self.seed)
                .chain_update(self.counter.to_be_bytes())
                .finalize();
            *self.block = digest.into();
            self.used = 0;
        }
        let byte = self.block[self.used];
        self.used += 1;
        byte
    }
}

impl<const N: usize> TryRng for SeededRng<N> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.next_byte();
        }
        Ok(())
    }
}

impl<const N: usize> TryCryptoRng for SeededRng<N> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hpke::rand_core::Rng;

    use super::SeededRng;

    #[test]
    fn the_seed_comes_first_and_no_block_repeats() {
        let mut rng = SeededRng::new(&[7; 32]);
        let mut bytes = [0; 32 * 9];
        rng.fill_bytes(&mut bytes);
        assert_eq!(bytes[..32], [7; 32]);
        let blocks: BTreeSet<&[u8]> = bytes.chunks(32).collect();
        assert_eq!(blocks.len(), 9);
    }

    #[test]
    fn a_longer_seed_comes_first_too() {
        let mut seed = [3; 64];
        seed[63] = 4;
        let mut bytes = [0; 128];
        SeededRng::new(&seed).fill_bytes(&mut bytes);
        assert_eq!(bytes[..64], seed);
        assert_ne!(bytes[64..96], bytes[96..]);
    }

    #[test]
    fn the_size_of_the_requests_does_not_matter() {
        let (mut whole, mut pieces) = (SeededRng::new(&[9; 32]), SeededRng::new(&[9; 32]));
        let mut expected = [0; 100];
        whole.fill_bytes(&mut expected);
        let mut got = Vec::new();
        for _ in 0..20 {
            got.extend(pieces.next_u32().to_le_bytes());
        }
        let mut rest = [0; 20];
        pieces.fill_bytes(&mut rest);
        got.extend(rest);
        assert_eq!(got, expected);
    }
}
