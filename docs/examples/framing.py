"""Hashes, signatures, derived keys and addresses: sections 1 and 2 of docs/sending-a-transaction.md."""

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Refused(Exception):
    """The node refused, or something that it said does not verify."""


def framed(domain: str, parts: tuple[bytes, ...]) -> bytes:
    """One byte of length and the domain; then eight bytes of length and the bytes of each part."""
    out = bytes([len(domain)]) + domain.encode()
    for part in parts:
        out += len(part).to_bytes(8, "big") + part
    return out


def domain_hash(domain: str, *parts: bytes) -> bytes:
    return hashlib.sha256(framed(domain, parts)).digest()


def signed_bytes(domain: str, chain_context: bytes, message: bytes) -> bytes:
    """What Ed25519 signs. The message has no length before it: it comes last."""
    return bytes([len(domain)]) + domain.encode() + chain_context + message


def derived_key(secret: bytes, salt: bytes, domain: str, *parts: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, framed(domain, parts)).derive(secret)


def address_bytes(public_key: bytes) -> bytes:
    """A version byte, 0, and the first 20 bytes of a hash of the key."""
    return b"\0" + domain_hash("paralith/address/key/v0", public_key)[:20]


def address_of(public_key: bytes) -> str:
    """The address in Bech32 (BIP 173)."""
    return bech32("paralith", address_bytes(public_key))


def bech32(prefix: str, data: bytes) -> str:
    bits = int.from_bytes(data, "big")
    length = len(data) * 8
    padding = -length % 5
    bits, length = bits << padding, length + padding
    words = [(bits >> shift) & 31 for shift in range(length - 5, -1, -5)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for word in expanded + words + [0] * 6:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ word
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    check ^= 1
    words += [(check >> 5 * (5 - i)) & 31 for i in range(6)]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[word] for word in words)
