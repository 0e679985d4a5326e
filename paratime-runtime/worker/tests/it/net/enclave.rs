//! An enclave that executes deterministically and computes real roots.

use std::sync::Arc;

use paralith_consensus_api::roothash::{ProposalHeader, ResultsHeader, SignedProposal, empty_hash};
use paralith_proto::pb::host::v1::{self as pb, runtime_call, runtime_reply};
use paralith_proto::pb::paratime::v1 as paratime_pb;
use paralith_proto::{Canonical, Message as _, Wire, required};
use paralith_runtime_api::output::{IoLeaf, Output, commitment, io_root};
use paralith_runtime_api::tx;
use paralith_runtime_worker::{Enclave, EnclaveError};
use paralith_storage::{Changes, EMPTY_ROOT, Kv, Tree};
use paralith_types::Hash;

use super::{RUNTIME, TestChain};

pub(crate) struct FakeEnclave {
    chain: Arc<TestChain>,
    tree: Tree,
    salt: u8,
}

impl FakeEnclave {
    pub(crate) fn new(chain: Arc<TestChain>, kv: Kv, salt: u8) -> Self {
        Self { chain, tree: Tree::new(kv, RUNTIME.as_bytes()), salt }
    }

    fn execute(&self, ask: pb::Execute) -> Result<pb::Executed, EnclaveError> {
        let signed: SignedProposal = required(ask.proposal, "proposal").unwrap();
        let header: ProposalHeader = signed.open(&self.chain.context()).unwrap();
        let root = self.tree.latest().unwrap().map_or(EMPTY_ROOT, |(_, root)| root);
        match self.chain.header(header.round.0 - 1) {
            Some(last) if last.state_root == root => {}
            _ => return Err(refused("the host's state is not the last final one")),
        }
        let mut changes = Changes::new();
        changes.insert(b"rounds".to_vec(), Some(header.round.0.to_be_bytes().to_vec()));
        let (mut leaves, mut outputs) = (Vec::new(), Vec::new());
        for raw in &ask.transactions {
            let tx_hash = tx::hash_of(raw);
            changes.insert(tx_hash.as_bytes().to_vec(), Some(vec![1, self.salt]));
            let output = Output::Ok([tx_hash.as_bytes(), b" done"].concat()).encode();
            let output_commitment = commitment(&Hash::ZERO, &output);
            leaves.push(IoLeaf { tx_hash, gas_used: 1, output_commitment, events: Vec::new() });
            outputs.push(paratime_pb::SealedOutput {
                tx_hash: tx_hash.as_bytes().to_vec(),
                sealed: output,
            });
        }
        let base = self.tree.latest().unwrap().map(|(version, _)| version);
        let prepared = self
            .tree
            .prepare(base, header.round.0, &changes)
            .map_err(|e| refused(&e.to_string()))?;
        let results = ResultsHeader {
            round: header.round,
            previous_hash: header.previous_hash,
            io_root: io_root(&leaves),
            state_root: prepared.root(),
            messages_hash: empty_hash(),
            in_messages_hash: empty_hash(),
            in_messages_count: 0,
            results_taken: 0,
        };
        let change = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| pb::Change {
            key: key.clone(),
            value: value.clone(),
        };
        Ok(pb::Executed {
            results: Some(results.to_pb()),
            rak_signature: Vec::new(),
            changes: changes.iter().map(change).collect(),
            leaves: leaves.to_pb(),
            outputs,
            messages: Vec::new(),
            logs: Vec::new(),
        })
    }

    /// Opens nothing of a round that the chain does not have.
    fn release(&self, ask: pb::Release) -> Result<pb::Released, EnclaveError> {
        let leaves: Vec<IoLeaf> = Wire::from_pb(ask.leaves).unwrap();
        match self.chain.header(ask.round) {
            Some(header) if header.io_root == io_root(&leaves) => {}
            _ => return Err(refused("the round is not final")),
        }
        let open = |sealed: paratime_pb::SealedOutput| paratime_pb::OpenedOutput {
            tx_hash: sealed.tx_hash,
            blinding: Hash::ZERO.as_bytes().to_vec(),
            output: sealed.sealed,
        };
        let mut outputs: Vec<_> = ask.outputs.into_iter().map(open).collect();
        if !self.chain.opens(ask.round) {
            outputs.pop();
        }
        Ok(pb::Released { outputs })
    }
}

impl Enclave for FakeEnclave {
    fn call(&self, call: runtime_call::Kind) -> Result<runtime_reply::Kind, EnclaveError> {
        Ok(match call {
            runtime_call::Kind::Sync(pb::Sync { height }) => {
                runtime_reply::Kind::Synced(pb::Synced {
                    height,
                    epoch: 1,
                    has_keys: true,
                    sealed: Vec::new(),
                    wake_height: self.chain.wake_height(),
                })
            }
            runtime_call::Kind::Check(check) => {
                let ok = Output::Ok(Vec::new()).to_pb();
                let results = check.transactions.iter().map(|_| ok.clone()).collect();
                runtime_reply::Kind::Bytes(pb::CheckResults { results }.encode_to_vec())
            }
            runtime_call::Kind::Execute(ask) => runtime_reply::Kind::Executed(self.execute(ask)?),
            runtime_call::Kind::Release(ask) => runtime_reply::Kind::Released(self.release(ask)?),
            _ => return Err(refused("not in these tests")),
        })
    }
}

fn refused(message: &str) -> EnclaveError {
    EnclaveError { module: "enclave".into(), code: 1, message: message.into() }
}
