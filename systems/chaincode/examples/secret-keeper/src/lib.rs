//! A secret that those who know its password read and replace: Fabric Private Chaincode's sample, as
//! chaincode.
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `put` | `{"name", "password", "secret"}` | `{"stored"}` |
//! | `reveal` | `{"name", "password"}` | `{"secret"?}` |
//!
//! * **A wrong password is an answer, not an error**, and writes the same entry as a right one: who
//!   watches endorsed calls learns nothing of it. Results are sealed until the commit, so each guess
//!   is ordered and paid for: guesses that are never committed tell nothing. After [`TRIES`] wrong ones
//!   in a row the secret is locked for ever.
//! * **Results have one length**, [`REPLY_BYTES`]: a response shows how long its sealed result is, so
//!   another length would tell a right password, or the length of a secret, before anything is committed.
//! * **Secrets have one size** in the state, and are at most [`SECRET_BYTES`] long.
//! * There are no queries: what `query` reads needs no commit, so it could be asked for every password.

use paralith_sdk::{
    Call, Context, Error, Result, Runtime, Table, Value, args, export, json, reply, unknown_method,
};
use serde::Deserialize;

#[cfg(test)]
mod tests;

export!(SecretKeeper);

/// Longest secret.
pub const SECRET_BYTES: usize = 255;

/// Length of every result: that of a secret of which each byte is escaped in JSON fits.
pub const REPLY_BYTES: usize = 2048;

/// Wrong passwords in a row after which a secret is locked.
pub const TRIES: u8 = 10;

/// One entry for each name, by its hash.
const SECRETS: Table<[u8; 32], Kept> = Table::new("secrets");

/// A secret, or that there is none: one length.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    /// A secret was stored.
    exists: bool,
    /// Wrong passwords since the last right one.
    wrong: u8,
    /// Hash of the password under the salt.
    password: [u8; 32],
    salt: [u8; 32],
    secret: Vec<u8>,
}

impl Kept {
    const LEN: usize = 1 + 1 + 32 + 32 + 1 + SECRET_BYTES;

    const NONE: Self =
        Self { exists: false, wrong: 0, password: [0; 32], salt: [0; 32], secret: Vec::new() };

    /// Whether the password opens it, which is counted.
    fn open(&mut self, ctx: &Context, password: &str) -> bool {
        let right = hash(ctx, &self.salt, password) == self.password;
        let opens = self.exists && self.wrong < TRIES && right;
        self.wrong = match (self.exists, opens) {
            (false, _) | (_, true) => 0,
            (true, false) => self.wrong.saturating_add(1).min(TRIES),
        };
        opens
    }
}

impl Value for Kept {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.exists), self.wrong];
        bytes.extend(self.password);
        bytes.extend(self.salt);
        // `put` takes no longer ones.
        bytes.push(u8::try_from(self.secret.len()).unwrap_or(u8::MAX));
        bytes.extend(&self.secret);
        bytes.resize(Self::LEN, 0);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let (password, rest) = rest.split_first_chunk::<32>()?;
        let (salt, rest) = rest.split_first_chunk::<32>()?;
        let (len, rest) = rest.split_first()?;
        let secret = rest.get(..usize::from(*len))?.to_vec();
        let [exists, wrong] = *head;
        let kept = Self { exists: exists == 1, wrong, password: *password, salt: *salt, secret };
        (kept.to_bytes() == bytes).then_some(kept)
    }
}

fn hash(ctx: &Context, salt: &[u8; 32], password: &str) -> [u8; 32] {
    ctx.sha256(&[salt.as_slice(), password.as_bytes()].concat()).0
}

/// The runtime.
pub struct SecretKeeper;

impl Runtime for SecretKeeper {
    const NAME: &'static str = "secret-keeper";

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "put" => put(ctx, call),
            "reveal" => reveal(ctx, call),
            _ => unknown_method(call),
        }
    }
}

fn read(ctx: &Context, name: &str) -> Result<([u8; 32], Kept)> {
    let key = ctx.sha256(name.as_bytes()).0;
    Ok((key, SECRETS.get(ctx, &key)?.unwrap_or(Kept::NONE)))
}

/// A result, filled up with spaces: that of every outcome has one length, which the response shows.
fn sized(value: &paralith_sdk::JsonValue) -> Result<Vec<u8>> {
    let mut bytes = reply(value)?;
    bytes.resize(bytes.len().max(REPLY_BYTES), b' ');
    Ok(bytes)
}

/// Stores a secret under a new name, or replaces it with the right password.
fn put(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Put {
        name: String,
        password: String,
        secret: String,
    }
    let Put { name, password, secret } = args(call)?;
    // Of the caller's own argument, before any state is read.
    if secret.len() > SECRET_BYTES {
        return Err(Error::new(1, format!("a secret has at most {SECRET_BYTES} bytes")));
    }
    let (key, mut kept) = read(ctx, &name)?;
    let mut salt = [0; 32];
    ctx.random(&mut salt);
    let stored = !kept.exists || kept.open(ctx, &password);
    if stored {
        let password = hash(ctx, &salt, &password);
        kept = Kept { exists: true, wrong: 0, password, salt, secret: secret.into_bytes() };
    }
    SECRETS.insert(ctx, &key, &kept);
    sized(&json!({ "stored": stored }))
}

/// Gives the secret to who knows its password.
fn reveal(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reveal {
        name: String,
        password: String,
    }
    let Reveal { name, password } = args(call)?;
    let (key, mut kept) = read(ctx, &name)?;
    let opens = kept.open(ctx, &password);
    SECRETS.insert(ctx, &key, &kept);
    if !opens {
        return sized(&json!({}));
    }
    sized(&json!({ "secret": String::from_utf8_lossy(&kept.secret) }))
}
