//! Hashes of other systems, and signatures and points of secp256k1 and Ed25519. All of it is for public
//! data.

use paralith_runtime_abi as abi;

use crate::Context;

/// A group whose points [`Context::group_combine`] adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// secp256k1. Points are 33 bytes, compressed; scalars big-endian.
    Secp256k1,
    /// The prime-order group of Ed25519. Points are 32 bytes; scalars little-endian.
    Ed25519,
}

impl Curve {
    /// What stands for the generator among the points: zeros, as long as a point.
    #[must_use]
    pub const fn generator(self) -> &'static [u8] {
        match self {
            Self::Secp256k1 => &[0; 33],
            Self::Ed25519 => &[0; 32],
        }
    }

    const fn function(self) -> u32 {
        match self {
            Self::Secp256k1 => abi::CRYPTO_COMBINE_SECP256K1,
            Self::Ed25519 => abi::CRYPTO_COMBINE_ED25519,
        }
    }
}

/// In a WebAssembly module these take the crate's feature `abi-2`.
impl Context {
    /// Keccak-256, which Ethereum hashes with.
    #[must_use]
    pub fn keccak256(&self, data: &[u8]) -> [u8; 32] {
        self.host.keccak256(data)
    }

    /// SHA3-256 (FIPS 202).
    #[must_use]
    pub fn sha3_256(&self, data: &[u8]) -> [u8; 32] {
        let digest = self.host.crypto(abi::CRYPTO_SHA3_256, data);
        let Some(digest) = digest.and_then(|digest| digest.try_into().ok()) else {
            unreachable!("every input has a digest of 32 bytes")
        };
        digest
    }

    /// The key, x and y, that signed this digest by ECDSA on secp256k1; the signature is r and s, and `odd`
    /// says whether the y of the nonce's point is odd (Ethereum's v less 27).
    ///
    /// Every r and s in range recovers some key: compare it, or its address, with the one that you expect.
    /// Two signatures, with s and with -s, have one key, as in Ethereum's precompile: refuse the greater s
    /// where a signature must not have a second form.
    #[must_use]
    pub fn secp256k1_recover(
        &self,
        digest: &[u8; 32],
        signature: &[u8; 64],
        odd: bool,
    ) -> Option<[u8; 64]> {
        self.host.secp256k1_recover(digest, signature, odd)
    }

    /// Whether a signature of BIP340 under this key, an x of secp256k1, is valid.
    #[must_use]
    pub fn schnorr_verify(&self, key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        let input = [&key[..], signature, message].concat();
        self.host.crypto(abi::CRYPTO_SCHNORR_VERIFY, &input).is_some()
    }

    /// The sum of the multiples, scalar by point, in public data: its time tells what it adds. The point
    /// [`Curve::generator`] stands for the generator.
    ///
    /// Nothing if there are no pairs, if a scalar or a point is not in its one encoding, if a point of Ed25519
    /// has torsion, or if the sum is the identity. The identity of Ed25519 has an encoding and may be among
    /// the points. Traps for more than [`MAX_GROUP_PAIRS`](paralith_runtime_abi::MAX_GROUP_PAIRS) pairs.
    ///
    /// **Refuse zeros where a caller gives a point:** they would count as the generator.
    #[must_use]
    pub fn group_combine(&self, curve: Curve, pairs: &[(&[u8; 32], &[u8])]) -> Option<Vec<u8>> {
        let mut input = Vec::new();
        for (scalar, point) in pairs {
            // A point of another length would shift those that follow.
            if point.len() != curve.generator().len() {
                return None;
            }
            input.extend_from_slice(*scalar);
            input.extend_from_slice(point);
        }
        self.host.crypto(curve.function(), &input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Chain, HOST_MODULE};
    use crate::{Call, Result, Runtime, reply, unknown_method};

    struct Checks;

    fn array<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }

    /// BIP340's vector 1.
    fn signature_is_valid(ctx: &Context, change: u8) -> bool {
        let key = array("dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659");
        let mut signature: [u8; 64] = array(concat!(
            "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341",
            "8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
        ));
        signature[63] ^= change;
        let message: [u8; 32] =
            array("243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89");
        ctx.schnorr_verify(&key, &signature, &message)
    }

    impl Runtime for Checks {
        fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
            let one = |curve| {
                let mut one = [0; 32];
                one[if curve == Curve::Secp256k1 { 31 } else { 0 }] = 1;
                one
            };
            let curves = [Curve::Secp256k1, Curve::Ed25519];
            match call.method.as_str() {
                "hashes" => reply(&(ctx.sha3_256(b"abc"), ctx.keccak256(b""))),
                "signatures" => reply(&[signature_is_valid(ctx, 0), signature_is_valid(ctx, 1)]),
                "points" => reply(
                    &curves
                        .map(|curve| ctx.group_combine(curve, &[(&one(curve), curve.generator())])),
                ),
                // Together they are as long as two points.
                "lengths" => reply(&curves.map(|curve| {
                    let (one, zeros, len) = (one(curve), [0; 40], curve.generator().len());
                    let pairs = [(&one, &zeros[..len + 1]), (&one, &zeros[..len - 1])];
                    ctx.group_combine(curve, &pairs)
                })),
                "many" => {
                    let one = one(Curve::Ed25519);
                    let pairs = [(&one, Curve::Ed25519.generator()); abi::MAX_GROUP_PAIRS + 1];
                    reply(&ctx.group_combine(Curve::Ed25519, &pairs))
                }
                _ => unknown_method(call),
            }
        }
    }

    fn call<T: serde::de::DeserializeOwned>(method: &str) -> T {
        let answer = Chain::new::<Checks>().sender("alice").call(method, &()).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    #[test]
    fn hashes_and_signatures_are_real() {
        let hashes: ([u8; 32], [u8; 32]) = call("hashes");
        let sha3 = array("3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
        let keccak = array("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
        assert_eq!(hashes, (sha3, keccak));
        assert_eq!(call::<[bool; 2]>("signatures"), [true, false]);
    }

    #[test]
    fn zeros_stand_for_the_generator_and_points_of_another_length_for_nothing() {
        let secp256k1: [u8; 33] =
            array("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
        let ed25519: [u8; 32] =
            array("5866666666666666666666666666666666666666666666666666666666666666");
        let points: [Option<Vec<u8>>; 2] = call("points");
        assert_eq!(points, [Some(secp256k1.to_vec()), Some(ed25519.to_vec())]);
        assert_eq!(call::<[Option<Vec<u8>>; 2]>("lengths"), [None, None]);
    }

    #[test]
    fn more_pairs_than_the_host_takes_trap() {
        let error = Chain::new::<Checks>().sender("alice").call("many", &()).unwrap_err();
        assert_eq!(error.module, HOST_MODULE);
    }
}
