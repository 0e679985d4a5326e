//! The proof, in one file, that a call was committed and what it gave.

use paralith_types::{Hash, Height, PublicKey};

use crate::wire::message;
use crate::{
    Endorsement, MAX_PROPOSAL_BYTES, MAX_RECEIPT_BYTES, MAX_RESPONSE_BYTES, SignedProposal,
};

message! {
    /// A value of a state with its proof.
    Proven, ProvenPb, MAX_RECEIPT_BYTES, {
        /// The value.
        [bytes = "vec", tag = "1"] value: Vec<u8>,
        /// The proof, in the form of docs/protocol/proofs.md.
        [bytes = "vec", tag = "2"] proof: Vec<u8>,
    }
}

message! {
    /// The record of an enclave that endorsed.
    ProvenEnclave, ProvenEnclavePb, MAX_RECEIPT_BYTES, {
        /// The enclave.
        [bytes = "vec", tag = "1"] rak: PublicKey,
    }
    nested {
        /// `registry/enclave/<application>/<rak>`.
        [message, optional, tag = "2"] record: Proven,
    }
}

message! {
    /// An output that `Release` opened: the form of a ParaTime's opened output.
    OpenedOutput, OpenedOutputPb, MAX_RESPONSE_BYTES, {
        /// The transaction.
        [bytes = "vec", tag = "1"] tx_id: Hash,
        /// What makes the commitment hiding.
        [bytes = "vec", tag = "2"] blinding: Hash,
        /// An encoded `SealedReply`.
        [bytes = "vec", tag = "3"] output: Vec<u8>,
    }
}

message! {
    /// All that it takes to verify a committed call with the genesis document alone.
    Receipt, ReceiptPb, MAX_RECEIPT_BYTES, {
        /// [`crate::VERSION`].
        [uint32, tag = "1"] version: u32,
        /// Encoded light blocks, one way of bisection from genesis, in ascending order. Those of
        /// `header_height + 1` and of the pinned height + 1 are among them.
        [bytes = "vec", repeated, tag = "2"] blocks: Vec<Vec<u8>>,
        /// The state height at which `header` is proven.
        [uint64, tag = "3"] header_height: Height,
        /// Records of the enclaves that endorsed, at the pinned height, in the order of
        /// `endorsements`.
        [message, repeated, tag = "7"] enclaves: Vec<ProvenEnclave>,
        /// The encoded response.
        [bytes = "vec", tag = "8"] response: Vec<u8>,
        /// Its endorsements.
        [message, repeated, tag = "9"] endorsements: Vec<Endorsement>,
        /// The reply's key, if the caller shows what the call gave.
        [bytes = "vec", optional, tag = "11"] reply_key: Option<[u8; 32]>,
        /// The proposal, if the caller shows who called.
        [message, optional, tag = "12"] proposal: Option<SignedProposal>,
    }
    nested {
        /// `roothash/header/<ledger>/<round>` of the round that committed the call, in consensus
        /// state.
        [message, optional, tag = "4"] header: Proven,
        /// `t/tx_id` under that header's state root.
        [message, optional, tag = "5"] committed: Proven,
        /// `registry/runtime/<application>` at the height that the header pins.
        [message, optional, tag = "6"] descriptor: Proven,
        /// What `Release` gave.
        [message, optional, tag = "10"] opened: OpenedOutput,
    }
}

const _: () = assert!(MAX_PROPOSAL_BYTES < MAX_RECEIPT_BYTES);
