//! Money that waits for a decision: deposits, bonds, payments under way.

use std::borrow::Cow;

use super::{Accounts, AccountsError};
use crate::{Address, Amount, Call, Context, Result, Value};

/// How a lock ends without any other party: its owner's money must never depend on somebody who
/// stays silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ends {
    /// From the round on that pins this consensus height, [`Accounts::release_due`] gives it back.
    /// Let a timer call that, or a method that everybody may use.
    Height(u64),
    /// This method of the runtime gives it back, by [`Accounts::release_by`]. The owner can call it,
    /// and it needs nobody's consent.
    Call(Cow<'static, str>),
}

impl Ends {
    /// A method that the owner can call.
    #[must_use]
    pub const fn call(method: &'static str) -> Self {
        Self::Call(Cow::Borrowed(method))
    }
}

/// What money is locked for: whose decision it waits for, and how it ends without that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    id: Vec<u8>,
    ends: Ends,
}

impl Purpose {
    /// A purpose. One owner has one lock for each id; put into it what the lock is about, such as a
    /// contract's number. An id is public where keys of the state are.
    #[must_use]
    pub fn new(id: impl Into<Vec<u8>>, ends: Ends) -> Self {
        Self { id: id.into(), ends }
    }

    /// Its id, for [`Accounts::unlock`] and [`Accounts::take`].
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// How it ends.
    #[must_use]
    pub fn ends(&self) -> &Ends {
        &self.ends
    }
}

/// What is locked for a purpose.
///
/// Byte form: the amount, 16 bytes; then 1 and the height, 8 bytes; or 2 and the method's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// How much; not zero.
    pub amount: Amount,
    /// How it ends without any other party.
    pub ends: Ends,
}

impl Accounts {
    /// Moves from a balance into a lock. More can be added to a lock, with the same end: money that
    /// is locked already is not held longer because more comes. Nothing is written for an amount of
    /// zero.
    pub fn lock(
        &self,
        ctx: &mut Context,
        owner: &Address,
        purpose: &Purpose,
        amount: Amount,
    ) -> Result<(), AccountsError> {
        let before = self.locked(ctx, owner, &purpose.id)?;
        if before.as_ref().is_some_and(|lock| lock.ends != purpose.ends) {
            return Err(AccountsError::OtherEnd);
        }
        if amount == Amount::ZERO {
            return Ok(());
        }
        let before = before.map_or(Amount::ZERO, |lock| lock.amount);
        let after = before.add(amount).map_err(|_| AccountsError::Balance)?;
        self.debit(ctx, owner, amount)?;
        self.write_lock(
            ctx,
            owner,
            &purpose.id,
            Lock { amount: after, ends: purpose.ends.clone() },
        );
        Ok(())
    }

    /// Gives back to the owner, by the runtime's decision.
    pub fn unlock(
        &self,
        ctx: &mut Context,
        owner: &Address,
        id: &[u8],
        amount: Amount,
    ) -> Result<(), AccountsError> {
        self.take(ctx, owner, id, amount, owner)
    }

    /// Moves from a lock to an account's balance, by the runtime's decision.
    pub fn take(
        &self,
        ctx: &mut Context,
        owner: &Address,
        id: &[u8],
        amount: Amount,
        to: &Address,
    ) -> Result<(), AccountsError> {
        if amount == Amount::ZERO {
            return Ok(());
        }
        let lock = self.locked(ctx, owner, id)?.ok_or(AccountsError::Locked)?;
        let amount_left = lock.amount.sub(amount).map_err(|_| AccountsError::Locked)?;
        self.write_lock(ctx, owner, id, Lock { amount: amount_left, ..lock });
        self.credit(ctx, to, amount)
    }

    /// Gives all of a lock back to its owner if its end is a height that has come; gives how much
    /// that was, zero if nothing is locked.
    ///
    /// Call it in `end_block` if transactions of the same round shall count first.
    pub fn release_due(
        &self,
        ctx: &mut Context,
        owner: &Address,
        id: &[u8],
    ) -> Result<Amount, AccountsError> {
        let now = ctx.consensus_height();
        self.release(ctx, owner, id, |ends| matches!(ends, Ends::Height(height) if *height <= now))
    }

    /// Gives all of a lock back to its owner if its end is this call's method; gives how much that
    /// was, zero if nothing is locked.
    pub fn release_by(
        &self,
        ctx: &mut Context,
        call: &Call,
        owner: &Address,
        id: &[u8],
    ) -> Result<Amount, AccountsError> {
        self.release(ctx, owner, id, |ends| matches!(ends, Ends::Call(it) if *it == call.method))
    }

    /// Gives a lock that ends by a call, or at a later height, this height as its end: a bond whose
    /// owner has left, for example. An end never moves away. Does nothing if nothing is locked.
    pub fn end_at(
        &self,
        ctx: &mut Context,
        owner: &Address,
        id: &[u8],
        height: u64,
    ) -> Result<(), AccountsError> {
        let Some(lock) = self.locked(ctx, owner, id)? else { return Ok(()) };
        if matches!(lock.ends, Ends::Height(before) if before < height) {
            return Err(AccountsError::OtherEnd);
        }
        self.write_lock(ctx, owner, id, Lock { ends: Ends::Height(height), ..lock });
        Ok(())
    }

    /// What is locked for a purpose.
    pub fn locked(&self, ctx: &Context, owner: &Address, id: &[u8]) -> Result<Option<Lock>> {
        self.locks.get(ctx, &lock_key(owner, id))
    }

    /// The state key of a lock, for a proof. Its value is the byte form of [`Lock`].
    #[must_use]
    pub fn lock_key(&self, owner: &Address, id: &[u8]) -> Vec<u8> {
        self.locks.state_key(&lock_key(owner, id))
    }

    fn release(
        &self,
        ctx: &mut Context,
        owner: &Address,
        id: &[u8],
        has_ended: impl FnOnce(&Ends) -> bool,
    ) -> Result<Amount, AccountsError> {
        let Some(lock) = self.locked(ctx, owner, id)? else { return Ok(Amount::ZERO) };
        if !has_ended(&lock.ends) {
            return Err(AccountsError::NotEnded);
        }
        self.unlock(ctx, owner, id, lock.amount)?;
        Ok(lock.amount)
    }

    fn write_lock(&self, ctx: &mut Context, owner: &Address, id: &[u8], lock: Lock) {
        let key = lock_key(owner, id);
        if lock.amount == Amount::ZERO {
            self.locks.remove(ctx, &key);
        } else {
            self.locks.insert(ctx, &key, &lock);
        }
    }
}

/// An address has one length, so no two pairs share a key.
fn lock_key(owner: &Address, id: &[u8]) -> Vec<u8> {
    [owner.as_bytes(), id].concat()
}

const HEIGHT: u8 = 1;
const CALL: u8 = 2;

impl Value for Lock {
    fn to_bytes(&self) -> Vec<u8> {
        let (tag, end) = match &self.ends {
            Ends::Height(height) => (HEIGHT, height.to_bytes()),
            Ends::Call(method) => (CALL, method.as_bytes().to_vec()),
        };
        [self.amount.to_bytes(), vec![tag], end].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (amount, rest) = bytes.split_at_checked(16)?;
        let ends = match rest.split_first()? {
            (&HEIGHT, height) => Ends::Height(Value::from_bytes(height)?),
            (&CALL, method) => Ends::Call(Cow::Owned(Value::from_bytes(method)?)),
            _ => return None,
        };
        Some(Self { amount: Value::from_bytes(amount)?, ends })
    }
}
