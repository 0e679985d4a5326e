//! The chain of one validator, block by block.

use std::time::Duration;

use paralith_consensus_abci::{Application, ConsensusService, InfoService, Services};
use paralith_consensus_light::{LightBlock, validator_set};
use paralith_genesis::Document;
use paralith_storage::Kv;
use paralith_types::{Hash, Height, PublicKey};
use tendermint::abci::response;
use tendermint::block::Header;
use tendermint::v0_38::abci::{ConsensusRequest, ConsensusResponse, InfoRequest, InfoResponse};
use tendermint::validator::Set;
use tendermint::{Time, consensus, evidence};
use tower::Service;

use super::block::{finalize_request, members, prepare_request, process_request, updated};
use super::record::{BlockRecord, ResultRecord, newest, signed};
use crate::EngineError;
use crate::headers::{ConsensusKey, HeaderInput, consensus_hash, result_bytes, sign};

/// A chain whose blocks this process alone makes.
#[derive(Debug)]
pub struct Chain {
    application: Application,
    consensus: ConsensusService,
    kv: Kv,
    keys: Vec<ConsensusKey>,
    max_block_bytes: i64,
    chain_id: tendermint::chain::Id,
    first: Height,
    tip: Tip,
}

/// Everything that the next header takes from the past.
#[derive(Debug)]
struct Tip {
    /// The last committed block; none before the first.
    last: Option<LightBlock>,
    /// The time that the next block's lies after, or for the first block its least.
    time: Time,
    app_hash: Hash,
    results: Vec<Vec<u8>>,
    /// Who signs the next block.
    validators: Vec<(PublicKey, u64)>,
    /// Who signs the one after.
    next_validators: Vec<(PublicKey, u64)>,
}

/// A block that nobody has signed.
#[derive(Debug)]
pub struct Proposed {
    header: Header,
    validators: Set,
    next_validators: Set,
    txs: Vec<Vec<u8>>,
}

/// A block that is signed and on the disk.
#[derive(Debug)]
pub struct Stored {
    record: BlockRecord,
}

/// A block that is executed, with its results on the disk.
#[derive(Debug)]
pub struct Finalised {
    light: LightBlock,
    result: ResultRecord,
}

/// What a committed block was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its height.
    pub height: Height,
    /// The root of the state after it.
    pub app_hash: Hash,
    /// How many transactions it had.
    pub txs: usize,
}

impl Chain {
    /// Opens the chain, brings the application to its last stored block, and is ready for the next.
    ///
    /// With the application at height `a` and the last stored block `s`, as CometBFT does it:
    /// * `a = 0`: `InitChain`, then all blocks;
    /// * `a < s`: the blocks `a + 1..=s` once more, on the real application;
    /// * `a = s`: nothing to do but to compare the app hashes;
    /// * `a > s`: the stores are not of one chain.
    pub async fn open(
        application: &Application,
        kv: Kv,
        document: &Document,
        keys: Vec<ConsensusKey>,
        max_block_bytes: i64,
    ) -> Result<Self, EngineError> {
        let wrong = |reason: String| EngineError::Genesis { reason };
        let Services { consensus, mut info, .. } = Services::new(application);
        let chain_id = document.chain_id().map_err(|e| wrong(e.to_string()))?;
        let seconds = i64::try_from(document.genesis_time.seconds()).unwrap_or(i64::MAX);
        let genesis_time =
            Time::from_unix_timestamp(seconds, 0).map_err(|e| wrong(e.to_string()))?;
        let first = Height(document.genesis.initial_height.0.max(1));
        let mut chain = Self {
            application: application.clone(),
            consensus,
            kv,
            keys,
            max_block_bytes,
            chain_id: chain_id.parse().map_err(|e: tendermint::Error| wrong(e.to_string()))?,
            first,
            tip: Tip {
                last: None,
                time: genesis_time,
                app_hash: Hash::ZERO,
                results: Vec::new(),
                validators: Vec::new(),
                next_validators: Vec::new(),
            },
        };
        let (app, app_hash) = stands_at(&mut info).await?;
        let store = newest(&chain.kv)?.unwrap_or(Height(0));
        if app > store {
            return Err(EngineError::AppAhead { app, store });
        }
        if app == Height(0) {
            chain.init(document).await?;
        } else {
            chain.resume(app, app_hash)?;
        }
        for height in chain.next_height().0..=store.0 {
            chain.replay(Height(height)).await?;
        }
        Ok(chain)
    }

    /// The height of the next block.
    pub fn next_height(&self) -> Height {
        self.tip.last.as_ref().map_or(self.first, |last| last.height().next())
    }

    /// Whether the state's root is in no header yet: then a block follows without being asked for,
    /// so that everything can be proven at once.
    pub fn needs_proof_block(&self) -> bool {
        let Some(last) = &self.tip.last else { return true };
        last.signed_header().header.app_hash.as_bytes() != self.tip.app_hash.as_bytes()
    }

    /// The stored block of a height; the last committed one without a height.
    pub fn light_block(&self, height: Option<Height>) -> Result<LightBlock, EngineError> {
        let newest = self.tip.last.as_ref().map_or(Height(0), LightBlock::height);
        stored_light_block(&self.kv, height.unwrap_or(newest), newest)
    }

    /// All four steps.
    pub async fn make_block(&mut self, now: Duration) -> Result<Committed, EngineError> {
        let proposed = self.propose(now).await?;
        let stored = self.store(proposed)?;
        let finalised = self.finalise(stored).await?;
        self.commit(finalised).await
    }

    /// The next block, with what the application chooses from its pool.
    pub async fn propose(&mut self, now: Duration) -> Result<Proposed, EngineError> {
        let height = self.next_height();
        let validators = validator_set(&self.tip.validators)?;
        let next_validators = validator_set(&self.tip.next_validators)?;
        let (own, total) = self.power();
        if u128::from(own) * 3 <= u128::from(total) * 2 {
            return Err(EngineError::NotEnoughPower { height, own, total });
        }
        let is_validator = |key: &&ConsensusKey| validators.validator(key.address()).is_some();
        let proposer = self.keys.iter().find(is_validator).map(ConsensusKey::address);
        let proposer = proposer.ok_or(EngineError::NotEnoughPower { height, own, total })?;
        let time = self.time(now)?;
        let raw_height = paralith_consensus_abci::convert::height_to(height)
            .ok_or(EngineError::NoAnswer { reason: "no heights are left".to_string() })?;

        let pooled = self.application.pooled(usize::try_from(self.max_block_bytes).unwrap_or(0));
        let request = prepare_request(
            raw_height,
            time,
            proposer,
            next_validators.hash(),
            pooled,
            self.max_block_bytes,
        );
        let txs = match self.call(ConsensusRequest::PrepareProposal(request)).await? {
            ConsensusResponse::PrepareProposal(response) => response.txs,
            other => return Err(unexpected(&other)),
        };
        let txs: Vec<Vec<u8>> = txs.into_iter().map(Into::into).collect();
        let last = self.tip.last.as_ref().map(LightBlock::signed_header);
        let header = HeaderInput {
            chain_id: self.chain_id.clone(),
            height: raw_height,
            time,
            last: last.map(|signed| (signed.commit.block_id, &signed.commit)),
            txs: &txs,
            last_results: &self.tip.results,
            validators: &validators,
            next_validators: &next_validators,
            consensus_hash: consensus_hash(self.max_block_bytes, MAX_BLOCK_GAS),
            app_hash: paralith_consensus_abci::convert::app_hash_to(&self.tip.app_hash),
            app_version: paralith_consensus_abci::APP_VERSION,
            proposer,
        }
        .header();
        let request = ConsensusRequest::ProcessProposal(process_request(&header, &txs));
        match self.call(request).await? {
            ConsensusResponse::ProcessProposal(response::ProcessProposal::Accept) => {
                Ok(Proposed { header, validators, next_validators, txs })
            }
            _ => Err(EngineError::NoAnswer {
                reason: "the application refuses its own proposal".to_string(),
            }),
        }
    }

    /// Signs the block and writes it with its commit. No height is ever signed twice.
    pub fn store(&self, proposed: Proposed) -> Result<Stored, EngineError> {
        let Proposed { header, validators, next_validators, txs } = proposed;
        let height = paralith_consensus_abci::convert::height_from(header.height);
        if let Some(signed) = signed(&self.kv)?.filter(|signed| *signed >= height) {
            return Err(EngineError::SignedAlready { signed, height });
        }
        let signed_header = sign(header, &validators, &self.keys)?;
        let light = LightBlock::new(signed_header, &validators, &next_validators)?;
        let record = BlockRecord { light, txs };
        record.write(&self.kv)?;
        Ok(Stored { record })
    }

    /// Executes a stored block and writes what came out.
    pub async fn finalise(&mut self, stored: Stored) -> Result<Finalised, EngineError> {
        let Stored { record } = stored;
        let request = finalize_request(&record.light, self.tip.last.as_ref(), &record.txs);
        let response = match self.call(ConsensusRequest::FinalizeBlock(request)).await? {
            ConsensusResponse::FinalizeBlock(response) => response,
            other => return Err(unexpected(&other)),
        };
        let height = record.light.height();
        let result = ResultRecord {
            app_hash: app_hash(response.app_hash.as_bytes())?,
            results: response
                .tx_results
                .iter()
                .map(|r| result_bytes(r.code.into(), &r.data, r.gas_wanted, r.gas_used))
                .collect(),
            validators: updated(&self.tip.next_validators, &response.validator_updates)?,
        };
        // A replayed block has to give what it gave the first time.
        match ResultRecord::read(&self.kv, height)? {
            Some(before) if before != result => Err(EngineError::AppHashMismatch {
                height,
                expected: before.app_hash.to_string(),
                got: result.app_hash.to_string(),
            }),
            Some(_) => Ok(Finalised { light: record.light, result }),
            None => {
                result.write(&self.kv, height)?;
                Ok(Finalised { light: record.light, result })
            }
        }
    }

    /// Has the application commit.
    pub async fn commit(&mut self, finalised: Finalised) -> Result<Committed, EngineError> {
        let Finalised { light, result } = finalised;
        match self.call(ConsensusRequest::Commit).await? {
            ConsensusResponse::Commit(_) => {}
            other => return Err(unexpected(&other)),
        }
        let committed = Committed {
            height: light.height(),
            app_hash: result.app_hash,
            txs: result.results.len(),
        };
        let next = std::mem::take(&mut self.tip.next_validators);
        self.tip = tip_after(light, result, next);
        Ok(committed)
    }

    async fn init(&mut self, document: &Document) -> Result<(), EngineError> {
        let text =
            document.to_json().map_err(|e| EngineError::Genesis { reason: e.to_string() })?;
        let height = paralith_consensus_abci::convert::height_to(self.first)
            .ok_or(EngineError::NoAnswer { reason: "no heights are left".to_string() })?;
        let request = tendermint::abci::request::InitChain {
            time: self.tip.time,
            chain_id: self.chain_id.to_string(),
            consensus_params: self.params(),
            validators: Vec::new(),
            app_state_bytes: text.into(),
            initial_height: height,
        };
        let response = match self.call(ConsensusRequest::InitChain(request)).await? {
            ConsensusResponse::InitChain(response) => response,
            other => return Err(unexpected(&other)),
        };
        self.tip.app_hash = app_hash(response.app_hash.as_bytes())?;
        self.tip.validators = updated(&[], &response.validators)?;
        self.tip.next_validators = self.tip.validators.clone();
        Ok(())
    }

    fn resume(&mut self, app: Height, committed: Hash) -> Result<(), EngineError> {
        let missing =
            |what: &str| EngineError::Corrupt { what: format!("{what} {app} is missing") };
        let block = BlockRecord::read(&self.kv, app)?.ok_or_else(|| missing("block"))?;
        let result = ResultRecord::read(&self.kv, app)?.ok_or_else(|| missing("result"))?;
        if block.light.chain_id() != self.chain_id.as_str() {
            let (stored, ours) = (block.light.chain_id(), &self.chain_id);
            let reason = format!("the store is of the chain {stored}, the document of {ours}");
            return Err(EngineError::Genesis { reason });
        }
        if result.app_hash != committed {
            return Err(EngineError::AppHashMismatch {
                height: app,
                expected: result.app_hash.to_string(),
                got: committed.to_string(),
            });
        }
        let next = members(block.light.next_validators())?;
        self.tip = tip_after(block.light, result, next);
        Ok(())
    }

    async fn replay(&mut self, height: Height) -> Result<(), EngineError> {
        tracing::info!(%height, "replaying a stored block");
        let record = BlockRecord::read(&self.kv, height)?
            .ok_or_else(|| EngineError::Corrupt { what: format!("block {height} is missing") })?;
        let expected = record.light.app_hash()?;
        if expected != self.tip.app_hash {
            return Err(EngineError::AppHashMismatch {
                height: height.minus(1),
                expected: expected.to_string(),
                got: self.tip.app_hash.to_string(),
            });
        }
        let finalised = self.finalise(Stored { record }).await?;
        self.commit(finalised).await?;
        Ok(())
    }

    /// The clock's time, in whole milliseconds, and later than the last block's.
    fn time(&self, now: Duration) -> Result<Time, EngineError> {
        let bad = |e: String| EngineError::NoAnswer { reason: format!("the clock: {e}") };
        let seconds = i64::try_from(now.as_secs()).map_err(|e| bad(e.to_string()))?;
        let now = Time::from_unix_timestamp(seconds, now.subsec_millis().saturating_mul(1_000_000))
            .map_err(|e| bad(e.to_string()))?;
        let least = match self.tip.last {
            None => self.tip.time,
            Some(_) => self
                .tip
                .time
                .checked_add(Duration::from_millis(1))
                .ok_or_else(|| bad("the year 10000".to_string()))?,
        };
        Ok(now.max(least))
    }

    fn power(&self) -> (u64, u64) {
        let is_own = |key: &PublicKey| self.keys.iter().any(|own| own.public() == *key);
        let total = self.tip.validators.iter().map(|(_, power)| *power);
        let own = self.tip.validators.iter().filter(|(key, _)| is_own(key)).map(|(_, p)| *p);
        // `validator_set` has checked that the sum fits.
        (own.fold(0, u64::saturating_add), total.fold(0, u64::saturating_add))
    }

    fn params(&self) -> consensus::Params {
        consensus::Params {
            block: tendermint::block::Size {
                max_bytes: u64::try_from(self.max_block_bytes).unwrap_or(0),
                max_gas: MAX_BLOCK_GAS,
                time_iota_ms: tendermint::block::Size::default_time_iota_ms(),
            },
            evidence: evidence::Params {
                max_age_num_blocks: 100_000,
                max_age_duration: evidence::Duration(Duration::from_secs(172_800)),
                max_bytes: 0,
            },
            validator: consensus::params::ValidatorParams {
                pub_key_types: vec![tendermint::public_key::Algorithm::Ed25519],
            },
            version: None,
            abci: consensus::params::AbciParams::default(),
        }
    }

    /// The application that fails does not answer, so its failure is waited for, too.
    async fn call(&mut self, request: ConsensusRequest) -> Result<ConsensusResponse, EngineError> {
        let mut fatal = self.application.fatal();
        let answer = self.consensus.call(request);
        tokio::select! {
            biased;
            answer = answer => {
                answer.map_err(|e| EngineError::NoAnswer { reason: e.to_string() })
            }
            failed = fatal.wait_for(Option::is_some) => {
                let reason = failed.ok().and_then(|reason| reason.clone()).unwrap_or_default();
                Err(EngineError::NoAnswer { reason })
            }
        }
    }
}

/// A block of the store, if the application has committed it.
pub(crate) fn stored_light_block(
    kv: &Kv,
    height: Height,
    newest: Height,
) -> Result<LightBlock, EngineError> {
    let known = if height <= newest { BlockRecord::read(kv, height)? } else { None };
    known.map(|record| record.light).ok_or(EngineError::UnknownHeight { height, newest })
}

/// `next` signs the block after `light`; whom the result names, the one after that: CometBFT's
/// delay of two heights.
fn tip_after(light: LightBlock, result: ResultRecord, next: Vec<(PublicKey, u64)>) -> Tip {
    Tip {
        time: light.signed_header().header.time,
        last: Some(light),
        app_hash: result.app_hash,
        results: result.results,
        validators: next,
        next_validators: result.validators,
    }
}

async fn stands_at(info: &mut InfoService) -> Result<(Height, Hash), EngineError> {
    let request = InfoRequest::Info(tendermint::abci::request::Info {
        version: String::new(),
        block_version: crate::headers::BLOCK_PROTOCOL,
        p2p_version: 0,
        abci_version: String::new(),
    });
    match info.call(request).await {
        Ok(InfoResponse::Info(info)) => {
            let height = paralith_consensus_abci::convert::height_from(info.last_block_height);
            let hash = if height == Height(0) {
                Hash::ZERO
            } else {
                app_hash(info.last_block_app_hash.as_bytes())?
            };
            Ok((height, hash))
        }
        Ok(_) => Err(EngineError::NoAnswer { reason: "not an answer to Info".to_string() }),
        Err(e) => Err(EngineError::NoAnswer { reason: e.to_string() }),
    }
}

fn app_hash(bytes: &[u8]) -> Result<Hash, EngineError> {
    Hash::try_from(bytes).map_err(|e| EngineError::NoAnswer { reason: e.to_string() })
}

fn unexpected(response: &ConsensusResponse) -> EngineError {
    let name: String = format!("{response:?}").chars().take(40).collect();
    EngineError::NoAnswer { reason: format!("an answer to another question: {name}") }
}

/// Gas is the application's to limit.
const MAX_BLOCK_GAS: i64 = -1;
