//! Keys of consensus state that chaincode reads, and keys and records of the ledger's own state.
//!
//! | key | value |
//! |---|---|
//! | `e`, application, index | [`Version`], 12 bytes, then the sealed value |
//! | `t`, tx_id | [`Committed`], 76 bytes |
//! | `r`, application, issuer, serial (8 bytes) | 1 |
//! | `p` | [`Position`], 12 bytes: where the last commit stood |
//!
//! Numbers are big-endian.

use paralith_types::{Hash, PublicKey, RuntimeId};

use crate::Version;

/// The registry's key of a descriptor.
#[must_use]
pub fn runtime_key(id: &RuntimeId) -> Vec<u8> {
    [b"registry/runtime/".as_slice(), id.as_bytes()].concat()
}

/// The registry's key of an enclave's record.
#[must_use]
pub fn enclave_key(application: &RuntimeId, rak: &PublicKey) -> Vec<u8> {
    [b"registry/enclave/".as_slice(), application.as_bytes(), rak.as_bytes()].concat()
}

/// What the keys of an application's entries begin with.
#[must_use]
pub fn namespace(application: &RuntimeId) -> Vec<u8> {
    [b"e".as_slice(), application.as_bytes()].concat()
}

/// An entry of an application.
#[must_use]
pub fn entry_key(application: &RuntimeId, index: &Hash) -> Vec<u8> {
    [b"e".as_slice(), application.as_bytes(), index.as_bytes()].concat()
}

/// That a call was committed.
#[must_use]
pub fn committed_key(tx_id: &Hash) -> Vec<u8> {
    [b"t".as_slice(), tx_id.as_bytes()].concat()
}

/// That a certificate is revoked.
#[must_use]
pub fn revoked_key(application: &RuntimeId, issuer: &PublicKey, serial: u64) -> Vec<u8> {
    let serial = serial.to_be_bytes();
    [b"r".as_slice(), application.as_bytes(), issuer.as_bytes(), &serial].concat()
}

/// Where the last commit stood.
pub const POSITION_KEY: &[u8] = b"p";

/// The ledger's configuration, from its `init`.
pub const CONFIG_KEY: &[u8] = b"c";

/// The value of a revoked certificate's key.
pub const REVOKED: &[u8] = &[1];

/// An entry's stored form.
#[must_use]
pub fn entry(version: Version, value: &[u8]) -> Vec<u8> {
    [version.to_bytes().as_slice(), value].concat()
}

/// Version and sealed value of a stored entry.
#[must_use]
pub fn read_entry(stored: &[u8]) -> Option<(Version, &[u8])> {
    let (version, value) = stored.split_at_checked(Version::LEN)?;
    Some((Version::from_bytes(version)?, value))
}

/// That a call was committed: where, of which application, and with which response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The round and the position in it.
    pub version: Version,
    /// The application.
    pub application: RuntimeId,
    /// Hash of the encoded response.
    pub response: Hash,
}

impl Committed {
    /// Length of [`Committed::to_bytes`].
    pub const LEN: usize = Version::LEN + RuntimeId::LEN + Hash::LEN;

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let version = self.version.to_bytes();
        [version.as_slice(), self.application.as_bytes(), self.response.as_bytes()].concat()
    }

    /// The inverse.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_at_checked(Version::LEN)?;
        let (application, response) = rest.split_at_checked(RuntimeId::LEN)?;
        Some(Self {
            version: Version::from_bytes(version)?,
            application: RuntimeId::try_from(application).ok()?,
            response: Hash::try_from(response).ok()?,
        })
    }
}

/// The position that the next commit of a round gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The round of the last commit.
    pub round: u64,
    /// The next position in that round.
    pub next: u32,
}

impl Position {
    /// The version of the next commit in this round, and what is kept after it. `last` is what was
    /// kept after the last commit. None after 2^32 - 1 commits in one round.
    #[must_use]
    pub fn take(last: Option<Self>, round: u64) -> Option<(Version, Self)> {
        let position = match last {
            Some(last) if last.round == round => last.next,
            _ => 0,
        };
        let next = position.checked_add(1)?;
        Some((Version { round, position }, Self { round, next }))
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Version { round: self.round, position: self.next }.to_bytes().to_vec()
    }

    /// The inverse.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Version { round, position } = Version::from_bytes(bytes)?;
        Some(Self { round, next: position })
    }
}
