//! Timers: items that the state keeps until a consensus height.
//!
//! ```
//! use paralith_sdk::{Call, Context, Error, Result, Runtime, Timers, args, reply};
//!
//! /// Offers, by number, until they expire.
//! const EXPIRY: Timers<u64> = Timers::new("expiry");
//! /// How many are handled in a round: what `end_block` can do with its gas.
//! const EXPIRY_MAX: usize = 32;
//!
//! struct Offers;
//! impl Runtime for Offers {
//!     fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
//!         let (offer, blocks): (u64, u64) = args(call)?;
//!         let expires = ctx.consensus_height().checked_add(blocks);
//!         let expires = expires.ok_or_else(|| Error::new(1, "too many blocks"))?;
//!         reply(&EXPIRY.add(ctx, expires, &offer)?)
//!     }
//!
//!     fn end_block(ctx: &mut Context) -> Result<()> {
//!         for expired in EXPIRY.take_due(ctx, EXPIRY_MAX)? {
//!             ctx.emit_event("expired", &expired.item.to_be_bytes());
//!         }
//!         Ok(())
//!     }
//! }
//! ```

#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use crate::collections::Name;
use crate::{Context, Error, Result, SdkError, Value};

/// Timers of one kind, as a binary heap in the state, ordered by height and then by number.
///
/// * **Take them in every round**, by one call of [`Timers::take_due`] in `begin_block` or in
///   `end_block`; transactions of the same round come before those in `end_block`. It asks the host
///   to be woken for those that are left: a round that was woken and does not call it may be the
///   last one.
/// * **Never early, never twice, never lost.** An item is given in a round that pins its height or a
///   later one. If that call of `begin_block` or `end_block` fails, nothing was taken, and all comes
///   again. So an item that always makes it fail stops all others: handle its errors.
/// * **Late by at most** the rounds that those before it need, `max` of them in each, and what the
///   committee needs for a round. While the runtime is suspended nothing is given.
/// * **Cost.** `add`, `cancel` and each item taken need in the order of log2(n) operations on the
///   state, up to four for each level of the heap.
///
/// | key | value |
/// |---|---|
/// | name, `0` | how many there are, the next number: 8 bytes each |
/// | name, `1`, place in the heap (8 bytes) | height, number: 8 bytes each |
/// | name, `2`, number (8 bytes) | place in the heap, 8 bytes |
/// | name, `3`, number (8 bytes) | the item |
///
/// A name is written as those of [`Map`](crate::Map)s are, and belongs to no other collection. In a
/// WebAssembly module this takes the crate's feature `abi-2`.
#[derive(Debug, Clone)]
pub struct Timers<T> {
    name: Name,
    marker: PhantomData<fn() -> T>,
}

/// A timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer<T> {
    /// Its number, which no other timer of this name ever has.
    pub id: u64,
    /// The height for which it was set.
    pub height: u64,
    /// What it was set for.
    pub item: T,
}

impl<T: Value> Timers<T> {
    /// The timers of this name, 1 to 255 bytes: `const DEADLINES: Timers<u64> =
    /// Timers::new("deadlines");`
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name: Name::new(name), marker: PhantomData }
    }

    /// Sets a timer and gives its number. One whose height has come is due at once.
    pub fn add(&self, ctx: &mut Context, height: u64, item: &T) -> Result<u64> {
        let Head { len, next: id } = self.head(ctx)?;
        let next = id.checked_add(1).ok_or_else(corrupt)?;
        self.set_head(ctx, Head { len: len + 1, next });
        ctx.set(&self.item_key(id), item);
        // If another one is the first, that height was asked for before.
        if self.rise(ctx, len, Slot { height, id })? == 0 {
            ctx.wake_at(height);
        }
        Ok(id)
    }

    /// Removes a timer and gives its item; nothing if it was taken or cancelled before.
    pub fn cancel(&self, ctx: &mut Context, id: u64) -> Result<Option<T>> {
        let Some(place) = ctx.get(&self.place_key(id))? else { return Ok(None) };
        let head = self.head(ctx)?;
        let (_, item) = self.take(ctx, head, place)?;
        Ok(Some(item))
    }

    /// Removes the timers whose height this round has reached, at most `max`, and gives them by
    /// height and number. Asks to be woken for the first one that is left: at the next height if
    /// that one is due, too.
    ///
    /// For `begin_block` or `end_block`, in every round. `max` bounds what these calls do, whatever
    /// users set; each has a fixed amount of gas.
    pub fn take_due(&self, ctx: &mut Context, max: usize) -> Result<Vec<Timer<T>>> {
        let now = ctx.consensus_height();
        let mut due = Vec::new();
        let mut head = self.head(ctx)?;
        while head.len > 0 {
            let Slot { height, id } = self.slot(ctx, 0)?;
            if height > now || due.len() == max {
                ctx.wake_at(height.max(now.saturating_add(1)));
                break;
            }
            let item;
            (head, item) = self.take(ctx, head, 0)?;
            due.push(Timer { id, height, item });
        }
        Ok(due)
    }

    /// A timer that is neither taken nor cancelled.
    pub fn get(&self, ctx: &Context, id: u64) -> Result<Option<Timer<T>>> {
        let Some(place) = ctx.get(&self.place_key(id))? else { return Ok(None) };
        let Slot { height, .. } = self.slot(ctx, place)?;
        let item = ctx.get(&self.item_key(id))?.ok_or_else(corrupt)?;
        Ok(Some(Timer { id, height, item }))
    }

    /// The height of the first timer.
    pub fn next_height(&self, ctx: &Context) -> Result<Option<u64>> {
        match self.head(ctx)?.len {
            0 => Ok(None),
            _ => Ok(Some(self.slot(ctx, 0)?.height)),
        }
    }

    /// How many there are.
    pub fn len(&self, ctx: &Context) -> Result<u64> {
        Ok(self.head(ctx)?.len)
    }

    /// Removes the timer at a place of the heap: the last one takes its place and goes where it
    /// belongs.
    fn take(&self, ctx: &mut Context, head: Head, place: u64) -> Result<(Head, T)> {
        let last = head.len.checked_sub(1).ok_or_else(corrupt)?;
        let head = Head { len: last, ..head };
        let (gone, moved) = (self.slot(ctx, place)?, self.slot(ctx, last)?);
        let item = ctx.get(&self.item_key(gone.id))?.ok_or_else(corrupt)?;
        self.set_head(ctx, head);
        ctx.remove(&self.slot_key(last));
        ctx.remove(&self.place_key(gone.id));
        ctx.remove(&self.item_key(gone.id));
        if place != last {
            // It comes from another branch: it may belong above this place or below.
            if moved < gone {
                self.rise(ctx, place, moved)?;
            } else {
                self.sink(ctx, place, moved, last)?;
            }
        }
        Ok((head, item))
    }

    /// Puts a timer at this place or, while its parent comes later than it, at the parent's. Gives
    /// the place.
    fn rise(&self, ctx: &mut Context, mut place: u64, slot: Slot) -> Result<u64> {
        while place > 0 {
            let parent = (place - 1) / 2;
            let above = self.slot(ctx, parent)?;
            if above <= slot {
                break;
            }
            self.put(ctx, place, above);
            place = parent;
        }
        self.put(ctx, place, slot);
        Ok(place)
    }

    /// Puts a timer at this place or, while a child comes earlier than it, at the earlier child's.
    fn sink(&self, ctx: &mut Context, mut place: u64, slot: Slot, len: u64) -> Result<()> {
        loop {
            let mut child = 2 * place + 1;
            if child >= len {
                break;
            }
            let mut below = self.slot(ctx, child)?;
            if child + 1 < len {
                let right = self.slot(ctx, child + 1)?;
                if right < below {
                    (child, below) = (child + 1, right);
                }
            }
            if slot <= below {
                break;
            }
            self.put(ctx, place, below);
            place = child;
        }
        self.put(ctx, place, slot);
        Ok(())
    }

    fn put(&self, ctx: &mut Context, place: u64, slot: Slot) {
        ctx.set(&self.slot_key(place), &slot);
        ctx.set(&self.place_key(slot.id), &place);
    }

    fn head(&self, ctx: &Context) -> Result<Head> {
        Ok(ctx.get(&self.name.key(0, &[]))?.unwrap_or_default())
    }

    fn set_head(&self, ctx: &mut Context, head: Head) {
        ctx.set(&self.name.key(0, &[]), &head);
    }

    fn slot(&self, ctx: &Context, place: u64) -> Result<Slot> {
        ctx.get(&self.slot_key(place))?.ok_or_else(corrupt)
    }

    fn slot_key(&self, place: u64) -> Vec<u8> {
        self.name.key(1, &place.to_be_bytes())
    }

    fn place_key(&self, id: u64) -> Vec<u8> {
        self.name.key(2, &id.to_be_bytes())
    }

    fn item_key(&self, id: u64) -> Vec<u8> {
        self.name.key(3, &id.to_be_bytes())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Head {
    len: u64,
    /// The number of the next timer.
    next: u64,
}

/// A timer in the heap. The order is that of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    height: u64,
    id: u64,
}

impl Value for Head {
    fn to_bytes(&self) -> Vec<u8> {
        two_to_bytes(self.len, self.next)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (len, next) = two_from_bytes(bytes)?;
        Some(Self { len, next })
    }
}

impl Value for Slot {
    fn to_bytes(&self) -> Vec<u8> {
        two_to_bytes(self.height, self.id)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (height, id) = two_from_bytes(bytes)?;
        Some(Self { height, id })
    }
}

fn two_to_bytes(first: u64, second: u64) -> Vec<u8> {
    [first.to_be_bytes(), second.to_be_bytes()].concat()
}

fn two_from_bytes(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*first), u64::from_bytes(second)?))
}

fn corrupt() -> Error {
    SdkError::CorruptState { what: "timers" }.into()
}
