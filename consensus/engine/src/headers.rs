//! Makes CometBFT headers and commits: for the engine of one validator, and for tests.
//!
//! The hashes are those of CometBFT v0.38: `data_hash` over the SHA-256 of each transaction,
//! `last_results_hash` over the deterministic part of each result, `last_commit_hash` over the
//! signatures of the block before, `consensus_hash` over the block limits. The part set header is
//! the one of a block of a single part whose bytes are the header's hash: nobody fetches the parts
//! of a chain that has no peers. CometBFT's messages without a domain type in `tendermint` are
//! spelled out here, because `tendermint` encodes with another generation of prost than ours.

use ed25519_dalek::Signer;
use paralith_consensus_light::{LightError, validator};
use paralith_types::PublicKey;
use tendermint::account;
use tendermint::block::header::Version;
use tendermint::block::parts;
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{Commit, CommitSig, Header, Height, Id, Round};
use tendermint::crypto::Sha256 as _;
use tendermint::crypto::default::Sha256;
use tendermint::merkle::simple_hash_from_byte_vectors;
use tendermint::validator::{Info, Set};
use tendermint::vote::{self, Vote};
use tendermint::{AppHash, Hash, Signature, Time, chain};
use tendermint_proto::v0_38::types as raw;

/// CometBFT's block protocol in v0.38.
pub const BLOCK_PROTOCOL: u64 = 11;

/// A validator's consensus key: signs votes, in CometBFT's own format, and nothing else.
#[derive(Clone)]
pub struct ConsensusKey(ed25519_dalek::SigningKey);

impl ConsensusKey {
    /// The key with this seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The public key, as the chain writes it.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The validator with this key.
    pub fn info(&self, power: u64) -> Result<Info, LightError> {
        validator(&self.public(), power)
    }

    /// The address that CometBFT gives the key.
    pub fn address(&self) -> account::Id {
        // SHA-256 of the key, cut to 20 bytes.
        let hash = Sha256::digest(self.0.verifying_key().as_bytes());
        let mut address = [0; 20];
        address.copy_from_slice(&hash[..20]);
        account::Id::new(address)
    }

    /// The precommit of this key for a header.
    pub fn precommit(
        &self,
        chain_id: &chain::Id,
        height: Height,
        round: Round,
        block_id: Id,
        timestamp: Time,
    ) -> Result<CommitSig, LightError> {
        let vote = Vote {
            vote_type: vote::Type::Precommit,
            height,
            round,
            block_id: Some(block_id),
            timestamp: Some(timestamp),
            validator_address: self.address(),
            validator_index: vote::ValidatorIndex::try_from(0_u32).map_err(impossible)?,
            signature: None,
            extension: Vec::new(),
            extension_signature: None,
        };
        let bytes = vote.into_signable_vec(chain_id.clone());
        let signature = Signature::new(self.0.sign(&bytes).to_bytes()).map_err(impossible)?;
        Ok(CommitSig::BlockIdFlagCommit { validator_address: self.address(), timestamp, signature })
    }
}

impl std::fmt::Debug for ConsensusKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConsensusKey(public {})", self.public())
    }
}

/// What a header says that does not follow from something else.
#[derive(Debug, Clone)]
pub struct HeaderInput<'a> {
    /// The chain.
    pub chain_id: chain::Id,
    /// The height.
    pub height: Height,
    /// The time, later than the one of the block before.
    pub time: Time,
    /// The block before and its commit; none for the first block.
    pub last: Option<(Id, &'a Commit)>,
    /// The block's transactions.
    pub txs: &'a [Vec<u8>],
    /// Results of the transactions of the block before.
    pub last_results: &'a [Vec<u8>],
    /// Who signs the block.
    pub validators: &'a Set,
    /// Who signs the next.
    pub next_validators: &'a Set,
    /// Hash of the block limits, from [`consensus_hash`].
    pub consensus_hash: Hash,
    /// Root of the state after the block before.
    pub app_hash: AppHash,
    /// The application's protocol version.
    pub app_version: u64,
    /// Who proposes it.
    pub proposer: account::Id,
}

impl HeaderInput<'_> {
    /// The header.
    pub fn header(&self) -> Header {
        let tx_hashes: Vec<_> = self.txs.iter().map(Sha256::digest).collect();
        let last_signatures = match self.last {
            None => Vec::new(),
            Some((_, commit)) => commit_sig_bytes(commit),
        };
        Header {
            version: Version { block: BLOCK_PROTOCOL, app: self.app_version },
            chain_id: self.chain_id.clone(),
            height: self.height,
            time: self.time,
            last_block_id: self.last.map(|(id, _)| id),
            last_commit_hash: Some(merkle(&last_signatures)),
            data_hash: Some(merkle(&tx_hashes)),
            validators_hash: self.validators.hash(),
            next_validators_hash: self.next_validators.hash(),
            consensus_hash: self.consensus_hash,
            app_hash: self.app_hash.clone(),
            last_results_hash: Some(merkle(self.last_results)),
            evidence_hash: Some(merkle::<[u8; 0]>(&[])),
            proposer_address: self.proposer,
        }
    }
}

/// What a commit to this header signs.
pub fn block_id(header: &Header) -> Id {
    let hash = header.hash();
    let parts_hash = merkle(&[hash.as_bytes()]);
    // A part set of one part always has a header.
    let part_set_header = parts::Header::new(1, parts_hash).unwrap_or_default();
    Id { hash, part_set_header }
}

/// A header with the commit of these keys, in round 0, at the header's time.
///
/// The keys that are validators sign; the others' places are empty.
pub fn sign(
    header: Header,
    validators: &Set,
    keys: &[ConsensusKey],
) -> Result<SignedHeader, LightError> {
    let (id, round) = (block_id(&header), Round::default());
    let mut signatures = Vec::new();
    for validator in validators.validators() {
        let signer = keys.iter().find(|key| key.address() == validator.address);
        signatures.push(match signer {
            None => CommitSig::BlockIdFlagAbsent,
            Some(key) => key.precommit(&header.chain_id, header.height, round, id, header.time)?,
        });
    }
    let commit = Commit { height: header.height, round, block_id: id, signatures };
    SignedHeader::new(header, commit).map_err(impossible)
}

/// CometBFT's hash of the block limits.
pub fn consensus_hash(max_block_bytes: i64, max_block_gas: i64) -> Hash {
    let params = HashedParams { bytes: max_block_bytes, gas: max_block_gas };
    Hash::Sha256(Sha256::digest(prost::Message::encode_to_vec(&params)))
}

#[derive(Clone, PartialEq, prost::Message)]
struct HashedParams {
    #[prost(int64, tag = "1")]
    bytes: i64,
    #[prost(int64, tag = "2")]
    gas: i64,
}

/// The part of a transaction's result that the next header covers.
pub fn result_bytes(code: u32, data: &[u8], gas_wanted: i64, gas_used: i64) -> Vec<u8> {
    prost::Message::encode_to_vec(&Deterministic {
        code,
        data: data.to_vec(),
        gas_wanted,
        gas_used,
    })
}

/// CometBFT's `ExecTxResult` with what is not deterministic left out.
#[derive(Clone, PartialEq, prost::Message)]
struct Deterministic {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
    #[prost(int64, tag = "5")]
    gas_wanted: i64,
    #[prost(int64, tag = "6")]
    gas_used: i64,
}

fn commit_sig_bytes(commit: &Commit) -> Vec<Vec<u8>> {
    let raw = raw::Commit::from(commit.clone());
    let encode = |sig: raw::CommitSig| {
        let time = sig.timestamp.unwrap_or_default();
        let timestamp = Some(Timestamp { seconds: time.seconds, nanos: time.nanos });
        let flag = sig.block_id_flag;
        let (address, signature) = (sig.validator_address, sig.signature);
        prost::Message::encode_to_vec(&CommitSigBytes { flag, address, timestamp, signature })
    };
    raw.signatures.into_iter().map(encode).collect()
}

#[derive(Clone, PartialEq, prost::Message)]
struct CommitSigBytes {
    #[prost(int32, tag = "1")]
    flag: i32,
    #[prost(bytes = "vec", tag = "2")]
    address: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
    #[prost(bytes = "vec", tag = "4")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn merkle<T: AsRef<[u8]>>(leaves: &[T]) -> Hash {
    Hash::Sha256(simple_hash_from_byte_vectors::<Sha256>(leaves))
}

fn impossible(error: impl std::fmt::Display) -> LightError {
    LightError::BadCommit { reason: error.to_string() }
}
