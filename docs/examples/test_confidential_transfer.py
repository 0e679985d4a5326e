"""Checks the client's framing against the constants that Paralith's own tests freeze.

    python3 -m unittest discover docs/examples
"""

import hashlib
import unittest
from types import SimpleNamespace

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

import confidential_transfer as client
import proofs


class Framing(unittest.TestCase):
    def test_hashes(self):
        """common/crypto/src/hash.rs, the_framing_is_frozen."""
        by_hand = b"\x0dparalith/test" + bytes(7) + b"\x02ab" + bytes(8) + bytes(7) + b"\x01c"
        self.assertEqual(
            client.domain_hash("paralith/test", b"ab", b"", b"c"),
            hashlib.sha256(by_hand).digest(),
        )

    def test_signatures(self):
        """common/crypto/src/ed25519/tests.rs, the_signed_bytes_are_frozen."""
        key = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
        message = client.signed_bytes("paralith/test", bytes([3]) * 32, b"message")
        self.assertEqual(
            key.sign(message).hex(),
            "e71bfddf97346dc91dc9c61dd5bc27f8ed515e861456abf9fc8736ef38dcfbeb"
            "667d424d9ad1cd81e79eec22e0a880104c56f88c9955c0580694c12a97c0300f",
        )

    def test_derived_keys(self):
        """common/crypto/src/kdf.rs, derive_and_prf_are_frozen."""
        self.assertEqual(
            client.derived_key(bytes([1]) * 32, b"salt", "paralith/test", b"a", b"bc").hex(),
            "0f15b5dda2a00cc51e3f1e269470f4c7afdd71d8529386e0945a89c1314565a0",
        )

    def test_envelopes(self):
        """common/crypto/src/hpke.rs, what_python_sealed_opens."""
        sealed = bytes.fromhex(
            "b198412d4956b3112c539b21b94f53a100c73df787966dbb8ddc50039e1a4938"
            "8217751645057c8b3046478aa9bce2b78abbe4c903aa"
        )
        key = X25519PrivateKey.from_private_bytes(bytes([1]) * 32)
        suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
        self.assertEqual(suite.decrypt(sealed, key, b"paralith/test"), b"a call")

    def test_replies(self):
        """common/crypto/src/seal.rs, a vector of RFC 8452."""
        key = "d1894728b3fed1473c528b8426a582995929a1499e9ad8780c8d63d0ab4149c0"
        sealed = "0df9e308678244c44bc0fd3dc6628dfe55ebb0b9fb2295c8c2"
        opened = AESGCMSIV(bytes.fromhex(key)).decrypt(
            bytes.fromhex("9f572c614b4745914474e7c7"),
            bytes.fromhex(sealed),
            bytes.fromhex("489c8fde2be2cf97e74e932d4ed87d"),
        )
        self.assertEqual(opened.hex(), "c9882e5386fd9f92ec")

    def test_addresses(self):
        """What `paralith keys show alice` prints."""
        public = client.public_bytes(client.test_account("alice"))
        self.assertEqual(
            public.hex(), "853488b9746268fae7171ad99b8be2a2ec1a73e4aabcf7f964f841e47278fcfe"
        )
        self.assertEqual(
            client.address_of(public), "paralith1qzlqfcjsyr3wd3a0llk2f0690hyk3fxawysqk2mr"
        )


class Checks(unittest.TestCase):
    """A gateway may show a key that leaked, or an answer on a state that is past."""

    def setUp(self):
        class Status(SimpleNamespace):
            def HasField(self, name):
                return getattr(self, name) is not None

        self.status = Status(checksum=b"generation")
        self.key = SimpleNamespace(epoch=7, checksum=b"generation")

    def test_a_key_of_another_epoch_or_generation_is_refused(self):
        client.check_key(self.key, 7, self.status)
        for epoch in (6, 8):
            with self.assertRaises(client.Refused):
                client.check_key(self.key, epoch, self.status)
        for checksum in (b"another", None):
            self.status.checksum = checksum
            with self.assertRaises(client.Refused):
                client.check_key(self.key, 7, self.status)

    def test_an_answer_on_another_or_an_older_state_is_refused(self):
        answer = SimpleNamespace(round=5, state_root=b"root")
        client.check_answer(answer, 5, b"root")
        for least, root in ((6, b"root"), (5, b"another"), (5, None)):
            with self.assertRaises(client.Refused):
                client.check_answer(answer, least, root)


class Merkle(unittest.TestCase):
    LEAVES = [bytes.fromhex(leaf) for leaf in ("", "00", "10", "2021", "3031")]
    ROOT = "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"

    def test_paths_of_the_reference_tree_of_rfc_6962(self):
        hashed = [hashlib.sha256(b"\0" + leaf).digest() for leaf in self.LEAVES]
        for index, leaf in enumerate(self.LEAVES):
            path = self.path(hashed, index)
            root = proofs.path_root(leaf, index, len(hashed), path)
            self.assertEqual(root.hex(), self.ROOT, index)
            self.assertNotEqual(proofs.path_root(leaf + b"x", index, 5, path), root)
            self.assertNotEqual(proofs.path_root(leaf, (index + 1) % 5, 5, path), root)
        self.assertIsNone(proofs.path_root(b"", 5, 5, []))

    def path(self, hashes, index):
        if len(hashes) == 1:
            return []
        left = 1
        while left * 2 < len(hashes):
            left *= 2
        if index < left:
            return self.path(hashes[:left], index) + [self.root(hashes[left:])]
        return self.path(hashes[left:], index - left) + [self.root(hashes[:left])]

    def root(self, hashes):
        if len(hashes) == 1:
            return hashes[0]
        left = 1
        while left * 2 < len(hashes):
            left *= 2
        pair = self.root(hashes[:left]) + self.root(hashes[left:])
        return hashlib.sha256(b"\1" + pair).digest()


if __name__ == "__main__":
    unittest.main()
