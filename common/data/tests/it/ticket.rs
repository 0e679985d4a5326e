use paralith_data::{Action, DataError, SignedTicket, Ticket, TicketFault};
use paralith_types::{ChainContext, Hash, Height};
use proptest::prelude::*;

use crate::rules::{BOUNDS, CHAIN, CONTRACT, NOW, download, key, named, signed, upload};

#[test]
fn a_ticket_has_one_encoding_and_one_signature() {
    let ticket = Ticket { credential: vec![0xaa, 0xbb], ..upload(&key(40), b"content") };
    let golden = format!(
        "08011001{}{}28{}30{}{}{}",
        format_args!("1a20{}", "01".repeat(32)),
        "222073a38b9e525c9c2ae262feeaa3c2947ab19bce3a173f075c75341e5e7fa080b6",
        "07",
        "c801",
        format_args!("3a20{}", hex::encode(key(40).public().0)),
        "4202aabb",
    );
    assert_eq!(hex::encode(ticket.message()), golden);
    // Ed25519 is deterministic: the signature is that of domain, chain and this message.
    let framed = [&[23][..], b"paralith/data/ticket/v1", &CHAIN.0, &ticket.message()].concat();
    let signature = signed(ticket.clone(), &key(40)).signature;
    paralith_crypto::ed25519::verify_raw(&key(40).public(), &framed, &signature).unwrap();
    let text = signed(ticket.clone(), &key(40)).authorization();
    assert!(text.starts_with("Paralith CAEQARog"), "{text}");
    assert_eq!(SignedTicket::from_authorization(&text).unwrap(), signed(ticket, &key(40)));
}

#[test]
fn what_is_not_the_one_form_is_refused() {
    let ticket = signed(upload(&key(40), b"content"), &key(40));
    let text = ticket.authorization();
    let form = |value: &str| match SignedTicket::from_authorization(value) {
        Err(TicketFault::Form(_)) => true,
        Err(TicketFault::Missing) => false,
        other => panic!("{other:?}"),
    };
    for value in ["", "Paralith", "Bearer abc", "Basic Paralith"] {
        assert!(!form(value), "{value}");
    }
    for value in [
        "Paralith ".to_string(),
        "Paralith AAAA".to_string(),
        format!("{text}="),
        format!("{text} "),
        text.replace("CAEQ", "CAIQ"),
        format!("Paralith {}", "A".repeat(4000)),
    ] {
        assert!(form(&value), "{value}");
    }
    // A get that names a length.
    let odd = Ticket { length: 5, ..download(&key(20), CONTRACT, named(b"content")) };
    assert!(form(&signed(odd, &key(20)).authorization()));
}

#[test]
fn every_fault_of_a_ticket_is_named_in_order() {
    let content = named(b"content");
    let good = upload(&key(40), b"content");
    let check = |signed: &SignedTicket, action, now| {
        signed.check(action, &content, &CHAIN, now, BOUNDS, |scope| *scope == CONTRACT)
    };
    let fault = |ticket: Ticket| match check(&signed(ticket, &key(40)), Action::Put, NOW) {
        Err(DataError::Ticket(fault)) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(check(&signed(good.clone(), &key(40)), Action::Put, NOW), Ok(()));
    let wrong = check(&signed(good.clone(), &key(40)), Action::Get, NOW);
    assert_eq!(wrong, Err(TicketFault::Action.into()));
    assert_eq!(fault(Ticket { content: Hash([9; 32]), ..good.clone() }), TicketFault::Content);
    // Valid at h means h < expires.
    let expires = Height(NOW.0 + 1);
    let short = signed(Ticket { expires, ..good.clone() }, &key(40));
    assert_eq!(check(&short, Action::Put, NOW), Ok(()));
    let late = check(&short, Action::Put, expires);
    assert_eq!(late, Err(TicketFault::Expired { expires, now: expires }.into()));
    let latest = Height(NOW.0 + BOUNDS.blocks);
    let long = Ticket { expires: Height(latest.0 + 1), ..good.clone() };
    assert_eq!(fault(long), TicketFault::TooLong { expires: Height(latest.0 + 1), latest });
    let longest = signed(Ticket { expires: latest, ..good.clone() }, &key(40));
    assert_eq!(check(&longest, Action::Put, NOW), Ok(()));
    let large = Ticket { length: BOUNDS.content_bytes + 1, ..good.clone() };
    let limit = BOUNDS.content_bytes;
    let large = check(&signed(large, &key(40)), Action::Put, NOW);
    assert_eq!(large, Err(DataError::TooLarge { limit }));
    assert_eq!(fault(Ticket { scope: [9; 32], ..good.clone() }), TicketFault::Scope);
    // Signed by another key, for another chain, or changed afterwards.
    let foreign =
        SignedTicket { ticket: good.clone(), signature: signed(good.clone(), &key(41)).signature };
    let elsewhere = good.clone().sign(&key(40), &ChainContext([8; 32]));
    let changed = SignedTicket {
        signature: signed(good.clone(), &key(40)).signature,
        ticket: Ticket { expires: Height(201), ..good },
    };
    for ticket in [foreign, elsewhere, changed] {
        let refused = check(&ticket, Action::Put, NOW);
        assert_eq!(refused, Err(TicketFault::Signature.into()));
    }
}

proptest! {
    #[test]
    fn no_text_is_read_as_two_tickets(flip in 0_usize..1000, with in "[A-Za-z0-9_-]") {
        let ticket = signed(upload(&key(40), b"content"), &key(40));
        let mut text = ticket.authorization();
        let at = "Paralith ".len() + flip % (text.len() - "Paralith ".len());
        let same = text[at..=at] == with;
        text.replace_range(at..=at, &with);
        if let Ok(read) = SignedTicket::from_authorization(&text) {
            prop_assert_eq!(read == ticket, same);
            prop_assert_eq!(read.authorization(), text);
        }
    }
}
