"""Computes wraps.json from docs/protocol/wraps.md: `python3 wraps.py` prints the file.

AEADs and X25519 are those of `cryptography`, ML-KEM-768 that of `kyber_py`; HPKE, X-Wing and all derivations are
written out, here and in docs/examples, where the client of private contracts uses them.
"""

import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from kyber_py.ml_kem import ML_KEM_768

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs/examples"))

from framing import framed  # noqa: E402
from wraps import (  # noqa: E402
    ENCAPSULATE,
    X25519,
    expand,
    extract,
    key_commitment,
    seal_content,
    wrap,
)

X_WING = 0x647A


def x_wing_key(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    ml_kem, _ = ML_KEM_768.key_derive(expanded[:64])
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()
    return ml_kem + x25519


def encapsulate_x_wing(key, ikm):
    randomness = expand(extract(b"", ikm), framed("paralith/x-wing/v1", ()), 64)
    ml_kem, x25519 = key[:1184], key[1184:]
    shared_m, ciphertext = ML_KEM_768._encaps_internal(ml_kem, randomness[:32])
    ephemeral = X25519PrivateKey.from_private_bytes(randomness[32:])
    ephemeral_key = ephemeral.public_key().public_bytes_raw()
    shared_x = ephemeral.exchange(X25519PublicKey.from_public_bytes(x25519))
    label = rb"\.//^" + b"\\"
    shared = hashlib.sha3_256(shared_m + shared_x + ephemeral_key + x25519 + label).digest()
    return shared, ciphertext + ephemeral_key


ENCAPSULATE[X_WING] = encapsulate_x_wing


def case(sk, uri, info, plaintext, recipients):
    content, content_hash = seal_content(sk, info, plaintext)
    commitment = key_commitment(sk, uri)
    wraps = []
    for index, (kem, secret) in enumerate(recipients):
        if kem == X25519:
            public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        else:
            public = x_wing_key(secret)
        # The test has the same: what names the place, then the commitment.
        wrap_info = b"recipient %d of " % index + commitment
        wraps.append(
            {
                "kem": kem,
                "secret": secret.hex(),
                "key": public.hex(),
                "info": wrap_info.hex(),
                "wrap": wrap(sk, uri, kem, public, wrap_info).hex(),
            }
        )
    return {
        "sk": sk.hex(),
        "uri": uri.decode(),
        "info": info.hex(),
        "plaintext": plaintext.hex(),
        "content": content.hex(),
        "content_hash": content_hash.hex(),
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
