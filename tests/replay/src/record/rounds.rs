//! Rounds: users' calls, the proposal, both nodes' votes, the block that makes them final.

use discrepancy::{Config, Signer};
use paralith_consensus_api::keymanager::{RuntimePublicKey, SignedRuntimePublicKey};
use paralith_consensus_api::roothash::{
    EquivocatedProposals, Evidence, EvidenceKind, ExecutorCommit, HeaderType, ProposalHeader,
    ResultsHeader, Vote, batch_hash, empty_hash,
};
use paralith_consensus_api::tx::Body as ConsensusBody;
use paralith_consensus_app::query;
use paralith_proto::{Canonical, Message, Wire};
use paralith_runtime_api::envelope::{Info, seal_call};
use paralith_runtime_api::output::Output;
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{self, Body, Envelope, Transaction, VERSION, hash_of};
use paralith_tee_channel::pb::runtime_reply::Kind as Reply;
use paralith_types::{Amount, Epoch, Hash, Height, PublicKey, Signature, X25519PublicKey};

use super::batches::{Form, Wanted, batch, closed_ballot, question};
use super::{Recorder, genesis};
use crate::keys::{COMPUTE, USERS, key};
use crate::{Batch, Call, Raw};

/// Gas that a call may use; and one that it cannot do with.
const GAS: u64 = 50_000_000;
const LITTLE_GAS: u64 = 20_000;

impl Recorder {
    /// One round of every ParaTime: a batch each, final in one block.
    pub(super) fn round(&mut self, number: u64) {
        self.ensure_room(2);
        let mut commits = Vec::new();
        for place in 0..self.paratimes.len() {
            commits.push(self.execute(place, number));
        }
        let height = self.block(commits);
        self.block(vec![]);
        for place in 0..self.paratimes.len() {
            self.check_final(place, height);
            for node in 0..COMPUTE.len() {
                self.after(place, node, number, height);
            }
        }
    }

    /// A round of the last ParaTime that fails: both nodes claim results that differ, and as both are
    /// the backups, too, there is no majority. Then its scheduler is found to have made two proposals.
    pub(super) fn failed_round(&mut self) {
        self.ensure_room(4);
        let place = self.paratimes.len() - 1;
        let (id, one) = (self.paratimes[place].id, self.proposal(place, &[]));
        let ((proposal, scheduler), (other, _)) = (one, self.proposal(place, &[vec![1]]));
        let [a, b] = [&proposal, &other].map(|one| one.sign(&key(scheduler), &self.chain));
        let claim = |node: u8| ResultsHeader {
            round: proposal.round,
            previous_hash: proposal.previous_hash,
            io_root: empty_hash(),
            state_root: Hash([node; 32]),
            messages_hash: empty_hash(),
            in_messages_hash: empty_hash(),
            in_messages_count: 0,
            results_taken: 0,
        };
        let votes = COMPUTE.map(|node| self.vote(node, &proposal, claim(node), &[])).to_vec();
        let (proposals, messages) = (vec![a.clone()], vec![]);
        let commit = ExecutorCommit { runtime_id: id, proposals, votes, messages };
        self.block(vec![(scheduler, commit.into())]);
        let chain = query::runtime_state(&self.state(), &id).unwrap().unwrap();
        assert_eq!(chain.last_block.header_type, HeaderType::RoundFailed);
        let kind = EvidenceKind::Proposals(EquivocatedProposals { a, b });
        self.block(vec![(USERS[1], Evidence { runtime_id: id, kind }.into())]);
    }

    /// Executes a batch on both nodes; gives the transaction with their votes.
    fn execute(&mut self, place: usize, number: u64) -> (u8, ConsensusBody) {
        let name = self.paratimes[place].name.clone();
        let wanted = batch(&name, number);
        let transactions: Vec<Vec<u8>> =
            wanted.iter().map(|one| self.transaction(place, one)).collect();
        let (proposal, scheduler) = self.proposal(place, &transactions);
        let signed = proposal.sign(&key(scheduler), &self.chain);
        self.paratimes[place].batches.push(Batch {
            round: proposal.round,
            proposal: Raw(signed.encode()),
            transactions: transactions.into_iter().map(Raw).collect(),
            state_root: Hash::ZERO,
            io_root: Hash::ZERO,
            messages_hash: Hash::ZERO,
            in_messages_hash: Hash::ZERO,
        });
        let last = self.paratimes[place].batches.len() - 1;
        let (mut votes, mut messages, mut agreed) = (Vec::new(), Vec::new(), None);
        for (node, number) in COMPUTE.into_iter().enumerate() {
            self.call(place, node, Call::Sync(self.proven()));
            if node == 0 {
                self.call(place, node, Call::Check(last));
            }
            self.call(place, node, Call::Execute(last));
            let tape = self.tape(place, node);
            let executed = self.compute[tape].enclave.executed().unwrap().clone();
            let results: ResultsHeader = Wire::from_pb(executed.results.clone().unwrap()).unwrap();
            assert_eq!(*agreed.get_or_insert(results.clone()), results, "{name}: both agree");
            votes.push(self.vote(number, &proposal, results, &executed.rak_signature));
            messages = Wire::from_pb(executed.messages).unwrap();
        }
        let results = agreed.unwrap();
        let batch = &mut self.paratimes[place].batches[last];
        batch.state_root = results.state_root;
        batch.io_root = results.io_root;
        batch.messages_hash = results.messages_hash;
        batch.in_messages_hash = results.in_messages_hash;
        let runtime_id = self.paratimes[place].id;
        let proposals = vec![signed];
        (scheduler, ExecutorCommit { runtime_id, proposals, votes, messages }.into())
    }

    fn vote(
        &self,
        node: u8,
        proposal: &ProposalHeader,
        results: ResultsHeader,
        rak_signature: &[u8],
    ) -> Vote {
        let rak: Option<[u8; 64]> = rak_signature.try_into().ok();
        let vote = Vote {
            node: key(node).public(),
            proposal_id: proposal.id(),
            results: Some(results),
            failure: None,
            rak_signature: rak.map(Signature),
            signature: Signature([0; 64]),
        };
        vote.signed(&key(node), &self.chain)
    }

    /// The proposal of the best rank for the next round, and the node whose turn it is.
    fn proposal(&self, place: usize, transactions: &[Vec<u8>]) -> (ProposalHeader, u8) {
        let (id, height) = (self.paratimes[place].id, Height(self.proven()));
        let state = self.solo.ledger.application().state(Some(height)).unwrap();
        let chain = query::runtime_state(&state, &id).unwrap().unwrap();
        let committee = query::committee(&state, &id).unwrap().unwrap();
        let round = chain.last_block.round.next();
        let config = Config {
            workers: committee.workers.iter().map(|worker| Signer(worker.0)).collect(),
            round: round.0,
            ..Config::default()
        };
        let turn = config.scheduler(0).unwrap();
        let is_its = |node: &u8| key(*node).public() == PublicKey(turn.0);
        let hashes: Vec<Hash> = transactions.iter().map(|raw| hash_of(raw)).collect();
        let proposal = ProposalHeader {
            runtime_id: id,
            round,
            previous_hash: chain.last_block.hash(),
            rank: 0,
            consensus_height: height,
            batch_hash: batch_hash(&hashes),
        };
        (proposal, COMPUTE.into_iter().find(is_its).unwrap())
    }

    fn check_final(&self, place: usize, height: Height) {
        let state = self.solo.ledger.application().state(Some(height)).unwrap();
        let paratime = &self.paratimes[place];
        let chain = query::runtime_state(&state, &paratime.id).unwrap().unwrap();
        let last = paratime.batches.last().unwrap();
        let got = (chain.last_normal_round, chain.last_block.state_root);
        assert_eq!(got, (last.round, last.state_root), "{}: the round is final", paratime.name);
    }

    /// What a node does with a final round: it keeps the state, opens the outputs, answers a query
    /// and, where a ballot was closed, reveals.
    fn after(&mut self, place: usize, node: usize, number: u64, height: Height) {
        let last = self.paratimes[place].batches.len() - 1;
        self.call(place, node, Call::Apply(last));
        self.call(place, node, Call::Sync(height.0));
        self.call(place, node, Call::Release(last));
        let confidential = genesis::is_confidential(&self.paratimes[place]);
        if number % 3 == 2 {
            let query = self.query(place, number);
            let reply = self.call(place, node, Call::Query(Raw(query)));
            if let (false, Reply::Answer(answer)) = (confidential, reply) {
                answer_of(Output::decode(&answer.output, 10_000).unwrap());
            }
        }
        if let ("ballot", Some(id)) = (self.paratimes[place].name.as_str(), closed_ballot(number)) {
            let round = self.paratimes[place].batches[last].round;
            let handle = Raw(id.to_be_bytes().to_vec());
            let answer = match self.call(place, node, Call::Reveal(round, handle)) {
                Reply::Answer(answer) => Output::decode(&answer.output, 10_000).unwrap(),
                other => panic!("{other:?}"),
            };
            let tally = String::from_utf8(answer_of(answer)).unwrap();
            assert!(tally.starts_with(r#"[{"option":"yes","votes":"#), "{tally}");
            assert!(tally.contains(r#""votes":1"#), "{tally}");
        }
    }

    fn transaction(&mut self, place: usize, wanted: &Wanted) -> Vec<u8> {
        let Wanted { sender, method, args, form } = wanted;
        let next = self.nonces.entry((place, *sender)).or_insert(0);
        let nonce = if *form == Form::WrongNonce { *next + 7 } else { *next };
        // A transaction that fails `authenticate` has no effect, on the nonce either.
        *next += u64::from(*form != Form::WrongNonce);
        let call = tx::Call { method: (*method).to_string(), args: args.to_string().into_bytes() };
        let plain = *form == Form::Plain || !genesis::is_confidential(&self.paratimes[place]);
        let body = match form {
            _ if plain => Body::Call(call),
            Form::Stolen => {
                let other = USERS.into_iter().find(|user| user != sender).unwrap();
                Body::Envelope(self.seal(place, other, nonce, call))
            }
            _ => Body::Envelope(self.seal(place, *sender, nonce, call)),
        };
        let transaction = Transaction {
            version: VERSION,
            chain_context: self.chain,
            runtime_id: self.paratimes[place].id,
            nonce,
            fee: Amount(0),
            gas_limit: if *form == Form::LittleGas { LITTLE_GAS } else { GAS },
            body,
        };
        transaction.sign(&key(*sender)).encode()
    }

    fn seal(&mut self, place: usize, sender: u8, nonce: u64, call: tx::Call) -> Envelope {
        let (runtime_key, epoch) = self.runtime_key(place);
        let (id, sender) = (self.paratimes[place].id, key(sender).public());
        let info = Info::transaction(self.chain, id, epoch, &sender, nonce);
        let (reply_key, randomness) = (self.draw(), self.draw());
        seal_call(&runtime_key, &info, call, reply_key, randomness).unwrap()
    }

    /// The key manager's answer to clients, which keep it for an epoch.
    fn runtime_key(&mut self, place: usize) -> (X25519PublicKey, Epoch) {
        let (id, epoch) = (self.paratimes[place].id, self.epoch().epoch);
        if let Some(key) = self.runtime_keys.get(&(place, epoch)) {
            return (*key, epoch);
        }
        let signed = self.key_manager_bytes(Call::PublicKey(id, epoch.0));
        let signed = SignedRuntimePublicKey::decode(&signed, signed.len()).unwrap();
        let encoded = &signed.public_key;
        let key = RuntimePublicKey::decode(encoded, encoded.len()).unwrap().key;
        self.runtime_keys.insert((place, epoch), key);
        (key, epoch)
    }

    fn query(&mut self, place: usize, number: u64) -> Vec<u8> {
        let paratime = &self.paratimes[place];
        let (id, confidential) = (paratime.id, genesis::is_confidential(paratime));
        let (user, method, args) = question(&paratime.name, number);
        let call = tx::Call { method: method.to_string(), args: args.to_string().into_bytes() };
        let body = if confidential {
            let (runtime_key, epoch) = self.runtime_key(place);
            let info = Info::query(self.chain, id, epoch, Some(&key(user).public()));
            let (reply_key, randomness) = (self.draw(), self.draw());
            let sealed = seal_call(&runtime_key, &info, call, reply_key, randomness);
            Body::Envelope(sealed.unwrap())
        } else {
            Body::Call(call)
        };
        let query = Query { chain_context: self.chain, runtime_id: id, body, signed: None };
        query.sign(&key(user)).to_pb().encode_to_vec()
    }
}

fn answer_of(output: Output) -> Vec<u8> {
    match output {
        Output::Ok(answer) => answer,
        Output::Error(error) => panic!("{error:?}"),
    }
}
