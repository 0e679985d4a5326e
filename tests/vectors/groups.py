"""Computes groups.json from docs/protocol/abi.md: `python3 groups.py` prints the file.

Both groups are written out here, on Python's integers. Nothing but the standard library is used.
"""

import hashlib
import json


class Secp256k1:
    name, function, point_len = "secp256k1", 49, 33
    p = 2**256 - 2**32 - 977
    n = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    zero = None
    g = (
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    )

    @classmethod
    def add(cls, a, b):
        if a is None or b is None:
            return a or b
        if a[0] == b[0]:
            if (a[1] + b[1]) % cls.p == 0:
                return None
            slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, cls.p)
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, cls.p)
        x = (slope * slope - a[0] - b[0]) % cls.p
        return x, (slope * (a[0] - x) - a[1]) % cls.p

    @staticmethod
    def encode(a):
        return bytes([2 + a[1] % 2]) + a[0].to_bytes(32, "big")

    @classmethod
    def decode(cls, encoded):
        sign, x = encoded[0], int.from_bytes(encoded[1:], "big")
        y = pow(x**3 + 7, (cls.p + 1) // 4, cls.p)
        if sign not in (2, 3) or x >= cls.p or (y * y - x**3 - 7) % cls.p:
            return None, False
        return (x, y if y % 2 == sign - 2 else cls.p - y), True

    @staticmethod
    def scalar(x):
        return x.to_bytes(32, "big")

    @staticmethod
    def number(scalar):
        return int.from_bytes(scalar, "big")


class Ed25519:
    name, function, point_len = "ed25519", 50, 32
    p = 2**255 - 19
    n = 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p
    zero = (0, 1)

    @classmethod
    def add(cls, a, b):
        product = cls.d * a[0] * b[0] * a[1] * b[1]
        x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, cls.p)
        y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, cls.p)
        return x % cls.p, y % cls.p

    @staticmethod
    def encode(a):
        return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")

    @classmethod
    def root(cls, y):
        square = (y * y - 1) * pow(cls.d * y * y + 1, -1, cls.p)
        x = pow(square, (cls.p + 3) // 8, cls.p)
        if (x * x - square) % cls.p:
            x = x * pow(2, (cls.p - 1) // 4, cls.p) % cls.p
        return None if (x * x - square) % cls.p else x

    @classmethod
    def decode(cls, encoded):
        number = int.from_bytes(encoded, "little")
        y, sign = number & (2**255 - 1), number >> 255
        x = cls.root(y)
        if y >= cls.p or x is None or (x == 0 and sign):
            return None, False
        point = (x if x & 1 == sign else cls.p - x), y
        return point, multiply(cls, point, cls.n) == cls.zero

    @staticmethod
    def scalar(x):
        return x.to_bytes(32, "little")

    @staticmethod
    def number(scalar):
        return int.from_bytes(scalar, "little")


Y = 4 * pow(5, -1, Ed25519.p) % Ed25519.p
X = Ed25519.root(Y)
Ed25519.g = (X if X % 2 == 0 else Ed25519.p - X, Y)


def multiply(curve, point, scalar):
    total = curve.zero
    while scalar:
        if scalar & 1:
            total = curve.add(total, point)
        point, scalar = curve.add(point, point), scalar >> 1
    return total


def combine(curve, data):
    """The result of functions 49 and 50; None is -1."""
    size = 32 + curve.point_len
    if not data or len(data) % size:
        return None
    total = curve.zero
    for at in range(0, len(data), size):
        scalar = curve.number(data[at : at + 32])
        encoded = data[at + 32 : at + size]
        point, good = (curve.g, True) if not any(encoded) else curve.decode(encoded)
        if scalar >= curve.n or not good:
            return None
        total = curve.add(total, multiply(curve, point, scalar))
    return None if total == curve.zero else curve.encode(total)


def number(*parts):
    return int.from_bytes(hashlib.sha512(" ".join(map(str, parts)).encode()).digest(), "big")


def sums(curve):
    zeros = bytes(curve.point_len)
    random = [number(curve.name, i) % curve.n for i in range(64)]
    points = [curve.encode(multiply(curve, curve.g, x + 1)) for x in range(64)]
    scalars = [curve.scalar(x) for x in random]
    pairs = [a + b for a, b in zip(scalars, points)]
    one, minus_one = curve.scalar(1), curve.scalar(curve.n - 1)
    cases = {
        "the generator": one + zeros,
        "a multiple of the generator": scalars[0] + zeros,
        "one pair": pairs[5],
        "two pairs": pairs[5] + pairs[6],
        "the same in the other order": pairs[6] + pairs[5],
        "64 pairs": b"".join(pairs),
        "the greatest scalar": minus_one + points[3],
        "0 beside another pair": curve.scalar(0) + points[3] + pairs[4],
        "a point twice": pairs[7] + pairs[7],
        "no pair": b"",
        "a byte less": pairs[0][:-1],
        "a byte more": pairs[0] + b"\0",
        "0 alone": curve.scalar(0) + points[3],
        "a point and its negative": one + points[3] + minus_one + points[3],
        "a scalar that is the order": curve.scalar(curve.n) + points[3],
        "a scalar of ones": b"\xff" * 32 + points[3],
        "a point of ones": one + b"\xff" * curve.point_len,
    }
    if curve is Secp256k1:
        x = points[3][1:]
        cases["another first byte"] = one + b"\x04" + x
        cases["x that is not reduced"] = one + b"\x02" + (curve.p + 1).to_bytes(32, "big")
        cases["x without a point"] = one + b"\x02" + (5).to_bytes(32, "big")
    else:
        little = lambda y: y.to_bytes(32, "little")
        order_8 = next(
            point
            for y in range(2, 100)
            for x in [curve.root(y)]
            if x is not None
            for point in [multiply(curve, (x, y), curve.n)]
            if multiply(curve, point, 4) != curve.zero
        )
        mixed = curve.add(order_8, multiply(curve, curve.g, 4))
        cases["the identity alone"] = one + little(1)
        cases["the identity beside another pair"] = one + little(1) + pairs[4]
        cases["the identity with a sign"] = one + little(1 | 1 << 255) + pairs[4]
        cases["y that is not reduced"] = one + little(curve.p + 1) + pairs[4]
        cases["y without a point"] = one + little(2)
        cases["the point of order 2"] = one + little(curve.p - 1) + pairs[4]
        cases["a point of order 4"] = one + little(1 << 255) + pairs[4]
        cases["a point of order 8"] = one + curve.encode(order_8) + pairs[4]
        cases["torsion that the scalar cancels"] = curve.scalar(8) + curve.encode(mixed)
    results = []
    for name, data in cases.items():
        result = combine(curve, data)
        result = None if result is None else result.hex()
        results.append({"name": name, "input": data.hex(), "result": result})
    return {"function": curve.function, "cases": results}


def recover(digest, r, s, odd):
    curve = Secp256k1
    if not (0 < r < curve.n and 0 < s < curve.n):
        return None
    nonce, good = curve.decode(bytes([2 + odd]) + r.to_bytes(32, "big"))
    if not good:
        return None
    inverse = pow(r, -1, curve.n)
    key = curve.add(
        multiply(curve, nonce, s * inverse % curve.n),
        multiply(curve, curve.g, -digest * inverse % curve.n),
    )
    return None if key is None else key[0].to_bytes(32, "big") + key[1].to_bytes(32, "big")


def recoveries():
    curve, cases = Secp256k1, []
    for i in range(6):
        x, k = (number("ecdsa", i, of) % curve.n for of in ("key", "nonce"))
        # The last digests are not less than the order.
        digest = number("digest", i) % 2**256 if i < 4 else 2**256 - 1 - i
        nonce = multiply(curve, curve.g, k)
        r, odd = nonce[0], nonce[1] % 2
        s = (digest + r * x) * pow(k, -1, curve.n) % curve.n
        key = multiply(curve, curve.g, x)
        expected = key[0].to_bytes(32, "big") + key[1].to_bytes(32, "big")
        assert recover(digest, r, s, odd) == expected
        assert recover(digest, r, curve.n - s, 1 - odd) == expected
        cases += [(digest, r, s, odd), (digest, r, curve.n - s, 1 - odd), (digest, r, s, 1 - odd)]
    good = cases[0]
    cases += [(good[0], r, good[2], good[3]) for r in (0, 5, curve.n, 2**256 - 1)]
    cases += [(good[0], good[1], s, good[3]) for s in (0, curve.n, 2**256 - 1)]
    # The key is the identity: R = G, s = digest.
    cases.append((7, curve.g[0], 7, curve.g[1] % 2))
    results = []
    for digest, r, s, odd in cases:
        key = recover(digest, r, s, odd)
        results.append(
            {
                "digest": digest.to_bytes(32, "big").hex(),
                "signature": (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex(),
                "odd": odd == 1,
                "key": None if key is None else key.hex(),
            }
        )
    return results


def main():
    result = {"sums": [sums(Secp256k1), sums(Ed25519)], "recoveries": recoveries()}
    print(json.dumps(result, indent=1))


main()
