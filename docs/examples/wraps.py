"""Seals a content and wraps its key, as docs/protocol/wraps.md says.

`cryptography` has X25519 and the AEADs. HPKE (RFC 9180: base mode, HKDF-SHA256, ChaCha20-Poly1305) is written out:
a wrap's randomness is derived, which its own HPKE does not take.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV, ChaCha20Poly1305

from framing import derived_key, domain_hash
from proofs import field

X25519 = 0x0020
SYSTEM = "paralith/private-contract/"
NONCE = bytes(12)


def extract(salt: bytes, secret: bytes) -> bytes:
    return hmac.new(salt, secret, hashlib.sha256).digest()


def expand(key: bytes, info: bytes, length: int) -> bytes:
    block, out = b"", b""
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


def labelled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + secret)


def labelled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def encapsulate_x25519(key: bytes, ikm: bytes) -> tuple[bytes, bytes]:
    """Shared secret and encapsulated key."""
    suite = b"KEM" + X25519.to_bytes(2, "big")
    seed = labelled_extract(suite, b"", b"dkp_prk", ikm)
    ephemeral = X25519PrivateKey.from_private_bytes(labelled_expand(suite, seed, b"sk", b"", 32))
    encapsulated = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(key))
    secret = labelled_extract(suite, b"", b"eae_prk", shared)
    return labelled_expand(suite, secret, b"shared_secret", encapsulated + key, 32), encapsulated


ENCAPSULATE = {X25519: encapsulate_x25519}


def hpke_seal(kem: int, key: bytes, info: bytes, plaintext: bytes, ikm: bytes) -> bytes:
    shared, encapsulated = ENCAPSULATE[kem](key, ikm)
    suite = b"HPKE" + kem.to_bytes(2, "big") + (1).to_bytes(2, "big") + (3).to_bytes(2, "big")
    context = b"\0" + labelled_extract(suite, b"", b"psk_id_hash", b"")
    context += labelled_extract(suite, b"", b"info_hash", info)
    secret = labelled_extract(suite, shared, b"secret", b"")
    aead = ChaCha20Poly1305(labelled_expand(suite, secret, b"key", context, 32))
    nonce = labelled_expand(suite, secret, b"base_nonce", context, 12)
    return encapsulated + aead.encrypt(nonce, plaintext, b"")


def seal_content(sk: bytes, info: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """The sealed content, and the SHA3-256 by which it is stored."""
    key = derived_key(sk, b"", SYSTEM + "content/v1", info)
    content = AESGCMSIV(key).encrypt(NONCE, plaintext, info)
    return content, hashlib.sha3_256(content).digest()


def key_commitment(sk: bytes, uri: bytes) -> bytes:
    return domain_hash(SYSTEM + "commitment/v1", sk, uri)


def wrap(sk: bytes, uri: bytes, kem: int, key: bytes, info: bytes) -> bytes:
    """One recipient's wrap. `info` contains the commitment, so each plaintext has randomness of its own."""
    held = field(1, sk) + (field(2, uri) if uri else b"")
    ikm = derived_key(sk, b"", SYSTEM + "wrap/v1", info)
    return hpke_seal(kem, key, info, held, ikm)
