//! The recorder: one process plays the whole network, with real blocks of the solo engine, a real
//! key manager and real compute enclaves on both compute nodes.
//!
//! The first compute node's enclaves run through. The second one's are ended and started again, with
//! new keys, after every [`RESTART_EVERY`] batches. Both sign every round, so the chain itself has
//! compared them.

mod batches;
mod epochs;
mod genesis;
mod rounds;
mod tail;

use std::collections::BTreeMap;

use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::roothash::SubmitMessage;
use paralith_consensus_api::staking::{AddEscrow, ReclaimEscrow, Transfer};
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_app::query;
use paralith_genesis::Document;
use paralith_proto::Canonical;
use paralith_storage::Snapshot;
use paralith_tee_channel::pb::runtime_reply::Kind as Reply;
use paralith_types::{Amount, ChainContext, Epoch, Height, RuntimeId, X25519PublicKey};

use crate::hosted_enclave::reply_hash;
use crate::keys::{COMPUTE, ENTITY, KEY_MANAGER_NODE, USERS, account, key};
use crate::{Block, Call, Enclave, HostedEnclave, ParaTime, Raw, Recording, SoloChain, Step};

/// Batches of each ParaTime.
pub const BATCHES: u64 = 15;

/// After so many batches the second compute node's enclaves are started anew.
pub const RESTART_EVERY: u64 = 7;

/// Plays the network and gives what happened.
pub fn record() -> Recording {
    let mut recorder = Recorder::new();
    recorder.birth();
    for number in 0..BATCHES {
        if number != 0 && number.is_multiple_of(RESTART_EVERY) {
            recorder.restart_second();
        }
        recorder.round(number);
    }
    recorder.failed_round();
    recorder.finish()
}

/// An enclave, and all that was asked of it.
struct Tape {
    node: u8,
    paratime: Option<usize>,
    enclave: HostedEnclave,
    steps: Vec<Step>,
    /// The seed of its newest start.
    seed: u8,
}

impl Tape {
    fn call(&mut self, call: Call, paratimes: &[ParaTime]) -> Reply {
        let batches = self.paratime.map(|place| paratimes[place].batches.as_slice());
        let reply = self.enclave.call(&call, batches.unwrap_or_default());
        self.steps.push(Step { call, reply: reply_hash(reply.clone()) });
        reply
    }

    fn bytes(&mut self, call: Call, paratimes: &[ParaTime]) -> Vec<u8> {
        match self.call(call, paratimes) {
            Reply::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn into_enclave(self) -> Enclave {
        Enclave { node: self.node, paratime: self.paratime, steps: self.steps }
    }
}

struct Recorder {
    document: Document,
    chain: ChainContext,
    solo: SoloChain,
    blocks: Vec<Block>,
    paratimes: Vec<ParaTime>,
    key_manager: Tape,
    /// Of ParaTime `p` on compute node `n` at `2 * p + n`.
    compute: Vec<Tape>,
    /// The next nonces in the ParaTimes.
    nonces: BTreeMap<(usize, u8), u64>,
    /// The keys that calls are sealed to.
    runtime_keys: BTreeMap<(usize, Epoch), X25519PublicKey>,
    /// The epoch whose keys everybody has.
    begun: Epoch,
    drawn: u64,
}

impl Recorder {
    fn new() -> Self {
        let (document, paratimes) = (genesis::document(), genesis::paratimes());
        let solo = SoloChain::new(&document);
        let tape = |node, place: Option<usize>| Tape {
            node,
            paratime: place,
            enclave: HostedEnclave::new(
                &document,
                &solo.ledger,
                node,
                place.map(|place| &paratimes[place]),
            ),
            steps: Vec::new(),
            seed: 0,
        };
        let key_manager = tape(KEY_MANAGER_NODE, None);
        let places = (0..paratimes.len()).flat_map(|place| COMPUTE.map(|node| (node, place)));
        let compute = places.map(|(node, place)| tape(node, Some(place))).collect();
        Self {
            chain: document.hash().unwrap(),
            key_manager,
            compute,
            document,
            solo,
            blocks: Vec::new(),
            paratimes,
            nonces: BTreeMap::new(),
            runtime_keys: BTreeMap::new(),
            begun: Epoch(0),
            drawn: 0,
        }
    }

    fn finish(mut self) -> Recording {
        self.block(vec![]);
        let solo_blocks = self.blocks.len();
        tail::append(&self.document, &mut self.blocks);
        let tapes = std::iter::once(self.key_manager).chain(self.compute);
        Recording {
            document: self.document,
            blocks: self.blocks,
            solo_blocks,
            paratimes: self.paratimes,
            enclaves: tapes.map(Tape::into_enclave).collect(),
        }
    }

    fn tip(&self) -> Height {
        Height(self.blocks.len() as u64)
    }

    /// The newest height whose state a header proves.
    fn proven(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    fn state(&self) -> Snapshot {
        self.solo.ledger.application().state(None).unwrap()
    }

    fn epoch(&self) -> EpochState {
        query::epoch(&self.state()).unwrap()
    }

    /// Fresh bytes, the same in every run.
    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        paralith_crypto::sha256(format!("replay {}", self.drawn).as_bytes())
    }

    /// The next block: these transactions, which must succeed, and what users do meanwhile.
    fn block(&mut self, txs: Vec<(u8, Body)>) -> Height {
        let height = self.tip().next();
        let (must, nothing) = (txs.len(), Fee { amount: Amount(0), gas_limit: 1_000_000_000 });
        let paid = Fee { amount: Amount(10), gas_limit: 100_000 };
        let mut all: Vec<(u8, Body, Fee)> =
            txs.into_iter().map(|(signer, body)| (signer, body, nothing.clone())).collect();
        if height > Height(1) && height.0 % 5 < 2 {
            let (user, body) = chatter(height.0, self.paratimes[0].id);
            all.push((user, body, paid));
        }
        let raw = self.sign(all);
        let time_seconds = genesis::GENESIS_SECONDS + 2 * height.0;
        let made = self.solo.block(time_seconds, &raw);
        for outcome in made.outcomes.iter().take(must) {
            assert!(outcome.starts_with("/0/"), "block {height}: {outcome}");
        }
        self.blocks.push(Block {
            height: made.height,
            time_seconds,
            proposer: Raw(made.proposer),
            txs: raw.into_iter().map(Raw).collect(),
            misbehaviour: Vec::new(),
            outcomes: made.outcomes,
            app_hash: made.app_hash,
        });
        height
    }

    fn sign(&self, txs: Vec<(u8, Body, Fee)>) -> Vec<Vec<u8>> {
        let state = self.solo.ledger.application();
        let mut nonces: BTreeMap<u8, u64> = BTreeMap::new();
        let mut sign = |(signer, body, fee): (u8, Body, Fee)| {
            let nonce = nonces.entry(signer).or_insert_with(|| match state.state(None) {
                Ok(state) => query::account(&state, &account(signer)).unwrap().nonce,
                Err(_) => 0,
            });
            let tx = Transaction::new(self.chain, *nonce, fee, &body);
            *nonce += 1;
            tx.sign(&key(signer)).encode()
        };
        txs.into_iter().map(&mut sign).collect()
    }
}

/// What a user does in the block of a height. Some of it fails.
fn chatter(height: u64, tokens: RuntimeId) -> (u8, Body) {
    let [alice, bob, carol] = USERS;
    let pay = |to: u8, amount: u128| Transfer { to: account(to), amount: Amount(amount) }.into();
    match height % 6 {
        0 => (alice, pay(bob, 100 + u128::from(height))),
        1 => (bob, pay(carol, 1)),
        2 => {
            let (account, amount) = (account(ENTITY), Amount(1600));
            (alice, AddEscrow { account, amount }.into())
        }
        3 => (carol, pay(alice, 1_000_000_000)),
        4 => {
            let (account, shares) = (account(ENTITY), Amount(500));
            (alice, ReclaimEscrow { account, shares }.into())
        }
        _ => {
            let (fee, tokens_sent) = (Amount(2), Amount(300));
            let runtime_id = tokens;
            let message =
                SubmitMessage { runtime_id, tag: height, fee, tokens: tokens_sent, data: vec![] };
            (bob, message.into())
        }
    }
}
