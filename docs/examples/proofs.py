"""Verifies what a Paralith node says: paths, state proofs, headers and their commits.

Written from docs/protocol/proofs.md, whose section numbers stand beside each part, and from nothing
else; docs/protocol/proofs.json holds vectors for all of it. Every function either returns what is
proven or raises `Refused`.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from framing import Refused, address_bytes, address_of, domain_hash

Validator = tuple[bytes, int]  # Ed25519 key and voting power


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Refused(otherwise)


# --- 1. Paths ------------------------------------------------------------------------------------


def list_root(leaves: Sequence[bytes]) -> bytes:
    """The root over a list, by RFC 6962. The empty list has CometBFT's root, which headers use."""
    if len(leaves) == 0:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\0", leaves[0])
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", list_root(leaves[:left]), list_root(leaves[left:]))


def path_root(leaf: bytes, index: int, total: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to; None if the path has a wrong length."""
    if not 0 <= index < total or len(path) > 64:
        return None
    node, at, last = sha256(b"\0", leaf), index, total - 1
    for sibling in path:
        if last == 0 or len(sibling) != 32:
            return None
        if at % 2 == 1 or at == last:
            node = sha256(b"\1", sibling, node)
            while at % 2 == 0 and at != 0:
                at, last = at // 2, last // 2
        else:
            node = sha256(b"\1", node, sibling)
        at, last = at // 2, last // 2
    return node if last == 0 else None


# --- 2. State proofs -----------------------------------------------------------------------------

EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
KEY_DOMAIN = b"paralith/state-key/1\0"


def verify_state(root: bytes, key: bytes, value: bytes | None, proof: bytes) -> None:
    """Holds if under the root the key has this value, or (with None) no value."""
    try:
        start, siblings = read_state_proof(sha256(KEY_DOMAIN, key), value, proof)
    except (IndexError, ValueError) as error:
        raise Refused("not a state proof") from error
    place, node = int.from_bytes(sha256(KEY_DOMAIN, key), "big"), start
    for depth in range(len(siblings) - 1, -1, -1):
        pair = [node, siblings[depth]]
        if place >> 255 - depth & 1:
            pair.reverse()
        node = sha256(b"JMT::IntrnalNode", *pair)
    require(node == root, "the state proof leads to another root")


def read_state_proof(place: bytes, value: bytes | None, proof: bytes) -> tuple[bytes, list[bytes]]:
    """The hash at the end of the key's way, and the hashes beside the way, from the root down."""
    kind, rest = proof[0], proof[1:]
    other, rest = (rest[:64], rest[64:]) if kind == 2 else (b"", rest)
    require(len(rest) >= 2, "not a state proof")
    levels, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    bitmap, rest = rest[: (levels + 7) // 8], rest[(levels + 7) // 8 :]
    bits = "".join(f"{byte:08b}" for byte in bitmap)
    require(levels <= 256 and len(bits) >= levels, "not a state proof")
    require("1" not in bits[levels:], "not a state proof")
    require(len(rest) == 32 * bits.count("1"), "not a state proof")
    given = [rest[at : at + 32] for at in range(0, len(rest), 32)]
    require(EMPTY not in given, "not a state proof")
    siblings = [given.pop(0) if bit == "1" else EMPTY for bit in bits[:levels]]
    if kind == 1 and value is not None:
        return sha256(b"JMT::LeafNode", place, sha256(value)), siblings
    if kind == 0 and value is None:
        return EMPTY, siblings
    # Another key's leaf, where the key would be: their first bits are the same.
    require(kind == 2 and value is None and len(other) == 64, "the proof is about another claim")
    differing = (int.from_bytes(place, "big") ^ int.from_bytes(other[:32], "big")).bit_length()
    require(0 < differing <= 256 - levels, "the proof is about another claim")
    return sha256(b"JMT::LeafNode", other), siblings


# --- 3. Headers ----------------------------------------------------------------------------------


class Message:
    """A protobuf message, read without its schema: the values of each field, in their order."""

    def __init__(self, encoded: bytes):
        self.fields: dict[int, list[int | bytes]] = {}
        rest = encoded
        while rest:
            tag, rest = read_varint(rest)
            value: int | bytes
            match tag & 7:
                case 0:
                    value, rest = read_varint(rest)
                case 2:
                    length, rest = read_varint(rest)
                    require(length <= len(rest), "a message is cut short")
                    value, rest = rest[:length], rest[length:]
                case _:
                    raise Refused("a message has a field of an unknown kind")
            self.fields.setdefault(tag >> 3, []).append(value)

    def all(self, number: int) -> list[bytes]:
        values = self.fields.get(number, [])
        require(all(isinstance(value, bytes) for value in values), "a field has another kind")
        return values  # type: ignore[return-value]

    def data(self, number: int) -> bytes:
        values = self.all(number)
        require(len(values) <= 1, "a field comes twice")
        return values[0] if values else b""

    def number(self, number: int) -> int:
        values = self.fields.get(number, [0])
        require(len(values) == 1 and isinstance(values[0], int), "a field is no number")
        return values[0]  # type: ignore[return-value]


def read_varint(data: bytes) -> tuple[int, bytes]:
    value = 0
    for at, byte in enumerate(data[:10]):
        value |= (byte & 127) << 7 * at
        if byte < 128:
            return value, data[at + 1 :]
    raise Refused("a message is cut short")


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: bytes) -> bytes:
    """A field of bytes, as protobuf writes it."""
    return bytes([number << 3 | 2]) + varint(len(value)) + value


@dataclass
class Header:
    """A header and what proves it; true only once a `LightClient` has taken it."""

    header: Message
    commit: Message
    validators: list[Validator]
    next_validators: list[Validator]

    @classmethod
    def read(cls, light_block: bytes) -> "Header":
        block = Message(light_block)
        signed = Message(block.data(1))
        header, commit = Message(signed.data(1)), Message(signed.data(2))
        return cls(header, commit, read_set(block.data(2)), read_set(block.data(3)))

    @property
    def chain_id(self) -> str:
        return self.header.data(2).decode(errors="replace")

    @property
    def height(self) -> int:
        return self.header.number(3)

    @property
    def time(self) -> tuple[int, int]:
        time = Message(self.header.data(4))
        return time.number(1), time.number(2)

    @property
    def app_hash(self) -> bytes:
        return self.header.data(11)

    @cached_property
    def hash(self) -> bytes:
        """RFC 6962 over the fourteen fields: messages bare, all others as field 1 of a message."""
        leaves = []
        for number in range(1, 15):
            if number in (1, 4, 5):
                leaves.append(self.header.data(number) or (b"\x12\x00" if number == 5 else b""))
            elif number == 3:
                leaves.append(b"\x08" + varint(self.height))
            else:
                value = self.header.data(number)
                leaves.append(field(1, value) if value else b"")
        return list_root(leaves)

    def signers(self) -> set[bytes]:
        """The keys whose signatures in the commit are for this header. One false one refuses all."""
        block_id = self.commit.data(3)
        require(self.commit.number(1) == self.height, "the commit is of another height")
        require(Message(block_id).data(1) == self.hash, "the commit is to another header")
        signatures = [Message(signature) for signature in self.commit.all(4)]
        require(len(signatures) == len(self.validators), "the commit has too few signatures")
        signers = set()
        for (key, _), signature in zip(self.validators, signatures):
            if signature.number(1) != COMMIT:
                continue  # absent, or a vote for no block
            require(signature.data(2) == sha256(key)[:20], "a signature is in another's place")
            vote = b"\x08\x02\x11" + self.height.to_bytes(8, "little")
            if round_number := self.commit.number(2):
                vote += b"\x19" + round_number.to_bytes(8, "little")
            vote += field(4, block_id) + field(5, signature.data(3))
            vote += field(6, self.chain_id.encode())
            try:
                signed = varint(len(vote)) + vote
                Ed25519PublicKey.from_public_bytes(key).verify(signature.data(4), signed)
            except (InvalidSignature, ValueError) as error:
                raise Refused("a signature of the commit is false") from error
            signers.add(key)
        return signers


COMMIT = 2  # the flag of a signature for the commit's block


def read_set(encoded: bytes) -> list[Validator]:
    """Keys and powers of a set, in the order in which it is written."""
    validators = []
    for one in map(Message, Message(encoded).all(1)):
        validators.append((Message(one.data(2)).data(1), one.number(3)))
    keys = {key for key, _ in validators}
    require(len(keys) == len(validators), "a validator comes twice")
    require(all(power > 0 for _, power in validators), "a validator has no power")
    return validators


def set_hash(validators: Sequence[Validator]) -> bytes:
    """RFC 6962 over key and power of each, in their order."""
    return list_root(
        [field(1, field(1, key)) + b"\x10" + varint(power) for key, power in validators]
    )


def more_than_two_thirds(validators: Sequence[Validator], signers: set[bytes]) -> bool:
    signed = sum(power for key, power in validators if key in signers)
    return signed * 3 > sum(power for _, power in validators) * 2


# --- 4. The first validators ---------------------------------------------------------------------

ROLE_VALIDATOR = 8


def first_validators(document: dict) -> list[Validator]:
    """Who signs the first block, by the genesis document, in CometBFT's order."""
    genesis = document["genesis"]
    params = genesis["params"]["scheduler"]
    stakes: dict[str, int] = {}
    for escrow in genesis["escrows"]:
        stakes[escrow["escrow"]] = stakes.get(escrow["escrow"], 0) + int(escrow["amount"])
    seed = bytes.fromhex(genesis["params"]["beacon"]["insecure_seed"])
    entropy = domain_hash("paralith/beacon/insecure/v1", seed, bytes(8))

    def lot(data: bytes) -> bytes:
        return domain_hash("paralith/scheduler/validator/v1", entropy, data)

    nodes_of: dict[bytes, list[dict]] = {}
    for node in (entry["node"] for entry in genesis["nodes"]):
        if node["roles"] & ROLE_VALIDATOR:
            nodes_of.setdefault(bytes.fromhex(node["entity_id"]), []).append(node)

    def stake(entity: bytes) -> int:
        return stakes.get(address_of(entity), 0)

    ranked = sorted(nodes_of, key=lambda entity: (-stake(entity), lot(address_bytes(entity))))
    elected = []
    for entity in ranked:
        nodes = sorted(nodes_of[entity], key=lambda node: lot(bytes.fromhex(node["id"])))
        keys = [bytes.fromhex(node["consensus_key"]) for node in nodes]
        elected += [
            (key, stake(entity) // 16) for key in keys[: params["max_validators_per_entity"]]
        ]
    elected = elected[: params["max_validators"]]
    halvings = 0
    while sum(max(1, power >> halvings) for _, power in elected) > (2**63 - 1) // 8:
        halvings += 1
    validators = [(key, max(1, power >> halvings)) for key, power in elected]
    return sorted(validators, key=lambda one: (-one[1], sha256(one[0])[:20]))


# --- 5. Following --------------------------------------------------------------------------------


class LightClient:
    """Follows the chain from its genesis document. `fetch` gives the light block of a height."""

    def __init__(self, document: bytes, fetch: Callable[[int], bytes]):
        self.chain_context = domain_hash("paralith/genesis/v1", document)
        content = json.loads(document)
        self.chain_id = f"{content['chain_name']}-{self.chain_context.hex()[:40]}"
        self.fetch = fetch
        self.height = max(1, content["genesis"]["initial_height"]) - 1
        self.time = (0, 0)
        self.next_validators = first_validators(content)
        self.max_step = longest_step(content["genesis"]["params"])
        self.roots: dict[int, bytes] = {}

    def update(self, block: Header) -> bool:
        """Trusts a later header. False: too few of the trusted validators signed this far step."""
        require(block.chain_id == self.chain_id, "the header is of another chain")
        require(block.height > self.height, "the header is not later than the trusted one")
        require(block.time > self.time, "the header's time lies before the trusted one's")
        for number, validators in ((8, block.validators), (9, block.next_validators)):
            named = block.header.data(number)
            require(set_hash(validators) == named, "the header names other validators")
        signers = block.signers()
        require(more_than_two_thirds(block.validators, signers), "too few have signed the header")
        if block.height == self.height + 1:
            same = set_hash(self.next_validators) == block.header.data(8)
            require(same, "others signed than the trusted header names as next")
        elif not more_than_two_thirds(self.next_validators, signers):
            return False
        self.height, self.time = block.height, block.time
        self.next_validators = block.next_validators
        self.roots[block.height - 1] = block.app_hash
        return True

    def reach(self, target: int) -> None:
        """Verifies headers up to this height, in steps that the trusted validators vouch for."""
        while self.height < target:
            step = min(target, self.height + self.max_step)
            while not self.update(self._header(step)):
                step = (self.height + step) // 2

    def verify_state(self, height: int, key: bytes, value: bytes | None, proof: bytes) -> None:
        """A value, or its absence, in the state after block `height`: the next header has its root."""
        self.reach(height + 1)
        require(height in self.roots, f"the header after state {height} was stepped over")
        verify_state(self.roots[height], key, value, proof)

    def _header(self, height: int) -> Header:
        block = Header.read(self.fetch(height))
        require(block.height == height, "the node gives the header of another height")
        return block


def longest_step(params: dict) -> int:
    """At most 1000 blocks, and half the time in which validators that left can be punished."""
    beacon = params["beacon"]
    shortest = beacon["epoch_blocks"]
    if beacon["first_epochs"]:
        shortest = min(shortest, beacon["first_epoch_blocks"])
    return max(1, min(1000, params["staking"]["debonding_epochs"] * shortest // 2))
