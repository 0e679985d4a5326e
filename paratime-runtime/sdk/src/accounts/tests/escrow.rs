//! A runtime that does with its accounts what a test wants.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::accounts::{Accounts, AccountsError, Ends, Purpose};
use crate::testing::address;
use crate::{
    Address, Amount, Call, Context, IncomingMessage, MessageResult, Result, Runtime, SdkError,
    accept_nonce, args, check_nonce, fail, reply, unknown_method,
};

pub(super) const ACCOUNTS: Accounts = Accounts::new("money/");

pub(super) const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
pub(super) const PURPOSES: u8 = 3;

/// The method by which locks without a height end.
pub(super) const LEAVE: &str = "leave";

/// Addresses of the accounts; to derive one takes time.
static WHO: LazyLock<[Address; NAMES.len()]> = LazyLock::new(|| NAMES.map(address));

pub(super) fn who(number: u8) -> Address {
    WHO[usize::from(number)]
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Op {
    Pay {
        from: u8,
        to: u8,
        amount: Amount,
    },
    Withdraw {
        from: u8,
        amount: Amount,
    },
    Charge {
        from: u8,
        amount: Amount,
    },
    PayFromPot {
        to: u8,
        amount: Amount,
    },
    Collect {
        to: u8,
    },
    Mint {
        to: u8,
        amount: Amount,
    },
    /// Until a height, or until the owner leaves.
    Lock {
        owner: u8,
        purpose: u8,
        amount: Amount,
        until: Option<u64>,
    },
    Unlock {
        owner: u8,
        purpose: u8,
        amount: Amount,
    },
    Take {
        owner: u8,
        purpose: u8,
        amount: Amount,
        to: u8,
    },
    EndAt {
        owner: u8,
        purpose: u8,
        height: u64,
    },
    ReleaseDue {
        owner: u8,
        purpose: u8,
    },
    ReleaseBy {
        owner: u8,
        purpose: u8,
    },
}

/// How a call ends after its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum After {
    Succeed,
    Refuse,
    Trap,
}

/// Arguments of both methods, `do` and `leave`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Script {
    pub(super) ops: Vec<Op>,
    /// Goes on after a refused operation.
    pub(super) careless: bool,
    pub(super) after: After,
}

/// All that the accounts hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Books {
    pub(super) balances: Vec<Amount>,
    /// Owner, purpose, amount, height.
    pub(super) locks: Vec<(u8, u8, Amount, Option<u64>)>,
    pub(super) pot: Amount,
    /// Round, index, owner, amount; ordered.
    pub(super) pending: Vec<(u64, u32, u8, Amount)>,
    pub(super) supply: Amount,
    pub(super) backing: Amount,
}

pub(super) struct Escrow;

impl Runtime for Escrow {
    const NAME: &'static str = "escrow";

    fn begin_block(
        ctx: &mut Context,
        incoming: &[IncomingMessage],
        results: &[MessageResult],
    ) -> Result<()> {
        ACCOUNTS.settle_withdrawals(ctx, results)?;
        ACCOUNTS.credit_deposits(ctx, incoming)?;
        Ok(())
    }

    fn authenticate(ctx: &mut Context) -> Result<()> {
        accept_nonce(ctx)?;
        Ok(ACCOUNTS.charge_fee(ctx)?)
    }

    fn check(ctx: &Context) -> Result<()> {
        check_nonce(ctx)?;
        Ok(ACCOUNTS.check_fee(ctx)?)
    }

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        let Script { ops, careless, after } = args(call)?;
        let mut codes = Vec::new();
        for op in ops {
            match apply(ctx, call, &op) {
                Ok(()) => codes.push(0),
                Err(refusal) if careless => codes.push(refusal.code()),
                Err(refusal) => return Err(refusal.into()),
            }
        }
        match after {
            After::Succeed => reply(&codes),
            After::Refuse => fail(9, "told so"),
            After::Trap => std::panic::resume_unwind(Box::new("told so")),
        }
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        let "books" = call.method.as_str() else { return unknown_method(call) };
        reply(&books(ctx)?)
    }
}

fn apply(ctx: &mut Context, call: &Call, op: &Op) -> Result<(), AccountsError> {
    match *op {
        Op::Pay { from, to, amount } => ACCOUNTS.pay(ctx, &who(from), &who(to), amount),
        Op::Withdraw { from, amount } => {
            ACCOUNTS.withdraw(ctx, &who(from), &address("outside"), amount).map(drop)
        }
        Op::Charge { from, amount } => ACCOUNTS.charge(ctx, &who(from), amount),
        Op::PayFromPot { to, amount } => ACCOUNTS.pay_from_pot(ctx, &who(to), amount),
        Op::Collect { to } => ACCOUNTS.collect_fees(ctx, &who(to)).map(drop),
        Op::Mint { to, amount } => ACCOUNTS.mint(ctx, &who(to), amount),
        Op::Lock { owner, purpose, amount, until } => {
            let ends = until.map_or(Ends::call(LEAVE), Ends::Height);
            ACCOUNTS.lock(ctx, &who(owner), &Purpose::new([purpose], ends), amount)
        }
        Op::Unlock { owner, purpose, amount } => {
            ACCOUNTS.unlock(ctx, &who(owner), &[purpose], amount)
        }
        Op::Take { owner, purpose, amount, to } => {
            ACCOUNTS.take(ctx, &who(owner), &[purpose], amount, &who(to))
        }
        Op::EndAt { owner, purpose, height } => {
            ACCOUNTS.end_at(ctx, &who(owner), &[purpose], height)
        }
        Op::ReleaseDue { owner, purpose } => {
            ACCOUNTS.release_due(ctx, &who(owner), &[purpose]).map(drop)
        }
        Op::ReleaseBy { owner, purpose } => {
            ACCOUNTS.release_by(ctx, call, &who(owner), &[purpose]).map(drop)
        }
    }
}

fn books(ctx: &Context) -> Result<Books> {
    let mut books = Books {
        balances: Vec::new(),
        locks: Vec::new(),
        pot: ACCOUNTS.pot(ctx)?,
        pending: Vec::new(),
        supply: ACCOUNTS.supply(ctx)?,
        backing: ACCOUNTS.backing(ctx)?,
    };
    for owner in 0..NAMES.len() as u8 {
        books.balances.push(ACCOUNTS.balance(ctx, &who(owner))?);
        for purpose in 0..PURPOSES {
            let Some(lock) = ACCOUNTS.locked(ctx, &who(owner), &[purpose])? else { continue };
            let until = match lock.ends {
                Ends::Height(height) => Some(height),
                Ends::Call(method) if method == LEAVE => None,
                Ends::Call(_) => return Err(SdkError::CorruptState { what: "locks" }.into()),
            };
            books.locks.push((owner, purpose, lock.amount, until));
        }
    }
    for entry in ACCOUNTS.pending.iter(ctx) {
        let (key, withdrawal) = entry?;
        let owner = (0..NAMES.len() as u8).find(|owner| who(*owner) == withdrawal.from);
        let (round, index) = key.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let owner = owner.ok_or(SdkError::CorruptState { what: "pending" })?;
        books.pending.push((number(round), number(index) as u32, owner, withdrawal.amount));
    }
    books.pending.sort_unstable();
    Ok(books)
}
