"""Checks wraps.py against the vectors that Paralith's own tests use.

    python3 -m unittest discover docs/examples
"""

import json
import unittest
from pathlib import Path

import wraps

VECTORS = Path(__file__).resolve().parents[2] / "tests/vectors/wraps.json"


class Wraps(unittest.TestCase):
    def test_vectors(self):
        checked = 0
        for case in json.loads(VECTORS.read_text(encoding="utf-8")):
            sk, uri = bytes.fromhex(case["sk"]), case["uri"].encode()
            info, plaintext = bytes.fromhex(case["info"]), bytes.fromhex(case["plaintext"])
            content, content_hash = wraps.seal_content(sk, info, plaintext)
            self.assertEqual(content.hex(), case["content"])
            self.assertEqual(content_hash.hex(), case["content_hash"])
            self.assertEqual(wraps.key_commitment(sk, uri).hex(), case["key_commitment"])
            for one in case["wraps"]:
                if one["kem"] != wraps.X25519:
                    continue
                key, wrap_info = bytes.fromhex(one["key"]), bytes.fromhex(one["info"])
                made = wraps.wrap(sk, uri, one["kem"], key, wrap_info)
                self.assertEqual(made.hex(), one["wrap"])
                checked += 1
        self.assertGreater(checked, 3)


if __name__ == "__main__":
    unittest.main()
