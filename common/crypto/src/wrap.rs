//! Content that is sealed once, and its key wrapped for each of several recipients so that any of
//! them can check all wraps.
//!
//! A content key is 32 random bytes. All other randomness follows from it: whoever opens one wrap can
//! make all of them again, and can show a third party one that is false by giving away the key of
//! that content only. An honest sender cannot be framed, since its wraps are exactly these bytes.
//!
//! **The rule of derandomised wraps.** The randomness of a wrap is derived from the secret and from
//! everything that the plaintext and the recipient depend on: two plaintexts under one randomness
//! would share AEAD key and nonce. Here the plaintext is the content key and a URI, the commitment
//! covers both, and the `info` of each recipient contains the commitment; [`wrap`] refuses one that
//! does not, and two recipients with the same.
//!
//! Specification: docs/protocol/wraps.md.

use std::collections::BTreeSet;
use std::fmt;

use paralith_types::Hash;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::hash::{Domain, hash};
use crate::kem::{KemSecret, hpke_open, hpke_seal};
use crate::seal::{AeadKey, CannotOpen};
use crate::{constant_time_eq, kdf, seal, sha3};

/// What a system calls its derivations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapDomains {
    /// Of the key that the content is sealed under.
    pub content: Domain,
    /// Of the commitment to content key and URI.
    pub commitment: Domain,
    /// Of the randomness of a wrap.
    pub wrap: Domain,
}

/// The key of one content: 32 random bytes, fresh for each, never a text or another secret. Wiped
/// when dropped; compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ContentKey([u8; 32]);

impl ContentKey {
    /// The key of these bytes, which are uniformly random.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for ContentKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for ContentKey {}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

/// Content that is sealed, and what is published of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedContent {
    /// The ciphertext with its tag.
    pub content: Vec<u8>,
    /// Its SHA3-256, by which it is stored and fetched.
    pub content_hash: [u8; 32],
    /// Binds the content key and the URI.
    pub key_commitment: Hash,
}

/// To whom a content key is wrapped.
#[derive(Clone, Copy)]
pub struct Recipient<'a, F> {
    /// The kind of the key: [`crate::kem::KEM_X25519`] or [`crate::kem::KEM_X_WING`].
    pub kem: u32,
    /// The public key.
    pub key: &'a [u8],
    /// HPKE's `info`, from the commitment, which it contains. It names the purpose, the place, the
    /// recipient and the content.
    pub info: F,
}

impl<F> fmt::Debug for Recipient<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient").field("kem", &self.kem).finish_non_exhaustive()
    }
}

/// A key cannot be wrapped for these recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotWrap {
    /// Nothing can be sealed to the key so that its owner could open it: see
    /// [`crate::kem::is_usable_key`]. The fault is that of whoever published it.
    #[error(
        "cannot wrap for recipient {index}: its key is of an unknown kind, not canonical, or keeps no secret"
    )]
    Key {
        /// The place in the list, from 0.
        index: u32,
    },
    /// The caller's info does not contain the commitment.
    #[error("cannot wrap for recipient {index}: its info lacks the key's commitment")]
    Unbound {
        /// The place in the list, from 0.
        index: u32,
    },
    /// The caller gives two recipients one info.
    #[error("cannot wrap for recipient {index}: another one before it has the same info")]
    Repeated {
        /// The place in the list, from 0.
        index: u32,
    },
}

impl CannotWrap {
    /// The stable number of this error in the module "wrap".
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Key { .. } => 1,
            Self::Unbound { .. } => 2,
            Self::Repeated { .. } => 3,
        }
    }
}

impl From<CannotWrap> for paralith_types::Error {
    fn from(error: CannotWrap) -> Self {
        Self::new("wrap", error.code(), error)
    }
}

/// Binds a content key and a URI: `hash(domains.commitment, [sk, uri])`. It tells nothing about the
/// key, which is random.
#[must_use]
pub fn key_commitment(domains: &WrapDomains, sk: &ContentKey, uri: &str) -> Hash {
    hash(domains.commitment, &[&sk.0, uri.as_bytes()])
}

/// Seals a content under its key. `info` names the place and the sender; it is bound, not contained.
///
/// AES-256-GCM-SIV with nonce 0: the key is derived for this content key and this `info` only.
#[must_use]
pub fn seal_content(
    domains: &WrapDomains,
    sk: &ContentKey,
    uri: &str,
    info: &[u8],
    plaintext: &[u8],
) -> SealedContent {
    let content = seal::seal(&content_key(domains, sk, info), &[0; 12], info, plaintext);
    SealedContent {
        content_hash: sha3::sha3_256(&content),
        content,
        key_commitment: key_commitment(domains, sk, uri),
    }
}

/// Opens what [`seal_content`] sealed under the same key and `info`.
pub fn open_content(
    domains: &WrapDomains,
    sk: &ContentKey,
    info: &[u8],
    content: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    seal::open(&content_key(domains, sk, info), &[0; 12], info, content)
}

fn content_key(domains: &WrapDomains, sk: &ContentKey, info: &[u8]) -> AeadKey {
    kdf::derive(&sk.0, b"", domains.content, &[info]).into()
}

/// Wraps content key and URI for each recipient, in order. The same arguments give the same bytes.
pub fn wrap<F: Fn(&Hash) -> Vec<u8>>(
    domains: &WrapDomains,
    sk: &ContentKey,
    uri: &str,
    to: &[Recipient<'_, F>],
) -> Result<Vec<Vec<u8>>, CannotWrap> {
    let commitment = key_commitment(domains, sk, uri);
    let plaintext = plaintext(sk, uri);
    let mut seen = BTreeSet::new();
    let wraps = (0_u32..).zip(to).map(|(index, to)| {
        let info = (to.info)(&commitment);
        if !info.windows(Hash::LEN).any(|part| part == commitment.0) {
            return Err(CannotWrap::Unbound { index });
        }
        let made = one(domains, sk, to.kem, to.key, &info, &plaintext);
        if !seen.insert(info) {
            return Err(CannotWrap::Repeated { index });
        }
        made.ok_or(CannotWrap::Key { index })
    });
    wraps.collect()
}

/// Opens a wrap, and compares the commitment with what is in it.
pub fn unwrap(
    domains: &WrapDomains,
    secret: &KemSecret,
    info: &[u8],
    wrap: &[u8],
    commitment: &Hash,
) -> Result<(ContentKey, String), CannotOpen> {
    let opened = hpke_open(secret, info, wrap)?;
    let (sk, uri) = read(&opened).ok_or(CannotOpen)?;
    // WR-2
    let is_bound = key_commitment(domains, &sk, uri) == *commitment;
    if is_bound { Ok((sk, uri.to_string())) } else { Err(CannotOpen) }
}

/// The first of the wraps that is not what [`wrap`] makes of these arguments, by its index: missing
/// and surplus ones too. `None`: all are right.
///
/// A wrap for a key that is not usable, or with an info that [`wrap`] refuses, is never right: check
/// keys when they are published.
#[must_use]
pub fn first_false_wrap<F: Fn(&Hash) -> Vec<u8>>(
    domains: &WrapDomains,
    sk: &ContentKey,
    uri: &str,
    to: &[Recipient<'_, F>],
    wraps: &[Vec<u8>],
) -> Option<u32> {
    let commitment = key_commitment(domains, sk, uri);
    let plaintext = plaintext(sk, uri);
    let is_false = |(to, wrap): (&Recipient<'_, F>, &Vec<u8>)| {
        let info = (to.info)(&commitment);
        one(domains, sk, to.kem, to.key, &info, &plaintext).as_ref() != Some(wrap)
    };
    let compared = to.len().min(wraps.len());
    let differs = to.iter().zip(wraps).position(is_false);
    let first = differs.or_else(|| (to.len() != wraps.len()).then_some(compared))?;
    Some(u32::try_from(first).unwrap_or(u32::MAX))
}

/// What one wrap is made of, for callers that seal by another implementation of HPKE, such as a guest by
/// its host: `hpke_seal` with this plaintext, this keying material and the same `info` gives the wrap.
#[derive(Clone)]
pub struct WrapParts {
    /// The plaintext.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The input keying material of the encapsulation.
    pub ikm: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for WrapParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrapParts(..)")
    }
}

/// The parts of one recipient's wrap.
#[must_use]
pub fn wrap_parts(domains: &WrapDomains, sk: &ContentKey, uri: &str, info: &[u8]) -> WrapParts {
    WrapParts { plaintext: plaintext(sk, uri), ikm: randomness(domains, sk, info) }
}

/// WR-1: the randomness depends on all that the plaintext and the recipient depend on.
fn randomness(domains: &WrapDomains, sk: &ContentKey, info: &[u8]) -> Zeroizing<[u8; 32]> {
    kdf::derive(&sk.0, b"", domains.wrap, &[info])
}

fn one(
    domains: &WrapDomains,
    sk: &ContentKey,
    kem: u32,
    key: &[u8],
    info: &[u8],
    plaintext: &[u8],
) -> Option<Vec<u8>> {
    hpke_seal(kem, key, info, plaintext, &randomness(domains, sk, info))
}

/// What a wrap contains: the canonical message `Wrap { bytes sk = 1; string uri = 2; }`.
fn plaintext(sk: &ContentKey, uri: &str) -> Zeroizing<Vec<u8>> {
    let mut message = Zeroizing::new(Vec::with_capacity(2 + 32 + 11 + uri.len()));
    message.extend_from_slice(&[0x0a, 32]);
    message.extend_from_slice(&sk.0);
    if !uri.is_empty() {
        message.push(0x12);
        message.extend_from_slice(&varint(uri.len()));
        message.extend_from_slice(uri.as_bytes());
    }
    message
}

/// Reads exactly what [`plaintext`] writes.
fn read(message: &[u8]) -> Option<(ContentKey, &str)> {
    let (sk, rest) = message.strip_prefix(&[0x0a, 32])?.split_first_chunk::<32>()?;
    let sk = ContentKey(*sk);
    if rest.is_empty() {
        return Some((sk, ""));
    }
    let rest = rest.strip_prefix(&[0x12])?;
    let digits = rest.iter().position(|byte| *byte < 0x80)?;
    let (len, uri) = rest.split_at_checked(digits.checked_add(1)?)?;
    let is_canonical = !uri.is_empty() && varint(uri.len()) == len;
    let uri = std::str::from_utf8(uri).ok().filter(|_| is_canonical)?;
    Some((sk, uri))
}

/// A number as protobuf writes it.
fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests;
