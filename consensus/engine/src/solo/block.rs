//! A block as the ABCI services are asked about it: what CometBFT would send.

use paralith_consensus_light::{LightBlock, validator};
use paralith_types::PublicKey;
use tendermint::abci::request::{FinalizeBlock, PrepareProposal, ProcessProposal};
use tendermint::abci::types::{BlockSignatureInfo, CommitInfo, Validator, VoteInfo};
use tendermint::block::{BlockIdFlag, CommitSig, Header, Round};
use tendermint::{Hash, Time, account, block};

use crate::EngineError;

/// A proposer asks which transactions to take.
pub(crate) fn prepare_request(
    height: block::Height,
    time: Time,
    proposer: account::Id,
    next_validators_hash: Hash,
    txs: Vec<Vec<u8>>,
    max_bytes: i64,
) -> PrepareProposal {
    PrepareProposal {
        max_tx_bytes: max_bytes,
        txs: txs.into_iter().map(Into::into).collect(),
        local_last_commit: None,
        misbehavior: Vec::new(),
        height,
        time,
        next_validators_hash,
        proposer_address: proposer,
    }
}

/// A validator asks whether to vote for it.
pub(crate) fn process_request(header: &Header, txs: &[Vec<u8>]) -> ProcessProposal {
    ProcessProposal {
        txs: txs.iter().cloned().map(Into::into).collect(),
        proposed_last_commit: None,
        misbehavior: Vec::new(),
        hash: header.hash(),
        height: header.height,
        time: header.time,
        next_validators_hash: header.next_validators_hash,
        proposer_address: header.proposer_address,
    }
}

/// The decided block, with the votes of the block before it.
pub(crate) fn finalize_request(
    light: &LightBlock,
    last: Option<&LightBlock>,
    txs: &[Vec<u8>],
) -> FinalizeBlock {
    let header = &light.signed_header().header;
    FinalizeBlock {
        txs: txs.iter().cloned().map(Into::into).collect(),
        decided_last_commit: last.map(commit_info).unwrap_or_else(no_commit),
        misbehavior: Vec::new(),
        hash: header.hash(),
        height: header.height,
        time: header.time,
        next_validators_hash: header.next_validators_hash,
        proposer_address: header.proposer_address,
    }
}

fn no_commit() -> CommitInfo {
    CommitInfo { round: Round::default(), votes: Vec::new() }
}

fn commit_info(light: &LightBlock) -> CommitInfo {
    let commit = &light.signed_header().commit;
    let validators = light.validators().validators();
    let votes = validators.iter().zip(&commit.signatures).map(|(info, sig)| {
        let mut address = [0; 20];
        address.copy_from_slice(info.address.as_bytes());
        let flag = match sig {
            CommitSig::BlockIdFlagAbsent => BlockIdFlag::Absent,
            CommitSig::BlockIdFlagCommit { .. } => BlockIdFlag::Commit,
            CommitSig::BlockIdFlagNil { .. } => BlockIdFlag::Nil,
        };
        VoteInfo {
            validator: Validator { address, power: info.power },
            sig_info: BlockSignatureInfo::Flag(flag),
        }
    });
    CommitInfo { round: commit.round, votes: votes.collect() }
}

/// A set with changes applied: a power of 0 removes, every other sets.
pub(crate) fn updated(
    set: &[(PublicKey, u64)],
    updates: &[tendermint::validator::Update],
) -> Result<Vec<(PublicKey, u64)>, EngineError> {
    let mut set: std::collections::BTreeMap<PublicKey, u64> = set.iter().copied().collect();
    for update in updates {
        let key = PublicKey::try_from(update.pub_key.to_bytes().as_slice())
            .map_err(|e| EngineError::NoAnswer { reason: e.to_string() })?;
        match update.power.value() {
            0 => set.remove(&key),
            power => set.insert(key, power),
        };
    }
    // What CometBFT refuses, the solo engine refuses.
    for (key, power) in &set {
        validator(key, *power)?;
    }
    Ok(set.into_iter().collect())
}

/// Keys and powers of a set.
pub(crate) fn members(
    set: &tendermint::validator::Set,
) -> Result<Vec<(PublicKey, u64)>, EngineError> {
    let member = |info: &tendermint::validator::Info| {
        let key = PublicKey::try_from(info.pub_key.to_bytes().as_slice())
            .map_err(|e| EngineError::Corrupt { what: e.to_string() })?;
        Ok((key, info.power.value()))
    };
    set.validators().iter().map(member).collect()
}
