//! Contents on the disk. A file has a content's name only if it is that content, whole and synced.
//!
//! `<hash>` is a content, `<hash>.holds` the record of its owners. Both appear in this order: the
//! content under a temporary name, synced; its record; its name. What a crash leaves in between has no
//! name or no record, and is removed when the store is opened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_crypto::sha3::Sha3Hasher;
use paralith_storage::{FileReader, Files, NewFile};
use paralith_types::{Hash, Height};

use crate::DataError;
use crate::ledger::{Claim, Ledger, MAX_RECORD_BYTES, Owner, Quotas, Record};

const RECORD: &str = ".holds";

/// Holds that one pass ends: a pass keeps other callers waiting.
const ENDED_AT_ONCE: usize = 64;

/// Contents by their hash. Its calls block; they read and write the disk.
#[derive(Debug)]
pub struct Store {
    files: Files,
    state: Mutex<State>,
}

/// Names change and the ledger changes under one lock, so that a removal never meets a file that was
/// put again meanwhile.
#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// Number of the next temporary name.
    next: u64,
    /// Uploads that were dropped, with the room that they still hold.
    dropped: Vec<(Option<NewFile>, Claim)>,
}

/// What [`Store::begin`] gives.
#[derive(Debug)]
pub enum Begun {
    /// The content is here: it is now kept for the claim's owner, too.
    Present,
    /// Write the content.
    Upload(Box<Upload>),
}

/// A content that is being written. Dropping it gives it up; the next call of the store cleans up.
#[derive(Debug)]
pub struct Upload {
    store: Arc<Store>,
    file: Option<NewFile>,
    hasher: Sha3Hasher,
    written: u64,
    claim: Claim,
    settled: bool,
}

/// A content that is being read. It stays readable to its end, also if it is removed meanwhile.
#[derive(Debug)]
pub struct Content {
    /// Its bytes.
    pub length: u64,
    file: FileReader,
}

impl Content {
    /// The next bytes, at most `bytes_max`; none at the end.
    pub fn next(&mut self, bytes_max: usize) -> Result<Vec<u8>, DataError> {
        Ok(self.file.next(bytes_max)?)
    }
}

/// The content or record with this name, if it is a name of this store.
fn content_of(name: &str) -> Option<Hash> {
    let digits = name.strip_suffix(RECORD).unwrap_or(name);
    let hash = Hash(hex::decode(digits).ok()?.try_into().ok()?);
    (name_of(&hash) == digits).then_some(hash)
}

fn name_of(content: &Hash) -> String {
    hex::encode(content.as_bytes())
}

fn record_of(content: &Hash) -> String {
    format!("{}{RECORD}", name_of(content))
}

impl Store {
    /// Opens what is there, and removes what a crash left.
    pub fn open(files: Files, quotas: Quotas) -> Result<Arc<Self>, DataError> {
        files.remove_unfinished()?;
        let mut ledger = Ledger::new(quotas);
        for name in files.list()? {
            let Some(content) = content_of(&name) else { continue };
            let record = files.read(&record_of(&content), MAX_RECORD_BYTES)?;
            let record = record.and_then(|bytes| Record::decode(&bytes));
            let length = files.length(&name_of(&content))?;
            match record {
                // DA-4: kept are contents with their record, and nothing else.
                Some(record) if length == Some(record.length) => {
                    if !name.ends_with(RECORD) {
                        ledger.restore(content, record);
                    }
                }
                _ => files.remove(&name)?,
            }
        }
        files.sync()?;
        let state = State { ledger, next: 0, dropped: Vec::new() };
        Ok(Arc::new(Self { files, state: Mutex::new(state) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a content, and a place to write it to.
    pub fn begin(self: &Arc<Self>, claim: Claim) -> Result<Begun, DataError> {
        let mut state = self.lock();
        state.sweep()?;
        let present = state.ledger.record(&claim.content).cloned();
        if let Some(record) = present {
            if record.length != claim.length {
                return Err(DataError::Hash);
            }
            if record.holds.contains_key(&claim.owner) {
                self.extend(&mut state, &claim)?;
            } else {
                state.ledger.reserve(&claim)?;
                let written = self.write_record(&state, &claim);
                state.settle(&claim, written)?;
            }
            drop(state);
            self.files.sync()?;
            return Ok(Begun::Present);
        }
        state.ledger.reserve(&claim)?;
        let number = state.next;
        state.next += 1;
        let file = match self.files.create(&format!("{}-{number}", name_of(&claim.content))) {
            Ok(file) => file,
            Err(error) => {
                state.ledger.release(&claim);
                return Err(error.into());
            }
        };
        drop(state);
        let (store, hasher) = (Arc::clone(self), Sha3Hasher::new());
        let upload = Upload { store, file: Some(file), hasher, written: 0, claim, settled: false };
        Ok(Begun::Upload(Box::new(upload)))
    }

    /// Opens a content.
    pub fn read(&self, content: &Hash) -> Result<Content, DataError> {
        let state = self.lock();
        let length = state.ledger.record(content).ok_or(DataError::NotFound)?.length;
        let file = self.files.open(&name_of(content))?.ok_or(DataError::NotFound)?;
        Ok(Content { length, file })
    }

    /// The length of a content; none if it is not here.
    #[must_use]
    pub fn length(&self, content: &Hash) -> Option<u64> {
        self.lock().ledger.record(content).map(|record| record.length)
    }

    /// Keeps a content for one of its owners until a later height. Refused if it is not here for
    /// that owner.
    pub fn keep(&self, content: &Hash, owner: Owner, until: Height) -> Result<(), DataError> {
        let mut state = self.lock();
        let record = state.ledger.record(content).ok_or(DataError::NotFound)?;
        if !record.holds.contains_key(&owner) {
            return Err(DataError::NotFound);
        }
        let claim = Claim { content: *content, length: record.length, owner, until };
        self.extend(&mut state, &claim)?;
        drop(state);
        Ok(self.files.sync()?)
    }

    /// Removes what need not be kept at this height, a bounded part of it. Whether there may be more.
    pub fn expire(&self, now: Height) -> Result<bool, DataError> {
        let mut state = self.lock();
        state.sweep()?;
        for _ in 0..ENDED_AT_ONCE {
            let Some(ended) = state.ledger.expire(now) else { return Ok(false) };
            match ended.left {
                Some(left) => {
                    self.files.replace(&record_of(&ended.content), &left.encode())?;
                }
                None => {
                    self.files.remove(&name_of(&ended.content))?;
                    self.files.remove(&record_of(&ended.content))?;
                }
            }
        }
        Ok(true)
    }

    /// The room that is taken: of all, of the owner's scope, of its holder.
    #[must_use]
    pub fn used(&self, owner: &Owner) -> (u64, u64, u64) {
        self.lock().ledger.used(owner)
    }

    fn extend(&self, state: &mut State, claim: &Claim) -> Result<(), DataError> {
        self.write_record(state, claim)?;
        state.ledger.extend(&claim.content, &claim.owner, claim.until);
        Ok(())
    }

    fn write_record(&self, state: &State, claim: &Claim) -> Result<(), DataError> {
        let record = state.ledger.record_with(claim).encode();
        Ok(self.files.replace(&record_of(&claim.content), &record)?)
    }
}

impl State {
    /// Ends a reservation by whether what it was for is on the disk.
    fn settle(&mut self, claim: &Claim, written: Result<(), DataError>) -> Result<(), DataError> {
        match written {
            Ok(()) => {
                self.ledger.commit(claim);
                Ok(())
            }
            Err(error) => {
                self.ledger.release(claim);
                Err(error)
            }
        }
    }

    /// Cleans up after uploads that were dropped.
    fn sweep(&mut self) -> Result<(), DataError> {
        while let Some((file, claim)) = self.dropped.pop() {
            self.ledger.release(&claim);
            if let Some(file) = file {
                file.discard()?;
            }
        }
        Ok(())
    }
}

impl Upload {
    /// How many bytes may still come.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.claim.length.saturating_sub(self.written)
    }

    /// Adds bytes. More than the claim names are refused, and nothing of them is written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if more > self.missing() {
            return Err(DataError::TooLarge { limit: self.claim.length });
        }
        if let Some(file) = &mut self.file {
            file.write(bytes)?;
        }
        self.hasher.update(bytes);
        self.written += more;
        Ok(())
    }

    /// Checks the content and gives it its name. When this returns it survives a loss of power.
    pub fn finish(mut self) -> Result<(), DataError> {
        let claim = self.claim;
        if self.missing() > 0 {
            return Err(DataError::Truncated { got: self.written, expected: claim.length });
        }
        // DA-3: only bytes with this hash ever get this name.
        if std::mem::take(&mut self.hasher).finish() != claim.content.0 {
            return Err(DataError::Hash);
        }
        let Some(mut file) = self.file.take() else { return Err(DataError::NotFound) };
        // A large content takes long to sync: not under the lock.
        if let Err(error) = file.sync() {
            self.file = Some(file);
            return Err(error.into());
        }
        let store = Arc::clone(&self.store);
        let mut state = store.lock();
        self.settled = true;
        // Another upload of the same content may have come first.
        let is_present = state.ledger.record(&claim.content).is_some();
        let written = store.write_record(&state, &claim).and_then(|()| {
            if is_present {
                return Ok(file.discard()?);
            }
            Ok(file.publish(&name_of(&claim.content))?)
        });
        state.settle(&claim, written)?;
        drop(state);
        Ok(store.files.sync()?)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.settled {
            let dropped = (self.file.take(), self.claim);
            self.store.lock().dropped.push(dropped);
        }
    }
}
