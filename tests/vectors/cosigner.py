"""Computes cosigner.json from docs/protocol/cosigner.md: `python3 cosigner.py` prints the file.

Both groups and all equations are written out here, on Python's integers, and the signatures are verified as
BIP340 and RFC 8032 say. Nothing but the standard library is used.
"""

import hashlib
import hmac
import json


class Secp256k1:
    name, id = "secp256k1", 1
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

    @classmethod
    def negate(cls, a):
        return a[0], cls.p - a[1]

    @staticmethod
    def encode(a):
        return bytes([2 + a[1] % 2]) + a[0].to_bytes(32, "big")

    @staticmethod
    def scalar(x):
        return x.to_bytes(32, "big")

    @staticmethod
    def negative(a):
        return a[1] % 2 == 1

    @staticmethod
    def signed_form(a):
        return a[0].to_bytes(32, "big")

    @classmethod
    def challenge(cls, r, q, message):
        return int.from_bytes(tagged("BIP0340/challenge", r + q + message), "big") % cls.n

    @classmethod
    def verify(cls, q, message, signature):
        """BIP340."""
        x = int.from_bytes(q, "big")
        y = pow(pow(x, 3, cls.p) + 7, (cls.p + 1) // 4, cls.p)
        assert (y * y - x**3 - 7) % cls.p == 0
        key = (x, y if y % 2 == 0 else cls.p - y)
        r, s = signature[:32], int.from_bytes(signature[32:], "big")
        assert s < cls.n
        e = cls.challenge(r, q, message)
        point = cls.add(multiply(cls, cls.g, s), multiply(cls, key, cls.n - e))
        return point[1] % 2 == 0 and point[0] == int.from_bytes(r, "big")


class Ed25519:
    name, id = "ed25519", 2
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

    @classmethod
    def negate(cls, a):
        return (-a[0]) % cls.p, a[1]

    @staticmethod
    def encode(a):
        return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")

    @classmethod
    def decode(cls, encoded):
        number = int.from_bytes(encoded, "little")
        y, sign = number & (2**255 - 1), number >> 255
        square = (y * y - 1) * pow(cls.d * y * y + 1, -1, cls.p)
        x = pow(square, (cls.p + 3) // 8, cls.p)
        if (x * x - square) % cls.p:
            x = x * pow(2, (cls.p - 1) // 4, cls.p) % cls.p
        assert (x * x - square) % cls.p == 0
        return (x if x & 1 == sign else cls.p - x), y

    @staticmethod
    def scalar(x):
        return x.to_bytes(32, "little")

    @staticmethod
    def negative(_):
        return False

    @classmethod
    def signed_form(cls, a):
        return cls.encode(a)

    @classmethod
    def challenge(cls, r, q, message):
        return int.from_bytes(hashlib.sha512(r + q + message).digest(), "little") % cls.n

    @classmethod
    def verify(cls, q, message, signature):
        """RFC 8032, section 5.1.7, without the cofactor."""
        r, s = cls.decode(signature[:32]), int.from_bytes(signature[32:], "little")
        assert s < cls.n
        h = cls.challenge(signature[:32], q, message)
        return multiply(cls, cls.g, s) == cls.add(r, multiply(cls, cls.decode(q), h))


Ed25519.g = Ed25519.decode((4 * pow(5, -1, Ed25519.p) % Ed25519.p).to_bytes(32, "little"))


def multiply(curve, point, scalar):
    total = curve.zero
    for bit in bin(scalar % curve.n)[2:]:
        total = curve.add(total, total)
        if bit == "1":
            total = curve.add(total, point)
    return total


def total(curve, points):
    result = curve.zero
    for point in points:
        result = curve.add(result, point)
    return result


def be(number):
    return number.to_bytes(8, "big")


def framed(domain, parts):
    encoded = domain.encode()
    return bytes([len(encoded)]) + encoded + b"".join(be(len(part)) + part for part in parts)


def H(domain, parts):
    return hashlib.sha256(framed(domain, parts)).digest()


def tagged(tag, message):
    prefix = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(prefix + prefix + message).digest()


def hkdf(secret, info, length):
    key = hmac.digest(bytes(32), secret, "sha256")
    output, block = b"", b""
    while len(output) < length:
        block = hmac.digest(key, block + info + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:length]


def Hn(curve, domain, parts):
    return int.from_bytes(hkdf(framed(domain, parts), b"", 64), "big") % curve.n


def random(curve, *label):
    """64 bytes that the test gives as random, and the scalar that they are."""
    label = "/".join(str(part) for part in (curve.name, *label))
    wide = hashlib.sha512(label.encode()).digest()
    return wide, int.from_bytes(wide, "big") % curve.n


def value(curve, coefficients, i):
    return sum(a * i**k for k, a in enumerate(coefficients)) % curve.n


def lagrange(curve, members, i):
    result = 1
    for j in members:
        if j != i:
            result = result * j * pow(j - i, -1, curve.n) % curve.n
    return result


def generate(curve, case, n, t, chain, runtime, batch, key, qualified):
    """The deals of the qualified dealers, the polynomial F of the key, and what the file says of it."""
    sums, deals = [0] * t, []
    for dealer in qualified:
        drawn = [random(curve, case, "coefficient", dealer, k) for k in range(t)]
        coefficients = [scalar for _, scalar in drawn]
        commitments = [curve.encode(multiply(curve, curve.g, a)) for a in coefficients]
        wide, nonce = random(curve, case, "possession", dealer)
        public_nonce = curve.encode(multiply(curve, curve.g, nonce))
        parts = [chain, runtime, be(batch), be(key), be(dealer), *commitments, public_nonce]
        challenge = Hn(curve, "paralith/cosigner/pop/v1", [*parts, bytes([curve.id])])
        sums = [(a + b) % curve.n for a, b in zip(sums, coefficients)]
        deals.append(
            {
                "dealer": dealer,
                "coefficients": [wide.hex() for wide, _ in drawn],
                "random_nonce": wide.hex(),
                "commitments": [point.hex() for point in commitments],
                "nonce": public_nonce.hex(),
                "answer": curve.scalar((nonce + challenge * coefficients[0]) % curve.n).hex(),
                "shares": [
                    curve.scalar(value(curve, coefficients, i)).hex() for i in range(1, n + 1)
                ],
            }
        )
    return sums, deals


def key_of(curve, n, polynomial):
    shares = [value(curve, polynomial, i) for i in range(1, n + 1)]
    return {
        "server_key": curve.encode(multiply(curve, curve.g, polynomial[0])).hex(),
        "public_shares": [curve.encode(multiply(curve, curve.g, x)).hex() for x in shares],
        "shares": [curve.scalar(x).hex() for x in shares],
    }


def sign(curve, case, polynomial, owner, members, nonces, form, blind, message):
    """A session under the polynomial's key, and the file's entry."""
    sign_of = lambda point: -1 if curve.negative(point) else 1
    joint = multiply(curve, curve.g, polynomial[0] + owner)
    gp, gq, tweak = sign_of(joint), 1, 0
    verifying = joint if gp == 1 else curve.negate(joint)
    if form == "taproot":
        tweak = int.from_bytes(tagged("TapTweak", curve.signed_form(joint)), "big")
        assert 0 < tweak < curve.n
        verifying = curve.add(verifying, multiply(curve, curve.g, tweak))
        gq = sign_of(verifying)
    q = curve.signed_form(verifying)
    r1 = total(curve, [multiply(curve, curve.g, r) for r in nonces])
    wide_r2, r2 = random(curve, case, "r2", form, blind, message.hex())
    wide_b, b = random(curve, case, "b", form, blind, message.hex())
    if not blind:
        r2 = b = 0
    r0 = total(curve, [r1, multiply(curve, curve.g, r2), multiply(curve, joint, b)])
    gr = sign_of(r0)
    e = curve.challenge(curve.signed_form(r0), q, message)
    c = (gr * gq * gp * e + b) % curve.n
    answers = [
        (r + c * lagrange(curve, members, i) * value(curve, polynomial, i)) % curve.n
        for i, r in zip(members, nonces)
    ]
    s1 = sum(answers) % curve.n
    s = (gr * (s1 + r2 + c * owner) + gq * e * tweak) % curve.n
    signature = curve.signed_form(r0) + curve.scalar(s)
    assert curve.verify(q, message, signature)
    return {
        "form": form,
        "blind": blind,
        "message": message.hex(),
        "r2": wide_r2.hex(),
        "b": wide_b.hex(),
        "joint": curve.encode(joint).hex(),
        "verifying_key": q.hex(),
        "session_nonce": curve.encode(r1).hex(),
        "challenge": curve.scalar(c).hex(),
        "answers": [curve.scalar(answer).hex() for answer in answers],
        "sum": curve.scalar(s1).hex(),
        "signature": signature.hex(),
    }


class Chain:
    """The nonces of a member."""

    def __init__(self, curve, name, seed):
        self.curve, self.name, self.seed, self.index = curve, name, seed, 0

    def take(self):
        parts = [self.seed, self.name, be(self.index)]
        nonce = Hn(self.curve, "paralith/cosigner/nonce/v1", parts)
        self.seed = hkdf(self.seed, framed("paralith/cosigner/nonce-next/v1", []), 32)
        self.index += 1
        return nonce


def digests(curve, chain, runtime, key, commitments, share):
    """Every hash that members and owners sign or bind, for one place."""
    auth = [b"statechain.sign", chain, runtime, key, be(7), b"the body"]
    inner = H("paralith/cosigner/commitments/v1", commitments)
    one = H("paralith/cosigner/commitments/v1", [share])
    info = lambda purpose, place, hashed, *more: H(
        "paralith/cosigner/share/v1", [chain, runtime, purpose, place, be(2), hashed, *more]
    ).hex()
    return {
        "auth": H("paralith/cosigner/auth/v1", auth).hex(),
        "commitments": inner.hex(),
        "deal_info": info(b"deal", be(9), inner),
        "update_info": info(b"update", key, inner, be(3)),
        "resend_info": info(b"resend", key, inner, be(3)),
        "release_info": info(b"release", key, one),
        "keygen": H("paralith/cosigner/keygen/v1", [b"first deal", b"", b"third"]).hex(),
        "erased": H("paralith/cosigner/erased/v1", [key, be(3)]).hex(),
        "order": H("paralith/cosigner/order/v1", [b"an order"]).hex(),
    }


def case(curve, name, n, t, qualified, members, updates):
    chain = hashlib.sha256(b"chain " + name.encode()).digest()
    runtime = hashlib.sha256(b"runtime " + name.encode()).digest()
    batch, key = 2**40 + n, t
    polynomial, deals = generate(curve, name, n, t, chain, runtime, batch, key, qualified)
    s0 = curve.encode(multiply(curve, curve.g, polynomial[0]))
    seeds = [hashlib.sha256(f"{name} seed {i}".encode()).digest() for i in members]
    chains = [Chain(curve, s0, seed) for seed in seeds]
    wide_owner, owner = random(curve, name, "owner", 0)
    first = key_of(curve, n, polynomial)
    epochs = []
    for number in range(updates + 1):
        entry = {"owner": wide_owner.hex(), "sessions": []}
        if number:
            wide_new, new = random(curve, name, "owner", number)
            drawn = [random(curve, name, "update", number, k) for k in range(1, t)]
            f = [(owner - new) % curve.n, *(scalar for _, scalar in drawn)]
            polynomial = [(a + b) % curve.n for a, b in zip(polynomial, f)]
            owner, entry["owner"] = new, wide_new.hex()
            entry["random"] = [wide.hex() for wide, _ in drawn]
            entry["commitments"] = [curve.encode(multiply(curve, curve.g, a)).hex() for a in f]
            entry["values"] = [curve.scalar(value(curve, f, i)).hex() for i in range(1, n + 1)]
        entry["key"] = key_of(curve, n, polynomial)
        for form in ["taproot", "plain"] if curve is Secp256k1 else ["plain"]:
            for blind in (True, False):
                message = hashlib.sha256(f"{name} {number} {form}".encode()).digest()
                message = message if blind else b"a message of any length, unblinded"
                nonces = [chain.take() for chain in chains]
                entry["sessions"].append(
                    sign(curve, name, polynomial, owner, members, nonces, form, blind, message)
                )
        epochs.append(entry)
    bitmap = sum(1 << (i - 1) for i in members)
    commitments = [bytes.fromhex(point) for point in deals[0]["commitments"]]
    share = bytes.fromhex(first["public_shares"][0])
    return {
        "curve": curve.name,
        "members": n,
        "threshold": t,
        "chain": chain.hex(),
        "runtime": runtime.hex(),
        "batch": batch,
        "key": key,
        "deals": deals,
        "set": bitmap,
        "nonce_seeds": [seed.hex() for seed in seeds],
        "last_seeds": [chain.seed.hex() for chain in chains],
        "epochs": epochs,
        "private_key": curve.scalar((polynomial[0] + owner) % curve.n).hex(),
        "digests": digests(curve, chain, runtime, s0, commitments, share),
    }


def main():
    cases = []
    for curve in (Secp256k1, Ed25519):
        cases += [
            case(curve, "two of three", 3, 2, [1, 2, 3], [1, 3], 2),
            case(curve, "three of five, two dealers away", 5, 3, [1, 3, 5], [2, 3, 5], 1),
            case(curve, "ten of fifteen", 15, 10, range(4, 15), range(5, 15), 1),
            case(curve, "one of one", 1, 1, [1], [1], 1),
        ]
    print(json.dumps(cases, indent=1))


main()
