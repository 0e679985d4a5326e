"""Checks proofs.py against docs/protocol/proofs.json, which a test of Paralith freezes
(consensus/engine/tests/it/vectors.rs), and against changes of each of its bytes.

    python3 -m unittest discover docs/examples
"""

import copy
import json
import unittest
from pathlib import Path

import proofs
from framing import Refused

FILE = Path(__file__).resolve().parent.parent / "protocol" / "proofs.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))


def of_kind(kind):
    found = [vector for vector in VECTORS if vector["kind"] == kind]
    assert found, f"{FILE} has no vector of the kind {kind}"
    return found


def flipped(data):
    """The bytes with one bit changed, at every place."""
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class Paths(unittest.TestCase):
    def test_a_path_leads_to_the_root_from_its_leaf_and_place_only(self):
        for vector in of_kind("path"):
            leaf, root = bytes.fromhex(vector["leaf"]), bytes.fromhex(vector["root"])
            index, total = vector["index"], vector["total"]
            path = [bytes.fromhex(sibling) for sibling in vector["path"]]
            with self.subTest(vector["name"]):
                self.assertEqual(proofs.path_root(leaf, index, total, path), root)
                for other in flipped(leaf):
                    self.assertNotEqual(proofs.path_root(other, index, total, path), root)
                self.assertNotEqual(proofs.path_root(leaf, index - 1, total, path), root)
                self.assertNotEqual(proofs.path_root(leaf, index, total, path[:-1]), root)
                self.assertNotEqual(proofs.path_root(leaf, index, total, path + path), root)
                self.assertIsNone(proofs.path_root(leaf, total, total, path))

    def test_the_root_of_a_list_is_that_of_its_paths(self):
        leaves = [b"leaf %d" % n for n in range(5)]
        self.assertEqual(proofs.list_root(leaves).hex(), of_kind("path")[0]["root"])


class State(unittest.TestCase):
    def test_a_proof_shows_a_value_or_its_absence_and_nothing_else(self):
        for vector in of_kind("state"):
            root, key = bytes.fromhex(vector["root"]), bytes.fromhex(vector["key"])
            value = None if vector["value"] is None else bytes.fromhex(vector["value"])
            proof = bytes.fromhex(vector["proof"])
            with self.subTest(vector["name"]):
                proofs.verify_state(root, key, value, proof)
                wrong = [(root, key + b"x", value, proof)] if value is not None else []
                wrong += [(root, key, b"x" if value is None else None, proof)]
                wrong += [(other, key, value, proof) for other in flipped(root)]
                wrong += [(root, key, value, other) for other in flipped(proof)]
                wrong += [(root, key, value, proof[:end]) for end in range(len(proof))]
                wrong += [(root, key, value, proof + b"\0")]
                for claim in wrong:
                    with self.assertRaises(Refused):
                        proofs.verify_state(*claim)


class Headers(unittest.TestCase):
    def setUp(self):
        (self.genesis,) = of_kind("validators")
        self.client = proofs.LightClient(self.genesis["document"].encode(), lambda _: b"")

    def test_the_first_validators_follow_from_the_genesis_document(self):
        expected = [(bytes.fromhex(v["key"]), v["power"]) for v in self.genesis["validators"]]
        self.assertEqual(self.client.next_validators, expected)
        self.assertEqual(proofs.set_hash(expected).hex(), self.genesis["hash"])

    def test_a_header_is_trusted_if_enough_of_the_right_validators_signed_it(self):
        clients = {self.client.height: self.client}
        for vector in of_kind("header"):
            with self.subTest(vector["name"]):
                client = copy.copy(clients[vector["after"]])
                client.roots = dict(client.roots)
                block = proofs.Header.read(bytes.fromhex(vector["light_block"]))
                self.assertEqual(block.hash.hex(), vector["hash"])
                self.assertEqual(client.update(block), vector["trusted"])
                if vector["trusted"]:
                    self.assertEqual(client.height, vector["height"])
                    root = client.roots[client.height - 1]
                    self.assertEqual(root.hex(), vector["app_hash"])
                    clients[client.height] = client

    def test_a_header_of_which_one_byte_differs_is_refused(self):
        vector = of_kind("header")[0]
        whole = bytes.fromhex(vector["light_block"])
        trusted = 0
        for other in flipped(whole):
            try:
                client = copy.copy(self.client)
                client.roots = {}
                client.update(proofs.Header.read(other))
            except Refused:
                continue
            # A bit that changes nothing of what is proven, as an address in a validator set.
            self.assertEqual(client.roots[client.height - 1].hex(), vector["app_hash"])
            trusted += 1
        self.assertLess(trusted, len(whole) // 4)

    def test_steps_too_far_are_halved(self):
        chain = {v["height"]: bytes.fromhex(v["light_block"]) for v in of_kind("header")}
        asked = []

        def fetch(height):
            asked.append(height)
            return chain[min(chain, key=lambda known: (known < height, known))]

        client = proofs.LightClient(self.genesis["document"].encode(), fetch)
        self.assertEqual(client.max_step, 400)
        client.reach(2)
        # 302 has too few of the trusted validators; half way between lies nothing that fits.
        with self.assertRaises(Refused):
            client.reach(302)
        self.assertEqual(asked, [2, 302, 152])


if __name__ == "__main__":
    unittest.main()
