//! Money of a runtime's users: balances, locks, fees, and the two ways across the border to
//! consensus.
//!
//! * **Conservation.** All balances + all locks + the pot + the withdrawals under way =
//!   [`Accounts::supply`] = what was deposited and minted - what was paid out.
//! * **Backing.** [`Accounts::backing`] = what was deposited - what was paid out - the withdrawals
//!   under way. Withdrawals take at most that: minted units are not backed by consensus tokens.
//! * **Every lock has a way out** that needs no other party: its [`Purpose`] names a height or a call.
//! * **All or nothing.** An operation that refuses has written nothing, so a caller may go on after
//!   it. This does not hold for [`Accounts::credit_deposits`] and [`Accounts::settle_withdrawals`]:
//!   return their errors from `begin_block`, which undoes it.
//! * **Overflow.** No sum exceeds the supply, and the supply cannot overflow: minting stops at
//!   [`MINT_MAX`], and a deposit beyond the range is sent back. So giving back what was locked or
//!   under way always succeeds, and users cannot make `begin_block` fail.
//!
//! ```
//! use paralith_sdk::{
//!     Accounts, Call, Context, IncomingMessage, MessageResult, Result, Runtime, accept_nonce,
//! };
//!
//! const ACCOUNTS: Accounts = Accounts::new("money/");
//!
//! struct Shop;
//! impl Runtime for Shop {
//!     fn begin_block(
//!         ctx: &mut Context,
//!         incoming: &[IncomingMessage],
//!         results: &[MessageResult],
//!     ) -> Result<()> {
//!         ACCOUNTS.settle_withdrawals(ctx, results)?;
//!         ACCOUNTS.credit_deposits(ctx, incoming)?;
//!         Ok(())
//!     }
//!
//!     fn authenticate(ctx: &mut Context) -> Result<()> {
//!         accept_nonce(ctx)?;
//!         Ok(ACCOUNTS.charge_fee(ctx)?)
//!     }
//!
//!     fn execute(_: &mut Context, call: &Call) -> Result<Vec<u8>> {
//!         paralith_sdk::unknown_method(call)
//!     }
//! }
//! ```

mod border;
mod error;
mod lock;
#[cfg(test)]
mod tests;

pub use border::Settled;
pub use error::AccountsError;
pub use lock::{Ends, Lock, Purpose};

use border::Withdrawal;

use crate::{Address, Amount, Context, Map, Result, Table};

/// Highest supply up to which units are minted: the other half of the range is left to deposits.
pub const MINT_MAX: Amount = Amount(u128::MAX / 2);

/// The accounts of one runtime. It holds no money itself: it names where the state does.
///
/// | state | under |
/// |---|---|
/// | balances | `Map` named prefix + `balances`: address, amount |
/// | withdrawals under way | `Map` named prefix + `pending`: round (8 bytes) and index (4), address and amount |
/// | locks | `Table` named prefix + `locks`: address and the purpose's id, [`Lock`] |
/// | supply, backing, pot | keys prefix + `supply`, `backing`, `fee_pot`: amount |
///
/// An amount has 16 bytes, big-endian.
#[derive(Debug, Clone)]
pub struct Accounts {
    prefix: &'static str,
    balances: Map<Address, Amount>,
    pending: Map<Vec<u8>, Withdrawal>,
    locks: Table<Vec<u8>, Lock>,
}

const SUPPLY: &str = "supply";
const BACKING: &str = "backing";
const POT: &str = "fee_pot";

impl Accounts {
    /// The accounts whose state lies under this prefix, which may be empty and has at most 240
    /// bytes: `const ACCOUNTS: Accounts = Accounts::new("money/");`. A runtime uses no such key for
    /// anything else. Deposits and withdrawals belong to one of them only.
    #[must_use]
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            balances: Map::prefixed(prefix, "balances"),
            pending: Map::prefixed(prefix, "pending"),
            locks: Table::prefixed(prefix, "locks"),
        }
    }

    /// An account's balance, without what is locked.
    pub fn balance(&self, ctx: &Context, address: &Address) -> Result<Amount> {
        Ok(self.balances.get(ctx, address)?.unwrap_or_default())
    }

    /// All balances, locks, the pot and the withdrawals under way.
    pub fn supply(&self, ctx: &Context) -> Result<Amount> {
        self.stored(ctx, SUPPLY)
    }

    /// What deposits brought in and withdrawals did not take out.
    pub fn backing(&self, ctx: &Context) -> Result<Amount> {
        self.stored(ctx, BACKING)
    }

    /// What fees and charges brought into the pot.
    pub fn pot(&self, ctx: &Context) -> Result<Amount> {
        self.stored(ctx, POT)
    }

    /// The state key of an account's entry, for a proof. Its value is a position, 8 bytes, then the
    /// balance, 16 bytes, all big-endian.
    #[must_use]
    pub fn balance_key(&self, address: &Address) -> Vec<u8> {
        self.balances.state_key(address)
    }

    /// Moves from one account to another.
    pub fn pay(
        &self,
        ctx: &mut Context,
        from: &Address,
        to: &Address,
        amount: Amount,
    ) -> Result<(), AccountsError> {
        self.debit(ctx, from, amount)?;
        self.credit(ctx, to, amount)
    }

    /// Makes new units, up to a supply of [`MINT_MAX`]. They are not backed.
    pub fn mint(
        &self,
        ctx: &mut Context,
        to: &Address,
        amount: Amount,
    ) -> Result<(), AccountsError> {
        let supply = self.supply(ctx)?.add(amount).map_err(|_| AccountsError::Supply)?;
        if supply > MINT_MAX {
            return Err(AccountsError::Supply);
        }
        self.store(ctx, SUPPLY, supply);
        self.credit(ctx, to, amount)
    }

    /// Moves the transaction's fee from the sender's balance into the pot. For `authenticate`: then
    /// the fee is taken even if the call fails.
    pub fn charge_fee(&self, ctx: &mut Context) -> Result<(), AccountsError> {
        let (sender, fee) = (ctx.sender_address()?, ctx.fee()?);
        self.charge(ctx, &sender, fee).map_err(|error| match error {
            AccountsError::Balance => AccountsError::Fee,
            other => other,
        })
    }

    /// Whether the sender's balance covers the transaction's fee. For `check`.
    pub fn check_fee(&self, ctx: &Context) -> Result<(), AccountsError> {
        let balance = self.balance(ctx, &ctx.sender_address()?)?;
        balance.sub(ctx.fee()?).map(drop).map_err(|_| AccountsError::Fee)
    }

    /// Moves from an account into the pot. Nothing is written for an amount of zero.
    pub fn charge(
        &self,
        ctx: &mut Context,
        from: &Address,
        amount: Amount,
    ) -> Result<(), AccountsError> {
        if amount == Amount::ZERO {
            return Ok(());
        }
        self.debit(ctx, from, amount)?;
        let pot = self.pot(ctx)?.add(amount).map_err(|_| AccountsError::BROKEN)?;
        self.store(ctx, POT, pot);
        Ok(())
    }

    /// Moves from the pot to an account.
    pub fn pay_from_pot(
        &self,
        ctx: &mut Context,
        to: &Address,
        amount: Amount,
    ) -> Result<(), AccountsError> {
        let left = self.pot(ctx)?.sub(amount).map_err(|_| AccountsError::Pot)?;
        self.store(ctx, POT, left);
        self.credit(ctx, to, amount)
    }

    /// Empties the pot into an account. Gives how much there was.
    pub fn collect_fees(&self, ctx: &mut Context, to: &Address) -> Result<Amount, AccountsError> {
        let pot = self.pot(ctx)?;
        self.pay_from_pot(ctx, to, pot)?;
        Ok(pot)
    }

    /// Adds to a balance what was taken from elsewhere.
    fn credit(
        &self,
        ctx: &mut Context,
        address: &Address,
        amount: Amount,
    ) -> Result<(), AccountsError> {
        // The supply covers all balances, so only a state that something else wrote can fail.
        let balance = self.balance(ctx, address)?.add(amount);
        let balance = balance.map_err(|_| AccountsError::BROKEN)?;
        Ok(self.balances.insert(ctx, address, &balance)?)
    }

    /// Takes from a balance.
    fn debit(
        &self,
        ctx: &mut Context,
        address: &Address,
        amount: Amount,
    ) -> Result<(), AccountsError> {
        let left = self.balance(ctx, address)?.sub(amount).map_err(|_| AccountsError::Balance)?;
        Ok(self.balances.insert(ctx, address, &left)?)
    }

    fn stored(&self, ctx: &Context, name: &str) -> Result<Amount> {
        Ok(ctx.get(&self.key(name))?.unwrap_or_default())
    }

    fn store(&self, ctx: &mut Context, name: &str, amount: Amount) {
        ctx.set(&self.key(name), &amount);
    }

    fn key(&self, name: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), name.as_bytes()].concat()
    }
}
