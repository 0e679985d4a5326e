//! Shares and coefficients are those of another implementation: FROST signs with this crate's shares, and
//! this crate with those of FROST's dealer. Signing itself differs, so no more than that is compared.

use std::collections::BTreeMap;

use frost_secp256k1::keys::{
    IdentifierList, KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare,
    generate_with_dealer,
};
use frost_secp256k1::rand_core::{CryptoRng, Error, RngCore};
use frost_secp256k1::{Identifier, SigningPackage, VerifyingKey, aggregate, round1, round2};
use paralith_cosigner_core::{Federation, Member, Point, Secp256k1, Secret, Share, SharedKey};
use proptest::prelude::*;

use crate::lab::{Form, Lab, Verifies, federations, set_of};

/// SHA-256 of a counter.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.0 = self.0.wrapping_add(1);
            let block = paralith_crypto::sha256(&self.0.to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Counter {}

fn identifier(member: Member) -> Identifier {
    Identifier::try_from(u16::from(member.number())).unwrap()
}

fn frost_signs_with(key: &SharedKey<Secp256k1>, shares: &[Share<Secp256k1>], choice: u64) {
    let federation = key.federation();
    let threshold = u16::from(federation.threshold());
    let server_key = VerifyingKey::deserialize(&key.server_key().to_bytes()).unwrap();
    let public: BTreeMap<Identifier, VerifyingShare> = federation
        .all()
        .zip(key.shares())
        .map(|(member, share)| (identifier(member), share.to_bytes()))
        .map(|(identifier, share)| (identifier, VerifyingShare::deserialize(&share).unwrap()))
        .collect();
    let set = set_of(federation, choice);
    let mut random = Counter(choice);
    let (mut kept, mut commitments) = (Vec::new(), BTreeMap::new());
    for member in set.members() {
        let share = &shares[usize::from(member.number() - 1)];
        let share = SigningShare::deserialize(&*share.secret().to_bytes()).unwrap();
        let (nonces, commitment) = round1::commit(&share, &mut random);
        let id = identifier(*member);
        commitments.insert(id, commitment);
        kept.push((id, nonces, KeyPackage::new(id, share, public[&id], server_key, threshold)));
    }
    let package = SigningPackage::new(commitments, b"a message");
    let answers: BTreeMap<_, _> = kept
        .iter()
        .map(|(id, nonces, key)| (*id, round2::sign(&package, nonces, key).unwrap()))
        .collect();
    let public = PublicKeyPackage::new(public, server_key, Some(threshold));
    // It checks each member's answer against its public share, and the signature against S.
    let signature = aggregate(&package, &answers, &public).unwrap();
    server_key.verify(b"a message", &signature).unwrap();
}

/// A lab with the shares of FROST's dealer.
fn dealt_by_frost(federation: Federation, seed: u64) -> Lab<Secp256k1> {
    let (members, threshold) = (federation.members().into(), federation.threshold().into());
    let list = IdentifierList::Default;
    let (secret, public) = generate_with_dealer(members, threshold, list, Counter(seed)).unwrap();
    let share = |member: Member| {
        let share = secret[&identifier(member)].signing_share().serialize();
        Share::new(member, Secret::from_bytes(&share.try_into().unwrap()).unwrap())
    };
    let point = |bytes: Vec<u8>| Point::<Secp256k1>::from_bytes(&bytes).unwrap();
    let public_share =
        |member: Member| point(public.verifying_shares()[&identifier(member)].serialize().unwrap());
    let server_key = point(public.verifying_key().serialize().unwrap());
    let shares = federation.all().map(public_share).collect();
    let mut lab = Lab::new(federation, 0, seed);
    lab.key = SharedKey::new(federation, server_key, shares).unwrap();
    lab.shares = federation.all().map(share).collect();
    lab.joint = server_key.add(&lab.owner.public()).unwrap();
    lab
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn frost_signs_with_these_shares(federation in federations(), seed: u64) {
        let mut lab = Lab::<Secp256k1>::new(federation, 0, seed);
        frost_signs_with(&lab.key, &lab.shares, seed);
        lab.update();
        frost_signs_with(&lab.key, &lab.shares, seed);
    }

    #[test]
    fn the_shares_of_frost_sign_here(federation in federations(), seed in 0..u64::MAX / 2) {
        let mut lab = dealt_by_frost(federation, seed);
        let signature = lab.sign(&set_of(federation, seed), Form::Taproot, b"m").signature;
        let key = lab.joint_key(Form::Taproot).verifying_key();
        prop_assert!(Secp256k1::verifies(&key, b"m", &signature));
    }
}
