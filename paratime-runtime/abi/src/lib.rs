//! The contract between a ParaTime's WebAssembly module (the guest) and its host, versions 1 and 2.
//!
//! A guest is a core WebAssembly module. It exports its `memory`, [`EXPORT_ALLOC`] and every name
//! in [`EXPORTS`]. It imports nothing but the functions named in [`IMPORTS`], from
//! [`IMPORT_MODULE`], and those in [`IMPORTS_V2`], from [`IMPORT_MODULE_V2`].
//!
//! * **Versions.** A runtime's descriptor names the version under which its code runs. A module that
//!   imports anything from [`IMPORT_MODULE_V2`] needs version 2; every other module runs under both.
//!   What a call means under one version never changes. Version 2 adds imports and fields; each is
//!   marked.
//!
//! * **Calls.** Each export takes `(ptr: i32, len: i32)`, the place of a protobuf request which the
//!   host wrote into memory that it got from [`EXPORT_ALLOC`]`(len: i32) -> ptr: i32`, and returns
//!   an `i64`: `ptr << 32 | len` of an encoded [`Outcome`] ([`pack`], [`unpack`]).
//! * **Instances.** The host makes a fresh instance for every call. Nothing survives in memory.
//! * **Imports.** Byte strings go in as `(ptr, len)`. A byte string comes out as a packed `i64`
//!   in memory that the host took from [`EXPORT_ALLOC`], or as [`ABSENT`].
//! * **Effects.** `authenticate` and `execute` of one transaction run on overlays of their own: a
//!   trap or an error in `execute` undoes it and keeps what `authenticate` wrote. `check`, `query`
//!   and `reveal` may read state and must not write: a write traps.
//!
//! | export | request | when | success value |
//! |---|---|---|---|
//! | `init` | [`InitRequest`] | once, in the first normal round | empty |
//! | `begin_block` | [`BeginBlockRequest`] | each round, first; if it fails it takes nothing | empty |
//! | `authenticate` | [`TransactionRequest`] without `call` | before each `execute` | empty |
//! | `execute` | [`TransactionRequest`] | each transaction | the transaction's result |
//! | `end_block` | [`BlockRequest`] | each round, last | empty |
//! | `check` | [`TransactionRequest`] without `call` | admission to the pool | empty, or the sender's next nonce, 8 bytes big-endian: the pool then waits for those between |
//! | `query` | [`QueryRequest`] | on a final root | the answer |
//! | `reveal` | [`RevealRequest`] | on the final root of the round that asked | the bytes |
//! | `migrate` | [`BlockRequest`] | once, in the first round under new code | empty |
//!
//! | import | signature | meaning |
//! |---|---|---|
//! | `state_get` | `(key, len) -> i64` | the value, or [`ABSENT`] |
//! | `state_set` | `(key, len, value, len)` | writes |
//! | `state_remove` | `(key, len)` | removes |
//! | `random` | `(out, len)` | bytes from the round's seed, the same on every replica |
//! | `derive_key` | `(purpose, len, out32)` | a secret of this runtime; traps if it is public |
//! | `emit_message` | `(message, len) -> i32` | queues a [`ConsensusMessage`]; its index, or -1 if the round has no room or the host refuses it |
//! | `emit_event` | `(topic, len, data, len)` | a **public** event of this transaction or block |
//! | `request_reveal` | `(handle, len)` | asks that `reveal(handle)` be answered once this round is final |
//! | `log` | `(text, len)` | a line for a developer; dropped in confidential runtimes |
//! | `sha256` | `(data, len, out32)` | hash |
//! | `ed25519_verify` | `(key32, signature64, message, len) -> i32` | 1 if valid by ZIP-215, else 0 |
//!
//! | import of version 2 | signature | meaning |
//! |---|---|---|
//! | `consensus_get` | `(key, len) -> i64` | consensus state at the pinned height, proven, or [`ABSENT`]; hosts see the key; traps in `reveal`, and for a value longer than [`MAX_VALUE_BYTES`] |
//! | `wake_at` | `(height: i64)` | asks for a round that pins this height or a later one; see [`WAKE_KEY`]; traps in calls that may only read |
//! | `commit_before` | `(height: i64)` | traps unless the pinned height is lower: the transaction has an effect only if it is ordered before |
//! | `bls_possession` | `(key96, message, len, proof48) -> i32` | 1 if the proof shows that the key's owner has its secret, else 0 |
//! | `bls_verify` | `(keys, len, message, len, signature48) -> i32` | 1 if the aggregate signature of at most [`MAX_BLS_KEYS`] keys is valid, else 0 |
//! | `hpke_seal` | `(kem: i32, key, len, info, len, plain, len, ikm32) -> i64` | HPKE in base mode with given randomness: the encapsulated key, then the ciphertext; [`ABSENT`]: the key is not usable |
//!
//! | `keccak256` | `(data, len, out32)` | hash |
//! | `secp256k1_recover` | `(digest32, signature64, parity: i32, out64) -> i32` | 1 and the key (x, y) of an ECDSA signature (r, s), or 0 if there is none; parity 1: the nonce's y is odd, 0: it is even |
//! | `crypto` | `(function: i32, input, len) -> i64` | the function's result, or [`ABSENT`]; traps if the number has no function |
//!
//! | function of `crypto` | input | result |
//! |---|---|---|
//! | [`CRYPTO_SCHNORR_VERIFY`] | key 32, signature 64, message | empty if valid by BIP340, else [`ABSENT`] |
//! | [`CRYPTO_COMBINE_SECP256K1`] | at most [`MAX_GROUP_PAIRS`] pairs: scalar 32 (big-endian), point 33 (compressed; zeros: the generator) | the sum of the multiples, 33 bytes; [`ABSENT`]: an input is not in its encoding, or the sum is the identity |
//! | [`CRYPTO_COMBINE_ED25519`] | as many: scalar 32 (little-endian), point 32 (zeros: the generator) | likewise, 32 bytes; [`ABSENT`] also if a point has torsion |
//! | [`CRYPTO_SHA3_256`] | data | the hash, 32 bytes |
//!
//! [`RESERVED_IMPORTS`] are further names of version 2. A module that imports one is refused at
//! upload until this host has it.
//!
//! Limits are the host's: [`MAX_KEY_BYTES`], [`MAX_VALUE_BYTES`], fuel, memory pages and call depth.

pub mod wake;

/// The newest version of this contract. A runtime's descriptor names the one that it runs under.
pub const ABI_VERSION: u32 = 2;

/// The oldest version that hosts still serve.
pub const OLDEST_ABI_VERSION: u32 = 1;

/// The module from which guests import the functions of version 1.
pub const IMPORT_MODULE: &str = "paralith_v1";

/// The module from which guests import what version 2 adds.
pub const IMPORT_MODULE_V2: &str = "paralith_v2";

/// The guest's allocator: `(len: i32) -> ptr: i32`.
pub const EXPORT_ALLOC: &str = "paralith_alloc";

/// The guest's linear memory.
pub const EXPORT_MEMORY: &str = "memory";

/// Every entry point that a guest must export, as `(i32, i32) -> i64`.
pub const EXPORTS: [&str; 9] = [
    "init",
    "begin_block",
    "authenticate",
    "execute",
    "end_block",
    "check",
    "query",
    "reveal",
    "migrate",
];

/// Every function that a guest may import from [`IMPORT_MODULE`].
pub const IMPORTS: [&str; 11] = [
    "state_get",
    "state_set",
    "state_remove",
    "random",
    "derive_key",
    "emit_message",
    "emit_event",
    "request_reveal",
    "log",
    "sha256",
    "ed25519_verify",
];

/// Every function that a guest may import from [`IMPORT_MODULE_V2`].
pub const IMPORTS_V2: [&str; 9] = [
    "consensus_get",
    "wake_at",
    "commit_before",
    "bls_possession",
    "bls_verify",
    "hpke_seal",
    "keccak256",
    "secp256k1_recover",
    "crypto",
];

/// Names of version 2 that have a fixed signature and no body in this host yet, with the signature.
pub const RESERVED_IMPORTS: [(&str, &str); 9] = [
    ("attest_verify", "(evidence: i32, len: i32, policy: i32, len: i32) -> i64"),
    ("emit_final_event", "(topic: i32, len: i32, data: i32, len: i32)"),
    ("contract_check", "(code: i32, len: i32) -> i64"),
    ("contract_open", "(hash32: i32, gas: i64, pages: i32) -> i32"),
    ("contract_invoke", "(handle: i32, name: i32, len: i32, a: i32, b: i32) -> i64"),
    ("contract_read", "(handle: i32, ptr: i32, len: i32) -> i64"),
    ("contract_write", "(handle: i32, ptr: i32, data: i32, len: i32) -> i32"),
    ("contract_fault", "(handle: i32) -> i32"),
    ("contract_close", "(handle: i32) -> i64"),
];

/// Exported by a module that wants one instance for all calls of a proposal. Reserved: hosts ignore
/// it and make an instance for each call.
pub const EXPORT_RESIDENT: &str = "paralith_resident";

/// What an import returns for "not there".
pub const ABSENT: i64 = -1;

/// Longest key of the state.
pub const MAX_KEY_BYTES: usize = 1024;

/// Longest value of the state.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;

/// Longest request to an export. `begin_block` gets the longest prefixes of its queues that fit.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// How often `begin_block` may fail with one message alone, and succeed without it, before the host
/// skips that message and sends its tokens back.
pub const MESSAGE_ATTEMPTS: u32 = 8;

/// Most keys of one `bls_verify`.
pub const MAX_BLS_KEYS: usize = 512;

/// Longest info and longest plaintext of `hpke_seal`.
pub const MAX_HPKE_BYTES: usize = 64 * 1024;

/// Most pairs of one sum of `crypto`.
pub const MAX_GROUP_PAIRS: usize = 64;

/// Verifies a signature of BIP340. A number of a function of `crypto`, like the following; no number
/// ever gets another function.
pub const CRYPTO_SCHNORR_VERIFY: u32 = 48;

/// Adds multiples of points of secp256k1.
pub const CRYPTO_COMBINE_SECP256K1: u32 = 49;

/// Adds multiples of points of the prime-order group of Ed25519.
pub const CRYPTO_COMBINE_ED25519: u32 = 50;

/// SHA3-256.
pub const CRYPTO_SHA3_256: u32 = 60;

/// HPKE's number of DHKEM(X25519, HKDF-SHA256), for `hpke_seal`.
pub const KEM_X25519: u32 = 0x0020;

/// HPKE's number of X-Wing, for `hpke_seal`.
pub const KEM_X_WING: u32 = 0x647a;

/// First byte of the keys of public entries, under version 2: a confidential runtime's entries under
/// them are not encrypted, and anybody can prove them. They are public as soon as they are executed,
/// also in a round that never becomes final: decide in other entries, and write public ones in the
/// `begin_block` of a later round.
pub const PUBLIC_KEY_PREFIX: u8 = 0xfe;

/// The state key under which the host keeps when the runtime wants to be woken: an encoded
/// [`wake::Wake`]. The host writes it anew at the end of each round, by what the round's calls asked of
/// `wake_at`; a due round that fails is due again after 1, 2, 4 and at last 1,024 blocks.
pub const WAKE_KEY: &[u8] = b"\xffwake";

/// The state key under which `request_reveal` records its intent: prefix, then the handle. The
/// value is the round, eight bytes big-endian. Guests cannot write keys that start with 0xff.
pub const REVEAL_INTENT_PREFIX: &[u8] = b"\xffreveal/";

/// First byte of the keys that only the host writes.
pub const HOST_KEY_PREFIX: u8 = 0xff;

/// Packs a place in guest memory into an export's result.
#[must_use]
pub const fn pack(ptr: u32, len: u32) -> i64 {
    (((ptr as u64) << 32) | len as u64) as i64
}

/// The inverse of [`pack`].
#[must_use]
pub const fn unpack(packed: i64) -> (u32, u32) {
    ((packed as u64 >> 32) as u32, packed as u64 as u32)
}

/// Where and when a call runs. The same on every replica of a round.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Context {
    /// The runtime's id, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub runtime_id: Vec<u8>,
    /// The chain's context, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub chain_context: Vec<u8>,
    /// The round being executed; in `query`, `check` and `reveal` the round of the root read.
    #[prost(uint64, tag = "3")]
    pub round: u64,
    /// The epoch at the proposal's consensus height.
    #[prost(uint64, tag = "4")]
    pub epoch: u64,
    /// The consensus height that the proposal pins.
    #[prost(uint64, tag = "5")]
    pub consensus_height: u64,
    /// Whether the state is encrypted.
    #[prost(bool, tag = "6")]
    pub confidential: bool,
    /// The runtime's own consensus address, 21 bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub runtime_address: Vec<u8>,
    /// Reserved: the time of the block that proves the pinned state, in seconds.
    #[prost(uint64, tag = "8")]
    pub time: u64,
    /// Hash of the block before the round, 32 bytes. Version 2, in calls of a round; else empty.
    #[prost(bytes = "vec", tag = "9")]
    pub previous_hash: Vec<u8>,
}

/// Request of `init`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InitRequest {
    /// Where and when.
    #[prost(message, required, tag = "1")]
    pub context: Context,
    /// What the runtime's descriptor gives to `init`; the runtime defines its meaning.
    #[prost(bytes = "vec", tag = "2")]
    pub argument: Vec<u8>,
}

/// Request of `begin_block`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BeginBlockRequest {
    /// Where and when.
    #[prost(message, required, tag = "1")]
    pub context: Context,
    /// Messages from consensus, in the order of their queue. Their tokens are in the runtime's
    /// account already. If the call fails, they come again: half as many, then fewer, so that one
    /// that the runtime cannot bear comes alone; it is skipped after [`MESSAGE_ATTEMPTS`].
    #[prost(message, repeated, tag = "2")]
    pub incoming: Vec<IncomingMessage>,
    /// Results of this runtime's messages to consensus that no `begin_block` has taken yet, oldest
    /// first: those of the round before, and of earlier ones if `begin_block` failed since. A result
    /// comes once.
    #[prost(message, repeated, tag = "3")]
    pub message_results: Vec<MessageResult>,
}

/// A message from a consensus account to the runtime.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct IncomingMessage {
    /// Its number in the runtime's queue.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Address of the account that sent it, 21 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub caller: Vec<u8>,
    /// The sender's own tag.
    #[prost(uint64, tag = "3")]
    pub tag: u64,
    /// Base units paid as fee, minimal big-endian.
    #[prost(bytes = "vec", tag = "4")]
    pub fee: Vec<u8>,
    /// Base units deposited, minimal big-endian.
    #[prost(bytes = "vec", tag = "5")]
    pub tokens: Vec<u8>,
    /// Free data.
    #[prost(bytes = "vec", tag = "6")]
    pub data: Vec<u8>,
}

/// What became of a message to consensus.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MessageResult {
    /// The index that `emit_message` gave.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    /// The consensus module that failed, or empty.
    #[prost(string, tag = "2")]
    pub module: String,
    /// Its error code; 0 is success.
    #[prost(uint32, tag = "3")]
    pub code: u32,
    /// The round that emitted it.
    #[prost(uint64, tag = "4")]
    pub round: u64,
}

/// A message that a runtime sends to consensus, which executes it as the runtime's account.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConsensusMessage {
    /// The one kind of message.
    #[prost(oneof = "ConsensusMessageKind", tags = "1")]
    pub kind: Option<ConsensusMessageKind>,
}

/// The kinds of messages to consensus.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum ConsensusMessageKind {
    /// Transfers from the runtime's account: a withdrawal.
    #[prost(message, tag = "1")]
    Transfer(TransferMessage),
}

/// A transfer out of the runtime's consensus account.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TransferMessage {
    /// To which address, 21 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub to: Vec<u8>,
    /// Base units, minimal big-endian.
    #[prost(bytes = "vec", tag = "2")]
    pub amount: Vec<u8>,
}

/// Request of `end_block` and `migrate`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BlockRequest {
    /// Where and when.
    #[prost(message, required, tag = "1")]
    pub context: Context,
}

/// A transaction whose signature the host has verified.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Transaction {
    /// Hash of the signed transaction, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
    /// The signer's Ed25519 key, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub sender: Vec<u8>,
    /// The signer's consensus address, 21 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub sender_address: Vec<u8>,
    /// The signer's nonce in this runtime.
    #[prost(uint64, tag = "4")]
    pub nonce: u64,
    /// Offered fee in the runtime's own units, minimal big-endian.
    #[prost(bytes = "vec", tag = "5")]
    pub fee: Vec<u8>,
    /// Gas limit.
    #[prost(uint64, tag = "6")]
    pub gas_limit: u64,
    /// Whether the call came in an envelope.
    #[prost(bool, tag = "7")]
    pub encrypted: bool,
}

/// What a transaction or a query calls.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Call {
    /// Name of the method.
    #[prost(string, tag = "1")]
    pub method: String,
    /// Its arguments, as the runtime encodes them.
    #[prost(bytes = "vec", tag = "2")]
    pub args: Vec<u8>,
}

/// Request of `authenticate`, `execute` and `check`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TransactionRequest {
    /// Where and when.
    #[prost(message, required, tag = "1")]
    pub context: Context,
    /// Who sent it.
    #[prost(message, required, tag = "2")]
    pub transaction: Transaction,
    /// What it calls; only in `execute`.
    #[prost(message, optional, tag = "3")]
    pub call: Option<Call>,
}

/// Request of `query`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueryRequest {
    /// Where and when.
    #[prost(message, required, tag = "1")]
    pub context: Context,
    /// What it asks.
    #[prost(message, required, tag = "2")]
    pub call: Call,
    /// The asking account's address if the query was signed, else empty.
    #[prost(bytes = "vec", tag = "3")]
    pub caller: Vec<u8>,
}

/// Request of `reveal`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RevealRequest {
    /// Where and when.
    #[prost(message, required, tag = "1")]
    pub context: Context,
    /// What to reveal.
    #[prost(bytes = "vec", tag = "2")]
    pub handle: Vec<u8>,
}

/// What every export returns.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Outcome {
    /// Success or failure.
    #[prost(oneof = "OutcomeResult", tags = "1, 2")]
    pub result: Option<OutcomeResult>,
}

/// Success or failure of a call.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum OutcomeResult {
    /// The value, which may be empty.
    #[prost(bytes, tag = "1")]
    Ok(Vec<u8>),
    /// The runtime refused.
    #[prost(message, tag = "2")]
    Error(GuestError),
}

/// A runtime's refusal. Codes below 100 of module `sdk` belong to the SDK.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct GuestError {
    /// Which part of the runtime refused.
    #[prost(string, tag = "1")]
    pub module: String,
    /// Its stable code, not 0.
    #[prost(uint32, tag = "2")]
    pub code: u32,
    /// What, why, what to do.
    #[prost(string, tag = "3")]
    pub message: String,
}

impl Outcome {
    /// A success.
    #[must_use]
    pub fn ok(value: Vec<u8>) -> Self {
        Self { result: Some(OutcomeResult::Ok(value)) }
    }

    /// A refusal.
    #[must_use]
    pub fn error(module: &str, code: u32, message: &str) -> Self {
        let error = GuestError { module: module.into(), code, message: message.into() };
        Self { result: Some(OutcomeResult::Error(error)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_begin_block_request_has_one_frozen_form() {
        let request = BeginBlockRequest {
            context: Context { round: 5, ..Context::default() },
            incoming: vec![IncomingMessage { id: 7, tokens: vec![1, 44], ..Default::default() }],
            message_results: vec![MessageResult {
                index: 1,
                module: "staking".into(),
                code: 2,
                round: 3,
            }],
        };
        let bytes = prost::Message::encode_to_vec(&request);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0a021805120608072a02012c1a0f080112077374616b696e6718022003");
    }

    #[test]
    fn no_name_is_in_two_lists() {
        let names = IMPORTS.iter().chain(&IMPORTS_V2);
        let all: Vec<&str> = names.copied().chain(RESERVED_IMPORTS.map(|(name, _)| name)).collect();
        let different: std::collections::BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn packing_parses_back_at_the_edges() {
        for place in [(0, 0), (1, 2), (u32::MAX, 0), (0x8000_0000, u32::MAX)] {
            assert_eq!(unpack(pack(place.0, place.1)), place);
        }
    }
}
