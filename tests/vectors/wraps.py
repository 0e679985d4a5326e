"""Computes wraps.json from docs/protocol/wraps.md: `python3 wraps.py` prints the file.

AEADs and X25519 are those of `cryptography`, ML-KEM-768 that of `kyber_py`; HPKE, X-Wing and all
derivations are written out.
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV, ChaCha20Poly1305
from kyber_py.ml_kem import ML_KEM_768

X25519, X_WING = 0x0020, 0x647A
SYSTEM = b"paralith/private-contract/"
NONCE = bytes(12)


# The chain's own framing, hash and key derivation.


def frame(domain, parts):
    framed = bytes([len(domain)]) + domain
    for part in parts:
        framed += len(part).to_bytes(8, "big") + part
    return framed


def extract(salt, secret):
    return hmac.new(salt, secret, hashlib.sha256).digest()


def expand(key, info, length):
    block, out = b"", b""
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


def derive(secret, domain, parts, length=32):
    return expand(extract(b"", secret), frame(domain, parts), length)


# HPKE, RFC 9180: base mode, HKDF-SHA256, ChaCha20-Poly1305.


def labelled_extract(suite, salt, label, secret):
    return extract(salt, b"HPKE-v1" + suite + label + secret)


def labelled_expand(suite, key, label, info, length):
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def encapsulate_x25519(key, ikm):
    suite = b"KEM" + X25519.to_bytes(2, "big")
    seed = labelled_extract(suite, b"", b"dkp_prk", ikm)
    ephemeral = X25519PrivateKey.from_private_bytes(labelled_expand(suite, seed, b"sk", b"", 32))
    encapsulated = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(key))
    secret = labelled_extract(suite, b"", b"eae_prk", shared)
    return labelled_expand(suite, secret, b"shared_secret", encapsulated + key, 32), encapsulated


def x_wing_key(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    ml_kem, _ = ML_KEM_768.key_derive(expanded[:64])
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()
    return ml_kem + x25519


def encapsulate_x_wing(key, ikm):
    randomness = derive(ikm, b"paralith/x-wing/v1", [], 64)
    ml_kem, x25519 = key[:1184], key[1184:]
    shared_m, ciphertext = ML_KEM_768._encaps_internal(ml_kem, randomness[:32])
    ephemeral = X25519PrivateKey.from_private_bytes(randomness[32:])
    ephemeral_key = ephemeral.public_key().public_bytes_raw()
    shared_x = ephemeral.exchange(X25519PublicKey.from_public_bytes(x25519))
    label = rb"\.//^" + b"\\"
    shared = hashlib.sha3_256(shared_m + shared_x + ephemeral_key + x25519 + label).digest()
    return shared, ciphertext + ephemeral_key


def hpke_seal(kem, key, info, plaintext, ikm):
    encapsulate = {X25519: encapsulate_x25519, X_WING: encapsulate_x_wing}[kem]
    shared, encapsulated = encapsulate(key, ikm)
    suite = b"HPKE" + kem.to_bytes(2, "big") + (1).to_bytes(2, "big") + (3).to_bytes(2, "big")
    context = b"\0" + labelled_extract(suite, b"", b"psk_id_hash", b"")
    context += labelled_extract(suite, b"", b"info_hash", info)
    secret = labelled_extract(suite, shared, b"secret", b"")
    aead = ChaCha20Poly1305(labelled_expand(suite, secret, b"key", context, 32))
    nonce = labelled_expand(suite, secret, b"base_nonce", context, 12)
    return encapsulated + aead.encrypt(nonce, plaintext, b"")


# Sealed content and wraps.


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def case(sk, uri, info, plaintext, recipients):
    key = derive(sk, SYSTEM + b"content/v1", [info])
    content = AESGCMSIV(key).encrypt(NONCE, plaintext, info)
    commitment = hashlib.sha256(frame(SYSTEM + b"commitment/v1", [sk, uri])).digest()
    held = b"\x0a\x20" + sk + (b"\x12" + varint(len(uri)) + uri if uri else b"")
    wraps = []
    for index, (kem, secret) in enumerate(recipients):
        if kem == X25519:
            public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        else:
            public = x_wing_key(secret)
        # The test has the same: what names the place, then the commitment.
        wrap_info = b"recipient %d of " % index + commitment
        ikm = derive(sk, SYSTEM + b"wrap/v1", [wrap_info])
        wraps.append(
            {
                "kem": kem,
                "secret": secret.hex(),
                "key": public.hex(),
                "info": wrap_info.hex(),
                "wrap": hpke_seal(kem, public, wrap_info, held, ikm).hex(),
            }
        )
    return {
        "sk": sk.hex(),
        "uri": uri.decode(),
        "info": info.hex(),
        "plaintext": plaintext.hex(),
        "content": content.hex(),
        "content_hash": hashlib.sha3_256(content).hexdigest(),
        "key_commitment": commitment.hex(),
        "wraps": wraps,
    }


def main():
    both = [(X25519, bytes([1]) * 32), (X_WING, bytes([2]) * 32), (X25519, bytes([3]) * 32)]
    cases = [
        case(bytes(range(32)), b"", b"", b"", both),
        case(b"\xff" * 32, b"https://a.example/data/" + b"0" * 64, b"content info", b"a call", both),
        case(b"\x07" * 32, "é".encode() * 70, b"\0" * 100, bytes(range(256)) * 2, both[:2]),
    ]
    print(json.dumps(cases, indent=1))


main()
