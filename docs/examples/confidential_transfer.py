#!/usr/bin/env python3
"""Sends one encrypted `tokens` transfer to a Paralith node and decrypts its result.

Shares no code with Paralith: it finds the services by gRPC reflection and follows the recipe of
docs/sending-a-transaction.md, whose section numbers stand beside each step. It prints one JSON
object, and exits with 0 if the transfer succeeded, with 1 if anything was refused or did not verify.

It verifies the key manager's signature on the epoch key, that the key is of the epoch and generation in
consensus state, that a query was answered on a final state which is not older than the one known, the
Merkle path of the transaction and the commitment to its output. It verifies no proofs of consensus
state: the chain context and every value of state are the node's word. `paralith runtime call` proves
those too (docs/protocol/light-client.md).

    pip install -r docs/examples/requirements.txt
    python3 docs/examples/confidential_transfer.py --from alice --to bob --amount 1 --memo hi
"""

import argparse
import hashlib
import json
import os
import sys

import grpc
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

VERSION = 1
ROOT_TRIES = 5
TEST_ACCOUNTS = ("alice", "bob", "carol", "dave", "erin")


class Refused(Exception):
    """The node refused, or something that it said does not verify."""


# --- 1. Framing: hashes, signatures, derived keys ------------------------------------------------


def framed(domain, parts):
    """One byte of length and the domain; then eight bytes of length and the bytes of each part."""
    domain = domain.encode()
    out = bytes([len(domain)]) + domain
    for part in parts:
        out += len(part).to_bytes(8, "big") + part
    return out


def domain_hash(domain, *parts):
    return hashlib.sha256(framed(domain, parts)).digest()


def signed_bytes(domain, chain_context, message):
    """What Ed25519 signs. The message has no length before it: it comes last."""
    domain = domain.encode()
    return bytes([len(domain)]) + domain + chain_context + message


def derived_key(secret, salt, domain, *parts):
    return HKDF(hashes.SHA256(), 32, salt, framed(domain, parts)).derive(secret)


# --- 2. Accounts ---------------------------------------------------------------------------------


def public_bytes(key):
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return key.public_key().public_bytes(*raw)


def test_account(name):
    """The key of a test account: the same on every development chain, and known to everyone."""
    if name not in TEST_ACCOUNTS:
        raise Refused(f"{name} is no test account: choose one of {', '.join(TEST_ACCOUNTS)}")
    seed = domain_hash("paralith/test-account/v1", name.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def address_of(public_key):
    """A version byte, 0, and the first 20 bytes of a hash of the key, in Bech32 (BIP 173)."""
    digest = domain_hash("paralith/address/key/v0", public_key)
    return bech32("paralith", b"\0" + digest[:20])


def bech32(prefix, data):
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


# --- 3. Services, found by reflection ------------------------------------------------------------

REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
PARATIME = "paralith.paratime.v1"
STATE = ("paralith.beacon.v1.EpochState", "paralith.roothash.v1.RuntimeState")
SERVICES = (
    "paralith.consensus.v1.ConsensusService",
    "paralith.registry.v1.RegistryService",
    "paralith.keymanager.v1.KeyManagerService",
    PARATIME + ".ParaTimeService",
)


class Node:
    """A node's gRPC services. Version 1 of the reflection protocol has the messages of v1alpha."""

    def __init__(self, target, timeout):
        longest = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]
        self.channel = grpc.insecure_channel(target, options=longest)
        self.timeout = timeout
        self.pool = descriptor_pool.DescriptorPool()
        self.files = set()
        for symbol in SERVICES + STATE:
            self._learn(file_containing_symbol=symbol)

    def _learn(self, **question):
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

    def next_block(self):
        """Waits for the next consensus block."""
        next(iter(self.call("paralith.consensus.v1.ConsensusService", "WatchBlocks")))

    def message(self, name, **fields):
        found = self.pool.FindMessageTypeByName(name)
        return message_factory.GetMessageClass(found)(**fields)

    def read(self, name, encoded):
        try:
            message = self.message(name)
            message.ParseFromString(encoded)
            return message
        except DecodeError as error:
            raise Refused(f"the node's {name} cannot be read: {error}") from error

    def state(self, name, key):
        """A value of consensus state, as the node gives it; its proof is not verified here."""
        answer = self.call("paralith.consensus.v1.ConsensusService", "GetState", key=key)
        if not answer.HasField("value"):
            raise Refused(f"consensus state has no {name}")
        return self.read(name, answer.value)

    def call(self, service, method, **fields):
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


def encode(message):
    """The one encoding: fields in the order of their numbers, nothing unknown, no defaults."""
    return message.SerializeToString(deterministic=True)


# --- 4. What the client needs to know ------------------------------------------------------------


class ParaTime:
    """One confidential ParaTime: its chain, its id, its key of the running epoch."""

    def __init__(self, node, name):
        self.node = node
        chain = node.call("paralith.consensus.v1.ConsensusService", "GetChain")
        self.chain_context = chain.chain_context
        genesis = node.call("paralith.consensus.v1.ConsensusService", "GetGenesis")
        if domain_hash("paralith/genesis/v1", genesis.document) != self.chain_context:
            raise Refused("the chain context is not the hash of the genesis document")
        runtimes = node.call("paralith.registry.v1.RegistryService", "ListRuntimes").runtimes
        named = [runtime for runtime in runtimes if runtime.name == name]
        if len(named) != 1:
            raise Refused(f"there is not exactly one ParaTime named {name}")
        if not named[0].confidential:
            raise Refused(f"{name} is public: it takes no encrypted calls")
        self.id = named[0].id
        self.key_manager = named[0].key_manager
        self.epoch, self.key = self._epoch_key()

    def _epoch_key(self):
        """The key of the epoch in consensus state, and of no other epoch or generation."""
        service = "paralith.keymanager.v1.KeyManagerService"
        now = self.node.state("paralith.beacon.v1.EpochState", b"beacon/epoch").epoch
        status = self.node.state(
            "paralith.keymanager.v1.Status", b"keymanager/status/" + self.key_manager
        )
        if not status.HasField("signing_key"):
            raise Refused("the key managers have no secret yet: try again in the next epoch")
        signed = self.node.call(service, "GetRuntimePublicKey", runtime_id=self.id, epoch=now)
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
        check_key(key, now, status)
        return key.epoch, X25519PublicKey.from_public_bytes(key.key)

    # --- 5. The envelope ---

    def seal(self, purpose, sender, nonce, method, args):
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

    def query(self, method, args):
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

    def stands_at(self):
        return self.node.state("paralith.roothash.v1.RuntimeState", b"roothash/state/" + self.id)

    def root_of(self, round_number):
        """The state root that a final round led to; None if the chain does not have the round yet."""
        for _ in range(ROOT_TRIES):
            state = self.stands_at()
            if state.last_normal_round == round_number:
                return state.last_block.state_root
            if state.last_normal_round > round_number:
                key = b"roothash/header/" + self.id + round_number.to_bytes(8, "big")
                return self.node.state("paralith.roothash.v1.Header", key).state_root
            # The block that made the round is proven by the next one.
            self.node.next_block()
        return None

    # --- 7. A transaction ---

    def transaction(self, key, nonce, gas_limit, method, args):
        sender = public_bytes(key)
        envelope, reply_key = self.seal("transaction", sender, nonce, method, args)
        transaction = self.node.message(
            PARATIME + ".Transaction",
            version=VERSION,
            chain_context=self.chain_context,
            runtime_id=self.id,
            nonce=nonce,
            fee=b"",
            gas_limit=gas_limit,
            envelope=envelope,
        )
        raw = encode(transaction)
        domain = "paralith/paratime/transaction/v1"
        signed = self.node.message(
            PARATIME + ".SignedTransaction",
            transaction=raw,
            public_key=sender,
            signature=key.sign(signed_bytes(domain, self.chain_context, raw)),
        )
        return encode(signed), reply_key

    def submit(self, raw):
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

    def result(self, receipt, raw, reply_key):
        """Verifies a final receipt and opens the result."""
        tx_hash = domain_hash("paralith/paratime/transaction-hash/v1", raw)
        header, leaf, output = receipt.header, receipt.leaf, receipt.output
        if header.runtime_id != self.id:
            raise Refused("the header is another ParaTime's")
        if leaf.tx_hash != tx_hash or output.tx_hash != tx_hash:
            raise Refused("the receipt is of another transaction")
        path = merkle_root(encode(leaf), receipt.leaf_index, receipt.leaf_count, receipt.leaf_path)
        if path != header.io_root:
            raise Refused("the transaction is not in the round's I/O tree")
        commitment = domain_hash("paralith/paratime/output/v1", output.blinding, output.output)
        if commitment != leaf.output_commitment:
            raise Refused("the output is not the one that the round committed to")
        return self.open_reply(reply_key, tx_hash, header.round, header.proposal_id, output.output)

    def open_reply(self, reply_key, subject, round_number, place, encoded):
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
        if output.WhichOneof("result") == "error":
            error = output.error
            raise Refused(f"{error.module} {error.code}: {error.message}")
        if output.WhichOneof("result") != "ok":
            raise Refused("the reply holds no result")
        return json.loads(output.ok) if output.ok else None


def check_key(key, epoch, status):
    """An old key may have leaked or be erased; one of another generation is no longer in use."""
    if key.epoch != epoch:
        raise Refused(f"the key is of epoch {key.epoch}, the chain's is {epoch}")
    if not status.HasField("checksum") or key.checksum != status.checksum:
        raise Refused("the key is of another generation than the chain's")


def check_answer(answer, least, root):
    """An answer is of a final state, and not of an older one than was known when it was asked for."""
    if answer.round < least:
        raise Refused(f"the answer is of round {answer.round}, but round {least} is final already")
    if root is None or answer.state_root != root:
        raise Refused(f"the answer's state root is not the one of round {answer.round}")


def verify(public_key, domain, chain_context, message, signature):
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, signed_bytes(domain, chain_context, message))
    except (InvalidSignature, ValueError) as error:
        raise Refused("the key manager's signature on the epoch key does not fit") from error


def merkle_root(leaf, index, total, path):
    """The root that a path leads to, by RFC 6962's tree; None if the path has a wrong length."""
    if index >= total or len(path) > 64:
        return None
    node, at, last = hashlib.sha256(b"\0" + leaf).digest(), index, total - 1
    for sibling in path:
        if last == 0:
            return None
        if at % 2 == 1 or at == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while at % 2 == 0 and at != 0:
                at, last = at // 2, last // 2
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        at, last = at // 2, last // 2
    return node if last == 0 else None


# --- The command line ----------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(description="Sends one encrypted transfer of `tokens`.")
    node = os.environ.get("PARALITH_NODE", "127.0.0.1:26600")
    parser.add_argument("--node", default=node, help="HOST:PORT of a node's public service")
    parser.add_argument("--runtime", default="tokens", help="name of the ParaTime")
    parser.add_argument("--from", dest="sender", default="alice", help="a test account")
    parser.add_argument("--to", required=True, help="an address, or a test account")
    parser.add_argument("--amount", required=True, help="how much, in decimal")
    parser.add_argument("--memo", default="", help="a text that only the recipient can read")
    parser.add_argument("--gas", type=int, default=50_000_000, help="most gas it may use")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for each call")
    return parser.parse_args()


def run(options):
    key = test_account(options.sender)
    sender = address_of(public_bytes(key))
    to = options.to
    if to in TEST_ACCOUNTS:
        to = address_of(public_bytes(test_account(to)))

    node = Node(options.node.removeprefix("http://"), options.timeout)
    paratime = ParaTime(node, options.runtime)
    nonce = paratime.query("sdk.nonce", {"address": sender})["nonce"]
    args = {"to": to, "amount": options.amount, "memo": options.memo}
    raw, reply_key = paratime.transaction(key, nonce, options.gas, "transfer", args)
    receipt = paratime.submit(raw)
    result = paratime.result(receipt, raw, reply_key)
    return {
        "tx": domain_hash("paralith/paratime/transaction-hash/v1", raw).hex(),
        "confirmation": "final",
        "round": receipt.header.round,
        "epoch": paratime.epoch,
        "nonce": nonce,
        "gas_used": receipt.leaf.gas_used,
        "state_root": receipt.header.state_root.hex(),
        "io_root": receipt.header.io_root.hex(),
        "result": result,
    }


def main():
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
