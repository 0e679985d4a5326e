//! What a caller keeps of a call until its result is read: enough to go on after a crash, and to show the
//! call to others later. It holds the key of the reply: it is as secret as the result.

use std::path::Path;

use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_messages::{Endorsement, Message as _, NewCommit, SignedProposal};
use paralith_types::{ChainContext, Hash, RuntimeId};
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::keystore::write_private;

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is signed, and nobody has it.
    Proposed,
    /// Enough endorsers gave one response.
    Endorsed {
        /// How many endorsements the commit has.
        endorsements: usize,
    },
    /// The ledger refused it: an entry that it read has changed since.
    Conflict {
        /// How often that happened.
        tries: usize,
    },
    /// The ledger has it.
    Committed {
        /// In which round.
        round: u64,
    },
    /// Its result is read.
    Read,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFile {
    /// The chain.
    pub chain: ChainContext,
    /// The application.
    pub application: RuntimeId,
    /// The transaction.
    pub tx_id: Hash,
    /// The signed proposal.
    pub proposal: SignedProposal,
    /// Opens the reply. Secret.
    pub reply_key: [u8; 32],
    /// The encoded response, once it is endorsed.
    pub response: Option<Vec<u8>>,
    /// Its endorsements.
    pub endorsements: Vec<Endorsement>,
    /// The ledger's round that committed it, once it is known.
    pub round: Option<u64>,
    /// The encoded `OpenedOutput`, once it is released.
    pub opened: Option<Vec<u8>>,
}

/// Its form on disk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    chain: ChainContext,
    application: RuntimeId,
    proposal: String,
    reply_key: String,
    #[serde(default)]
    response: Option<String>,
    #[serde(default)]
    endorsements: Vec<String>,
    #[serde(default)]
    round: Option<u64>,
    #[serde(default)]
    opened: Option<String>,
}

impl CallFile {
    /// Of a proposal.
    pub(super) fn new(chain: &ChainContext, application: &RuntimeId, proposed: &Proposed) -> Self {
        Self {
            chain: *chain,
            application: *application,
            tx_id: proposed.tx_id,
            proposal: proposed.signed.clone(),
            reply_key: *proposed.reply_key,
            response: None,
            endorsements: Vec::new(),
            round: None,
            opened: None,
        }
    }

    pub(super) fn endorsed(&mut self, commit: &NewCommit) {
        self.response = Some(commit.response.clone());
        self.endorsements.clone_from(&commit.endorsements);
    }

    /// The commit, of a call that is endorsed.
    pub fn commit(&self) -> Option<NewCommit> {
        let response = self.response.clone().filter(|_| !self.endorsements.is_empty())?;
        Some(NewCommit { response, endorsements: self.endorsements.clone() })
    }

    /// Writes it, for its owner's eyes.
    pub fn write(&self, file: &Path) -> Result<(), NodeError> {
        let stored = Stored {
            chain: self.chain,
            application: self.application,
            proposal: hex::encode(self.proposal.encode()),
            reply_key: hex::encode(self.reply_key),
            response: self.response.as_ref().map(hex::encode),
            endorsements: self.endorsements.iter().map(|one| hex::encode(one.encode())).collect(),
            round: self.round,
            opened: self.opened.as_ref().map(hex::encode),
        };
        let text = serde_json::to_vec_pretty(&stored).map_err(|e| NodeError::internal(&e))?;
        // CC-6: replaced as a whole: a crash leaves the one before or the new one.
        let next = file.with_extension("next");
        write_private(&next, &text)?;
        std::fs::rename(&next, file).map_err(|e| NodeError::io(file.display().to_string(), &e))
    }

    /// Reads it.
    pub fn read(file: &Path) -> Result<Self, NodeError> {
        let what = file.display().to_string();
        let bad = |reason: &dyn std::fmt::Display| {
            NodeError::usage(&what, format!("it is no file of a call: {reason}"))
        };
        let text = std::fs::read(file).map_err(|e| NodeError::io(&what, &e))?;
        let stored: Stored = serde_json::from_slice(&text).map_err(|e| bad(&e))?;
        let bytes = |text: &String| hex::decode(text).map_err(|e| bad(&e));
        let proposal = SignedProposal::decode(&bytes(&stored.proposal)?).map_err(|e| bad(&e))?;
        let reply_key = bytes(&stored.reply_key)?;
        let endorsement = |text: &String| Endorsement::decode(&bytes(text)?).map_err(|e| bad(&e));
        Ok(Self {
            chain: stored.chain,
            application: stored.application,
            tx_id: paralith_chaincode_core::hashes::tx_id(&proposal),
            reply_key: reply_key.try_into().map_err(|_| bad(&"a key has 32 bytes"))?,
            response: stored.response.as_ref().map(bytes).transpose()?,
            endorsements: stored.endorsements.iter().map(endorsement).collect::<Result<_, _>>()?,
            round: stored.round,
            opened: stored.opened.as_ref().map(bytes).transpose()?,
            proposal,
        })
    }
}

#[cfg(test)]
mod tests {
    use paralith_types::{PublicKey, Signature};

    use super::*;

    fn call() -> CallFile {
        let proposal = SignedProposal {
            proposal: vec![1, 2],
            public_key: PublicKey([3; 32]),
            signature: Signature([4; 64]),
        };
        CallFile {
            chain: ChainContext(Hash([9; 32]).0),
            application: RuntimeId([5; 32]),
            tx_id: paralith_chaincode_core::hashes::tx_id(&proposal),
            proposal,
            reply_key: [6; 32],
            response: Some(vec![7]),
            endorsements: vec![Endorsement {
                rak: PublicKey([8; 32]),
                signature: Signature([9; 64]),
            }],
            round: Some(12),
            opened: None,
        }
    }

    #[test]
    fn a_call_comes_back_as_it_was_written_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("call");
        call().write(&file).unwrap();
        assert_eq!(CallFile::read(&file).unwrap(), call());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(CallFile::read(&file).unwrap_err().code(), 1);
    }
}
