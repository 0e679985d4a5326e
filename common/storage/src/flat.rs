//! Values by key and version, beside the tree.
//!
//! The stored key is `namespace | user key | inverted version`. Namespace and user key are escaped
//! (00 becomes 00 ff) and end with 00 00, which keeps their order and keeps one from being the
//! beginning of another. The inverted version puts the newest first, so one seek finds the newest
//! value that is not younger than the version asked for. A removed key has an entry that says so.

use crate::kv::prefix_end;
use crate::{Column, Kv, Pair, StorageError};

/// No user key is longer.
pub const MAX_KEY_BYTES: usize = 4 << 10;

/// No value is longer.
pub const MAX_VALUE_BYTES: usize = 64 << 20;

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

pub(crate) fn entry_value(value: Option<&[u8]>) -> Vec<u8> {
    value.map_or_else(|| vec![REMOVED], |value| [&[PRESENT], value].concat())
}

pub(crate) fn read_value(mut entry: Vec<u8>) -> Result<Option<Vec<u8>>, StorageError> {
    match entry.first() {
        Some(&PRESENT) => Ok(Some(entry.split_off(1))),
        Some(&REMOVED) if entry.len() == 1 => Ok(None),
        _ => Err(StorageError::corrupt("a value of unknown form")),
    }
}

/// The value of a key as of a version.
pub(crate) fn get(
    kv: &Kv,
    prefix: &[u8],
    key: &[u8],
    version: u64,
) -> Result<Option<Vec<u8>>, StorageError> {
    let from = entry_key(prefix, key, version);
    let end = prefix_end(&entry_prefix(prefix, key));
    match kv.range(Column::Flat, &from, end.as_deref(), 1)?.pop() {
        Some((_, entry)) => read_value(entry),
        None => Ok(None),
    }
}

/// The stored keys and values of one user key at versions up to `version`, newest first.
pub(crate) fn history(
    kv: &Kv,
    prefix: &[u8],
    key: &[u8],
    version: u64,
) -> Result<Vec<Pair>, StorageError> {
    let from = entry_key(prefix, key, version);
    let end = prefix_end(&entry_prefix(prefix, key));
    kv.range(Column::Flat, &from, end.as_deref(), usize::MAX)
}

/// Up to `limit` keys with their values as of a version, in the order of user keys.
pub(crate) fn scan(
    kv: &Kv,
    prefix: &[u8],
    version: u64,
    key_prefix: &[u8],
    start_after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Pair>, StorageError> {
    let mut from = prefix.to_vec();
    escape_into(&mut from, key_prefix);
    let end = prefix_end(&from);
    if let Some(after) = start_after.filter(|after| *after >= key_prefix) {
        from = past(prefix, after);
    }
    let mut found = Vec::new();
    while found.len() < limit {
        let chunk = kv.range(Column::Flat, &from, end.as_deref(), CHUNK)?;
        let full = chunk.len() == CHUNK;
        // The key at hand, and whether its value as of `version` was seen.
        let mut current: Option<(Vec<u8>, bool)> = None;
        for (stored, entry) in chunk {
            let (key, at) = split(prefix, &stored)?;
            let done = current.as_ref().is_some_and(|(last, done)| *last == key && *done);
            if done || at > version {
                current = Some((key, done));
                continue;
            }
            if let Some(value) = read_value(entry)? {
                found.push((key.clone(), value));
                if found.len() == limit {
                    return Ok(found);
                }
            }
            current = Some((key, true));
        }
        match current {
            Some((key, true)) if full => from = past(prefix, &key),
            // Only younger entries so far: go on where an old enough one would be.
            Some((key, false)) if full => from = entry_key(prefix, &key, version),
            _ => break,
        }
    }
    Ok(found)
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
