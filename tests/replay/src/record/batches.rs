//! What users send to the ParaTimes, batch by batch: what succeeds, what is refused, what traps.

use serde_json::{Value, json};

use crate::keys::{USERS, account};

/// How a call travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In an envelope.
    Sealed,
    /// In the clear.
    Plain,
    /// With a nonce that is not the sender's next.
    WrongNonce,
    /// With too little gas for what it does.
    LittleGas,
    /// In an envelope of another sender, which does not open.
    Stolen,
}

/// A call that a user makes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) sender: u8,
    pub(crate) method: &'static str,
    pub(crate) args: Value,
    pub(crate) form: Form,
}

fn wanted(sender: u8, method: &'static str, args: Value) -> Wanted {
    Wanted { sender, method, args, form: Form::Sealed }
}

impl Wanted {
    fn by(self, form: Form) -> Self {
        Self { form, ..self }
    }
}

/// The calls of a ParaTime's batch.
pub(crate) fn batch(name: &str, number: u64) -> Vec<Wanted> {
    match name {
        "tokens" => tokens(number),
        "ballot" => ballot(number),
        _ => counter(number),
    }
}

fn tokens(number: u64) -> Vec<Wanted> {
    let [alice, bob, carol] = USERS;
    let to = |who: u8| account(who).to_string();
    let send = |from, who: u8, amount: u64| {
        let memo = format!("number {number}");
        let args = json!({ "to": to(who), "amount": amount.to_string(), "memo": memo });
        wanted(from, "transfer", args)
    };
    let mint = |by| wanted(by, "mint", json!({ "to": to(alice), "amount": "1000" }));
    let withdraw = |by, amount: &str| wanted(by, "withdraw", json!({ "amount": amount }));
    match number % 7 {
        0 => vec![mint(alice), send(alice, bob, 42), send(bob, carol, 7)],
        1 => vec![send(bob, alice, 3), mint(bob)],
        2 => vec![send(carol, alice, 1_000_000), send(alice, carol, 5).by(Form::LittleGas)],
        3 => vec![withdraw(bob, "20"), send(alice, carol, 1)],
        4 => vec![send(alice, bob, 2).by(Form::Plain), send(bob, alice, 1)],
        5 => vec![send(bob, carol, 1).by(Form::WrongNonce), send(bob, carol, 2)],
        _ => vec![send(alice, carol, 4).by(Form::Stolen), withdraw(alice, "1000000")],
    }
}

/// Every fourth batch begins a ballot, which its successors vote in and close.
fn ballot(number: u64) -> Vec<Wanted> {
    let [alice, bob, carol] = USERS;
    let id = number / 4;
    let vote = |who, option: u64| wanted(who, "vote", json!({ "ballot": id, "option": option }));
    match number % 4 {
        0 => {
            let options = ["yes", "no", "perhaps"];
            let args = json!({ "question": format!("{number}?"), "options": options });
            vec![wanted(alice, "create", args)]
        }
        1 => vec![vote(alice, 1), vote(bob, number % 3)],
        2 => vec![vote(bob, 0), vote(carol, 2), vote(carol, 1).by(Form::Plain)],
        _ => {
            let close = |who| wanted(who, "close", json!({ "ballot": id }));
            vec![close(bob), close(alice)]
        }
    }
}

fn counter(number: u64) -> Vec<Wanted> {
    let [alice, bob, carol] = USERS;
    let add = |who, amount: u64| wanted(who, "add", json!({ "amount": amount })).by(Form::Plain);
    match number % 4 {
        0 => vec![add(alice, number + 1), add(bob, 1)],
        1 => vec![add(carol, u64::MAX), add(alice, 2).by(Form::LittleGas)],
        2 => vec![add(alice, 3).by(Form::WrongNonce), add(bob, 5)],
        _ => vec![wanted(carol, "subtract", json!({})).by(Form::Plain), add(carol, 8)],
    }
}

/// The ballot that a batch closes.
pub(crate) fn closed_ballot(number: u64) -> Option<u64> {
    (number % 4 == 3).then_some(number / 4)
}

/// A question to a ParaTime: who asks what.
pub(crate) fn question(name: &str, number: u64) -> (u8, &'static str, Value) {
    let user = USERS[usize::try_from(number % 3).unwrap()];
    match name {
        "tokens" if number.is_multiple_of(2) => (user, "balance", json!({})),
        "tokens" => (user, "received", json!({})),
        "ballot" => (user, "status", json!({ "ballot": number / 4 })),
        _ => (user, "get", json!({})),
    }
}
