use paralith_chaincode_core::EndorseError;
use paralith_chaincode_core::endorse::{Admitted, AnchorFacts, Facts, Me, Purpose, receive};
use paralith_chaincode_core::hashes::{place, sign_proposal, tx_id};
use paralith_chaincode_core::messages::{
    Event, MAX_CALL_BYTES, Message, Proposal, SignedProposal, Terms, Version,
};
use paralith_chaincode_core::respond::{Accesses, SealedResult};
use paralith_consensus_api::registry::Runtime;
use paralith_crypto::hash::Domain;
use paralith_policy::{CERTIFICATE_DOMAIN, Certificate};
use paralith_proto::Canonical;
use paralith_runtime_api::output::{Error, Output};
use paralith_types::*;

use crate::lab::*;

fn signed() -> SignedProposal {
    proposed(&client(), target(), call("bid")).signed
}

fn admit(bytes: &[u8], facts: Facts) -> Result<Admitted, EndorseError> {
    receive(&me(0), bytes)?.admit(facts)
}

fn code<T: std::fmt::Debug>(result: Result<T, EndorseError>) -> u32 {
    result.unwrap_err().code()
}

/// A proposal that is changed and signed again by its client.
fn changed(change: impl FnOnce(&mut Proposal)) -> Vec<u8> {
    let mut proposal = Proposal::decode(&signed().proposal).unwrap();
    change(&mut proposal);
    sign_proposal(&client(), &CHAIN, proposal.encode()).encode()
}

fn with_anchor(change: impl FnOnce(&mut AnchorFacts)) -> Facts {
    let mut anchor = at_anchor(0);
    change(&mut anchor);
    Facts { anchor: Some(anchor), ..facts(0) }
}

fn with_descriptor(change: impl FnOnce(&mut Runtime)) -> Facts {
    let mut runtime = descriptor(&terms());
    change(&mut runtime);
    with_anchor(|anchor| anchor.descriptor = Some(runtime.encode()))
}

fn with_terms(change: impl FnOnce(&mut Terms)) -> Facts {
    let mut terms = terms();
    change(&mut terms);
    with_descriptor(|runtime| runtime.terms = terms.encode())
}

#[test]
fn a_good_proposal_is_admitted_and_opens() {
    let proposed = proposed(&client(), target(), call("bid"));
    let admitted = admit(&proposed.signed.encode(), facts(0)).unwrap();
    assert_eq!(admitted.tx_id(), proposed.tx_id);
    let plaintext = admitted.open(Some(&epoch_key())).unwrap();
    assert_eq!(plaintext.call, call("bid"));
    assert_eq!(plaintext.reply_key, *proposed.reply_key);
}

#[test]
fn form_chain_application_and_signature_come_first() {
    let bytes = signed().encode();
    assert_eq!(code(receive(&me(0), b"x")), 1);
    assert_eq!(code(receive(&me(0), &[bytes.as_slice(), &[0x20, 0]].concat())), 1);
    assert_eq!(code(receive(&me(0), &vec![0; MAX_CALL_BYTES * 2])), 1);
    assert_eq!(code(receive(&me(0), &changed(|p| p.version = 2))), 1);
    let elsewhere = Me { chain: ChainContext([9; 32]), ..me(0) };
    assert_eq!(code(receive(&elsewhere, &bytes)), 2);
    let other = Me { application: RuntimeId([9; 32]), ..me(0) };
    assert_eq!(code(receive(&other, &bytes)), 3);
    let mut stolen = signed();
    stolen.public_key = key(51).public();
    assert_eq!(code(receive(&me(0), &stolen.encode())), 4);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(receive(&me(0), &changed).is_err(), "byte {at}");
    }
}

#[test]
fn each_fact_that_does_not_hold_is_refused_with_its_code() {
    let bytes = signed().encode();
    let no = |facts| code(admit(&bytes, facts));
    assert_eq!(no(Facts { fresh: false, ..facts(0) }), 5);
    assert_eq!(no(with_anchor(|a| a.enclave = None)), 6);
    let record = |change: &dyn Fn(&mut paralith_consensus_api::registry::Enclave)| {
        let mut enclave = enclave(0);
        change(&mut enclave);
        with_anchor(|a| a.enclave = Some(enclave.encode()))
    };
    assert_eq!(no(record(&|e| e.expires_height = ANCHOR)), 6);
    assert_eq!(no(record(&|e| e.measurement = Hash([9; 32]))), 6);
    assert_eq!(no(record(&|e| e.code = None)), 6);
    assert_eq!(no(record(&|e| e.entity_id = key(9).public())), 6);
    assert_eq!(no(with_anchor(|a| a.registered_rak = Some(rak(1).public()))), 7);
    assert_eq!(no(Facts { anchor: None, ..facts(0) }), 8);
    assert_eq!(no(Facts { newest: Height(499), ..facts(0) }), 8);
    assert_eq!(no(Facts { newest: Height(551), ..facts(0) }), 9);
    assert!(admit(&bytes, Facts { newest: Height(550), ..facts(0) }).is_ok());
    assert_eq!(no(with_descriptor(|r| r.sequence = 5)), 10);
    assert_eq!(no(with_descriptor(|r| r.code.as_mut().unwrap().id = CodeId([9; 32]))), 11);
    assert_eq!(no(with_anchor(|a| a.ledger = None)), 24);
    let unapproved = Runtime { approval: None, ..descriptor(&terms()) }.encode();
    assert_eq!(no(with_anchor(|a| a.ledger = Some(unapproved))), 24);
    assert_eq!(no(with_terms(|t| t.ledger = RuntimeId([9; 32]))), 25);
    assert_eq!(no(with_anchor(|a| a.descriptor = None)), 26);
    assert_eq!(no(with_descriptor(|r| r.terms = vec![1])), 26);
    assert_eq!(no(with_descriptor(|r| r.approval = None)), 26);
    assert_eq!(no(with_anchor(|a| a.epoch = Epoch(5))), 18);
    assert_eq!(no(with_anchor(|a| a.epoch = Epoch(8))), 18);
    assert!(admit(&bytes, with_anchor(|a| a.epoch = Epoch(7))).is_ok());
    for (valid_until, admitted) in [(500, false), (501, true), (600, true), (601, false)] {
        let result = admit(&changed(|p| p.valid_until = Height(valid_until)), facts(0));
        assert_eq!(result.as_ref().map_err(EndorseError::code).err(), (!admitted).then_some(12));
    }
}

#[test]
fn the_first_of_several_faults_is_the_answer() {
    let mut bad = with_terms(|t| {
        t.ledger = RuntimeId([9; 32]);
        t.issuers = vec![key(52).public()];
    });
    let bytes = changed(|p| {
        p.valid_until = Height(0);
        p.envelope.epoch = Epoch(0);
    });
    let anchor = |bad: &mut Facts, change: &dyn Fn(&mut AnchorFacts)| {
        change(bad.anchor.as_mut().unwrap());
    };
    anchor(&mut bad, &|a| {
        (a.ledger, a.enclave) = (None, None);
        a.registered_rak = Some(rak(2).public());
    });
    let mut order = Vec::new();
    bad.fresh = false;
    order.push(code(admit(&bytes, bad.clone())));
    bad.fresh = true;
    order.push(code(admit(&bytes, bad.clone())));
    let mut terms = terms();
    terms.issuers = vec![key(52).public()];
    let good = descriptor(&terms).encode();
    anchor(&mut bad, &|a| a.descriptor = Some(good.clone()));
    order.push(code(admit(&bytes, bad.clone())));
    anchor(&mut bad, &|a| a.ledger = at_anchor(0).ledger);
    order.push(code(admit(&bytes, bad.clone())));
    anchor(&mut bad, &|a| a.registered_rak = None);
    order.push(code(admit(&bytes, bad.clone())));
    anchor(&mut bad, &|a| a.enclave = at_anchor(0).enclave);
    order.push(code(admit(&bytes, bad.clone())));
    let bytes = changed(|p| p.envelope.epoch = Epoch(0));
    order.push(code(admit(&bytes, bad)));
    assert_eq!(order, [5, 25, 24, 7, 6, 12, 13]);
}

fn certificate(change: impl FnOnce(&mut Certificate)) -> Certificate {
    let issuer = key(52);
    let mut certificate = Certificate {
        version: 1,
        issuer: issuer.public(),
        subject: client().public(),
        scope: APPLICATION.0,
        attributes: String::new(),
        serial: 3,
        not_before: Height(500),
        not_after: Height(501),
        signature: Signature([0; 64]),
    };
    change(&mut certificate);
    let domain = Domain::new(CERTIFICATE_DOMAIN);
    certificate.signature = issuer.sign(domain, &CHAIN, &certificate.message());
    certificate
}

#[test]
fn a_certificate_is_asked_for_where_there_are_issuers() {
    let facts = || with_terms(|t| t.issuers = vec![key(52).public()]);
    let with = |c: Option<Certificate>| admit(&changed(|p| p.certificate = c), facts());
    assert!(with(Some(certificate(|_| {}))).is_ok());
    assert_eq!(code(with(None)), 13);
    assert_eq!(code(with(Some(certificate(|c| c.issuer = key(53).public())))), 13);
    let mut forged = certificate(|_| {});
    forged.serial += 1;
    assert_eq!(code(with(Some(forged.clone()))), 13);
    assert_eq!(code(with(Some(certificate(|c| c.scope = [9; 32])))), 14);
    assert_eq!(code(with(Some(certificate(|c| c.subject = key(53).public())))), 15);
    assert_eq!(code(with(Some(certificate(|c| c.not_before = Height(501))))), 16);
    assert_eq!(code(with(Some(certificate(|c| c.not_after = Height(500))))), 16);
    let mut revoked = facts();
    revoked.anchor.as_mut().unwrap().certificate_revoked = true;
    let bytes = changed(|p| p.certificate = Some(certificate(|_| {})));
    assert_eq!(code(admit(&bytes, revoked)), 17);
    // Where there are none, it is ignored.
    assert!(admit(&changed(|p| p.certificate = Some(forged)), self::facts(0)).is_ok());
}

#[test]
fn an_envelope_opens_for_its_sender_application_and_epoch_alone() {
    let admitted = admit(&signed().encode(), facts(0)).unwrap();
    assert_eq!(code(admitted.open(None)), 19);
    let other = paralith_crypto::hpke::HpkeSecret::from_ikm(&[41; 32]);
    assert_eq!(code(admitted.open(Some(&other))), 19);
    // Another sender signs the envelope as its own.
    let stolen = Proposal::decode(&signed().proposal).unwrap();
    let stolen = sign_proposal(&key(51), &CHAIN, stolen.encode()).encode();
    assert_eq!(code(admit(&stolen, facts(0)).unwrap().open(Some(&epoch_key()))), 19);
    // The epoch that it names is not the one it is sealed to.
    let moved = changed(|p| p.envelope.epoch = Epoch(5));
    assert_eq!(code(admit(&moved, facts(0)).unwrap().open(Some(&epoch_key()))), 19);
}

#[test]
fn the_state_is_prepared_once_by_an_organisation() {
    let by = |key: &paralith_crypto::ed25519::SigningKey| {
        let signed = proposed(key, target(), call("x")).signed;
        admit(&signed.encode(), facts(0)).unwrap()
    };
    let (anybody, organisation) = (by(&client()), by(&organisations()[1]));
    let (own, other) = (CODE.0, [9; 32]);
    let ask = |who: &Admitted, method: &str, marker: Option<&[u8]>| {
        who.admit_call(&call(method), marker).map_err(|e| e.code())
    };
    assert_eq!(ask(&anybody, "bid", Some(&own)), Ok(Purpose::Execute));
    assert_eq!(ask(&organisation, "app.init", None), Ok(Purpose::Init));
    assert_eq!(ask(&organisation, "app.migrate", Some(&other)), Ok(Purpose::Migrate));
    for (who, method, marker, expected) in [
        (&anybody, "bid", None, 20),
        (&organisation, "app.migrate", None, 20),
        (&anybody, "bid", Some(&other[..]), 20),
        (&organisation, "app.init", Some(&other[..]), 20),
        (&anybody, "app.init", None, 21),
        (&anybody, "app.migrate", Some(&other[..]), 21),
        (&organisation, "app.init", Some(&own[..]), 21),
        (&organisation, "app.migrate", Some(&own[..]), 21),
    ] {
        assert_eq!(ask(who, method, marker), Err(expected), "{method} {marker:?}");
    }
}

fn seal(output: &Output) -> Result<SealedResult, ()> {
    Ok(SealedResult { sealed_output: output.encode(), commitment: Hash([1; 32]) })
}

fn accesses(value: usize) -> Accesses {
    let mut accesses = Accesses::default();
    for number in (0..20_u8).rev() {
        accesses.reads.insert(Hash([number; 32]), Some(Version { round: 1, position: 2 }));
    }
    accesses.writes.insert(Hash([1; 32]), Some(vec![0; value]));
    accesses.events.push(Event { topic: "t".into(), data: Vec::new() });
    accesses.commit_before = Some(Height(7));
    accesses
}

#[test]
fn a_failed_call_has_no_effect_and_a_long_one_fails() {
    let admitted = admit(&signed().encode(), facts(0)).unwrap();
    let respond = |value, output| admitted.respond(accesses(value), output, seal).unwrap();
    let done = respond(10, Output::Ok(b"x".to_vec()));
    assert_eq!((done.response.reads.len(), done.response.writes.len()), (20, 1));
    assert_eq!(done.response.commit_before, Height(7));
    assert_eq!(done.response.check(), Ok(()));
    let error = |message: String| Output::Error(Error { module: "m".into(), code: 1, message });
    let failed = respond(10, error("no".into()));
    assert_eq!((failed.response.reads.len(), failed.response.is_empty()), (20, true));
    assert_eq!(failed.response.commit_before, Height(0));
    let limit = terms().max_response_bytes as usize;
    for long in [
        respond(limit, Output::Ok(Vec::new())),
        respond(10, Output::Ok(vec![0; limit])),
        respond(10, error("x".repeat(limit))),
    ] {
        assert!(long.response.is_empty() && long.response.bytes().len() <= limit);
        assert!(matches!(long.output, Output::Error(Error { code: 27, .. })));
        assert_eq!(long.response.reads.len(), 20);
    }
    let mut many = accesses(1);
    for number in 0..1000_u32 {
        let mut index = [0; 32];
        index[..4].copy_from_slice(&number.to_be_bytes());
        many.reads.insert(Hash(index), None);
    }
    let dropped = admitted.respond(many, Output::Ok(Vec::new()), seal).unwrap();
    assert!(dropped.response.is_empty() && dropped.response.reads.is_empty());
}

#[test]
fn hashes_are_frozen() {
    let signed = SignedProposal {
        proposal: b"proposal".to_vec(),
        public_key: PublicKey([1; 32]),
        signature: Signature([2; 64]),
    };
    let sha = paralith_crypto::hash::sha256;
    assert_eq!(tx_id(&signed).0, sha(&signed.tx_id_preimage()));
    let preimage = paralith_chaincode_core::messages::framed(
        "paralith/chaincode/place/v1",
        &[&[3; 32], &[4; 32]],
    );
    assert_eq!(place(&Hash([3; 32]), &Hash([4; 32])).0, sha(&preimage));
    let response = paralith_chaincode_core::messages::Response::hash_preimage(b"r");
    assert_eq!(paralith_chaincode_core::hashes::response_hash(b"r").0, sha(&response));
}
