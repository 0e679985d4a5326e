#!/usr/bin/env python3
"""Sends one encrypted `tokens` transfer to a Paralith node and decrypts its result.

Shares no code with Paralith: it finds the services by gRPC reflection and follows the recipe of
docs/sending-a-transaction.md, whose section numbers stand beside each step. It prints one JSON
object, and exits with 0 if the transfer succeeded, with 1 if anything was refused or did not verify.

It trusts the genesis document alone, which is the node's word unless `--chain` names its hash. From
there it verifies headers by their validators' signatures, values of consensus state by proof (proofs.py),
the key manager's signature on the epoch key, that the key is of the epoch and generation in proven state,
that a query was answered on a final state which is not older than the newest proven one, the round's
header by state proof, the transaction in the round by its path, and the output by its commitment.

    pip install -r docs/examples/requirements.txt
    python3 docs/examples/confidential_transfer.py --from alice --to bob --amount 1 --memo hi
"""

import argparse
import json
import os
import sys
import time
from typing import Any

import grpc
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

from framing import Refused, address_of, derived_key, domain_hash, signed_bytes
from proofs import LightClient, path_root

VERSION = 1
# A node's newest block is proven by the next one: what it tells may be so many blocks ahead.
BLOCKS_AHEAD = 5
TEST_ACCOUNTS = ("alice", "bob", "carol", "dave", "erin")


# --- 2. Accounts ---------------------------------------------------------------------------------


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return key.public_key().public_bytes(*raw)


def test_account(name: str) -> Ed25519PrivateKey:
    """The key of a test account: the same on every development chain, and known to everyone."""
    if name not in TEST_ACCOUNTS:
        raise Refused(f"{name} is no test account: choose one of {', '.join(TEST_ACCOUNTS)}")
    seed = domain_hash("paralith/test-account/v1", name.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


# --- 3. Services, found by reflection ------------------------------------------------------------

REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
PARATIME = "paralith.paratime.v1"
CONSENSUS = "paralith.consensus.v1.ConsensusService"
STATE = ("paralith.beacon.v1.EpochState", "paralith.roothash.v1.RuntimeState")
SERVICES = (
    CONSENSUS,
    "paralith.registry.v1.RegistryService",
    "paralith.keymanager.v1.KeyManagerService",
    PARATIME + ".ParaTimeService",
)


class Node:
    """A node's gRPC services. Version 1 of the reflection protocol has the messages of v1alpha."""

    def __init__(self, target: str, timeout: float, services: tuple[str, ...] = SERVICES + STATE):
        longest = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]
        self.channel = grpc.insecure_channel(target, options=longest)
        self.timeout = timeout
        self.pool = descriptor_pool.DescriptorPool()
        self.files: set[str] = set()
        for symbol in services:
            self._learn(file_containing_symbol=symbol)

    def _learn(self, **question: str) -> None:
        ask = self.channel.stream_stream(
            REFLECTION,
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        request = reflection_pb2.ServerReflectionRequest(**question)
        answer = next(ask(iter([request]), timeout=self.timeout))
        if answer.HasField("error_response"):
            raise Refused(f"reflection of {question}: {answer.error_response.error_message}")
        for encoded in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
            if file.name in self.files:
                continue
            self.files.add(file.name)
            for needed in file.dependency:
                if needed not in self.files:
                    self._learn(file_by_filename=needed)
            self.pool.Add(file)

    def next_block(self) -> None:
        """Waits for the next consensus block."""
        next(iter(self.call(CONSENSUS, "WatchBlocks")))

    def message(self, name: str, **fields: Any) -> Any:
        found = self.pool.FindMessageTypeByName(name)
        return message_factory.GetMessageClass(found)(**fields)

    def read(self, name: str, encoded: bytes) -> Any:
        try:
            message = self.message(name)
            message.ParseFromString(encoded)
            return message
        except DecodeError as error:
            raise Refused(f"the node's {name} cannot be read: {error}") from error

    def call(self, service: str, method: str, **fields: Any) -> Any:
        """Calls a method. Gives its answer, or an iterator over the answers of a stream."""
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(found.input_type)(**fields)
        answer_class = message_factory.GetMessageClass(found.output_type)
        kind = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        stub = kind(
            f"/{service}/{method}",
            request_serializer=encode,
            response_deserializer=answer_class.FromString,
        )
        return stub(request, timeout=self.timeout)


def encode(message: Any) -> bytes:
    """The one encoding: fields in the order of their numbers, nothing unknown, no defaults."""
    return message.SerializeToString(deterministic=True)


class Chain:
    """Consensus state, proven from the genesis document on."""

    def __init__(self, node: Node, chain_context: bytes | None = None, max_age: float = 0.0):
        self.node = node
        document = node.call(CONSENSUS, "GetGenesis").document
        self.light = LightClient(document, self._light_block)
        self.context = self.light.chain_context
        if chain_context is not None and self.context != chain_context:
            raise Refused(f"the node is of the chain {self.context.hex()}")
        self.light.reach(node.call(CONSENSUS, "GetLightBlock").height)
        age = time.time() - self.light.time[0]
        if max_age and age > max_age:
            raise Refused(f"the newest block that the node shows is {age:.0f} s old")

    def _light_block(self, height: int) -> bytes:
        return self.node.call(CONSENSUS, "GetLightBlock", height=height).light_block

    def value(self, key: bytes, height: int = 0) -> tuple[int, bytes | None]:
        """The newest state's height, and the encoded value of a key in it; None if it has none."""
        answer = self.node.call(CONSENSUS, "GetState", key=key, height=height)
        value = answer.value if answer.HasField("value") else None
        self.light.verify_state(answer.height, key, value, answer.proof)
        return answer.height, value

    def state(self, name: str, key: bytes, height: int = 0) -> tuple[int, Any]:
        """The same, read; of a value that must be there."""
        height, value = self.value(key, height)
        if value is None:
            raise Refused(f"consensus state has no {name}")
        return height, self.node.read(name, value)


# --- 4. What the client needs to know ------------------------------------------------------------


class ParaTime:
    """One confidential ParaTime: its chain, its id, its key of the running epoch."""

    def __init__(self, chain: Chain, name: str):
        runtime = self._registered(chain, name)
        if not runtime.confidential:
            raise Refused(f"{name} is public: it takes no encrypted calls")
        self.key_manager = runtime.key_manager
        self.epoch, self.key = self._epoch_key()

    def _registered(self, chain: Chain, name: str) -> Any:
        """Its proven descriptor."""
        self.node = chain.node
        self.chain = chain
        self.chain_context = chain.context
        runtimes = self.node.call("paralith.registry.v1.RegistryService", "ListRuntimes").runtimes
        named = [runtime.id for runtime in runtimes if runtime.name == name]
        if len(named) != 1:
            raise Refused(f"there is not exactly one ParaTime named {name}")
        self.id = named[0]
        key = b"registry/runtime/" + self.id
        _, runtime = chain.state("paralith.registry.v1.Runtime", key)
        if runtime.name != name:
            raise Refused(f"the node gives another ParaTime for {name}")
        self.min_gas_price = int.from_bytes(runtime.min_gas_price, "big")
        return runtime

    def _epoch_key(self) -> tuple[int, X25519PublicKey]:
        """The key of the proven epoch and generation; asked for again while they change."""
        for _ in range(BLOCKS_AHEAD):
            height, now = self.chain.state("paralith.beacon.v1.EpochState", b"beacon/epoch")
            key = b"keymanager/status/" + self.key_manager
            _, status = self.chain.state("paralith.keymanager.v1.Status", key, height)
            try:
                return self._key_of(now.epoch, status)
            except Refused as error:
                refusal = error
                self.node.next_block()
        raise refusal

    def _key_of(self, epoch: int, status: Any) -> tuple[int, X25519PublicKey]:
        """The key of this epoch and of no other epoch or generation."""
        if not status.HasField("signing_key"):
            raise Refused("the key managers have no secret yet: try again in the next epoch")
        service = "paralith.keymanager.v1.KeyManagerService"
        signed = self.node.call(service, "GetRuntimePublicKey", runtime_id=self.id, epoch=epoch)
        verify(
            status.signing_key,
            "paralith/keymanager/public-key/v1",
            self.chain_context,
            signed.public_key,
            signed.signature,
        )
        key = self.node.read("paralith.keymanager.v1.RuntimePublicKey", signed.public_key)
        if key.id != self.key_manager or key.runtime_id != self.id:
            raise Refused("the epoch key is another ParaTime's")
        check_key(key, epoch, status)
        return key.epoch, X25519PublicKey.from_public_bytes(key.key)

    # --- 5. The envelope ---

    def seal(
        self, purpose: str, sender: bytes, nonce: int, method: str, args: dict
    ) -> tuple[Any, bytes]:
        """Gives the envelope of a call, and the key that opens its reply."""
        reply_key = os.urandom(32)
        info = self.node.message(
            PARATIME + ".EnvelopeInfo",
            version=VERSION,
            chain_context=self.chain_context,
            runtime_id=self.id,
            epoch=self.epoch,
            sender=sender,
            nonce=nonce,
            purpose=purpose,
        )
        plaintext = self.node.message(PARATIME + ".EnvelopePlaintext", reply_key=reply_key)
        plaintext.call.SetInParent()
        plaintext.call.method = method
        plaintext.call.args = json.dumps(args).encode()
        suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
        sealed = suite.encrypt(encode(plaintext), self.key, encode(info))
        envelope = self.node.message(PARATIME + ".Envelope", epoch=self.epoch, sealed=sealed)
        return envelope, reply_key

    # --- 6. A query ---

    def query(self, method: str, args: dict) -> Any:
        """Asks without a signature: for what anybody may know."""
        envelope, reply_key = self.seal("query", b"", 0, method, args)
        query = self.node.message(
            PARATIME + ".Query",
            runtime_id=self.id,
            envelope=envelope,
            chain_context=self.chain_context,
        )
        raw = encode(query)
        least = self.stands_at().last_normal_round
        answer = self.node.call(PARATIME + ".ParaTimeService", "Query", query=raw)
        check_answer(answer, least, self.root_of(answer.round))
        subject = domain_hash("paralith/paratime/query-hash/v1", raw)
        return self.open_reply(reply_key, subject, answer.round, answer.state_root, answer.output)

    def stands_at(self) -> Any:
        key = b"roothash/state/" + self.id
        return self.chain.state("paralith.roothash.v1.RuntimeState", key)[1]

    def root_of(self, round_number: int) -> bytes | None:
        """The state root that a final round led to; None if the chain does not have the round yet."""
        for _ in range(BLOCKS_AHEAD):
            state = self.stands_at()
            if state.last_normal_round == round_number:
                return state.last_block.state_root
            if state.last_normal_round > round_number:
                key = self.header_key(round_number)
                return self.chain.state("paralith.roothash.v1.Header", key)[1].state_root
            # The block that made the round is proven by the next one.
            self.node.next_block()
        return None

    def header_key(self, round_number: int) -> bytes:
        return b"roothash/header/" + self.id + round_number.to_bytes(8, "big")

    # --- 7. A transaction ---

    def transaction(
        self, key: Ed25519PrivateKey, nonce: int, gas_limit: int, method: str, args: dict
    ) -> tuple[bytes, bytes]:
        sender = public_bytes(key)
        envelope, reply_key = self.seal("transaction", sender, nonce, method, args)
        return self.signed(key, nonce, gas_limit, envelope=envelope), reply_key

    def signed(self, key: Ed25519PrivateKey, nonce: int, gas_limit: int, **body: Any) -> bytes:
        """A transaction with this body: an envelope, or a call that everybody can read."""
        transaction = self.node.message(
            PARATIME + ".Transaction",
            version=VERSION,
            chain_context=self.chain_context,
            runtime_id=self.id,
            nonce=nonce,
            fee=amount(self.min_gas_price * gas_limit),
            gas_limit=gas_limit,
            **body,
        )
        raw = encode(transaction)
        domain = "paralith/paratime/transaction/v1"
        signed = self.node.message(
            PARATIME + ".SignedTransaction",
            transaction=raw,
            public_key=public_bytes(key),
            signature=key.sign(signed_bytes(domain, self.chain_context, raw)),
        )
        return encode(signed)

    def submit(self, raw: bytes) -> Any:
        """Hands the transaction in and waits until its round is final. Gives the receipt."""
        confirmation = self.node.pool.FindEnumTypeByName(PARATIME + ".Confirmation")
        final = confirmation.values_by_name["CONFIRMATION_FINAL"].number
        service = PARATIME + ".ParaTimeService"
        for receipt in self.node.call(service, "Submit", transaction=raw, wait_for=final):
            name = confirmation.values_by_number[receipt.confirmation].name
            print(name.removeprefix("CONFIRMATION_").lower(), file=sys.stderr)
            if receipt.confirmation == final:
                return receipt
        raise Refused("the node ended the stream before the transaction was final")

    # --- 8. The receipt ---

    def result(self, receipt: Any, raw: bytes, reply_key: bytes) -> Any:
        """Verifies a final receipt and opens the result."""
        tx_hash, output = self.verified(receipt, raw)
        header = receipt.header
        return self.open_reply(reply_key, tx_hash, header.round, header.proposal_id, output)

    def verified(self, receipt: Any, raw: bytes) -> tuple[bytes, bytes]:
        """Verifies a final receipt; gives the transaction's hash, and its output as the round has it."""
        tx_hash = domain_hash("paralith/paratime/transaction-hash/v1", raw)
        header, leaf, output = receipt.header, receipt.leaf, receipt.output
        if header.runtime_id != self.id:
            raise Refused("the header is another ParaTime's")
        self.prove_header(header)
        if leaf.tx_hash != tx_hash or output.tx_hash != tx_hash:
            raise Refused("the receipt is of another transaction")
        path = path_root(encode(leaf), receipt.leaf_index, receipt.leaf_count, receipt.leaf_path)
        if path != header.io_root:
            raise Refused("the transaction is not in the round's I/O tree")
        commitment = domain_hash("paralith/paratime/output/v1", output.blinding, output.output)
        if commitment != leaf.output_commitment:
            raise Refused("the output is not the one that the round committed to")
        return tx_hash, output.output

    def prove_header(self, header: Any) -> None:
        """A round is final if consensus state holds its header."""
        for _ in range(BLOCKS_AHEAD):
            _, value = self.chain.value(self.header_key(header.round))
            if value is not None:
                if value != encode(header):
                    raise Refused("the chain has another header for this round")
                return
            self.node.next_block()
        raise Refused("the chain does not have this round")

    def open_reply(
        self, reply_key: bytes, subject: bytes, round_number: int, place: bytes, encoded: bytes
    ) -> Any:
        """Decrypts a reply. In the clear comes nothing but a refusal, made before the envelope opened."""
        key = derived_key(
            reply_key,
            subject,
            "paralith/paratime/reply/v1",
            round_number.to_bytes(8, "big"),
            place,
        )
        output = self.node.read(PARATIME + ".Output", encoded)
        if output.WhichOneof("result") != "error":
            try:
                sealed = self.node.read(PARATIME + ".SealedReply", encoded).sealed
                opened = AESGCMSIV(key).decrypt(bytes(12), sealed, None)
            except (InvalidTag, ValueError) as error:
                raise Refused("the reply does not open") from error
            output = self.node.read(PARATIME + ".Output", opened)
        ok = value_of(output)
        return json.loads(ok) if ok else None


def value_of(output: Any) -> bytes:
    """What a call gave; raises what it refused."""
    if output.WhichOneof("result") == "error":
        refusal = output.error
        raise Refused(f"{refusal.module} {refusal.code}: {refusal.message}")
    if output.WhichOneof("result") != "ok":
        raise Refused("the reply holds no result")
    return output.ok


def check_key(key: Any, epoch: int, status: Any) -> None:
    """An old key may have leaked or be erased; one of another generation is no longer in use."""
    if key.epoch != epoch:
        raise Refused(f"the key is of epoch {key.epoch}, the chain's is {epoch}")
    if not status.HasField("checksum") or key.checksum != status.checksum:
        raise Refused("the key is of another generation than the chain's")


def check_answer(answer: Any, least: int, root: bytes | None) -> None:
    """An answer is of a final state, and not of an older one than was known when it was asked for."""
    if answer.round < least:
        raise Refused(f"the answer is of round {answer.round}, but round {least} is final already")
    if root is None or answer.state_root != root:
        raise Refused(f"the answer's state root is not the one of round {answer.round}")


def verify(
    public_key: bytes, domain: str, chain_context: bytes, message: bytes, signature: bytes
) -> None:
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, signed_bytes(domain, chain_context, message))
    except (InvalidSignature, ValueError) as error:
        raise Refused("the key manager's signature on the epoch key does not fit") from error


def amount(value: int) -> bytes:
    """Big-endian without leading zeros; zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


# --- The command line ----------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sends one encrypted transfer of `tokens`.")
    node = os.environ.get("PARALITH_NODE", "127.0.0.1:26600")
    parser.add_argument("--node", default=node, help="HOST:PORT of a node's public service")
    parser.add_argument(
        "--chain", type=bytes.fromhex, help="hash of the genesis document to expect"
    )
    parser.add_argument(
        "--max-age", type=float, default=600.0, help="of the newest block, in seconds"
    )
    parser.add_argument("--runtime", default="tokens", help="name of the ParaTime")
    parser.add_argument("--from", dest="sender", default="alice", help="a test account")
    parser.add_argument("--to", required=True, help="an address, or a test account")
    parser.add_argument("--amount", required=True, help="how much, in decimal")
    parser.add_argument("--memo", default="", help="a text that only the recipient can read")
    parser.add_argument("--gas", type=int, default=50_000_000, help="most gas it may use")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for each call")
    return parser.parse_args()


def run(options: argparse.Namespace) -> dict:
    key = test_account(options.sender)
    sender = address_of(public_bytes(key))
    to = options.to
    if to in TEST_ACCOUNTS:
        to = address_of(public_bytes(test_account(to)))

    node = Node(options.node.removeprefix("http://"), options.timeout)
    chain = Chain(node, options.chain, options.max_age)
    paratime = ParaTime(chain, options.runtime)
    nonce = paratime.query("sdk.nonce", {"address": sender})["nonce"]
    args = {"to": to, "amount": options.amount, "memo": options.memo}
    raw, reply_key = paratime.transaction(key, nonce, options.gas, "transfer", args)
    receipt = paratime.submit(raw)
    result = paratime.result(receipt, raw, reply_key)
    return {
        "tx": domain_hash("paralith/paratime/transaction-hash/v1", raw).hex(),
        "confirmation": "final",
        "proven_height": chain.light.height,
        "round": receipt.header.round,
        "epoch": paratime.epoch,
        "nonce": nonce,
        "gas_used": receipt.leaf.gas_used,
        "state_root": receipt.header.state_root.hex(),
        "io_root": receipt.header.io_root.hex(),
        "result": result,
    }


def main() -> int:
    try:
        print(json.dumps(run(arguments())))
        return 0
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
    except grpc.RpcError as error:
        code = dict(error.trailing_metadata() or ())
        module = code.get("paralith-module", "grpc"), code.get("paralith-code", error.code().name)
        print(f"error: {' '.join(module)}: {error.details()}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
