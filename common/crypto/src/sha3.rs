//! SHA3-256 (FIPS 202), for names of content that other systems compute too, and Keccak-256, which
//! Ethereum hashes with. What the chain itself hashes is under a domain: [`mod@crate::hash`].

use ::sha3::{Digest, Keccak256, Sha3_256};

/// The SHA3-256 of these bytes.
#[must_use]
pub fn sha3_256(data: &[u8]) -> [u8; 32] {
    Sha3_256::digest(data).into()
}

/// The Keccak-256 of these bytes: SHA3-256 with the padding from before FIPS 202.
#[must_use]
pub fn keccak256(data: &[u8]) -> [u8; 32] {
    Keccak256::digest(data).into()
}

/// [`sha3_256`] of bytes that come one after another.
#[derive(Debug, Clone, Default)]
pub struct Sha3Hasher(Sha3_256);

impl Sha3Hasher {
    /// No bytes so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes. Where they are cut has no meaning.
    pub fn update(&mut self, data: &[u8]) -> &mut Self {
        self.0.update(data);
        self
    }

    /// The digest of the bytes so far.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From NIST's examples for FIPS 202.
    #[test]
    fn sha3_256_is_sha3_256() {
        let cases = [
            ("", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
            ("abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        ];
        for (input, digest) in cases {
            assert_eq!(hex::encode(sha3_256(input.as_bytes())), digest);
        }
    }

    /// The hash of nothing and of an empty RLP string stand in Ethereum's yellow paper; the others are
    /// those of the Keccak team.
    #[test]
    fn keccak256_is_keccak256() {
        let cases = [
            ("", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
            ("80", "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
            ("cc", "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a"),
            ("616263", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        ];
        for (input, digest) in cases {
            assert_eq!(hex::encode(keccak256(&hex::decode(input).unwrap())), digest);
        }
    }

    proptest! {
        #[test]
        fn in_one_go_or_piece_by_piece(pieces: Vec<Vec<u8>>) {
            let mut hasher = Sha3Hasher::new();
            for piece in &pieces {
                hasher.update(piece);
            }
            prop_assert_eq!(hasher.finish(), sha3_256(&pieces.concat()));
        }
    }
}
