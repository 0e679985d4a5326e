//! What a stakeholder stores and sends to other members besides the messages of the protocol.

use paralith_storage::Changes;
use prost::Message;

/// A key that a batch wrote, with what the tree holds under it afterwards: salt and value, or nothing.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Write {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Salt and value; absent: the key is removed.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub held: Option<Vec<u8>>,
}

/// A transaction of a batch, as it was executed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CallLog {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// Its class.
    #[prost(uint32, tag = "2")]
    pub class: u32,
    /// The encoded call; empty if there was none.
    #[prost(bytes = "vec", tag = "3")]
    pub call: Vec<u8>,
    /// The encoded output; empty if there was none.
    #[prost(bytes = "vec", tag = "4")]
    pub output: Vec<u8>,
    /// What hides the output in its leaf; 32 bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub blinding: Vec<u8>,
    /// The content key, under which the sender gets the output; 32 bytes, empty if there was no call.
    #[prost(bytes = "vec", tag = "6")]
    pub content_key: Vec<u8>,
}

/// Under `log/<batch>`: what other members need to follow, and what senders ask for.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BatchLog {
    /// The batch.
    #[prost(uint64, tag = "1")]
    pub batch: u64,
    /// In the order of the keys.
    #[prost(message, repeated, tag = "2")]
    pub writes: Vec<Write>,
    /// In the order of the batch.
    #[prost(message, repeated, tag = "3")]
    pub calls: Vec<CallLog>,
    /// Lines of the calls, for the operator. No part of any verdict; not sent to others.
    #[prost(string, repeated, tag = "4")]
    pub lines: Vec<String>,
}

impl BatchLog {
    /// The writes as changes of a tree.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.writes.iter().map(|write| (write.key.clone(), write.held.clone())).collect()
    }
}

/// Changes as writes.
pub(crate) fn writes(changes: &Changes) -> Vec<Write> {
    let write =
        |(key, held): (&Vec<u8>, &Option<Vec<u8>>)| Write { key: key.clone(), held: held.clone() };
    changes.iter().map(write).collect()
}

/// Under `prepared/<batch>`: an executed batch that waits for the others.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct PreparedRecord {
    /// The root on which it was executed.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) old_root: Vec<u8>,
    /// The encoded verdict.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) verdict: Vec<u8>,
    /// The encoded actions.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) actions: Vec<u8>,
}

/// An entry of a tree with its proof.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageEntry {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Salt and value.
    #[prost(bytes = "vec", tag = "2")]
    pub held: Vec<u8>,
    /// That the tree of the version has this entry.
    #[prost(bytes = "vec", tag = "3")]
    pub proof: Vec<u8>,
}

/// A part of a tree, in the order of the keys.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Page {
    /// Its entries.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<PageEntry>,
    /// Whether keys follow.
    #[prost(bool, tag = "2")]
    pub more: bool,
}
