//! What the books must say, in plain numbers, and a chain beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::escrow::{After, Books, Escrow, LEAVE, NAMES, Op, Script, who};
use crate::testing::{Chain, HOST_MODULE};
use crate::{Amount, MINT_MAX, json, reply};

/// Most messages of a round.
const MESSAGES_MAX: u32 = 3;

#[derive(Debug, Clone, Default)]
struct Model {
    balances: [u128; NAMES.len()],
    locks: BTreeMap<(u8, u8), (u128, Option<u64>)>,
    pot: u128,
    pending: BTreeMap<(u64, u32), (u8, u128)>,
    deposited: u128,
    minted: u128,
    paid: u128,
    /// Messages to consensus of the open round.
    messages: u32,
}

/// Where an operation happens.
struct Here<'a> {
    method: &'a str,
    round: u64,
    height: u64,
}

impl Model {
    fn under_way(&self) -> u128 {
        self.pending.values().map(|(_, amount)| amount).sum()
    }

    fn supply(&self) -> u128 {
        self.deposited + self.minted - self.paid
    }

    fn backing(&self) -> u128 {
        self.deposited - self.paid - self.under_way()
    }

    fn books(&self) -> Books {
        let locks = self.locks.iter();
        let pending = self.pending.iter();
        Books {
            balances: self.balances.map(Amount).to_vec(),
            locks: locks.map(|((o, p), (n, until))| (*o, *p, Amount(*n), *until)).collect(),
            pot: Amount(self.pot),
            pending: pending.map(|((r, i), (o, n))| (*r, *i, *o, Amount(*n))).collect(),
            supply: Amount(self.supply()),
            backing: Amount(self.backing()),
        }
    }

    fn debit(&mut self, owner: u8, amount: u128) -> Result<(), u32> {
        let balance = &mut self.balances[usize::from(owner)];
        *balance = balance.checked_sub(amount).ok_or(20u32)?;
        Ok(())
    }

    fn credit(&mut self, owner: u8, amount: u128) {
        self.balances[usize::from(owner)] += amount;
    }

    /// Does it, or gives the code of the refusal and changes nothing.
    fn apply(&mut self, op: &Op, here: &Here<'_>) -> Result<(), u32> {
        let before = self.clone();
        let result = self.try_apply(op, here);
        if result.is_err() {
            *self = before;
        }
        result
    }

    fn try_apply(&mut self, op: &Op, here: &Here<'_>) -> Result<(), u32> {
        match *op {
            Op::Pay { from, to, amount } => {
                self.debit(from, amount.0)?;
                self.credit(to, amount.0);
            }
            Op::Withdraw { from, amount } => {
                self.debit(from, amount.0)?;
                if amount.0 > self.backing() {
                    return Err(21);
                }
                if self.messages == MESSAGES_MAX {
                    return Err(7);
                }
                self.pending.insert((here.round, self.messages), (from, amount.0));
                self.messages += 1;
            }
            Op::Charge { from, amount } => {
                self.debit(from, amount.0)?;
                self.pot += amount.0;
            }
            Op::PayFromPot { to, amount } => {
                self.pot = self.pot.checked_sub(amount.0).ok_or(26u32)?;
                self.credit(to, amount.0);
            }
            Op::Collect { to } => {
                let pot = std::mem::take(&mut self.pot);
                self.credit(to, pot);
            }
            Op::Mint { to, amount } => {
                let supply = self.supply().checked_add(amount.0);
                supply.filter(|supply| *supply <= MINT_MAX.0).ok_or(27u32)?;
                self.minted += amount.0;
                self.credit(to, amount.0);
            }
            _ => self.apply_to_lock(op, here)?,
        }
        Ok(())
    }

    fn apply_to_lock(&mut self, op: &Op, here: &Here<'_>) -> Result<(), u32> {
        match *op {
            Op::Lock { owner, purpose, amount, until } => {
                let before = self.locks.get(&(owner, purpose)).copied();
                if before.is_some_and(|(_, end)| end != until) {
                    return Err(25);
                }
                self.debit(owner, amount.0)?;
                let locked = before.map_or(0, |(locked, _)| locked) + amount.0;
                if locked > 0 {
                    self.locks.insert((owner, purpose), (locked, until));
                }
            }
            Op::Unlock { owner, purpose, amount } => {
                self.take(owner, purpose, amount.0)?;
                self.credit(owner, amount.0);
            }
            Op::Take { owner, purpose, amount, to } => {
                self.take(owner, purpose, amount.0)?;
                self.credit(to, amount.0);
            }
            Op::EndAt { owner, purpose, height } => {
                if let Some((_, end)) = self.locks.get_mut(&(owner, purpose)) {
                    if end.is_some_and(|end| end < height) {
                        return Err(25);
                    }
                    *end = Some(height);
                }
            }
            Op::ReleaseDue { owner, purpose } => {
                self.release(owner, purpose, |end| end.is_some_and(|end| end <= here.height))?;
            }
            Op::ReleaseBy { owner, purpose } => {
                self.release(owner, purpose, |end| end.is_none() && here.method == LEAVE)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, owner: u8, purpose: u8, amount: u128) -> Result<(), u32> {
        let Some((locked, _)) = self.locks.get_mut(&(owner, purpose)) else {
            return if amount == 0 { Ok(()) } else { Err(23) };
        };
        *locked = locked.checked_sub(amount).ok_or(23u32)?;
        self.locks.retain(|_, (locked, _)| *locked > 0);
        Ok(())
    }

    fn release(
        &mut self,
        owner: u8,
        purpose: u8,
        ended: impl FnOnce(Option<u64>) -> bool,
    ) -> Result<(), u32> {
        let Some((amount, end)) = self.locks.get(&(owner, purpose)).copied() else {
            return Ok(());
        };
        if !ended(end) {
            return Err(24);
        }
        self.locks.remove(&(owner, purpose));
        self.credit(owner, amount);
        Ok(())
    }
}

/// What waits for a `begin_block`.
#[derive(Debug, Clone, Default)]
struct Waiting {
    deposits: Vec<(u8, u128)>,
    /// By round and message: whether consensus paid.
    results: Vec<((u64, u32), bool)>,
}

/// A chain and its model, which must agree after each step.
pub(super) struct Pair {
    chain: Chain,
    now: Model,
    /// At the end of the last final round.
    last: Model,
    waiting: Waiting,
    /// By the open round's `begin_block`.
    taken: Waiting,
    failing: BTreeSet<u32>,
}

impl Pair {
    pub(super) fn new() -> Self {
        let mut chain = Chain::new::<Escrow>();
        chain.set_messages_max(MESSAGES_MAX as usize);
        chain.next_round();
        Self {
            chain,
            now: Model::default(),
            last: Model::default(),
            waiting: Waiting::default(),
            taken: Waiting::default(),
            failing: BTreeSet::new(),
        }
    }

    pub(super) fn deposit(&mut self, owner: u8, amount: u128) {
        self.chain.deposit(who(owner), Amount(amount));
        self.waiting.deposits.push((owner, amount));
    }

    pub(super) fn fail_message(&mut self, index: u32) {
        self.chain.fail_message(index);
        self.failing.insert(index);
    }

    pub(super) fn call(&mut self, sender: u8, fee: u128, method: &str, script: &Script) {
        let round = self.chain.round();
        let name = NAMES[usize::from(sender)];
        let result = self.chain.sender(name).fee(Amount(fee)).call(method, script);
        let said = result.map_err(|error| (error.module.clone(), error.code));
        if self.now.debit(sender, fee).is_err() {
            return assert_eq!(said, Err(("sdk".into(), 22)));
        }
        self.now.pot += fee;
        let before = self.now.clone();
        let here = Here { method, round, height: self.chain.height() };
        let mut codes = Vec::new();
        for op in &script.ops {
            let code = self.now.apply(op, &here).err().unwrap_or(0);
            codes.push(code);
            if code != 0 && !script.careless {
                self.now = before;
                return assert_eq!(said, Err(("sdk".into(), code)), "{op:?}");
            }
        }
        let expected = match script.after {
            After::Succeed => return assert_eq!(said, Ok(reply(&codes).unwrap())),
            After::Refuse => ("escrow".into(), 9),
            After::Trap => (HOST_MODULE.into(), 1),
        };
        self.now = before;
        assert_eq!(said, Err(expected));
    }

    /// Ends the round and opens one that pins this height or the next.
    pub(super) fn advance_to(&mut self, height: u64) {
        self.finalise();
        self.chain.advance_to(height);
        self.begin();
    }

    pub(super) fn fail_begin_block(&mut self) {
        self.finalise();
        self.chain.fail_begin_block();
        self.chain.next_round();
        self.taken = Waiting::default();
    }

    pub(super) fn fail_round(&mut self) {
        self.chain.fail_round();
        self.now = self.last.clone();
        self.failing.clear();
        let Waiting { deposits, results } = std::mem::take(&mut self.taken);
        self.waiting.deposits.splice(0..0, deposits);
        self.waiting.results.splice(0..0, results);
        self.begin();
    }

    fn finalise(&mut self) {
        let failing = std::mem::take(&mut self.failing);
        for index in 0..std::mem::take(&mut self.now.messages) {
            let paid = !failing.contains(&index);
            self.waiting.results.push(((self.chain.round(), index), paid));
        }
        self.last = self.now.clone();
    }

    fn begin(&mut self) {
        self.taken = std::mem::take(&mut self.waiting);
        for (message, paid) in &self.taken.results {
            let (owner, amount) = self.now.pending.remove(message).unwrap();
            if *paid {
                self.now.paid += amount;
            } else {
                self.now.credit(owner, amount);
            }
        }
        for (owner, amount) in &self.taken.deposits {
            self.now.deposited += amount;
            self.now.credit(*owner, *amount);
        }
    }

    pub(super) fn books(&self) -> Books {
        let answer = self.chain.query("books", &json!({})).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    pub(super) fn height(&self) -> u64 {
        self.chain.height()
    }

    /// The chain is as the model, and no unit is lost or made.
    pub(super) fn agrees(&self) {
        let books = self.books();
        assert_eq!(books, self.now.books());
        let sum =
            |amounts: &mut dyn Iterator<Item = Amount>| amounts.map(|one| one.0).sum::<u128>();
        let balances = sum(&mut books.balances.iter().copied());
        let locks = sum(&mut books.locks.iter().map(|lock| lock.2));
        let under_way = sum(&mut books.pending.iter().map(|one| one.3));
        let held = balances + locks + books.pot.0 + under_way;
        assert_eq!(held, self.now.deposited + self.now.minted - self.now.paid);
        // What consensus holds for the runtime: all but what it has paid without saying so yet.
        let waiting: u128 = self.waiting.deposits.iter().map(|(_, amount)| amount).sum();
        let paid = self.waiting.results.iter().filter(|(_, paid)| *paid);
        let paid: u128 = paid.map(|(message, _)| self.now.pending[message].1).sum();
        assert_eq!(books.backing.0 + under_way + waiting, self.chain.account().0 + paid);
    }
}
