//! A chain of one validator: the real application, headers signed as CometBFT signs them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::staking::Account;
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_api::{address, beacon, staking};
use paralith_consensus_app::{App, AppError, BlockInput, BlockOutput};
use paralith_consensus_light::LightBlock;
use paralith_crypto::SigningKey;
use paralith_genesis::Document;
use paralith_proto::Canonical;
use paralith_storage::{Kv, StateRead as _, WriteBatch};
use paralith_types::{Amount, ChainContext, Epoch, Hash, Height, PublicKey};

use crate::{GENESIS_SECONDS, HeaderSpec, light_block};

/// A transaction that is still to be signed, with its signer's next nonce.
pub type SignedBody = (SigningKey, Body);

/// The application from a genesis on, block by block.
pub struct AppChain {
    /// The genesis document.
    pub document: Document,
    /// The consensus key of the one validator.
    validator: SigningKey,
    state: Mutex<State>,
}

struct State {
    app: App,
    /// Roots by height of their state; that of genesis first.
    roots: Vec<Hash>,
    blocks: Vec<BlockInput>,
    power: u64,
}

impl fmt::Debug for AppChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppChain(height {})", self.height())
    }
}

impl AppChain {
    /// The chain of a document with one validator, whose consensus key this is.
    #[must_use]
    pub fn new(document: Document, validator: SigningKey) -> Self {
        let mut app = App::open(Kv::memory()).unwrap();
        let (validators, root) =
            app.init_chain(&document.genesis, document.hash().unwrap()).unwrap();
        assert_eq!(validators.len(), 1, "one validator signs the headers");
        assert_eq!(validators[0].consensus_key, validator.public());
        let (roots, blocks, power) = (vec![root], Vec::new(), validators[0].power);
        Self { document, validator, state: Mutex::new(State { app, roots, blocks, power }) }
    }

    /// Another chain with the same past. Its validators have signed both.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = Self::new(self.document.clone(), self.validator.clone());
        let blocks = self.lock().blocks.clone();
        for block in blocks {
            fork.execute(block);
        }
        fork
    }

    /// The genesis document's hash.
    #[must_use]
    pub fn context(&self) -> ChainContext {
        self.document.hash().unwrap()
    }

    /// Makes a block with these transactions, each of which must succeed. Gives its height.
    pub fn block(&self, txs: Vec<SignedBody>) -> Height {
        for tx in self.make_block(txs).txs {
            assert_eq!(tx.code, 0, "{} {}: {}", tx.module, tx.code, tx.message);
        }
        self.height()
    }

    /// Makes a block with these transactions, whatever becomes of them.
    pub fn make_block(&self, txs: Vec<SignedBody>) -> BlockOutput {
        let mut nonces = BTreeMap::<PublicKey, u64>::new();
        let signed = |(signer, body): SignedBody| {
            let next = nonces.entry(signer.public()).or_insert_with(|| self.nonce(&signer));
            let nonce = *next;
            *next += 1;
            let fee = Fee { amount: Amount(0), gas_limit: 1_000_000_000 };
            Transaction::new(self.context(), nonce, fee, &body).sign(&signer).encode()
        };
        let txs = txs.into_iter().map(signed).collect();
        let height = self.height().next();
        let time_seconds = GENESIS_SECONDS + height.0;
        self.execute(BlockInput {
            height,
            time_seconds,
            proposer: [0; 20],
            txs,
            misbehaviour: vec![],
        })
    }

    fn nonce(&self, signer: &SigningKey) -> u64 {
        let account = address::of_key(&signer.public());
        let account: Option<Account> = self.read(&staking::keys::account(&account));
        account.map_or(0, |account| account.nonce)
    }

    fn execute(&self, input: BlockInput) -> BlockOutput {
        let mut state = self.lock();
        state.blocks.push(input.clone());
        let output = state.app.finalize_block(input).unwrap();
        assert!(output.validator_updates.is_empty(), "one validator signs the headers");
        state.app.commit(WriteBatch::new()).unwrap();
        state.roots.push(output.app_hash);
        output
    }

    /// Makes empty blocks until an epoch begins. Gives the height of its first.
    pub fn next_epoch(&self) -> Height {
        let epoch = self.epoch();
        loop {
            let height = self.block(vec![]);
            if self.epoch() > epoch {
                return height;
            }
        }
    }

    /// The newest height.
    #[must_use]
    pub fn height(&self) -> Height {
        Height(self.lock().roots.len() as u64 - 1)
    }

    /// The running epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.read::<EpochState>(&beacon::keys::epoch()).unwrap().epoch
    }

    /// The root of the state after a block.
    #[must_use]
    pub fn root(&self, height: Height) -> Hash {
        self.lock().roots[usize::try_from(height.0).unwrap()]
    }

    /// A value of the newest state.
    #[must_use]
    pub fn read<T: Canonical>(&self, key: &[u8]) -> Option<T> {
        let bytes = self.lock().app.latest().get(key).unwrap();
        bytes.map(|bytes| T::decode(&bytes, bytes.len()).unwrap())
    }

    /// The bytes of a value in the state of a height, if that state is kept; genesis is not.
    pub fn read_at(&self, height: Height, key: &[u8]) -> Result<Option<Vec<u8>>, AppError> {
        Ok(self.lock().app.state(Some(height))?.get(key).unwrap())
    }

    /// A value of a committed state with its proof.
    #[must_use]
    pub fn prove(&self, height: Height, key: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
        let proven = self.lock().app.query(Some(height), key).ok()?;
        Some((proven.value, proven.proof))
    }

    /// The header of a height, which carries the root of the state before; signed by the validator,
    /// or by another key.
    #[must_use]
    pub fn light_block(&self, height: Height, signer: Option<&SigningKey>) -> Option<LightBlock> {
        let state = self.lock();
        let app_hash = *state.roots.get(usize::try_from(height.0.checked_sub(1)?).ok()?)?;
        let signer = signer.unwrap_or(&self.validator);
        let validators = [(signer.public(), state.power)];
        Some(light_block(&HeaderSpec {
            chain_id: &self.document.chain_id().unwrap(),
            height: height.0,
            app_hash,
            validators: &validators,
            next: &validators,
            signer,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
