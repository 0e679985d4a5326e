//! Refusals of endorsers, clients and receipts.

use paralith_types::{CodeId, Epoch, Error, Hash, Height, PublicKey, Retry, RuntimeId};

/// Why an enclave signs, opens or answers nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndorseError {
    /// Not a signed proposal in its one form. The client's fault.
    #[error("the proposal cannot be read: {0}")]
    Form(String),
    /// For another chain. The client's fault.
    #[error("the proposal is for another chain: propose again with this chain's genesis document")]
    Chain,
    /// For another application. The client's fault.
    #[error("the proposal is for the application {got}, this enclave runs {mine}")]
    Application {
        /// The enclave's application.
        mine: RuntimeId,
        /// The proposal's.
        got: RuntimeId,
    },
    /// The signature is not the client's. The client's fault.
    #[error("the signature is not valid for this proposal and key")]
    Signature,
    /// The enclave has not shown that its view of the chain is alive. Nobody's fault: later.
    #[error("the enclave has not proven yet that its view of the chain is fresh: try again")]
    NotFresh,
    /// The enclave is not in the index, or does not count there.
    #[error("this enclave does not count at the anchor: {reason}; ask another endorser")]
    NotRegistered {
        /// Why not.
        reason: String,
    },
    /// The registry names another enclave for this node: an old identity was put back.
    #[error(
        "the registry names the enclave {registered} for this node: remove the sealed identity and restart"
    )]
    IdentityReplaced {
        /// The registered enclave.
        registered: PublicKey,
    },
    /// The enclave cannot prove the anchor's state.
    #[error(
        "the state at the anchor {anchor} is not proven here: use the newest height that this endorser names, or wait"
    )]
    AnchorUnproven {
        /// The anchor.
        anchor: Height,
    },
    /// The anchor is too old.
    #[error(
        "the anchor {anchor} is more than {blocks} blocks below {newest}: propose again on a newer one"
    )]
    AnchorTooOld {
        /// The anchor.
        anchor: Height,
        /// The newest proven height.
        newest: Height,
        /// `anchor_blocks`.
        blocks: u32,
    },
    /// The descriptor at the anchor has another sequence.
    #[error(
        "the descriptor at the anchor has sequence {current}, the proposal names {got}: read the definition again"
    )]
    Sequence {
        /// The descriptor's.
        current: u64,
        /// The proposal's.
        got: u64,
    },
    /// The enclave runs other code than the descriptor at the anchor.
    #[error(
        "the descriptor at the anchor has the code {expected}, this enclave runs {mine}: ask another endorser"
    )]
    Code {
        /// The descriptor's.
        expected: CodeId,
        /// The enclave's.
        mine: CodeId,
    },
    /// `valid_until` is not within `commit_blocks` above the anchor.
    #[error("valid_until is {got}, it must be above the anchor {anchor} and at most {last}")]
    ValidUntil {
        /// The proposal's.
        got: Height,
        /// The anchor.
        anchor: Height,
        /// The last height allowed.
        last: Height,
    },
    /// No certificate by an issuer of the application.
    #[error("the application asks for a certificate by one of its issuers: {reason}")]
    Issuer {
        /// What is wrong.
        reason: String,
    },
    /// The certificate is for another scope.
    #[error("the certificate is for another scope: ask the issuer for one of this application")]
    CertificateScope,
    /// The certificate is about another key.
    #[error("the certificate is for the key {subject}: sign with that key")]
    CertificateSubject {
        /// The key.
        subject: PublicKey,
    },
    /// The certificate is not valid at the anchor.
    #[error(
        "the certificate is valid from height {not_before} and below {not_after}, the anchor is {anchor}"
    )]
    CertificateWindow {
        /// First height.
        not_before: Height,
        /// First height after it.
        not_after: Height,
        /// The anchor.
        anchor: Height,
    },
    /// The issuer revoked the certificate.
    #[error("the certificate {serial} is revoked: ask the issuer for a new one")]
    CertificateRevoked {
        /// Its serial.
        serial: u64,
    },
    /// The envelope is of an epoch whose key does not serve at the anchor.
    #[error(
        "the call is sealed to epoch {got}, the anchor is of epoch {current}: seal it to that one's key"
    )]
    Epoch {
        /// The anchor's.
        current: Epoch,
        /// The envelope's.
        got: Epoch,
    },
    /// The envelope does not open.
    #[error("the call does not open: {reason}")]
    CannotOpen {
        /// Why not.
        reason: String,
    },
    /// The state is of no code yet, or of other code.
    #[error("the application's state waits for {method}, by one of its organisations")]
    Due {
        /// `app.init` or `app.migrate`.
        method: &'static str,
    },
    /// `app.init` or `app.migrate` may not be called.
    #[error("{method} cannot be called: {reason}")]
    NotAllowed {
        /// The method.
        method: String,
        /// Why.
        reason: &'static str,
    },
    /// The ledger's newest proven state has no such commit.
    #[error(
        "the call is not committed in the newest proven state: submit it, or wait until its round is final"
    )]
    NotCommitted,
    /// The call was committed with another response.
    #[error("the call was committed with the response {committed}, not with {got}")]
    OtherResponse {
        /// The committed response's hash.
        committed: Hash,
        /// The hash of the one that came.
        got: Hash,
    },
    /// The ledger's owner alone could change it.
    #[error(
        "the ledger {ledger} has no approval, so its owner alone could change who orders: enclaves answer nothing there"
    )]
    LedgerWithoutApproval {
        /// The ledger.
        ledger: RuntimeId,
    },
    /// The application's ledger is another one. The client's fault.
    #[error("the application's ledger is {expected}, the proposal names {got}")]
    OtherLedger {
        /// The application's.
        expected: RuntimeId,
        /// The proposal's.
        got: RuntimeId,
    },
    /// The descriptor at the anchor defines no chaincode.
    #[error("the application is not defined at the anchor: {reason}")]
    Undefined {
        /// Why not.
        reason: String,
    },
    /// What the call did is longer than the terms allow; it is the call's output.
    #[error("the call reads, writes or gives more than the application's {limit} bytes")]
    ResponseTooLarge {
        /// `max_response_bytes`.
        limit: u32,
    },
}

impl EndorseError {
    /// The stable number of this error in the module "endorse".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Form(_) => 1,
            Self::Chain => 2,
            Self::Application { .. } => 3,
            Self::Signature => 4,
            Self::NotFresh => 5,
            Self::NotRegistered { .. } => 6,
            Self::IdentityReplaced { .. } => 7,
            Self::AnchorUnproven { .. } => 8,
            Self::AnchorTooOld { .. } => 9,
            Self::Sequence { .. } => 10,
            Self::Code { .. } => 11,
            Self::ValidUntil { .. } => 12,
            Self::Issuer { .. } => 13,
            Self::CertificateScope => 14,
            Self::CertificateSubject { .. } => 15,
            Self::CertificateWindow { .. } => 16,
            Self::CertificateRevoked { .. } => 17,
            Self::Epoch { .. } => 18,
            Self::CannotOpen { .. } => 19,
            Self::Due { .. } => 20,
            Self::NotAllowed { .. } => 21,
            Self::NotCommitted => 22,
            Self::OtherResponse { .. } => 23,
            Self::LedgerWithoutApproval { .. } => 24,
            Self::OtherLedger { .. } => 25,
            Self::Undefined { .. } => 26,
            Self::ResponseTooLarge { .. } => 27,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::NotFresh | Self::AnchorUnproven { .. } | Self::NotCommitted => Retry::Later,
            Self::NotRegistered { .. } | Self::IdentityReplaced { .. } | Self::Code { .. } => {
                Retry::OtherPeer
            }
            _ => Retry::Never,
        }
    }
}

impl From<EndorseError> for Error {
    fn from(error: EndorseError) -> Self {
        let retry = error.retry();
        Self::new("endorse", error.code(), error).with_retry(retry)
    }
}

/// Why a client cannot go on with a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The call cannot be sealed.
    #[error("the call cannot be sealed: {0}")]
    Seal(String),
    /// The call is too long.
    #[error("the call has {got} bytes, the limit is {limit}")]
    CallTooLarge {
        /// The most.
        limit: usize,
        /// The length.
        got: usize,
    },
    /// Heights that no endorser accepts.
    #[error("valid_until is {got}, it must be above the anchor and at most {last}")]
    Window {
        /// The height.
        got: Height,
        /// The last height allowed.
        last: Height,
    },
    /// The endorsements so far do not satisfy the policy.
    #[error(
        "the endorsement policy is not satisfied yet: organisations {lacks} are missing; refused: {refused}"
    )]
    Lacks {
        /// Organisations that did not endorse.
        lacks: String,
        /// Answers that do not count, and why.
        refused: String,
    },
    /// Endorsers gave different responses.
    #[error(
        "the endorsers gave {groups} different responses and none has enough endorsements; refused: {refused}"
    )]
    Disagree {
        /// How many.
        groups: usize,
        /// Answers that do not count, and why.
        refused: String,
    },
    /// The opened output is not what the response commits to.
    #[error("the output is not the one that the response commits to: ask another endorser")]
    OtherOutput,
    /// The reply does not open with this key.
    #[error("the reply does not open with this call's key")]
    CannotOpen,
}

impl ClientError {
    /// The stable number of this error in the module "chaincode".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Seal(_) => 1,
            Self::CallTooLarge { .. } => 2,
            Self::Window { .. } => 3,
            Self::Lacks { .. } => 4,
            Self::Disagree { .. } => 5,
            Self::OtherOutput => 6,
            Self::CannotOpen => 7,
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let retry = match error {
            ClientError::Lacks { .. } => Retry::Later,
            ClientError::OtherOutput => Retry::OtherPeer,
            _ => Retry::Never,
        };
        Self::new("chaincode", error.code(), error).with_retry(retry)
    }
}

/// Why a receipt proves nothing: which part of it is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not the encoding of a receipt.
    #[error("the receipt cannot be read: {0}")]
    Form(String),
    /// The blocks do not lead from the genesis document to the states that are proven.
    #[error("the light block {number} of the receipt: {reason}")]
    Blocks {
        /// Its number from 0.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// No block proves a state that the receipt uses.
    #[error("no light block of the receipt carries the root of the state {height}")]
    NoRoot {
        /// The state's height.
        height: Height,
    },
    /// The header of the ledger's round.
    #[error("the ledger's header: {0}")]
    Header(String),
    /// The ledger's record of the call.
    #[error("the ledger's record of the call: {0}")]
    Committed(String),
    /// The application's descriptor.
    #[error("the application's descriptor: {0}")]
    Descriptor(String),
    /// An enclave's record.
    #[error("the record of the enclave {rak}: {reason}")]
    Enclave {
        /// The enclave.
        rak: PublicKey,
        /// What is wrong.
        reason: String,
    },
    /// The response.
    #[error("the response: {0}")]
    Response(String),
    /// The endorsements.
    #[error("the endorsements: {0}")]
    Endorsements(String),
    /// The output.
    #[error("the output: {0}")]
    Output(String),
    /// The proposal.
    #[error("the proposal: {0}")]
    Proposal(String),
}

impl ReceiptError {
    /// The stable number of this error in the module "receipt".
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Form(_) => 1,
            Self::Blocks { .. } => 2,
            Self::NoRoot { .. } => 3,
            Self::Header(_) => 4,
            Self::Committed(_) => 5,
            Self::Descriptor(_) => 6,
            Self::Enclave { .. } => 7,
            Self::Response(_) => 8,
            Self::Endorsements(_) => 9,
            Self::Output(_) => 10,
            Self::Proposal(_) => 11,
        }
    }
}

impl From<ReceiptError> for Error {
    fn from(error: ReceiptError) -> Self {
        Self::new("receipt", error.code(), error)
    }
}
