//! Recorded blocks over the very socket that CometBFT connects to, in the calls that it makes.

use std::path::Path;

use paralith_consensus_abci::{Application, PeerCheck, serve};
use paralith_storage::Kv;
use paralith_types::Height;
use replay::{Block, Recording, blocks};
use tendermint::abci::request::{FinalizeBlock, InitChain, PrepareProposal, ProcessProposal};
use tendermint::abci::types::{CommitInfo, Misbehavior, MisbehaviorKind, Validator};
use tendermint::abci::{request, response};
use tendermint::v0_38::abci::{Request, Response};
use tendermint::{Time, account, block, consensus, evidence};
use tendermint_proto::Protobuf;
use tendermint_proto::v0_38::abci as raw;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// What CometBFT is to the application: one connection.
struct Comet {
    stream: UnixStream,
}

impl Comet {
    async fn connect(path: &Path) -> Self {
        Self { stream: UnixStream::connect(path).await.unwrap() }
    }

    async fn call(&mut self, request: Request) -> Response {
        for request in [request, Request::Flush] {
            let frame = Protobuf::<raw::Request>::encode_length_delimited_vec(request);
            self.stream.write_all(&frame).await.unwrap();
        }
        let answer = self.answer().await;
        assert!(matches!(self.answer().await, Response::Flush));
        answer
    }

    async fn answer(&mut self) -> Response {
        let (mut len, mut shift) = (0_usize, 0);
        loop {
            let byte = self.stream.read_u8().await.unwrap();
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut frame = vec![0; len];
        self.stream.read_exact(&mut frame).await.unwrap();
        <Response as Protobuf<raw::Response>>::decode(frame.as_slice()).unwrap()
    }

    async fn init(&mut self, recording: &Recording) {
        let document = &recording.document;
        let seconds = i64::try_from(document.genesis_time.seconds()).unwrap();
        let request = InitChain {
            time: Time::from_unix_timestamp(seconds, 0).unwrap(),
            chain_id: document.chain_id().unwrap(),
            consensus_params: params(),
            validators: Vec::new(),
            app_state_bytes: document.to_json().unwrap().into(),
            initial_height: 1_u32.into(),
        };
        match self.call(Request::InitChain(request)).await {
            Response::InitChain(answer) => assert_eq!(answer.validators.len(), 1),
            other => panic!("{other:?}"),
        }
    }

    /// A block as its proposer sees it, if the pool could have it, and as everybody else does.
    async fn block(&mut self, block: &Block, proposed: bool) {
        let place = Place::of(block);
        let txs: Vec<bytes::Bytes> = block.txs.iter().map(|raw| raw.0.clone().into()).collect();
        if proposed {
            let request = PrepareProposal {
                max_tx_bytes: 1 << 20,
                txs: txs.clone(),
                local_last_commit: None,
                misbehavior: Vec::new(),
                height: place.height,
                time: place.time,
                next_validators_hash: tendermint::Hash::None,
                proposer_address: place.proposer,
            };
            match self.call(Request::PrepareProposal(request)).await {
                Response::PrepareProposal(answer) => assert_eq!(answer.txs, txs),
                other => panic!("{other:?}"),
            }
        }
        let request = ProcessProposal {
            txs: txs.clone(),
            proposed_last_commit: None,
            misbehavior: place.misbehaviour.clone(),
            hash: tendermint::Hash::None,
            height: place.height,
            time: place.time,
            next_validators_hash: tendermint::Hash::None,
            proposer_address: place.proposer,
        };
        // Nobody votes for a block with what no pool admits; if it is decided all the same, it has
        // one result.
        let is_admitted = |outcome: &String| !outcome.starts_with("consensus/");
        let expected = match block.outcomes.iter().all(is_admitted) {
            true => response::ProcessProposal::Accept,
            false => response::ProcessProposal::Reject,
        };
        match self.call(Request::ProcessProposal(request)).await {
            Response::ProcessProposal(answer) => assert_eq!(answer, expected),
            other => panic!("{other:?}"),
        }
        self.decided(block, place, txs).await;
        assert!(matches!(self.call(Request::Commit).await, Response::Commit(_)));
    }

    async fn decided(&mut self, block: &Block, place: Place, txs: Vec<bytes::Bytes>) {
        let request = FinalizeBlock {
            txs,
            decided_last_commit: CommitInfo { round: Default::default(), votes: Vec::new() },
            misbehavior: place.misbehaviour,
            hash: tendermint::Hash::None,
            height: place.height,
            time: place.time,
            next_validators_hash: tendermint::Hash::None,
            proposer_address: place.proposer,
        };
        let answer = match self.call(Request::FinalizeBlock(request)).await {
            Response::FinalizeBlock(answer) => answer,
            other => panic!("{other:?}"),
        };
        let of = |tx: &tendermint::abci::types::ExecTxResult| {
            let gas_used = u64::try_from(tx.gas_used).unwrap();
            blocks::outcome(&tx.codespace, tx.code.into(), gas_used)
        };
        let outcomes: Vec<String> = answer.tx_results.iter().map(of).collect();
        assert_eq!(outcomes, block.outcomes, "block {}", block.height);
        assert_eq!(answer.app_hash.as_bytes(), block.app_hash.as_bytes(), "{}", block.height);
    }

    async fn info(&mut self) -> response::Info {
        let request = request::Info {
            version: "0.38.25".into(),
            block_version: 11,
            p2p_version: 8,
            abci_version: "2.0.0".into(),
        };
        match self.call(Request::Info(request)).await {
            Response::Info(info) => info,
            other => panic!("{other:?}"),
        }
    }
}

/// What a block is besides its transactions, in CometBFT's types.
struct Place {
    height: block::Height,
    time: Time,
    proposer: account::Id,
    misbehaviour: Vec<Misbehavior>,
}

impl Place {
    fn of(block: &Block) -> Self {
        let seconds = i64::try_from(block.time_seconds).unwrap();
        let time = Time::from_unix_timestamp(seconds, 0).unwrap();
        let offence = |(validator, height): &(replay::Raw, Height)| Misbehavior {
            kind: MisbehaviorKind::DuplicateVote,
            validator: Validator {
                address: validator.0.as_slice().try_into().unwrap(),
                power: 1_u32.into(),
            },
            height: height.0.try_into().unwrap(),
            time,
            total_voting_power: 1_u32.into(),
        };
        let proposer: [u8; 20] = block.proposer.0.as_slice().try_into().unwrap();
        Self {
            height: block.height.0.try_into().unwrap(),
            time,
            proposer: account::Id::new(proposer),
            misbehaviour: block.misbehaviour.iter().map(offence).collect(),
        }
    }
}

fn params() -> consensus::Params {
    consensus::Params {
        block: block::Size { max_bytes: 1 << 22, max_gas: -1, time_iota_ms: 1000 },
        evidence: evidence::Params {
            max_age_num_blocks: 100_000,
            max_age_duration: evidence::Duration(std::time::Duration::from_secs(172_800)),
            max_bytes: 0,
        },
        validator: consensus::params::ValidatorParams {
            pub_key_types: vec![tendermint::public_key::Algorithm::Ed25519],
        },
        version: None,
        abci: consensus::params::AbciParams::default(),
    }
}

async fn replay(recording: &Recording, restart_every: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abci/app.sock");
    let kv = Kv::memory();
    let open = || Application::open(kv.clone()).unwrap();
    let mut server = serve(&path, &open(), PeerCheck::anyone()).await.unwrap();
    let mut comet = Comet::connect(&path).await;
    comet.init(recording).await;
    for (done, block) in (1_usize..).zip(&recording.blocks) {
        comet.block(block, done <= recording.solo_blocks).await;
        if restart_every != 0 && done.is_multiple_of(restart_every) {
            drop(server);
            server = serve(&path, &open(), PeerCheck::anyone()).await.unwrap();
            comet = Comet::connect(&path).await;
            let info = comet.info().await;
            assert_eq!(info.last_block_height.value(), block.height.0);
            assert_eq!(info.last_block_app_hash.as_bytes(), block.app_hash.as_bytes());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_abci_server_gives_every_recorded_app_hash() {
    replay(&Recording::load(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn restarts_of_the_abci_server_every_7_blocks_change_no_app_hash() {
    replay(&Recording::load(), 7).await;
}
