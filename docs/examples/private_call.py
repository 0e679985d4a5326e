#!/usr/bin/env python3
"""Sends one call to a private contract, and opens and verifies its result.

Shares no code with Paralith: it follows docs/private-contracts.md and the pages that it names. The call is sealed for
the contract's members, who alone can read it: by docs/protocol/wraps.md (wraps.py). Everything that the mediator has
is proven, from the genesis document on, as in confidential_transfer.py; the result is verified against the mediator's
proven results root. It prints one JSON object, and exits with 0 if the call was executed, with 1 if anything was
refused or did not verify.

    pip install -r docs/examples/requirements.txt
    python3 docs/examples/private_call.py CONTRACT transfer '{"to": "…", "amount": "5"}' \\
        --certificate alice.certificate --member 127.0.0.1:27000 --from alice
"""

import argparse
import json
import os
import sys
from typing import Any

import grpc
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from confidential_transfer import (
    PARATIME,
    SERVICES,
    STATE,
    Chain,
    Node,
    ParaTime,
    address_of,
    encode,
    public_bytes,
    test_account,
    value_of,
)
from framing import Refused, derived_key, domain_hash, signed_bytes
from proofs import Message, field, path_root, require, varint, verify_state
from wraps import NONCE, SYSTEM, X25519, key_commitment, seal_content, wrap

RPC = "paralith.contract.rpc.v1"
# Blocks for which what this client signs is valid.
UPLOAD_BLOCKS, REQUEST_BLOCKS = 500, 50
STATUS = {3: "yes", 4: "failed", 5: "malformed", 6: "expired", 7: "no"}
EXECUTED = (3, 4)


def canonical(*fields: int | bytes | list[bytes]) -> bytes:
    """A message with the fields 1, 2, …: defaults are not written."""
    out = b""
    for number, value in enumerate(fields, 1):
        if isinstance(value, int):
            out += bytes([number << 3]) + varint(value) if value else b""
        elif isinstance(value, bytes):
            out += field(number, value) if value else b""
        else:
            out += b"".join(field(number, one) for one in value)
    return out


def eight(number: int) -> bytes:
    return number.to_bytes(8, "big")


class Mediator(ParaTime):
    """The public ParaTime that orders the calls of private contracts."""

    def __init__(self, chain: Chain, name: str):
        require(not self._registered(chain, name).confidential, f"{name} is no mediator")

    def records(self, *keys: bytes) -> list[Message | None]:
        """Records of the newest state, proven."""
        self.node.next_block()
        least = self.stands_at().last_normal_round
        service = PARATIME + ".ParaTimeService"
        answer = self.node.call(service, "ProveState", runtime_id=self.id, newest=True, keys=keys)
        header = answer.header
        require(header.runtime_id == self.id, "the proof is of another ParaTime")
        require(header.round >= least, "the proof is of an older state than the newest final one")
        self.prove_header(header)
        found: list[Message | None] = []
        for key, entry in zip(keys, answer.entries, strict=True):
            value = entry.value if entry.HasField("value") else None
            verify_state(header.state_root, key, value, entry.proof)
            found.append(None if value is None else Message(value))
        return found

    def record(self, what: str, key: bytes) -> Message:
        (found,) = self.records(key)
        require(found is not None, f"the mediator has no such {what}")
        return found

    def nonce(self, sender: str) -> int:
        call = self.node.message(PARATIME + ".Call", method="sdk.nonce")
        call.args = json.dumps({"address": sender}).encode()
        query = self.node.message(
            PARATIME + ".Query", runtime_id=self.id, call=call, chain_context=self.chain_context
        )
        answer = self.node.call(PARATIME + ".ParaTimeService", "Query", query=encode(query))
        return json.loads(value_of(self.node.read(PARATIME + ".Output", answer.output)))["nonce"]

    def call_as(self, key: Ed25519PrivateKey, gas: int, method: str, args: bytes) -> bytes:
        """A call that everybody can read; its final and verified output."""
        nonce = self.nonce(address_of(public_bytes(key)))
        call = self.node.message(PARATIME + ".Call", method=method, args=args)
        raw = self.signed(key, nonce, gas, call=call)
        _, output = self.verified(self.submit(raw), raw)
        return value_of(self.node.read(PARATIME + ".Output", output))


class PrivateCall:
    """A call of one sender to one contract, sealed for the members of its newest key set."""

    def __init__(self, mediator: Mediator, contract: bytes, key: Ed25519PrivateKey):
        self.mediator, self.contract, self.key = mediator, contract, key
        self.sender = public_bytes(key)
        record, known = mediator.records(b"c" + contract, b"s" + contract + self.sender)
        require(record is not None, "the mediator has no such contract")
        self.keys_version = record.number(5)
        self.sender_seq = known.number(1) if known else 0
        self.version = record.number(3)
        keys = mediator.record("key set", b"y" + contract + eight(self.keys_version))
        self.keys = [(key.number(1), key.data(2)) for key in map(Message, keys.all(2))]
        self.gone = keys.data(3)
        self.receipts: list[tuple[int, bytes]] = []

    def place(self) -> tuple[bytes, bytes, bytes]:
        return self.mediator.chain_context, self.mediator.id, self.contract

    def seal(self, method: str, args: bytes) -> None:
        """32 random bytes; everything else follows from them, and each member can compute it again."""
        self.sk = os.urandom(32)
        info = canonical(1, *self.place(), self.sender, self.sender_seq)
        call = canonical(method.encode(), args)
        self.content, self.hash = seal_content(self.sk, info, canonical(call))
        self.commitment = key_commitment(self.sk, b"")
        self.wraps = [self._wrap(index, *key) for index, key in enumerate(self.keys)]

    def _wrap(self, index: int, kem: int, key: bytes) -> bytes:
        if index // 8 < len(self.gone) and self.gone[index // 8] >> index % 8 & 1:
            return b""
        require(kem == X25519, "a member has a key of a kind that this client does not know")
        info = canonical(
            1,
            b"content",
            *self.place(),
            self.keys_version,
            index,
            self.hash,
            self.commitment,
            self.sender,
            self.sender_seq,
        )
        return wrap(self.sk, b"", kem, key, info)

    def store(self, member: Node, certificate: bytes) -> None:
        """Has a member keep the content, and verifies its receipt."""
        chain = self.mediator.chain_context
        expires = self.mediator.chain.light.height + UPLOAD_BLOCKS
        upload = canonical(self.contract, self.hash, len(self.content), expires, certificate)
        signature = self.key.sign(signed_bytes(SYSTEM + "upload/v1", chain, upload))
        stored = member.call(
            RPC + ".StakeholderService",
            "StoreContent",
            ticket=upload + signature,
            sender_seq=self.sender_seq,
            content=self.content,
        )
        definition = self.mediator.record(
            "definition", b"v" + self.contract + eight(self.version)
        )
        members = Message(definition.data(1)).all(4)
        require(stored.index < len(members), "the receipt is of nobody's")
        said = canonical(self.contract, self.hash, self.sender, self.sender_seq, stored.until)
        try:
            key = Ed25519PublicKey.from_public_bytes(members[stored.index])
            key.verify(stored.signature, signed_bytes(SYSTEM + "stored/v1", chain, said))
        except InvalidSignature as error:
            raise Refused("the member's receipt does not verify") from error
        receipt = canonical(stored.index, stored.until, stored.signature)
        self.receipts.append((stored.index, receipt))

    def submit(self, certificate: bytes, gas: int) -> int:
        """The call's number in the contract."""
        submit = canonical(
            self.contract,
            self.keys_version,
            certificate,
            self.hash,
            len(self.content),
            self.commitment,
            self.sender_seq,
            self.wraps,
            [receipt for _, receipt in sorted(self.receipts)],
        )
        return int.from_bytes(self.mediator.call_as(self.key, gas, "submit", submit), "big")

    def end(self, seq: int) -> tuple[int, int]:
        """The status and the batch in which the call ended."""
        while True:
            record = self.mediator.record("call", b"t" + self.contract + eight(seq))
            require(record.data(5) == self.hash, "the number is another call's")
            if record.number(11) in STATUS:
                return record.number(11), record.number(15)

    def _when_executed(self, member: Node, **request: bytes) -> Any:
        """A member that was not part of the deciding quorum executes the batch a little later."""
        while True:
            try:
                return member.call(RPC + ".StakeholderService", "GetResult", **request)
            except grpc.RpcError as error:
                refusal = dict(error.trailing_metadata() or ())
                name = refusal.get("paralith-module"), refusal.get("paralith-code")
                if name != ("stakeholder", "4"):
                    raise
                self.mediator.node.next_block()

    def result(self, member: Node, account: bytes, seq: int, batch: int) -> Any:
        """Opens the result, and verifies that the members decided exactly this one."""
        request = canonical(
            account, self.mediator.chain.light.height + REQUEST_BLOCKS, self.contract
        )
        request += b"\x38" + varint(seq)  # field 7, get_result
        domain = SYSTEM + "request/v1"
        signature = self.key.sign(signed_bytes(domain, self.mediator.chain_context, request))
        answer = self._when_executed(
            member, request=request, signer=self.sender, signature=signature
        )
        reply_key = derived_key(self.sk, b"", SYSTEM + "reply/v1")
        place = self.contract + eight(seq)
        try:
            output = AESGCMSIV(reply_key).decrypt(NONCE, answer.sealed_output, place)
        except (InvalidTag, ValueError) as error:
            raise Refused("the result does not open") from error
        blinding = derived_key(self.sk, b"", SYSTEM + "blinding/v1", eight(seq))
        committed = domain_hash("paralith/paratime/output/v1", blinding, output)
        number, cls = eight(seq), eight(getattr(answer, "class"))
        leaf = domain_hash(SYSTEM + "result/v1", number, cls, committed)
        done = self.mediator.record("batch", b"o" + self.contract + eight(batch))
        first, last = done.number(3), done.number(4)
        at = (answer.leaf_index, answer.leaf_count)
        require(at == (seq - first, last - first + 1), "the path is another call's")
        root = path_root(leaf, answer.leaf_index, answer.leaf_count, answer.leaf_path)
        require(root == done.data(2), "the members decided another result")
        return value_of(self.mediator.node.read(PARATIME + ".Output", output))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sends one call to a private contract.")
    node = os.environ.get("PARALITH_NODE", "127.0.0.1:26600")
    parser.add_argument("contract", type=bytes.fromhex)
    parser.add_argument("method")
    parser.add_argument("args", help="the call's arguments, JSON")
    parser.add_argument("--certificate", required=True, help="from `paralith contract certify`")
    parser.add_argument(
        "--member", required=True, action="append", help="HOST:PORT of a member's node; the first gives the result"
    )
    parser.add_argument("--node", default=node, help="HOST:PORT of a node of the chain")
    parser.add_argument(
        "--chain", type=bytes.fromhex, help="hash of the genesis document to expect"
    )
    parser.add_argument("--max-age", type=float, default=600.0, help="of the newest block, seconds")
    parser.add_argument("--mediator", default="mediator", help="name of the mediator")
    parser.add_argument("--from", dest="sender", default="alice", help="a test account")
    parser.add_argument("--gas", type=int, default=50_000_000, help="most gas for the mediator")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for each request")
    return parser.parse_args()


def run(options: argparse.Namespace) -> dict:
    key = test_account(options.sender)
    with open(options.certificate, encoding="utf-8") as file:
        certificate = bytes.fromhex(file.read().strip())
    node = Node(options.node.removeprefix("http://"), options.timeout, SERVICES + STATE)
    chain = Chain(node, options.chain, options.max_age)
    call = PrivateCall(Mediator(chain, options.mediator), options.contract, key)
    call.seal(options.method, options.args.encode())
    service = (RPC + ".StakeholderService",)
    addresses = [member.removeprefix("http://") for member in options.member]
    members = [Node(address, options.timeout, service) for address in addresses]
    for member in members:
        call.store(member, certificate)
    seq = call.submit(certificate, options.gas)
    status, batch = call.end(seq)
    shown = {"seq": seq, "status": STATUS[status], "batch": batch, "proven_height": chain.light.height}
    if status in EXECUTED:
        account = members[0].call(RPC + ".StakeholderService", "Status").account
        output = call.result(members[0], account, seq, batch)
        shown["result"] = json.loads(output) if output else None
    return shown


def main() -> int:
    try:
        shown = run(arguments())
        print(json.dumps(shown))
        return 0 if shown["status"] == "yes" else 1
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
    except grpc.RpcError as error:
        code = dict(error.trailing_metadata() or ())
        module = code.get("paralith-module", "grpc"), code.get("paralith-code", error.code().name)
        print(f"error: {' '.join(module)}: {error.details()}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
