//! How state keys are made: a readable prefix, then the fields, fixed in length, big-endian.

/// `prefix || part || part …`.
pub(crate) fn key(prefix: &str, parts: &[&[u8]]) -> Vec<u8> {
    let length = prefix.len() + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut key = Vec::with_capacity(length);
    key.extend_from_slice(prefix.as_bytes());
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}
