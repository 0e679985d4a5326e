//! What the registry's records mean to chaincode.
//!
//! The records are the registry's, `registry.v1.Runtime` and `registry.v1.Enclave`. Here are the fields
//! that chaincode asks about, so that a guest need not link the registry's types. They come proven
//! from consensus state, so they are read leniently: fields that are not named here are skipped.

use paralith_types::{CodeId, Hash, Height, PublicKey, RuntimeId};
use prost::Message as _;

use crate::{Terms, TermsError};

/// An application as its descriptor defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The descriptor's sequence.
    pub sequence: u64,
    /// The module that its enclaves execute.
    pub code: CodeId,
    /// Enclave identities that may run it.
    pub measurements: Vec<Hash>,
    /// Entities that approve it and endorse its calls, sorted.
    pub organisations: Vec<PublicKey>,
    /// What they agreed upon.
    pub terms: Terms,
}

/// Why a descriptor defines no chaincode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// Not a descriptor.
    #[error("the descriptor cannot be read: {0}")]
    Malformed(String),
    /// It is no application, or lacks what every chaincode has.
    #[error("it is no chaincode: {0}")]
    NotChaincode(&'static str),
    /// Its terms.
    #[error(transparent)]
    Terms(#[from] TermsError),
}

#[derive(Clone, PartialEq, prost::Message)]
struct RuntimePb {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, optional, tag = "5")]
    code: Option<CodePb>,
    #[prost(bool, tag = "6")]
    confidential: bool,
    #[prost(message, optional, tag = "9")]
    tee: Option<TeePb>,
    #[prost(uint64, tag = "16")]
    sequence: u64,
    #[prost(message, optional, tag = "17")]
    approval: Option<ApprovalPb>,
    #[prost(bytes = "vec", tag = "18")]
    terms: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CodePb {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TeePb {
    #[prost(bytes = "vec", repeated, tag = "1")]
    measurements: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ApprovalPb {
    #[prost(bytes = "vec", repeated, tag = "1")]
    organisations: Vec<Vec<u8>>,
}

/// The registry's number of applications.
const KIND_APPLICATION: i32 = 3;

impl Definition {
    /// Reads the descriptor of this application.
    pub fn read(id: &RuntimeId, descriptor: &[u8]) -> Result<Self, DefinitionError> {
        let pb = RuntimePb::decode(descriptor).map_err(malformed)?;
        let lacks = |what| Err(DefinitionError::NotChaincode(what));
        if pb.id != id.as_bytes() {
            return lacks("the descriptor is that of another runtime");
        }
        if pb.kind != KIND_APPLICATION {
            return lacks("its kind is not `application`");
        }
        if !pb.confidential {
            return lacks("it is not confidential");
        }
        let Some(code) = pb.code else { return lacks("it has no code") };
        let Some(tee) = pb.tee else { return lacks("it names no enclaves") };
        let Some(approval) = pb.approval else { return lacks("it has no approval") };
        let organisations = all::<PublicKey>(&approval.organisations)?;
        Ok(Self {
            sequence: pb.sequence,
            code: CodeId::try_from(code.id.as_slice()).map_err(malformed)?,
            measurements: all(&tee.measurements)?,
            terms: Terms::read(&pb.terms, organisations.len())?,
            organisations,
        })
    }

    /// Whether the descriptor of a ledger has an approval, so that its owner alone can change nothing.
    pub fn ledger_has_approval(descriptor: &[u8]) -> Result<bool, DefinitionError> {
        let pb = RuntimePb::decode(descriptor).map_err(malformed)?;
        Ok(pb.approval.is_some())
    }

    /// The index of an entity among the organisations.
    #[must_use]
    pub fn organisation(&self, entity: &PublicKey) -> Option<u32> {
        let index = self.organisations.iter().position(|one| one == entity)?;
        u32::try_from(index).ok()
    }

    /// For which organisation an enclave endorses at a height, or why it does not. Asks for evidence
    /// that has not expired first, then for what is allowed.
    pub fn endorser(&self, enclave: &Enclave, now: Height) -> Result<u32, Unfit> {
        if now >= enclave.expires {
            return Err(Unfit::Expired { expires: enclave.expires });
        }
        if !self.measurements.contains(&enclave.measurement) {
            return Err(Unfit::NotAllowed("its measurement is not allowed"));
        }
        if enclave.code != Some(self.code) {
            return Err(Unfit::NotAllowed("it runs other code"));
        }
        let organisation = self.organisation(&enclave.entity);
        organisation.ok_or(Unfit::NotAllowed("its entity is no organisation of the application"))
    }
}

fn malformed(error: impl ToString) -> DefinitionError {
    DefinitionError::Malformed(error.to_string())
}

fn all<'a, T: TryFrom<&'a [u8], Error: ToString>>(
    list: &'a [Vec<u8>],
) -> Result<Vec<T>, DefinitionError> {
    list.iter().map(|bytes| T::try_from(bytes.as_slice()).map_err(malformed)).collect()
}

/// Why an enclave does not endorse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its evidence is too old.
    #[error("its evidence counts below height {expires}")]
    Expired {
        /// From this height on.
        expires: Height,
    },
    /// The descriptor does not allow it.
    #[error("{0}")]
    NotAllowed(&'static str),
}

/// A record of the enclave index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclave {
    /// The node that runs it.
    pub node: PublicKey,
    /// Who answers for the node.
    pub entity: PublicKey,
    /// The enclave's identity.
    pub measurement: Hash,
    /// The code that it executes.
    pub code: Option<CodeId>,
    /// Its evidence counts below this height.
    pub expires: Height,
    /// It was attested by software only, which protects nothing.
    pub software: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EnclavePb {
    #[prost(bytes = "vec", tag = "1")]
    node: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    entity: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    measurement: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "5")]
    code: Option<Vec<u8>>,
    #[prost(uint64, tag = "7")]
    expires: u64,
    #[prost(bool, tag = "9")]
    software: bool,
}

impl Enclave {
    /// Reads a record.
    pub fn read(bytes: &[u8]) -> Result<Self, DefinitionError> {
        let pb = EnclavePb::decode(bytes).map_err(malformed)?;
        let code = pb.code.as_deref().map(CodeId::try_from).transpose().map_err(malformed)?;
        Ok(Self {
            node: PublicKey::try_from(pb.node.as_slice()).map_err(malformed)?,
            entity: PublicKey::try_from(pb.entity.as_slice()).map_err(malformed)?,
            measurement: Hash::try_from(pb.measurement.as_slice()).map_err(malformed)?,
            code,
            expires: Height(pb.expires),
            software: pb.software,
        })
    }
}
