//! The one hash: SHA-256 under a domain.
//!
//! `hash(domain, parts) = SHA-256(len(domain) as u8 || domain || for each part: len as u64 big
//! endian || part)`.
//!
//! The framing is injective: two different lists of parts, or the same parts under two domains,
//! are never the same preimage. So a digest made for one purpose is worthless for every other.

use paralith_types::Hash;
use sha2::{Digest, Sha256};

/// What a hash, a signature or a derived key is for. Each purpose has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(&'static str);

impl Domain {
    /// A domain of this name, at most 255 bytes long. Make it a constant: a longer name then
    /// does not compile.
    ///
    /// # Panics
    /// When the name is longer than 255 bytes.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(name.len() <= 255, "a domain's name takes at most 255 bytes");
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// The length as one byte: `new` has made sure that it fits.
    pub(crate) const fn len_byte(self) -> u8 {
        self.0.len() as u8
    }
}

/// The hash of these parts under this domain.
#[must_use]
pub fn hash(domain: Domain, parts: &[&[u8]]) -> Hash {
    let mut hasher = Hasher::new(domain);
    for part in parts {
        hasher.part(part);
    }
    hasher.finish()
}

/// Plain SHA-256, for formats that others have fixed. New formats use [`hash`].
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// [`hash`] for parts that come one after another.
#[derive(Debug, Clone)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Starts under this domain.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        let mut state = Sha256::new();
        frame_domain(domain, &mut |bytes| state.update(bytes));
        Self(state)
    }

    /// Adds a part.
    pub fn part(&mut self, part: &[u8]) -> &mut Self {
        frame_part(part, &mut |bytes| self.0.update(bytes));
        self
    }

    /// The hash of the parts so far.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// The framing of this module, piece by piece: key derivation uses the same.
pub(crate) fn frame(domain: Domain, parts: &[&[u8]], write: &mut dyn FnMut(&[u8])) {
    frame_domain(domain, write);
    for part in parts {
        frame_part(part, write);
    }
}

fn frame_domain(domain: Domain, write: &mut dyn FnMut(&[u8])) {
    write(&[domain.len_byte()]);
    write(domain.name().as_bytes());
}

fn frame_part(part: &[u8], write: &mut dyn FnMut(&[u8])) {
    // usize is at most 64 bits on every target there is.
    write(&(part.len() as u64).to_be_bytes());
    write(part);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEST: Domain = Domain::new("paralith/test");

    #[test]
    fn sha256_is_sha256() {
        let cases = [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        for (input, digest) in cases {
            assert_eq!(hex::encode(sha256(input.as_bytes())), digest);
        }
    }

    #[test]
    fn the_framing_is_frozen() {
        let by_hand = b"\x0dparalith/test\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01c";
        assert_eq!(hash(TEST, &[b"ab", b"", b"c"]).0, sha256(by_hand));
        assert_eq!(hash(TEST, &[]).0, sha256(b"\x0dparalith/test"));
    }

    #[test]
    fn where_the_parts_are_cut_matters() {
        let all = [
            hash(TEST, &[]),
            hash(TEST, &[b""]),
            hash(TEST, &[b"ab"]),
            hash(TEST, &[b"a", b"b"]),
            hash(TEST, &[b"", b"ab"]),
            hash(TEST, &[b"ab", b""]),
            hash(Domain::new("paralith/other"), &[b"ab"]),
            hash(Domain::new(""), &[b"ab"]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "case {index}");
        }
    }

    #[test]
    fn the_longest_domain_is_one_of_255_bytes() {
        let longest: &'static str = Box::leak("x".repeat(255).into_boxed_str());
        assert_eq!(Domain::new(longest).len_byte(), 255);
        let longer: &'static str = Box::leak("x".repeat(256).into_boxed_str());
        assert!(std::panic::catch_unwind(|| Domain::new(longer)).is_err());
    }

    proptest! {
        #[test]
        fn in_one_go_or_part_by_part(parts: Vec<Vec<u8>>) {
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let mut hasher = Hasher::new(TEST);
            for part in &parts {
                hasher.part(part);
            }
            prop_assert_eq!(hasher.finish(), hash(TEST, &borrowed));
        }
    }
}
