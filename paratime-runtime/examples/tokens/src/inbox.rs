//! The latest transfers that an account received, as a ring of fixed length.

use paralith_sdk::{Address, Amount, Context, List, Map, Result, Value};
use serde::Serialize;

/// How many transfers an account's inbox keeps.
pub(crate) const INBOX_MAX: u64 = 16;

/// Longest memo.
pub(crate) const MEMO_BYTES_MAX: usize = 256;

/// A transfer as its recipient sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Received {
    pub(crate) from: Address,
    pub(crate) amount: Amount,
    pub(crate) memo: String,
}

/// Records a transfer in place of the oldest one.
pub(crate) fn push(ctx: &mut Context, to: &Address, received: &Received) -> Result<()> {
    let inbox = List::of("inbox", to);
    let count = COUNTS.get(ctx, to)?.unwrap_or(0);
    if count < INBOX_MAX {
        inbox.push(ctx, received)?;
    } else {
        inbox.set(ctx, count % INBOX_MAX, received)?;
    }
    COUNTS.insert(ctx, to, &count.saturating_add(1))
}

/// What is kept, newest first.
pub(crate) fn latest(ctx: &Context, address: &Address) -> Result<Vec<Received>> {
    let inbox = List::of("inbox", address);
    let count = COUNTS.get(ctx, address)?.unwrap_or(0);
    let mut received = Vec::new();
    for number in (count.saturating_sub(INBOX_MAX)..count).rev() {
        received.extend(inbox.get(ctx, number % INBOX_MAX)?);
    }
    Ok(received)
}

/// Padded, so that the length of a sealed record tells neither the amount nor the memo's length.
impl Value for Received {
    fn to_bytes(&self) -> Vec<u8> {
        let memo = self.memo.as_bytes();
        let mut bytes = [self.from.to_bytes(), self.amount.to_bytes()].concat();
        bytes.extend(u16::try_from(memo.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(memo);
        bytes.resize(RECORD_BYTES, 0);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (from, rest) = bytes.split_at_checked(Address::LEN)?;
        let (amount, rest) = rest.split_at_checked(16)?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let memo = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
        Some(Self {
            from: Value::from_bytes(from)?,
            amount: Value::from_bytes(amount)?,
            memo: Value::from_bytes(memo)?,
        })
    }
}

const RECORD_BYTES: usize = Address::LEN + 16 + 2 + MEMO_BYTES_MAX;

/// How many transfers each account ever received.
const COUNTS: Map<Address, u64> = Map::new("received");
