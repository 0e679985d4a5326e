//! Values by key, beside the tree: the newest ones, and those that they replaced.
//!
//! * [`Column::Latest`] holds each present key once, under `namespace | key`: the version that set it,
//!   and its value. A scan of the newest version walks over present keys alone, however long the
//!   chain is and however much was removed.
//! * [`Column::History`] holds what was replaced, under `namespace | key | inverted version`: a value
//!   goes there when another takes its place, under the version that had set it. A removal has an
//!   entry under the version that removed.
//!
//! In the history, namespace and key are escaped (00 becomes 00 ff) and end with 00 00, which keeps
//! their order and keeps one from being the beginning of another. The inverted version puts the
//! newest first, so one seek finds the newest entry that is not younger than the version asked for.
//!
//! A reader looks at the latest values first and at the history after that. A commit in between moves
//! a value from the one to the other in one batch, so the value is found in one of them.

use std::collections::VecDeque;

use crate::kv::prefix_end;
use crate::{Column, Kv, Pair, StorageError, WriteBatch};

/// No user key is longer.
pub const MAX_KEY_BYTES: usize = 4 << 10;

/// No value is longer.
pub const MAX_VALUE_BYTES: usize = 64 << 20;

/// A value, and the version that set it.
pub(crate) type Set = (u64, Vec<u8>);

/// Escapes `bytes` without ending them: what all escaped keys that begin with `bytes` begin with.
fn escape_into(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
}

/// `prefix | escaped key | end`.
pub(crate) fn entry_prefix(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + key.len() + 10);
    out.extend_from_slice(prefix);
    escape_into(&mut out, key);
    out.extend_from_slice(&[0, 0]);
    out
}

pub(crate) fn entry_key(prefix: &[u8], key: &[u8], version: u64) -> Vec<u8> {
    let mut out = entry_prefix(prefix, key);
    out.extend_from_slice(&(!version).to_be_bytes());
    out
}

fn latest_key(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    [prefix, key].concat()
}

fn read_latest(mut stored: Vec<u8>) -> Result<Set, StorageError> {
    let Some(version) = stored.first_chunk::<8>() else {
        return Err(StorageError::corrupt("a latest value of unknown form"));
    };
    let version = u64::from_be_bytes(*version);
    Ok((version, stored.split_off(8)))
}

fn entry_value(value: Option<&[u8]>) -> Vec<u8> {
    value.map_or_else(|| vec![REMOVED], |value| [&[PRESENT], value].concat())
}

fn read_entry(mut entry: Vec<u8>) -> Result<Option<Vec<u8>>, StorageError> {
    match entry.first() {
        Some(&PRESENT) => Ok(Some(entry.split_off(1))),
        Some(&REMOVED) if entry.len() == 1 => Ok(None),
        _ => Err(StorageError::corrupt("a value of unknown form")),
    }
}

/// The newest value of a key, whatever versions are kept.
pub(crate) fn latest(kv: &Kv, prefix: &[u8], key: &[u8]) -> Result<Option<Set>, StorageError> {
    kv.get(Column::Latest, &latest_key(prefix, key))?.map(read_latest).transpose()
}

/// The value of a key as of a version.
pub(crate) fn get(
    kv: &Kv,
    prefix: &[u8],
    key: &[u8],
    version: u64,
) -> Result<Option<Set>, StorageError> {
    match latest(kv, prefix, key)? {
        Some((at, value)) if at <= version => return Ok(Some((at, value))),
        _ => {}
    }
    let from = entry_key(prefix, key, version);
    let end = prefix_end(&entry_prefix(prefix, key));
    let Some((stored, entry)) = kv.range(Column::History, &from, end.as_deref(), 1)?.pop() else {
        return Ok(None);
    };
    let at = crate::tree::version_of(&stored)?;
    Ok(read_entry(entry)?.map(|value| (!at, value)))
}

/// Writes a key's new value, or its removal, at `version`, and moves what it had before (`previous`)
/// into the history.
pub(crate) fn write(
    batch: &mut WriteBatch,
    prefix: &[u8],
    key: &[u8],
    version: u64,
    previous: Option<&Set>,
    value: Option<&[u8]>,
) {
    if let Some((at, previous)) = previous {
        batch.put(Column::History, entry_key(prefix, key, *at), entry_value(Some(previous)));
    }
    match value {
        Some(value) => {
            let stored = [version.to_be_bytes().as_slice(), value].concat();
            batch.put(Column::Latest, latest_key(prefix, key), stored);
        }
        None => {
            batch.delete(Column::Latest, latest_key(prefix, key));
            batch.put(Column::History, entry_key(prefix, key, version), entry_value(None));
        }
    }
}

/// Undoes [`write`]: the key has what it had before `version` again. All entries before it are kept.
pub(crate) fn unwrite(
    batch: &mut WriteBatch,
    kv: &Kv,
    prefix: &[u8],
    key: &[u8],
    version: u64,
) -> Result<(), StorageError> {
    batch.delete(Column::History, entry_key(prefix, key, version));
    batch.delete(Column::Latest, latest_key(prefix, key));
    let end = prefix_end(&entry_prefix(prefix, key));
    let before = entry_prefix_after(prefix, key, version);
    if let Some((stored, entry)) = kv.range(Column::History, &before, end.as_deref(), 1)?.pop()
        && let Some(value) = read_entry(entry)?
    {
        let at = !crate::tree::version_of(&stored)?;
        batch.put(
            Column::Latest,
            latest_key(prefix, key),
            [at.to_be_bytes().as_slice(), &value].concat(),
        );
        batch.delete(Column::History, stored);
    }
    Ok(())
}

/// The first stored key of the entries of a key before `version`.
fn entry_prefix_after(prefix: &[u8], key: &[u8], version: u64) -> Vec<u8> {
    match version.checked_sub(1) {
        Some(before) => entry_key(prefix, key, before),
        None => past(prefix, key),
    }
}

/// Removes the entries of a key that no version from `oldest` on reads.
pub(crate) fn prune(
    batch: &mut WriteBatch,
    kv: &Kv,
    prefix: &[u8],
    key: &[u8],
    oldest: u64,
) -> Result<(), StorageError> {
    let latest = latest(kv, prefix, key)?.map(|(at, _)| at).filter(|at| *at <= oldest);
    let from = entry_key(prefix, key, oldest);
    let end = prefix_end(&entry_prefix(prefix, key));
    let entries = kv.range(Column::History, &from, end.as_deref(), usize::MAX)?;
    for (n, (stored, entry)) in entries.into_iter().enumerate() {
        let is_read = match latest {
            // The oldest kept version reads the latest value. What is not older than that was
            // written after the latest value was read here.
            Some(at) => !crate::tree::version_of(&stored)? >= at,
            // It reads the first entry; that a key is gone is read from no entry as well.
            None => n == 0 && read_entry(entry)?.is_some(),
        };
        if !is_read {
            batch.delete(Column::History, stored);
        }
    }
    Ok(())
}

/// Up to `limit` keys with their newest values, in the order of keys. What a commit changes meanwhile
/// may be seen.
pub(crate) fn scan_latest(
    kv: &Kv,
    prefix: &[u8],
    key_prefix: &[u8],
    start_after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Pair>, StorageError> {
    let after = start_after.map(|after| latest_key(prefix, after));
    // ST-10: over present keys alone, whatever the age of the chain.
    let found =
        kv.prefix(Column::Latest, &latest_key(prefix, key_prefix), after.as_deref(), limit)?;
    let pair = |(stored, value): Pair| {
        let key = stored.get(prefix.len()..).unwrap_or_default().to_vec();
        Ok((key, read_latest(value)?.1))
    };
    found.into_iter().map(pair).collect()
}

/// Up to `limit` keys with their values as of a version, in the order of keys.
pub(crate) fn scan(
    kv: &Kv,
    prefix: &[u8],
    version: u64,
    key_prefix: &[u8],
    start_after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Pair>, StorageError> {
    let mut scan = Scan::new(kv, prefix, version, key_prefix, start_after);
    let mut found = Vec::new();
    while found.len() < limit && scan.step(&mut found)? {}
    found.truncate(limit);
    Ok(found)
}

/// Merges the latest values with the history, one window of keys after another.
struct Scan<'a> {
    kv: &'a Kv,
    prefix: &'a [u8],
    key_prefix: &'a [u8],
    version: u64,
    /// The last key of the latest values that were read.
    after: Option<Vec<u8>>,
    /// Latest values that were read and not merged yet.
    latest: VecDeque<(Vec<u8>, Set)>,
    /// Whether there are no further latest values.
    latest_ended: bool,
    /// Where the history goes on, and where it ends.
    history_from: Vec<u8>,
    history_end: Option<Vec<u8>>,
}

impl<'a> Scan<'a> {
    fn new(
        kv: &'a Kv,
        prefix: &'a [u8],
        version: u64,
        key_prefix: &'a [u8],
        start_after: Option<&[u8]>,
    ) -> Self {
        let mut history_from = prefix.to_vec();
        escape_into(&mut history_from, key_prefix);
        let history_end = prefix_end(&history_from);
        let after = start_after.filter(|after| *after >= key_prefix).map(<[u8]>::to_vec);
        if let Some(after) = &after {
            history_from = past(prefix, after);
        }
        let latest = VecDeque::new();
        let latest_ended = false;
        Self {
            kv,
            prefix,
            key_prefix,
            version,
            after,
            latest,
            latest_ended,
            history_from,
            history_end,
        }
    }

    /// Merges one window into `found`; false when that was the last one.
    fn step(&mut self, found: &mut Vec<Pair>) -> Result<bool, StorageError> {
        // The latest values of a window are read before its history.
        if self.latest.is_empty() && !self.latest_ended {
            self.read_latest()?;
        }
        let window = if self.latest_ended { None } else { self.after.clone() };
        let end = match &window {
            Some(last) => Some(past(self.prefix, last)),
            None => self.history_end.clone(),
        };
        let (history, reached) = self.read_history(end.as_deref())?;
        // The history may have been cut short within the window.
        let last = reached.or(window);
        let mut history = history.into_iter().peekable();
        loop {
            let latest = self
                .latest
                .front()
                .map(|(key, _)| key)
                .filter(|key| last.as_ref().is_none_or(|last| *key <= last));
            match (latest, history.peek()) {
                (None, None) => break,
                (Some(key), Some((past, _))) if past < key => push(found, history.next()),
                (None, Some(_)) => push(found, history.next()),
                (Some(key), past) => {
                    let is_same = past.is_some_and(|(past, _)| past == key);
                    let old = if is_same { history.next() } else { None };
                    match self.latest.pop_front() {
                        Some((key, (at, value))) if at <= self.version => found.push((key, value)),
                        _ => push(found, old),
                    }
                }
            }
        }
        match last {
            Some(last) => {
                self.history_from = past(self.prefix, &last);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn read_latest(&mut self) -> Result<(), StorageError> {
        let after = self.after.as_ref().map(|after| latest_key(self.prefix, after));
        let from = latest_key(self.prefix, self.key_prefix);
        let chunk = self.kv.prefix(Column::Latest, &from, after.as_deref(), CHUNK)?;
        self.latest_ended = chunk.len() < CHUNK;
        for (stored, value) in chunk {
            let key = stored.get(self.prefix.len()..).unwrap_or_default().to_vec();
            self.latest.push_back((key, read_latest(value)?));
        }
        if let Some((last, _)) = self.latest.back() {
            self.after = Some(last.clone());
        }
        Ok(())
    }

    /// The newest entry as of the version for each key of the history before `end`. Gives also the
    /// last key that was looked at, if there may be more.
    fn read_history(
        &mut self,
        end: Option<&[u8]>,
    ) -> Result<(Vec<Past>, Option<Vec<u8>>), StorageError> {
        let mut found: Vec<Past> = Vec::new();
        loop {
            let chunk = self.kv.range(Column::History, &self.history_from, end, CHUNK)?;
            let is_full = chunk.len() == CHUNK;
            let mut younger = None;
            for (stored, entry) in chunk {
                let (key, at) = split(self.prefix, &stored)?;
                if found.last().is_some_and(|(last, _)| *last == key) {
                    continue;
                }
                if at > self.version {
                    younger = Some(key);
                    continue;
                }
                younger = None;
                found.push((key, read_entry(entry)?));
            }
            if !is_full {
                return Ok((found, None));
            }
            match (younger, found.last()) {
                // Only younger entries of this key so far: go on where an old enough one would be.
                (Some(key), _) if found.len() < CHUNK => {
                    self.history_from = entry_key(self.prefix, &key, self.version);
                }
                (_, Some((last, _))) => {
                    let last = last.clone();
                    return Ok((found, Some(last)));
                }
                (_, None) => return Err(StorageError::corrupt("a history without keys")),
            }
        }
    }
}

/// A key of the history, and the value that it had; none if it was removed.
type Past = (Vec<u8>, Option<Vec<u8>>);

fn push(found: &mut Vec<Pair>, past: Option<Past>) {
    if let Some((key, Some(value))) = past {
        found.push((key, value));
    }
}

/// The first stored key after all versions of a user key.
fn past(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    let mut out = entry_prefix(prefix, key);
    if let Some(last) = out.last_mut() {
        *last = 1;
    }
    out
}

/// The user key and version of a stored key.
fn split(prefix: &[u8], stored: &[u8]) -> Result<(Vec<u8>, u64), StorageError> {
    let damaged = || StorageError::corrupt("a key of unknown form");
    let rest = stored.strip_prefix(prefix).ok_or_else(damaged)?;
    let (escaped, version) = rest.split_last_chunk::<8>().ok_or_else(damaged)?;
    let escaped = escaped.strip_suffix(&[0, 0]).ok_or_else(damaged)?;
    let mut key = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        key.push(*byte);
        if *byte == 0 && bytes.next() != Some(&0xff) {
            return Err(damaged());
        }
    }
    Ok((key, !u64::from_be_bytes(*version)))
}

const REMOVED: u8 = 0;
const PRESENT: u8 = 1;
/// Entries read at once by a scan.
const CHUNK: usize = 128;
