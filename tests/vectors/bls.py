"""Computes bls.json with py_ecc, which shares no code with the library that the chain uses.

`python3 bls.py` prints the file. docs/protocol/bls.md is what it implements.
"""

import hashlib
import json

from py_ecc.bls import G2Basic
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1, compress_G2
from py_ecc.optimized_bls12_381 import G2, Z1, add, curve_order, multiply, pairing

SIGNATURE = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
POSSESSION = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"

# Keying material and messages of different lengths, an empty message among them.
IKM = [bytes([fill]) * 32 for fill in (0, 1, 0xFF)] + [bytes(range(32))]
MESSAGES = [b"", b"abc", bytes(range(200)), bytes.fromhex("ab" * 32)]


def g1(point):
    return compress_G1(point).to_bytes(48, "big").hex()


def g2(point):
    high, low = compress_G2(point)
    return (high.to_bytes(48, "big") + low.to_bytes(48, "big")).hex()


def sign(secret, message, suite):
    return multiply(hash_to_G1(message, suite, hashlib.sha256), secret)


def holds(key, message, suite, signature):
    """The pairing equation e(H(m), key) = e(signature, generator)."""
    return pairing(key, hash_to_G1(message, suite, hashlib.sha256)) == pairing(G2, signature)


def main():
    signers = []
    for ikm, message in zip(IKM, MESSAGES):
        secret = G2Basic.KeyGen(ikm)
        assert 0 < secret < curve_order
        key = multiply(G2, secret)
        signature = sign(secret, message, SIGNATURE)
        assert holds(key, message, SIGNATURE, signature)
        signers.append(
            {
                "ikm": ikm.hex(),
                "key": g2(key),
                "message": message.hex(),
                "signature": g1(signature),
                "possession": g1(sign(secret, bytes.fromhex(g2(key)), POSSESSION)),
            }
        )
    message = b"all of us"
    total = Z1
    for ikm in IKM:
        total = add(total, sign(G2Basic.KeyGen(ikm), message, SIGNATURE))
    aggregate = {"message": message.hex(), "signature": g1(total)}
    print(json.dumps({"signers": signers, "aggregate": aggregate}, indent=1))


main()
