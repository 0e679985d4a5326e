//! Records are blind, openings show what they were made for, and none counts twice.

use paralith_cosigner_core::opening::{Opened, Opening, Record, open, open_all};
use paralith_cosigner_core::owner::Blinding;
use paralith_cosigner_core::{
    CosignerError, Curve, Ed25519, Federation, Scalar, Secp256k1, Secret,
};
use proptest::prelude::*;

use crate::lab::{Form, Lab, Signed, Verifies, refused, secret, set_of};

fn record<C: Curve>(signed: &Signed<C>) -> Record<C> {
    Record { nonce: *signed.session.nonce(), challenge: signed.challenge }
}

fn openings_show_all_signatures<C: Verifies>(seed: u64, messages: &[Vec<u8>]) {
    let federation = Federation::new(4, 2).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, seed);
    for form in C::FORMS {
        let mut signed = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            // Openings of before an update hold after it: they are under P.
            if number == 1 {
                lab.update();
            }
            signed.push(lab.sign(&set_of(federation, seed.rotate_left(7)), *form, message));
        }
        let records: Vec<Record<C>> = signed.iter().map(record).collect();
        let openings: Vec<Opening<'_, C>> = signed
            .iter()
            .zip(messages)
            .map(|(signed, message)| Opening { blinding: &signed.blinding, message })
            .collect();
        let key = lab.joint_key(*form);
        let opened = open_all(&key, &records, &openings).unwrap();
        for ((opened, signed), message) in opened.iter().zip(&signed).zip(messages) {
            let nonce = signed.signature[..32].try_into().unwrap();
            assert_eq!(*opened, Opened { nonce, message: message.clone() });
        }
        let last = messages.len() - 1;
        let swapped = Opening { message: b"another", ..openings[last] };
        let mut other = openings.clone();
        other[last] = swapped;
        let refusal = CosignerError::Opening { number: last };
        refused(open_all(&key, &records, &other), refusal.clone());
        let strange = Blinding::new(secret(seed, "x", 0), secret(seed, "x", 1));
        other[last] = Opening { blinding: &strange, ..openings[last] };
        refused(open_all(&key, &records, &other), refusal);
        let count = CosignerError::Count {
            what: "openings",
            expected: messages.len(),
            got: messages.len() - 1,
        };
        refused(open_all(&key, &records, &openings[..last]), count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn openings_show_all_signatures_on_both_curves(
        seed: u64,
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..4),
    ) {
        openings_show_all_signatures::<Secp256k1>(seed, &messages);
        openings_show_all_signatures::<Ed25519>(seed, &messages);
    }
}

/// The owner's secret opens a record to any valid signature: b = c - gR gQ gP e, and r2 = gR (s - gQ e t)
/// - s1 - c o. The signs and t are found by trial.
fn opening_to<C: Verifies>(
    lab: &Lab<C>,
    form: Form,
    record: &Signed<C>,
    message: &[u8],
    signature: &[u8; 64],
) -> Blinding<C> {
    let key = lab.joint_key(form);
    let number = |bytes: &[u8]| C::scalar_from_bytes(bytes.try_into().unwrap()).unwrap();
    let minus = |a: &C::Scalar, b: &C::Scalar| C::add_scalars(a, &C::negate_scalar(b));
    let nonce: [u8; 32] = signature[..32].try_into().unwrap();
    let e = C::challenge(&nonce, &key.verifying_key(), message);
    let (s, c) = (number(&signature[32..]), number(&record.challenge.to_bytes()));
    let owner = number(&*lab.owner.to_bytes());
    let rest = C::add_scalars(&number(&record.sum.to_bytes()), &C::multiply_scalars(&c, &owner));
    let tweak = match form {
        Form::Plain => C::scalar_from_u64(0),
        Form::Taproot => {
            let tag = paralith_crypto::sha256(b"TapTweak");
            let joint = lab.joint.signed_form();
            number(&paralith_crypto::sha256(&[&tag[..], &tag, &joint].concat()))
        }
    };
    let signs = |scalar: &C::Scalar| [*scalar, C::negate_scalar(scalar)];
    let shift = C::multiply_scalars(&e, &tweak);
    for signed_e in signs(&e) {
        for signed_shift in signs(&shift) {
            for r0 in signs(&minus(&s, &signed_shift)) {
                let scalar = |x: C::Scalar| Secret::from_bytes(&C::scalar_to_bytes(&x));
                let (Ok(r2), Ok(b)) = (scalar(minus(&r0, &rest)), scalar(minus(&c, &signed_e)))
                else {
                    continue;
                };
                let blinding = Blinding::new(r2, b);
                let opening = Opening { blinding: &blinding, message };
                let record = self::record(record);
                if open(&key, &record, &opening).is_ok_and(|opened| opened.nonce == nonce) {
                    return blinding;
                }
            }
        }
    }
    panic!("the record does not open to the signature");
}

fn a_record_is_independent_of_its_signature<C: Verifies>(seed: u64) {
    let federation = Federation::new(3, 2).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, seed);
    let set = set_of(federation, seed);
    for form in C::FORMS {
        let hidden = lab.sign(&set, *form, b"a theft");
        let harmless = lab.sign(&set, *form, b"harmless");
        let records = [record(&hidden), record(&harmless)];

        // Perfectly blind: the record of the one opens to the signature of the other.
        let forged = opening_to(&lab, *form, &hidden, b"harmless", &harmless.signature);
        let first = Opening { blinding: &forged, message: b"harmless" };
        let second = Opening { blinding: &harmless.blinding, message: b"harmless" };
        let key = lab.joint_key(*form);
        let opened = open(&key, &records[0], &first).unwrap();
        assert_eq!(opened, open(&key, &records[1], &second).unwrap());
        // So one signature would stand for two records, and hide the other: refused.
        refused(
            open_all(&key, &records, &[first, second]),
            CosignerError::OpenedTwice { first: 0, second: 1 },
        );
        let honest = Opening { blinding: &hidden.blinding, message: b"a theft" };
        open_all(&key, &records, &[honest, second]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_record_is_independent_of_its_signature_on_both_curves(seed: u64) {
        a_record_is_independent_of_its_signature::<Secp256k1>(seed);
        a_record_is_independent_of_its_signature::<Ed25519>(seed);
    }
}

#[test]
fn blindings_are_read_as_scalars() {
    let blinding = Blinding::<Ed25519>::new(secret(1, "r2", 0), secret(1, "b", 0));
    let (r2, b) = blinding.to_bytes();
    assert_eq!(Blinding::from_bytes(&r2, &b).unwrap(), blinding);
    for bad in [[0; 32], [0xff; 32]] {
        refused(Blinding::<Ed25519>::from_bytes(&bad, &b), CosignerError::Scalar);
        refused(Blinding::<Ed25519>::from_bytes(&r2, &bad), CosignerError::Scalar);
        refused(Blinding::<Secp256k1>::from_bytes(&bad, &bad), CosignerError::Scalar);
    }
    let scalar: Scalar<Ed25519> = Scalar::from_bytes(&r2).unwrap();
    assert_eq!(scalar.to_bytes(), *r2);
}
