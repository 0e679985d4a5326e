//! Deposits from consensus and withdrawals to it.

use super::{Accounts, AccountsError, BACKING, SUPPLY};
use crate::{Address, Amount, Context, IncomingMessage, MessageResult, Result, Value};

/// A withdrawal that has its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The account that asked for it.
    pub from: Address,
    /// How much.
    pub amount: Amount,
    /// Whether consensus paid it; else it is in the account's balance again.
    pub paid: bool,
}

impl Accounts {
    /// Credits what consensus accounts deposited, to their accounts here. Gives the messages whose
    /// tokens were credited. For `begin_block`.
    ///
    /// A deposit for which the range of amounts has no room is sent back; it takes more than 2^127
    /// real base units. If the round can send no message, this fails, and the deposits come again.
    pub fn credit_deposits<'m>(
        &self,
        ctx: &mut Context,
        incoming: &'m [IncomingMessage],
    ) -> Result<Vec<&'m IncomingMessage>, AccountsError> {
        let mut credited = Vec::new();
        for message in incoming {
            let IncomingMessage { caller, tokens, .. } = message;
            if *tokens == Amount::ZERO {
                continue;
            }
            let (Ok(supply), Ok(backing)) =
                (self.supply(ctx)?.add(*tokens), self.backing(ctx)?.add(*tokens))
            else {
                ctx.transfer_out(caller, *tokens)?;
                continue;
            };
            self.store(ctx, SUPPLY, supply);
            self.store(ctx, BACKING, backing);
            self.credit(ctx, caller, *tokens)?;
            credited.push(message);
        }
        Ok(credited)
    }

    /// Pays out of a balance to a consensus account once the round is final. Gives the index of the
    /// message that does it; a later round's [`Accounts::settle_withdrawals`] gets the result.
    pub fn withdraw(
        &self,
        ctx: &mut Context,
        from: &Address,
        to: &Address,
        amount: Amount,
    ) -> Result<u32, AccountsError> {
        let left = self.balance(ctx, from)?.sub(amount).map_err(|_| AccountsError::Balance)?;
        let backing = self.backing(ctx)?.sub(amount).map_err(|_| AccountsError::Backing)?;
        let message = ctx.transfer_out(to, amount)?;
        self.balances.insert(ctx, from, &left)?;
        self.store(ctx, BACKING, backing);
        let key = pending_key(ctx.round(), message);
        self.pending.insert(ctx, &key, &Withdrawal { from: *from, amount })?;
        Ok(message)
    }

    /// Ends the withdrawals that have a result: paid ones leave the supply, failed ones are given
    /// back. The others wait: a missing result says nothing. Results of messages that are no
    /// withdrawals are skipped. For `begin_block`.
    pub fn settle_withdrawals(
        &self,
        ctx: &mut Context,
        results: &[MessageResult],
    ) -> Result<Vec<Settled>, AccountsError> {
        let mut settled = Vec::new();
        for result in results {
            let key = pending_key(result.round, result.index);
            let Some(Withdrawal { from, amount }) = self.pending.remove(ctx, &key)? else {
                continue;
            };
            let paid = result.code == 0;
            if paid {
                let supply = self.supply(ctx)?.sub(amount).map_err(|_| AccountsError::BROKEN)?;
                self.store(ctx, SUPPLY, supply);
            } else {
                let backing = self.backing(ctx)?.add(amount).map_err(|_| AccountsError::BROKEN)?;
                self.store(ctx, BACKING, backing);
                self.credit(ctx, &from, amount)?;
            }
            settled.push(Settled { from, amount, paid });
        }
        Ok(settled)
    }
}

/// A withdrawal whose result has not come yet.
#[derive(Debug, Clone)]
pub(super) struct Withdrawal {
    pub(super) from: Address,
    pub(super) amount: Amount,
}

impl Value for Withdrawal {
    fn to_bytes(&self) -> Vec<u8> {
        [self.from.to_bytes(), self.amount.to_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (from, amount) = bytes.split_at_checked(Address::LEN)?;
        Some(Self { from: Value::from_bytes(from)?, amount: Value::from_bytes(amount)? })
    }
}

/// Names a message to consensus: the round that emitted it and its index there.
fn pending_key(round: u64, message: u32) -> Vec<u8> {
    [round.to_bytes(), message.to_bytes()].concat()
}
