//! What a certificate says, and to whom.

use paralith_policy::{Certificate, CertificateError, MAX_ATTRIBUTES_BYTES};
use paralith_types::{Error, Height, PublicKey, Retry};
use proptest::prelude::*;

use crate::golden::certificate;

const NOW: Height = Height(10);

#[test]
fn it_is_valid_for_its_scope_and_subject_between_its_heights() {
    let good = certificate();
    let check =
        |certificate: &Certificate, now| certificate.check(&good.scope, &good.subject, Height(now));
    assert_eq!(check(&good, 10), Ok(()));
    assert_eq!(check(&good, 19), Ok(()));
    let not_before = CertificateError::NotYetValid { not_before: Height(10), now: Height(9) };
    assert_eq!(check(&good, 9), Err(not_before));
    let not_after = CertificateError::Expired { not_after: Height(20), now: Height(20) };
    assert_eq!(check(&good, 20), Err(not_after));
    let never = Certificate { not_after: Height(10), ..good.clone() };
    assert!((0..30).all(|now| check(&never, now).is_err()));
}

#[test]
fn each_fault_has_its_error() {
    let good = certificate();
    let longest = "x".repeat(MAX_ATTRIBUTES_BYTES);
    let fine = Certificate { attributes: longest.clone(), ..good };
    assert_eq!(fine.check(&good.scope, &good.subject, NOW), Ok(()));
    let long = Certificate { attributes: longest + "x", ..good };
    let long = long.check(&good.scope, &good.subject, NOW);
    assert_eq!(long, Err(CertificateError::Attributes { got: 256 }));
    for version in [0, 2] {
        let other = Certificate { version, ..good.clone() };
        let refused = other.check(&good.scope, &good.subject, NOW);
        assert_eq!(refused, Err(CertificateError::Version { got: version }));
    }
    assert_eq!(good.check(&[0; 32], &good.subject, NOW), Err(CertificateError::Scope));
    let other = good.check(&good.scope, &PublicKey([0; 32]), NOW);
    assert_eq!(other, Err(CertificateError::Subject { subject: good.subject }));
}

#[test]
fn only_a_certificate_that_is_too_early_may_be_shown_again() {
    let early = CertificateError::NotYetValid { not_before: Height(10), now: Height(9) };
    let late = CertificateError::Expired { not_after: Height(10), now: Height(10) };
    assert_eq!(Error::from(early.clone()).retry, Retry::Later);
    assert_eq!(Error::from(late).retry, Retry::Never);
    assert!(Error::from(early).is("certificate", 6));
}

#[test]
fn no_other_bytes_are_read_as_a_certificate() {
    let good = certificate().encode();
    for len in 0..good.len() {
        assert!(Certificate::decode(&good[..len]).is_err(), "{len} bytes");
    }
    // An unknown field, a default that is written, a number that is written too long.
    for more in [&[0x50, 1][..], &[0x4a, 0], &[0x40, 0x14]] {
        assert!(Certificate::decode(&[good.as_slice(), more].concat()).is_err(), "{more:?}");
    }
    let long = Certificate { attributes: "x".repeat(2000), ..certificate() }.encode();
    assert!(Certificate::decode(&long).is_err());
}

proptest! {
    #[test]
    fn bytes_are_one_certificate_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(certificate) = Certificate::decode(&bytes) {
            prop_assert_eq!(certificate.encode(), bytes);
        }
    }

    #[test]
    fn no_changed_byte_gives_the_same_certificate(at: prop::sample::Index, by in 1_u8..) {
        let mut bytes = certificate().encode();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        if let Ok(other) = Certificate::decode(&bytes) {
            prop_assert_ne!(&other, &certificate());
            prop_assert_eq!(other.encode(), bytes);
        }
    }
}
