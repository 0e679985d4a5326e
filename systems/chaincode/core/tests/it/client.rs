use paralith_chaincode_core::collect::{Answer, Expected, collect};
use paralith_chaincode_core::endorse::receive;
use paralith_chaincode_core::hashes::{endorse, place, response_hash};
use paralith_chaincode_core::messages::state::Committed;
use paralith_chaincode_core::messages::{Message, OpenedOutput, Proposal, Response, Version};
use paralith_chaincode_core::propose::{Proposed, Randomness, propose};
use paralith_chaincode_core::release::{ReleaseFacts, admit, open};
use paralith_chaincode_core::respond::{Accesses, SealedResult};
use paralith_chaincode_core::retry::{Next, after};
use paralith_chaincode_core::{ClientError, EndorseError};
use paralith_proto::Canonical;
use paralith_runtime_api::envelope::seal_reply;
use paralith_runtime_api::output::{Output, SealedReply, commitment};
use paralith_types::*;

use crate::lab::*;

const BLINDING: Hash = Hash([70; 32]);

/// The response of an honest endorser, and what it will release.
pub(crate) fn respond(proposed: &Proposed, accesses: Accesses) -> (Vec<u8>, OpenedOutput) {
    let admitted = receive(&me(0), &proposed.signed.encode()).unwrap().admit(facts(0)).unwrap();
    let plaintext = admitted.open(Some(&epoch_key())).unwrap();
    let (round, place) = (admitted.snapshot().round, admitted.place());
    let reply = |output: &Output| {
        let key = &plaintext.reply_key;
        let sealed = seal_reply(key, &admitted.tx_id(), round, &place, &output.encode());
        SealedReply { sealed }.encode()
    };
    let seal = |output: &Output| -> Result<_, ()> {
        let commitment = commitment(&BLINDING, &reply(output));
        Ok(SealedResult { sealed_output: vec![1; 80], commitment })
    };
    let output = Output::Ok(b"secret".to_vec());
    let responded = admitted.respond(accesses, output, seal).unwrap();
    let output = reply(&responded.output);
    let opened = OpenedOutput { tx_id: admitted.tx_id(), blinding: BLINDING, output };
    (responded.response.bytes().to_vec(), opened)
}

fn answer(organisation: usize, response: &[u8]) -> Answer {
    Answer {
        response: response.to_vec(),
        endorsement: endorse(&rak(organisation), &CHAIN, response),
        record: Some(enclave(organisation).encode()),
    }
}

fn bid() -> Proposed {
    proposed(&client(), target(), call("bid"))
}

fn collected(
    proposed: &Proposed,
    answers: &[Answer],
) -> Result<paralith_chaincode_core::messages::NewCommit, ClientError> {
    let (proposal, definition) =
        (Proposal::decode(&proposed.signed.proposal).unwrap(), definition());
    let expected = Expected {
        chain: &CHAIN,
        proposal: &proposal,
        tx_id: proposed.tx_id,
        definition: &definition,
        now: Height(510),
    };
    collect(&expected, answers)
}

#[test]
fn equal_answers_of_enough_organisations_make_a_commit() {
    let proposed = bid();
    let (response, _) = respond(&proposed, Accesses::default());
    let answers: Vec<Answer> = (0..3).map(|n| answer(n, &response)).collect();
    let commit = collected(&proposed, &answers).unwrap();
    assert_eq!((commit.response, commit.endorsements.len()), (response, 2));
    assert_eq!(collected(&proposed, &answers[..1]).unwrap_err().code(), 4);
    let twice = [answers[0].clone(), answers[0].clone()];
    assert_eq!(collected(&proposed, &twice).unwrap_err().code(), 4);
}

#[test]
fn false_answers_do_not_count_and_do_not_hinder() {
    let proposed = bid();
    let (response, _) = respond(&proposed, Accesses::default());
    let changed = |change: &dyn Fn(&mut Response)| {
        let mut response = Response::decode(&response).unwrap();
        change(&mut response);
        answer(2, &response.encode())
    };
    let mut forged = answer(2, &response);
    forged.endorsement.signature.0[0] ^= 1;
    let unknown = Answer { record: None, ..answer(2, &response) };
    let mut expired = answer(2, &response);
    let record =
        paralith_consensus_api::registry::Enclave { expires_height: Height(510), ..enclave(2) };
    expired.record = Some(record.encode());
    for bad in [
        forged,
        unknown,
        expired,
        answer(2, b"x"),
        changed(&|r| r.tx_id = Hash([9; 32])),
        changed(&|r| r.application = RuntimeId([9; 32])),
        changed(&|r| r.anchor = Height(1)),
        changed(&|r| r.valid_until = Height(9_999)),
        changed(&|r| r.code_id = CodeId([9; 32])),
    ] {
        let error = collected(&proposed, &[answer(0, &response), bad.clone()]).unwrap_err();
        assert_eq!(error.code(), 4, "{error}");
        let answers = [bad, answer(0, &response), answer(1, &response)];
        assert_eq!(collected(&proposed, &answers).unwrap().response, response);
    }
    let liar = changed(&|r| r.sealed_output = vec![2]);
    let error = collected(&proposed, &[answer(0, &response), liar.clone()]).unwrap_err();
    assert_eq!(error.code(), 5);
    let answers = [liar, answer(0, &response), answer(1, &response)];
    assert_eq!(collected(&proposed, &answers).unwrap().response, response);
}

#[test]
fn honest_endorsers_give_equal_bytes() {
    let proposed = bid();
    let responses: Vec<Vec<u8>> = (0..3)
        .map(|organisation| {
            let received = receive(&me(organisation), &proposed.signed.encode()).unwrap();
            let admitted = received.admit(facts(organisation)).unwrap();
            let seal = |output: &Output| -> Result<_, ()> {
                let commitment = commitment(&BLINDING, &output.encode());
                Ok(SealedResult { sealed_output: vec![1], commitment })
            };
            let responded = admitted.respond(Accesses::default(), Output::Ok(vec![]), seal);
            responded.unwrap().response.bytes().to_vec()
        })
        .collect();
    assert!(responses.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn an_output_is_released_when_its_own_response_is_committed() {
    let proposed = bid();
    let (response, opened) = respond(&proposed, Accesses::default());
    let record = Committed {
        version: Version { round: 40, position: 0 },
        application: APPLICATION,
        response: response_hash(&response),
    };
    let facts = |committed: Option<Committed>| ReleaseFacts {
        fresh: true,
        descriptor: at_anchor(0).descriptor,
        ledger: at_anchor(0).ledger,
        committed: committed.map(|record| record.to_bytes()),
    };
    let ask = |facts: ReleaseFacts| {
        admit(&me(0), response.clone(), &facts).map_err(|e: EndorseError| e.code())
    };
    let decoded = ask(facts(Some(record))).unwrap().into_value();
    assert_eq!(ask(facts(None)).unwrap_err(), 22);
    let other = Committed { response: Hash([9; 32]), ..record };
    assert_eq!(ask(facts(Some(other))).unwrap_err(), 23);
    let other = Committed { application: RuntimeId([9; 32]), ..record };
    assert_eq!(ask(facts(Some(other))).unwrap_err(), 23);
    assert_eq!(ask(ReleaseFacts { ledger: None, ..facts(Some(record)) }).unwrap_err(), 24);
    assert_eq!(ask(ReleaseFacts { descriptor: None, ..facts(Some(record)) }).unwrap_err(), 26);
    // Somebody's own ledger has an approval, and a record of a response that names it: the same
    // sealed output, which was never committed on the application's ledger.
    let mut diverted = Response::decode(&response).unwrap();
    diverted.ledger = RuntimeId([9; 32]);
    let diverted = diverted.encode();
    let record = Committed { response: response_hash(&diverted), ..record };
    let refused = admit(&me(0), diverted, &facts(Some(record))).unwrap_err();
    assert_eq!(refused.code(), 25);
    assert_eq!(ask(ReleaseFacts { fresh: false, ..facts(Some(record)) }).unwrap_err(), 5);

    assert_eq!(decoded.tx_id, proposed.tx_id);
    assert_eq!(open(&decoded, &opened, &proposed.reply_key), Ok(Output::Ok(b"secret".to_vec())));
    assert_eq!(open(&decoded, &opened, &[9; 32]), Err(ClientError::CannotOpen));
    let moved = OpenedOutput { blinding: Hash([9; 32]), ..opened.clone() };
    assert_eq!(open(&decoded, &moved, &proposed.reply_key), Err(ClientError::OtherOutput));
    // A reply does not open under another transaction, even where a response commits to it.
    let other = Response { tx_id: Hash([9; 32]), ..decoded };
    let moved = OpenedOutput { tx_id: Hash([9; 32]), ..opened };
    assert_eq!(open(&other, &moved, &proposed.reply_key), Err(ClientError::CannotOpen));
    assert_ne!(
        place(&other.tx_id, &other.snapshot_root),
        place(&proposed.tx_id, &other.snapshot_root)
    );
}

#[test]
fn a_client_proposes_nothing_that_no_endorser_takes() {
    let random =
        || Randomness { nonce: [1; 32], reply_key: [2; 32].into(), envelope: [3; 32].into() };
    for valid_until in [500, 601] {
        let mut target = target();
        target.valid_until = Height(valid_until);
        assert_eq!(propose(&client(), target, call("x"), random()).unwrap_err().code(), 3);
    }
    let mut long = call("x");
    long.args = vec![0; 64 * 1024];
    assert_eq!(propose(&client(), target(), long, random()).unwrap_err().code(), 2);
}

#[test]
fn only_conflicts_are_tried_again_with_growing_pauses() {
    let refusal = |code| Error::new("ledger", code, "");
    let pauses: Vec<Next> = (0..6).map(|tried| after(&refusal(15), tried)).collect();
    let again = |pause_ms| Next::ProposeAgain { pause_ms };
    let expected = [again(250), again(500), again(1_000), again(2_000), again(4_000), Next::GiveUp];
    assert_eq!(pauses, expected);
    assert_eq!(after(&refusal(9), 0), Next::Release);
    for code in (1..=19).filter(|code| ![9, 15].contains(code)) {
        assert_eq!(after(&refusal(code), 0), Next::GiveUp);
    }
    assert_eq!(after(&Error::new("worker", 15, ""), 0), Next::GiveUp);
}
