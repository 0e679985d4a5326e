//! Carries effects out.

use std::collections::BTreeMap;

use paralith_policy::Members;
use paralith_private_contract_core::member::{Effect, Given, Input, Prepared, VoteOf};
use paralith_private_contract_core::messages::{
    Actions, Batch, Canonical, Complain, ContractVote, OfContract, OpenBatch, Revealed, Verdict,
    Vote, VoteSignature,
};
use paralith_private_contract_core::vote::{MaySign, actions_hash, may_sign, vote_hash};
use paralith_types::PublicKey;

use super::content::{first_of, in_time};
use super::{Stakeholder, Step, on_big_stack};
use crate::executor::{GivenCall, Inputs, TxInput};
use crate::proven::{index_of, set};
use crate::server::is_vote;
use crate::{Contract, ServiceError};

/// Votes of others are fetched from this many blocks after the batch was opened: links lose some.
const ASK_VOTES_AFTER: u64 = 2;

impl Stakeholder {
    pub(super) async fn carry_out(
        &mut self,
        contract: &Contract,
        effect: Effect,
    ) -> Result<Step, ServiceError> {
        match effect {
            Effect::AskOwnVote { batch } => self.ask_own_vote(contract, batch).await?,
            Effect::Fetch { batch, seqs } => self.fetch(contract, batch, seqs).await?,
            Effect::Complain { seq, index } => self.complain(seq, index).await,
            Effect::Execute { batch, given } => self.execute(contract, *batch, given).await?,
            Effect::Store { prepared, vote } => self.store(contract, &prepared, vote)?,
            Effect::SendVote(vote) => self.send_vote(contract, &vote)?,
            Effect::Submit { batch, verdict, actions, votes } => {
                self.submit(batch, *verdict, *actions, &votes).await;
            }
            Effect::Commit(tip) => {
                self.shared.store.commit(tip)?;
                if self.batch == tip.batch && !self.opened.is_empty() {
                    let final_ones = self.opened.values().map(|tx| &tx.record.content_hash);
                    self.shared.store.drop_contents(final_ones)?;
                }
                self.give(Input::Moved(tip))?;
            }
            Effect::Drop { batch } => {
                self.shared.store.drop_batch(batch)?;
                self.give(Input::Dropped)?;
            }
            Effect::Heal { from, to } => {
                let Some(tip) = self.heal(contract, to).await? else {
                    self.queue.push_front(Effect::Heal { from, to });
                    return Ok(Step::Waits);
                };
                self.give(Input::Moved(tip))?;
            }
        }
        Ok(Step::Done)
    }

    fn others(&self, members: &[PublicKey]) -> Vec<PublicKey> {
        let me = self.keys.account();
        members.iter().copied().filter(|member| *member != me).collect()
    }

    fn open(contract: &Contract, batch: u64) -> Result<Option<OpenBatch>, ServiceError> {
        Ok(contract.open_batch()?.filter(|open| open.batch.number == batch))
    }

    /// The mediator and the members say what this member voted. Signatures are deterministic, so the verdict
    /// that the mediator counted is enough to have the same vote again.
    async fn ask_own_vote(&mut self, contract: &Contract, batch: u64) -> Result<(), ServiceError> {
        let Some(open) = Self::open(contract, batch)? else { return Ok(()) };
        let record = contract.definition(open.batch.version)?;
        let members = record.definition.members.clone();
        let mut found = None;
        if let Some(me) = index_of(&members, &self.keys.account()) {
            let ask = |peer| {
                let (open, record) = (&open, &record);
                let asked =
                    self.outside.links.fetch_vote(peer, contract.place().contract_id, batch, me);
                async move {
                    let vote = in_time(asked).await.ok().filter(|vote| vote.index == me)?;
                    is_vote(contract, open, record, &vote).ok()?.then_some(vote)
                }
            };
            found = first_of(self.others(&members).into_iter().map(ask)).await;
            for tally in &open.tallies {
                if found.is_none() && set(&tally.signers, members.len())?.contains(me) {
                    found = Some(self.signed(contract, &open.batch, me, &tally.verdict)?);
                }
            }
        }
        self.give(Input::OwnVote { batch, found: found.map(Box::new) })
    }

    /// A vote without its actions: those of a counted vote are at the mediator.
    fn signed(
        &self,
        contract: &Contract,
        batch: &Batch,
        index: u32,
        verdict: &Verdict,
    ) -> Result<ContractVote, ServiceError> {
        let inputs = contract.inputs_hash(batch)?;
        let hash = vote_hash(contract.place(), batch.version, batch.number, &inputs, verdict);
        Ok(ContractVote {
            contract_id: contract.place().contract_id,
            batch: batch.number,
            verdict: verdict.clone(),
            actions: Actions { actions: Vec::new() },
            index,
            signature: self.keys.sign_vote(&hash),
        })
    }

    async fn complain(&self, seq: u64, index: u32) {
        let Some(opened) = self.opened.get(&seq) else { return };
        let complaint = Complain {
            contract_id: self.shared.place.contract_id,
            seq,
            sk: Revealed(*opened.sk.as_bytes()),
            uri: opened.uri.clone(),
            index,
        };
        if let Err(error) = self.outside.mediator.submit("complain", complaint.encode()).await {
            tracing::info!(%error, seq, "the complaint was not taken: another member may have complained");
        }
    }

    async fn execute(
        &mut self,
        contract: &Contract,
        batch: Batch,
        given: Vec<(u64, Given)>,
    ) -> Result<(), ServiceError> {
        let (number, old_root) = (batch.number, batch.old_root);
        let executed = match self.inputs(contract, batch, given) {
            Ok((code, inputs)) => {
                let tree = self.shared.store.tree().clone();
                on_big_stack(move || code.execute(&tree, &inputs)).await.and_then(|done| done)
            }
            Err(error) => Err(error),
        };
        match executed {
            Ok(executed) => {
                let prepared = Prepared {
                    batch: number,
                    old_root,
                    verdict: executed.verdict.clone(),
                    actions: executed.actions.clone(),
                };
                self.executed = Some(executed);
                self.give(Input::Executed(Box::new(prepared)))
            }
            Err(error) => {
                tracing::error!(%error, batch = number, "this member gives no vote");
                self.give(Input::Fault { batch: number })
            }
        }
    }

    fn inputs(
        &mut self,
        contract: &Contract,
        batch: Batch,
        given: Vec<(u64, Given)>,
    ) -> Result<(crate::Code, Inputs), ServiceError> {
        let code = self.code(contract, batch.version, batch.kind)?;
        let deposits = batch.deposits().map(|number| contract.deposit(number));
        let deposits = deposits.collect::<Result<_, _>>()?;
        let mut transactions = Vec::new();
        for (seq, given) in given {
            let record = contract.transaction(seq)?;
            let given = match given {
                Given::Malformed => GivenCall::Malformed,
                Given::Missing => GivenCall::Missing,
                Given::Call => {
                    let opened = self.opened.get(&seq);
                    let call =
                        opened.and_then(|opened| Some((opened.sk.clone(), opened.call.clone()?)));
                    let (sk, call) = call.ok_or(ServiceError::Lacks { what: "a call" })?;
                    GivenCall::Call { sk, call }
                }
            };
            transactions.push(TxInput { seq, record, given });
        }
        let inputs_hash = contract.inputs_hash(&batch)?;
        Ok((code, Inputs { batch, inputs_hash, deposits, transactions }))
    }

    /// The guard of the vote key is here: only one verdict of a batch is ever signed.
    fn store(
        &mut self,
        contract: &Contract,
        prepared: &Prepared,
        vote: VoteOf,
    ) -> Result<(), ServiceError> {
        let executed = self.executed.take().filter(|executed| executed.verdict == prepared.verdict);
        let executed = executed.ok_or(ServiceError::Lacks { what: "the executed batch" })?;
        let stored = self.shared.store.vote(prepared.batch)?;
        let vote = match vote {
            VoteOf::Left(vote) => Some(*vote),
            VoteOf::Silent => stored,
            VoteOf::Sign { index } => {
                match may_sign(stored.as_ref(), prepared.batch, &prepared.verdict) {
                    Ok(MaySign::Stored) => stored,
                    Ok(MaySign::New) => self.sign(contract, prepared, index)?,
                    Err(error) => {
                        tracing::error!(%error, "the stored vote stands");
                        stored
                    }
                }
            }
        };
        self.shared.store.store(prepared, &executed.log, vote.as_ref())?;
        self.give(Input::Synced(vote.map(Box::new)))
    }

    /// `None`: the batch is no longer open, and a vote would count nowhere.
    fn sign(
        &self,
        contract: &Contract,
        prepared: &Prepared,
        index: u32,
    ) -> Result<Option<ContractVote>, ServiceError> {
        let Some(open) = Self::open(contract, prepared.batch)? else { return Ok(None) };
        if open.batch.old_root != prepared.old_root {
            return Ok(None);
        }
        let vote = self.signed(contract, &open.batch, index, &prepared.verdict)?;
        Ok(Some(ContractVote { actions: prepared.actions.clone(), ..vote }))
    }

    fn send_vote(&mut self, contract: &Contract, vote: &ContractVote) -> Result<(), ServiceError> {
        let Some(open) = Self::open(contract, vote.batch)? else { return Ok(()) };
        if actions_hash(&vote.actions) != vote.verdict.actions_hash {
            // The mediator has it; its actions are not here.
            return Ok(());
        }
        let members = contract.definition(open.batch.version)?.definition.members;
        // In tasks of their own: a member that does not answer holds up nothing.
        while self.sends.try_join_next().is_some() {}
        for peer in self.others(&members) {
            let (links, vote) = (self.outside.links.clone(), vote.clone());
            self.sends.spawn(async move {
                if let Err(error) = in_time(links.send_vote(peer, vote)).await {
                    tracing::debug!(%error, ?peer, "a vote was not delivered");
                }
            });
        }
        Ok(())
    }

    /// Fetches the others' votes of the open batch that did not come.
    pub(super) async fn fetch_votes(&mut self, contract: &Contract) -> Result<(), ServiceError> {
        let Some(open) = contract.open_batch()? else { return Ok(()) };
        let batch = open.batch.number;
        let is_time = contract.height() >= open.batch.open_height.saturating_add(ASK_VOTES_AFTER);
        let has_own = self.member.own_vote().is_some_and(|own| own.batch == batch);
        if !is_time || !has_own {
            return Ok(());
        }
        let record = contract.definition(open.batch.version)?;
        let members = record.definition.members.clone();
        let missing = (0_u32..).zip(members).filter(|(index, member)| {
            *member != self.keys.account() && !self.shared.has_vote(batch, *index)
        });
        let ask = |(index, peer): (u32, PublicKey)| {
            let contract = contract.place().contract_id;
            in_time(self.outside.links.fetch_vote(peer, contract, batch, index))
        };
        let answers = futures::future::join_all(missing.map(ask)).await;
        for vote in answers.into_iter().flatten() {
            if self.shared.verify(contract, &open, &vote)? {
                self.give(Input::Vote(Box::new(vote)))?;
            }
        }
        Ok(())
    }

    /// PC-24: shows that the contract lives, before anybody may close it as dormant.
    pub(super) async fn probe(&mut self, contract: &Contract) -> Result<(), ServiceError> {
        let Some(quiet) = contract.quiet(&self.keys.account())? else { return Ok(()) };
        if !self.probing.is_due(&quiet) {
            return Ok(());
        }
        let call = OfContract { contract_id: self.shared.place.contract_id }.encode();
        match self.outside.mediator.submit("probe", call).await {
            Ok(()) => tracing::info!("batches failed and nothing came since: this member probes"),
            Err(error) => tracing::warn!(%error, "the probe of a quiet contract was not taken"),
        }
        Ok(())
    }

    async fn submit(
        &self,
        batch: u64,
        verdict: Verdict,
        actions: Actions,
        votes: &BTreeMap<u32, VoteSignature>,
    ) {
        let signatures: Vec<[u8; 48]> = votes.values().map(|signature| signature.0).collect();
        let signers: Members = votes.keys().copied().collect();
        let Some(signature) = paralith_bls::aggregate(&signatures) else {
            tracing::error!(batch, "verified votes do not add up");
            return;
        };
        let vote = Vote {
            contract_id: self.shared.place.contract_id,
            batch,
            verdict,
            actions,
            signers: signers.to_bytes(),
            signature: VoteSignature(signature),
        };
        if let Err(error) = self.outside.mediator.submit("vote", vote.encode()).await {
            // While the batch is open the machine submits again.
            tracing::info!(%error, batch, "the votes were not taken");
        }
    }
}
