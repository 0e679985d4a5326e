//! Maps, lists and tables in the state.
//!
//! The host cannot list keys (those of a confidential runtime are hashed), so a map and a list
//! remember what they hold; a table does not. Each operation touches a constant number of keys,
//! except walking.
//!
//! | key | value |
//! |---|---|
//! | name, `0` | map, list: number of elements, 8 bytes |
//! | name, `1`, position (8 bytes) | list: the value; map: the key at that position |
//! | name, `2`, key | map: position (8 bytes), then the value |
//! | name, `3`, key | table: the value |
//!
//! A name is written as 0, its length in one byte, its text, the length of the owner's part in two
//! bytes, that part: no two names share a key. Give a name to one collection only. Keys and values
//! are written by [`Value`]; numbers are big-endian. The form is frozen: clients build keys to ask
//! for proofs of entries (`state_key`, `position_key`, `len_key`).

use std::marker::PhantomData;

use crate::{Context, Result, SdkError, Value};

/// A map which can be walked. Its order is the order of insertion, except that removal moves the
/// last entry into the gap.
#[derive(Debug, Clone)]
pub struct Map<K, V> {
    name: Name,
    marker: PhantomData<fn() -> (K, V)>,
}

impl<K: Value, V: Value> Map<K, V> {
    /// The map of this name, 1 to 255 bytes: `const BALANCES: Map<Address, Amount> =
    /// Map::new("balances");`
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self::prefixed("", name)
    }

    /// As [`Map::new`]; the name is made of two parts.
    pub(crate) const fn prefixed(prefix: &'static str, name: &'static str) -> Self {
        Self { name: Name::prefixed(prefix, name), marker: PhantomData }
    }

    /// One owner's map of this name: a map in a map.
    #[must_use]
    pub fn of(name: &'static str, owner: &impl Value) -> Self {
        Self { name: Name::of(name, owner), marker: PhantomData }
    }

    /// Writes an entry.
    pub fn insert(&self, ctx: &mut Context, key: &K, value: &V) -> Result<()> {
        let position = match self.entry(ctx, key)? {
            Some((position, _)) => position,
            None => {
                let len = self.name.len(ctx)?;
                ctx.set(&self.name.element(len), &key.to_bytes());
                self.name.set_len(ctx, len + 1);
                len
            }
        };
        self.write(ctx, key, position, value);
        Ok(())
    }

    /// Removes an entry and gives its value, if it was there.
    pub fn remove(&self, ctx: &mut Context, key: &K) -> Result<Option<V>> {
        let Some((position, value)) = self.entry(ctx, key)? else { return Ok(None) };
        let last = self.name.len(ctx)?.checked_sub(1).ok_or_else(corrupt)?;
        if position != last {
            let (moved, its_value) = self.at(ctx, last)?.ok_or_else(corrupt)?;
            ctx.set(&self.name.element(position), &moved.to_bytes());
            self.write(ctx, &moved, position, &its_value);
        }
        ctx.remove(&self.name.element(last));
        ctx.remove(&self.name.entry(&key.to_bytes()));
        self.name.set_len(ctx, last);
        Ok(Some(value))
    }

    /// The value of a key.
    pub fn get(&self, ctx: &Context, key: &K) -> Result<Option<V>> {
        Ok(self.entry(ctx, key)?.map(|(_, value)| value))
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains(&self, ctx: &Context, key: &K) -> bool {
        ctx.contains(&self.name.entry(&key.to_bytes()))
    }

    /// The number of entries.
    pub fn len(&self, ctx: &Context) -> Result<u64> {
        self.name.len(ctx)
    }

    /// The entry at a position below [`Map::len`], to walk in pages.
    pub fn at(&self, ctx: &Context, position: u64) -> Result<Option<(K, V)>> {
        let Some(bytes) = ctx.get::<Vec<u8>>(&self.name.element(position))? else {
            return Ok(None);
        };
        let key = K::from_bytes(&bytes).ok_or_else(corrupt)?;
        let (_, value) = self.entry(ctx, &key)?.ok_or_else(corrupt)?;
        Ok(Some((key, value)))
    }

    /// All entries. Its cost grows with the map: a round's handlers should not walk what users can
    /// grow.
    pub fn iter<'a>(&'a self, ctx: &'a Context) -> impl Iterator<Item = Result<(K, V)>> + 'a {
        (0..).map_while(move |position| self.at(ctx, position).transpose())
    }

    /// The state key of an entry. Its value is the entry's position, 8 bytes big-endian, then the
    /// map's value.
    #[must_use]
    pub fn state_key(&self, key: &K) -> Vec<u8> {
        self.name.entry(&key.to_bytes())
    }

    /// The state key under which the map's key at a position is kept.
    #[must_use]
    pub fn position_key(&self, position: u64) -> Vec<u8> {
        self.name.element(position)
    }

    /// The state key of the number of entries, 8 bytes big-endian. Absent while none was written.
    #[must_use]
    pub fn len_key(&self) -> Vec<u8> {
        self.name.key(LEN, &[])
    }

    fn entry(&self, ctx: &Context, key: &K) -> Result<Option<(u64, V)>> {
        let Some(bytes) = ctx.get::<Vec<u8>>(&self.name.entry(&key.to_bytes()))? else {
            return Ok(None);
        };
        let (position, value) = bytes.split_first_chunk::<8>().ok_or_else(corrupt)?;
        let value = V::from_bytes(value).ok_or_else(corrupt)?;
        Ok(Some((u64::from_be_bytes(*position), value)))
    }

    fn write(&self, ctx: &mut Context, key: &K, position: u64, value: &V) {
        let mut bytes = position.to_bytes();
        bytes.extend(value.to_bytes());
        ctx.set(&self.name.entry(&key.to_bytes()), &bytes);
    }
}

/// A list.
#[derive(Debug, Clone)]
pub struct List<V> {
    name: Name,
    marker: PhantomData<fn() -> V>,
}

impl<V: Value> List<V> {
    /// The list of this name, 1 to 255 bytes.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name: Name::new(name), marker: PhantomData }
    }

    /// One owner's list of this name.
    #[must_use]
    pub fn of(name: &'static str, owner: &impl Value) -> Self {
        Self { name: Name::of(name, owner), marker: PhantomData }
    }

    /// Adds a value at the end and gives its position.
    pub fn push(&self, ctx: &mut Context, value: &V) -> Result<u64> {
        let len = self.name.len(ctx)?;
        ctx.set(&self.name.element(len), value);
        self.name.set_len(ctx, len + 1);
        Ok(len)
    }

    /// Replaces the value at a position.
    pub fn set(&self, ctx: &mut Context, position: u64, value: &V) -> Result<()> {
        let len = self.name.len(ctx)?;
        if position >= len {
            return Err(SdkError::OutOfRange { position, len }.into());
        }
        ctx.set(&self.name.element(position), value);
        Ok(())
    }

    /// Removes the last value and gives it.
    pub fn pop(&self, ctx: &mut Context) -> Result<Option<V>> {
        let Some(last) = self.name.len(ctx)?.checked_sub(1) else { return Ok(None) };
        let value = self.get(ctx, last)?;
        ctx.remove(&self.name.element(last));
        self.name.set_len(ctx, last);
        Ok(value)
    }

    /// The value at a position.
    pub fn get(&self, ctx: &Context, position: u64) -> Result<Option<V>> {
        ctx.get(&self.name.element(position))
    }

    /// The number of values.
    pub fn len(&self, ctx: &Context) -> Result<u64> {
        self.name.len(ctx)
    }

    /// All values, in order. Its cost grows with the list.
    pub fn iter<'a>(&'a self, ctx: &'a Context) -> impl Iterator<Item = Result<V>> + 'a {
        (0..).map_while(move |position| self.get(ctx, position).transpose())
    }

    /// The state key of the value at a position.
    #[must_use]
    pub fn state_key(&self, position: u64) -> Vec<u8> {
        self.name.element(position)
    }

    /// The state key of the number of values, 8 bytes big-endian. Absent while none was written.
    #[must_use]
    pub fn len_key(&self) -> Vec<u8> {
        self.name.key(LEN, &[])
    }
}

/// A map which cannot be walked: one entry of the state for each of its own, and one operation on
/// the state for each operation.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    name: Name,
    marker: PhantomData<fn() -> (K, V)>,
}

impl<K: Value, V: Value> Table<K, V> {
    /// The table of this name, 1 to 255 bytes.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self::prefixed("", name)
    }

    /// As [`Table::new`]; the name is made of two parts.
    pub(crate) const fn prefixed(prefix: &'static str, name: &'static str) -> Self {
        Self { name: Name::prefixed(prefix, name), marker: PhantomData }
    }

    /// One owner's table of this name.
    #[must_use]
    pub fn of(name: &'static str, owner: &impl Value) -> Self {
        Self { name: Name::of(name, owner), marker: PhantomData }
    }

    /// Writes an entry.
    pub fn insert(&self, ctx: &mut Context, key: &K, value: &V) {
        ctx.set(&self.state_key(key), value);
    }

    /// Removes an entry, if it is there.
    pub fn remove(&self, ctx: &mut Context, key: &K) {
        ctx.remove(&self.state_key(key));
    }

    /// The value of a key.
    pub fn get(&self, ctx: &Context, key: &K) -> Result<Option<V>> {
        ctx.get(&self.state_key(key))
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains(&self, ctx: &Context, key: &K) -> bool {
        ctx.contains(&self.state_key(key))
    }

    /// The state key of an entry. Its value is the table's value.
    #[must_use]
    pub fn state_key(&self, key: &K) -> Vec<u8> {
        self.name.key(ROW, &key.to_bytes())
    }
}

/// Number of elements.
const LEN: u8 = 0;
/// By position.
const ELEMENT: u8 = 1;
/// By key, with the position.
const ENTRY: u8 = 2;
/// By key.
const ROW: u8 = 3;

/// What the keys of a collection begin with.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    prefix: &'static str,
    name: &'static str,
    owner: Vec<u8>,
}

impl Name {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self::prefixed("", name)
    }

    const fn prefixed(prefix: &'static str, name: &'static str) -> Self {
        // In a `const` this is checked when the runtime is compiled.
        let len = prefix.len() + name.len();
        assert!(!name.is_empty() && len <= 255, "a collection's name has 1 to 255 bytes");
        Self { prefix, name, owner: Vec::new() }
    }

    fn of(name: &'static str, owner: &impl Value) -> Self {
        Self { owner: owner.to_bytes(), ..Self::new(name) }
    }

    pub(crate) fn key(&self, tag: u8, rest: &[u8]) -> Vec<u8> {
        let mut key = vec![0, (self.prefix.len() + self.name.len()) as u8];
        key.extend(self.prefix.as_bytes());
        key.extend(self.name.as_bytes());
        // An owner longer than a key may be is refused by the host, whatever its length says.
        key.extend((self.owner.len() as u16).to_be_bytes());
        key.extend(&self.owner);
        key.push(tag);
        key.extend(rest);
        key
    }

    fn element(&self, position: u64) -> Vec<u8> {
        self.key(ELEMENT, &position.to_be_bytes())
    }

    fn entry(&self, key: &[u8]) -> Vec<u8> {
        self.key(ENTRY, key)
    }

    fn len(&self, ctx: &Context) -> Result<u64> {
        Ok(ctx.get(&self.key(LEN, &[]))?.unwrap_or(0))
    }

    fn set_len(&self, ctx: &mut Context, len: u64) {
        ctx.set(&self.key(LEN, &[]), &len);
    }
}

fn corrupt() -> crate::Error {
    SdkError::CorruptState { what: "a collection" }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_frozen_and_never_shared() {
        let owner = |name, owner: &str| Name::of(name, &owner.to_string());
        assert_eq!(Name::new("map").key(2, b"k"), b"\0\x03map\0\0\x02k");
        assert_eq!(owner("map", "me").element(1), b"\0\x03map\0\x02me\x01\0\0\0\0\0\0\0\x01");
        let mut keys = vec![
            Name::new("ab").key(0, b""),
            Name::new("a").key(0, b"b"),
            Name::new("a").entry(b""),
            Name::new("a").entry(b"\0"),
            owner("a", "b").entry(b""),
            owner("a", "").entry(b"b"),
            owner("a", "bc").entry(b"d"),
            owner("a", "b").entry(b"cd"),
            Name::new("a").key(ROW, b""),
            Name::new("a").element(0),
        ];
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
    #[test]
    fn clients_can_build_the_keys_of_every_collection() {
        let position = [0, 0, 0, 0, 0, 0, 1, 2];
        let at = |before: &[u8]| [before, &position].concat();
        let map = Map::<String, u64>::new("votes");
        assert_eq!(map.state_key(&"yes".into()), b"\0\x05votes\0\0\x02yes");
        assert_eq!(map.position_key(258), at(b"\0\x05votes\0\0\x01"));
        assert_eq!(map.len_key(), b"\0\x05votes\0\0\0");
        let of_owner = Map::<u16, u64>::of("votes", &String::from("me"));
        assert_eq!(of_owner.state_key(&0x0102), b"\0\x05votes\0\x02me\x02\x01\x02");
        let list = List::<u64>::new("log");
        assert_eq!(list.state_key(258), at(b"\0\x03log\0\0\x01"));
        assert_eq!(list.len_key(), b"\0\x03log\0\0\0");
        let of_owner = List::<u64>::of("log", &7u8);
        assert_eq!(of_owner.state_key(258), at(b"\0\x03log\0\x01\x07\x01"));
        let table = Table::<[u8; 2], u64>::new("rates");
        assert_eq!(table.state_key(&[8, 9]), b"\0\x05rates\0\0\x03\x08\x09");
        let of_owner = Table::<u8, u64>::of("rates", &String::from("me"));
        assert_eq!(of_owner.state_key(&1), b"\0\x05rates\0\x02me\x03\x01");
        let prefixed = Table::<u8, u64>::prefixed("shop/", "rates");
        assert_eq!(prefixed.state_key(&1), Table::<u8, u64>::new("shop/rates").state_key(&1));
    }
}
